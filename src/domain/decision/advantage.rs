//! Whose advantage is to be looked at in fresh trees, and what came out there: from the journal's seen alone.

use std::collections::BTreeMap;
use std::time::Duration;

use super::seen::Seen;
use super::values::counted;
use crate::domain::fresh::{self, Check, Pair, Shown};
use crate::domain::measurement::{Contender, MetricName, Reading, Slice, read};
use crate::domain::plan::{MetricBound, VariantKey};
use crate::domain::race::Rules;
use crate::domain::score::Scorer;
use crate::domain::scoreboard::Scoreboard;
use crate::domain::trial::{Disqualification, Outcome};

/// Who is to land and is to be looked at before, if anybody is: whoever is faster than asked for, by a time or rate that
/// Performance counts or that the baseline misses a bound by.
pub fn unverified(seen: &Seen, board: &Scoreboard) -> Option<VariantKey> {
    let key = board.lands().filter(|_| !seen.started.rehearsal)?;
    match seen.fresh.get(key) {
        Some(fresh) => !fresh.over,
        None => !beyond(seen, key).is_empty(),
    }
    .then(|| key.clone())
}

/// The metrics by which a variant is faster than asked for, with what the blocks show.
pub fn beyond<'a>(seen: &'a Seen, key: &VariantKey) -> Vec<(&'a MetricBound, Shown)> {
    let plan = &seen.started.plan;
    let (scorer, rules) = (Scorer::new(plan), Rules::default());
    let counts =
        |name: &MetricName| plan.weights.performance.percent > 0.0 && scorer.performance_metrics().contains(name);
    let shown = |metric: &'a MetricBound| {
        let blocks = counted(seen, &rules);
        let pairs: Vec<_> = blocks.filter_map(|b| pair(seen, b.index, &b.slices, key, metric)).collect();
        let shown = Shown::of(&pairs)?;
        let claims = counts(&metric.name) || fresh::asked(metric.bound, shown.baseline).is_some();
        (claims && shown.is_beyond(metric.bound)).then_some((metric, shown))
    };
    plan.metrics.iter().filter_map(shown).collect()
}

/// Whether anybody who is measured is faster than asked for, and was not looked at yet.
pub fn anyone(seen: &Seen) -> bool {
    let variants = seen.started.plan.variants.iter().map(|variant| &variant.key);
    let open = variants.filter(|key| !seen.ended.contains_key(&Contender::Variant((*key).clone())));
    let known = |key: &VariantKey| seen.fresh.get(key).is_some_and(|fresh| fresh.over);
    open.filter(|key| !known(key)).any(|key| !beyond(seen, key).is_empty())
}

/// How long a look in fresh trees takes at the least, where a tree takes this long to be made and a block to be
/// measured: a tree for either of the two, and a copy and a slice of both for each pair.
pub fn takes(tree: Duration, block: Duration) -> Duration {
    let fewest = u32::try_from(fresh::FEWEST).unwrap_or(u32::MAX);
    tree * 2 + block * fewest
}

/// What the slices of a block, or of a pair of fresh trees, cost the baseline and a variant: by the clock of that block
/// where both tell it, and else as they were told.
fn pair(seen: &Seen, block: u32, slices: &[Slice], key: &VariantKey, metric: &MetricBound) -> Option<Pair> {
    let base = read(slices, &Contender::Baseline, &metric.name)?;
    let own = read(slices, &Contender::Variant(key.clone()), &metric.name)?;
    let timed =
        |(slice, reading): (&Slice, &Reading)| fresh::cost(seen.clocks.value(block, slice, reading)?, metric.bound);
    let told = |(_, reading): (&Slice, &Reading)| fresh::cost(reading.value, metric.bound);
    let both = |baseline: Option<f64>, variant: Option<f64>| Some(Pair { baseline: baseline?, variant: variant? });
    both(timed(base), timed(own)).or_else(|| both(told(base), told(own)))
}

/// The seen as far as so many blocks tell.
fn as_of(seen: &Seen, blocks: usize) -> Seen {
    let mut then = Seen::new(seen.started.clone());
    for block in seen.blocks.iter().take(blocks) {
        then.observe(block.clone());
    }
    then
}

/// What is known by now of one variant in fresh trees.
pub fn check(seen: &Seen, key: &VariantKey) -> Option<Check> {
    let fresh = seen.fresh.get(key)?;
    let then = as_of(seen, fresh.blocks);
    let last = then.blocks.last().map_or(0, |block| block.index);
    let judged = |(metric, shown): (&MetricBound, Shown)| {
        let pairs: Vec<_> = fresh.pairs.iter().filter_map(|slices| pair(&then, last, slices, key, metric)).collect();
        fresh::judge(metric.name.clone(), shown, &pairs)
    };
    let metrics = beyond(&then, key).into_iter().map(judged).collect();
    Some(Check { variant: key.clone(), metrics, cut: fresh.cut.clone() })
}

/// All of them, in the order of the keys.
pub fn checks(seen: &Seen) -> Vec<Check> {
    seen.fresh.keys().filter_map(|key| check(seen, key)).collect()
}

/// Those whose advantage is not there in fresh trees, and who are not ended by that yet. Asked after each block: who is
/// ended is not looked at again.
pub fn refuted(seen: &Seen) -> BTreeMap<Contender, Outcome> {
    let over = seen.fresh.iter().filter(|(_, fresh)| fresh.over);
    let all = over.map(|(key, _)| (Contender::Variant(key.clone()), key));
    let open = all.filter(|(contender, _)| !seen.ended.contains_key(contender));
    open.filter_map(|(contender, key)| Some((contender, outcome(&check(seen, key)?)?))).collect()
}

/// How a variant ends whose advantage is not there in fresh trees; `None` where nothing says so.
fn outcome(check: &Check) -> Option<Outcome> {
    let measured = check.contradicted()?;
    let (metric, shown) = (measured.metric.clone(), measured.shown.advantage);
    Some(Outcome::Disqualified { reason: Disqualification::LeftOver { metric, shown, fresh: measured.fresh? } })
}
