//! Parallel lanes: used where a check sees no interference, given up with the reason where it does, and
//! the verdict is the same either way; and how long slices may take, in lanes and elsewhere. Machines with more cores than this one are faked at the port.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blueprint::adapters::executor::local::Local;
use blueprint::adapters::journal::{Journal, Memory};
use blueprint::adapters::machine::Machine;
use blueprint::adapters::machine::fake::FakeMachine;
use blueprint::adapters::machine::linux::Linux;
use blueprint::adapters::metric::fake::FakeSource;
use blueprint::adapters::metric::{MetricError, Sample, Slot};
use blueprint::adapters::process::{Command, Executor, Exit, Site, Stop};
use blueprint::compose::{self, Prepared};
use blueprint::config::SandboxMode;
use blueprint::domain::document::Document;
use blueprint::domain::event::Event;
use blueprint::domain::lanes::{Core, Decision, Lanes, Refusal, Topology, Wanted};
use blueprint::domain::measurement::{MetricName, Reading, Timing};
use blueprint::domain::quantity::{Dimension, Quantity};
use blueprint::domain::scoreboard::Scoreboard;
use blueprint::engine::before::target;
use blueprint::engine::clock::Clock;
use blueprint::engine::competition::Competition;
use blueprint::engine::measure::lanes;
use blueprint::engine::pipeline;
use blueprint::engine::state::{Facts, Log, Record, read};
use blueprint::project::Project;
use common::arena::{Arena, DOCUMENT};
use common::{Done, Repo};

/// The CPUs that we may use.
fn cpus() -> Vec<usize> {
    Linux.topology().cores.into_iter().flat_map(|core| core.cpus).collect()
}

/// A machine with eight cores, each of which is one of these CPUs in truth.
fn eight(real: &[usize]) -> Topology {
    let core = |n: usize| Core { cpus: vec![real[n % real.len()]], whole: true };
    Topology { cores: (0..8).map(core).collect() }
}

/// A run that is ready to start on a machine with these cores, and what it tells.
async fn prepared(repo: &Repo, topology: Topology) -> (Prepared, Arc<Mutex<Vec<Event>>>) {
    let mut project = Project::open(&repo.root()).await.unwrap();
    // The walls' first process is the program's own binary, and this is none.
    project.config.sandbox.mode = Some(SandboxMode::Off);
    let state = repo.dir.path().join("cache");
    project.variables.insert("XDG_CACHE_HOME".to_owned(), state.to_str().unwrap().to_owned());
    let document = Document::parse(repo.read(DOCUMENT).as_bytes()).unwrap();
    let target = target::target(&*project.git, None).await.unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    let sink = Arc::new(move |event| sink.lock().unwrap().push(event));
    let purpose = (compose::Purpose::Document, true);
    let mut prepared = compose::prepare(&project, DOCUMENT, &document, &target, purpose, sink).await.unwrap();
    prepared.ports.machine = Arc::new(FakeMachine::new(Vec::new()).with(topology));
    // The same order and the same inputs in every run.
    prepared.started.seed = 7;
    (prepared, events)
}

/// Carries it out, after these records of an earlier session.
async fn carried_out(prepared: Prepared, earlier: &[Record]) -> (Facts, Scoreboard, Arc<dyn Journal>) {
    let journal: Arc<dyn Journal> = Arc::new(Memory::default());
    let mut facts = prepared.record(&journal).await.unwrap();
    let log = Log::new(Arc::clone(&journal), &prepared.started.run, Clock::resumed(Duration::ZERO));
    for record in earlier {
        log.write(record).await.unwrap();
        facts.take(record.clone());
    }
    let Prepared { ports, settings, .. } = prepared;
    let competition = Competition::new(&facts, &ports, settings, Arc::clone(&journal), Stop::new()).unwrap();
    let conclusion = pipeline::carry_out(&competition).await.unwrap();
    (competition.run.facts().await.unwrap(), conclusion.scoreboard, journal)
}

fn lanes_of(facts: &Facts) -> BTreeSet<Option<u32>> {
    facts.seen.blocks.iter().flat_map(|block| &block.slices).map(|slice| slice.lane).collect()
}

/// A source of what a function makes of a tree's cost, at this site and beside so many others.
fn source(answer: impl Fn(f64, &Site, usize) -> Result<f64, MetricError> + Send + Sync + 'static) -> FakeSource {
    let metric = MetricName::new("latency_p95").unwrap();
    let busy = Arc::new(AtomicUsize::new(0));
    let (now, name) = (Arc::clone(&busy), metric.clone());
    let sample = move |site: &Site, _| {
        let text = std::fs::read_to_string(site.tree.join("cost.txt")).unwrap();
        let value = answer(text.trim().parse().unwrap(), site, now.load(Ordering::SeqCst) - 1)?;
        let value = Quantity::new(value / 1e3, Dimension::Time).unwrap();
        let readings = vec![Reading { metric: name.clone(), value, observations: 1, account: None }];
        Ok(Sample { readings, timing: Timing::default(), own: None, output: None })
    };
    FakeSource::new("fake", [(metric, Dimension::Time)], sample).counting(busy)
}

