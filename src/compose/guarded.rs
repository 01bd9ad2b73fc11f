//! Files by which a run is judged although nobody names them as tests: scripts and recipes that its commands call, and those
//! that these call. Who could change them would say what is tested.

use std::collections::BTreeSet;

use super::named;
use crate::adapters::git::{CommitId, Git};
use crate::config::Config;
use crate::domain::commands;
use crate::domain::plan::Plan;
use crate::error::Result;

/// How many files are followed, and how much of each is read.
const MOST: usize = 500;
const LONGEST: usize = 256 << 10;

/// Names and ends of files that say what is done, whatever they are called by.
const RECIPES: &[&str] = &[
    "makefile",
    "gnumakefile",
    "justfile",
    ".justfile",
    "rakefile",
    "taskfile.yml",
    "taskfile.yaml",
    "package.json",
    "noxfile.py",
    "tasks.py",
    "gradlew",
    "mvnw",
];
const SCRIPTS: &[&str] = &["sh", "bash", "zsh", "fish", "mk", "mak", "just", "bats"];
/// Folders of what a project is worked on with, and not made of.
const WORKSHOPS: &[&str] = &["scripts", "script", "tools", "ci", ".ci", "hack", "dev", ".github"];

/// Paths of the base that say what set-up, builds, tests and metrics do, and of recipes that would be read if they were there.
pub async fn files(config: &Config, plan: &Plan, git: &dyn Git, base: &CommitId) -> Result<Vec<String>> {
    let lines = named::judging(config, plan);
    let mut guarded: BTreeSet<String> = lines.iter().flat_map(|line| recipes(line)).collect();
    let mut next: Vec<String> = lines.iter().flat_map(|line| named::of_line(line)).collect();
    next.extend(guarded.iter().cloned());
    let mut seen = BTreeSet::new();
    while let Some(path) = next.pop() {
        if seen.len() >= MOST || !seen.insert(path.clone()) {
            continue;
        }
        let Some(bytes) = git.file_at(base, &path).await?.filter(|bytes| says_what_is_done(&path, bytes)) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]).into_owned();
        let recipes: Vec<String> = text.lines().flat_map(recipes).collect();
        next.extend(words(&text, &path));
        next.extend(recipes.iter().cloned());
        guarded.extend(recipes);
        guarded.insert(path);
    }
    Ok(guarded.into_iter().map(|path| globset::escape(&path)).collect())
}

/// What a line reads that says what it does.
fn recipes(line: &str) -> Vec<String> {
    commands::reads(line).into_iter().filter(|read| read.recipe).map(|read| read.path).collect()
}

/// Whether a file says what is done, as scripts and recipes do, and is no part of what is made.
fn says_what_is_done(path: &str, bytes: &[u8]) -> bool {
    let lower = path.to_ascii_lowercase();
    let (folders, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let shell = first.starts_with(b"#!") && String::from_utf8_lossy(first).trim_end().ends_with("sh");
    RECIPES.contains(&name)
        || SCRIPTS.contains(&extension)
        || shell
        || folders.split('/').any(|folder| WORKSHOPS.contains(&folder))
}

/// What may be paths in a script: from the root, or from its own folder.
fn words(text: &str, path: &str) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_end = |c: char| c.is_whitespace() || "\"'();&|<>`${}=,:[]".contains(c);
    let plain = text.split(is_end).map(|word| word.trim_start_matches("./").trim_matches('/'));
    let plain: BTreeSet<&str> = plain.filter(|word| !word.is_empty() && !word.starts_with(['-', '.', '#'])).collect();
    let beside = |word: &&str| if folder.is_empty() { None } else { Some(format!("{folder}/{word}")) };
    plain.iter().filter_map(beside).chain(plain.iter().map(|word| (*word).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_recipes_say_what_is_done_and_what_is_made_does_not() {
        for path in ["Makefile", "web/package.json", "run.sh", "build.mk", "scripts/check.py", "tools/gen"] {
            assert!(says_what_is_done(path, b""), "{path}");
        }
        assert!(says_what_is_done("check", b"#!/usr/bin/env bash\ntrue\n") && says_what_is_done("x", b"#!/bin/sh\n"));
        for (path, bytes) in [("app/main.py", &b"#!/usr/bin/env python3\n"[..]), ("src/lib.rs", b""), ("cost.txt", b"")]
        {
            assert!(!says_what_is_done(path, bytes), "{path}");
        }
    }

    #[test]
    fn a_script_calls_others_from_the_root_or_from_where_it_lies() {
        let found =
            words("sh \"$(dirname \"$0\")/inner.sh\" && ./ci/other.sh --x=conf/y\ninclude build.mk\n", "ci/a.sh");
        for path in ["ci/inner.sh", "ci/other.sh", "conf/y", "build.mk", "ci/build.mk"] {
            assert!(found.contains(&path.to_owned()), "{path}: {found:?}");
        }
    }
}
