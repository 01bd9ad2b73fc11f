//! From the journal's facts to the decision, and nothing else: the same function decides while a
//! run is measuring and when its journal is read again later.

use std::collections::{BTreeMap, BTreeSet};

use super::controls;
use super::journal::Facts;
use crate::domain::bounds::{self, BoundTest};
use crate::domain::control::Control;
use crate::domain::measurement::{Block, Contender, MetricName};
use crate::domain::plan::{MetricBound, VariantKey};
use crate::domain::quantity::{Limit, Quantity};
use crate::domain::race::{Dropped, Race, Rules};
use crate::domain::score::{self, Criteria, Points, Scorer};
use crate::domain::statistics;
use crate::domain::trial::{ChangeSize, Disqualification, Outcome};
use crate::domain::verdict::{self, Scoreboard};
use crate::error::Error;

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
fn values(facts: &Facts, block: Option<&Block>, contender: &Contender) -> BTreeMap<MetricName, Quantity> {
    let exact = facts.exact.get(contender.stands_for()).into_iter().flatten();
    let slices = block.into_iter().flat_map(|b| &b.slices).filter(|s| s.contender == *contender);
    let read = slices.flat_map(|s| s.readings.iter().map(move |r| (s, r)));
    let read = read.filter_map(|(s, r)| Some((r.metric.clone(), facts.clocks.value(s, r)?)));
    exact.map(|r| (r.metric.clone(), r.value)).chain(read).collect()
}

/// The baseline's values before the first counted block: what relative bounds earn their half
/// points by. Fixed before anything is decided.
fn reference(facts: &Facts) -> BTreeMap<MetricName, Quantity> {
    values(facts, facts.blocks.first(), &Contender::Baseline)
}

pub(super) fn scorer(facts: &Facts) -> Scorer {
    Scorer::new(&facts.started.plan, &reference(facts))
}

/// Tests and simplicity of a contender; they do not vary.
fn fixed(facts: &Facts, contender: &Contender) -> Option<(Points, Points)> {
    let tests = score::tests_points(facts.tests.get(contender.stands_for())?)?;
    let size = match contender {
        Contender::Baseline | Contender::Shadow => ChangeSize { nesting_surplus: 1.0, ..ChangeSize::default() },
        Contender::Variant(key) => facts.harvests.get(key)?.1.clone(),
    };
    Some((tests, score::simplicity_points(&size)))
}

/// The unrounded total of each contender in one block, where it has one.
pub(super) fn totals(
    facts: &Facts,
    scorer: &Scorer,
    block: &Block,
    contenders: &[Contender],
) -> BTreeMap<Contender, f64> {
    let total = |contender: &Contender| {
        let (tests, simplicity) = fixed(facts, contender)?;
        let performance = scorer.performance(&values(facts, Some(block), contender))?;
        Some((contender.clone(), scorer.exact_total(&Criteria { tests, performance, simplicity })))
    };
    contenders.iter().filter_map(total).collect()
}

/// Who can still take part: the baseline unless it could not be measured, and open candidates.
fn contenders(facts: &Facts) -> Vec<Contender> {
    let variants = facts.candidates().into_iter().map(Contender::Variant);
    let judged = variants.filter(|c| facts.tests.contains_key(c));
    let baseline = (!facts.ended.contains_key(&Contender::Baseline)).then_some(Contender::Baseline);
    judged.chain(baseline).collect()
}

/// What the facts settle now.
pub fn standing(facts: &Facts) -> Result<Standing, Error> {
    let rules = Rules::default();
    let all = contenders(facts);
    let (failed, uncertain) = judge_bounds(facts, &all, &rules)?;
    let out: BTreeSet<_> = failed.iter().map(|(key, _)| Contender::Variant(key.clone())).collect();
    let entrants: Vec<_> = all.into_iter().filter(|c| !out.contains(c)).collect();
    let scorer = scorer(facts);
    let (race, dropped) = run_race(facts, &scorer, &entrants, rules);
    let settled = settled(facts, &scorer, &race, &entrants, &uncertain);
    let control = controls::control(facts);
    let active = active(&race, entrants, &uncertain, settled);
    let active = controls::accompanied(facts, &control, settled && race.is_decided(), active);
    let performance = scorer.performance_metrics().iter().cloned().collect();
    let dropped = if settled { dropped } else { Vec::new() };
    Ok(Standing { active, failed, performance, uncertain, settled, dropped, race, control })
}

type Uncertain = BTreeSet<(Contender, MetricName)>;

fn is_open(uncertain: &Uncertain, contender: &Contender) -> bool {
    uncertain.iter().any(|(who, _)| who == contender)
}

