//! Who answers wrongly is out, not fast: outputs of one block are compared with the baseline's.

use crate::adapters::metric::Slot;
use crate::domain::measurement::{Contender, Outputs, Slice, compare_outputs};
use crate::engine::judge::tree::Judged;
use crate::engine::measure::Measuring;
use crate::engine::measure::blocks::{Meters, Spoiled};
use crate::engine::patience::Patience;
use crate::engine::run::PerContender;
use crate::engine::state::Facts;
use crate::error::Error;

impl Measuring {
    /// Compares the outputs of a block. Where contenders differ after the baseline left the race, the
    /// baseline has one more turn with the same inputs, which settles it. Where it could not be
    /// measured at all, nothing tells who is right.
    pub(in crate::engine) async fn check_outputs(
        &self,
        slices: &mut Vec<Slice>,
        judged: &PerContender<Judged>,
        facts: &mut Facts,
        meters: &mut Meters,
        slot: Slot,
    ) -> Result<Result<(), Spoiled>, Error> {
        let baseline = Contender::Baseline;
        while let Outputs::Disputed { source } = compare_outputs(slices) {
            let at = self.sources.iter().position(|known| known.name() == source);
            let (Some(at), false) = (at, facts.seen.ended.contains_key(&baseline)) else { return Ok(Ok(())) };
            match self.slice(at, &baseline, judged, meters, slot, Patience::until(slot)).await? {
                Ok(slice) => slices.push(slice),
                Err(Spoiled::Contender(message)) => return self.out(&baseline, message, facts).await,
                Err(machine) => return Ok(Err(machine)),
            }
        }
        match compare_outputs(slices) {
            Outputs::Wrong { contender, source, message } => {
                self.out(&contender, format!("{source}: {message}"), facts).await
            }
            Outputs::Agree | Outputs::Disputed { .. } => Ok(Ok(())),
        }
    }

    async fn out(
        &self,
        contender: &Contender,
        message: String,
        facts: &mut Facts,
    ) -> Result<Result<(), Spoiled>, Error> {
        self.invalid(contender, message.clone(), facts).await?;
        Ok(Err(Spoiled::Contender(message)))
    }
}

#[cfg(test)]
mod tests;
