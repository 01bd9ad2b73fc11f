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

/// The lines that are drawn.
pub struct Bars {
    all: MultiProgress,
    lines: Mutex<Vec<ProgressBar>>,
}

impl Bars {
    /// Bars that are drawn there.
    pub fn new(target: ProgressDrawTarget) -> Self {
        Self { all: MultiProgress::with_draw_target(target), lines: Mutex::default() }
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
        let add = |name: &str, style: ProgressStyle| {
            let line = self.all.add(ProgressBar::no_length().with_style(style));
            line.set_prefix(format!("{name:width$}"));
            line.enable_steady_tick(TICK);
            line
        };
        let mut lines: Vec<_> = names.iter().map(|name| add(name, timed(None))).collect();
        lines.push(add("", timed(state.time_cap)));
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
fn timed(cap: Option<Duration>) -> ProgressStyle {
    let write = move |bar: &ProgressState, out: &mut dyn Write| {
        let _ = out.write_str(&state::time(bar.elapsed(), cap));
    };
    let style = ProgressStyle::with_template("{prefix} {wide_msg} {time:>18}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("time", write)
}
