//! A run that starts with what another one wrote: where the plan asks for the same, a variant's work is
//! replayed onto the target as it is now, and no agent is called for it.

use crate::adapters::git::{CommitId, ReplayOrder};
use crate::domain::event::Event;
use crate::domain::measurement::Contender;
use crate::domain::plan::{Plan, Variant};
use crate::domain::trial::Harvest;
use crate::engine::implement::Implementing;
use crate::engine::implement::trial::Course;
use crate::engine::state::Facts;
use crate::error::Error;

impl Implementing {
    /// Takes over what an earlier run wrote for the variants that this one has as well. Work that does not
    /// fit the target any more, or that was not carried out to its end, is done anew.
    pub async fn take_over(&self, earlier: &Facts) -> Result<(), Error> {
        let mut reused = Vec::new();
        for variant in &self.run.plan().variants {
            if !asks_for_the_same(&earlier.seen.started.plan, self.run.plan(), variant) {
                continue;
            }
            let Some((harvest, _, over_budget)) = earlier.seen.harvests.get(&variant.key) else { continue };
            if !harvest.unfinished.is_empty() && !self.settings.judge_unfinished {
                continue;
            }
            let Some(commit) = self.replayed(earlier, variant, harvest).await? else {
                self.run.warn(format!(
                    "{}: what run {} wrote does not fit `{}` any more and is done anew",
                    variant.key, earlier.seen.started.run, self.run.started.target
                ));
                continue;
            };
            let course = Course::of(harvest.unfinished.clone(), *over_budget);
            self.harvested(variant, commit, &course).await?;
            reused.push(variant.key.to_string());
        }
        let text = match reused.as_slice() {
            [] => format!("nothing of run {}", earlier.seen.started.run),
            keys => format!("{} of run {}", keys.join(", "), earlier.seen.started.run),
        };
        self.run.tell(Event::Choice { what: "reused".to_owned(), text });
        Ok(())
    }

    /// A variant's work on this run's base; `None` where it conflicts with it, or is not there any more.
    async fn replayed(&self, earlier: &Facts, variant: &Variant, harvest: &Harvest) -> Result<Option<CommitId>, Error> {
        let work = CommitId(harvest.commit.clone());
        if earlier.seen.started.base == self.run.started.base {
            return Ok(Some(work));
        }
        let contender = Contender::Variant(variant.key.clone());
        let message = format!(
            "{}\n\nVariant {} of {}, run {}: what run {} wrote.\n",
            variant.name,
            variant.key,
            self.run.plan().title,
            self.run.started.run,
            earlier.seen.started.run
        );
        let order = ReplayOrder {
            work: &work,
            base: &earlier.seen.started.base,
            onto: &self.run.started.base,
            message: &message,
            time: self.run.started.at,
        };
        self.git.replay(&order).await.map_err(|error| {
            let error = Error::from(error);
            Error { message: format!("{contender}: {}", error.message), ..error }
        })
    }
}

/// Whether two plans ask one variant for the same work.
fn asks_for_the_same(then: &Plan, now: &Plan, variant: &Variant) -> bool {
    let items = |plan: &Plan| plan.items_of(&variant.key).cloned().collect::<Vec<_>>();
    then.goal == now.goal && then.variant(variant.key.as_str()) == Some(variant) && items(then) == items(now)
}

#[cfg(test)]
mod tests;
