//! From measurements to points. Every criterion is a bounded, smooth, monotone function of the
//! variant's own value, so a hopeless rival never changes who wins (design: `100 · h / (h + x)`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::measurement::MetricName;
use super::plan::{MetricBound, Plan};
use super::quantity::{Bound, Direction, Finite, Quantity};
use super::trial::{ChangeSize, TestReport};
use super::weights::{Weight, Weights};

/// Points from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Points(Finite);

impl Points {
    /// Clamped to 0..=100; `None` unless finite.
    pub fn new(value: f64) -> Option<Self> {
        Finite::new(value.clamp(0.0, 100.0)).map(Self)
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0.get()
    }

    /// To 0.1, as tables show it and as the Total adds it up.
    pub fn shown(self) -> f64 {
        (self.get() * 10.0).round() / 10.0
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.1}", self.shown()))
    }
}

/// The three criteria of one contender.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Criteria {
    /// Passed tests by counted tests.
    pub tests: Points,
    /// Metrics against their bounds.
    pub performance: Points,
    /// Size of the change.
    pub simplicity: Points,
}

/// Turns readings into points by one plan's weights and bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scorer {
    weights: [f64; 3],
    counted: Vec<Counted>,
    names: Vec<MetricName>,
}

/// A metric that the Performance criterion counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Counted {
    name: MetricName,
    /// Its limit is the value that earns half the points.
    bound: Bound,
}

impl Scorer {
    /// A scorer for this plan.
    pub fn new(plan: &Plan) -> Self {
        let note = plan.weights.performance.selection();
        let counted: Vec<_> = selected(note, &plan.metrics)
            .map(|metric| Counted { name: metric.name.clone(), bound: metric.bound })
            .collect();
        let weights = [&plan.weights.tests, &plan.weights.performance, &plan.weights.simplicity].map(|w| w.percent);
        Self { weights, names: counted.iter().map(|c| c.name.clone()).collect(), counted }
    }

    /// The metrics that the Performance criterion counts.
    pub(super) fn performance_metrics(&self) -> &[MetricName] {
        &self.names
    }

    /// The Performance points of these values: the mean over the counted metrics; `baseline` holds the
    /// baseline's values of the same moment, which relative bounds are relative to. `None` where one of the
    /// metrics is missing, of another dimension, or relative to a baseline that is unknown.
    /// A plan without metrics has no Performance to speak of, and its weight is 0.
    pub fn performance(
        &self,
        values: &BTreeMap<MetricName, Quantity>,
        baseline: &BTreeMap<MetricName, Quantity>,
    ) -> Option<Points> {
        let of = |metric: &Counted| metric.points(*values.get(&metric.name)?, baseline.get(&metric.name).copied());
        let points = self.counted.iter().map(of);
        let points: Vec<f64> = points.collect::<Option<_>>()?;
        let mean = if points.is_empty() { 0.0 } else { points.iter().sum::<f64>() / points.len() as f64 };
        Points::new(mean)
    }

    /// These values with every metric that Performance counts better by this share of itself, below 1: a time
    /// of 100 ms by a fifth is 80 ms, a rate of 100 a second by a fifth is 125.
    pub(super) fn improved(
        &self,
        values: &BTreeMap<MetricName, Quantity>,
        share: f64,
    ) -> BTreeMap<MetricName, Quantity> {
        let left = (1.0 - share).max(f64::EPSILON);
        let better = |(name, value): (&MetricName, &Quantity)| {
            let counted = self.counted.iter().find(|counted| counted.name == *name);
            let factor = match counted.map(|counted| counted.bound.direction()) {
                None => 1.0,
                Some(Direction::LowerIsBetter) => left,
                Some(Direction::HigherIsBetter) => 1.0 / left,
            };
            let better = Quantity::new(value.value() * factor, value.dimension()).unwrap_or(*value);
            (name.clone(), better)
        };
        values.iter().map(better).collect()
    }

