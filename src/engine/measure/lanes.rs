//! Measuring in parallel lanes: whether they are used, decided once before the first block, and a
//! block in them. Where anything speaks against lanes, contenders are measured one after another.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::adapters::machine::Machine;
use crate::adapters::metric::{Cadence, MetricSource, Slot};
use crate::adapters::process::Site;
use crate::domain::decision::Standing;
use crate::domain::event::Event;
use crate::domain::lanes::{Decision, Lanes, Refusal, Tried, Wanted, interference};
use crate::domain::measurement::{Block, Contender, Slice};
use crate::domain::race;
use crate::domain::timed::Clocks;
use crate::engine::judge::tree::Judged;
use crate::engine::measure::Measuring;
use crate::engine::measure::blocks::{Meters, Spoiled};
use crate::engine::measure::pace::Pace;
use crate::engine::patience::Patience;
use crate::engine::run::PerContender;
use crate::engine::state::{Facts, Record};
use crate::error::Error;

/// Slices of each contender alone and beside others; medians of so many are compared.
const TRIES: u32 = 3;

/// The check may take this part of the time for measuring.
const SHARE: u32 = 4;

/// No block has this number, so that what the check is given is met by nobody again.
const CHECK: u32 = u32::MAX;

/// The lanes that this machine and the plan's sources allow for so many contenders, the baseline included.
pub fn planned(
    machine: &dyn Machine,
    sources: &[Arc<dyn MetricSource>],
    wanted: Wanted,
    contenders: usize,
) -> Result<Lanes, Refusal> {
    let lanes = Lanes::planned(&machine.topology(), wanted, contenders)?;
    let mut sources = sources.iter().filter(|source| source.cadence() == Cadence::EachBlock).peekable();
    if sources.peek().is_none() {
        return Err(Refusal::Nothing);
    }
    match sources.find(|source| source.stays()) {
        Some(source) => Err(Refusal::Stays { source: source.name().to_owned() }),
        None => Ok(lanes),
    }
}

/// Slices of the check, and whether each was alone.
type Seen = Vec<(bool, Slice)>;

/// Who is to be measured in which lane.
type Seats = Vec<(u32, Contender)>;

impl Measuring {
    /// Decides whether blocks are measured in lanes, unless the journal knows it already. What was
    /// decided holds for the whole run, as long as the machine still has the cores.
    pub(in crate::engine) async fn choose_lanes(
        &self,
        judged: &PerContender<Judged>,
        facts: &mut Facts,
        budget: Duration,
    ) -> Result<(), Error> {
        let known = facts.seen.lanes.as_ref().map(|decision| decision.lanes.as_ref());
        match known {
            Some(None) => return Ok(()),
            Some(Some(lanes)) if lanes.fit(&self.machine.topology()) => return Ok(()),
            Some(Some(_)) | None => {}
        }
        let contenders: Vec<_> = judged.keys().filter(|c| !facts.seen.ended.contains_key(c)).cloned().collect();
        let decision = match planned(&*self.machine, &self.sources, self.settings.lanes, contenders.len()) {
            Ok(lanes) => self.check_lanes(lanes, &contenders, judged, budget).await?,
            Err(refusal) => {
                let why = refusal.to_string();
                if matches!(refusal, Refusal::Stays { .. }) {
                    self.tell_lanes(format!("one after another: {why}"));
                }
                Decision { lanes: None, why, check: Vec::new() }
            }
        };
        self.run.note(facts, Record::Lanes(decision)).await
    }

    fn tell_lanes(&self, text: String) {
        self.run.tell(Event::Choice { what: "measuring".to_owned(), text });
    }

