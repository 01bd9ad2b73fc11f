//! What `noise` prints.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::Terminal;
use super::words;
use crate::domain::noise::Trace;

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
        "wrote {path}: {} in {}, {} kB\n",
        words::count(trace.ticks.len(), "tick"),
        words::duration(trace.length()),
        bytes.div_ceil(1_000)
    )
}
