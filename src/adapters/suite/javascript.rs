//! Runners of JavaScript: how their calls are known, and how each is told to report every case.

use std::io;

use crate::adapters::process::Exchange;
use crate::domain::commands::called;

/// What starts programs of a project's own packages.
const LAUNCHERS: &[&str] = &["npx", "pnpm", "yarn", "npm", "bunx", "bun", "node"];

/// Words up to and including a program, which may stand behind what starts it: `npx --no-install mocha`, `pnpm exec mocha`.
fn program(words: &[&str], name: &str) -> Option<usize> {
    let at = words.iter().take(4).position(|word| called(word) == name)?;
    let (launcher, between) = words[..at].split_first().unzip();
    let launched = launcher.is_none_or(|launcher| LAUNCHERS.contains(&called(launcher)));
    let between = between.unwrap_or_default();
    let told = between.iter().all(|word| word.starts_with('-') || ["exec", "run", "x", "dlx"].contains(word));
    (launched && told).then_some(at + 1)
}

/// Whether any of these words is one of these options, alone or with a value.
fn has(words: &[&str], options: &[&str]) -> bool {
    words.iter().any(|word| options.contains(&word.split('=').next().unwrap_or(word)))
}

/// `node --test`; what is to be reported otherwise is left alone.
pub(super) fn node(words: &[&str]) -> Option<usize> {
    let here = words.first().is_some_and(|first| called(first) == "node") && !has(words, &["--test-reporter"]);
    words.iter().position(|word| *word == "--test").filter(|_| here).map(|at| at + 1)
}

/// Mocha.
pub(super) fn mocha(words: &[&str]) -> Option<usize> {
    program(words, "mocha").filter(|_| !has(words, &["--reporter", "-R", "--watch", "-w"]))
}

/// Vitest, as it runs once.
pub(super) fn vitest(words: &[&str]) -> Option<usize> {
    let length = program(words, "vitest").filter(|_| !has(words, &["--reporter", "--outputFile", "--watch", "-w"]))?;
    match words.get(length) {
        Some(&"run") => Some(length + 1),
        Some(other) if !other.starts_with('-') => None,
        _ => Some(length),
    }
}

/// Jest.
pub(super) fn jest(words: &[&str]) -> Option<usize> {
    program(words, "jest").filter(|_| !has(words, &["--json", "--outputFile", "--watch", "--watchAll"]))
}

/// Its own report in JUnit's form.
pub(super) fn mocha_report(exchange: &Exchange) -> io::Result<Vec<String>> {
    Ok(["--reporter", "xunit", "--reporter-option", &format!("output={}", exchange.shown())].map(str::to_owned).into())
}

/// Beside what is printed for people.
pub(super) fn vitest_report(exchange: &Exchange) -> io::Result<Vec<String>> {
    let file = format!("--outputFile.junit={}", exchange.shown());
    Ok(["--reporter=default", "--reporter=junit", &file].map(str::to_owned).into())
}

/// JSON; what is printed for people goes to standard error.
pub(super) fn jest_report(exchange: &Exchange) -> io::Result<Vec<String>> {
    Ok(vec!["--json".to_owned(), format!("--outputFile={}", exchange.shown())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(of: fn(&[&str]) -> Option<usize>, text: &str) -> Option<usize> {
        of(&text.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn a_runner_is_known_behind_whatever_starts_it_and_nothing_else_is_one() {
        for (text, expected) in [
            ("mocha", Some(1)),
            ("node_modules/.bin/mocha test", Some(1)),
            ("npx mocha test/a.js", Some(2)),
            ("npx --no-install mocha", Some(3)),
            ("pnpm exec mocha", Some(3)),
            ("npm exec -- mocha", Some(4)),
            ("node node_modules/.bin/mocha", Some(2)),
            ("npx nyc mocha", None),
            ("npm test mocha", None),
            ("sh mocha", None),
            ("npx mocha --reporter dot", None),
            ("npx mocha --watch", None),
        ] {
            assert_eq!(length(mocha, text), expected, "{text}");
        }
        for (text, expected) in [
            ("npx vitest run --dir a", Some(3)),
            ("npx vitest", Some(2)),
            ("npx vitest --run", Some(2)),
            ("npx vitest bench", None),
            ("npx vitest run --reporter=dot", None),
        ] {
            assert_eq!(length(vitest, text), expected, "{text}");
        }
        for (text, expected) in [
            ("node --test", Some(2)),
            ("node --import tsx --test a.ts", Some(4)),
            ("node --test --test-reporter=spec", None),
            ("node test.js", None),
        ] {
            assert_eq!(length(node, text), expected, "{text}");
        }
        assert_eq!((length(jest, "npx jest a"), length(jest, "jest --json")), (Some(2), None));
    }
}
