//! The race: a pure machine that is told each block's total scores and says who is out and when to stop.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::measurement::Contender;

/// What the race was told to hold to, fixed before the first block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Differences below this many points are nobody's victory.
    pub indifference: f64,
    /// The mean e-value over its rivals at which a contender is out.
    pub threshold: f64,
    /// Blocks at the start that are never counted.
    pub warmup: u32,
    /// Betting fractions that are averaged over.
    pub bets: Vec<f64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { indifference: 0.25, threshold: 40.0, warmup: 1, bets: vec![0.2, 0.5, 0.9] }
    }
}

/// Who beat whom so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Race {
    // The implementation decides what it holds.
}

/// A contender that left the race in a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// Who.
    pub contender: Contender,
    /// The rival with the largest e-value against it.
    pub by: Contender,
    /// The mean e-value over its rivals.
    pub e_value: f64,
}

impl Race {
    /// A race between these contenders.
    pub fn new(_rules: Rules, _entrants: &[Contender]) -> Self {
        todo!()
    }

    /// The survivors in the order in which block `index` measures them, from the run's seed alone.
    pub fn order(&self, _seed: u64, _index: u32) -> Vec<Contender> {
        todo!()
    }

    /// Takes the total scores of one block (unrounded); a block that lacks a survivor is refused
    /// whole. Returns who dropped out, if anyone. Warm-up blocks are taken and not counted.
    pub fn record(&mut self, _index: u32, _totals: &BTreeMap<Contender, f64>) -> Vec<Dropped> {
        todo!()
    }

    /// Takes a contender out for a reason that is not the race's (a gate failed).
    pub fn withdraw(&mut self, _contender: &Contender) {
        todo!()
    }

    /// Who is still in, in entry order.
    pub fn survivors(&self) -> Vec<Contender> {
        todo!()
    }

    /// The e-value for "`better` beats `worse` by more than the indifference".
    pub fn e_value(&self, _better: &Contender, _worse: &Contender) -> f64 {
        todo!()
    }

    /// Blocks counted so far.
    pub fn counted(&self) -> u32 {
        todo!()
    }
}

impl Race {
    /// Whether nothing is left to decide: one survivor, or all that are left tie.
    pub fn is_decided(&self) -> bool {
        todo!()
    }
}

/// These contenders in the order in which block `index` measures them, from the seed alone.
pub fn shuffled(_contenders: &[Contender], _seed: u64, _index: u32) -> Vec<Contender> {
    todo!()
}

/// The seed that every contender's inputs share in block `index`.
pub fn block_seed(_seed: u64, _index: u32) -> u64 {
    todo!()
}
