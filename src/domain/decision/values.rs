//! What blocks say in numbers: one contender's values and totals in one block, the blocks that count, and what tables show.

use std::collections::BTreeMap;
use std::time::Duration;

use super::seen::Seen;
use crate::domain::measurement::{Block, Contender, MetricName};
use crate::domain::quantity::{Limit, Quantity};
use crate::domain::race::Rules;
use crate::domain::score::{self, Criteria, Points, Scorer};
use crate::domain::statistics;
use crate::domain::trial::ChangeSize;

/// One contender's values in one block: what does not vary and what was read there.
pub fn values(seen: &Seen, block: Option<&Block>, contender: &Contender) -> BTreeMap<MetricName, Quantity> {
    let exact = seen.exact.get(contender.stands_for()).into_iter().flatten();
    let slices = block.into_iter().flat_map(|b| b.slices.iter().map(move |s| (b.index, s)));
    let slices = slices.filter(|(_, s)| s.contender == *contender);
    let read = slices.flat_map(|(at, s)| s.readings.iter().map(move |r| (at, s, r)));
    let read = read.filter_map(|(at, s, r)| Some((r.metric.clone(), seen.clocks.value(at, s, r)?)));
    exact.map(|r| (r.metric.clone(), r.value)).chain(read).collect()
}

/// The blocks that count: after the warm-up, and compared by a clock that is still believed.
pub fn counted<'a>(seen: &'a Seen, rules: &Rules) -> impl Iterator<Item = &'a Block> {
    let first = rules.warmup.max(seen.clocks.since());
    seen.blocks.iter().filter(move |block| block.index >= first)
}

/// A block with the baseline's values that relative bounds are relative to in it: its own, or where the
/// baseline is not measured any more the median of those before. So what slows a machine down cancels, and
/// nothing that is measured later changes what a block said.
pub struct Scaled<'a> {
    /// As it was measured.
    pub block: &'a Block,
    /// What relative bounds are relative to.
    pub baseline: BTreeMap<MetricName, Quantity>,
}

/// Every block that counts, in order.
pub fn scaled<'a>(seen: &'a Seen, rules: &Rules) -> Vec<Scaled<'a>> {
    let relative = seen.started.plan.metrics.iter().filter(|m| matches!(m.bound.limit, Limit::Relative(_)));
    let relative: Vec<&MetricName> = relative.map(|metric| &metric.name).collect();
    let mut earlier: BTreeMap<&MetricName, Vec<Quantity>> = BTreeMap::new();
    let mut all = Vec::new();
    for block in counted(seen, rules) {
        let own = if relative.is_empty() { BTreeMap::new() } else { values(seen, Some(block), &Contender::Baseline) };
        let mut baseline = BTreeMap::new();
        for name in &relative {
            let known = earlier.entry(*name).or_default();
            known.extend(own.get(*name));
            let value = own.get(*name).copied().or_else(|| middle(known, statistics::median));
            baseline.extend(value.map(|value| ((*name).clone(), value)));
        }
        all.push(Scaled { block, baseline });
    }
    all
}

/// One value for several of one dimension.
pub fn middle(values: &[Quantity], of: impl Fn(&[f64]) -> Option<f64>) -> Option<Quantity> {
    let numbers: Vec<_> = values.iter().map(|value| value.value()).collect();
    Quantity::new(of(&numbers)?, values.first()?.dimension())
}

/// Tests and simplicity of a contender; they do not vary.
pub(super) fn fixed(seen: &Seen, contender: &Contender) -> Option<(Points, Points)> {
    let tests = score::tests_points(seen.tests.deciding(contender.stands_for())?)?;
    let simplicity = match contender {
        Contender::Baseline | Contender::Shadow => {
            score::simplicity_points(&ChangeSize { nesting_surplus: 1.0, ..ChangeSize::default() })
        }
        Contender::Variant(key) => score::simplicity_points(&seen.harvests.get(key)?.1),
    };
    Some((tests, simplicity))
}

/// The unrounded total of each contender in one block, where it has one.
pub fn totals(seen: &Seen, scorer: &Scorer, scaled: &Scaled<'_>, contenders: &[Contender]) -> BTreeMap<Contender, f64> {
    let total = |contender: &Contender| {
        let (tests, simplicity) = fixed(seen, contender)?;
        let own = values(seen, Some(scaled.block), contender);
        let performance = scorer.performance(&own, &scaled.baseline)?;
        Some((contender.clone(), scorer.exact_total(&Criteria { tests, performance, simplicity })))
    };
    contenders.iter().filter_map(total).collect()
}

/// Each metric's value as tables show it: exact, or the 20 % trimmed mean over counted blocks.
pub fn displayed(seen: &Seen, contender: &Contender) -> BTreeMap<MetricName, Quantity> {
    let mut series: BTreeMap<MetricName, Vec<Quantity>> = BTreeMap::new();
    for block in counted(seen, &Rules::default()) {
        for slice in block.slices.iter().filter(|s| s.contender == *contender) {
            for reading in &slice.readings {
                let value = seen.clocks.value(block.index, slice, reading);
                series.entry(reading.metric.clone()).or_default().extend(value);
            }
        }
    }
    let mean = |values: Vec<Quantity>| middle(&values, |numbers| statistics::trimmed_mean(numbers, 0.2));
    let mut shown: BTreeMap<_, _> = series.into_iter().filter_map(|(m, v)| Some((m, mean(v)?))).collect();
    let exact = seen.exact.get(contender).into_iter().flatten();
    shown.extend(exact.map(|r| (r.metric.clone(), r.value)));
    shown
}

/// What a block took at the median; nothing where none was measured.
pub fn block_time(seen: &Seen) -> Duration {
    let of = |block: &Block| block.slices.iter().map(|slice| slice.timing.wall.as_secs_f64()).sum::<f64>();
    let times: Vec<f64> = seen.blocks.iter().map(|block| of(block) / seen.at_once() as f64).collect();
    Duration::from_secs_f64(statistics::median(&times).unwrap_or(0.0))
}
