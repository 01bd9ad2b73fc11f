//! Test runners we know: how each is told to report every case and to run selected tests only.

use std::io;

use super::format::{self, Format};
use super::junit::Read;
use super::sentinel::{self, Told};
use super::{javascript, jest, junit};
use crate::adapters::process::{Environment, Exchange, Program};
use crate::domain::commands::called;

/// A runner, known by its command line.
pub struct Runner {
    /// As documented.
    pub name: &'static str,
    /// How many words of the command make the program; `None` where it is another runner.
    program: fn(&[&str]) -> Option<usize>,
    /// Words that would keep it from reporting every case, or that it does not take twice.
    without: &'static [&'static str],
    /// How its report is had.
    report: Report,
    /// Adds tests of ours to its run, where that can be.
    sentinels: Option<Adding>,
    /// Arguments for the selectors alone, given all words of the command and how many make the program.
    select: fn(&[String], usize, &[String]) -> Vec<String>,
}

/// How tests of ours get into a run.
type Adding = fn(&Program, &Environment, &Exchange) -> io::Result<Option<Told>>;

/// How a report is had.
#[derive(Clone, Copy)]
pub enum Report {
    /// A file at the exchange's path, for which the program gets these words, and how it is read.
    File(fn(&Exchange) -> io::Result<Vec<String>>, fn(&[u8]) -> Read),
    /// What it prints in this format, for which it gets these words and variables.
    Printed(&'static Format, &'static [&'static str], &'static [(&'static str, &'static str)]),
    /// What it prints where that is a report beyond doubt, else its exit status.
    Unknown,
}

/// Every runner we know; what is none of them gets one selector a run as its last argument.
pub const RUNNERS: &[Runner] = &[
    Runner {
        name: "pytest",
        program: pytest,
        without: &[],
        report: Report::File(pytest_report, junit::read),
        sentinels: Some(sentinel::pytest),
        select: positional,
    },
    Runner {
        name: "unittest",
        program: unittest,
        without: &[],
        report: Report::Unknown,
        sentinels: Some(sentinel::unittest),
        select: positional,
    },
    Runner {
        name: "cargo test",
        program: cargo,
        without: CARGO_WITHOUT,
        report: CARGO_REPORT,
        sentinels: None,
        select: filters,
    },
    Runner {
        name: "cargo nextest run",
        program: nextest,
        without: &["--no-fail-fast", "--nff"],
        report: Report::File(nextest_report, junit::read),
        sentinels: None,
        select: filters,
    },
    Runner {
        name: "go test",
        program: go,
        without: &["-json", "--json"],
        report: Report::Printed(&format::GO, &["-json"], &[]),
        sentinels: None,
        select: go_pattern,
    },
    Runner {
        name: "node --test",
        program: javascript::node,
        without: &[],
        report: Report::Printed(&format::TAP, &["--test-reporter=tap"], &[]),
        sentinels: None,
        select: positional,
    },
    Runner {
        name: "mocha",
        program: javascript::mocha,
        without: &[],
        report: Report::File(javascript::mocha_report, junit::read),
        sentinels: None,
        select: positional,
    },
    Runner {
        name: "vitest",
        program: javascript::vitest,
        without: &[],
        report: Report::File(javascript::vitest_report, junit::read),
        sentinels: None,
        select: positional,
    },
    Runner {
        name: "jest",
        program: javascript::jest,
        without: &[],
        report: Report::File(javascript::jest_report, jest::read),
        sentinels: None,
        select: positional,
    },
];

/// Less or more than one line a test, and headings of another form.
const CARGO_WITHOUT: &[&str] = &["-q", "--quiet", "-v", "-vv", "--verbose", "--no-fail-fast"];
/// A failure must not keep the programs behind it from being run.
const CARGO_REPORT: Report = Report::Printed(
    &format::CARGO,
    &["--no-fail-fast"],
    &[("CARGO_TERM_QUIET", "false"), ("CARGO_TERM_VERBOSE", "false"), ("CARGO_TERM_COLOR", "never")],
);

/// A command, seen as a run of its tests.
pub struct Invocation {
    /// What its exit status goes by where it writes no report.
    pub label: String,
    /// How its report is had.
    pub report: Report,
    /// Adds tests of ours, where that can be.
    sentinels: Option<Adding>,
    /// What to run.
    program: Program,
    /// Words to add to it.
    extra: Vec<String>,
    /// Behind how many of its words those for the report belong.
    length: usize,
}

impl Invocation {
    /// What to run, and the words to add to it, so that its report is had and tests of ours are in it.
    pub fn line(&self, exchange: &Exchange, ours: Option<&Told>) -> io::Result<(Program, Vec<String>)> {
        let mut told = match self.report {
            Report::File(words, _) => words(exchange)?,
            Report::Printed(_, words, _) => words.iter().map(|word| (*word).to_owned()).collect(),
            Report::Unknown => Vec::new(),
        };
        told.extend(ours.iter().flat_map(|ours| ours.words.iter().cloned()));
        let replaced = ours.map_or(0, |ours| ours.replaces);
        let program = match self.program.words().filter(|_| !told.is_empty()) {
            Some(mut words) => {
                words.splice(self.length - replaced..self.length, told);
                match self.program {
                    Program::Argv(_) => Program::Argv(words),
                    Program::Shell(_) => Program::Shell(shell_words::join(words)),
                }
            }
            None => self.program.clone(),
        };
        Ok((program, self.extra.clone()))
    }

