//! The tables of `docs/architecture.md` that name every file.

use std::collections::BTreeSet;

use super::modules::Modules;

/// What a row of a table begins with in front of which a line says which columns it has.
const HEAD: &str = "| folder | files |";

/// Files that the tables do not name, and names in them that are no files.
pub fn differences(page: &str, modules: &Modules) -> Vec<String> {
    let named = named(page);
    let mut files: BTreeSet<String> =
        modules.0.keys().filter(|path| !path.is_empty()).map(|path| path.join("/")).collect();
    files.extend(["lib", "main"].map(str::to_owned));
    let missing = files.difference(&named).map(|file| format!("`{file}` is not named"));
    missing.chain(named.difference(&files).map(|name| format!("`{name}` is named, and is no file"))).collect()
}

/// The files that the tables name: `adapters/git/refs`, without endings.
fn named(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut within = false;
    for line in page.lines() {
        within = line == HEAD || (within && line.starts_with('|'));
        let mut cells = line.trim_matches('|').split(" | ");
        let (Some(folder), Some(files), true) = (cells.next(), cells.next(), within) else { continue };
        let Some(folder) = quoted(folder).next() else { continue };
        let below = if folder == "src" { String::new() } else { format!("{folder}/") };
        found.extend((folder != "src").then(|| folder.to_owned()));
        found.extend(quoted(files).map(|file| format!("{below}{file}")));
    }
    found
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn a_file_without_a_name_and_a_name_without_a_file_are_found() {
    let root = ("lib.rs", "mod a;");
    let modules = |files: &[(&str, &str)]| Modules::read(&[files, &[root]].concat());
    let page = "`x`, of which:\n\n| folder | files |\n|---|---|\n| `src` | `main`, `lib`, `a` |\n| `a` (some) | `b` is one |\n\n`y`";
    let whole = [("a/mod.rs", "mod b;\n#[cfg(test)]\nmod tests;"), ("a/b.rs", ""), ("a/tests.rs", "")];
    assert_eq!(differences(page, &modules(&whole)), Vec::<String>::new());
    let more = [("a/mod.rs", "mod b;\nmod c;"), ("a/b.rs", ""), ("a/c.rs", "")];
    assert_eq!(differences(page, &modules(&more)), ["`a/c` is not named"]);
    assert_eq!(differences(page, &modules(&[("a.rs", "")])), ["`a/b` is named, and is no file"]);
}
