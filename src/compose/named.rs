//! The files that a plan and its configuration name: what a run reads, whoever reads it.

use std::collections::BTreeSet;

use super::agents;
use crate::adapters::agent::AgentSettings;
use crate::adapters::git::Git;
use crate::config::{Config, Http, Params};
use crate::domain::measurement::MetricName;
use crate::domain::plan::{EvaluationTest, FilePattern, Plan};
use crate::engine::opening::Target;
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
        if let EvaluationTest::Command { argv, .. } = test {
            named.extend(argv.iter().flat_map(|word| paths(word)));
        }
    }
    named.extend(plan.work_items.iter().flat_map(|item| &item.tests).flat_map(|selector| paths(selector)));
    named.extend(lines(config, plan).into_iter().flat_map(words));
    let loads = plan.metrics.iter().filter_map(|bound| config.metrics.get(&bound.name)?.sql_load.as_ref());
    for load in loads {
        named.extend(load.file.iter().flat_map(|file| paths(file)));
        if let Some(Params::File(file)) = &load.params {
            named.extend(paths(file));
        }
    }
    named.extend(config.database.iter().flat_map(|database| &database.seed).flat_map(|file| paths(file)));
    // What is carried is meant to be ignored.
    let carried = |path: &String| config.carry.iter().any(|carry| inside(path, carry.trim_end_matches('/')));
    named.into_iter().filter(|path| !carried(path)).collect()
}

/// Kinds of source that measure a program from outside: what it says of itself has no weight.
const FROM_OUTSIDE: [&str; 3] = ["time", "instructions", "hyperfine"];

/// Metrics whose values a command says, each with the files of the base that the command names.
pub async fn harness(
    config: &Config,
    plan: &Plan,
    git: &dyn Git,
    target: &Target,
) -> Result<Vec<(MetricName, String)>> {
    let mut found = Vec::new();
    for bound in &plan.metrics {
        let Some(metric) = config.metrics.get(&bound.name) else { continue };
        let (Some(from), Some(run)) = (&metric.from, &metric.run) else { continue };
        if FROM_OUTSIDE.contains(&from.as_str()) {
            continue;
        }
        for path in words(run).into_iter().collect::<BTreeSet<_>>() {
            if git.file_at(&target.base, &path).await?.is_some() {
                found.push((bound.name.clone(), path));
            }
        }
    }
    Ok(found)
}

fn inside(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Shell lines of the configuration that the plan has a use for.
fn lines<'a>(config: &'a Config, plan: &Plan) -> Vec<&'a str> {
    let serve = |http: &'a Http| http.serve.as_deref();
    let mut lines: Vec<&str> =
        config.setup.iter().chain(&config.build).chain(&config.migrate).map(String::as_str).collect();
    lines.extend(serve(&config.http));
    for suite in plan.tests.iter().filter_map(|test| config.suites.get(test.text())) {
        lines.extend(suite.run.as_deref());
        lines.extend(suite.http.as_ref().and_then(serve));
    }
    for metric in plan.metrics.iter().filter_map(|bound| config.metrics.get(&bound.name)) {
        lines.extend(metric.run.as_deref());
        lines.extend(metric.http.as_ref().and_then(serve));
    }
    lines
}

/// What may be paths in a shell line. A folder that it only goes to is none.
fn words(line: &str) -> Vec<String> {
    let words =
        line.split(|c: char| c.is_whitespace() || "\"'();&|<>`$={}".contains(c)).filter(|word| !word.is_empty());
    let mut found = Vec::new();
    let mut before = "";
    for word in words {
        if before != "cd" && before != "-C" {
            found.extend(paths(word));
        }
        before = word;
    }
    found
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
    if path.contains('.') && !path.contains('/') {
        all.push(format!("{}.py", path.replace('.', "/")));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_line_names_files_and_not_where_it_goes() {
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
