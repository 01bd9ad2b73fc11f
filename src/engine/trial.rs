//! One variant's life up to its tests: prepare, implement step by step, harvest, judge.

use std::time::Duration;

use super::context::Run;
use super::contract;
use super::journal::{Facts, Record};
use super::lease::{Lease, Purpose};
use super::step::{Step, Stepped};
use crate::adapters::agent::AgentEnd;
use crate::adapters::git::CommitId;
use crate::domain::change;
use crate::domain::event::Event;
use crate::domain::measurement::Contender;
use crate::domain::plan::{Variant, WorkItem};
use crate::domain::trial::{Disqualification, Harvest, Outcome, Phase};
use crate::error::Error;

/// What implementing came to.
enum Implemented {
    /// A commit to judge; set where a cap stopped the agent.
    Commit { commit: CommitId, over_budget: bool },
    /// Nothing to judge.
    Nothing(Disqualification),
}

impl Run {
    /// Implements and harvests a variant unless the journal says that this was done. Returns its
    /// harvest, or `None` where the trial ended.
    pub async fn implement(&self, variant: &Variant, facts: &Facts) -> Result<Option<Harvest>, Error> {
        let contender = Contender::Variant(variant.key.clone());
        if facts.ended.contains_key(&contender) {
            return Ok(None);
        }
        if let Some((harvest, ..)) = facts.harvests.get(&variant.key) {
            return Ok(Some(harvest.clone()));
        }
        let _turn = self.agents.acquire().await.map_err(|_| Error::machine("the run is being stopped"))?;
        self.check_stop()?;
        self.tell(Event::PhaseEntered { contender: contender.clone(), phase: Phase::Prepare });
        let purpose = if self.ports.agent.whole_variant() { Purpose::Directories } else { Purpose::Services };
        let slug = contender.slug();
        let mut lease = self.open_lease(&contender, &slug, purpose).await?;
        let worked = self.work(variant, &mut lease, facts).await;
        if worked.is_ok() {
            self.tell(Event::PhaseEntered { contender: contender.clone(), phase: Phase::Harvest });
        }
        let harvested = match worked {
            Ok(Implemented::Commit { commit, over_budget }) => self.harvested(variant, commit, over_budget).await,
            Ok(Implemented::Nothing(reason)) => {
                self.end(&contender, Outcome::Disqualified { reason }).await.map(|()| None)
            }
            Err(error) => Err(error),
        };
        self.close_lease(lease).await?;
        harvested
    }

    /// Records that a trial ended and tells whoever watches.
    pub async fn end(&self, contender: &Contender, outcome: Outcome) -> Result<(), Error> {
        self.log.write(&Record::Ended { contender: contender.clone(), outcome: outcome.clone() }).await?;
        self.tell(Event::TrialEnded { contender: contender.clone(), outcome });
        Ok(())
    }

    async fn work(&self, variant: &Variant, lease: &mut Lease, facts: &Facts) -> Result<Implemented, Error> {
        let done = facts.steps.get(&variant.key).cloned().unwrap_or_default();
        let mut tip = done.last().map_or_else(|| self.started.base.clone(), |(commit, _)| commit.clone());
        self.lease_worktree(lease, &lease.contender.slug(), &tip).await?;
        let tree = lease.worktree();
        if let Some(failure) = self.set_up(lease, &tree, &self.settings.setup).await? {
            return Ok(Implemented::Nothing(Disqualification::SetupFailed { message: failure }));
        }
        self.tell(Event::PhaseEntered { contender: lease.contender.clone(), phase: Phase::Implement });
        let items: Vec<&WorkItem> = self.plan().items_of(&variant.key).collect();
        let items = if self.ports.agent.whole_variant() { &items[..items.len().min(1)] } else { &items[..] };
        let mut last_end = AgentEnd::Finished;
        for (step, item) in items.iter().enumerate().skip(done.len()) {
            self.check_stop()?;
            let stepped = self.step(Step { variant, item, index: step, lease, parent: &tip }).await?;
            let report = match stepped {
                Stepped::Done { commit, report } => {
                    tip = commit;
                    report
                }
                Stepped::Impossible(error) => {
                    return Ok(Implemented::Nothing(Disqualification::AgentFailed { message: error.to_string() }));
                }
                Stepped::ContractBroken { commit, report, paths } => {
                    self.ports.git.keep(&self.kept_ref(&lease.contender.slug()), &commit).await?;
                    self.log.write(&Record::Step { variant: variant.key.clone(), step, commit, report }).await?;
                    return Ok(Implemented::Nothing(Disqualification::ContractBroken { paths }));
                }
            };
            last_end = report.end.clone();
            let record = Record::Step { variant: variant.key.clone(), step, commit: tip.clone(), report };
            self.log.write(&record).await?;
            if last_end != AgentEnd::Finished {
                break;
            }
        }
        Ok(self.implemented(tip, last_end))
    }

    /// What an agent left is judged however it ended, as long as it left something.
    fn implemented(&self, commit: CommitId, end: AgentEnd) -> Implemented {
        let over_budget = matches!(end, AgentEnd::OverTokens | AgentEnd::OverTime);
        if commit != self.started.base {
            return Implemented::Commit { commit, over_budget };
        }
        Implemented::Nothing(match end {
            AgentEnd::Finished => Disqualification::NothingChanged,
            AgentEnd::OverTokens => Disqualification::OverBudget { cap: "tokens".to_owned() },
            AgentEnd::OverTime => Disqualification::OverBudget { cap: "time".to_owned() },
            AgentEnd::Failed { message } | AgentEnd::Stuck { message } => Disqualification::AgentFailed { message },
        })
    }

    /// Checks the contract and records the harvest.
    async fn harvested(
        &self,
        variant: &Variant,
        commit: CommitId,
        over_budget: bool,
    ) -> Result<Option<Harvest>, Error> {
        let contender = Contender::Variant(variant.key.clone());
        self.ports.git.keep(&self.kept_ref(&contender.slug()), &commit).await?;
        let changes = self.ports.git.changes(&self.started.base, &commit).await?;
        let paths = contract::broken(self.plan(), &variant.key, &changes);
        if !paths.is_empty() {
            let reason = Disqualification::ContractBroken { paths };
            self.end(&contender, Outcome::Disqualified { reason }).await?;
            return Ok(None);
        }
        let changed = changes.iter().map(|c| c.path.clone()).collect();
        let harvest = Harvest { variant: variant.key.clone(), commit: commit.0, changed };
        let size = change::measure(&changes);
        self.log.write(&Record::Harvested { harvest: harvest.clone(), size, over_budget }).await?;
        Ok(Some(harvest))
    }

    /// Runs set-up lines in a tree; the tail of the first that fails.
    pub async fn set_up(
        &self,
        lease: &Lease,
        tree: &std::path::Path,
        lines: &[String],
    ) -> Result<Option<String>, Error> {
        use crate::adapters::process::{Command, Exit};
        for line in lines {
            self.check_stop()?;
            let mut command = Command::shell(line, tree).env(&lease.env).limit(self.time_left());
            command.log = Some(lease.scratch().join("setup.log"));
            command.grace = Duration::from_secs(5);
            let done = self.ports.exec.run(command, &self.stop).await.map_err(super::lease::machine)?;
            if done.exit == Exit::Stopped {
                self.check_stop()?;
            }
            if !done.exit.success() {
                return Ok(Some(format!("`{line}` {}\n{}", done.exit.ending(), done.tail(8))));
            }
        }
        Ok(None)
    }
}
