//! Before anything is spent: where the winner would land, whether the plan can be carried out at
//! all, and which files nobody but the base may write.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::adapters::agent::AgentError;
use crate::adapters::git::{CommitId, Git, Head};
use crate::adapters::process::{self, ProcessError};
use crate::domain::change;
use crate::domain::lanes::Wanted;
use crate::domain::plan::{EvaluationTest, Mode, Plan};
use crate::engine::implement::contract;
use crate::engine::measure::lanes;
use crate::engine::ports::Ports;
use crate::engine::settings::Settings;
use crate::error::{Error, ExitCode};

/// Where variants start and where the winner lands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The branch.
    pub branch: String,
    /// Its tip now.
    pub base: CommitId,
}

/// What decides how tests and benchmarks are run, unless the plan names it as work.
const RUNNER: &[&str] = &[
    "blueprint.yaml",
    "**/{pytest,.pytest}.ini",
    "**/{pytest,.pytest}.toml",
    "tox.ini",
    "setup.cfg",
    "pyproject.toml",
    ".coveragerc",
    "{pytest,unittest,sitecustomize,usercustomize}.py",
    "{pytest,unittest}/**",
    "**/{jest,vitest,ava,cypress,playwright,karma,web-test-runner}.{config,conf}.*",
    "**/.{mocharc,taprc,nycrc,c8rc}*",
    ".config/nextest.toml",
    "{.cargo,**/.cargo}/config*",
    "rust-toolchain*",
    "**/phpunit.xml*",
    "**/.rspec",
    ".github/**",
    "Cargo.lock",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "uv.lock",
    "requirements*.txt",
    "go.sum",
];

/// Finds the branch that the winner lands on: the configured one, or the one checked out.
pub async fn target(git: &dyn Git, configured: Option<&str>) -> Result<Target, Error> {
    refs_can_be_made(git).await?;
    let head = git.head().await?;
    let branch = match (configured, head) {
        (Some(branch), _) => branch.to_owned(),
        (None, Head::Branch(branch)) => branch,
        (None, Head::Unborn(_)) => {
            return Err(Error::usage("this repository has no commits, so there is nothing to start from")
                .hint("commit what there is first: git add . && git commit"));
        }
        (None, Head::Detached(commit)) => {
            if let Some(why) = git.unfinished().await? {
                return Err(Error::refused(format!("there is no branch to land on: {why}")));
            }
            return Err(Error::usage(format!(
                "HEAD is detached at {}, so there is no branch to land on",
                commit.short()
            ))
            .hint("check out a branch, or name one in blueprint.yaml: `land: {branch: main}`"));
        }
    };
    let base = git.tip(&branch).await.map_err(|error| {
        Error::from(error).hint("create it, or name another in blueprint.yaml: `land: {branch: …}`")
    })?;
    Ok(Target { branch, base })
}

/// Refuses a repository in which variants can't have branches of ours.
pub async fn refs_can_be_made(git: &dyn Git) -> Result<(), Error> {
    let Some(why) = git.obstacle().await? else { return Ok(()) };
    Err(Error::refused(why).hint("rename it, such as: git branch -m blueprint blueprint-old"))
}

/// Refuses what could certainly not land: the winner comes with the document rewritten, and a
/// checkout in which it has uncommitted changes can't follow.
pub async fn document_is_committed(git: &dyn Git, target: &Target, document: &str) -> Result<(), Error> {
    let checked_out = git.head().await? == Head::Branch(target.branch.clone());
    if checked_out && git.is_dirty(document).await? {
        return Err(Error::refused(format!("{document} has uncommitted changes, and a winner that lands rewrites it"))
            .hint(format!("commit it first: git commit {document}")));
    }
    Ok(())
}

