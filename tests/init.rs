//! `init` and `new` on small repositories of each kind: what they write passes `check`, and its commands run.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use common::{Done, Repo};

/// A small project, the file that its variants change, and what should be found.
struct Project {
    files: &'static [(&'static str, &'static str)],
    /// The first words of what `init` tells.
    found: &'static str,
    /// One line of it is changed by each variant.
    code: &'static str,
    /// Cases that its tests come to.
    cases: u64,
}

impl Project {
    fn repository(&self) -> Repo {
        Repo::with(self.files)
    }
}

const PYTEST: Project = Project {
    files: &[
        ("app/__init__.py", ""),
        ("app/sums.py", "def twice(n):\n    return n + n\n"),
        (
            "tests/test_sums.py",
            "from app.sums import twice\n\n\ndef test_two():\n    assert twice(2) == 4\n\n\ndef test_none():\n    assert twice(0) == 0\n",
        ),
    ],
    found: "found: pytest (tests/test_sums.py)",
    code: "app/sums.py",
    cases: 2,
};

const UNITTEST: Project = Project {
    files: &[
        ("sums.py", "def twice(n):\n    return n + n\n"),
        ("tests/__init__.py", ""),
        (
            "tests/test_sums.py",
            "import unittest\nfrom sums import twice\n\n\nclass Sums(unittest.TestCase):\n    def test_two(self):\n        self.assertEqual(twice(2), 4)\n",
        ),
    ],
    found: "found: unittest (tests/test_sums.py)",
    code: "sums.py",
    // Its runner writes no report.
    cases: 1,
};

const CARGO: Project = Project {
    files: &[
        ("Cargo.toml", "[package]\nname = \"sums\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
        ("Cargo.lock", "version = 3\n\n[[package]]\nname = \"sums\"\nversion = \"0.1.0\"\n"),
        (
            "src/lib.rs",
            "pub fn twice(n: u32) -> u32 { n + n }\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn two() { assert_eq!(super::twice(2), 4); }\n    #[test]\n    fn none() { assert_eq!(super::twice(0), 0); }\n}\n",
        ),
        (".gitignore", "target/\n"),
    ],
    found: "found: cargo (Cargo.toml)",
    code: "src/lib.rs",
    cases: 2,
};

const NODE: Project = Project {
    files: &[
        (
            "package.json",
            "{\"name\": \"sums\", \"type\": \"module\", \"scripts\": {\"test\": \"node --test\", \"bench\": \"node bench.js\"}}\n",
        ),
        ("src/sums.js", "export const twice = (n) => n + n;\n"),
        ("bench.js", "import { twice } from \"./src/sums.js\";\ntwice(2);\n"),
        (
            "test/sums.test.js",
            "import test from \"node:test\";\nimport assert from \"node:assert\";\nimport { twice } from \"../src/sums.js\";\n\ntest(\"two\", () => assert.equal(twice(2), 4));\ntest(\"none\", () => assert.equal(twice(0), 0));\n",
        ),
    ],
    found: "found: npm (package.json), node --test (package.json), bench script (package.json)",
    code: "src/sums.js",
    cases: 2,
};

const GO: Project = Project {
    files: &[
        ("go.mod", "module example.org/sums\n\ngo 1.19\n"),
        ("sums.go", "package sums\n\nfunc Twice(n int) int { return n + n }\n"),
        (
            "sums_test.go",
            "package sums\n\nimport \"testing\"\n\nfunc TestTwo(t *testing.T) {\n\tif Twice(2) != 4 {\n\t\tt.Fail()\n\t}\n}\n\nfunc TestNone(t *testing.T) {\n\tif Twice(0) != 0 {\n\t\tt.Fail()\n\t}\n}\n",
        ),
    ],
    found: "found: go (go.mod)",
    code: "sums.go",
    cases: 2,
};

const MAKE: Project = Project {
    files: &[
        ("Makefile", "all: sums\n\nsums: sums.c\n\tcc -o sums sums.c\n\ntest: all\n\t./sums 2 | grep -qx 4\n"),
        (
            "sums.c",
            "#include <stdio.h>\n#include <stdlib.h>\nint main(int n, char **words) { printf(\"%d\\n\", 2 * atoi(words[n - 1])); }\n",
        ),
        (".gitignore", "/sums\n"),
    ],
    found: "found: make (Makefile)",
    code: "sums.c",
    cases: 1,
};

const CTEST: Project = Project {
    files: &[
        (
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.21)\nproject(sums C)\nenable_testing()\nadd_executable(sums src/sums.c)\nadd_test(NAME two COMMAND sums 2)\nadd_test(NAME none COMMAND sums 0)\n",
        ),
        ("src/sums.c", "#include <stdlib.h>\nint main(int n, char **words) { return 2 * atoi(words[n - 1]) > 9; }\n"),
        (".gitignore", "/build\n"),
    ],
    found: "found: cmake (CMakeLists.txt), ctest (CMakeLists.txt)",
    code: "src/sums.c",
    cases: 2,
};

