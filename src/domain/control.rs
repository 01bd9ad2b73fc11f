//! The control of a run: the base commit is measured in two trees, and the e-value of "they
//! differ" tells whether the harness treats identical trees alike.
//!
//! The two are played against each other as two contenders of the race are, in both directions,
//! and the mean of both e-values is looked at after each block. If swapping the two within a block
//! would change nothing, neither direction gains on average, nor does their mean: it ever reaches
//! [`THRESHOLD`] with probability at most 1/1000 a run (Ville's inequality). As in the race, a
//! difference below the indifference counts for none.

use std::collections::BTreeMap;

use super::measurement::Contender;
use super::race::{Race, Rules};
use super::statistics;
use super::verdict::Support;

/// An e-value at which a run is invalid, fixed beforehand.
pub const THRESHOLD: f64 = 1000.0;

/// An e-value from which on the two go on being measured although the race has no use for them:
/// a race may be over in nine blocks, and nine blocks can't reach the threshold. Looking longer is
/// allowed, because the threshold holds whenever one stops. Of simulated biases of 10 % on a shared
/// machine twice as many are found as with 10, and honest runs take no longer.
const SUSPICION: f64 = 3.0;

/// Counted blocks after which a suspicion holds nothing up any more.
const PATIENCE: u32 = 100;

/// What the blocks so far say about the harness.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    race: Race,
    differences: Vec<f64>,
    reached: Option<f64>,
}

impl Control {
    /// A control that holds to the race's rules, but for its threshold.
    pub fn new(rules: &Rules) -> Self {
        let rules = Rules { threshold: f64::INFINITY, ..rules.clone() };
        let race = Race::new(rules, &[Contender::Baseline, Contender::Shadow]);
        Self { race, differences: Vec::new(), reached: None }
    }

    /// Takes the unrounded totals of one block; one that lacks either of the two tells nothing.
    pub fn record(&mut self, index: u32, totals: &BTreeMap<Contender, f64>) {
        let before = self.race.counted();
        self.race.record(index, totals);
        if self.race.counted() == before {
            return;
        }
        if let (Some(own), Some(shadow)) = (totals.get(&Contender::Baseline), totals.get(&Contender::Shadow)) {
            self.differences.push(own - shadow);
        }
        if self.reached.is_none() && self.e_value() >= THRESHOLD {
            self.reached = Some(self.e_value());
        }
    }

    /// The e-value of "the two differ by more than the indifference", in either direction.
    pub fn e_value(&self) -> f64 {
        let (own, shadow) = (Contender::Baseline, Contender::Shadow);
        f64::midpoint(self.race.e_value(&own, &shadow), self.race.e_value(&shadow, &own))
    }

    /// Whether the threshold was ever reached.
    pub fn is_biased(&self) -> bool {
        self.reached.is_some()
    }

    /// Whether more blocks of the two are worth their time although nobody else needs them.
    pub fn is_suspected(&self) -> bool {
        !self.is_biased() && self.e_value() >= SUSPICION && self.race.counted() < PATIENCE
    }

    /// Blocks in which both were measured, without the warm-up.
    pub fn counted(&self) -> u32 {
        self.race.counted()
    }