    /// Tests of ours that are added to it.
    pub fn sentinels(&self, env: &Environment, exchange: &Exchange) -> io::Result<Option<Told>> {
        self.sentinels.map_or(Ok(None), |add| add(&self.program, env, exchange))
    }

    /// How a file of its is read.
    pub fn read(&self) -> fn(&[u8]) -> Read {
        if let Report::File(_, read) = self.report { read } else { junit::read }
    }

    /// Variables that its report needs.
    pub fn vars(&self) -> &'static [(&'static str, &'static str)] {
        if let Report::Printed(_, _, vars) = self.report { vars } else { &[] }
    }
}

/// The runner of a program, where its words are known and one of ours; the words are those that
/// go with a report.
fn known(program: &Program) -> Option<(&'static Runner, Vec<String>, usize)> {
    let words = program.words()?;
    let plain: Vec<&str> = words.iter().map(String::as_str).collect();
    let (runner, length) = RUNNERS.iter().find_map(|r| (r.program)(&plain).map(|length| (r, length)))?;
    let stays = |(at, word): &(usize, &String)| *at < length || !runner.without.contains(&word.as_str());
    let words = words.iter().enumerate().filter(stays).map(|(_, word)| word.clone()).collect();
    Some((runner, words, length))
}

/// The whole suite.
pub fn whole(label: &str, program: &Program) -> Invocation {
    let label = label.to_owned();
    match known(program) {
        Some((runner, words, length)) => {
            let program = match program {
                Program::Argv(_) => Program::Argv(words),
                Program::Shell(_) => Program::Shell(shell_words::join(words)),
            };
            let (report, sentinels) = (runner.report, runner.sentinels);
            Invocation { label, program, extra: Vec::new(), report, sentinels, length }
        }
        None => Invocation {
            label,
            program: program.clone(),
            extra: Vec::new(),
            report: Report::Unknown,
            sentinels: None,
            length: 0,
        },
    }
}

/// The selected tests alone: one run for a runner that we know, and one a selector otherwise.
pub fn selected(program: &Program, selectors: &[String]) -> Vec<Invocation> {
    match known(program) {
        _ if selectors.is_empty() => Vec::new(),
        Some((runner, words, length)) => {
            let mut argv = words[..length].to_vec();
            argv.extend((runner.select)(&words, length, selectors));
            let program = Program::Argv(argv);
            let (report, sentinels) = (runner.report, runner.sentinels);
            vec![Invocation { label: program.to_string(), program, extra: Vec::new(), report, sentinels, length }]
        }
        None => {
            let one = |selector: &String| Invocation {
                label: selector.clone(),
                program: program.clone(),
                extra: vec![selector.clone()],
                report: Report::Unknown,
                sentinels: None,
                length: 0,
            };
            selectors.iter().map(one).collect()
        }
    }
}

