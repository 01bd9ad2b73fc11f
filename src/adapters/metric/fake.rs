//! A metric source for tests of the engine: it answers from a closure and runs nothing.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use async_trait::async_trait;

use super::{Cadence, Held, Meter, MetricError, MetricSource, Sample, Site, Slot};
use crate::domain::measurement::MetricName;
use crate::domain::quantity::Dimension;

type Answer = dyn Fn(&Site, Slot) -> Result<Sample, MetricError> + Send + Sync;

/// For tests: a source whose slices are what the closure says.
pub struct FakeSource {
    name: String,
    metrics: Vec<(MetricName, Dimension)>,
    cadence: Cadence,
    answer: Arc<Answer>,
    open: Arc<AtomicUsize>,
    busy: Option<Arc<AtomicUsize>>,
    stays: bool,
    load: Option<Arc<Load>>,
}

/// What it asks at, and what the machine holds of that.
struct Load {
    rate: AtomicU32,
    held: Held,
}

impl FakeSource {
    /// A source of these metrics, asked in every block. The site's tree tells the closure who is
    /// being measured.
    pub fn new(
        name: &str,
        metrics: impl IntoIterator<Item = (MetricName, Dimension)>,
        answer: impl Fn(&Site, Slot) -> Result<Sample, MetricError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            metrics: metrics.into_iter().collect(),
            cadence: Cadence::EachBlock,
            answer: Arc::new(answer),
            open: Arc::new(AtomicUsize::new(0)),
            busy: None,
            stays: false,
            load: None,
        }
    }

    /// Asks at this rate, of which the machine holds so much.
    #[must_use]
    pub fn asking(mut self, rate: NonZeroU32, held: Held) -> Self {
        self.load = Some(Arc::new(Load { rate: AtomicU32::new(rate.get()), held }));
        self
    }

    /// Counts here how many slices are being taken, and asks the closure while all that began
    /// together are.
    #[must_use]
    pub fn counting(mut self, busy: Arc<AtomicUsize>) -> Self {
        self.busy = Some(busy);
        self
    }

    /// Keeps something running between slices.
    #[must_use]
    pub fn staying(mut self) -> Self {
        self.stays = true;
        self
    }

    /// Asked once only.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.cadence = Cadence::Once;
        self
    }

    /// How many meters are open right now; 0 after an orderly end.
    pub fn still_open(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.open)
    }
}

#[async_trait]
impl MetricSource for FakeSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> Vec<MetricName> {
        self.metrics.iter().map(|(name, _)| name.clone()).collect()
    }

    fn dimension(&self, metric: &MetricName) -> Option<Dimension> {
        self.metrics.iter().find(|(name, _)| name == metric).map(|(_, dimension)| *dimension)
    }

    fn cadence(&self) -> Cadence {
        self.cadence
    }

    fn stays(&self) -> bool {
        self.stays
    }

    fn rate(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.load.as_ref()?.rate.load(Ordering::SeqCst))
    }

    fn fix_rate(&self, rate: NonZeroU32) {
        if let Some(load) = &self.load {
            load.rate.store(rate.get(), Ordering::SeqCst);
        }
    }

    async fn open(&self, site: &Site) -> Result<Box<dyn Meter>, MetricError> {
        self.open.fetch_add(1, Ordering::SeqCst);
        let meter = FakeMeter {
            answer: Arc::clone(&self.answer),
            site: site.clone(),
            open: Arc::clone(&self.open),
            busy: self.busy.clone(),
            load: self.load.clone(),
            closed: false,
        };
        Ok(Box::new(meter))
    }
}

struct FakeMeter {
    answer: Arc<Answer>,
    site: Site,
    open: Arc<AtomicUsize>,
    busy: Option<Arc<AtomicUsize>>,
    load: Option<Arc<Load>>,
    closed: bool,
}

/// A sample once the time is over that it says it took.
async fn lasting(answer: Result<Sample, MetricError>) -> Result<Sample, MetricError> {
    if let Ok(sample) = &answer {
        tokio::time::sleep(sample.timing.wall).await;
    }
    answer
}

#[async_trait]
impl Meter for FakeMeter {
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        if self.site.stop.is_cancelled() {
            return Err(MetricError::Stopped);
        }
        let Some(busy) = &self.busy else { return lasting((self.answer)(&self.site, slot)).await };
        busy.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let answer = lasting((self.answer)(&self.site, slot)).await;
        // Nobody ends before all were asked.
        tokio::task::yield_now().await;
        busy.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    async fn held(&mut self, _: Slot) -> Result<Option<Held>, MetricError> {
        Ok(self.load.as_ref().map(|load| load.held))
    }

    async fn close(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            self.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
