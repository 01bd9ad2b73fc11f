//! Variants that would win by changing who judges them, or by reporting for themselves, each beside an honest one that must
//! land instead; and honest ones that do what looks alike, and must not be in the way of it.

mod common;

use common::Repo;
use common::arena::{Arena, DOCUMENT};

/// A project with a module and its tests by pytest. Variants may change any file.
const CALC: &str = "def add(a, b):\n    return a + b\n";
const TESTS: &str = "from app.calc import add\n\n\ndef test_add():\n    assert add(2, 2) == 4\n";
/// Breaks the module, which no test would let pass.
const BREAKS: &str = "printf 'def add(a, b):\\n    return 0\\n' > app/calc.py\n";
/// Changes it and nothing else.
const CHANGES: &str = "printf 'def add(a, b):\\n    return b + a\\n' > app/calc.py\n";
/// Tests that test nothing.
const NOTHING: &str = "printf 'def test_add():\\n    pass\\n'";
/// A plugin of pytest that lets every test pass.
const PLUGIN: &str = "printf 'import pytest\\n@pytest.hookimpl(tryfirst=True)\\n\
    def pytest_pyfunc_call(pyfuncitem):\\n    return True\\n' >";

/// Files by path.
type Files<'a> = &'a [(&'a str, &'a str)];

/// How one project differs, and what its variant A does in it.
struct Case<'a> {
    tests: &'a str,
    files: Files<'a>,
    config: &'a str,
    does: String,
}

fn case(does: impl Into<String>) -> Case<'static> {
    Case { tests: "python3 -m pytest tests", files: &[], config: "", does: does.into() }
}

/// The project in which A costs 20 and B 60.
fn project(case: &Case<'_>) -> Repo {
    let arena = Arena {
        agent: "{command: \"sh agent.sh\"}".to_owned(),
        config: format!("land: {{require: leader}}\n{}", case.config),
        ..Arena::default()
    };
    let repo = arena.build();
    let document = repo.read(DOCUMENT).replace("cost.txt, notes/**", "**").replace("sh tests/run.sh", case.tests);
    repo.write(DOCUMENT, &document);
    let own = case.files.iter().any(|(_, text)| text.contains("test_add"));
    for (path, text) in [("app/__init__.py", ""), ("app/calc.py", CALC), ("conftest.py", "")] {
        repo.write(path, text);
    }
    if !own {
        repo.write("tests/test_calc.py", TESTS);
    }
    for (path, text) in case.files {
        repo.write(path, text);
    }
    let does = &case.does;
    repo.write(
        "agent.sh",
        &format!("case $BLUEPRINT_VARIANT in\nA) echo 20 > cost.txt\n{does}\n;;\n*) echo 60 > cost.txt ;;\nesac\n"),
    );
    repo.commit("a project");
    repo
}

#[track_caller]
fn is_out(case: &Case<'_>) {
    let repo = project(case);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert!(done.out.contains("A is out"), "{}\n{}{}", case.does, done.out, done.err);
    assert_eq!(repo.read("cost.txt"), "60\n", "{}\n{}", case.does, done.out);
}

#[track_caller]
fn lands(case: &Case<'_>) {
    let repo = project(case);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n", "{}\n{}{}", case.does, done.out, done.err);
}

/// Writes a file in a shell script.
fn file(path: &str, text: &str) -> String {
    format!("cat > {path} <<'EOX'\n{text}EOX\n")
}

#[test]
fn tests_are_the_base_s_wherever_the_runner_finds_them() {
    for (tests, path) in [
        ("python3 -m pytest app", "app/test_calc.py"),
        ("python3 -m pytest app/", "app/calc_test.py"),
        ("python3 -m pytest", "app/tests/test_calc.py"),
    ] {
        let files = &[(path, TESTS)];
        let of = |does: String| Case { tests, files, ..case(does) };
        is_out(&of(format!("{BREAKS}{NOTHING} > {path}")));
        lands(&of(CHANGES.to_owned()));
    }
}

