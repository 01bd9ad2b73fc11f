//! Cuts a SQL script into its statements, each with the line it starts on, so that an error can
//! name the place. Understands what a dump of `pg_dump` or `.dump` holds.

/// One statement of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The line it starts on, from 1.
    pub line: usize,
    /// Its text without the semicolon.
    pub text: &'a str,
    /// The rows that follow a `COPY … FROM stdin`, without their end mark.
    pub rows: Option<&'a str>,
}

/// A place in a script that can't be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct ScriptError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub why: String,
}

/// Commands of psql that recent dumps hold and that mean nothing outside of it.
const IGNORED: &[&str] = &["\\restrict", "\\unrestrict"];

/// Every statement of a script, in order. Empty ones are left out.
pub fn statements(text: &str) -> Result<Vec<Statement<'_>>, ScriptError> {
    let mut cursor = Cursor { text, at: 0 };
    let mut found = Vec::new();
    while let Some(statement) = cursor.next()? {
        found.push(statement);
    }
    Ok(found)
}

/// The parameters of a statement as they are written, in order: `$1`, `?`, `?2`, `:name`, `@name`.
/// Two colons are a cast.
pub(super) fn placeholders(text: &str) -> Result<Vec<&str>, ScriptError> {
    let mut cursor = Cursor { text, at: 0 };
    let mut found = Vec::new();
    loop {
        let rest = cursor.rest();
        let Some(c) = rest.chars().next() else { return Ok(found) };
        match c {
            '\'' => cursor.skip_quoted('\'', cursor.escapes())?,
            '"' | '`' => cursor.skip_quoted(c, false)?,
            '-' if rest.starts_with("--") => cursor.skip_line(),
            '/' if rest.starts_with("/*") => cursor.skip_comment()?,
            ':' if rest.starts_with("::") => cursor.at += 2,
            '?' | '$' | ':' | '@' => {
                let end = rest[1..].find(|c: char| !(c.is_alphanumeric() || c == '_'));
                let name = &rest[..end.map_or(rest.len(), |end| 1 + end)];
                if c == '?' || name.len() > 1 {
                    found.push(name);
                }
                cursor.at += name.len();
            }
            _ if c.is_alphanumeric() || c == '_' => {
                let word = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).next();
                cursor.at += word.map_or(1, str::len);
            }
            _ => cursor.at += c.len_utf8(),
        }
    }
}

/// The line that a byte offset is on, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// What `BEGIN … END` inside a trigger or a function body needs: its semicolons end nothing.
#[derive(Default)]
struct Body {
    words: usize,
    creates: bool,
    has_body: bool,
    depth: usize,
}

