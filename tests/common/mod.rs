//! What several test files need: repositories made of a few files, and the program under test.
#![allow(
    dead_code,
    unused_imports,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file uses a part of it, and helpers of tests end the test"
)]

pub mod arena;
pub mod got;
pub mod lease;
pub mod model;
pub mod outside;
pub mod postgres;
pub mod services;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Lets programs within walls write below `$HOME/told`, for tests to see.
pub const TELLS: &str = "sandbox: {write: [~/told]}\n";

/// A repository in a directory of its own, deaf to this machine's git configuration.
pub struct Repo {
    /// Removed with it.
    pub dir: tempfile::TempDir,
}

impl Repo {
    /// An empty repository on the branch `main`.
    pub fn unborn() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("repo")).unwrap();
        std::fs::create_dir_all(dir.path().join("home/told")).unwrap();
        let repo = Self { dir };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo.git(&["config", "user.name", "Test"]);
        repo.git(&["config", "user.email", "test@localhost"]);
        repo
    }

    /// A repository with one commit of these files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let repo = Self::unborn();
        for (path, text) in files {
            repo.write(path, text);
        }
        repo.commit("first");
        repo
    }

    /// The checkout.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    /// An empty home.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// What programs of a run left for tests to see: a file in a folder of the home that [`TELLS`] lets them write.
    pub fn told(&self, file: impl AsRef<Path>) -> PathBuf {
        self.home().join("told").join(file)
    }

    /// Writes a file of the checkout.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Reads a file of the checkout.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap()
    }

    /// Commits everything and returns the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git, which must succeed; its output without the last newline.
    pub fn git(&self, args: &[&str]) -> String {
        let done = self.command("git").args(args).output().unwrap();
        assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// A program in the checkout, with an empty home and nothing inherited but the `PATH`.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root()).env_clear().env("HOME", self.home());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("XDG_CACHE_HOME", self.dir.path().join("cache"));
        command
    }

    /// The program under test in the checkout.
    pub fn blueprint(&self, args: &[&str]) -> Done {
        Done::of(self.command(env!("CARGO_BIN_EXE_blueprint")).args(args).output().unwrap())
    }

    /// The same in the background, with what it prints kept.
    pub fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.command(env!("CARGO_BIN_EXE_blueprint"));
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Done {
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Done {
    /// From what the system says.
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The exit code must be this one.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Standard error must hold all of these.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "`{word}` is missing in:\n{}\nstdout:\n{}", self.err, self.out);
        }
        self
    }
}

/// A machine that lacks what a test needs does not run it, and says so.
pub fn lacks(what: &str) {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "not tested here, for want of {what}"));
}

/// So many seconds of a machine that is not busy, as seconds of this one now: for caps that have to end in the middle of something.
pub fn seconds_here(quiet: u64) -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let spent = || {
        let used = clock_gettime(ClockId::ThreadCPUTime);
        Duration::from_secs(used.tv_sec.unsigned_abs()) + Duration::from_nanos(used.tv_nsec.unsigned_abs())
    };
    let (began, before) = (Instant::now(), spent());
    while spent() - before < Duration::from_millis(200) {
        std::hint::black_box((0..10_000_u64).sum::<u64>());
    }
    let waits = began.elapsed().as_secs_f64() / (spent() - before).as_secs_f64();
    (quiet as f64 * waits.clamp(1.0, 10.0)) as u64
}

/// Every file below a directory with its bytes, for comparing before and after.
pub fn tree(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap_or_default();
                found.push((path, bytes));
            }
        }
    }
    found.sort();
    found
}
