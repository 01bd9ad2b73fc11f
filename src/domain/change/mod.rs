//! How large a change is: code lines of production files, their nesting, and new dependencies.
//!
//! The same for every language: what a file is follows from its path and its first lines, what a
//! line is from its language's grammar. Tests, generated files, lock files and prose do not count,
//! and each file that does not is named with its reason.

mod dependencies;
mod file;
pub mod lines;
mod nesting;
mod paths;

pub use self::file::{ChangeKind, FileChange};
pub use self::paths::{TESTS, exclusion};

use self::dependencies::Manifest;
use self::lines::{Classified, LineKind};
use super::suspicion;
use super::trial::{ChangeSize, CountedFile, ExcludedFile, Exclusion};

/// Measures a change: production files only.
pub fn measure(changes: &[FileChange]) -> ChangeSize {
    let mut size = ChangeSize::default();
    let mut manifests = Vec::new();
    let (mut added, mut before) = (nesting::Mean::default(), nesting::Mean::default());
    for change in changes {
        let sides = match Sides::of(change) {
            Ok(sides) => sides,
            Err(reason) => {
                size.excluded.push(ExcludedFile { path: change.path.clone(), reason });
                continue;
            }
        };
        let manifest = Manifest::of(&change.path);
        manifests.extend(manifest.map(|manifest| (manifest, change)));
        let mut file = CountedFile { path: change.path.clone(), language: sides.language(), added: 0, deleted: 0 };
        if manifest.is_none_or(Manifest::is_program) {
            file.added = sides.after.code(&change.added);
            file.deleted = sides.before.code(&change.deleted);
            let (after, found) = (&sides.after, &mut size.suspicions);
            suspicion::find(found, &change.path, after.text, &change.added, |number| after.code(&[number]) == 1);
            added.extend(sides.after.depths_at(&change.added));
            before.extend(sides.before.depths());
        }
        size.added += file.added;
        size.deleted += file.deleted;
        size.counted.push(file);
    }
    size.nesting_surplus = nesting::surplus(&added, &before);
    size.dependencies = dependencies::new(manifests);
    size.new_dependencies = size.dependencies.len() as u64;
    size
}

/// A file before and after a change.
struct Sides<'a> {
    before: Side<'a>,
    after: Side<'a>,
}

impl<'a> Sides<'a> {
    /// Both sides, or why the file does not count. A file that was there must have said before the
    /// change that it is generated: saying so is no way to make hand-written code free.
    fn of(change: &'a FileChange) -> Result<Self, Exclusion> {
        let binary = || change.is_binary().then_some(Exclusion::Binary);
        if let Some(reason) = exclusion(&change.path).or_else(binary) {
            return Err(reason);
        }
        let side = |text: &'a Option<String>| Side::of(&change.path, text.as_deref().unwrap_or_default());
        let sides = Self { before: side(&change.before), after: side(&change.after) };
        let first = if change.kind == ChangeKind::Added { &sides.after } else { &sides.before };
        if paths::says_generated(first.text, &first.classified) {
            return Err(Exclusion::Generated);
        }
        Ok(sides)
    }

    fn language(&self) -> Option<String> {
        self.after.classified.language.clone().or_else(|| self.before.classified.language.clone())
    }
}

/// A text with what its lines are.
struct Side<'a> {
    text: &'a str,
    classified: Classified,
}

impl<'a> Side<'a> {
    fn of(path: &str, text: &'a str) -> Self {
        Self { text, classified: lines::classify(path, text) }
    }

    /// How many of the lines with these numbers are code.
    fn code(&self, numbers: &[u32]) -> u64 {
        let lines = numbers.iter().filter_map(|number| self.classified.lines.get(index(*number)?));
        lines.filter(|line| line.kind == LineKind::Code).count() as u64
    }

    /// Depths of all lines that have one.
    fn depths(&self) -> impl Iterator<Item = u32> {
        nesting::depths(self.text, &self.classified).into_iter().flatten()
    }

    /// Depths of the lines with these numbers, where they have one.
    fn depths_at(&self, numbers: &[u32]) -> impl Iterator<Item = u32> {
        let depths = nesting::depths(self.text, &self.classified);
        numbers.iter().filter_map(move |number| depths.get(index(*number)?).copied().flatten())
    }
}