    /// The baseline against its shadow, with the e-value that reached the threshold, or else that of
    /// now; `None` where nothing was counted. `seed` is for the interval.
    pub fn support(&self, seed: u64) -> Option<Support> {
        Some(Support {
            rival: Contender::Shadow,
            difference: statistics::trimmed_mean(&self.differences, 0.2)?,
            half_width: statistics::half_width(&self.differences, seed),
            e_value: self.reached.unwrap_or_else(|| self.e_value()),
            blocks: self.counted(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    fn totals(own: f64, shadow: f64) -> BTreeMap<Contender, f64> {
        BTreeMap::from([(Contender::Baseline, own), (Contender::Shadow, shadow)])
    }

    /// Counted blocks until the threshold, of differences that are handed in.
    fn alarm(differences: impl Iterator<Item = f64>) -> Option<u32> {
        let mut control = Control::new(&Rules::default());
        for (index, d) in (0..).zip(differences) {
            control.record(index, &totals(60.0 + d, 60.0));
            if control.is_biased() {
                return Some(control.counted());
            }
        }
        None
    }

    /// Standard normal numbers from a seed.
    fn normal(seed: u64) -> impl Iterator<Item = f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = move || ((random.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        std::iter::repeat_with(move || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos())
    }

    #[test]
    fn a_constant_difference_in_either_direction_is_found_in_sixteen_blocks() {
        for d in [1.0, -1.0] {
            assert_eq!(alarm(std::iter::repeat_n(d, 100)), Some(16));
        }
    }

    #[test]
    fn a_difference_that_nobody_would_pay_for_is_none() {
        assert_eq!(alarm(std::iter::repeat_n(0.25, 2000)), None);
    }

    #[test]
    fn noise_that_strikes_both_alike_raises_the_alarm_in_less_than_one_run_in_a_thousand() {
        // Also of a size at which the indifference is nothing.
        for spread in [0.3, 3.0, 300.0] {
            let alarms = (0..1_000).filter(|seed| alarm(normal(*seed).map(|x| spread * x).take(150)).is_some()).count();
            assert!(alarms <= 1, "{alarms} of 1000 at {spread}");
        }
    }

    #[test]
    fn ten_percent_are_found_within_forty_blocks_where_a_slice_varies_by_three_percent() {
        // At the bound and with a weight of 30 %, x more time is worth 0.3 * 50 * x / (2 + x) points.
        let points = |x: f64| 0.3 * 50.0 * x / (2.0 + x);
        let blocks = (0..500).map(|seed| {
            let noise: Vec<_> = normal(seed).take(400).collect();
            alarm(noise.chunks(2).map(|pair| points(0.10 + 0.03 * pair[0]) - points(0.03 * pair[1])))
        });
        let late = blocks.filter(|found| found.is_none_or(|n| n > 40)).count();
        assert!(late <= 25, "{late} of 500 later than 40 blocks");
    }

    #[test]
    fn a_suspicion_lasts_until_it_is_lifted_or_confirmed_or_patience_ends() {
        let mut control = Control::new(&Rules::default());
        for index in 0..10 {
            control.record(index, &totals(61.0, 60.0));
        }
        assert!(control.is_suspected() && !control.is_biased());
        let mut lifted = control.clone();
        for index in 10..16 {
            lifted.record(index, &totals(60.0, 60.0));
        }
        assert!(!lifted.is_suspected() && !lifted.is_biased());
        for index in 10..17 {
            control.record(index, &totals(61.0, 60.0));
        }
        assert!(control.is_biased() && !control.is_suspected());
        let support = control.support(1).unwrap();
        assert_eq!((support.difference, support.blocks), (1.0, 16));
        assert!(support.e_value >= THRESHOLD);
        // What was reached stays reached.
        (17..100).for_each(|index| control.record(index, &totals(50.0, 60.0)));
        assert!(control.is_biased());
    }

    #[test]
    fn a_block_without_one_of_the_two_and_the_warm_up_tell_nothing() {
        let mut control = Control::new(&Rules::default());
        control.record(0, &totals(90.0, 10.0));
        control.record(1, &BTreeMap::from([(Contender::Baseline, 60.0)]));
        assert_eq!((control.counted(), control.e_value(), control.support(1)), (0, 1.0, None));
    }

    proptest! {
        // What makes the mean of both directions fair: it does not matter which of the two is called the shadow.
        #[test]
        fn the_two_can_change_places(differences in prop::collection::vec(-5.0..5.0_f64, 1..60)) {
            let e = |sign: f64| {
                let mut control = Control::new(&Rules::default());
                for (index, d) in (0..).zip(&differences) {
                    control.record(index, &totals(sign * d, 0.0));
                }
                control.e_value()
            };
            prop_assert!((e(1.0) / e(-1.0) - 1.0).abs() < 1e-9);
        }
    }
}
