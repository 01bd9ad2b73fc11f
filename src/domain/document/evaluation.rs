//! What judges a variant: evaluation tests and metric bounds.

use std::ops::Range;

use super::entries::{Entry, entries, item_text};
use super::outline::{Outline, Section, SectionName};
use super::text;
use crate::domain::diagnostic::{Code, Diagnostic};
use crate::domain::measurement::MetricName;
use crate::domain::plan::{EvaluationTest, LoadPhrase, MetricBound};
use crate::domain::quantity::{Bound, QuantityError};

/// Programs that a line may start with and that are no English words.
const RUNNERS: &[&str] = &[
    "pytest",
    "py.test",
    "cargo",
    "npm",
    "npx",
    "pnpm",
    "yarn",
    "deno",
    "cmake",
    "ctest",
    "ninja",
    "gotestsum",
    "sh",
    "bash",
    "zsh",
    "dash",
    "python",
    "python3",
    "tox",
    "nox",
    "uv",
    "uvx",
    "poetry",
    "pipenv",
    "pdm",
    "ruby",
    "rspec",
    "php",
    "phpunit",
    "java",
    "mvn",
    "mvnw",
    "gradle",
    "gradlew",
    "sbt",
    "dotnet",
    "rebar3",
    "perl",
    "cabal",
    "bazel",
    "bazelisk",
    "buck2",
    "k6",
    "wrk",
    "wrk2",
    "hyperfine",
    "jest",
    "vitest",
    "mocha",
    "bats",
    "psql",
    "sqlite3",
    "redis-cli",
    "curl",
    "pgbench",
    "elixir",
    "lein",
    "zig",
    "docker",
    "podman",
];
/// Programs that are English words too: only with something that looks like an argument.
const WORDS: &[&str] = &[
    "make",
    "go",
    "just",
    "task",
    "node",
    "bun",
    "stack",
    "mix",
    "prove",
    "rake",
    "bundle",
    "composer",
    "swift",
    "env",
    "time",
    "timeout",
    "ab",
    "hey",
    "hatch",
    "nix",
    "playwright",
    "cypress",
    "invoke",
    "ant",
];
/// Folders whose files are programs.
const FOLDERS: &[&str] =
    &["bin", "script", "scripts", "tools", "ci", ".venv", "venv", "node_modules", "target", "build", "vendor"];

/// The evaluation's tests with their places.
pub(super) fn tests(text: &str, outline: &Outline, found: &mut Vec<Diagnostic>) -> Vec<(EvaluationTest, Range<usize>)> {
    let section = outline.section(SectionName::Evaluation);
    let mut tests = Vec::new();
    for span in lines_of(text, section, "tests") {
        match test(&text[span.clone()]) {
            Ok(test) => tests.push((test, span)),
            Err((message, help)) => found.push(Diagnostic::new(Code::Command, span, message).help(help)),
        }
    }
    if tests.is_empty() && !found.iter().any(|f| f.code == Code::Command) {
        let finding = Diagnostic::new(
            Code::NoTests,
            place(text, section, outline),
            "there are no tests, so nothing gates a variant",
        )
        .help("add `**Tests**:` with one command a bullet to the section Evaluation Criteria");
        found.push(finding);
    }
    tests
}

/// The metrics with their places.
pub(super) fn metrics(text: &str, outline: &Outline, found: &mut Vec<Diagnostic>) -> Vec<(MetricBound, Range<usize>)> {
    let section = outline.section(SectionName::Evaluation);
    let mut metrics: Vec<(MetricBound, Range<usize>)> = Vec::new();
    let lines = lines_of(text, section, "metrics");
    if lines.is_empty() {
        let finding = Diagnostic::new(
            Code::NoMetrics,
            place(text, section, outline),
            "there are no metrics, so no variant has points for performance",
        )
        .help(
            "add `**Metrics**:` with bullets such as `- query_latency_p95: <100ms` to the section Evaluation Criteria",
        );
        found.push(finding);
    }
    for span in lines {
        match metric(text, span.clone()) {
            Ok(metric) => {
                if let Some((_, first)) = metrics.iter().find(|(m, _)| m.name == metric.name) {
                    let finding =
                        Diagnostic::new(Code::MetricTwice, span, format!("duplicate metric `{}`", metric.name))
                            .also(first.clone(), "first here")
                            .help("keep one bound for each metric");
                    found.push(finding);
                } else {
                    metrics.push((metric, span));
                }
            }
            Err(finding) => found.push(*finding),
        }
    }
    metrics
}

fn place(text: &str, section: Option<&Section>, outline: &Outline) -> Range<usize> {
    section.map_or(outline.title.clone().unwrap_or(0..0), |s| text::trim(text, s.heading.clone()))
}

