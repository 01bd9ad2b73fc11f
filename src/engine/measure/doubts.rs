//! What is told of doubts about times that programs report of themselves.

use std::time::Duration;

use crate::domain::decision::Standing;
use crate::engine::measure::Measuring;

impl Measuring {
    /// What is told where slices are made shorter to settle a doubt.
    pub(in crate::engine) fn tell_doubts(&self, before: Option<Duration>, standing: &Standing) {
        if before.is_none() && standing.brief.is_some() {
            for ((contender, metric), told) in &standing.doubted {
                self.run.warn(format!(
                    "{contender}, {metric}: {told}. Slices with fewer runs follow: what they leave of the difference is no \
                     time of the work"
                ));
            }
        }
    }

    /// What is told of doubts that were not settled when measuring ended.
    pub(in crate::engine) fn warn_of_doubts(&self, standing: &Standing) {
        for ((contender, metric), told) in &standing.doubted {
            self.run.warn(format!(
                "{contender}, {metric}: {told}. Whether the report leaves out time of the work is not known, so that \
                 {contender} is not supported: let the benchmark work for longer in a slice"
            ));
        }
    }
}

#[cfg(test)]
mod tests;