impl Body {
    fn word(&mut self, word: &str) {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        self.words += 1;
        if self.words == 1 {
            self.creates = is("create");
        } else if self.creates && self.words <= 5 && (is("trigger") || is("function") || is("procedure")) {
            self.has_body = true;
        } else if self.has_body && (is("begin") || (self.depth > 0 && is("case"))) {
            self.depth += 1;
        } else if self.depth > 0 && is("end") {
            self.depth -= 1;
        }
    }
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, at: usize, why: impl Into<String>) -> Result<T, ScriptError> {
        Err(ScriptError { line: line_of(self.text, at), why: why.into() })
    }

    fn next(&mut self) -> Result<Option<Statement<'a>>, ScriptError> {
        loop {
            self.skip_space()?;
            if self.rest().is_empty() {
                return Ok(None);
            }
            if self.rest().starts_with('\\') {
                self.skip_command()?;
                continue;
            }
            let start = self.at;
            let end = self.find_end()?;
            let text = self.text[start..end].trim_end();
            if text.is_empty() {
                continue;
            }
            let line = line_of(self.text, start);
            let rows = if is_copy(text) { Some(self.take_rows(start)?) } else { None };
            return Ok(Some(Statement { line, text, rows }));
        }
    }

    /// Space and comments before a statement.
    fn skip_space(&mut self) -> Result<(), ScriptError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("--") {
                self.skip_line();
            } else if trimmed.starts_with("/*") {
                self.skip_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').map_or(self.rest().len(), |n| n + 1);
    }

    fn skip_command(&mut self) -> Result<(), ScriptError> {
        let line = self.rest().lines().next().unwrap_or_default();
        let command = line.split_whitespace().next().unwrap_or_default();
        if !IGNORED.contains(&command) {
            return self.fail(self.at, format!("`{command}` is a command of psql, not SQL; remove it from the file"));
        }
        self.skip_line();
        Ok(())
    }

    /// Comments nest in PostgreSQL; in SQLite they don't, but nothing sensible opens one inside.
    fn skip_comment(&mut self) -> Result<(), ScriptError> {
        let (start, mut depth) = (self.at, 0usize);
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else {
                match rest.chars().next() {
                    Some(c) => self.at += c.len_utf8(),
                    None => return self.fail(start, "a comment is never closed"),
                }
            }
        }
    }

    /// Goes behind the statement's semicolon and returns where it stands.
    fn find_end(&mut self) -> Result<usize, ScriptError> {
        let mut body = Body::default();
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else { return Ok(self.text.len()) };
            match c {
                ';' if body.depth == 0 => {
                    self.at += 1;
                    return Ok(self.at - 1);
                }
                '\'' => self.skip_quoted('\'', self.escapes())?,
                '"' | '`' => self.skip_quoted(c, false)?,
                '$' => self.skip_dollar()?,
                '-' if rest.starts_with("--") => self.skip_line(),
                '/' if rest.starts_with("/*") => self.skip_comment()?,
                _ if c.is_alphabetic() || c == '_' => {
                    let word = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).next();
                    let word = word.unwrap_or_default();
                    self.at += word.len();
                    body.word(word);
                }
                _ => self.at += c.len_utf8(),
            }
        }
    }

    /// Whether the quote here opens an `E'…'` text, in which a backslash escapes.
    fn escapes(&self) -> bool {
        let before = &self.text[..self.at];
        let prefix = before.strip_suffix(['e', 'E']);
        prefix.is_some_and(|p| !p.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$'))
    }

    fn skip_quoted(&mut self, quote: char, escapes: bool) -> Result<(), ScriptError> {
        let start = self.at;
        self.at += 1;
        loop {
            let rest = self.rest();
            let Some(at) = rest.find(|c| c == quote || (escapes && c == '\\')) else {
                return self.fail(start, format!("a text or name in {quote} is never closed"));
            };
            let escaped = rest[at..].starts_with('\\');
            // A doubled quote opens the next part at once, which comes to the same.
            self.at += at + 1;
            match (escaped, self.rest().chars().next()) {
                (false, _) => return Ok(()),
                (true, Some(c)) => self.at += c.len_utf8(),
                (true, None) => return self.fail(start, "a text is never closed"),
            }
        }
    }

    /// `$tag$ … $tag$`, or a dollar that is none (`$1`).
    fn skip_dollar(&mut self) -> Result<(), ScriptError> {
        let (start, rest) = (self.at, self.rest());
        let tag = rest[1..].split('$').next().unwrap_or_default();
        let closed = rest.len() > tag.len() + 1;
        let name = tag.chars().all(|c| c.is_alphanumeric() || c == '_') && !tag.starts_with(|c: char| c.is_numeric());
        if !closed || !name {
            self.at += 1;
            return Ok(());
        }
        let mark = &rest[..tag.len() + 2];
        match rest[mark.len()..].find(mark) {
            Some(at) => {
                self.at += at + 2 * mark.len();
                Ok(())
            }
            None => self.fail(start, format!("the text that {mark} opens is never closed")),
        }
    }

    /// The lines behind `COPY … FROM stdin;` up to `\.`.
    fn take_rows(&mut self, start: usize) -> Result<&'a str, ScriptError> {
        self.skip_line();
        let rest = self.rest();
        let mut length = 0;
        for line in rest.split_inclusive('\n') {
            if line.trim_end() == "\\." {
                self.at += length + line.len();
                return Ok(&rest[..length]);
            }
            length += line.len();
        }
        self.fail(start, "the rows of this COPY do not end with `\\.`")
    }
}

