//! A run from its frozen plan to its end: trials, a barrier, measuring, verdict, landing.
//!
//! Every stage looks at the journal first, so that starting and resuming are one path.

use futures_util::future::join_all;

use crate::adapters::git::CommitId;
use crate::domain::decision;
use crate::domain::event::Event;
use crate::domain::measurement::Contender;
use crate::domain::scoreboard::Scoreboard;
use crate::domain::steady::Reports;
use crate::domain::trial::{Disqualification, Outcome, Phase, TestReport};
use crate::engine::competition::Competition;
use crate::engine::judge::tree::{Judged, Judgement, tests_outcome};
use crate::engine::run::PerContender;
use crate::engine::state::{Facts, Record, Resource};
use crate::error::{Error, ExitCode, followed_by};

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    /// The verdict with everything it was made from.
    pub scoreboard: Scoreboard,
    /// The merge commit, where something landed.
    pub landed: Option<CommitId>,
    /// The commit in which the document tells that nothing landed.
    pub recorded: Option<CommitId>,
}

/// Carries out a run, or what is left of it.
#[tracing::instrument(name = "run", skip_all, fields(id = %competition.run.started.run))]
pub async fn carry_out(competition: &Competition) -> Result<Conclusion, Error> {
    let (mut judged, run) = (PerContender::new(), &competition.run);
    let _watching = run.room.watch();
    let concluded = competition.conclude(&mut judged).await.map_err(|error| run.room.explains(error));
    // Nothing that lands waits for files to go; the first error is the one told.
    let cleared = competition.clear(judged).await;
    let conclusion = concluded?;
    if let Err(error) = cleared {
        let resource = Resource::Directory { path: run.started.state.clone() };
        run.log.write(&Record::Intended { contender: Contender::Baseline, resource }).await?;
        run.warn(format!("something of the run is left, which `blueprint gc` removes: {error}"));
    }
    run.log.write(&Record::Finished).await?;
    run.tell(Event::RunEnded { run: run.started.run.clone(), elapsed: run.log.elapsed() });
    Ok(conclusion)
}

/// Tries a run's harness on the baseline, and nothing else; what was seen.
#[tracing::instrument(name = "try", skip_all, fields(id = %competition.run.started.run))]
pub async fn try_out(competition: &Competition) -> Result<Facts, Error> {
    let (mut judged, run) = (PerContender::new(), &competition.run);
    let _watching = run.room.watch();
    let tried = competition.try_baseline(&mut judged).await.map_err(|error| run.room.explains(error));
    let cleared = competition.clear(judged).await;
    tried?;
    cleared?;
    run.log.write(&Record::Finished).await?;
    run.facts().await
}

impl Competition {
    /// Everything up to the landing.
    async fn conclude(&self, judged: &mut PerContender<Judged>) -> Result<Conclusion, Error> {
        let facts = self.run.facts().await?;
        let resumed = !facts.seen.blocks.is_empty() || !facts.steps.is_empty() || !facts.seen.tests.is_empty();
        self.announce(resumed);
        self.measuring.hold_rates(&facts);
        self.run.harvest_null(&facts).await?;
        let scoreboard = match facts.scoreboard.clone() {
            Some(scoreboard) => scoreboard,
            None => self.compete(self.run.facts().await?, judged).await?,
        };
        self.run.is_decided();
        let facts = self.run.facts().await?;
        let landed = self.landing.land(&scoreboard, &facts).await?;
        let recorded = match &landed {
            Some(_) => None,
            None if scoreboard.lands().is_some() => None,
            None => self.landing.record_end(&scoreboard, &facts).await?,
        };
        Ok(Conclusion { scoreboard, landed, recorded })
    }

    fn announce(&self, resumed: bool) {
        let variants = self.run.plan().variants.iter().map(|v| Contender::Variant(v.key.clone()));
        let shadow = self.judging.has_shadow().then_some(Contender::Shadow);
        self.run.tell(Event::RunStarted {
            run: self.run.started.run.clone(),
            document: self.run.started.document.clone(),
            contenders: variants.chain([Contender::Baseline]).chain(shadow).collect(),
            time_cap: self.run.plan().budget.time_cap,
            resumed,
            rehearsal: self.run.started.rehearsal,
        });
        for choice in self.leases.choices() {
            let text = format!("{}: {}", choice.level, choice.why);
            self.run.tell(Event::Choice { what: choice.used_as.to_string(), text });
        }
    }

