//! Whole competitions over fakes, from the frozen plan to what lands.

use crate::adapters::suite::SuiteError;
use crate::domain::document::Document;
use crate::domain::event::Event;
use crate::domain::landing::Require;
use crate::domain::plan::Status;
use crate::domain::trial::{Disqualification, Outcome};
use crate::domain::verdict::{NoWinner, Verdict};
use crate::engine::fixtures::{DOCUMENT, World, cost, key, noisy, report, sample, source, variant};
use crate::engine::pipeline::{self, Conclusion};
use crate::error::ExitCode;

/// The document as the target has it.
fn document(world: &World) -> Document {
    Document::parse(world.own(DOCUMENT).as_bytes()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_better_of_two_variants_lands_and_nothing_of_the_run_is_left() {
    let world = World::of(&[("A", "20"), ("B", "60")]);
    let base = world.tip();
    let conclusion = world.carry_out().await.unwrap();
    assert!(matches!(&conclusion.scoreboard.verdict, Verdict::Winner { key: winner, .. } if *winner == key("A")));
    assert_eq!((conclusion.landed.as_ref(), conclusion.recorded), (Some(&world.tip()), None));
    assert_eq!(world.own("cost.txt"), "20\n", "the checkout follows");
    assert_eq!((document(&world).plan().status, document(&world).run().is_some()), (Status::Completed, true));
    let parents = world.git.parents(&world.tip());
    assert_eq!((parents.len(), &parents[0]), (2, &base), "it is a merge");
    assert_eq!((world.calls(), world.left()), (vec!["A 0".to_owned(), "B 0".to_owned()], Vec::new()));
    let facts = world.facts().await;
    assert!(facts.finished && facts.live.is_empty());
    assert!(world.git.refs().contains_key("refs/blueprint/20260105-100000-beef/b"), "what lost is kept");
    assert_eq!(world.warnings(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn of_two_variants_that_cost_the_same_the_one_that_changes_less_lands() {
    let (plain, long) = (vec![("cost.txt", "20")], vec![("cost.txt", "20"), ("notes/a.py", "a = 1\nb = 2\nc = 3")]);
    let world = World::writing(&[("A", long), ("B", plain)], crate::engine::fixtures::ITEM);
    let conclusion = world.carry_out().await.unwrap();
    let lands = conclusion.scoreboard.lands().cloned();
    assert_eq!(lands, Some(key("B")), "{:?}", conclusion.scoreboard.verdict);
    assert_eq!(world.own("cost.txt"), "20\n");
    assert_eq!(world.own("notes/a.py"), "");
}

#[tokio::test(start_paused = true)]
async fn variants_that_nothing_tells_apart_tie() {
    let mut world = World::of(&[("A", "20"), ("B", "20")]);
    let disk = world.disk.clone();
    world.measured_by(source(move |site, _| sample(cost(&disk, &site.tree))));
    let conclusion = world.carry_out().await.unwrap();
    let verdict = &conclusion.scoreboard.verdict;
    assert!(matches!(verdict, Verdict::Tie { among, .. } if *among == [key("A"), key("B")]), "{verdict:?}");
    assert_eq!(world.own("cost.txt"), "20\n");
}

#[tokio::test(start_paused = true)]
async fn a_variant_whose_tests_fail_is_out_however_fast_it_is() {
    let mut world = World::of(&[("A", "1"), ("B", "60")]);
    let disk = world.disk.clone();
    world.tested_by(move |site, _| Ok(report(&[("it runs", true), ("it is honest", cost(&disk, &site.tree) > 10.0)])));
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.scoreboard.lands(), Some(&key("B")));
    let reason = world.outcome("A").await;
    let Some(Outcome::Disqualified { reason: Disqualification::TestsFailed { tests, .. } }) = &reason else {
        panic!("{reason:?}")
    };
    assert!(tests.len() == 1 && tests[0].ends_with("it is honest"), "{tests:?}");
    let measured = world.facts().await.seen.blocks.into_iter().flat_map(|block| block.slices);
    assert!(measured.into_iter().all(|slice| slice.contender != variant("A")), "it is never measured");
    assert_eq!(world.left(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_better_than_the_baseline_the_document_says_so_and_nothing_else_lands() {
    let mut world = World::of(&[("A", "95"), ("B", "120")]);
    // Without a bound that the baseline misses.
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| sample(noisy(&disk, site, slot) / 2.0)));
    let base = world.tip();
    let conclusion = world.carry_out().await.unwrap();
    let verdict = &conclusion.scoreboard.verdict;
    assert!(matches!(verdict, Verdict::NoWinner { .. }), "{verdict:?}");
    assert_eq!((conclusion.landed, conclusion.recorded), (None, Some(world.tip())));
    assert_eq!(world.git.parents(&world.tip()), [base]);
    assert_eq!((world.own("cost.txt").as_str(), document(&world).plan().status), ("90\n", Status::Failed));
    assert_eq!(world.left(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_variant_that_misses_a_bound_does_not_win_whatever_its_points() {
    let mut world = World::of(&[("A", "85"), ("B", "88")]);
    world.settings.land.require = Require::Leader;
    world.started.require = Require::Leader;
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.scoreboard.lands(), None);
    for name in ["A", "B"] {
        let outcome = world.outcome(name).await;
        assert!(
            matches!(&outcome, Some(Outcome::Disqualified { reason: Disqualification::BoundBroken { .. } })),
            "{outcome:?}"
        );
    }
    assert_eq!(conclusion.scoreboard.verdict, Verdict::NoWinner { reason: NoWinner::NoneEligible });
}

#[tokio::test(start_paused = true)]
async fn a_variant_that_changes_what_it_may_not_is_told_once_and_then_out() {
    let stray = vec![("cost.txt", "1"), ("secret.txt", "x")];
    let world = World::writing(&[("A", stray), ("B", vec![("cost.txt", "60")])], crate::engine::fixtures::ITEM);
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(conclusion.scoreboard.lands(), Some(&key("B")));
    let paths = vec!["secret.txt".to_owned()];
    let reason = Disqualification::ContractBroken { paths };
    assert_eq!(world.outcome("A").await, Some(Outcome::Disqualified { reason }));
    assert_eq!(world.calls(), ["A 0", "A 0", "B 0"]);
    assert_eq!(world.left(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_baseline_whose_suite_does_not_work_ends_the_run_before_any_agent_starts() {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    world.tested_by(|_, _| Err(SuiteError::Variant("no tests were found".to_owned())));
    let error = world.carry_out().await.unwrap_err();
    assert_eq!(error.kind, ExitCode::Machine);
    assert!(error.message.contains("the baseline can't be judged"), "{}", error.message);
    assert_eq!((world.calls(), world.left()), (Vec::new(), Vec::new()));
    assert!(world.facts().await.finished, "there is nothing to resume");
}

#[tokio::test(start_paused = true)]
async fn trouble_of_one_trial_s_own_leaves_the_others_in_and_trouble_of_all_ends_the_run() {
    for (troubled, lands) in [("a", Some(key("B"))), ("", None)] {
        let mut world = World::of(&[("A", "20"), ("B", "60")]);
        let disk = world.disk.clone();
        let lease = format!("/state/r/{troubled}");
        world.tested_by(move |site, _| {
            let path = site.tree.to_string_lossy().into_owned();
            let hit = path.starts_with(&lease) && !path.contains("baseline") && !path.contains("shadow");
            if hit {
                Err(SuiteError::Machine("no memory".to_owned()))
            } else {
                Ok(report(&[("x", cost(&disk, &site.tree) > 0.0)]))
            }
        });
        let concluded = world.carry_out().await;
        match (concluded, lands) {
            (Ok(Conclusion { scoreboard, .. }), Some(lands)) => {
                assert_eq!(scoreboard.lands(), Some(&lands));
                let outcome = world.outcome("A").await;
                assert!(matches!(&outcome, Some(Outcome::Infrastructure { message }) if message.contains("no memory")));
            }
            (Err(error), None) => assert!(error.message.contains("no memory"), "{}", error.message),
            (other, _) => panic!("{troubled}: {other:?}"),
        }
        assert_eq!(world.left(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_asked_to_stop_leaves_nothing_but_its_journal_and_can_be_resumed() {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let (disk, stop) = (world.disk.clone(), world.stop.clone());
    world.measured_by(source(move |site, slot| {
        if slot.block == 3 {
            stop.cancel();
        }
        sample(noisy(&disk, site, slot))
    }));
    let error = world.carry_out().await.unwrap_err();
    assert_eq!((error.kind, world.left()), (ExitCode::Interrupted, Vec::new()));
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| sample(noisy(&disk, site, slot))));
    world.stop = crate::adapters::process::Stop::new();
    let conclusion = pipeline::carry_out(&world.resume().await).await.unwrap();
    assert_eq!(conclusion.scoreboard.lands(), Some(&key("A")));
    assert_eq!(world.calls(), ["A 0", "B 0"], "what was written is not written again");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_vanished_after_any_kind_of_record_comes_to_the_same_end_when_it_is_resumed() {
    let mut whole = World::of(&[("A", "20"), ("B", "60")]);
    whole.with_cache();
    let expected = whole.carry_out().await.unwrap();
    let kinds = whole.kinds().await;
    // Of what repeats itself, such as block after block, once.
    let mut met = std::collections::BTreeSet::new();
    for records in 1..kinds.len() {
        if !met.insert((kinds[records.saturating_sub(2)].clone(), kinds[records - 1].clone(), kinds[records].clone())) {
            continue;
        }
        let mut world = World::of(&[("A", "20"), ("B", "60")]);
        world.with_cache();
        assert!(world.stop_after(records).await, "it has no record {records}");
        let conclusion = pipeline::carry_out(&world.resume().await).await.unwrap();
        let at = format!("after record {records}, {}", kinds[records - 1]);
        assert_eq!(conclusion.scoreboard, expected.scoreboard, "{at}");
        assert_eq!((world.own("cost.txt").as_str(), world.left()), ("20\n", Vec::new()), "{at}");
        // One merge, whenever it was stopped.
        let landed = conclusion.landed.unwrap();
        assert_eq!(
            (&landed, world.git.parents(&landed)[0].clone()),
            (&world.tip(), world.started.base.clone()),
            "{at}"
        );
        assert!(world.facts().await.live.is_empty(), "{at}");
        let landings = world.events.lock().unwrap().iter().filter(|e| matches!(e, Event::Landed { .. })).count();
        assert_eq!(landings, 1, "{at}");
    }
}
