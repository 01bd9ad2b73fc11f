//! Metrics of the contender's own database under load: the statement of a file, asked with parameters
//! on connections that stay open. Connecting and preparing are never timed.
//!
//! A request that finds every connection busy waits for one, and its latency shows the wait. Before the
//! load of a slice a few answers are compared with the baseline's: who answers otherwise is out.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::asked::{self, Binding, share};
use super::load::{self, Fault, LoadStat, Metric, Rate, Shape, Taken};
use super::params::{Params, ParamsFrom};
use super::{Cadence, Held, Meter, MetricError, MetricSource, Sample, Site, Slot};
use crate::adapters::load::{Failure, RATE, SLICE, Target, on_generator};
use crate::adapters::process::{Program, read_inside};
use crate::adapters::sql::load::{Connections, Statement};
use crate::adapters::sql::query::QueryError;
use crate::domain::measurement::{MetricName, Timing};
use crate::domain::quantity::{Dimension, show_duration};
use crate::error::Error;

/// Connections of each contender, unless the configuration says.
pub const CONCURRENCY: NonZeroU32 = NonZeroU32::new(8).expect("not zero");
/// Answers that are compared in each slice.
const COMPARED: u64 = 20;
/// What is drawn for the comparison, and what for the load.
const LANES: (u64, u64) = (0, 1);

/// One statement serves all of the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The statement's file, as a path in the judged tree.
    pub file: String,
    /// What it is asked with.
    pub params: ParamsFrom,
    /// Whether variants may rewrite the statement's file.
    pub by_variant: bool,
    /// The open loop's mean rate a second; every contender has to bear it.
    pub rate: NonZeroU32,
    /// Connections, and statements in flight in the closed loop.
    pub concurrency: NonZeroU32,
    /// How long each loop loads the database in one slice, at least.
    pub duration: Duration,
    /// At least one.
    pub metrics: Vec<Metric>,
}

impl Binding for Settings {
    const KEYS: &'static [&'static str] = &["stat", "sql_load"];
    const TOLD_BY: Option<&'static str> = Some("sql_load");

    fn read(asked: &asked::Asked) -> Result<Self, Error> {
        let stat = asked.stat()?;
        if stat == LoadStat::ErrorRate {
            return Err(Error::usage(format!(
                "`{}.stat`: a statement that fails is no measurement; `error_rate` is for `http`",
                asked.place
            )));
        }
        let needed = || Error::usage(format!("`{}.sql_load` needs `file`", asked.place));
        let load = asked.sql_load.clone().ok_or_else(needed)?;
        Ok(Self {
            file: load.file.ok_or_else(needed)?,
            params: load.params,
            by_variant: load.by_variant,
            rate: load.rate.unwrap_or(RATE),
            concurrency: load.concurrency.unwrap_or(CONCURRENCY),
            duration: load.slice.unwrap_or(SLICE),
            metrics: vec![Metric { name: asked.name.clone(), stat }],
        })
    }

    fn join(&mut self, other: &Self) -> bool {
        let same = Self { metrics: other.metrics.clone(), ..self.clone() } == *other;
        share(same, &mut self.metrics, &other.metrics)
    }

    fn programs(&self) -> Vec<&Program> {
        Vec::new()
    }
}

impl Settings {
    fn shape(&self, rate: NonZeroU32) -> Shape<'_> {
        let Self { concurrency, duration, ref metrics, .. } = *self;
        Shape { wake: concurrency, rate, in_flight: concurrency, requests: None, duration, metrics }
    }

    /// The files that are read in the judged tree: the statement's, and that of its parameters.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let params = if let ParamsFrom::File(file) = &self.params { Some(file.as_str()) } else { None };
        std::iter::once(self.file.as_str()).chain(params)
    }

    /// What is wrong with one of these files, if anything is.
    pub fn verify(&self, file: &str, bytes: &[u8]) -> Result<(), String> {
        if file == self.file { Statement::read(bytes).map(drop) } else { Params::read(bytes).map(drop) }
    }
}

/// The source.
pub struct SqlLoad {
    name: String,
    settings: Settings,
    rate: Rate,
}

impl SqlLoad {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        let with = match &settings.params {
            ParamsFrom::Nowhere => String::new(),
            ParamsFrom::Range(first, last) => format!(" with {first} to {last}"),
            ParamsFrom::File(file) => format!(" with {file}"),
        };
        Self { name: format!("sql-load: {}{with}", settings.file), rate: Rate::asked(settings.rate), settings }
    }
}

#[async_trait]
impl MetricSource for SqlLoad {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> Vec<MetricName> {
        self.settings.metrics.iter().map(|m| m.name.clone()).collect()
    }

    fn dimension(&self, metric: &MetricName) -> Option<Dimension> {
        self.settings.metrics.iter().find(|m| m.name == *metric).map(|m| m.stat.dimension())
    }

    fn cadence(&self) -> Cadence {
        Cadence::EachBlock
    }

    fn stays(&self) -> bool {
        true
    }

    fn rate(&self) -> Option<NonZeroU32> {
        let rate = self.rate.get();
        (self.settings.shape(rate).arrivals() > 0).then_some(rate)
    }

    fn fix_rate(&self, rate: NonZeroU32) {
        self.rate.fix(rate);
    }

