//! Work that is known beforehand: files with their whole contents, by variant. What rehearses a
//! harness is implemented by it; no configuration names it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Agent, AgentEnd, AgentError, AgentReport, Task};
use crate::adapters::process::Executor;
use crate::domain::plan::{Variant, VariantKey};
use crate::domain::trial::Usage;

/// Files to be written: paths below the worktree, or anywhere else where they are absolute.
pub type Files = Vec<(PathBuf, Vec<u8>)>;

/// The agent.
#[derive(Debug, Clone, Default)]
pub struct Scripted {
    /// What each variant writes; one that is not there writes nothing.
    pub files: BTreeMap<VariantKey, Files>,
}

#[async_trait]
impl Agent for Scripted {
    fn describe(&self) -> String {
        "work that is known beforehand".to_owned()
    }

    fn whole_variant(&self) -> bool {
        true
    }

    async fn check(&self, _: &Path, _: &Variant, _: &dyn Executor) -> Result<(), AgentError> {
        Ok(())
    }

    async fn implement(&self, task: Task<'_>, _: &dyn Executor) -> Result<AgentReport, AgentError> {
        for (path, content) in self.files.get(&task.variant.key).into_iter().flatten() {
            if task.stop.is_cancelled() {
                let end = AgentEnd::Failed { message: "stopped on request".to_owned() };
                return Ok(AgentReport { usage: Usage::default(), end, summary: String::new() });
            }
            write(&task.worktree.join(path), content)?;
        }
        Ok(AgentReport { usage: Usage::default(), end: AgentEnd::Finished, summary: String::new() })
    }
}

/// Puts a file into the place of whatever file or link is there; a folder stays.
fn write(path: &Path, content: &[u8]) -> Result<(), AgentError> {
    let failed = |source| AgentError::Io { what: path.display().to_string(), source };
    if path.is_dir() && !path.is_symlink() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // A link is not written through: what it leads to may lie outside the worktree.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    std::fs::write(path, content).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_in_the_place_of_a_link_and_not_through_it() {
        let dir = tempfile::tempdir().unwrap();
        let (other, link) = (dir.path().join("other"), dir.path().join("new/link"));
        std::fs::write(&other, "theirs").unwrap();
        std::fs::create_dir(dir.path().join("new")).unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        write(&link, b"ours").unwrap();
        assert_eq!(
            (std::fs::read(&other).unwrap(), std::fs::read(&link).unwrap()),
            (b"theirs".to_vec(), b"ours".to_vec())
        );
        write(&dir.path().join("new"), b"no file").unwrap();
        assert!(dir.path().join("new").is_dir());
        write(&dir.path().join("a/b/c"), b"deep").unwrap();
        assert!(dir.path().join("a/b/c").is_file());
    }
}
