//! How numbers, times and lists are worded, and what of a text may reach a terminal.

use std::time::Duration;

use unicode_width::UnicodeWidthChar;

/// A time as people say it: `0.3 s`, `14 s`, `3 min 20 s`, `60 min`, `2 h 5 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time.is_zero() => "0 s".to_owned(),
        0..10 => {
            let text = format!("{:.1}", time.as_secs_f64());
            format!("{} s", text.strip_suffix(".0").unwrap_or(&text))
        }
        10..120 => format!("{seconds} s"),
        120..7200 => two(seconds / 60, "min", seconds % 60, "s"),
        _ => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
}

/// `A`, `A and B`, `A, B and C`.
pub fn list<T: ToString>(items: &[T]) -> String {
    let words: Vec<String> = items.iter().map(T::to_string).collect();
    match words.as_slice() {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// `1 block`, `2 blocks`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// An e-value: a decimal below 10, whole above, and no digits that mean nothing beyond a million.
pub fn e_value(value: f64) -> String {
    match value {
        v if v >= 1e6 => "> 1,000,000".to_owned(),
        v if v >= 10.0 => format!("= {}", crate::domain::quantity::Tokens(v.round() as u64)),
        v => format!("= {v:.1}"),
    }
}

/// An e-value as odds: `65 : 1`.
pub(super) fn odds(value: f64) -> String {
    format!("{} : 1", e_value(value).trim_start_matches("= "))
}

/// What an e-value means, for a text that tells one; once is enough for a whole output.
pub fn evidence(text: &str) -> Option<&'static str> {
    let told = [" E = ", " E > ", "(E = ", "(E > "].iter().any(|words| text.contains(words));
    told.then_some(
        "E is the strength of the evidence: without a difference it reaches 40 at most once in 40 runs, \
         whenever measuring stops; from there on it decides",
    )
}

/// A text in lines of at most so many columns, broken between words; a word that is longer is broken itself.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let used = lines.last().map_or(0, |line| width(line));
        let gap = usize::from(used > 0);
        if used > 0 && used + gap + width(word) > columns {
            lines.push(String::new());
        } else if gap == 1 {
            lines.iter_mut().next_back().into_iter().for_each(|line| line.push(' '));
        }
        for c in word.chars() {
            if lines.last().is_some_and(|line| width(line) + c.width().unwrap_or(0) > columns) {
                lines.push(String::new());
            }
            lines.iter_mut().next_back().into_iter().for_each(|line| line.push(c));
        }
    }
    lines
}

/// The first seven digits of a commit.
pub fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// The text in one line: white space of any kind becomes one blank.
pub(super) fn one_line(text: &str) -> String {
    visible(&text.split_whitespace().collect::<Vec<_>>().join(" "), false)
}

/// The text with each of its lines indented, but for the first.
pub fn indented(text: &str, by: usize) -> String {
    text.trim_end().replace('\n', &format!("\n{}", " ".repeat(by)))
}

/// What may reach a terminal: no control characters but line ends, tabs and, where wanted, colours.
/// Agents and tests write part of what is printed, and must not move the cursor, set a title, or
/// turn the order of letters round.
pub fn visible(text: &str, colours: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if next == '\u{1b}' {
            let (code, tail) = escape(rest);
            if colours && code.ends_with('m') {
                out.push_str(code);
            }
            rest = tail;
            continue;
        }
        let turns = matches!(next, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if matches!(next, '\n' | '\t') || !(next.is_control() || turns) {
            out.push(next);
        }
        rest = &rest[next.len_utf8()..];
    }
    out
}

/// Splits an escape sequence off a text that begins with one; of one that is not a control
/// sequence only the escape character itself.
fn escape(text: &str) -> (&str, &str) {
    let Some(body) = text.strip_prefix("\u{1b}[") else { return text.split_at(1) };
    match body.find(|c: char| !(c.is_ascii_digit() || c == ';')) {
        Some(end) if body.as_bytes()[end].is_ascii_alphabetic() => text.split_at(2 + end + 1),
        _ => text.split_at(1),
    }
}

/// Columns that a text takes on a terminal; colours take none.
pub fn width(text: &str) -> usize {
    visible(text, false).chars().map(|c| c.width().unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_worded_by_their_size() {
        let cases = [
            (0.0, "0 s"),
            (0.34, "0.3 s"),
            (14.0, "14 s"),
            (60.0, "60 s"),
            (200.0, "3 min 20 s"),
            (3600.0, "60 min"),
            (7500.0, "2 h 5 min"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), expected);
        }
    }

    #[test]
    fn lists_and_counts_read_as_sentences() {
        assert_eq!(list::<&str>(&[]), "nobody");
        assert_eq!(list(&["A"]), "A");
        assert_eq!(list(&["A", "B", "C"]), "A, B and C");
        assert_eq!((count(1, "block"), count(2, "block")), ("1 block".to_owned(), "2 blocks".to_owned()));
    }

    #[test]
    fn e_values_have_no_digits_that_mean_nothing() {
        for (value, expected) in [(1.26, "= 1.3"), (52.4, "= 52"), (21_234.0, "= 21,234"), (f64::MAX, "> 1,000,000")] {
            assert_eq!(e_value(value), expected);
        }
    }

    #[test]
    fn what_moves_the_cursor_or_turns_text_round_is_left_out_and_colours_on_demand() {
        let text = "a\u{1b}[2Jb\u{1b}[31mc\u{1b}[0m\u{1b}]0;title\u{7}\r\u{202e}d\n\te\u{1b}[";
        assert_eq!(visible(text, false), "abc]0;titled\n\te[");
        assert_eq!(visible(text, true), "ab\u{1b}[31mc\u{1b}[0m]0;titled\n\te[");
        assert_eq!(one_line(" a\r\nb \t c "), "a b c");
    }

    #[test]
    fn odds_are_e_values_against_one() {
        assert_eq!((odds(65.2), odds(f64::MAX)), ("65 : 1".to_owned(), "> 1,000,000 : 1".to_owned()));
    }

    #[test]
    fn text_is_broken_between_words_and_long_words_within() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("refs/blueprint/run a", 6), ["refs/b", "luepri", "nt/run", "a"]);
        assert_eq!(wrapped("日本 語", 4), ["日本", "語"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn width_counts_columns() {
        assert_eq!(width("日本 ±\u{1b}[1mx\u{1b}[0m"), 7);
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_left_can_start_a_sequence(text in ".*") {
            let left = visible(&text, false);
            let starts = left.contains(['\u{1b}', '\u{9b}']);
            proptest::prop_assert!(!starts);
            proptest::prop_assert_eq!(visible(&left, false), left);
        }
    }
}
