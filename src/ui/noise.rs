//! What `noise` prints.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::report::json_text;
use super::style::Style;
use super::table::{Align, Cell, Table};
use super::terminal::Terminal;
use super::words;
use crate::domain::noise::{CAP, Difference, SLICE, Summary, Tally, Timed, Trace};

/// How often the time is drawn anew. Drawing disturbs what is recorded, so: seldom.
const DRAWN: Duration = Duration::from_secs(2);

/// A line about something that takes a known time.
pub struct Waiting {
    bar: Option<ProgressBar>,
}

impl Waiting {
    /// Begins now: a bar on a terminal, one line elsewhere.
    pub fn new(terminal: &Arc<Terminal>, what: &str, length: Duration) -> Self {
        let whole = words::duration(length);
        if !terminal.is_live() {
            terminal.note(&format!("{what} for {whole}"));
            return Self { bar: None };
        }
        let style = ProgressStyle::with_template("{prefix} {elapsed} of {msg}; Ctrl-C ends it and keeps what there is");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_prefix(what.to_owned())
            .with_message(whole);
        bar.enable_steady_tick(DRAWN);
        Self { bar: Some(bar) }
    }

    /// Takes the line off the screen.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What was recorded, and what to do with it.
pub fn recorded(path: &str, bytes: usize, trace: &Trace) -> String {
    format!(
        "wrote {path}: {} in {}, {} kB\nblueprint noise replay {path}\n",
        words::count(trace.ticks.len(), "tick"),
        words::duration(trace.length()),
        bytes.div_ceil(1_000)
    )
}

/// What a recorded machine's noise is like, and what can be decided on it.
pub fn replayed(trace: &Trace, summary: &Summary, tallies: &[Tally], style: Style) -> String {
    let questions = tallies.iter().map(|tally| (tally.question.variants, tally.decisions)).next();
    let (variants, decisions) = questions.unwrap_or_default();
    format!(
        "{}\n\n{}\n{variants} variants: {}; {decisions} decisions a line; the race ends after {CAP} s\n\n{}",
        machine(trace),
        noise(summary, style),
        field(variants),
        contests(tallies, style)
    )
}

/// `recorded 2026-01-05, 30 min, 2 CPUs, Some CPU: idle`.
fn machine(trace: &Trace) -> String {
    let header = &trace.header;
    let date = header.recorded.to_string();
    let mut parts = vec![
        format!("recorded {}", date.split('T').next().unwrap_or_default()),
        words::duration(trace.length()),
        words::count(header.cores, "CPU"),
    ];
    parts.extend(header.cpu.clone());
    parts.extend(header.kernel.as_ref().map(|kernel| format!("Linux {kernel}")));
    let note = header.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    parts.join(", ") + &note
}

fn field(variants: usize) -> &'static str {
    match variants {
        2 => "1, 1+d",
        3 => "1, 1+d, 1+2d",
        4 => "1, 1+d, 1+d, 1+2d",
        _ => "1, 1+d, …, 1+d, 1+2d",
    }
}

fn noise(summary: &Summary, style: Style) -> String {
    let mut table = Table::bare([Align::Left, Align::Left]);
    let [median, most, nearly_all] = summary.slow_down;
    let mut line = |what: &str, text: String| table.row([Cell::from(what), Cell::from(text)]);
    line("slow-down", format!("median {median:.2}, p90 {most:.2}, p99 {nearly_all:.2} times the undisturbed time"));
    for Difference { timed, adjacent, unrelated } in &summary.differences {
        let text = format!("{adjacent:.3} one after the other, {unrelated:.3} at unrelated times");
        line(&format!("{} time", name(*timed)), format!("log ratio of two slices of {SLICE} s: sd {text}"));
    }
    let told = |value: Option<f64>, text: &dyn Fn(f64) -> String| value.map_or("not known".to_owned(), text);
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    line("waiting", told(summary.run_delay, &|s| format!("{} of the time, for a CPU", percent(s))));
    line("steal", told(summary.steal, &|s| format!("{} of all CPUs' time", percent(s))));
    line("pressure", told(summary.pressure, &|s| format!("{} of the time some task waited for a CPU", percent(s))));
    line("tasks", told(summary.running, &|n| format!("{n:.1} running on average")));
    table.render(style)
}

