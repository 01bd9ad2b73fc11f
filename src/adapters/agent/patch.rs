//! Recorded work: a diff for each variant, from a file of the repository or from a branch.
//!
//! The git program applies it as a plain patch. It reads no configuration but ours, touches no
//! index, and refuses paths outside the worktree and in its git directory.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use super::{Agent, AgentEnd, AgentError, AgentReport, Halt, Task};
use crate::adapters::process::{Command, Environment, Exchange, Executor, Finished, ProcessError, Stop};
use crate::domain::plan::{FilePattern, Variant, VariantKey};
use crate::domain::trial::Usage;

/// How long one call of git may take where the task sets no limit.
const LIMIT: Duration = Duration::from_secs(120);

/// Keys, in lower case, that decide what a file on disk looks like.
const CONTENT: &[&str] = &["core.autocrlf", "core.eol", "core.symlinks", "core.filemode", "core.ignorecase"];

/// Where the recorded work is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `{patch: recorded}` or `{patch: {A: …, B: …}}`.
    pub source: Source,
}

/// Where each variant's work is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A directory of the repository with one `<key>.patch` or `<key>.diff` a variant; the key
    /// is matched without case, and its slug will do.
    Directory(String),
    /// Named one by one.
    Each(BTreeMap<VariantKey, Material>),
}

/// One variant's recorded work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// A diff, by its path in the repository.
    File(String),
    /// A local branch: what it changed since it left the variant's base.
    Branch(String),
}

impl Settings {
    /// The file of a variant's recorded work, relative to the repository; none where it is a branch or can't be told.
    pub fn file(&self, repository: &Path, variant: &Variant) -> Option<String> {
        match (Patch { settings: self.clone() }).material(repository, variant) {
            Ok(Material::File(path)) => Some(path),
            _ => None,
        }
    }
}

impl Source {
    /// A directory, or why it can't be one.
    pub fn directory(text: &str) -> Result<Self, String> {
        let trimmed = text.trim_end_matches('/');
        FilePattern::new(trimmed).map_err(|why| format!("`{text}`: {why}"))?;
        Ok(Self::Directory(trimmed.to_owned()))
    }
}

impl Material {
    /// Reads `branch:<name>` or a path.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix("branch:") {
            Some("") => Err(format!("`{text}` names no branch")),
            Some(branch) => Ok(Self::Branch(branch.to_owned())),
            None => match FilePattern::new(text) {
                Ok(_) => Ok(Self::File(text.to_owned())),
                Err(why) => Err(format!("`{text}`: {why}")),
            },
        }
    }

    fn error(&self, why: impl Into<String>) -> AgentError {
        AgentError::Material { what: self.to_string(), why: why.into() }
    }
}

impl fmt::Display for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.pad(path),
            Self::Branch(name) => f.pad(&format!("branch {name}")),
        }
    }
}

/// The agent.
pub struct Patch {
    settings: Settings,
}

impl Patch {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    fn material(&self, repository: &Path, variant: &Variant) -> Result<Material, AgentError> {
        match &self.settings.source {
            Source::Directory(folder) => in_folder(repository, folder, &variant.key),
            Source::Each(each) => {
                let mut wanted = each.iter().filter(|(key, _)| key.slug() == variant.key.slug());
                let (one, other) = (wanted.next(), wanted.next());
                if let (Some((one, _)), Some((other, _))) = (one, other) {
                    return Err(AgentError::Material {
                        what: format!("recorded work for variant {}", variant.key),
                        why: format!("the configuration names it as {one} and as {other}; keep one of them"),
                    });
                }
                let named = || each.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                one.map(|(_, material)| material.clone()).ok_or_else(|| AgentError::Material {
                    what: format!("recorded work for variant {}", variant.key),
                    why: format!("the configuration names none (it does for: {})", named()),
                })
            }
        }
    }
}

