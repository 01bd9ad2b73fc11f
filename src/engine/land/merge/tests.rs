//! Landing over fakes: what moved meanwhile, what stands in the way, and that only what was tested lands.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::domain::landing::{Landing, Require, Withheld};
use crate::domain::plan::Status;
use crate::engine::fixtures::{DOCUMENT, ITEM, World, cost, key, noisy, report, sample, source};
use crate::engine::pipeline::{self, Conclusion};
use crate::error::{Error, ExitCode};

fn world() -> World {
    World::of(&[("A", "20"), ("B", "60")])
}

/// Somebody commits these files whenever tests run in the merged tree, as often as this.
fn moving(world: &mut World, times: usize, files: &'static [(&'static str, &'static str)]) {
    let (disk, git, moved) = (world.disk.clone(), std::sync::Arc::clone(&world.git), AtomicUsize::new(0));
    world.tested_by(move |site, _| {
        if site.tree.to_string_lossy().contains("_merged/") {
            let number = moved.fetch_add(1, Ordering::SeqCst);
            if number < times {
                let fresh = format!("{number}\n");
                let more = ("moved.txt", Some(fresh.as_str()));
                let changes: Vec<_> = files.iter().map(|(path, text)| (*path, Some(*text))).chain([more]).collect();
                git.commit_on("main", &changes);
            }
        }
        Ok(report(&[("it is cheap", cost(&disk, &site.tree) < 1000.0)]))
    });
}

fn blocked(concluded: Result<Conclusion, Error>) -> Error {
    let error = concluded.unwrap_err();
    assert_eq!(error.kind, ExitCode::LandingBlocked, "{}", error.message);
    assert!(error.message.starts_with("cannot land "), "{}", error.message);
    error
}

