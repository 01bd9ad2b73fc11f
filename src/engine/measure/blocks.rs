//! Measuring: block after block, one slice a contender and source, until the race is decided,
//! every bound is known, or the time ends. What is decided from the blocks is `domain/decision`'s work.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::adapters::machine::Load;
use crate::adapters::metric::{Cadence, Meter, MetricError, Slot};
use crate::domain::decision::{self, Standing};
use crate::domain::event::Event;
use crate::domain::measurement::{Block, Contender, MetricName, Slice, Timing};
use crate::domain::timed::Change;
use crate::domain::trial::{Disqualification, Outcome, Phase};
use crate::domain::{disturbance, race};
use crate::engine::judge::tree::Judged;
use crate::engine::measure::Measuring;
use crate::engine::measure::pace::Pace;
use crate::engine::measure::untouched::Code;
use crate::engine::patience::{Patience, too_long};
use crate::engine::resources::lease::{SCRATCH, judging};
use crate::engine::run::PerContender;
use crate::engine::state::{Facts, Record};
use crate::error::Error;

/// Blocks in a row that the machine may spoil.
const SPOILED_LIMIT: u32 = 6;
/// More blocks than any race needs; keeps a source that costs nothing from running on and on.
const BLOCK_LIMIT: u32 = 2000;

/// What the programs of slices print, in the scratch directory.
const METRICS_LOG: &str = "metrics.log";

/// Servers and the like that stay ready between slices, by source and contender.
pub(in crate::engine) type Meters = BTreeMap<(usize, Contender), Box<dyn Meter>>;

/// Why a slice has no value.
pub(in crate::engine) enum Spoiled {
    /// The contender's doing; it is out.
    Contender(String),
    /// The machine's doing; the block is repeated.
    Machine(String),
    /// The time for measuring ended in the middle of it.
    OutOfTime,
}

impl Spoiled {
    /// By whose trouble it is that a slice did not end in time.
    fn exhausted(patience: Patience, source: &str) -> Self {
        if patience.ours { Self::OutOfTime } else { Self::Contender(format!("{source}: {}", too_long())) }
    }
}

/// Stops whatever was started to be measured.
pub(in crate::engine) async fn close(meters: &mut Meters) {
    for meter in meters.values_mut() {
        meter.close().await;
    }
}

impl Measuring {
    /// Measures the judged trees and returns what the journal then says.
    pub async fn measure(&self, judged: &PerContender<Judged>, mut facts: Facts) -> Result<Facts, Error> {
        for contender in judged.keys().filter(|contender| !facts.seen.ended.contains_key(*contender)) {
            self.run.tell(Event::PhaseEntered { contender: contender.clone(), phase: Phase::Measure });
        }
        let mut meters = Meters::new();
        let measured = self.measure_with(judged, &mut facts, &mut meters).await;
        close(&mut meters).await;
        measured.map(|()| facts)
    }

    async fn measure_with(
        &self,
        judged: &PerContender<Judged>,
        facts: &mut Facts,
        meters: &mut Meters,
    ) -> Result<(), Error> {
        if !self.read_exact(judged, facts, meters).await? {
            return Ok(());
        }
        self.await_calm().await?;
        let left = facts.measure_budget.saturating_sub(facts.seen.measured());
        let mut pace = Pace::new(self.run.time_left().map_or(left, |cap| cap.min(left)));
        self.choose_rates(judged, facts, pace.budget()).await?;
        self.choose_lanes(judged, facts, pace.budget()).await?;
        let ended = self.blocks(judged, facts, meters, &mut pace).await;
        self.warn_of_load(facts);
        let standing = decision::standing(&facts.seen)?;
        if ended.is_ok() && !standing.concluded() {
            self.warn_of_doubts(&standing);
            self.warn_of_short_time(facts, &pace);
        }
        ended
    }

