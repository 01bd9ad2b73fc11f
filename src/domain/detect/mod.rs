//! What a repository is built, tested and measured with, told from its paths and the texts of its
//! manifests. One file a family of toolchains, one line each in `KINDS`.

mod go;
mod jvm;
mod listing;
mod native;
mod node;
mod python;
mod rust;

use super::measurement::MetricName;

pub use listing::{Folder, Listing, wants};

/// What one toolchain needs in one folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The folder, relative to the root, without a slash at its end; empty for the root.
    pub folder: String,
    /// Programs that were recognised, the toolchain first.
    pub tools: Vec<Tool>,
    /// Shell lines that install what it depends on, as its lock file says where there is one.
    pub setup: Vec<String>,
    /// Shell lines that compile it.
    pub build: Vec<String>,
    /// Folders that hold nothing but what was built, relative to the repository's root; none where what was built in
    /// one place is of no use in another.
    pub cache: Vec<String>,
    /// Files that git ignores and every tree needs, relative to the repository's root.
    pub carry: Vec<String>,
    /// Its tests.
    pub tests: Vec<Test>,
    /// Its benchmarks.
    pub metrics: Vec<Metric>,
    /// Globs of its production code, relative to the repository's root.
    pub files: Vec<String>,
    /// Globs of tests that lie among production code, relative to the repository's root.
    pub protect: Vec<String>,
    /// The runner that its tests only call, where that is one.
    pub calls: Option<&'static str>,
    /// What somebody should know who reads the configuration, a sentence each.
    pub notes: Vec<String>,
}

/// A program that a repository uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// What it is called.
    pub name: &'static str,
    /// The path that gave it away, relative to the repository's root.
    pub because: String,
}

/// A line for a document's tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// A command, or the name of a suite.
    pub line: String,
    /// The shell line of that suite; absent where the line is a command itself.
    pub run: Option<String>,
}

/// Where the values of a metric come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// The metric.
    pub name: MetricName,
    /// The kind of source.
    pub from: &'static str,
    /// The shell line that measures, or is measured.
    pub run: String,
    /// The benchmark in its report, where there may be several.
    pub test: Option<String>,
    /// The statistic, where the kind of source has a choice.
    pub stat: Option<&'static str>,
}