#[test]
fn tests_are_the_base_s_by_whatever_names_the_runner_is_told() {
    let told: [(&str, Files<'_>, &str); 3] = [
        (
            "python3 -m pytest checks",
            &[("pytest.ini", "[pytest]\npython_files = *_checks.py\n")],
            "checks/calc_checks.py",
        ),
        ("python3 -m unittest discover -v -s app -p '*_t.py'", &[], "app/calc_t.py"),
        ("python3 -m unittest app.tests -v", &[], "app/tests.py"),
    ];
    for (tests, more, path) in told {
        let unit = "import unittest\nfrom app.calc import add\n\n\nclass Calc(unittest.TestCase):\n    \
            def test_add(self):\n        self.assertEqual(add(2, 2), 4)\n";
        let text = if tests.contains("unittest") { unit } else { TESTS };
        let files: Vec<_> = more.iter().copied().chain([(path, text)]).collect();
        let of = |does: String| Case { tests, files: &files, ..case(does) };
        let empty = file(
            path,
            &text.replace("assert add(2, 2) == 4", "pass").replace("self.assertEqual(add(2, 2), 4)", "pass"),
        );
        is_out(&of(format!("{BREAKS}{empty}")));
        lands(&of(CHANGES.to_owned()));
    }
}

#[test]
fn what_configures_the_runner_is_the_base_s() {
    let ini = "printf '[pytest]\\naddopts = -p app.plug\\n' >";
    for name in ["pytest.ini", ".pytest.ini", "tox.ini"] {
        is_out(&case(format!("{BREAKS}{ini} {name}; {PLUGIN} app/plug.py")));
    }
    let toml = "printf '[pytest]\\naddopts = [\"-p\", \"app.plug\"]\\n' >";
    for name in ["pytest.toml", ".pytest.toml"] {
        is_out(&case(format!("{BREAKS}{toml} {name}; {PLUGIN} app/plug.py")));
    }
    for place in ["conftest.py", "tests/conftest.py"] {
        is_out(&case(format!("{BREAKS}{PLUGIN} {place}")));
    }
    let pass = file("pytest/__main__.py", "print('1 passed')\n");
    is_out(&case(format!("{BREAKS}mkdir pytest; touch pytest/__init__.py\n{pass}")));
    is_out(&case(format!("{BREAKS}echo 'print(1)' > pytest.py")));
}

#[test]
fn scripts_and_recipes_that_commands_call_are_the_base_s_and_so_are_those_that_they_call() {
    let pytest = "\tpython3 -m pytest tests\n";
    let make = format!("check:\n{pytest}");
    let ways: &[(&str, Files<'_>, &str)] = &[
        ("make check", &[("Makefile", &make)], "printf 'check:\\n\\ttrue\\n' > Makefile"),
        ("make check", &[("Makefile", &make)], "printf 'check:\\n\\ttrue\\n' > GNUmakefile"),
        (
            "make check",
            &[("Makefile", "include build.mk\n"), ("build.mk", &make)],
            "printf 'check:\\n\\ttrue\\n' > build.mk",
        ),
        (
            "sh ci/test.sh",
            &[("ci/test.sh", "sh \"$(dirname \"$0\")/inner.sh\"\n"), ("ci/inner.sh", "python3 -m pytest tests\n")],
            "echo true > ci/inner.sh",
        ),
        ("bash run-tests", &[("run-tests", "#!/usr/bin/env bash\npython3 -m pytest tests\n")], "echo true > run-tests"),
    ];
    for (tests, files, does) in ways {
        let of = |does: String| Case { tests, files, ..case(does) };
        is_out(&of(format!("{BREAKS}{does}")));
        lands(&of(CHANGES.to_owned()));
    }
}

#[test]
fn set_up_is_the_base_s() {
    let config = "setup: [\"sh tools/setup.sh\"]\n";
    let files = &[("tools/setup.sh", "true\n")];
    let rewrites = file("tools/setup.sh", &format!("{NOTHING} > tests/test_calc.py\n"));
    is_out(&Case { config, files, ..case(format!("{BREAKS}{rewrites}")) });
    lands(&Case { config, files, ..case(CHANGES) });
}

#[test]
fn what_the_configuration_trusts_variants_with_is_theirs() {
    let files = &[("Makefile", "check:\n\tpython3 -m pytest tests\n")];
    let does = format!("{BREAKS}printf 'check:\\n\\ttrue\\n' > Makefile");
    lands(&Case { tests: "make check", files, config: "judge: {trust: [Makefile]}\n", ..case(does) });
}

/// Passes all tests by a report of its own.
const FORGES: &str = "import os, sys\nXML = '<testsuites><testsuite><testcase classname=\"tests.test_calc\" name=\"test_add\"/>\
    </testsuite></testsuites>'\nfor word in sys.argv:\n    if word.startswith('--junit'):\n        \
    open(word.split('=', 1)[1], 'w').write(XML)\nos._exit(0)\n";

#[test]
fn code_under_test_does_not_report_for_itself() {
    let broken = "def add(a, b):\n    return 0\n";
    let ways = [
        FORGES.to_owned(),
        "import os\ndef add(a, b):\n    os._exit(0)\n".to_owned(),
        "import sys\ndef add(a, b):\n    sys.exit(0)\n".to_owned(),
        format!("import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\n{broken}"),
        format!(
            "import _pytest.assertion.util as u\nimport _pytest.runner as r\n_of = r.CallInfo.from_call.__func__\n\
            def of(cls, func, when, reraise=None, **more):\n    \
            return _of(cls, (lambda: None) if when == 'call' else func, when, reraise)\n\
            r.CallInfo.from_call = classmethod(of)\n{broken}"
        ),
        format!(
            "import atexit, os, re, sys\ndef rewrite():\n    for word in sys.argv:\n        \
            if word.startswith('--junit'):\n            path = word.split('=', 1)[1]\n            \
            text = re.sub(r'<failure.*?</failure>', '', open(path).read(), flags=re.S)\n            \
            open(path, 'w').write(text)\n    os._exit(0)\natexit.register(rewrite)\n{broken}"
        ),
        "import pytest\ndef add(a, b):\n    pytest.skip('x')\n".to_owned(),
        "import pytest\ndef add(a, b):\n    pytest.xfail('x')\n".to_owned(),
    ];
    for text in ways {
        is_out(&case(file("app/calc.py", &text)));
    }
}

#[test]
fn tests_of_ours_among_those_of_a_suite_are_not_in_its_way() {
    let helper: Files<'_> = &[
        ("lib/helper.py", "x = 1\n"),
        ("tests/test_env.py", "import os, helper\ndef test_env():\n    assert os.environ['PYTHONPATH'] == 'lib'\n"),
    ];
    let autouse: Files<'_> = &[(
        "tests/conftest.py",
        "import pytest\n@pytest.fixture(autouse=True)\ndef need(request):\n    assert 'test_calc' in request.node.nodeid\n",
    )];
    let none: Files<'_> = &[];
    let bad: Files<'_> = &[("tests/test_bad.py", "def test_bad():\n    assert 0\n")];
    let ini: Files<'_> = &[("tests/pytest.ini", "[pytest]\npython_functions = test_*\n")];
    let ways = [
        ("python3 -m pytest -x tests", none, ""),
        ("python3 -m pytest --maxfail=1 -q tests", none, ""),
        ("python3 -W error -m pytest -W error --strict-markers tests", none, ""),
        ("python3 -m pytest -k add tests", none, ""),
        ("python3 -m pytest tests", autouse, ""),
        ("python3 -m pytest tests", bad, ""),
        ("python3 -m pytest tests", ini, ""),
        ("python3 -E -m pytest tests", none, ""),
        ("python3 -m pytest tests", helper, "env: {PYTHONPATH: lib}\n"),
    ];
    for (tests, files, config) in ways {
        lands(&Case { tests, files, config, ..case(CHANGES) });
    }
}

