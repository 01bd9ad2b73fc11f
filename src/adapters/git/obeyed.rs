//! What is obeyed of configuration and hooks: read when the repository is opened, and held against what they are later.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::GitError;
use super::program::Program;
use super::settings::{Settings, is_harmless};
use crate::adapters::process::{Command, Environment};

impl Program {
    /// Reads configuration and hooks as they are now.
    pub(super) async fn read_settings(&self) -> Result<Settings, GitError> {
        let args = ["config", "--list", "--null"];
        let command = Command { keep: usize::MAX, ..self.plain(self.root(), &args, Environment::new()) };
        let listed = self.again(|| command.clone(), &args).await?.text();
        let entry = |entry: &str| {
            let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
            // What we give to each call is none of the user's.
            (!OURS.contains(&(key, value))).then(|| (key.to_owned(), value.to_owned()))
        };
        let values = listed.split('\0').filter(|text| !text.is_empty()).filter_map(entry).collect();
        let mut settings = Settings { values, ..Settings::default() };
        let file = |key: &str, usual: &str| {
            let named = settings.get(key).filter(|path| !path.is_empty()).map(|path| self.expanded(path));
            named.or_else(|| Some(user_folder()?.join(usual))).map(read).unwrap_or_default()
        };
        let (attributes, excludes) =
            (file("core.attributesfile", "git/attributes"), file("core.excludesfile", "git/ignore"));
        let folders = [self.common().join("hooks")]
            .into_iter()
            .chain(settings.get("core.hookspath").map(|path| self.expanded(path)));
        let hooks: BTreeMap<_, _> = folders.flat_map(|folder| hooks(&folder)).collect();
        settings.hooks = hooks;
        settings.attributes = (attributes, read(self.common().join("info/attributes")));
        settings.excludes = (excludes, read(self.common().join("info/exclude")));
        Ok(settings)
    }

    /// What of configuration and hooks is not as it was when the repository was opened, by name.
    pub(super) async fn strayed(&self) -> Result<Vec<String>, GitError> {
        Ok(self.settings().differs(&self.read_settings().await?))
    }

    /// Hooks and signers are the user's programs and obey the configuration as it is: nothing of it may have
    /// changed since before any agent ran, but what makes no difference to them.
    pub(super) async fn obeyed_is_unchanged(&self) -> Result<(), GitError> {
        let changed: Vec<_> = self.strayed().await?.into_iter().filter(|name| !is_harmless(name)).collect();
        if changed.is_empty() { Ok(()) } else { Err(GitError::ConfigurationChanged(changed.join(", "))) }
    }

    /// A path as the configuration names it.
    pub(super) fn expanded(&self, path: &str) -> PathBuf {
        match path.strip_prefix("~/").zip(std::env::var_os("HOME")) {
            Some((rest, home)) => PathBuf::from(home).join(rest),
            None => self.root().join(path),
        }
    }
}

/// What every call of git is given.
const OURS: &[(&str, &str)] = &[("core.hookspath", "/dev/null"), ("core.fsmonitor", "false"), ("gc.auto", "0")];

fn user_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))
}

/// What can't be read says nothing; so git has it too.
fn read(path: PathBuf) -> Vec<u8> {
    fs::read(path).unwrap_or_default()
}

/// Programs of a folder of hooks: by name, their digests.
fn hooks(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let runs = entry.path().metadata().is_ok_and(|at| at.is_file() && at.permissions().mode() & 0o111 != 0);
        let name = entry.file_name().to_string_lossy().into_owned();
        if runs && !name.ends_with(".sample") {
            found.push((format!("hooks/{name}"), Sha256::digest(read(entry.path())).to_vec()));
        }
    }
    found
}