/// A family of toolchains.
struct Kind {
    /// Files of which one must be there; in the root it may be none.
    markers: &'static [&'static str],
    /// Files that say which versions it depends on; of several, the first is used.
    locks: &'static [&'static str],
    /// What a folder has of it.
    find: fn(&Folder<'_>) -> Option<Found>,
    /// Whether what is found in a folder stands for the folders below it as well.
    covers: fn(&Folder<'_>) -> bool,
}

/// Every family, in the order in which they are told.
const KINDS: &[Kind] = &[
    Kind { markers: python::MARKERS, locks: python::LOCKS, find: python::find, covers: |_| true },
    Kind { markers: &["Cargo.toml"], locks: &["Cargo.lock"], find: rust::find, covers: rust::is_workspace },
    Kind { markers: &["package.json"], locks: node::LOCKS, find: node::find, covers: node::has_tests },
    Kind { markers: &["go.mod"], locks: &["go.sum"], find: go::find, covers: |_| false },
    Kind { markers: &["CMakeLists.txt"], locks: &[], find: native::cmake, covers: |_| true },
    Kind { markers: &["pom.xml"], locks: &[], find: jvm::maven, covers: |_| true },
    Kind { markers: jvm::GRADLE, locks: &[], find: jvm::gradle, covers: |_| true },
    Kind { markers: native::MAKEFILES, locks: &[], find: native::make, covers: |_| true },
];

/// How deep below the root a project of a monorepo may lie.
const DEPTH: usize = 3;

/// Everything that is recognised, by folder and in the order of the families. Names of suites and metrics
/// are unique.
pub fn detect(listing: &Listing) -> Vec<Found> {
    let mut all = Vec::new();
    for kind in KINDS {
        let mut covered: Vec<String> = Vec::new();
        for at in listing.folders(kind.markers, DEPTH) {
            let inside = |outer: &String| outer.is_empty() || at.starts_with(&format!("{outer}/"));
            if covered.iter().any(inside) {
                continue;
            }
            let folder = listing.folder(&at);
            let Some(mut found) = (kind.find)(&folder) else { continue };
            if let Some(lock) = folder.first(kind.locks).filter(|lock| folder.ignores(lock)) {
                found.notes.push(format!("git ignores {}: every tree gets a copy of yours", folder.path(lock)));
                found.carry.push(folder.path(lock));
            }
            if (kind.covers)(&folder) {
                covered.push(at);
            }
            all.push(found);
        }
    }
    all.sort_by(|a, b| a.folder.cmp(&b.folder));
    drop_repeated_tests(&mut all);
    name_apart(&mut all);
    all
}

/// Where lock files of these projects would lie: those that are there and not listed are ignored by git.
pub fn locks(listing: &Listing) -> Vec<String> {
    let of = |kind: &Kind| {
        let folders = listing.folders(kind.markers, DEPTH);
        let all = folders.iter().flat_map(|at| kind.locks.iter().map(|lock| listing.folder(at).path(lock)));
        all.collect::<Vec<_>>()
    };
    KINDS.iter().flat_map(of).collect()
}

/// A `make test` that only calls a runner that was found itself would run every test twice.
fn drop_repeated_tests(all: &mut [Found]) {
    let others: Vec<(String, &'static str)> = all
        .iter()
        .filter(|found| !found.tests.is_empty() && found.calls.is_none())
        .flat_map(|found| found.tools.iter().map(|tool| (found.folder.clone(), tool.name)))
        .collect();
    for found in all.iter_mut() {
        let Some(called) = found.calls.filter(|name| others.contains(&(found.folder.clone(), *name))) else { continue };
        found.tests.clear();
        found.build.clear();
        found.notes.push(format!("the tests of {} only call {called}, which is found by itself", found.tools[0].name));
    }
}

/// Gives metrics that would have the same name the name of their folder, or a number.
fn name_apart(all: &mut [Found]) {
    let mut seen: Vec<MetricName> = Vec::new();
    for found in all {
        for metric in &mut found.metrics {
            let own = metric.name.as_str().to_owned();
            let by_folder = Some(found.folder.clone()).filter(|folder| !folder.is_empty());
            let mut more = by_folder.into_iter().chain((2..).map(|number: u32| number.to_string()));
            while seen.contains(&metric.name) {
                let Some(name) = more.next().and_then(|word| metric_name(&format!("{own} {word}"))) else { break };
                metric.name = name;
            }
            seen.push(metric.name.clone());
        }
    }
}

impl Found {
    /// What is found in a folder, by these tools; each with a path in it.
    fn of(folder: &Folder<'_>, tools: &[(&'static str, &str)]) -> Self {
        let mut found = Self { folder: folder.at.to_owned(), ..Self::default() };
        tools.iter().for_each(|(name, because)| found.add(folder, name, because));
        found
    }

    /// One more tool.
    fn add(&mut self, folder: &Folder<'_>, name: &'static str, because: &str) {
        self.tools.push(Tool { name, because: folder.path(because) });
    }

    /// Its tools with what gave them away: `cargo (Cargo.toml), criterion (benches/x.rs)`.
    pub fn told(&self) -> String {
        let tools = self.tools.iter().map(|tool| format!("{} ({})", tool.name, tool.because));
        tools.collect::<Vec<_>>().join(", ")
    }

    /// A suite that needs a shell line: its cases are read from the report that the line writes or prints.
    fn suite(&mut self, folder: &Folder<'_>, name: &str, run: &str) {
        let place = if self.folder.is_empty() { String::new() } else { format!(" of {}", self.folder) };
        self.tests.push(Test { line: format!("The {name} suite{place}"), run: Some(folder.shell(run)) });
    }

    /// A command that a document can name itself.
    fn command(&mut self, folder: &Folder<'_>, name: &str, line: &str) {
        if self.folder.is_empty() {
            self.tests.push(Test { line: line.to_owned(), run: None });
        } else {
            self.suite(folder, name, line);
        }
    }
}

/// A metric's name out of any words: lower case, joined by `_`; none where there is no letter or digit.
fn metric_name(words: &str) -> Option<MetricName> {
    let parts = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let mut name = parts.collect::<Vec<_>>().join("_").to_ascii_lowercase();
    name.truncate(LONGEST);
    MetricName::new(name.trim_end_matches('_'))
}

/// The most letters of a metric's name, so that a column of a table stays one.
const LONGEST: usize = 40;

/// The most benchmarks that are taken from one file: a document is decided by few.
const FEW: usize = 4;

#[cfg(test)]
mod tests;
