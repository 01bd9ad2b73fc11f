//! What the proxy knows of each protocol: which requests are let through and with which bound, how
//! an output limit is written, how usage is read from what comes back, and how a refusal looks.
//!
//! A protocol is one file here and one line in the table. Everything here is pure: bytes and JSON
//! in, bytes and JSON out.

mod answer;
mod chat;
mod gemini;
mod json;
mod messages;
mod parts;
mod paths;
mod responses;
mod strip;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;
use crate::domain::wire::{Provider, Wire};

pub use paths::{Endpoint, endpoint};

/// Makes the choice of rules out of one line a protocol.
macro_rules! protocols {
    ($($wire:ident => $module:ident::$rules:ident;)+) => {
        /// The rules of a protocol.
        pub fn rules(wire: Wire) -> &'static dyn Rules {
            match wire {
                $(Wire::$wire => &$module::$rules,)+
            }
        }
    };
}

protocols! {
    Messages => messages::Messages;
    Chat => chat::Chat;
    Responses => responses::Responses;
    Gemini => gemini::Gemini;
}

/// A request that can be bounded.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What is sent, once [`Rules::limit`] was applied.
    pub body: Value,
    /// As the request names it; empty where it does not.
    pub model: String,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// The output limit that it names.
    pub asked: Option<Tokens>,
    /// What the model reads, in the order in which it reads it and each in a form that stays the same from
    /// one call of a conversation to the next: first whatever stands before the conversation (model, system
    /// text, tools, …), then message by message. See [`super::bound`].
    pub parts: Vec<Vec<u8>>,
    /// What was taken out of it because it could not be bounded, as a reader is told.
    pub stripped: Vec<String>,
}

/// A question for a provider's own counter.
#[derive(Debug, Clone, PartialEq)]
pub struct Counting {
    /// Below the provider's base.
    pub path: String,
    /// What is sent.
    pub body: Value,
    /// The field of the answer that holds the number.
    pub field: &'static str,
}

/// Why a request is not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unbounded(pub String);

/// Which of a provider's errors a refusal looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 400: no client tries again after it.
    Invalid,
    /// 401: the token is wrong.
    Unauthorized,
    /// 404: not on the list.
    NotFound,
    /// 413: longer than can be taken.
    TooLarge,
    /// 502: the provider could not be reached, or not in time.
    Unreachable,
}

impl ErrorKind {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthorized => 401,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::Unreachable => 502,
        }
    }
}

/// An error in a provider's own shape.
pub fn error(provider: Provider, kind: ErrorKind, message: &str) -> Value {
    let status = kind.status();
    match provider {
        Provider::Anthropic => {
            let kind = match kind {
                ErrorKind::Invalid => "invalid_request_error",
                ErrorKind::Unauthorized => "authentication_error",
                ErrorKind::NotFound => "not_found_error",
                ErrorKind::TooLarge => "request_too_large",
                ErrorKind::Unreachable => "api_error",
            };
            json!({"type": "error", "error": {"type": kind, "message": message}})
        }
        Provider::OpenAi => {
            let (kind, code) = match kind {
                ErrorKind::Invalid => ("invalid_request_error", None),
                ErrorKind::Unauthorized => ("invalid_request_error", Some("invalid_api_key")),
                ErrorKind::NotFound => ("invalid_request_error", Some("unknown_url")),
                ErrorKind::TooLarge => ("invalid_request_error", Some("request_too_large")),
                ErrorKind::Unreachable => ("server_error", None),
            };
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        }
        Provider::Gemini => {
            let kind = match kind {
                ErrorKind::Invalid | ErrorKind::TooLarge => "INVALID_ARGUMENT",
                ErrorKind::Unauthorized => "UNAUTHENTICATED",
                ErrorKind::NotFound => "NOT_FOUND",
                ErrorKind::Unreachable => "UNAVAILABLE",
            };
            json!({"error": {"code": status, "message": message, "status": kind}})
        }
    }
}

/// Whether a request wants to be told of each token how likely it and others were: then answers are long.
pub(super) fn likelihoods(body: &Value) -> bool {
    let wanted = |value: Option<&Value>| value.is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)));
    let config = body.get("generationConfig");
    let included = body.get("include").and_then(Value::as_array).into_iter().flatten();
    wanted(body.get("logprobs"))
        || wanted(body.get("top_logprobs"))
        || wanted(config.and_then(|config| config.get("responseLogprobs")))
        || included.filter_map(Value::as_str).any(|field| field.contains("logprobs"))
}

/// What a protocol's requests and answers are like.
pub trait Rules: Send + Sync {
    /// Reads a request; takes out or refuses what would make a bound false.
    fn read(&self, endpoint: &Endpoint, body: Value) -> Result<Request, Unbounded>;

    /// Writes the output limit into the request, and whatever else makes the answer tell its usage.
    fn limit(&self, request: &mut Request, output: Tokens);

    /// What asks the provider how many tokens a request has, where there is such a question; `path` is the request's own.
    fn counting(&self, request: &Request, path: &str) -> Option<Counting> {
        let _ = (request, path);
        None
    }

    /// A meter for the answer, whether it comes as a stream or in one piece.
    fn meter(&self) -> Box<dyn Meter>;
}

/// Reads an answer alongside its passing through.
pub trait Meter: Send {
    /// Takes bytes as they come, cut anywhere, and shows each event or object that they complete. How many of the
    /// bytes are behind none that has begun and not ended.
    fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Value)) -> usize;

    /// What is known so far. After the last byte it is final.
    fn reading(&self) -> Reading;
}

/// What a meter knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// Usage as the provider last reported it.
    pub usage: Option<Usage>,
    /// Whether that usage is the answer's last word.
    pub complete: bool,
    /// Characters that the model wrote so far, whatever they are: text, reasoning, arguments.
    pub written: u64,
    /// An error that the provider told in the middle of the answer.
    pub error: Option<String>,
}
