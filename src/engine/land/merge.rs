//! Landing: merge, verify exactly that tree, write the document into the same merge commit, move
//! the branch by compare-and-swap. Only a tree that was verified can be committed.

use crate::adapters::git::{Advance, CommitId, CommitOrder, Merge};
use crate::domain::event::Event;
use crate::domain::measurement::Contender;
use crate::domain::plan::VariantKey;
use crate::domain::scoreboard::Scoreboard;
use crate::domain::trial::{self, TestReport};
use crate::engine::judge::tree::{lost, regressions};
use crate::engine::land::Landing;
use crate::engine::state::{Facts, LandingIntent, Record};
use crate::error::{Error, ExitCode};

/// How often a target that moves away is followed.
pub(super) const TRIES: u32 = 3;

/// Proof that a tree was checked out, set up and passed its tests. Only `verify` makes one.
struct Verified {
    tree: String,
    onto: CommitId,
    /// Titles of work items that the winner did not carry out.
    unfinished: Vec<String>,
}

impl Landing {
    /// Lands what the verdict names, unless that was done or is not wanted.
    #[tracing::instrument(name = "landing", skip_all)]
    pub async fn land(&self, scoreboard: &Scoreboard, facts: &Facts) -> Result<Option<CommitId>, Error> {
        if let Some(commit) = &facts.landed {
            return Ok(Some(commit.clone()));
        }
        let Some(winner) = scoreboard.lands().filter(|_| self.settings.merge).cloned() else { return Ok(None) };
        if let Some(done) = self.finish_landing(facts).await? {
            return Ok(Some(done));
        }
        let Some((harvest, ..)) = facts.seen.harvests.get(&winner) else {
            return Err(Error::machine(format!("the journal has no harvest of the winner {winner}")));
        };
        let commit = CommitId(harvest.commit.clone());
        for _ in 0..TRIES {
            self.run.check_stop()?;
            let target = self.git.tip(&self.run.started.target).await?;
            // A document that is not to be carried out any more is told before anything is verified.
            let document = self.rewritten(&target, scoreboard, facts).await?;
            let verified = self.verify(&winner, &commit, &target, facts).await?;
            if let Some(landed) = self.commit_and_move(&winner, &commit, verified, &document).await? {
                return Ok(Some(landed));
            }
            self.run.warn(format!("`{}` moved while the merge was verified; verifying again", self.run.started.target));
        }
        Err(self.blocked(
            &winner,
            format!("`{}` moved {TRIES} times while the merge was verified", self.run.started.target),
        ))
    }

    /// A landing that was begun before a crash: done if the branch has it.
    async fn finish_landing(&self, facts: &Facts) -> Result<Option<CommitId>, Error> {
        let Some(intent) = &facts.landing else { return Ok(None) };
        let tip = self.git.tip(&self.run.started.target).await?;
        if !self.git.is_ancestor(&intent.to, &tip).await.unwrap_or(false) {
            return Ok(None);
        }
        self.landed(intent.to.clone()).await.map(Some)
    }

    async fn landed(&self, commit: CommitId) -> Result<CommitId, Error> {
        self.run.log.write(&Record::Landed { commit: commit.clone() }).await?;
        self.run.tell(Event::Landed { commit: commit.0.clone(), branch: self.run.started.target.clone() });
        Ok(commit)
    }

    /// Something stands in the way that somebody can clear.
    fn blocked(&self, winner: &VariantKey, message: String) -> Error {
        self.kept(winner, message).hint(format!("when the way is clear: blueprint resume {}", self.run.started.run))
    }

    /// The winner itself does not fit the target, which no waiting changes.
    fn unlandable(&self, winner: &VariantKey, target: &CommitId, message: String) -> Error {
        let error = self.kept(winner, message);
        if *target == self.run.started.base {
            return error
                .hint("it was judged with the tests of the base, and lands with its own: look at what it changed");
        }
        let (target, run) = (&self.run.started.target, &self.run.started.run);
        error.hint(format!(
            "to compete once more on `{target}` as it is now, with what was written: blueprint retry {run}"
        ))
    }

    fn kept(&self, winner: &VariantKey, message: String) -> Error {
        let slug = Contender::Variant(winner.clone()).slug();
        Error::new(ExitCode::LandingBlocked, format!("cannot land {winner}: {message}"))
            .hint(format!("its work is kept at {}", self.run.kept_ref(&slug)))
    }

