//! OpenAI Chat Completions, and what other servers make of it.

use serde_json::{Value, json};

use super::super::conversation::{Answer, Call, Conversation, Ending};
use super::super::tools::Tool;
use super::{Dialect, NOTHING, Reader, append, error_words, name, number, parsed, text};
use crate::adapters::http::SseEvent;
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;
use crate::domain::wire::Secret;

/// The dialect.
pub struct Chat;

impl Dialect for Chat {
    fn path(&self) -> &'static str {
        "/chat/completions"
    }

    fn headers(&self, key: &Secret) -> Vec<(&'static str, String)> {
        vec![("authorization", format!("Bearer {}", key.expose()))]
    }

    fn body(&self, model: &str, talk: &Conversation, tools: &[&Tool], limit: Option<Tokens>) -> Value {
        let mut messages = vec![message("system", &talk.system), message("user", &talk.prompt)];
        for round in &talk.rounds {
            messages.push(said(&round.answer));
            for told in &round.results {
                messages.push(json!({"role": "tool", "tool_call_id": told.id, "content": told.text}));
            }
            messages.extend(round.note.as_deref().map(|note| message("user", note)));
        }
        let mut body = json!({
            "model": model,
            "stream": true,
            "stream_options": {"include_usage": true},
            "tools": tools.iter().map(|tool| described(tool)).collect::<Vec<_>>(),
            "messages": messages,
        });
        if let Some(limit) = limit {
            body["max_completion_tokens"] = limit.0.into();
        }
        body
    }

    /// Servers disagree on the field's name; what the proxy writes into the request is enough.
    fn default_limit(&self) -> Option<Tokens> {
        None
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Stream>::default()
    }
}

fn described(tool: &Tool) -> Value {
    let function = json!({"name": tool.name, "description": tool.about, "parameters": tool.schema()});
    json!({"type": "function", "function": function})
}

