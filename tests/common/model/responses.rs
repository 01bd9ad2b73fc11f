//! OpenAI Responses.

use serde_json::{Value, json};

use super::answer::{Answer, Block, Stop, Tool, crumbs, pieces};
use super::call::{Call, Heard, Kind, Offered, each, texts};
use super::{Event, Protocol, chat};

pub(super) struct Responses;

impl Protocol for Responses {
    fn hear(&self, body: &Value) -> Heard {
        let mut heard = Heard {
            stream: body["stream"] == true,
            limit: body["max_output_tokens"].as_u64(),
            offered: each(&body["tools"]).flat_map(offered).collect(),
            ..Heard::default()
        };
        texts(&body["instructions"]).iter().for_each(|text| heard.says(text));
        if let Some(text) = body["input"].as_str() {
            heard.user_says(text);
        }
        let mut was_model = false;
        for item in each(&body["input"]) {
            let kind = item["type"].as_str().unwrap_or("message");
            let is_model = item["role"] == "assistant" || kind.ends_with("_call") || kind == "reasoning";
            heard.turn += usize::from(is_model && !was_model);
            was_model = is_model;
            for text in texts(item).iter().filter(|_| !is_model) {
                if item["role"] == "user" { heard.user_says(text) } else { heard.says(text) }
            }
        }
        heard
    }

    fn whole(&self, call: &Call, answer: &Answer) -> Value {
        response(call, answer, true)
    }

    fn events(&self, call: &Call, answer: &Answer) -> Vec<Event> {
        let mut events = Numbered(Vec::new());
        let opened = response(call, answer, false);
        events.push("response.created", json!({"response": opened}));
        events.push("response.in_progress", json!({"response": opened}));
        for (index, block) in answer.blocks.iter().enumerate() {
            match block {
                Block::Text(text) => say(&mut events, answer, index, text),
                Block::Tool(tool) => use_tool(&mut events, answer, index, tool),
            }
        }
        let end = if answer.stop == Stop::Limit { "response.incomplete" } else { "response.completed" };
        events.push(end, json!({"response": response(call, answer, true)}));
        events.0
    }

    fn failure(&self, status: u16, message: &str) -> Value {
        chat::failure(status, message)
    }

    fn broken(&self, call: &Call, answer: &Answer, message: &str, after: usize) -> Vec<Event> {
        let mut failed = response(call, answer, false);
        failed["status"] = "failed".into();
        failed["error"] = json!({"code": "server_error", "message": message});
        let error = json!({
            "type": "error", "sequence_number": after, "code": "server_error", "message": message, "param": null,
        });
        let failed = json!({"type": "response.failed", "sequence_number": after + 1, "response": failed});
        vec![Event::new("error", &error), Event::new("response.failed", &failed)]
    }

    fn count(&self, tokens: u64) -> Value {
        json!({"object": "response.input_tokens", "input_tokens": tokens})
    }
}

/// Events with their numbers in the stream.
struct Numbered(Vec<Event>);

impl Numbered {
    fn push(&mut self, name: &'static str, mut data: Value) {
        data["type"] = name.into();
        data["sequence_number"] = self.0.len().into();
        self.0.push(Event::new(name, &data));
    }
}

/// The tools in a declaration: itself, or those of a namespace.
fn offered(tool: &Value) -> Vec<Offered> {
    let kind = match tool["type"].as_str() {
        Some("namespace") => return each(&tool["tools"]).flat_map(offered).collect(),
        Some("local_shell") => Kind::LocalShell,
        Some("custom") => Kind::Custom,
        Some("function") => Kind::Function,
        // Tools that run at the provider.
        _ => return Vec::new(),
    };
    let name = if kind == Kind::LocalShell { Some("local_shell") } else { tool["name"].as_str() };
    let tool = name.map(|name| Offered { name: name.to_owned(), kind, schema: tool["parameters"].clone() });
    tool.into_iter().collect()
}