/// Where a line with a number from 1 stands.
fn index(number: u32) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of one file; lines that stand in both texts, wherever, are unchanged.
    fn change(path: &str, before: &str, after: &str) -> FileChange {
        let only_in = |text: &str, other: &str| {
            let other: Vec<_> = lines::split(other).collect();
            let lines = (1..).zip(lines::split(text));
            lines.filter(|(_, line)| !other.contains(line)).map(|(number, _)| number).collect()
        };
        FileChange {
            path: path.to_owned(),
            kind: ChangeKind::Modified,
            added: only_in(after, before),
            deleted: only_in(before, after),
            before: Some(before.to_owned()),
            after: Some(after.to_owned()),
        }
    }

    #[test]
    fn lines_of_production_code_that_could_be_there_for_who_measures_are_named() {
        let size = measure(&[
            change("a.py", "x = 1\n", "# os._exit(1)\nx = 1\nos._exit(0)\n"),
            change("tests/test_a.py", "", "os._exit(0)\n"),
            change("b.py", "os._exit(0)\n", "os._exit(0)\ny = 1\n"),
        ]);
        let named: Vec<_> = size.suspicions.iter().map(|one| (one.path.as_str(), one.line)).collect();
        assert_eq!(named, [("a.py", 3)]);
    }

    #[test]
    fn only_code_lines_count() {
        let size = measure(&[change("a.py", "x = 1\n", "# why\n\nx = 2\ny = 3\n")]);
        assert_eq!((size.added, size.deleted), (2, 1));
        assert!((size.nesting_surplus - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_line_is_what_it_is_in_its_file_and_not_by_its_first_characters() {
        let before = "fn f() {}\n/*\n let gone = 1;\n*/\n";
        let after = "fn f() {}\n/*\n let talked_about = 1;\n*/\nlet s = \"\n// a string's text\n\";\n";
        let size = measure(&[change("a.rs", before, after)]);
        assert_eq!((size.added, size.deleted), (3, 0));
    }

    #[test]
    fn deeper_code_than_the_file_had_has_a_surplus() {
        let deep = "def f():\n    if a:\n        if b:\n            return 1\n";
        let size = measure(&[change("a.py", "x = 1\ny = 2\n", &format!("x = 1\ny = 2\n{deep}"))]);
        assert!((size.nesting_surplus - 2.5).abs() < 1e-9, "{}", size.nesting_surplus);
    }

    #[test]
    fn each_file_is_shown_with_what_it_counts_for_or_why_it_does_not() {
        let mut picture = change("logo.png", "", "");
        (picture.kind, picture.before, picture.after) = (ChangeKind::Added, None, None);
        let changes = [
            change("src/a.go", "package a\n", "package a\nvar x = 1\n"),
            change("data.unknown", "", "a\n\n# b\n"),
            change("go.mod", "module a\n", "module a\nrequire x.y/z v1.0.0\n"),
            change("go.sum", "", "x\n"),
            picture,
            change("README.md", "", "x\n"),
            change("schema.sql.go", "// Code generated by sqlc. DO NOT EDIT.\n", "// Now by hand\nvar y = 2\n"),
            change("mine.go", "package mine\n", "// Code generated by hand. DO NOT EDIT.\npackage mine\nvar y = 2\n"),
        ];
        let size = measure(&changes);
        let counted: Vec<_> =
            size.counted.iter().map(|f| (f.path.as_str(), f.language.as_deref(), f.added, f.deleted)).collect();
        let expected = [
            ("src/a.go", Some("go"), 1, 0),
            ("data.unknown", None, 2, 0),
            ("go.mod", None, 0, 0),
            ("mine.go", Some("go"), 1, 0),
        ];
        assert_eq!(counted, expected);
        let excluded: Vec<_> = size.excluded.iter().map(|f| (f.path.as_str(), f.reason)).collect();
        let expected = [
            ("go.sum", Exclusion::LockFile),
            ("logo.png", Exclusion::Binary),
            ("README.md", Exclusion::Prose),
            ("schema.sql.go", Exclusion::Generated),
        ];
        assert_eq!(excluded, expected);
        assert_eq!((size.added, size.deleted, size.new_dependencies), (4, 0, 1));
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
            (
                "pyproject.toml",
                "[project]\ndependencies = [\"a\"]\n",
                "[project]\ndependencies = [\n  \"a\",\n  \"b>=1\",\n]\n",
            ),
            ("Gemfile", "gem 'rails'\n", "gem 'rails'\ngem 'pg'\n"),
            ("composer.json", "{}", r#"{"require": {"php": "8", "a/b": "1"}}"#),
            ("app/A.csproj", "<Project/>", "<Project><PackageReference Include=\"Dapper\"/></Project>"),
            ("pom.xml", "<project/>", "<project><dependency><artifactId>a</artifactId></dependency></project>"),
            ("build.gradle.kts", "", "implementation(\"org.x:y:1.0\")\n"),
        ];
        for (path, before, after) in cases {
            assert_eq!(measure(&[change(path, before, after)]).new_dependencies, 1, "{path}");
        }
    }

    #[test]
    fn a_dependency_that_moves_within_a_workspace_is_not_new() {
        let with = "[dependencies]\nserde = \"1\"\n";
        let shared = "[workspace.dependencies]\nserde = \"1\"\nurl = \"2\"\n";
        let changes = [
            change("Cargo.toml", "", shared),
            change("a/Cargo.toml", with, "[dependencies]\nserde.workspace = true\nurl.workspace = true\n"),
        ];
        let size = measure(&changes);
        let new: Vec<_> = size.dependencies.iter().map(|d| (d.name.as_str(), d.manifest.as_str())).collect();
        assert_eq!(new, [("url", "Cargo.toml")]);
    }
}
