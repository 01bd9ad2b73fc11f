//! One variant's life up to its tests: prepare, implement step by step, harvest, judge.

use crate::adapters::agent::AgentEnd;
use crate::adapters::git::{CommitId, Survey};
use crate::domain::change;
use crate::domain::event::Event;
use crate::domain::measurement::Contender;
use crate::domain::plan::{Variant, VariantKey, WorkItem};
use crate::domain::quantity::Tokens;
use crate::domain::trial::{Disqualification, Harvest, Outcome, Phase};
use crate::engine::implement::Implementing;
use crate::engine::implement::contract;
use crate::engine::implement::step::{Step, Stepped};
use crate::engine::resources::lease::{Lease, Purpose};
use crate::engine::state::{Facts, Record};
use crate::error::Error;

/// What implementing came to.
enum Implemented {
    /// A commit to judge.
    Commit(CommitId, Course),
    /// Nothing to judge.
    Nothing(Disqualification),
}

/// How far a variant's work items came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::engine) struct Course {
    /// Titles of those that were not carried out, in document order.
    missing: Vec<String>,
    /// How the first of them ended.
    first: Option<AgentEnd>,
    /// Whether a cap or the deadline ended one.
    over_budget: bool,
}

impl Course {
    /// Of work that is taken over.
    pub(in crate::engine) fn of(missing: Vec<String>, over_budget: bool) -> Self {
        Self { missing, first: None, over_budget }
    }

    /// Takes the end of a step for the items that it stands for.
    fn take(&mut self, end: &AgentEnd, items: &[&WorkItem]) {
        if *end == AgentEnd::Finished {
            return;
        }
        self.over_budget |= matches!(end, AgentEnd::OverTokens | AgentEnd::OverTime);
        self.first.get_or_insert_with(|| end.clone());
        self.left_out(items);
    }

    fn left_out(&mut self, items: &[&WorkItem]) {
        self.missing.extend(items.iter().map(|item| item.title.clone()));
    }

    /// What ended the work before its end.
    fn why(&self) -> String {
        match &self.first {
            None | Some(AgentEnd::Finished) => "it was not begun".to_owned(),
            Some(AgentEnd::OverTokens) => "its tokens were spent".to_owned(),
            Some(AgentEnd::OverTime) => "its time was over".to_owned(),
            Some(AgentEnd::Failed { message }) => format!("its agent failed: {message}"),
            Some(AgentEnd::Stuck { message }) => format!("its agent was stopped: {message}"),
        }
    }
}

impl Implementing {
    /// Implements and harvests a variant unless the journal says that this was done. Returns its
    /// harvest, or `None` where the trial ended.
    pub async fn implement(&self, variant: &Variant, facts: &Facts) -> Result<Option<Harvest>, Error> {
        let contender = Contender::Variant(variant.key.clone());
        if facts.seen.ended.contains_key(&contender) {
            return Ok(None);
        }
        if let Some((harvest, _, over_budget)) = facts.seen.harvests.get(&variant.key) {
            let course = Course::of(harvest.unfinished.clone(), *over_budget);
            return self.admitted(harvest.clone(), &course).await;
        }
        let _turn = self.agents.acquire().await.map_err(|_| Error::machine("the run is being stopped"))?;
        self.run.check_stop()?;
        self.run.tell(Event::PhaseEntered { contender: contender.clone(), phase: Phase::Prepare });
        let purpose = if self.agent.whole_variant() { Purpose::Directories } else { Purpose::Services };
        let slug = contender.slug();
        let work = async |lease: &mut Lease| {
            let worked = self.work(variant, lease, facts).await?;
            self.run.tell(Event::PhaseEntered { contender: contender.clone(), phase: Phase::Harvest });
            match worked {
                Implemented::Commit(commit, course) => self.harvested(variant, commit, &course).await,
                Implemented::Nothing(reason) => {
                    self.run.end(&contender, Outcome::Disqualified { reason }).await.map(|()| None)
                }
            }
        };
        self.leases.with_lease(&contender, &slug, purpose, work).await
    }

    async fn work(&self, variant: &Variant, lease: &mut Lease, facts: &Facts) -> Result<Implemented, Error> {
        let done = facts.steps.get(&variant.key).cloned().unwrap_or_default();
        let mut tip = facts.tips.get(&variant.key).cloned().unwrap_or_else(|| self.run.started.base.clone());
        self.leases.lease_worktree(lease, &lease.contender.slug(), &tip).await?;
        let before = match self.furnish_worktree(lease, &tip).await? {
            Ok(before) => before,
            Err(message) => return Ok(Implemented::Nothing(Disqualification::SetupFailed { message })),
        };
        self.run.tell(Event::PhaseEntered { contender: lease.contender.clone(), phase: Phase::Implement });
        let items: Vec<&WorkItem> = self.run.plan().items_of(&variant.key).collect();
        // One call of recorded work stands for all items.
        let whole = self.agent.whole_variant();
        let steps: Vec<&[&WorkItem]> = if whole { vec![&items[..]] } else { items.chunks(1).collect() };
        let mut course = Course::default();
        for (index, part) in steps.iter().enumerate() {
            let Some(item) = part.first() else { continue };
            let cut = facts.cut.contains(&(variant.key.clone(), index));
            let end = match done.get(index).filter(|_| !cut) {
                Some((_, report)) => report.end.clone(),
                None => {
                    match self.next_step(Step { variant, item, index, lease, parent: &tip, before: &before }).await? {
                        Ok((commit, end)) => {
                            tip = commit;
                            end
                        }
                        Err(reason) => return Ok(Implemented::Nothing(reason)),
                    }
                }
            };
            course.take(&end, part);
            if !self.works_on(&end, &variant.key, index + 1) {
                steps[index + 1..].iter().for_each(|part| course.left_out(part));
                break;
            }
        }
        Ok(self.implemented(tip, course))
    }

