//! Whether an advantage is still there in a tree that no earlier slice used.
//!
//! A variant that keeps what it computed, in its own tree or database, computes in its first slice and reads
//! afterwards. So what is much faster than asked for is measured again, each slice the first of a fresh tree, the
//! baseline's and the variant's in pairs. Costs are seconds (of a rate, seconds of one), an advantage is the mean of
//! ln(baseline / variant) with Student's interval (99 %, so that nine looks refuse hardly anybody who is honest).
//!
//! **What is expected in a fresh tree.** First slices cost more than later ones: caches of interpreters and of the
//! disk are filled. What the baseline's own cost more than its slices in the race, o, the variant's may cost as well,
//! so that of costs B and V in the race ln((B + o) / (V + o)) is left. A variant whose interval lies below half of that
//! is contradicted: the cost that it showed is nearer to the baseline's than to its own. Where o is more than B, the
//! first slice builds something, and nothing is told.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::measurement::MetricName;
use super::plan::VariantKey;
use super::quantity::{Bound, Dimension, Direction, Limit, Quantity};

/// The fewest pairs that say anything.
pub const FEWEST: usize = 3;

/// Pairs after which it is left open. By simulation (`honest_variants_are_hardly_ever_contradicted`).
pub const MOST: usize = 9;

/// An advantage that is beyond what is asked for by no more than this is not beyond it: sums of decimals.
const NOTHING: f64 = 1e-9;

/// By how many times its usual cost the baseline's first slice is too slow to compare anything.
const BUILDS: f64 = 2.0;

/// Two-sided 99 % quantiles of Student's t for 1 to 30 degrees of freedom; beyond, the normal one.
const QUANTILES: [f64; 30] = [
    63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947, 2.921,
    2.898, 2.878, 2.861, 2.845, 2.831, 2.819, 2.807, 2.797, 2.787, 2.779, 2.771, 2.763, 2.756, 2.750,
];
const NORMAL: f64 = 2.576;

/// What the same slice cost two contenders: seconds, above zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The baseline.
    pub baseline: f64,
    /// The variant.
    pub variant: f64,
}

/// By how much a variant is faster: ln(baseline / variant), less than 0 where it is slower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Advantage {
    /// The mean over pairs.
    pub log: f64,
    /// Half the width of its 99 % interval; absent of one pair.
    pub half_width: Option<f64>,
    /// Pairs.
    pub pairs: usize,
}

/// What the race showed of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Over the counted blocks.
    pub advantage: Advantage,
    /// The baseline's cost, as a geometric mean.
    pub baseline: f64,
}

/// What first slices in fresh trees say of an advantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// It is there.
    Confirmed,
    /// It is not.
    Contradicted,
    /// They do not tell.
    Unclear,
}

/// One metric, measured again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Which.
    pub metric: MetricName,
    /// What the race showed.
    pub shown: Shown,
    /// What would be left of it in a fresh tree, as a logarithm.
    pub expected: f64,
    /// What was seen there; absent where nothing was measured.
    pub fresh: Option<Advantage>,
    /// Whether the baseline's first slice is much slower than its later ones.
    pub builds: bool,
    /// What follows.
    pub finding: Finding,
}

/// Why a look in fresh trees ended before it could tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// In words.
    pub why: String,
    /// Whether it is the harness's own, so that more time would not mend it: the baseline can't be measured there.
    #[serde(default)]
    pub lasting: bool,
}

impl Cut {
    /// What more time or a better moment would mend.
    pub fn short(why: impl Into<String>) -> Self {
        Self { why: why.into(), lasting: false }
    }
}

/// A variant that is faster than asked for, measured in fresh trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Which.
    pub variant: VariantKey,
    /// Every metric that is beyond what is asked for.
    pub metrics: Vec<Measured>,
    /// Why it ended before it could tell, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

impl Check {
    /// Contradicted where one metric is, confirmed where all are.
    pub fn finding(&self) -> Finding {
        let any = |finding| self.metrics.iter().any(|m| m.finding == finding);
        match (any(Finding::Contradicted), any(Finding::Unclear)) {
            (true, _) => Finding::Contradicted,
            (false, true) => Finding::Unclear,
            (false, false) => Finding::Confirmed,
        }
    }

