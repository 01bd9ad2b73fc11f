//! Whether the time that a program reports of itself is in the time that it takes.
//!
//! A benchmark that times itself says how long its work took and how often it was done ([`Account`]). What its slice
//! took beside, the *rest*, is seen from outside. A variant that claims to save time has a slice whose rest is about
//! that of the baseline's slice; where more than half of what it claims to save is found in its rest again, the block
//! speaks against it. A clock that runs slow, rounds that were left out and a report that was changed all look so.
//!
//! What is new in the rest may as well be a start that takes longer, such as an import, which is honest: it does not
//! grow with the rounds. So where a tool can be asked for fewer rounds, the blocks that follow are *brief*, and
//! the evidence is what the rest lost there: nothing of a start, and its share of what was left out. Where a tool
//! starts the program anew for each observation, there is no such start; of all others it is only said that
//! the claim is open.

use super::bounds::{Answer, BoundTest, Standing};
use super::measurement::{Account, Reading, Slice};
use super::quantity::{Dimension, Quantity};
use super::race::Rules;
use super::statistics;

/// The blocks that are looked back on, so that who begins to leave something out later is found as well.
const WINDOW: usize = 20;

/// The share of what is claimed to be saved that may be found in the rest.
const FOUND: f64 = 0.5;

/// A brief slice of more than this share of the usual rounds tells nothing.
const FEWER: f64 = 0.75;

/// So many brief blocks that told nothing show that the rounds can't be made fewer.
const SILENT: usize = 4;

/// What one slice reported and took, in seconds, without waits for a core where `scale` took them out.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Turn {
    account: Account,
    /// How many observations.
    rounds: f64,
    /// Elapsed.
    wall: f64,
    /// By which the waits shorten every time of the slice.
    scale: f64,
}

impl Turn {
    fn each(&self) -> f64 {
        self.scale * self.account.spent / self.account.times
    }

    fn rest(&self) -> f64 {
        self.scale * (self.wall - self.account.told).max(0.0)
    }
}

/// One block's two slices of one source, of the baseline and of a variant that is measured beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    baseline: Turn,
    variant: Turn,
}

impl Pair {
    /// Of two slices and their readings of one metric; `None` where one of them tells no account.
    pub fn of(baseline: (&Slice, &Reading), variant: (&Slice, &Reading)) -> Option<Self> {
        let free = |slice: &Slice| Some(slice.timing.unhindered()?.as_secs_f64() / slice.timing.wall.as_secs_f64());
        let scales = free(baseline.0).zip(free(variant.0)).unwrap_or((1.0, 1.0));
        let turn = |(slice, reading): (&Slice, &Reading), scale: f64| {
            let account = reading.account.filter(|account| account.times > 0.0 && account.spent > 0.0)?;
            let (rounds, wall) = (reading.observations as f64, slice.timing.wall.as_secs_f64());
            Some(Turn { account, rounds, wall, scale: if scale.is_finite() { scale } else { 1.0 } })
        };
        let pair = Self { baseline: turn(baseline, scales.0)?, variant: turn(variant, scales.1)? };
        (pair.baseline.account.brief == pair.variant.account.brief).then_some(pair)
    }

    fn is_brief(&self) -> bool {
        self.variant.account.brief
    }

    /// What is claimed to be saved each time that the work is done.
    fn claim(&self) -> f64 {
        self.baseline.each() - self.variant.each()
    }

    /// Whether half of what is claimed to be saved is in the rest.
    fn answer(&self) -> Answer {
        let account = &self.variant.account;
        let more = if account.anew { (self.variant.rounds / self.baseline.rounds).max(1.0) } else { 1.0 };
        let found = self.variant.rest() - self.baseline.rest() * more - account.apart;
        against(self.claim() * account.times, found)
    }
}

fn against(claimed: f64, found: f64) -> Answer {
    if claimed > 0.0 && found > FOUND * claimed { Answer::Missed } else { Answer::Held }
}

/// The middle of one figure over some pairs.
fn middle(pairs: &[&Pair], of: impl Fn(&Pair) -> f64) -> f64 {
    statistics::median(&pairs.iter().map(|pair| of(pair)).collect::<Vec<_>>()).unwrap_or(0.0)
}

/// The usual pairs, as brief ones are held against them.
struct Usual {
    claim: f64,
    times: f64,
    rests: (f64, f64),
    rounds: (f64, f64),
}

impl Usual {
    fn of(pairs: &[&Pair]) -> Self {
        Self {
            claim: middle(pairs, Pair::claim),
            times: middle(pairs, |pair| pair.variant.account.times),
            rests: (middle(pairs, |pair| pair.baseline.rest()), middle(pairs, |pair| pair.variant.rest())),
            rounds: (middle(pairs, |pair| pair.baseline.rounds), middle(pairs, |pair| pair.variant.rounds)),
        }
    }

