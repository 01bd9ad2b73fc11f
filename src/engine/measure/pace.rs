//! How long measuring goes on: a budget that holds, what is added to it where that would decide, and the wait
//! for a calmer machine before it begins.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::decision::{self, Standing};
use crate::domain::disturbance;
use crate::domain::estimate::DECIDING;
use crate::domain::event::Event;
use crate::domain::landing;
use crate::domain::measurement::Contender;
use crate::domain::race::Rules;
use crate::domain::statistics;
use crate::engine::measure::Measuring;
use crate::engine::patience::{Patience, SHORT};
use crate::engine::state::Facts;
use crate::error::Error;

/// A slice that takes no more than this part of the budget for measuring is not too long, however short that is; below
/// [`BRIEF`] it never is.
const PART: u32 = 6;
const BRIEF: Duration = Duration::from_secs(5);
/// A machine is calm when others use at most this share of its cores, over [`LOOK`].
const CALM: f64 = 0.25;
const LOOK: Duration = Duration::from_secs(3);
/// From this share of the cores on a reader is told what others used.
const BUSY: f64 = 0.5;

/// The time that measuring may take.
pub(in crate::engine) struct Pace {
    began: Instant,
    budget: Duration,
}

impl Pace {
    pub fn new(budget: Duration) -> Self {
        Self { began: Instant::now(), budget }
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn budget(&self) -> Duration {
        self.budget
    }

    pub fn left(&self) -> Duration {
        self.budget.saturating_sub(self.elapsed())
    }

    /// Whether a block that takes this long ends in time.
    fn has_room_for(&self, block: Duration) -> bool {
        let left = self.left();
        !left.is_zero() && block <= left
    }
}

/// What the next block will take: each slice as its like did at the median. Slices that were never taken
/// count for nothing.
fn next_block(facts: &Facts, standing: &Standing) -> Duration {
    let mut known: BTreeMap<(&Contender, &str), Vec<f64>> = BTreeMap::new();
    for slice in facts.seen.blocks.iter().flat_map(|block| &block.slices) {
        let place = known.entry((&slice.contender, &slice.source)).or_default();
        place.push(slice.timing.wall.as_secs_f64());
    }
    let active = known.iter().filter(|((who, _), _)| standing.active.contains(who));
    let whole: f64 = active.filter_map(|(_, walls)| statistics::median(walls)).sum();
    Duration::from_secs_f64(whole / facts.seen.at_once() as f64)
}

impl Measuring {
    /// Whether another block is measured; adds to the budget where that would decide and may be done.
    pub(in crate::engine) fn goes_on(&self, pace: &mut Pace, facts: &Facts, standing: &Standing) -> bool {
        let next = next_block(facts, standing);
        let spare = self.spare(facts, next);
        let room = pace.has_room_for(next) && spare.is_none_or(|spare| next <= spare);
        // The first block tells how long blocks are.
        if facts.seen.blocks.is_empty() && !pace.left().is_zero() || room {
            return true;
        }
        if self.run.measures_on(standing.race.counted()) {
            return true;
        }
        let to_go =
            landing::blocks_to_go(self.run.started.require, &standing.race).filter(|_| self.run.started.extends);
        let (Some(blocks), Some(spare)) = (to_go, spare) else { return false };
        let needed = next * blocks;
        if needed.is_zero() || needed > spare {
            return false;
        }
        pace.budget = pace.elapsed() + needed;
        self.run.tell(Event::Choice {
            what: "measuring".to_owned(),
            text: format!("goes on: about {blocks} more blocks decide, and the time cap leaves room for them"),
        });
        true
    }

    /// What is left of the time cap for blocks that take so long, less what it takes to measure again in fresh trees
    /// where somebody is faster than asked for.
    fn spare(&self, facts: &Facts, block: Duration) -> Option<Duration> {
        let left = self.run.time_left()?;
        let slowest = *self.judging.slowest_tree.lock().unwrap_or_else(PoisonError::into_inner);
        let reserve = decision::takes(slowest, block);
        // Nobody has to be looked at as long as there is time for both.
        let scarce = left < block + reserve;
        Some(if scarce && decision::anyone(&facts.seen) { left.saturating_sub(reserve) } else { left })
    }