/// The one file of the folder that is named after the variant.
fn in_folder(repository: &Path, folder: &str, key: &VariantKey) -> Result<Material, AgentError> {
    let missing = |why: String| AgentError::Material { what: format!("{folder}/{key}.patch"), why };
    let entries = std::fs::read_dir(repository.join(folder))
        .map_err(|error| missing(format!("the folder can't be read: {error}")))?;
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let stem = |name: &str| {
        let (stem, extension) = name.rsplit_once('.')?;
        let diff = ["patch", "diff"].iter().any(|known| extension.eq_ignore_ascii_case(known));
        diff.then(|| stem.to_owned())
    };
    let belongs =
        |name: &&String| stem(name).and_then(|stem| VariantKey::new(&stem)).is_some_and(|s| s.slug() == key.slug());
    let mut found = names.iter().filter(belongs);
    match (found.next(), found.next()) {
        (Some(name), None) => Ok(Material::File(format!("{folder}/{name}"))),
        (Some(one), Some(other)) => Err(missing(format!("both {one} and {other} are there; keep one of them"))),
        (None, _) => {
            let there: Vec<_> = names.iter().filter(|name| stem(name).is_some()).map(String::as_str).collect();
            let there = if there.is_empty() { "no patch at all".to_owned() } else { there.join(", ") };
            Err(missing(format!("there is no such file, nor {key}.diff (the folder holds {there})")))
        }
    }
}

#[async_trait]
impl Agent for Patch {
    fn describe(&self) -> String {
        match &self.settings.source {
            Source::Directory(folder) => format!("patch {folder}/"),
            Source::Each(each) => {
                let named: Vec<_> = each.iter().map(|(key, material)| format!("{key}: {material}")).collect();
                format!("patch {}", named.join(", "))
            }
        }
    }

    fn whole_variant(&self) -> bool {
        true
    }

    /// Finds material that is missing or is no patch. Whether it applies is seen when it is
    /// applied, which is the first thing that a run does: the user's checkout need not be its base.
    async fn check(&self, repository: &Path, variant: &Variant, exec: &dyn Executor) -> Result<(), AgentError> {
        let material = self.material(repository, variant)?;
        let git = Git { exec, stop: &Stop::new(), limit: None, path: std::env::var("PATH").unwrap_or_default() };
        let checked = match &material {
            Material::File(path) => match present(&material, repository, path) {
                Ok(file) => git.parses(&material, repository, &file).await,
                Err(error) => Err(error.into()),
            },
            Material::Branch(name) => git.commit(&material, repository, &format!("refs/heads/{name}")).await.map(drop),
        };
        match checked {
            Ok(()) => Ok(()),
            Err(Halt::Error(error)) => Err(error),
            Err(Halt::Ended(_)) => Err(material.error("git took too long to read it")),
        }
    }

    async fn implement(&self, task: Task<'_>, exec: &dyn Executor) -> Result<AgentReport, AgentError> {
        let material = self.material(task.repository, task.variant)?;
        let path = task.env.get("PATH").cloned().unwrap_or_default();
        let git = Git { exec, stop: task.stop, limit: task.time, path };
        let end = match git.carry_out(&material, &task).await {
            Ok(()) => AgentEnd::Finished,
            Err(Halt::Ended(end)) => end,
            Err(Halt::Error(error)) => return Err(error),
        };
        Ok(AgentReport { usage: Usage::default(), end, summary: format!("recorded work: {material}") })
    }
}

/// A diff's absolute path, if it is there.
fn present(material: &Material, repository: &Path, path: &str) -> Result<PathBuf, AgentError> {
    let file = repository.join(path);
    match file.metadata() {
        Ok(found) if found.is_file() => Ok(file),
        Ok(_) => Err(material.error("not a regular file")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(material.error("there is no such file")),
        Err(error) => Err(material.error(error.to_string())),
    }
}

/// Another commit of a submodule is no change of files: git would apply it as nothing.
fn refuse_submodules(material: &Material, file: &Path) -> Result<(), AgentError> {
    let bytes = std::fs::read(file).map_err(|error| material.error(error.to_string()))?;
    // No line of a hunk begins so.
    let moves = |line: &[u8]| {
        let line = line.trim_ascii_end();
        let index = line.starts_with(b"index ") && line.ends_with(b" 160000");
        index || line == b"new file mode 160000" || line == b"new mode 160000"
    };
    match bytes.split(|byte| *byte == b'\n').any(moves) {
        true => Err(material
            .error("it moves a submodule, and what is judged has none, so another commit of it can't be tested")),
        false => Ok(()),
    }
}

/// The git program on a configuration that nobody wrote.
struct Git<'a> {
    exec: &'a dyn Executor,
    stop: &'a Stop,
    limit: Option<Duration>,
    path: String,
}

