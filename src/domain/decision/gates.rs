//! What blocks say of every bound: kept, missed or open, and whether the baseline fails where a variant
//! does not.

use std::collections::{BTreeMap, BTreeSet};

use super::Incomparable;
use super::claims::{self, Claims};
use super::seen::Seen;
use super::values::{counted, displayed, values};
use crate::domain::bounds::{Answer, BoundTest, Standing};
use crate::domain::cases::TestStatus;
use crate::domain::measurement::{Block, Contender, MetricName, Slice};
use crate::domain::plan::{MetricBound, VariantKey};
use crate::domain::quantity::{Dimension, Limit, Quantity, QuantityError};
use crate::domain::race::Rules;
use crate::domain::statistics;
use crate::domain::trial::{Disqualification, TestReport};
use crate::domain::verdict::Ground;

/// Values before anything is said of how they vary.
const ENOUGH: usize = 4;

/// The standard deviations of its logarithm by which a value may be worse because of the machine.
const SPREADS: f64 = 2.0;

/// Every candidate's bounds.
pub struct Gates {
    /// Who is known to miss one, with the first that it misses, or to report what is not true.
    pub failed: Vec<(VariantKey, Disqualification)>,
    /// Those that are open, with those baseline metrics that they are relative to.
    pub uncertain: BTreeSet<(Contender, MetricName)>,
    /// Who is known to keep a bound or to pass a test that the baseline fails.
    pub grounds: BTreeMap<VariantKey, Ground>,
    /// What is found of the times that programs report of themselves.
    pub claims: Claims,
}

/// Judges the bounds of these contenders.
pub fn judge(seen: &Seen, contenders: &[Contender], rules: &Rules) -> Result<Gates, Incomparable> {
    let mut gates =
        Gates { failed: Vec::new(), uncertain: BTreeSet::new(), grounds: BTreeMap::new(), claims: Claims::default() };
    // Controls are to come out like the baseline, which may well miss its bounds.
    if seen.started.rehearsal {
        return Ok(gates);
    }
    gates.claims = claims::judge(seen, contenders, rules);
    let judge = Judge::new(seen, rules);
    let baseline = judge.missed_by_the_baseline()?;
    let failing = failing_on_the_baseline(seen);
    for contender in contenders {
        let Some(key) = contender.key() else { continue };
        if let Some(untrue) = gates.claims.untrue.iter().find(|(who, _)| who == key) {
            gates.failed.push(untrue.clone());
            continue;
        }
        let (mut missed, mut open) = (None, Vec::new());
        for metric in &seen.started.plan.metrics {
            match judge.standing(contender, metric)? {
                Standing::Passed => {
                    if baseline.contains(&metric.name) {
                        let ground = Ground::Bound { metric: metric.name.clone() };
                        gates.grounds.entry(key.clone()).or_insert(ground);
                    }
                }
                Standing::Failed => missed = missed.or(Some(metric)),
                Standing::Uncertain => open.push(metric),
            }
        }
        match missed {
            Some(metric) => {
                gates.grounds.remove(key);
                gates.failed.push((key.clone(), broken(seen, contender, metric)));
            }
            None => {
                let name = failing.iter().find(|name| passes(seen, contender, name));
                let ground = name.map(|name| Ground::Test { name: name.clone() });
                if let Some(ground) = ground {
                    gates.grounds.entry(key.clone()).or_insert(ground);
                }
                gates.uncertain.extend(open.iter().map(|metric| (contender.clone(), metric.name.clone())));
                let relative = open.iter().filter(|metric| matches!(metric.bound.limit, Limit::Relative(_)));
                gates.uncertain.extend(relative.map(|metric| (Contender::Baseline, metric.name.clone())));
                // A doubt is settled beside the baseline, and until then the claim is as open as a bound.
                let doubted = gates.claims.doubted.keys().filter(|(who, _)| who == contender);
                let both =
                    doubted.flat_map(|(who, metric)| [who, &Contender::Baseline].map(|c| (c.clone(), metric.clone())));
                gates.uncertain.extend(both);
            }
        }
    }
    Ok(gates)
}

/// Tests that fail in every tree of the baseline: a test that does not agree with itself says nothing.
fn failing_on_the_baseline(seen: &Seen) -> Vec<String> {
    if seen.tests.decide_nothing() {
        return Vec::new();
    }
    seen.tests.deciding(&Contender::Baseline).map(TestReport::failed).unwrap_or_default()
}

fn passes(seen: &Seen, contender: &Contender, name: &str) -> bool {
    let cases = seen.tests.deciding(contender).into_iter().flat_map(|report| &report.cases);
    cases.filter(|case| case.name == name).any(|case| case.status == TestStatus::Passed)
}

