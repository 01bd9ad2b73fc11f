//! Ctrl-C, TERM and HUP: the first asks the run to stop and to tidy up, the second ends it at once. HUP, which comes
//! when a terminal is closed, counts as TERM, unless whoever started us had it ignored, as nohup does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::adapters::process::Stop;
use crate::error::{Error, ExitCode, Result};

/// Watches for signals.
pub struct Signals {
    /// Fires at the first one.
    pub stop: Stop,
    terminated: Arc<AtomicBool>,
}

impl Signals {
    /// Watches from now on.
    pub fn watch() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|e| Error::machine("signals can't be watched").because(e));
        let (interrupt, terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let hangup = if hangup_is_ignored() { None } else { Some(listen(SignalKind::hangup())?) };
        let signals = Self { stop: Stop::new(), terminated: Arc::default() };
        let heard = Heard { interrupt, terminate, hangup };
        tokio::spawn(listen_on(heard, signals.stop.clone(), Arc::clone(&signals.terminated)));
        Ok(signals)
    }

    /// The exit code of an interrupted run tells the two signals apart.
    pub fn named(&self, mut error: Error) -> Error {
        if error.kind == ExitCode::Interrupted && self.terminated.load(Ordering::Relaxed) {
            error.kind = ExitCode::Terminated;
        }
        error
    }
}

/// What is listened to.
struct Heard {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

/// Whether the process began with HUP ignored.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // HUP is the first signal.
    mask.is_some_and(|mask| mask & 1 == 1)
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

async fn listen_on(mut heard: Heard, stop: Stop, terminated: Arc<AtomicBool>) {
    let mut asked = false;
    loop {
        let code = tokio::select! {
            _ = heard.interrupt.recv() => ExitCode::Interrupted,
            _ = heard.terminate.recv() => ExitCode::Terminated,
            () = next(&mut heard.hangup) => ExitCode::Terminated,
        };
        if asked {
            // The journal knows what is left; `resume` and `gc` find it.
            std::process::exit(code as i32);
        }
        asked = true;
        terminated.store(code == ExitCode::Terminated, Ordering::Relaxed);
        stop.cancel();
    }
}