impl Git<'_> {
    async fn carry_out(&self, material: &Material, task: &Task<'_>) -> Result<(), Halt> {
        match material {
            Material::File(path) => {
                let file = present(material, task.repository, path)?;
                self.apply(material, task, &[], &file).await
            }
            Material::Branch(name) => {
                let io = |source| AgentError::Io { what: task.scratch.display().to_string(), source };
                let file = Exchange::new(task.scratch, "branch.patch").map_err(io)?;
                self.difference(material, task, name, &file).await?;
                self.apply(material, task, &[], file.path()).await
            }
        }
    }

    /// All of the patch or, where a part does not fit, none of it.
    async fn apply(&self, material: &Material, task: &Task<'_>, options: &[&str], file: &Path) -> Result<(), Halt> {
        let io = |source| AgentError::Io { what: task.scratch.display().to_string(), source };
        refuse_submodules(material, file)?;
        let private = tempfile::Builder::new().prefix("git-").tempdir_in(task.scratch).map_err(io)?;
        let own = private.path().display().to_string();
        self.run(material, task.scratch, &[], &["init", "--quiet", "--bare", "--template=", &own]).await?;
        let (place, shown) = (task.worktree.display().to_string(), file.display().to_string());
        let vars = [("GIT_DIR", own.as_str()), ("GIT_WORK_TREE", place.as_str())];
        let settings = self.of_content(material, task.repository).await?;
        let set = settings.iter().flat_map(|setting| ["-c", setting]);
        let how = ["apply", "--whitespace=nowarn"].into_iter().chain(options.iter().copied());
        let args: Vec<&str> = set.chain(how).chain(["--", &shown]).collect();
        self.run(material, task.worktree, &vars, &args).await?;
        Ok(())
    }

    /// The settings of the user's git that make a file on disk another than the one that is stored, such as its line
    /// ends: a recorded diff is one of what is stored.
    async fn of_content(&self, material: &Material, repository: &Path) -> Result<Vec<String>, Halt> {
        let own = |name: &str| std::env::var(name).unwrap_or_default();
        let (home, folder) = (own("HOME"), own("XDG_CONFIG_HOME"));
        // The user's own files count here, and so they are not hidden.
        let vars = [
            ("GIT_CONFIG_NOSYSTEM", ""),
            ("GIT_CONFIG_GLOBAL", ""),
            ("HOME", home.as_str()),
            ("XDG_CONFIG_HOME", folder.as_str()),
        ];
        let listed = self.run(material, repository, &vars, &["config", "--list", "--null"]).await?.text();
        let entries = listed.split('\0').filter_map(|entry| entry.split_once('\n'));
        let decides = |key: &str| CONTENT.contains(&key) || key.starts_with("filter.");
        Ok(entries.filter(|(key, _)| decides(key)).map(|(key, value)| format!("{key}={value}")).collect())
    }

    /// The paths that a patch changes, as git reads it; of one that is moved, only where it goes.
    async fn touched(&self, material: &Material, tree: &Path, file: &Path) -> Result<Vec<String>, Halt> {
        let shown = file.display().to_string();
        let vars = [("GIT_DIR", "/dev/null")];
        let read = self.run(material, tree, &vars, &["apply", "--numstat", "-z", RECOUNT, "--", &shown]).await?;
        let text = read.text();
        Ok(text.split('\0').filter_map(|line| line.splitn(3, '\t').nth(2)).map(str::to_owned).collect())
    }

    /// Whether git can read the patch at all, whatever tree it is for.
    async fn parses(&self, material: &Material, repository: &Path, file: &Path) -> Result<(), Halt> {
        refuse_submodules(material, file)?;
        let shown = file.display().to_string();
        let vars = [("GIT_DIR", "/dev/null")];
        self.run(material, repository, &vars, &["apply", "--numstat", "--", &shown]).await?;
        Ok(())
    }

    /// What a branch changed since it left the base of the variant, as a patch in `file`.
    async fn difference(
        &self,
        material: &Material,
        task: &Task<'_>,
        branch: &str,
        file: &Exchange,
    ) -> Result<(), Halt> {
        let branch = self.commit(material, task.repository, &format!("refs/heads/{branch}")).await?;
        let base = self.commit(material, task.worktree, "HEAD").await?;
        let found = self.run(material, task.repository, &[], &["merge-base", &base, &branch]).await;
        let origin = found.map_err(|halt| match halt {
            Halt::Error(AgentError::Material { .. }) => material.error("has no history in common with the base").into(),
            other => other,
        })?;
        let (origin, output) = (origin.text(), format!("--output={}", file.shown()));
        let diff = ["diff-tree", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv"];
        let args: Vec<&str> = diff.into_iter().chain([&*output, origin.trim(), &branch]).collect();
        self.run(material, task.repository, &[], &args).await?;
        match file.path().metadata() {
            Ok(found) if found.len() > 0 => Ok(()),
            _ => Err(material.error("changes nothing since it left the base").into()),
        }
    }

    async fn commit(&self, material: &Material, dir: &Path, name: &str) -> Result<String, Halt> {
        let wanted = format!("{name}^{{commit}}");
        let found = self.run(material, dir, &[], &["rev-parse", "--verify", "--quiet", &wanted]).await;
        match found {
            Ok(finished) => Ok(finished.text().trim().to_owned()),
            Err(Halt::Error(AgentError::Material { .. })) => Err(material.error(format!("there is no {name}")).into()),
            Err(other) => Err(other),
        }
    }

    /// One call; anything but status 0 is the material's fault, in git's words.
    async fn run(
        &self,
        material: &Material,
        dir: &Path,
        vars: &[(&str, &str)],
        args: &[&str],
    ) -> Result<Finished, Halt> {
        let fixed = [
            ("PATH", self.path.as_str()),
            ("LC_ALL", "C"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
        ];
        let mut env: Environment =
            fixed.iter().chain(vars).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        env.retain(|_, value| !value.is_empty());
        // Whoever owns the repository was trusted when it was opened.
        let harmless = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "safe.directory=*"];
        let command = Command::new("git", harmless.iter().chain(args).copied(), dir)
            .env(&env)
            .limit(self.limit.unwrap_or(LIMIT).min(LIMIT));
        let finished =
            self.exec.run(command, self.stop).await.map_err(|error: ProcessError| Halt::Error(error.into()))?;
        match AgentEnd::interrupted(finished.exit) {
            Some(end) => Err(Halt::Ended(end)),
            None if finished.exit.success() => Ok(finished),
            None => Err(material.error(words(&finished)).into()),
        }
    }
}

