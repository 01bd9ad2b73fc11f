//! Metrics of a server under load: latency out of an open loop, throughput out of a closed one.
//!
//! The server stays warm between slices. A failed request makes the slice invalid, unless the source
//! is asked for the rate of errors: then failures are counted, and are still no latencies.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::asked::{Asked, Binding};
use super::load::{self, Fault, LoadStat, Metric, Rate, Shape, Taken};
use super::{Cadence, Held, Meter, MetricError, MetricSource, Sample, Site, Slot, slice};
use crate::adapters::http::{Answers, CONCURRENCY, Client, HttpError, RequestSettings, ServeSettings, Server};
use crate::adapters::load::{RATE, SLICE};
use crate::adapters::process::Program;
use crate::domain::measurement::{MetricName, Timing};
use crate::domain::quantity::{Dimension, show_duration};
use crate::error::Error;

/// Requests that wake a server which idled while others were measured; at once, and not counted.
const WAKE: NonZeroU32 = NonZeroU32::new(4).expect("not zero");

/// One server and one kind of request serve all of the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The server.
    pub serve: ServeSettings,
    /// What it is asked.
    pub request: RequestSettings,
    /// The open loop's mean rate a second; every contender has to bear it.
    pub rate: NonZeroU32,
    /// Requests in flight in the closed loop.
    pub concurrency: NonZeroU32,
    /// Answers that end the closed loop before its time.
    pub requests: Option<NonZeroU32>,
    /// How long each loop loads the server in one slice, at least.
    pub duration: Duration,
    /// Whether what is answered is compared with what the baseline answers.
    pub output: bool,
    /// At least one.
    pub metrics: Vec<Metric>,
}

impl Binding for Settings {
    const KEYS: &'static [&'static str] = &["stat", "output", "http"];
    const TOLD_BY: Option<&'static str> = Some("http");

    fn read(asked: &Asked) -> Result<Self, Error> {
        let output = asked.compares("http", "body")?;
        let metric = Metric { name: asked.name.clone(), stat: asked.stat()? };
        let place = format!("{}.http", asked.place);
        let http = asked.http.clone().unwrap_or_default().or(&asked.all);
        Ok(Self {
            serve: http.serving(&place)?,
            request: http.request(&place)?,
            rate: http.rate.unwrap_or(RATE),
            concurrency: http.concurrency.unwrap_or(CONCURRENCY),
            requests: http.requests,
            duration: http.slice.unwrap_or(SLICE),
            output,
            metrics: vec![metric],
        })
    }

    fn join(&mut self, other: &Self) -> bool {
        let same = Self { metrics: other.metrics.clone(), output: other.output, ..self.clone() } == *other;
        if same {
            self.output |= other.output;
            self.metrics.extend_from_slice(&other.metrics);
        }
        same
    }

    fn check(&self) -> Result<(), Error> {
        let rate = self.metrics.iter().find(|one| one.stat == LoadStat::ErrorRate);
        match rate.filter(|_| self.output) {
            None => Ok(()),
            Some(rate) => Err(Error::usage(format!(
                "`metrics.{}` counts failed requests, and where some may fail answers can't be compared by `output`",
                rate.name
            ))
            .hint("leave `output` out, or count failures at another `path`, `rate` or `slice`")),
        }
    }

    fn programs(&self) -> Vec<&Program> {
        vec![&self.serve.serve]
    }
}

impl Settings {
    fn shape(&self, rate: NonZeroU32) -> Shape<'_> {
        let Self { concurrency, requests, duration, ref metrics, .. } = *self;
        Shape { wake: WAKE, rate, in_flight: concurrency, requests, duration, metrics }
    }
}

/// The source.
pub struct Http {
    name: String,
    settings: Settings,
    rate: Rate,
}

impl Http {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        let name = format!("http: {} of {}", settings.request.path, settings.serve.serve);
        Self { name, rate: Rate::asked(settings.rate), settings }
    }
}

#[async_trait]
impl MetricSource for Http {
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

    fn unchecked(&self) -> Option<&'static str> {
        (!self.settings.output).then_some("add `output: body`, and `{seed}` to the path")
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
        let (settings, rate) = (self.settings.clone(), self.rate.clone());
        // A server that answers slower than it is asked has every request of a slice open at once.
        let connections = u64::from(settings.concurrency.get()).max(settings.shape(rate.get()).arrivals());
        let server = Server::start(&settings.serve, site, connections).await?;
        let client = server.client(&settings.request, usize::try_from(connections).unwrap_or(usize::MAX));
        Ok(Box::new(Load { settings, rate, site: site.clone(), client: Some(Arc::new(client)), server }))
    }
}

/// A server that is up, and a client whose connections to it stay open.
struct Load {
    settings: Settings,
    rate: Rate,
    site: Site,
    client: Option<Arc<Client>>,
    server: Server,
}

#[async_trait]
impl Meter for Load {
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        let (started, before) = (Instant::now(), self.server.usage());
        let settings = self.settings.clone();
        let answers = Answers::new(settings.concurrency.get().into());
        let client = Arc::new(self.client()?.seeded(slot.seed, settings.output.then(|| answers.clone())));
        let Taken { readings, late } =
            self.within(slot, load::slice(settings.shape(self.rate.get()), &client, slot.seed)).await?;
        let wall = started.elapsed();
        let timing = Timing { late, ..slice::timing(&self.site, wall, self.server.usage().since(before)) };
        Ok(Sample { readings, timing, own: None, output: answers.told() })
    }

    async fn held(&mut self, slot: Slot) -> Result<Option<Held>, MetricError> {
        let (client, settings) = (Arc::new(self.client()?.seeded(slot.seed, None)), self.settings.clone());
        self.within(slot, load::held(settings.shape(self.rate.get()), &client, slot.seed)).await.map(Some)
    }

    async fn close(&mut self) {
        // Without open connections a server that waits for its clients ends at once.
        self.client = None;
        self.server.stop().await;
    }
}

impl Load {
    fn client(&self) -> Result<Arc<Client>, MetricError> {
        self.client.clone().ok_or_else(|| MetricError::Machine("the server was stopped".to_owned()))
    }

    /// Loads the server until it is done, the slot ends or the run is stopped.
    async fn within<T>(&mut self, slot: Slot, load: impl Future<Output = Result<T, Fault>>) -> Result<T, MetricError> {
        let limit = slot.limit.unwrap_or(Duration::MAX);
        let taken = tokio::select! {
            biased;
            () = self.site.stop.cancelled() => return Err(MetricError::Stopped),
            taken = tokio::time::timeout(limit, load) => taken,
        };
        let late = || Fault::Target(format!("the slice did not end within {}", show_duration(limit)));
        match taken.unwrap_or_else(|_| Err(late())) {
            Ok(taken) => Ok(taken),
            Err(Fault::Target(failure)) => Err(MetricError::Variant(self.server.explain(&failure).await)),
            Err(Fault::Other(error)) => Err(error),
        }
    }
}

impl From<HttpError> for MetricError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Variant(message) => Self::Variant(message),
            HttpError::Machine(message) => Self::Machine(message),
            HttpError::Process(error) => Self::Process(error),
            HttpError::Stopped => Self::Stopped,
        }
    }
}