fn contests(tallies: &[Tally], style: Style) -> String {
    let right = |title: &str| (title.to_owned(), Align::Right);
    let titles = ["single run", "ten in a row", "(s)", "least of five", "race", "supported", "wrong", "(s)"];
    let head = [right("d"), ("timed".to_owned(), Align::Left)].into_iter().chain(titles.map(right));
    let mut table = Table::new(head);
    for tally in tallies {
        let d = tally.question.difference;
        // Whoever is picked among identical variants is as good as any other.
        let picks = |count: u64| if d > 0.0 { format!("{:.2}", tally.share(count)) } else { "–".to_owned() };
        table.row(
            [
                if d > 0.0 { format!("{} %", round(100.0 * d)) } else { "none".to_owned() },
                name(tally.question.timed).to_owned(),
                picks(tally.single),
                picks(tally.ten),
                format!("{:.0}", tally.mean(tally.ten_seconds)),
                picks(tally.five),
                picks(tally.right),
                format!("{:.2}", tally.share(tally.supported)),
                tally.wrong().to_string(),
                format!("{:.0}", tally.mean(tally.seconds)),
            ]
            .map(Cell::from),
        );
    }
    table.render(style)
}

fn name(timed: Timed) -> &'static str {
    match timed {
        Timed::Wall => "wall",
        Timed::Cpu => "CPU",
    }
}

/// Without digits that only arithmetic made.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// The same for programs.
pub fn replayed_json(trace: &Trace, summary: &Summary, tallies: &[Tally]) -> String {
    let header = &trace.header;
    let [median, p90, p99] = summary.slow_down;
    json_text(&Replayed {
        schema_version: 1,
        recorded: header.recorded.to_string(),
        seconds: trace.length().as_secs_f64(),
        ticks: trace.ticks.len(),
        cores: header.cores,
        cpu: header.cpu.as_deref(),
        kernel: header.kernel.as_deref(),
        note: header.note.as_deref(),
        noise: Noise {
            slow_down: SlowDown { median, p90, p99 },
            log_ratio: summary.differences.iter().map(Ratio::of).collect(),
            run_delay: summary.run_delay,
            steal: summary.steal,
            pressure: summary.pressure,
            running: summary.running,
        },
        contests: tallies.iter().map(Line::of).collect(),
    })
}

#[derive(Serialize)]
struct Replayed<'a> {
    /// Of this form; it changes when a key changes its meaning or goes.
    schema_version: u32,
    recorded: String,
    seconds: f64,
    ticks: usize,
    cores: usize,
    cpu: Option<&'a str>,
    kernel: Option<&'a str>,
    note: Option<&'a str>,
    noise: Noise,
    contests: Vec<Line>,
}

#[derive(Serialize)]
struct Noise {
    slow_down: SlowDown,
    log_ratio: Vec<Ratio>,
    /// Shares of the time; null where the machine does not tell.
    run_delay: Option<f64>,
    steal: Option<f64>,
    pressure: Option<f64>,
    /// Tasks.
    running: Option<f64>,
}

#[derive(Serialize)]
struct SlowDown {
    median: f64,
    p90: f64,
    p99: f64,
}

#[derive(Serialize)]
struct Ratio {
    timed: &'static str,
    adjacent: f64,
    unrelated: f64,
}

impl Ratio {
    fn of(difference: &Difference) -> Self {
        let Difference { timed, adjacent, unrelated } = *difference;
        Self { timed: key(timed), adjacent, unrelated }
    }
}

#[derive(Serialize)]
struct Line {
    variants: usize,
    /// As a share of the best one's time; 0 where the variants are identical.
    difference: f64,
    timed: &'static str,
    decisions: u64,
    /// How often the best was picked; 0 where there is none.
    single_run: u64,
    ten_in_a_row: u64,
    ten_in_a_row_seconds: f64,
    least_of_five: u64,
    race: u64,
    supported: u64,
    wrong: u64,
    race_seconds: f64,
}

