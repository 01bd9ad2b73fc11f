//! Gemini's generateContent.

use serde_json::{Value, json};

use super::answer::{Answer, Block, Stop, pieces};
use super::call::{Call, Heard, Kind, Offered, each, texts};
use super::{Event, Protocol};

pub(super) struct Gemini;

impl Protocol for Gemini {
    fn hear(&self, body: &Value) -> Heard {
        // Who counts may wrap the whole request.
        let body = body.get("generateContentRequest").unwrap_or(body);
        let config = either(body, "generationConfig", "generation_config");
        let mut heard = Heard {
            limit: either(config, "maxOutputTokens", "max_output_tokens").as_u64(),
            offered: each(&body["tools"]).flat_map(offered).collect(),
            ..Heard::default()
        };
        let system = either(body, "systemInstruction", "system_instruction");
        texts(&system["parts"]).iter().for_each(|text| heard.says(text));
        let mut was_model = false;
        for content in each(&body["contents"]) {
            let is_model = content["role"] == "model";
            heard.turn += usize::from(is_model && !was_model);
            was_model = is_model;
            for part in each(&content["parts"]).filter(|_| !is_model) {
                texts(part).iter().for_each(|text| heard.user_says(text));
                strings(&either(part, "functionResponse", "function_response")["response"], &mut heard);
            }
        }
        heard
    }

    fn whole(&self, call: &Call, answer: &Answer) -> Value {
        let parts = answer.blocks.iter().map(part).collect::<Vec<_>>();
        let output = answer.usage.map_or(0, |usage| usage.output);
        chunk(call, answer, json!(parts), output, Some(finish_reason(answer)))
    }

    fn events(&self, call: &Call, answer: &Answer) -> Vec<Event> {
        let parts = answer.blocks.iter().flat_map(|block| match block {
            Block::Text(text) => pieces(text).into_iter().map(|piece| json!({"text": piece})).collect(),
            Block::Tool(_) => vec![part(block)],
        });
        let mut parts = parts.collect::<Vec<_>>();
        if parts.is_empty() {
            parts.push(json!({"text": ""}));
        }
        let last = parts.len() - 1;
        let output = answer.usage.map_or(0, |usage| usage.output);
        let event = |(index, part): (usize, Value)| {
            let (so_far, reason) = if index == last {
                (output, Some(finish_reason(answer)))
            } else {
                (output.min(index as u64 + 1), None)
            };
            Event::new("", &chunk(call, answer, json!([part]), so_far, reason))
        };
        parts.into_iter().enumerate().map(event).collect()
    }

    fn failure(&self, status: u16, message: &str) -> Value {
        let name = match status {
            400 => "INVALID_ARGUMENT",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            500.. => "INTERNAL",
            _ => "FAILED_PRECONDITION",
        };
        json!({"error": {"code": status, "message": message, "status": name}})
    }

    fn broken(&self, _: &Call, _: &Answer, message: &str, _: usize) -> Vec<Event> {
        vec![Event::new("", &self.failure(503, message))]
    }

    fn count(&self, tokens: u64) -> Value {
        json!({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})
    }
}

/// A field by either of the two names that Google's servers take.
fn either<'a>(of: &'a Value, camel: &str, snake: &str) -> &'a Value {
    of.get(camel).unwrap_or(&of[snake])
}

/// Every text in a tool's result, whatever its fields are called.
fn strings(value: &Value, heard: &mut Heard) {
    match value {
        Value::String(text) => heard.says(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, heard)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, heard)),
        _ => {}
    }
}

fn offered(tool: &Value) -> Vec<Offered> {
    let declared = each(either(tool, "functionDeclarations", "function_declarations"));
    let offered = declared.filter_map(|function| {
        let name = function["name"].as_str()?.to_owned();
        let schema = function.get("parametersJsonSchema").unwrap_or(&function["parameters"]).clone();
        Some(Offered { name, kind: Kind::Function, schema })
    });
    offered.collect()
}

fn part(block: &Block) -> Value {
    match block {
        Block::Text(text) => json!({"text": text}),
        Block::Tool(tool) => json!({"functionCall": {"name": tool.name, "args": tool.arguments}}),
    }
}

fn chunk(call: &Call, answer: &Answer, parts: Value, output: u64, reason: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(reason) = reason {
        candidate["finishReason"] = reason.into();
    }
    let mut chunk = json!({
        "candidates": [candidate], "modelVersion": call.model, "responseId": format!("scripted{}", answer.id),
    });
    if let Some(usage) = answer.usage {
        let mut metadata = json!({
            "promptTokenCount": usage.input, "candidatesTokenCount": output, "totalTokenCount": usage.input + output,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input}],
        });
        if usage.read > 0 {
            metadata["cachedContentTokenCount"] = usage.read.into();
        }
        chunk["usageMetadata"] = metadata;
    }
    chunk
}

fn finish_reason(answer: &Answer) -> &'static str {
    if answer.stop == Stop::Limit { "MAX_TOKENS" } else { "STOP" }
}
