//! How large a change is: code lines of production files, their nesting, and new dependencies.
//!
//! Language-neutral on purpose: what a file is follows from its path, what a line is from its
//! first characters. Tests, generated files, lock files and prose do not count.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::trial::ChangeSize;

/// What happened to one path between two commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Added, modified or deleted; a rename is a deletion and an addition.
    pub kind: ChangeKind,
    /// Whole lines added; empty where the file is binary.
    pub added: Vec<String>,
    /// Whole lines deleted; empty where the file is binary.
    pub deleted: Vec<String>,
    /// The file before, where it is text and was there.
    pub before: Option<String>,
    /// The file after, where it is text and is there.
    pub after: Option<String>,
}

/// The three things that can happen to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

const LOCKS: &[&str] = &[
    "cargo.lock",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "uv.lock",
    "pdm.lock",
    "gemfile.lock",
    "composer.lock",
    "go.sum",
    "flake.lock",
];
const PROSE: &[&str] = &["md", "rst", "txt", "adoc"];
const TEST_FOLDERS: &[&str] =
    &["test", "tests", "spec", "specs", "__tests__", "testdata", "fixtures", "bench", "benches"];
const GENERATED_FOLDERS: &[&str] = &["node_modules", "vendor", "dist", "target", "__snapshots__", "snapshots"];

/// Whether a path counts as production code.
pub fn is_production(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let mut parts: Vec<_> = lower.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    if parts.iter().any(|p| TEST_FOLDERS.contains(p) || GENERATED_FOLDERS.contains(p)) || LOCKS.contains(&name) {
        return false;
    }
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let is_test = stem.starts_with("test_")
        || stem.ends_with("_test")
        || [".test", ".spec", "-test"].iter().any(|end| stem.ends_with(end))
        || stem == "conftest";
    let is_generated =
        [".min", ".generated", "_pb2", ".pb"].iter().any(|end| stem.ends_with(end)) || extension == "snap";
    let is_prose = PROSE.contains(&extension) && !stem.starts_with("requirements");
    !(is_test || is_generated || is_prose)
}

/// Measures a change: production files only.
pub fn measure(changes: &[FileChange]) -> ChangeSize {
    let mut size = ChangeSize { nesting_surplus: 1.0, ..ChangeSize::default() };
    let (mut added_depth, mut before_depth) = (Depth::default(), Depth::default());
    for change in changes.iter().filter(|c| is_production(&c.path)) {
        if is_manifest(&change.path) {
            size.new_dependencies += new_dependencies(change);
            continue;
        }
        let markers = comment_markers(&change.path);
        let code = |line: &&String| is_code(line, markers);
        size.added += change.added.iter().filter(code).count() as u64;
        size.deleted += change.deleted.iter().filter(code).count() as u64;
        let whole = change.after.as_deref().or(change.before.as_deref()).unwrap_or_default();
        let unit = indent_unit(whole);
        change.added.iter().filter(code).for_each(|line| added_depth.add(line, unit));
        let before = change.before.as_deref().unwrap_or_default();
        before.lines().filter(|line| is_code(line, markers)).for_each(|line| before_depth.add(line, unit));
    }
    if let (Some(added), Some(before)) = (added_depth.mean(), before_depth.mean()) {
        // Depth is counted from 1, so that flat code has a ratio.
        size.nesting_surplus = ((added + 1.0) / (before + 1.0)).max(1.0);
    }
    size
}

#[derive(Default)]
struct Depth {
    levels: f64,
    lines: u32,
}

impl Depth {
    fn add(&mut self, line: &str, unit: usize) {
        self.levels += indent(line) as f64 / unit as f64;
        self.lines += 1;
    }

    fn mean(&self) -> Option<f64> {
        (self.lines > 0).then(|| self.levels / f64::from(self.lines))
    }
}

/// Columns of white space before a line's text; a tab counts 4.
fn indent(line: &str) -> usize {
    line.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { 4 } else { 1 }).sum()
}

/// The smallest indentation of a text: what one level is.
fn indent_unit(text: &str) -> usize {
    text.lines().filter(|l| !l.trim().is_empty()).map(indent).filter(|width| *width >= 2).min().unwrap_or(4).min(8)
}

fn comment_markers(path: &str) -> &'static [&'static str] {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "py" | "sh" | "bash" | "rb" | "pl" | "r" | "yaml" | "yml" | "toml" | "tf" | "ex" | "exs" => &["#"],
        "sql" | "lua" | "hs" | "elm" => &["--", "/*", "*/", "* "],
        "html" | "xml" | "svg" => &["<!--"],
        "lisp" | "clj" | "el" | "scm" => &[";"],
        _ => &["//", "/*", "*/", "* "],
    }
}

