//! The tie-breaker: what is counted of variants that the race could not tell apart, once, before the verdict.

use crate::adapters::metric::{MetricError, MetricSource, Slot};
use crate::domain::decision;
use crate::domain::measurement::Contender;
use crate::domain::plan::VariantKey;
use crate::domain::verdict::Verdict;
use crate::engine::judge::tree::Judged;
use crate::engine::measure::Measuring;
use crate::engine::run::PerContender;
use crate::engine::state::{Facts, Record};
use crate::error::Error;

impl Measuring {
    /// Counts the instructions of the variants that can't be told apart, where the configuration asks for it and
    /// there are two at least. A variant that can't be counted is only not counted.
    pub(in crate::engine) async fn break_ties(
        &self,
        judged: &PerContender<Judged>,
        mut facts: Facts,
    ) -> Result<Facts, Error> {
        let Some(source) = &self.tie_breaker else { return Ok(facts) };
        let tied = tied(&facts)?;
        if tied.len() < 2 {
            return Ok(facts);
        }
        for key in tied {
            let contender = Contender::Variant(key);
            let Some(tree) = judged.get(&contender).filter(|_| !facts.seen.tie_break.contains_key(&contender)) else {
                continue;
            };
            match self.counted(&**source, tree).await? {
                Ok(instructions) => self.run.note(&mut facts, Record::TieBreak { contender, instructions }).await?,
                Err(why) => self.run.warn(format!("the instructions of {contender} were not counted: {why}")),
            }
        }
        Ok(facts)
    }

    async fn counted(&self, source: &dyn MetricSource, tree: &Judged) -> Result<Result<u64, String>, Error> {
        self.run.check_stop()?;
        let slot = Slot { block: 0, seed: self.run.started.seed, limit: self.run.time_left(), brief: None };
        let sample = match source.open(&tree.site).await {
            Ok(mut meter) => {
                let sample = meter.sample(slot).await;
                meter.close().await;
                sample
            }
            Err(error) => Err(error),
        };
        self.run.check_stop()?;
        Ok(match sample {
            // Counts are whole numbers far below what a float holds exactly.
            Ok(sample) => sample.readings.first().map(|r| r.value.value() as u64).ok_or_else(|| "no value".to_owned()),
            Err(MetricError::Process(error)) => return Err(crate::engine::trouble::machine(error)),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// The variants that nothing told apart when measuring ended.
fn tied(facts: &Facts) -> Result<Vec<VariantKey>, Error> {
    Ok(match decision::conclude(&facts.seen)?.verdict {
        Verdict::Tie { among, .. } => among,
        Verdict::Undecided { .. } => {
            decision::standing(&facts.seen)?.race.survivors().iter().filter_map(|c| c.key().cloned()).collect()
        }
        Verdict::Winner { .. } | Verdict::NoWinner { .. } => Vec::new(),
    })
}

#[cfg(test)]
mod tests;
