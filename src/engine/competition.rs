//! A run from its frozen plan to its end: trials, a barrier, measuring, verdict, landing.
//!
//! Every stage looks at the journal first, so that starting and resuming are one path.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::context::{PerContender, Run};
use super::journal::{Facts, Record};
use super::judging::{Judged, Judgement, tests_outcome};
use super::replay;
use crate::adapters::git::CommitId;
use crate::domain::event::Event;
use crate::domain::gate;
use crate::domain::measurement::Contender;
use crate::domain::trial::{Outcome, Phase, TestReport};
use crate::domain::verdict::Scoreboard;
use crate::error::{Error, ExitCode};

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    /// The verdict with everything it was made from.
    pub scoreboard: Scoreboard,
    /// The merge commit, where something landed.
    pub landed: Option<CommitId>,
}

/// Carries out a run, or what is left of it.
pub async fn carry_out(run: &Run) -> Result<Conclusion, Error> {
    let concluded = run.conclude().await;
    // However it ended, every lease was given back: what held them goes too.
    let removed = run.ports.workspace.remove(&run.started.state).await;
    let conclusion = concluded?;
    removed.map_err(super::lease::machine)?;
    run.log.write(&Record::Finished).await?;
    run.tell(Event::RunEnded { run: run.started.run.clone(), elapsed: run.log.elapsed() });
    Ok(conclusion)
}

impl Run {
    /// Everything up to the landing.
    async fn conclude(&self) -> Result<Conclusion, Error> {
        let facts = self.facts().await?;
        let resumed = !facts.blocks.is_empty() || !facts.steps.is_empty() || !facts.tests.is_empty();
        self.announce(resumed);
        self.hold_rates(&facts);
        self.harvest_null(&facts).await?;
        let scoreboard = match facts.scoreboard.clone() {
            Some(scoreboard) => scoreboard,
            None => self.compete(self.facts().await?).await?,
        };
        let facts = self.facts().await?;
        let landed = self.land(&scoreboard, &facts).await?;
        Ok(Conclusion { scoreboard, landed })
    }

    /// What the journal says of this run.
    pub async fn facts(&self) -> Result<Facts, Error> {
        let entries = self.ports.journal.entries(&self.started.run).await?;
        Facts::read(&entries)?
            .ok_or_else(|| Error::machine(format!("the journal has no records of run {}", self.started.run)))
    }

    fn announce(&self, resumed: bool) {
        let variants = self.plan().variants.iter().map(|v| Contender::Variant(v.key.clone()));
        let shadow = self.has_shadow().then_some(Contender::Shadow);
        self.tell(Event::RunStarted {
            run: self.started.run.clone(),
            document: self.started.document.clone(),
            contenders: variants.chain([Contender::Baseline]).chain(shadow).collect(),
            time_cap: self.plan().budget.time_cap,
            resumed,
            rehearsal: self.started.rehearsal,
        });
        if let Some(database) = &self.ports.database {
            let choice = database.choice();
            self.tell(Event::Choice { what: "database".to_owned(), text: format!("{}: {}", choice.level, choice.why) });
        }
        if let Some(cache) = &self.ports.cache {
            let (level, why) = cache.choice();
            self.tell(Event::Choice { what: "cache".to_owned(), text: format!("{level}: {why}") });
        }
    }

    /// From nothing to a verdict.
    async fn compete(&self, facts: Facts) -> Result<Scoreboard, Error> {
        if let Some(database) = &self.ports.database {
            database.prepare().await.map_err(super::lease::database_error)?;
        }
        let mut judged = PerContender::new();
        let worked = self.trials(&facts, &mut judged).await;
        let measured = match worked {
            Ok(()) => self.decide(&judged).await,
            Err(error) => Err(error),
        };
        // Whatever happened, what the trials hold is given back; the first error is the one told.
        let mut closed = Ok(());
        for (_, tree) in judged {
            closed = closed.and(self.close_lease(tree.lease).await);
        }
        let scoreboard = measured?;
        closed?;
        Ok(scoreboard)
    }

