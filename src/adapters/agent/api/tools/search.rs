//! Searching: lines that match a pattern, in all files that git does not ignore.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

use super::super::snapshot::walk;
use super::super::tree::{Found, Place, Tree};
use super::output::{is_text, short};
use super::{Arguments, Field, Kind, Outcome, Tool};

/// Lines of one call.
const MATCHES: usize = 200;
/// Characters of one line.
const WIDTH: usize = 240;
/// Longer files are not source code.
const LONGEST: u64 = 8 << 20;
/// A search that takes longer gives what it has.
const LIMIT: Duration = Duration::from_secs(20);

/// What the model is told of it.
pub(super) const TOOL: Tool = Tool {
    name: "search",
    about: "Finds lines by a regular expression (Rust's syntax, `(?i)` for any case) in files that git does not ignore: \
            `path:line:text`, at most 200.",
    fields: &[
        Field { name: "pattern", kind: Kind::Text, required: true, about: "The regular expression." },
        Field {
            name: "path",
            kind: Kind::Text,
            required: false,
            about: "A file or directory to search; all by default.",
        },
        Field { name: "glob", kind: Kind::Text, required: false, about: "Only such files: `*.py`, `src/**/*.rs`." },
    ],
};

/// What to look for, and where.
struct Query {
    pattern: Regex,
    under: Place,
    glob: Option<GlobMatcher>,
}

impl Query {
    fn new(tree: &Tree, arguments: &Arguments) -> Result<Self, String> {
        let pattern = Regex::new(arguments.text("pattern")).map_err(|why| format!("`pattern`: {why}"))?;
        let under = tree.place(arguments.text("path"))?;
        if tree.read(&under)?.is_none() {
            return Err(format!("there is no `{}`", under.shown()));
        }
        let glob = match arguments.text("glob") {
            "" => None,
            text => {
                // Without a folder it is about names wherever they are.
                let whole = if text.contains('/') { text.to_owned() } else { format!("**/{text}") };
                let glob = GlobBuilder::new(&whole).literal_separator(true).build();
                Some(glob.map_err(|why| format!("`glob`: {why}"))?.compile_matcher())
            }
        };
        Ok(Self { pattern, under, glob })
    }

    fn run(&self, tree: &Tree) -> String {
        let started = Instant::now();
        let (mut found, mut skipped) = (Vec::new(), 0);
        let under = tree.path().join(self.under.as_str());
        for entry in walk(tree.path(), &under) {
            if found.len() > MATCHES || started.elapsed() > LIMIT {
                break;
            }
            let file = entry.file_type().is_some_and(|kind| kind.is_file());
            let Some(path) = entry.path().strip_prefix(tree.path()).ok().and_then(Path::to_str) else { continue };
            if !file || self.glob.as_ref().is_some_and(|glob| !glob.is_match(path)) {
                continue;
            }
            match entry.metadata() {
                Ok(metadata) if metadata.len() > LONGEST => skipped += 1,
                _ => self.file(tree, path, &mut found),
            }
        }
        self.told(&found, skipped, started.elapsed() > LIMIT)
    }

    fn file(&self, tree: &Tree, path: &str, found: &mut Vec<String>) {
        let read = tree.place(path).and_then(|place| tree.read(&place));
        let Ok(Some(Found::File(bytes))) = read else { return };
        if !is_text(&bytes) {
            return;
        }
        let text = String::from_utf8_lossy(&bytes);
        let matching = text.lines().enumerate().filter(|(_, line)| self.pattern.is_match(line));
        let room = (MATCHES + 1).saturating_sub(found.len());
        found.extend(
            matching.take(room).map(|(at, line)| format!("{path}:{}:{}\n", at + 1, short(line.trim_end(), WIDTH))),
        );
    }

    fn told(&self, found: &[String], skipped: usize, late: bool) -> String {
        let mut text: String = found.iter().take(MATCHES).map(String::as_str).collect();
        if found.is_empty() {
            text.push_str(&format!("nothing in `{}` matches\n", self.under.shown()));
        }
        if found.len() > MATCHES {
            text.push_str(&format!("… there are more than {MATCHES}; narrow it with `path`, `glob` or the pattern\n"));
        }
        if skipped > 0 {
            text.push_str(&format!("… {skipped} files longer than 8 MiB were not searched\n"));
        }
        if late {
            text.push_str("… it took too long and was broken off; narrow it with `path` or `glob`\n");
        }
        text
    }
}

/// Carries out a call.
pub(super) async fn search(tree: &Arc<Tree>, arguments: &Arguments) -> Result<Outcome, String> {
    let query = Query::new(tree, arguments)?;
    let tree = Arc::clone(tree);
    let found = tokio::task::spawn_blocking(move || query.run(&tree)).await;
    found.map(Outcome::done).map_err(|error| format!("the search failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::conversation::{Call, Ending};
    use super::*;

    async fn said(tree: &Arc<Tree>, arguments: serde_json::Value) -> String {
        let call = Call::new(String::new(), "search".to_owned(), arguments.to_string());
        let outcome = search(tree, &TOOL.accept(&call, Ending::Whole).unwrap()).await;
        outcome.map_or_else(|why| format!("error: {why}"), |done| done.text)
    }

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Arc<Tree>) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let tree = Arc::new(Tree::open(dir.path()).unwrap());
        (dir, tree)
    }

    #[tokio::test]
    async fn lines_are_found_in_what_git_does_not_ignore() {
        let (dir, tree) = tree(&[
            (".gitignore", "built/\n"),
            ("a.rs", "fn one() {}\nfn two() {}\n"),
            ("src/b.py", "def one(): pass\n"),
            ("built/c.rs", "fn one() {}\n"),
            ("image", "fn one\0"),
        ]);
        std::os::unix::fs::symlink("/etc", dir.path().join("etc")).unwrap();
        assert_eq!(
            said(&tree, serde_json::json!({"pattern": "one"})).await,
            "a.rs:1:fn one() {}\nsrc/b.py:1:def one(): pass\n"
        );
        assert_eq!(said(&tree, serde_json::json!({"pattern": "ONE"})).await, "nothing in `.` matches\n");
        assert_eq!(
            said(&tree, serde_json::json!({"pattern": "(?i)ONE", "glob": "*.py"})).await,
            "src/b.py:1:def one(): pass\n"
        );
        assert_eq!(
            said(&tree, serde_json::json!({"pattern": "one", "path": "src"})).await,
            "src/b.py:1:def one(): pass\n"
        );
        assert_eq!(said(&tree, serde_json::json!({"pattern": "two", "path": "a.rs"})).await, "a.rs:2:fn two() {}\n");
        for path in ["etc", "../", "none"] {
            let said = said(&tree, serde_json::json!({"pattern": "root", "path": path})).await;
            assert!(said.starts_with("error: "), "{said}");
        }
    }

    #[tokio::test]
    async fn many_and_long_lines_are_cut_and_said_to_be() {
        let (_dir, tree) = tree(&[("a", &"x\n".repeat(500)), ("b", &"y".repeat(5000))]);
        let many = said(&tree, serde_json::json!({"pattern": "x"})).await;
        assert_eq!(many.lines().count(), MATCHES + 1);
        assert!(many.ends_with("narrow it with `path`, `glob` or the pattern\n"), "{many}");
        assert!(said(&tree, serde_json::json!({"pattern": "y"})).await.len() < 300);
        assert!(said(&tree, serde_json::json!({"pattern": "("})).await.starts_with("error: `pattern`: "));
    }
}
