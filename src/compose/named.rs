//! The files that a plan and its configuration name: what a run reads, whoever reads it.

use std::collections::BTreeSet;

use super::{agents, queries};
use crate::adapters::agent::AgentSettings;
use crate::adapters::git::Git;
use crate::adapters::process::Program;
use crate::config::{Config, Suite, Work};
use crate::domain::commands;
use crate::domain::detect::Found;
use crate::domain::plan::{EvaluationTest, FilePattern, Plan};
use crate::engine::before::target::Target;
use crate::error::Result;
use crate::project::{CONFIGURATION, Project};

/// Paths relative to the root: the document, the configuration, recorded work, and everything that a command, a
/// test or a metric names and that may be a file. Which of them are there is for others to see.
pub fn files(project: &Project, document: &str, plan: &Plan) -> Vec<String> {
    let config = &project.config;
    let mut named = BTreeSet::from([document.to_owned(), CONFIGURATION.to_owned()]);
    if let Some(Ok(AgentSettings::Patch(recorded))) = config.agent.as_ref().map(agents::settings) {
        named.extend(plan.variants.iter().filter_map(|variant| recorded.file(project.git_root(), variant)));
    }
    for test in &plan.tests {
        if let EvaluationTest::Command { text, .. } = test {
            named.extend(of_line(text));
        }
    }
    named.extend(plan.work_items.iter().flat_map(|item| &item.tests).flat_map(|selector| paths(selector)));
    named.extend(lines(config, plan).into_iter().flat_map(of_line));
    let loads = plan.metrics.iter().filter_map(|bound| queries::load(config.metrics.get(&bound.name)?));
    named.extend(loads.flat_map(|load| load.files()).flat_map(paths));
    named.extend(config.database.iter().flat_map(|database| &database.seed).flat_map(|file| paths(file)));
    // What is carried is meant to be ignored.
    let carried = |path: &String| config.carry.iter().any(|carry| inside(path, carry.trim_end_matches('/')));
    named.into_iter().filter(|path| !carried(path)).collect()
}

/// Kinds of source that measure a program from outside: what it says of itself has no weight.
const FROM_OUTSIDE: [&str; 4] = ["time", "instructions", "hyperfine", "http"];

/// Tests, and metrics whose values a command says, each with the files of the base that say what the command does.
pub async fn harness(config: &Config, plan: &Plan, git: &dyn Git, target: &Target) -> Result<Vec<(String, String)>> {
    let mut all: Vec<(String, &str)> = Vec::new();
    for test in &plan.tests {
        let run = match (config.suites.get(test.text()), test) {
            (Some(suite), _) => match &suite.work {
                Work::Run(run) => line(run),
                Work::Http(_) => None,
            },
            (None, EvaluationTest::Command { text, .. }) => Some(text.as_str()),
            (None, EvaluationTest::Prose { .. }) => None,
        };
        all.extend(run.map(|run| (test.text().to_owned(), run)));
    }
    for bound in &plan.metrics {
        let Some(metric) = config.metrics.get(&bound.name) else { continue };
        if FROM_OUTSIDE.contains(&metric.source.kind()) {
            continue;
        }
        all.extend(metric.source.programs().into_iter().filter_map(line).map(|run| (bound.name.to_string(), run)));
    }
    let mut found = Vec::new();
    for (what, run) in all {
        let recipes = commands::reads(run).into_iter().filter(|read| read.recipe).map(|read| read.path);
        for path in words(run).into_iter().chain(recipes).collect::<BTreeSet<_>>() {
            if git.file_at(&target.base, &path).await?.is_some() {
                found.push((what.clone(), path));
            }
        }
    }
    Ok(found)
}

/// Shell lines by which a plan's variants are set up, tested and measured.
pub(super) fn judging(config: &Config, plan: &Plan) -> Vec<String> {
    let tests = plan.tests.iter().filter_map(|test| match test {
        EvaluationTest::Command { text, .. } => Some(text.clone()),
        EvaluationTest::Prose { .. } => None,
    });
    tests.chain(lines(config, plan).into_iter().map(str::to_owned)).collect()
}

