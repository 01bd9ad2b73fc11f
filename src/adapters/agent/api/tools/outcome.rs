//! What comes of a call of the model's.

/// What came of a call.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What the model is told.
    pub text: String,
    /// Whether it failed.
    pub failed: bool,
    /// Whether it changed the worktree.
    pub changed: bool,
    /// The summary, where the model is done.
    pub finish: Option<String>,
}

impl Outcome {
    pub(super) fn done(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(super) fn changed(text: impl Into<String>) -> Self {
        Self { changed: true, ..Self::done(text) }
    }

    pub(super) fn failed(text: impl Into<String>) -> Self {
        Self { failed: true, ..Self::done(text) }
    }
}

impl From<Result<Self, String>> for Outcome {
    fn from(result: Result<Self, String>) -> Self {
        result.unwrap_or_else(Self::failed)
    }
}