    async fn open(&self, site: &Site) -> Result<Box<dyn Meter>, MetricError> {
        let Settings { file, params, .. } = &self.settings;
        let Some(url) = site.env.get("DATABASE_URL").cloned() else {
            return Err(MetricError::Machine(
                "there is no database to load: add `database: {}` to blueprint.yaml".to_owned(),
            ));
        };
        let statement = read(site, file, Statement::read)?;
        let params = match params {
            ParamsFrom::Nowhere => Params::None,
            ParamsFrom::Range(first, last) => Params::Range(*first, *last),
            ParamsFrom::File(file) => read(site, file, Params::read)?,
        };
        let asked = Asked { file: file.clone(), statement, params: Arc::new(params) };
        let connections = asked.connect(&url, self.settings.concurrency, site).await?;
        let (settings, rate) = (self.settings.clone(), self.rate.clone());
        Ok(Box::new(Load { settings, rate, site: site.clone(), url, asked, connections }))
    }
}

/// A file of the judged tree; what is wrong with it is the tree's doing.
fn read<T>(site: &Site, file: &str, parse: impl Fn(&[u8]) -> Result<T, String>) -> Result<T, MetricError> {
    let wrong = |why: String| MetricError::Variant(format!("{file}: {why}"));
    let bytes = read_inside(&site.tree, file).map_err(|why| wrong(why.to_string()))?;
    parse(&bytes.ok_or_else(|| wrong("there is no such file in the tree".to_owned()))?).map_err(wrong)
}

/// What is asked, and with what.
struct Asked {
    file: String,
    statement: Statement,
    params: Arc<Params>,
}

impl Asked {
    async fn connect(&self, url: &str, count: NonZeroU32, site: &Site) -> Result<Arc<Connections>, MetricError> {
        let (url, statement, params) = (url.to_owned(), self.statement.clone(), Arc::clone(&self.params));
        // Connections belong to the threads that open them, and those are to be the generator's.
        let open = async move { Connections::open(&url, &statement, params.kinds(), count).await };
        let opened = tokio::select! {
            biased;
            () = site.stop.cancelled() => return Err(MetricError::Stopped),
            opened = on_generator(open) => opened,
        };
        opened.map(Arc::new).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: QueryError) -> MetricError {
        match error {
            QueryError::Server(why) => MetricError::Machine(format!("the database: {why}")),
            QueryError::Query(why) => MetricError::Variant(format!("{}: {why}", self.file)),
        }
    }
}

/// A contender whose connections are open.
struct Load {
    settings: Settings,
    rate: Rate,
    site: Site,
    url: String,
    asked: Asked,
    connections: Arc<Connections>,
}

#[async_trait]
impl Meter for Load {
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        self.connect_again().await?;
        let started = Instant::now();
        let (Taken { readings, late }, output) = self.within(slot, self.slice(slot.seed)).await?;
        let timing = Timing { wall: started.elapsed(), late, ..Timing::default() };
        Ok(Sample { readings, timing, own: None, output: Some(output) })
    }

    async fn held(&mut self, slot: Slot) -> Result<Option<Held>, MetricError> {
        self.connect_again().await?;
        let turns = Arc::new(self.turns(slot.seed));
        let held = async {
            load::held(self.settings.shape(self.rate.get()), &turns, slot.seed).await.map_err(MetricError::from)
        };
        self.within(slot, held).await.map(Some)
    }

    async fn close(&mut self) {
        self.connections.close().await;
    }
}

impl Load {
    async fn connect_again(&mut self) -> Result<(), MetricError> {
        if self.connections.are_lost() {
            self.connections = self.asked.connect(&self.url, self.settings.concurrency, &self.site).await?;
        }
        Ok(())
    }

    /// Loads the database until it is done, the slot ends or the run is stopped.
    async fn within<T>(
        &self,
        slot: Slot,
        load: impl Future<Output = Result<T, MetricError>> + Send,
    ) -> Result<T, MetricError> {
        let limit = slot.limit.unwrap_or(Duration::MAX);
        let taken = tokio::select! {
            biased;
            () = self.site.stop.cancelled() => Err(MetricError::Stopped),
            taken = tokio::time::timeout(limit, load) => taken.unwrap_or_else(|_| {
                let limit = show_duration(limit);
                Err(MetricError::Variant(format!("{}: the slice did not end within {limit}", self.asked.file)))
            }),
        };
        // Statements that were given up must not run on while others are measured.
        if !matches!(taken, Ok(_) | Err(MetricError::Machine(_))) {
            self.connections.abandon();
        }
        taken
    }

    async fn slice(&self, seed: u64) -> Result<(Taken, String), MetricError> {
        let params = &self.asked.params;
        let compared = (0..COMPARED).map(|turn| params.draw(seed, LANES.0, turn));
        let answers = self.connections.answers(compared).await.map_err(|error| self.asked.failed(error))?;
        let shape = self.settings.shape(self.rate.get());
        Ok((load::slice(shape, &Arc::new(self.turns(seed)), seed).await?, answers))
    }

    fn turns(&self, seed: u64) -> Turns {
        let Asked { file, params, .. } = &self.asked;
        Turns { connections: Arc::clone(&self.connections), file: file.clone(), params: Arc::clone(params), seed }
    }
}

impl From<Fault> for MetricError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Target(failure) => Self::Variant(failure),
            Fault::Other(error) => error,
        }
    }
}

/// The statement with one row of parameters after the other.
struct Turns {
    connections: Arc<Connections>,
    file: String,
    params: Arc<Params>,
    seed: u64,
}

#[async_trait]
impl Target for Turns {
    async fn ask(&self, question: u64) -> Result<(), Failure> {
        let values = self.params.draw(self.seed, LANES.1, question);
        self.connections.ask(&values).await.map_err(|error| match error {
            QueryError::Server(why) => {
                Failure { kind: "no database".to_owned(), machine: true, message: format!("the database: {why}") }
            }
            QueryError::Query(why) => {
                let message = format!("{}: {why}", self.file);
                Failure { kind: "error".to_owned(), machine: false, message }
            }
        })
    }
}
