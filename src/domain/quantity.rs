//! Numbers with a meaning: finite values with a dimension, bounds over them, tokens and durations.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A number that is neither infinite nor `NaN`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Finite(f64);

impl Finite {
    /// The number, or `None` where it is infinite or not a number. `-0` becomes `0`.
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(value + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Eq for Finite {}

impl PartialOrd for Finite {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Finite {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl TryFrom<f64> for Finite {
    type Error = &'static str;
    fn try_from(value: f64) -> Result<Self, Self::Error> {
        Self::new(value).ok_or("not a finite number")
    }
}

impl From<Finite> for f64 {
    fn from(value: Finite) -> Self {
        value.0
    }
}

/// What a quantity is a quantity of; only equal dimensions compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// Seconds.
    Time,
    /// Events a second.
    Rate,
    /// Bytes.
    Bytes,
    /// Per cent.
    Percent,
    /// A plain number.
    Count,
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "a time",
            Self::Rate => "a rate",
            Self::Bytes => "a size in bytes",
            Self::Percent => "a percentage",
            Self::Count => "a plain number",
        })
    }
}

/// Unit names with their dimension and size in the dimension's base unit (s, 1/s, B, %, 1).
const UNITS: &[(&str, Dimension, f64)] = &[
    ("ns", Dimension::Time, 1e-9),
    ("us", Dimension::Time, 1e-6),
    ("µs", Dimension::Time, 1e-6),
    ("μs", Dimension::Time, 1e-6),
    ("ms", Dimension::Time, 1e-3),
    ("s", Dimension::Time, 1.0),
    ("sec", Dimension::Time, 1.0),
    ("second", Dimension::Time, 1.0),
    ("seconds", Dimension::Time, 1.0),
    ("min", Dimension::Time, 60.0),
    ("minute", Dimension::Time, 60.0),
    ("minutes", Dimension::Time, 60.0),
    ("h", Dimension::Time, 3600.0),
    ("hour", Dimension::Time, 3600.0),
    ("hours", Dimension::Time, 3600.0),
    ("/s", Dimension::Rate, 1.0),
    ("/sec", Dimension::Rate, 1.0),
    ("req/s", Dimension::Rate, 1.0),
    ("req/sec", Dimension::Rate, 1.0),
    ("rps", Dimension::Rate, 1.0),
    ("requests/s", Dimension::Rate, 1.0),
    ("requests/sec", Dimension::Rate, 1.0),
    ("ops/s", Dimension::Rate, 1.0),
    ("ops/sec", Dimension::Rate, 1.0),
    ("/min", Dimension::Rate, 1.0 / 60.0),
    ("req/min", Dimension::Rate, 1.0 / 60.0),
    ("B", Dimension::Bytes, 1.0),
    ("byte", Dimension::Bytes, 1.0),
    ("bytes", Dimension::Bytes, 1.0),
    ("kB", Dimension::Bytes, 1e3),
    ("KB", Dimension::Bytes, 1e3),
    ("MB", Dimension::Bytes, 1e6),
    ("GB", Dimension::Bytes, 1e9),
    ("TB", Dimension::Bytes, 1e12),
    ("KiB", Dimension::Bytes, 1024.0),
    ("MiB", Dimension::Bytes, 1_048_576.0),
    ("GiB", Dimension::Bytes, 1_073_741_824.0),
    ("TiB", Dimension::Bytes, 1_099_511_627_776.0),
    ("%", Dimension::Percent, 1.0),
    ("", Dimension::Count, 1.0),
    ("instr", Dimension::Count, 1.0),
    ("instructions", Dimension::Count, 1.0),
];

/// Why a text is not a quantity, a bound or a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No number where one must stand.
    #[error("`{0}` does not start with a number")]
    NoNumber(String),
    /// A number that can't be held.
    #[error("`{0}` is not a finite number")]
    NotFinite(String),
    /// A decimal comma.
    #[error("`{0}` has a comma where a decimal point or nothing is expected")]
    Comma(String),
    /// A unit nobody knows.
    #[error("unknown unit `{unit}`{}", hint(.near))]
    UnknownUnit {
        /// As written.
        unit: String,
        /// The nearest known one.
        near: Option<String>,
    },
    /// No comparator at the start of a bound.
    #[error("`{0}` does not start with one of `<`, `<=`, `>`, `>=`")]
    NoComparator(String),
    /// A quantity compared with one of another dimension.
    #[error("{left} can't be compared with {right}")]
    Dimensions {
        /// The value's.
        left: Dimension,
        /// The limit's.
        right: Dimension,
    },
    /// A limit relative to the baseline without a baseline value.
    #[error("the bound is relative to the baseline, which has no value")]
    NoBaseline,
}