    /// Whether it ended before there were enough pairs to say anything, and need not have.
    pub(super) fn is_cut_short(&self) -> bool {
        let few = |measured: &Measured| measured.fresh.is_none_or(|fresh| fresh.pairs < FEWEST);
        self.cut.as_ref().is_some_and(|cut| !cut.lasting) && self.metrics.iter().any(few)
    }

    /// The first metric that is contradicted.
    pub(super) fn contradicted(&self) -> Option<&Measured> {
        self.metrics.iter().find(|m| m.finding == Finding::Contradicted)
    }
}

/// What a value costs; `None` where it is no speed, or more of it is not better as its kind has it.
pub fn cost(value: Quantity, bound: Bound) -> Option<f64> {
    let cost = match (value.dimension(), bound.direction()) {
        (Dimension::Time, Direction::LowerIsBetter) => value.value(),
        (Dimension::Rate, Direction::HigherIsBetter) => 1.0 / value.value(),
        _ => return None,
    };
    (cost.is_finite() && cost > 0.0).then_some(cost)
}

/// The advantage over a baseline of this cost that a bound asks for, as a logarithm; `None` where it asks for no
/// improvement.
pub fn asked(bound: Bound, baseline: f64) -> Option<f64> {
    let asked = match bound.limit {
        Limit::Absolute(limit) => (baseline / cost(limit, bound)?).ln(),
        Limit::Relative(percent) => {
            let factor = (1.0 + percent.get() / 100.0).ln();
            if bound.direction() == Direction::LowerIsBetter { -factor } else { factor }
        }
    };
    (asked.is_finite() && asked > 0.0).then_some(asked)
}

impl Advantage {
    /// Of these pairs; `None` of nothing.
    pub fn of(pairs: &[Pair]) -> Option<Self> {
        let logs: Vec<f64> = pairs.iter().map(|pair| (pair.baseline / pair.variant).ln()).collect();
        let n = logs.len() as f64;
        let log = logs.iter().sum::<f64>() / n;
        let half_width = (logs.len() > 1).then(|| {
            let variance = logs.iter().map(|l| (l - log).powi(2)).sum::<f64>() / (n - 1.0);
            QUANTILES.get(logs.len() - 2).unwrap_or(&NORMAL) * (variance / n).sqrt()
        });
        (!logs.is_empty()).then_some(Self { log, half_width, pairs: logs.len() })
    }

    /// How many times as fast as the baseline.
    pub fn times(self) -> f64 {
        self.log.exp()
    }
}

/// A factor as a reader reads it: `1.02`, `9.1`, `130`.
pub(super) fn factor(times: f64) -> String {
    match times {
        t if t < 1.995 => format!("{t:.2}"),
        t if t < 99.95 => format!("{t:.1}"),
        t => format!("{t:.0}"),
    }
}

/// `1.02 ± 0.05`.
impl fmt::Display for Advantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&factor(self.times()))?;
        let Some(half) = self.half_width else { return Ok(()) };
        let width = ((self.log + half).exp() - (self.log - half).exp()) / 2.0;
        // With the digits of the factor before it.
        let digits = if self.times() < 1.995 { 2 } else { usize::from(self.times() < 99.95) };
        write!(f, " ± {width:.digits$}")
    }
}

/// What came out, in a sentence without a full stop.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.variant;
        match self.finding() {
            Finding::Confirmed => write!(f, "{key} is as fast in fresh trees: ")?,
            Finding::Unclear => write!(f, "{key} could not be verified in fresh trees: ")?,
            Finding::Contradicted => write!(f, "{key} is not as fast in fresh trees: ")?,
        }
        for (at, measured) in self.metrics.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            measured.fmt(f)?;
        }
        match &self.cut {
            Some(cut) => write!(f, "; {}", cut.why),
            None => Ok(()),
        }
    }
}

/// `p95 is 9.1 times as fast as the baseline in the race, and 9.0 ± 0.3 times in 3 pairs of fresh trees`.
impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = factor(self.shown.advantage.times());
        write!(f, "{} is {shown} times as fast as the baseline in the race, and ", self.metric)?;
        match self.fresh {
            Some(fresh) => {
                let noun = if fresh.pairs == 1 { "pair" } else { "pairs" };
                write!(f, "{fresh} times in {} {noun} of fresh trees", fresh.pairs)?;
            }
            None => f.write_str("was not measured in fresh trees")?,
        }
        if self.builds {
            f.write_str(
                ", where the baseline's first slice takes more than twice as long as later ones: it builds something, and \
                 with a `build` step the check can tell",
            )?;
        }
        Ok(())
    }
}