fn inside(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Shell lines of the configuration that the plan has a use for.
fn lines<'a>(config: &'a Config, plan: &Plan) -> Vec<&'a str> {
    let mut lines: Vec<&str> =
        config.setup.iter().chain(&config.build).chain(&config.migrate).map(String::as_str).collect();
    let suites = plan.tests.iter().filter_map(|test| config.suites.get(test.text()));
    let metrics = plan.metrics.iter().filter_map(|bound| config.metrics.get(&bound.name));
    let programs = config.http.serve.iter().chain(suites.filter_map(of_suite));
    lines.extend(programs.chain(metrics.flat_map(|metric| metric.source.programs())).filter_map(line));
    lines
}

fn of_suite(suite: &Suite) -> Option<&Program> {
    match &suite.work {
        Work::Run(run) => Some(run),
        Work::Http(http) => http.serve.as_ref(),
    }
}

/// The shell line of a program that the configuration has.
fn line(program: &Program) -> Option<&str> {
    if let Program::Shell(line) = program { Some(line) } else { None }
}

/// What may be paths in a shell line, and what its programs read unasked.
pub(super) fn of_line(line: &str) -> Vec<String> {
    words(line).into_iter().chain(commands::reads(line).into_iter().map(|read| read.path)).collect()
}

/// What may be paths in a shell line. A folder that it only goes to is none.
fn words(line: &str) -> Vec<String> {
    let all = commands::words(line);
    let inner = |word: &'_ String| {
        word.split(|c: char| c.is_whitespace() || "\"'();&|<>`$={}".contains(c)).map(str::to_owned).collect::<Vec<_>>()
    };
    let words: Vec<_> = all.iter().flat_map(inner).filter(|word| !word.is_empty()).collect();
    let mut found = Vec::new();
    let mut before = "";
    for word in &words {
        if before != "-C" {
            found.extend(paths(word));
        }
        before = word;
    }
    found
}

/// Programs that the lines of the configuration call by their names, each with the first line that does; without a
/// configuration, those of the lines that `init` would write.
pub fn programs(project: &Project, found: &[Found]) -> Vec<(String, String)> {
    let config = &project.config;
    let mut lines: Vec<&str> = Vec::new();
    if project.configured {
        lines.extend(config.setup.iter().chain(&config.build).chain(&config.migrate).map(String::as_str));
        let programs = config.suites.values().filter_map(of_suite);
        let programs = programs.chain(config.metrics.values().flat_map(|metric| metric.source.programs()));
        lines.extend(programs.chain(&config.http.serve).filter_map(line));
    } else {
        for one in found {
            lines.extend(one.setup.iter().chain(&one.build).map(String::as_str));
            lines.extend(one.tests.iter().map(|test| test.run.as_ref().unwrap_or(&test.line).as_str()));
        }
    }
    let mut all: Vec<(String, String)> = Vec::new();
    for line in lines {
        for program in commands::programs(line) {
            if !all.iter().any(|(known, _)| *known == program) {
                all.push((program, line.to_owned()));
            }
        }
    }
    all
}

/// A word as the paths that it may be: of a test only its file, of a module of Python its file.
fn paths(word: &str) -> Vec<String> {
    let word = word.rsplit('=').next().unwrap_or(word);
    let word = word.split("::").next().unwrap_or(word);
    let path = word.trim_start_matches("./").trim_end_matches('/');
    if path.starts_with('-') || path.contains(['*', '?']) || FilePattern::new(path).is_err() {
        return Vec::new();
    }
    let mut all = vec![path.to_owned()];
    if path.contains('.') && !path.contains('/') && path.split('.').all(|part| !part.is_empty()) {
        all.push(format!("{}.py", path.replace('.', "/")));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_line_names_files_and_not_where_it_goes() {
        assert!(words("go build ./...").iter().all(|word| !word.contains("//")), "dots alone are no module");
        let line = "cd web && sh ./bench/run.sh --data=bench/data.json tests/a.py::test_b -m app.server ../x /etc/y";
        let found = words(line);
        for path in ["bench/run.sh", "bench/data.json", "tests/a.py", "app/server.py"] {
            assert!(found.contains(&path.to_owned()), "{path}: {found:?}");
        }
        for word in ["web", "x", "etc/y", "-m"] {
            assert!(!found.contains(&word.to_owned()), "{word}: {found:?}");
        }
    }
}
