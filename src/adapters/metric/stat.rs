//! Statistics of one slice's observations, and their names in a configuration.

use std::fmt;
use std::str::FromStr;

/// One number out of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stat {
    /// A percentile in thousandths of a per cent: 95,000 is p95.
    Percentile(u32),
    /// The arithmetic mean.
    Mean,
    /// The middle one, or the mean of the middle two.
    Median,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The standard deviation of a sample.
    StdDev,
    /// Operations a second: the inverse of the mean.
    Ops,
}

const NAMED: &[(&str, Stat)] = &[
    ("mean", Stat::Mean),
    ("median", Stat::Median),
    ("min", Stat::Min),
    ("max", Stat::Max),
    ("stddev", Stat::StdDev),
    ("ops", Stat::Ops),
];

impl Stat {
    /// The percentile as a fraction of 1, where this is one.
    pub fn quantile(self) -> Option<f64> {
        match self {
            Self::Percentile(thousandths) => Some(f64::from(thousandths) / 100_000.0),
            _ => None,
        }
    }
}

impl FromStr for Stat {
    type Err = String;

    /// Reads `p95`, `p99.9`, `mean`, `median`, `min`, `max`, `stddev` or `ops`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, stat)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(*stat);
        }
        let unknown = || format!("`{text}` is no statistic; known are p1 to p100, mean, median, min, max, stddev, ops");
        let digits = text.strip_prefix('p').ok_or_else(unknown)?;
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let numeric = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || part.len() > 3 || !numeric(whole) || !numeric(part) {
            return Err(unknown());
        }
        let thousandths: u32 = format!("{whole}{part:0<3}").parse().map_err(|_| unknown())?;
        if (1..=100_000).contains(&thousandths) { Ok(Self::Percentile(thousandths)) } else { Err(unknown()) }
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(thousandths) => write!(f, "p{}", f64::from(*thousandths) / 1000.0),
            named => {
                f.write_str(NAMED.iter().find(|(_, stat)| stat == named).map_or("unnamed statistic", |(name, _)| *name))
            }
        }
    }
}

/// The nearest-rank percentile: the smallest observation that at least this share of all of
/// them does not exceed. `None` where there are no observations. The slice is sorted in place.
pub(super) fn nearest_rank(data: &mut [f64], thousandths: u32) -> Option<f64> {
    data.sort_by(f64::total_cmp);
    let count = data.len() as u64;
    let rank = (u64::from(thousandths) * count).div_ceil(100_000).max(1);
    data.get(usize::try_from(rank - 1).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_itself() {
        for name in ["p50", "p95", "p99.9", "p100", "mean", "median", "min", "max", "stddev", "ops"] {
            assert_eq!(name.parse::<Stat>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_no_statistic_is_refused() {
        for name in ["p", "p0", "p101", "p+5", "p1.2345", "P50", "avg", "", "p9 9"] {
            name.parse::<Stat>().unwrap_err();
        }
    }

    #[test]
    fn nearest_rank_agrees_with_the_textbook_example() {
        // 15, 20, 35, 40, 50: the 30th percentile is 20, the 40th 20, the 50th 35, the 100th 50.
        let mut data = [40.0, 15.0, 50.0, 20.0, 35.0];
        for (percent, expected) in [(5, 15.0), (30, 20.0), (40, 20.0), (50, 35.0), (100, 50.0)] {
            let found = nearest_rank(&mut data, percent * 1000).unwrap();
            assert!((found - expected).abs() < 1e-9, "p{percent} is {found}");
        }
        assert_eq!(nearest_rank(&mut [], 50_000), None);
    }
}
