//! The workspace port: this machine's disk, and the one in memory.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use blueprint::adapters::process::{Left, Redactor};
use blueprint::adapters::workspace::fake::FakeWorkspace;
use blueprint::adapters::workspace::{Carry, LocalWorkspace, Looked, Workspace};
use blueprint::domain::wire::Secret;

use crate::world::World;

/// Each workspace with its disk.
fn all() -> Vec<(World, Arc<dyn Workspace>)> {
    let World::Fake(disk) = World::fake() else { unreachable!() };
    let fake = Arc::new(FakeWorkspace::on(&disk));
    vec![(World::real(), Arc::new(LocalWorkspace)), (World::Fake(disk), fake)]
}

#[tokio::test]
async fn a_directory_is_made_with_those_above_it_put_aside_at_once_and_removed_as_often_as_one_likes() {
    for (world, workspace) in all() {
        let (kind, root) = (world.kind(), world.root());
        let (dir, aside) = (root.join("a/b"), root.join("aside"));
        workspace.make_private(&dir).await.unwrap();
        workspace.make_private(&dir).await.unwrap();
        world.write(&dir.join("c/file"), "x");
        workspace.put_aside(&dir, &aside).await.unwrap();
        assert!(!world.has(&dir), "{kind}");
        assert_eq!(world.read(&aside.join("c/file")).as_deref(), Some("x"), "{kind}");
        workspace.put_aside(&dir, &root.join("elsewhere")).await.unwrap();
        assert!(!world.has(&root.join("elsewhere")), "{kind}");
        workspace.remove(&aside).await.unwrap();
        workspace.remove(&aside).await.unwrap();
        assert!(!world.has(&aside) && world.has(&root.join("a")), "{kind}");
    }
}

#[tokio::test]
async fn a_directory_is_not_taken_for_what_stands_in_its_place_later() {
    for (world, workspace) in all() {
        let (kind, root) = (world.kind(), world.root());
        let (work, aside) = (root.join("work"), root.join("aside"));
        world.write(&work.join(".git"), "gitdir: /a\n");
        let known = workspace.footing(&work).await.unwrap();
        world.write(&work.join("more"), "x");
        assert_eq!(workspace.replaced(&work, &known).await, None, "{kind}");
        world.write(&work.join(".git"), "gitdir: /b\n");
        assert_eq!(workspace.replaced(&work, &known).await, Some("has another `.git` than it had"), "{kind}");
        workspace.put_aside(&work, &aside).await.unwrap();
        assert_eq!(workspace.replaced(&work, &known).await, Some("was removed"), "{kind}");
        world.folder(&work);
        assert_eq!(workspace.replaced(&work, &known).await, Some("was replaced by another directory"), "{kind}");
        world.remove(&work);
        world.link(&work, &aside);
        assert_eq!(workspace.replaced(&work, &known).await, Some("was replaced by a link"), "{kind}");
        workspace.footing(&work).await.unwrap_err();
        world.remove(&work);
        world.write(&work, "a file");
        assert_eq!(workspace.replaced(&work, &known).await, Some("was replaced by a file"), "{kind}");
        workspace.footing(&root.join("nowhere")).await.unwrap_err();
    }
}

