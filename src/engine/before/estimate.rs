//! What measuring will take and can tell, from the facts of a run or of a try of the same document.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::decision::{self, Scaled, Seen};
use crate::domain::estimate::{self, Estimate};
use crate::domain::measurement::{Block, Contender, Slice};
use crate::domain::plan::MetricBound;
use crate::domain::race::Rules;
use crate::domain::score::{self, Criteria, Scorer};
use crate::domain::statistics;
use crate::domain::trial::ChangeSize;
use crate::engine::state::Facts;

/// From what was measured: the blocks where there are some, or the slices of the smoke test. `None` where
/// nothing was. `contenders` are those of a block, the baseline and its shadow included.
pub fn of(facts: &Facts, contenders: usize, budget: Duration) -> Option<Estimate> {
    let rounds = rounds(facts)?;
    let seconds = match &facts.seen.smoke {
        Some(smoke) if facts.seen.blocks.len() < ENOUGH => smoke.seconds(),
        _ => usual(&rounds),
    };
    let misses = misses(facts, &rounds);
    let estimate = Estimate { misses, ..Estimate::new(&facts.seen.started.run, &seconds, contenders, budget) };
    Some(match spread(facts, &rounds) {
        Some((spread, gain)) => estimate.telling(spread, gain),
        None => estimate,
    })
}

/// What the baseline misses of what the weights' notes demand: tests, and bounds of metrics that a note covers.
fn misses(facts: &Facts, rounds: &[Vec<Slice>]) -> Vec<String> {
    let plan = &facts.seen.started.plan;
    let tests = facts.seen.tests.deciding(&Contender::Baseline).and_then(|report| plan.weights.missed(report));
    let mut found: Vec<String> = tests.iter().map(ToString::to_string).collect();
    for (note, gate) in plan.weights.gates() {
        for MetricBound { name, bound, .. } in &plan.metrics {
            let slices =
                rounds.iter().flatten().filter(|slice| gate.covers(name.as_str()) || gate.covers(&slice.source));
            let readings = slices.flat_map(|slice| &slice.readings).filter(|reading| reading.metric == *name);
            let values: Vec<_> = readings.map(|reading| reading.value).collect();
            let value = decision::middle(&values, statistics::median);
            if let Some(value) = value.filter(|value| bound.holds(*value, None) == Ok(false)) {
                found.push(format!("the weights say \"{note}\", and {name} is {value}, must be {bound}"));
            }
        }
    }
    found
}

/// So many blocks say more than the slices before them.
const ENOUGH: usize = 3;

/// The median of each source's seconds.
fn usual(rounds: &[Vec<Slice>]) -> Vec<(String, f64)> {
    let mut all: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for slice in rounds.iter().flatten() {
        all.entry(&slice.source).or_default().push(slice.timing.wall.as_secs_f64());
    }
    let usual = |(source, seconds): (&str, Vec<f64>)| Some((source.to_owned(), statistics::median(&seconds)?));
    all.into_iter().filter_map(usual).collect()
}

/// The baseline's slices: of every block that counts, or of the smoke test.
fn rounds(facts: &Facts) -> Option<Vec<Vec<Slice>>> {
    let own = |slice: &&Slice| slice.contender == Contender::Baseline;
    let blocks: Vec<Vec<Slice>> =
        facts.seen.blocks.iter().map(|block| block.slices.iter().filter(own).cloned().collect()).collect();
    let complete: Vec<_> = blocks.into_iter().filter(|slices| !slices.is_empty()).collect();
    let tried = facts.seen.smoke.iter().flat_map(|smoke| &smoke.rounds);
    let tried = || tried.map(|round| round.iter().map(|taken| taken.slice.clone()).collect()).collect::<Vec<_>>();
    let rounds = if complete.len() >= ENOUGH { complete } else { tried() };
    (!rounds.is_empty()).then_some(rounds)
}

/// By how much totals of the baseline differ from round to round, and what a better metric would gain.
fn spread(facts: &Facts, rounds: &[Vec<Slice>]) -> Option<(f64, impl Fn(f64) -> Option<f64> + use<>)> {
    let mut alone = Seen::new(facts.seen.started.clone());
    alone.tests.clone_from(&facts.seen.tests);
    alone.exact.clone_from(&facts.seen.exact);
    // As blocks that count.
    let rules = Rules::default();
    for (index, slices) in (rules.warmup..).zip(rounds) {
        alone.observe(Block { index, slices: slices.clone() });
    }
    let scorer = Scorer::new(&alone.started.plan);
    let values = decision::displayed(&alone, &Contender::Baseline);
    // By one scale for all: relative to its own block the baseline is always as good as itself, and a variant is not.
    let of = |block| {
        let scaled = Scaled { block, baseline: values.clone() };
        decision::totals(&alone, &scorer, &scaled, &[Contender::Baseline]).into_values().next()
    };
    let totals: Vec<f64> = decision::counted(&alone, &rules).filter_map(of).collect();
    let criteria = Criteria {
        tests: score::tests_points(facts.seen.tests.deciding(&Contender::Baseline)?)?,
        performance: scorer.performance(&values, &values)?,
        simplicity: score::simplicity_points(&ChangeSize { nesting_surplus: 1.0, ..ChangeSize::default() }),
    };
    let spread = estimate::spread(&totals)?;
    Some((spread, move |share| estimate::gain(&scorer, &criteria, &values, share)))
}