    /// Merges in memory, checks the merged tree out and runs its tests.
    async fn verify(
        &self,
        winner: &VariantKey,
        commit: &CommitId,
        target: &CommitId,
        facts: &Facts,
    ) -> Result<Verified, Error> {
        self.run.tell(Event::Landing { text: format!("merging {winner} onto {} in memory", self.run.started.target) });
        let tree = match self.git.merge(target, commit).await? {
            Merge::Clean(tree) => tree,
            Merge::Conflict(paths) => {
                let message = format!("it conflicts with `{}` in {}", self.run.started.target, paths.join(", "));
                return Err(self.unlandable(winner, target, message));
            }
        };
        self.run.tell(Event::Landing { text: "verifying the merged tree".to_owned() });
        let contender = Contender::Variant(winner.clone());
        let merged = self.judge_merged(&contender, &tree, target).await?;
        if merged.counted() == 0 {
            return Err(self.unlandable(winner, target, "no test ran on the merged tree".to_owned()));
        }
        let merged = facts.seen.tests.part(&merged);
        let expected = facts.seen.tests.deciding(&contender).cloned().unwrap_or_default();
        let failing = regressions(&expected, &merged);
        if !failing.is_empty() {
            return Err(self.unlandable(winner, target, format!("tests fail after the merge: {}", failing.join(", "))));
        }
        let lost = lost(&expected, &merged);
        if !lost.is_empty() {
            let message = format!("tests that {winner} passes are not there after the merge: {}", lost.join(", "));
            return Err(self.unlandable(winner, target, message));
        }
        if let Some(missed) = self.run.plan().weights.missed(&merged) {
            return Err(self.blocked(winner, format!("after the merge, {missed}")));
        }
        let unfinished =
            facts.seen.harvests.get(winner).map(|(harvest, ..)| harvest.unfinished.clone()).unwrap_or_default();
        Ok(Verified { tree, onto: target.clone(), unfinished })
    }

    /// Tests on the merged tree, and bounds again where it is not the base that was merged onto.
    async fn judge_merged(&self, contender: &Contender, tree: &str, target: &CommitId) -> Result<TestReport, Error> {
        let Some(winner) = contender.key() else { return Err(Error::machine("the baseline can't be landed")) };
        // Nothing is restored: what lands is this tree, with the target's tests and not the base's.
        let judged =
            match self.judging.fresh_tree(contender, &format!("{}_merged", contender.slug()), tree, &[]).await? {
                Ok(judged) => judged,
                Err(message) => {
                    return Err(self.unlandable(winner, target, format!("the merged tree can't be set up: {message}")));
                }
            };
        let tested = self.judging.run_suites(contender, &judged).await?;
        if tested.is_err() || *target == self.run.started.base {
            self.leases.close_lease(judged.lease).await?;
            return tested.map_err(|reason| self.unlandable(winner, target, format!("after the merge, {reason}")));
        }
        self.run
            .tell(Event::Landing { text: format!("`{}` moved: measuring the bounds again", self.run.started.target) });
        let missed = self.measuring.missed_after_merge(contender, judged, target).await?;
        if !missed.is_empty() {
            return Err(self.unlandable(winner, target, missed.join("; ")));
        }
        tested.map_err(|reason| self.unlandable(winner, target, format!("after the merge, {reason}")))
    }

    /// The merge commit with the document as rewritten onto the same target; `None` where that moved
    /// meanwhile.
    async fn commit_and_move(
        &self,
        winner: &VariantKey,
        commit: &CommitId,
        verified: Verified,
        document: &[u8],
    ) -> Result<Option<CommitId>, Error> {
        let name = self.run.plan().variant(winner.as_str()).map_or_else(String::new, |v| format!(": {}", v.name));
        let missing = match verified.unfinished.as_slice() {
            [] => String::new(),
            titles => format!("\nNot carried out: {}.\n", trial::quoted(titles)),
        };
        let message = format!(
            "Land variant {winner}{name}\n\nBlueprint {} ({}), run {}.\n{missing}",
            self.run.plan().title,
            self.run.started.document,
            self.run.started.run
        );
        let order = CommitOrder {
            tree: &verified.tree,
            replace: Some((&self.run.started.document, document)),
            parents: &[&verified.onto, commit],
            message: &message,
            time: self.run.started.at,
            signed: false,
        };
        let contender = Contender::Variant(winner.clone());
        let merge = match self.vetted(&contender, &order).await? {
            Ok(merge) => merge,
            Err(why) => return Err(self.blocked(winner, why)),
        };
        let intent = LandingIntent { variant: winner.clone(), from: verified.onto.clone(), to: merge.clone() };
        self.run.log.write(&Record::Landing(intent)).await?;
        self.run.tell(Event::Landing { text: format!("moving `{}` to {}", self.run.started.target, merge.short()) });
        match self.git.advance(&self.run.started.target, &verified.onto, &merge).await? {
            Advance::Moved => self.landed(merge).await.map(Some),
            Advance::TargetMoved(_) => Ok(None),
            Advance::Overlap(paths) => {
                let error =
                    self.blocked(winner, format!("uncommitted changes overlap with it in {}", paths.join(", ")));
                Err(error.hint("commit or stash them first"))
            }
            Advance::Busy(why) => Err(self.blocked(winner, why)),
        }
    }
}

#[cfg(test)]
mod tests;
