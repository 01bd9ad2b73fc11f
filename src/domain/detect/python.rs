//! Python: pytest with pytest-benchmark, unittest; uv, Poetry, pip.

use super::listing::is_python_test;
use super::{FEW, Folder, Found, Metric, metric_name};

/// What makes a folder a project.
pub(super) const MARKERS: &[&str] =
    &["pyproject.toml", "setup.py", "setup.cfg", "pytest.ini", "tox.ini", "requirements.txt", "uv.lock", "poetry.lock"];

/// What says which versions are installed.
pub(crate) const LOCKS: &[&str] = &["uv.lock", "poetry.lock"];

/// Extras and groups that hold what tests need.
const TESTING: &[&str] = &["test", "tests", "testing", "dev"];

/// Tests by pytest or unittest, with what installs their packages.
pub fn find(folder: &Folder<'_>) -> Option<Found> {
    let marker = folder.first(MARKERS);
    // Without a project of its own a folder has only the tests that are nobody else's.
    let others = if marker.is_none() { folder.nested(MARKERS) } else { Vec::new() };
    let own = |(path, _): &(&str, &str)| !others.iter().any(|other| path.starts_with(&format!("{other}/")));
    let tests: Vec<_> = test_files(folder).filter(own).collect();
    let pytest = pytest(folder, &tests);
    let unittest = tests.iter().find(|(_, text)| text.contains("unittest")).map(|(path, _)| *path);
    if pytest.is_none() && unittest.is_none() && (marker.is_none() || !folder.at.is_empty()) {
        return None;
    }
    let mut found = Found::of(folder, &[]);
    let python = install(folder, &mut found, pytest.is_some());
    if let Some(because) = pytest {
        found.add(folder, "pytest", because);
        let line = format!("{python} -m pytest{}", home(&tests).map(|home| format!(" {home}")).unwrap_or_default());
        // The runner's report is asked for by its own option where the line is more than words.
        let line = if folder.at.is_empty() { line } else { format!("{line} --junitxml=\"$BLUEPRINT_JUNIT\"") };
        found.command(folder, "pytest", &line);
        benchmarks(folder, &mut found, &python, &tests);
    } else if let Some(because) = unittest {
        found.add(folder, "unittest", because);
        let line = match home(&tests) {
            Some(home) if folder.has(&format!("{home}__init__.py")) => {
                format!("{python} -m unittest discover -s {} -t .", home.trim_end_matches('/'))
            }
            Some(home) => format!("{python} -m unittest discover -s {}", home.trim_end_matches('/')),
            None => format!("{python} -m unittest"),
        };
        found.command(folder, "unittest", &line);
    }
    found.files = folder.code(&["py"]);
    if !tests.is_empty() && home(&tests).is_none() {
        found.protect = vec![folder.path("**/test_*.py"), folder.path("**/*_test.py")];
    }
    (!found.tools.is_empty()).then_some(found)
}

fn test_files<'a>(folder: &Folder<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let named = |(path, _): &(&str, &str)| is_python_test(path.rsplit('/').next().unwrap_or(path));
    folder.files().filter(named)
}

/// The folder that all tests are expected in, with its slash.
fn home(tests: &[(&str, &str)]) -> Option<&'static str> {
    let holds = |home: &&str| !tests.is_empty() && tests.iter().all(|(path, _)| path.starts_with(home));
    ["tests/", "test/"].into_iter().find(holds)
}

/// The file that says that pytest runs the tests.
fn pytest<'a>(folder: &Folder<'a>, tests: &[(&'a str, &'a str)]) -> Option<&'a str> {
    let says = [
        ("pytest.ini", ""),
        ("pyproject.toml", "[tool.pytest"),
        ("pyproject.toml", "pytest"),
        ("setup.cfg", "[tool:pytest]"),
        ("setup.cfg", "pytest"),
        ("tox.ini", "pytest"),
        ("setup.py", "pytest"),
    ];
    let configured = says.iter().find(|(name, word)| folder.has(name) && folder.text(name).contains(word));
    if let Some((name, _)) = configured.filter(|_| !tests.is_empty()) {
        return Some(name);
    }
    let required = requirements(folder).find(|(_, text)| names(text, "pytest"));
    let plain = |text: &str| {
        text.contains("import pytest")
            || text.lines().any(|l| l.starts_with("def test") || l.starts_with("async def test"))
    };
    let written = tests.iter().find(|(_, text)| plain(text)).map(|(path, _)| *path);
    required.map(|(path, _)| path).filter(|_| !tests.is_empty()).or(written)
}

