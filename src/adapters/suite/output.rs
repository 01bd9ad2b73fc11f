//! What runners print, as text, and what a report among it yields.

use crate::domain::cases::TestCase;

/// What a report yields: its cases, or why it can't be used.
pub type Cases = Result<Vec<TestCase>, String>;

/// Output as text without colours: terminal sequences go, and bytes that are not UTF-8 are replaced.
pub fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let last = match c {
            '\u{1b}' => match rest.next() {
                Some('[') => rest.by_ref().find(|c| matches!(c, '@'..='~' | '\n')),
                Some(']') => rest.by_ref().find(|c| matches!(c, '\u{7}' | '\\' | '\n')),
                Some('(') => rest.next(),
                other => other,
            },
            '\r' => None,
            c => {
                out.push(c);
                None
            }
        };
        // No sequence reaches into the next line.
        out.extend(last.filter(|c| *c == '\n'));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_what_is_around_them_stays() {
        assert_eq!(plain(b"a\x1b[32mok\x1b(B\x1b[0m\r\nb\x1b]8;;x\x07c\xff\x1b"), "aok\nbc\u{fffd}");
        assert_eq!(plain(b"\x1b[3\na\x1b]8\nb\x1b\nc"), "\na\nb\nc");
    }
}
