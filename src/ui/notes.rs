//! What a reader of a report has to know of how its values came about: the rate of loads, lateness, counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::words;
use crate::domain::fresh::Finding;
use crate::domain::instructions::{SettledBy, decide_alone, tie_break};
use crate::domain::measurement::Unchecked;
use crate::domain::quantity::{Dimension, Quantity, Tokens};
use crate::domain::scoreboard::Scoreboard;
use crate::engine::state::Facts;

/// A word in front, and a sentence without a full stop.
pub type Note = (&'static str, String);

/// All of them, in the order of reading.
pub fn notes(facts: &Facts, board: &Scoreboard) -> Vec<Note> {
    let rates = facts.seen.rates.values().filter_map(|rate| Some(("Loaded", words::one_line(&rate.told()?))));
    let late = lateness(facts).into_iter().map(|text| ("Loaded", text));
    let counted = alone(facts).into_iter().map(|text| ("Counted", text));
    let ties = ties(facts, board).into_iter().map(|text| ("Tie-break", text));
    rates
        .chain(late)
        .chain(counted)
        .chain(ties)
        .chain(fresh(board))
        .chain(incomparable(facts, board))
        .chain(unchecked(facts))
        .chain(leaks(facts))
        .collect()
}

/// What came out in fresh trees, of those that are not out by it.
fn fresh(board: &Scoreboard) -> impl Iterator<Item = Note> {
    board.fresh.iter().filter_map(|check| {
        let what = match check.finding() {
            Finding::Confirmed => "Verified",
            Finding::Unclear => "Unverified",
            Finding::Contradicted => return None,
        };
        Some((what, words::one_line(&check.to_string())))
    })
}

/// That nothing was looked at in fresh trees, because the baseline lacks what is measured.
fn incomparable(facts: &Facts, board: &Scoreboard) -> Option<Note> {
    let missing: Vec<_> = facts.seen.smoke.iter().flat_map(|smoke| &smoke.missing).map(ToString::to_string).collect();
    let lands = board.lands().filter(|_| !missing.is_empty() && board.fresh.is_empty())?;
    let text = format!("{lands} was not looked at in fresh trees: the baseline has no {}", missing.join(", "));
    Some(("Unverified", words::one_line(&text)))
}

/// Of which metrics nobody checked what was answered: those of the configuration whose programs told nothing.
fn unchecked(facts: &Facts) -> Option<Note> {
    let told: BTreeSet<_> = facts
        .seen
        .blocks
        .iter()
        .flat_map(|block| &block.slices)
        .filter(|slice| slice.output.is_some())
        .flat_map(|slice| slice.readings.iter().map(|reading| &reading.metric))
        .collect();
    let unchecked = facts.seen.started.unchecked.iter().filter(|one| !told.contains(&one.metric));
    Some(("Unchecked", words::one_line(&Unchecked::sentence(unchecked)?)))
}

/// What tests left running, with whose they were.
fn leaks(facts: &Facts) -> impl Iterator<Item = Note> {
    let all = facts.seen.tests.iter().flat_map(|(who, report)| report.leaks.iter().map(move |leak| (who, leak)));
    all.map(|(who, leak)| ("Left running", words::one_line(&format!("{who}: {leak}"))))
}

/// The share of a latency from which on a reader has to know that it is lateness.
const WORTH_TELLING: f64 = 0.1;

/// How late requests were sent, by source, where that is much of what was measured.
fn lateness(facts: &Facts) -> Vec<String> {
    let mut sources: BTreeMap<&str, Vec<(Duration, f64)>> = BTreeMap::new();
    for slice in facts.seen.blocks.iter().flat_map(|block| &block.slices) {
        let times = slice.readings.iter().map(|r| r.value).filter(|value| value.dimension() == Dimension::Time);
        if let (Some(late), Some(latency)) = (slice.timing.late, times.map(Quantity::value).reduce(f64::max)) {
            sources.entry(&slice.source).or_default().push((late, late.as_secs_f64() / latency));
        }
    }
    sources.iter().filter_map(|(source, slices)| added(source, slices)).collect()
}

fn added(source: &str, slices: &[(Duration, f64)]) -> Option<String> {
    let (mut late, mut shares): (Vec<_>, Vec<_>) = slices.iter().copied().unzip();
    late.sort_unstable();
    shares.sort_unstable_by(f64::total_cmp);
    let shown = |time: Option<&Duration>| Some(Quantity::new(time?.as_secs_f64(), Dimension::Time)?.to_string());
    let text = format!(
        "requests were sent late, which added {} to a latency in half of the slices and {} at most ({})",
        shown(late.get(late.len() / 2))?,
        shown(late.last())?,
        words::one_line(source)
    );
    (*shares.get(shares.len() / 2)? > WORTH_TELLING).then_some(text)
}

fn alone(facts: &Facts) -> Option<String> {
    let started = &facts.seen.started;
    decide_alone(&started.plan, &started.counts).then(|| {
        let names: Vec<_> = started.counts.iter().map(ToString::to_string).collect();
        format!("a count of instructions decided Performance, not a time ({})", names.join(", "))
    })
}

/// What the tie-breaker counted, and whom that speaks for.
fn ties(facts: &Facts, board: &Scoreboard) -> Option<String> {
    let rows = board.rows.iter().filter(|row| facts.seen.tie_break.contains_key(&row.contender));
    let tied: Vec<_> = rows.filter_map(|row| row.tied()).collect();
    let (first, by) = tie_break(&tied)?;
    let counts: Vec<_> =
        tied.iter().filter_map(|one| Some(format!("{} {}", one.key, Tokens(one.instructions?)))).collect();
    let why = match by {
        SettledBy::Simplicity => format!("{first} is the simplest"),
        SettledBy::Instructions => {
            format!("of equally simple ones {first} executes the fewest")
        }
        SettledBy::Order => "nothing tells them apart".to_owned(),
    };
    Some(format!("instructions: {}; {why}", counts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use crate::domain::measurement::{Contender, MetricName};

    fn told(facts: &Facts) -> String {
        let notes = notes(facts, facts.scoreboard.as_ref().unwrap());
        notes.iter().map(|(what, text)| format!("{what}: {text}")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_run_without_anything_odd_has_no_notes() {
        assert_eq!(told(&fixtures::finished()), "");
    }

    #[test]
    fn rates_lateness_counts_and_ties_are_told() {
        let mut facts = fixtures::finished();
        let rate = serde_json::json!({"record": "rate", "source": "http: / of ./serve", "asked": 500, "held": 320, "late": 0.1, "on_time": true});
        facts.take(serde_json::from_value(rate).unwrap());
        for (key, instructions) in [("A", 1_005_000), ("B", 1_000_000)] {
            let contender = Contender::try_from(key.to_owned()).unwrap();
            let rows = &mut facts.scoreboard.as_mut().unwrap().rows;
            rows.iter_mut().find(|row| row.contender == contender).unwrap().instructions = Some(instructions);
            facts.take(crate::engine::state::Record::TieBreak { contender, instructions });
        }
        facts.seen.started.counts = vec![MetricName::new("latency_p95").unwrap()];
        for slice in facts.seen.blocks.iter_mut().flat_map(|block| &mut block.slices) {
            slice.timing.late = Some(Duration::from_millis(10));
        }
        let told = told(&facts);
        for expected in [
            "Loaded: 500/s was asked, this machine holds about 320/s beside what else runs",
            "Loaded: requests were sent late, which added 10 ms to a latency in half of the slices and 10 ms at most",
            "Counted: a count of instructions decided Performance, not a time (latency_p95)",
            "Tie-break: instructions: A 1,005,000, B 1,000,000; of equally simple ones B executes the fewest",
        ] {
            assert!(told.contains(expected), "`{expected}` is missing in:\n{told}");
        }
    }

    #[test]
    fn lateness_that_is_little_of_a_latency_is_not_told() {
        let mut facts = fixtures::finished();
        for slice in facts.seen.blocks.iter_mut().flat_map(|block| &mut block.slices) {
            slice.timing.late = Some(Duration::from_millis(1));
        }
        assert_eq!(told(&facts), "");
    }
}
