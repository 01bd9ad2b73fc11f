//! What a script answers: what is said, and what goes wrong on the way.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::answer::Answer;
use super::call::Call;

/// An answer. It starts from one of the first functions and is refined by the others.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) what: What,
    /// Input and output.
    pub(super) usage: Option<(u64, u64)>,
    /// Read from and written to the cache, both parts of the input.
    pub(super) cached: (u64, u64),
    pub(super) no_usage: bool,
    pub(super) headers: Vec<(String, String)>,
    pub(super) cut_after: Option<usize>,
    pub(super) error_after: Option<(usize, String)>,
    pub(super) delay: Duration,
    pub(super) pace: Duration,
    pub(super) ignoring_limit: bool,
}

/// What an answer is.
#[derive(Debug, Clone)]
pub(super) enum What {
    Says(Vec<Said>),
    Status { code: u16, message: String },
    Raw { status: u16, content_type: String, body: Bytes },
    Hang,
}

/// A part of what is said.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Text(String),
    Tool { name: String, arguments: Value },
    Shell(String),
}

impl Reply {
    fn new(what: What) -> Self {
        Self {
            what,
            usage: None,
            cached: (0, 0),
            no_usage: false,
            headers: Vec::new(),
            cut_after: None,
            error_after: None,
            delay: Duration::ZERO,
            pace: Duration::ZERO,
            ignoring_limit: false,
        }
    }

    /// A text, in a stream one event a word.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(What::Says(vec![Said::Text(text.into())]))
    }

    /// A text of so many words.
    pub fn words(n: usize) -> Self {
        Self::text(vec!["word"; n].join(" "))
    }

    /// A call of a tool. Arguments that are a string are sent as they are: free text for tools
    /// that take it, and broken JSON for all others.
    pub fn tool(name: impl Into<String>, arguments: Value) -> Self {
        Self::new(What::Says(vec![Said::Tool { name: name.into(), arguments }]))
    }

    /// A call of whatever tool the request offers for commands, in the shape of its schema; where
    /// it offers none, a text with the command in a fenced block.
    pub fn shell(command: impl Into<String>) -> Self {
        Self::new(What::Says(vec![Said::Shell(command.into())]))
    }

    /// An error in the protocol's shape.
    pub fn status(code: u16, message: impl Into<String>) -> Self {
        Self::new(What::Status { code, message: message.into() })
    }

    /// Bytes as they are.
    pub fn raw(status: u16, content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::new(What::Raw { status, content_type: content_type.into(), body: body.into() })
    }

    /// Takes the request and never answers.
    pub fn hang() -> Self {
        Self::new(What::Hang)
    }

    /// A further call of a tool in the same turn.
    #[must_use]
    pub fn and_tool(mut self, name: impl Into<String>, arguments: Value) -> Self {
        match &mut self.what {
            What::Says(said) => said.push(Said::Tool { name: name.into(), arguments }),
            other => panic!("{other:?} has no tools"),
        }
        self
    }

    /// The usage it reports, cached input included. Without it the input is a token for every four
    /// bytes of the request, and the output a token for every word, or for every six letters where that is more.
    #[must_use]
    pub fn usage(mut self, input: u64, output: u64) -> Self {
        self.usage = Some((input, output));
        self
    }

    /// How much of the input was read from the cache and written to it.
    #[must_use]
    pub fn cached(mut self, read: u64, written: u64) -> Self {
        self.cached = (read, written);
        self
    }

    /// Reports no usage.
    #[must_use]
    pub fn no_usage(mut self) -> Self {
        self.no_usage = true;
        self
    }

    /// Adds a `Retry-After`: seconds or a date.
    #[must_use]
    pub fn retry_after(self, seconds: &str) -> Self {
        self.header("retry-after", seconds)
    }

    /// Adds or replaces a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Breaks the connection after so many events; an answer in one piece breaks in its middle.
    #[must_use]
    pub fn cut_after(mut self, events: usize) -> Self {
        self.cut_after = Some(events);
        self
    }

    /// An error under 200 after so many events; instead of the answer where it comes in one piece.
    #[must_use]
    pub fn error_after(mut self, events: usize, message: impl Into<String>) -> Self {
        self.error_after = Some((events, message.into()));
        self
    }

    /// The input and output that it will report to this call; `None` where it reports none: an
    /// error, bytes as they are, a count, silence.
    pub fn reported(&self, call: &Call) -> Option<(u64, u64)> {
        let says = matches!(self.what, What::Says(_)) && !call.counting;
        let usage = says.then(|| Answer::new(call, self).usage).flatten()?;
        Some((usage.input, usage.output))
    }

    /// Waits before the first byte.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits between events.
    #[must_use]
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }

    /// Says and reports everything, whatever output limit the request names. Without it what is
    /// said is cut at the limit, no more is reported, and the stop reason says so.
    #[must_use]
    pub fn ignoring_limit(mut self) -> Self {
        self.ignoring_limit = true;
        self
    }
}
