//! What the git program does better: worktrees, and checkouts with filters.
//!
//! It never runs on configuration that an agent can write: harvesting and checking out use a
//! private git directory whose configuration was copied, key by key, before any agent ran.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::OnceCell;

use super::settings::{LFS_STORAGE, Settings};
use super::survey::{self, Survey};
use super::{CommitId, GitError, HarvestOrder};
use crate::adapters::process::{self, Command, Environment, Executor, Finished, Left, Stop};

/// How long one call of git may take.
const GIT_LIMIT: Duration = Duration::from_secs(600);
/// How often a held lock is tried again.
const LOCK_TRIES: u32 = 40;

/// Words of a git that could not write.
const WRITING: &[&str] =
    &["unable to write", "failed to write", "write error", "no space left", "unable to create temporary"];

/// The git program in one repository.
#[derive(Clone)]
pub struct Program {
    root: PathBuf,
    common: PathBuf,
    exec: Arc<dyn Executor>,
    settings: Arc<Settings>,
    private: Arc<OnceCell<Private>>,
}

/// A git directory of ours. Whoever finds it without its lock held finds what a killed process left.
struct Private {
    dir: tempfile::TempDir,
    _lock: fs::File,
}

/// An index of ours with what git is told to work on a directory by it: no configuration of the
/// repository, the user or the system, and objects where the repository has them.
pub(super) struct Desk {
    git_dir: PathBuf,
    pub(super) file: PathBuf,
    objects: PathBuf,
    index: tempfile::TempDir,
}

impl Desk {
    pub(super) fn environment<'a>(&'a self, worktree: &'a Path) -> [(&'static str, &'a Path); 6] {
        [
            ("GIT_DIR", &self.git_dir),
            ("GIT_WORK_TREE", worktree),
            ("GIT_INDEX_FILE", &self.file),
            ("GIT_OBJECT_DIRECTORY", &self.objects),
            ("GIT_CONFIG_NOSYSTEM", Path::new("1")),
            ("GIT_CONFIG_GLOBAL", Path::new("/dev/null")),
        ]
    }
}

/// What a worktree has.
struct Read {
    /// Untracked files.
    listed: Vec<Vec<u8>>,
    /// What git could not read, in its words.
    closed: Vec<String>,
}

/// The file in a private directory that its user holds locked.
const IN_USE: &str = "in-use";

impl Program {
    pub fn new(root: PathBuf, common: PathBuf, exec: Arc<dyn Executor>) -> Self {
        Self { root, common, exec, settings: Arc::default(), private: Arc::default() }
    }

    /// With configuration and hooks as they are now, which is all that is ever obeyed of them.
    pub(super) async fn settled_on(self) -> Result<Self, GitError> {
        let settings = Arc::new(self.read_settings().await?);
        Ok(Self { settings, ..self })
    }

    /// With these instead.
    pub(super) fn obeying(self, settings: Arc<Settings>) -> Self {
        Self { settings, private: Arc::default(), ..self }
    }

    /// Configuration and hooks as they were when the repository was opened, or when the run began that is gone on with.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    /// The user's checkout.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The git directory that all worktrees share.
    pub(super) fn common(&self) -> &Path {
        &self.common
    }

    pub(super) async fn run(&self, command: Command, stop: &Stop) -> Result<Finished, GitError> {
        Ok(self.exec.run(command, stop).await?)
    }

    /// Git as the user's own: with hooks, and nothing set but what `env` has beside our own few variables.
    pub(super) fn plain(&self, dir: &Path, args: &[&str], env: Environment) -> Command {
        let mut all = self.command(dir, &[], &[]).env;
        all.extend(env);
        Command::new("git", args.iter().copied(), dir).env(&all).limit(GIT_LIMIT)
    }

