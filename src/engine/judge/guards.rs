//! Files by which contenders are judged stay what they were. What a contender's set-up, tests or benchmarks change of them
//! puts it out, since the suites and slices that follow would be its own; what those of the baseline change, they
//! change for everybody.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::PoisonError;

use crate::adapters::workspace::Seal;
use crate::domain::measurement::Contender;
use crate::engine::judge::Judging;
use crate::engine::judge::protected::Protected;
use crate::engine::state::Record;
use crate::error::Error;

/// Names that are told of what the baseline changes.
const NAMES: usize = 5;

/// The files of one tree by which its contender is judged.
#[derive(Default)]
pub(in crate::engine) struct Guard {
    seal: Seal,
    /// What is obeyed of what stands there.
    obeyed: BTreeSet<String>,
}

impl Judging {
    async fn protected(&self) -> Result<&Protected, Error> {
        let found = async || {
            let all = self.git.paths_at(&self.run.started.base).await?;
            Ok(Protected::of(&all, &self.settings.protect))
        };
        self.protected.get_or_try_init(found).await
    }

    /// Guards a tree in which nothing has run yet.
    pub(in crate::engine) async fn guard(&self, tree: &Path) -> Result<Guard, Error> {
        let protected = self.protected().await?;
        let seal = self.workspace.seal(tree, &protected.paths).await;
        Ok(Guard { seal, obeyed: self.obeyed(tree, protected).await })
    }

    /// What stands beside what is protected and says how tests are run.
    async fn obeyed(&self, tree: &Path, protected: &Protected) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for folder in &protected.folders {
            let names = self.workspace.names(tree, folder).await;
            found.extend(names.into_iter().filter(|path| protected.is_obeyed(path)));
        }
        found
    }

    /// What is something else than it was, or stands there now and did not.
    async fn changed(&self, tree: &Path, guard: &mut Guard) -> Result<BTreeSet<String>, Error> {
        let mut changed: BTreeSet<String> = self.workspace.broken(tree, &mut guard.seal).await.into_iter().collect();
        let obeyed = self.obeyed(tree, self.protected().await?).await;
        changed.extend(obeyed.difference(&guard.obeyed).cloned());
        Ok(changed)
    }

    /// What a contender's programs changed while it was `doing`, in words against it. Of the baseline it is noted instead:
    /// no variant is out for it.
    pub(in crate::engine) async fn guarded(
        &self,
        contender: &Contender,
        tree: &Path,
        guard: &mut Guard,
        doing: &str,
    ) -> Result<Option<String>, Error> {
        let changed = self.changed(tree, guard).await?;
        let new: Vec<String> = {
            let known = self.rewritten.lock().unwrap_or_else(PoisonError::into_inner);
            changed.into_iter().filter(|path| !known.contains(path)).collect()
        };
        let Some(first) = new.first() else { return Ok(None) };
        if contender.key().is_some() {
            let more = if new.len() > 1 { format!(" and {} more", new.len() - 1) } else { String::new() };
            let told = format!("{first}{more}, by which {contender} is judged, changed while it was {doing}");
            // Where programs reach the trees of others, nobody knows whose it was.
            return match self.run.started.sandboxed {
                true => Ok(Some(told)),
                false => Err(Error::machine(told)
                    .hint("a program that was started did it, in this tree or from another: look at what the variants add")
                    .hint("in a sandbox, which is missing here, none reaches the trees of others: see `blueprint doctor`")),
            };
        }
        let more = if new.len() > NAMES { format!(" and {} more", new.len() - NAMES) } else { String::new() };
        self.run.warn(format!(
            "{}{more} changed while the baseline was {doing}: variants are judged by that, and it is not looked at whether \
             they change it as well",
            new[..new.len().min(NAMES)].join(", ")
        ));
        self.run.log.write(&Record::Rewritten { paths: new.clone() }).await?;
        self.rewritten.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