    /// Block after block.
    async fn blocks(
        &self,
        judged: &PerContender<Judged>,
        facts: &mut Facts,
        meters: &mut Meters,
        pace: &mut Pace,
    ) -> Result<(), Error> {
        let code = self.code(judged, facts).await?;
        let mut spoiled = 0;
        let mut brief = None;
        loop {
            self.run.check_stop()?;
            let standing = self.settle_bounds(facts).await?;
            self.tell_doubts(brief, &standing);
            brief = standing.brief;
            self.tell_drops(facts, &standing);
            let index = facts.seen.blocks.last().map_or(0, |b| b.index + 1);
            if standing.concluded() || index >= BLOCK_LIMIT || !self.goes_on(pace, facts, &standing) {
                return Ok(());
            }
            let block = self.block(index, (judged, &code), facts, &standing, meters, pace).await?;
            self.check_code(&code, judged).await?;
            if self.end_tampering(judged, facts).await? {
                let why = "files by which a contender is judged changed while it was measured".to_owned();
                self.run.note(facts, Record::Discarded { index, why }).await?;
                continue;
            }
            match block {
                Ok(block) => {
                    let by = disturbance::beyond_the_usual(&block, &facts.seen.blocks, &facts.seen.clocks);
                    let kept = u32::try_from(facts.seen.blocks.len()).unwrap_or(u32::MAX);
                    if disturbance::is_taken_again(by, kept, facts.discarded) {
                        let why = format!("others used {by:.2} cores more than they usually do in this run");
                        self.run.note(facts, Record::Discarded { index, why }).await?;
                        continue;
                    }
                    spoiled = 0;
                    self.keep(facts, block).await?;
                    let survivors = standing.active.iter().filter(|c| **c != Contender::Shadow).cloned().collect();
                    let (elapsed, budget) = (pace.elapsed(), pace.budget());
                    self.run.tell(Event::BlockMeasured { index, survivors, elapsed, budget });
                }
                Err(Spoiled::Contender(_)) => {}
                Err(Spoiled::OutOfTime) => {
                    let why = "the time for measuring ended in the middle of it".to_owned();
                    self.run.note(facts, Record::Discarded { index, why }).await?;
                    return Ok(());
                }
                Err(Spoiled::Machine(why)) => {
                    spoiled += 1;
                    self.run.note(facts, Record::Discarded { index, why: why.clone() }).await?;
                    if spoiled < SPOILED_LIMIT {
                        self.run.warn(format!("block {index} is repeated: {why}"));
                        continue;
                    }
                    let told = format!("block {index} could not be measured {spoiled} times: {why}");
                    if facts.seen.blocks.len() < 2 {
                        return Err(Error::machine(told));
                    }
                    self.run.warn(format!("{told}; measuring ends with what there is"));
                    return Ok(());
                }
            }
        }
    }

    /// Writes a block down, with the clocks that gave way by it.
    async fn keep(&self, facts: &mut Facts, block: Block) -> Result<(), Error> {
        let before = facts.seen.clocks.changes().len();
        self.run.note(facts, Record::Block(block)).await?;
        for change in &facts.seen.clocks.changes()[before..] {
            let Change { source, from, to, why, .. } = change;
            self.run.warn(format!(
                "{source}: {why}, so that {} does not tell its time; from now on all are compared by {}, and the race \
                 starts anew",
                from.name(),
                to.name()
            ));
            self.run.log.write(&Record::Clock(change.clone())).await?;
        }
        Ok(())
    }

    /// Ends every candidate whose bound is known to be missed; the standing without them.
    async fn settle_bounds(&self, facts: &mut Facts) -> Result<Standing, Error> {
        loop {
            let standing = decision::standing(&facts.seen)?;
            let Some((key, reason)) = standing.failed.first().cloned() else { return Ok(standing) };
            let contender = Contender::Variant(key);
            self.run.put_out(&contender, Outcome::Disqualified { reason }, facts).await?;
        }
    }

    fn tell_drops(&self, facts: &Facts, standing: &Standing) {
        let newest = facts.seen.blocks.last().map(|b| b.index);
        for (block, dropped) in &standing.dropped {
            if Some(*block) == newest {
                self.run.tell(Event::Dropped {
                    contender: dropped.contender.clone(),
                    by: dropped.by.clone(),
                    e_value: dropped.e_value,
                });
            }
        }
    }

