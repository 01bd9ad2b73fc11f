//! Tests of ours among those of a suite, with names that nobody knows: some that have to pass, and some that have to fail. What
//! runs in one process with its tests can end it early, write a report of its own or let every test pass; then they are
//! missing, or have ended otherwise.

use std::io;

use crate::adapters::process::{Environment, Exchange, Program, secret};
use crate::domain::cases::{TestCase, TestStatus};
use crate::domain::trial::Failure;

/// A file that pytest loads, with places for the names of its tests.
const PYTEST: &str = include_str!("pytest.py");
/// What is run instead of unittest, likewise.
const UNITTEST: &str = include_str!("unittest.py");
/// Bits of a name.
const BITS: usize = 64;

/// The names of the tests, without what stands before them.
#[derive(Debug)]
pub struct Sentinels {
    /// Before all others: passes, fails.
    first: [String; 2],
    /// Behind them.
    last: [String; 2],
}

/// What a suite is told so that they are in it.
pub struct Told {
    /// Words behind the program.
    pub words: Vec<String>,
    /// How many words of the program they take the place of.
    pub replaces: usize,
    /// Variables.
    pub vars: Vec<(&'static str, String)>,
    /// Who they are.
    pub sentinels: Sentinels,
}

/// For pytest; `None` where this call of Python heeds no variables.
pub fn pytest(program: &Program, env: &Environment, exchange: &Exchange) -> io::Result<Option<Told>> {
    if heeds_nothing(program) {
        return Ok(None);
    }
    let mut told = written(PYTEST, env, exchange)?;
    told.words.insert(0, "-p".to_owned());
    Ok(Some(told))
}

/// For unittest, whose place a module of ours takes that does the same; `None` where this call of Python heeds no variables.
pub fn unittest(program: &Program, env: &Environment, exchange: &Exchange) -> io::Result<Option<Told>> {
    let named = program.words().is_some_and(|words| words.windows(2).any(|pair| pair == ["-m", "unittest"]));
    if !named || heeds_nothing(program) {
        return Ok(None);
    }
    Ok(Some(Told { replaces: 1, ..written(UNITTEST, env, exchange)? }))
}

/// Whether Python is told not to look at variables, or not at the folders that one of them names.
fn heeds_nothing(program: &Program) -> bool {
    let words = program.words().unwrap_or_default();
    let deaf = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains(['I', 'E', 'P']);
    words.iter().take_while(|word| *word != "-m").any(deaf)
}

/// Writes a module of ours where nobody else's is, with names that nobody knows; what Python is told so that it finds
/// the module by its name.
fn written(text: &str, env: &Environment, exchange: &Exchange) -> io::Result<Told> {
    let name = || Ok::<_, io::Error>(format!("x{}", secret(BITS)?));
    let (first, last) = ([name()?, name()?], [name()?, name()?]);
    let module = format!("blueprint_{}", name()?);
    let text = text
        .replace("__PASSES__", &first[0])
        .replace("__FAILS__", &first[1])
        .replace("__PASSES_AT_THE_END__", &last[0])
        .replace("__FAILS_AT_THE_END__", &last[1]);
    let place = exchange.path().with_file_name(format!("{module}.py"));
    std::fs::write(&place, text)?;
    let folder = place.parent().unwrap_or(&place).display().to_string();
    let before = env.get("PYTHONPATH").cloned().unwrap_or_default();
    let path = if before.is_empty() { folder } else { format!("{folder}:{before}") };
    let vars = vec![("PYTHONPATH", path), ("BLUEPRINT_PYTHONPATH", before)];
    Ok(Told { words: vec![module], replaces: 0, vars, sentinels: Sentinels { first, last } })
}

impl Sentinels {
    /// Takes them out of a report. What is wrong with them, in words; those at the end may be missing where the run stopped at a
    /// failure.
    pub fn take(&self, cases: &mut Vec<TestCase>, failures: &mut Vec<Failure>) -> Result<(), String> {
        let ended = |name: &String| cases.iter().find(|case| case.name.ends_with(&format!("test_{name}")));
        let is = |name: &String, status| ended(name).is_some_and(|case| case.status == status);
        let holds = |[passes, fails]: &[String; 2]| is(passes, TestStatus::Passed) && is(fails, TestStatus::Failed);
        let missing = self.last.iter().all(|name| ended(name).is_none());
        let (first, last) = (holds(&self.first), holds(&self.last));
        let all = || self.first.iter().chain(&self.last);
        let theirs = |text: &str| all().any(|name| text.ends_with(&format!("test_{name}")));
        let passed = all().skip(1).step_by(2).any(|name| is(name, TestStatus::Passed));
        cases.retain(|case| !theirs(&case.name));
        failures.retain(|failure| !theirs(&failure.test));
        let stopped = missing && cases.iter().any(|case| case.status == TestStatus::Failed);
        match (first && (last || stopped), passed) {
            (true, _) => Ok(()),
            (false, true) => Err("a test of ours that fails is told to have passed".to_owned()),
            (false, false) => Err("tests of ours that were added to it are not in its report".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentinels() -> Sentinels {
        Sentinels { first: ["p1", "f1"].map(str::to_owned), last: ["p2", "f2"].map(str::to_owned) }
    }

    fn case(name: &str, passed: bool) -> TestCase {
        TestCase { name: name.to_owned(), status: if passed { TestStatus::Passed } else { TestStatus::Failed } }
    }

    #[test]
    fn a_report_holds_where_ours_are_in_it_and_ended_as_they_have_to() {
        let ours = [("x::test_p1", true), ("x::test_f1", false), ("x::test_p2", true), ("x::test_f2", false)];
        let of = |list: &[(&str, bool)]| list.iter().map(|(name, passed)| case(name, *passed)).collect::<Vec<_>>();
        let told = |mut cases: Vec<TestCase>| sentinels().take(&mut cases, &mut vec![]).map(|()| cases.len());
        assert_eq!(told([of(&ours), of(&[("a", true)])].concat()), Ok(1));
        assert_eq!(told([of(&ours[..2]), of(&[("a", false)])].concat()), Ok(1), "it stopped at a failure");
        told([of(&ours[..2]), of(&[("a", true)])].concat()).unwrap_err();
        told(of(&[("a", true)])).unwrap_err();
        let all: Vec<_> = ours.map(|(name, _)| case(name, true)).into();
        assert!(told(all).unwrap_err().contains("told to have passed"));
    }
}
