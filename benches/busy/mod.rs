//! Whole competitions through the program, of known truth, while four endless loops run on the same cores:
//! how often the best is found with support within a minute, and what is called better that is not.

mod projects;

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use blueprint::domain::noise::{Field, Question, Timed};
use projects::{DOCUMENT, PROJECTS, Project, key};

use super::figure;

/// Seconds of measuring.
const BUDGET: u64 = 60;
/// Loops that compete for the cores.
const LOOPS: usize = 4;
/// Competing variants.
const VARIANTS: usize = 4;

/// What is asked on the command line.
pub struct Asked {
    /// Competitions a line.
    pub decisions: u32,
    /// Competitions of identical variants, over all sources.
    pub identical: u32,
    /// Only this source.
    pub only: Option<String>,
    /// Only these differences.
    pub differences: Vec<f64>,
}

/// Programs that compute for as long as this lives, each in a session of its own: the kernel shares the machine
/// between sessions.
struct Loops(Vec<Child>);

impl Loops {
    fn start() -> Self {
        let own = std::env::current_exe().expect("this program");
        let each = |_| {
            let mut command = Command::new("setsid");
            command.arg("--wait").arg(&own).arg("--spin").stdin(Stdio::piped());
            command.spawn().expect("a loop")
        };
        Self((0..LOOPS).map(each).collect())
    }
}

impl Drop for Loops {
    /// A loop ends with its standard input.
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// Whether this process is to be a loop, and was until its standard input ended.
pub fn was_loop() -> bool {
    if std::env::args().nth(1).as_deref() != Some("--spin") {
        return false;
    }
    std::thread::spawn(|| {
        let mut state = 1_u64;
        loop {
            state = std::hint::black_box(state.wrapping_mul(0x5851_f42d_4c95_7f2d) + 1);
        }
    });
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    true
}

/// How one competition came out.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The best was claimed with support.
    Right,
    /// Another was, or a tie of those that are none.
    Wrong(String),
    /// Nothing was claimed.
    Open(String),
}

struct Said {
    outcome: Outcome,
    /// Whether something was merged.
    landed: bool,
    seconds: f64,
    blocks: u64,
}

/// Prints the tables and the figures.
pub fn section(asked: &Asked) {
    println!(
        "{VARIANTS} variants at 1, 1+d, 1+d, 1+2d and a baseline at 1+3d, each competition through `blueprint run` with {BUDGET} s \
         for measuring,\nbeside {LOOPS} endless loops in sessions of their own; right is the best claimed with support over all\n"
    );
    let loops = Loops::start();
    println!(
        "{:<17} {:>5} {:>9} {:>6} {:>6} {:>7} {:>7}  load",
        "", "d", "decisions", "right", "wrong", "seconds", "blocks"
    );
    let sources: Vec<&Project> =
        PROJECTS.iter().filter(|p| asked.only.as_ref().is_none_or(|only| only == p.source)).collect();
    let mut lines = Vec::new();
    for difference in &asked.differences {
        let (mut least, mut wrong) = (100.0_f64, 0);
        for project in &sources {
            if let Some(missing) = project.lacks() {
                println!("{:<17} not tried: {missing} is not here", project.source);
                continue;
            }
            let (right, bad) = line(project, *difference, asked.decisions);
            least = least.min(right);
            wrong += bad;
        }
        lines.push((*difference, least, wrong));
    }
    let mut false_wins = 0;
    if asked.identical > 0 {
        for index in 0..asked.identical {
            let usable: Vec<_> = sources.iter().filter(|p| p.lacks().is_none()).collect();
            let said = compete(usable[index as usize % usable.len()], 0.0, u64::from(index));
            false_wins += u32::from(said.landed || matches!(said.outcome, Outcome::Wrong(_)));
            println!("identical {index}: {:?} after {} blocks and {:.0} s", said.outcome, said.blocks, said.seconds);
        }
    }
    drop(loops);
    println!();
    let wrong: u32 = lines.iter().map(|(_, _, wrong)| wrong).sum();
    for (difference, least, _) in &lines {
        let (name, limit) = if *difference >= 0.1 { ("busy", 90.0) } else { ("busy5", 60.0) };
        figure(&format!("{name}_supported_percent"), *least, 0, "%", limit);
    }
    if !lines.is_empty() {
        figure("busy_wrong", f64::from(wrong), 0, "competitions", 0.0);
    }
    if asked.identical > 0 {
        figure("busy_false_wins", f64::from(false_wins), 0, "competitions", 0.0);
    }
}

/// A line of the table: the percentage that was right, and how many were wrong.
fn line(project: &Project, difference: f64, decisions: u32) -> (f64, u32) {
    let (mut right, mut wrong, mut seconds, mut blocks) = (0, 0, 0.0, 0);
    let mut others = Vec::new();
    for seed in 0..decisions {
        let said = compete(project, difference, u64::from(seed) + 1);
        seconds += said.seconds;
        blocks += said.blocks;
        match said.outcome {
            Outcome::Right => right += 1,
            Outcome::Wrong(why) => {
                wrong += 1;
                others.push(format!("WRONG: {why}"));
            }
            Outcome::Open(why) => others.push(why),
        }
    }
    let each = f64::from(decisions.max(1));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "{:<17} {:>3.0} % {decisions:>9} {:>6.2} {wrong:>6} {:>7.1} {:>7.1}  {}",
        project.source,
        100.0 * difference,
        f64::from(right) / each,
        seconds / each,
        blocks as f64 / each,
        load.split(' ').next().unwrap_or_default()
    );
    for other in others {
        println!("    {other}");
    }
    (100.0 * f64::from(right) / each, wrong)
}

fn compete(project: &Project, difference: f64, seed: u64) -> Said {
    let question = Question { variants: VARIANTS, difference, timed: Timed::Wall, cap: 1.0, own: 0.0 };
    let field = Field::new(question, seed);
    let repo = project.build(&field.times, 1.0 + 3.0 * difference, BUDGET);
    let began = Instant::now();
    let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    let homes = [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")];
    for (name, folder) in homes {
        let home = std::env::var_os("HOME").unwrap_or_default();
        let value = std::env::var_os(name).unwrap_or_else(|| std::path::Path::new(&home).join(folder).into());
        command.env(name, value);
    }
    let done = command.args(["run", DOCUMENT]).output().expect("the program");
    let seconds = began.elapsed().as_secs_f64();
    let report = repo.command(env!("CARGO_BIN_EXE_blueprint")).args(["report", "--json"]).output().expect("the report");
    let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap_or_default();
    let report = read(&report.stdout);
    let verdict = &report["verdict"];
    let text = verdict["text"].as_str().map_or_else(
        || format!("exit {:?}: {}", done.status.code(), String::from_utf8_lossy(&done.stderr).trim()),
        str::to_owned,
    );
    let best = key(field.best);
    let claimed = verdict["supported"].as_bool() == Some(true);
    let winner = verdict["detail"]["verdict"].as_str() == Some("winner");
    let named = verdict["detail"]["key"].as_str() == Some(&best);
    let outcome = match (claimed, winner && named) {
        (true, true) if difference > 0.0 => Outcome::Right,
        (true, false) if difference == 0.0 && !winner => Outcome::Right,
        (true, _) => Outcome::Wrong(format!("{text}; the best is {best}")),
        (false, _) => Outcome::Open(text),
    };
    let landed = report["landed"].is_string();
    if std::env::args().any(|a| a == "--keep") {
        println!("    kept: {}", repo.dir.keep().display());
    }
    Said { outcome, landed, seconds, blocks: report["blocks"].as_u64().unwrap_or(0) }
}