/// Writes configuration and document by the program itself; the document's path.
fn begin(repo: &Repo) -> String {
    repo.blueprint(&["init"]).ends_with(0);
    let made = repo.blueprint(&["new", "Faster sums"]).ends_with(0);
    made.out.trim().strip_prefix("wrote ").unwrap().to_owned()
}

/// Codes of what `check` finds.
fn codes(repo: &Repo, document: &str) -> Vec<String> {
    let checked = repo.blueprint(&["check", document, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&checked.out).unwrap();
    json["diagnostics"].as_array().unwrap().iter().map(|d| d["code"].as_str().unwrap().to_owned()).collect()
}

/// The example under Metrics, where no benchmark was found, is all that is not bound.
#[track_caller]
fn fits(repo: &Repo, document: &str) {
    let found = codes(repo, document);
    let example = repo.read(document).contains("- latency_p95: <100ms\n");
    assert_eq!(
        found,
        if example { vec!["BP202"] } else { vec![] },
        "{}\n{}",
        repo.read("blueprint.yaml"),
        repo.read(document)
    );
}

/// A patch that puts a line in front of the file.
fn patch(repo: &Repo, file: &str, line: &str) -> String {
    let first = repo.read(file).lines().next().unwrap().to_owned();
    format!("--- a/{file}\n+++ b/{file}\n@@ -1 +1,2 @@\n+{line}\n {first}\n")
}

/// Lets two variants compete that change nothing that matters: every command of the configuration runs.
#[track_caller]
fn runs(project: &Project, comment: &str) {
    let repo = project.repository();
    let document = begin(&repo);
    fits(&repo, &document);
    let text = repo.read(&document).replace("\n**Metrics**:\n- latency_p95: <100ms\n", "");
    repo.write(&document, &text.replace("**Status**: drafting", "**Status**: approved"));
    repo.write("blueprint.yaml", &(repo.read("blueprint.yaml") + "measure: {budget: 4s, lanes: off}\n"));
    for key in ["A", "B"] {
        repo.write(&format!("recorded/{key}.patch"), &patch(&repo, project.code, &format!("{comment} {key}")));
    }
    repo.commit("a document");
    let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    // rustup's own home is no part of an empty one.
    let home = std::env::var_os("HOME").map(|home| std::path::PathBuf::from(home).join(".rustup"));
    let home = std::env::var_os("RUSTUP_HOME").map(Into::into).or(home);
    if let Some(home) = home {
        command.env("RUSTUP_HOME", home);
    }
    let done = Done::of(command.args(["run", "--merge", "none", &document]).output().unwrap());
    let report = repo.blueprint(&["report", "--json"]).ends_with(0);
    let json: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    for row in json["rows"].as_array().unwrap() {
        let passed = (&row["tests"]["passed"], &row["tests"]["counted"]);
        assert_eq!(passed, (&project.cases.into(), &project.cases.into()), "{row}\n{}\n{}", done.out, done.err);
    }
}

#[test]
fn what_init_and_new_write_for_each_kind_passes_check() {
    for project in [&PYTEST, &UNITTEST, &CARGO, &NODE, &GO, &MAKE, &CTEST] {
        let repo = project.repository();
        let told = repo.blueprint(&["init"]).ends_with(0);
        let line = told.out.lines().nth(1).unwrap_or_default();
        assert_eq!(line, project.found);
        let made =
            repo.blueprint(&["new", "Faster sums"]).ends_with(0).says(&["100 more lines of code cost 3.3 points"]);
        let document = made.out.trim().strip_prefix("wrote ").unwrap().to_owned();
        fits(&repo, &document);
        let files = repo.read(&document);
        let files = files.lines().find(|line| line.starts_with("**Files**")).unwrap();
        let folder = project.code.split_once('/').map_or("*.", |(folder, _)| folder);
        assert!(files.contains(folder), "{files}");
    }
}

/// The files of a project, and what is told of it.
type Kind<'a> = (Vec<(&'a str, &'a str)>, Vec<&'a str>);

