//! Bounds: what a metric's value must satisfy, compared exactly.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Quantity;
use super::dimension::Dimension;
use super::error::QuantityError;
use super::exact::Exact;
use super::finite::Finite;
use super::number::is_signed;

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
    /// relative to the baseline, and before anything else it could mean two things.
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
        let limit = match (is_signed(rest), quantity.dimension()) {
            (false, _) => Limit::Absolute(quantity),
            (true, Dimension::Percent) => Limit::Relative(percentage(quantity, rest)?),
            (true, _) => {
                let plain = rest.trim_start_matches(['+', '-', '\u{2212}']).to_owned();
                return Err(QuantityError::Signed { written: rest.to_owned(), plain });
            }
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

    /// The limit as a quantity, given the baseline's value where it is relative: to the precision of
    /// points, which is not that of [`Self::holds`].
    pub fn resolve(self, baseline: Option<Quantity>) -> Result<Quantity, QuantityError> {
        match self.limit {
            Limit::Absolute(quantity) => Ok(quantity),
            Limit::Relative(percent) => {
                let base = baseline.ok_or(QuantityError::NoBaseline)?;
                Quantity::new(base.value() * (1.0 + percent.get() / 100.0), base.dimension())
                    .ok_or_else(|| QuantityError::NotFinite(percent.get().to_string()))
            }
        }
    }

    /// Whether the value keeps the bound, by what both are exactly.
    pub fn holds(self, value: Quantity, baseline: Option<Quantity>) -> Result<bool, QuantityError> {
        let order = match self.limit {
            Limit::Absolute(limit) => value.compare(limit)?,
            Limit::Relative(percent) => {
                let base = baseline.ok_or(QuantityError::NoBaseline)?;
                value.alike(base)?;
                let growth = growth(Exact::of(percent), &percent.get().to_string())?;
                Exact::compare(&[value.exact()], &[base.exact(), growth])
            }
        };
        Ok(self.comparator.accepts(order))
    }

    /// Whether it asks for more than the baseline has, whatever that is: a relative bound that equal values miss.
    pub(crate) fn asks_for_improvement(self) -> bool {
        match self.limit {
            Limit::Absolute(_) => false,
            Limit::Relative(percent) => !self.comparator.accepts(0.0_f64.total_cmp(&(percent.get() + 0.0))),
        }
    }

    /// Whether no value can keep it: none that is measured is negative.
    pub(crate) fn never_holds(self) -> bool {
        let order = match self.limit {
            Limit::Absolute(limit) => limit.value().total_cmp(&0.0),
            // Of any baseline that is not negative.
            Limit::Relative(percent) => percent.get().total_cmp(&-100.0),
        };
        match self.comparator {
            Comparator::Less => order.is_le(),
            Comparator::AtMost => order.is_lt(),
            Comparator::AtLeast | Comparator::Greater => false,
        }
    }
}

/// A percentage that comparing takes as it was written.
fn percentage(quantity: Quantity, written: &str) -> Result<Finite, QuantityError> {
    let percent = quantity.value;
    growth(Exact::of(percent), written)?;
    if quantity.exact() == Exact::of(percent) { Ok(percent) } else { Err(QuantityError::Digits(written.to_owned())) }
}

fn growth(percent: Exact, written: &str) -> Result<Exact, QuantityError> {
    Exact::grown_by(percent).ok_or_else(|| QuantityError::Digits(written.to_owned()))
}