/// Words up to and including the program itself (`pytest`), Python's `-m pytest`, or what comes
/// behind `uv run` and `poetry run`.
fn module(words: &[&str], name: &str) -> Option<usize> {
    let at = words.iter().take(4).position(|word| called(word) == name)?;
    let as_module = at >= 2 && words[at - 1] == "-m";
    let behind_runner = at == 2 && words[1] == "run";
    (at == 0 || as_module || behind_runner).then_some(at + 1)
}

fn pytest(words: &[&str]) -> Option<usize> {
    module(words, "pytest").or_else(|| module(words, "py.test"))
}

fn unittest(words: &[&str]) -> Option<usize> {
    module(words, "unittest").filter(|length| *length > 1)
}

/// Words up to and including `test`; a toolchain may stand before it.
fn cargo(words: &[&str]) -> Option<usize> {
    match words {
        [first, "test" | "t", ..] if called(first) == "cargo" => Some(2),
        [first, toolchain, "test" | "t", ..] if called(first) == "cargo" && toolchain.starts_with('+') => Some(3),
        _ => None,
    }
}

fn nextest(words: &[&str]) -> Option<usize> {
    match words {
        [first, "nextest", "run" | "r", ..] if called(first) == "cargo" => Some(3),
        [first, toolchain, "nextest", "run" | "r", ..] if called(first) == "cargo" && toolchain.starts_with('+') => {
            Some(4)
        }
        _ => None,
    }
}

fn go(words: &[&str]) -> Option<usize> {
    matches!(words, [first, "test", ..] if called(first) == "go").then_some(2)
}

fn pytest_report(exchange: &Exchange) -> io::Result<Vec<String>> {
    Ok(vec![format!("--junitxml={}", exchange.shown())])
}

/// A configuration for one tool stands behind the repository's own, which stays as it is. The
/// alternative, `--message-format libtest-json`, is an experiment and gives a package's library
/// and its program of the same name one name.
fn nextest_report(exchange: &Exchange) -> io::Result<Vec<String>> {
    let config = exchange.path().with_extension("toml");
    let path = serde_json::Value::from(exchange.shown());
    std::fs::write(&config, format!("[profile.default.junit]\npath = {path}\n"))?;
    Ok(vec![format!("--tool-config-file=blueprint:{}", config.display()), "--no-fail-fast".to_owned()])
}

/// The program and the selectors. The command's other words go: they may select tests
/// themselves, and whether a word is a path or an option's value can't be told.
fn positional(_: &[String], _: usize, selectors: &[String]) -> Vec<String> {
    selectors.to_vec()
}

/// Cargo takes any number of filters behind `--`; what stands before it (packages, features,
/// profiles) decides what is built, and stays.
fn filters(words: &[String], length: usize, selectors: &[String]) -> Vec<String> {
    let mut all = words[length..].to_vec();
    if !all.iter().any(|word| word == "--") {
        all.push("--".to_owned());
    }
    all.extend_from_slice(selectors);
    all
}

