//! The shadow baseline: the base commit in a second tree, measured wherever the baseline is, so
//! that a harness that treats two identical trees differently invalidates the run.

use std::sync::Arc;

use super::context::Run;
use super::journal::Facts;
use super::judging::{Judged, Judgement};
use super::replay;
use crate::adapters::metric::{Cadence, MetricSource};
use crate::domain::control::{Control, THRESHOLD};
use crate::domain::landing::{Landing, Withheld};
use crate::domain::measurement::Contender;
use crate::domain::plan::Plan;
use crate::domain::race::Rules;
use crate::domain::score::{self, Scorer};
use crate::domain::steady::Reports;
use crate::domain::trial::TestReport;
use crate::domain::verdict::{NoWinner, Scoreboard, Verdict};
use crate::error::Error;

/// A contender that is ready to be measured, with its tests.
type Ready = (Contender, Judged, TestReport);

/// What the blocks say about the harness.
pub fn control(facts: &Facts) -> Control {
    let (scorer, rules) = (Scorer::new(&facts.started.plan), Rules::default());
    let mut control = Control::new(&rules);
    let pair = [Contender::Baseline, Contender::Shadow];
    for scaled in &replay::scaled(facts, &rules) {
        control.record(scaled.block.index, &replay::totals(facts, &scorer, scaled, &pair));
    }
    control
}

/// Those who are measured next with the shadow among them wherever the baseline is; the two alone
/// where nobody else has to be measured and they are suspected to differ.
pub fn accompanied(facts: &Facts, control: &Control, race_over: bool, mut active: Vec<Contender>) -> Vec<Contender> {
    let shadow = Contender::Shadow;
    let there = facts.tests.get(&shadow).is_some() && !facts.ended.contains_key(&shadow);
    let baseline = !facts.ended.contains_key(&Contender::Baseline);
    if !there || !baseline {
        return active;
    }
    if control.is_suspected() {
        if race_over {
            active.clear();
        }
        if !active.contains(&Contender::Baseline) {
            active.push(Contender::Baseline);
        }
    }
    if active.contains(&Contender::Baseline) {
        active.push(shadow);
    }
    active
}

/// The scoreboard, without a winner where the harness is known to be biased.
pub fn overruled(facts: &Facts, control: &Control, scoreboard: Scoreboard) -> Scoreboard {
    match control.support(facts.started.seed).filter(|_| control.is_biased()) {
        Some(support) => {
            let verdict = Verdict::NoWinner { reason: NoWinner::HarnessBiased { support } };
            let landing = Some(Landing::Nothing { why: Withheld::NoWinner });
            Scoreboard { verdict, landing, outlook: None, ..scoreboard }
        }
        None => scoreboard,
    }
}

/// Whether two trees of the base can be compared: something that the race scores is measured in every block.
pub fn has_shadow(plan: &Plan, sources: &[Arc<dyn MetricSource>]) -> bool {
    let performance = &plan.weights.performance;
    let scored: Vec<_> = score::selected(performance.selection(), &plan.metrics).collect();
    let scores = |metric: &_| scored.iter().any(|s| s.name == *metric);
    let mut each = sources.iter().filter(|source| source.cadence() == Cadence::EachBlock);
    performance.percent > 0.0 && each.any(|source| source.metrics().iter().any(scores))
}

impl Run {
    /// Whether two trees of the base can be compared.
    pub fn has_shadow(&self) -> bool {
        has_shadow(self.plan(), &self.ports.sources)
    }

    /// Judges the base once more, where there is something to compare.
    pub async fn judge_shadow(&self, facts: &Facts) -> Result<Option<Ready>, Error> {
        let contender = Contender::Shadow;
        let out = [Contender::Baseline, Contender::Shadow].iter().any(|one| facts.ended.contains_key(one));
        if !self.has_shadow() || out {
            return Ok(None);
        }
        match self.judge(&contender, &self.started.base.0, facts.tests.get(&contender)).await? {
            Judgement::Ready(tree, report) => Ok(Some((contender, *tree, report))),
            Judgement::Broken(reason) => Err(Error::machine(format!("the shadow baseline can't be judged: {reason}"))
                .hint(LOOK)
                .hint("suites must not share a port, a file or a name with a run of their own beside them")),
        }
    }

    /// Tells of tests that do not agree with themselves: they say nothing about a variant.
    pub fn warn_of_unsteady_tests(&self, reports: &Reports) {
        let names = reports.unsteady().names();
        let all = reports.get(&Contender::Baseline).map_or(0, TestReport::counted);
        if let Some(first) = names.first() {
            self.warn(format!(
                "{} of {all} tests came out differently on the baseline and on its shadow, so that they say nothing \
                 about a variant and decide nothing: {first}{}",
                names.len(),
                if names.len() > 1 { ", …" } else { "" }
            ));
        }
    }

    /// Tells of a suspicion that the time was too short for.
    pub fn warn_of_suspicion(&self, facts: &Facts) {
        let control = control(facts);
        if control.is_suspected() {
            self.warn(format!(
                "the baseline and its shadow seem to differ (E = {:.0} after {} blocks, and {THRESHOLD:.0} would \
                 invalidate the run): {LOOK}",
                control.e_value(),
                control.counted(),
            ));
        }
    }
}

/// What to do about two identical trees that do not come out alike.
pub const LOOK: &str = "look for what differs between two identical trees: what an earlier run left behind, their order, \
     a port, the length of a path, a cache, the name in BLUEPRINT_VARIANT";
