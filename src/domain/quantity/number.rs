//! Numbers as people write them. What can be meant in two ways is refused with both.

use super::error::QuantityError;
use super::exact::Exact;

/// Separators that no number is read with; between two digits one stands for groups of three,
/// or parts two numbers.
const FOREIGN: &[char] = &[' ', '\'', '\u{2019}', '\u{a0}', '\u{2009}', '\u{202f}'];

/// Whether a text starts with a sign, which also may be the minus sign of typographers.
pub(super) fn is_signed(text: &str) -> bool {
    text.starts_with(['+', '-', '\u{2212}'])
}

/// Splits `500 req/sec` into its number and what follows.
///
/// `_` may stand between digits, and `,` between groups of three where it can't be a decimal
/// comma: `1,000,000`, but not `1,500`.
pub(super) fn split(text: &str) -> Result<(Exact, &str), QuantityError> {
    let text = text.trim();
    let end = end(text);
    let (number, rest) = text.split_at(end);
    if !number.contains(|c: char| c.is_ascii_digit()) {
        return Err(QuantityError::NoNumber(text.to_owned()));
    }
    let next = rest.trim_start_matches(FOREIGN);
    if next.len() < rest.len() && next.starts_with(|c: char| c.is_ascii_digit()) {
        let more = next.find(|c: char| !c.is_ascii_digit()).unwrap_or(next.len());
        let written = &text[..text.len() - next.len() + more];
        return Err(separator(written, [format!("{number}{}", &next[..more]), number.to_owned()]));
    }
    Ok((exact(number)?, rest))
}

/// Where the number at the start of a text ends.
fn end(text: &str) -> usize {
    let signed = usize::from(is_signed(text));
    let exponent = |at: usize| {
        let rest = &text[at + 1..];
        let rest = if signed_digit(rest) { &rest[1..] } else { rest };
        rest.starts_with(|d: char| d.is_ascii_digit())
    };
    let mut after_exponent = None;
    for (at, (place, c)) in text.char_indices().enumerate() {
        match c {
            _ if at < signed => {}
            '+' | '-' if after_exponent == Some(place) => {}
            'e' | 'E' if at > signed && after_exponent.is_none() && exponent(place) => after_exponent = Some(place + 1),
            '.' | ',' | '_' => {}
            c if c.is_ascii_digit() => {}
            _ => return place,
        }
    }
    text.len()
}

fn signed_digit(text: &str) -> bool {
    text.starts_with(['+', '-']) && text[1..].starts_with(|d: char| d.is_ascii_digit())
}

/// The number that digits, signs and separators say.
fn exact(written: &str) -> Result<Exact, QuantityError> {
    let number = written.replacen('\u{2212}', "-", 1);
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let apart = |at: usize| digit(number[..at].chars().next_back()) && digit(number[at + 1..].chars().next());
    if !number.match_indices('_').all(|(at, _)| apart(at)) {
        return Err(QuantityError::NoNumber(written.to_owned()));
    }
    let number = number.replace('_', "");
    if !number.contains(',') && number.matches('.').count() < 2 {
        return plain(&number, written);
    }
    if is_grouped(&number) {
        return plain(&number.replace(',', ""), written);
    }
    let readings = [number.replace(',', ""), number.replace('.', "").replace(',', ".")];
    Err(separator(written, readings))
}

fn plain(number: &str, written: &str) -> Result<Exact, QuantityError> {
    Exact::parse(number).ok_or_else(|| {
        // Many digits may be cut in a message, and are as many without their end.
        match number.parse::<f64>() {
            Ok(value) if value.is_finite() => QuantityError::Digits(written.to_owned()),
            Ok(_) => QuantityError::NotFinite(written.to_owned()),
            Err(_) => QuantityError::NoNumber(written.to_owned()),
        }
    })
}

/// Whether commas stand between groups of three and nowhere else, and can be nothing but that: there
/// are several, or a decimal point follows.
fn is_grouped(number: &str) -> bool {
    let unsigned = number.trim_start_matches(['+', '-']);
    let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(w, f)| (w, Some(f)));
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    let headed = (1..=3).contains(&first.len()) && digits(first) && !first.starts_with('0');
    let rest: Vec<_> = groups.collect();
    let clear = rest.len() > 1 || (rest.len() == 1 && fraction.is_some());
    headed
        && clear
        && rest.iter().all(|g| g.len() == 3 && digits(g))
        && fraction.is_none_or(|f| !f.contains([',', '.']))
}

/// A number with separators, and those of its readings that are numbers.
fn separator(written: &str, readings: [String; 2]) -> QuantityError {
    let mut known: Vec<String> = Vec::new();
    for reading in readings.iter().filter_map(|text| Exact::parse(text)).map(|number| number.shown(0)) {
        if !known.contains(&reading) {
            known.push(reading);
        }
    }
    if known.is_empty() {
        return QuantityError::NoNumber(written.to_owned());
    }
    QuantityError::Separator { written: written.to_owned(), readings: known }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, String), String> {
        split(text).map(|(number, rest)| (number.shown(0), rest.to_owned())).map_err(|error| error.to_string())
    }

    fn number(text: &str) -> String {
        read(text).unwrap().0
    }

    #[test]
    fn digits_points_and_exponents_are_read_and_the_unit_is_left() {
        assert_eq!(read("12.5 req/sec"), Ok(("12.5".into(), " req/sec".into())));
        assert_eq!(read(" 3e-3s"), Ok(("0.003".into(), "s".into())));
        assert_eq!(read("2E2B").unwrap(), ("200".into(), "B".into()));
        assert_eq!(read("5extra").unwrap(), ("5".into(), "extra".into()));
        assert_eq!(
            (number("-1.5%"), number("\u{2212}1.5%"), number("+.5")),
            ("-1.5".into(), "-1.5".into(), "0.5".into())
        );
    }

    #[test]
    fn groups_of_three_are_read_where_they_can_be_nothing_else() {
        assert_eq!(
            (number("1,000,000"), number("1,234.5"), number("1_000")),
            ("1000000".into(), "1234.5".into(), "1000".into())
        );
    }

    #[test]
    fn what_can_be_thousands_or_a_fraction_is_refused_with_both_readings() {
        let both = |written: &str, one: &str, other: &str| {
            let said = format!("`{written}` can be read as {one} or as {other}: write `{one}` or `{other}`");
            assert_eq!(read(written), Err(said));
        };
        both("1,500", "1500", "1.5");
        both("12,5", "125", "12.5");
        both("0,125", "125", "0.125");
        both("1.500,0", "1.5", "1500");
        both("-1,5e3", "-15000", "-1500");
        both("1 000", "1000", "1");
        both("1\u{202f}000", "1000", "1");
        both("1'000", "1000", "1");
        assert_eq!(read("1.500.000"), Err("`1.500.000` has separators that are not read: write `1500000`".to_owned()));
    }

    #[test]
    fn what_is_no_number_is_never_made_one() {
        for text in ["", "ms", "+ms", ".", "-", "1__0", "_1", "1_", "1,2.3.4,5", ",,", "+-1"] {
            assert!(matches!(split(text), Err(QuantityError::NoNumber(_))), "{text}: {:?}", split(text));
        }
        assert!(matches!(split(&"9".repeat(50)), Err(QuantityError::Digits(_))));
    }
}