/// The lines under a field or a heading of that name, up to the next field: none is passed over,
/// whatever stands between them.
fn lines_of(text: &str, section: Option<&Section>, name: &str) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    for group in section.map(Section::groups).unwrap_or_default() {
        let mut named = group.is_named(text, name);
        for entry in entries(text, group.blocks) {
            match entry {
                Entry::Field(field) => {
                    named = text::normal(&text[field.name.clone()]) == name;
                    if named {
                        lines.extend(text::lines(text, field.value.clone()).map(|line| text::trim(text, line)));
                        lines.extend(field.items.iter().map(|item| own_text(text, item.clone())));
                    }
                }
                Entry::Item(item) if named => lines.push(own_text(text, item)),
                _ => {}
            }
        }
    }
    lines.retain(|line| !text::says_nothing(&text[line.clone()]));
    lines
}

/// The text of an item without what is nested in it.
fn own_text(text: &str, item: Range<usize>) -> Range<usize> {
    let span = item_text(text, item);
    let nested = |line: &Range<usize>| {
        let line = text[line.clone()].trim_start();
        line.is_empty() || line.starts_with("- ") || line.starts_with("* ") || line.starts_with("+ ")
    };
    let end = text::lines(text, span.clone()).skip(1).find(nested).map_or(span.end, |line| line.start);
    text::trim(text, span.start..end)
}

/// Reads one line of tests: a command or prose.
///
/// A line in backticks is a command. Else its first word decides: a path to a program, a known
/// runner, or, where the runner is an English word too, a runner with what looks like an argument.
/// Anything else is prose. An error says what is wrong and what to do.
fn test(line: &str) -> Result<EvaluationTest, (String, &'static str)> {
    let quoted = line.strip_prefix('`').and_then(|l| l.strip_suffix('`')).filter(|l| !l.contains('`'));
    let text = text::flow(quoted.unwrap_or(line)).replace('\n', " ");
    if quoted.is_none() && !is_command(&text) {
        let load = load_phrase(&text);
        return Ok(EvaluationTest::Prose { text, load });
    }
    let argv = shell_words::split(&text).map_err(|_| {
        (format!("`{text}` has a quote that is never closed"), "close the quote, or write \\' for a plain one")
    })?;
    let operators = ["|", "||", "&&", ";", "&", ">", ">>", "<", "2>&1"];
    if let Some(operator) = argv.iter().find(|word| operators.contains(&word.as_str())) {
        let message = format!("`{operator}` has no meaning in `{text}`: commands are not given to a shell");
        return Err((message, "write the whole line as an argument of a shell: sh -c '…'"));
    }
    match argv.first() {
        None => Err(("the command is empty".to_owned(), "name a program")),
        Some(first) if is_assignment(first) => {
            Err((format!("`{text}` does not start with a program"), "write `env` in front: env NAME=value program …"))
        }
        Some(_) => Ok(EvaluationTest::Command { argv, text }),
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    })
}

fn is_command(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let second = words.next();
    let rest = words.count();
    if ["./", "../", "/", "~/"].iter().any(|start| first.starts_with(start)) || is_assignment(first) {
        return true;
    }
    if let Some((folder, _)) = first.split_once('/') {
        let path = first.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-./".contains(&b));
        let program = first.rsplit('/').next().is_some_and(|name| name.contains('.'));
        return path && (program || FOLDERS.contains(&folder));
    }
    if RUNNERS.contains(&first) {
        return true;
    }
    let argument =
        |word: &str| word.starts_with('-') || word.contains(['/', '.', '=', ':']) && !word.ends_with(['.', ':']);
    let verbs = ["test", "tests", "check", "run", "bench", "exec", "build", "vet", "verify", "spec"];
    WORDS.contains(&first)
        && second.is_none_or(|word| argument(word) || verbs.contains(&word) || (rest == 0 && first == "make"))
}

/// `Load test with 1000 concurrent requests`.
fn load_phrase(text: &str) -> Option<LoadPhrase> {
    let lower = text.trim_end_matches('.').to_lowercase();
    let count = lower.strip_prefix("load test with ")?.strip_suffix(" concurrent requests")?;
    let digits: String = count.chars().filter(|c| !matches!(c, ',' | '_')).collect();
    let concurrency = digits.parse().ok().filter(|n| *n > 0)?;
    Some(LoadPhrase { concurrency })
}