fn is_copy(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let copies = words.next().is_some_and(|word| word.eq_ignore_ascii_case("copy"));
    let words: Vec<_> = if copies { words.collect() } else { return false };
    words.windows(2).any(|pair| pair[0].eq_ignore_ascii_case("from") && pair[1].eq_ignore_ascii_case("stdin"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(script: &str) -> Vec<(usize, &str)> {
        statements(script).unwrap().into_iter().map(|s| (s.line, s.text)).collect()
    }

    #[test]
    fn statements_come_with_the_line_they_start_on() {
        let script =
            "-- users;\nCREATE TABLE a (\n  b int\n);\n\n/* x; /* y */ ; */ INSERT INTO a VALUES (1); ;\nSELECT 1";
        assert_eq!(
            texts(script),
            [(2, "CREATE TABLE a (\n  b int\n)"), (6, "INSERT INTO a VALUES (1)"), (7, "SELECT 1")]
        );
    }

    #[test]
    fn semicolons_inside_texts_names_and_comments_end_nothing() {
        for one in [
            "SELECT 'a;''b;'",
            "SELECT E'a\\';b'",
            "SELECT 'a\\'",
            "SELECT \"a;b\"",
            "SELECT $$ a; $x$ b; $$",
            "SELECT $f$ $$;$$ $f$",
            "SELECT 1 -- a;\n + 1",
            "SELECT 1 /* ; */ + $1",
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET b = CASE WHEN 1 THEN 2 END; DELETE FROM c; END",
            "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
        ] {
            assert_eq!(texts(&format!("{one};\nSELECT 2;")).len(), 2, "{one}");
            assert_eq!(texts(&format!("{one};"))[0].1, one);
        }
        assert_eq!(texts("BEGIN; INSERT INTO a VALUES (1); END;").len(), 3);
    }

    #[test]
    fn parameters_are_told_from_texts_names_casts_and_comments() {
        for (text, expected) in [
            ("SELECT a$1, $1::int, '$2', \"?\" FROM t -- $3\nWHERE b = $12 /* ? */", &["$1", "$12"][..]),
            ("SELECT ?, ?2 + :name, @at, 1", &["?", "?2", ":name", "@at"]),
            ("SELECT 'it''s ?', a[1]", &[]),
        ] {
            assert_eq!(placeholders(text).unwrap(), expected, "{text}");
        }
        placeholders("SELECT 'a").unwrap_err();
    }

    #[test]
    fn rows_of_a_dump_are_kept_apart_and_its_restrictions_left_out() {
        let dump =
            "\\restrict abc\nCOPY public.a (b, c) FROM stdin;\n1\t;x\n2\t'y\n\\.\n\nSELECT 1;\n\\unrestrict abc\n";
        let found = statements(dump).unwrap();
        assert_eq!(found[0].rows, Some("1\t;x\n2\t'y\n"));
        assert_eq!((found[1].line, found[1].text, found.len()), (7, "SELECT 1", 2));
    }

    #[test]
    fn what_can_not_be_run_is_named_with_its_line() {
        for (script, expected) in [
            ("SELECT 1;\n\\connect prod\n", "line 2: `\\connect` is a command of psql"),
            ("\n\nSELECT 'a;\n", "line 3: a text or name in ' is never closed"),
            ("SELECT $x$ 1;", "line 1: the text that $x$ opens is never closed"),
            ("/* a", "line 1: a comment is never closed"),
            ("COPY a FROM stdin;\n1\n", "line 1: the rows of this COPY"),
        ] {
            let error = statements(script).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{script}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_script_panics_and_nothing_is_lost(script in "[a-e;'\"$/*\\\\\n -]{0,60}") {
            if let Ok(found) = placeholders(&script) {
                prop_assert!(found.iter().all(|name| script.contains(name)));
            }
            if let Ok(found) = statements(&script) {
                for statement in found {
                    prop_assert!(script.contains(statement.text));
                    prop_assert!(statement.line <= script.lines().count().max(1));
                }
            }
        }
    }
}
