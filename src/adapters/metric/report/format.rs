//! What a format of reports is, and what any report comes down to.

use std::fmt;

use serde::de::DeserializeOwned;

use super::super::stat::{Stat, nearest_rank};
use crate::domain::measurement::MetricName;

/// A format of reports.
#[derive(Debug)]
pub struct Format {
    /// As `blueprint.yaml` names it.
    pub name: &'static str,
    /// Whether `unit` means something: a benchmark has figures in several, or the report names none.
    pub units: bool,
    /// Where the program leaves the report.
    pub(super) place: Place,
    /// What the program does beside the work that it reports.
    pub(super) beside: Beside,
    /// What a benchmark's first figures are in, where its name (`test`) tells before anything ran.
    pub(super) unit: fn(Option<&str>) -> Option<&'static str>,
    /// Reads a report; an error says what is wrong with it.
    pub(super) parse: fn(&[Document]) -> Result<Vec<Benchmark>, String>,
    /// What `run` has to be: the end of every message about a report that can't be read.
    pub(super) expects: &'static str,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Where a program leaves its report.
#[derive(Debug)]
pub(super) enum Place {
    /// In a file: its path, behind this option, is the command's last word.
    File { option: &'static str, name: &'static str },
    /// In a folder that is named by a variable: the files in it whose paths end like this.
    Folder { variable: &'static str, files: &'static [&'static str] },
    /// On standard output.
    Output,
}

/// What a program does beside the work that it reports: by that it is told whether its clock is right
/// (`domain::claimed`).
#[derive(Debug)]
pub(super) enum Beside {
    /// It starts what it measures anew for each observation.
    Anew,
    /// It starts once, and then hardly anything. These words ask it for so many seconds of observations.
    Start { brief: fn(f64) -> Vec<String> },
    /// It tries out how often the work has to be done, for as long as what it then reports at most.
    Trials,
    /// What it reports is not done one after another.
    Unknown,
}

/// One file of a report.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// As messages name it; in a folder, below that folder.
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

impl Document {
    /// The document as JSON of this shape.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        let path = &self.path;
        if self.bytes.trim_ascii().is_empty() {
            return Err(format!("the benchmark report is empty: {path}"));
        }
        serde_json::from_slice(&self.bytes)
            .map_err(|why| format!("the benchmark report is malformed or cut off: {path}: {why}"))
    }
}

/// One metric out of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name in the document.
    pub name: MetricName,
    /// A benchmark's full name, name, or name without its parameters; may be left out where the
    /// report holds one benchmark.
    pub test: Option<String>,
    /// Which statistic of it.
    pub stat: Stat,
    /// Which of its figures, by their unit; the format's usual ones where absent.
    pub unit: Option<String>,
}

/// One benchmark of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Benchmark {
    /// What it can be called, the name that is its own first.
    pub names: Vec<String>,
    /// What was measured of it, the usual first; never empty.
    pub series: Vec<Series>,
}

/// Figures in one unit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// As the report has it, such as `ms` or `B/op`; `None` where it does not say.
    pub unit: Option<String>,
    /// Those that the report holds.
    pub observations: Vec<f64>,
    /// How many there were, where the report holds none.
    pub count: u64,
    /// The statistics that the report states itself; they are taken as they are.
    pub stated: Vec<(Stat, f64)>,
    /// How often the work was done for all of them together, one time after another; 0 where the report does not
    /// say, or where it was done side by side.
    pub iterations: f64,
    /// How long that took, in the series' unit, where it is a time.
    pub spent: f64,
}

impl Series {
    /// A statistic that is stated or follows from the observations, in the series' unit.
    pub(super) fn statistic(&self, stat: Stat) -> Option<f64> {
        if let Some((_, value)) = self.stated.iter().find(|(known, _)| *known == stat) {
            return Some(*value);
        }
        let data = &self.observations;
        let count = data.len() as f64;
        let mean = (!data.is_empty()).then(|| data.iter().sum::<f64>() / count);
        let mut sorted = data.clone();
        match stat {
            Stat::Percentile(thousandths) => nearest_rank(&mut sorted, thousandths),
            Stat::Min => nearest_rank(&mut sorted, 0),
            Stat::Max => nearest_rank(&mut sorted, 100_000),
            Stat::Median => {
                sorted.sort_by(f64::total_cmp);
                let (low, high) = (sorted.get(data.len().checked_sub(1)? / 2)?, sorted.get(data.len() / 2)?);
                Some(low + (high - low) / 2.0)
            }
            Stat::Mean => mean,
            Stat::StdDev if data.len() < 2 => None,
            Stat::StdDev => mean.map(|mean| {
                let squares: f64 = data.iter().map(|value| (value - mean).powi(2)).sum();
                (squares / (count - 1.0)).sqrt()
            }),
            Stat::Ops => None,
        }
    }

    pub(super) fn unit(&self) -> &str {
        self.unit.as_deref().unwrap_or("no unit")
    }
}