    /// Whether half of what is claimed to be saved went out of the rest with the rounds. What went out of the
    /// baseline's is what the tool needs for a round, and what the machine does otherwise now than before. `None` where
    /// the rounds are not fewer.
    fn answer(&self, brief: &Pair) -> Option<Answer> {
        let fewer = self.times - brief.variant.account.times;
        if brief.variant.account.times > FEWER * self.times {
            return None;
        }
        let lost = (self.rests.0 - brief.baseline.rest(), self.rests.1 - brief.variant.rest());
        let rounds = (self.rounds.0 - brief.baseline.rounds, self.rounds.1 - brief.variant.rounds);
        let more = if lost.0 > 0.0 && rounds.0 > 0.0 { (rounds.1 / rounds.0).max(1.0) } else { 1.0 };
        Some(against(self.claim * fewer, lost.1 - lost.0 * more))
    }
}

/// What is known of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Nothing speaks against it.
    Believed,
    /// More speaks against it than for it, and not enough to decide.
    Open {
        /// Whether brief slices would tell.
        brief: bool,
    },
    /// It is not true.
    Untrue,
}

/// What these blocks say of a claim, in their order.
pub fn judge(rules: &Rules, pairs: &[Pair]) -> Finding {
    let newest = |brief: bool| -> Vec<&Pair> {
        let all: Vec<_> = pairs.iter().filter(|pair| pair.is_brief() == brief).collect();
        all[all.len().saturating_sub(WINDOW)..].to_vec()
    };
    let usual = newest(false);
    let answers: Vec<_> = usual.iter().map(|pair| pair.answer()).collect();
    let anew = usual.last().is_some_and(|pair| pair.variant.account.anew);
    match standing(rules, &answers) {
        Standing::Failed if anew => return Finding::Untrue,
        Standing::Failed => {}
        Standing::Uncertain if leans(&answers) => return Finding::Open { brief: false },
        Standing::Uncertain | Standing::Passed => return Finding::Believed,
    }
    let (reference, brief) = (Usual::of(&usual), newest(true));
    let answers: Vec<_> = brief.iter().filter_map(|pair| reference.answer(pair)).collect();
    match standing(rules, &answers) {
        Standing::Failed => Finding::Untrue,
        Standing::Passed => Finding::Believed,
        Standing::Uncertain => {
            let can = usual.last().is_some_and(|pair| pair.variant.account.shortens);
            Finding::Open { brief: can && (!answers.is_empty() || brief.len() < SILENT) }
        }
    }
}

fn standing(rules: &Rules, answers: &[Answer]) -> Standing {
    let mut test = BoundTest::new(rules);
    answers.iter().for_each(|answer| test.record(*answer));
    test.standing()
}

fn leans(answers: &[Answer]) -> bool {
    2 * answers.iter().filter(|answer| **answer == Answer::Missed).count() > answers.len()
}

/// How long the work of a brief slice may take, in seconds: a quarter of what the quicker of the two usually tells.
pub fn brief(pairs: &[Pair]) -> f64 {
    let usual: Vec<_> = pairs.iter().filter(|pair| !pair.is_brief()).collect();
    let of = |turn: fn(&Pair) -> f64| middle(&usual, turn);
    of(|pair| pair.baseline.account.spent).min(of(|pair| pair.variant.account.spent)) / 4.0
}

/// What speaks against a claim, in figures of the usual blocks.
pub fn told(pairs: &[Pair]) -> String {
    let usual: Vec<_> = pairs.iter().filter(|pair| !pair.is_brief()).collect();
    let newest = &usual[usual.len().saturating_sub(WINDOW)..];
    let of = |turn: fn(&Pair) -> &Turn| {
        let each = middle(newest, |pair| turn(pair).account.spent / turn(pair).account.times);
        let times = middle(newest, |pair| turn(pair).account.times);
        (shown(each), times.round(), shown(middle(newest, |pair| turn(pair).wall)))
    };
    let (variant, baseline) = (of(|pair| &pair.variant), of(|pair| &pair.baseline));
    format!(
        "reports {} for each of {} runs and its slice took {}, where the baseline's took {} with {} for each of {}",
        variant.0, variant.1, variant.2, baseline.2, baseline.0, baseline.1
    )
}

fn shown(seconds: f64) -> String {
    Quantity::new(seconds, Dimension::Time).map_or_else(String::new, |time| time.to_string())
}

#[cfg(test)]
mod tests;
