//! A number of bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Dimension, Quantity};

/// A number of bytes, such as a file's size or what a program may use of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// Units, the largest first.
const UNITS: &[(&str, u64)] = &[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl FromStr for Bytes {
    type Err = String;

    /// Reads `8 GiB` or `500MB`.
    fn from_str(text: &str) -> Result<Self, String> {
        let read = Quantity::parse(text).map_err(|why| why.to_string())?;
        let whole = read.value();
        if read.dimension() != Dimension::Bytes || whole < 0.0 {
            return Err(format!("`{text}` is not a size: write it as `8 GiB` or `500 MB`"));
        }
        Ok(Self(whole as u64))
    }
}

impl fmt::Display for Bytes {
    /// In the largest unit of which there is one, with a decimal where it is not whole: `8 GiB`, `1.5 MiB`, `310 B`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((unit, size)) = UNITS.iter().find(|(_, size)| self.0 >= *size) else {
            return f.pad(&format!("{} B", self.0));
        };
        let tenths = (u128::from(self.0) * 10 + u128::from(size / 2)) / u128::from(*size);
        let (whole, rest) = (tenths / 10, tenths % 10);
        f.pad(&if rest == 0 { format!("{whole} {unit}") } else { format!("{whole}.{rest} {unit}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_in_its_units_and_shown_in_the_largest() {
        for (text, bytes, shown) in [
            ("8 GiB", 8 << 30, "8 GiB"),
            ("500MB", 500_000_000, "476.8 MiB"),
            ("1.5 MiB", 3 << 19, "1.5 MiB"),
            ("310 B", 310, "310 B"),
        ] {
            let read: Bytes = text.parse().unwrap();
            assert_eq!((read.0, read.to_string().as_str()), (bytes, shown));
        }
        for text in ["8", "8 s", "-1 GiB", "much"] {
            text.parse::<Bytes>().unwrap_err();
        }
    }
}