fn broken(seen: &Seen, contender: &Contender, metric: &MetricBound) -> Disqualification {
    match displayed(seen, contender).get(&metric.name) {
        Some(value) => {
            Disqualification::BoundBroken { metric: metric.name.clone(), bound: metric.bound, value: *value }
        }
        None => Disqualification::InvalidMeasurement { message: format!("{} has no value", metric.name) },
    }
}

/// Tells what is known of one bound of one contender.
struct Judge<'a> {
    seen: &'a Seen,
    rules: &'a Rules,
    /// The baseline's usual value of each metric that varies.
    usual: BTreeMap<MetricName, f64>,
    /// By contender and metric, the factor by which its values are seen to vary: the machine can't have made
    /// one worse by more.
    varies: BTreeMap<(Contender, MetricName), f64>,
}

impl<'a> Judge<'a> {
    fn new(seen: &'a Seen, rules: &'a Rules) -> Self {
        let mut series: BTreeMap<(Contender, MetricName), Vec<f64>> = BTreeMap::new();
        for block in counted(seen, rules) {
            let whose: BTreeSet<_> = block.slices.iter().map(|slice| &slice.contender).collect();
            for contender in whose {
                for (metric, value) in values(seen, Some(block), contender) {
                    series.entry((contender.clone(), metric)).or_default().push(value.value());
                }
            }
        }
        let of_baseline = series.iter().filter(|((who, _), _)| *who == Contender::Baseline);
        let usual = of_baseline.filter_map(|((_, metric), all)| Some((metric.clone(), statistics::median(all)?)));
        let usual = usual.collect();
        let factor = |all: &[f64]| {
            let logs: Vec<f64> = all.iter().map(|value| value.ln()).filter(|log| log.is_finite()).collect();
            statistics::spread(&logs).filter(|_| logs.len() >= ENOUGH).map(|spread| (SPREADS * spread).exp())
        };
        let varies = series.iter().filter_map(|(place, all)| Some((place.clone(), factor(all)?))).collect();
        Self { seen, rules, usual, varies }
    }

    /// Bounds that the baseline is known to miss; a relative one that asks for an improvement it can't but miss.
    fn missed_by_the_baseline(&self) -> Result<BTreeSet<MetricName>, Incomparable> {
        let improvements = self.seen.started.plan.metrics.iter().filter(|m| m.bound.asks_for_improvement());
        let mut missed: BTreeSet<_> = improvements.map(|metric| metric.name.clone()).collect();
        let absolute = |m: &&MetricBound| matches!(m.bound.limit, Limit::Absolute(_));
        for metric in self.seen.started.plan.metrics.iter().filter(absolute) {
            // What the baseline does not have keeps no bound.
            let missing = self.seen.smoke.iter().any(|smoke| smoke.missing.contains(&metric.name));
            if missing || self.standing(&Contender::Baseline, metric)? == Standing::Failed {
                missed.insert(metric.name.clone());
            }
        }
        Ok(missed)
    }

    fn standing(&self, contender: &Contender, metric: &MetricBound) -> Result<Standing, Incomparable> {
        let wrong = |error: QuantityError| Incomparable { metric: metric.name.clone(), error };
        let exact = |who: &Contender| {
            let readings = self.seen.exact.get(who).into_iter().flatten();
            readings.filter(|r| r.metric == metric.name).map(|r| r.value).next()
        };
        if let Some(value) = exact(contender) {
            let held = metric.bound.holds(value, exact(&Contender::Baseline)).map_err(wrong)?;
            return Ok(Standing::of_exact(held));
        }
        let mut test = BoundTest::new(self.rules);
        for block in counted(self.seen, self.rules) {
            if let Some(answer) = self.answer(block, contender, metric).map_err(wrong)? {
                test.record(answer);
            }
        }
        Ok(as_far_as_sent(self.seen, metric, test.standing()))
    }

