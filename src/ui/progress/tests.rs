//! A run's events and what becomes of them in each kind of display.

use super::super::terminal::tests::Captured;
use super::super::terminal::{Colour, Surroundings};
use super::*;
use crate::domain::measurement::{Contender, MetricName};
use crate::domain::plan::VariantKey;
use crate::domain::quantity::{Bound, Quantity, Tokens};
use crate::domain::trial::{Disqualification, Outcome, Phase};
use crate::domain::verdict::{Support, Verdict};

fn v(key: &str) -> Contender {
    Contender::try_from(key.to_owned()).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn started() -> Event {
    Event::RunStarted {
        run: "20260105-100000-1a2b".to_owned(),
        document: "docs/blueprints/cost.md".to_owned(),
        contenders: vec![v("A"), v("B"), v("C"), v("@baseline")],
        time_cap: Some(seconds(3600)),
        resumed: false,
        rehearsal: false,
    }
}

fn phase(key: &str, phase: Phase) -> Event {
    Event::PhaseEntered { contender: v(key), phase }
}

fn block(index: u32, keys: &[&str], elapsed: u64) -> Event {
    let survivors = keys.iter().map(|key| v(key)).collect();
    Event::BlockMeasured { index, survivors, elapsed: seconds(elapsed), budget: seconds(60) }
}

fn out(key: &str, reason: Disqualification) -> Event {
    Event::TrialEnded { contender: v(key), outcome: Outcome::Disqualified { reason } }
}

/// A whole run: B misses its bound, C is beaten, A lands.
#[test]
fn what_a_request_waits_for_is_told_while_it_waits() {
    let mut state = State::default();
    state.take(&started());
    state.take(&Event::StepStarted { contender: v("A"), title: "The cost".to_owned() });
    let mut told = |what: Option<&str>| {
        state.take(&Event::Waits { contender: v("A"), what: what.map(str::to_owned) });
        state.heartbeat(Duration::from_secs(200))
    };
    let text = told(Some("openai: status 429; asked again in 30 s"));
    assert!(text.contains("A implementing: The cost (waits for openai: status 429; asked again in 30 s), B"), "{text}");
    assert!(!told(None).contains("waits for"));
}

fn events() -> Vec<Event> {
    let all = ["A", "B", "C", "@baseline"];
    let bound = Disqualification::BoundBroken {
        metric: MetricName::new("latency_p95").unwrap(),
        bound: Bound::parse("<80ms").unwrap(),
        value: Quantity::parse("85ms").unwrap(),
    };
    let support = Support { rival: v("C"), difference: 1.92, half_width: Some(0.41), e_value: 212.0, blocks: 23 };
    let mut events = vec![
        started(),
        Event::Choice { what: "database".to_owned(), text: "postgresql server: initdb 16 found".to_owned() },
        phase("@baseline", Phase::Test),
        phase("A", Phase::Prepare),
        phase("A", Phase::Implement),
        Event::StepStarted { contender: v("A"), title: "The cost\n::error::x".to_owned() },
        Event::Spent { contender: v("A"), tokens: Tokens(1_100), cap: Some(Tokens(1_000)) },
        Event::Spent { contender: v("B"), tokens: Tokens::ZERO, cap: None },
        phase("A", Phase::Harvest),
        phase("A", Phase::Test),
        Event::TrialEnded {
            contender: v("A"),
            outcome: Outcome::Eligible { over_budget: true, unfinished: Vec::new() },
        },
        Event::TrialEnded {
            contender: v("A"),
            outcome: Outcome::Eligible { over_budget: false, unfinished: Vec::new() },
        },
    ];
    events.extend(all.map(|key| phase(key, Phase::Measure)));
    events.extend([block(0, &all, 1), block(1, &all, 2), block(12, &all, 14), out("B", bound)]);
    events.extend([block(13, &["A", "C", "@baseline"], 15)]);
    events.extend([
        Event::Dropped { contender: v("C"), by: v("A"), e_value: 52.3 },
        phase("A", Phase::Done),
        Event::Concluded {
            verdict: Verdict::Winner { key: VariantKey::new("A").unwrap(), support: Some(support) },
            landing: None,
        },
        Event::Landing { text: "merging A onto main in memory".to_owned() },
        Event::Warning { text: "`main` moved while the merge was verified; 100 % sure".to_owned() },
        Event::Landed { commit: "3f2a1c9d0000".to_owned(), branch: "main".to_owned() },
        Event::RunEnded { run: "20260105-100000-1a2b".to_owned(), elapsed: seconds(42) },
    ]);
    events
}

fn shown(around: Surroundings) -> String {
    let err = Captured::default();
    let terminal = Arc::new(Terminal::to(Captured::default(), err.clone(), Colour::Auto, around));
    let progress = Progress::new(terminal);
    events().into_iter().for_each(|event| progress.send(event));
    progress.finish();
    err.text()
}

#[test]
fn without_a_terminal_each_change_of_state_is_a_line() {
    insta::assert_snapshot!(shown(Surroundings::default()), @"
    run 20260105-100000-1a2b carries out docs/blueprints/cost.md: A, B, C and baseline, ≤ 60 min
    database: postgresql server: initdb 16 found
    20260105-100000-1a2b  baseline  testing
    20260105-100000-1a2b  A  preparing
    20260105-100000-1a2b  A  implementing: The cost ::error::x
    20260105-100000-1a2b  A  spent 1,100 of 1,000 tokens
    20260105-100000-1a2b  A  collecting its work
    20260105-100000-1a2b  A  testing
    A went over budget; what it had done is judged
    20260105-100000-1a2b  A  measuring
    20260105-100000-1a2b  B  measuring
    20260105-100000-1a2b  C  measuring
    20260105-100000-1a2b  baseline  measuring
    block 0 · A B C baseline · 1 s of 60 s
    block 12 · A B C baseline · 14 s of 60 s
    B is out: latency_p95 is 85 ms, must be < 80 ms
    block 13 · A C baseline · 15 s of 60 s
    C has lost to A (52 : 1)
    A wins: beats C by 1.9 ± 0.4 points over 23 blocks, E = 212
    merging A onto main in memory
    warning: `main` moved while the merge was verified; 100 % sure
    landed 3f2a1c9 on main
    run 20260105-100000-1a2b ended after 42 s
    ");
}

#[test]
fn a_job_gets_groups_and_annotations() {
    insta::assert_snapshot!(shown(Surroundings { actions: true, ..Surroundings::default() }), @"
    ::group::Trials
    run 20260105-100000-1a2b carries out docs/blueprints/cost.md: A, B, C and baseline, ≤ 60 min
    database: postgresql server: initdb 16 found
    20260105-100000-1a2b  baseline  testing
    20260105-100000-1a2b  A  preparing
    20260105-100000-1a2b  A  implementing: The cost ::error::x
    20260105-100000-1a2b  A  spent 1,100 of 1,000 tokens
    20260105-100000-1a2b  A  collecting its work
    20260105-100000-1a2b  A  testing
    A went over budget; what it had done is judged
    ::endgroup::
    ::group::Measuring
    20260105-100000-1a2b  A  measuring
    20260105-100000-1a2b  B  measuring
    20260105-100000-1a2b  C  measuring
    20260105-100000-1a2b  baseline  measuring
    block 0 · A B C baseline · 1 s of 60 s
    block 12 · A B C baseline · 14 s of 60 s
    B is out: latency_p95 is 85 ms, must be < 80 ms
    block 13 · A C baseline · 15 s of 60 s
    C has lost to A (52 : 1)
    A wins: beats C by 1.9 ± 0.4 points over 23 blocks, E = 212
    ::endgroup::
    ::group::Landing
    merging A onto main in memory
    ::warning::`main` moved while the merge was verified; 100 %25 sure
    landed 3f2a1c9 on main
    run 20260105-100000-1a2b ended after 42 s
    ::endgroup::
    ");
}

#[test]
fn trouble_is_an_error_to_a_job_and_a_line_to_others() {
    let outcome = Outcome::Infrastructure { message: "the server\nwent away".to_owned() };
    for (actions, expected) in [(true, "::error::B failed"), (false, "trouble: B failed")] {
        let err = Captured::default();
        let around = Surroundings { actions, ..Surroundings::default() };
        let progress = Progress::new(Arc::new(Terminal::to(Captured::default(), err.clone(), Colour::Auto, around)));
        progress.send(Event::TrialEnded { contender: v("B"), outcome: outcome.clone() });
        assert!(err.text().starts_with(expected), "{}", err.text());
    }
}

/// What bars and heartbeats say after each of a few events.
#[test]
fn what_is_going_on_reads_as_a_line_a_contender_and_one_for_the_session() {
    let mut state = State::default();
    let mut text = String::new();
    for (at, event) in events().iter().enumerate() {
        state.take(event);
        if [1, 6, 17, 18, 21, 24].contains(&at) {
            let lines = state.standings.iter().map(|s| format!("{:9}{}\n", s.contender.to_string(), s.line()));
            text.extend(lines);
            text.push_str(&format!("         {}  {}\n", state.session(), state::time(seconds(200), state.time_cap)));
            text.push_str(&format!("{}\n\n", state.heartbeat(seconds(200))));
        }
    }
    insta::assert_snapshot!(text, @"
    A        waiting
    B        waiting
    C        waiting
    baseline waiting
             implementing and testing  3 min 20 s of 60 min
    20260105-100000-1a2b  still running: A waiting, B waiting, C waiting, baseline waiting · 3 min 20 s of 60 min

    A        implementing: The cost ::error::x · 1,100 of 1,000 tokens
    B        waiting
    C        waiting
    baseline testing
             implementing and testing  3 min 20 s of 60 min
    20260105-100000-1a2b  still running: A implementing: The cost ::error::x, B waiting, C waiting, baseline testing · 3 min 20 s of 60 min

    A        measuring · 1,100 of 1,000 tokens · 2 blocks
    B        measuring · 2 blocks
    C        measuring · 2 blocks
    baseline measuring · 2 blocks
             block 1 · A B C baseline · 2 s of 60 s  3 min 20 s of 60 min
    20260105-100000-1a2b  still running: block 1 · A B C baseline · 2 s of 60 s · 3 min 20 s of 60 min

    A        measuring · 1,100 of 1,000 tokens · 13 blocks
    B        measuring · 13 blocks
    C        measuring · 13 blocks
    baseline measuring · 13 blocks
             block 12 · A B C baseline · 14 s of 60 s  3 min 20 s of 60 min
    20260105-100000-1a2b  still running: block 12 · A B C baseline · 14 s of 60 s · 3 min 20 s of 60 min

    A        measuring · 1,100 of 1,000 tokens · 14 blocks
    B        out: latency_p95 is 85 ms, must be < 80 ms · 13 blocks
    C        has lost to A · 14 blocks
    baseline measuring · 14 blocks
             block 13 · A C baseline · 15 s of 60 s  3 min 20 s of 60 min
    20260105-100000-1a2b  still running: block 13 · A C baseline · 15 s of 60 s · 3 min 20 s of 60 min

    A        done · 1,100 of 1,000 tokens · 14 blocks
    B        out: latency_p95 is 85 ms, must be < 80 ms · 13 blocks
    C        has lost to A · 14 blocks
    baseline measuring · 14 blocks
             merging A onto main in memory  3 min 20 s of 60 min
    20260105-100000-1a2b  still running: merging A onto main in memory · 3 min 20 s of 60 min
    ");
}

#[test]
fn silence_is_broken_while_a_run_is_on_and_not_after_it() {
    let err = Captured::default();
    let terminal = Arc::new(Terminal::to(Captured::default(), err.clone(), Colour::Auto, Surroundings::default()));
    let progress = Progress::with(terminal, None, Duration::from_millis(5));
    progress.send(started());
    let since = Instant::now();
    while !err.text().contains("still running: A waiting, B waiting") {
        assert!(since.elapsed() < seconds(20), "no heartbeat: {}", err.text());
        std::thread::sleep(Duration::from_millis(5));
    }
    progress.finish();
    // One that is being written may still come; then there is silence.
    std::thread::sleep(Duration::from_millis(50));
    let after = err.text();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(err.text(), after);
}

#[test]
fn on_a_terminal_only_milestones_stay_above_the_bars() {
    let screen = Screen::default();
    let bars = Bars::new(ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255), None);
    let terminal = Terminal::to(Captured::default(), Captured::default(), Colour::Never, Surroundings::default());
    let progress = Progress::with(Arc::new(terminal), Some(bars), SILENCE);
    for event in events() {
        progress.send(event);
        std::thread::sleep(Duration::from_millis(10));
    }
    progress.finish();
    let written = screen.0.text();
    for word in ["B is out: latency_p95 is 85 ms, must be < 80 ms", "landed 3f2a1c9 on main", "warning: `main` moved"] {
        assert!(written.contains(word), "`{word}` is missing in {written:?}");
    }
    for drawn in [
        "baseline testing",
        "implementing: The cost ::error::x",
        "block 12 · A B C baseline · 14 s of 60 s",
        "0 s of 60 min",
    ] {
        assert!(written.contains(drawn), "`{drawn}` was not drawn in {written:?}");
    }
    assert!(!written.contains("20260105-100000-1a2b  A  testing"), "{written:?}");
}

/// A terminal that keeps what is written and forgets where.
#[derive(Debug, Clone, Default)]
struct Screen(Captured);

impl indicatif::TermLike for Screen {
    fn width(&self) -> u16 {
        120
    }
    fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> std::io::Result<()> {
        self.write_str(&format!("{text}\n"))
    }
    fn write_str(&self, text: &str) -> std::io::Result<()> {
        std::io::Write::write_all(&mut self.0.clone(), text.as_bytes())
    }
    fn clear_line(&self) -> std::io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> std::io::Result<()> {
        Ok(())
    }
}