/// Whether open bounds can change nothing any more: a decided race whose survivors' bounds are known, and
/// who would be left as well if those whose bounds are open missed them. Who is beaten only by a
/// variant that then misses its bound is not beaten.
fn settled(facts: &Facts, scorer: &Scorer, race: &Race, entrants: &[Contender], uncertain: &Uncertain) -> bool {
    if uncertain.iter().all(|(who, _)| who.key().is_none()) {
        return true;
    }
    let survivors = race.survivors();
    if !race.is_decided() || survivors.iter().any(|c| c.key().is_some() && is_open(uncertain, c)) {
        return false;
    }
    let sure = |c: &&Contender| c.key().is_none() || !is_open(uncertain, c);
    let sure: Vec<_> = entrants.iter().filter(sure).cloned().collect();
    let (without, _) = run_race(facts, scorer, &sure, race.rules().clone());
    without.is_decided() && without.survivors() == survivors
}

/// Who is measured next. Nobody is dropped while a bound is open that matters; once the race is decided,
/// the time that is left goes to those who lead with a bound open.
fn active(race: &Race, entrants: Vec<Contender>, uncertain: &Uncertain, settled: bool) -> Vec<Contender> {
    let survivors = race.survivors();
    let leaders: Vec<_> = survivors.iter().filter(|c| c.key().is_some() && is_open(uncertain, c)).cloned().collect();
    if settled {
        survivors
    } else if race.is_decided() && !leaders.is_empty() {
        let relative = is_open(uncertain, &Contender::Baseline).then_some(Contender::Baseline);
        leaders.into_iter().chain(relative).collect()
    } else {
        entrants
    }
}

fn run_race(facts: &Facts, scorer: &Scorer, entrants: &[Contender], rules: Rules) -> (Race, Vec<(u32, Dropped)>) {
    let mut race = Race::new(rules, entrants);
    let mut dropped = Vec::new();
    for block in &facts.blocks {
        let totals = totals(facts, scorer, block, &race.survivors());
        let out = race.record(block.index, &totals);
        dropped.extend(out.into_iter().map(|d| (block.index, d)));
    }
    (race, dropped)
}

type BoundsSoFar = (Vec<(VariantKey, Disqualification)>, Uncertain);

/// Every candidate's bounds: those known to be missed, and those not known yet.
fn judge_bounds(facts: &Facts, contenders: &[Contender], rules: &Rules) -> Result<BoundsSoFar, Error> {
    let mut failed = Vec::new();
    let mut uncertain = BTreeSet::new();
    // Controls are to come out like the baseline, which may well miss its bounds.
    let contenders = if facts.started.rehearsal { &[] } else { contenders };
    for contender in contenders {
        let Some(key) = contender.key() else { continue };
        let mut missed = None;
        for metric in &facts.started.plan.metrics {
            match standing_of(facts, contender, metric, rules)? {
                bounds::Standing::Passed => {}
                bounds::Standing::Failed => missed = missed.or(Some(metric)),
                bounds::Standing::Uncertain => {
                    uncertain.insert((contender.clone(), metric.name.clone()));
                    if matches!(metric.bound.limit, Limit::Relative(_)) {
                        uncertain.insert((Contender::Baseline, metric.name.clone()));
                    }
                }
            }
        }
        if let Some(metric) = missed {
            uncertain.retain(|(who, _)| who != contender);
            failed.push((key.clone(), broken(facts, contender, metric)));
        }
    }
    if uncertain.iter().all(|(who, _)| *who == Contender::Baseline) {
        uncertain.clear();
    }
    Ok((failed, uncertain))
}

fn broken(facts: &Facts, contender: &Contender, metric: &MetricBound) -> Disqualification {
    match displayed(facts, contender).get(&metric.name) {
        Some(value) => {
            Disqualification::BoundBroken { metric: metric.name.clone(), bound: metric.bound, value: *value }
        }
        None => Disqualification::InvalidMeasurement { message: format!("{} has no value", metric.name) },
    }
}

fn standing_of(
    facts: &Facts,
    contender: &Contender,
    metric: &MetricBound,
    rules: &Rules,
) -> Result<bounds::Standing, Error> {
    let wrong = |error: crate::domain::quantity::QuantityError| Error::usage(format!("{}: {error}", metric.name));
    let exact = |who: &Contender| {
        let readings = facts.exact.get(who).into_iter().flatten();
        readings.filter(|r| r.metric == metric.name).map(|r| r.value).next()
    };
    if let Some(value) = exact(contender) {
        let held = metric.bound.holds(value, exact(&Contender::Baseline)).map_err(wrong)?;
        return Ok(bounds::Standing::of_exact(held));
    }
    let mut test = BoundTest::new();
    for block in facts.blocks.iter().filter(|b| b.index >= rules.warmup) {
        let baseline = values(facts, Some(block), &Contender::Baseline).get(&metric.name).copied();
        let needs_baseline = matches!(metric.bound.limit, Limit::Relative(_));
        let Some(value) = values(facts, Some(block), contender).get(&metric.name).copied() else { continue };
        if needs_baseline && baseline.is_none() {
            continue;
        }
        test.record(metric.bound.holds(value, baseline).map_err(wrong)?);
    }
    Ok(test.standing())
}

