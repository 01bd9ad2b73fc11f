//! From the journal's facts to the decision, and nothing else: the same function decides while a
//! run is measuring and when its journal is read again later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::advantage;
use super::controls;
use super::gates::{self, Gates};
use super::journal::Facts;
use crate::domain::control::Control;
use crate::domain::measurement::{Block, Contender, MetricName};
use crate::domain::plan::VariantKey;
use crate::domain::quantity::{Limit, Quantity};
use crate::domain::race::{Dropped, Race, Rules};
use crate::domain::score::{self, Criteria, Points, Scorer};
use crate::domain::statistics;
use crate::domain::trial::{ChangeSize, Disqualification, Outcome};
use crate::domain::verdict::{self, Scoreboard};
use crate::error::Error;

/// By which rules this program decides. Runs that were decided by others can be reported and not replayed.
pub const RULES: u32 = 3;

/// What the blocks so far have settled.
pub struct Standing {
    /// Who is measured in the next block.
    pub active: Vec<Contender>,
    /// Candidates whose bound is known to be missed and whose trial has not ended yet.
    pub failed: Vec<(VariantKey, Disqualification)>,
    /// Metrics that the Performance criterion counts.
    pub performance: BTreeSet<MetricName>,
    /// Bounds that are not known yet, with those baseline metrics that they are relative to.
    pub uncertain: BTreeSet<(Contender, MetricName)>,
    /// Whose reports are doubted, with the figures that speak against them.
    pub doubted: BTreeMap<(Contender, MetricName), String>,
    /// For how long programs that time themselves are to work in the next block, where that settles a doubt.
    pub brief: Option<Duration>,
    /// Whether the bounds that are not known yet can change nothing any more.
    pub settled: bool,
    /// Who left the race, with the block in which it did.
    pub dropped: Vec<(u32, Dropped)>,
    /// The race over those who can still win.
    pub race: Race,
    /// What the baseline's shadow says.
    pub control: Control,
}

impl Standing {
    /// Whether more blocks would change nothing.
    pub fn concluded(&self) -> bool {
        let alone = self.active.iter().all(|c| c.key().is_none());
        let over = alone || (self.settled && self.race.is_decided());
        let suspected = self.control.is_suspected() && self.active.contains(&Contender::Shadow);
        self.control.is_biased() || (over && !suspected)
    }
}

/// One contender's values in one block: what does not vary and what was read there.
pub(super) fn values(facts: &Facts, block: Option<&Block>, contender: &Contender) -> BTreeMap<MetricName, Quantity> {
    let exact = facts.exact.get(contender.stands_for()).into_iter().flatten();
    let slices = block.into_iter().flat_map(|b| b.slices.iter().map(move |s| (b.index, s)));
    let slices = slices.filter(|(_, s)| s.contender == *contender);
    let read = slices.flat_map(|(at, s)| s.readings.iter().map(move |r| (at, s, r)));
    let read = read.filter_map(|(at, s, r)| Some((r.metric.clone(), facts.clocks.value(at, s, r)?)));
    exact.map(|r| (r.metric.clone(), r.value)).chain(read).collect()
}

/// The blocks that count: after the warm-up, and compared by a clock that is still believed.
pub(super) fn counted<'a>(facts: &'a Facts, rules: &Rules) -> impl Iterator<Item = &'a Block> {
    let first = rules.warmup.max(facts.clocks.since());
    facts.blocks.iter().filter(move |block| block.index >= first)
}

/// A block with the baseline's values that relative bounds are relative to in it: its own, or where the
/// baseline is not measured any more the median of those before. So what slows a machine down cancels, and
/// nothing that is measured later changes what a block said.
pub(super) struct Scaled<'a> {
    pub block: &'a Block,
    pub baseline: BTreeMap<MetricName, Quantity>,
}