/// The line counts in the heads of hunks are what they are found to be: people and models miscount.
const RECOUNT: &str = "--recount";

/// What came of a patch that somebody wrote in the course of a step.
pub(super) enum Applied {
    /// It was applied, and changed these paths.
    Changed(Vec<String>),
    /// It was not, for a reason that its writer can do something about.
    Refused(String),
}

/// Applies a patch to a task's worktree, all of it or none, where every path of it is allowed.
pub(super) async fn apply_written(
    task: &Task<'_>,
    exec: &dyn Executor,
    limit: Duration,
    text: &str,
    allowed: &(dyn Fn(&str) -> Result<(), String> + Send + Sync),
) -> Result<Applied, Halt> {
    let io = |source| AgentError::Io { what: task.scratch.display().to_string(), source };
    let file = Exchange::empty(task.scratch, "written.patch").map_err(io)?;
    std::fs::write(file.path(), parted(text)).map_err(io)?;
    let material = Material::File("patch".to_owned());
    let path = task.env.get("PATH").cloned().unwrap_or_default();
    let git = Git { exec, stop: task.stop, limit: Some(limit), path };
    let carried_out = async {
        let paths = git.touched(&material, task.worktree, file.path()).await?;
        for path in &paths {
            allowed(path).map_err(|why| material.error(why))?;
        }
        git.apply(&material, task, &[RECOUNT], file.path()).await?;
        Ok(paths)
    };
    match carried_out.await {
        Ok(paths) => Ok(Applied::Changed(paths)),
        Err(Halt::Error(AgentError::Material { why, .. })) => {
            Ok(Applied::Refused(why.replace(&file.shown(), "the patch")))
        }
        Err(halt) => Err(halt),
    }
}

