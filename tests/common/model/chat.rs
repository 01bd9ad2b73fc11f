//! OpenAI Chat Completions.

use serde_json::{Value, json};

use super::answer::{Answer, Block, Stop, Tool, crumbs, pieces};
use super::call::{Call, Heard, Kind, Offered, each, texts};
use super::{Event, Protocol};

pub(super) struct Chat;

impl Protocol for Chat {
    fn hear(&self, body: &Value) -> Heard {
        let mut heard = Heard {
            stream: body["stream"] == true,
            limit: body["max_completion_tokens"].as_u64().or_else(|| body["max_tokens"].as_u64()),
            offered: each(&body["tools"]).filter_map(offered).collect(),
            ..Heard::default()
        };
        let mut was_model = false;
        for message in each(&body["messages"]) {
            let is_model = message["role"] == "assistant";
            heard.turn += usize::from(is_model && !was_model);
            was_model = is_model;
            for text in texts(&message["content"]).iter().filter(|_| !is_model) {
                if message["role"] == "user" { heard.user_says(text) } else { heard.says(text) }
            }
        }
        heard
    }

    fn whole(&self, call: &Call, answer: &Answer) -> Value {
        let text = text(answer);
        let mut message = json!({"role": "assistant", "content": text, "refusal": null, "annotations": []});
        let tools = tools(answer).map(|tool| match tool.kind {
            Kind::Custom => {
                let custom = json!({"name": tool.name, "input": tool.text});
                json!({"id": tool.id("call_", answer), "type": "custom", "custom": custom})
            }
            Kind::Function | Kind::LocalShell => {
                let function = json!({"name": tool.name, "arguments": tool.text});
                json!({"id": tool.id("call_", answer), "type": "function", "function": function})
            }
        });
        let tools = tools.collect::<Vec<_>>();
        if !tools.is_empty() {
            message["tool_calls"] = tools.into();
        }
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(answer)});
        let mut whole = envelope(call, answer, "chat.completion", json!([choice]));
        if let Some(usage) = usage(answer) {
            whole["usage"] = usage;
        }
        whole
    }

    fn events(&self, call: &Call, answer: &Answer) -> Vec<Event> {
        let with_usage = call.body["stream_options"]["include_usage"] == true && answer.usage.is_some();
        let chunk = |choices: Value| {
            let mut chunk = envelope(call, answer, "chat.completion.chunk", choices);
            if with_usage {
                chunk["usage"] = Value::Null;
            }
            chunk
        };
        let delta = |delta: Value, reason: Value| {
            let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason});
            Event::new("", &chunk(json!([choice])))
        };
        let text = text(answer);
        let first = if text.is_null() { Value::Null } else { "".into() };
        let mut events = vec![delta(json!({"role": "assistant", "content": first, "refusal": null}), Value::Null)];
        for piece in pieces(text.as_str().unwrap_or_default()) {
            events.push(delta(json!({"content": piece}), Value::Null));
        }
        for tool in tools(answer) {
            let (kind, argument) = match tool.kind {
                Kind::Custom => ("custom", "input"),
                Kind::Function | Kind::LocalShell => ("function", "arguments"),
            };
            let opened = json!({
                "index": tool.number, "id": tool.id("call_", answer), "type": kind,
                kind: {"name": tool.name, argument: ""},
            });
            events.push(delta(json!({"tool_calls": [opened]}), Value::Null));
            for piece in crumbs(&tool.text) {
                let more = json!({"index": tool.number, kind: {argument: piece}});
                events.push(delta(json!({"tool_calls": [more]}), Value::Null));
            }
        }
        events.push(delta(json!({}), finish_reason(answer).into()));
        if with_usage {
            let mut last = chunk(json!([]));
            last["usage"] = usage(answer).unwrap_or_default();
            events.push(Event::new("", &last));
        }
        events.push(Event { name: "", data: "[DONE]".to_owned() });
        events
    }

    fn failure(&self, status: u16, message: &str) -> Value {
        failure(status, message)
    }

    fn broken(&self, _: &Call, _: &Answer, message: &str, _: usize) -> Vec<Event> {
        vec![Event::new("", &failure(500, message))]
    }

    fn count(&self, tokens: u64) -> Value {
        json!({"input_tokens": tokens})
    }
}

/// The body of an error, for both of OpenAI's protocols.
pub(super) fn failure(status: u16, message: &str) -> Value {
    let (kind, code) = match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        500.. => ("server_error", None),
        _ => ("invalid_request_error", None),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn offered(tool: &Value) -> Option<Offered> {
    let kind = if tool["type"] == "custom" { Kind::Custom } else { Kind::Function };
    let inner = if kind == Kind::Custom { &tool["custom"] } else { &tool["function"] };
    Some(Offered { name: inner["name"].as_str()?.to_owned(), kind, schema: inner["parameters"].clone() })
}

fn envelope(call: &Call, answer: &Answer, object: &str, choices: Value) -> Value {
    json!({
        "id": format!("chatcmpl-{}", answer.id), "object": object, "created": answer.created, "model": call.model,
        "service_tier": "default", "system_fingerprint": "fp_scripted", "choices": choices,
    })
}

/// All texts as one; `null` where there is none.
fn text(answer: &Answer) -> Value {
    let texts = answer.blocks.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.as_str()),
        Block::Tool(_) => None,
    });
    let texts = texts.collect::<Vec<_>>();
    if texts.is_empty() { Value::Null } else { texts.concat().into() }
}

fn tools(answer: &Answer) -> impl Iterator<Item = &Tool> {
    answer.blocks.iter().filter_map(|block| match block {
        Block::Tool(tool) => Some(tool),
        Block::Text(_) => None,
    })
}

fn usage(answer: &Answer) -> Option<Value> {
    let usage = answer.usage?;
    Some(json!({
        "prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    }))
}

fn finish_reason(answer: &Answer) -> &'static str {
    match answer.stop {
        Stop::Done => "stop",
        Stop::Tools => "tool_calls",
        Stop::Limit => "length",
    }
}