    /// Metrics that do not vary are read once for each contender; whether there was time for all of them.
    async fn read_exact(
        &self,
        judged: &PerContender<Judged>,
        facts: &mut Facts,
        meters: &mut Meters,
    ) -> Result<bool, Error> {
        for (at, source) in self.sources.iter().enumerate() {
            if source.cadence() != Cadence::Once {
                continue;
            }
            // The baseline comes first. What it took in an earlier session is not known.
            let mut usual = None;
            // The shadow has the baseline's values: what is read once can't tell chance from bias.
            for contender in judged.keys().filter(|c| **c != Contender::Shadow) {
                let known = facts.seen.exact.get(contender).into_iter().flatten().map(|r| &r.metric);
                let known: Vec<_> = known.cloned().collect();
                if facts.seen.ended.contains_key(contender) || source.metrics().iter().all(|m| known.contains(m)) {
                    continue;
                }
                let patience = self.run.first_patience(usual);
                let slot = Slot { block: 0, seed: self.run.started.seed, limit: patience.limit, brief: None };
                match self.slice(at, contender, judged, meters, slot, patience).await? {
                    Ok(slice) => {
                        usual = usual.or(Some(slice.timing.wall).filter(|_| *contender == Contender::Baseline));
                        let readings = slice.readings;
                        self.run.note(facts, Record::Exact { contender: contender.clone(), readings }).await?;
                    }
                    Err(Spoiled::Contender(message)) => self.invalid(contender, message, facts).await?,
                    Err(Spoiled::OutOfTime) => return Ok(false),
                    Err(Spoiled::Machine(why)) => return Err(Error::machine(format!("{}: {why}", source.name()))),
                }
            }
        }
        Ok(true)
    }

    /// What was wrong with a slice, with the end of what was printed as it may be shown, and where all of it is.
    pub(in crate::engine) async fn with_output(&self, contender: &Contender, message: &str) -> String {
        let scratch = self.run.place(&judging(&contender.slug())).join(SCRATCH);
        let shown = self.judging.excerpt(message);
        match self.judging.keep_log(&scratch, METRICS_LOG).await {
            Some(log) => format!("{shown}\nall of it: {log}"),
            None => shown,
        }
    }

    pub(in crate::engine) async fn invalid(
        &self,
        contender: &Contender,
        message: String,
        facts: &mut Facts,
    ) -> Result<(), Error> {
        let message = self.with_output(contender, &message).await;
        let outcome = Outcome::Disqualified { reason: Disqualification::InvalidMeasurement { message } };
        self.run.put_out(contender, outcome, facts).await
    }

    /// One slice for each active contender and each source that it still needs.
    #[tracing::instrument(skip_all, fields(index = index))]
    async fn block(
        &self,
        index: u32,
        (judged, code): (&PerContender<Judged>, &Code),
        facts: &mut Facts,
        standing: &Standing,
        meters: &mut Meters,
        pace: &Pace,
    ) -> Result<Result<Block, Spoiled>, Error> {
        let slot = Slot {
            block: index,
            seed: race::block_seed(self.run.started.seed, index),
            limit: self.whole_limit(pace.left()),
            brief: standing.brief,
        };
        if let Some(lanes) = facts.seen.lanes.as_ref().and_then(|decision| decision.lanes.clone()) {
            return self.block_in_lanes((&lanes, judged), facts, standing, meters, slot, pace).await;
        }
        let order = race::shuffled(&standing.active, self.run.started.seed, index);
        let mut slices = Vec::new();
        for contender in order {
            for (at, source) in self.sources.iter().enumerate() {
                let each = source.cadence() == Cadence::EachBlock;
                if !each || !standing.needs(&contender, &source.metrics()) {
                    continue;
                }
                self.run.check_stop()?;
                let patience = self.patience(facts, source.name(), &contender, pace);
                let slot = Slot { limit: patience.limit, ..slot };
                let slice = self.slice(at, &contender, judged, meters, slot, patience).await?;
                let tampered = self.tampered(&contender, code, judged).await?;
                match tampered.map_or(slice, |message| Err(Spoiled::Contender(message))) {
                    Ok(slice) => slices.push(slice),
                    Err(Spoiled::Contender(message)) => {
                        self.invalid(&contender, message.clone(), facts).await?;
                        return Ok(Err(Spoiled::Contender(message)));
                    }
                    Err(machine) => return Ok(Err(machine)),
                }
            }
        }
        if let Err(spoiled) = self.check_outputs(&mut slices, judged, facts, meters, slot).await? {
            return Ok(Err(spoiled));
        }
        Ok(Ok(Block { index, slices }))
    }

