//! Runs on a disk that becomes full, in a mount namespace of their own.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use common::arena::{Arena, DOCUMENT};
use common::services::{Speaks, build};
use common::{Done, Repo};

/// Runs the program where a folder is a disk of this many MiB; nothing where this machine has no namespaces for us.
#[track_caller]
fn on_a_small_disk(repo: &Repo, folder: &str, mib: u32, arguments: &str) -> Option<Done> {
    let small = repo.dir.path().join(folder);
    std::fs::create_dir_all(&small).unwrap();
    let inside = |script: &str| {
        let mut command = repo.command("unshare");
        command.env("SMALL", &small).env("PROGRAM", env!("CARGO_BIN_EXE_blueprint"));
        // Who may mount stays who it is: PostgreSQL lets nobody be root, and a mapping has one user only.
        let own: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["--map-root-user"] };
        command.args(own).args(["--mount", "sh", "-c", script]).output().unwrap()
    };
    let mount = format!("mount -t tmpfs -o size={mib}m tmpfs \"$SMALL\"");
    if !inside(&mount).status.success() {
        common::lacks("namespaces in which it lets us mount something");
        return None;
    }
    // Templates of databases stay for the next run.
    let left = "find \"$SMALL\" -path '*/templates' -prune -o -type f -print | head -3 >&2";
    Some(Done::of(inside(&format!("{mount} && \"$PROGRAM\" {arguments}; code=$?; {left}; exit $code"))))
}

