//! What came back: latencies of clean answers, and failures by kind. Never one as the other.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::Failure;

/// Longer latencies, in nanoseconds, count as this one: an hour.
const LONGEST: u64 = 3_600_000_000_000;

/// Answers of one loop.
pub struct Tally {
    /// Nanoseconds, to three digits.
    latencies: Histogram<u64>,
    failures: BTreeMap<String, u64>,
    first: Option<String>,
    machine: Option<String>,
}

impl Default for Tally {
    fn default() -> Self {
        let latencies = Histogram::new_with_bounds(1, LONGEST, 3);
        // Only bounds in the wrong order and more than five digits are errors.
        let latencies = latencies.unwrap_or_else(|_| unreachable!("the bounds are constants"));
        Self { latencies, failures: BTreeMap::new(), first: None, machine: None }
    }
}

impl Tally {
    /// Counts one answer, which took `latency`.
    pub fn take(&mut self, answer: Result<(), Failure>, latency: Duration) {
        match answer {
            Ok(()) => self.latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX)),
            Err(failure) => {
                *self.failures.entry(failure.kind).or_default() += 1;
                if failure.machine {
                    self.machine.get_or_insert_with(|| failure.message.clone());
                }
                self.first.get_or_insert(failure.message);
            }
        }
    }

    /// Answers that were as they should be.
    pub fn clean(&self) -> u64 {
        self.latencies.len()
    }

    /// Answers that were not, or never came.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// What failed: how many by kind, and what the first was. `None` where nothing did.
    pub fn fault(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        let all = self.clean() + self.failed();
        let kinds: Vec<_> = self.failures.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
        Some(format!("{} of {all} requests failed ({}); the first: {first}", self.failed(), kinds.join(", ")))
    }

    /// The first failure that is the machine's doing; the answers then say nothing of the target.
    pub fn machine(&self) -> Option<&str> {
        self.machine.as_deref()
    }

    /// The nearest-rank quantile of the clean latencies in seconds, within a thousandth of it.
    pub fn quantile(&self, share: f64) -> f64 {
        seconds(self.latencies.value_at_quantile(share) as f64)
    }

    /// The mean of the clean latencies in seconds.
    pub fn mean(&self) -> f64 {
        seconds(self.latencies.mean())
    }

    /// The standard deviation of the clean latencies in seconds.
    pub(crate) fn deviation(&self) -> f64 {
        seconds(self.latencies.stdev())
    }

    /// The shortest clean latency in seconds.
    pub fn min(&self) -> f64 {
        seconds(self.latencies.min() as f64)
    }

    /// The longest clean latency in seconds.
    pub fn max(&self) -> f64 {
        seconds(self.latencies.max() as f64)
    }
}

fn seconds(nanoseconds: f64) -> f64 {
    nanoseconds / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(milliseconds: impl IntoIterator<Item = u64>) -> Tally {
        let mut tally = Tally::default();
        milliseconds.into_iter().for_each(|ms| tally.take(Ok(()), Duration::from_millis(ms)));
        tally
    }

    #[test]
    fn quantiles_are_by_nearest_rank_and_within_a_thousandth() {
        let tally = of(1..=100);
        for (share, expected) in [(0.5, 0.050), (0.95, 0.095), (0.99, 0.099), (1.0, 0.100)] {
            let found = tally.quantile(share);
            assert!((found / expected - 1.0).abs() < 0.002, "{share}: {found}");
        }
        assert!((tally.mean() / 0.0505 - 1.0).abs() < 0.002);
    }

    fn failure(kind: &str, machine: bool, message: &str) -> Result<(), Failure> {
        Err(Failure { kind: kind.to_owned(), machine, message: message.to_owned() })
    }

    #[test]
    fn an_error_is_never_a_latency() {
        let mut tally = of([10, 10]);
        tally.take(failure("status 500", false, "GET /: 500"), Duration::from_micros(1));
        tally.take(failure("no answer in time", false, "later"), Duration::from_secs(30));
        assert_eq!((tally.clean(), tally.failed()), (2, 2));
        assert!(tally.min() > 0.009 && tally.max() < 0.011);
        assert_eq!(
            tally.fault().unwrap(),
            "2 of 4 requests failed (1 × no answer in time, 1 × status 500); the first: GET /: 500"
        );
        assert_eq!(of([1]).fault(), None);
    }

    #[test]
    fn a_failure_of_the_machine_is_told_from_one_of_the_target() {
        let mut tally = Tally::default();
        tally.take(failure("status 500", false, "500"), Duration::ZERO);
        assert_eq!(tally.machine(), None);
        tally.take(failure("no means to connect", true, "too many files"), Duration::ZERO);
        assert_eq!(tally.machine(), Some("too many files"));
    }
}
