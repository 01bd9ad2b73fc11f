//! The shadow baseline: the base commit in a second tree, measured wherever the baseline is, so
//! that a harness that treats two identical trees differently invalidates the run.

use std::sync::Arc;

use crate::adapters::metric::{Cadence, MetricSource};
use crate::domain::control::THRESHOLD;
use crate::domain::decision;
use crate::domain::measurement::Contender;
use crate::domain::plan::Plan;
use crate::domain::score;
use crate::domain::steady::Reports;
use crate::domain::trial::TestReport;
use crate::engine::judge::Judging;
use crate::engine::judge::tree::{Judged, Judgement};
use crate::engine::state::Facts;
use crate::error::Error;

/// A contender that is ready to be measured, with its tests.
type Ready = (Contender, Judged, TestReport);

/// Whether two trees of the base can be compared: something that the race scores is measured in every block.
pub fn has_shadow(plan: &Plan, sources: &[Arc<dyn MetricSource>]) -> bool {
    let performance = &plan.weights.performance;
    let scored: Vec<_> = score::selected(performance.selection(), &plan.metrics).collect();
    let scores = |metric: &_| scored.iter().any(|s| s.name == *metric);
    let mut each = sources.iter().filter(|source| source.cadence() == Cadence::EachBlock);
    performance.percent > 0.0 && each.any(|source| source.metrics().iter().any(scores))
}

impl Judging {
    /// Whether two trees of the base can be compared.
    pub fn has_shadow(&self) -> bool {
        has_shadow(self.run.plan(), &self.sources)
    }

    /// Judges the base once more, where there is something to compare.
    pub(crate) async fn judge_shadow(&self, facts: &Facts) -> Result<Option<Ready>, Error> {
        let contender = Contender::Shadow;
        let out = [Contender::Baseline, Contender::Shadow].iter().any(|one| facts.seen.ended.contains_key(one));
        if !self.has_shadow() || out {
            return Ok(None);
        }
        match self.judge(&contender, &self.run.started.base.0, facts.seen.tests.get(&contender)).await? {
            Judgement::Ready(tree, report) => Ok(Some((contender, *tree, report))),
            Judgement::Broken(reason) => Err(Error::machine(format!("the shadow baseline can't be judged: {reason}"))
                .hint(LOOK)
                .hint("suites must not share a port, a file or a name with a run of their own beside them")),
        }
    }

    /// Tells of tests that do not agree with themselves: they say nothing about a variant.
    pub(crate) fn warn_of_unsteady_tests(&self, reports: &Reports) {
        let names = reports.unsteady().names();
        let all = reports.get(&Contender::Baseline).map_or(0, TestReport::counted);
        if let Some(first) = names.first() {
            self.run.warn(format!(
                "{} of {all} tests came out differently on the baseline and on its shadow, so that they say nothing \
                 about a variant and decide nothing: {first}{}",
                names.len(),
                if names.len() > 1 { ", …" } else { "" }
            ));
        }
    }

    /// Tells of a suspicion that the time was too short for.
    pub(crate) fn warn_of_suspicion(&self, facts: &Facts) {
        let control = decision::control(&facts.seen);
        if control.is_suspected() {
            self.run.warn(format!(
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

#[cfg(test)]
mod tests;
