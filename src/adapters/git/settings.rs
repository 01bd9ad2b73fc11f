//! The repository's configuration and hooks as they were when it was opened, before anybody of a run could write
//! them. Only these are obeyed; what is another now is told by name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The setting that names the place where Git LFS keeps contents.
pub(super) const LFS_STORAGE: &str = "lfs.storage";

/// Keys that change how content is turned into blobs and back, and what may be read of what is written.
const CONTENT: &[&str] = &[
    "core.autocrlf",
    "core.eol",
    "core.safecrlf",
    "core.symlinks",
    "core.filemode",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.sharedrepository",
];

/// How keys begin by which contents in LFS are fetched.
const LFS: &[&str] = &["lfs.", "url.", "http.", "credential."];

/// How keys begin that an agent's own git directory has, beside those of content.
const AGENTS: &[&str] = &["user.name", "user.email", "author.", "committer.", "core.sparsecheckout"];

/// Keys that neither a hook nor a signer runs anything by, nor makes another commit.
const HARMLESS: &[&str] = &["user.name", "user.email", "branch.", "advice.", "color.", "column.", "gui."];

/// What configuration and hooks were at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Keys and values in the order in which git reads them, of all levels.
    pub values: Vec<(String, String)>,
    /// Digests of hooks, by their names as they are told.
    pub hooks: BTreeMap<String, Vec<u8>>,
    /// What the user's own attributes and the repository's own, unversioned ones say.
    pub attributes: (Vec<u8>, Vec<u8>),
    /// The same of what is ignored.
    pub excludes: (Vec<u8>, Vec<u8>),
}

impl Settings {
    /// The value that counts of a key in lower case.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Whether a key is set to true.
    pub(super) fn is_true(&self, key: &str) -> bool {
        let value = self.get(key).map(str::to_ascii_lowercase);
        value.is_some_and(|value| ["true", "yes", "on", "1"].contains(&value.as_str()))
    }

    /// Whether others of the user's group work in the repository too.
    pub(super) fn is_shared(&self) -> bool {
        let value = self.get("core.sharedrepository").map(str::to_ascii_lowercase);
        value.is_some_and(|value| !["", "false", "no", "off", "umask", "0", "0600"].contains(&value.as_str()))
    }

    /// Those that decide how content is written and read.
    pub(crate) fn of_content(&self) -> impl Iterator<Item = (&str, &str)> {
        let decides = |key: &str| CONTENT.contains(&key) || key.starts_with("filter.");
        self.values.iter().map(|(key, value)| (key.as_str(), value.as_str())).filter(move |(key, _)| decides(key))
    }

    /// Those by which contents in LFS that are not here are fetched, where the repository has LFS.
    pub(super) fn of_lfs(&self) -> impl Iterator<Item = (&str, &str)> {
        let has = self.values.iter().any(|(key, _)| key.starts_with("filter.lfs."));
        let remote = |key: &str| key.starts_with("remote.") && (key.ends_with(".url") || key.ends_with(".lfsurl"));
        let fetches = move |key: &str| LFS.iter().any(|known| key.starts_with(known)) || remote(key);
        self.values
            .iter()
            .filter(move |(key, _)| has && fetches(key))
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// What an agent has of the user's beside: who commits, what is checked out, and from where objects come that are
    /// fetched only when they are needed.
    pub(super) fn of_agents(&self) -> impl Iterator<Item = (&str, &str)> {
        let promised = self.get("extensions.partialclone").is_some();
        let fetches = move |key: &str| promised && (key.starts_with("remote.") || key == "extensions.partialclone");
        let wanted = move |key: &str| AGENTS.iter().any(|known| key.starts_with(known)) || fetches(key);
        self.values.iter().filter(move |(key, _)| wanted(key)).map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The user's name and address where git knows them.
    pub fn who(&self) -> (&str, &str) {
        let text = |key| self.get(key).filter(|value| !value.is_empty());
        (text("user.name").unwrap_or("blueprint"), text("user.email").unwrap_or("blueprint@localhost"))
    }

    /// What is not as it was, by name, sorted.
    pub fn differs(&self, now: &Self) -> Vec<String> {
        let mut names = BTreeSet::new();
        let of = |settings: &Self, key: &str| {
            let all = settings.values.iter().filter(|(known, _)| known == key);
            all.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        let keys: BTreeSet<_> = self.values.iter().chain(&now.values).map(|(key, _)| key).collect();
        names.extend(keys.into_iter().filter(|key| of(self, key) != of(now, key)).cloned());
        let hooks: BTreeSet<_> = self.hooks.keys().chain(now.hooks.keys()).collect();
        names.extend(hooks.into_iter().filter(|name| self.hooks.get(*name) != now.hooks.get(*name)).cloned());
        if self.attributes != now.attributes {
            names.insert("info/attributes".to_owned());
        }
        names.into_iter().collect()
    }
}

/// Whether nothing that hooks and signers do comes to something else by it.
pub(super) fn is_harmless(name: &str) -> bool {
    HARMLESS.iter().any(|known| name == *known || (known.ends_with('.') && name.starts_with(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[(&str, &str)]) -> Settings {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings { values, ..Settings::default() }
    }

    #[test]
    fn what_was_added_changed_or_taken_away_is_named_once() {
        let before = of(&[("a.x", "1"), ("a.x", "2"), ("b.y", "1"), ("c.z", "1")]);
        let now = of(&[("a.x", "2"), ("a.x", "1"), ("b.y", "1"), ("d.w", "1"), ("d.w", "2")]);
        assert_eq!(before.differs(&now), ["a.x", "c.z", "d.w"]);
        assert_eq!(before.differs(&before.clone()), [""; 0]);
    }

    #[test]
    fn an_identity_or_a_tracking_branch_is_harmless_and_what_runs_programs_is_not() {
        assert!(["user.name", "user.email", "branch.feature.merge"].iter().all(|name| is_harmless(name)));
        let not =
            ["user.signingkey", "gpg.program", "core.hookspath", "filter.x.clean", "include.path", "hooks/pre-commit"];
        assert!(!not.iter().any(|name| is_harmless(name)));
    }
}