#[tokio::test]
async fn lanes_that_do_not_disturb_each_other_are_used_and_the_verdict_is_the_same_without_them() {
    let (mut boards, mut used) = (Vec::new(), Vec::new());
    for wanted in [Wanted::Auto, Wanted::Off] {
        let repo = Arena::default().build();
        let (mut prepared, events) = prepared(&repo, eight(&cpus())).await;
        prepared.settings.measure.lanes = wanted;
        let (facts, board, _) = carried_out(prepared, &[]).await;
        assert_eq!(repo.read("cost.txt"), "20\n");
        let decision = facts.seen.lanes.clone().unwrap();
        let told =
            events.lock().unwrap().iter().any(|e| matches!(e, Event::Choice { what, .. } if what == "measuring"));
        assert_eq!((decision.lanes.is_some(), told), (wanted == Wanted::Auto, wanted == Wanted::Auto), "{decision:?}");
        boards.push(board);
        used.push(lanes_of(&facts));
    }
    // Two variants, the baseline and its shadow.
    assert_eq!(used, [[Some(0), Some(1), Some(2), Some(3)].into(), [None].into()]);
    assert_eq!(boards[0], boards[1]);
}

#[tokio::test]
async fn everything_that_is_measured_in_a_lane_runs_on_its_cpus() {
    let repo = Arena::default().build();
    let seen = repo.told("seen");
    let script = repo.read("bench/cost.sh");
    let note = format!("grep Cpus_allowed_list: /proc/self/status >> {}\n", seen.display());
    repo.write("bench/cost.sh", &format!("{note}{script}"));
    repo.commit("says where it runs");
    let last = *cpus().last().unwrap();
    let (prepared, _) = prepared(&repo, eight(&[last])).await;
    let (facts, ..) = carried_out(prepared, &[]).await;
    assert!(facts.seen.lanes.as_ref().unwrap().lanes.is_some());
    let seen = std::fs::read_to_string(seen).unwrap();
    let places = seen.lines().map(|line| line.split_whitespace().last().unwrap());
    // The baseline is tried before there are lanes, and who is to land is looked at in fresh trees after them.
    let in_lanes = |place: &&str| *place == last.to_string();
    let measured = places.skip_while(|place| !in_lanes(place)).take_while(in_lanes).count();
    let slices: usize = facts.seen.blocks.iter().map(|block| block.slices.len()).sum();
    assert!(measured >= slices, "{measured} of {slices}");
}

