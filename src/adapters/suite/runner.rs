//! Test runners we know: how each is told to write a report and to run selected tests only.

use crate::adapters::process::Program;

/// A runner, known by its command line.
pub struct Runner {
    /// As documented.
    pub name: &'static str,
    /// How many words of the command make the program; `None` where it is another runner.
    program: fn(&[&str]) -> Option<usize>,
    /// Arguments that make it write JUnit XML to a path.
    report: fn(&str) -> Vec<String>,
    /// Arguments for the selectors alone, given all words of the command and how many make the program.
    select: fn(&[String], usize, &[String]) -> Vec<String>,
}

/// Every runner we know; what is none of them gets one selector a run as its last argument.
pub const RUNNERS: &[Runner] = &[
    Runner { name: "pytest", program: pytest, report: pytest_report, select: positional },
    Runner { name: "unittest", program: unittest, report: no_report, select: positional },
    Runner { name: "cargo test", program: cargo, report: no_report, select: filters },
    Runner { name: "go test", program: go, report: no_report, select: go_pattern },
];

/// A command, seen as a run of its tests.
pub struct Invocation {
    /// What its exit status goes by where it writes no report.
    pub label: String,
    /// What to run.
    pub program: Program,
    /// Words to add to it.
    pub extra: Vec<String>,
    /// Words to add behind those, given the path of the report that it then has to write.
    pub report: fn(&str) -> Vec<String>,
}

/// The runner of a program, where its words are known and one of ours.
fn known(program: &Program) -> Option<(&'static Runner, Vec<String>, usize)> {
    let words = program.words()?;
    let plain: Vec<&str> = words.iter().map(String::as_str).collect();
    let (runner, length) = RUNNERS.iter().find_map(|r| (r.program)(&plain).map(|length| (r, length)))?;
    Some((runner, words, length))
}

/// The whole suite.
pub fn whole(label: &str, program: &Program) -> Invocation {
    let report = known(program).map_or(no_report as fn(&str) -> _, |(runner, ..)| runner.report);
    Invocation { label: label.to_owned(), program: program.clone(), extra: Vec::new(), report }
}

/// The selected tests alone: one run for a runner that we know, and one a selector otherwise.
pub fn selected(program: &Program, selectors: &[String]) -> Vec<Invocation> {
    match known(program) {
        _ if selectors.is_empty() => Vec::new(),
        Some((runner, words, length)) => {
            let mut argv = words[..length].to_vec();
            argv.extend((runner.select)(&words, length, selectors));
            let program = Program::Argv(argv);
            vec![Invocation { label: program.to_string(), program, extra: Vec::new(), report: runner.report }]
        }
        None => {
            let one = |selector: &String| Invocation {
                label: selector.clone(),
                program: program.clone(),
                extra: vec![selector.clone()],
                report: no_report,
            };
            selectors.iter().map(one).collect()
        }
    }
}

/// The last part of a path, for programs named by their place.
fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// Words up to and including the program itself (`pytest`), Python's `-m pytest`, or what comes
/// behind `uv run` and `poetry run`.
fn module(words: &[&str], name: &str) -> Option<usize> {
    let at = words.iter().take(4).position(|word| base(word) == name)?;
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

fn cargo(words: &[&str]) -> Option<usize> {
    matches!(words, [first, "test" | "t", ..] if base(first) == "cargo").then_some(2)
}

fn go(words: &[&str]) -> Option<usize> {
    matches!(words, [first, "test", ..] if base(first) == "go").then_some(2)
}

fn pytest_report(path: &str) -> Vec<String> {
    vec![format!("--junitxml={path}")]
}

fn no_report(_: &str) -> Vec<String> {
    Vec::new()
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

    #[test]
    fn pytest_gets_a_report_in_every_spelling() {
        for text in [
            "pytest tests -v",
            ".venv/bin/pytest",
            "python3.12 -m pytest -q",
            "coverage run -m pytest",
            "uv run pytest",
            "poetry run pytest",
        ] {
            assert_eq!((whole("t", &line(text)).report)("/r.xml"), ["--junitxml=/r.xml"], "{text}");
        }
        for text in ["make pytest", "python3 tests/run.py pytest", "cargo test", "sh -c pytest"] {
            assert_eq!((whole("t", &line(text)).report)("/r.xml"), [""; 0], "{text}");
        }
    }

    #[test]
    fn selectors_take_the_form_that_the_runner_expects() {
        let cases = [
            ("pytest tests/performance/ -v --benchmark", "pytest tests/a.py::t | "),
            ("python3 -m pytest -q", "python3 -m pytest tests/a.py::t | "),
            ("python3 -m unittest discover", "python3 -m unittest tests/a.py::t | "),
            ("cargo test -p core", "cargo test -p core -- tests/a.py::t | "),
            ("cargo test -- --nocapture", "cargo test -- --nocapture tests/a.py::t | "),
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
