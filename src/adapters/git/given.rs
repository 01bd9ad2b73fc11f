//! What configuration and hooks a run was given, kept for when it is gone on with: what somebody wrote since is told,
//! and not obeyed.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::settings::Settings;
use super::{GitError, Repository};

impl Repository {
    /// Keeps, beside the journal, what this run obeys; its digest.
    pub fn keep_given(&self, run: &str) -> Result<String, GitError> {
        let path = self.given(run);
        let io = |source| GitError::Io { what: path.display().to_string(), source };
        let bytes = serde_json::to_vec(self.program.settings()).map_err(|error| io(error.into()))?;
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&self.common))?;
            fs::write(&path, &bytes)
        };
        write().map_err(io)?;
        Ok(digest(&bytes))
    }

    /// The repository with the configuration and hooks that a run was given; none where they are not kept, or are not
    /// those of this digest.
    pub fn as_given(&self, run: &str, known: &str) -> Option<Self> {
        let bytes = fs::read(self.given(run)).ok().filter(|bytes| digest(bytes) == known)?;
        let settings: Settings = serde_json::from_slice(&bytes).ok()?;
        Some(self.by(self.program.clone().obeying(Arc::new(settings))))
    }

    fn given(&self, run: &str) -> PathBuf {
        self.common.join("blueprint/given").join(format!("{run}.json"))
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
