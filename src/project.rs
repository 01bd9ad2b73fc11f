//! A repository with its configuration: where commands find what they work on.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::adapters::executor::local::Local;
use crate::adapters::git::{Git, GitError, Repository};
use crate::adapters::journal::{Journal, Sqlite};
use crate::adapters::process::{Environment, Executor, Redactor};
use crate::config::{Config, Models};
use crate::domain::wire::{Provider, Secret};
use crate::error::{Error, Result};

pub mod files;

/// The name of the configuration, at the repository's root.
pub const CONFIGURATION: &str = "blueprint.yaml";

/// A repository with its configuration.
pub struct Project {
    /// The repository.
    pub git: Arc<Repository>,
    /// Where programs run.
    pub exec: Arc<dyn Executor>,
    /// What `blueprint.yaml` says, or the defaults.
    pub config: Config,
    /// Whether there is a `blueprint.yaml`.
    pub configured: bool,
    /// Our own environment, for references such as `$DATABASE_URL`.
    pub variables: BTreeMap<String, String>,
}

impl Project {
    /// Finds the repository around a directory and reads its configuration.
    pub async fn open(from: &Path) -> Result<Self> {
        let exec: Arc<dyn Executor> = Arc::new(Local);
        let git = Repository::discover(from, Arc::clone(&exec)).await.map_err(|error| match &error {
            GitError::NotARepository(_) => Error::from(error).hint("start in your project, or make it one: git init"),
            _ => Error::from(error),
        })?;
        let path = git.root().join(CONFIGURATION);
        let (config, configured) = match std::fs::read_to_string(&path) {
            Ok(text) => (Config::parse(&text, Path::new(CONFIGURATION))?, true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Config::default(), false),
            Err(error) => return Err(Error::usage(format!("{} can't be read: {error}", path.display()))),
        };
        Ok(Self { git: Arc::new(git), exec, config, configured, variables: variables() })
    }

    /// Goes on by the configuration and hooks of git that a run was given; the names of what is another now. Of a run
    /// that an earlier version began nothing is kept.
    pub async fn go_on_as_given(&mut self, run: &str, given: Option<&str>) -> Result<Vec<String>> {
        let Some(given) = given else { return Ok(Vec::new()) };
        let git = self.git.as_given(run, given).ok_or_else(|| {
            Error::refused(format!(
                "what git was set to when run {run} began is not kept any more, and filters and hooks that \
                somebody wrote since would be obeyed"
            ))
            .hint(format!(
                "look at it (git config --show-origin --list), then begin anew with its work: blueprint retry {run}"
            ))
        })?;
        self.git = Arc::new(git);
        Ok(self.git.strayed().await?)
    }

    /// The names of what git's configuration and hooks have otherwise than when a run began, as far as that is kept.
    pub async fn strayed_since(&self, run: &str, given: Option<&str>) -> Result<Vec<String>> {
        match given.and_then(|given| self.git.as_given(run, given)) {
            Some(then) => Ok(then.strayed().await?),
            None => Ok(Vec::new()),
        }
    }

    /// The root of the user's checkout.
    pub fn git_root(&self) -> &Path {
        self.git.root()
    }

    /// The journal, made where there is none.
    pub async fn journal(&self) -> Result<Arc<dyn Journal>> {
        self.has_journal()?;
        Ok(Arc::new(Sqlite::open(&self.journal_folder()).await?))
    }

    /// Whether anything was ever run here. Refused where that was another user, whose journal is private.
    pub fn has_journal(&self) -> Result<bool> {
        let folder = self.journal_folder();
        match folder.join("journal.db").try_exists() {
            Ok(found) => Ok(found),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(Error::refused(format!(
                "{} is of another user, and runs of a repository are of one user",
                folder.display()
            ))
            .hint("run as that user, or in a clone of your own")),
            Err(error) => Err(Error::machine(format!("{} can't be read: {error}", folder.display()))),
        }
    }

    fn journal_folder(&self) -> PathBuf {
        self.git.common_dir().join("blueprint")
    }

    /// Where a run's transcripts of what was said to models are kept.
    pub fn transcripts(&self, run: &str) -> PathBuf {
        self.journal_folder().join("transcripts").join(run)
    }

    /// A path as the repository names it: relative to its root, with `/`.
    pub fn relative(&self, path: &Path) -> Result<String> {
        let absolute = path.canonicalize().map_err(|error| unreadable(path, &error))?;
        let inside = absolute.strip_prefix(self.git.root()).map_err(|_| {
            Error::usage(format!("{} is outside the repository {}", path.display(), self.git.root().display()))
                .hint("a document must lie in the repository that it changes")
        })?;
        inside.to_str().map(str::to_owned).ok_or_else(|| Error::usage(format!("{} is not UTF-8", path.display())))
    }

    /// Reads a document as git would store it: one that only its line ends, its encoding or a filter make another on
    /// disk is the same. One outside of the repository is read as it is.
    pub async fn document(&self, path: &Path) -> Result<Vec<u8>> {
        let bytes = read(path)?;
        match self.relative(path) {
            Ok(relative) => Ok(self.git.stored(&relative).await?),
            Err(_) => Ok(bytes),
        }
    }

    /// Writes a document as git would write it into the checkout.
    pub async fn write_document(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        match self.relative(path) {
            Ok(relative) => write(path, &self.git.written(&relative, bytes).await?),
            Err(_) => write(path, bytes),
        }
    }

    /// The environment that the programs of a run begin with.
    pub fn inherited(&self) -> Environment {
        self.config.environment.of(&self.variables)
    }

    /// Knows the secrets that may be in what a run's programs print: keys to models, and what is passed on
    /// and called a secret.
    pub fn redactor(&self) -> Redactor {
        let configured = self.config.models.iter().flat_map(Models::key_variables);
        let usual = Provider::ALL.into_iter().map(|provider| provider.key_variable().to_owned());
        let keys = configured.chain(usual).filter_map(|name| self.variables.get(&name).cloned());
        let all = keys.chain(self.config.environment.secrets(&self.variables));
        Redactor::new(&all.map(Secret::new).collect::<Vec<_>>())
    }

    /// Where all that failing commands and tests of a run printed is kept.
    pub fn logs(&self, run: &str) -> PathBuf {
        self.journal_folder().join("logs").join(run)
    }

    /// Where leases live: outside every repository, because tools walk upwards for their configuration.
    pub fn state_root(&self) -> PathBuf {
        let set = |name: &str| self.variables.get(name).filter(|v| v.starts_with('/')).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        cache.unwrap_or_else(std::env::temp_dir).join("blueprint")
    }
}

/// Our own environment, as far as it is text.
pub fn variables() -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

/// Reads a document from disk.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    if path.is_dir() {
        return Err(Error::usage(format!("{} is a directory", path.display()))
            .hint(format!("name the documents in it: {}/*.md", path.display())));
    }
    std::fs::read(path).map_err(|error| unreadable(path, &error))
}

/// Writes a file whole or not at all: beside its place first, then moved there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| Error::machine(format!("{} can't be written: {error}", path.display()));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    if let Ok(known) = std::fs::metadata(path) {
        file.as_file().set_permissions(known.permissions()).map_err(failed)?;
    }
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// A log that is added to. What programs print may be in it, and is nobody else's to read.
pub fn open_log(path: &Path) -> Result<std::fs::File> {
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|error| {
        Error::usage(format!("the log {} can't be written: {error}", path.display()))
            .hint("name a file in a folder that you may write to")
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let error = Error::usage(format!("{} can't be read: {error}", path.display()));
    error.hint("write one with: blueprint new \"What is to change\"")
}