fn hint(near: &Option<String>) -> String {
    near.as_ref().map(|n| format!(", did you mean `{n}`?")).unwrap_or_default()
}

/// A finite number with a dimension, held in the dimension's base unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantity {
    value: Finite,
    dimension: Dimension,
}

impl Quantity {
    /// A quantity in its dimension's base unit (s, 1/s, B, %, 1); `None` unless finite.
    pub fn new(value: f64, dimension: Dimension) -> Option<Self> {
        Finite::new(value).map(|value| Self { value, dimension })
    }

    /// A number in a named unit such as `ms`.
    pub fn in_unit(value: f64, unit: &str) -> Result<Self, QuantityError> {
        let (dimension, factor) = find_unit(unit)?;
        Self::new(value * factor, dimension).ok_or_else(|| QuantityError::NotFinite(value.to_string()))
    }

    /// Reads `12.5ms`, `500 req/sec`, `200 MB`, `3 %` or `7`.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let (number, unit) = split_number(text)?;
        Self::in_unit(number, unit)
    }

    /// In the base unit (s, 1/s, B, %, 1).
    pub fn value(self) -> f64 {
        self.value.get()
    }

    /// What it is a quantity of.
    pub fn dimension(self) -> Dimension {
        self.dimension
    }

    /// Compares quantities of one dimension.
    pub fn compare(self, other: Self) -> Result<Ordering, QuantityError> {
        if self.dimension == other.dimension {
            Ok(self.value.cmp(&other.value))
        } else {
            Err(QuantityError::Dimensions { left: self.dimension, right: other.dimension })
        }
    }
}

fn find_unit(unit: &str) -> Result<(Dimension, f64), QuantityError> {
    let unit = unit.trim();
    let exact = UNITS.iter().find(|(name, ..)| *name == unit);
    let loose = || UNITS.iter().find(|(name, ..)| !name.is_empty() && name.eq_ignore_ascii_case(unit));
    match exact.or_else(loose) {
        Some(&(_, dimension, factor)) => Ok((dimension, factor)),
        None => Err(QuantityError::UnknownUnit { unit: unit.to_owned(), near: nearest_unit(unit) }),
    }
}

fn nearest_unit(unit: &str) -> Option<String> {
    // Distances of long texts take time and memory, and no unit is near them.
    if unit.len() > 24 {
        return None;
    }
    let lower = unit.to_ascii_lowercase();
    UNITS
        .iter()
        .filter(|(name, ..)| !name.is_empty())
        .map(|(name, ..)| (strsim::damerau_levenshtein(&lower, &name.to_ascii_lowercase()), *name))
        .filter(|(distance, name)| *distance <= 2 && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}

/// Splits `500 req/sec` into its number and its unit. `_` and `,` between groups of three digits
/// are separators; any other comma is refused rather than guessed at.
fn split_number(text: &str) -> Result<(f64, &str), QuantityError> {
    let text = text.trim();
    let end = text
        .char_indices()
        .find(|&(at, c)| {
            let sign = at == 0 && (c == '+' || c == '-');
            let exponent = (c == 'e' || c == 'E') && text[at + 1..].starts_with(|d: char| d.is_ascii_digit());
            !(sign || exponent || c.is_ascii_digit() || matches!(c, '.' | ',' | '_'))
        })
        .map_or(text.len(), |(at, _)| at);
    let (number, unit) = text.split_at(end);
    if !number.contains(|c: char| c.is_ascii_digit()) {
        return Err(QuantityError::NoNumber(text.to_owned()));
    }
    let grouped = number.split(',').skip(1).all(|g| {
        let digits = g.split('.').next().unwrap_or(g);
        digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit())
    });
    if number.contains(',') && (!grouped || number.starts_with("0,")) {
        return Err(QuantityError::Comma(number.to_owned()));
    }
    let plain: String = number.chars().filter(|c| !matches!(c, ',' | '_')).collect();
    let value = plain.parse::<f64>().map_err(|_| QuantityError::NoNumber(text.to_owned()))?;
    if !value.is_finite() {
        return Err(QuantityError::NotFinite(number.to_owned()));
    }
    Ok((value, unit))
}

