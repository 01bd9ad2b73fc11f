//! The plan: the typed, validated content of a document. Nothing downstream validates again.
//!
//! Reading a plan out of a document is `document`'s work; this file owns only what a plan is.

use std::fmt;
use std::time::Duration;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

pub use super::key::VariantKey;
use super::measurement::MetricName;
use super::quantity::{Bound, Tokens};
use super::weights::Weights;

/// One execution's worth of intent, read from one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The `Blueprint ID` header, as written.
    pub id: String,
    /// The document's first heading.
    pub title: String,
    /// Where the document stands in its life.
    pub status: Status,
    /// How variants are to be treated.
    pub mode: Mode,
    /// The digest in the `Approved` header, if one is there.
    pub approved: Option<String>,
    /// The prose of the Goal section.
    pub goal: String,
    /// Bullets of the Assumptions section.
    pub assumptions: Vec<String>,
    /// Bullets of the Clarifying Questions section.
    pub questions: Vec<Question>,
    /// The contestants, in document order; at least two in a competition.
    pub variants: Vec<Variant>,
    /// What is to be done, in document order.
    pub work_items: Vec<WorkItem>,
    /// Suites that gate and score, in document order.
    pub tests: Vec<EvaluationTest>,
    /// Metrics and the bounds they must keep, in document order.
    pub metrics: Vec<MetricBound>,
    /// How criteria are weighed; they sum to 100 %.
    pub weights: Weights,
    /// What may be spent.
    pub budget: Budget,
    /// The script of the Rollback Plan section.
    pub rollback: Option<String>,
}

/// `drafting → pending → approved → completed | failed`, and the two ways out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Status {
    Drafting,
    Pending,
    Approved,
    Completed,
    Failed,
    Rejected,
    Superseded,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Drafting => "drafting",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
        })
    }
}

/// How the variants of a document relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Two or more variants, one lands.
    Competition,
    /// One implicit variant against the baseline.
    Single,
    /// Parsed and checked, refused at run.
    Orchestrated,
}

/// A clarifying question with the answer that holds unless someone gives another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The question's text.
    pub text: String,
    /// What `(default: …)` says.
    pub default: Option<String>,
}

/// One competing approach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// `A`, `B`, …
    pub key: VariantKey,
    /// What stands after the colon of its heading.
    pub name: String,
    /// Its bullets.
    pub notes: Vec<String>,
}

/// One piece of work; the unit of the per-step token cap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkItem {
    /// Its heading without the restriction.
    pub title: String,
    /// Which variants carry it out.
    pub applies: Applies,
    /// Paths and globs that may change, relative to the repository's root.
    pub files: Vec<FilePattern>,
    /// What may be done to them.
    pub contract: DiffContract,
    /// Selectors for the runner of the evaluation's commands.
    pub tests: Vec<String>,
    /// Anything else that the section says.
    pub text: String,
}

impl WorkItem {
    /// Whether this item is part of that variant's work.
    pub fn applies_to(&self, key: &VariantKey) -> bool {
        match &self.applies {
            Applies::All => true,
            Applies::Only(keys) => keys.contains(key),
        }
    }
}

/// Which variants a work item is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Applies {
    /// Every variant.
    All,
    /// The named ones.
    Only(Vec<VariantKey>),
}

/// A path or glob inside the repository: relative, no `..`, not under `.git`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePattern(String);

impl FilePattern {
    /// The pattern, or why it is refused.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("the path is empty");
        }
        if text.starts_with('/') || text.contains('\\') || text.contains('\0') {
            return Err("the path must be relative, with `/` between its parts");
        }
        for part in text.split('/') {
            match part {
                ".." => return Err("the path must not leave the repository (`..`)"),
                "" | "." => return Err("the path has an empty part"),
                _ if part.eq_ignore_ascii_case(".git") => {
                    return Err("the path must not reach into `.git`");
                }
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FilePattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text).map_err(|why| format!("`{text}`: {why}"))
    }
}

impl From<FilePattern> for String {
    fn from(pattern: FilePattern) -> Self {
        pattern.0
    }
}

/// Globs in which `*` stays within a folder; a pattern that is no glob matches nothing but itself.
pub fn globs(patterns: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        if let Ok(glob) = glob.or_else(|_| GlobBuilder::new(&globset::escape(pattern)).build()) {
            set.add(glob);
        }
    }
    set.build().unwrap_or_default()
}

/// Patterns of files and folders, and those of what lies below whatever they name.
pub fn with_below(patterns: &[String]) -> Vec<String> {
    let plain = patterns.iter().map(|pattern| pattern.trim_end_matches('/'));
    plain.flat_map(|plain| [plain.to_owned(), format!("{plain}/**")]).collect()
}

/// What a work item may do to its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffContract {
    /// Change and add, or add only.
    pub kind: ContractKind,
    /// The content differs by variant.
    pub variant_specific: bool,
}

/// The two contracts of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContractKind {
    /// Changing and adding are allowed.
    Patch,
    /// The files must be new.
    NewFile,
}

/// One line of the evaluation's tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvaluationTest {
    /// A program with its arguments; never given to a shell.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The line as written.
        text: String,
    },
    /// Words that a suite of the configuration, or a built-in phrase, must bind.
    Prose {
        /// The line as written.
        text: String,
        /// `Load test with N concurrent requests`.
        load: Option<LoadPhrase>,
    },
}

impl EvaluationTest {
    /// The line as the document writes it.
    pub fn text(&self) -> &str {
        match self {
            Self::Command { text, .. } | Self::Prose { text, .. } => text,
        }
    }
}

/// The built-in phrase for a load test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPhrase {
    /// Requests in flight.
    pub concurrency: u32,
}

/// A metric with the bound it must keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricBound {
    /// The metric's name.
    pub name: MetricName,
    /// What its value must satisfy.
    pub bound: Bound,
    /// Words after the bound.
    pub note: Option<String>,
}

/// What a run may spend. What is absent is unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Budget {
    /// One step of one variant.
    pub step_tokens: Option<Tokens>,
    /// All steps of one variant.
    #[serde(default)]
    pub variant_tokens: Option<Tokens>,
    /// All variants together.
    pub session_tokens: Option<Tokens>,
    /// Shown beside what happened.
    pub time_estimate: Option<Duration>,
    /// The whole run to its verdict, measuring included.
    pub time_cap: Option<Duration>,
}

impl Plan {
    /// The work items of one variant, in document order.
    pub fn items_of<'a>(&'a self, key: &'a VariantKey) -> impl Iterator<Item = &'a WorkItem> {
        self.work_items.iter().filter(move |item| item.applies_to(key))
    }

    /// The variant with this key, compared without case.
    pub fn variant(&self, key: &str) -> Option<&Variant> {
        self.variants.iter().find(|v| v.key.as_str().eq_ignore_ascii_case(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_its_folder_and_two_stars_do_not() {
        let set = globs(&["src/*.rs".to_owned(), "db/**".to_owned()]);
        assert!(set.is_match("src/a.rs") && set.is_match("db/x/y.sql"));
        assert!(!set.is_match("src/deep/a.rs") && !set.is_match("database/x"));
    }
}
