//! What the model is shown of long or strange output.

/// A text whose middle is left out where it is longer than `limit` bytes; the ends are kept.
pub fn ends(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(limit / 2);
    let tail = text.ceil_char_boundary(text.len() - limit / 2);
    format!("{}\n… {} bytes left out …\n{}", &text[..head], tail - head, &text[tail..])
}

/// The last of a text, at most so many bytes.
pub fn tail(text: &str, limit: usize) -> String {
    let from = text.ceil_char_boundary(text.len().saturating_sub(limit));
    let cut = if from > 0 { "… " } else { "" };
    format!("{cut}{}", &text[from..])
}

/// A line that is no longer than so many characters.
pub fn short(line: &str, limit: usize) -> String {
    match line.char_indices().nth(limit) {
        Some((at, _)) => format!("{}… ({} bytes more)", &line[..at], line.len() - at),
        None => line.to_owned(),
    }
}

/// Without what only moves a cursor or colours: escape sequences and control characters. Of a line
/// that was written over and over, what stood there last.
pub fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut line = 0;
    while let Some(next) = chars.next() {
        match next {
            '\u{1b}' => match chars.next() {
                Some('[') => drop(chars.find(|c| ('@'..='~').contains(c))),
                Some(']') => drop(chars.find(|c| matches!(c, '\u{7}' | '\u{1b}'))),
                _ => {}
            },
            '\r' if chars.peek().is_some_and(|c| *c != '\n' && *c != '\r') => out.truncate(line),
            '\n' => {
                out.push('\n');
                line = out.len();
            }
            '\t' => out.push('\t'),
            other if other.is_control() => {}
            other => out.push(other),
        }
    }
    out
}

/// Whether a file is text, by the first bytes of it.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    !bytes[..bytes.len().min(8 << 10)].contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_long_text_are_kept() {
        assert_eq!(ends("short", 5), "short");
        assert_eq!(ends("beginning and end", 8), "begi\n… 9 bytes left out …\n end");
        assert!(ends(&"ä".repeat(100), 7).ends_with('ä'));
        assert_eq!((tail("abcdef", 3), tail("abc", 3)), ("… def".to_owned(), "abc".to_owned()));
        assert_eq!((short("äöü", 2), short("äöü", 3)), ("äö… (2 bytes more)".to_owned(), "äöü".to_owned()));
    }

    #[test]
    fn colours_and_progress_are_taken_out() {
        assert_eq!(plain(b"\x1b[1;31mred\x1b[0m\r\n\x1b]0;title\x07x\x00y\n"), "red\nxy\n");
        assert_eq!(plain(b"start\n 10 %\r 20 %\rdone\n"), "start\ndone\n");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "\\PC{0,40}", bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60), limit in 0..50usize) {
            proptest::prop_assert!(tail(&text, limit).len() <= limit + 4);
            drop((ends(&text, limit), short(&text, limit)));
            let shown = plain(&bytes);
            proptest::prop_assert!(shown.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
        }
    }
}
