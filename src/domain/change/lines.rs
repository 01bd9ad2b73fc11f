//! What each line of a text is: code, comment or blank. The grammars of some 260 languages say so.
//!
//! A text is read once from its start, so that a line deep in a block comment or a string is known
//! for what it is. Documentation strings are comments where the grammar tells them from other
//! strings, as Python's does. In a text of unknown language every line that is not blank is code.

use std::path::Path;

use syntaxmate::{Catalog, Token, Tokenizer, TokenizerOptions, TokenizerState};

/// What a line is. A line with code and a comment is code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// Something that the language acts on stands in it.
    Code,
    /// All that stands in it is comment or documentation.
    Comment,
    /// White space.
    Blank,
}

/// One line as its language sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// Whether it begins inside a string, where white space is no indentation.
    pub in_string: bool,
}

/// A text's lines, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// The language's name, where it is known by the path or by the first line.
    pub language: Option<String>,
    /// One for each line of the text.
    pub lines: Vec<Line>,
}

/// The lines of a text as a diff counts them: ended by line feeds, the last one with or without.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split_terminator('\n')
}

/// Bytes of a line that are looked into; a longer one, as in minified files, is taken whole for
/// what it begins in. A grammar's work can grow with the square of a line.
const LINE_LIMIT: usize = 1024;

/// Scopes within scopes, and brackets left open, beyond which the grammar begins anew: its work on
/// a line grows with what is open, and nobody's code is nested so.
const DEPTH_LIMIT: usize = 100;
const BRACKET_LIMIT: usize = 1000;

/// Classifies a text that stands at a path, in time linear in the text whatever it holds.
pub fn classify(path: &str, text: &str) -> Classified {
    let language = Catalog::bundled().detect(Some(Path::new(path)), text).map(str::to_owned);
    let mut reader = language.as_deref().and_then(Reader::new);
    let lines = split(text).map(|line| reader.as_mut().map_or_else(|| plain(line), |reader| reader.line(line)));
    let lines = lines.collect();
    Classified { language, lines }
}

/// A line that no grammar speaks about.
fn plain(line: &str) -> Line {
    Line { kind: if line.trim().is_empty() { LineKind::Blank } else { LineKind::Code }, in_string: false }
}

/// Reads a text line by line, keeping what is open between lines.
struct Reader {
    tokenizer: Tokenizer,
    state: TokenizerState,
    tokens: Vec<Token>,
    /// Whether the last line ended inside a string.
    string_is_open: bool,
    /// Brackets opened so far and not closed, strings and comments included.
    brackets: usize,
}

impl Reader {
    fn new(language: &str) -> Option<Self> {
        let options = TokenizerOptions { max_line_bytes: LINE_LIMIT, ..TokenizerOptions::default() };
        let tokenizer = Tokenizer::for_bundled_language(language, options).ok()?;
        let state = tokenizer.initial_state();
        Some(Self { tokenizer, state, tokens: Vec::new(), string_is_open: false, brackets: 0 })
    }

    fn line(&mut self, line: &str) -> Line {
        if self.tokenizer.tokenize_line_into(line, &mut self.state, &mut self.tokens).is_err() {
            return plain(line);
        }
        let in_string = self.string_is_open && self.tokens.first().is_some_and(is_string);
        // A blank line has no token, and leaves open what is open.
        if let Some(last) = self.tokens.last() {
            self.string_is_open = is_string(last) && !ends_string(last);
        }
        self.limit_depth(line);
        if line.trim().is_empty() {
            return Line { kind: LineKind::Blank, in_string };
        }
        let is_code = |token: &Token| {
            let text = line.get(token.range()).unwrap_or_default();
            !text.trim().is_empty() && !is_comment(token)
        };
        // A line without tokens that has text can't be told from code.
        let is_comment = !self.tokens.is_empty() && !self.tokens.iter().any(is_code);
        Line { kind: if is_comment { LineKind::Comment } else { LineKind::Code }, in_string }
    }

    fn limit_depth(&mut self, line: &str) {
        let count = |brackets: [u8; 3]| line.bytes().filter(|byte| brackets.contains(byte)).count();
        self.brackets = (self.brackets + count(*b"([{")).saturating_sub(count(*b")]}"));
        if self.brackets > BRACKET_LIMIT || self.tokens.iter().any(|token| token.scopes().len() > DEPTH_LIMIT) {
            self.state = self.tokenizer.initial_state();
            (self.brackets, self.string_is_open) = (0, false);
        }
    }
}

fn is_comment(token: &Token) -> bool {
    token.scopes().any(|scope| scope.starts_with("comment") || scope.starts_with("string.quoted.docstring"))
}