impl fmt::Display for Quantity {
    /// In the largest unit that keeps the number at 1 or more, to three or more digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.get();
        let scales: &[(f64, &str)] = match self.dimension {
            Dimension::Time => &[(1.0, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns")],
            Dimension::Rate => &[(1.0, "/s")],
            Dimension::Bytes => &[(1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (1.0, " B")],
            Dimension::Percent => &[(1.0, " %")],
            Dimension::Count => &[(1.0, "")],
        };
        let last = scales[scales.len() - 1];
        // Nothing is nothing in any unit; the plainest one is taken.
        let fits = |size: f64| if value == 0.0 { size == 1.0 } else { value.abs() >= size };
        let (size, unit) = *scales.iter().find(|(size, _)| fits(*size)).unwrap_or(&last);
        write!(f, "{}{unit}", digits(value / size))
    }
}

/// Up to one decimal from 100 on, two from 10, three below; trailing zeros cut.
fn digits(value: f64) -> String {
    let places = match value.abs() {
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The four comparators of a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparator {
    /// `<`
    #[serde(rename = "<")]
    Less,
    /// `<=`
    #[serde(rename = "<=")]
    AtMost,
    /// `>`
    #[serde(rename = ">")]
    Greater,
    /// `>=`
    #[serde(rename = ">=")]
    AtLeast,
}

impl Comparator {
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

impl fmt::Display for Comparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        })
    }
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// A cost.
    LowerIsBetter,
    /// A yield.
    HigherIsBetter,
}

/// What a metric's value must satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// How the value compares with the limit.
    pub comparator: Comparator,
    /// The limit.
    pub limit: Limit,
}

/// A limit by itself, or by the baseline's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// A quantity.
    Absolute(Quantity),
    /// Per cent above (or below, if negative) the baseline's value.
    Relative(Finite),
}

impl Bound {
    /// Reads `<50ms`, `> 500 req/sec`, `≤ 200 MiB` or `<=+1%`; a sign before a percentage makes it
    /// relative to the baseline.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        let table = [
            ("<=", Comparator::AtMost),
            ("≤", Comparator::AtMost),
            (">=", Comparator::AtLeast),
            ("≥", Comparator::AtLeast),
            ("<", Comparator::Less),
            (">", Comparator::Greater),
        ];
        let Some((comparator, rest)) = table.iter().find_map(|(s, c)| text.strip_prefix(s).map(|r| (*c, r.trim())))
        else {
            return Err(QuantityError::NoComparator(text.to_owned()));
        };
        let quantity = Quantity::parse(rest)?;
        let signed = rest.starts_with(['+', '-']);
        let limit = if signed && quantity.dimension == Dimension::Percent {
            Limit::Relative(quantity.value)
        } else {
            Limit::Absolute(quantity)
        };
        Ok(Self { comparator, limit })
    }

    /// Which way is better under this bound.
    pub fn direction(self) -> Direction {
        match self.comparator {
            Comparator::Less | Comparator::AtMost => Direction::LowerIsBetter,
            Comparator::Greater | Comparator::AtLeast => Direction::HigherIsBetter,
        }
    }

    /// The limit as a quantity, given the baseline's value where it is relative.
    pub fn resolve(self, baseline: Option<Quantity>) -> Result<Quantity, QuantityError> {
        match self.limit {
            Limit::Absolute(quantity) => Ok(quantity),
            Limit::Relative(percent) => {
                let base = baseline.ok_or(QuantityError::NoBaseline)?;
                Quantity::new(base.value() * (1.0 + percent.get() / 100.0), base.dimension)
                    .ok_or_else(|| QuantityError::NotFinite(percent.get().to_string()))
            }
        }
    }

    /// Whether the value keeps the bound.
    pub fn holds(self, value: Quantity, baseline: Option<Quantity>) -> Result<bool, QuantityError> {
        Ok(self.comparator.accepts(value.compare(self.resolve(baseline)?)?))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Limit::Absolute(quantity) => write!(f, "{} {quantity}", self.comparator),
            Limit::Relative(percent) => write!(f, "{} {:+} % of the baseline", self.comparator, percent.get()),
        }
    }
}

/// A number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tokens(pub u64);

impl Tokens {
    /// None at all.
    pub const ZERO: Self = Self(0);