/// `name: <bound> note`; the note stands in parentheses or behind a dash, comma, semicolon or `#`,
/// so that a mistyped unit is never taken for one.
fn metric(text: &str, span: Range<usize>) -> Result<MetricBound, Box<Diagnostic>> {
    let example = "write `name: <100ms`, with `<`, `<=`, `>` or `>=` and a unit; `<=+1%` is relative to the baseline";
    let refuse = |code, at: Range<usize>, message: String| Box::new(Diagnostic::new(code, at, message).help(example));
    let Some((key, value)) = text::key_value(text, span.clone()) else {
        return Err(refuse(Code::Bound, span.clone(), format!("`{}` has no bound", &text[span])));
    };
    let Some(name) = MetricName::new(&text[key.clone()]) else {
        let message = format!("`{}` can't be a metric's name", &text[key.clone()]);
        let finding = Diagnostic::new(Code::MetricNamed, key, message)
            .help("a name is 1 to 64 letters, digits, `_`, `-`, `.` or `/`");
        return Err(Box::new(finding));
    };
    let written = &text[value.clone()];
    let delimiters = ["(", " – ", " — ", " - ", " #", ", ", ";"];
    let end = delimiters.iter().filter_map(|d| written.find(d)).min().unwrap_or(written.len());
    let head = text::unquote(text, value.start..value.start + end);
    let bound = Bound::parse(&text[head.clone()]).map_err(|error| {
        let message = match error {
            QuantityError::NoComparator(_) if head.is_empty() => format!("`{name}` has no bound"),
            other => format!("`{name}`: {other}"),
        };
        refuse(Code::Bound, if head.is_empty() { span } else { head.clone() }, message)
    })?;
    if bound.never_holds() {
        let message = format!("`{name}`: nothing that is measured is less than 0, so nobody keeps this bound");
        return Err(refuse(Code::Bound, head, message));
    }
    let note =
        written[end..].trim().trim_start_matches(['–', '—', '-', '#', ',', ';', '(']).trim_end_matches(')').trim();
    Ok(MetricBound { name, bound, note: (!note.is_empty()).then(|| note.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_run(line: &str) -> bool {
        matches!(test(line), Ok(EvaluationTest::Command { .. }))
    }

    #[test]
    fn lines_that_start_with_a_program_are_commands() {
        for line in [
            "pytest tests/performance/ -v --benchmark",
            "cargo test",
            "sh tests/run.sh",
            "./x",
            "scripts/load.sh 10",
            "bin/rails test",
            "tests/run.py",
            "make test",
            "make check -j4",
            "go test ./...",
            "just bench",
            "make",
            "npm test",
            "`make sure`",
            "`anything at all`",
        ] {
            assert!(is_run(line), "{line}");
        }
    }

    #[test]
    fn sentences_are_prose() {
        for line in [
            "Load test with 1000 concurrent requests",
            "make sure that the cache is used",
            "go through the list by hand",
            "Read/write mix stays fast",
            "read/write mix stays fast",
            "node restarts lose nothing",
            "Cargo builds without warnings",
            "just works.",
            "the `cache` is warm",
        ] {
            assert!(matches!(test(line), Ok(EvaluationTest::Prose { .. })), "{line}");
        }
    }

    #[test]
    fn what_only_a_shell_understands_is_refused() {
        for line in ["pytest && cargo test", "pytest 'a", "RUST_LOG=1 cargo test", "`a | b`"] {
            assert!(test(line).is_err(), "{line}");
        }
        assert!(is_run("sh -c 'pytest && cargo test'"));
    }

    #[test]
    fn the_load_phrase_gives_its_number() {
        let load = |line: &str| load_phrase(line).map(|l| l.concurrency);
        assert_eq!(load("Load test with 1,000 concurrent requests"), Some(1000));
        assert_eq!(load("load test with 0 concurrent requests"), None);
        assert_eq!(load("Load test with many concurrent requests"), None);
    }

    #[test]
    fn a_note_needs_a_delimiter_so_that_a_mistyped_unit_is_no_note() {
        let read = |line: &str| metric(line, 0..line.len()).map(|m| (m.bound.to_string(), m.note));
        assert_eq!(read("p95: <100ms (at peak)").unwrap(), ("< 100 ms".to_owned(), Some("at peak".to_owned())));
        assert_eq!(read("`p95`: <=+1% – of the baseline").unwrap().1.as_deref(), Some("of the baseline"));
        assert_eq!(read("rows: >1,000,000").unwrap().0, "> 1000000");
        assert!(read("rows: >1,000").unwrap_err().message.contains("can be read as 1000 or as 1:"));
        assert!(read("size: <50Mb").unwrap_err().message.contains("as megabits or as megabytes: write `MB`"));
        assert!(read("p95: <=-150%").unwrap_err().message.contains("less than 0"));
        assert!(read("p95: <100 mss").unwrap_err().message.contains("did you mean `ms`?"));
        assert_eq!(read("rows: <=0 B").unwrap().0, "<= 0 B");
        assert!(read("p95: <0ms").unwrap_err().message.contains("less than 0"));
        assert_eq!(read("p95:").unwrap_err().message, "`p95` has no bound");
        assert_eq!(read("the p95: <1s").unwrap_err().code, Code::MetricNamed);
    }
}