impl Shown {
    /// What the counted blocks show; `None` of nothing.
    pub fn of(pairs: &[Pair]) -> Option<Self> {
        Some(Self { advantage: Advantage::of(pairs)?, baseline: mean(pairs)? })
    }

    /// Whether it is more than a bound asks for, or, of one that asks for no improvement, one at all. That the
    /// variant is better is for the race to say; a check too many costs some slices.
    pub(super) fn is_beyond(&self, bound: Bound) -> bool {
        self.advantage.log > asked(bound, self.baseline).unwrap_or(0.0) + NOTHING
    }
}

/// The geometric mean of the baseline's costs.
fn mean(pairs: &[Pair]) -> Option<f64> {
    let sum: f64 = pairs.iter().map(|pair| pair.baseline.ln()).sum();
    (!pairs.is_empty()).then(|| (sum / pairs.len() as f64).exp())
}

/// What first slices in fresh trees say of what the race showed.
pub fn judge(metric: MetricName, shown: Shown, pairs: &[Pair]) -> Measured {
    let first = mean(pairs).unwrap_or(shown.baseline);
    let variant = shown.baseline / shown.advantage.times();
    let overhead = (first - shown.baseline).max(0.0);
    let expected = if overhead > 0.0 { (first / (variant + overhead)).ln() } else { shown.advantage.log };
    let builds = first > BUILDS * shown.baseline;
    let fresh = Advantage::of(pairs);
    let enough = fresh.filter(|fresh| fresh.pairs >= FEWEST);
    let finding = match enough.and_then(|fresh| Some((fresh.log, fresh.half_width?))) {
        _ if builds => Finding::Unclear,
        Some((log, half)) if log - half > expected / 2.0 => Finding::Confirmed,
        Some((log, half)) if log + half < expected / 2.0 => Finding::Contradicted,
        _ => Finding::Unclear,
    };
    Measured { metric, shown, expected, fresh, builds, finding }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    fn bound(text: &str) -> Bound {
        Bound::parse(text).unwrap()
    }

    fn name() -> MetricName {
        MetricName::new("p95").unwrap()
    }

    fn pairs(all: &[(f64, f64)]) -> Vec<Pair> {
        all.iter().map(|(baseline, variant)| Pair { baseline: *baseline, variant: *variant }).collect()
    }

    /// A race of twelve equal blocks.
    fn shown(baseline: f64, variant: f64) -> Shown {
        Shown::of(&pairs(&[(baseline, variant); 12])).unwrap()
    }

    fn found(shown: Shown, fresh: &[(f64, f64)]) -> Finding {
        judge(name(), shown, &pairs(fresh)).finding
    }

    #[test]
    fn what_a_bound_asks_for_is_how_far_the_baseline_misses_it() {
        let near = |a: Option<f64>, times: f64| (a.unwrap() - times.ln()).abs() < 1e-12;
        assert!(near(asked(bound("<80ms"), 0.16), 2.0));
        assert!(near(asked(bound("<=-50%"), 0.16), 2.0));
        assert!(near(asked(bound(">200/s"), 1.0 / 100.0), 2.0));
        assert!(near(asked(bound(">=+100%"), 1.0 / 100.0), 2.0));
        for kept in ["<80ms", "<=+5%"] {
            assert_eq!(asked(bound(kept), 0.05), None, "{kept}");
        }
        assert_eq!(asked(bound(">50/s"), 1.0 / 100.0), None);
    }

    #[test]
    fn only_a_speed_has_a_cost() {
        let of = |value: &str, bound_: &str| cost(Quantity::parse(value).unwrap(), bound(bound_));
        assert_eq!(of("20ms", "<80ms"), Some(0.02));
        assert_eq!(of("50/s", ">10/s"), Some(0.02));
        for (value, bound) in [("2MB", "<3MB"), ("3", "<4"), ("20ms", ">10ms"), ("0ms", "<1ms"), ("0/s", ">1/s")] {
            assert_eq!(of(value, bound), None, "{value} {bound}");
        }
    }

    #[test]
    fn what_is_no_faster_than_asked_for_is_not_beyond_it() {
        assert!(shown(0.09, 0.02).is_beyond(bound("<80ms")));
        assert!(!shown(0.09, 0.08).is_beyond(bound("<=80ms")), "exactly what was asked for");
        assert!(!shown(0.09, 0.085).is_beyond(bound("<80ms")));
        assert!(shown(0.09, 0.08).is_beyond(bound("<100ms")), "nothing was asked for");
        assert!(!shown(0.09, 0.09).is_beyond(bound("<100ms")), "and it is no faster");
        // What a single block shows is looked at too: the race says who is better, and this only what to look at.
        let mut once = pairs(&[(0.09, 0.09); 11]);
        once.push(Pair { baseline: 0.09, variant: 0.009 });
        assert!(Shown::of(&once).unwrap().is_beyond(bound("<100ms")));
    }

    #[test]
    fn an_advantage_that_is_gone_in_fresh_trees_is_contradicted_and_one_that_is_there_confirmed() {
        let race = shown(0.09, 0.01);
        assert_eq!(found(race, &[(0.091, 0.09), (0.089, 0.09), (0.09, 0.0905)]), Finding::Contradicted);
        assert_eq!(found(race, &[(0.091, 0.01), (0.089, 0.0101), (0.09, 0.0099)]), Finding::Confirmed);
        // A little of it is left: less than half, in times of times.
        assert_eq!(found(race, &[(0.091, 0.04), (0.089, 0.041), (0.09, 0.042)]), Finding::Contradicted);
        assert_eq!(found(race, &[(0.09, 0.09), (0.09, 0.01), (0.09, 0.09)]), Finding::Unclear);
    }

    #[test]
    fn a_factor_is_told_with_the_digits_that_matter() {
        assert_eq!([1.016, 9.13, 130.2].map(factor), ["1.02", "9.1", "130"]);
        let equal = Advantage::of(&pairs(&[(2.0, 1.0); 4])).unwrap();
        assert_eq!(equal.to_string(), "2.0 ± 0.0");
    }

    #[test]
    fn two_pairs_and_none_tell_nothing() {
        let race = shown(0.09, 0.01);
        assert_eq!(found(race, &[(0.09, 0.09), (0.09, 0.09)]), Finding::Unclear);
        assert_eq!(judge(name(), race, &[]).fresh, None);
    }

    #[test]
    fn what_first_slices_cost_both_is_not_held_against_the_faster() {
        let race = shown(0.09, 0.01);
        // 60 ms are spent on what a fresh tree lacks: 150 against 70 ms are 2.1 times, not 9.
        let honest = [(0.15, 0.07), (0.151, 0.0705), (0.149, 0.0695)];
        assert_eq!(found(race, &honest), Finding::Confirmed);
        assert_eq!(found(race, &[(0.15, 0.15), (0.151, 0.1505), (0.149, 0.1495)]), Finding::Contradicted);
    }

    #[test]
    fn where_the_first_slice_builds_nothing_is_told() {
        let built = judge(name(), shown(0.09, 0.01), &pairs(&[(3.0, 3.0), (3.01, 3.0), (2.99, 3.0)]));
        assert!(built.builds);
        assert_eq!(built.finding, Finding::Unclear);
        assert_eq!(found(shown(0.09, 0.01), &[(3.0, 2.0), (3.0, 2.0), (3.0, 2.0)]), Finding::Unclear);
    }

    #[test]
    fn a_check_is_as_good_as_its_worst_metric() {
        let of = |findings: &[Finding]| {
            let metric = |finding: &Finding| Measured { finding: *finding, ..judge(name(), shown(0.09, 0.01), &[]) };
            let metrics = findings.iter().map(metric).collect();
            Check { variant: VariantKey::new("A").unwrap(), metrics, cut: None }.finding()
        };
        use Finding::{Confirmed, Contradicted, Unclear};
        assert_eq!(of(&[Confirmed, Confirmed]), Confirmed);
        assert_eq!(of(&[Confirmed, Unclear]), Unclear);
        assert_eq!(of(&[Unclear, Contradicted, Confirmed]), Contradicted);
    }

    /// Nearly normal, with deviation 1.
    fn gaussian(random: &mut ChaCha8Rng) -> f64 {
        let even = |random: &mut ChaCha8Rng| (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        (0..12).map(|_| even(random)).sum::<f64>() - 6.0
    }

    /// How often an advantage that is `left` of what was shown is found so, of 400 checks that stop when it is
    /// clear; with noise of which every tenth slice is a spike of a third of a logarithm or so.
    fn simulated(shown_log: f64, left: f64, noise: f64) -> [usize; 3] {
        let race = shown(1.0, (-shown_log).exp());
        let mut counts = [0; 3];
        for seed in 0..400 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut cost = |log: f64| {
                let spike = if random.next_u32().is_multiple_of(10) { gaussian(&mut random).abs() / 3.0 } else { 0.0 };
                (log + noise * gaussian(&mut random) + spike).exp()
            };
            let mut fresh = Vec::new();
            let mut finding = Finding::Unclear;
            while finding == Finding::Unclear && fresh.len() < MOST {
                fresh.push(Pair { baseline: cost(0.0), variant: cost(-left) });
                finding = judge(name(), race, &fresh).finding;
            }
            counts[finding as usize] += 1;
        }
        counts
    }

    #[test]
    fn honest_variants_are_hardly_ever_contradicted_and_large_advantages_are_told() {
        for (shown, noise) in [(0.1, 0.05), (0.3, 0.15), (0.7, 0.15), (1.5, 0.3), (2.2, 0.3)] {
            let [_, contradicted, _] = simulated(shown, shown, noise);
            assert!(contradicted <= 4, "{shown} ± {noise}: {contradicted} of 400");
            let [confirmed, _, _] = simulated(shown, 0.0, noise);
            assert!(confirmed <= 4, "nothing left of {shown} ± {noise}: {confirmed} of 400");
        }
        for noise in [0.02, 0.1] {
            let ([confirmed, ..], [_, contradicted, _]) = (simulated(2.2, 2.2, noise), simulated(2.2, 0.0, noise));
            assert!(confirmed >= 380 && contradicted >= 380, "± {noise}: {confirmed}, {contradicted}");
        }
    }

    proptest! {
        #[test]
        fn a_finding_depends_on_ratios_alone(
            scale in 0.001..1000.0_f64,
            race in 0.01..0.9_f64,
            fresh in prop::collection::vec((0.5..1.0_f64, 0.01..1.0_f64), 3..9),
        ) {
            let scaled: Vec<_> = fresh.iter().map(|(b, v)| (b * scale, v * scale)).collect();
            let (plain, large) = (judge(name(), shown(1.0, race), &pairs(&fresh)), judge(name(), shown(scale, race * scale), &pairs(&scaled)));
            prop_assert_eq!(plain.builds, large.builds);
            prop_assert!((plain.expected - large.expected).abs() < 1e-6);
        }

        #[test]
        fn nothing_is_expected_that_was_not_shown(
            race in 0.01..0.99_f64,
            fresh in prop::collection::vec((0.1..50.0_f64, 0.01..50.0_f64), 0..9),
        ) {
            let shown = shown(1.0, race);
            let judged = judge(name(), shown, &pairs(&fresh));
            prop_assert!(judged.expected <= shown.advantage.log + 1e-9 && judged.expected > 0.0);
        }

        #[test]
        fn more_of_an_advantage_in_fresh_trees_never_speaks_against_it(
            race in 0.01..0.9_f64,
            fresh in prop::collection::vec((0.5..1.5_f64, 0.01..1.5_f64), 3..9),
            faster in 1.0..20.0_f64,
        ) {
            let better: Vec<_> = fresh.iter().map(|(b, v)| (*b, v / faster)).collect();
            let rank = |finding| match finding {
                Finding::Contradicted => 0,
                Finding::Unclear => 1,
                Finding::Confirmed => 2,
            };
            let (less, more) = (found(shown(1.0, race), &fresh), found(shown(1.0, race), &better));
            prop_assert!(rank(less) <= rank(more), "{less:?} {more:?}");
        }
    }
}
