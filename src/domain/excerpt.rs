//! The end of what a program printed, as it is shown and kept: short, and without what moves a cursor.

/// Lines that are kept.
const LINES: usize = 40;
/// Bytes that are kept.
const BYTES: usize = 8 << 10;

/// The last lines that are not blank, 40 and 8 KiB at most, without terminal sequences and control characters.
pub fn excerpt(text: &str) -> String {
    let plain = plain(text);
    let lines: Vec<&str> = plain.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let mut kept = lines[lines.len().saturating_sub(LINES)..].join("\n");
    let mut cut = lines.len() > LINES;
    if kept.len() > BYTES {
        let start = (kept.len() - BYTES..).find(|at| kept.is_char_boundary(*at)).unwrap_or(kept.len());
        kept.drain(..start);
        cut = true;
    }
    if cut { format!("…\n{kept}") } else { kept }
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(4 * BYTES));
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                if rest.next_if_eq(&'[').is_some() {
                    while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
                    rest.next_if(|c| matches!(c, '@'..='~'));
                }
            }
            '\n' | '\t' => out.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_what_moves_the_cursor_is_not() {
        assert_eq!(excerpt("\u{1b}[31mred\u{1b}[0m\r\n\n\tb\u{7}\u{202e}c  \n"), "red\n\tbc");
        let long: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let kept = excerpt(&long);
        assert!(kept.starts_with("…\nline 60\n") && kept.ends_with("line 99"), "{kept}");
        let wide = excerpt(&"é".repeat(10_000));
        assert!(wide.len() <= BYTES + "…\n".len() && wide.starts_with("…\né"), "{}", wide.len());
    }

    proptest::proptest! {
        #[test]
        fn whatever_was_printed_the_excerpt_is_short_and_plain(text in "\\PC*|(.|\n){0,400}") {
            let kept = excerpt(&text);
            proptest::prop_assert!(kept.len() <= BYTES + 4 && kept.lines().count() <= LINES + 1);
            let plain = kept.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t'));
            proptest::prop_assert!(plain);
        }
    }
}