#[tokio::test]
async fn a_source_that_neighbours_slow_down_is_measured_one_after_another_and_why_is_told() {
    let mut boards = Vec::new();
    for slowed in [false, true] {
        let repo = Arena::default().build();
        let (mut prepared, events) = prepared(&repo, eight(&cpus())).await;
        let most = Arc::new(AtomicUsize::new(0));
        let highest = Arc::clone(&most);
        let source = source(move |cost, _, others| {
            highest.fetch_max(others, Ordering::SeqCst);
            Ok(if slowed && others > 0 { cost * 1.1 } else { cost })
        });
        let open = source.still_open();
        prepared.ports.sources = vec![Arc::new(source)];
        let (facts, board, _) = carried_out(prepared, &[]).await;
        let decision = facts.seen.lanes.clone().unwrap();
        assert_eq!((open.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (0, 3));
        let warned: Vec<_> = events.lock().unwrap().iter().filter_map(warning).collect();
        if slowed {
            assert!(decision.why.contains("latency_p95 of baseline is 10.0 % more beside others"), "{decision:?}");
            assert!(!decision.check.is_empty() && decision.lanes.is_none());
            assert!(warned.iter().any(|text| text.contains(&decision.why)), "{warned:?}");
            assert_eq!(lanes_of(&facts), [None].into());
        } else {
            assert_eq!((warned, decision.lanes.unwrap().count()), (vec![], 4));
        }
        boards.push(board);
    }
    assert_eq!(boards[0], boards[1]);
}

fn warning(event: &Event) -> Option<String> {
    if let Event::Warning { text } = event { Some(text.clone()) } else { None }
}

#[tokio::test]
async fn a_variant_that_alone_suffers_from_neighbours_is_found_out() {
    let repo = Arena::default().build();
    let (mut prepared, _) = prepared(&repo, eight(&cpus())).await;
    let touchy = source(|cost, _, others| Ok(if others > 0 && cost < 30.0 { cost * 1.2 } else { cost }));
    prepared.ports.sources = vec![Arc::new(touchy)];
    let (facts, ..) = carried_out(prepared, &[]).await;
    let why = facts.seen.lanes.unwrap().why;
    assert!(why.contains("latency_p95 of A is 20.0 % more beside others"), "{why}");
}

#[tokio::test]
async fn a_slice_in_a_lane_may_take_as_long_beside_the_baseline_s_as_one_that_is_taken_alone() {
    for wanted in [Wanted::Auto, Wanted::Off] {
        let repo = Arena::default().build();
        let (mut prepared, _) = prepared(&repo, eight(&cpus())).await;
        prepared.settings.measure.lanes = wanted;
        let longest = Arc::new(Mutex::new(Duration::ZERO));
        let seen = Arc::clone(&longest);
        // Whoever is not limited has the minute that there is for measuring; block 0 tells how long slices are.
        let metric = MetricName::new("latency_p95").unwrap();
        let name = metric.clone();
        let sample = move |site: &Site, slot: Slot| {
            let cost: f64 = std::fs::read_to_string(site.tree.join("cost.txt")).unwrap().trim().parse().unwrap();
            if (1..1000).contains(&slot.block) && cost < 90.0 {
                let mut longest = seen.lock().unwrap();
                *longest = slot.limit.unwrap().max(*longest);
            }
            let value = Quantity::new(cost / 1e3, Dimension::Time).unwrap();
            let readings = vec![Reading { metric: name.clone(), value, observations: 1, account: None }];
            let timing = Timing { wall: Duration::from_millis(1), ..Timing::default() };
            Ok(Sample { readings, timing, own: None, output: None })
        };
        prepared.ports.sources = vec![Arc::new(FakeSource::new("fake", [(metric, Dimension::Time)], sample))];
        let (facts, ..) = carried_out(prepared, &[]).await;
        assert_eq!(facts.seen.lanes.unwrap().lanes.is_some(), wanted == Wanted::Auto);
        // A sixth of the minute.
        assert_eq!(*longest.lock().unwrap(), Duration::from_secs(10), "{wanted:?}");
    }
}

#[tokio::test]
async fn what_is_read_once_of_a_variant_may_take_as_long_beside_the_baseline_s_as_a_slice() {
    let repo = Arena::default().build();
    let (mut prepared, _) = prepared(&repo, eight(&cpus())).await;
    let limits = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&limits);
    let metric = MetricName::new("latency_p95").unwrap();
    let name = metric.clone();
    let sample = move |site: &Site, slot: Slot| {
        let cost: f64 = std::fs::read_to_string(site.tree.join("cost.txt")).unwrap().trim().parse().unwrap();
        seen.lock().unwrap().push((cost < 90.0, slot.limit.unwrap()));
        let value = Quantity::new(cost / 1e3, Dimension::Time).unwrap();
        let readings = vec![Reading { metric: name.clone(), value, observations: 1, account: None }];
        let timing = Timing { wall: Duration::from_millis(1), ..Timing::default() };
        Ok(Sample { readings, timing, own: None, output: None })
    };
    let source = FakeSource::new("fake", [(metric, Dimension::Time)], sample).once();
    prepared.ports.sources = vec![Arc::new(source)];
    carried_out(prepared, &[]).await;
    let limits = limits.lock().unwrap();
    let of = |variants: bool| limits.iter().filter(move |(of, _)| *of == variants).map(|(_, limit)| *limit);
    assert_eq!(of(true).collect::<Vec<_>>(), [Duration::from_secs(30); 2]);
    assert!(of(false).all(|limit| limit > Duration::from_secs(60)), "{limits:?}");
}

#[tokio::test]
async fn a_check_that_fails_disqualifies_nobody() {
    let repo = Arena::default().build();
    let (mut prepared, _) = prepared(&repo, eight(&cpus())).await;
    let taken = || MetricError::Variant("the port is taken".to_owned());
    let fails = source(move |cost, site, _| if site.cpus.is_empty() { Ok(cost) } else { Err(taken()) });
    prepared.ports.sources = vec![Arc::new(fails)];
    let (facts, ..) = carried_out(prepared, &[]).await;
    assert_eq!(facts.seen.lanes.unwrap().why, "the check failed: fake: the port is taken");
    assert_eq!((facts.seen.ended.len(), repo.read("cost.txt")), (0, "20\n".to_owned()));
}

