//! Files by which contenders are judged stay what they were. What a contender's set-up, tests or benchmarks change of them
//! puts it out, since the suites and slices that follow would be its own; what those of the baseline change, they
//! change for everybody.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::PoisonError;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::adapters::workspace::Seal;
use crate::domain::change;
use crate::domain::measurement::Contender;
use crate::domain::trial::Exclusion;
use crate::engine::implement::contract;
use crate::engine::judge::Judging;
use crate::engine::state::Record;
use crate::error::Error;

/// What would be obeyed if it were there, beside what is protected by its name.
const OBEYED: &[&str] = &["**/conftest.*", "{pytest,unittest}"];

/// Names that are told of what the baseline changes.
const NAMES: usize = 5;

/// The files of one tree by which its contender is judged.
#[derive(Default)]
pub(in crate::engine) struct Guard {
    seal: Seal,
    /// Folders that hold some of them, and the tree itself.
    folders: BTreeSet<String>,
    /// What is obeyed of what stands there.
    obeyed: BTreeSet<String>,
}

/// Globs as they are written, without what lies below a folder of that name.
fn exactly<'a>(patterns: impl Iterator<Item = &'a str>) -> GlobSet {
    let globs = patterns.filter_map(|text| GlobBuilder::new(text).literal_separator(true).build().ok());
    let mut set = GlobSetBuilder::new();
    globs.for_each(|glob| {
        set.add(glob);
    });
    set.build().unwrap_or_default()
}

/// Whether package managers and tests write it as well, where what they do it for has changed.
fn is_written(path: &str) -> bool {
    matches!(change::exclusion(path), Some(Exclusion::LockFile | Exclusion::Generated))
}

impl Judging {
    /// Guards a tree in which nothing has run yet.
    pub(in crate::engine) async fn guard(&self, tree: &Path) -> Result<Guard, Error> {
        let protected = contract::globs(&self.settings.protect);
        let all = self.git.paths_at(&self.run.started.base).await?;
        let paths: Vec<String> = all
            .iter()
            .filter(|path| protected.is_match(path))
            .filter_map(|path| path.to_str())
            .map(str::to_owned)
            .filter(|path| !is_written(path))
            .collect();
        let above = |path: &String| {
            Path::new(path).ancestors().skip(1).map(|folder| folder.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let folders: BTreeSet<String> = paths.iter().flat_map(above).chain([String::new()]).collect();
        let mut guard = Guard { seal: self.workspace.seal(tree, &paths).await, folders, obeyed: BTreeSet::new() };
        guard.obeyed = self.obeyed(tree, &guard.folders).await;
        Ok(guard)
    }

    /// What stands in these folders and says how tests are run.
    async fn obeyed(&self, tree: &Path, folders: &BTreeSet<String>) -> BTreeSet<String> {
        let named = self.settings.protect.iter().map(String::as_str);
        let named = named.filter(|glob| !change::TESTS.contains(glob) && !glob.ends_with('*'));
        let globs = exactly(named.chain(OBEYED.iter().copied()));
        let mut found = BTreeSet::new();
        for folder in folders {
            let names = self.workspace.names(tree, folder).await;
            found.extend(names.into_iter().filter(|path| globs.is_match(path) && !is_written(path)));
        }
        found
    }

    /// What is something else than it was, or stands there now and did not.
    async fn changed(&self, tree: &Path, guard: &mut Guard) -> BTreeSet<String> {
        let mut changed: BTreeSet<String> = self.workspace.broken(tree, &mut guard.seal).await.into_iter().collect();
        let obeyed = self.obeyed(tree, &guard.folders).await;
        changed.extend(obeyed.difference(&guard.obeyed).cloned());
        changed
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
        let changed = self.changed(tree, guard).await;
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
