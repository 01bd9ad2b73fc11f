//! What a run came to, as it is printed after it: the table, the verdict, who is out and why, and
//! where everything is.

use std::fmt::Write;

use super::notes::notes;
use super::style::{Style, Tone};
use super::table::{Align, Cell, Table};
use super::{change, verdict, words};
use crate::domain::calls::StepCalls;
use crate::domain::landing::{Because, Landing};
use crate::domain::measurement::{Contender, Priority, Slice};
use crate::domain::plan::{MetricBound, Plan, VariantKey};
use crate::domain::price::{Money, Prices};
use crate::domain::quantity::{Limit, Tokens};
use crate::domain::scoreboard::Scoreboard;
use crate::domain::trial::Outcome;
use crate::domain::verdict::{Row, Verdict};
use crate::domain::{ending as domain, reckoning};
use crate::engine::budget::cost::{self, Cost};
use crate::engine::land::ending;
use crate::engine::state::Facts;

/// The whole text. The scoreboard is handed in beside the facts because it may have been computed
/// again from them.
pub fn scoreboard(facts: &Facts, board: &Scoreboard, prices: &Prices, style: Style) -> String {
    if facts.seen.started.rehearsal {
        return super::rehearsal::rehearsal(facts, board, style);
    }
    let started = &facts.seen.started;
    let mut out = format!(
        "{}  run {}, {}, {}\n\n",
        style.paint(Tone::Strong, &words::one_line(&started.plan.title)),
        started.run,
        words::count(board.blocks as usize, "block"),
        words::duration(facts.elapsed)
    );
    out.push_str(&table(board, &started.plan, style));
    let tone = if board.verdict.is_supported() { Tone::Good } else { Tone::Warn };
    let sentences = conclusion(facts, board);
    for sentence in &sentences {
        let _ = write!(out, "\n{}\n", style.paint(tone, sentence));
    }
    if let Some(meaning) = words::evidence(&sentences.join("\n")) {
        let _ = writeln!(out, "{}", style.paint(Tone::Faint, &format!("({meaning})")));
    }
    let endings: Vec<_> =
        board.rows.iter().filter_map(|row| verdict::ending_in_full(&row.contender, &row.outcome)).collect();
    let endings: Vec<_> = endings.into_iter().chain(missed_gate(facts)).collect();
    if !endings.is_empty() {
        let _ = write!(out, "\n{}\n", endings.join("\n"));
    }
    let reckoned = reckoned(facts, board);
    if !reckoned.is_empty() {
        let _ = write!(out, "\npoints against the baseline\n{}", reckoned.join(""));
    }
    let _ = write!(out, "\n{}", whereabouts(facts, board, prices, style));
    out
}

/// What each variant gained and paid, a line each.
fn reckoned(facts: &Facts, board: &Scoreboard) -> Vec<String> {
    let all = reckoning::reckon(&facts.seen.started.plan, board, &facts.sizes());
    all.iter().map(|one| format!("  {}  {}\n", one.variant, words::one_line(&one.line()))).collect()
}

/// Why nothing landed and what to do next, where the run is over and nothing did.
pub(super) fn why_nothing(facts: &Facts, board: &Scoreboard) -> Vec<String> {
    let over = facts.scoreboard.is_some() && facts.landed.is_none();
    if !over || board.lands().is_some() {
        return Vec::new();
    }
    let reckonings = reckoning::reckon(&facts.seen.started.plan, board, &facts.sizes());
    domain::why(board, &reckonings, &ending::circumstances(facts))
}

/// What was concluded and what lands; of a run that is not finished, that it is not.
pub fn conclusion(facts: &Facts, board: &Scoreboard) -> Vec<String> {
    if facts.scoreboard.is_none() {
        let unfinished = format!(
            "unfinished: the run has no verdict yet; what is shown is what was known when it stopped. Go on with it: \
             blueprint resume {}",
            facts.seen.started.run
        );
        return vec![unfinished, format!("still open: {}", still_open(facts).join("; "))];
    }
    let landing = board.landing.as_ref().filter(|_| !matches!(board.verdict, Verdict::NoWinner { .. }));
    let landing = landing.filter(|landing| landing.key().is_none() || !board.verdict.is_supported());
    let sentence = verdict::sentence(&board.verdict, Some(board.blocks));
    [Some(sentence), landing.map(verdict::lands)].into_iter().flatten().collect()
}