    /// Uses the lanes only where this plan's own sources see no difference between alone and beside others.
    async fn check_lanes(
        &self,
        lanes: Lanes,
        contenders: &[Contender],
        judged: &PerContender<Judged>,
        budget: Duration,
    ) -> Result<Decision, Error> {
        let mut check =
            Check { measuring: self, lanes: &lanes, judged, seen: Seen::new(), ends: Instant::now() + budget / SHARE };
        let passed = match check.baseline(contenders).await? {
            Ok(()) => check.variants(contenders).await?,
            failed => failed,
        };
        let check = check.tried();
        Ok(match passed {
            Ok(()) => {
                let why = format!("{} lanes, which the check found not to disturb each other", lanes.count());
                self.tell_lanes(why.clone());
                Decision { lanes: Some(lanes), why, check }
            }
            Err(why) => {
                self.run.warn(format!("measuring sequentially, not in {} lanes: {why}", lanes.count()));
                Decision { lanes: None, why, check }
            }
        })
    }

    /// One block in lanes: round after round, and in each round source after source, all lanes at once.
    pub(in crate::engine) async fn block_in_lanes(
        &self,
        (lanes, judged): (&Lanes, &PerContender<Judged>),
        facts: &mut Facts,
        standing: &Standing,
        meters: &mut Meters,
        slot: Slot,
        pace: &Pace,
    ) -> Result<Result<Block, Spoiled>, Error> {
        let mut slices = Vec::new();
        for round in lanes.rounds(&standing.active, self.run.started.seed, slot.block) {
            for source in self.sources.iter().filter(|source| source.cadence() == Cadence::EachBlock) {
                self.run.check_stop()?;
                let metrics = source.metrics();
                let seats: Seats = round.iter().filter(|(_, who)| standing.needs(who, &metrics)).cloned().collect();
                let patience = |who: &Contender| self.patience(facts, source.name(), who, pace);
                let taken = self.at_once(&**source, &seats, lanes, judged, slot, patience).await?;
                for ((_, contender), slice) in seats.iter().zip(taken) {
                    match slice {
                        Ok(slice) => slices.push(slice),
                        Err(Spoiled::Contender(message)) => {
                            self.invalid(contender, message.clone(), facts).await?;
                            return Ok(Err(Spoiled::Contender(message)));
                        }
                        Err(machine) => return Ok(Err(machine)),
                    }
                }
            }
        }
        if let Err(spoiled) = self.check_outputs(&mut slices, judged, facts, meters, slot).await? {
            return Ok(Err(spoiled));
        }
        Ok(Ok(Block { index: slot.block, slices }))
    }

    /// A slice in each of these lanes at the same time, in the order of the seats, with the patience that each is given.
    async fn at_once(
        &self,
        source: &dyn MetricSource,
        seats: &[(u32, Contender)],
        lanes: &Lanes,
        judged: &PerContender<Judged>,
        slot: Slot,
        patience: impl Fn(&Contender) -> Patience,
    ) -> Result<Vec<Result<Slice, Spoiled>>, Error> {
        let slices = seats.iter().map(|(lane, who)| {
            let patience = patience(who);
            let slot = Slot { limit: patience.limit, ..slot };
            self.slice_in_lane(source, who, *lane, lanes, judged, (slot, patience))
        });
        join_all(slices).await.into_iter().collect()
    }

    /// One slice on a lane's CPUs. Sources that can be in lanes keep nothing, so that each slice opens its own.
    async fn slice_in_lane(
        &self,
        source: &dyn MetricSource,
        contender: &Contender,
        lane: u32,
        lanes: &Lanes,
        judged: &PerContender<Judged>,
        (slot, patience): (Slot, Patience),
    ) -> Result<Result<Slice, Spoiled>, Error> {
        let (Some(tree), Some(cpus)) = (judged.get(contender), lanes.cpus().get(lane as usize)) else {
            return Err(Error::machine(format!("{contender} has no judged tree or no lane to be measured in")));
        };
        let site = Site { cpus: cpus.clone(), ..tree.site.clone() };
        let mut meter = match source.open(&site).await {
            Ok(meter) => meter,
            Err(error) => return self.spoiled(source.name(), error),
        };
        let slice = self.sample(source.name(), contender, &mut *meter, Some((lane, cpus)), slot, patience).await;
        meter.close().await;
        slice
    }
}