#[tokio::test]
async fn nothing_behind_a_link_is_removed_wherever_the_link_stands() {
    for replaced in ["run", "run/a", "run/a/work"] {
        for (world, workspace) in all() {
            let (kind, root) = (world.kind(), world.root());
            let (run, precious) = (root.join("run"), root.join("precious"));
            for folder in ["a/work", "work", "sub"] {
                world.write(&precious.join(folder).join("file"), "x");
            }
            let target = run.join("a/work");
            world.write(&target.join("file"), "ours");
            let link = root.join(replaced);
            world.remove(&link);
            world.link(&link, &precious);
            workspace.unlink_detours(&run, &target).await.unwrap();
            workspace.remove(&target).await.unwrap();
            assert!(!world.is_link(&link), "{kind}: {replaced}");
            for folder in ["a/work", "work", "sub"] {
                assert!(world.has(&precious.join(folder).join("file")), "{kind}: {replaced}: {folder}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_carried_comes_with_its_time_and_never_over_or_behind_what_is_there() {
    for (world, workspace) in all() {
        let (kind, root) = (world.kind(), world.root());
        let (from, into) = (root.join("from"), root.join("into"));
        for file in ["deps/a", "deps/in/b", "deps/in/tracked", "deps/sub/.git", "single", "deps/linked/c"] {
            world.write(&from.join(file), "theirs");
        }
        world.folder(&from.join("deps/empty"));
        world.link(&from.join("deps/link"), &root.join("nowhere"));
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        world.set_modified(&from.join("deps/a"), old);
        world.write(&into.join("deps/in/b"), "ours");
        world.folder(&root.join("outside"));
        world.link(&into.join("deps/linked"), &root.join("outside"));
        let without = [PathBuf::from("deps/in/tracked")];
        for path in ["deps/", "single", "absent"] {
            workspace.carry(&Carry { path, from: &from, into: &into, without: &without }).await.unwrap();
        }
        assert_eq!(world.read(&into.join("deps/a")).as_deref(), Some("theirs"), "{kind}");
        assert_eq!(world.modified(&into.join("deps/a")), old, "{kind}");
        assert_eq!(world.read(&into.join("deps/in/b")).as_deref(), Some("ours"), "{kind}: what is there stays");
        assert_eq!(world.read(&into.join("single")).as_deref(), Some("theirs"), "{kind}");
        assert!(world.has(&into.join("deps/empty")) && world.is_link(&into.join("deps/link")), "{kind}");
        for left in ["deps/in/tracked", "deps/sub/.git", "absent"] {
            assert!(!world.has(&into.join(left)), "{kind}: {left}");
        }
        assert!(!world.has(&root.join("outside/c")), "{kind}: nothing is written behind a link");
        world.link(&into.join("way"), &root.join("outside"));
        world.write(&from.join("way/file"), "x");
        workspace.carry(&Carry { path: "way/file", from: &from, into: &into, without: &[] }).await.unwrap();
        assert!(!world.has(&root.join("outside/file")), "{kind}");
    }
}

#[tokio::test]
async fn only_files_that_are_the_same_get_the_same_times() {
    for (world, workspace) in all() {
        let (kind, root) = (world.kind(), world.root());
        let (from, into) = (root.join("from"), root.join("into"));
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (file, other) in [("a/same", "x"), ("a/different", "y"), ("left/same", "x"), ("new", "x")] {
            world.write(&into.join(file), "x");
            if file != "new" {
                world.write(&from.join(file), other);
                world.set_modified(&from.join(file), old);
            }
        }
        workspace.same_times(&from, &into, &["left/".to_owned()]).await.unwrap();
        let same: Vec<_> = ["a/same", "a/different", "left/same", "new"]
            .into_iter()
            .filter(|file| world.modified(&into.join(file)) == old)
            .collect();
        assert_eq!(same, ["a/same"], "{kind}");
    }
}

#[tokio::test]
async fn what_a_trial_left_is_kept_without_secrets_and_nothing_behind_a_link_is() {
    for (world, workspace) in all() {
        let (kind, root) = (world.kind(), world.root());
        let (log, kept) = (root.join("tests.log"), root.join("logs/r/a.log"));
        let redactor = Redactor::new([&Secret::new("dummy-key-0123")]);
        assert!(!workspace.keep(&log, &kept, &redactor).await.unwrap(), "{kind}");
        world.write(&log, "");
        assert!(!workspace.keep(&log, &kept, &redactor).await.unwrap(), "{kind}: there is nothing in it");
        for _ in 0..2 {
            world.write(&log, "one dummy-key-0123\n");
            assert!(workspace.keep(&log, &kept, &redactor).await.unwrap(), "{kind}");
        }
        assert_eq!(world.read(&kept).as_deref(), Some("one [redacted]\none [redacted]\n"), "{kind}");
        world.remove(&log);
        world.write(&root.join("secret"), "s");
        world.link(&log, &root.join("secret"));
        workspace.keep(&log, &kept, &redactor).await.unwrap_err();
    }
}

#[tokio::test]
async fn what_stands_in_a_tree_is_seen_and_put_back_and_nothing_behind_a_link_is() {
    for (world, workspace) in all() {
        let (kind, root) = (world.kind(), world.root());
        let tree = root.join("tree");
        world.write(&tree.join("a"), "x");
        world.write(&root.join("secret"), "s");
        world.link(&tree.join("b"), &root.join("secret"));
        let before = workspace.look(&tree, "a").await;
        assert_eq!(before.bytes, Some(b"x".to_vec()), "{kind}");
        let pause = Duration::from_millis(30);
        tokio::time::sleep(pause).await;
        let between = SystemTime::now();
        tokio::time::sleep(pause).await;
        world.write(&tree.join("a"), "y");
        world.set_modified(&tree.join("a"), SystemTime::UNIX_EPOCH);
        let after = workspace.look(&tree, "a").await;
        assert!(before.changed.unwrap() < between && between < after.changed.unwrap(), "{kind}");
        workspace.put_back(&tree, "a", b"x").await.unwrap();
        assert_eq!(workspace.read(&tree.join("a")).await.unwrap(), Some(b"x".to_vec()), "{kind}");
        assert_ne!(workspace.look(&tree, "b").await.bytes, Some(b"s".to_vec()), "{kind}");
        workspace.put_back(&tree, "b", b"x").await.unwrap_err();
        assert_eq!(world.read(&root.join("secret")).as_deref(), Some("s"), "{kind}");
        assert_eq!(workspace.look(&tree, "c").await, Looked { bytes: None, changed: None }, "{kind}");
        workspace.put_back(&tree, "c", b"x").await.unwrap_err();
        assert_eq!(workspace.read(&tree.join("c")).await.unwrap(), None, "{kind}");
        workspace.read(&tree).await.unwrap_err();
    }
}

#[tokio::test]
async fn ports_differ_and_random_numbers_do_too_and_a_disk_with_room_is_not_full() {
    for (world, workspace) in all() {
        let ports: BTreeSet<_> = workspace.ports(8).await.unwrap().into_iter().collect();
        assert_eq!(ports.len(), 8, "{}", world.kind());
        assert_ne!(workspace.random(), workspace.random(), "{}", world.kind());
        assert_eq!(workspace.full(&world.root(), Left::Nothing), None, "{}", world.kind());
    }
}

#[tokio::test]
async fn a_full_fake_disk_says_so_and_takes_nothing() {
    let World::Fake(disk) = World::fake() else { unreachable!() };
    let workspace = FakeWorkspace::on(&disk);
    disk.fill(Some("No space left on device"));
    let full = workspace.full(&PathBuf::from("/world"), Left::Nothing);
    assert_eq!(full.as_deref(), Some("No space left on device"));
    workspace.make_private(&PathBuf::from("/world/a")).await.unwrap_err();
}
