//! What quantities are quantities of, and the units that each is shown in.

use std::fmt;

use serde::{Deserialize, Serialize};

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

impl Dimension {
    /// The units that values are shown in, the largest first: powers of ten of the base unit.
    pub(super) fn shown(self) -> &'static [(i16, &'static str)] {
        match self {
            Self::Time => &[(0, " s"), (-3, " ms"), (-6, " µs"), (-9, " ns")],
            Self::Rate => &[(0, "/s")],
            Self::Bytes => &[(9, " GB"), (6, " MB"), (3, " kB"), (0, " B")],
            Self::Percent => &[(0, " %")],
            Self::Count => &[(0, "")],
        }
    }
}