/// Two suites, one after the other, and what the second tests.
const TWICE: &str = "python3 -m pytest tests/test_calc.py\n- python3 -m pytest tests/test_more.py";
const MORE: &str = "from app.calc import mul\n\n\ndef test_mul():\n    assert mul(2, 3) == 6\n";

/// A module that is right as far as the first suite goes, and does this when that imports it.
fn twice(does: &str) -> String {
    file("app/calc.py", &format!("{does}\n\n\ndef add(a, b):\n    return b + a\n\n\ndef mul(a, b):\n    return 0\n"))
}

#[test]
fn nothing_that_runs_while_a_variant_is_judged_changes_what_judges_it() {
    let module = "def add(a, b):\n    return a + b\n\n\ndef mul(a, b):\n    return a * b\n";
    let files = &[("app/calc.py", module), ("tests/test_more.py", MORE), ("tests/test_calc.py", TESTS)];
    let of = |does: String| Case { tests: TWICE, files, ..case(does) };
    let empties = "open('tests/test_more.py', 'w').write('def test_mul():\\n    pass\\n')";
    let ways = [
        empties,
        "import os\nos.rename('tests/test_more.py', 'x')\nos.symlink('../ok.py', 'tests/test_more.py')\n\
         open('ok.py', 'w').write('def test_mul():\\n    pass\\n')",
        "open('tests/conftest.py', 'w').write('import app.calc\\napp.calc.mul = lambda a, b: a * b\\n')",
        "open('pytest.ini', 'w').write('[pytest]\\naddopts = --co\\n')",
        "open('bench/cost.sh', 'w').write('#!/bin/sh\\necho \\'{\"latency\": {\"p95\": 1}}\\'\\n')",
    ];
    for does in ways {
        is_out(&of(twice(does)));
    }
    // In the build, before any test.
    let built = Case { config: "build: [\"python3 -m app.calc\"]\n", ..of(twice(empties)) };
    is_out(&built);
}

