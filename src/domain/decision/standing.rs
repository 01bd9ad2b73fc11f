//! What the blocks so far have settled: who races, who left, which bounds are open, who is measured next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::gates::{self, Gates};
use super::seen::Seen;
use super::values::{Scaled, scaled, totals};
use super::{Incomparable, advantage, shadow};
use crate::domain::control::Control;
use crate::domain::measurement::{Contender, MetricName};
use crate::domain::plan::VariantKey;
use crate::domain::race::{Dropped, Race, Rules};
use crate::domain::score::Scorer;
use crate::domain::trial::Disqualification;

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

/// Who can still take part: open candidates, and the baseline unless it could not be measured.
pub(super) fn contenders(seen: &Seen) -> Vec<Contender> {
    let refuted = advantage::refuted(seen);
    let variants = seen.candidates().into_iter().map(Contender::Variant).filter(|c| !refuted.contains_key(c));
    let judged = variants.filter(|c| seen.tests.get(c).is_some());
    let baseline = (!seen.ended.contains_key(&Contender::Baseline)).then_some(Contender::Baseline);
    judged.chain(baseline).collect()
}

/// Of these, those who race: the baseline does not where all others are known to keep a bound or to pass
/// a test that it fails. It would be out itself, were it a variant.
pub(super) fn entrants(all: Vec<Contender>, gates: &Gates) -> Vec<Contender> {
    let mut variants = all.iter().filter_map(Contender::key).peekable();
    let excelled = variants.peek().is_some() && variants.all(|key| gates.grounds.contains_key(key));
    all.into_iter().filter(|c| c.key().is_some() || !excelled).collect()
}

/// What is settled now.
pub fn standing(seen: &Seen) -> Result<Standing, Incomparable> {
    let rules = Rules::default();
    let all = contenders(seen);
    let gates = gates::judge(seen, &all, &rules)?;
    let out: BTreeSet<_> = gates.failed.iter().map(|(key, _)| Contender::Variant(key.clone())).collect();
    let eligible: Vec<_> = all.into_iter().filter(|c| !out.contains(c)).collect();
    let entrants = entrants(eligible, &gates);
    let scorer = Scorer::new(&seen.started.plan);
    let blocks = scaled(seen, &rules);
    let (race, dropped) = run_race(seen, &scorer, &blocks, &entrants, rules);
    let settled = settled(seen, &scorer, &blocks, &race, &entrants, &gates.uncertain);
    let control = shadow::control(seen);
    let active = active(&race, entrants, &gates.uncertain, settled);
    let active = shadow::accompanied(seen, &control, settled && race.is_decided(), active);
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
pub(super) fn cleared(entrants: &[Contender], uncertain: &Uncertain) -> Vec<Contender> {
    entrants.iter().filter(|c| c.key().is_none() || !is_open(uncertain, c)).cloned().collect()
}

/// Whether open bounds can change nothing any more: a decided race whose survivors' bounds are known, and
/// who would be left as well if those whose bounds are open missed them. Who is beaten only by a
/// variant that then misses its bound is not beaten.
pub(super) fn settled(
    seen: &Seen,
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
    let (without, _) = run_race(seen, scorer, blocks, &sure, race.rules().clone());
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

pub(super) fn run_race(
    seen: &Seen,
    scorer: &Scorer,
    blocks: &[Scaled<'_>],
    entrants: &[Contender],
    rules: Rules,
) -> (Race, Vec<(u32, Dropped)>) {
    let mut race = Race::new(rules, entrants);
    let mut dropped = Vec::new();
    for scaled in blocks {
        let totals = totals(seen, scorer, scaled, &race.survivors());
        let out = race.record(scaled.block.index, &totals);
        dropped.extend(out.into_iter().map(|d| (scaled.block.index, d)));
    }
    (race, dropped)
}