impl Line {
    fn of(tally: &Tally) -> Self {
        Self {
            variants: tally.question.variants,
            difference: tally.question.difference,
            timed: key(tally.question.timed),
            decisions: tally.decisions,
            single_run: tally.single,
            ten_in_a_row: tally.ten,
            ten_in_a_row_seconds: tally.mean(tally.ten_seconds),
            least_of_five: tally.five,
            race: tally.right,
            supported: tally.supported,
            wrong: tally.wrong(),
            race_seconds: tally.mean(tally.seconds),
        }
    }
}

fn key(timed: Timed) -> &'static str {
    match timed {
        Timed::Wall => "wall",
        Timed::Cpu => "cpu",
    }
}

#[cfg(test)]
mod tests {
    use super::super::terminal::{Colour, Surroundings};
    use super::*;
    use crate::domain::noise::CAP;
    use crate::domain::noise::{Question, Sample, fixtures};

    fn trace() -> Trace {
        let mut trace = fixtures::trace(&[5_000; 360_000]);
        let sample = |at, steal| Sample { at, steal: Some(steal), pressure: None, running: Some(2) };
        trace.samples = vec![sample(0, 0), sample(1_800_000_000, 3_600_000)];
        trace
    }

    fn summary() -> Summary {
        Summary {
            slow_down: [1.02, 1.104, 1.942],
            differences: vec![
                Difference { timed: Timed::Wall, adjacent: 0.22, unrelated: 0.53 },
                Difference { timed: Timed::Cpu, adjacent: 0.0223, unrelated: 0.034 },
            ],
            run_delay: Some(0.31),
            steal: Some(0.001),
            pressure: None,
            running: Some(2.44),
        }
    }

    fn tally(difference: f64, timed: Timed, supported: u64, supported_right: u64) -> Tally {
        Tally {
            question: Question { variants: 4, difference, timed, cap: CAP, own: 0.0 },
            decisions: 200,
            single: 160,
            ten: 152,
            ten_seconds: 200.0 * 48.2,
            five: 188,
            right: 199,
            supported,
            supported_right,
            seconds: 200.0 * 18.4,
        }
    }

    fn tallies() -> [Tally; 4] {
        [
            tally(0.0, Timed::Wall, 1, 0),
            tally(0.0, Timed::Cpu, 0, 0),
            tally(0.07, Timed::Wall, 190, 190),
            tally(0.07, Timed::Cpu, 200, 199),
        ]
    }

    #[test]
    fn the_noise_of_a_machine_and_what_can_be_decided_on_it() {
        insta::assert_snapshot!(replayed(&trace(), &summary(), &tallies(), Style::PLAIN));
        let coloured = replayed(&trace(), &summary(), &tallies(), Style::COLOURED);
        assert_eq!(words::visible(&coloured, false), replayed(&trace(), &summary(), &tallies(), Style::PLAIN));
    }

    #[test]
    fn programs_get_the_same_figures() {
        insta::assert_snapshot!(replayed_json(&trace(), &summary(), &tallies()[..1]));
    }

    #[test]
    fn a_recording_says_what_it_wrote_and_what_to_do_with_it() {
        insta::assert_snapshot!(recorded("idle.noise", 712_345, &trace()), @"
        wrote idle.noise: 360000 ticks in 30 min, 713 kB
        blueprint noise replay idle.noise
        ");
    }

    #[test]
    fn without_a_terminal_one_line_says_how_long_it_takes() {
        let err = super::super::terminal::tests::Captured::default();
        let terminal = Terminal::to(std::io::sink(), err.clone(), Colour::Auto, Surroundings::default());
        Waiting::new(&Arc::new(terminal), "recording", Duration::from_secs(1800)).finish();
        assert_eq!(err.text(), "recording for 30 min\n");
    }
}
