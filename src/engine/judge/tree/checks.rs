//! Judged trees over fakes: what stands in them, what runs in them, and whose trouble it is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::adapters::executor::fake::Ran;
use crate::adapters::git::{CommitId, CommitOrder, Git as _};
use crate::adapters::suite::SuiteError;
use crate::adapters::suite::fake::FakeSuite;
use crate::domain::measurement::Contender;
use crate::domain::trial::{Disqualification, TestReport};
use crate::engine::competition::Competition;
use crate::engine::fixtures::{STATE, World, report, variant};
use crate::engine::judge::tree::{Judged, Judgement};

fn world() -> World {
    World::of(&[("A", "20"), ("B", "60")])
}

/// A commit on the base that changes one file.
async fn work(world: &World, path: &str, text: &str) -> CommitId {
    let base = &world.started.base;
    let replace = Some((path, text.as_bytes()));
    let order = CommitOrder { tree: &base.0, replace, parents: &[base], message: "work", time: 0, signed: false };
    world.git.commit(&order).await.unwrap()
}

async fn judged(competition: &Competition, commit: &CommitId, known: Option<&TestReport>) -> Judgement {
    competition.judging.judge(&variant("A"), &commit.0, known).await.unwrap()
}

async fn ready(competition: &Competition, commit: &CommitId) -> (Judged, TestReport) {
    match judged(competition, commit, None).await {
        Judgement::Ready(judged, report) => (*judged, report),
        Judgement::Broken(reason) => panic!("{reason}"),
    }
}