    /// Σ weight × criterion, over the criteria as shown (to 0.1): what a reader can add up.
    pub fn total(&self, criteria: &Criteria) -> Points {
        self.sum([criteria.tests, criteria.performance, criteria.simplicity].map(Points::shown))
    }

    /// Σ weight × criterion without rounding: what the race runs on.
    pub(super) fn exact_total(&self, criteria: &Criteria) -> f64 {
        self.sum([criteria.tests, criteria.performance, criteria.simplicity].map(Points::get)).get()
    }

    fn sum(&self, criteria: [f64; 3]) -> Points {
        let sum: f64 = self.weights.iter().zip(criteria).map(|(weight, points)| weight * points).sum();
        // Weights and points are finite, so their sum is.
        Points::new(sum / 100.0).unwrap_or_default()
    }
}

impl Counted {
    fn points(&self, value: Quantity, baseline: Option<Quantity>) -> Option<f64> {
        let half = self.bound.resolve(baseline).ok().filter(|half| half.dimension() == value.dimension())?;
        let (h, x) = (half.value(), value.value());
        // At 0 of 0 the bound is met exactly, which is worth half.
        let share = if h + x == 0.0 { 0.5 } else { h / (h + x) };
        Some(match self.bound.direction() {
            Direction::LowerIsBetter => 100.0 * share,
            Direction::HigherIsBetter => 100.0 * (1.0 - share),
        })
    }
}

/// The metrics that a weight's note means. Words of the note are matched against the parts of
/// metric names (`p95 latency` means `query_latency_p95`). Words that no name has are ignored;
/// of the names those count that have most of the others; without any, all count.
pub fn selected<'a>(note: Option<&str>, metrics: &'a [MetricBound]) -> impl Iterator<Item = &'a MetricBound> {
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
        parts.map(str::to_lowercase).collect()
    };
    let wanted = words(note.unwrap_or_default());
    let hits = move |metric: &MetricBound| {
        let parts = words(metric.name.as_str());
        wanted.iter().filter(|word| parts.contains(word)).count()
    };
    let most = metrics.iter().map(&hits).max().unwrap_or(0);
    metrics.iter().filter(move |metric| hits(metric) == most)
}

/// Passed by counted × 100; `None` where no test counted.
pub fn tests_points(report: &TestReport) -> Option<Points> {
    let counted = report.counted();
    if counted == 0 {
        return None;
    }
    Points::new(100.0 * report.passed() as f64 / counted as f64)
}

/// Production lines that halve the simplicity of a change.
const HALF_LINES: f64 = 500.0;
/// What one new dependency weighs, in lines.
const DEPENDENCY: f64 = 25.0;

/// `100 · h / (h + x)` with h = 500 and x = (added + ½ deleted) × nesting surplus + 25 a new dependency.
pub fn simplicity_points(change: &ChangeSize) -> Points {
    let lines = change.added as f64 + change.deleted as f64 / 2.0;
    let x = lines * change.nesting_surplus.max(1.0) + DEPENDENCY * change.new_dependencies as f64;
    Points::new(100.0 * HALF_LINES / (HALF_LINES + x)).unwrap_or_default()
}

/// What a plan's weights trade for each other, in points of the Total.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trade {
    /// What a change pays for 100 more lines of code, against one without any.
    pub hundred_lines: f64,
    /// What a metric at half of its bound gains over one at its bound, where it counts alone and less is better.
    pub half_the_bound: f64,
    /// What one failing test of ten costs.
    pub one_test_of_ten: f64,
}

