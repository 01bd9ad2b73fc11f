//! At which rate sources ask what they load: fixed once for every contender before the first block, by what this
//! machine can send beside all else that it does. A machine that is too busy never ends a run by it.

use std::time::{Duration, Instant};

use super::context::{PerContender, Run};
use super::journal::{Facts, Record};
use super::judging::Judged;
use crate::adapters::metric::load::Held;
use crate::adapters::metric::{MetricError, MetricSource, Slot};
use crate::domain::bounds::Standing;
use crate::domain::load::Rate;
use crate::domain::measurement::Contender;
use crate::domain::plan::MetricBound;
use crate::domain::race;
use crate::error::Error;

/// Finding the rate may take this part of the time for measuring.
const SHARE: u32 = 4;

/// No block has this number, so that what is asked here is asked of nobody again.
const TRIAL: u32 = u32::MAX - 1;

impl Run {
    /// Holds every source to the rate that the journal knows.
    pub(super) fn hold_rates(&self, facts: &Facts) {
        for source in &self.ports.sources {
            if let Some(rate) = facts.rates.get(source.name()) {
                source.fix_rate(rate.held);
            }
        }
    }

    /// Decides the rate of every source that has one, unless the journal knows it already.
    pub(super) async fn choose_rates(
        &self,
        judged: &PerContender<Judged>,
        facts: &mut Facts,
        budget: Duration,
    ) -> Result<(), Error> {
        let ends = Instant::now() + budget / SHARE;
        for source in &self.ports.sources {
            let Some(asked) = source.rate().filter(|_| !facts.rates.contains_key(source.name())) else { continue };
            let Some(tree) = judged.get(&Contender::Baseline) else { continue };
            let slot = Slot {
                block: TRIAL,
                seed: race::block_seed(self.started.seed, TRIAL),
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
                self.warn(text);
            }
            for metric in self.plan().metrics.iter().filter(|m| source.metrics().contains(&m.name)) {
                if rate.hides(&metric.bound) {
                    let (name, bound) = (&metric.name, metric.bound);
                    self.warn(format!("whether {name} is {bound} can't be judged by that: a miss stays open"));
                }
            }
            self.note(facts, Record::Rate(rate)).await?;
        }
        self.hold_rates(facts);
        Ok(())
    }

    /// What this machine holds; `None` where that can't be told now: whose fault it is will show when it is
    /// measured.
    async fn held(&self, source: &dyn MetricSource, tree: &Judged, slot: Slot) -> Result<Option<Held>, Error> {
        self.check_stop()?;
        let mut meter = match source.open(&tree.site).await {
            Ok(meter) => meter,
            Err(MetricError::Process(error)) => return Err(super::lease::machine(error)),
            Err(_) => return Ok(None),
        };
        let held = meter.held(slot).await;
        meter.close().await;
        self.check_stop()?;
        Ok(held.ok().flatten())
    }
}

/// What is known of a bound, where more a second is asked for than this machine can send: a miss is not the
/// contender's then.
pub(super) fn as_far_as_sent(facts: &Facts, metric: &MetricBound, standing: Standing) -> Standing {
    let provides = |source: &str| {
        let of = facts.started.sources.iter().filter(|(name, _)| name == source);
        of.flat_map(|(_, metrics)| metrics).any(|name| name == metric.name.as_str())
    };
    let hidden = facts.rates.values().any(|rate| rate.hides(&metric.bound) && provides(&rate.source));
    if hidden && standing == Standing::Failed { Standing::Uncertain } else { standing }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::domain::measurement::MetricName;
    use crate::domain::quantity::Bound;

    fn bound(name: &str, text: &str) -> MetricBound {
        MetricBound { name: MetricName::new(name).unwrap(), bound: Bound::parse(text).unwrap(), note: None }
    }

    #[test]
    fn a_miss_of_more_than_the_machine_can_send_stays_open_and_nothing_else_does() {
        let mut facts = Facts::new(super::super::fixtures::started());
        facts.started.sources = vec![("http: /".to_owned(), vec!["throughput".to_owned(), "p95".to_owned()])];
        let (fast, slow) = (bound("throughput", ">400 req/s"), bound("throughput", ">300 req/s"));
        assert_eq!(as_far_as_sent(&facts, &fast, Standing::Failed), Standing::Failed);
        let (asked, held) = (NonZeroU32::new(500).unwrap(), NonZeroU32::new(320).unwrap());
        facts.take(Record::Rate(Rate { source: "http: /".to_owned(), asked, held, late: 0.1, on_time: true }));
        assert_eq!(as_far_as_sent(&facts, &fast, Standing::Failed), Standing::Uncertain);
        assert_eq!(as_far_as_sent(&facts, &fast, Standing::Passed), Standing::Passed);
        assert_eq!(as_far_as_sent(&facts, &slow, Standing::Failed), Standing::Failed);
        let elsewhere = bound("k6_throughput", ">400 req/s");
        assert_eq!(as_far_as_sent(&facts, &elsewhere, Standing::Failed), Standing::Failed);
    }
}
