//! Counts of instructions: the same from run to run on a busy machine, of all processes, and never taken for a time.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use blueprint::adapters::executor::local::Local;
use blueprint::adapters::metric::instructions::{Counter, Instructions, Settings};
use blueprint::adapters::metric::{MetricError, MetricSource, Slot};
use blueprint::adapters::process::{Environment, Program, Site, Stop};
use blueprint::domain::instructions::agree;
use blueprint::domain::measurement::MetricName;
use common::arena::{Arena, DOCUMENT};
use common::{Done, Repo};

/// Two programs that do nothing but compute, until this is dropped; each ends by itself after five minutes.
struct Busy(Vec<Child>);

impl Busy {
    fn start() -> Self {
        let line = "end=$(( $(date +%s) + 300 )); while [ $(date +%s) -lt $end ]; do i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; done";
        let burn = || Command::new("sh").args(["-c", line]).stdout(Stdio::null()).spawn().unwrap();
        Self(vec![burn(), burn()])
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A few instructions a round; with a second word, as many rounds again in a child.
const WORK: &str = r#"
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void work(long rounds) { volatile long sum = 0; for (long i = 0; i < rounds; i++) sum += i; }
int main(int count, char **words) {
    work(atol(words[1]));
    if (count > 2) {
        if (fork() == 0) { work(atol(words[2])); _exit(0); }
        wait(NULL);
    }
    return 0;
}
"#;

/// A directory with a compiled C program `x`.
fn compiled(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.c"), text).unwrap();
    let done = Command::new("cc").args(["-O1", "-o", "x", "x.c"]).current_dir(dir.path()).status().unwrap();
    assert!(done.success());
    dir
}

fn site(dir: &Path, path: &str) -> Site {
    let env: Environment = [("PATH".to_owned(), path.to_owned())].into();
    let (exec, stop) = (Arc::new(Local), Stop::new());
    Site { tree: dir.to_owned(), env, scratch: dir.to_owned(), cpus: Vec::new(), exec, stop }
}

fn source(line: &str, counter: Counter) -> Instructions {
    let command = Program::Shell(line.to_owned());
    Instructions::new(Settings { name: MetricName::new("work").unwrap(), command, counter })
}

async fn counted(dir: &Path, line: &str, seed: u64) -> Result<u64, MetricError> {
    let site = site(dir, &std::env::var("PATH").unwrap());
    let mut meter = source(line, Counter::Callgrind).open(&site).await?;
    let sample = meter.sample(Slot { block: 0, seed, limit: Some(Duration::from_secs(300)), brief: None }).await?;
    meter.close().await;
    assert!(sample.readings[0].observations >= 2, "two runs agreed");
    Ok(sample.readings[0].value.value() as u64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_native_program_has_the_same_count_in_every_run_and_half_a_percent_more_work_is_told() {
    let (dir, _busy) = (compiled(WORK), Busy::start());
    let mut counts = Vec::new();
    for seed in 1..=3 {
        counts.push(counted(dir.path(), "./x 1000000", seed).await.unwrap());
    }
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    let more = counted(dir.path(), "./x 1005000", 1).await.unwrap();
    assert!(!agree(counts[0], more), "{} and {more}", counts[0]);
    let share = more as f64 / counts[0] as f64 - 1.0;
    assert!((0.004..0.006).contains(&share), "{share}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_has_the_same_count_in_every_run_with_the_same_seed() {
    let dir = tempfile::tempdir().unwrap();
    let script = "names = {str(i) for i in range(3000)}\nwith open('hash', 'w') as f: f.write(str(hash('x')))\n\
                  total = 0\nfor name in names: total += len(name) * ROUNDS\n";
    let done = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    let line = format!("{} -S bench.py", String::from_utf8(done.stdout).unwrap().trim());
    let mut seen = Vec::new();
    for seed in [7, 7, 8] {
        std::fs::write(dir.path().join("bench.py"), script.replace("ROUNDS", "1")).unwrap();
        let count = counted(dir.path(), &line, seed).await.unwrap();
        seen.push((count, std::fs::read_to_string(dir.path().join("hash")).unwrap()));
    }
    assert!(agree(seen[0].0, seen[1].0) && seen[0].1 == seen[1].1, "{seen:?}");
    assert_ne!(seen[0].1, seen[2].1, "another block lays hashes out otherwise");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_are_counted_and_nothing_is_counted_twice() {
    let dir = compiled(WORK);
    let one = counted(dir.path(), "./x 1000000", 1).await.unwrap();
    let forked = counted(dir.path(), "./x 1000000 400000", 1).await.unwrap();
    // Four tenths for the child's own rounds, and a little for making it.
    let child = (forked - one) as f64 / one as f64;
    assert!((0.37..0.43).contains(&child), "{one} and {forked}");
    let both = counted(dir.path(), "./x 1000000; ./x 400000", 1).await.unwrap();
    assert!(both as f64 > 1.37 * one as f64, "{one} and {both}");
    let quoted = counted(dir.path(), "A=1 ./x 1000000", 1).await.unwrap();
    assert!(quoted >= one && quoted < one + one / 5, "a shell in front adds itself: {one} and {quoted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_fails_or_can_not_be_counted_is_out_with_what_was_said() {
    let dir = compiled("int main(void) { __asm__ volatile(\".byte 0x62,0xf1,0x7c,0x48,0x58,0xc0\"); return 0; }");
    for (line, expected) in [
        ("./x", "Illegal opcode at"),
        ("echo no such table >&2; exit 3", "exit status 3\nno such table"),
        ("./nowhere", "nowhere"),
    ] {
        let error = counted(dir.path(), line, 1).await.unwrap_err();
        assert!(matches!(&error, MetricError::Variant(message) if message.contains(expected)), "{line}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_does_something_else_each_time_has_no_count() {
    let dir = compiled(WORK);
    let line = "n=$(cat runs 2>/dev/null || echo 0); n=$((n + 1)); echo $n > runs; ./x $((n * 100000))";
    let error = counted(dir.path(), line, 1).await.unwrap_err();
    let MetricError::Variant(message) = error else { panic!("{error}") };
    assert!(
        message.contains("another number of instructions in each run") && message.contains("from: time"),
        "{message}"
    );
}

#[tokio::test]
async fn a_machine_without_a_counter_says_what_to_install() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    for counter in [Counter::Auto, Counter::Callgrind] {
        let env: Environment = [("PATH".to_owned(), path.to_owned())].into();
        let unready = source("./x", counter).ready(&Local, &env).await.unwrap_err();
        assert!(
            unready.what.contains("`valgrind`") && unready.hint.contains("apt-get install valgrind"),
            "{unready:?}"
        );
        let error = source("./x", counter).open(&site(dir.path(), path)).await.err().unwrap();
        assert!(matches!(&error, MetricError::Machine(message) if message.contains("apt-get install")), "{error}");
    }
    let env: Environment = [("PATH".to_owned(), path.to_owned())].into();
    let unready = source("./x", Counter::Pmu).ready(&Local, &env).await.unwrap_err();
    assert!(unready.hint.contains("counter: auto"), "{unready:?}");
}

// ---- whole runs ----

fn said(done: &Done) -> String {
    format!("{}{}", done.out, done.err)
}

/// A competition in which `cost.txt` is how many thousand rounds a C program does.
fn rounds(costs: &[(&'static str, u32)], config: &str) -> Repo {
    let arena = Arena { costs: costs.to_vec(), config: config.to_owned(), ..Arena::default() };
    let repo = arena.build();
    repo.write("bench/x.c", WORK);
    repo.write(".gitignore", "bench/x\n");
    repo.write("bench/work.sh", "exec ./bench/x $(cat cost.txt)000\n");
    let config = repo.read("blueprint.yaml");
    let set_up = "version: 1\nsetup: [\"cc -O1 -o bench/x bench/x.c\"]\n";
    repo.write("blueprint.yaml", &config.replace("version: 1\n", set_up));
    repo
}

#[test]
fn a_count_decides_where_the_document_asks_for_one_and_both_plan_and_report_say_that_it_is_no_time() {
    let repo = rounds(&[("A", 40), ("B", 80)], "");
    let metric = "latency_p95: {from: command, run: sh bench/cost.sh, path: latency.p95, unit: ms}";
    let count = "work: {from: instructions, run: sh bench/work.sh, counter: callgrind}";
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace(metric, count));
    let document =
        repo.read(DOCUMENT).replace("latency_p95: <80ms", "work: <1000000 instr").replace(" (p95 latency)", "");
    repo.write(DOCUMENT, &document);
    repo.commit("count");
    let plan = repo.blueprint(&["plan", DOCUMENT]);
    assert!(plan.out.contains("a count decides Performance, not a time"), "{}", said(&plan));
    let done = repo.blueprint(&["run", DOCUMENT]);
    assert_eq!(done.code, 0, "{}", said(&done));
    assert!(said(&done).contains("A wins"), "{}", said(&done));
    assert!(said(&done).contains("a count of instructions decided Performance, not a time (work)"), "{}", said(&done));
    assert_eq!(repo.read("cost.txt"), "40\n");
}

#[test]
fn a_time_is_never_bound_to_a_count() {
    let repo = rounds(&[("A", 40), ("B", 80)], "");
    let metric = "latency_p95: {from: command, run: sh bench/cost.sh, path: latency.p95, unit: ms}";
    repo.write(
        "blueprint.yaml",
        &repo.read("blueprint.yaml").replace(metric, "latency_p95: {from: instructions, run: ./x}"),
    );
    repo.commit("count");
    let done = repo.blueprint(&["check", DOCUMENT]);
    assert_ne!(done.code, 0);
    assert!(said(&done).contains("BP203"), "{}", said(&done));
}

#[test]
fn variants_that_can_not_be_told_apart_are_counted_and_the_report_says_who_executes_less() {
    let repo = rounds(&[("A", 41), ("B", 40)], "");
    let metric = "latency_p95: {from: command, run: sh bench/cost.sh, path: latency.p95, unit: ms}";
    let same = "latency_p95: {from: command, run: \"test $(cat cost.txt) = 90 && echo 60 || echo 20\", unit: ms}";
    let config = repo.read("blueprint.yaml").replace(metric, same);
    let measure = "measure: {budget: 60s, tie_break: {from: instructions, run: sh bench/work.sh, counter: callgrind}}";
    repo.write("blueprint.yaml", &config.replace("measure: {budget: 60s}", measure));
    repo.commit("ties");
    let plan = repo.blueprint(&["plan", DOCUMENT]);
    assert!(plan.out.contains("instructions: sh bench/work.sh"), "{}", said(&plan));
    let done = repo.blueprint(&["run", DOCUMENT]);
    assert!(said(&done).contains("tie between A and B"), "{}", said(&done));
    assert!(said(&done).contains("of equally simple ones B executes the fewest"), "{}", said(&done));
}
