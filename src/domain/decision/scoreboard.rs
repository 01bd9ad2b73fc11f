//! The scoreboard that was seen: rows, verdict, and what may land by it.

use std::collections::BTreeMap;

use super::gates::{self, Gates};
use super::seen::Seen;
use super::standing::{cleared, contenders, entrants, run_race, settled, standing};
use super::values::{Scaled, block_time, displayed, fixed, scaled, totals, values};
use super::{Incomparable, advantage, shadow};
use crate::domain::landing::{Landing, Require, Withheld};
use crate::domain::measurement::{Contender, MetricName};
use crate::domain::plan::VariantKey;
use crate::domain::race::Rules;
use crate::domain::score::{Criteria, Points, Scorer};
use crate::domain::scoreboard::{self, Scoreboard};
use crate::domain::statistics;
use crate::domain::trial::Outcome;
use crate::domain::verdict::Row;

/// The scoreboard that what was seen amounts to, whenever measuring ended.
pub fn conclude(seen: &Seen) -> Result<Scoreboard, Incomparable> {
    let rules = Rules::default();
    let standing = standing(seen)?;
    let scorer = Scorer::new(&seen.started.plan);
    let mut ended = seen.ended.clone();
    ended.extend(advantage::refuted(seen));
    let failed = standing.failed.iter().cloned();
    ended.extend(failed.map(|(key, reason)| (Contender::Variant(key), Outcome::Disqualified { reason })));
    let all: Vec<_> = contenders(seen).into_iter().filter(|c| !ended.contains_key(c)).collect();
    let gates = gates::judge(seen, &all, &rules)?;
    let blocks = scaled(seen, &rules);
    let table = Table { seen, scorer: &scorer, blocks: &blocks, ended: &ended, gates: &gates };
    let variants = seen.started.plan.variants.iter().map(|v| Contender::Variant(v.key.clone()));
    let rows = variants.chain([Contender::Baseline]).map(|contender| table.row(contender)).collect();
    let entrants = entrants(all, &gates);
    let each: Vec<_> = blocks.iter().map(|b| (b.block.index, totals(seen, &scorer, b, &entrants))).collect();
    let (race, _) = run_race(seen, &scorer, &blocks, &entrants, rules);
    let sure = cleared(&entrants, &gates.uncertain);
    let (cleared, _) = run_race(seen, &scorer, &blocks, &sure, Rules::default());
    let bounds_known = settled(seen, &scorer, &blocks, &race, &entrants, &gates.uncertain);
    let decided = scoreboard::decide(scoreboard::Evidence {
        rows,
        race: &race,
        cleared: &cleared,
        blocks: &each,
        bounds_known,
        require: seen.started.require,
        measured: u32::try_from(seen.blocks.len()).unwrap_or(u32::MAX),
        block: block_time(seen),
        seed: seen.started.seed,
    });
    let verified = decided.verified(advantage::checks(seen));
    Ok(shadow::overruled(seen, &standing.control, unsuspicious(seen, verified)))
}

/// Without a landing, where a change that may not be suspicious is. Who is next does not land instead: a suspicion speaks
/// against a change and never for another.
fn unsuspicious(seen: &Seen, board: Scoreboard) -> Scoreboard {
    let asked = seen.started.require == Require::Unsuspicious;
    let is = |key: &VariantKey| seen.harvests.get(key).is_some_and(|(_, size, _)| !size.suspicions.is_empty());
    match board.lands() {
        Some(key) if asked && is(key) => {
            Scoreboard { landing: Some(Landing::Nothing { why: Withheld::Suspicious }), ..board }
        }
        _ => board,
    }
}

/// What the rows of a scoreboard are made from.
struct Table<'a> {
    seen: &'a Seen,
    scorer: &'a Scorer,
    blocks: &'a [Scaled<'a>],
    ended: &'a BTreeMap<Contender, Outcome>,
    gates: &'a Gates,
}

impl Table<'_> {
    fn row(&self, contender: Contender) -> Row {
        let metrics = displayed(self.seen, &contender);
        let key = contender.key();
        let harvest = key.and_then(|k| self.seen.harvests.get(k));
        let (over_budget, unfinished) = harvest.map(|(h, _, over)| (*over, h.unfinished.clone())).unwrap_or_default();
        let outcome = self.ended.get(&contender).cloned().unwrap_or(Outcome::Eligible { over_budget, unfinished });
        let criteria = fixed(self.seen, &contender).and_then(|(tests, simplicity)| {
            Some(Criteria { tests, performance: self.performance(&contender)?, simplicity })
        });
        let total = criteria.filter(|_| outcome.is_eligible()).map(|c| self.scorer.total(&c));
        let mine = |(who, metric): &(Contender, MetricName)| (*who == contender).then(|| metric.clone());
        let open = if key.is_some() { self.gates.uncertain.iter().filter_map(mine).collect() } else { Vec::new() };
        let better = key.and_then(|key| self.gates.grounds.get(key)).cloned();
        let instructions = self.seen.tie_break.get(&contender).copied();
        Row { contender, outcome, criteria, total, metrics, open, better, instructions }
    }

    /// What the blocks say of Performance, each by its own scale, as the race took them: their 20 % trimmed mean. By
    /// the exact values alone where nothing varies.
    fn performance(&self, contender: &Contender) -> Option<Points> {
        let of = |scaled: &Scaled<'_>| {
            self.scorer.performance(&values(self.seen, Some(scaled.block), contender), &scaled.baseline)
        };
        let points: Vec<f64> = self.blocks.iter().filter_map(of).map(Points::get).collect();
        match statistics::trimmed_mean(&points, 0.2) {
            Some(mean) => Points::new(mean),
            None => {
                let exact = |who| values(self.seen, None, who);
                self.scorer.performance(&exact(contender), &exact(&Contender::Baseline))
            }
        }
    }
}