/// What a run without a verdict has not done, a half sentence each.
pub fn still_open(facts: &Facts) -> Vec<String> {
    let plan = &facts.seen.started.plan;
    let mut open = Vec::new();
    for key in plan.variants.iter().map(|variant| &variant.key) {
        let contender = Contender::Variant(key.clone());
        let (items, done) = (plan.items_of(key).count(), facts.steps.get(key).map_or(0, Vec::len));
        match () {
            () if facts.seen.ended.contains_key(&contender) => {}
            () if facts.seen.harvests.contains_key(key) && facts.seen.tests.get(&contender).is_some() => {}
            () if facts.seen.harvests.contains_key(key) => open.push(format!("{key} is not tested")),
            () => open.push(format!("{key} has carried out {done} of {}", words::count(items, "work item"))),
        }
    }
    if open.is_empty() {
        open.push(format!("the verdict, after {} measured", words::count(facts.seen.blocks.len(), "block")));
    }
    let (calls, held) = facts.calls.open().fold((0, Tokens::ZERO), |(calls, held), call| {
        (calls + 1, held.saturating_add(call.input).saturating_add(call.output))
    });
    if calls > 0 {
        let requests = words::count(calls, "request");
        open.push(format!(
            "{requests} to models without an answer, {held} tokens reserved: charged in full when it goes on"
        ));
    }
    open
}

/// The table alone: a row a contender, a column a criterion and a metric.
pub fn table(board: &Scoreboard, plan: &Plan, style: Style) -> String {
    let metrics = plan.metrics.iter().map(|m| (metric_title(m), Align::Right));
    let left = [("Variant", Align::Left)];
    let numbers = ["Tests", "Performance", "Simplicity", "Total"].map(|title| (title, Align::Right));
    let head = left.into_iter().chain(numbers).chain([("Winner", Align::Left)]);
    let mut table = Table::new(head.map(|(title, align)| (title.to_owned(), align)).chain(metrics));
    for row in &board.rows {
        table.row(cells(row, board, plan));
    }
    table.render(style)
}

fn cells(row: &Row, board: &Scoreboard, plan: &Plan) -> Vec<Cell> {
    let mark = mark(row, board);
    let tone = match mark {
        "out" => Tone::Faint,
        "" => Tone::Plain,
        _ => Tone::Strong,
    };
    let points = |points: Option<String>| Cell::toned(tone, points.unwrap_or_else(|| "–".to_owned()));
    let mut cells = vec![
        Cell::toned(tone, format!("{}{}", name(&row.contender, plan), lacking(row))),
        points(row.criteria.map(|c| c.tests.to_string())),
        points(row.criteria.map(|c| c.performance.to_string())),
        points(row.criteria.map(|c| c.simplicity.to_string())),
        points(row.total.map(|t| t.to_string())),
        Cell::toned(tone, mark),
    ];
    cells.extend(plan.metrics.iter().map(|metric| value(row, metric, board)));
    cells
}

/// `A  Cost 20`, or `baseline`.
fn name(contender: &Contender, plan: &Plan) -> String {
    let variant = contender.key().and_then(|key| plan.variant(key.as_str()));
    variant.map_or_else(|| contender.to_string(), |v| format!("{} {}", v.key, v.name))
}

/// What follows the name of a variant that lacks a part of its work.
pub(super) fn lacking(row: &Row) -> &'static str {
    match &row.outcome {
        Outcome::Eligible { unfinished, .. } if !unfinished.is_empty() => " (unfinished)",
        _ => "",
    }
}

