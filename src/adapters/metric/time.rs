//! How long a command takes: the slice's own time, by the clock that `domain::timed` chooses.
//!
//! A command that ends at once is run several times a slice, so that a slice is long enough to
//! be told from the machine's noise.

use std::time::Duration;

use async_trait::async_trait;

use super::asked::{Asked, Binding};
use super::slice;
use super::value::reading;
use super::{Cadence, Meter, MetricError, MetricSource, Sample, Site, Slot};
use crate::adapters::process::{Program, Usage};
use crate::domain::measurement::MetricName;
use crate::domain::quantity::Dimension;
use crate::error::Error;

/// A slice goes on until its runs took as long as this.
const SLICE: Duration = Duration::from_millis(200);

/// The command and the metric that is its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The metric's name in the blueprint.
    pub name: MetricName,
    /// What is timed.
    pub command: Program,
    /// Whether its standard output is what it computed.
    pub output: bool,
}

impl Binding for Settings {
    const KEYS: &'static [&'static str] = &["run", "output"];

    fn read(asked: &Asked) -> Result<Self, Error> {
        let output = asked.compares("time", "stdout")?;
        Ok(Self { name: asked.name.clone(), command: asked.run()?, output })
    }

    fn programs(&self) -> Vec<&Program> {
        vec![&self.command]
    }
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

    fn unchecked(&self) -> Option<&'static str> {
        (!self.settings.output).then_some("add `output: stdout`")
    }

    async fn open(&self, site: &Site) -> Result<Box<dyn Meter>, MetricError> {
        Ok(Box::new(Runs { settings: self.settings.clone(), site: site.clone() }))
    }
}

struct Runs {
    settings: Settings,
    site: Site,
}

impl Runs {
    /// Runs the command until its runs took so long, and once at least.
    async fn until(&self, least: Duration, slot: Slot) -> Result<Sample, MetricError> {
        let Settings { name, command, output } = &self.settings;
        let (mut wall, mut usage, mut runs, mut said) = (Duration::ZERO, Usage::default(), 0_u32, None);
        while runs == 0 || wall < least {
            let limit = slot.limit.map(|limit| limit.saturating_sub(wall));
            let slot = Slot { limit, ..slot };
            let finished = if *output {
                let (finished, answer) = slice::answer(&self.site, slot, command).await?;
                said = Some(same(said, answer, command)?);
                finished
            } else {
                slice::run(&self.site, slot, command, &[], &[]).await?
            };
            wall += finished.wall;
            usage = if runs == 0 { finished.usage } else { usage.plus(finished.usage) };
            runs += 1;
        }
        let mean = wall.as_secs_f64() / f64::from(runs);
        let readings = vec![reading(name, mean, "s", u64::from(runs), "the command's time")?];
        let timing = slice::timing(&self.site, wall, usage);
        Ok(Sample { readings, timing, own: Some(name.clone()), output: said })
    }
}

#[async_trait]
impl Meter for Runs {
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        self.until(SLICE, slot).await
    }

    async fn first(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        self.until(Duration::ZERO, slot).await
    }

    async fn close(&mut self) {}
}

/// What all runs of a slice answer: they have the same inputs.
fn same(before: Option<String>, now: String, command: &Program) -> Result<String, MetricError> {
    match before.filter(|before| *before != now) {
        Some(before) => Err(MetricError::Variant(format!(
            "`{command}` printed `{before}`, and then `{now}` for the same inputs; its output can't be compared"
        ))),
        None => Ok(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_slice_that_answer_differently_have_no_answer() {
        let command = Program::Shell("./run".to_owned());
        let first = same(None, "7".to_owned(), &command).unwrap();
        assert_eq!(same(Some(first.clone()), "7".to_owned(), &command).unwrap(), "7");
        let error = same(Some(first), "8".to_owned(), &command).unwrap_err().to_string();
        assert_eq!(error, "`./run` printed `7`, and then `8` for the same inputs; its output can't be compared");
    }
}
