//! What lines of real changes are taken for, held against tree-sitter, and how long that takes: language by language, over the corpus that
//! `scripts/lines` makes of any repositories. Each line that differs can be shown: `-- DIRECTORY LANGUAGE`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use blueprint::domain::change::lines::{LineKind, classify, split};

/// What a language's lines came to.
#[derive(Default)]
struct Tally {
    lines: usize,
    comments: usize,
    /// Comments that were taken for something else.
    missed: usize,
    /// Other lines that were taken for something else.
    wrong: usize,
    time: Duration,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let Some(directory) = args.first().map(Path::new) else {
        println!("no corpus: ./scripts/lines PATH... makes one of these repositories and takes it");
        return;
    };
    let table = fs::read_to_string(directory.join("lines.tsv")).expect("a corpus as scripts/lines makes it");
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for row in table.lines() {
        let mut fields = row.split('\t');
        let mut field = || fields.next().expect("three fields");
        let (language, name, expected) = (field(), field(), field());
        let text = fs::read_to_string(directory.join(name)).expect("a file of the corpus");
        let tally = tallies.entry(language).or_default();
        let start = Instant::now();
        let classified = classify(name, &text);
        tally.time += start.elapsed();
        for (at, (line, expected)) in classified.lines.iter().zip(expected.chars()).enumerate() {
            let taken = match line.kind {
                LineKind::Code => 'c',
                LineKind::Comment => '-',
                LineKind::Blank => ' ',
            };
            tally.lines += usize::from(expected != '.');
            tally.comments += usize::from(expected == '-');
            if expected != '.' && taken != expected {
                *if expected == '-' { &mut tally.missed } else { &mut tally.wrong } += 1;
                if args.get(1).is_some_and(|shown| shown == language) {
                    println!(
                        "{name}:{}: {expected:?} taken for {taken:?}: {}",
                        at + 1,
                        split(&text).nth(at).unwrap_or_default()
                    );
                }
            }
        }
    }
    let (mut lines, mut differ, mut time) = (0, 0, Duration::ZERO);
    println!("language        lines  comments  missed  wrong   seconds");
    for (language, tally) in &tallies {
        let Tally { lines: all, comments, missed, wrong, time: took } = tally;
        println!("{language:12} {all:>8}  {comments:>8}  {missed:>6}  {wrong:>5}  {:>8.3}", took.as_secs_f64());
        (lines, differ, time) = (lines + all, differ + missed + wrong, time + *took);
    }
    println!("{lines} lines in {} languages in {:.1} s", tallies.len(), time.as_secs_f64());
    println!("figure lines_as_told_percent {:.3}", 100.0 * (lines - differ) as f64 / lines.max(1) as f64);
}