#[test]
fn kinds_whose_tools_need_not_be_here_are_written_as_well() {
    let package =
        |script: &str| format!("{{\"scripts\": {{\"test\": \"{script}\"}}, \"devDependencies\": {{\"a\": \"1\"}}}}");
    let project = "[project]\nname = \"a\"\n[tool.pytest.ini_options]\n";
    let test = ("tests/test_a.py", "def test_a(benchmark):\n    benchmark(int)\n");
    let bench =
        ("benches/parse.rs", "use criterion::*;\nfn b(c: &mut Criterion) { c.bench_function(\"small\", f); }\n");
    let kinds: Vec<Kind<'_>> = vec![
        (vec![("pyproject.toml", project), ("uv.lock", ""), test], vec!["uv (uv.lock)", "pytest-benchmark"]),
        (vec![("pyproject.toml", "[tool.poetry]\n"), ("poetry.lock", ""), test], vec!["poetry (poetry.lock)"]),
        (vec![("requirements.txt", "pytest\n"), test], vec!["pip (requirements.txt)"]),
        (
            vec![("Cargo.toml", ""), (".config/nextest.toml", ""), bench],
            vec!["nextest", "criterion (benches/parse.rs)"],
        ),
        (vec![("pom.xml", "")], vec!["maven (pom.xml)"]),
        (vec![("build.gradle", "")], vec!["gradle (build.gradle)"]),
    ];
    let scripts = [("vitest run", "pnpm-lock.yaml"), ("mocha", "yarn.lock"), ("jest", "package-lock.json")];
    let scripts = scripts.map(|(script, lock)| (package(script), lock, script.split(' ').next().unwrap()));
    let packages = scripts
        .iter()
        .map(|(text, lock, tool)| (vec![("package.json", text.as_str()), (*lock, "")], vec![*lock, *tool]));
    for (files, told) in kinds.into_iter().chain(packages) {
        let repo = Repo::with(&files);
        let done = repo.blueprint(&["init"]).ends_with(0);
        assert!(told.iter().all(|word| done.out.contains(word)), "{told:?}: {}", done.out);
        let made = repo.blueprint(&["new", "Faster"]).ends_with(0);
        fits(&repo, made.out.trim().strip_prefix("wrote ").unwrap());
    }
}

#[test]
fn every_project_of_a_monorepo_is_told_with_its_folder() {
    let mut files = vec![("README.md", "# Two\n")];
    files.extend(NODE.files.iter().map(|(path, text)| (*path, *text)));
    let moved: Vec<_> = files.iter().map(|(path, text)| (format!("web/{path}"), *text)).collect();
    let repo = Repo::with(&moved.iter().map(|(path, text)| (path.as_str(), *text)).collect::<Vec<_>>());
    repo.write("engine/Cargo.toml", CARGO.files[0].1);
    repo.write("engine/src/lib.rs", CARGO.files[2].1);
    repo.commit("two");
    let told = repo.blueprint(&["init"]).ends_with(0).out;
    assert!(
        told.contains("found in engine: cargo (engine/Cargo.toml)\nfound in web: npm (web/package.json)"),
        "{told}"
    );
    let made = repo.blueprint(&["new", "Faster"]).ends_with(0);
    let document = made.out.trim().strip_prefix("wrote ").unwrap().to_owned();
    fits(&repo, &document);
    let text = repo.read(&document);
    for line in
        ["- cargo test --manifest-path engine/Cargo.toml\n", "- The node suite of web\n", "engine/src/**, web/src/**"]
    {
        assert!(text.contains(line), "`{line}` is missing in\n{text}");
    }
}

#[test]
fn where_nothing_is_known_that_is_said() {
    let repo = Repo::with(&[("README.md", "# A project\n")]);
    assert!(
        repo.blueprint(&["init"]).ends_with(0).out.contains("found: no build tool and no test runner that is known")
    );
    let made = repo.blueprint(&["new", "Faster"]).ends_with(0);
    made.says(&["no tests were found: the line under Tests is an example", "blueprint.yaml has no metrics"]);
}

#[test]
fn what_is_written_for_pytest_runs() {
    runs(&PYTEST, "#");
}

#[test]
fn what_is_written_for_unittest_runs() {
    runs(&UNITTEST, "#");
}

#[test]
fn what_is_written_for_cargo_runs() {
    runs(&CARGO, "//");
}

#[test]
fn where_git_ignores_the_lock_file_it_is_carried_and_what_is_written_runs() {
    let mut files = CARGO.files.to_vec();
    files[3].1 = "target/\nCargo.lock\n";
    let project = Project { files: files.leak(), ..CARGO };
    let repo = project.repository();
    assert!(repo.root().join("Cargo.lock").is_file() && repo.git(&["ls-files", "Cargo.lock"]).is_empty());
    let told = repo.blueprint(&["init"]).ends_with(0).out;
    assert!(told.contains("git ignores Cargo.lock: every tree gets a copy of yours"), "{told}");
    let config = repo.read("blueprint.yaml");
    assert!(
        config.contains("\ncarry: [\"Cargo.lock\"]\n") && config.contains("cargo test --no-run --locked"),
        "{config}"
    );
    runs(&project, "//");
}

#[test]
fn what_is_written_for_node_runs() {
    runs(&NODE, "//");
}

#[test]
fn what_is_written_for_go_runs() {
    runs(&GO, "//");
}

#[test]
fn what_is_written_for_make_runs() {
    runs(&MAKE, "//");
}

#[test]
fn what_is_written_for_ctest_runs() {
    runs(&CTEST, "//");
}
