//! The end of a run that landed nothing: a commit of the document alone, on the branch that a winner
//! would have landed on, so that the document says how it ended and is not carried out again by accident.

use std::collections::BTreeMap;

use crate::adapters::git::{Advance, CommitId, CommitOrder};
use crate::domain::decision;
use crate::domain::ending::Circumstances;
use crate::domain::event::Event;
use crate::domain::measurement::Contender;
use crate::domain::plan::VariantKey;
use crate::domain::race::Rules;
use crate::domain::score::Scorer;
use crate::domain::scoreboard::Scoreboard;
use crate::domain::verdict::{NoWinner, Verdict};
use crate::engine::land::Landing;
use crate::engine::land::merge::TRIES;
use crate::engine::state::{Facts, Record};
use crate::error::{Error, ExitCode};

/// What a run's records say of why it landed nothing.
pub fn circumstances(facts: &Facts) -> Circumstances {
    let block = (!facts.seen.blocks.is_empty()).then(|| decision::block_time(&facts.seen));
    Circumstances { leads: leads(facts), block, budget: facts.measure_budget }
}

/// In how many counted blocks each variant was above the baseline.
fn leads(facts: &Facts) -> BTreeMap<VariantKey, (u32, u32)> {
    let scorer = Scorer::new(&facts.seen.started.plan);
    let mut leads = BTreeMap::new();
    let variants = facts.seen.candidates().into_iter().map(Contender::Variant);
    let all: Vec<_> = variants.chain([Contender::Baseline]).collect();
    for block in decision::scaled(&facts.seen, &Rules::default()) {
        let totals = decision::totals(&facts.seen, &scorer, &block, &all);
        let Some(base) = totals.get(&Contender::Baseline) else { continue };
        for (contender, total) in &totals {
            if let Some(key) = contender.key() {
                let (ahead, of) = leads.entry(key.clone()).or_insert((0, 0));
                *ahead += u32::from(total > base);
                *of += 1;
            }
        }
    }
    leads
}

impl Landing {
    /// Writes the end of a run that landed nothing into its document, unless that was done, is not wanted,
    /// or the run says nothing about the document. A run that can be measured on is not at its end.
    pub(crate) async fn record_end(&self, board: &Scoreboard, facts: &Facts) -> Result<Option<CommitId>, Error> {
        if let Some(commit) = &facts.recorded {
            return Ok(Some(commit.clone()));
        }
        let invalid = matches!(board.verdict, Verdict::NoWinner { reason: NoWinner::HarnessBiased { .. } });
        if invalid || board.is_open() || !self.settings.merge || !self.settings.record {
            return Ok(None);
        }
        if let Some(to) = &facts.recording {
            let tip = self.git.tip(&self.run.started.target).await?;
            if self.git.is_ancestor(to, &tip).await.unwrap_or(false) {
                return self.recorded(to.clone()).await.map(Some);
            }
        }
        for _ in 0..TRIES {
            self.run.check_stop()?;
            let onto = self.git.tip(&self.run.started.target).await?;
            let document = match self.standing_document(&onto).await? {
                Ok(document) => document,
                Err(why) => {
                    self.run.warn(format!("how the run ended is in the journal only: {why}"));
                    return Ok(None);
                }
            };
            let bytes = document.rewrite(&self.ended(board, &facts.sizes()).failed(&circumstances(facts)));
            if let Some(commit) = self.commit_end(&onto, &bytes).await? {
                return Ok(Some(commit));
            }
            self.run.warn(format!(
                "`{}` moved while the end of the run was written down; trying again",
                self.run.started.target
            ));
        }
        Err(self.unrecorded(format!("`{}` moved {TRIES} times meanwhile", self.run.started.target)))
    }

    /// The commit of the document alone; `None` where the target moved meanwhile.
    async fn commit_end(&self, onto: &CommitId, document: &[u8]) -> Result<Option<CommitId>, Error> {
        let (path, run) = (&self.run.started.document, &self.run.started.run);
        let message = format!(
            "No winner: {}\n\nBlueprint {path}, run {run}: nothing landed. Why is in its Analysis.\n",
            self.run.plan().title
        );
        let order = CommitOrder {
            tree: &onto.0,
            replace: Some((path, document)),
            parents: &[onto],
            message: &message,
            time: self.run.started.at,
            signed: false,
        };
        let commit = self.vetted(&Contender::Baseline, &order).await?.map_err(|why| self.unrecorded(why))?;
        self.run.log.write(&Record::Recording { to: commit.clone() }).await?;
        match self.git.advance(&self.run.started.target, onto, &commit).await? {
            Advance::Moved => self.recorded(commit).await.map(Some),
            Advance::TargetMoved(_) => Ok(None),
            Advance::Overlap(paths) => Err(self
                .unrecorded(format!("uncommitted changes overlap with it in {}", paths.join(", ")))
                .hint("commit or stash them first")),
            Advance::Busy(why) => Err(self.unrecorded(why)),
        }
    }

    async fn recorded(&self, commit: CommitId) -> Result<CommitId, Error> {
        self.run.log.write(&Record::Recorded { commit: commit.clone() }).await?;
        self.run.tell(Event::Recorded { commit: commit.0.clone(), branch: self.run.started.target.clone() });
        Ok(commit)
    }

    fn unrecorded(&self, why: String) -> Error {
        let (document, run) = (&self.run.started.document, &self.run.started.run);
        Error::new(ExitCode::LandingBlocked, format!("how the run ended could not be written into {document}: {why}"))
            .hint(format!("when the way is clear: blueprint resume {run}"))
            .hint("to keep such ends out of the branch, in blueprint.yaml: `land: {record: journal}`")
    }
}

#[cfg(test)]
mod tests;
