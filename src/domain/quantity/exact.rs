//! Exact numbers: what bounds are compared by, so that `9 ms` is `0.009 s` and 115 is 100 and 15 %.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::finite::Finite;

/// The longest decimal that is written without an exponent, in characters.
const PLAIN: usize = 40;

/// `mantissa × 10^tens`, or a third of it: every decimal, in every unit there is.
///
/// In lowest terms, so that equal numbers are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Exact {
    mantissa: i128,
    tens: i16,
    third: bool,
}

impl Exact {
    /// `mantissa × 10^tens`, for constants: the mantissa must not end in a zero.
    pub(super) const fn decimal(mantissa: i128, tens: i16) -> Self {
        Self { mantissa, tens, third: false }
    }

    /// A third of that; the mantissa must not be a multiple of three.
    pub(super) const fn third(mantissa: i128, tens: i16) -> Self {
        Self { mantissa, tens, third: true }
    }

    fn reduced(mut mantissa: i128, mut tens: i16, mut third: bool) -> Option<Self> {
        if mantissa == 0 {
            return Some(Self::default());
        }
        if third && mantissa % 3 == 0 {
            (mantissa, third) = (mantissa / 3, false);
        }
        while mantissa % 10 == 0 {
            (mantissa, tens) = (mantissa / 10, tens.checked_add(1)?);
        }
        Some(Self { mantissa, tens, third })
    }

    /// Reads digits with a decimal point and an exponent, such as `-12.5e3`; `None` for anything
    /// else, and where there are more digits than 38.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i16>().ok()?),
            None => (text, 0),
        };
        let unsigned = number.strip_prefix(['-', '+']).unwrap_or(number);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let kept = digits.trim_end_matches('0');
        let tens = (digits.len() - kept.len()).checked_signed_diff(fraction.len())?;
        let tens = i16::try_from(tens).ok()?.checked_add(exponent)?;
        let mantissa = match kept.trim_start_matches('0') {
            "" => 0,
            kept => kept.parse::<i128>().ok()?,
        };
        Self::reduced(if number.starts_with('-') { -mantissa } else { mantissa }, tens, false)
    }

    /// The shortest decimal that reads as this number: what a program prints that has it, and what
    /// is meant by it. Its binary value may be off by what nobody wrote: that of 0.009 is less than 0.009.
    pub fn of(number: Finite) -> Self {
        // No finite number has more than 17 digits or an exponent of more than three.
        Self::parse(&format!("{:e}", number.get())).unwrap_or_default()
    }

    /// The nearest number there is in binary, within the last digit for thirds.
    pub fn get(self) -> f64 {
        let whole = format!("{}e{}", self.mantissa, self.tens).parse().unwrap_or(f64::INFINITY);
        if self.third { whole / 3.0 } else { whole }
    }

    /// Whether it is nothing.
    pub(super) fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// The product; `None` where it has too many digits.
    pub(super) fn times(self, unit: Self) -> Option<Self> {
        if self.third && unit.third {
            return None;
        }
        let mantissa = self.mantissa.checked_mul(unit.mantissa)?;
        Self::reduced(mantissa, self.tens.checked_add(unit.tens)?, self.third || unit.third)
    }

    /// What a number is multiplied by that grows by so many per cent; `None` where it has too many digits.
    pub(super) fn grown_by(percent: Self) -> Option<Self> {
        let power = |tens: u32| 10_i128.checked_pow(tens);
        let up = power(u32::try_from(percent.tens.max(0)).ok()?)?;
        let down = power(u32::from(percent.tens.min(0).unsigned_abs()))?;
        let sum = down.checked_mul(100)?.checked_add(percent.mantissa.checked_mul(up)?)?;
        if percent.third { None } else { Self::reduced(sum, percent.tens.min(0).checked_sub(2)?, false) }
    }

    /// How the products of two lists of numbers compare.
    pub(super) fn compare(left: &[Self], right: &[Self]) -> Ordering {
        let sign = |all: &[Self]| all.iter().map(|one| one.mantissa.signum()).product::<i128>();
        let (ours, theirs) = (sign(left), sign(right));
        if ours != theirs || ours == 0 {
            return ours.cmp(&theirs);
        }
        let tens = |all: &[Self]| all.iter().map(|one| i32::from(one.tens)).sum::<i32>();
        let thirds = |all: &[Self]| all.iter().filter(|one| one.third).count();
        let ahead = tens(left) - tens(right);
        let up = |by: i32| u32::try_from(by).unwrap_or(0);
        let order = size(left, up(ahead), thirds(right)).cmp(&size(right, up(-ahead), thirds(left)));
        if ours < 0 { order.reverse() } else { order }
    }

    /// Its digits times `10^tens`, without an exponent where that is readable.
    pub(super) fn shown(self, tens: i16) -> String {
        let tens = i32::from(self.tens) + i32::from(tens);
        if self.third {
            let whole = format!("{}e{tens}", self.mantissa).parse::<f64>().unwrap_or(f64::INFINITY);
            return (whole / 3.0).to_string();
        }
        let (sign, digits) = (if self.mantissa < 0 { "-" } else { "" }, self.mantissa.unsigned_abs().to_string());
        let room = usize::try_from(tens.unsigned_abs()).unwrap_or(usize::MAX);
        if room > PLAIN {
            return format!("{sign}{digits}e{tens}");
        }
        if tens >= 0 {
            return format!("{sign}{digits}{}", "0".repeat(room));
        }
        let digits = format!("{digits:0>width$}", width = room + 1);
        let (whole, fraction) = digits.split_at(digits.len() - room);
        format!("{sign}{whole}.{fraction}")
    }
}

