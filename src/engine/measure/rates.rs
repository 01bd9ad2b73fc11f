//! At which rate sources ask what they load: fixed once for every contender before the first block, by what this
//! machine can send beside all else that it does. A machine that is too busy never ends a run by it.

use std::time::Duration;

use tokio::time::Instant;

use crate::adapters::metric::Held;
use crate::adapters::metric::{MetricError, MetricSource, Slot};
use crate::domain::load::Rate;
use crate::domain::measurement::Contender;
use crate::domain::race;
use crate::engine::judge::tree::Judged;
use crate::engine::measure::Measuring;
use crate::engine::run::PerContender;
use crate::engine::state::{Facts, Record};
use crate::error::Error;

/// Finding the rate may take this part of the time for measuring.
const SHARE: u32 = 4;

/// No block has this number, so that what is asked here is asked of nobody again.
const TRIAL: u32 = u32::MAX - 1;

impl Measuring {
    /// Holds every source to the rate that the journal knows.
    pub(in crate::engine) fn hold_rates(&self, facts: &Facts) {
        for source in &self.sources {
            if let Some(rate) = facts.seen.rates.get(source.name()) {
                source.fix_rate(rate.held);
            }
        }
    }

    /// Decides the rate of every source that has one, unless the journal knows it already.
    pub(in crate::engine) async fn choose_rates(
        &self,
        judged: &PerContender<Judged>,
        facts: &mut Facts,
        budget: Duration,
    ) -> Result<(), Error> {
        let ends = Instant::now() + budget / SHARE;
        for source in &self.sources {
            let Some(asked) = source.rate().filter(|_| !facts.seen.rates.contains_key(source.name())) else { continue };
            let Some(tree) = judged.get(&Contender::Baseline) else { continue };
            let slot = Slot {
                block: TRIAL,
                seed: race::block_seed(self.run.started.seed, TRIAL),
                limit: Some(ends.saturating_duration_since(Instant::now())),
                brief: None,
            };
            let Some(held) = self.held(&**source, tree, slot).await? else { continue };
            let rate = Rate {
                source: source.name().to_owned(),
                asked,
                held: held.rate,
                late: held.late,
                on_time: held.on_time,
            };
            if let Some(text) = rate.told() {
                self.run.warn(text);
            }
            for metric in self.run.plan().metrics.iter().filter(|m| source.metrics().contains(&m.name)) {
                if rate.hides(&metric.bound) {
                    let (name, bound) = (&metric.name, metric.bound);
                    self.run.warn(format!("whether {name} is {bound} can't be judged by that: a miss stays open"));
                }
            }
            self.run.note(facts, Record::Rate(rate)).await?;
        }
        self.hold_rates(facts);
        Ok(())
    }

    /// What this machine holds; `None` where that can't be told now: whose fault it is will show when it is
    /// measured.
    async fn held(&self, source: &dyn MetricSource, tree: &Judged, slot: Slot) -> Result<Option<Held>, Error> {
        self.run.check_stop()?;
        let mut meter = match source.open(&tree.site).await {
            Ok(meter) => meter,
            Err(MetricError::Process(error)) => return Err(crate::engine::trouble::machine(error)),
            Err(_) => return Ok(None),
        };
        let held = meter.held(slot).await;
        meter.close().await;
        self.run.check_stop()?;
        Ok(held.ok().flatten())
    }
}

#[cfg(test)]
mod tests;