/// The check: what is measured alone is measured beside others too, in the same lanes.
struct Check<'a> {
    measuring: &'a Measuring,
    lanes: &'a Lanes,
    judged: &'a PerContender<Judged>,
    seen: Seen,
    ends: Instant,
}

/// Whether the check may go on, or why lanes are not used.
type Passed = Result<(), String>;

impl Check<'_> {
    /// The baseline alone in each lane, and in all of them at once.
    async fn baseline(&mut self, contenders: &[Contender]) -> Result<Passed, Error> {
        if !contenders.contains(&Contender::Baseline) {
            return Ok(Err("the baseline could not be measured".to_owned()));
        }
        let all: Seats = self.lanes.numbers().map(|lane| (lane, Contender::Baseline)).collect();
        self.compare(std::slice::from_ref(&all), &all).await
    }

    /// Each variant alone, and in the same lane while every other lane is busy.
    async fn variants(&mut self, contenders: &[Contender]) -> Result<Passed, Error> {
        let variants: Vec<_> = contenders.iter().filter(|c| **c != Contender::Baseline).cloned().collect();
        let fill = std::iter::repeat(Contender::Baseline);
        let full = |some: &[Contender]| self.lanes.numbers().zip(some.iter().cloned().chain(fill.clone())).collect();
        let crowds: Vec<Seats> = variants.chunks(self.lanes.count()).map(full).collect();
        let alone: Seats = crowds.iter().flatten().filter(|(_, who)| *who != Contender::Baseline).cloned().collect();
        self.compare(&crowds, &alone).await
    }

    /// Takes slices of these alone and of those crowds, in turns, and judges all that was seen so far.
    async fn compare(&mut self, crowds: &[Seats], alone: &[(u32, Contender)]) -> Result<Passed, Error> {
        let measuring = self.measuring;
        for _ in 0..TRIES {
            for source in measuring.sources.iter().filter(|source| source.cadence() == Cadence::EachBlock) {
                let ones = alone.iter().map(|seat| (true, std::slice::from_ref(seat)));
                for (alone, seats) in ones.chain(crowds.iter().map(|crowd| (false, crowd.as_slice()))) {
                    if let Err(why) = self.take(&**source, alone, seats).await? {
                        return Ok(Err(why));
                    }
                }
            }
        }
        Ok(interference(&self.tried()))
    }

    async fn take(
        &mut self,
        source: &dyn MetricSource,
        alone: bool,
        seats: &[(u32, Contender)],
    ) -> Result<Passed, Error> {
        self.measuring.run.check_stop()?;
        let left = self.ends.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Err("the check did not end within a quarter of the time for measuring".to_owned()));
        }
        // The same inputs for everyone, so that only lanes and neighbours differ.
        let seed = race::block_seed(self.measuring.run.started.seed, CHECK);
        let slot = Slot { block: CHECK, seed, limit: Some(left), brief: None };
        let until = |_: &Contender| Patience::until(slot);
        let taken = match self.measuring.at_once(source, seats, self.lanes, self.judged, slot, until).await {
            Ok(taken) => taken,
            Err(error) => {
                self.measuring.run.check_stop()?;
                return Ok(Err(format!("the check failed: {error}")));
            }
        };
        for slice in taken {
            match slice {
                Ok(slice) => self.seen.push((alone, slice)),
                // Whose fault it is will show when it is measured.
                Err(Spoiled::Contender(why) | Spoiled::Machine(why)) => {
                    return Ok(Err(format!("the check failed: {why}")));
                }
                Err(Spoiled::OutOfTime) => {
                    return Ok(Err("the check did not end within a quarter of the time for measuring".to_owned()));
                }
            }
        }
        Ok(Ok(()))
    }

    /// What was seen, by the clocks that the same slices would choose in a warm-up block.
    fn tried(&self) -> Vec<Tried> {
        let alone: Vec<_> = self.seen.iter().filter(|(alone, _)| *alone).map(|(_, slice)| slice.clone()).collect();
        let clocks = Clocks::chosen(&alone);
        self.seen.iter().flat_map(|(alone, slice)| Tried::of(slice, *alone, &clocks)).collect()
    }
}
