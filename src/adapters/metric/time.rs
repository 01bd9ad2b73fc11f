//! How long a command takes: the slice's own time, by the clock that `domain::timed` chooses.
//!
//! A command that ends at once is run several times a slice, so that a slice is long enough to
//! be told from the machine's noise.

use std::time::Duration;

use async_trait::async_trait;

use super::slice;
use super::value::reading;
use super::{Cadence, Meter, MetricError, MetricSource, Sample, Site, Slot};
use crate::adapters::process::{Program, Usage};
use crate::domain::measurement::{MetricName, Timing};
use crate::domain::quantity::Dimension;

/// A slice goes on until its runs took as long as this.
const SLICE: Duration = Duration::from_millis(200);

/// The command and the metric that is its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The metric's name in the blueprint.
    pub name: MetricName,
    /// What is timed.
    pub command: Program,
}

/// The source.
pub struct Time {
    name: String,
    settings: Settings,
}

impl Time {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        Self { name: format!("time: {}", settings.command), settings }
    }
}

#[async_trait]
impl MetricSource for Time {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> Vec<MetricName> {
        vec![self.settings.name.clone()]
    }

    fn dimension(&self, metric: &MetricName) -> Option<Dimension> {
        (*metric == self.settings.name).then_some(Dimension::Time)
    }

    fn cadence(&self) -> Cadence {
        Cadence::EachBlock
    }

    async fn open(&self, site: &Site) -> Result<Box<dyn Meter>, MetricError> {
        Ok(Box::new(Runs { settings: self.settings.clone(), site: site.clone() }))
    }
}

struct Runs {
    settings: Settings,
    site: Site,
}

#[async_trait]
impl Meter for Runs {
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        let Settings { name, command } = &self.settings;
        let mut sum = Timing::default();
        let mut runs = 0_u32;
        while sum.wall < SLICE {
            let limit = slot.limit.map(|limit| limit.saturating_sub(sum.wall));
            let finished = slice::run(&self.site, Slot { limit, ..slot }, command, &[], &[]).await?;
            sum = plus(sum, finished.wall, finished.usage, runs == 0);
            runs += 1;
        }
        let mean = sum.wall.as_secs_f64() / f64::from(runs);
        let readings = vec![reading(name, mean, "s", u64::from(runs), "the command's time")?];
        Ok(Sample { readings, timing: sum, own: Some(name.clone()), output: None })
    }

    async fn close(&mut self) {}
}

/// The sum of what runs cost; what one of them does not tell, all of them do not.
fn plus(sum: Timing, wall: Duration, usage: Usage, first: bool) -> Timing {
    let add = |sum: Option<Duration>, one: Option<Duration>| if first { one } else { Some(sum? + one?) };
    Timing {
        wall: sum.wall + wall,
        cpu: add(sum.cpu, usage.cpu),
        delay: add(sum.delay, usage.delay),
        ..Timing::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_one_run_does_not_tell_is_not_known_for_the_slice() {
        let ms = Duration::from_millis;
        let told = Usage { cpu: Some(ms(3)), delay: Some(ms(1)) };
        let sum = plus(plus(Timing::default(), ms(5), told, true), ms(5), told, false);
        assert_eq!((sum.wall, sum.cpu, sum.delay), (ms(10), Some(ms(6)), Some(ms(2))));
        let sum = plus(sum, ms(5), Usage { cpu: Some(ms(3)), delay: None }, false);
        assert_eq!((sum.cpu, sum.delay), (Some(ms(9)), None));
        assert_eq!(plus(sum, ms(5), told, false).delay, None);
    }
}
