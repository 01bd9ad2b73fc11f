//! What the orchestrator adds: the wall time of a run whose agents and tests only sleep, divided
//! by its critical path, and the orchestrator's peak memory.
//!
//! The critical path is the suite's sleep on the baseline before anything is spent, the agent's sleep, the suite's sleep on what
//! it made, every slice of the race (they are taken one after another on purpose; their wall times are read from the journal) and the
//! suite's sleep once more for the verification of the merge. One variant is far better than the others, so that how many
//! slices a race needs is not left to chance.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::Stdio;
use std::time::{Duration, Instant};

use common::arena::{Arena, DOCUMENT};

struct Figures {
    ratio: f64,
    wall: Duration,
    critical: Duration,
    peak_mb: f64,
}

const SLICES: &str = "
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute(\"select data from record where kind = 'block'\")
walls = [s['timing']['wall'] for (row,) in rows for s in json.loads(row)['slices']]
print(sum(w['secs'] + w['nanos'] / 1e9 for w in walls))
";

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let (agent, suite) = if quick { (3, 2) } else { (8, 4) };
    let counts: &[usize] = if quick { &[1, 3, 32] } else { &[1, 3, 8, 32] };
    println!("agents sleep {agent} s, suites {suite} s; release binary\n");
    println!("{:>8}  {:>9}  {:>13}  {:>6}  {:>12}", "variants", "wall s", "critical s", "ratio", "peak RSS MB");
    let mut lines = Vec::new();
    for count in counts {
        let figures = run(*count, agent, suite);
        println!(
            "{count:>8}  {:>9.2}  {:>13.2}  {:>6.3}  {:>12.1}",
            figures.wall.as_secs_f64(),
            figures.critical.as_secs_f64(),
            figures.ratio,
            figures.peak_mb
        );
        match count {
            3 => lines.push(format!("figure overhead_3 {:.3} ratio limit 1.05", figures.ratio)),
            32 => {
                lines.push(format!("figure overhead_32 {:.3} ratio limit 1.15", figures.ratio));
                lines.push(format!("figure rss_32_mb {:.1} MB limit 60", figures.peak_mb));
            }
            _ => {}
        }
    }
    println!();
    for line in lines {
        println!("{line}");
    }
}

fn key(index: usize) -> &'static str {
    Box::leak(format!("V{index:02}").into_boxed_str())
}

fn run(count: usize, agent: u64, suite: u64) -> Figures {
    let arena = Arena {
        costs: (0..count).map(|i| (key(i), if i == 0 { 20 } else { 50 })).collect(),
        agent: "{command: \"sh agent.sh\"}".to_owned(),
        budget: "- Time cap: 10 minutes\n".to_owned(),
        // Less is not worth measuring a command by.
        slice: "0.02",
        ..Arena::default()
    };
    let repo = arena.build();
    if count == 1 {
        repo.write(DOCUMENT, &arena.document().replace("**Mode**: competition", "**Mode**: single"));
    }
    repo.write(
        "agent.sh",
        &format!("sleep {agent}\ntest $BLUEPRINT_VARIANT = V00 && cost=20 || cost=50\necho $cost > cost.txt\n"),
    );
    repo.write("tests/run.sh", &format!("sleep {suite}\n"));
    // On a machine with many cores too, so that the slices' sum is a part of the critical path.
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("{budget: 60s}", "{budget: 60s, lanes: off}"));
    repo.commit("sleeps");
    let started = Instant::now();
    let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    let mut child =
        command.args(["run", DOCUMENT]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("start");
    let mut peak_mb: f64 = 0.0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status;
        }
        peak_mb = peak_mb.max(high_water(child.id()));
        std::thread::sleep(Duration::from_millis(20));
    };
    let wall = started.elapsed();
    assert!(status.success(), "the run of {count} variants failed: {status}");
    let journal = repo.root().join(".git/blueprint/journal.db");
    let slices = std::process::Command::new("python3").args(["-c", SLICES]).arg(journal).output().expect("python3");
    let slices: f64 = String::from_utf8_lossy(&slices.stdout).trim().parse().expect("the slices' wall time");
    let critical = Duration::from_secs(agent + 3 * suite) + Duration::from_secs_f64(slices);
    Figures { ratio: wall.as_secs_f64() / critical.as_secs_f64(), wall, critical, peak_mb }
}

/// Peak resident memory so far, in MB.
fn high_water(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().split(' ').next()).and_then(|n| n.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0 / 1e6
}
