//! The protocols that the agent speaks: a conversation as a request, and the events of an answer as
//! an answer. Pure; a protocol is one file here and one line in the table.

mod chat;
mod messages;

use serde_json::Value;

use super::conversation::{Answer, Conversation};
use super::tools::Tool;
use crate::adapters::http::SseEvent;
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;
use crate::domain::wire::{Secret, Wire};

/// What stands for an answer without words and calls: no protocol takes back an empty one.
const NOTHING: &str = "(nothing)";
/// More text than this is no answer of a model's.
const LONGEST: usize = 64 << 20;

/// A protocol.
pub trait Dialect: Send + Sync {
    /// Where requests go, below the provider's base URL.
    fn path(&self) -> &'static str;

    /// What they carry besides their body.
    fn headers(&self, key: &Secret) -> Vec<(&'static str, String)>;

    /// A request for the next answer, as a stream; `limit` is the most that it may write.
    fn body(&self, model: &str, talk: &Conversation, tools: &[&Tool], limit: Option<Tokens>) -> Value;

    /// The output limit of requests for which nothing is configured, where the protocol needs one.
    fn default_limit(&self) -> Option<Tokens>;

    /// A reader for one answer.
    fn reader(&self) -> Box<dyn Reader>;
}

/// Reads one answer from its events.
pub trait Reader: Send {
    /// Takes one event; an error is the provider's, or says what could not be read.
    fn take(&mut self, event: &SseEvent) -> Result<(), String>;

    /// Whether the answer is whole.
    fn complete(&self) -> bool;

    /// What it cost so far, where that was said.
    fn usage(&self) -> Option<Usage>;

    /// The answer.
    fn answer(self: Box<Self>) -> Answer;
}

/// Every protocol that the agent speaks.
const DIALECTS: &[(Wire, &dyn Dialect)] = &[(Wire::Messages, &messages::Messages), (Wire::Chat, &chat::Chat)];

/// The dialect of a protocol; `None` where the agent does not speak it.
pub fn of(wire: Wire) -> Option<&'static dyn Dialect> {
    DIALECTS.iter().find(|(spoken, _)| *spoken == wire).map(|(_, dialect)| *dialect)
}

/// An event's data.
fn parsed(event: &SseEvent) -> Result<Value, String> {
    serde_json::from_str(&event.data).map_err(|why| format!("an event of its answer is not JSON: {why}"))
}

/// What an error says, in the shapes that providers use.
pub(super) fn error_words(value: &Value) -> Option<String> {
    let error = value.get("error")?;
    let told = error.get("message").or(Some(error)).and_then(Value::as_str);
    Some(told.map_or_else(|| error.to_string(), str::to_owned))
}

/// A tool's name as every protocol takes it back: models make up names that no provider accepts.
fn name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = text.chars().take(64).map(plain).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// Adds a piece to a text that may not grow without end.
fn append(text: &mut String, piece: &str) -> Result<(), String> {
    if text.len() + piece.len() > LONGEST {
        return Err("its answer is longer than 64 MiB".to_owned());
    }
    text.push_str(piece);
    Ok(())
}

/// A whole number below a path of keys.
fn number(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64()
}

/// Text below a key; nothing where there is none.
fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_model_made_up_can_be_given_back() {
        assert_eq!(name("read"), "read");
        assert_eq!(name("functions.read file"), "functions_read_file");
        assert_eq!(name(""), "unnamed");
        assert_eq!(name(&"ä".repeat(100)).len(), 64);
    }

    #[test]
    fn an_error_is_read_in_every_shape() {
        let words = |text: &str| error_words(&serde_json::from_str(text).unwrap());
        assert_eq!(words(r#"{"type":"error","error":{"type":"x","message":"no"}}"#).unwrap(), "no");
        assert_eq!(words(r#"{"error":"no"}"#).unwrap(), "no");
        assert_eq!(words(r#"{"error":{"code":3}}"#).unwrap(), r#"{"code":3}"#);
        assert_eq!(words("{}"), None);
    }
}