/// Each metric's value as tables show it: exact, or the 20 % trimmed mean over counted blocks.
pub fn displayed(facts: &Facts, contender: &Contender) -> BTreeMap<MetricName, Quantity> {
    let warmup = Rules::default().warmup;
    let mut series: BTreeMap<MetricName, Vec<Quantity>> = BTreeMap::new();
    for block in facts.blocks.iter().filter(|b| b.index >= warmup) {
        for slice in block.slices.iter().filter(|s| s.contender == *contender) {
            for reading in &slice.readings {
                let value = facts.clocks.value(slice, reading);
                series.entry(reading.metric.clone()).or_default().extend(value);
            }
        }
    }
    let mean = |values: Vec<Quantity>| {
        let numbers: Vec<_> = values.iter().map(|v| v.value()).collect();
        Quantity::new(statistics::trimmed_mean(&numbers, 0.2)?, values.first()?.dimension())
    };
    let mut shown: BTreeMap<_, _> = series.into_iter().filter_map(|(m, v)| Some((m, mean(v)?))).collect();
    let exact = facts.exact.get(contender).into_iter().flatten();
    shown.extend(exact.map(|r| (r.metric.clone(), r.value)));
    shown
}

/// The scoreboard that the facts amount to, whenever measuring ended.
pub fn conclude(facts: &Facts) -> Result<Scoreboard, Error> {
    let standing = standing(facts)?;
    let scorer = scorer(facts);
    let mut ended = facts.ended.clone();
    let failed = standing.failed.iter().cloned();
    ended.extend(failed.map(|(key, reason)| (Contender::Variant(key), Outcome::Disqualified { reason })));
    for (contender, metric) in &standing.uncertain {
        // The time ended before the bound was known: the value as shown decides, and the verdict
        // can't be a supported one.
        let bound = facts.started.plan.metrics.iter().find(|m| m.name == *metric);
        let (Some(bound), Some(_)) = (bound, contender.key()) else { continue };
        let baseline = displayed(facts, &Contender::Baseline).get(metric).copied();
        let value = displayed(facts, contender).get(metric).copied();
        let held = value.is_some_and(|v| bound.bound.holds(v, baseline).unwrap_or(false));
        if !held {
            let reason = broken(facts, contender, bound);
            ended.entry(contender.clone()).or_insert(Outcome::Disqualified { reason });
        }
    }
    let variants = facts.started.plan.variants.iter().map(|v| Contender::Variant(v.key.clone()));
    let rows = variants.chain([Contender::Baseline]).map(|contender| row(facts, &scorer, contender, &ended)).collect();
    let entrants: Vec<_> = contenders(facts).into_iter().filter(|c| !ended.contains_key(c)).collect();
    let blocks: Vec<_> = facts.blocks.iter().map(|b| (b.index, totals(facts, &scorer, b, &entrants))).collect();
    let (race, _) = run_race(facts, &scorer, &entrants, Rules::default());
    let mut uncertain = standing.uncertain;
    uncertain.retain(|(who, _)| !ended.contains_key(who));
    let bounds_known = settled(facts, &scorer, &race, &entrants, &uncertain);
    let decided = verdict::decide(verdict::Evidence {
        rows,
        race: &race,
        blocks: &blocks,
        bounds_known,
        require_supported: facts.started.require_supported,
        seed: facts.started.seed,
    });
    Ok(controls::overruled(facts, &standing.control, decided))
}

fn row(facts: &Facts, scorer: &Scorer, contender: Contender, ended: &BTreeMap<Contender, Outcome>) -> verdict::Row {
    let metrics = displayed(facts, &contender);
    let harvest = contender.key().and_then(|k| facts.harvests.get(k));
    let (over_budget, unfinished) = harvest.map(|(h, _, over)| (*over, h.unfinished.clone())).unwrap_or_default();
    let outcome = ended.get(&contender).cloned().unwrap_or(Outcome::Eligible { over_budget, unfinished });
    let criteria = fixed(facts, &contender).and_then(|(tests, simplicity)| {
        Some(Criteria { tests, performance: scorer.performance(&metrics)?, simplicity })
    });
    let total = criteria.filter(|_| outcome.is_eligible()).map(|c| scorer.total(&c));
    verdict::Row { contender, outcome, criteria, total, metrics }
}
