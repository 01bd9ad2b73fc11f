//! One step of one variant: what its agent may use, the agent's work, the commit that it becomes, and
//! the contract that it must keep.

use std::sync::Arc;

use crate::adapters::agent::{AgentEnd, AgentError, AgentReport, Task};
use crate::adapters::git::{CommitId, HarvestOrder, Survey};
use crate::adapters::process::Stop;
use crate::adapters::proxy::{Opening, Proxy};
use crate::domain::event::Event;
use crate::domain::plan::{Variant, WorkItem};
use crate::domain::quantity::Tokens;
use crate::domain::trial::{Disqualification, Usage};
use crate::domain::wire::Access;
use crate::engine::budget::accounts::StepPurse;
use crate::engine::implement::Implementing;
use crate::engine::implement::contract;
use crate::engine::resources::lease::Lease;
use crate::engine::trouble::machine;
use crate::error::Error;

/// A step that is to be carried out.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// Whose.
    pub variant: &'a Variant,
    /// Which.
    pub item: &'a WorkItem,
    /// From 0.
    pub index: usize,
    /// Where.
    pub lease: &'a Lease,
    /// The variant's tip before it.
    pub parent: &'a CommitId,
    /// What stood in the worktree before the first step.
    pub before: &'a Survey,
}

/// What a step came to.
pub enum Stepped {
    /// What was done stands as a commit; the parent where nothing changed.
    Done {
        /// The variant's tip now.
        commit: CommitId,
        /// What the agent said.
        report: AgentReport,
    },
    /// The agent could not work at all.
    Impossible(AgentError),
    /// What it did can't be taken over, or its directories are not there any more.
    Lost(Disqualification),
    /// Files were changed that may not be, and again after the agent was told.
    ContractBroken {
        /// What was done, so that it is not lost.
        commit: CommitId,
        /// What the agent said.
        report: AgentReport,
        /// They, sorted.
        paths: Vec<String>,
    },
}

/// What an agent may use for one attempt.
struct Means<'a> {
    tokens: Option<Tokens>,
    access: Option<&'a Access>,
    refused: &'a Stop,
    asking: &'a (dyn Fn() -> bool + Send + Sync),
    correction: Option<&'a str>,
}

impl Implementing {
    /// Carries out one step. Where it breaks the diff contract the agent is told so once, with the
    /// reason, and may put it right.
    #[tracing::instrument(skip_all, fields(index = step.index))]
    pub async fn step(&self, step: Step<'_>) -> Result<Stepped, Error> {
        let contender = step.lease.contender.clone();
        self.run.tell(Event::StepStarted { contender: contender.clone(), title: step.item.title.clone() });
        if let Some(message) = self.leases.replaced(step.lease).await {
            return Ok(Stepped::Lost(Disqualification::Replaced { message }));
        }
        let first = match self.attempt(step, None).await? {
            Ok(report) => report,
            Err(error) => return Ok(Stepped::Impossible(error)),
        };
        let commit = match self.harvest_step(step).await? {
            Ok(commit) => commit,
            Err(reason) => return Ok(Stepped::Lost(reason)),
        };
        if first.end != AgentEnd::Finished || self.agent.whole_variant() {
            return Ok(Stepped::Done { commit, report: first });
        }
        let paths = self.outside_contract(step, &commit).await?;
        if paths.is_empty() {
            return Ok(Stepped::Done { commit, report: first });
        }
        self.run.warn(format!(
            "{contender}: the step `{}` changed {}, which no work item of the variant allows; the agent is asked once to fix it",
            step.item.title,
            paths.join(", ")
        ));
        let again = match self.attempt(step, Some(&contract::reason(&paths))).await? {
            Ok(report) => report,
            Err(error) => return Ok(Stepped::Impossible(error)),
        };
        let commit = match self.harvest_step(step).await? {
            Ok(commit) => commit,
            Err(reason) => return Ok(Stepped::Lost(reason)),
        };
        let paths = self.outside_contract(step, &commit).await?;
        let usage = if self.proxy.is_some() { again.usage } else { first.usage.plus(again.usage) };
        let report = AgentReport { usage, ..again };
        Ok(match paths.is_empty() {
            true => Stepped::Done { commit, report },
            false => Stepped::ContractBroken { commit, report, paths },
        })
    }

    async fn outside_contract(&self, step: Step<'_>, commit: &CommitId) -> Result<Vec<String>, Error> {
        let changes = self.git.changes(&self.run.started.base, commit).await?;
        Ok(contract::broken(self.run.plan(), &step.variant.key, &changes))
    }

    /// Lets the agent work once. An inner error is one that the agent could not work with at all.
    async fn attempt(
        &self,
        step: Step<'_>,
        correction: Option<&str>,
    ) -> Result<Result<AgentReport, AgentError>, Error> {
        let worked = match &self.proxy {
            Some(proxy) => self.through_proxy(&**proxy, step, correction).await?,
            None => self.unseen(step, correction).await,
        };
        self.run.check_stop()?;
        self.accounts.tell(&step.variant.key);
        match worked {
            Err(AgentError::Process(error)) => Err(machine(error)),
            Err(AgentError::Walls(why)) => Err(Error::machine(why)),
            other => Ok(other),
        }
    }