/// Plain scalars, as in YAML, are strings to the grammar and ordinary words to a reader.
fn is_string(token: &Token) -> bool {
    token.scopes().any(|scope| scope.starts_with("string.") && !scope.contains(".plain."))
}

fn ends_string(token: &Token) -> bool {
    token.scopes().any(|scope| scope.starts_with("punctuation.definition.string.end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A letter a line: `c`ode, `-` comment, ` ` blank.
    fn kinds(path: &str, text: &str) -> String {
        let letter = |line: &Line| match line.kind {
            LineKind::Code => 'c',
            LineKind::Comment => '-',
            LineKind::Blank => ' ',
        };
        classify(path, text).lines.iter().map(letter).collect()
    }

    /// Each line of the text begins with the letter that it must get; the letter is not part of it.
    fn check(path: &str, marked: &str) {
        let lines: Vec<_> = marked.trim_start_matches('\n').lines().collect();
        let expected: String = lines.iter().map(|line| line.chars().next().unwrap_or(' ')).collect();
        let text: String = lines.iter().map(|line| line.get(1..).unwrap_or_default().to_owned() + "\n").collect();
        assert_eq!(kinds(path, &text), expected, "{path}\n{text}");
        // The same with the other line ends.
        assert_eq!(kinds(path, &text.replace('\n', "\r\n")), expected, "{path} with CRLF");
    }

    #[test]
    fn rust() {
        check(
            "a.rs",
            r####"
-//! What it is.

-/* a /* nested */
-   still
-*/
cfn main() { /* here */
c    let s = "/* no comment
c// nor this";
c    let r = r#"
c*/ "#;
-    // plain
-    /// documented
c    x(); // after
c}
"####,
        );
    }

    #[test]
    fn python() {
        check(
            "a.py",
            r#####"
-#!/usr/bin/env python3
-"""What the module is.

-# still the docstring
-"""
cimport os

cclass A:
-    '''One line.'''
c    x = """text
c# not a comment
c"""
c    def f(self, a=1):
-        r"""Raw
-        more."""
c        s = "# no"  # after
-        # plain
c        return s
"#####,
        );
    }

    #[test]
    fn javascript_and_typescript() {
        let text = r"
-/**
- * what
- */
cconst url = 'http://x.test/*';
cconst t = `
c// in a template
c/* ${x} */
c`;
-// plain
cconst re = /\/\*/; // after
cf(/* a */ 1);
";
        for path in ["a.js", "a.ts", "a.mjs"] {
            check(path, text);
        }
        check("a.tsx", "\nc<div>\nc  {/* said\n-     in\nc    markup */}\nc  text\nc</div>\n");
    }

    #[test]
    fn go() {
        check("a.go", "\n-// Package a\ncpackage a\n-/* block\n-var x = 1\n-*/\ncvar s = `\nc// raw\nc`\n");
    }

    #[test]
    fn java() {
        check(
            "A.java",
            "\n-/** doc\n- * more */\ncclass A {\nc  String s = \"// no\";\n-  // yes\nc  int x; /* b\n- e */ \nc}\n",
        );
    }

    #[test]
    fn c_and_cpp() {
        for path in ["a.c", "a.cpp", "a.h"] {
            check(
                path,
                "\n-// one\nc#include <stdio.h>\n-/*\n-int gone;\n-*/\ncchar *s = \"/*\";\ncint x; /* y */\nc*p = 1;\n",
            );
        }
    }

    #[test]
    fn csharp() {
        check("A.cs", "\n-/// <summary>\ncclass A {\nc  string s = @\"\nc// verbatim\nc\";\n-  /* x\n-  y */\nc}\n");
    }

    #[test]
    fn ruby() {
        check(
            "a.rb",
            "\n-# one\n-=begin\n-x = 1\n-=end\ncx = 1\ncs = <<~TEXT\nc  # in a heredoc\ncTEXT\nc\"#{x}\" # after\n",
        );
    }

    #[test]
    fn php() {
        check("a.php", "\nc<?php\n-// one\n-# two\n-/** three\n- */\nc$s = '# no';\nc$x = 1; // after\n");
    }

    #[test]
    fn sql() {
        check("a.sql", "\n--- one\n-/* two\n-DROP TABLE x;\n-*/\ncSELECT '-- no' FROM x; -- after\n");
    }

    #[test]
    fn shell() {
        check("a.sh", "\n-#!/bin/sh\n-# one\ncecho \"# no\" # after\nccat <<EOF\nc# in a heredoc\ncEOF\ncx=${y#z}\n");
        check("tool", "\n-#!/usr/bin/env bash\n-# known by its first line\ncecho\n");
    }

    #[test]
    fn html_and_css() {
        check(
            "a.html",
            "\nc<p>a</p>\n-<!--\n-<p>gone</p>\n--->\nc<script>\n-// in a script\nclet x = 1;\nc</script>\n",
        );
        check("a.css", "\n-/* one\n-a { }\n-*/\nca { background: url(//x.test) }\n");
    }

    #[test]
    fn yaml_and_toml() {
        check("a.yaml", "\n-# one\nca: 1 # after\ncb: |\nc  text\ncc: \"# no\"\n");
        check("a.toml", "\n-# one\nc[a]\ncx = \"# no\"\ncy = '''\nc# text\nc'''\n");
    }

    #[test]
    fn haskell_lisp_and_lua() {
        check("a.hs", "\n-{- one {- nested -}\n-module Gone where\n--}\n--- | two\ncmain = print \"-- no\"\n");
        check("a.lisp", "\n-; one\n-#| two\n-(gone)\n-|#\nc(print \"; no\") ; after\n");
        check("a.lua", "\n--- one\n---[[ two\n-x = 1\n-]]\ncx = [[\nc-- text\nc]]\n");
    }

    #[test]
    fn dockerfile_and_makefile() {
        check("Dockerfile", "\n-# one\ncFROM x\ncRUN a && \\\nc    b\n");
        check("Makefile", "\n-# one\ncall: x\nc\techo done\n");
    }

    #[test]
    fn kotlin_swift_and_scala() {
        for path in ["a.kt", "a.swift", "a.scala"] {
            check(path, "\n-// one\n-/* two\n-   three */\ncval s = \"/* no\"\ncval t = \"\"\"\nc// text\nc\"\"\"\n");
        }
    }

    #[test]
    fn in_a_text_of_unknown_language_every_line_that_is_not_blank_is_code() {
        let classified = classify("a.nothing-known", "# x\n\n// y\n");
        assert_eq!(classified.language, None);
        assert_eq!(kinds("a.nothing-known", "# x\n\n// y\n"), "c c");
    }

    #[test]
    fn a_very_long_line_is_what_it_begins_in() {
        let long = "x".repeat(1 << 20);
        assert_eq!(kinds("a.js", &format!("let s = '{long}';\n// after\n")), "c-");
        assert_eq!(kinds("a.js", &format!("/*\n{long}\n*/\nf();\n")), "---c");
    }

    #[test]
    fn what_is_left_of_bytes_that_were_no_text_is_classified_all_the_same() {
        let text = String::from_utf8_lossy(b"x = 1\n# caf\xe9\ny = '\xff'\n").into_owned();
        assert_eq!(kinds("a.py", &text), "c-c");
    }

    #[test]
    fn no_text_has_no_line_and_a_missing_last_line_end_changes_nothing() {
        assert_eq!(kinds("a.py", ""), "");
        assert_eq!(kinds("a.py", "\n"), " ");
        assert_eq!(kinds("a.py", "x\n\n# y"), "c -");
    }

    #[test]
    fn what_is_nested_without_end_is_read_to_its_end_all_the_same() {
        for (path, line) in
            [("a.py", "f(\n"), ("a.cpp", "<(a[{'\"`\n"), ("a.cs", "((((((((((((((((\n"), ("a.sh", "if [\n")]
        {
            let text = line.repeat(50_000) + "x\n";
            assert_eq!(classify(path, &text).lines.len(), 50_001, "{path}");
        }
        let line = format!("{}\n", "(".repeat(LINE_LIMIT - 2));
        for path in ["a.cs", "a.py", "a.ts", "a.cpp"] {
            assert_eq!(classify(path, &line.repeat(500)).lines.len(), 500, "{path}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
        #[test]
        fn any_text_has_as_many_kinds_as_lines(
            text in "([ -~\u{e9}\r]|\n|/\\*|\\*/|\"\"\"|'''|<!--|=begin\n|\\{-|<<EOF\n){0,60}",
            path in proptest::sample::select(vec![
                "a.rs", "a.py", "a.js", "a.tsx", "a.go", "a.cpp", "a.cs", "a.rb", "a.php", "a.sql", "a.sh", "a.html",
                "a.css", "a.yaml", "a.hs", "a.lisp", "a.lua", "Dockerfile", "a.swift", "a.vue", "a", "a.?",
            ])
        ) {
            let lines = classify(path, &text).lines;
            proptest::prop_assert_eq!(lines.len(), text.lines().count());
            for (line, text) in lines.iter().zip(text.split('\n')) {
                proptest::prop_assert_eq!(line.kind == LineKind::Blank, text.trim().is_empty());
            }
        }
    }
}
