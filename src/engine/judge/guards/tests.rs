//! Files by which contenders are judged, over fakes.

use std::path::Path;

use crate::adapters::fake::Disk;
use crate::domain::trial::{Disqualification, Outcome};
use crate::engine::fixtures::{World, cost, noisy, report, sample, source};

/// Two variants and two suites, in a sandbox; `does` is what each run of the first suite does in its tree, and the
/// second passes whoever its file lets.
fn tested(does: impl Fn(&Disk, &Path, &str) + Send + Sync + 'static) -> World {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    world.started.sandboxed = true;
    let disk = world.disk.clone();
    world.tested_by(move |site, _| {
        let name = site.tree.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        does(&disk, &site.tree, name.split('_').next().unwrap_or_default());
        Ok(report(&[("it is cheap", cost(&disk, &site.tree) < 1000.0)]))
    });
    world
}

async fn why(world: &World, of: &str) -> Option<String> {
    match world.outcome(of).await? {
        Outcome::Disqualified { reason: Disqualification::Tampered { message } } => Some(message),
        other => panic!("{other:?}"),
    }
}

async fn lands(world: &World) -> Option<String> {
    world.carry_out().await.unwrap().scoreboard.lands().map(ToString::to_string)
}

#[tokio::test(start_paused = true)]
async fn whose_tests_change_what_it_is_judged_by_is_out_and_the_others_are_judged() {
    for (path, text) in [("tests/competition.sh", "exit 0\n"), ("tests/conftest.py", "x\n"), ("conftest.py", "x\n")] {
        let world = tested(move |disk, tree, who| {
            if who == "a" {
                disk.write(tree.join(path), text).unwrap();
            }
        });
        assert_eq!(lands(&world).await.as_deref(), Some("B"));
        assert_eq!(why(&world, "A").await, Some(format!("{path}, by which A is judged, changed while it was tested")));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_baselines_own_tests_change_puts_nobody_out_and_is_told_also_where_the_run_is_resumed() {
    let world = tested(|disk, tree, who| disk.write(tree.join("tests/competition.sh"), format!("# {who}\n")).unwrap());
    world.stop_after(60).await;
    assert_eq!(world.facts().await.rewritten.iter().collect::<Vec<_>>(), ["tests/competition.sh"]);
    let competition = world.resume().await;
    let conclusion = crate::engine::pipeline::carry_out(&competition).await.unwrap();
    assert_eq!(conclusion.scoreboard.lands().map(ToString::to_string).as_deref(), Some("A"));
    let told =
        world.warnings().into_iter().filter(|text| text.contains("changed while the baseline was tested")).count();
    assert_eq!(told, 1, "{:?}", world.warnings());
}

#[tokio::test(start_paused = true)]
async fn what_tests_write_beside_is_their_own_matter() {
    let world = tested(|disk, tree, who| {
        disk.write(tree.join(format!("tests/out-{who}.txt")), "x\n").unwrap();
        disk.write(tree.join("cache/conftest.py"), "x\n").unwrap();
    });
    assert_eq!((lands(&world).await.as_deref(), why(&world, "A").await), (Some("A"), None));
}

#[tokio::test(start_paused = true)]
async fn whose_benchmark_changes_what_it_is_judged_by_is_out_and_its_block_does_not_count() {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    world.started.sandboxed = true;
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| {
        if slot.block == 2 && site.tree.to_string_lossy().contains("/a_judge/") {
            disk.write(site.tree.join("tests/competition.sh"), "exit 0\n").unwrap();
        }
        sample(noisy(&disk, site, slot))
    }));
    assert_eq!(lands(&world).await.as_deref(), Some("B"));
    let told = why(&world, "A").await.unwrap();
    assert_eq!(told, "tests/competition.sh, by which A is judged, changed while it was measured");
    let facts = world.facts().await;
    assert_eq!(facts.discarded, 1);
    let second = facts.seen.blocks.iter().find(|block| block.index == 2).unwrap();
    assert!(second.slices.iter().all(|slice| slice.contender.key().is_none_or(|key| key.as_str() != "A")));
}

#[tokio::test(start_paused = true)]
async fn where_programs_reach_the_trees_of_others_it_is_nobody_s_fault_and_what_changed_decides_nothing() {
    let mut world = tested(|disk, tree, who| {
        if who == "a" {
            disk.write(tree.join("tests/competition.sh"), "exit 0\n").unwrap();
        }
    });
    world.started.sandboxed = false;
    assert_eq!(lands(&world).await.as_deref(), Some("B"));
    let Some(Outcome::Infrastructure { message }) = world.outcome("A").await else { panic!("A was judged") };
    assert!(message.contains("tests/competition.sh, by which A is judged, changed while it was tested"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn what_a_folder_s_name_protects_is_guarded_as_it_is_restored() {
    for name in ["tests", "tests/"] {
        let mut world = tested(|disk, tree, who| {
            if who == "a" {
                disk.write(tree.join("tests/competition.sh"), "exit 0\n").unwrap();
            }
        });
        world.settings.judge.protect = vec![name.to_owned()];
        assert_eq!(lands(&world).await.as_deref(), Some("B"), "{name}");
    }
}