/// What the Winner column says.
pub fn mark(row: &Row, board: &Scoreboard) -> &'static str {
    let key = row.contender.key();
    let lands = key.is_some() && key == board.lands();
    match (&board.verdict, &board.landing) {
        _ if !row.outcome.is_eligible() => "out",
        (Verdict::Winner { .. }, _) if lands => "✓",
        (Verdict::Tie { .. }, _) if lands => "✓ simplest",
        (_, Some(Landing::Lands { because: Because::Better { among, .. }, .. })) if lands && among.len() > 1 => {
            "✓ simplest"
        }
        (_, Some(Landing::Lands { because: Because::Better { .. }, .. })) if lands => "✓",
        (Verdict::Tie { among, .. }, _) if key.is_some_and(|key| among.contains(key)) => "tie",
        (Verdict::Undecided { leader, .. }, _) if key.is_some() && leader.as_ref() == key => "ahead",
        _ if !row.open.is_empty() => "open",
        _ => "",
    }
}

/// A metric with its bound, short enough for a column.
pub(super) fn metric_title(metric: &MetricBound) -> String {
    match metric.bound.limit {
        Limit::Absolute(limit) => format!("{} {} {limit:#}", metric.name, metric.bound.comparator),
        Limit::Relative(percent) => format!("{} {} {:+} %", metric.name, metric.bound.comparator, percent.get()),
    }
}

/// A metric's value, marked where it misses its bound.
fn value(row: &Row, metric: &MetricBound, board: &Scoreboard) -> Cell {
    let Some(value) = row.metrics.get(&metric.name) else { return Cell::from("–") };
    match missed(row, metric, board) {
        true => Cell::toned(Tone::Bad, format!("{value} ✗")),
        false => Cell::from(value.to_string()),
    }
}

/// Whether a value as shown misses its bound.
pub fn missed(row: &Row, metric: &MetricBound, board: &Scoreboard) -> bool {
    let baseline = board.rows.iter().find(|r| r.contender == Contender::Baseline);
    let baseline = baseline.and_then(|r| r.metrics.get(&metric.name)).copied();
    row.metrics.get(&metric.name).is_some_and(|value| metric.bound.holds(*value, baseline) == Ok(false))
}

/// The gate of the weights that the baseline itself misses, in a sentence: no variant is out by it that
/// passes these tests.
pub(super) fn missed_gate(facts: &Facts) -> Option<String> {
    let missed = facts.seen.started.plan.weights.missed(facts.seen.tests.deciding(&Contender::Baseline)?)?;
    Some(words::one_line(&format!("the baseline itself misses a gate: {missed}")))
}

/// The ref under which a variant's work is kept, where it left any.
pub fn kept_ref(facts: &Facts, key: &VariantKey) -> Option<String> {
    let stepped = facts.steps.get(key).is_some_and(|steps| steps.iter().any(|(c, _)| *c != facts.seen.started.base));
    // What was taken over from another run has no steps of its own.
    let worked = stepped
        || facts.seen.harvests.get(key).is_some_and(|(harvest, ..)| harvest.commit != facts.seen.started.base.0);
    worked.then(|| format!("refs/blueprint/{}/{}", facts.seen.started.run, Contender::Variant(key.clone()).slug()))
}

