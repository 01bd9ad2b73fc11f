//! Bounds once more, on the merged tree, where the target moved since the winner was measured.

use std::collections::BTreeMap;

use crate::adapters::git::CommitId;
use crate::adapters::metric::{Cadence, Slot};
use crate::domain::bounds::{Answer, BoundTest, Standing};
use crate::domain::decision::middle;
use crate::domain::measurement::{Contender, MetricName, Reading};
use crate::domain::plan::MetricBound;
use crate::domain::quantity::{Limit, Quantity};
use crate::domain::race::{self, Rules};
use crate::domain::statistics;
use crate::domain::timed::Clocks;
use crate::engine::judge::tree::Judged;
use crate::engine::measure::Measuring;
use crate::engine::measure::blocks::{Meters, Spoiled, close};
use crate::engine::patience::Patience;
use crate::engine::run::PerContender;
use crate::error::{Error, followed_by};

/// A bound that so many blocks could not settle is judged by the value as tables show it.
const BLOCKS: u32 = 24;

/// One bound's test with the values it was told.
struct Watched<'a> {
    metric: &'a MetricBound,
    test: BoundTest,
    values: Vec<Quantity>,
    baselines: Vec<Quantity>,
}

impl Watched<'_> {
    fn take(&mut self, value: Option<Quantity>, baseline: Option<Quantity>) -> Result<(), Error> {
        let relative = matches!(self.metric.bound.limit, Limit::Relative(_));
        let Some(value) = value.filter(|_| !relative || baseline.is_some()) else { return Ok(()) };
        let held = self.metric.bound.holds(value, baseline);
        let held = held.map_err(|error| Error::usage(format!("{}: {error}", self.metric.name)))?;
        self.test.record(if held { Answer::Held } else { Answer::Missed });
        self.values.push(value);
        self.baselines.extend(baseline);
        Ok(())
    }

    /// What is wrong with it, if anything is.
    fn fault(&self) -> Option<String> {
        let name = &self.metric.name;
        let Some(value) = shown(&self.values) else { return Some(format!("{name} has no value after the merge")) };
        let missed = match self.test.standing() {
            Standing::Passed => false,
            Standing::Failed => true,
            Standing::Uncertain => !self.metric.bound.holds(value, shown(&self.baselines)).unwrap_or(false),
        };
        missed.then(|| format!("{name} is {value} after the merge, must be {}", self.metric.bound))
    }
}

fn shown(values: &[Quantity]) -> Option<Quantity> {
    middle(values, |numbers| statistics::trimmed_mean(numbers, 0.2))
}

impl Measuring {
    /// What bounds the merged tree misses. Bounds relative to the baseline are taken against the
    /// target as it is now.
    pub(crate) async fn missed_after_merge(
        &self,
        contender: &Contender,
        merged: Judged,
        target: &CommitId,
    ) -> Result<Vec<String>, Error> {
        let mut trees = PerContender::from([(contender.clone(), merged)]);
        let relative = self.run.plan().metrics.iter().any(|m| matches!(m.bound.limit, Limit::Relative(_)));
        if relative {
            let fresh = self.judging.fresh_tree(&Contender::Baseline, "baseline_target", &target.0, &[]).await?;
            let tree = fresh.map_err(|message| Error::machine(format!("the target can't be set up: {message}")))?;
            trees.insert(Contender::Baseline, tree);
        }
        for tree in trees.values() {
            self.leases.settle(&tree.lease).await;
        }
        let mut meters = Meters::new();
        let mut watched = self.watch(contender, &trees, &mut meters).await;
        close(&mut meters).await;
        for (_, tree) in trees {
            watched = followed_by(watched, self.leases.close_lease(tree.lease).await);
        }
        Ok(watched?.iter().filter_map(Watched::fault).collect())
    }

    async fn watch<'a>(
        &'a self,
        contender: &Contender,
        trees: &PerContender<Judged>,
        meters: &mut Meters,
    ) -> Result<Vec<Watched<'a>>, Error> {
        let new = |metric| Watched {
            metric,
            test: BoundTest::new(&Rules::default()),
            values: Vec::new(),
            baselines: Vec::new(),
        };
        let mut watched: Vec<_> = self.run.plan().metrics.iter().map(new).collect();
        let mut exact: BTreeMap<(Contender, MetricName), Quantity> = BTreeMap::new();
        let everyone: Vec<_> = trees.keys().cloned().collect();
        let mut clocks = Clocks::default();
        for index in 0..BLOCKS {
            let seed = race::block_seed(self.run.started.seed ^ u64::from(u32::MAX), index);
            let slot = Slot { block: index, seed, limit: self.run.time_left(), brief: None };
            let mut read = exact.clone();
            let mut slices = Vec::new();
            for who in race::shuffled(&everyone, seed, index) {
                for (at, source) in self.sources.iter().enumerate() {
                    if source.cadence() == Cadence::Once && index > 0 {
                        continue;
                    }
                    self.run.check_stop()?;
                    let slice = match self.slice(at, &who, trees, meters, slot, Patience::until(slot)).await? {
                        Ok(slice) => slice,
                        Err(Spoiled::Contender(why)) | Err(Spoiled::Machine(why)) => return Err(Error::machine(why)),
                        Err(Spoiled::OutOfTime) => {
                            return Err(Error::machine("the time cap ended while the bounds were measured again"));
                        }
                    };
                    if source.cadence() == Cadence::Once {
                        exact.extend(slice.readings.iter().map(|r| ((who.clone(), r.metric.clone()), r.value)));
                    }
                    slices.push(slice);
                }
            }
            if index == 0 {
                clocks = Clocks::chosen(&slices);
            }
            for slice in &slices {
                let value =
                    |r: &Reading| Some(((slice.contender.clone(), r.metric.clone()), clocks.value(index, slice, r)?));
                read.extend(slice.readings.iter().filter_map(value));
            }
            for watch in &mut watched {
                let of = |who: &Contender| read.get(&(who.clone(), watch.metric.name.clone())).copied();
                let (value, baseline) = (of(contender), of(&Contender::Baseline));
                watch.take(value, baseline)?;
            }
            if watched.iter().all(|w| w.test.standing() != Standing::Uncertain) {
                break;
            }
        }
        Ok(watched)
    }
}

#[cfg(test)]
mod tests;