/// Every block that counts, in order.
pub(super) fn scaled<'a>(facts: &'a Facts, rules: &Rules) -> Vec<Scaled<'a>> {
    let relative = facts.started.plan.metrics.iter().filter(|m| matches!(m.bound.limit, Limit::Relative(_)));
    let relative: Vec<&MetricName> = relative.map(|metric| &metric.name).collect();
    let mut earlier: BTreeMap<&MetricName, Vec<Quantity>> = BTreeMap::new();
    let mut all = Vec::new();
    for block in counted(facts, rules) {
        let own = if relative.is_empty() { BTreeMap::new() } else { values(facts, Some(block), &Contender::Baseline) };
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
pub(super) fn middle(values: &[Quantity], of: impl Fn(&[f64]) -> Option<f64>) -> Option<Quantity> {
    let numbers: Vec<_> = values.iter().map(|value| value.value()).collect();
    Quantity::new(of(&numbers)?, values.first()?.dimension())
}

/// Tests and simplicity of a contender; they do not vary.
fn fixed(facts: &Facts, contender: &Contender) -> Option<(Points, Points)> {
    let tests = score::tests_points(facts.tests.deciding(contender.stands_for())?)?;
    let simplicity = match contender {
        Contender::Baseline | Contender::Shadow => {
            score::simplicity_points(&ChangeSize { nesting_surplus: 1.0, ..ChangeSize::default() })
        }
        Contender::Variant(key) => score::simplicity_points(&facts.harvests.get(key)?.1),
    };
    Some((tests, simplicity))
}

/// The unrounded total of each contender in one block, where it has one.
pub(super) fn totals(
    facts: &Facts,
    scorer: &Scorer,
    scaled: &Scaled<'_>,
    contenders: &[Contender],
) -> BTreeMap<Contender, f64> {
    let total = |contender: &Contender| {
        let (tests, simplicity) = fixed(facts, contender)?;
        let own = values(facts, Some(scaled.block), contender);
        let performance = scorer.performance(&own, &scaled.baseline)?;
        Some((contender.clone(), scorer.exact_total(&Criteria { tests, performance, simplicity })))
    };
    contenders.iter().filter_map(total).collect()
}

/// Who can still take part: open candidates, and the baseline unless it could not be measured.
fn contenders(facts: &Facts) -> Vec<Contender> {
    let refuted = advantage::refuted(facts);
    let variants = facts.candidates().into_iter().map(Contender::Variant).filter(|c| !refuted.contains_key(c));
    let judged = variants.filter(|c| facts.tests.get(c).is_some());
    let baseline = (!facts.ended.contains_key(&Contender::Baseline)).then_some(Contender::Baseline);
    judged.chain(baseline).collect()
}

/// Of these, those who race: the baseline does not where all others are known to keep a bound or to pass
/// a test that it fails. It would be out itself, were it a variant.
fn entrants(all: Vec<Contender>, gates: &Gates) -> Vec<Contender> {
    let mut variants = all.iter().filter_map(Contender::key).peekable();
    let excelled = variants.peek().is_some() && variants.all(|key| gates.grounds.contains_key(key));
    all.into_iter().filter(|c| c.key().is_some() || !excelled).collect()
}

/// What the facts settle now.
pub fn standing(facts: &Facts) -> Result<Standing, Error> {
    let rules = Rules::default();
    let all = contenders(facts);
    let gates = gates::judge(facts, &all, &rules)?;
    let out: BTreeSet<_> = gates.failed.iter().map(|(key, _)| Contender::Variant(key.clone())).collect();
    let eligible: Vec<_> = all.into_iter().filter(|c| !out.contains(c)).collect();
    let entrants = entrants(eligible, &gates);
    let scorer = Scorer::new(&facts.started.plan);
    let blocks = scaled(facts, &rules);
    let (race, dropped) = run_race(facts, &scorer, &blocks, &entrants, rules);
    let settled = settled(facts, &scorer, &blocks, &race, &entrants, &gates.uncertain);
    let control = controls::control(facts);
    let active = active(&race, entrants, &gates.uncertain, settled);
    let active = controls::accompanied(facts, &control, settled && race.is_decided(), active);
    let performance = scorer.performance_metrics().iter().cloned().collect();
    let dropped = if settled { dropped } else { Vec::new() };
    let Gates { failed, uncertain, claims, .. } = gates;
    let (doubted, brief) = (claims.doubted, claims.brief);
    Ok(Standing { active, failed, performance, uncertain, doubted, brief, settled, dropped, race, control })
}

type Uncertain = BTreeSet<(Contender, MetricName)>;

fn is_open(uncertain: &Uncertain, contender: &Contender) -> bool {
    uncertain.iter().any(|(who, _)| who == contender)
}

/// Those of whom no bound is open; the baseline has none of its own.
fn cleared(entrants: &[Contender], uncertain: &Uncertain) -> Vec<Contender> {
    entrants.iter().filter(|c| c.key().is_none() || !is_open(uncertain, c)).cloned().collect()
}

/// Whether open bounds can change nothing any more: a decided race whose survivors' bounds are known, and
/// who would be left as well if those whose bounds are open missed them. Who is beaten only by a
/// variant that then misses its bound is not beaten.
fn settled(
    facts: &Facts,
    scorer: &Scorer,
    blocks: &[Scaled<'_>],
    race: &Race,
    entrants: &[Contender],
    uncertain: &Uncertain,
) -> bool {
    if uncertain.iter().all(|(who, _)| who.key().is_none()) {
        return true;
    }
    let survivors = race.survivors();
    if !race.is_decided() || survivors.iter().any(|c| c.key().is_some() && is_open(uncertain, c)) {
        return false;
    }
    let sure = cleared(entrants, uncertain);
    let (without, _) = run_race(facts, scorer, blocks, &sure, race.rules().clone());
    without.is_decided() && without.survivors() == survivors
}

/// Who is measured next. Nobody is dropped while a bound is open that matters; once the race is decided,
/// the time that is left goes to those who lead with a bound open.
fn active(race: &Race, entrants: Vec<Contender>, uncertain: &Uncertain, settled: bool) -> Vec<Contender> {
    let survivors = race.survivors();
    if settled {
        return survivors;
    }
    let leaders: Vec<_> = survivors.iter().filter(|c| c.key().is_some() && is_open(uncertain, c)).cloned().collect();
    let mut active = if race.is_decided() && !leaders.is_empty() { leaders } else { entrants };
    if is_open(uncertain, &Contender::Baseline) && !active.contains(&Contender::Baseline) {
        active.push(Contender::Baseline);
    }
    active
}

fn run_race(
    facts: &Facts,
    scorer: &Scorer,
    blocks: &[Scaled<'_>],
    entrants: &[Contender],
    rules: Rules,
) -> (Race, Vec<(u32, Dropped)>) {
    let mut race = Race::new(rules, entrants);
    let mut dropped = Vec::new();
    for scaled in blocks {
        let totals = totals(facts, scorer, scaled, &race.survivors());
        let out = race.record(scaled.block.index, &totals);
        dropped.extend(out.into_iter().map(|d| (scaled.block.index, d)));
    }
    (race, dropped)
}

/// Each metric's value as tables show it: exact, or the 20 % trimmed mean over counted blocks.
pub fn displayed(facts: &Facts, contender: &Contender) -> BTreeMap<MetricName, Quantity> {
    let mut series: BTreeMap<MetricName, Vec<Quantity>> = BTreeMap::new();
    for block in counted(facts, &Rules::default()) {
        for slice in block.slices.iter().filter(|s| s.contender == *contender) {
            for reading in &slice.readings {
                let value = facts.clocks.value(block.index, slice, reading);
                series.entry(reading.metric.clone()).or_default().extend(value);
            }
        }
    }
    let mean = |values: Vec<Quantity>| middle(&values, |numbers| statistics::trimmed_mean(numbers, 0.2));
    let mut shown: BTreeMap<_, _> = series.into_iter().filter_map(|(m, v)| Some((m, mean(v)?))).collect();
    let exact = facts.exact.get(contender).into_iter().flatten();
    shown.extend(exact.map(|r| (r.metric.clone(), r.value)));
    shown
}

/// The scoreboard that the facts amount to, whenever measuring ended.
pub fn conclude(facts: &Facts) -> Result<Scoreboard, Error> {
    let rules = Rules::default();
    let standing = standing(facts)?;
    let scorer = Scorer::new(&facts.started.plan);
    let mut ended = facts.ended.clone();
    ended.extend(advantage::refuted(facts));
    let failed = standing.failed.iter().cloned();
    ended.extend(failed.map(|(key, reason)| (Contender::Variant(key), Outcome::Disqualified { reason })));
    let all: Vec<_> = contenders(facts).into_iter().filter(|c| !ended.contains_key(c)).collect();
    let gates = gates::judge(facts, &all, &rules)?;
    let blocks = scaled(facts, &rules);
    let table = Table { facts, scorer: &scorer, blocks: &blocks, ended: &ended, gates: &gates };
    let variants = facts.started.plan.variants.iter().map(|v| Contender::Variant(v.key.clone()));
    let rows = variants.chain([Contender::Baseline]).map(|contender| table.row(contender)).collect();
    let entrants = entrants(all, &gates);
    let seen: Vec<_> = blocks.iter().map(|b| (b.block.index, totals(facts, &scorer, b, &entrants))).collect();
    let (race, _) = run_race(facts, &scorer, &blocks, &entrants, rules);
    let sure = cleared(&entrants, &gates.uncertain);
    let (cleared, _) = run_race(facts, &scorer, &blocks, &sure, Rules::default());
    let bounds_known = settled(facts, &scorer, &blocks, &race, &entrants, &gates.uncertain);
    let decided = verdict::decide(verdict::Evidence {
        rows,
        race: &race,
        cleared: &cleared,
        blocks: &seen,
        bounds_known,
        require: facts.started.require,
        measured: u32::try_from(facts.blocks.len()).unwrap_or(u32::MAX),
        block: block_time(facts),
        seed: facts.started.seed,
    });
    Ok(controls::overruled(facts, &standing.control, decided.verified(advantage::checks(facts))))
}

/// What a block took at the median; nothing where none was measured.
pub fn block_time(facts: &Facts) -> Duration {
    let of = |block: &Block| block.slices.iter().map(|slice| slice.timing.wall.as_secs_f64()).sum::<f64>();
    let times: Vec<f64> = facts.blocks.iter().map(|block| of(block) / facts.at_once() as f64).collect();
    Duration::from_secs_f64(statistics::median(&times).unwrap_or(0.0))
}

/// What the rows of a scoreboard are made from.
struct Table<'a> {
    facts: &'a Facts,
    scorer: &'a Scorer,
    blocks: &'a [Scaled<'a>],
    ended: &'a BTreeMap<Contender, Outcome>,
    gates: &'a Gates,
}

impl Table<'_> {
    fn row(&self, contender: Contender) -> verdict::Row {
        let metrics = displayed(self.facts, &contender);
        let key = contender.key();
        let harvest = key.and_then(|k| self.facts.harvests.get(k));
        let (over_budget, unfinished) = harvest.map(|(h, _, over)| (*over, h.unfinished.clone())).unwrap_or_default();
        let outcome = self.ended.get(&contender).cloned().unwrap_or(Outcome::Eligible { over_budget, unfinished });
        let criteria = fixed(self.facts, &contender).and_then(|(tests, simplicity)| {
            Some(Criteria { tests, performance: self.performance(&contender)?, simplicity })
        });
        let total = criteria.filter(|_| outcome.is_eligible()).map(|c| self.scorer.total(&c));
        let mine = |(who, metric): &(Contender, MetricName)| (*who == contender).then(|| metric.clone());
        let open = if key.is_some() { self.gates.uncertain.iter().filter_map(mine).collect() } else { Vec::new() };
        let better = key.and_then(|key| self.gates.grounds.get(key)).cloned();
        let instructions = self.facts.tie_break.get(&contender).copied();
        verdict::Row { contender, outcome, criteria, total, metrics, open, better, instructions }
    }

    /// What the blocks say of Performance, each by its own scale, as the race took them: their 20 % trimmed mean. By
    /// the exact values alone where nothing varies.
    fn performance(&self, contender: &Contender) -> Option<Points> {
        let of = |scaled: &Scaled<'_>| {
            self.scorer.performance(&values(self.facts, Some(scaled.block), contender), &scaled.baseline)
        };
        let points: Vec<f64> = self.blocks.iter().filter_map(of).map(Points::get).collect();
        match statistics::trimmed_mean(&points, 0.2) {
            Some(mean) => Points::new(mean),
            None => {
                let exact = |who| values(self.facts, None, who);
                self.scorer.performance(&exact(contender), &exact(&Contender::Baseline))
            }
        }
    }
}
