//! What measuring will take and can tell, from a few slices of the baseline: seconds a block, blocks in
//! the time that there is, and the smallest difference that so many blocks would support.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::key::VariantKey;
use super::measurement::{Contender, MetricName, Slice};
use super::quantity::Quantity;
use super::race::{Race, Rules};
use super::score::{Criteria, Scorer};

/// The fewest counted blocks that can decide: a constant difference needs so many.
pub const DECIDING: u32 = 9;

/// More blocks than this are not simulated; what they could tell is smaller by the square root.
const SIMULATED: u32 = 200;

/// Races of each size that are simulated.
const RACES: u64 = 61;

/// A slice with all the time that it took, its program's start and end included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// What came out.
    pub slice: Slice,
    /// Elapsed.
    pub took: Duration,
}

/// Every source, asked on the baseline before anything is spent; none of it counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Smoke {
    /// Sources that are asked in every block, once each in every round.
    pub rounds: Vec<Vec<Taken>>,
    /// Metrics that the baseline does not have, and need not have; nothing else was asked then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MetricName>,
}

impl Smoke {
    /// Seconds that each source took, at best: the first slice may have built something.
    pub fn seconds(&self) -> Vec<(String, f64)> {
        let mut best: Vec<(String, f64)> = Vec::new();
        for taken in self.rounds.iter().flatten() {
            let seconds = taken.took.as_secs_f64();
            match best.iter_mut().find(|(source, _)| *source == taken.slice.source) {
                Some((_, known)) => *known = known.min(seconds),
                None => best.push((taken.slice.source.clone(), seconds)),
            }
        }
        best
    }
}

/// What measuring will take and can tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Where it comes from: the run.
    pub from: String,
    /// Seconds of one slice, by source.
    pub sources: Vec<SourceSeconds>,
    /// Contenders that are measured in a block, the baseline and its shadow included.
    pub contenders: usize,
    /// Seconds of one block, contenders one after another.
    pub block_seconds: f64,
    /// The time for measuring.
    pub budget_seconds: f64,
    /// Blocks that fit in it, after the warm-up.
    pub blocks: u32,
    /// The smallest difference that so many blocks would support in half of all runs.
    pub tells: Option<Difference>,
    /// What the baseline itself misses of what the weights demand, a sentence each.
    pub misses: Vec<String>,
}

/// What a slice of a source takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub struct SourceSeconds {
    pub source: String,
    pub seconds: f64,
}

/// A difference between a variant and the baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// In points of the total.
    pub points: f64,
    /// In percent of every metric that Performance counts; absent where no value would earn the points.
    pub percent: Option<f64>,
}

impl Estimate {
    /// Of a block in which so many contenders take slices like these.
    pub fn new(from: &str, seconds: &[(String, f64)], contenders: usize, budget: Duration) -> Self {
        let each: f64 = seconds.iter().map(|(_, seconds)| seconds).sum();
        let block_seconds = each * contenders as f64;
        let whole = if block_seconds > 0.0 { budget.as_secs_f64() / block_seconds } else { f64::INFINITY };
        let sources =
            seconds.iter().map(|(source, seconds)| SourceSeconds { source: source.clone(), seconds: *seconds });
        Self {
            from: from.to_owned(),
            sources: sources.collect(),
            contenders,
            block_seconds,
            budget_seconds: budget.as_secs_f64(),
            // As many as fit whole, less the warm-up. A number that is too large becomes the largest.
            blocks: (whole.floor() as u32).saturating_sub(Rules::default().warmup),
            tells: None,
            misses: Vec::new(),
        }
    }

    /// The least time for measuring in which a decision is possible.
    pub fn needed(&self) -> Duration {
        Duration::from_secs_f64(self.block_seconds * f64::from(DECIDING + Rules::default().warmup))
    }

    /// With what so many blocks can tell where totals of two like contenders differ by so much from block to
    /// block (one standard deviation, in points). `gain` says by how many points a total rises when every
    /// metric that counts gets better by a share.
    #[must_use]
    pub fn telling(mut self, spread: f64, gain: impl Fn(f64) -> Option<f64>) -> Self {
        self.tells =
            detectable(self.blocks, spread).map(|points| Difference { points, percent: percent(points, gain) });
        self
    }
}

/// The smallest difference in points that is supported in half of all runs of so many counted blocks;
/// `None` where none is.
fn detectable(blocks: u32, spread: f64) -> Option<f64> {
    if blocks < DECIDING {
        return None;
    }
    let simulated = blocks.min(SIMULATED);
    let beyond = f64::from(simulated) / f64::from(blocks);
    // The race knows differences by their ratio to the noise alone, but for the indifference.
    let (mut low, mut high) = (0.0, 16.0);
    for _ in 0..9 {
        let middle = f64::midpoint(low, high);
        if supported_in_half(simulated, middle) { high = middle } else { low = middle }
    }
    Some(Rules::default().indifference + high * spread * beyond.sqrt())
}

/// Whether a difference of so many standard deviations of the noise is supported in half of the races.
fn supported_in_half(blocks: u32, difference: f64) -> bool {
    let (Some(ours), theirs) = (VariantKey::new("A").map(Contender::Variant), Contender::Baseline) else {
        return false;
    };
    let won = |seed: &u64| {
        let mut random = ChaCha8Rng::seed_from_u64(*seed);
        let rules = Rules { indifference: 0.0, warmup: 0, ..Rules::default() };
        let mut race = Race::new(rules, &[ours.clone(), theirs.clone()]);
        for index in 0..blocks {
            let total = difference + gaussian(&mut random);
            race.record(index, &BTreeMap::from([(ours.clone(), total), (theirs.clone(), 0.0)]));
            if race.survivors().len() == 1 {
                return race.survivors() == [ours.clone()];
            }
        }
        false
    };
    2 * (0..RACES).filter(won).count() as u64 > RACES
}

