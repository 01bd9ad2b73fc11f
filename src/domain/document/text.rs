//! Small readings of raw text: lines, bold fields, lists with commas, names. Everything is in byte
//! ranges of the document.

use std::ops::Range;

/// The part of `span` without white space around it.
pub(super) fn trim(text: &str, span: Range<usize>) -> Range<usize> {
    let inner = &text[span.clone()];
    let start = span.start + (inner.len() - inner.trim_start().len());
    let end = span.start + inner.trim_end().len();
    start.min(end)..end
}

/// The lines of a span, each without its line ending.
pub(super) fn lines(text: &str, span: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = span.start;
    let end = span.end;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let start = at;
        let stop = text[start..end].find('\n').map_or(end, |n| start + n);
        at = stop + 1;
        let line = text[start..stop].strip_suffix('\r').map_or(stop, |l| start + l.len());
        Some(start..line)
    })
}

/// Where the line that holds `at` begins.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1)
}

/// Where the line that holds `at` ends, its line ending included.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n + 1)
}

/// The line ending of the line that holds `at`; where that line has none, the document's first.
pub(super) fn eol(text: &str, at: usize) -> &'static str {
    let ending = |end: usize| {
        let line = &text[..end];
        if line.ends_with("\r\n") {
            Some("\r\n")
        } else if line.ends_with('\n') {
            Some("\n")
        } else {
            None
        }
    };
    ending(line_end(text, at)).or_else(|| ending(line_end(text, 0))).unwrap_or("\n")
}

/// The start of the first line after `at` (itself a line's start) that is not blank, or the end.
pub(super) fn skip_blank(text: &str, at: usize) -> usize {
    let mut at = at;
    while at < text.len() {
        let end = line_end(text, at);
        if !text[at..end].trim().is_empty() {
            return at;
        }
        at = end;
    }
    at
}

/// `**Name**: value` or `**Name:** value` at the start of a line: the name's and the value's span.
pub(super) fn bold_field(text: &str, line: Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let trimmed = trim(text, line);
    let inner = text[trimmed.clone()].strip_prefix("**")?;
    let close = inner.find("**")?;
    let start = trimmed.start + 2;
    let after = start + close + 2;
    let name = trim(text, start..start + close);
    let (name, value) = if let Some(plain) = text[name.clone()].strip_suffix(':') {
        (trim(text, name.start..name.start + plain.len()), after..trimmed.end)
    } else {
        let rest = &text[after..trimmed.end];
        let colon = rest.trim_start().strip_prefix(':')?;
        (name, trimmed.end - colon.len()..trimmed.end)
    };
    (!name.is_empty()).then(|| (name, trim(text, value)))
}

/// `key: value`, the key perhaps in bold or backticks: both spans.
pub(super) fn key_value(text: &str, span: Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    if let Some(found) = bold_field(text, span.clone()) {
        return Some(found);
    }
    let colon = span.start + text[span.clone()].find(':')?;
    let key = unquote(text, trim(text, span.start..colon));
    (!key.is_empty()).then(|| (key, trim(text, colon + 1..span.end)))
}

/// A span without the pair of backticks, asterisks or quotes around it.
pub(super) fn unquote(text: &str, span: Range<usize>) -> Range<usize> {
    let mut span = trim(text, span);
    loop {
        let inner = &text[span.clone()];
        let pair = ["**", "`", "*", "\""]
            .iter()
            .find(|q| inner.len() > 2 * q.len() && inner.starts_with(**q) && inner.ends_with(**q));
        let Some(pair) = pair else { return span };
        span = trim(text, span.start + pair.len()..span.end - pair.len());
    }
}

/// The parts between commas (and line ends), as spans without quotes; commas in brackets belong to their part.
pub(super) fn comma_list(text: &str, span: Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (span.start, 0_i32);
    for (at, c) in text[span.clone()].char_indices() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            ',' | '\n' if depth <= 0 => {
                parts.push(start..span.start + at);
                start = span.start + at + 1;
                depth = 0;
            }
            _ => {}
        }
    }
    parts.push(start..span.end);
    parts.into_iter().map(|part| unquote(text, part)).filter(|part| !part.is_empty()).collect()
}

/// A span without the note in parentheses at its end, and the note.
pub(super) fn note(text: &str, span: Range<usize>) -> (Range<usize>, Option<Range<usize>>) {
    let inner = &text[span.clone()];
    match (inner.find('('), inner.ends_with(')')) {
        (Some(open), true) => {
            let note = trim(text, span.start + open + 1..span.end - 1);
            (trim(text, span.start..span.start + open), (!note.is_empty()).then_some(note))
        }
        _ => (span, None),
    }
}

/// A name as it is compared: lower case, single spaces, `_` and `-` as spaces, no markup around it.
pub(super) fn normal(name: &str) -> String {
    let plain = name.trim().trim_matches(['*', '`', '_', ':']).to_lowercase().replace(['_', '-'], " ");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Words that say there is nothing.
pub(super) fn says_nothing(text: &str) -> bool {
    matches!(text.trim().to_lowercase().as_str(), "" | "none" | "n/a" | "-" | "–" | "—")
}

/// Several lines as one text: each trimmed, joined by `\n`.
pub(super) fn flow(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(line: &str) -> Option<(&str, &str)> {
        bold_field(line, 0..line.len()).map(|(name, value)| (&line[name], &line[value]))
    }

    #[test]
    fn a_bold_field_reads_with_the_colon_inside_or_outside() {
        assert_eq!(field("**Status**: approved  "), Some(("Status", "approved")));
        assert_eq!(field("  **Status:** approved"), Some(("Status", "approved")));
        assert_eq!(field("**Tests**:"), Some(("Tests", "")));
        assert_eq!(field("**Tests** are good"), None);
        assert_eq!(field("a **Tests**: b"), None);
        assert_eq!(field("****: b"), None);
    }

    #[test]
    fn commas_in_brackets_do_not_split() {
        let text = "`src/{a,b}.rs`, t.py::test[x,y] ,\n c.rs";
        let parts: Vec<_> = comma_list(text, 0..text.len()).into_iter().map(|p| &text[p]).collect();
        assert_eq!(parts, ["src/{a,b}.rs", "t.py::test[x,y]", "c.rs"]);
    }

    #[test]
    fn lines_know_both_endings_and_a_last_line_without_one() {
        let text = "a\r\nb\n\nc";
        let found: Vec<_> = lines(text, 0..text.len()).map(|l| &text[l]).collect();
        assert_eq!(found, ["a", "b", "", "c"]);
        assert_eq!((eol(text, 0), eol(text, 3), eol(text, 7)), ("\r\n", "\n", "\r\n"));
    }
}