/// The patch with its last line whole and each file's head told from the hunk before it: where git
/// counts a hunk's lines itself, it takes a head without a `diff` line for lines of that hunk.
fn parted(text: &str) -> String {
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
    let starts = |at: usize, with: &str| lines.get(at).is_some_and(|line| line.starts_with(with));
    let mut out = String::with_capacity(text.len() + 1);
    for (at, line) in lines.iter().enumerate() {
        let head = starts(at, "--- ") && starts(at + 1, "+++ ") && starts(at + 2, "@@ ");
        let in_hunk = at > 0 && matches!(lines[at - 1].bytes().next(), None | Some(b' ' | b'+' | b'-' | b'\\' | b'\r'));
        out.push_str(if head && in_hunk { "diff -u\n" } else { "" });
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// What git said, on one line.
fn words(finished: &Finished) -> String {
    let text = String::from_utf8_lossy(&finished.stderr);
    let lines: Vec<_> = text.lines().map(|l| l.trim_start_matches("error: ").trim_start_matches("fatal: ")).collect();
    // An option of git's is no way out for our reader.
    let said = lines.join("; ").replace(" (allow with \"--allow-empty\")", "");
    if said.is_empty() { format!("git {}", finished.exit.ending()) } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("recorded")).unwrap();
        for name in names {
            std::fs::write(dir.path().join("recorded").join(name), "x").unwrap();
        }
        dir
    }

    fn found(names: &[&str], key: &str) -> String {
        let dir = folder(names);
        match in_folder(dir.path(), "recorded", &VariantKey::new(key).unwrap()) {
            Ok(material) => material.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_variants_file_is_found_without_case_and_by_its_slug() {
        let cases =
            [("A", "a.patch"), ("a", "A.diff"), ("Two_words", "two-words.PATCH"), ("two-words", "TWO_WORDS.diff")];
        for (key, name) in cases {
            assert_eq!(found(&[name, "README.md", "b.patch"], key), format!("recorded/{name}"));
        }
    }

    #[test]
    fn what_is_missing_or_doubtful_is_said_with_what_is_there() {
        insta::assert_snapshot!(
            [found(&["A.patch", "x.txt"], "B"), found(&[], "B"), found(&["A.patch", "a.diff"], "A")].join("\n"),
            @r"
        recorded/B.patch: there is no such file, nor B.diff (the folder holds A.patch)
        recorded/B.patch: there is no such file, nor B.diff (the folder holds no patch at all)
        recorded/A.patch: both A.patch and a.diff are there; keep one of them
        "
        );
    }

    #[test]
    fn the_heads_of_files_are_told_from_the_hunks_before_them() {
        let plain = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\r\n+b\n";
        assert_eq!(parted(&format!("{plain}{plain}")), format!("{plain}diff -u\n{plain}"));
        let gits = format!("diff --git a/x b/x\nindex 1..2 100644\n{plain}");
        assert_eq!(parted(&format!("{gits}{gits}")), format!("{gits}{gits}"));
        assert_eq!(parted("--- a/x"), "--- a/x\n");
    }

    #[test]
    fn material_is_a_path_inside_the_repository_or_a_branch() {
        assert_eq!(Material::parse("branch:feature/x"), Ok(Material::Branch("feature/x".to_owned())));
        assert_eq!(Material::parse("kept/a.patch"), Ok(Material::File("kept/a.patch".to_owned())));
        for refused in ["branch:", "", "/etc/a.patch", "../a.patch", ".git/a.patch"] {
            Material::parse(refused).unwrap_err();
        }
        assert_eq!(Source::directory("recorded/"), Ok(Source::Directory("recorded".to_owned())));
        Source::directory("../recorded").unwrap_err();
    }
}
