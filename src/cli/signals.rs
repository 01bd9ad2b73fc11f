//! Ctrl-C and TERM: the first asks the run to stop and to tidy up, the second ends it at once.

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
        let signals = Self { stop: Stop::new(), terminated: Arc::default() };
        tokio::spawn(listen_on(interrupt, terminate, signals.stop.clone(), Arc::clone(&signals.terminated)));
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

async fn listen_on(mut interrupt: Signal, mut terminate: Signal, stop: Stop, terminated: Arc<AtomicBool>) {
    let mut asked = false;
    loop {
        let code = tokio::select! {
            _ = interrupt.recv() => ExitCode::Interrupted,
            _ = terminate.recv() => ExitCode::Terminated,
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
