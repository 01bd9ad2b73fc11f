//! CMake with ctest, and make.

use super::{Folder, Found, Metric, metric_name};

/// Names that make looks for, in its order.
pub(super) const MAKEFILES: &[&str] = &["GNUmakefile", "makefile", "Makefile"];

/// Runners that a makefile may only call, by words of its recipes.
const CALLED: &[(&str, &str)] = &[
    ("cargo", "cargo test"),
    ("nextest", "cargo nextest"),
    ("pytest", "pytest"),
    ("unittest", "unittest"),
    ("go", "go test"),
    ("npm", "npm test"),
    ("npm", "npm run test"),
    ("pnpm", "pnpm test"),
    ("yarn", "yarn test"),
    ("ctest", "ctest"),
    ("maven", "mvn "),
    ("gradle", "gradlew "),
];

/// A project that CMake configures.
pub(super) fn cmake(folder: &Folder<'_>) -> Option<Found> {
    let text = folder.has("CMakeLists.txt").then(|| folder.text("CMakeLists.txt"))?;
    let mut found = Found::of(folder, &[("cmake", "CMakeLists.txt")]);
    // A folder of the repository's own must not be built over.
    let taken = |dir: &str| folder.files().any(|(path, _)| path.starts_with(&format!("{dir}/")));
    let dir = if taken("build") { "build-blueprint" } else { "build" };
    found.build.push(folder.shell(&format!("cmake -S . -B {dir} -DCMAKE_BUILD_TYPE=Release")));
    found.build.push(folder.shell(&format!("cmake --build {dir} --parallel")));
    let tests = folder.files().any(|(path, text)| path.ends_with("CMakeLists.txt") && text.contains("add_test("))
        || ["enable_testing(", "include(CTest)"].iter().any(|word| text.contains(word));
    if tests {
        found.add(folder, "ctest", "CMakeLists.txt");
        let run = format!("ctest --test-dir {dir} --output-on-failure --output-junit \"$BLUEPRINT_JUNIT\"");
        found.suite(folder, "ctest", &run);
    }
    found.files = folder.code(&["c", "cc", "cpp", "cxx", "h", "hh", "hpp", "hxx"]);
    Some(found)
}

/// A makefile with a target that tests.
pub fn make(folder: &Folder<'_>) -> Option<Found> {
    let name = folder.first(MAKEFILES)?;
    let text = folder.text(name);
    let target = ["test", "check", "tests"].into_iter().find(|target| recipe(text, target).is_some())?;
    let mut found = Found::of(folder, &[("make", name)]);
    if let Some(target) = ["all", "build"].into_iter().find(|target| recipe(text, target).is_some()) {
        found.build.push(folder.shell(&format!("make {target}")));
    }
    found.command(folder, "make", &format!("make {target}"));
    let lines = recipe(text, target).unwrap_or_default();
    found.calls = CALLED.iter().find(|(_, words)| lines.contains(words)).map(|(runner, _)| *runner);
    if let Some(bench) = ["bench", "benchmark"].into_iter().find(|target| recipe(text, target).is_some()) {
        found.add(folder, "make bench", name);
        let run = folder.shell(&format!("make {bench}"));
        let named = metric_name("bench time");
        found.metrics.extend(named.map(|name| Metric { name, from: "time", run, test: None, stat: None }));
    }
    found.files = folder.code(&["c", "cc", "cpp", "cxx", "h", "hh", "hpp", "hxx", "sh"]);
    Some(found)
}

/// The lines below a target; none where the file has no such target.
fn recipe(text: &str, target: &str) -> Option<String> {
    let mut lines = text.lines();
    lines.find(|line| {
        let rule =
            line.split_once(':').filter(|(names, rest)| !rest.starts_with('=') && !names.starts_with(['\t', '#', '.']));
        rule.is_some_and(|(names, _)| names.split_whitespace().any(|name| name == target))
    })?;
    Some(lines.take_while(|line| line.starts_with('\t') || line.trim().is_empty()).collect::<Vec<_>>().join("\n"))
}
