//! The log of what the program does, for whoever looks into it: on standard error or in a file, without secrets.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use super::terminal::Terminal;
use crate::error::{Error, Result};

/// The variable that says what is logged.
pub const VARIABLE: &str = "BLUEPRINT_LOG";

/// What libraries log may hold what they were handed, passwords among it; only what this program says is logged.
const OWN: &str = env!("CARGO_PKG_NAME");

/// What is to be logged, and where.
#[derive(Default)]
pub struct LogSettings {
    /// How often `-v` was said.
    pub verbosity: u8,
    /// What [`VARIABLE`] holds, such as `debug` or `blueprint::engine=trace`.
    pub filter: Option<String>,
    /// Standard error where there is none.
    pub file: Option<Box<dyn Write + Send>>,
}

impl LogSettings {
    fn filter(&self) -> Result<EnvFilter> {
        let usual = match (self.verbosity, &self.file) {
            (0, None) => LevelFilter::OFF,
            (1, _) => LevelFilter::INFO,
            (0 | 2, _) => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        let named = self.filter.as_deref().filter(|_| self.verbosity == 0);
        let builder = EnvFilter::builder().with_default_directive(usual.into());
        builder.parse(named.unwrap_or_default()).map_err(|error| {
            Error::usage(format!("{VARIABLE} says nothing that can be logged: {error}"))
                .hint("a level (error, warn, info, debug, trace), or levels of parts, such as blueprint::engine=debug")
        })
    }
}

/// Takes secrets out of text.
pub type Clean = Box<dyn Fn(&str) -> String + Send + Sync>;

/// The log, as long as the program runs.
#[derive(Clone)]
pub struct Log {
    clean: Arc<OnceLock<Clean>>,
}

impl Log {
    /// Begins it. Nothing is logged where nothing is wanted.
    pub fn start(settings: LogSettings, terminal: &Arc<Terminal>) -> Result<Self> {
        let filter = settings.filter()?;
        let log = Self { clean: Arc::default() };
        let coloured = settings.file.is_none() && terminal.note_style().coloured;
        let to = match settings.file {
            None => To::Terminal(Arc::clone(terminal)),
            Some(file) => To::File(Arc::new(Mutex::new(file))),
        };
        let layer = fmt::layer()
            .with_writer(Writers { to, clean: Arc::clone(&log.clean) })
            .with_ansi(coloured)
            .with_span_events(FmtSpan::CLOSE)
            .with_filter(filter.and(filter_fn(|line| line.target().split("::").next() == Some(OWN))));
        // Where a program that holds this one has a log already, that one stays.
        drop(registry().with(layer).try_init());
        Ok(log)
    }

    /// From here on this takes out what nobody may read. What is known first stays.
    pub fn without(&self, clean: Clean) {
        drop(self.clean.set(clean));
    }
}

#[derive(Clone)]
enum To {
    Terminal(Arc<Terminal>),
    File(Arc<Mutex<Box<dyn Write + Send>>>),
}

/// Makes a writer for each line.
struct Writers {
    to: To,
    clean: Arc<OnceLock<Clean>>,
}

/// One line, written whole at its end.
struct Line {
    to: To,
    clean: Arc<OnceLock<Clean>>,
    text: Vec<u8>,
}

impl MakeWriter<'_> for Writers {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line { to: self.to.clone(), clean: Arc::clone(&self.clean), text: Vec::new() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        let text = self.clean.get().map_or_else(|| text.clone().into_owned(), |clean| clean(&text));
        match &self.to {
            To::Terminal(terminal) => terminal.note(&text),
            // A log that can't be written must not end what it is about.
            To::File(file) => {
                drop(file.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(verbosity: u8, filter: Option<&str>, file: bool) -> String {
        let file = file.then(|| Box::new(io::sink()) as Box<dyn Write + Send>);
        LogSettings { verbosity, filter: filter.map(str::to_owned), file }.filter().unwrap().to_string()
    }

    #[test]
    fn nothing_is_logged_unless_asked_and_each_v_says_more() {
        let levels = [0, 1, 2, 3, 9].map(|verbosity| said(verbosity, None, false));
        assert_eq!(levels, ["off", "info", "debug", "trace", "trace"]);
        assert_eq!(said(0, None, true), "debug", "a file is asking");
        assert_eq!(said(0, Some("warn,blueprint::engine=trace"), false), "blueprint::engine=trace,warn");
        assert_eq!(said(1, Some("trace"), false), "info", "the command line counts");
    }

    #[test]
    fn what_is_no_level_is_told_with_what_is() {
        let settings = LogSettings { filter: Some("blueprint=loud".to_owned()), ..LogSettings::default() };
        let error = settings.filter().err().unwrap();
        assert!(error.message.starts_with(VARIABLE) && error.hints[0].contains("debug"), "{error}");
    }
}
