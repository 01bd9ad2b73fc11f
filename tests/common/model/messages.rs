//! Anthropic Messages.

use serde_json::{Value, json};

use super::answer::{Answer, Block, Stop, Tool, crumbs, pieces};
use super::call::{Call, Heard, Kind, Offered, each, texts};
use super::{Event, Protocol};

pub(super) struct Messages;

impl Protocol for Messages {
    fn hear(&self, body: &Value) -> Heard {
        let mut heard = Heard {
            stream: body["stream"] == true,
            limit: body["max_tokens"].as_u64(),
            offered: each(&body["tools"]).filter_map(offered).collect(),
            ..Heard::default()
        };
        texts(&body["system"]).iter().for_each(|text| heard.says(text));
        let mut was_model = false;
        for message in each(&body["messages"]) {
            let is_model = message["role"] == "assistant";
            heard.turn += usize::from(is_model && !was_model);
            was_model = is_model;
            if !is_model {
                texts(&message["content"]).iter().for_each(|text| heard.user_says(text));
            }
        }
        heard
    }

    fn whole(&self, call: &Call, answer: &Answer) -> Value {
        let content = answer.blocks.iter().map(|block| match block {
            Block::Text(text) => json!({"type": "text", "text": text}),
            Block::Tool(tool) => tool_use(tool, answer, tool.arguments.clone()),
        });
        let mut message = message(call, answer);
        message["content"] = content.collect();
        message["stop_reason"] = stop_reason(answer).into();
        if let Some(usage) = usage(answer, None) {
            message["usage"] = usage;
        }
        message
    }

    fn events(&self, call: &Call, answer: &Answer) -> Vec<Event> {
        let mut start = message(call, answer);
        if let Some(usage) = usage(answer, Some(1)) {
            start["usage"] = usage;
        }
        let mut events = vec![event("message_start", json!({"message": start}))];
        for (index, block) in answer.blocks.iter().enumerate() {
            let (opened, deltas) = match block {
                Block::Text(text) => {
                    let delta = |piece: &str| json!({"type": "text_delta", "text": piece});
                    (json!({"type": "text", "text": ""}), pieces(text).into_iter().map(delta).collect::<Vec<_>>())
                }
                Block::Tool(tool) => {
                    let delta = |piece: String| json!({"type": "input_json_delta", "partial_json": piece});
                    let first = [String::new()].into_iter();
                    (tool_use(tool, answer, json!({})), first.chain(crumbs(&tool.text)).map(delta).collect())
                }
            };
            events.push(event("content_block_start", json!({"index": index, "content_block": opened})));
            if index == 0 {
                events.push(event("ping", json!({})));
            }
            for delta in deltas {
                events.push(event("content_block_delta", json!({"index": index, "delta": delta})));
            }
            events.push(event("content_block_stop", json!({"index": index})));
        }
        let mut end = json!({"delta": {"stop_reason": stop_reason(answer), "stop_sequence": null}});
        if let Some(usage) = answer.usage {
            end["usage"] = json!({"output_tokens": usage.output});
        }
        events.push(event("message_delta", end));
        events.push(event("message_stop", json!({})));
        events
    }

    fn failure(&self, status: u16, message: &str) -> Value {
        let kind = match status {
            400 => "invalid_request_error",
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            529 => "overloaded_error",
            _ => "api_error",
        };
        json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"})
    }

    fn broken(&self, _: &Call, _: &Answer, message: &str, _: usize) -> Vec<Event> {
        vec![event("error", json!({"error": {"type": "overloaded_error", "message": message}}))]
    }

    fn count(&self, tokens: u64) -> Value {
        json!({"input_tokens": tokens})
    }
}

fn offered(tool: &Value) -> Option<Offered> {
    let name = tool["name"].as_str()?.to_owned();
    Some(Offered { name, kind: Kind::Function, schema: tool["input_schema"].clone() })
}

fn event(name: &'static str, mut data: Value) -> Event {
    data["type"] = name.into();
    Event::new(name, &data)
}

fn message(call: &Call, answer: &Answer) -> Value {
    json!({
        "id": format!("msg_{}", answer.id), "type": "message", "role": "assistant", "model": call.model,
        "content": [], "stop_reason": null, "stop_sequence": null,
    })
}

fn tool_use(tool: &Tool, answer: &Answer, input: Value) -> Value {
    json!({"type": "tool_use", "id": tool.id("toolu_", answer), "name": tool.name, "input": input})
}

/// What is reported, with so much output at the most.
fn usage(answer: &Answer, most: Option<u64>) -> Option<Value> {
    let usage = answer.usage?;
    Some(json!({
        "input_tokens": usage.input.saturating_sub(usage.read + usage.written),
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.read,
        "output_tokens": usage.output.min(most.unwrap_or(u64::MAX)),
        "service_tier": "standard",
    }))
}

fn stop_reason(answer: &Answer) -> &'static str {
    match answer.stop {
        Stop::Done => "end_turn",
        Stop::Tools => "tool_use",
        Stop::Limit => "max_tokens",
    }
}