    /// What one block says, where it says anything.
    fn answer(
        &self,
        block: &Block,
        contender: &Contender,
        metric: &MetricBound,
    ) -> Result<Option<Answer>, QuantityError> {
        let of = |who: &Contender| values(self.seen, Some(block), who).get(&metric.name).copied();
        let (value, baseline) = (of(contender), of(&Contender::Baseline));
        let relative = matches!(metric.bound.limit, Limit::Relative(_));
        let Some(value) = value.filter(|_| !relative || baseline.is_some()) else { return Ok(None) };
        if metric.bound.holds(value, baseline)? {
            return Ok(Some(Answer::Held));
        }
        // Within a block, the machine is the same for both.
        let hindrance = if relative { 1.0 } else { self.hindrance(block, contender, metric, baseline) };
        let alone = match value.dimension() {
            Dimension::Time => value.value() / hindrance,
            Dimension::Rate => value.value() * hindrance,
            Dimension::Bytes | Dimension::Percent | Dimension::Count => return Ok(Some(Answer::Missed)),
        };
        // A rate without any limit keeps every bound.
        let alone = Quantity::new(alone, value.dimension());
        let would_hold = alone.map_or(Ok(true), |alone| metric.bound.holds(alone, baseline))?;
        Ok(Some(if would_hold { Answer::Hindered } else { Answer::Missed }))
    }

    /// By which factor the machine may have made a value worse in a block, at least 1: by what the slice waited where
    /// that is in its value, and by how much worse than usual the baseline's value is in the same block.
    fn hindrance(&self, block: &Block, who: &Contender, metric: &MetricBound, baseline: Option<Quantity>) -> f64 {
        let read = |slice: &&Slice| slice.contender == *who && slice.readings.iter().any(|r| r.metric == metric.name);
        let waited = block.slices.iter().find(read).filter(|slice| self.seen.clocks.hindered(block.index, slice));
        let varies = self.varies.get(&(who.clone(), metric.name.clone())).copied().unwrap_or(f64::INFINITY);
        let waited = waited.map_or(1.0, slowed).min(varies);
        let unusual = self.usual.get(&metric.name).zip(baseline).map_or(1.0, |(usual, now)| {
            let (worse, better) = match now.dimension() {
                Dimension::Rate => (*usual, now.value()),
                _ => (now.value(), *usual),
            };
            if better > 0.0 { worse / better } else { 1.0 }
        });
        waited.max(unusual).max(1.0)
    }
}

/// By which factor waits for a core may have lengthened a slice: as it is known of its own tasks, else by the
/// share of time in which anything on the machine waited.
fn slowed(slice: &Slice) -> f64 {
    let timing = &slice.timing;
    timing.hindrance().unwrap_or_else(|| {
        let waited = timing.pressure.unwrap_or_default() + timing.steal.unwrap_or_default();
        let free = timing.wall.saturating_sub(waited).as_secs_f64();
        if waited.is_zero() { 1.0 } else { timing.wall.as_secs_f64() / free.max(1e-9) }
    })
}

/// What is known of a bound, where more a second is asked for than this machine can send: a miss is not the
/// contender's then.
fn as_far_as_sent(seen: &Seen, metric: &MetricBound, standing: Standing) -> Standing {
    let provides = |source: &str| {
        let of = seen.started.sources.iter().filter(|(name, _)| name == source);
        of.flat_map(|(_, metrics)| metrics).any(|name| name == metric.name.as_str())
    };
    let hidden = seen.rates.values().any(|rate| rate.hides(&metric.bound) && provides(&rate.source));
    if hidden && standing == Standing::Failed { Standing::Uncertain } else { standing }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::domain::load::Rate;
    use crate::domain::quantity::Bound;

    fn bound(name: &str, text: &str) -> MetricBound {
        MetricBound { name: MetricName::new(name).unwrap(), bound: Bound::parse(text).unwrap(), note: None }
    }

    #[test]
    fn a_miss_of_more_than_the_machine_can_send_stays_open_and_nothing_else_does() {
        let mut seen = Seen::new(super::super::fixtures::started());
        seen.started.sources = vec![("http: /".to_owned(), vec!["throughput".to_owned(), "p95".to_owned()])];
        let (fast, slow) = (bound("throughput", ">400 req/s"), bound("throughput", ">300 req/s"));
        assert_eq!(as_far_as_sent(&seen, &fast, Standing::Failed), Standing::Failed);
        let (asked, held) = (NonZeroU32::new(500).unwrap(), NonZeroU32::new(320).unwrap());
        let rate = Rate { source: "http: /".to_owned(), asked, held, late: 0.1, on_time: true };
        seen.rates.insert(rate.source.clone(), rate);
        assert_eq!(as_far_as_sent(&seen, &fast, Standing::Failed), Standing::Uncertain);
        assert_eq!(as_far_as_sent(&seen, &fast, Standing::Passed), Standing::Passed);
        assert_eq!(as_far_as_sent(&seen, &slow, Standing::Failed), Standing::Failed);
        let elsewhere = bound("k6_throughput", ">400 req/s");
        assert_eq!(as_far_as_sent(&seen, &elsewhere, Standing::Failed), Standing::Failed);
    }
}
