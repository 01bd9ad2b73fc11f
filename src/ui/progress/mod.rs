//! Progress of a run: drawn on a terminal, told line by line elsewhere, folded into groups where a
//! job of GitHub Actions reads along.

mod bars;
mod events;
mod state;

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::ProgressDrawTarget;

use self::bars::Bars;
use self::state::{Line, State, Weight};
use super::style::Tone;
use super::terminal::Terminal;
use crate::domain::event::{Event, Sink};

pub use events::{JsonLines, Sinks};

/// The longest silence where nothing is drawn.
const SILENCE: Duration = Duration::from_secs(60);

/// Shows one run's progress on standard error.
pub struct Progress {
    shown: Arc<Shown>,
    /// Each line resets the time to the next heartbeat; without a sender there is none.
    pulse: Mutex<Option<Sender<()>>>,
}

struct Shown {
    terminal: Arc<Terminal>,
    state: Mutex<State>,
    started: Instant,
    bars: Option<Bars>,
}

impl Progress {
    /// Progress of a run that starts now.
    pub fn new(terminal: Arc<Terminal>) -> Self {
        let bars = terminal.is_live().then(|| Bars::new(ProgressDrawTarget::stderr(), terminal.note_style().columns));
        Self::with(terminal, bars, SILENCE)
    }

    fn with(terminal: Arc<Terminal>, bars: Option<Bars>, silence: Duration) -> Self {
        let drawn = bars.is_some();
        let shown = Arc::new(Shown { terminal, state: Mutex::default(), started: Instant::now(), bars });
        let pulse = (!drawn).then(|| heartbeat(Arc::clone(&shown), silence));
        Self { shown, pulse: Mutex::new(pulse) }
    }

    /// Takes what is drawn off the screen; nothing more is shown. Results can be printed then.
    pub fn finish(&self) {
        // The thread ends when its sender is gone.
        let pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(bars) = &self.shown.bars {
            bars.clear();
        } else if pulse.is_some() {
            self.shown.terminal.command("endgroup", "");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Starts the thread that speaks where nobody else does.
fn heartbeat(shown: Arc<Shown>, silence: Duration) -> Sender<()> {
    let (pulse, beats) = mpsc::channel();
    std::thread::spawn(move || {
        loop {
            match beats.recv_timeout(silence) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let state = shown.state();
                    if !state.standings.is_empty() {
                        shown.terminal.note(&state.heartbeat(shown.started.elapsed()));
                    }
                }
            }
        }
    });
    pulse
}

impl Sink for Progress {
    fn send(&self, event: Event) {
        let mut state = self.shown.state();
        let before = state.stage;
        let lines = state.take(&event);
        match &self.shown.bars {
            Some(bars) => {
                let kept = lines.iter().filter(|line| line.weight != Weight::Step);
                kept.for_each(|line| bars.print(&self.shown.text(line)));
                bars.draw(&state, &event);
            }
            None => {
                let begins = matches!(event, Event::RunStarted { .. });
                if !begins && state.stage != before {
                    self.shown.terminal.command("endgroup", "");
                }
                if begins || state.stage != before {
                    self.shown.terminal.command("group", state.stage.title());
                }
                lines.iter().for_each(|line| self.shown.print(line));
                if let Some(pulse) = &*self.pulse.lock().unwrap_or_else(PoisonError::into_inner) {
                    // The thread only ends when the sender does.
                    let _ = pulse.send(());
                }
            }
        }
    }
}

impl Shown {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self, line: &Line) -> String {
        let style = self.terminal.note_style();
        match line.weight {
            Weight::Step | Weight::Milestone => line.text.clone(),
            Weight::Warning => format!("{} {}", style.paint(Tone::Warn, "warning:"), line.text),
            Weight::Trouble => format!("{} {}", style.paint(Tone::Bad, "trouble:"), line.text),
        }
    }

    fn print(&self, line: &Line) {
        match (line.weight, self.terminal.is_actions()) {
            (Weight::Warning, true) => self.terminal.command("warning", &line.text),
            (Weight::Trouble, true) => self.terminal.command("error", &line.text),
            _ => self.terminal.note(&self.text(line)),
        }
    }
}

#[cfg(test)]
mod tests;
