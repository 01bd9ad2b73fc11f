//! The code that is measured stays as it was committed: whose program changes it, in its own tree or in another's, would
//! be measured by something else than what lands. Whose slice it was is out, and so is, in a sandbox, whose tree it is in
//! which tests did so. Where nobody can tell, the run ends.

use std::collections::{BTreeMap, BTreeSet};

use crate::adapters::git::CommitId;
use crate::domain::measurement::Contender;
use crate::domain::trial::{ChangeSize, Disqualification, Exclusion, Outcome};
use crate::engine::judge::tree::Judged;
use crate::engine::measure::Measuring;
use crate::engine::run::PerContender;
use crate::engine::state::Facts;
use crate::error::Error;

/// What the files that variants changed hold, by contender and path; nothing where there is no such file.
pub(in crate::engine) type Code = BTreeMap<(Contender, String), Option<Vec<u8>>>;

/// What any variant changed, without files that programs write.
fn paths(facts: &Facts) -> BTreeSet<&String> {
    let written = |size: &ChangeSize, path: &String| {
        let by_programs = [Exclusion::Generated, Exclusion::LockFile];
        size.excluded.iter().any(|file| file.path == *path && by_programs.contains(&file.reason))
    };
    let each = facts
        .seen
        .harvests
        .values()
        .flat_map(|(harvest, size, _)| harvest.changed.iter().filter(move |path| !written(size, path)));
    each.collect()
}

/// The error that ends a run whose code changed. Who did it is not known: a program can reach the trees of others.
fn changed(path: &str, contender: &Contender, when: &str) -> Error {
    Error::machine(format!("{path} changed in the tree of {contender} while it was {when}: it is not what would land"))
        .hint("a program that was started did it, in its own tree or in another's: look at what the variants add")
        .hint("tests and benchmarks that rewrite code have to do so elsewhere")
}

impl Measuring {
    /// What the variants changed, as it is in each judged tree now. Where tests wrote something else there than was
    /// committed, the run ends.
    pub(in crate::engine) async fn code(
        &self,
        judged: &PerContender<Judged>,
        facts: &mut Facts,
    ) -> Result<Code, Error> {
        let (mut code, paths) = (Code::new(), paths(facts).into_iter().cloned().collect::<Vec<_>>());
        for (contender, tree) in judged {
            let harvest = contender.key().and_then(|key| facts.seen.harvests.get(key));
            let commit = harvest.map(|(harvest, ..)| CommitId(harvest.commit.clone()));
            let commit = commit.unwrap_or_else(|| self.run.started.base.clone());
            let mut tampered = None;
            for path in &paths {
                let found = self.workspace.look(&tree.site.tree, path).await;
                // Attributes may let files stand in a tree otherwise than in a commit.
                let later = found.changed.is_some_and(|changed| changed > tree.ready);
                if later && found.bytes != self.git.file_at(&commit, path).await? {
                    // In a sandbox a tree is reached by nobody but its own programs.
                    if contender.key().is_none() || !self.run.started.sandboxed {
                        return Err(changed(path, contender, "tested"));
                    }
                    tampered.get_or_insert_with(|| {
                        format!("{path} changed while it was tested: it is not what would land")
                    });
                }
                code.insert((contender.clone(), path.clone()), found.bytes);
            }
            if let Some(message) = tampered.filter(|_| !facts.seen.ended.contains_key(contender)) {
                let outcome = Outcome::Disqualified { reason: Disqualification::Tampered { message } };
                self.run.put_out(contender, outcome, facts).await?;
            }
        }
        Ok(code)
    }

    /// What one slice of a contender changed, which is put back, in words against it.
    pub(in crate::engine) async fn tampered(
        &self,
        by: &Contender,
        before: &Code,
        judged: &PerContender<Judged>,
    ) -> Result<Option<String>, Error> {
        let mut first = None;
        for ((contender, path), bytes, tree) in self.differing(before, judged).await {
            let back = match bytes {
                Some(bytes) => self.workspace.put_back(&tree.site.tree, path, bytes).await.is_ok(),
                None => false,
            };
            // What the baseline's program does, any contender's does; and the others can't go on with other code.
            if !back || by.key().is_none() {
                return Err(changed(path, contender, "measured"));
            }
            first.get_or_insert_with(|| format!("changed {path} in the tree of {contender} while it was measured"));
        }
        Ok(first)
    }

    /// Puts out whoever's programs changed files by which it is judged since they were looked at last; whether anybody was.
    pub(in crate::engine) async fn end_tampering(
        &self,
        judged: &PerContender<Judged>,
        facts: &mut Facts,
    ) -> Result<bool, Error> {
        let mut ended = false;
        for (contender, tree) in
            judged.iter().filter(|(contender, _)| !facts.seen.ended.contains_key(contender)).collect::<Vec<_>>()
        {
            let guard = &mut *tree.guard.lock().await;
            let tampered = self.judging.guarded(contender, &tree.site.tree, guard, "measured").await?;
            if let Some(message) = tampered {
                let outcome = Outcome::Disqualified { reason: Disqualification::Tampered { message } };
                self.run.put_out(contender, outcome, facts).await?;
                ended = true;
            }
        }
        Ok(ended)
    }

    /// Ends the run where any of it is something else now.
    pub(in crate::engine) async fn check_code(
        &self,
        before: &Code,
        judged: &PerContender<Judged>,
    ) -> Result<(), Error> {
        match self.differing(before, judged).await.first() {
            Some(((contender, path), ..)) => Err(changed(path, contender, "measured")),
            None => Ok(()),
        }
    }

    /// What is something else now than it was before, with that and the tree that it stands in.
    async fn differing<'a>(
        &self,
        before: &'a Code,
        judged: &'a PerContender<Judged>,
    ) -> Vec<(&'a (Contender, String), &'a Option<Vec<u8>>, &'a Judged)> {
        let mut found = Vec::new();
        for (place, bytes) in before {
            let (contender, path) = place;
            let Some(tree) = judged.get(contender) else { continue };
            if self.workspace.look(&tree.site.tree, path).await.bytes != *bytes {
                found.push((place, bytes, tree));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