    /// Gives back what contenders hold, and waits until nothing of it is left.
    async fn clear(&self, judged: PerContender<Judged>) -> Result<(), Error> {
        let mut cleared = Ok(());
        for (_, tree) in judged {
            cleared = followed_by(cleared, self.leases.close_lease(tree.lease).await);
        }
        self.leases.removed().await;
        followed_by(cleared, self.leases.remove_place().await)
    }

    /// From nothing to a verdict.
    async fn compete(&self, mut facts: Facts, judged: &mut PerContender<Judged>) -> Result<Scoreboard, Error> {
        self.leases.prepare().await?;
        self.trials(&mut facts, judged).await?;
        self.decide(judged).await
    }

    /// Judges the baseline and asks every source on it, before anything is spent.
    async fn try_baseline(&self, judged: &mut PerContender<Judged>) -> Result<(), Error> {
        let mut facts = self.run.facts().await?;
        self.leases.prepare().await?;
        let (contender, tree, report) = self.judge_baseline(&facts).await?;
        judged.insert(contender.clone(), tree);
        facts.seen.tests.insert(contender, report);
        self.measuring.smoke(judged, &mut facts).await
    }

    /// Tries everything on the baseline, and then implements and judges every other contender; ready trees
    /// end in `judged`.
    async fn trials(&self, facts: &mut Facts, judged: &mut PerContender<Judged>) -> Result<(), Error> {
        let mut reports = Reports::default();
        let (contender, tree, report) = self.judge_baseline(facts).await?;
        judged.insert(contender.clone(), tree);
        reports.insert(contender, report);
        self.measuring.smoke(judged, facts).await?;
        let facts = &*facts;
        let variants = join_all(self.run.plan().variants.iter().map(|v| self.judge_variant(v, facts)));
        let (shadow, variants) = tokio::join!(self.judging.judge_shadow(facts), variants);
        let mut failure = None;
        let mut troubles = Vec::new();
        let variants =
            self.run.plan().variants.iter().zip(variants).map(|(variant, result)| (Some(&variant.key), result));
        for (key, result) in variants.chain([(None, shadow)]) {
            match result {
                Ok(Some((contender, tree, report))) => {
                    reports.insert(contender.clone(), report);
                    judged.insert(contender, tree);
                }
                Ok(None) => {}
                Err(error) => match key.filter(|_| error.is_of_one_trial()) {
                    Some(key) => troubles.push((key, error)),
                    None => failure = failure.or(Some(error)),
                },
            }
        }
        // What happened to all of them is not one trial's trouble.
        if failure.is_none() && troubles.len() == self.run.plan().variants.len() {
            failure = troubles.drain(..).next().map(|(_, error)| error);
        }
        if let Some(error) = failure {
            return Err(error);
        }
        for (key, error) in troubles {
            let outcome = Outcome::Infrastructure { message: error.message };
            self.run.end(&Contender::Variant(key.clone()), outcome).await?;
        }
        self.compare_tests(&reports, judged).await
    }

    async fn judge_baseline(&self, facts: &Facts) -> Result<(Contender, Judged, TestReport), Error> {
        let contender = Contender::Baseline;
        let known = facts.seen.tests.get(&contender);
        match self.judging.judge(&contender, &self.run.started.base.0, known).await? {
            Judgement::Ready(tree, report) => Ok((contender, *tree, report)),
            Judgement::Broken(reason) => {
                let detail = match &reason {
                    Disqualification::TestsFailed { detail: Some(detail), .. } => format!("\n{detail}"),
                    _ => String::new(),
                };
                let error = Error::new(ExitCode::Machine, format!("the baseline can't be judged: {reason}{detail}"))
                    .hint("the commands of the document and of blueprint.yaml must work on the baseline");
                // Once something was spent, what fails may well work again when the run is resumed.
                if !facts.seen.harvests.is_empty() || !facts.steps.is_empty() {
                    return Err(error);
                }
                Err(self.run.unfit(error.hint("no agent was started: correct them, commit that, and run again")).await)
            }
        }
    }

    #[tracing::instrument(name = "trial", skip_all, fields(variant = %variant.key))]
    async fn judge_variant(
        &self,
        variant: &crate::domain::plan::Variant,
        facts: &Facts,
    ) -> Result<Option<(Contender, Judged, TestReport)>, Error> {
        let judged = self.implement_and_judge(variant, facts).await;
        // What it held when something failed does not wait for the others.
        self.leases.close_forgotten().await;
        judged
    }

