//! Anthropic Messages.
//!
//! Up to three places are marked for the provider's cache: the end of the tools, the end of the
//! system text, and the end of what the model was told last, so that each request finds all that
//! was said before it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::conversation::{Answer, Call, Conversation, Ending, Round};
use super::super::tools::Tool;
use super::{Dialect, NOTHING, Reader, append, error_words, name, number, parsed, text};
use crate::adapters::http::SseEvent;
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;
use crate::domain::wire::Secret;

/// The protocol's version that is spoken.
const VERSION: &str = "2023-06-01";
/// Every model takes it.
const LIMIT: Tokens = Tokens(8192);

/// The dialect.
pub struct Messages;

impl Dialect for Messages {
    fn path(&self) -> &'static str {
        "/v1/messages"
    }

    fn headers(&self, key: &Secret) -> Vec<(&'static str, String)> {
        vec![("x-api-key", key.expose().to_owned()), ("anthropic-version", VERSION.to_owned())]
    }

    fn body(&self, model: &str, talk: &Conversation, tools: &[&Tool], limit: Option<Tokens>) -> Value {
        let mut tools: Vec<Value> = tools.iter().map(|tool| described(tool)).collect();
        let mut system = words(&talk.system);
        let mut messages = vec![message("user", vec![words(&talk.prompt)])];
        for round in &talk.rounds {
            messages.push(message("assistant", said(&round.answer)));
            messages.push(message("user", told(round)));
        }
        tools.last_mut().map(cached);
        cached(&mut system);
        messages.last_mut().and_then(|last| last["content"].as_array_mut()?.last_mut()).map(cached);
        json!({
            "model": model,
            "max_tokens": limit.unwrap_or(LIMIT).0,
            "stream": true,
            "system": [system],
            "tools": tools,
            "messages": messages,
        })
    }

    fn default_limit(&self) -> Option<Tokens> {
        Some(LIMIT)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Stream>::default()
    }
}

fn described(tool: &Tool) -> Value {
    json!({"name": tool.name, "description": tool.about, "input_schema": tool.schema()})
}

fn message(role: &str, content: Vec<Value>) -> Value {
    json!({"role": role, "content": content})
}

