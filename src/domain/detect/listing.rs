//! A repository as detection sees it: its paths, and the texts of the few files that tell something.

use std::collections::{BTreeMap, BTreeSet};

use super::super::change::exclusion;

/// The files of a repository.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// By path relative to the root; the text is empty where it was not read.
    files: BTreeMap<String, String>,
    /// Those of them that git ignores.
    ignored: BTreeSet<String>,
}

/// One folder of it.
pub struct Folder<'a> {
    listing: &'a Listing,
    /// Relative to the root, empty for the root itself.
    pub at: &'a str,
}

/// Files that are read wherever they lie.
const READ: &[&str] = &[
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "tox.ini",
    "pytest.ini",
    "Cargo.toml",
    "package.json",
    "go.mod",
    "CMakeLists.txt",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "Makefile",
    "makefile",
    "GNUmakefile",
];

/// Folders in which no project of the repository's own lies.
const FOREIGN: &[&str] = &[
    "node_modules",
    "vendor",
    "third_party",
    "third-party",
    "target",
    "build",
    "dist",
    "venv",
    "docs",
    "doc",
    "test",
    "tests",
    "testdata",
    "fixtures",
    "examples",
    "example",
    "bench",
    "benches",
    "benchmarks",
    "fuzz",
    "scripts",
    "templates",
];

/// Folders whose files are not the project's: others' code, and what tests and programs are run on.
const SKIPPED: &[&str] =
    &["node_modules", "vendor", "third_party", "third-party", "testdata", "fixtures", "templates", "__pycache__"];

/// Whether a file's text tells something, so that it has to be read.
pub fn wants(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let requirements = name.ends_with(".txt") && path.contains("requirements");
    let python = is_python_test(name);
    let rust = path.contains("benches/") && name.ends_with(".rs");
    let script = [".js", ".mjs", ".cjs", ".ts"].iter().any(|end| name.ends_with(end));
    let javascript = script && (name.contains("test") || path.contains("test/") || path.contains("tests/"));
    READ.contains(&name) || requirements || python || rust || javascript || name.ends_with("_test.go")
}

/// Whether Python's runners take a file for tests.
pub(super) fn is_python_test(name: &str) -> bool {
    name.ends_with(".py") && (name.starts_with("test_") || name.ends_with("_test.py"))
}

impl Listing {
    /// From paths and what was read of them.
    pub fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { files: files.into_iter().collect(), ignored: BTreeSet::new() }
    }

    /// With files that are there although git ignores them.
    #[must_use]
    pub fn with_ignored(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        self.ignored.extend(paths);
        self.files.extend(self.ignored.iter().map(|path| (path.clone(), String::new())));
        self
    }

    /// Whether it holds this path.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// A folder of it.
    pub fn folder<'a>(&'a self, at: &'a str) -> Folder<'a> {
        Folder { listing: self, at }
    }

    /// The root, and every folder that holds one of these files and may be a project, outer ones first.
    pub fn folders(&self, markers: &[&str], depth: usize) -> Vec<String> {
        let mut found = BTreeSet::from([String::new()]);
        for path in self.files.keys() {
            let Some((folder, name)) = path.rsplit_once('/') else { continue };
            let parts: Vec<_> = folder.split('/').collect();
            let own = parts.iter().all(|part| !part.starts_with('.') && !FOREIGN.contains(part));
            if own && parts.len() <= depth && markers.contains(&name) {
                found.insert(folder.to_owned());
            }
        }
        found.into_iter().collect()
    }
}

impl<'a> Folder<'a> {
    /// A path in it, relative to the repository's root.
    pub fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}/{name}", self.at) }
    }

    /// Whether it holds this file.
    pub fn has(&self, name: &str) -> bool {
        self.listing.has(&self.path(name))
    }

    /// Whether git ignores this file of it.
    pub(super) fn ignores(&self, name: &str) -> bool {
        self.listing.ignored.contains(&self.path(name))
    }

    /// The first of these files that it holds.
    pub fn first<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().find(|name| self.has(name)).copied()
    }

    /// A file's text; empty where there is none, or it was not read.
    pub fn text(&self, name: &str) -> &'a str {
        self.listing.files.get(&self.path(name)).map_or("", String::as_str)
    }

    /// Every file below it with its text, by its path in the folder; others' code and what tests are run on are none.
    pub fn files(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let prefix = if self.at.is_empty() { String::new() } else { format!("{}/", self.at) };
        let inside = move |(path, text): (&'a String, &'a String)| {
            let path = path.strip_prefix(&prefix)?;
            let mut folders = path.split('/').rev().skip(1);
            folders.all(|part| !part.starts_with('.') && !SKIPPED.contains(&part)).then_some((path, text.as_str()))
        };
        self.listing.files.iter().filter_map(inside)
    }

    /// Folders below it that hold one of these files, and are projects of their own.
    pub fn nested(&self, markers: &[&str]) -> Vec<&'a str> {
        let homes = self.files().filter_map(|(path, _)| path.rsplit_once('/'));
        homes.filter(|(_, name)| markers.contains(name)).map(|(home, _)| home).collect()
    }

    /// A shell line that is run in it.
    pub fn shell(&self, line: &str) -> String {
        if self.at.is_empty() {
            return line.to_owned();
        }
        format!("cd {} && {line}", shell_words::quote(self.at))
    }

    /// Globs of its code with one of these extensions, by the folder on its first level; files of the folder
    /// itself go by their extension. Tests, benchmarks and what is hidden are none.
    pub fn code(&self, extensions: &[&str]) -> Vec<String> {
        let mut globs = BTreeSet::new();
        for (path, _) in self.files() {
            let Some((_, extension)) = path.rsplit_once('.') else { continue };
            let parts: Vec<_> = path.split('/').collect();
            let folders = &parts[..parts.len() - 1];
            let own = folders.iter().all(|part| !part.starts_with(['.', '_']) && !FOREIGN.contains(part))
                && exclusion(path).is_none();
            if !own || !extensions.contains(&extension) || is_test(parts[parts.len() - 1]) {
                continue;
            }
            globs.insert(match folders.first() {
                Some(first) => self.path(&format!("{first}/**")),
                None => self.path(&format!("*.{extension}")),
            });
        }
        globs.into_iter().collect()
    }
}

/// Whether a file among production code holds tests or benchmarks, or configures what runs them.
fn is_test(name: &str) -> bool {
    let marks = [".test.", ".spec.", "_test.", ".config.", "conftest.py"];
    is_python_test(name)
        || name.starts_with("bench")
        || marks.iter().any(|mark| name.contains(mark))
        || name == "setup.py"
        || name == "build.rs"
}
