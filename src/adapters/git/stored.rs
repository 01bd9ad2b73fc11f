//! A file of the checkout as git would store it, and back: line ends, encodings and filters are the git program's to
//! know, and a file that differs only by them is not another. Nothing is written into the repository.

use std::fs;
use std::path::{Path, PathBuf};

use super::GitError;
use super::program::Program;
use crate::adapters::process::{Command, Stop};

/// An index and objects that are thrown away.
struct Aside {
    dir: tempfile::TempDir,
    alternates: PathBuf,
    index: PathBuf,
    objects: PathBuf,
}

impl Aside {
    fn new(objects: &Path) -> std::io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("blueprint-git-").tempdir()?;
        let (index, own) = (dir.path().join("index"), dir.path().join("objects"));
        fs::create_dir(&own)?;
        Ok(Self { dir, alternates: objects.to_owned(), index, objects: own })
    }

    fn environment(&self) -> [(&'static str, &Path); 3] {
        [
            ("GIT_INDEX_FILE", &self.index),
            ("GIT_OBJECT_DIRECTORY", &self.objects),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", &self.alternates),
        ]
    }
}

/// With the time at which it was written: git reads what was changed in that second or later, where size and time
/// of the file could be those of an older content, and a copy that looks younger would hide an edit.
fn copy_index(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::copy(from, to)?;
    let written = fs::metadata(from)?.modified()?;
    fs::OpenOptions::new().write(true).open(to)?.set_modified(written)
}

impl Program {
    /// What git would store of a file of the checkout.
    pub(super) async fn stored(&self, path: &str) -> Result<Vec<u8>, GitError> {
        let aside = self.aside()?;
        let place =
            self.must(self.root(), &["rev-parse", "--path-format=absolute", "--git-path", "index"], &[]).await?;
        let place = PathBuf::from(place.text().trim_end_matches('\n'));
        if place.exists() {
            // By what stands in it git decides about line ends.
            copy_index(&place, &aside.index)
                .map_err(|source| GitError::Io { what: place.display().to_string(), source })?;
        }
        let args = ["-c", "core.splitIndex=false", "--literal-pathspecs", "add", "--force", "--sparse", "--", path];
        self.must(self.root(), &args, &aside.environment()).await?;
        self.read(&["cat-file", "blob", &format!(":{path}")], &aside).await
    }

    /// What git would write into the checkout for this content.
    pub(super) async fn written(&self, path: &str, bytes: &[u8]) -> Result<Vec<u8>, GitError> {
        let aside = self.aside()?;
        let args = ["hash-object", "-w", "--stdin", "--no-filters"];
        let command =
            || Command { stdin: Some(bytes.to_vec()), ..self.command(self.root(), &args, &aside.environment()) };
        let id = self.again(command, &args).await?.text().trim_end().to_owned();
        self.read(&["cat-file", "--filters", &format!("--path={path}"), &id], &aside).await
    }

    fn aside(&self) -> Result<Aside, GitError> {
        let io = |source| GitError::Io { what: std::env::temp_dir().display().to_string(), source };
        Aside::new(&self.common().join("objects")).map_err(io)
    }

    async fn read(&self, args: &[&str], aside: &Aside) -> Result<Vec<u8>, GitError> {
        let command = Command { keep: usize::MAX, ..self.command(self.root(), args, &aside.environment()) };
        let done = self.run(command, &Stop::new()).await?;
        match done.exit.success() {
            true => Ok(done.stdout),
            false => Err(GitError::Failed {
                what: format!("git {} in {}", args.join(" "), aside.dir.path().display()),
                why: done.tail(6),
            }),
        }
    }
}