fn words(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn cached(block: &mut Value) {
    block["cache_control"] = json!({"type": "ephemeral"});
}

fn said(answer: &Answer) -> Vec<Value> {
    let mut blocks = answer.opaque.clone();
    if !answer.text.trim().is_empty() {
        blocks.push(words(&answer.text));
    }
    for call in &answer.calls {
        blocks.push(json!({"type": "tool_use", "id": call.id, "name": name(&call.name), "input": call.object()}));
    }
    if blocks.is_empty() { vec![words(NOTHING)] } else { blocks }
}

fn told(round: &Round) -> Vec<Value> {
    let result = |told: &super::super::conversation::Told| {
        let mut block = json!({"type": "tool_result", "tool_use_id": told.id, "content": told.text});
        if told.failed {
            block["is_error"] = Value::Bool(true);
        }
        block
    };
    round.results.iter().map(result).chain(round.note.as_deref().map(words)).collect()
}

/// A part of an answer.
enum Block {
    Text(String),
    Call {
        id: String,
        name: String,
        /// As it comes with the block's start; the whole of it where nothing follows.
        input: Value,
        json: String,
    },
    /// Reasoning, whole as it has to be given back.
    Opaque(Value),
}

/// An answer as it comes.
#[derive(Default)]
struct Stream {
    blocks: BTreeMap<u64, Block>,
    usage: Option<Usage>,
    stop: Option<String>,
}

impl Stream {
    /// Usage is cumulative: what is said last holds.
    fn count(&mut self, usage: &Value) {
        let parts = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
        let input: Option<u64> = parts.iter().filter_map(|part| number(usage, part)).reduce(u64::saturating_add);
        let before = self.usage.unwrap_or_default();
        let input = input.map_or(before.input, |input| Tokens(input.max(before.input.0)));
        let output = number(usage, "output_tokens").map_or(before.output, Tokens);
        if usage.is_object() {
            self.usage = Some(Usage { input, output });
        }
    }

    fn start(&mut self, index: u64, block: &Value) -> Result<(), String> {
        let block = match text(block, "type") {
            "text" => Block::Text(text(block, "text").to_owned()),
            "tool_use" => Block::Call {
                id: text(block, "id").to_owned(),
                name: text(block, "name").to_owned(),
                input: block["input"].clone(),
                json: String::new(),
            },
            _ => Block::Opaque(block.clone()),
        };
        self.blocks.insert(index, block);
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: &Value) -> Result<(), String> {
        let block = self.blocks.get_mut(&index).ok_or("its answer goes on with a part that never began")?;
        match (block, text(delta, "type")) {
            (Block::Text(words), "text_delta") => append(words, text(delta, "text")),
            (Block::Call { json, .. }, "input_json_delta") => append(json, text(delta, "partial_json")),
            (Block::Opaque(block), "thinking_delta") => extend(block, "thinking", delta),
            (Block::Opaque(block), "signature_delta") => extend(block, "signature", delta),
            _ => Ok(()),
        }
    }
}

fn extend(block: &mut Value, key: &str, delta: &Value) -> Result<(), String> {
    let mut whole = text(block, key).to_owned();
    append(&mut whole, text(delta, key))?;
    block[key] = Value::String(whole);
    Ok(())
}

impl Reader for Stream {
    fn take(&mut self, event: &SseEvent) -> Result<(), String> {
        let value = parsed(event)?;
        let index = || number(&value, "index").unwrap_or_default();
        match text(&value, "type") {
            "message_start" => self.count(&value["message"]["usage"]),
            "content_block_start" => self.start(index(), &value["content_block"])?,
            "content_block_delta" => self.delta(index(), &value["delta"])?,
            "message_delta" => {
                self.count(&value["usage"]);
                self.stop = value["delta"]["stop_reason"].as_str().map(str::to_owned).or(self.stop.take());
            }
            "error" => return Err(error_words(&value).unwrap_or_else(|| event.data.clone())),
            _ => {}
        }
        Ok(())
    }

    fn complete(&self) -> bool {
        self.stop.is_some()
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn answer(self: Box<Self>) -> Answer {
        let mut answer = Answer {
            ending: match self.stop.as_deref() {
                Some("max_tokens" | "model_context_window_exceeded") => Ending::Cut,
                Some("refusal") => Ending::Declined,
                _ => Ending::Whole,
            },
            usage: self.usage,
            ..Answer::default()
        };
        for block in self.blocks.into_values() {
            match block {
                Block::Text(words) => answer.text.push_str(&words),
                Block::Opaque(block) => answer.opaque.push(block),
                Block::Call { id, name, input, json } => {
                    let begun = input.as_object().is_some_and(|object| !object.is_empty());
                    let json = if json.is_empty() && begun { input.to_string() } else { json };
                    answer.calls.push(Call::new(id, name, json));
                }
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::conversation::Told;
    use super::super::super::tools::TOOLS;
    use super::*;

    fn read(events: &[Value]) -> Result<Answer, String> {
        let mut reader = Messages.reader();
        for event in events {
            reader.take(&SseEvent { event: String::new(), data: event.to_string() })?;
        }
        Ok(reader.answer())
    }

    fn talk() -> Conversation {
        let call = |raw: &str| Call::new("c1".to_owned(), "read it".to_owned(), raw.to_owned());
        let told =
            |failed| Told { id: "c1".to_owned(), call: String::new(), text: "1 x".to_owned(), failed, left_out: false };
        let round = |raw: &str, failed, note: Option<&str>| Round {
            answer: Answer { calls: vec![call(raw)], ..Answer::default() },
            results: vec![told(failed)],
            note: note.map(str::to_owned),
        };
        let silent = Round { note: Some("Go on.".to_owned()), ..Round::default() };
        let rounds = vec![round(r#"{"path":"a"}"#, false, None), round("{", true, Some("Hm.")), silent];
        Conversation { system: "How".to_owned(), prompt: "What".to_owned(), rounds }
    }

    #[test]
    fn a_conversation_is_a_request_whose_last_words_are_cached() {
        let body = Messages.body("m", &talk(), &TOOLS[..1], Some(Tokens(7)));
        assert_eq!((body["max_tokens"].as_u64(), body["stream"].as_bool()), (Some(7), Some(true)));
        assert!(body["system"][0]["cache_control"].is_object() && body["tools"][0]["cache_control"].is_object());
        let roles: Vec<_> = body["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["user", "assistant", "user", "assistant", "user", "assistant", "user"]);
        insta::assert_snapshot!(body["messages"].as_array().unwrap()[1..].iter().map(|m| m["content"].to_string() + "\n").collect::<String>(), @r#"
        [{"id":"c1","input":{"path":"a"},"name":"read_it","type":"tool_use"}]
        [{"content":"1 x","tool_use_id":"c1","type":"tool_result"}]
        [{"id":"c1","input":{},"name":"read_it","type":"tool_use"}]
        [{"content":"1 x","is_error":true,"tool_use_id":"c1","type":"tool_result"},{"text":"Hm.","type":"text"}]
        [{"text":"(nothing)","type":"text"}]
        [{"cache_control":{"type":"ephemeral"},"text":"Go on.","type":"text"}]
        "#);
    }

    #[test]
    fn an_answer_is_put_together_from_its_parts() {
        let answer = read(&[
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "so"}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "I "}}),
            json!({"type": "ping"}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "read."}}),
            json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "read", "input": {}}}),
            json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"path\""}}),
            json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ": \"a\"}"}}),
            json!({"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "u", "name": "read", "input": {"path": "b"}}}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 30}}),
            json!({"type": "message_stop"}),
        ])
        .unwrap();
        assert_eq!(answer.text, "I read.");
        assert_eq!(answer.opaque, [json!({"type": "thinking", "thinking": "so", "signature": "s"})]);
        assert_eq!(answer.calls.iter().map(ToString::to_string).collect::<Vec<_>>(), ["read a", "read b"]);
        assert_eq!(answer.usage, Some(Usage { input: Tokens(125), output: Tokens(30) }));
        assert_eq!(answer.ending, Ending::Whole);
    }

    #[test]
    fn how_an_answer_ended_is_known_and_a_stream_that_does_not_say_is_not_whole() {
        let stop = |reason: &str| json!({"type": "message_delta", "delta": {"stop_reason": reason}});
        assert_eq!(read(&[stop("max_tokens")]).unwrap().ending, Ending::Cut);
        assert_eq!(read(&[stop("refusal")]).unwrap().ending, Ending::Declined);
        assert!(!Messages.reader().complete());
    }

    #[test]
    fn an_error_in_the_stream_and_what_is_no_event_are_told() {
        let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        assert_eq!(read(&[error]).unwrap_err(), "Overloaded");
        let orphan = json!({"type": "content_block_delta", "index": 4, "delta": {}});
        assert_eq!(read(&[orphan]).unwrap_err(), "its answer goes on with a part that never began");
        let junk = SseEvent { event: String::new(), data: "{".to_owned() };
        assert!(Messages.reader().take(&junk).unwrap_err().starts_with("an event of its answer is not JSON"));
    }
}