/// Refuses a checkout of the target that a winner could not land in: in the middle of a merge, a rebase
/// and the like. What is likely to pass until then is returned as a warning.
pub async fn checkout_is_ready(git: &dyn Git, target: &Target) -> Result<Option<String>, Error> {
    if let Some(why) = git.busy(&target.branch).await? {
        return Err(Error::refused(format!("nothing could land on `{}`: {why}", target.branch))
            .hint("or measure without landing: blueprint run --merge none"));
    }
    let lock = git.held_lock(&target.branch).await?;
    Ok(lock.map(|lock| {
        format!(
            "{} is there, and nothing can land on `{}` until it goes: another git is at work, or one that was killed \
             left it (then remove it)",
            lock.display(),
            target.branch
        )
    }))
}

/// `yyyymmdd-hhmmss-<4 hex>` of a moment in seconds since 1970.
pub fn run_id(at: i64, random: u64) -> String {
    let moment = jiff::Timestamp::from_second(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{}-{:04x}", moment.strftime("%Y%m%d-%H%M%S"), random & 0xffff)
}

/// What the base has, as far as it says who judges.
#[derive(Debug, Clone, Default)]
pub struct Based {
    /// Globs that are protected, whatever the plan says.
    pub guarded: Vec<String>,
    /// All of its files.
    pub paths: Vec<PathBuf>,
}

/// Globs of files that are as the base has them in every judged tree.
/// Nobody's word for what variants may change (`trust`) opens tests.
pub fn protected(plan: &Plan, base: &Based, trust: &[String], contestants_write_tests: bool) -> Vec<String> {
    let named: BTreeSet<&str> = plan.work_items.iter().flat_map(|i| &i.files).map(|f| f.as_str()).collect();
    let matches = |glob: &str, path: &str| contract::globs(&[glob.to_owned()]).is_match(path);
    let trusted = |glob: &String| trust.iter().any(|path| path == glob || matches(glob, path) || matches(path, glob));
    let runner = RUNNER.iter().filter(|glob| !named.iter().any(|file| matches(glob, file)));
    let mut globs: Vec<String> = base.guarded.iter().cloned().chain(runner.map(|glob| (*glob).to_owned())).collect();
    globs.retain(|glob| !trusted(glob));
    if !contestants_write_tests {
        globs.extend(change::TESTS.iter().map(|glob| (*glob).to_owned()));
        let commands = plan.tests.iter().filter_map(|test| match test {
            EvaluationTest::Command { argv, .. } => Some(argv.iter().skip(1)),
            EvaluationTest::Prose { .. } => None,
        });
        let words = commands.flatten().map(String::as_str);
        let selectors = plan.work_items.iter().flat_map(|item| &item.tests).map(|s| file_of(s));
        let paths = words.chain(selectors).filter(|word| word.contains('/') && !word.starts_with(['-', '/', '.']));
        let paths = paths.map(|path| path.trim_end_matches('/'));
        // Where tests lie among the code, they are known by their names; the rest is what variants work on.
        let worked_on = |path: &str| {
            let places = named.iter().map(|file| &file[..file.find(['*', '?', '[', '{']).unwrap_or(file.len())]);
            places.into_iter().any(|place| place.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
        };
        let tests = contract::globs(&change::TESTS.map(str::to_owned));
        let mixed = |path: &str| {
            let inside = base.paths.iter().filter(|found| found.starts_with(path) && *found != Path::new(path));
            let (judging, judged): (Vec<_>, Vec<_>) = inside.partition(|found| tests.is_match(found));
            !judging.is_empty() && judged.iter().any(|found| change::exclusion(&found.to_string_lossy()).is_none())
        };
        globs.extend(paths.filter(|path| !worked_on(path) && !mixed(path)).map(str::to_owned));
    }
    let mut seen = BTreeSet::new();
    globs.retain(|glob| seen.insert(glob.clone()));
    globs
}

/// The file part of a selector such as `tests/t.py::test_x`.
fn file_of(selector: &str) -> &str {
    selector.split("::").next().unwrap_or(selector)
}

/// Refuses what could only fail later: a mode that can't be run, missing programs or recorded
/// work, tests that nobody has written, lanes or a database that can't be had.
pub async fn preflight(plan: &Plan, target: &Target, ports: &Ports, settings: &Settings) -> Result<(), Error> {
    if plan.mode == Mode::Orchestrated {
        return Err(Error::refused("documents in mode `orchestrated` are read and checked, and can't be run")
            .hint("`competition` and `single` can be run"));
    }
    let selected = plan.work_items.iter().find_map(|item| Some((&item.title, item.tests.first()?)));
    if let Some((title, selector)) = selected.filter(|_| !ports.suites.iter().any(|s| s.takes_selectors())) {
        return Err(Error::usage(format!(
            "`{title}` names the test {selector}, and no test of the document can run it"
        ))
        .hint("name the command that runs such tests under Evaluation Criteria, such as `- pytest tests/`"));
    }
    if !settings.judge.contestants_write_tests {
        tests_exist(plan, target, &*ports.git).await?;
    }
    for variant in &plan.variants {
        let checked = ports.agent.check(ports.git.root(), variant, &*ports.exec).await;
        checked.map_err(|error| agent_error(variant.key.as_str(), error))?;
    }
    // Set-up may be what installs them.
    for suite in ports.suites.iter().filter(|_| settings.judge.setup.is_empty()) {
        if let Some(program) = suite.program().filter(|program| !process::installed(program)) {
            return Err(Error::usage(format!("the test `{}` needs `{program}`, which was not found", suite.name()))
                .hint(format!("install `{program}`, or say how to run the test, in blueprint.yaml: `suites`")));
        }
    }
    for source in ports.sources.iter().chain(&ports.tie_breaker) {
        source.ready(&*ports.exec, &settings.leases.env).await.map_err(|unready| {
            Error::usage(format!("`{}` can't be measured: {}", source.name(), unready.what)).hint(unready.hint)
        })?;
    }
    if matches!(settings.measure.lanes, Wanted::Exactly(_)) {
        // The baseline takes part.
        lanes::planned(&*ports.machine, &ports.sources, settings.measure.lanes, plan.variants.len() + 1).map_err(
            |refusal| {
                Error::refused(format!("variants can't be measured in parallel lanes: {refusal}")).hint(refusal.hint())
            },
        )?;
    }
    for service in &ports.services {
        service.reach().await?;
    }
    Ok(())
}

fn agent_error(variant: &str, error: AgentError) -> Error {
    let hint = match &error {
        AgentError::Process(ProcessError::Missing { program }) => {
            format!("install `{program}`, or name another agent in blueprint.yaml")
        }
        AgentError::Material { .. } => "record the work there, or correct `agent` in blueprint.yaml".to_owned(),
        AgentError::Process(_) | AgentError::Io { .. } | AgentError::Walls(_) => {
            "correct `agent` in blueprint.yaml".to_owned()
        }
    };
    Error::new(ExitCode::Usage, format!("variant {variant} can't be implemented: {error}")).hint(hint)
}

/// Who writes the exam can't sit it: tests that work items name must be there already.
async fn tests_exist(plan: &Plan, target: &Target, git: &dyn Git) -> Result<(), Error> {
    let paths = git.paths_at(&target.base).await?;
    // A folder is there where something is in it.
    let exists = |file: &str| paths.iter().any(|path| path.starts_with(file));
    for item in &plan.work_items {
        for selector in &item.tests {
            let file = file_of(selector);
            let is_path = file.contains('/') && !file.contains(char::is_whitespace);
            if is_path && !exists(file) {
                return Err(Error::usage(format!(
                    "`{}` names the test {selector}, but {file} is not on `{}`",
                    item.title, target.branch
                ))
                .hint("write and commit the test first: who is judged by it must not write it")
                .hint("or let contestants write tests, in blueprint.yaml: `tests: {by_contestants: true}`"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_its_moment_and_four_digits() {
        assert_eq!(run_id(1_762_092_000, 0xdead_beef), "20251102-140000-beef");
    }
}