fn whereabouts(facts: &Facts, board: &Scoreboard, prices: &Prices, style: Style) -> String {
    let run = &facts.seen.started.run;
    let mut table = Table::bare([Align::Left, Align::Left]);
    let mut line = |what: &str, text: String| table.row([Cell::from(what), Cell::from(text)]);
    match (&facts.landed, board.lands()) {
        (Some(commit), _) => line("landed", format!("{} on {}", commit.short(), facts.seen.started.target)),
        (None, Some(key)) => line("landed", format!("nothing; {key} is kept and can be merged by hand")),
        (None, None) => line("landed", "nothing".to_owned()),
    }
    for (at, sentence) in why_nothing(facts, board).into_iter().enumerate() {
        line(if at == 0 { "why" } else { "" }, words::one_line(&sentence));
    }
    if let Some(commit) = &facts.recorded {
        line(
            "recorded",
            format!("{} on {}: the document says how it ended", commit.short(), facts.seen.started.target),
        );
    }
    for (at, (key, (_, size, _))) in facts.seen.harvests.iter().enumerate() {
        line(if at == 0 { "changed" } else { "" }, format!("{key}: {}", change::factors(size)));
        if let Some(files) = change::not_counted(size) {
            line("", format!("{key}, {files}"));
        }
    }
    let all = facts.seen.harvests.iter();
    let suspicious =
        all.flat_map(|(key, (_, size, _))| change::suspicions(size).into_iter().map(move |told| (key, told)));
    for (at, (key, told)) in suspicious.enumerate() {
        line(if at == 0 { "suspicious" } else { "" }, format!("{key}: {told}"));
    }
    let keys = facts.seen.started.plan.variants.iter().map(|v| &v.key);
    for (at, kept) in keys.filter_map(|key| kept_ref(facts, key)).enumerate() {
        line(if at == 0 { "kept" } else { "" }, kept);
    }
    for (source, clock) in facts.seen.clocks.iter() {
        line("compared", format!("by {}: {}", clock.name(), words::one_line(source)));
    }
    if let Some(how) = priority(facts) {
        line("priority", how);
    }
    if let Some(decision) = &facts.seen.lanes {
        let how = if decision.lanes.is_some() { "in parallel" } else { "one after another" };
        line("measured", format!("{how}: {}", words::one_line(&decision.why)));
    }
    for (what, text) in notes(facts, board) {
        line(&what.to_lowercase(), text);
    }
    if let Some(text) = spent(facts, prices) {
        line("tokens", text);
    }
    line("report", format!("blueprint report {run}"));
    table.render(style)
}

/// At which priority slices ran, where programs were started for them or served.
pub fn priority(facts: &Facts) -> Option<String> {
    let metered = |slice: &&Slice| slice.timing.cpu.is_some();
    let first = facts.seen.blocks.iter().flat_map(|block| &block.slices).find(metered)?;
    Some(match first.timing.priority() {
        Priority::RealTime => "slices ran in real time, all of them alike".to_owned(),
        Priority::Nice(nice) => format!("slices ran at nice {nice}, all of them alike"),
        Priority::Usual => {
            "slices ran at the usual one: raising it needs CAP_SYS_NICE or a limit (`ulimit -e`)".to_owned()
        }
    })
}

/// What agents used, and what that cost where it is known; `None` where they used nothing.
pub fn spent(facts: &Facts, prices: &Prices) -> Option<String> {
    let total = facts.usage().values().fold(Tokens::ZERO, |sum, usage| sum.saturating_add(usage.total()));
    if total == Tokens::ZERO {
        return None;
    }
    let cap = facts.seen.started.plan.budget.session_tokens.map_or_else(String::new, |cap| format!(" of {cap}"));
    let cost = cost::cost(facts, prices).map(|cost| priced(&cost)).unwrap_or_default();
    Some(format!("{total}{cap}{cost}{}", unclear(facts)))
}

/// Which of the requests that were charged are not charged what their provider said.
fn unclear(facts: &Facts) -> String {
    let models = facts.calls.by_model();
    let told = |of: fn(&StepCalls) -> u64, what: String| match models.values().map(of).sum::<u64>() {
        0 => String::new(),
        count => format!("; {}{what}", words::count(count as usize, "request")),
    };
    let liars: Vec<_> = facts.calls.doubted().iter().map(|provider| provider.as_str()).collect();
    told(|calls| calls.in_full, " charged in full, because nobody knows what was used".to_owned())
        + &told(
            |calls| calls.doubted,
            format!(" charged by what was seen: {} said less than can be true", liars.join(" and ")),
        )
        + &told(|calls| calls.violated, " used more than the provider was allowed".to_owned())
}

