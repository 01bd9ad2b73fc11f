//! The same decisions on recorded machines: every trace in `benches/traces`, as `blueprint noise replay`
//! would decide on it.

use std::path::{Path, PathBuf};

use blueprint::domain::noise::{CAP, Question, Replay, Summary, Tally, Timed, Trace};
use blueprint::ui::{Style, replayed};

/// By how much the variants differ, none first.
const DIFFERENCES: [f64; 5] = [0.0, 0.01, 0.02, 0.05, 0.10];

/// Prints what is decided on each trace.
pub fn section(decisions: u64) {
    let traces = traces();
    if traces.is_empty() {
        println!("\nno recorded machines: benches/traces/*.noise, made by `blueprint noise record`");
    }
    for path in traces {
        print!("\n{}: {}", path.file_name().unwrap_or_default().display(), decided(&path, decisions));
    }
}

fn decided(path: &Path, decisions: u64) -> String {
    let trace = match std::fs::read(path).map_err(|why| why.to_string()) {
        Ok(bytes) => Trace::decode(&bytes).map_err(|why| why.to_string()),
        Err(why) => Err(why),
    };
    let trace = match trace {
        Ok(trace) => trace,
        Err(why) => return format!("can't be read: {why}\n"),
    };
    let replay = Replay::of(&trace);
    let ask = |difference, timed| {
        Tally::of(&replay, Question { variants: 4, difference, timed, cap: CAP, own: 0.0 }, decisions, 1)
    };
    let tallies: Vec<_> = DIFFERENCES.iter().flat_map(|d| Timed::ALL.map(|timed| ask(*d, timed))).collect();
    replayed(&trace, &Summary::of(&trace, &replay), &tallies, Style::PLAIN)
}

fn traces() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/traces");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "noise")).collect();
    found.sort();
    found
}
