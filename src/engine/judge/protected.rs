//! By what contenders are judged, as the base has it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use globset::GlobSet;

use crate::domain::change;
use crate::domain::plan::{globs, with_below};
use crate::domain::trial::Exclusion;

/// What would be obeyed if it were there, beside what is protected by its name.
const OBEYED: &[&str] = &["**/conftest.*", "{pytest,unittest}"];

/// By what contenders of a run are judged: the same in each tree.
pub(super) struct Protected {
    /// Files of the base that are restored.
    pub paths: Vec<String>,
    /// Folders that hold some of them, and the tree itself.
    pub folders: BTreeSet<String>,
    /// What would say there how tests are run.
    obeyed: GlobSet,
}

/// Whether package managers and tests write it as well, where what they do it for has changed.
fn is_written(path: &str) -> bool {
    matches!(change::exclusion(path), Some(Exclusion::LockFile | Exclusion::Generated))
}

impl Protected {
    /// Of these files, by patterns as a checkout restores them.
    pub(super) fn of(all: &[PathBuf], patterns: &[String]) -> Self {
        let restored = globs(&with_below(patterns));
        let paths = all.iter().filter(|path| restored.is_match(path)).filter_map(|path| path.to_str());
        let paths: Vec<String> = paths.filter(|path| !is_written(path)).map(str::to_owned).collect();
        let above = |path: &String| {
            Path::new(path).ancestors().skip(1).map(|folder| folder.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let folders = paths.iter().flat_map(above).chain([String::new()]).collect();
        let named = patterns.iter().filter(|glob| !change::TESTS.contains(&glob.as_str()) && !glob.ends_with('*'));
        let obeyed = named.cloned().chain(OBEYED.iter().map(|glob| (*glob).to_owned())).collect::<Vec<_>>();
        Self { paths, folders, obeyed: globs(&obeyed) }
    }

    /// Whether a file that stands there would say how tests are run.
    pub(super) fn is_obeyed(&self, path: &str) -> bool {
        self.obeyed.is_match(path) && !is_written(path)
    }
}