    /// When measuring ends at the latest: a rehearsal may need more than its budget.
    pub(in crate::engine) fn whole_limit(&self, left: Duration) -> Option<Duration> {
        if self.run.started.rehearsal { self.run.time_left() } else { Some(left) }
    }

    /// How long a slice of a contender at this source may take. The baseline's own slices have no measure but the time
    /// that is left: a machine that stalls is not its doing.
    pub(in crate::engine) fn patience(
        &self,
        facts: &Facts,
        source: &str,
        contender: &Contender,
        pace: &Pace,
    ) -> Patience {
        let tried = facts.seen.smoke.iter().flat_map(|smoke| &smoke.rounds).flatten().map(|taken| &taken.slice);
        let slices = facts.seen.blocks.iter().flat_map(|block| &block.slices).chain(tried);
        let of_baseline = slices.filter(|slice| slice.source == source && slice.contender == Contender::Baseline);
        let longest = of_baseline.map(|slice| slice.timing.wall).max();
        let beside = longest.filter(|_| contender.key().is_some());
        let short = (pace.budget / PART).clamp(BRIEF, SHORT);
        Patience::beside(beside, short, self.whole_limit(pace.left()))
    }

    /// Logical CPUs that this process may use; 1 where the machine does not tell.
    fn cores(&self) -> f64 {
        let topology = self.machine.topology();
        topology.cores.iter().map(|core| core.cpus.len()).sum::<usize>().max(1) as f64
    }

    /// Waits for a calmer machine as long as the configuration lets us.
    pub(in crate::engine) async fn await_calm(&self) -> Result<(), Error> {
        let Some(most) = self.settings.wait else { return Ok(()) };
        let most = self.run.time_left().map_or(most, |left| most.min(left));
        let (began, cores) = (Instant::now(), self.cores());
        let mut told = false;
        loop {
            let before = self.machine.load(&[]);
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.run.stop.cancelled() => {}
            }
            self.run.check_stop()?;
            let Some(busy) = self.machine.load(&[]).since(before).busy else { return Ok(()) };
            let used = busy.as_secs_f64() / LOOK.as_secs_f64();
            if used <= CALM * cores {
                return Ok(());
            }
            if began.elapsed() + LOOK > most {
                self.run.warn(format!("others still use {used:.1} of {cores:.0} cores; measuring begins all the same"));
                return Ok(());
            }
            if !std::mem::replace(&mut told, true) {
                let text = format!("waits for a calmer machine: others use {used:.1} of {cores:.0} cores");
                self.run.tell(Event::Choice { what: "measuring".to_owned(), text });
            }
        }
    }

    /// Says what others used while measuring, where it was much.
    pub(in crate::engine) fn warn_of_load(&self, facts: &Facts) {
        let cores = self.cores();
        if let Some(used) = disturbance::usual(&facts.seen.blocks).filter(|used| *used > BUSY * cores) {
            self.run.warn(format!(
                "the machine was busy while measuring: other programs used {used:.1} of its {cores:.0} cores, so that \
                 differences take longer to tell"
            ));
        }
    }

    /// What is told where the time ended before a block could be counted.
    pub(in crate::engine) fn warn_of_short_time(&self, facts: &Facts, pace: &Pace) {
        if facts.seen.blocks.len() > 1 {
            return;
        }
        // With the one that warms up.
        let fewest = DECIDING + Rules::default().warmup;
        let budget = pace.budget.as_secs_f64();
        let block = decision::block_time(&facts.seen).as_secs_f64();
        self.run.warn(if facts.seen.blocks.is_empty() {
            format!(
                "one block takes longer than the whole budget for measuring, which is {budget:.1} s: raise \
                 `measure.budget`, {fewest} blocks are the fewest that can decide"
            )
        } else {
            format!(
                "one block takes {block:.1} s, and the budget for measuring is {budget:.1} s: {fewest} blocks are the fewest \
                 that can decide, so `measure: {{budget: {:.0}s}}` is the least",
                (block * f64::from(fewest)).ceil()
            )
        });
    }
}

#[cfg(test)]
mod tests;
