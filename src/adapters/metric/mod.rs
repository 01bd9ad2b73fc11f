//! The metric port: where a metric's value comes from, a slice at a time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::process::{Environment, Executor, ProcessError, Stop};
use crate::domain::measurement::{MetricName, Reading, Timing};

/// A contender's judged tree with everything that runs beside it.
#[derive(Clone)]
pub struct Site {
    /// The clean checkout that is judged.
    pub tree: PathBuf,
    /// The lease's environment, whole (`DATABASE_URL`, `REDIS_URL`, `PORT`, …).
    pub env: Environment,
    /// Private to the trial; reports and logs go here.
    pub scratch: PathBuf,
    /// Runs programs in the lease.
    pub exec: Arc<dyn Executor>,
    /// Fires when the run must stop.
    pub stop: Stop,
}

/// What is the same for every contender in one block, so that inputs are fresh and shared.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// The block's index.
    pub block: u32,
    /// Drawn per block from the run's seed; handed to programs as `BLUEPRINT_SEED`.
    pub seed: u64,
    /// The slice must have ended by then.
    pub limit: Option<Duration>,
}

/// What one slice yielded.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// One reading for each metric that the source provides.
    pub readings: Vec<Reading>,
    /// What the slice cost, taken outside the measured process.
    pub timing: Timing,
}

/// How often a source has to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// Once for each contender: the answer does not vary (a size).
    Once,
    /// In every block.
    EachBlock,
}

/// Why a slice has no value.
#[derive(Debug, thiserror::Error)]
pub enum MetricError {
    /// The variant's doing: a crash, a wrong answer, an invalid or missing value.
    #[error("{0}")]
    Variant(String),
    /// The machine's doing: the whole block is repeated.
    #[error("{0}")]
    Machine(String),
    /// A program was missing or failed to start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The run is being stopped.
    #[error("stopped")]
    Stopped,
}

/// A source of one or more metrics.
#[async_trait]
pub trait MetricSource: Send + Sync {
    /// Unique within a run, such as `pytest-benchmark: pytest tests/performance`.
    fn name(&self) -> &str;

    /// The metrics it provides.
    fn metrics(&self) -> Vec<MetricName>;

    /// How often it has to be asked.
    fn cadence(&self) -> Cadence;

    /// Makes a contender ready to be measured (starts its server and waits until it answers).
    async fn open(&self, site: &Site) -> Result<Box<dyn Meter>, MetricError>;
}

/// A contender, ready to be measured by one source.
#[async_trait]
pub trait Meter: Send + Sync {
    /// Takes one slice.
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError>;

    /// Stops what `open` started.
    async fn close(&mut self);
}