impl fmt::Display for Bound {
    /// With every digit of the limit: what is rounded would be another bound.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Limit::Absolute(quantity) => write!(f, "{} {quantity:#}", self.comparator),
            Limit::Relative(percent) => write!(f, "{} {:+} % of the baseline", self.comparator, percent.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(bound: &str, value: &str, baseline: Option<&str>) -> bool {
        let quantity = |text: &str| Quantity::parse(text).unwrap();
        Bound::parse(bound).unwrap().holds(quantity(value), baseline.map(quantity)).unwrap()
    }

    #[test]
    fn a_relative_bound_that_equal_values_miss_asks_for_an_improvement() {
        let asks = |text: &str| Bound::parse(text).unwrap().asks_for_improvement();
        for text in ["<=-10%", "<-0.5%", "<+0%", ">=+10%", ">+0%"] {
            assert!(asks(text), "{text}");
        }
        for text in ["<=+5%", "<=+0%", "<+1%", ">=-5%", ">=+0%", "<80ms", "<=0.5%"] {
            assert!(!asks(text), "{text}");
        }
    }

    #[test]
    fn a_bound_reads_every_unit_of_the_seed() {
        let p50 = Bound::parse("<50ms").unwrap();
        assert_eq!(p50.limit, Limit::Absolute(Quantity::new(0.05, Dimension::Time).unwrap()));
        assert_eq!(Bound::parse(">500 req/sec").unwrap().direction(), Direction::HigherIsBetter);
        assert_eq!(Bound::parse("<200MB").unwrap().to_string(), "< 200 MB");
    }

    #[test]
    fn a_signed_percentage_is_relative_to_the_baseline() {
        assert!(holds("<=+1%", "101 ms", Some("100 ms")) && !holds("<=+1%", "101.1 ms", Some("100 ms")));
        assert!(holds("<=-10%", "90 ms", Some("0.1 s")) && !holds("<\u{2212}10%", "90 ms", Some("0.1 s")));
        let base = Quantity::parse("100 ms").unwrap();
        assert_eq!(Bound::parse("<=+1%").unwrap().holds(base, None), Err(QuantityError::NoBaseline));
    }

    #[test]
    fn different_dimensions_never_compare_and_units_of_one_convert() {
        let bytes = Quantity::parse("3 B").unwrap();
        for bound in ["<50ms", "<=+1%"] {
            let time = Quantity::parse("1 s").unwrap();
            assert!(Bound::parse(bound).unwrap().holds(bytes, Some(time)).is_err(), "{bound}");
        }
        assert!(holds("<1s", "999 ms", None));
    }

    #[test]
    fn a_value_at_its_bound_is_at_it_in_any_unit() {
        for (limit, value) in [
            ("0.009s", "9 ms"),
            ("9ms", "0.009 s"),
            ("0.3s", "300 ms"),
            ("1.1 ms", "1100 us"),
            ("0.1 min", "6 s"),
            ("0.7 kB", "700 B"),
            ("1.1 MiB", "1153433.6 B"),
            ("100/min", "100 req/min"),
            ("90/min", "1.5 rps"),
            ("1e-3 s", "1 ms"),
            ("0.1%", "0.1 %"),
        ] {
            assert!(holds(&format!("<={limit}"), value, None) && holds(&format!(">={limit}"), value, None), "{limit}");
            assert!(!holds(&format!("<{limit}"), value, None) && !holds(&format!(">{limit}"), value, None), "{limit}");
        }
        assert!(holds("<=+15%", "115 B", Some("100 B")) && !holds("<+15%", "115 B", Some("100 B")));
        assert!(holds("<=-0.1%", "99.9 ms", Some("0.1 s")) && !holds("<-0.1%", "99.9 ms", Some("0.1 s")));
        assert!(!holds("<9ms", "9.000000001 ms", None) && !holds("<=9ms", "9.000000001 ms", None));
    }

    #[test]
    fn a_sign_before_anything_but_a_percentage_is_refused_with_both_readings() {
        for bound in ["<=+5ms", "<-5ms", ">=+3", "<\u{2212}2 MB"] {
            assert!(matches!(Bound::parse(bound), Err(QuantityError::Signed { .. })), "{bound}");
        }
        assert_eq!(
            Bound::parse("<=+5ms").unwrap_err().to_string(),
            "`+5ms` can be read as 5ms or as a difference from the baseline: write `5ms` without a sign, or a \
             percentage with one, such as `+1%`"
        );
    }

    #[test]
    fn a_bound_that_nothing_can_keep_is_known() {
        for bound in ["<0ms", "<0", "<0%", "<-100%", "<=-101%"] {
            assert!(Bound::parse(bound).unwrap().never_holds(), "{bound}");
        }
        for bound in ["<=0 B", ">0", "<=-100%", "<-99%", "<1ns"] {
            assert!(!Bound::parse(bound).unwrap().never_holds(), "{bound}");
        }
    }

    #[test]
    fn a_bound_is_shown_with_all_of_its_digits() {
        let shown = |text: &str| Bound::parse(text).unwrap().to_string();
        assert_eq!((shown("<100.04ms"), shown(">=1MiB")), ("< 100.04 ms".into(), ">= 1.048576 MB".into()));
        assert_eq!((shown("<=+1.25%"), shown("> 90/min")), ("<= +1.25 % of the baseline".into(), "> 1.5/s".into()));
    }

    #[test]
    fn a_percentage_that_would_be_rounded_is_refused() {
        for bound in ["<=+1.00000000000000000001%", "<=+1e-40%"] {
            assert!(matches!(Bound::parse(bound), Err(QuantityError::Digits(_))), "{bound}");
        }
    }

    #[test]
    fn a_bound_is_read_back_as_it_was_written() {
        for text in ["<9ms", "<=+15%", ">=100/min", "<0.123456789012345678901234 s"] {
            let bound = Bound::parse(text).unwrap();
            let journaled = serde_json::to_string(&bound).unwrap();
            assert_eq!(serde_json::from_str::<Bound>(&journaled).unwrap(), bound, "{journaled}");
        }
        let before = r#"{"comparator":"<","limit":{"absolute":{"value":0.009,"dimension":"time"}}}"#;
        assert_eq!(serde_json::from_str::<Bound>(before).unwrap(), Bound::parse("<9ms").unwrap());
    }

    /// Units with their size in whole nanoseconds, bytes, or thirds of a twentieth a second.
    const SIZES: [&[(&str, i128)]; 3] = [
        &[
            ("ns", 1),
            ("us", 1_000),
            ("ms", 1_000_000),
            ("s", 1_000_000_000),
            ("min", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ],
        &[
            ("B", 1),
            ("kB", 1_000),
            ("KiB", 1_024),
            ("MB", 1_000_000),
            ("MiB", 1_048_576),
            ("GiB", 1 << 30),
            ("TB", 1_000_000_000_000),
        ],
        &[("/min", 1), ("/s", 60), ("rps", 60)],
    ];

    /// `number × 10^-places`, written out.
    fn decimal(number: i128, places: u32) -> String {
        let ten = 10_i128.pow(places);
        format!("{}.{:0width$}", number / ten, number % ten, width = places.max(1) as usize)
    }

    fn unit() -> impl Strategy<Value = (usize, usize, usize)> {
        (0..3_usize).prop_flat_map(|kind| (Just(kind), 0..SIZES[kind].len(), 0..SIZES[kind].len()))
    }

    fn accepts(comparator: &str, order: Ordering) -> bool {
        match comparator {
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            _ => order.is_ge(),
        }
    }

    const COMPARATORS: [&str; 4] = ["<", "<=", ">", ">="];

    proptest! {
        #[test]
        fn the_same_amount_compares_alike_in_whatever_unit_it_is_written(
            (kind, one, other) in unit(), amount in 1..100_000_i128, places in 0..4_u32, off in -1..2_i128,
        ) {
            let (one, other) = (SIZES[kind][one], SIZES[kind][other]);
            // Whole in both units, then shifted.
            let limit = amount * one.1 * other.1;
            let value = limit + off * one.1 * other.1;
            let written = |amount: i128, unit: (&str, i128)| format!("{} {}", decimal(amount / unit.1, places), unit.0);
            for comparator in COMPARATORS {
                let bound = Bound::parse(&format!("{comparator}{}", written(limit, one))).unwrap();
                for unit in [one, other] {
                    let read = Quantity::parse(&written(value, unit)).unwrap();
                    prop_assert_eq!(bound.holds(read, None).unwrap(), accepts(comparator, value.cmp(&limit)));
                    // As a report has it: a number and, apart from it, its unit.
                    let number = decimal(value / unit.1, places);
                    if number.len() <= 16 {
                        let reported = Quantity::in_unit(number.parse().unwrap(), unit.0).unwrap();
                        prop_assert_eq!(reported, read);
                    }
                }
            }
        }

        #[test]
        fn holding_agrees_with_whole_numbers(
            (kind, one, other) in unit(), a in 0..3_000_i128, b in 1..3_000_i128, x in 0..5_u32, y in 0..5_u32,
        ) {
            let (one, other) = (SIZES[kind][one], SIZES[kind][other]);
            let expected = (a * one.1 * 10_i128.pow(y)).cmp(&(b * other.1 * 10_i128.pow(x)));
            let value = Quantity::parse(&format!("{}{}", decimal(a, x), one.0)).unwrap();
            for comparator in COMPARATORS {
                let bound = Bound::parse(&format!("{comparator}{}{}", decimal(b, y), other.0)).unwrap();
                prop_assert_eq!(bound.holds(value, None).unwrap(), accepts(comparator, expected));
            }
        }

        #[test]
        fn holding_a_relative_bound_agrees_with_whole_numbers(
            (kind, one, other) in unit(), a in 0..3_000_i128, b in 0..3_000_i128, x in 0..5_u32, percent in -12_000..30_000_i128,
            exactly: bool,
        ) {
            let (one, other) = (SIZES[kind][one], SIZES[kind][other]);
            // Hundredths of a per cent of b, which a ten-thousandth of itself can hold.
            let (a, one, x) = if exactly { (b * (10_000 + percent).max(0), other, 4) } else { (a, one, x) };
            let expected = (a * one.1 * 10_000).cmp(&(b * other.1 * 10_i128.pow(x) * (10_000 + percent)));
            let value = Quantity::parse(&format!("{}{}", decimal(a, x), one.0)).unwrap();
            let base = Quantity::parse(&format!("{b}{}", other.0)).unwrap();
            let sign = if percent < 0 { "-" } else { "+" };
            for comparator in COMPARATORS {
                let bound = format!("{comparator}{sign}{}%", decimal(percent.abs(), 2));
                let holds = Bound::parse(&bound).unwrap().holds(value, Some(base)).unwrap();
                prop_assert_eq!(holds, accepts(comparator, expected), "{} {} of {}", value, bound, base);
            }
        }
    }
}