/// Nearly normal, with deviation 1: twelve evenly spread numbers less their mean.
fn gaussian(random: &mut ChaCha8Rng) -> f64 {
    let even = |random: &mut ChaCha8Rng| (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    (0..12).map(|_| even(random)).sum::<f64>() - 6.0
}

/// By how many percent every metric must be better to earn so many points.
fn percent(points: f64, gain: impl Fn(f64) -> Option<f64>) -> Option<f64> {
    let (mut low, mut high) = (0.0, 1.0);
    if gain(high)? < points {
        return None;
    }
    for _ in 0..30 {
        let middle = f64::midpoint(low, high);
        if gain(middle)? >= points { high = middle } else { low = middle }
    }
    Some(100.0 * high)
}

/// By how much a total rises when every metric that counts is better by this share of itself: a time of
/// 100 ms by a fifth is 80 ms, a rate of 100 a second by a fifth is 125.
pub fn gain(scorer: &Scorer, criteria: &Criteria, values: &BTreeMap<MetricName, Quantity>, share: f64) -> Option<f64> {
    let better = scorer.improved(values, share);
    let performance = scorer.performance(&better, values)?;
    Some(scorer.exact_total(&Criteria { performance, ..*criteria }) - scorer.exact_total(criteria))
}

/// The standard deviation of a difference of two like totals, from totals of one that was asked repeatedly.
pub fn spread(totals: &[f64]) -> Option<f64> {
    let count = totals.len();
    if count < 2 {
        return None;
    }
    let mean = totals.iter().sum::<f64>() / count as f64;
    let squares: f64 = totals.iter().map(|total| (total - mean).powi(2)).sum();
    Some((2.0 * squares / (count - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(each: &[f64]) -> Vec<(String, f64)> {
        each.iter().enumerate().map(|(at, seconds)| (format!("s{at}"), *seconds)).collect()
    }

    #[test]
    fn the_fewest_blocks_that_can_decide_are_what_a_constant_difference_needs() {
        let rules = Rules::default();
        let pair = ["A", "B"].map(|key| Contender::try_from(key.to_owned()).unwrap());
        let totals = BTreeMap::from([(pair[0].clone(), 4.0), (pair[1].clone(), 0.0)]);
        let mut race = Race::new(rules.clone(), &pair);
        let decided = (rules.warmup..100).find(|index| !race.record(*index, &totals).is_empty());
        assert_eq!(decided, Some(rules.warmup + DECIDING - 1));
    }

    #[test]
    fn a_block_is_all_sources_of_all_contenders_and_the_warm_up_is_not_counted() {
        let estimate = Estimate::new("r", &seconds(&[1.0, 0.5]), 4, Duration::from_secs(65));
        assert_eq!((estimate.block_seconds, estimate.blocks), (6.0, 9));
        assert_eq!(estimate.needed(), Duration::from_secs(60));
        let short = Estimate::new("r", &seconds(&[39.0]), 3, Duration::from_secs(60));
        assert_eq!((short.block_seconds, short.blocks), (117.0, 0));
        assert_eq!(short.telling(0.1, Some).tells, None);
        assert_eq!(Estimate::new("r", &[], 4, Duration::from_secs(60)).blocks, u32::MAX - 1);
    }

    #[test]
    fn without_noise_nine_blocks_tell_whatever_is_beyond_the_indifference() {
        assert_eq!(detectable(8, 0.0), None);
        assert_eq!(detectable(9, 0.0), Some(0.25));
    }

    #[test]
    fn more_blocks_and_less_noise_tell_smaller_differences() {
        let tells: Vec<_> = [12, 25, 100, 200, 800].map(|blocks| detectable(blocks, 1.0).unwrap()).into();
        assert!(tells.is_sorted_by(|a, b| a > b), "{tells:?}");
        assert!(tells[2] < 1.0, "a hundred blocks tell less than a deviation: {tells:?}");
        let (one, two) = (detectable(50, 1.0).unwrap(), detectable(50, 2.0).unwrap());
        assert!(((two - 0.25) - 2.0 * (one - 0.25)).abs() < 1e-9);
    }

    #[test]
    fn points_become_percent_where_any_value_earns_them() {
        let gain = |share: f64| Some(30.0 * share);
        let estimate = Estimate::new("r", &seconds(&[1.0]), 1, Duration::from_secs(60));
        let tells = estimate.clone().telling(0.0, gain).tells.unwrap();
        assert!((tells.points - 0.25).abs() < 1e-9 && (tells.percent.unwrap() - 0.833).abs() < 0.01, "{tells:?}");
        assert_eq!(estimate.telling(0.0, |share| Some(0.1 * share)).tells.unwrap().percent, None);
    }

    #[test]
    fn the_spread_of_a_difference_is_that_of_two() {
        assert_eq!(spread(&[1.0]), None);
        assert!((spread(&[1.0, 2.0, 3.0]).unwrap() - 2.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_best_slice_of_a_source_stands_for_it() {
        let taken = |source: &str, seconds: f64| Taken {
            slice: Slice {
                contender: Contender::Baseline,
                source: source.to_owned(),
                lane: None,
                readings: Vec::new(),
                timing: crate::domain::measurement::Timing::default(),
                own: None,
                output: None,
            },
            took: Duration::from_secs_f64(seconds),
        };
        let smoke = Smoke {
            missing: Vec::new(),
            rounds: vec![vec![taken("a", 9.0), taken("b", 1.0)], vec![taken("a", 2.0), taken("b", 3.0)]],
        };
        assert_eq!(smoke.seconds(), [("a".to_owned(), 2.0), ("b".to_owned(), 1.0)]);
    }
}
