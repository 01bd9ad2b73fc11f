//! How large a variant's change is, in words: what Simplicity is made from.

use super::words;
use crate::domain::suspicion::Suspicion;
use crate::domain::trial::ChangeSize;

/// Paths and names beyond this many are counted and not named.
const NAMED: usize = 5;

/// The factors: `4 code lines added, 2 deleted, nesting × 1.00, no new dependency`.
pub fn factors(size: &ChangeSize) -> String {
    let added = words::count(usize::try_from(size.added).unwrap_or(usize::MAX), "code line");
    let dependencies = match size.new_dependencies {
        0 => "no new dependency".to_owned(),
        1 => format!("1 new dependency{}", names(size)),
        n => format!("{n} new dependencies{}", names(size)),
    };
    format!("{added} added, {} deleted, nesting × {:.2}, {dependencies}", size.deleted, size.nesting_surplus)
}

fn names(size: &ChangeSize) -> String {
    let names: Vec<_> = size.dependencies.iter().map(|d| words::one_line(&d.name)).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", few(&names)) }
}

/// The files that do not count, each with its reason; none where all count.
pub(super) fn not_counted(size: &ChangeSize) -> Option<String> {
    let file = |file: &crate::domain::trial::ExcludedFile| {
        format!("{} ({})", words::one_line(&file.path), file.reason.as_str())
    };
    let files: Vec<_> = size.excluded.iter().map(file).collect();
    (!files.is_empty()).then(|| format!("not counted: {}", few(&files)))
}

/// The lines that could be there for whoever measures and tests: `app/calc.py:3 ends the process: os._exit(0)`.
pub(super) fn suspicions(size: &ChangeSize) -> Vec<String> {
    let told = |one: &Suspicion| {
        let Suspicion { path, line, what, text } = one;
        format!("{}:{line} {what}: {}", words::one_line(path), words::one_line(text))
    };
    size.suspicions.iter().map(told).collect()
}

/// The first of a list, and how many more there are.
fn few(items: &[String]) -> String {
    let named = items.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::trial::{ExcludedFile, Exclusion, NewDependency};

    #[test]
    fn a_change_is_worded_with_all_of_its_factors() {
        let dependency = |name: &str| NewDependency { name: name.to_owned(), manifest: "go.mod".to_owned() };
        let mut size = ChangeSize { added: 1, nesting_surplus: 1.0, ..ChangeSize::default() };
        assert_eq!(factors(&size), "1 code line added, 0 deleted, nesting × 1.00, no new dependency");
        assert_eq!(not_counted(&size), None);
        size.dependencies = vec![dependency("x.y/z"), dependency("a\u{1b}[2J\nb")];
        (size.new_dependencies, size.nesting_surplus) = (2, 1.254);
        assert_eq!(factors(&size), "1 code line added, 0 deleted, nesting × 1.25, 2 new dependencies (x.y/z, a b)");
    }

    #[test]
    fn many_files_that_do_not_count_are_named_as_far_as_there_is_room() {
        let file = |n: usize| ExcludedFile { path: format!("tests/{n}.py"), reason: Exclusion::Test };
        let mut size = ChangeSize { excluded: (1..=7).map(file).collect(), ..ChangeSize::default() };
        size.excluded[0] = ExcludedFile { path: "go.sum".to_owned(), reason: Exclusion::LockFile };
        let expected = "not counted: go.sum (lock file), tests/2.py (test), tests/3.py (test), tests/4.py (test), \
            tests/5.py (test) and 2 more";
        assert_eq!(not_counted(&size).as_deref(), Some(expected));
    }
}