/// Lists of requirements in the folder or in a folder `requirements` of it.
fn requirements<'a>(folder: &Folder<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let is_list = |(path, _): &(&str, &str)| {
        let (home, name) = path.rsplit_once('/').unwrap_or(("", path));
        let named = home.is_empty() && name.starts_with("requirements");
        name.ends_with(".txt") && (named || home == "requirements")
    };
    folder.files().filter(is_list)
}

/// Whether a list of requirements names a package.
fn names(text: &str, package: &str) -> bool {
    text.lines().any(|line| {
        let end = line.find(|c: char| !(c.is_alphanumeric() || "-_.".contains(c))).unwrap_or(line.len());
        line[..end].eq_ignore_ascii_case(package)
    })
}

/// Adds what installs the packages; the Python that then has them.
fn install(folder: &Folder<'_>, found: &mut Found, wants_pytest: bool) -> String {
    let project = folder.text("pyproject.toml");
    let environment = ".venv/bin/python".to_owned();
    if folder.has("uv.lock") || project.contains("[tool.uv") {
        let locked = if folder.has("uv.lock") { " --locked" } else { "" };
        let because = folder.first(&["uv.lock"]).unwrap_or("pyproject.toml");
        found.add(folder, "uv", because);
        let extras: String = extras(project).map(|extra| format!(" --extra {extra}")).collect();
        found.setup.push(folder.shell(&format!("uv sync{locked}{extras}")));
        return environment;
    }
    if folder.has("poetry.lock") || project.contains("[tool.poetry]") {
        found.add(folder, "poetry", folder.first(&["poetry.lock"]).unwrap_or("pyproject.toml"));
        let line = "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --no-interaction";
        found.setup.push(folder.shell(line));
        return environment;
    }
    let lists: Vec<_> = requirements(folder).collect();
    let builds = project.contains("[build-system]") || (project.contains("[project]") && lists.is_empty());
    let package = folder.first(&["setup.py"]).or_else(|| builds.then_some("pyproject.toml"));
    let Some(because) = lists.first().map(|(path, _)| *path).or(package) else {
        if folder.has("pyproject.toml") {
            found.add(folder, "python", "pyproject.toml");
        }
        return "python3".to_owned();
    };
    found.add(folder, "pip", because);
    let pip = ".venv/bin/pip install --quiet --disable-pip-version-check";
    let mut lines = vec!["python3 -m venv .venv".to_owned()];
    if !lists.is_empty() {
        let all: String = lists.iter().map(|(path, _)| format!(" -r {path}")).collect();
        lines.push(format!("{pip}{all}"));
    }
    if package.is_some() {
        let extras: Vec<_> = extras(project).collect();
        let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
        lines.push(format!("{pip} -e '.{extras}'"));
    }
    let has_pytest = lists.iter().any(|(_, text)| names(text, "pytest")) || project.contains("pytest");
    if wants_pytest && !has_pytest {
        lines.push(format!("{pip} pytest"));
        found.notes.push("no list of requirements names pytest; pin its version where that matters".to_owned());
    }
    found.setup.extend(lines.iter().map(|line| folder.shell(line)));
    environment
}

/// Extras of a project that hold what its tests need.
fn extras(project: &str) -> impl Iterator<Item = &'static str> {
    let section = project.split("[project.optional-dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default().to_owned();
    let named = move |extra: &&'static str| {
        section.lines().any(|line| line.split('=').next().is_some_and(|key| key.trim().trim_matches('"') == *extra))
    };
    TESTING.iter().copied().filter(named)
}

/// Tests that take pytest-benchmark's fixture.
fn benchmarks(folder: &Folder<'_>, found: &mut Found, python: &str, tests: &[(&str, &str)]) {
    for (path, text) in tests {
        let named = fixtures(text).filter_map(|test| Some((test, metric_name(test.trim_start_matches("test_"))?)));
        let named: Vec<_> = named.take(FEW).collect();
        if !named.is_empty() {
            found.add(folder, "pytest-benchmark", path);
        }
        let run = folder.shell(&format!("{python} -m pytest {} --benchmark-only", shell_words::quote(path)));
        found.metrics.extend(named.into_iter().map(|(test, name)| Metric {
            name,
            from: "pytest-benchmark",
            run: run.clone(),
            test: Some(test.to_owned()),
            stat: Some("median"),
        }));
    }
}

/// Names of the functions that take the fixture `benchmark`.
fn fixtures(text: &str) -> impl Iterator<Item = &str> {
    text.split("def ").skip(1).filter_map(|rest| {
        let (name, more) = rest.split_once('(')?;
        let (arguments, _) = more.split_once(')')?;
        let named = |argument: &str| argument.split(':').next().unwrap_or_default().trim() == "benchmark";
        (name.starts_with("test") && arguments.split(',').any(named)).then_some(name.trim())
    })
}