impl Trade {
    /// By these weights.
    pub fn of(weights: &Weights) -> Self {
        let lines = ChangeSize { added: 100, nesting_surplus: 1.0, ..ChangeSize::default() };
        // What a value is in, and how large it is, does not matter for the share.
        let share = |of_bound: f64| 100.0 / (1.0 + of_bound);
        let points = |weight: &Weight, criterion: f64| weight.percent / 100.0 * criterion;
        Self {
            hundred_lines: points(&weights.simplicity, 100.0 - simplicity_points(&lines).get()),
            half_the_bound: points(&weights.performance, share(0.5) - share(1.0)),
            one_test_of_ten: points(&weights.tests, 10.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cases::{TestCase, TestStatus};
    use crate::domain::quantity::{Bound, Dimension};

    fn metric(name: &str, bound: &str) -> MetricBound {
        MetricBound { name: MetricName::new(name).unwrap(), bound: Bound::parse(bound).unwrap(), note: None }
    }

    fn scorer(metrics: &[MetricBound], note: Option<&str>, weights: [f64; 3]) -> Scorer {
        let counted: Vec<_> =
            selected(note, metrics).map(|m| Counted { name: m.name.clone(), bound: m.bound }).collect();
        Scorer { weights, names: counted.iter().map(|c| c.name.clone()).collect(), counted }
    }

    fn alone(scorer: &Scorer, values: &BTreeMap<MetricName, Quantity>) -> Option<Points> {
        scorer.performance(values, &BTreeMap::new())
    }

    fn points(value: f64) -> Points {
        Points::new(value).unwrap()
    }

    fn seconds(name: &str, value: f64) -> BTreeMap<MetricName, Quantity> {
        BTreeMap::from([(MetricName::new(name).unwrap(), Quantity::new(value, Dimension::Time).unwrap())])
    }

    #[test]
    fn what_weights_trade_is_what_the_scores_come_to() {
        let weight = |percent| Weight::new(percent, None);
        let weights = Weights { tests: weight(50.0), performance: weight(30.0), simplicity: weight(20.0) };
        let trade = Trade::of(&weights);
        let scorer = scorer(&[metric("latency", "<100ms")], None, [50.0, 30.0, 20.0]);
        let total = |latency: f64, lines: u64, tests: f64| {
            let size = ChangeSize { added: lines, nesting_surplus: 1.0, ..ChangeSize::default() };
            let performance = scorer.performance(&seconds("latency", latency), &BTreeMap::new()).unwrap();
            scorer.exact_total(&Criteria { tests: points(tests), performance, simplicity: simplicity_points(&size) })
        };
        let plain = total(0.1, 0, 100.0);
        for (told, seen) in [
            (trade.hundred_lines, plain - total(0.1, 100, 100.0)),
            (trade.half_the_bound, total(0.05, 0, 100.0) - plain),
            (trade.one_test_of_ten, plain - total(0.1, 0, 90.0)),
        ] {
            assert!((told - seen).abs() < 1e-9, "{told} {seen}");
        }
    }

    #[test]
    fn a_value_at_its_bound_earns_half_at_half_of_it_two_thirds_and_at_a_tenth_ten_elevenths() {
        let scorer = scorer(&[metric("latency", "<100ms")], None, [0.0, 100.0, 0.0]);
        for (value, expected) in [(0.1, 50.0), (0.05, 66.7), (0.01, 90.9), (0.0, 100.0)] {
            assert_eq!(alone(&scorer, &seconds("latency", value)).unwrap().shown(), expected);
        }
    }

    #[test]
    fn more_is_better_where_the_bound_is_a_floor() {
        let scorer = scorer(&[metric("throughput", ">500 req/s")], None, [0.0, 100.0, 0.0]);
        let rate = |value| {
            BTreeMap::from([(MetricName::new("throughput").unwrap(), Quantity::new(value, Dimension::Rate).unwrap())])
        };
        for (value, expected) in [(500.0, 50.0), (1000.0, 66.7), (0.0, 0.0)] {
            assert_eq!(alone(&scorer, &rate(value)).unwrap().shown(), expected);
        }
    }

    #[test]
    fn a_missing_value_or_one_of_another_dimension_has_no_points() {
        let scorer = scorer(&[metric("latency", "<100ms")], None, [0.0, 100.0, 0.0]);
        assert_eq!(alone(&scorer, &BTreeMap::new()), None);
        let bytes =
            BTreeMap::from([(MetricName::new("latency").unwrap(), Quantity::new(1.0, Dimension::Bytes).unwrap())]);
        assert_eq!(alone(&scorer, &bytes), None);
    }

    #[test]
    fn a_relative_bound_earns_half_at_the_baselines_value_of_the_same_moment() {
        let scorer = scorer(&[metric("latency", "<=+0%")], None, [0.0, 100.0, 0.0]);
        for machine in [1.0, 5.0] {
            let points = scorer.performance(&seconds("latency", 0.05 * machine), &seconds("latency", 0.1 * machine));
            assert_eq!(points.unwrap().shown(), 66.7, "however slow the machine is in that block");
        }
        assert_eq!(alone(&scorer, &seconds("latency", 0.05)), None);
    }

    #[test]
    fn a_note_means_the_metrics_that_have_most_of_its_words() {
        let metrics = [
            metric("query_latency_p50", "<50ms"),
            metric("query_latency_p95", "<100ms"),
            metric("throughput", ">500 req/s"),
        ];
        let names = |note| selected(note, &metrics).map(|m| m.name.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(Some("p95 latency")), ["query_latency_p95"]);
        assert_eq!(names(Some("latency")), ["query_latency_p50", "query_latency_p95"]);
        assert_eq!(names(Some("the throughput we see")), ["throughput"]);
        assert_eq!(names(Some("how it feels")).len(), 3);
        assert_eq!(names(None).len(), 3);
    }

    #[test]
    fn the_total_is_the_weighted_sum_of_what_the_table_shows() {
        let scorer = scorer(&[metric("latency", "<100ms")], None, [50.0, 30.0, 20.0]);
        let criteria = Criteria { tests: points(100.0), performance: points(95.24), simplicity: points(92.04) };
        assert_eq!(scorer.total(&criteria).shown(), 97.0);
        assert!((scorer.total(&criteria).get() - 96.96).abs() < 1e-9);
        assert!((scorer.exact_total(&criteria) - 96.98).abs() < 1e-9);
    }

    #[test]
    fn no_test_is_no_score_and_skipped_tests_count_neither_way() {
        let case = |status| TestCase { name: "t".to_owned(), status };
        assert_eq!(tests_points(&TestReport::default()), None);
        let report = TestReport::of([TestStatus::Passed, TestStatus::Failed, TestStatus::Skipped].map(case).into());
        assert_eq!(tests_points(&report).unwrap().get(), 50.0);
    }

    #[test]
    fn simplicity_falls_with_lines_nesting_and_dependencies() {
        let size = |added, deleted, nesting_surplus, new_dependencies| ChangeSize {
            added,
            deleted,
            nesting_surplus,
            new_dependencies,
            ..ChangeSize::default()
        };
        assert_eq!(simplicity_points(&size(0, 0, 1.0, 0)).get(), 100.0);
        assert_eq!(simplicity_points(&size(500, 0, 1.0, 0)).get(), 50.0);
        assert_eq!(simplicity_points(&size(0, 1000, 1.0, 0)).get(), 50.0);
        assert_eq!(simplicity_points(&size(250, 0, 2.0, 0)).get(), 50.0);
        assert_eq!(simplicity_points(&size(0, 0, 1.0, 20)).get(), 50.0);
    }

    proptest::proptest! {
        #[test]
        fn less_time_never_earns_less_and_points_stay_within_their_range(a in 0.0..1e6f64, b in 0.0..1e6f64) {
            let scorer = scorer(&[metric("latency", "<100ms")], None, [0.0, 100.0, 0.0]);
            let of = |v| alone(&scorer, &seconds("latency", v)).unwrap().get();
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            proptest::prop_assert!(of(low) >= of(high));
            proptest::prop_assert!((0.0..=100.0).contains(&of(low)));
        }

        #[test]
        fn points_are_the_same_at_every_scale(x in 1e-6..1e6f64, scale in 1e-3..1e3f64) {
            let at = |h: f64, x: f64| 100.0 * h / (h + x);
            proptest::prop_assert!((at(1.0, x) - at(scale, x * scale)).abs() < 1e-9);
        }
    }
}
