//! Numbers with a meaning: quantities, which have a dimension, and what is read and compared of them.

mod bound;
mod bytes;
mod dimension;
mod duration;
mod error;
mod exact;
mod finite;
mod number;
mod tokens;
mod unit;

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use bound::{Bound, Comparator, Direction, Limit};
pub use bytes::Bytes;
pub use dimension::Dimension;
pub use duration::{parse_duration, show_duration};
pub use error::QuantityError;
pub use exact::Exact;
pub use finite::Finite;
pub use tokens::Tokens;

/// A finite number with a dimension, held in the dimension's base unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Quantity {
    value: Finite,
    /// What it is exactly, where the value's shortest decimal is only near it.
    exact: Option<Exact>,
    dimension: Dimension,
}

/// A quantity as journals and reports have it.
#[derive(Serialize, Deserialize)]
struct Written {
    value: Finite,
    dimension: Dimension,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exact: Option<Exact>,
}

impl Quantity {
    /// A quantity in its dimension's base unit (s, 1/s, B, %, 1); `None` unless finite.
    pub fn new(value: f64, dimension: Dimension) -> Option<Self> {
        Finite::new(value).map(|value| Self { value, exact: None, dimension })
    }

    /// An exact number of the base unit; `None` where there is no binary number near it.
    fn exactly(number: Exact, dimension: Dimension) -> Option<Self> {
        let value = Finite::new(number.get()).filter(|value| value.get() != 0.0 || number.is_zero())?;
        let exact = (Exact::of(value) != number).then_some(number);
        Some(Self { value, exact, dimension })
    }

    fn of(number: Exact, unit: &str, written: impl Fn() -> String) -> Result<Self, QuantityError> {
        let (dimension, size) = unit::find(unit)?;
        let number = number.times(size).ok_or_else(|| QuantityError::Digits(written()))?;
        Self::exactly(number, dimension).ok_or_else(|| QuantityError::NotFinite(written()))
    }

    /// A number in a named unit such as `ms`: the shortest decimal that reads as it, times the unit.
    pub fn in_unit(value: f64, unit: &str) -> Result<Self, QuantityError> {
        let number = Finite::new(value).ok_or_else(|| QuantityError::NotFinite(value.to_string()))?;
        Self::of(Exact::of(number), unit, || value.to_string())
    }

    /// Reads `12.5ms`, `500 req/sec`, `200 MB`, `3 %` or `7`.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let (number, unit) = number::split(text)?;
        Self::of(number, unit, || text.trim().to_owned())
    }

    /// In the base unit (s, 1/s, B, %, 1), as near as a binary number comes.
    pub fn value(self) -> f64 {
        self.value.get()
    }

    /// What it is a quantity of.
    pub fn dimension(self) -> Dimension {
        self.dimension
    }

    /// In the base unit, exactly.
    pub fn exact(self) -> Exact {
        self.exact.unwrap_or_else(|| Exact::of(self.value))
    }

    fn alike(self, other: Self) -> Result<(), QuantityError> {
        if self.dimension == other.dimension {
            Ok(())
        } else {
            Err(QuantityError::Dimensions { left: self.dimension, right: other.dimension })
        }
    }

    /// Compares quantities of one dimension, exactly.
    pub fn compare(self, other: Self) -> Result<Ordering, QuantityError> {
        self.alike(other)?;
        Ok(match (self.exact, other.exact) {
            // Shortest decimals are in the order of the numbers that they read as.
            (None, None) => self.value.cmp(&other.value),
            _ => Exact::compare(&[self.exact()], &[other.exact()]),
        })
    }
}

impl TryFrom<Written> for Quantity {
    type Error = &'static str;
    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { value, dimension, exact } = written;
        match exact {
            None => Ok(Self { value, exact: None, dimension }),
            Some(number) => Self::exactly(number, dimension).ok_or("not a finite number"),
        }
    }
}

impl From<Quantity> for Written {
    fn from(quantity: Quantity) -> Self {
        let Quantity { value, exact, dimension } = quantity;
        Self { value, dimension, exact }
    }
}

impl fmt::Display for Quantity {
    /// In the largest unit that keeps the number at 1 or more, to three or more digits; `{:#}` shows
    /// all of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.get();
        let scales = self.dimension.shown();
        let last = scales[scales.len() - 1];
        // Nothing is nothing in any unit; the plainest one is taken.
        let fits = |tens: i16| if value == 0.0 { tens == 0 } else { value.abs() >= power(tens) };
        let (tens, unit) = *scales.iter().find(|(tens, _)| fits(*tens)).unwrap_or(&last);
        if f.alternate() {
            write!(f, "{}{unit}", self.exact().shown(-tens))
        } else {
            write!(f, "{}{unit}", digits(value / power(tens)))
        }
    }
}

/// The nearest number to a power of ten.
fn power(tens: i16) -> f64 {
    Exact::decimal(1, tens).get()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_what_was_written_in_any_unit() {
        let parse = |text: &str| Quantity::parse(text).unwrap();
        assert_eq!(parse("9 ms"), parse("0.009 s"));
        assert_eq!(parse("9 ms"), Quantity::in_unit(9.0, "ms").unwrap());
        assert_eq!(parse("9 ms"), Quantity::new(0.009, Dimension::Time).unwrap());
        assert_eq!(parse("60/min"), parse("1 rps"));
        assert_eq!(parse("1 h").value(), 3600.0);
    }

    #[test]
    fn what_no_binary_number_is_near_is_refused() {
        for (value, unit) in [(f64::NAN, "ms"), (f64::INFINITY, "s"), (5e-324, "ns"), (f64::MAX, "h")] {
            assert!(matches!(Quantity::in_unit(value, unit), Err(QuantityError::NotFinite(_))), "{value} {unit}");
        }
        assert!(Quantity::parse("1e999 ms").is_err());
    }

    #[test]
    fn a_quantity_is_read_back_exactly_and_as_it_was_written_before() {
        for text in ["9 ms", "100/min", "1.5 KiB", "0.1234567890123456789 s"] {
            let quantity = Quantity::parse(text).unwrap();
            let journaled = serde_json::to_string(&quantity).unwrap();
            assert_eq!(serde_json::from_str::<Quantity>(&journaled).unwrap(), quantity, "{journaled}");
        }
        let plain = serde_json::to_string(&Quantity::parse("9 ms").unwrap()).unwrap();
        assert_eq!(plain, r#"{"value":0.009,"dimension":"time"}"#);
    }

    #[test]
    fn quantities_print_in_a_readable_unit() {
        let show = |text: &str| Quantity::parse(text).unwrap().to_string();
        assert_eq!(show("0.0123 s"), "12.3 ms");
        assert_eq!(show("1500 MB"), "1.5 GB");
        assert_eq!((show("0 ms"), show("0 MB")), ("0 s".to_owned(), "0 B".to_owned()));
        let whole = |text: &str| format!("{:#}", Quantity::parse(text).unwrap());
        assert_eq!((show("100.04 ms"), whole("100.04 ms")), ("100 ms".to_owned(), "100.04 ms".to_owned()));
        assert_eq!((whole("1.5 KiB"), whole("0 ms")), ("1.536 kB".to_owned(), "0 s".to_owned()));
    }
}
