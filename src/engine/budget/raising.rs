//! A run whose budget ended before all work items were carried out goes on with a larger one: with the variants that are
//! unfinished, from where they are, and no step that was carried out is repeated.

use crate::adapters::agent::AgentEnd;
use crate::domain::budget::Caps;
use crate::domain::measurement::Contender;
use crate::domain::plan::VariantKey;
use crate::domain::quantity::{Tokens, show_duration};
use crate::domain::timed::Clocks;
use crate::domain::trial::{Disqualification, Outcome, Usage};
use crate::engine::state::Facts;
use crate::error::Error;

impl Facts {
    /// Variants of which work items are missing, or that a cap ended before they had written anything.
    pub fn unfinished(&self) -> Vec<VariantKey> {
        let is_out = |key: &VariantKey| {
            let ended = self.seen.ended.get(&Contender::Variant(key.clone()));
            matches!(
                ended,
                Some(Outcome::Disqualified {
                    reason: Disqualification::Unfinished { .. } | Disqualification::OverBudget { .. }
                })
            )
        };
        let judged = |key: &VariantKey| {
            let harvest = self.seen.harvests.get(key).is_some_and(|(harvest, ..)| !harvest.unfinished.is_empty());
            harvest && !self.seen.ended.contains_key(&Contender::Variant(key.clone()))
        };
        let all = self.seen.started.plan.variants.iter().map(|variant| variant.key.clone());
        all.filter(|key| is_out(key) || judged(key)).collect()
    }

    /// Why a run can't go on with these caps; none where it can.
    pub fn may_be_raised(&self, caps: &Caps) -> Result<(), Error> {
        let run = &self.seen.started.run;
        let refuse = |why: String| Err(Error::refused(format!("run {run} can't go on with another budget: {why}")));
        if self.seen.started.rehearsal || self.seen.started.trying {
            return refuse("no variant took part in it".to_owned());
        }
        if let Some(commit) = &self.landed {
            return refuse(format!("it has landed as {}", commit.short()));
        }
        if self.unfinished().is_empty() {
            return refuse("no variant of it is unfinished".to_owned());
        }
        let usage = self.usage();
        let spent = usage.values().fold(Tokens::ZERO, |sum, usage| sum.saturating_add(usage.total()));
        if caps.session.is_some_and(|cap| cap <= spent) {
            return refuse(format!("{spent} tokens are spent, so a session needs a cap above that"));
        }
        if caps.time.is_some_and(|cap| cap <= self.elapsed) {
            return refuse(format!(
                "it took {} so far, and its time cap counts from its start",
                show_duration(self.elapsed)
            ));
        }
        Ok(())
    }

    /// Takes larger caps: what is unfinished is open again.
    pub(in crate::engine) fn raise(&mut self, caps: &Caps) {
        let budget = &mut self.seen.started.plan.budget;
        budget.session_tokens = caps.session.or(budget.session_tokens);
        budget.step_tokens = caps.step.or(budget.step_tokens);
        budget.time_cap = caps.time.or(budget.time_cap);
        for key in self.unfinished() {
            let contender = Contender::Variant(key.clone());
            self.seen.ended.remove(&contender);
            self.seen.harvests.remove(&key);
            self.seen.tests.remove(&contender);
            self.seen.exact.remove(&contender);
            let steps = self.steps.get(&key).into_iter().flatten().enumerate();
            let cut = steps.filter(|(_, (_, report))| report.end != AgentEnd::Finished).map(|(step, _)| step);
            let cut: Vec<_> = cut.collect();
            self.cut.extend(cut.into_iter().map(|step| (key.clone(), step)));
        }
        // Those who go on were not measured beside the others, and are compared with them in the same blocks.
        self.seen.blocks.clear();
        (self.discarded, self.seen.clocks) = (0, Clocks::default());
        self.seen.fresh.clear();
        self.seen.tie_break.clear();
        (self.scoreboard, self.finished) = (None, false);
        // The end that was recorded is not the end any more.
        (self.recording, self.recorded) = (None, None);
    }

    /// Takes a step. One that was cut and gone on with has used what both times took.
    pub(in crate::engine) fn stepped(&mut self, key: VariantKey, step: usize, done: crate::engine::state::Done) {
        let (commit, mut report) = done;
        self.tips.insert(key.clone(), commit.clone());
        self.cut.remove(&(key.clone(), step));
        let counted = self.calls.by_step().contains_key(&(key.clone(), step));
        let steps = self.steps.entry(key).or_default();
        match steps.get_mut(step) {
            Some(known) => {
                let before = if counted { Usage::default() } else { known.1.usage };
                report.usage = before.plus(report.usage);
                *known = (commit, report);
            }
            None => steps.push((commit, report)),
        }
    }
}

#[cfg(test)]
mod tests;
