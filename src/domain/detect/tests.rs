//! Small repositories of every kind, and what is found in them.

use super::*;

fn repository(files: &[(&str, &str)]) -> Vec<Found> {
    detect(&Listing::new(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))))
}

fn only(files: &[(&str, &str)]) -> Found {
    let mut all = repository(files);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

fn tools(found: &Found) -> Vec<String> {
    found.tools.iter().map(|tool| format!("{} ({})", tool.name, tool.because)).collect()
}

fn lines(found: &Found) -> Vec<&str> {
    found.tests.iter().map(|test| test.run.as_deref().unwrap_or(&test.line)).collect()
}

fn names(found: &Found) -> Vec<(&str, Option<&str>)> {
    found.metrics.iter().map(|metric| (metric.name.as_str(), metric.test.as_deref())).collect()
}

#[test]
fn a_repository_of_prose_has_no_toolchain() {
    assert_eq!(repository(&[("README.md", ""), ("docs/requirements.txt", "sphinx"), ("src/a.txt", "")]), []);
}

#[test]
fn python_is_installed_as_its_lock_file_says_and_tested_by_the_runner_that_its_tests_are_written_for() {
    let test = ("tests/test_a.py", "def test_a():\n    assert True\n");
    let plain = only(&[test, ("app/__init__.py", "")]);
    assert_eq!((lines(&plain), plain.setup.len()), (vec!["python3 -m pytest tests/"], 0));
    assert_eq!(tools(&plain), ["pytest (tests/test_a.py)"]);
    assert_eq!(plain.files, ["app/**"]);
    let pip = only(&[test, ("requirements.txt", "flask\n"), ("requirements-dev.txt", "pytest>=8\n")]);
    assert_eq!(lines(&pip), [".venv/bin/python -m pytest tests/"]);
    assert_eq!(tools(&pip), ["pip (requirements-dev.txt)", "pytest (requirements-dev.txt)"]);
    let install =
        ".venv/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt -r requirements.txt";
    assert_eq!(pip.setup, ["python3 -m venv .venv", install]);
    let project = "[project]\nname = 'a'\n[project.optional-dependencies]\ntest = ['pytest']\n[build-system]\n";
    let package = only(&[test, ("pyproject.toml", project)]);
    assert_eq!(package.setup[1], ".venv/bin/pip install --quiet --disable-pip-version-check -e '.[test]'");
    let uv = only(&[test, ("pyproject.toml", "[project]\n[tool.pytest.ini_options]\n"), ("uv.lock", "")]);
    assert_eq!((uv.setup.clone(), tools(&uv)[0].as_str()), (vec!["uv sync --locked".to_owned()], "uv (uv.lock)"));
    let poetry = only(&[test, ("pyproject.toml", "[tool.poetry]\n"), ("poetry.lock", "")]);
    assert_eq!(poetry.setup, ["POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --no-interaction"]);
}

#[test]
fn unittest_is_told_from_pytest() {
    let test = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n";
    let below = only(&[("tests/test_a.py", test), ("tests/__init__.py", "")]);
    assert_eq!(lines(&below), ["python3 -m unittest discover -s tests -t ."]);
    let beside = only(&[("test_a.py", test), ("a.py", "")]);
    assert_eq!((lines(&beside), beside.files.clone()), (vec!["python3 -m unittest"], vec!["*.py".to_owned()]));
    assert_eq!(beside.protect, ["**/test_*.py", "**/*_test.py"]);
    let mixed = only(&[("tests/test_a.py", test), ("pytest.ini", "[pytest]\n")]);
    assert_eq!(tools(&mixed), ["pytest (pytest.ini)"]);
}

#[test]
fn benchmarks_of_pytest_are_metrics_by_the_names_of_their_functions() {
    let text =
        "def test_plain(db): pass\ndef test_query_speed(benchmark): pass\nasync def test_b(db, benchmark: B): pass\n";
    let found = only(&[("tests/perf/test_query.py", text)]);
    assert_eq!(names(&found), [("query_speed", Some("test_query_speed")), ("b", Some("test_b"))]);
    assert_eq!(found.metrics[0].run, "python3 -m pytest tests/perf/test_query.py --benchmark-only");
    assert_eq!(tools(&found)[1], "pytest-benchmark (tests/perf/test_query.py)");
}

#[test]
fn a_crate_has_cargo_nextest_and_the_benchmarks_that_criterion_will_name() {
    let bench = "use criterion::*;\nfn b(c: &mut Criterion) {\n    let mut group = c.benchmark_group(\"parse\");\n    \
        group.bench_function(\"small\", |b| b.iter(f));\n    group.bench_function(\n        \"large\", |b| b.iter(f));\n    \
        c.bench_function(\"print\", f);\n    c.bench_function(name, f);\n}\n";
    let files = [("Cargo.toml", "[package]"), ("Cargo.lock", ""), ("src/lib.rs", ""), ("benches/all.rs", bench)];
    let found = only(&files);
    assert_eq!(tools(&found), ["cargo (Cargo.toml)", "criterion (benches/all.rs)"]);
    assert_eq!(
        (lines(&found), found.setup.clone()),
        (vec!["cargo test --locked"], vec!["cargo fetch --locked".to_owned()])
    );
    let expected =
        [("parse_small", Some("parse/small")), ("parse_large", Some("parse/large")), ("print", Some("print"))];
    assert_eq!(names(&found), expected);
    assert_eq!(
        (found.metrics[0].run.as_str(), found.files.clone()),
        ("cargo bench --bench all --locked", vec!["src/**".to_owned()])
    );
    let one = "criterion\nc.bench_function(\"only\", f)";
    let mut with_nextest = files.to_vec();
    with_nextest[3].1 = one;
    with_nextest.push((".config/nextest.toml", ""));
    let found = only(&with_nextest);
    assert_eq!((lines(&found), names(&found)), (vec!["cargo nextest run --locked"], vec![("only", None)]));
}

#[test]
fn a_workspace_speaks_for_its_crates_and_crates_without_one_for_themselves() {
    let crates =
        [("a/Cargo.toml", "[package]"), ("a/src/lib.rs", ""), ("b/Cargo.toml", "[package]"), ("b/src/lib.rs", "")];
    let mut files = crates.to_vec();
    let apart = repository(&files);
    let all: Vec<_> = apart.iter().flat_map(lines).collect();
    assert_eq!(all, ["cargo test --manifest-path a/Cargo.toml", "cargo test --manifest-path b/Cargo.toml"]);
    files.push(("Cargo.toml", "[workspace]\nmembers = ['a', 'b']"));
    let whole = only(&files);
    assert_eq!(
        (lines(&whole), whole.files.clone()),
        (vec!["cargo test --workspace"], vec!["a/src/**".to_owned(), "b/src/**".to_owned()])
    );
}

#[test]
fn each_package_manager_installs_by_its_lock_file_and_each_runner_reports_a_case_a_test() {
    let package = |script: &str| format!(r#"{{"scripts": {{"test": "{script}"}}, "devDependencies": {{"x": "1"}}}}"#);
    let found = |script: &str, lock: &str| only(&[("package.json", &package(script)), (lock, ""), ("src/a.js", "")]);
    let tested = |script: &str| lines(&found(script, "package-lock.json")).join("");
    let junit = "--reporter=junit --outputFile=\"$BLUEPRINT_JUNIT\"";
    assert_eq!(tested("vitest"), format!("npm --silent run test -- --run {junit}"));
    assert_eq!(tested("tsc && vitest run"), format!("npm --silent run test -- {junit}"));
    assert_eq!(tested("mocha 'test/**/*.js'"), "npm --silent run test -- --reporter tap");
    assert_eq!(tested("jest"), "npm --silent run test -- --ci");
    assert_eq!(tested("node --test test/"), "node --test --test-reporter=tap test/");
    assert_eq!(tested("nyc mocha"), "npm test");
    assert_eq!(tested("mocha; echo done"), "npm test");
    let set_up = |lock: &str| found("mocha", lock).setup;
    assert_eq!(set_up("package-lock.json"), ["npm ci"]);
    assert_eq!(set_up("pnpm-lock.yaml"), ["pnpm install --frozen-lockfile"]);
    assert_eq!(set_up("yarn.lock"), ["yarn install --frozen-lockfile"]);
    assert_eq!(set_up("README"), ["npm install --no-package-lock"]);
    assert_eq!(lines(&found("vitest run", "pnpm-lock.yaml")), [format!("pnpm --silent run test {junit}")]);
    let jest = r#"{"scripts": {"test": "jest"}, "devDependencies": {"jest-junit": "1"}}"#;
    assert!(lines(&only(&[("package.json", jest)]))[0].starts_with("JEST_JUNIT_OUTPUT_FILE=\"$BLUEPRINT_JUNIT\" npm"));
    let none = only(&[("package.json", r#"{"scripts": {"test": "echo \"Error: no test specified\" && exit 1"}}"#)]);
    assert_eq!((none.tests, none.setup), (vec![], Vec::<String>::new()));
    let own = only(&[("package.json", "{}"), ("test/a.test.js", "import test from 'node:test'")]);
    assert_eq!(lines(&own), ["node --test --test-reporter=tap"]);
}

#[test]
fn a_lock_file_that_git_ignores_counts_as_there_and_is_carried() {
    let found = |files: &[(&str, &str)], ignored: &[&str]| {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        let listing = Listing::new(files);
        let probed = locks(&listing);
        assert!(ignored.iter().all(|path| probed.contains(&(*path).to_owned())), "{probed:?}");
        detect(&listing.with_ignored(ignored.iter().map(|path| (*path).to_owned())))
    };
    let cargo = found(&[("Cargo.toml", "[package]"), ("src/lib.rs", "")], &["Cargo.lock"]);
    assert_eq!(
        (lines(&cargo[0]), cargo[0].carry.clone()),
        (vec!["cargo test --locked"], vec!["Cargo.lock".to_owned()])
    );
    assert_eq!(cargo[0].notes, ["git ignores Cargo.lock: every tree gets a copy of yours"]);
    let package = r#"{"scripts": {"test": "mocha"}, "devDependencies": {"mocha": "1"}}"#;
    let web = found(&[("web/package.json", package)], &["web/package-lock.json"]);
    assert_eq!(
        (web[0].setup.clone(), web[0].carry.clone()),
        (vec!["cd web && npm ci".to_owned()], vec!["web/package-lock.json".to_owned()])
    );
    // One that is not used is nobody's.
    let stale = found(&[("package.json", package), ("pnpm-lock.yaml", "")], &["package-lock.json"]);
    assert_eq!((stale[0].carry.len(), stale[0].notes.len()), (0, 0));
    let none = found(&[("Cargo.toml", "[package]"), ("Cargo.lock", "")], &[]);
    assert_eq!((none[0].carry.len(), none[0].notes.len()), (0, 0));
}

#[test]
fn a_go_module_has_its_tests_its_benchmarks_and_its_tests_protected() {
    let test = "func BenchmarkEncodeAll(b *testing.B) {\nfunc TestA(t *testing.T) {\nfunc BenchmarkB(b *testing.B) {\n";
    let found = only(&[
        ("go.mod", "module a"),
        ("go.sum", ""),
        ("a.go", ""),
        ("codec/a_test.go", test),
        ("codec/a.go", ""),
        ("_benchmark/b.go", ""),
        ("_benchmark/b_test.go", test),
    ]);
    assert_eq!((lines(&found), found.setup.clone()), (vec!["go test ./..."], vec!["go mod download".to_owned()]));
    assert_eq!(names(&found), [("encode_all", Some("BenchmarkEncodeAll")), ("b", Some("BenchmarkB"))]);
    let run = "go test -run '^$' -bench '^(BenchmarkEncodeAll|BenchmarkB)$' -count 10 ./codec";
    assert_eq!(found.metrics[0].run, run);
    assert_eq!(
        (found.files, found.protect),
        (vec!["*.go".to_owned(), "codec/**".to_owned()], vec!["**/*_test.go".to_owned()])
    );
}

#[test]
fn cmake_builds_beside_its_sources_and_ctest_writes_a_report() {
    let found = only(&[("CMakeLists.txt", "enable_testing()"), ("src/a.c", ""), ("lib/CMakeLists.txt", "")]);
    assert_eq!(tools(&found), ["cmake (CMakeLists.txt)", "ctest (CMakeLists.txt)"]);
    assert_eq!(lines(&found), ["ctest --test-dir build --output-on-failure --output-junit \"$BLUEPRINT_JUNIT\""]);
    let taken = only(&[("CMakeLists.txt", ""), ("build/keep.c", "")]);
    assert!(taken.build[0].contains("-B build-blueprint ") && taken.tests.is_empty(), "{:?}", taken.build);
}

#[test]
fn a_makefile_counts_by_its_target_for_tests_unless_that_only_calls_a_runner_that_was_found() {
    let makefile = "CC := cc\nall: a\n\ntest: all\n\t./a --check\n\nbench:\n\t./a --bench\n";
    let found = only(&[("Makefile", makefile), ("a.c", "")]);
    assert_eq!((lines(&found), found.build.clone()), (vec!["make test"], vec!["make all".to_owned()]));
    assert_eq!((found.metrics[0].from, found.metrics[0].run.as_str()), ("time", "make bench"));
    assert_eq!(repository(&[("Makefile", "all:\n\tcc a.c\n# test:\n")]), []);
    let both = repository(&[("Makefile", "test:\n\tcargo test\n"), ("Cargo.toml", "")]);
    let all: Vec<_> = both.iter().flat_map(lines).collect();
    assert_eq!(all, ["cargo test"]);
    assert!(both[1].notes[0].contains("only call cargo"), "{:?}", both[1].notes);
}

#[test]
fn maven_and_gradle_put_their_reports_together() {
    let maven = only(&[("pom.xml", ""), ("mvnw", ""), ("core/src/main/java/A.java", "")]);
    assert!(lines(&maven)[0].starts_with("./mvnw --batch-mode test; status=$?; "), "{:?}", lines(&maven));
    assert_eq!(
        (maven.files.clone(), maven.protect),
        (vec!["core/src/main/**".to_owned()], vec!["core/src/test/**".to_owned()])
    );
    let gradle = only(&[("settings.gradle.kts", ""), ("app/build.gradle.kts", "")]);
    assert_eq!(tools(&gradle), ["gradle (settings.gradle.kts)"]);
    assert!(lines(&gradle)[0].ends_with("exit $status"));
}

#[test]
fn every_project_of_a_monorepo_is_named_by_its_folder_and_what_it_depends_on_is_none() {
    let all = repository(&[
        ("web/package.json", r#"{"scripts": {"test": "mocha", "bench": "node bench.js"}}"#),
        ("admin/package.json", r#"{"scripts": {"test": "mocha", "bench": "node bench.js"}}"#),
        ("services/api/pyproject.toml", "[tool.pytest.ini_options]"),
        ("services/api/tests/test_a.py", "def test_a(): pass"),
        ("web/node_modules/x/package.json", r#"{"scripts": {"test": "mocha"}}"#),
        ("tests/fixtures/p/Cargo.toml", ""),
        (".github/package.json", r#"{"scripts": {"test": "mocha"}}"#),
    ]);
    let folders: Vec<_> = all.iter().map(|found| found.folder.as_str()).collect();
    assert_eq!(folders, ["admin", "services/api", "web"]);
    assert_eq!(all[1].tests[0].line, "The pytest suite of services/api");
    let run = "cd services/api && python3 -m pytest tests/ --junitxml=\"$BLUEPRINT_JUNIT\"";
    assert_eq!(all[1].tests[0].run.as_deref(), Some(run));
    let metrics: Vec<_> = all.iter().flat_map(names).map(|(name, _)| name).collect();
    assert_eq!(metrics, ["bench_time", "bench_time_web"]);
}

proptest::proptest! {
    #[test]
    fn whatever_the_manifests_hold_nothing_breaks(text in ".{0,120}", words in "[a-z(\\[\"':=,.\n\t ]{0,80}") {
        for name in ["pyproject.toml", "Cargo.toml", "package.json", "go.mod", "CMakeLists.txt", "Makefile", "pom.xml",
            "benches/a.rs", "tests/test_a.py", "a_test.go", "requirements.txt"] {
            repository(&[(name, &text)]);
            let mixed = format!("criterion func Benchmark def test {words} bench_function( {text}");
            repository(&[("Cargo.toml", ""), ("go.mod", ""), (name, &mixed)]);
        }
    }
}
