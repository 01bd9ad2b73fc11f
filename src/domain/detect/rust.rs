//! Rust: cargo, nextest, Criterion.

use std::collections::BTreeMap;

use super::{FEW, Folder, Found, Metric, metric_name};

/// Whether a manifest speaks for the crates below it.
pub(super) fn is_workspace(folder: &Folder<'_>) -> bool {
    folder.text("Cargo.toml").lines().any(|line| line.trim_start().starts_with("[workspace"))
}

/// A crate or a workspace.
pub fn find(folder: &Folder<'_>) -> Option<Found> {
    if !folder.has("Cargo.toml") {
        return None;
    }
    let mut found = Found::of(folder, &[("cargo", "Cargo.toml")]);
    let locked = if folder.has("Cargo.lock") { " --locked" } else { "" };
    let place = if folder.at.is_empty() { "" } else { &format!(" --manifest-path {}", folder.path("Cargo.toml")) };
    let every = if is_workspace(folder) { " --workspace" } else { "" };
    // cargo takes the folder as an option, so that its report is known without a shell.
    let options = format!("{place}{every}{locked}");
    found.setup.push(format!("cargo fetch{place}{locked}"));
    found.cache.push(folder.path("target"));
    let line = match folder.first(&[".config/nextest.toml"]) {
        Some(because) => {
            found.add(folder, "nextest", because);
            found.build.push(format!("cargo nextest run --no-run{options}"));
            found.notes.push("nextest runs no tests of the documentation: `cargo test --doc` does".to_owned());
            format!("cargo nextest run{options}")
        }
        None => {
            found.build.push(format!("cargo test --no-run{options}"));
            format!("cargo test{options}")
        }
    };
    found.tests.push(super::Test { line, run: None });
    for (path, text) in folder.files().filter(|(path, _)| path.contains("benches/") && path.ends_with(".rs")) {
        if text.contains("criterion") {
            benches(folder, &mut found, path, text, &format!("{place}{locked}"));
        }
    }
    found.files = sources(folder);
    Some(found)
}

/// The `src` folders of the crate or of the workspace's crates.
fn sources(folder: &Folder<'_>) -> Vec<String> {
    let mut globs: Vec<String> = Vec::new();
    for (path, _) in folder.files().filter(|(path, _)| path.ends_with(".rs")) {
        let Some(at) = path.split('/').position(|part| part == "src") else { continue };
        let home: Vec<_> = path.split('/').take(at + 1).collect();
        let glob = folder.path(&format!("{}/**", home.join("/")));
        if !globs.contains(&glob) {
            globs.push(glob);
        }
    }
    globs
}

/// The benchmarks of one target, by their names in Criterion's report.
fn benches(folder: &Folder<'_>, found: &mut Found, path: &str, text: &str, options: &str) {
    let Some(target) = path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")) else { return };
    let names = names(text);
    found.add(folder, "criterion", path);
    found.build.push(format!("cargo bench --no-run --bench {target}{options}"));
    let run = format!("cargo bench --bench {target}{options}");
    if names.is_empty() {
        found.notes.push(format!("the names of the benchmarks in {path} could not be read: name one as `test`"));
    }
    let metric = |(test, name)| Metric { name, from: "criterion", run: run.clone(), test, stat: Some("median") };
    if let [one] = names.as_slice() {
        // A report with one benchmark needs no name.
        found.metrics.extend(metric_name(one).map(|name| metric((None, name))));
        return;
    }
    let named = names.iter().filter_map(|test| Some((Some(test.clone()), metric_name(test)?)));
    found.metrics.extend(named.take(FEW).map(metric));
}

/// Names of benchmarks that a target states plainly, with the group that they are in.
fn names(text: &str) -> Vec<String> {
    const CALLS: [&str; 2] = ["benchmark_group(", "bench_function("];
    let mut groups: BTreeMap<&str, &str> = BTreeMap::new();
    let mut names = Vec::new();
    let mut at = 0;
    while let Some((next, call)) = CALLS.iter().filter_map(|c| Some((at + text[at..].find(c)?, *c))).min() {
        at = next + call.len();
        let Some(literal) = text[at..].trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
            continue;
        };
        let before = text[..next].trim_end().trim_end_matches('.').trim_end();
        let receiver = before.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
        if call == CALLS[0] {
            let statement = text[..next].rsplit([';', '{', '}']).next().unwrap_or_default();
            let variable = statement.split('=').next().unwrap_or_default();
            let variable = variable.split(':').next().unwrap_or_default().split_whitespace().last().unwrap_or_default();
            groups.insert(variable, literal);
        } else {
            let group = groups.get(receiver).map(|group| format!("{group}/")).unwrap_or_default();
            names.push(format!("{group}{literal}"));
        }
    }
    names
}
