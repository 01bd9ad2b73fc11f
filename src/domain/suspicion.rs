//! Lines of a change that could be there for whoever measures and tests it, and not for its users.
//!
//! What is found here proves nothing: programs end, look at their environment and compare. It is shown with its lines, so
//! that a person looks at them; where that is asked for, such a change does not land without one. It never speaks for a change.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a line may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suspect {
    /// It reaches into a test runner, or into the frames and modules of whoever calls.
    Runner,
    /// It looks at variables that tell who is testing.
    Environment,
    /// It puts another clock in a clock's place.
    Clock,
    /// It stops other processes, or starts one that outlives it.
    Processes,
    /// It ends the process.
    Exit,
    /// It looks at what the system tells of processes, or at what they share.
    System,
    /// It is equal to everything.
    Equality,
}

impl fmt::Display for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runner => "reaches into a test runner or its caller",
            Self::Environment => "asks who is testing",
            Self::Clock => "replaces a clock",
            Self::Processes => "stops processes or outlives its own",
            Self::Exit => "ends the process",
            Self::System => "looks at processes or shared memory",
            Self::Equality => "is equal to everything",
        })
    }
}

/// One line that could do such a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspicion {
    /// Of the changed file, relative to the root.
    pub path: String,
    /// From 1.
    pub line: u32,
    /// What it may do.
    pub what: Suspect,
    /// What it says, without the blanks around it and not longer than 120 characters.
    pub text: String,
}

/// As much of a line is kept.
const SHOWN: usize = 120;
/// As many lines of a change are named.
const MOST: usize = 20;

/// What such lines say, with blanks or without. A word that goes on before or behind it is another one.
const WORDS: &[(Suspect, &[&str])] = &[
    (
        Suspect::Runner,
        &[
            "_pytest",
            "hookimpl",
            "pytest.skip",
            "pytest.xfail",
            "pytest.exit",
            "pytest.fail",
            "unittest.TestCase.",
            "unittest.case",
            "unittest.TestResult",
            "SkipTest",
            "sys.modules",
            "sys._getframe",
            "sys.settrace",
            "inspect.stack",
            "inspect.currentframe",
            "gc.get_objects",
            "__builtins__",
            "AssertionError=",
            "cfg!(test)",
            "testing.Testing",
            "flag.Lookup(\"test",
            "jest.",
            "Function.prototype",
            "Object.prototype",
        ],
    ),
    (
        Suspect::Environment,
        &["BLUEPRINT_", "PYTEST_", "JEST_WORKER_ID", "VITEST", "NODE_TEST_CONTEXT", "CARGO_TARGET_TMPDIR", "NEXTEST"],
    ),
    (
        Suspect::Clock,
        &[
            "time.time=",
            "time.monotonic=",
            "time.perf_counter=",
            "time.perf_counter_ns=",
            "time.process_time=",
            "setattr(time,",
            "performance.now=",
            "Date.now=",
            "process.hrtime=",
            "clock_gettime",
            "LD_PRELOAD",
            "faketime",
        ],
    ),
    (
        Suspect::Processes,
        &[
            "os.kill",
            "os.killpg",
            "process.kill",
            "libc::kill",
            "syscall.Kill",
            "SIGSTOP",
            "SIGKILL",
            "os.fork",
            "libc::fork",
            "setsid",
            "daemonize",
            "daemon(",
            "nohup",
            "start_new_session=True",
            "detached:true",
        ],
    ),
    (
        Suspect::Exit,
        &[
            "os._exit",
            "sys.exit",
            "process.exit",
            "process.reallyExit",
            "process::exit",
            "process::abort",
            "os.Exit",
            "System.exit",
            "atexit.register",
            "exit(0)",
        ],
    ),
    (Suspect::System, &["/proc/", "/sys/", "/dev/shm", "/dev/cpu"]),
];

