//! The smoke test: everything that decides is tried on the baseline before any agent starts. What fails
//! there is the harness's fault, and is told with the command's own output.

use std::time::Duration;

use tokio::time::Instant;

use crate::adapters::metric::{Cadence, Slot};
use crate::domain::estimate::{DECIDING, Estimate, Smoke, Taken};
use crate::domain::event::Event;
use crate::domain::measurement::{Contender, MetricName};
use crate::domain::quantity::show_duration;
use crate::domain::race;
use crate::engine::before::estimate;
use crate::engine::judge::tree::Judged;
use crate::engine::measure::Measuring;
use crate::engine::measure::blocks::{Meters, Spoiled, close};
use crate::engine::measure::lanes;
use crate::engine::patience::Patience;
use crate::engine::run::PerContender;
use crate::engine::state::{Facts, Record};
use crate::error::{Error, ExitCode};

/// No block has the numbers up to this one, so that what the smoke test is given is met by nobody again.
const SMOKE: u32 = u32::MAX - 2;

/// Rounds of a try, and the time after which three are enough.
const ROUNDS: usize = 5;
const FEWEST: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the machine may spoil a slice before it is left untried.
const TRIES: u32 = 3;

impl Measuring {
    /// Asks every source on the judged baseline, unless that was done. Refuses what could measure nothing,
    /// and warns of what could decide nothing.
    pub(in crate::engine) async fn smoke(&self, judged: &PerContender<Judged>, facts: &mut Facts) -> Result<(), Error> {
        let baseline = Contender::Baseline;
        if facts.seen.smoke.is_some() || !facts.seen.blocks.is_empty() || facts.seen.ended.contains_key(&baseline) {
            return Ok(());
        }
        let mut meters = Meters::new();
        let rounds = self.rounds(judged, facts, &mut meters).await;
        close(&mut meters).await;
        let smoke = rounds?;
        self.end_tampering(judged, facts).await?;
        self.run.note(facts, Record::Smoked(smoke)).await?;
        let Some(estimate) = self.estimate(facts) else { return Ok(()) };
        if self.run.started.trying || self.run.started.rehearsal {
            return Ok(());
        }
        self.run.tell(Event::Choice { what: "baseline".to_owned(), text: told(&estimate) });
        match self.fits(&estimate) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.run.unfit(error).await),
        }
    }

    /// What measuring will take, as far as the facts tell.
    pub fn estimate(&self, facts: &Facts) -> Option<Estimate> {
        let contenders = self.run.plan().variants.len() + 1 + usize::from(self.judging.has_shadow());
        estimate::of(facts, contenders, self.settings.budget)
    }

    /// Rounds of slices, or what the baseline does not have and need not have.
    async fn rounds(
        &self,
        judged: &PerContender<Judged>,
        facts: &mut Facts,
        meters: &mut Meters,
    ) -> Result<Smoke, Error> {
        let (mut smoke, began) = (Smoke::default(), Instant::now());
        loop {
            // Inputs are drawn anew in every round, as they are in every block.
            let index = SMOKE.saturating_sub(u32::try_from(smoke.rounds.len()).unwrap_or(0));
            let round = match self.round(index, judged, facts, meters).await? {
                Ok(round) => round,
                Err(missing) => return Ok(Smoke { missing, ..Smoke::default() }),
            };
            let nothing = round.is_empty();
            smoke.rounds.push(round);
            let (taken, late) = (smoke.rounds.len(), began.elapsed() >= PATIENCE);
            let enough = match self.run.started.trying {
                true => taken >= ROUNDS || (taken >= FEWEST && late),
                // What seems too slow may have built something first.
                false => taken > 1 || self.seems_to_fit(&smoke),
            };
            if enough || nothing {
                return Ok(smoke);
            }
        }
    }

    fn seems_to_fit(&self, smoke: &Smoke) -> bool {
        let contenders = self.run.plan().variants.len() + 1 + usize::from(self.judging.has_shadow());
        Estimate::new("", &smoke.seconds(), contenders, self.settings.budget).blocks >= DECIDING
    }

    /// One slice of every source, of those that are read once only in the first round; or the metrics of the
    /// first that the baseline does not have and need not have.
    async fn round(
        &self,
        index: u32,
        judged: &PerContender<Judged>,
        facts: &mut Facts,
        meters: &mut Meters,
    ) -> Result<Result<Vec<Taken>, Vec<MetricName>>, Error> {
        let mut round = Vec::new();
        for (at, source) in self.sources.iter().enumerate() {
            let each = source.cadence() == Cadence::EachBlock;
            if !each && index != SMOKE {
                continue;
            }
            let mut tries = 0;
            loop {
                self.run.check_stop()?;
                let seed = race::block_seed(self.run.started.seed, index);
                let slot = Slot { block: index, seed, limit: self.run.time_left(), brief: None };
                let began = Instant::now();
                match self.slice(at, &Contender::Baseline, judged, meters, slot, Patience::until(slot)).await? {
                    Ok(slice) => {
                        round.extend(each.then(|| Taken { slice, took: began.elapsed() }));
                        break;
                    }
                    Err(Spoiled::Contender(message)) => {
                        if source.metrics().iter().all(|metric| self.settings.missing_on_base.contains(metric)) {
                            self.invalid(&Contender::Baseline, message, facts).await?;
                            return Ok(Err(source.metrics()));
                        }
                        let message = self.with_output(&Contender::Baseline, &message).await;
                        let names: Vec<_> = source.metrics().iter().map(ToString::to_string).collect();
                        return Err(self.run.unfit(unmeasured(&names, &message)).await);
                    }
                    Err(Spoiled::OutOfTime) => {
                        let message = format!("{}: one slice takes longer than the time cap leaves", source.name());
                        return Err(self
                            .run
                            .unfit(Error::refused(message).hint("raise the time cap of the document"))
                            .await);
                    }
                    Err(Spoiled::Machine(why)) => {
                        tries += 1;
                        if tries == TRIES {
                            self.run.warn(format!("{} could not be tried on the baseline: {why}", source.name()));
                            break;
                        }
                    }
                }
            }
        }
        Ok(Ok(round))
    }

    /// Refuses a run in which no block could be counted, and warns where too few could.
    fn fits(&self, estimate: &Estimate) -> Result<(), Error> {
        // Where that decides, measuring goes on beyond its budget, up to the time cap.
        let whole = estimate.block_seconds <= estimate.budget_seconds;
        let extends =
            whole && self.run.started.extends && self.run.time_left().is_some_and(|left| estimate.needed() <= left);
        if estimate.blocks >= DECIDING || extends {
            return Ok(());
        }
        let seconds = |seconds: f64| show_duration(Duration::from_secs_f64(seconds));
        let budget = seconds(estimate.budget_seconds);
        let needed = seconds((estimate.needed().as_secs_f64() / 60.0).ceil() * 60.0);
        let block = format!("one block takes about {}", seconds((10.0 * estimate.block_seconds).ceil() / 10.0));
        let raise = format!(
            "{DECIDING} blocks after the warm-up are the fewest that can decide: at least {needed} are needed \
             (`measure: {{budget: …}}` in blueprint.yaml)"
        );
        // In lanes a block takes less, and whether they can be used is not known yet.
        let lanes = lanes::planned(&*self.machine, &self.sources, self.settings.lanes, estimate.contenders).is_ok();
        if estimate.blocks == 0 && !lanes {
            let error =
                Error::refused(format!("{block}, and the budget for measuring is {budget}: nothing would be counted"));
            return Err(error.hint(raise).hint("or measure less in a slice, or fewer variants"));
        }
        self.run.warn(format!(
            "{block}, and the budget for measuring is {budget}, enough for {} after the warm-up. {raise}",
            estimate.blocks
        ));
        Ok(())
    }
}

fn told(estimate: &Estimate) -> String {
    let seconds = |seconds: f64| show_duration(Duration::from_secs_f64(seconds));
    if estimate.sources.is_empty() {
        return "set-up, tests and metrics work".to_owned();
    }
    format!(
        "set-up, tests and metrics work; one block takes about {}",
        seconds((10.0 * estimate.block_seconds).ceil() / 10.0)
    )
}

fn unmeasured(metrics: &[String], message: &str) -> Error {
    let names = metrics.join(", ");
    Error::new(ExitCode::Machine, format!("{names} can't be measured on the baseline: {message}"))
        .hint("no agent was started: correct the command in blueprint.yaml, or what it needs, and commit that")
        .hint(format!(
            "where the baseline has no such value yet, say so: `metrics: {{{}: {{missing_on_base: true, …}}}}`",
            metrics.first().map_or("NAME", String::as_str)
        ))
}

#[cfg(test)]
mod tests;