    /// The sum, or the largest number where it does not fit.
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or none where it would be negative.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Tokens {
    /// With `,` between groups of three digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut out = String::with_capacity(digits.len() + digits.len() / 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                out.push(',');
            }
            out.push(digit);
        }
        f.pad(&out)
    }
}

/// Reads `30 minutes`, `2h`, `90 s` or `1h 30m`.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let (number, tail) = split_number(rest)?;
        let tail = tail.trim_start();
        let end = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
        let unit = match &tail[..end] {
            "m" => "min",
            other => other,
        };
        let (dimension, factor) = find_unit(unit)?;
        if dimension != Dimension::Time {
            return Err(QuantityError::Dimensions { left: dimension, right: Dimension::Time });
        }
        total += number * factor;
        rest = tail[end..].trim_start();
    }
    if text.trim().is_empty() {
        return Err(QuantityError::NoNumber(text.to_owned()));
    }
    Duration::try_from_secs_f64(total).map_err(|_| QuantityError::NotFinite(text.to_owned()))
}

/// `1 h 02 min`, `3 min 20 s`, `12.4 s` or `35 ms`.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        3600.. => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        60.. if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        60.. => format!("{} min {:02} s", seconds / 60, seconds % 60),
        1.. => format!("{:.1} s", duration.as_secs_f64()),
        0 => format!("{} ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_reads_every_unit_of_the_seed() {
        let p50 = Bound::parse("<50ms").unwrap();
        assert_eq!(p50.limit, Limit::Absolute(Quantity::new(0.05, Dimension::Time).unwrap()));
        assert_eq!(Bound::parse(">500 req/sec").unwrap().direction(), Direction::HigherIsBetter);
        assert_eq!(Bound::parse("<200MB").unwrap().to_string(), "< 200 MB");
    }

    #[test]
    fn a_signed_percentage_is_relative_to_the_baseline() {
        let bound = Bound::parse("<=+1%").unwrap();
        let base = Quantity::in_unit(100.0, "ms").unwrap();
        assert!(bound.holds(Quantity::in_unit(101.0, "ms").unwrap(), Some(base)).unwrap());
        assert!(!bound.holds(Quantity::in_unit(101.1, "ms").unwrap(), Some(base)).unwrap());
        assert_eq!(bound.holds(base, None), Err(QuantityError::NoBaseline));
    }

    #[test]
    fn different_dimensions_never_compare_and_units_of_one_convert() {
        let bound = Bound::parse("<50MB").unwrap();
        assert!(bound.holds(Quantity::in_unit(3.0, "ms").unwrap(), None).is_err());
        let second = Bound::parse("<1s").unwrap();
        assert!(second.holds(Quantity::in_unit(999.0, "ms").unwrap(), None).unwrap());
    }

    #[test]
    fn decimal_commas_are_refused_and_group_commas_read() {
        assert!(matches!(Quantity::parse("12,5ms"), Err(QuantityError::Comma(_))));
        assert!(matches!(Quantity::parse("0,125s"), Err(QuantityError::Comma(_))));
        assert_eq!(Quantity::parse("1,000,000").unwrap().value(), 1_000_000.0);
    }

    #[test]
    fn an_unknown_unit_names_the_nearest_one() {
        let error = Quantity::parse("5 mss").unwrap_err();
        assert_eq!(error.to_string(), "unknown unit `mss`, did you mean `ms`?");
    }

    #[test]
    fn not_a_number_can_not_be_made() {
        assert!(Finite::new(f64::NAN).is_none());
        assert!(Quantity::parse("1e999 ms").is_err());
        assert!(serde_json::from_str::<Finite>("1e999").is_err());
    }

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(parse_duration("60 minutes").unwrap(), Duration::from_secs(3600));
        assert_eq!(parse_duration("1h 30m").unwrap(), Duration::from_secs(5400));
        assert!(parse_duration("5 bytes").is_err());
        assert!(parse_duration("").is_err());
    }

    #[test]
    fn quantities_print_in_a_readable_unit() {
        let show = |text: &str| Quantity::parse(text).unwrap().to_string();
        assert_eq!(show("0.0123 s"), "12.3 ms");
        assert_eq!(show("1500 MB"), "1.5 GB");
        assert_eq!((show("0 ms"), show("0 MB")), ("0 s".to_owned(), "0 B".to_owned()));
        assert_eq!(Tokens(1_234_567).to_string(), "1,234,567");
    }
}