async fn broken(world: &World, commit: &CommitId) -> Disqualification {
    let competition = world.start().await;
    match judged(&competition, commit, None).await {
        Judgement::Ready(..) => panic!("it is ready"),
        Judgement::Broken(reason) => {
            competition.leases.removed().await;
            assert_eq!(world.left(), [STATE], "nothing of it is left");
            reason
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_judged_tree_is_the_variant_s_with_protected_files_as_the_base_has_them() {
    let world = world();
    let competition = world.start().await;
    let cheat = work(&world, "tests/competition.sh", "exit 0\n").await;
    let (judged, report) = ready(&competition, &cheat).await;
    assert_eq!(judged.site.tree, Path::new("/state/r/a_judge/tree"));
    assert_eq!(world.disk.text(judged.site.tree.join("tests/competition.sh")), "true\n");
    assert_eq!((report.passed(), report.counted()), (2, 2));
    assert_eq!(world.facts().await.seen.tests.get(&variant("A")), Some(&report), "it is in the journal");
    competition.leases.close_lease(judged.lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn set_up_build_and_migrations_run_in_this_order_in_the_tree_before_its_tests() {
    let mut world = world();
    world.settings.judge.setup = vec!["configure".to_owned()];
    world.settings.judge.build = vec!["make all".to_owned()];
    world.settings.judge.migrate = vec!["migrate".to_owned()];
    for name in ["configure", "make", "migrate"] {
        world.program(name, move |given| {
            let order = given.dir().join("order");
            let before = given.disk.text(&order);
            given.disk.write(order, format!("{before}{name} {}\n", given.var("BLUEPRINT_LEASE"))).unwrap();
            Ran::well("")
        });
    }
    let disk = world.disk.clone();
    world.tested_by(move |site, _| {
        Ok(report(&[("it is built", disk.text(site.tree.join("order")).contains("migrate"))]))
    });
    let competition = world.start().await;
    let (judged, report) = ready(&competition, &world.started.base).await;
    let order = world.disk.text(judged.site.tree.join("order"));
    let programs: Vec<_> = order.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!((programs, report.passed()), (vec!["configure", "make", "migrate"], 1));
    assert!(order.lines().all(|line| line.ends_with("/a_judge")), "{order}");
    competition.leases.close_lease(judged.lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tree_that_can_not_be_built_is_its_variant_s_trouble_with_what_was_printed() {
    let mut world = world();
    world.settings.judge.build = vec!["make".to_owned()];
    world.program("make", |_| Ran::badly(2, "cost.c:1: error\n"));
    let Disqualification::SetupFailed { message } = broken(&world, &world.started.base).await else {
        panic!("it is not")
    };
    assert!(message.starts_with("`make` ended with exit status 2\ncost.c:1: error"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_suite_that_finds_no_tests_is_its_variant_s_trouble_and_one_whose_machine_fails_is_not() {
    let mut world = world();
    world.tested_by(|_, _| Err(SuiteError::Variant("no tests were found\nlook at tests/".to_owned())));
    let reason = broken(&world, &world.started.base).await;
    let tests = vec!["sh tests/competition.sh: no tests were found".to_owned()];
    assert_eq!(reason, Disqualification::TestsFailed { tests, detail: Some("look at tests/".to_owned()) });
    world.tested_by(|_, _| Err(SuiteError::Machine("no memory".to_owned())));
    let competition = world.start().await;
    let error = competition.judging.judge(&variant("A"), &world.started.base.0, None).await.err().unwrap();
    assert!(error.is_of_one_trial() && error.message.contains("no memory"), "{}", error.message);
    competition.leases.removed().await;
    assert_eq!(world.left(), [STATE]);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_the_journal_has_counts_and_the_suites_run_all_the_same() {
    let mut world = world();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    world.tested_by(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(report(&[("new", true)]))
    });
    let competition = world.start().await;
    let known = report(&[("old", false)]);
    let Judgement::Ready(tree, report) = judged(&competition, &world.started.base, Some(&known)).await else {
        panic!("it is broken")
    };
    assert_eq!((report, runs.load(Ordering::SeqCst)), (known, 1));
    assert!(!world.kinds().await.contains(&"tested".to_owned()), "it is not written again");
    competition.leases.close_lease(tree.lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn tests_that_found_a_port_taken_run_again_by_themselves() {
    let mut world = world();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    world.tested_by(move |_, _| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Err(SuiteError::Variant("OSError: [Errno 98] Address already in use".to_owned())),
        _ => Ok(report(&[("it serves", true)])),
    });
    let competition = world.start().await;
    let (tree, report) = ready(&competition, &world.started.base).await;
    assert_eq!((report.passed(), runs.load(Ordering::SeqCst)), (1, 2));
    assert!(world.warnings()[0].contains("tests of A found a port taken"), "{:?}", world.warnings());
    competition.leases.close_lease(tree.lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_first_suite_that_takes_selectors_gets_those_of_the_work_items_and_a_case_of_two_suites_counts_once() {
    let mut world = world();
    world.started.plan.work_items[0].tests = vec!["tests/a.py::one".to_owned(), "tests/a.py::one".to_owned()];
    let suite = |name: &'static str| {
        Arc::new(FakeSuite::new(name, move |_, selectors: &[String]| {
            Ok(report(&[("it runs", true), (format!("{} selected", selectors.len()).as_str(), true)]))
        }))
    };
    world.ports.suites = vec![suite("first"), suite("second")];
    let competition = world.start().await;
    let (tree, found) = ready(&competition, &world.started.base).await;
    let names: Vec<_> = found.cases.iter().map(|case| case.name.clone()).collect();
    assert!(
        names.iter().any(|name| name.contains("1 selected")) && names.iter().any(|name| name.contains("0 selected"))
    );
    assert_eq!(found.counted(), 3, "{names:?}");
    competition.leases.close_lease(tree.lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn trees_begin_with_what_was_built_for_the_baseline() {
    let mut world = world();
    world.settings.leases.built = vec!["target".to_owned()];
    world.settings.judge.build = vec!["make".to_owned()];
    world.program("make", |given| {
        let object = given.dir().join("target/cost.o");
        let found = if given.disk.has(&object) { "again" } else { "anew" };
        given.disk.write(given.dir().join("made"), found).unwrap();
        given.disk.write(object, "x").unwrap();
        Ran::well("")
    });
    let competition = world.start().await;
    let Judgement::Ready(baseline, _) =
        competition.judging.judge(&Contender::Baseline, &world.started.base.0, None).await.unwrap()
    else {
        panic!("it is broken")
    };
    let (variant, _) = ready(&competition, &work(&world, "cost.txt", "20\n").await).await;
    let made = |judged: &Judged| world.disk.text(judged.site.tree.join("made"));
    assert_eq!((made(&baseline), made(&variant)), ("anew".to_owned(), "again".to_owned()));
    for lease in [baseline.lease, variant.lease] {
        competition.leases.close_lease(lease).await.unwrap();
    }
}