    /// Carries out one step and records it: the variant's tip after it and how the agent ended, or why
    /// the variant is out.
    async fn next_step(&self, step: Step<'_>) -> Result<Result<(CommitId, AgentEnd), Disqualification>, Error> {
        self.run.check_stop()?;
        let (key, index) = (&step.variant.key, step.index);
        Ok(match self.step(step).await? {
            Stepped::Done { commit, report } => {
                let end = report.end.clone();
                let record = Record::Step { variant: key.clone(), step: index, commit: commit.clone(), report };
                self.run.log.write(&record).await?;
                Ok((commit, end))
            }
            Stepped::Impossible(error) => Err(Disqualification::AgentFailed { message: error.to_string() }),
            Stepped::Lost(reason) => Err(reason),
            Stepped::ContractBroken { commit, report, paths } => {
                self.git.keep(&self.run.kept_ref(&step.lease.contender.slug()), &commit).await?;
                self.run.log.write(&Record::Step { variant: key.clone(), step: index, commit, report }).await?;
                Err(Disqualification::ContractBroken { paths })
            }
        })
    }

    /// Whether the work goes on after a step that ended so: a step's own cap ends the step and not the
    /// variant, as long as there are tokens for the next.
    fn works_on(&self, end: &AgentEnd, key: &VariantKey, next: usize) -> bool {
        match end {
            AgentEnd::Finished => true,
            AgentEnd::OverTokens => self.accounts.left(key, next).is_none_or(|left| left > Tokens::ZERO),
            AgentEnd::OverTime | AgentEnd::Failed { .. } | AgentEnd::Stuck { .. } => false,
        }
    }

    /// Makes a worktree ready for its agent; what stands in it then, or what failed. Recorded work is only
    /// applied, and needs nothing but the files of the commit.
    async fn furnish_worktree(&self, lease: &Lease, start: &CommitId) -> Result<Result<Survey, String>, Error> {
        let tree = lease.worktree();
        if self.agent.whole_variant() {
            return Ok(Ok(self.git.survey(&tree, start, &[]).await?));
        }
        self.leases.carry(&tree).await?;
        if let Some(failure) = self.judging.set_up(lease, &tree, &self.judging.settings.setup).await? {
            return Ok(Err(failure));
        }
        Ok(Ok(self.git.survey(&tree, start, &self.leases.settings.carry).await?))
    }

    /// What an agent left is judged, as far as it came, as long as it left something.
    fn implemented(&self, commit: CommitId, course: Course) -> Implemented {
        if commit != self.run.started.base {
            return Implemented::Commit(commit, course);
        }
        Implemented::Nothing(match course.first {
            None | Some(AgentEnd::Finished) => Disqualification::NothingChanged,
            Some(AgentEnd::OverTokens) => Disqualification::OverBudget { cap: "tokens".to_owned() },
            Some(AgentEnd::OverTime) => Disqualification::OverBudget { cap: "time".to_owned() },
            Some(AgentEnd::Failed { message } | AgentEnd::Stuck { message }) => {
                Disqualification::AgentFailed { message }
            }
        })
    }

    /// Checks the contract and records the harvest.
    pub(in crate::engine) async fn harvested(
        &self,
        variant: &Variant,
        commit: CommitId,
        course: &Course,
    ) -> Result<Option<Harvest>, Error> {
        let contender = Contender::Variant(variant.key.clone());
        self.git.keep(&self.run.kept_ref(&contender.slug()), &commit).await?;
        let changes = self.git.changes(&self.run.started.base, &commit).await?;
        let paths = contract::broken(self.run.plan(), &variant.key, &changes);
        if !paths.is_empty() {
            let reason = Disqualification::ContractBroken { paths };
            self.run.end(&contender, Outcome::Disqualified { reason }).await?;
            return Ok(None);
        }
        let changed = changes.iter().map(|c| c.path.clone()).collect();
        let unfinished = course.missing.clone();
        let harvest = Harvest { variant: variant.key.clone(), commit: commit.0, changed, unfinished };
        let size = change::measure(&changes);
        let over_budget = course.over_budget;
        self.run.log.write(&Record::Harvested { harvest: harvest.clone(), size, over_budget }).await?;
        self.admitted(harvest, course).await
    }

    /// A harvest that may compete. One of which work items are missing may not, unless the
    /// configuration lets it; it is kept.
    async fn admitted(&self, harvest: Harvest, course: &Course) -> Result<Option<Harvest>, Error> {
        if harvest.unfinished.is_empty() || self.settings.judge_unfinished {
            return Ok(Some(harvest));
        }
        let reason = Disqualification::Unfinished {
            missing: harvest.unfinished,
            why: course.why(),
            over_budget: course.over_budget,
        };
        self.run.end(&Contender::Variant(harvest.variant), Outcome::Disqualified { reason }).await?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
