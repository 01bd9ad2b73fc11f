//! What `blueprint.yaml` says of how a run ends in the repository, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where and when a winner lands.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{branch: main}`")]
pub struct Land {
    /// The branch; the one that is checked out where absent.
    pub branch: Option<String>,
    /// What must be shown before a variant lands: `better` than the baseline where absent.
    pub require: Option<Require>,
    /// Where the end of a run is told that landed nothing; `commit` where absent.
    pub record: Option<Record>,
    /// What becomes of `pre-merge-commit`, `pre-commit` and `commit-msg`; `skip` where absent.
    pub hooks: Option<Hooks>,
    /// Whether commits are signed; `never` where absent.
    pub sign: Option<Sign>,
}

/// Where the end of a run is told that landed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// In the document, by a commit of it alone on the branch.
    Commit,
    /// In the journal only.
    Journal,
}

/// What becomes of the repository's hooks when something lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hooks {
    /// They are run as git would, and what they refuse does not land.
    Run,
    /// They are not run.
    Skip,
}

/// Whether commits that land are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sign {
    /// As git's own configuration says.
    Auto,
    /// Never.
    Never,
}

/// What must be shown before a variant lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Require {
    /// That it is better than the baseline.
    Better,
    /// Nothing: whoever leads when the time ends lands.
    Leader,
    /// That it is better than the baseline and than every rival.
    Supported,
    /// That it is better than the baseline, and that nothing in it is suspicious.
    Unsuspicious,
}

impl From<Require> for crate::domain::landing::Require {
    fn from(require: Require) -> Self {
        match require {
            Require::Better => Self::Better,
            Require::Leader => Self::Leader,
            Require::Supported => Self::Supported,
            Require::Unsuspicious => Self::Unsuspicious,
        }
    }
}