    pub(super) fn command(&self, dir: &Path, args: &[&str], extra: &[(&str, &Path)]) -> Command {
        let mut env: Environment = [
            ("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned()),
            ("GIT_OPTIONAL_LOCKS".to_owned(), "0".to_owned()),
            // After a second git tells how far it is, and a pipe that nobody reads any more ends it.
            ("GIT_PROGRESS_DELAY".to_owned(), "86400".to_owned()),
            ("LC_ALL".to_owned(), "C".to_owned()),
        ]
        .into();
        for name in ["PATH", "HOME", "XDG_CONFIG_HOME"] {
            if let Ok(value) = std::env::var(name) {
                env.insert(name.to_owned(), value);
            }
        }
        for (name, path) in extra {
            env.insert((*name).to_owned(), path.display().to_string());
        }
        // Hooks and monitors are programs; none of them has a part in this.
        let fixed = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0"];
        let all = fixed.iter().copied().chain(args.iter().copied());
        // Killed in the middle, it would leave its lock in everybody's way: what moves refs is brought to its end, whatever
        // becomes of us.
        let outlives = args.contains(&"update-ref");
        Command { outlives, ..Command::new("git", all, dir).env(&env).limit(GIT_LIMIT) }
    }

    pub(super) async fn must(&self, dir: &Path, args: &[&str], extra: &[(&str, &Path)]) -> Result<Finished, GitError> {
        self.again(|| self.command(dir, args, extra), args).await
    }

    /// What a command lists, each entry ended by a zero byte: whole, however long it is, and as bytes.
    pub(super) async fn list(
        &self,
        dir: &Path,
        args: &[&str],
        extra: &[(&str, &Path)],
    ) -> Result<Vec<Vec<u8>>, GitError> {
        let command = || Command { keep: usize::MAX, ..self.command(dir, args, extra) };
        Ok(zero_parted(&self.again(command, args).await?.stdout))
    }

    /// Runs a command that reads paths, each ended by a zero byte.
    pub(super) async fn feed(
        &self,
        dir: &Path,
        args: &[&str],
        extra: &[(&str, &Path)],
        paths: &[Vec<u8>],
    ) -> Result<Finished, GitError> {
        let list = zero_ended(paths);
        self.again(|| Command { stdin: Some(list.clone()), ..self.command(dir, args, extra) }, args).await
    }

    /// The filters that change files of a worktree on their way into the repository, by path.
    pub(super) async fn filters(
        &self,
        worktree: &Path,
        desk: &Desk,
        paths: &[Vec<u8>],
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, GitError> {
        let args = ["check-attr", "-z", "--stdin", "filter"];
        let listed = self.feed(worktree, &args, &desk.environment(worktree), paths).await?;
        let fields: Vec<_> = listed.stdout.split(|byte| *byte == 0).collect();
        let set = fields.chunks_exact(3).filter(|entry| ![&b"unspecified"[..], b"unset"].contains(&entry[2]));
        Ok(set.map(|entry| (entry[0].to_vec(), entry[2].to_vec())).collect())
    }

    /// A call that failed. Git does not always say that it could not write for want of room, so it is looked at.
    fn failure(&self, dir: &Path, args: &[&str], why: String) -> GitError {
        let wrote = |word: &&str| why.to_ascii_lowercase().contains(*word);
        let places = args.iter().map(Path::new).filter(|path| path.is_absolute());
        let mut places = places.chain([dir, self.common.as_path()]);
        let full =
            WRITING.iter().any(wrote).then(|| places.find_map(|place| process::full(place, Left::Little))).flatten();
        let what = format!("git {}", args.first().copied().unwrap_or_default());
        match full {
            Some(full) => GitError::Failed { what, why: full },
            None => GitError::Failed { what: format!("git {}", args.join(" ")), why },
        }
    }

    /// Runs a command until no lock is in its way any more; it must succeed.
    pub(super) async fn again(&self, command: impl Fn() -> Command, args: &[&str]) -> Result<Finished, GitError> {
        let mut tries = 0;
        loop {
            let command = command();
            let dir = command.dir.clone();
            let done = self.exec.run(command, &Stop::new()).await?;
            if done.exit.success() {
                return Ok(done);
            }
            let why = done.tail(6);
            tries += 1;
            // A lock that somebody holds is waited for, and never deleted.
            if !why.contains(".lock") || tries >= LOCK_TRIES {
                return Err(self.failure(&dir, args, why));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A bare git directory of ours whose objects are the repository's.
    pub(super) async fn private(&self) -> Result<&Path, GitError> {
        let made = self.private.get_or_try_init(|| async {
            let dir = self.common.join("blueprint/git");
            fs::create_dir_all(&dir).map_err(|source| GitError::Io { what: dir.display().to_string(), source })?;
            let making = self.worktree_lock().await?;
            let made = tempfile::TempDir::new_in(&dir);
            let made = made.map_err(|source| GitError::Io { what: dir.display().to_string(), source })?;
            let path = made.path().to_owned();
            let lock = fs::File::create(path.join(IN_USE)).and_then(|file| file.lock().map(|()| file));
            let lock = lock.map_err(|source| GitError::Io { what: path.display().to_string(), source })?;
            drop(making);
            let shown = path.display().to_string();
            self.must(&self.root, &["init", "--quiet", "--bare", "--template=", &shown], &[]).await?;
            for (key, value) in self.settings.of_content().chain(self.settings.of_lfs()) {
                self.must(&path, &["config", "--add", key, value], &[("GIT_DIR", &path)]).await?;
            }
            if let Some(storage) = self.lfs_storage() {
                let shown = storage.display().to_string();
                self.must(&path, &["config", "--replace-all", LFS_STORAGE, &shown], &[("GIT_DIR", &path)]).await?;
            }
            self.furnish(&path).await?;
            Ok::<_, GitError>(Private { dir: made, _lock: lock })
        });
        Ok(made.await?.dir.path())
    }

    /// Files of the user's own and of the repository's that no commit has: what is ignored, and attributes. The user's
    /// come first.
    pub(super) async fn furnish(&self, private: &Path) -> Result<(), GitError> {
        let place = private.join("info");
        let (user, own) = &self.settings.excludes;
        let write = || {
            fs::create_dir_all(&place)?;
            fs::write(place.join("exclude"), [user.as_slice(), b"\n", own].concat())?;
            fs::write(place.join("attributes"), &self.settings.attributes.1)?;
            fs::write(place.join("user-attributes"), &self.settings.attributes.0)
        };
        write().map_err(|source| GitError::Io { what: place.display().to_string(), source })?;
        let user = place.join("user-attributes").display().to_string();
        self.must(private, &["config", "core.attributesFile", &user], &[("GIT_DIR", private)]).await.map(drop)
    }

    /// Worktrees and private directories are made and removed one at a time, across processes.
    pub(super) async fn worktree_lock(&self) -> Result<fs::File, GitError> {
        self.lock("worktrees").await
    }

    /// Branches that are checked out are moved one at a time, across processes: the files of one that is
    /// halfway there look like somebody's uncommitted work to the next.
    pub(super) async fn landing_lock(&self) -> Result<fs::File, GitError> {
        self.lock("landing").await
    }

    async fn lock(&self, what: &str) -> Result<fs::File, GitError> {
        let path = self.common.join("blueprint");
        let io = |source| GitError::Io { what: format!("the lock for {what}"), source };
        fs::create_dir_all(&path).map_err(io)?;
        let file = fs::File::create(path.join(format!("{what}.lock"))).map_err(io)?;
        let joined = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        joined.map_err(|error| io(std::io::Error::other(error)))?.map_err(io)
    }

    /// The git directories that the repository has for worktrees at this path.
    pub(super) fn entries_of(&self, path: &Path) -> Vec<PathBuf> {
        let wanted = path.join(".git");
        let listed = fs::read_dir(self.common.join("worktrees")).into_iter().flatten().flatten();
        let points = |entry: &PathBuf| fs::read_to_string(entry.join("gitdir")).unwrap_or_default();
        listed.map(|entry| entry.path()).filter(|entry| Path::new(points(entry).trim_end()) == wanted).collect()
    }

    /// A kill during creation leaves an entry locked as `initializing` that prune never takes; so
    /// the entry that points at this path is found and removed by hand.
    pub(super) async fn remove_locked(&self, path: &Path) -> Result<(), GitError> {
        for entry in self.entries_of(path) {
            let io = |source| GitError::Io { what: entry.display().to_string(), source };
            fs::remove_dir_all(&entry).map_err(io)?;
        }
        remove(path)
    }

    /// What stands in a worktree that is about to be handed to its agent.
    pub async fn survey(&self, worktree: &Path, start: &CommitId, carried: &[String]) -> Result<Survey, GitError> {
        let before = Survey { carried: carried.to_vec(), ..Survey::untouched(start) };
        let desk = self.desk(worktree).await?;
        let Read { listed, closed } = self.read_worktree(&desk, worktree, &before).await?;
        let mut untracked = BTreeMap::new();
        for path in listed {
            if let Some(content) = survey::content(worktree, &path)? {
                untracked.insert(path, content);
            }
        }
        let (absent, filled) = (self.left_out(worktree).await?, self.filled(worktree, &desk).await?);
        Ok(Survey { tree: self.write_tree(&desk, worktree).await?, untracked, absent, filled, closed, ..before })
    }

    /// The content of a worktree as a tree object, without untracked files that are as the survey saw them,
    /// and the index that it was read into.
    pub(crate) async fn snapshot(&self, order: &HarvestOrder<'_>) -> Result<(String, Desk), GitError> {
        let desk = self.desk(order.worktree).await?;
        let grown = self.grown(order.worktree, &order.before.start).await?;
        self.refuse_weight(order.worktree, &desk, &grown).await?;
        let Read { listed, closed } = self.read_worktree(&desk, order.worktree, order.before).await?;
        // Git goes on without what it can't read: what is in it would be lost.
        if let Some(line) = closed.iter().find(|line| !order.before.closed.contains(line)) {
            return Err(GitError::Harvest(format!("a part of it can't be read: {line}")));
        }
        let new = order.before.changed(order.worktree, listed)?;
        self.refuse_unseen_links(order, &desk).await?;
        if let Some(nested) = new.iter().find(|path| path.ends_with(b"/")) {
            let nested = String::from_utf8_lossy(nested);
            let path = nested.trim_end_matches('/');
            return Err(GitError::Harvest(format!("`{path}` is a nested git repository, which can't be taken over")));
        }
        self.refuse_weight(order.worktree, &desk, &new).await?;
        if !new.is_empty() {
            let args = ["update-index", "--add", "--remove", "-z", "--stdin"];
            self.feed(order.worktree, &args, &desk.environment(order.worktree), &new).await?;
        }
        Ok((self.write_tree(&desk, order.worktree).await?, desk))
    }

    /// Reads the tracked files of a worktree into an index of ours, and lists the others, but for ignored ones.
    async fn read_worktree(&self, desk: &Desk, worktree: &Path, from: &Survey) -> Result<Read, GitError> {
        let extra = desk.environment(worktree);
        let excludes = desk.index.path().join("carried");
        let io = |source| GitError::Io { what: excludes.display().to_string(), source };
        fs::write(&excludes, survey::excludes(&from.carried)).map_err(io)?;
        self.must(worktree, &["read-tree", &from.start.0], &extra).await?;
        let added = self.must(worktree, &["add", "--update", "--", "."], &extra).await?;
        let setting = format!("core.excludesFile={}", excludes.display());
        let args = ["-c", &setting, "ls-files", "--others", "--exclude-standard", "-z"];
        let command = || Command { keep: usize::MAX, ..self.command(worktree, &args, &extra) };
        let others = self.again(command, &args).await?;
        let said = [added.stderr, others.stderr.clone()].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let closed = said.lines().filter(|line| line.contains("Permission denied"));
        let closed = closed.map(|line| line.trim_start_matches("warning: ").to_owned()).collect();
        Ok(Read { listed: zero_parted(&others.stdout), closed })
    }

    async fn write_tree(&self, desk: &Desk, worktree: &Path) -> Result<String, GitError> {
        let tree = self.must(worktree, &["write-tree"], &desk.environment(worktree)).await?;
        Ok(tree.text().trim().to_owned())
    }

    /// An empty index of ours.
    async fn desk(&self, worktree: &Path) -> Result<Desk, GitError> {
        let git_dir = self.private().await?;
        let io = |source| GitError::Io { what: worktree.display().to_string(), source };
        let index = tempfile::TempDir::new_in(git_dir).map_err(io)?;
        let file = index.path().join("index");
        Ok(Desk { git_dir: git_dir.to_owned(), file, objects: self.common.join("objects"), index })
    }

    /// Writes a tree into a directory through the repository's filters.
    pub async fn check_out(&self, tree: &str, into: &Path) -> Result<(), GitError> {
        let io = |source| GitError::Io { what: into.display().to_string(), source };
        fs::create_dir_all(into).map_err(io)?;
        let desk = self.desk(into).await?;
        let extra = desk.environment(into);
        self.must(into, &["read-tree", tree], &extra).await?;
        self.must(into, &["checkout-index", "--all", "--force"], &extra).await?;
        Ok(())
    }

    /// Locks on refs of a run that a killed process left. Whoever calls this holds the run.
    pub(super) fn unlock(&self, run: &str) {
        for refs in ["refs/blueprint", "refs/heads/blueprint"] {
            for entry in fs::read_dir(self.common.join(refs).join(run)).into_iter().flatten().flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "lock") {
                    drop(fs::remove_file(entry.path()));
                }
            }
        }
    }

    /// Removes private git directories that killed processes left, and none that is in use.
    pub async fn tidy(&self) -> Result<(), GitError> {
        let _making = self.worktree_lock().await?;
        for entry in fs::read_dir(self.common.join("blueprint/git")).into_iter().flatten().flatten() {
            let in_use = fs::File::open(entry.path().join(IN_USE)).is_ok_and(|file| file.try_lock().is_err());
            // A move that its program left behind is brought to its end through the directory.
            let begun = fs::metadata(entry.path().join("moving")).and_then(|found| found.modified()).ok();
            let moving = begun.and_then(|at| at.elapsed().ok()).is_some_and(|since| since < GIT_LIMIT);
            if !in_use && !moving {
                drop(fs::remove_dir_all(entry.path()));
            }
        }
        Ok(())
    }
}

/// Paths as git reads them with `-z`.
pub(super) fn zero_ended(paths: &[Vec<u8>]) -> Vec<u8> {
    paths.iter().flat_map(|path| path.iter().copied().chain([0])).collect()
}

/// Paths as git lists them with `-z`.
fn zero_parted(listed: &[u8]) -> Vec<Vec<u8>> {
    listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Removes a folder with all that is in it, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), GitError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(GitError::Io { what: path.display().to_string(), source })
        }
        _ => Ok(()),
    }
}