#[tokio::test(start_paused = true)]
async fn a_winner_lands_on_a_target_that_moved_and_its_bounds_are_measured_again() {
    let mut world = world();
    moving(&mut world, 1, &[("other.txt", "x\n")]);
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.landed, Some(world.tip()));
    assert_eq!((world.own("cost.txt").as_str(), world.own("other.txt").as_str()), ("20\n", "x\n"));
    assert!(world.warnings().iter().any(|text| text.contains("`main` moved while the merge was verified")));
    let told = format!("{:?}", world.events.lock().unwrap());
    assert!(told.contains("measuring the bounds again"), "{told}");
    assert_eq!(world.left(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_never_stands_still_is_not_followed_for_ever_and_a_resume_lands() {
    let mut world = world();
    moving(&mut world, 3, &[]);
    let error = blocked(world.carry_out().await);
    assert!(error.message.contains("`main` moved 3 times"), "{}", error.message);
    assert!(error.hints.iter().any(|hint| hint.contains("blueprint resume")));
    assert_eq!((world.own("cost.txt").as_str(), world.left()), ("90\n", Vec::new()));
    let calls = world.calls();
    let conclusion = pipeline::carry_out(&world.resume().await).await.unwrap();
    assert_eq!((conclusion.landed, world.own("cost.txt").as_str()), (Some(world.tip()), "20\n"));
    assert_eq!(world.calls(), calls, "no agent is called again");
}

#[tokio::test(start_paused = true)]
async fn a_winner_that_conflicts_with_a_target_that_moved_does_not_land_and_is_kept() {
    let mut world = world();
    moving(&mut world, 1, &[("cost.txt", "70\n")]);
    let error = blocked(world.carry_out().await);
    assert!(error.message.contains("it conflicts with `main` in cost.txt"), "{}", error.message);
    assert!(error.hints.iter().any(|hint| hint.contains("blueprint retry")), "{:?}", error.hints);
    assert_eq!(world.own("cost.txt"), "70\n");
    assert!(world.git.refs().keys().any(|name| name.starts_with("refs/blueprint/") && name.ends_with("/a")));
}

#[tokio::test(start_paused = true)]
async fn a_merged_tree_whose_tests_fail_or_are_gone_does_not_land() {
    for (cases, said) in [
        (vec![("it is cheap", false), ("it runs", true)], "tests fail after the merge"),
        (vec![("it runs", true)], "are not there after the merge"),
    ] {
        let mut world = world();
        let disk = world.disk.clone();
        world.tested_by(move |site, _| match site.tree.to_string_lossy().contains("_merged/") {
            true => Ok(report(&cases)),
            false => Ok(report(&[("it is cheap", cost(&disk, &site.tree) < 1000.0), ("it runs", true)])),
        });
        let error = blocked(world.carry_out().await);
        assert!(error.message.contains(said), "{}", error.message);
        assert_eq!((world.tip(), world.left()), (world.started.base.clone(), Vec::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_merged_tree_that_misses_a_bound_does_not_land() {
    let mut world = world();
    moving(&mut world, 1, &[("slow.txt", "x\n")]);
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| {
        let slow = if disk.has(site.tree.join("slow.txt")) { 10.0 } else { 1.0 };
        sample(noisy(&disk, site, slot) * slow)
    }));
    let error = blocked(world.carry_out().await);
    let (said, wanted) = (&error.message, ["latency_p95 is ", "after the merge, must be <"]);
    assert!(wanted.iter().all(|part| said.contains(part)), "{said}");
    assert_eq!(world.own("cost.txt"), "90\n");
}

#[tokio::test(start_paused = true)]
async fn uncommitted_changes_in_the_way_are_named_and_once_they_are_gone_a_resume_lands_the_same_verdict() {
    let world = world();
    world.disk.write("/repo/cost.txt", "edited\n").unwrap();
    let error = blocked(world.carry_out().await);
    assert!(error.message.contains("uncommitted changes overlap with it in cost.txt"), "{}", error.message);
    assert_eq!((world.own("cost.txt").as_str(), world.tip()), ("edited\n", world.started.base.clone()));
    world.disk.write("/repo/cost.txt", "90\n").unwrap();
    let conclusion = pipeline::carry_out(&world.resume().await).await.unwrap();
    assert_eq!((conclusion.scoreboard.lands(), world.own("cost.txt").as_str()), (Some(&key("A")), "20\n"));
}

#[tokio::test(start_paused = true)]
async fn a_checkout_in_the_middle_of_something_is_in_the_way() {
    let world = world();
    world.git.set_busy(Some("a rebase is not concluded"));
    let error = blocked(world.carry_out().await);
    assert!(error.message.contains("a rebase is not concluded"), "{}", error.message);
    world.git.set_busy(None);
    pipeline::carry_out(&world.resume().await).await.unwrap();
    assert_eq!(world.own("cost.txt"), "20\n");
}

#[tokio::test(start_paused = true)]
async fn a_document_that_was_edited_or_carried_out_meanwhile_is_not_carried_out_again() {
    for (from, to, said) in [
        ("Lower what", "Lower at once what", "was edited on `main` during the run"),
        ("**Status**: approved", "**Status**: rejected", "is rejected on `main` by now"),
    ] {
        let mut world = world();
        let (git, text) = (std::sync::Arc::clone(&world.git), world.own(DOCUMENT).replace(from, to));
        let disk = world.disk.clone();
        world.measured_by(source(move |site, slot| {
            if slot.block == 1 {
                git.commit_on("main", &[(DOCUMENT, Some(text.as_str()))]);
            }
            sample(noisy(&disk, site, slot))
        }));
        let error = blocked(world.carry_out().await);
        assert!(error.message.contains(said), "{}", error.message);
        assert_eq!(world.own("cost.txt"), "90\n");
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_may_change_the_message_of_what_lands_or_refuse_it() {
    let world = world();
    world.git.set_hooks(|message| Ok(format!("{message}Hooked: yes\n")));
    world.git.set_signs("ssh");
    let conclusion = world.carry_out().await.unwrap();
    let (message, signed) = world.git.message(&conclusion.landed.unwrap()).unwrap();
    assert!(message.starts_with("Land variant A: Cost A\n") && message.ends_with("Hooked: yes\n"), "{message}");
    assert!(!signed, "nobody asked for it");
    let world = self::world();
    world.git.set_hooks(|_| Err("commit-msg: no ticket".to_owned()));
    let error = blocked(world.carry_out().await);
    assert!(error.message.contains("commit-msg: no ticket"), "{}", error.message);
    assert_eq!((world.tip(), world.left()), (world.started.base.clone(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn what_lands_is_signed_where_that_is_asked_for_and_hooks_are_not_run_where_it_is_not() {
    let mut world = world();
    (world.settings.land.sign, world.settings.land.hooks) = (true, false);
    world.git.set_hooks(|_| Err("never".to_owned()));
    world.git.set_signs("ssh");
    let conclusion = world.carry_out().await.unwrap();
    assert!(world.git.message(&conclusion.landed.unwrap()).unwrap().1);
}

#[tokio::test(start_paused = true)]
async fn configuration_that_strayed_is_named_and_hooks_are_not_run_by_it() {
    let world = world();
    world.git.set_strayed(&["core.hooksPath"]);
    let error = world.carry_out().await.unwrap_err();
    assert_eq!(error.kind, ExitCode::LandingBlocked, "{}", error.message);
    assert!(world.warnings().iter().any(|text| text.contains("core.hooksPath")), "{:?}", world.warnings());
    assert_eq!(world.tip(), world.started.base);
}

#[tokio::test(start_paused = true)]
async fn nothing_lands_and_nothing_is_recorded_where_that_is_not_wanted() {
    let mut world = world();
    world.settings.land.merge = false;
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(
        (conclusion.scoreboard.lands(), &conclusion.landed, &conclusion.recorded),
        (Some(&key("A")), &None, &None)
    );
    assert_eq!(world.tip(), world.started.base);
    assert_eq!(world.ports.git.file_at(&world.tip(), "cost.txt").await.unwrap(), Some(b"90\n".to_vec()));
    let document = crate::domain::document::Document::parse(world.own(DOCUMENT).as_bytes()).unwrap();
    assert_eq!(document.plan().status, Status::Approved);
}

#[tokio::test(start_paused = true)]
async fn a_change_with_a_suspicious_line_lands_unless_that_is_ruled_out_and_then_nobody_else_does() {
    for (require, landed) in [(Require::Better, Some("20\n")), (Require::Unsuspicious, None)] {
        let files = [
            ("A", vec![("cost.txt", "20"), ("notes/n.py", "import os\nos._exit(0)")]),
            ("B", vec![("cost.txt", "60")]),
        ];
        let mut world = World::writing(&files, ITEM);
        (world.settings.land.require, world.started.require) = (require, require);
        let conclusion = world.carry_out().await.unwrap();
        assert_eq!(
            (conclusion.landed.is_some(), world.own("cost.txt").as_str()),
            (landed.is_some(), landed.unwrap_or("90\n"))
        );
        let nothing = Landing::Nothing { why: Withheld::Suspicious };
        assert_eq!(conclusion.scoreboard.landing == Some(nothing), landed.is_none());
    }
}
