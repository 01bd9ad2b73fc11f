//! Runs on a disk that becomes full, in a mount namespace of their own.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use common::arena::{Arena, DOCUMENT};
use common::{Done, Repo};

/// Runs the program where a folder is a disk of this many MiB; nothing where this machine has no namespaces for us.
fn on_a_small_disk(repo: &Repo, folder: &str, mib: u32, arguments: &str) -> Option<Done> {
    let small = repo.dir.path().join(folder);
    std::fs::create_dir_all(&small).unwrap();
    let inside = |script: &str| {
        let mut command = repo.command("unshare");
        command.env("SMALL", &small).env("PROGRAM", env!("CARGO_BIN_EXE_blueprint"));
        command.args(["--map-root-user", "--mount", "sh", "-c", script]).output().unwrap()
    };
    let mount = format!("mount -t tmpfs -o size={mib}m tmpfs \"$SMALL\"");
    if !inside(&mount).status.success() {
        // This machine lets us mount nothing.
        return None;
    }
    let left = "find \"$SMALL\" -type f | head -3 >&2";
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
    let told = format!("No space left on device: the file system at {} has", place.display());
    let done = done.says(&[&told, "XDG_CACHE_HOME", "blueprint resume"]);
    let last = done.err.lines().last().unwrap();
    assert!(last.starts_with("help: "), "a file is left: {last}");
    assert_eq!(repo.git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(repo.git(&["for-each-ref", "refs/heads/blueprint/"]), "");
    repo.blueprint(&["resume"]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n");
}
