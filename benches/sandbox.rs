//! What walls cost: to open those of a lease, and for each slice more than without them.
//!
//! The slices of the three ways take turns, so that what else the machine does meets all of them.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use blueprint::adapters::executor::enclosed::Bubblewrap;
use blueprint::adapters::executor::local::Local;
use blueprint::adapters::process::{Command, Environment, Executor, Order, Sandbox, Stay, Stop};

/// Leases that are opened, and slices of each way.
const LEASES: usize = 20;
const SLICES: usize = 200;

fn order(root: &Path, env: &Environment) -> Order {
    let [tree, scratch] = ["tree", "scratch"].map(|name| root.join(name));
    for folder in [&tree, &scratch] {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    Order {
        private: root.join("private"),
        write: vec![tree.clone(), scratch.clone()],
        reset: vec![tree],
        bare: vec![scratch],
        env: env.clone(),
        ..Order::default()
    }
}

#[tokio::main]
async fn main() {
    let env: Environment =
        ["PATH", "HOME"].iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
    let place = tempfile::tempdir().expect("a directory");
    let sandbox = Bubblewrap::installed(PathBuf::from(env!("CARGO_BIN_EXE_blueprint"))).expect("bubblewrap");
    let (mut opened, mut walls) = (Vec::new(), Vec::new());
    for number in 0..LEASES {
        let order = order(&place.path().join(number.to_string()), &env);
        let began = Instant::now();
        walls.push(sandbox.open(&order).await.expect("walls"));
        opened.push(began.elapsed());
    }
    let dir = place.path().join("0/tree");
    let ways: [(Arc<dyn Executor>, Stay); 3] =
        [(Arc::new(Local), Stay::Lasting), (walls[0].executor(), Stay::Lasting), (walls[0].executor(), Stay::Fleeting)];
    let mut took: [Vec<Duration>; 3] = Default::default();
    let mut told: [Vec<Duration>; 3] = Default::default();
    for _ in 0..SLICES {
        for (at, (exec, stay)) in ways.iter().enumerate() {
            let command = Command::new("true", [""; 0], &dir).env(&env);
            let command = Command { metered: true, stay: *stay, ..command };
            let began = Instant::now();
            let done = exec.run(command, &Stop::new()).await.expect("a slice");
            took[at].push(began.elapsed());
            told[at].push(done.wall);
        }
    }
    let [plain, lasting, fleeting] = took.map(median);
    let [told_plain, _, told_fleeting] = told.map(median);
    let more = |one: Duration, two: Duration| (one.as_secs_f64() - two.as_secs_f64()) * 1e3;
    println!("figure sandbox_open_ms {:.2} ms limit 30", median(opened).as_secs_f64() * 1e3);
    println!("figure sandbox_slice_ms {:.3} ms limit 0.5", more(fleeting, plain));
    println!("  of these, for a program that leaves all that it writes: {:.3} ms", more(lasting, plain));
    println!("  of these, in the time that is told of a slice: {:.3} ms", more(told_fleeting, told_plain));
    for walls in walls {
        walls.close().await;
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
