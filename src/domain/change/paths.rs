//! Which files are production code: by their path, and by a generator's word in their first lines.

use super::super::trial::Exclusion;
use super::dependencies::Manifest;
use super::lines::{Classified, LineKind, split};

const LOCKS: &[&str] = &[
    "cargo.lock",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "deno.lock",
    "poetry.lock",
    "uv.lock",
    "pdm.lock",
    "pipfile.lock",
    "gemfile.lock",
    "composer.lock",
    "packages.lock.json",
    "gradle.lockfile",
    "mix.lock",
    "pubspec.lock",
    "go.sum",
    "flake.lock",
];
const PROSE: &[&str] = &["md", "rst", "txt", "adoc"];
const TEST_FOLDERS: &[&str] = &[
    "test",
    "tests",
    "spec",
    "specs",
    "__tests__",
    "testdata",
    "fixtures",
    "bench",
    "benches",
    "benchmark",
    "benchmarks",
    "_benchmark",
];
/// Tests and benchmarks by their paths, as globs: what is no production code by [`exclusion`] judges variants, and is
/// not theirs to write.
pub const TESTS: [&str; 4] = [
    "**/{test,Test,tests,Tests,spec,Spec,specs,Specs,__tests__,testdata,fixtures,bench,benches,benchmark,benchmarks,\
     Benchmarks,_benchmark}/**",
    "**/{test_*,*_test,*_tests,*_spec,*_unittest,*.test,*.spec,*-test,conftest}.*",
    "**/{test,tests,spec,test-*}.{py,js,jsx,mjs,cjs,ts,tsx,mts,cts,rb,php}",
    "**/*{Test,Tests,TestCase}.{java,kt,kts,groovy,scala,cs,fs,php,swift}",
];
const VENDORED_FOLDERS: &[&str] = &["node_modules", "vendor", "third_party"];
const GENERATED_FOLDERS: &[&str] = &["dist", "target", "__snapshots__", "snapshots"];

/// Languages whose tests have such a name alone, and those whose tests begin with a capital.
const PLAIN: &[&str] = &["py", "js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts", "rb", "php"];
const CAPITALS: &[&str] = &["java", "kt", "kts", "groovy", "scala", "cs", "fs", "php", "swift"];

/// Whether a file is called as tests are in its language, and in no other.
fn is_test_of_its_language(path: &str, extension: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let plain = ["test", "tests", "spec"].contains(&stem) || stem.starts_with("test-");
    let capital = ["Test", "Tests", "TestCase"].iter().any(|end| stem.ends_with(end));
    (plain && PLAIN.contains(&extension)) || (capital && CAPITALS.contains(&extension))
}

/// How far down a generator may say that it wrote the file.
const HEADER: usize = 10;

/// Why a path does not count, as far as its names tell.
pub fn exclusion(path: &str) -> Option<Exclusion> {
    let lower = path.to_ascii_lowercase();
    let mut parts: Vec<_> = lower.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    let within = |folders: &[&str]| parts.iter().any(|part| folders.contains(part));
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let ends = ["_test", "_tests", "_spec", "_unittest", ".test", ".spec", "-test"];
    let is_test = stem.starts_with("test_")
        || ends.iter().any(|end| stem.ends_with(end))
        || stem == "conftest"
        || is_test_of_its_language(path, extension);
    let is_generated =
        [".min", ".generated", "_pb2", ".pb"].iter().any(|end| stem.ends_with(end)) || extension == "snap";
    if LOCKS.contains(&name) {
        Some(Exclusion::LockFile)
    } else if within(VENDORED_FOLDERS) {
        Some(Exclusion::Vendored)
    } else if within(TEST_FOLDERS) || is_test {
        Some(Exclusion::Test)
    } else if within(GENERATED_FOLDERS) || is_generated {
        Some(Exclusion::Generated)
    } else if PROSE.contains(&extension) && name != "cmakelists.txt" && Manifest::of(&lower).is_none() {
        Some(Exclusion::Prose)
    } else {
        None
    }
}

/// Whether a comment among the first lines says that a generator wrote the file. Where the language
/// is unknown, any line may say so.
pub(super) fn says_generated(text: &str, classified: &Classified) -> bool {
    let head = split(text).zip(&classified.lines).take(HEADER);
    let mut said = head.filter(|(_, line)| line.kind == LineKind::Comment || classified.language.is_none());
    said.any(|(text, _)| {
        text.contains("@generated") || (text.contains("Code generated") && text.contains("DO NOT EDIT"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::lines::classify;
    use super::*;
    use crate::domain::plan::globs;

    #[test]
    fn each_path_that_does_not_count_has_its_reason() {
        let cases = [
            ("tests/a.py", Exclusion::Test),
            ("src/test_a.py", Exclusion::Test),
            ("a_test.go", Exclusion::Test),
            ("web/a.spec.ts", Exclusion::Test),
            ("conftest.py", Exclusion::Test),
            ("Cargo.lock", Exclusion::LockFile),
            ("tests/app/package-lock.json", Exclusion::LockFile),
            ("docs/x.md", Exclusion::Prose),
            ("vendor/a/b.go", Exclusion::Vendored),
            ("vendor/a/tests/b.go", Exclusion::Vendored),
            ("web/dist/app.js", Exclusion::Generated),
            ("web/app.min.js", Exclusion::Generated),
            ("api/v1.pb.go", Exclusion::Generated),
        ];
        for (path, reason) in cases {
            assert_eq!(exclusion(path), Some(reason), "{path}");
        }
    }

    #[test]
    fn what_is_a_test_or_a_benchmark_by_its_path_is_one_to_everybody() {
        let globs = globs(&TESTS.map(str::to_owned));
        for folder in TEST_FOLDERS {
            for path in [format!("{folder}/a.rs"), format!("web/app/{folder}/x/a.py")] {
                assert_eq!((exclusion(&path), globs.is_match(&path)), (Some(Exclusion::Test), true), "{path}");
            }
        }
        for name in
            ["test_a.py", "a_test.go", "web/a.test.ts", "a.spec.js", "a-test.exs", "x/conftest.py", "Tests/a.swift"]
        {
            assert_eq!((exclusion(name), globs.is_match(name)), (Some(Exclusion::Test), true), "{name}");
        }
        for name in
            ["src/a.py", "src/contest.rs", "latest/a.py", "benchmarking/a.rs", "a_testing.go", "test", "src/test.rs"]
        {
            assert_eq!((exclusion(name), globs.is_match(name)), (None, false), "{name}");
        }
    }

    #[test]
    fn production_code_and_manifests_count() {
        for path in ["src/a.py", "db/migrations/003.sql", "requirements/base.txt", "CMakeLists.txt", "src/contest.rs"] {
            assert_eq!(exclusion(path), None, "{path}");
        }
    }

    #[test]
    fn a_generator_speaks_in_a_comment_at_the_top() {
        let says = |path: &str, text: &str| says_generated(text, &classify(path, text));
        assert!(says("a.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\npackage a\n"));
        assert!(says("a.ts", "/**\n * @generated\n */\nexport {};\n"));
        assert!(says("a.unknown", "@generated\n"));
        assert!(!says("a.py", "marker = '@generated'\n"));
        assert!(!says("a.go", &format!("package a\n{}// @generated\n", "\n".repeat(HEADER))));
    }
}