    /// With every request admitted and counted by the proxy: what an agent says of its usage means nothing.
    async fn through_proxy(
        &self,
        proxy: &dyn Proxy,
        step: Step<'_>,
        correction: Option<&str>,
    ) -> Result<Result<AgentReport, AgentError>, Error> {
        let key = &step.variant.key;
        let slug = step.lease.contender.slug();
        let purse = Arc::new(StepPurse::new(Arc::clone(&self.accounts), key.clone(), step.index));
        let opening = Opening {
            transcript: self.settings.transcripts.join(format!("{slug}.jsonl")),
            trial: slug,
            purse: purse.clone(),
            time: self.run.agent_time(),
        };
        let door = proxy.open(opening).await.map_err(machine)?;
        let asking = || door.busy();
        let means = Means {
            tokens: self.accounts.left(key, step.index),
            access: Some(door.access()),
            refused: door.refused(),
            asking: &asking,
            correction,
        };
        let worked = self.call_agent(step, &means).await;
        let refused = door.refused().is_cancelled();
        door.close().await;
        purse.close();
        let usage = self.accounts.usage_of(key, step.index);
        Ok(worked.map(|report| {
            // Clients say that all is well, or anything else, after they were refused.
            let end = match report.end {
                AgentEnd::Finished | AgentEnd::Failed { .. } if refused => AgentEnd::OverTokens,
                end => end,
            };
            AgentReport { usage, end, ..report }
        }))
    }

    /// With nobody between the agent and its model: the whole step is reserved, and what the agent
    /// says of its usage is all that is known.
    async fn unseen(&self, step: Step<'_>, correction: Option<&str>) -> Result<AgentReport, AgentError> {
        let budget = &self.run.plan().budget;
        let wanted = budget.step_tokens.or(budget.variant_tokens).or(budget.session_tokens);
        let reserved = match wanted {
            None => None,
            Some(wanted) => match self.accounts.reserve_step(&step.variant.key, step.index, wanted).await {
                Ok(reserved) => Some(reserved),
                Err(refusal) => {
                    let (usage, end) = (Usage::default(), AgentEnd::OverTokens);
                    return Ok(AgentReport { usage, end, summary: refusal.to_string() });
                }
            },
        };
        let (reservation, tokens) = reserved.unzip();
        let never = Stop::new();
        let means = Means { tokens, access: None, refused: &never, asking: &|| false, correction };
        let worked = self.call_agent(step, &means).await;
        if let Some(reservation) = reservation {
            let used = worked.as_ref().map_or(Tokens::ZERO, |report| report.usage.total());
            self.accounts.settle_step(reservation, used);
        }
        worked
    }

    async fn call_agent(&self, step: Step<'_>, means: &Means<'_>) -> Result<AgentReport, AgentError> {
        let (worktree, scratch) = (step.lease.worktree(), step.lease.scratch());
        let task = Task {
            plan: self.run.plan(),
            variant: step.variant,
            item: step.item,
            step: step.index,
            worktree: &worktree,
            repository: self.git.root(),
            scratch: &scratch,
            env: &step.lease.env,
            tokens: means.tokens,
            time: self.run.agent_time(),
            access: means.access,
            refused: means.refused,
            asking: means.asking,
            correction: means.correction,
            patience: self.settings.patience,
            stop: &self.run.stop,
        };
        // Recorded work is applied by programs of ours, from the repository.
        if self.agent.whole_variant() {
            return self.agent.implement(task, &*self.exec).await;
        }
        let exec = self.leases.within(step.lease).await.map_err(|error| AgentError::Walls(error.message))?;
        let worked = self.agent.implement(task, &*exec).await;
        self.leases.tell_missed(step.lease, "its agent");
        worked
    }

    /// Takes over what stands in the worktree: the variant's tip after it, or why that can't be done.
    async fn harvest_step(&self, step: Step<'_>) -> Result<Result<CommitId, Disqualification>, Error> {
        if let Some(message) = self.leases.replaced(step.lease).await {
            return Ok(Err(Disqualification::Replaced { message }));
        }
        let slug = step.lease.contender.slug();
        let what = if self.agent.whole_variant() { &step.variant.name } else { &step.item.title };
        let message = format!(
            "{what}\n\nVariant {} of {}, run {}.\n",
            step.variant.key,
            self.run.plan().title,
            self.run.started.run
        );
        let order = HarvestOrder {
            worktree: &step.lease.worktree(),
            branch: &self.run.branch(&slug),
            parent: step.parent,
            message: &message,
            before: step.before,
            agent_ref: &format!("{}_agent", self.run.kept_ref(&slug)),
        };
        match self.git.harvest(&order).await {
            Ok(commit) => Ok(match self.leases.replaced(step.lease).await {
                // What was read meanwhile may have been something else.
                Some(message) => {
                    self.git.keep(&format!("refs/heads/{}", order.branch), step.parent).await?;
                    Err(Disqualification::Replaced { message })
                }
                None => Ok(commit.unwrap_or_else(|| step.parent.clone())),
            }),
            Err(error) if error.is_of_the_machine() => Err(error.into()),
            Err(error) => Ok(Err(Disqualification::NotHarvested { message: error.to_string() })),
        }
    }
}

#[cfg(test)]
mod tests;