    async fn implement_and_judge(
        &self,
        variant: &crate::domain::plan::Variant,
        facts: &Facts,
    ) -> Result<Option<(Contender, Judged, TestReport)>, Error> {
        let contender = Contender::Variant(variant.key.clone());
        let harvest = match self.implementing.implement(variant, facts).await {
            Ok(Some(harvest)) => harvest,
            Ok(None) => return Ok(None),
            Err(error) if error.kind == ExitCode::Machine => return Err(self.named(&contender, error)),
            Err(error) => return Err(error),
        };
        match self.judging.judge(&contender, &harvest.commit, facts.seen.tests.get(&contender)).await {
            Ok(Judgement::Ready(tree, report)) => Ok(Some((contender, *tree, report))),
            Ok(Judgement::Broken(reason)) => {
                self.run.end(&contender, Outcome::Disqualified { reason }).await?;
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
    async fn compare_tests(&self, reports: &Reports, judged: &mut PerContender<Judged>) -> Result<(), Error> {
        let Some(baseline) = reports.deciding(&Contender::Baseline) else { return Ok(()) };
        if let Some(first) = baseline.failed().first() {
            let (failed, all) = (baseline.failed().len(), baseline.counted());
            let out = match self.run.plan().weights.missed(baseline) {
                _ if failed == all => "a variant that passes none of them is out",
                Some(_) => "no variant is out for failing them unless the weights say so",
                None => "no variant is out for failing them",
            };
            let more = if failed > 1 { ", …" } else { "" };
            self.run.warn(format!("{failed} of {all} tests fail on the baseline, and {out}: {first}{more}"));
        }
        self.judging.warn_of_unsteady_tests(reports);
        for (contender, report) in reports.iter().filter(|(c, _)| c.key().is_some()) {
            let deciding = reports.deciding(contender).filter(|_| report.counted() > 0);
            if deciding.is_some() && reports.decide_nothing() {
                continue;
            }
            let Some(outcome) = tests_outcome(&self.run.plan().weights, baseline, deciding.unwrap_or(report)) else {
                continue;
            };
            self.run.end(contender, outcome).await?;
            if let Some(tree) = judged.remove(contender) {
                self.leases.close_lease(tree.lease).await?;
            }
        }
        Ok(())
    }

    /// What is concluded once nobody is to land whose advantage was not looked at. Where it puts one out, the others
    /// are measured on, as far as there is time.
    async fn verified(&self, judged: &PerContender<Judged>, mut facts: Facts) -> Result<(Facts, Scoreboard), Error> {
        loop {
            let scoreboard = decision::conclude(&facts.seen)?;
            let Some(key) = decision::unverified(&facts.seen, &scoreboard) else { return Ok((facts, scoreboard)) };
            if self.measuring.verify_advantage(&key, &mut facts).await? {
                if !decision::standing(&facts.seen)?.concluded() {
                    facts = self.measuring.measure(judged, facts).await?;
                }
                facts = self.measuring.break_ties(judged, facts).await?;
            }
        }
    }

    /// Measures what can be measured and concludes.
    async fn decide(&self, judged: &PerContender<Judged>) -> Result<Scoreboard, Error> {
        // Nothing else is at work on the disk from here on.
        self.leases.removed().await;
        let mut facts = self.run.facts().await?;
        self.measuring.end_refuted(&mut facts).await?;
        let anyone = judged.keys().any(|c| c.key().is_some());
        let facts = if anyone { self.measuring.measure(judged, facts).await? } else { facts };
        let facts = self.measuring.break_ties(judged, facts).await?;
        let (facts, scoreboard) = self.verified(judged, facts).await?;
        self.judging.warn_of_suspicion(&facts);
        self.run.log.write(&Record::Concluded { scoreboard: scoreboard.clone() }).await?;
        for contender in judged.keys() {
            self.run.tell(Event::PhaseEntered { contender: contender.clone(), phase: Phase::Done });
        }
        self.run.tell(Event::Concluded { verdict: scoreboard.verdict.clone(), landing: scoreboard.landing.clone() });
        Ok(scoreboard)
    }
}

#[cfg(test)]
mod tests;