    /// One turn of one contender at one source, which is opened at its first.
    pub(in crate::engine) async fn slice(
        &self,
        at: usize,
        contender: &Contender,
        judged: &PerContender<Judged>,
        meters: &mut Meters,
        slot: Slot,
        patience: Patience,
    ) -> Result<Result<Slice, Spoiled>, Error> {
        let source = &self.sources[at];
        let Some(tree) = judged.get(contender) else {
            return Err(Error::machine(format!("{contender} has no judged tree to be measured in")));
        };
        if let Some(replaced) = self.leases.replaced(&tree.lease).await {
            return Ok(Err(Spoiled::Contender(replaced)));
        }
        let place = (at, contender.clone());
        if !meters.contains_key(&place) {
            match source.open(&tree.site).await {
                Ok(meter) => drop(meters.insert(place.clone(), meter)),
                Err(error) => return self.spoiled(source.name(), error),
            }
        }
        let Some(meter) = meters.get_mut(&place) else {
            return Err(Error::machine(format!("{} can't be measured for {contender}", source.name())));
        };
        self.sample(source.name(), contender, &mut **meter, None, slot, patience).await
    }

    /// What a meter says in one slot, with what it cost; in this lane and on its CPUs, where there are lanes.
    pub(in crate::engine) async fn sample(
        &self,
        source: &str,
        contender: &Contender,
        meter: &mut dyn Meter,
        lane: Option<(u32, &[usize])>,
        slot: Slot,
        patience: Patience,
    ) -> Result<Result<Slice, Spoiled>, Error> {
        let cpus = lane.map_or(&[][..], |(_, cpus)| cpus);
        let (began, before) = (Instant::now(), self.machine.load(cpus));
        match meter.sample(slot).await {
            Ok(sample) => Ok(Ok(Slice {
                contender: contender.clone(),
                source: source.to_owned(),
                lane: lane.map(|(lane, _)| lane),
                readings: sample.readings,
                timing: beside(sample.timing, self.machine.load(cpus).since(before)),
                own: sample.own,
                output: sample.output,
            })),
            // What the baseline leaves behind is no variant's doing, and would be no measurement.
            Err(MetricError::Left(why)) if contender.key().is_none() => {
                Err(Error::machine(format!("{source} on the {contender}: {why}")).hint(STAYS))
            }
            Err(MetricError::Variant(_)) if patience.limit.is_some_and(|limit| began.elapsed() >= limit) => {
                Ok(Err(Spoiled::exhausted(patience, source)))
            }
            Err(error) => self.spoiled(source, error),
        }
    }

    pub(in crate::engine) fn spoiled<T>(&self, source: &str, error: MetricError) -> Result<Result<T, Spoiled>, Error> {
        match error {
            MetricError::Variant(message) | MetricError::Left(message) => {
                Ok(Err(Spoiled::Contender(format!("{source}: {message}"))))
            }
            MetricError::Machine(message) => Ok(Err(Spoiled::Machine(format!("{source}: {message}")))),
            MetricError::Process(error) => Err(crate::engine::trouble::machine(error)),
            MetricError::Stopped => {
                self.run.check_stop()?;
                Ok(Err(Spoiled::Machine(format!("{source}: stopped"))))
            }
        }
    }
}

/// What to do about a harness that leaves something running.
const STAYS: &str = "let the command end all that it starts (such as gradle's --no-daemon); a server is started by `http`, \
     a database by `database`";

/// What a slice cost, with what the machine did beside it.
fn beside(timing: Timing, load: Load) -> Timing {
    let others = load.busy.map(|busy| busy.saturating_sub(timing.cpu.unwrap_or_default()));
    Timing { others, steal: load.steal, pressure: load.pressure, ..timing }
}

impl Standing {
    /// Whether a source that provides these metrics has still something to tell of a contender.
    pub(in crate::engine) fn needs(&self, contender: &Contender, metrics: &[MetricName]) -> bool {
        let races = metrics.iter().any(|m| self.performance.contains(m));
        races || metrics.iter().any(|m| self.uncertain.contains(&(contender.clone(), m.clone())))
    }
}

#[cfg(test)]
mod tests;