#[tokio::test]
async fn a_source_that_keeps_something_running_is_not_measured_in_lanes() {
    let repo = Arena::default().build();
    let (mut prepared, events) = prepared(&repo, eight(&cpus())).await;
    prepared.ports.sources = vec![Arc::new(source(|cost, _, _| Ok(cost)).staying())];
    let refused = lanes::planned(&*prepared.ports.machine, &prepared.ports.sources, Wanted::Exactly(2), 3);
    assert_eq!(refused, Err(Refusal::Stays { source: "fake".to_owned() }));
    let (facts, ..) = carried_out(prepared, &[]).await;
    let why = facts.seen.lanes.unwrap().why;
    assert!(why.contains("`fake` measures something that keeps running"), "{why}");
    let told = |e: &Event| matches!(e, Event::Choice { text, .. } if text == &format!("one after another: {why}"));
    assert!(events.lock().unwrap().iter().any(told));
}

#[tokio::test]
async fn a_run_that_goes_on_keeps_to_what_was_decided_as_long_as_it_can() {
    let plan = |cores| Lanes::planned(&cores, Wanted::Exactly(2), 3).unwrap();
    let here = eight(&cpus());
    let gone = Topology { cores: (100..108).map(|cpu| Core { cpus: vec![cpu], whole: true }).collect() };
    let decided = |lanes| Record::Lanes(Decision { lanes, why: "as before".to_owned(), check: Vec::new() });
    // What was decided before, whether it is decided again, and the lanes that blocks are then measured in.
    let cases = [
        (decided(Some(plan(here.clone()))), false, BTreeSet::from([Some(0), Some(1)])),
        (decided(None), false, [None].into()),
        (decided(Some(plan(gone))), true, [Some(0), Some(1), Some(2), Some(3)].into()),
    ];
    for (record, again, expected) in cases {
        let repo = Arena::default().build();
        let (prepared, _) = prepared(&repo, here.clone()).await;
        let name = prepared.started.run.clone();
        let (facts, _, journal) = carried_out(prepared, std::slice::from_ref(&record)).await;
        let entries = journal.entries(&name).await.unwrap();
        let decisions = entries.iter().filter(|e| matches!(read(e).unwrap(), Record::Lanes(_))).count();
        assert_eq!((decisions, lanes_of(&facts)), (1 + usize::from(again), expected), "{record:?}");
    }
}

/// The program under test, with no more than one CPU.
async fn on_one_cpu(repo: &Repo, args: &[&str]) -> Done {
    let env = [
        ("HOME", repo.home().display().to_string()),
        ("PATH", std::env::var("PATH").unwrap()),
        ("XDG_CACHE_HOME", repo.dir.path().join("cache").display().to_string()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value)).into();
    let command = Command::new(Path::new(env!("CARGO_BIN_EXE_blueprint")), args.iter().copied(), repo.root()).env(&env);
    let command = Command { cpus: cpus()[..1].to_vec(), ..command };
    let done = Local.run(command, &Stop::new()).await.unwrap();
    let code = if let Exit::Code(code) = done.exit { code } else { -1 };
    Done { code, out: done.text(), err: String::from_utf8_lossy(&done.stderr).into_owned() }
}

#[tokio::test]
async fn a_number_of_lanes_that_the_machine_does_not_have_is_refused_before_anything_is_spent() {
    let repo = Arena::default().build();
    let config = repo.read("blueprint.yaml").replace("{budget: 60s}", "{budget: 60s, lanes: 4}");
    repo.write("blueprint.yaml", &config);
    repo.commit("lanes");
    let before = repo.git(&["rev-parse", "main"]);
    let refused = on_one_cpu(&repo, &["run", DOCUMENT]).await.ends_with(4);
    refused.says(&["variants can't be measured in parallel lanes", "lanes need 4", "4 cores or more", "lanes: auto"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    assert!(!repo.root().join(".git/blueprint/journal.db").exists());
    assert_eq!(repo.git(&["for-each-ref", "refs/blueprint"]), "");
    let plan = on_one_cpu(&repo, &["plan", DOCUMENT]).await.ends_with(0);
    assert!(plan.out.contains("`run` refuses") && plan.out.contains("one after another"), "{}", plan.out);
}

#[tokio::test]
async fn lanes_left_to_the_machine_are_one_after_another_on_few_cores_and_nobody_is_warned() {
    let repo = Arena::default().build();
    let plan = on_one_cpu(&repo, &["plan", DOCUMENT, "--json"]).await.ends_with(0);
    let plan: serde_json::Value = serde_json::from_str(&plan.out).unwrap();
    assert_eq!(plan["measure"]["lanes"], serde_json::json!([]));
    let run = on_one_cpu(&repo, &["run", DOCUMENT]).await.ends_with(0);
    assert!(!run.err.contains("lanes"), "{}", run.err);
    let report = on_one_cpu(&repo, &["report", "--json"]).await.ends_with(0);
    let report: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(report["lanes"]["cpus"], serde_json::json!([]));
    assert!(report["lanes"]["why"].as_str().unwrap().contains("lanes need 4"), "{report:#}");
    on_one_cpu(&repo, &["report", "--replay"]).await.ends_with(0);
}