fn say(events: &mut Numbered, answer: &Answer, index: usize, text: &str) {
    let id = message_id(answer, index);
    let part = |text: &str| json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text});
    let opened = json!({"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []});
    events.push("response.output_item.added", json!({"output_index": index, "item": opened}));
    let at =
        |field: &str, value: Value| json!({"item_id": id, "output_index": index, "content_index": 0, field: value});
    events.push("response.content_part.added", at("part", part("")));
    for piece in pieces(text) {
        let mut delta = at("delta", piece.into());
        delta["logprobs"] = json!([]);
        events.push("response.output_text.delta", delta);
    }
    let mut done = at("text", text.into());
    done["logprobs"] = json!([]);
    events.push("response.output_text.done", done);
    events.push("response.content_part.done", at("part", part(text)));
    let item = item(answer, index, &answer.blocks[index]);
    events.push("response.output_item.done", json!({"output_index": index, "item": item}));
}

fn use_tool(events: &mut Numbered, answer: &Answer, index: usize, tool: &Tool) {
    let item = item(answer, index, &answer.blocks[index]);
    let mut opened = item.clone();
    opened["status"] = "in_progress".into();
    let (field, delta, done) = match tool.kind {
        Kind::Function => {
            ("arguments", "response.function_call_arguments.delta", "response.function_call_arguments.done")
        }
        Kind::Custom => ("input", "response.custom_tool_call_input.delta", "response.custom_tool_call_input.done"),
        Kind::LocalShell => {
            events.push("response.output_item.added", json!({"output_index": index, "item": opened}));
            events.push("response.output_item.done", json!({"output_index": index, "item": item}));
            return;
        }
    };
    opened[field] = "".into();
    events.push("response.output_item.added", json!({"output_index": index, "item": opened}));
    let id = &item["id"];
    for piece in crumbs(&tool.text) {
        events.push(delta, json!({"item_id": id, "output_index": index, "delta": piece}));
    }
    events.push(done, json!({"item_id": id, "output_index": index, field: tool.text}));
    events.push("response.output_item.done", json!({"output_index": index, "item": item}));
}

fn message_id(answer: &Answer, index: usize) -> String {
    format!("msg_{}{index:08x}", answer.id)
}

/// A finished item of the output.
fn item(answer: &Answer, index: usize, block: &Block) -> Value {
    let cut = answer.stop == Stop::Limit && index + 1 == answer.blocks.len();
    match block {
        Block::Text(text) => json!({
            "id": message_id(answer, index), "type": "message", "role": "assistant",
            "status": if cut { "incomplete" } else { "completed" },
            "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}],
        }),
        Block::Tool(tool) => {
            let call_id = tool.id("call_", answer);
            match tool.kind {
                Kind::Function => json!({
                    "id": tool.id("fc_", answer), "type": "function_call", "status": "completed",
                    "call_id": call_id, "name": tool.name, "arguments": tool.text,
                }),
                Kind::Custom => json!({
                    "id": tool.id("ctc_", answer), "type": "custom_tool_call", "status": "completed",
                    "call_id": call_id, "name": tool.name, "input": tool.text,
                }),
                Kind::LocalShell => json!({
                    "id": tool.id("lsh_", answer), "type": "local_shell_call", "status": "completed",
                    "call_id": call_id,
                    "action": {"type": "exec", "command": tool.arguments["command"], "env": {}},
                }),
            }
        }
    }
}

/// The response itself: as it starts, or as it ended.
fn response(call: &Call, answer: &Answer, ended: bool) -> Value {
    let cut = ended && answer.stop == Stop::Limit;
    let output = answer.blocks.iter().enumerate().filter(|_| ended).map(|(index, block)| item(answer, index, block));
    let status = match ended {
        false => "in_progress",
        true if cut => "incomplete",
        true => "completed",
    };
    json!({
        "id": format!("resp_{}", answer.id), "object": "response", "created_at": answer.created, "status": status,
        "background": false, "error": null,
        "incomplete_details": cut.then(|| json!({"reason": "max_output_tokens"})),
        "instructions": call.body["instructions"], "max_output_tokens": call.limit, "model": call.model,
        "output": output.collect::<Vec<_>>(), "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null}, "service_tier": "default", "store": false,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto",
        "tools": call.body["tools"].as_array().cloned().unwrap_or_default(), "top_p": 1.0, "truncation": "disabled",
        "usage": if ended { usage(answer) } else { None }, "user": null, "metadata": {},
    })
}

fn usage(answer: &Answer) -> Option<Value> {
    let usage = answer.usage?;
    Some(json!({
        "input_tokens": usage.input, "input_tokens_details": {"cached_tokens": usage.read},
        "output_tokens": usage.output, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }))
}
