//! A variant's key: what stands in branches, paths, names of databases, and tables.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A variant's key as the document writes it (`A`), compared without case.
///
/// Only ASCII letters, digits, `-` and `_`, starting with a letter or digit, at most 24 bytes,
/// so that it can stand in a branch, a path and a database name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VariantKey(Arc<str>);

impl VariantKey {
    /// The key, or `None` where the text can't be one.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=24).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && text.as_bytes()[0].is_ascii_alphanumeric();
        fits.then(|| Self(text.into()))
    }

    /// As the document writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Lower case with `_` as `-`: the form used in branches, paths and names.
    pub fn slug(&self) -> String {
        self.0.to_ascii_lowercase().replace('_', "-")
    }
}

impl TryFrom<String> for VariantKey {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text).ok_or_else(|| format!("`{text}` can't be a variant's key"))
    }
}

impl From<VariantKey> for String {
    fn from(key: VariantKey) -> Self {
        key.0.as_ref().to_owned()
    }
}

impl fmt::Display for VariantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