fn is_code(line: &str, markers: &[&str]) -> bool {
    let text = line.trim();
    !text.is_empty() && text != "*" && !markers.iter().any(|marker| text.starts_with(marker))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_manifest(path: &str) -> bool {
    let name = file_name(path);
    matches!(name, "Cargo.toml" | "package.json" | "go.mod" | "pyproject.toml")
        || (name.starts_with("requirements") && name.ends_with(".txt"))
}

fn new_dependencies(change: &FileChange) -> u64 {
    let names = |text: &Option<String>| dependencies(&change.path, text.as_deref().unwrap_or_default());
    names(&change.after).difference(&names(&change.before)).count() as u64
}

/// Names of the dependencies that a manifest states for production.
fn dependencies(path: &str, text: &str) -> BTreeSet<String> {
    match file_name(path) {
        "package.json" => {
            let parsed: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
            let sections = ["dependencies", "optionalDependencies", "peerDependencies"];
            sections.iter().filter_map(|s| parsed[*s].as_object()).flat_map(|map| map.keys().cloned()).collect()
        }
        "Cargo.toml" => sectioned(text, |header| header.ends_with("dependencies") && !header.contains("dev-")),
        "go.mod" => {
            let lines = text.lines().map(|l| l.trim().trim_start_matches("require").trim());
            let first = lines.filter_map(|l| l.split_whitespace().next());
            first.filter(|w| w.contains('.') && w.contains('/')).map(str::to_owned).collect()
        }
        "pyproject.toml" => quoted_requirements(text),
        _ => text.lines().filter_map(requirement).collect(),
    }
}

fn sectioned(text: &str, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            inside = wanted(header);
            // `[dependencies.name]` states one dependency in its header.
            if let Some((_, name)) = header.rsplit_once('.').filter(|(parent, _)| wanted(parent)) {
                names.insert(name.to_owned());
            }
        } else if let (true, Some((name, _))) = (inside && !line.starts_with('#'), line.split_once('=')) {
            names.insert(name.trim().trim_matches('"').split('.').next().unwrap_or_default().to_owned());
        }
    }
    names
}

/// The strings of a `dependencies = [ … ]` list.
fn quoted_requirements(text: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        let start = line.strip_prefix("dependencies").map(|rest| rest.trim_start().starts_with('='));
        inside |= start == Some(true);
        if inside {
            names.extend(line.split(['"', '\'']).skip(1).step_by(2).filter_map(requirement));
            inside = !line.ends_with(']');
        }
    }
    names
}

fn requirement(line: &str) -> Option<String> {
    let line = line.trim();
    if line.starts_with(['#', '-']) {
        return None;
    }
    let end = line.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))).unwrap_or(line.len());
    (end > 0).then(|| line[..end].to_ascii_lowercase().replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, before: &str, after: &str) -> FileChange {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (old, new) = (lines(before), lines(after));
        FileChange {
            path: path.to_owned(),
            kind: ChangeKind::Modified,
            added: new.iter().filter(|l| !old.contains(l)).cloned().collect(),
            deleted: old.iter().filter(|l| !new.contains(l)).cloned().collect(),
            before: Some(before.to_owned()),
            after: Some(after.to_owned()),
        }
    }

    #[test]
    fn tests_locks_and_prose_are_not_production() {
        for path in
            ["tests/a.py", "src/test_a.py", "a_test.go", "web/a.spec.ts", "Cargo.lock", "docs/x.md", "conftest.py"]
        {
            assert!(!is_production(path), "{path}");
        }
        for path in ["src/a.py", "db/migrations/003.sql", "requirements.txt", "src/contest.rs"] {
            assert!(is_production(path), "{path}");
        }
    }

    #[test]
    fn only_code_lines_count() {
        let size = measure(&[change("a.py", "x = 1\n", "# why\n\nx = 2\ny = 3\n")]);
        assert_eq!((size.added, size.deleted), (2, 1));
        assert!((size.nesting_surplus - 1.0).abs() < 1e-9);
    }

    #[test]
    fn deeper_code_than_the_file_had_has_a_surplus() {
        let deep = "def f():\n    if a:\n        if b:\n            return 1\n";
        let size = measure(&[change("a.py", "x = 1\ny = 2\n", &format!("x = 1\ny = 2\n{deep}"))]);
        assert!((size.nesting_surplus - 2.5).abs() < 1e-9, "{}", size.nesting_surplus);
    }

    #[test]
    fn a_new_dependency_is_counted_once_in_every_manifest_we_know() {
        let cases = [
            ("requirements.txt", "flask==3\n", "flask==3.1\nredis>=5\n# x\n-r dev.txt\n"),
            ("package.json", "{}", r#"{"dependencies": {"left-pad": "1"}, "devDependencies": {"x": "1"}}"#),
            (
                "Cargo.toml",
                "[package]\nname = \"a\"\n",
                "[package]\nname = \"a\"\n[dependencies]\nserde = \"1\"\n[dev-dependencies]\nx = \"1\"\n",
            ),
            ("go.mod", "module a.b/c\n", "module a.b/c\nrequire (\n\tgithub.com/x/y v1.0.0\n)\n"),
            ("pyproject.toml", "dependencies = [\"a\"]\n", "dependencies = [\n  \"a\",\n  \"b>=1\",\n]\n"),
        ];
        for (path, before, after) in cases {
            assert_eq!(measure(&[change(path, before, after)]).new_dependencies, 1, "{path}");
        }
    }
}