fn priced(cost: &Cost) -> String {
    let known = if cost.known == Money::default() { String::new() } else { format!(", at most ${}", cost.known) };
    match cost.unpriced.as_slice() {
        [] => known,
        models => format!("{known}; no price is known for {}", words::one_line(&models.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use crate::domain::landing::Withheld;
    use crate::domain::verdict::{Ground, NoWinner};

    #[test]
    fn a_run_that_landed() {
        let facts = fixtures::finished();
        insta::assert_snapshot!(scoreboard(&facts, facts.scoreboard.as_ref().unwrap(), &Prices::default(), Style::PLAIN), @"
        Lower the cost  run 20260105-100000-1a2b, 23 blocks, 42 s

        Variant            Tests  Performance  Simplicity  Total  Winner  latency_p95 < 80 ms  size <= +10 %
        A Cost 20          100.0         80.0        99.0   93.8  ✓                  20.02 ms           2 MB
        B Cost 60          100.0         57.1        99.0   86.9                     60.06 ms           2 MB
        C Cost 85          100.0         48.5        99.0      –  out              85.09 ms ✗           2 MB
        D Elsewhere | <b>      –            –           –      –  out                       –              –
        baseline           100.0         47.0       100.0   84.1                    90.1 ms ✗           2 MB

        A wins: beats B by 6.9 ± 0.0 points over 23 blocks, E = 65
        (E is the strength of the evidence: without a difference it reaches 40 at most once in 40 runs, whenever measuring stops; from there on it decides)

        B went over budget; what it had done is judged
        C is out: latency_p95 is 85.09 ms, must be < 80 ms
        D is out: changed files that are not allowed:
          elsewhere.txt
          more|<b>.txt

        points against the baseline
          A  Tests +0.0, Performance +9.9 (latency_p95 78 % faster), Simplicity −0.2 (4 lines, 2 deleted): +9.7 points
          B  Tests +0.0, Performance +3.0 (latency_p95 33 % faster), Simplicity −0.2 (4 lines, 2 deleted): +2.8 points
          C  Tests +0.0, Performance +0.5 (latency_p95 5.6 % faster), Simplicity −0.2 (4 lines, 2 deleted): +0.3 points

        landed   3f2a1c9 on main
        changed  A: 4 code lines added, 2 deleted, nesting × 1.00, no new dependency
                 A, not counted: cost.txt (prose)
                 B: 4 code lines added, 2 deleted, nesting × 1.00, no new dependency
                 B, not counted: cost.txt (prose)
                 C: 4 code lines added, 2 deleted, nesting × 1.00, no new dependency
                 C, not counted: cost.txt (prose)
        kept     refs/blueprint/20260105-100000-1a2b/a
                 refs/blueprint/20260105-100000-1a2b/b
                 refs/blueprint/20260105-100000-1a2b/c
                 refs/blueprint/20260105-100000-1a2b/d
        tokens   4,000 of 80,000
        report   blueprint report 20260105-100000-1a2b
        ");
    }

    #[test]
    fn a_run_without_a_winner_says_so_and_lands_nothing() {
        let mut facts = fixtures::finished();
        facts.landed = None;
        let mut board = facts.scoreboard.clone().unwrap();
        board.verdict = Verdict::NoWinner { reason: NoWinner::BaselineBetter };
        board.landing = Some(Landing::Nothing { why: Withheld::NoWinner });
        let text = scoreboard(&facts, &board, &Prices::default(), Style::PLAIN);
        insta::assert_snapshot!(text, @"
        Lower the cost  run 20260105-100000-1a2b, 23 blocks, 42 s

        Variant            Tests  Performance  Simplicity  Total  Winner  latency_p95 < 80 ms  size <= +10 %
        A Cost 20          100.0         80.0        99.0   93.8                     20.02 ms           2 MB
        B Cost 60          100.0         57.1        99.0   86.9                     60.06 ms           2 MB
        C Cost 85          100.0         48.5        99.0      –  out              85.09 ms ✗           2 MB
        D Elsewhere | <b>      –            –           –      –  out                       –              –
        baseline           100.0         47.0       100.0   84.1                    90.1 ms ✗           2 MB

        no winner: no variant is better than the baseline

        B went over budget; what it had done is judged
        C is out: latency_p95 is 85.09 ms, must be < 80 ms
        D is out: changed files that are not allowed:
          elsewhere.txt
          more|<b>.txt

        points against the baseline
          A  Tests +0.0, Performance +9.9 (latency_p95 78 % faster), Simplicity −0.2 (4 lines, 2 deleted): +9.7 points
          B  Tests +0.0, Performance +3.0 (latency_p95 33 % faster), Simplicity −0.2 (4 lines, 2 deleted): +2.8 points
          C  Tests +0.0, Performance +0.5 (latency_p95 5.6 % faster), Simplicity −0.2 (4 lines, 2 deleted): +0.3 points

        landed   nothing
        why      A gained 9.9 points (latency_p95 78 % faster) and paid 0.2 (4 lines, 2 deleted)
                 B gained 3.0 points (latency_p95 33 % faster) and paid 0.2 (4 lines, 2 deleted)
                 No variant is worth more than the baseline by these weights
                 Next: where the trade is wanted, change the weights and approve the document
        changed  A: 4 code lines added, 2 deleted, nesting × 1.00, no new dependency
                 A, not counted: cost.txt (prose)
                 B: 4 code lines added, 2 deleted, nesting × 1.00, no new dependency
                 B, not counted: cost.txt (prose)
                 C: 4 code lines added, 2 deleted, nesting × 1.00, no new dependency
                 C, not counted: cost.txt (prose)
        kept     refs/blueprint/20260105-100000-1a2b/a
                 refs/blueprint/20260105-100000-1a2b/b
                 refs/blueprint/20260105-100000-1a2b/c
                 refs/blueprint/20260105-100000-1a2b/d
        tokens   4,000 of 80,000
        report   blueprint report 20260105-100000-1a2b
        ");
    }

    #[test]
    fn the_winner_column_tells_ties_and_leaders_from_winners() {
        let facts = fixtures::finished();
        let board = facts.scoreboard.unwrap();
        let key = |text: &str| VariantKey::new(text).unwrap();
        let lands = |because| Landing::Lands { key: key("A"), because };
        let undecided = || Verdict::Undecided { leader: Some(key("A")), support: None, smallest_seen: None };
        let ground = Ground::Lead { e_value: 50.0 };
        let better = Because::Better { ground, among: vec![key("A"), key("B")] };
        let verdicts = [
            (Verdict::Winner { key: key("A"), support: None }, lands(Because::Best)),
            (Verdict::Tie { key: key("A"), among: vec![key("A"), key("B")] }, lands(Because::Simplest)),
            (undecided(), lands(Because::Leads)),
            (undecided(), lands(better)),
            (undecided(), Landing::Nothing { why: Withheld::NotBetter }),
            (Verdict::NoWinner { reason: NoWinner::NotMeasured }, Landing::Nothing { why: Withheld::NoWinner }),
        ];
        let marks = verdicts.map(|(verdict, landing)| {
            let board = Scoreboard { verdict, landing: Some(landing), ..board.clone() };
            board.rows.iter().map(|row| mark(row, &board)).collect::<Vec<_>>()
        });
        assert_eq!(
            marks,
            [
                ["✓", "", "out", "out", ""],
                ["✓ simplest", "tie", "out", "out", ""],
                ["ahead", "", "out", "out", ""],
                ["✓ simplest", "", "out", "out", ""],
                ["ahead", "", "out", "out", ""],
                ["", "", "out", "out", ""],
            ]
        );
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let facts = fixtures::finished();
        let board = facts.scoreboard.as_ref().unwrap();
        let coloured = scoreboard(&facts, board, &Prices::default(), Style::COLOURED);
        assert_eq!(words::visible(&coloured, false), scoreboard(&facts, board, &Prices::default(), Style::PLAIN));
    }
}
