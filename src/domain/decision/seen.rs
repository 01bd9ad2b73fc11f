//! What a run has seen that decides: its frozen start, what variants are like, their tests, and every block.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::estimate::Smoke;
use crate::domain::fresh::Cut;
use crate::domain::lanes::Decision;
use crate::domain::load::Rate;
use crate::domain::measurement::{Block, Contender, Reading, Slice};
use crate::domain::plan::VariantKey;
use crate::domain::started::Started;
use crate::domain::steady::Reports;
use crate::domain::timed::Clocks;
use crate::domain::trial::{ChangeSize, Harvest, Outcome};

/// Everything that a decision is made from. Two runs that saw the same decide the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// How it started.
    pub started: Started,
    /// Harvests with their sizes, and whether a cap stopped the agent.
    pub harvests: BTreeMap<VariantKey, (Harvest, ChangeSize, bool)>,
    /// Tests by contender.
    pub tests: Reports,
    /// What the sources said of the baseline before anything was spent.
    pub smoke: Option<Smoke>,
    /// Metrics that do not vary.
    pub exact: BTreeMap<Contender, Vec<Reading>>,
    /// Whether blocks are measured in parallel lanes, once that is decided.
    pub lanes: Option<Decision>,
    /// At which rate sources ask what they load, by the source's name.
    pub rates: BTreeMap<String, Rate>,
    /// Blocks in order.
    pub blocks: Vec<Block>,
    /// By which time slices are compared, as all blocks so far say.
    pub clocks: Clocks,
    /// What the tie-breaker counted.
    pub tie_break: BTreeMap<Contender, u64>,
    /// What was measured in fresh trees.
    pub fresh: BTreeMap<VariantKey, Fresh>,
    /// Trials that ended without a chance to win.
    pub ended: BTreeMap<Contender, Outcome>,
}

impl Seen {
    /// Of a run that only just started.
    pub fn new(started: Started) -> Self {
        Self {
            started,
            harvests: BTreeMap::new(),
            tests: Reports::default(),
            smoke: None,
            exact: BTreeMap::new(),
            lanes: None,
            rates: BTreeMap::new(),
            blocks: Vec::new(),
            clocks: Clocks::default(),
            tie_break: BTreeMap::new(),
            fresh: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// One more block.
    pub fn observe(&mut self, block: Block) {
        self.clocks.observe(&block);
        self.blocks.push(block);
    }

    /// Time that was spent on measuring, as far as the blocks that were kept tell.
    pub fn measured(&self) -> Duration {
        let slices = self.blocks.iter().flat_map(|block| &block.slices);
        slices.map(|slice| slice.timing.wall).sum::<Duration>() / u32::try_from(self.at_once()).unwrap_or(1)
    }

    /// How many slices are taken at a time; at least 1.
    pub fn at_once(&self) -> usize {
        self.lanes.as_ref().and_then(|decision| decision.lanes.as_ref()).map_or(1, |lanes| lanes.count().max(1))
    }

    /// Variants that may still win.
    pub fn candidates(&self) -> Vec<VariantKey> {
        let out: BTreeSet<_> = self.ended.keys().filter_map(Contender::key).collect();
        self.started.plan.variants.iter().map(|v| v.key.clone()).filter(|key| !out.contains(key)).collect()
    }
}

/// What was measured of a variant in fresh trees.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fresh {
    /// Blocks that there were before it.
    pub blocks: usize,
    /// The slices of each pair.
    pub pairs: Vec<Vec<Slice>>,
    /// Whether there are no more.
    pub over: bool,
    /// Why, where more would have told.
    pub cut: Option<Cut>,
}

impl Fresh {
    /// Where it ended before it could tell, it is not over any more.
    pub fn go_on(&mut self) {
        if self.cut.take().is_some() {
            self.over = false;
        }
    }
}