#[test]
fn a_disk_that_becomes_full_is_named_ends_the_run_with_nothing_left_and_the_run_can_be_resumed() {
    let repo = Arena::default().build();
    // Bytes that no file system makes smaller; three trees of them are too many.
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::fs::write(repo.root().join("big.bin"), (0..3_000_000).map(|_| next()).collect::<Vec<_>>()).unwrap();
    repo.commit("big");
    let Some(done) = on_a_small_disk(&repo, "cache", 8, &format!("run {DOCUMENT}")) else { return };
    let done = done.ends_with(1);
    let place = repo.dir.path().join("cache").canonicalize().unwrap();
    // Of the file system, or of the file there that could not be written.
    let done =
        done.says(&["No space left on device", &place.display().to_string(), "XDG_CACHE_HOME", "blueprint resume"]);
    let last = done.err.lines().last().unwrap();
    assert!(last.starts_with("help: "), "a file is left: {last}");
    assert_eq!(repo.git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(repo.git(&["for-each-ref", "refs/heads/blueprint/"]), "");
    repo.blueprint(&["resume"]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n");
}

/// Takes more room than a small disk has, and none on a large one in the end.
const FILLS: &str = "head -c 20000000 /dev/zero > \"$TMPDIR/fill\" 2> /dev/null && rm \"$TMPDIR/fill\"";

/// The run ends, with the disk named and nobody out; it lands where there is room.
#[track_caller]
fn is_nobodys_fault(what: &str, repo: &Repo) {
    on_so_small_a_disk_it_is_nobodys_fault(what, repo, 8);
}

#[track_caller]
fn on_so_small_a_disk_it_is_nobodys_fault(what: &str, repo: &Repo, mib: u32) {
    let Some(done) = on_a_small_disk(repo, "cache", mib, &format!("run {DOCUMENT}")) else { return };
    let place = repo.dir.path().join("cache").canonicalize().unwrap();
    let told = format!("No space left on device: the file system at {} has", place.display());
    let done = done.ends_with(1).says(&[&told, "blueprint resume"]);
    assert!(!done.out.contains(" is out") && !done.err.contains(" is out"), "{what}: {}{}", done.out, done.err);
    assert!(done.err.lines().last().unwrap().starts_with("help: "), "{what}: a file is left: {}", done.err);
    let done = repo.blueprint(&["resume"]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n", "{what}: {}", done.out);
}

#[test]
fn what_fails_while_the_disk_is_full_puts_nobody_out_whatever_it_is() {
    let for_a = format!("test \"$(cat cost.txt)\" != 20 || {{ {FILLS}; }}");
    let repo = Arena { config: format!("build: ['{for_a}']\n"), ..Arena::default() }.build();
    is_nobodys_fault("building", &repo);
    for (what, script) in [("tests/run.sh", &for_a), ("bench/cost.sh", &for_a)] {
        let repo = Arena::default().build();
        let own = repo.read(what).replacen("#!/bin/sh\n", &format!("#!/bin/sh\n{{ {script}; }} || exit 3\n"), 1);
        repo.write(what, &own);
        repo.commit("what fills the disk");
        is_nobodys_fault(what, &repo);
    }
    let repo = Arena { agent: "{command: \"sh agent.sh\"}".to_owned(), ..Arena::default() }.build();
    repo.write(
        "agent.sh",
        &format!("case $BLUEPRINT_VARIANT in A) {{ {FILLS}; }} || exit 3; echo 20;; *) echo 60;; esac > cost.txt\n"),
    );
    repo.commit("an agent");
    is_nobodys_fault("the agent", &repo);
}

#[test]
fn a_disk_that_was_full_for_a_moment_only_puts_nobody_out_either() {
    let repo = Arena::default().build();
    let script = "#!/bin/sh\ncost=$(cat cost.txt)\nif [ \"$cost\" = 20 ] && ! head -c 20000000 /dev/zero > \"$TMPDIR/fill\"; then\n\
        rm \"$TMPDIR/fill\"; exit 3\nfi\nrm -f \"$TMPDIR/fill\"\n";
    repo.write("tests/run.sh", script);
    repo.commit("what fills the disk and tidies up");
    is_nobodys_fault("a test that tidies up", &repo);
}

#[test]
fn what_the_code_as_it_is_fails_by_on_a_full_disk_is_not_the_harness_fault() {
    let repo = Arena::default().build();
    repo.write("tests/run.sh", &format!("#!/bin/sh\n{{ {FILLS}; }} || exit 3\n"));
    repo.commit("what fills the disk");
    is_nobodys_fault("the baseline's tests", &repo);
    let repo = Arena { config: format!("setup: ['{FILLS}']\n"), ..Arena::default() }.build();
    is_nobodys_fault("the baseline's set-up", &repo);
}

#[test]
fn who_only_says_that_a_disk_is_full_is_out_for_what_it_fails() {
    let repo = Arena::default().build();
    let script =
        "#!/bin/sh\ntest \"$(cat cost.txt)\" != 20 || { echo 'write error: No space left on device' >&2; exit 1; }\n";
    repo.write("tests/run.sh", script);
    repo.commit("what claims that the disk is full");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "60\n", "{}", done.out);
}

/// Three fourths of a million rows, where the cost is A's.
const ROWS: &str = "CREATE TABLE more AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) \
                    SELECT i, 'a row that is kept because somebody may ask for it once more, some day, on some machine' AS why FROM n";

#[test]
fn a_database_that_fills_the_disk_puts_nobody_out_either() {
    for (engine, speaks, mib) in [("sqlite", Speaks::Sqlite, 8), ("postgres", Speaks::Postgres, 190)] {
        let config = format!("database: {{engine: {engine}, seed: [db/seed.sql]}}\n");
        let repo = build(&Arena { config, ..Arena::default() }, speaks);
        let fills = format!("mark\ntest \"$(cat cost.txt)\" != 20 || sql \"{ROWS}\"\n");
        let own = repo.read("tests/run.sh").replacen("mark\n", &fills, 1);
        repo.write("tests/run.sh", &own);
        repo.commit("what fills the disk");
        if engine == "postgres" && !rustix::process::geteuid().is_root() {
            common::lacks("a user who may both mount and start PostgreSQL");
            continue;
        }
        on_so_small_a_disk_it_is_nobodys_fault(engine, &repo, mib);
    }
}