fn message(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

fn said(answer: &Answer) -> Value {
    let silent = answer.text.trim().is_empty();
    let mut message = json!({"role": "assistant", "content": answer.text});
    if silent {
        message["content"] = if answer.calls.is_empty() { NOTHING.into() } else { Value::Null };
    }
    let call = |call: &Call| {
        let function = json!({"name": name(&call.name), "arguments": Value::Object(call.object()).to_string()});
        json!({"id": call.id, "type": "function", "function": function})
    };
    if !answer.calls.is_empty() {
        message["tool_calls"] = answer.calls.iter().map(call).collect();
    }
    // Some servers refuse a call whose reasoning does not come back with it; others never send any.
    if let Some(reasoning) = answer.opaque.first() {
        message["reasoning_content"] = reasoning.clone();
    }
    message
}

/// A call as far as it has come.
#[derive(Default)]
struct Part {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

/// An answer as it comes.
#[derive(Default)]
struct Stream {
    text: String,
    reasoning: String,
    declined: bool,
    calls: Vec<Part>,
    usage: Option<Usage>,
    finish: Option<String>,
}

impl Stream {
    /// The call that a piece belongs to. Servers leave out the index, or give every call the same one;
    /// an id that is new then tells that another call begins.
    fn part(&mut self, piece: &Value) -> &mut Part {
        let (index, id) = (number(piece, "index"), text(piece, "id"));
        let continues = |part: &Part| part.index == index && (id.is_empty() || part.id.is_empty() || part.id == id);
        let at = self.calls.iter().rposition(continues).unwrap_or(self.calls.len());
        if at == self.calls.len() {
            self.calls.push(Part { index, ..Part::default() });
        }
        &mut self.calls[at]
    }

    fn delta(&mut self, delta: &Value) -> Result<(), String> {
        append(&mut self.text, text(delta, "content"))?;
        append(&mut self.reasoning, text(delta, "reasoning_content"))?;
        let refusal = text(delta, "refusal");
        self.declined |= !refusal.is_empty();
        append(&mut self.text, refusal)?;
        for piece in delta["tool_calls"].as_array().into_iter().flatten() {
            let part = self.part(piece);
            let function = &piece["function"];
            if part.id.is_empty() {
                text(piece, "id").clone_into(&mut part.id);
            }
            if part.name.is_empty() {
                text(function, "name").clone_into(&mut part.name);
            }
            append(&mut part.arguments, text(function, "arguments"))?;
        }
        Ok(())
    }
}

impl Reader for Stream {
    fn take(&mut self, event: &SseEvent) -> Result<(), String> {
        if event.data.trim() == "[DONE]" {
            return Ok(());
        }
        let value = parsed(event)?;
        if let Some(words) = error_words(&value) {
            return Err(words);
        }
        let choice = &value["choices"][0];
        self.delta(&choice["delta"])?;
        self.finish = choice["finish_reason"].as_str().map(str::to_owned).or(self.finish.take());
        let usage = &value["usage"];
        if let (Some(input), Some(output)) = (number(usage, "prompt_tokens"), number(usage, "completion_tokens")) {
            self.usage = Some(Usage { input: Tokens(input), output: Tokens(output) });
        }
        Ok(())
    }

    fn complete(&self) -> bool {
        self.finish.is_some()
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn answer(self: Box<Self>) -> Answer {
        let ending = match self.finish.as_deref() {
            Some("length") => Ending::Cut,
            Some("content_filter") => Ending::Declined,
            _ if self.declined => Ending::Declined,
            _ => Ending::Whole,
        };
        let named = |(at, part): (usize, Part)| {
            let id = if part.id.is_empty() { format!("call-{at}") } else { part.id };
            Call::new(id, part.name, part.arguments)
        };
        Answer {
            text: self.text,
            calls: self.calls.into_iter().enumerate().map(named).collect(),
            opaque: if self.reasoning.is_empty() { Vec::new() } else { vec![Value::String(self.reasoning)] },
            ending,
            usage: self.usage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::conversation::{Round, Told};
    use super::super::super::tools::TOOLS;
    use super::*;

    fn read(events: &[Value]) -> Result<Answer, String> {
        let mut reader = Chat.reader();
        for event in events {
            reader.take(&SseEvent { event: String::new(), data: event.to_string() })?;
        }
        reader.take(&SseEvent { event: String::new(), data: "[DONE]".to_owned() })?;
        Ok(reader.answer())
    }

    fn chunk(delta: Value, finish: Option<&str>) -> Value {
        json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": null})
    }

    fn piece(index: Option<u64>, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
        json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]})
    }

    fn calls(pieces: &[Value]) -> Vec<String> {
        let events: Vec<_> = pieces.iter().map(|piece| chunk(piece.clone(), None)).collect();
        let answer = read(&events).unwrap();
        answer.calls.iter().map(|call| format!("{} {call}", call.id)).collect()
    }

    #[test]
    fn a_conversation_is_a_request() {
        let call = Call::new("c1".to_owned(), "read".to_owned(), r#"{"path":"a"}"#.to_owned());
        let told =
            Told { id: "c1".to_owned(), call: String::new(), text: "1 x".to_owned(), failed: false, left_out: false };
        let first = Round {
            answer: Answer { calls: vec![call], opaque: vec!["so".into()], ..Answer::default() },
            results: vec![told],
            note: Some("Hm.".to_owned()),
        };
        let silent = Round { note: Some("Go on.".to_owned()), ..Round::default() };
        let talk = Conversation { system: "How".to_owned(), prompt: "What".to_owned(), rounds: vec![first, silent] };
        let body = Chat.body("m", &talk, &TOOLS[..1], None);
        assert_eq!(body.get("max_completion_tokens"), None);
        assert_eq!(Chat.body("m", &talk, &[], Some(Tokens(7)))["max_completion_tokens"], 7);
        insta::assert_snapshot!(body["messages"].as_array().unwrap().iter().map(|m| m.to_string() + "\n").collect::<String>(), @r#"
        {"content":"How","role":"system"}
        {"content":"What","role":"user"}
        {"content":null,"reasoning_content":"so","role":"assistant","tool_calls":[{"function":{"arguments":"{\"path\":\"a\"}","name":"read"},"id":"c1","type":"function"}]}
        {"content":"1 x","role":"tool","tool_call_id":"c1"}
        {"content":"Hm.","role":"user"}
        {"content":"(nothing)","role":"assistant"}
        {"content":"Go on.","role":"user"}
        "#);
    }

    #[test]
    fn an_answer_is_put_together_from_its_parts() {
        let answer = read(&[
            chunk(json!({"role": "assistant", "content": "I "}), None),
            chunk(json!({"content": "read.", "reasoning_content": "so"}), None),
            chunk(piece(Some(0), Some("a"), Some("read"), ""), None),
            chunk(piece(Some(0), None, None, "{\"path\":"), None),
            chunk(piece(Some(0), None, None, "\"a\"}"), None),
            chunk(json!({}), Some("tool_calls")),
            json!({"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 9}}),
        ])
        .unwrap();
        assert_eq!((answer.text.as_str(), answer.opaque), ("I read.", vec![Value::from("so")]));
        assert_eq!(answer.calls[0].to_string(), "read a");
        assert_eq!(answer.usage, Some(Usage { input: Tokens(40), output: Tokens(9) }));
    }

    #[test]
    fn calls_are_told_apart_whatever_a_server_makes_of_their_index() {
        let expected = ["a read x", "b read y"];
        let (x, y) = (r#"{"path":"x"}"#, r#"{"path":"y"}"#);
        for indexes in [[Some(0), Some(1)], [Some(0), Some(0)], [None, None]] {
            let whole = [
                piece(indexes[0], Some("a"), Some("read"), x),
                piece(indexes[1], Some("b"), Some("read"), &y[..4]),
                piece(indexes[1], None, None, &y[4..]),
            ];
            assert_eq!(calls(&whole), expected, "{indexes:?}");
        }
        let mixed = [
            piece(Some(0), Some("a"), Some("read"), &x[..3]),
            piece(Some(1), Some("b"), Some("read"), &y[..5]),
            piece(Some(0), None, None, &x[3..]),
            piece(Some(1), None, None, &y[5..]),
        ];
        assert_eq!(calls(&mixed), expected);
        assert_eq!(calls(&[piece(Some(0), None, Some("read"), x)]), ["call-0 read x"]);
    }

    #[test]
    fn how_an_answer_ended_is_known() {
        let ending = |reason| read(&[chunk(json!({}), Some(reason))]).unwrap().ending;
        assert_eq!(
            (ending("length"), ending("content_filter"), ending("stop")),
            (Ending::Cut, Ending::Declined, Ending::Whole)
        );
        let answer = read(&[chunk(json!({"refusal": "I can't."}), Some("stop"))]).unwrap();
        assert_eq!((answer.ending, answer.text.as_str()), (Ending::Declined, "I can't."));
        assert!(!Chat.reader().complete());
    }

    #[test]
    fn an_error_in_the_stream_is_told() {
        assert_eq!(read(&[json!({"error": {"message": "overloaded", "code": 529}})]).unwrap_err(), "overloaded");
    }
}