fn go_pattern(words: &[String], length: usize, selectors: &[String]) -> Vec<String> {
    let mut all = words[length..].to_vec();
    all.extend(["-run".to_owned(), format!("^({})$", selectors.join("|"))]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Program {
        Program::Argv(shell_words::split(text).unwrap())
    }

    fn select(text: &str, selectors: &[&str]) -> Vec<String> {
        let selectors: Vec<_> = selectors.iter().map(|s| (*s).to_owned()).collect();
        let runs = selected(&line(text), &selectors);
        runs.iter().map(|run| format!("{} | {}", run.program, run.extra.join(" "))).collect()
    }

    /// A command as it is run for a report at `/r`.
    fn told(program: &Program) -> String {
        let scratch = tempfile::tempdir().unwrap();
        let exchange = Exchange::new(scratch.path(), "junit.xml").unwrap();
        let (program, extra) = whole("t", program).line(&exchange, None).unwrap();
        assert_eq!(extra, [""; 0]);
        let place = exchange.path().parent().unwrap().to_str().unwrap();
        program.words().map_or(program.to_string(), |words| words.join(" ")).replace(place, "/r")
    }

    #[test]
    fn every_spelling_of_a_runner_is_told_how_to_report() {
        let report = "--junitxml=/r/junit.xml";
        for (text, expected) in [
            ("pytest tests -v", format!("pytest {report} tests -v")),
            (".venv/bin/pytest", format!(".venv/bin/pytest {report}")),
            ("python3.12 -m pytest -q", format!("python3.12 -m pytest {report} -q")),
            ("coverage run -m pytest", format!("coverage run -m pytest {report}")),
            ("uv run pytest", format!("uv run pytest {report}")),
            ("poetry run pytest", format!("poetry run pytest {report}")),
            ("cargo test", "cargo test --no-fail-fast".to_owned()),
            ("cargo +1.94 t -q --no-fail-fast -p a -- -q b", "cargo +1.94 t --no-fail-fast -p a -- b".to_owned()),
            ("go test -json -v ./...", "go test -json -v ./...".to_owned()),
            ("node --test test", "node --test --test-reporter=tap test".to_owned()),
            ("npx mocha a", "npx mocha --reporter xunit --reporter-option output=/r/junit.xml a".to_owned()),
            (
                "npx vitest run a",
                "npx vitest run --reporter=default --reporter=junit --outputFile.junit=/r/junit.xml a".to_owned(),
            ),
            ("npx jest a", "npx jest --json --outputFile=/r/junit.xml a".to_owned()),
            (
                "cargo nextest run -p a",
                "cargo nextest run --tool-config-file=blueprint:/r/junit.toml --no-fail-fast -p a".to_owned(),
            ),
        ] {
            assert_eq!(told(&line(text)), expected);
            assert_eq!(told(&Program::Shell(text.to_owned())), expected);
        }
        for text in ["make pytest", "python3 tests/run.py pytest", "sh -c pytest", "python3 -m unittest", "cargo build"]
        {
            assert_eq!(told(&line(text)), text);
        }
        for text in ["RUST_LOG=1 cargo test", "cargo test | tee log"] {
            assert_eq!(told(&Program::Shell(text.to_owned())), text);
        }
    }

    #[test]
    fn a_place_with_quotes_in_its_name_is_written_as_toml_reads_it() {
        let scratch = tempfile::Builder::new().prefix("a\"b'c ").tempdir().unwrap();
        let exchange = Exchange::new(scratch.path(), "junit.xml").unwrap();
        nextest_report(&exchange).unwrap();
        let text = std::fs::read_to_string(exchange.path().with_extension("toml")).unwrap();
        assert!(text.starts_with("[profile.default.junit]\npath = \"/") && text.contains("/a\\\"b'c "), "{text}");
    }

    #[test]
    fn selectors_take_the_form_that_the_runner_expects() {
        let cases = [
            ("pytest tests/performance/ -v --benchmark", "pytest tests/a.py::t | "),
            ("python3 -m pytest -q", "python3 -m pytest tests/a.py::t | "),
            ("python3 -m unittest discover", "python3 -m unittest tests/a.py::t | "),
            ("cargo test -p core", "cargo test -p core -- tests/a.py::t | "),
            ("cargo test -- --nocapture", "cargo test -- --nocapture tests/a.py::t | "),
            ("cargo nextest run --release", "cargo nextest run --release -- tests/a.py::t | "),
            ("go test ./...", "go test ./... -run '^(tests/a.py::t)$' | "),
            ("python3 tests/run.py", "python3 tests/run.py | tests/a.py::t"),
        ];
        for (text, expected) in cases {
            assert_eq!(select(text, &["tests/a.py::t"]), [expected], "{text}");
        }
    }

    #[test]
    fn an_unknown_runner_gets_one_selector_a_run() {
        assert_eq!(select("./check.sh", &["a", "b"]), ["./check.sh | a", "./check.sh | b"]);
        assert_eq!(select("./check.sh", &[]), [""; 0]);
    }
}