/// What a line of code may do, with the line that follows it.
fn suspect(line: &str, next: Option<&str>) -> Option<Suspect> {
    let bare: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    let equal = line.contains("def __eq__") && (line.ends_with("return True") || next == Some("return True"));
    let named = WORDS
        .iter()
        .find(|(_, words)| words.iter().any(|word| says(line, word) || says(&bare, word)))
        .map(|(what, _)| *what);
    named.or(equal.then_some(Suspect::Equality))
}

/// Whether a word stands in there by itself.
fn says(bare: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    bare.match_indices(word).any(|(at, _)| {
        let (before, behind) = (bare[..at].chars().next_back(), bare[at + word.len()..].chars().next());
        let (begins, ends) = (word.starts_with(is_part), word.ends_with(is_part) && !word.ends_with('_'));
        // An assignment is no comparison.
        let compares = word.ends_with('=') && behind == Some('=');
        let goes_on = begins && before.is_some_and(is_part) || ends && behind.is_some_and(is_part);
        !goes_on && !compares
    })
}

/// Adds what lines with these numbers of a file may do; `is_code` tells which of its lines are no comment.
pub(crate) fn find(found: &mut Vec<Suspicion>, path: &str, text: &str, added: &[u32], is_code: impl Fn(u32) -> bool) {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let line = |number: u32| lines.get(usize::try_from(number).ok()?.checked_sub(1)?).copied();
    for number in added.iter().copied().filter(|number| is_code(*number)) {
        if found.len() >= MOST {
            return;
        }
        let Some(text) = line(number) else { continue };
        if let Some(what) = suspect(text, line(number + 1)) {
            let text = text.chars().take(SHOWN).collect();
            found.push(Suspicion { path: path.to_owned(), line: number, what, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_could_be_there_for_who_measures_is_known_by_what_it_says() {
        for (line, expected) in [
            ("import _pytest.runner", Suspect::Runner),
            ("unittest.TestCase.assertEqual = lambda *a: None", Suspect::Runner),
            ("if cfg!(test) {", Suspect::Runner),
            ("if os.environ.get(\"BLUEPRINT_SEED\"):", Suspect::Environment),
            ("time.perf_counter = lambda: 0", Suspect::Clock),
            ("setattr(time, 'time', f)", Suspect::Clock),
            ("performance.now=()=>0", Suspect::Clock),
            ("os.kill(os.getppid(), signal.SIGSTOP)", Suspect::Processes),
            ("spawn(x, {detached: true})", Suspect::Processes),
            ("os._exit(0)", Suspect::Exit),
            ("std::process::exit(0);", Suspect::Exit),
            ("open('/proc/self/maps')", Suspect::System),
            ("def __eq__(self, other): return True", Suspect::Equality),
        ] {
            assert_eq!(suspect(line, None), Some(expected), "{line}");
        }
        assert_eq!(suspect("def __eq__(self, other):", Some("return True")), Some(Suspect::Equality));
    }

    #[test]
    fn what_only_looks_alike_is_not_suspected() {
        for line in [
            "if time.time == other:",
            "started = time.perf_counter()",
            "my_os.killer()",
            "def __eq__(self, other):",
            "sys.exiting = 1",
            "subprocess.run(['ls'])",
            "proc = 1 / process",
            "let daemon = Daemon::new();",
            "self.assertEqual(a, b)",
        ] {
            assert_eq!(suspect(line, Some("return self.a == other.a")), None, "{line}");
        }
    }

    #[test]
    fn comments_and_lines_that_were_there_are_not_looked_at_and_few_are_named() {
        let text = "os._exit(1)\n# os._exit(2)\nx = 1\n    os._exit(3)  # now\n";
        let mut found = Vec::new();
        find(&mut found, "a.py", text, &[2, 3, 4], |number| number != 2);
        let only =
            Suspicion { path: "a.py".to_owned(), line: 4, what: Suspect::Exit, text: "os._exit(3)  # now".to_owned() };
        assert_eq!(found, [only]);
        let many = "os._exit(1)\n".repeat(MOST + 5);
        find(&mut found, "b.py", &many, &(1..=25).collect::<Vec<_>>(), |_| true);
        assert_eq!(found.len(), MOST);
    }
}
