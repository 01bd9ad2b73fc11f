//! Go: `go test` and its benchmarks.

use std::collections::BTreeMap;

use super::{FEW, Folder, Found, Metric, metric_name};

/// A module.
pub fn find(folder: &Folder<'_>) -> Option<Found> {
    if !folder.has("go.mod") {
        return None;
    }
    let mut found = Found::of(folder, &[("go", "go.mod")]);
    if folder.has("go.sum") {
        found.setup.push(folder.shell("go mod download"));
    }
    found.build.push(folder.shell("go build ./..."));
    if folder.at.is_empty() {
        found.command(folder, "go", "go test ./...");
    } else {
        // Events are a report whatever shell line prints them.
        found.suite(folder, "go", "go test -json ./...");
    }
    let mut packages: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    // Go itself passes by folders that begin so.
    let seen = |path: &str| path.split('/').all(|part| !part.starts_with(['_', '.']) && part != "testdata");
    for (path, text) in folder.files().filter(|(path, _)| path.ends_with("_test.go") && seen(path)) {
        let package = path.rsplit_once('/').map_or("", |(package, _)| package);
        let benchmarks: Vec<_> = benchmarks(text).collect();
        if !benchmarks.is_empty() {
            found.add(folder, "go benchmarks", path);
            packages.entry(package).or_default().extend(benchmarks);
        }
    }
    for (package, benchmarks) in packages {
        let place = if package.is_empty() { ".".to_owned() } else { format!("./{}", shell_words::quote(package)) };
        let few = &benchmarks[..benchmarks.len().min(FEW)];
        // One pattern for all of them, so that they come from the same run.
        let pattern = few.join("|");
        let run = folder.shell(&format!("go test -run '^$' -bench '^({pattern})$' -count 10 {place}"));
        let named = few.iter().filter_map(|name| Some((*name, metric_name(&words(name))?)));
        found.metrics.extend(named.map(|(test, name)| Metric {
            name,
            from: "go-bench",
            run: run.clone(),
            test: Some(test.to_owned()),
            stat: Some("median"),
        }));
    }
    found.files = folder.code(&["go"]);
    found.protect.push(folder.path("**/*_test.go"));
    Some(found)
}

/// Names of the benchmarks of one file.
fn benchmarks(text: &str) -> impl Iterator<Item = &str> {
    let functions = text.lines().filter_map(|line| line.strip_prefix("func ")?.split_once('('));
    let benchmark = |(name, arguments): &(&str, &str)| name.starts_with("Benchmark") && arguments.contains("testing.B");
    functions.filter(benchmark).map(|(name, _)| name)
}

/// `BenchmarkEncodeAll` as words.
fn words(name: &str) -> String {
    let mut out = String::new();
    for c in name.trim_start_matches("Benchmark").chars() {
        if c.is_uppercase() && out.ends_with(|last: char| last.is_lowercase()) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}