    /// Implements and judges every contender; ready trees end in `judged`.
    async fn trials(&self, facts: &Facts, judged: &mut PerContender<Judged>) -> Result<(), Error> {
        let baseline = self.judge_baseline(facts);
        let variants = join_all(self.plan().variants.iter().map(|v| self.judge_variant(v, facts)));
        let (baseline, shadow, variants) = tokio::join!(baseline, self.judge_shadow(facts), variants);
        let mut failure = None;
        let mut reports: BTreeMap<Contender, TestReport> = BTreeMap::new();
        let results = variants.into_iter().chain([baseline.map(Some), shadow]);
        for result in results {
            match result {
                Ok(Some((contender, tree, report))) => {
                    reports.insert(contender.clone(), report);
                    judged.insert(contender, tree);
                }
                Ok(None) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        self.compare_tests(&reports, judged).await
    }

    async fn judge_baseline(&self, facts: &Facts) -> Result<(Contender, Judged, TestReport), Error> {
        let contender = Contender::Baseline;
        let known = facts.tests.get(&contender);
        match self.judge(&contender, &self.started.base.0, known).await? {
            Judgement::Ready(tree, report) => Ok((contender, tree, report)),
            Judgement::Broken(reason) => {
                Err(Error::new(ExitCode::Machine, format!("the baseline can't be judged: {reason}"))
                    .hint("the commands of the document and of blueprint.yaml must work on the code as it is"))
            }
        }
    }

    async fn judge_variant(
        &self,
        variant: &crate::domain::plan::Variant,
        facts: &Facts,
    ) -> Result<Option<(Contender, Judged, TestReport)>, Error> {
        let contender = Contender::Variant(variant.key.clone());
        let harvest = match self.implement(variant, facts).await {
            Ok(Some(harvest)) => harvest,
            Ok(None) => return Ok(None),
            Err(error) if error.kind == ExitCode::Machine => return Err(self.named(&contender, error)),
            Err(error) => return Err(error),
        };
        match self.judge(&contender, &harvest.commit, facts.tests.get(&contender)).await {
            Ok(Judgement::Ready(tree, report)) => Ok(Some((contender, tree, report))),
            Ok(Judgement::Broken(reason)) => {
                self.end(&contender, Outcome::Disqualified { reason }).await?;
                Ok(None)
            }
            Err(error) => Err(self.named(&contender, error)),
        }
    }

    fn named(&self, contender: &Contender, mut error: Error) -> Error {
        if error.kind == ExitCode::Machine {
            error.message = format!("{contender}: {}", error.message);
        }
        error
    }

    /// Ends the trials whose tests decide against them.
    async fn compare_tests(
        &self,
        reports: &BTreeMap<Contender, TestReport>,
        judged: &mut PerContender<Judged>,
    ) -> Result<(), Error> {
        let Some(baseline) = reports.get(&Contender::Baseline) else { return Ok(()) };
        if let Some(first) = baseline.failed().first() {
            let (failed, all) = (baseline.failed().len(), baseline.counted());
            self.warn(format!(
                "{failed} of {all} tests fail on the code as it is, and no variant is out for failing them{}: {first}{}",
                if gate::missed(&self.plan().weights, baseline).is_some() { " unless the weights say so" } else { "" },
                if failed > 1 { ", …" } else { "" }
            ));
        }
        if let Some(shadow) = reports.get(&Contender::Shadow) {
            self.warn_of_flaky_tests(baseline, shadow);
        }
        for (contender, report) in reports.iter().filter(|(c, _)| c.key().is_some()) {
            let Some(outcome) = tests_outcome(&self.plan().weights, baseline, report) else { continue };
            self.end(contender, outcome).await?;
            if let Some(tree) = judged.remove(contender) {
                self.close_lease(tree.lease).await?;
            }
        }
        Ok(())
    }

    /// Measures what can be measured and concludes.
    async fn decide(&self, judged: &PerContender<Judged>) -> Result<Scoreboard, Error> {
        let facts = self.facts().await?;
        let anyone = judged.keys().any(|c| c.key().is_some());
        let facts = if anyone { self.measure(judged, facts).await? } else { facts };
        let facts = self.break_ties(judged, facts).await?;
        self.warn_of_suspicion(&facts);
        let scoreboard = replay::conclude(&facts)?;
        self.log.write(&Record::Concluded { scoreboard: scoreboard.clone() }).await?;
        for contender in judged.keys() {
            self.tell(Event::PhaseEntered { contender: contender.clone(), phase: Phase::Done });
        }
        self.tell(Event::Concluded { verdict: scoreboard.verdict.clone(), landing: scoreboard.landing.clone() });
        Ok(scoreboard)
    }
}
