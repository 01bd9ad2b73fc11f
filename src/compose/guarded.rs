//! Files by which a run is judged although nobody names them as tests: scripts and recipes that its commands call, and those
//! that these call. Who could change them would say what is tested.

use std::collections::BTreeSet;

use super::named;
use crate::adapters::git::{CommitId, Git};
use crate::config::Config;
use crate::domain::commands;
use crate::domain::plan::{FilePattern, Plan};
use crate::error::Result;

/// How many files are followed, and how much of each is read.
const MOST: usize = 500;
const LONGEST: usize = 256 << 10;

/// Names and ends of files that say what is done and are called as programs.
const CALLED: &[&str] = &["noxfile.py", "tasks.py", "gradlew", "mvnw"];
const SCRIPTS: &[&str] = &["sh", "bash", "zsh", "fish", "mk", "just", "bats"];
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
        if seen.len() >= MOST || FilePattern::new(&path).is_err() || !seen.insert(path.clone()) {
            continue;
        }
        // A word of a script is no path for being one, and git refuses some.
        let Some(bytes) = git.file_at(base, &path).await.ok().flatten() else { continue };
        if !says_what_is_done(&path, &bytes) {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]).into_owned();
        let recipes: Vec<String> = text.lines().flat_map(recipes).collect();
        next.extend(words(&text, &path));
        next.extend(recipes.iter().cloned());
        guarded.extend(recipes);
        guarded.insert(path);
    }
    Ok(guarded.into_iter().map(|path| globset::escape(&path)).collect())
}

/// Globs of files that are tests by what their runners are told: by the base's configuration of them, or on the command line.
pub async fn patterns(config: &Config, plan: &Plan, git: &dyn Git, base: &CommitId) -> Result<Vec<String>> {
    let mut patterns: BTreeSet<String> = BTreeSet::new();
    for line in named::judging(config, plan) {
        patterns.extend(of_unittest(&commands::words(&line)));
    }
    for (files, key) in TOLD {
        for file in *files {
            let Some(bytes) = git.file_at(base, file).await? else { continue };
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]);
            patterns.extend(listed(&text, key));
        }
    }
    Ok(patterns.into_iter().filter(|pattern| is_of_tests(pattern)).map(anywhere).collect())
}

/// Files that say which files are tests, with the key by which they do.
const TOLD: &[(&[&str], &str)] = &[
    (
        &["pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "setup.cfg", "pyproject.toml"],
        "python_files",
    ),
    (
        &["package.json", "jest.config.js", "jest.config.cjs", "jest.config.mjs", "jest.config.ts", "jest.config.json"],
        "testMatch",
    ),
    (&[".mocharc.json", ".mocharc.jsonc", ".mocharc.yml", ".mocharc.yaml", ".mocharc.js", ".mocharc.cjs"], "spec"),
    (&["vitest.config.js", "vitest.config.mjs", "vitest.config.ts", "vitest.config.mts"], "include"),
];

/// The pattern that `unittest discover` is given.
fn of_unittest(words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| word == "unittest")?;
    let given = |word: &String| ["-p", "--pattern"].contains(&word.as_str());
    let behind = words[at..].iter().position(given).and_then(|option| words[at..].get(option + 1));
    behind
        .or_else(|| words[at..].iter().find(|word| word.starts_with("--pattern=")))
        .map(|word| word.trim_start_matches("--pattern=").trim_matches(['"', '\'']).to_owned())
}

/// The entries behind a key, as INI, TOML, JSON, YAML and JavaScript write lists: up to the next key.
fn listed(text: &str, key: &str) -> Vec<String> {
    let Some((_, rest)) = text.split_once(key) else { return Vec::new() };
    let rest = rest.trim_start_matches(['"', '\'', ' ']).trim_start_matches([':', '=']).trim_start_matches(' ');
    let whole = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once("],").or_else(|| inner.split_once("]\n")).map_or(inner, |(list, _)| list),
        None => {
            let mut end = rest.find('\n').unwrap_or(rest.len());
            // Lines that are further in, and entries of a list, go on.
            for line in rest[end..].split_inclusive('\n').skip(1) {
                if !line.starts_with([' ', '\t', '-']) || line.contains([':', '=']) {
                    break;
                }
                end += line.len();
            }
            &rest[..end.min(rest.len())]
        }
    };
    let is_end = |c: char| c.is_whitespace() || "\"'`".contains(c);
    whole.split(is_end).map(|word| word.trim_matches(',').trim_start_matches("<rootDir>/").to_owned()).collect()
}

/// Whether a pattern means files by a part of their names, and not all that there is of a language.
fn is_of_tests(pattern: &str) -> bool {
    let name = pattern.rsplit('/').next().unwrap_or_default();
    let stem = name.split_once('.').map_or(name, |(stem, rest)| if rest.contains('.') { rest } else { stem });
    let says = stem.chars().any(|c| c.is_ascii_alphanumeric());
    let folder = pattern.rsplit_once('/').is_some_and(|(folder, _)| folder.chars().any(|c| c.is_ascii_alphanumeric()));
    pattern.contains('.')
        && !pattern.starts_with(['!', '/', '-'])
        && !pattern.contains("..")
        && (says || folder)
        && globset::Glob::new(pattern).is_ok()
}

/// A pattern that has no folder means files anywhere.
fn anywhere(pattern: String) -> String {
    let pattern = pattern.trim_start_matches("./").to_owned();
    if pattern.contains('/') { pattern } else { format!("**/{pattern}") }
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
    commands::is_recipe(name)
        || CALLED.contains(&name)
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
    fn files_are_tests_by_what_their_runners_are_told() {
        for (text, key, expected) in [
            (
                "[pytest]\npython_files = *_checks.py check_*.py\ntestpaths = a\n",
                "python_files",
                "*_checks.py check_*.py",
            ),
            ("[pytest]\npython_files =\n    a_*.py\n    b_*.py\naddopts = -q\n", "python_files", "a_*.py b_*.py"),
            ("python_files = [\"x_*.py\", 'y_*.py']\n", "python_files", "x_*.py y_*.py"),
            ("{\"testMatch\": [\"<rootDir>/checks/**/*.js\"], \"a\": 1}", "testMatch", "checks/**/*.js"),
            ("spec:\n  - checks/*.js\n  - more/*.js\nui: bdd\n", "spec", "checks/*.js more/*.js"),
            ("x: {include: ['**/*.check.ts'], y: 1}", "include", "**/*.check.ts"),
            ("[pytest]\n", "python_files", ""),
        ] {
            let found: Vec<_> = listed(text, key).into_iter().filter(|pattern| is_of_tests(pattern)).collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
        for pattern in ["*.py", "**/*.js", "!x/*.js", "../x.py", ""] {
            assert!(!is_of_tests(pattern), "{pattern}");
        }
        let of = |line: &str| of_unittest(&commands::words(line));
        assert_eq!(of("python -m unittest discover -s app -p '*_t.py'").as_deref(), Some("*_t.py"));
        assert_eq!(of("python -m unittest discover --pattern=c*.py").as_deref(), Some("c*.py"));
        assert_eq!((of("python -m unittest"), anywhere("*_t.py".to_owned()).as_str()), (None, "**/*_t.py"));
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