#[test]
fn tests_may_write_what_they_like_beside_what_judges_and_what_the_baseline_s_write_as_well() {
    let tests = "import pathlib\nfrom app.calc import add\n\n\ndef test_add(tmp_path):\n    \
        (tmp_path / 'a').write_text('x')\n    pathlib.Path('tests/out').mkdir(exist_ok=True)\n    \
        pathlib.Path('tests/out/new.txt').write_text('x')\n    \
        pathlib.Path('tests/seen.txt').write_text(open('cost.txt').read())\n    assert add(2, 2) == 4\n";
    let files = &[("tests/test_calc.py", tests), ("tests/seen.txt", "?\n")];
    lands(&Case { files, ..case(CHANGES) });
    // A lock file is its package manager's.
    let files = &[("Cargo.lock", "# 1\n"), ("tests/test_calc.py", TESTS)];
    lands(&Case { files, config: "build: [\"cat cost.txt >> Cargo.lock\"]\n", ..case(CHANGES) });
}

/// The module's tests by unittest.
const UNIT: &str = "import unittest\nfrom app.calc import add\n\n\nclass Calc(unittest.TestCase):\n    \
    def test_add(self):\n        self.assertEqual(add(2, 2), 4)\n";

#[test]
fn a_run_of_unittest_that_ends_early_or_lets_everything_pass_is_none() {
    let files = &[("tests/test_calc.py", UNIT)];
    let broken = "def add(a, b):\n    return 0\n";
    let all = "python3 -m unittest discover -v -s tests";
    for (tests, text) in [
        (all, "import os\ndef add(a, b):\n    os._exit(0)\n".to_owned()),
        (
            "python3 -m unittest tests.test_calc",
            format!(
                "import atexit, os\natexit.register(os._exit, 0)\nimport unittest\n\
                unittest.TextTestRunner.run = lambda self, test: os._exit(0)\n{broken}"
            ),
        ),
        (all, format!("import unittest\nunittest.TestCase.assertEqual = lambda *a: None\n{broken}")),
        (all, format!("import unittest\nunittest.TestCase._callTestMethod = lambda self, method: None\n{broken}")),
        (
            all,
            format!(
                "import unittest\nunittest.TestResult.addFailure = unittest.TextTestResult.addFailure = lambda *a: None\n{broken}"
            ),
        ),
        (all, "import unittest\ndef add(a, b):\n    raise unittest.SkipTest('x')\n".to_owned()),
    ] {
        is_out(&Case { tests, files, ..case(file("app/calc.py", &text)) });
    }
    lands(&Case { tests: all, files, ..case(CHANGES) });
}

#[test]
fn a_run_of_unittest_is_judged_test_by_test_and_what_fails_on_the_baseline_puts_nobody_out() {
    let more = "\n    def test_never(self):\n        self.fail()\n\n    @unittest.skip('later')\n    def test_later(self):\n        \
        self.fail()\n\n    @unittest.expectedFailure\n    def test_known(self):\n        self.fail()\n\n    \
        def test_parts(self):\n        for n in range(3):\n            with self.subTest(n=n):\n                \
        self.assertEqual(add(n, n), 2 * n)\n";
    let own = format!("{UNIT}{more}");
    let files = &[("tests/test_calc.py", own.as_str())];
    for tests in ["python3 -m unittest tests.test_calc", "python3 -m unittest discover -f -s tests -k calc"] {
        lands(&Case { tests, files, ..case(CHANGES) });
    }
    is_out(&Case { tests: "python3 -m unittest tests.test_calc", files, ..case(BREAKS) });
}

#[test]
fn a_program_that_ends_its_tests_early_has_lost_those_that_were_to_come() {
    let files = &[
        ("app/calc.js", "exports.add = (a, b) => a + b;\n"),
        (
            "tests/calc.test.js",
            "const {test} = require('node:test');\nconst assert = require('node:assert');\n\
            test('adds', () => assert.equal(require('../app/calc.js').add(2, 2), 4));\n",
        ),
    ];
    let of = |text: &str| Case { tests: "node --test tests/", files, ..case(file("app/calc.js", text)) };
    is_out(&of("exports.add = () => process.exit(0);\n"));
    is_out(&of("exports.add = () => 0;\n"));
    lands(&of("exports.add = (a, b) => b + a;\n"));
}
