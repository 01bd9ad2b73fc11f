//! Progress on a terminal: a line a contender, one for the session, and above them what is to stay.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::super::words;
use super::state::{self, State};
use crate::domain::event::Event;

/// How often the times are drawn anew. Drawing costs time that is being measured, so: seldom.
const TICK: Duration = Duration::from_secs(1);

/// Columns below which only what is most needed is drawn.
const NARROW: usize = 60;

/// The lines that are drawn.
pub(super) struct Bars {
    all: MultiProgress,
    lines: Mutex<Vec<ProgressBar>>,
    columns: Option<usize>,
}

impl Bars {
    /// Bars that are drawn there, on so many columns.
    pub fn new(target: ProgressDrawTarget, columns: Option<usize>) -> Self {
        Self { all: MultiProgress::with_draw_target(target), lines: Mutex::default(), columns }
    }

    /// Prints a line that stays.
    pub fn print(&self, line: &str) {
        // A terminal that is gone has no reader either.
        let _ = self.all.println(line);
    }

    /// Draws what is known after an event.
    pub fn draw(&self, state: &State, event: &Event) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(event, Event::RunStarted { .. }) {
            lines.drain(..).for_each(|line| line.finish_and_clear());
            *lines = self.begin(state);
        }
        for (standing, line) in state.standings.iter().zip(lines.iter()) {
            if matches!(event, Event::PhaseEntered { contender, .. } if *contender == standing.contender) {
                line.reset_elapsed();
            }
            if standing.over && !line.is_finished() {
                line.finish_with_message(standing.line());
            } else if !standing.over {
                line.set_message(standing.line());
            }
        }
        if let Some(session) = lines.last() {
            session.set_message(state.session());
        }
    }

    fn begin(&self, state: &State) -> Vec<ProgressBar> {
        let names: Vec<_> = state.standings.iter().map(|s| s.contender.to_string()).collect();
        let width = names.iter().map(|name| words::width(name)).max().unwrap_or_default();
        let narrow = self.columns.is_some_and(|columns| columns < NARROW);
        let cap = state.time_cap.filter(|_| !narrow);
        let add = |name: &str, style: ProgressStyle| {
            let line = self.all.add(ProgressBar::no_length().with_style(style));
            line.set_prefix(format!("{name:width$}"));
            line.enable_steady_tick(TICK);
            line
        };
        let mut lines: Vec<_> = names.iter().map(|name| add(name, timed(None, narrow))).collect();
        lines.push(add("", timed(cap, narrow)));
        lines
    }

    /// Takes the bars off the screen.
    pub fn clear(&self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.drain(..).for_each(|line| line.finish_and_clear());
        let _ = self.all.clear();
    }
}

/// Name, what it does, and its time in the whole seconds that it took so far.
fn timed(cap: Option<Duration>, narrow: bool) -> ProgressStyle {
    let write = move |bar: &ProgressState, out: &mut dyn Write| {
        let _ = out.write_str(&state::time(bar.elapsed(), cap));
    };
    let template = if narrow { "{prefix} {wide_msg} {time}" } else { "{prefix} {wide_msg} {time:>18}" };
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("time", write)
}