/// A natural number as its length and its 32-bit digits, the largest first: ordered as the number is.
type Size = (usize, Vec<u32>);

/// The size of a product, times `10^tens × 3^thirds`.
fn size(factors: &[Exact], tens: u32, thirds: usize) -> Size {
    let mantissas = factors.iter().map(|one| one.mantissa.unsigned_abs());
    let chunks = std::iter::repeat_n(1_000_000_000, usize::try_from(tens / 9).unwrap_or(0));
    let rest = [10_u128.pow(tens % 9)];
    let all = mantissas.chain(chunks).chain(rest).chain(std::iter::repeat_n(3, thirds));
    let mut digits = all.fold(vec![1], |product, factor| multiplied(&product, factor));
    while digits.last() == Some(&0) {
        digits.pop();
    }
    digits.reverse();
    (digits.len(), digits)
}

/// A number in 32-bit digits, the smallest first, times another.
fn multiplied(number: &[u32], by: u128) -> Vec<u32> {
    let by = [0, 32, 64, 96].map(|shift| (by >> shift) & u128::from(u32::MAX));
    let mut product = vec![0_u32; number.len() + by.len()];
    for (at, digit) in number.iter().enumerate() {
        let mut carry = 0;
        for (place, factor) in by.iter().enumerate() {
            let sum = u128::from(*digit) * factor + u128::from(product[at + place]) + carry;
            product[at + place] = (sum & u128::from(u32::MAX)) as u32;
            carry = sum >> 32;
        }
        product[at + by.len()] = carry as u32;
    }
    product
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}e{}{}", self.mantissa, self.tens, if self.third { "/3" } else { "" })
    }
}

impl From<Exact> for String {
    fn from(number: Exact) -> Self {
        number.to_string()
    }
}

impl TryFrom<String> for Exact {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let whole = text.strip_suffix("/3").unwrap_or(&text);
        let number = Self::parse(whole).and_then(|n| Self::reduced(n.mantissa, n.tens, whole.len() < text.len()));
        number.ok_or_else(|| format!("`{text}` is no exact number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Exact {
        Exact::parse(text).unwrap()
    }

    #[test]
    fn a_number_is_the_shortest_decimal_that_reads_as_it() {
        let of = |number| Exact::of(Finite::new(number).unwrap());
        assert_eq!(of(0.009), exact("9e-3"));
        assert_eq!(of(9.000_000_001), exact("9.000000001"));
        assert_eq!(of(-1.5e300), exact("-1.5E300"));
        assert_eq!((of(0.0), of(5e-324)), (exact("0.000"), exact("5e-324")));
        assert_eq!(of(f64::MAX).get(), f64::MAX);
    }

    #[test]
    fn equal_numbers_are_equal_however_they_are_written() {
        assert_eq!(exact("1500"), exact("01.50e3"));
        assert_eq!(exact("6").times(Exact::third(1, 0)), Some(exact("2")));
        for text in ["", ".", "1.2.3", "1e", "e5", "١", "1_0", "1e99999", &"9".repeat(40)] {
            assert_eq!(Exact::parse(text), None, "{text}");
        }
    }

    #[test]
    fn growing_by_per_cent_is_exact_in_both_directions() {
        for (percent, factor) in [("15", "1.15"), ("-0.5", "0.995"), ("-100", "0"), ("1e3", "11"), ("-150", "-0.5")] {
            assert_eq!(Exact::grown_by(exact(percent)), Some(exact(factor)), "{percent}");
        }
        assert_eq!(Exact::grown_by(exact("1e-300")), None);
    }

    #[test]
    fn digits_are_shown_without_an_exponent_where_they_can_be_read() {
        let shown = |text: &str, tens| exact(text).shown(tens);
        assert_eq!(
            (shown("0.10004", 3), shown("-2.5", 0), shown("2", 3)),
            ("100.04".into(), "-2.5".into(), "2000".into())
        );
        assert_eq!((shown("0.05", 0), shown("1e-50", 0)), ("0.05".into(), "1e-50".into()));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for number in [exact("-12.5"), Exact::third(5, -2), Exact::default()] {
            assert_eq!(Exact::try_from(String::from(number)), Ok(number));
        }
        assert!(Exact::try_from("3 ms".to_owned()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn products_compare_as_whole_numbers_do(
            a in -1_000_000..1_000_000_i128, b in -1_000_000..1_000_000_i128,
            c in -1_000_000..1_000_000_i128, x in -6..6_i16, y in -6..6_i16, third: bool,
        ) {
            let ten = |e: i16| 10_i128.pow((e + 6).unsigned_abs().into());
            let (left, right) = (3 * a * b * ten(x), c * ten(y) * if third { 1 } else { 3 });
            let one = |m, e| Exact::reduced(m, e, false).unwrap();
            let other = Exact::reduced(c, y, third).unwrap();
            proptest::prop_assert_eq!(Exact::compare(&[one(a, x), one(b, 0)], &[other]), left.cmp(&right));
        }
    }
}
