//! OpenAI Responses.

use serde_json::{Value, json};

use super::answer::{Answer, Follower, Tally};
use super::chat::{ELSEWHERE, reads_alone};
use super::json::{self, Object, text};
use super::strip::{self, Notes, kind};
use super::{Endpoint, Meter, Request, Rules, Unbounded, parts};
use crate::domain::quantity::Tokens;

/// The protocol.
pub(super) struct Responses;

/// Items of a conversation that hold all that a model reads of them.
const ITEMS: [&str; 15] = [
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
];

/// Parts of messages and of tools' results whose tokens are bounded by their bytes.
const KNOWN: [&str; 6] = ["input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text"];

/// Tools that OpenAI defines and clients run.
const DEFINED: [&str; 4] = ["local_shell", "shell", "apply_patch", "tool_search"];

/// What makes the provider read, write or repeat by itself within one request.
const STRIPPED: [&str; 3] = ["context_management", "multi_agent", "prediction"];

/// Fields that add nothing to what is read, so that a conversation is known again whatever they say.
const UNREAD: [&str; 21] = [
    "input",
    "stream",
    "stream_options",
    "max_output_tokens",
    "max_tool_calls",
    "background",
    "temperature",
    "top_p",
    "top_logprobs",
    "metadata",
    "client_metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "store",
    "include",
    "service_tier",
    "truncation",
    "parallel_tool_calls",
];

/// What the provider gives its items and no model reads.
const MARKS: [&str; 2] = ["id", "status"];

impl Rules for Responses {
    fn read(&self, _: &Endpoint, body: Value) -> Result<Request, Unbounded> {
        let mut body = json::object(body)?;
        let model = json::optional_text(&body, "model")?;
        reads_alone(&model)?;
        let stream = json::flag(&body, "stream")?;
        let asked = json::limit(&body, "max_output_tokens")?;
        json::single(&body, "n")?;
        for field in ELSEWHERE {
            json::absent(&body, field)?;
        }
        if json::flag(&body, "background")? {
            return Err(Unbounded(
                "`background` makes an answer that goes on when nobody reads it; leave it out and wait for the answer"
                    .to_owned(),
            ));
        }
        let mut notes = Notes::default();
        strip::fields(&mut body, &STRIPPED, &mut notes);
        strip::offered(&mut body, &runs_here, &mut notes)?;
        load_at_once(&mut body);
        input(&mut body, &mut notes)?;
        let parts = parts(&body);
        Ok(Request { body: body.into(), model, stream, asked, parts, stripped: notes.0 })
    }

    fn limit(&self, request: &mut Request, output: Tokens) {
        if let Some(body) = request.body.as_object_mut() {
            body.insert("max_output_tokens".to_owned(), output.0.into());
        }
    }

    fn meter(&self) -> Box<dyn Meter> {
        Follower::meter(Response::default())
    }
}

/// Whether the client runs a tool. A shell may be the provider's; only one that says it is local is not.
/// A namespace keeps those of its tools that the client runs.
fn runs_here(tool: &mut Value) -> bool {
    match kind(tool) {
        "function" | "custom" | "local_shell" | "apply_patch" => true,
        "shell" => tool.get("environment").is_some_and(|place| kind(place) == "local"),
        "tool_search" => text(tool, "execution") == "client",
        "namespace" => match tool.get_mut("tools").and_then(Value::as_array_mut) {
            Some(inner) => {
                inner.retain_mut(|tool| kind(tool) != "namespace" && runs_here(tool));
                !inner.is_empty()
            }
            None => false,
        },
        _ => false,
    }
}

/// Where no tool is left that finds others, none may wait for being found.
fn load_at_once(body: &mut Object) {
    let Some(Value::Array(tools)) = body.get_mut("tools") else { return };
    if tools.iter().any(|tool| kind(tool) == "tool_search") {
        return;
    }
    for tool in tools.iter_mut().filter_map(Value::as_object_mut) {
        tool.remove("defer_loading");
        let inner = tool.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten();
        for tool in inner.filter_map(Value::as_object_mut) {
            tool.remove("defer_loading");
        }
    }
}

fn input(body: &mut Object, notes: &mut Notes) -> Result<(), Unbounded> {
    if body.get("input").is_some_and(Value::is_string) {
        return Ok(());
    }
    let items = json::objects(body, "input")?;
    let mut unread = false;
    let mut kept = Vec::with_capacity(items.len());
    for mut item in items.drain(..) {
        match kind(&item) {
            "" if item.get("role").is_some() => {}
            // An item that only has an id is a reference too.
            "" | "item_reference" => {
                return Err(Unbounded(
                    "an item of `input` only refers to one that the provider keeps, so that its tokens can't be \
                     bounded; send the item itself"
                        .to_owned(),
                ));
            }
            "reasoning" if !is_whole(&item) => {
                notes.add("reasoning that only the provider has".to_owned());
                unread = true;
                continue;
            }
            known if ITEMS.contains(&known) => {}
            other => {
                let note = format!("an item of type `{}`, whose tokens can't be bounded", strip::told(other));
                notes.add(note);
                continue;
            }
        }
        content(&mut item, notes)?;
        kept.push(item);
    }
    if unread {
        // By its id a call still asks for the reasoning that led to it.
        for item in kept.iter_mut().filter_map(Value::as_object_mut) {
            item.remove("id");
        }
    }
    *items = kept;
    Ok(())
}

/// Whether reasoning is here, encrypted or plain. Where it is not, the provider looks it up by its id.
fn is_whole(item: &Value) -> bool {
    let plain = item.get("content").and_then(Value::as_array).is_some_and(|content| !content.is_empty());
    plain || !text(item, "encrypted_content").is_empty()
}

/// Takes what is no text out of an item, and tools that the client does not run.
fn content(item: &mut Value, notes: &mut Notes) -> Result<(), Unbounded> {
    let as_text = if text(item, "role") == "assistant" { "output_text" } else { "input_text" };
    let field = match kind(item) {
        "" | "message" | "reasoning" => "content",
        "function_call_output" | "custom_tool_call_output" => "output",
        "tool_search_output" | "additional_tools" => {
            return match item.get_mut("tools") {
                Some(tools) => strip::tools(tools, &runs_here, notes),
                None => Ok(()),
            };
        }
        _ => return Ok(()),
    };
    match item.get_mut(field) {
        Some(content) => strip::media(content, &KNOWN, as_text, notes),
        None => Ok(()),
    }
}

fn parts(body: &Object) -> Vec<Vec<u8>> {
    let items: Vec<_> = match body.get("input") {
        Some(Value::Array(items)) => items.iter().map(|item| parts::item(item, &MARKS, &[])).collect(),
        // As a list with one message, so that the conversation is known again where it goes on as one.
        Some(text) => vec![parts::item(&json!({"role": "user", "content": text}), &[], &[])],
        None => Vec::new(),
    };
    let mut head = parts::head(body, &UNREAD, &[]);
    let tools = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    parts::define(&mut head, tools.filter(|tool| DEFINED.contains(&kind(tool))).count());
    std::iter::once(head).chain(items).collect()
}

/// An answer, streamed or not.
#[derive(Default)]
struct Response {
    tally: Tally,
}

impl Answer for Response {
    fn take(&mut self, event: &str, data: &Value) {
        let kind = if kind(data).is_empty() { event } else { kind(data) };
        match kind {
            "response.completed" | "response.incomplete" | "response.failed" => self.end(&data["response"]),
            "response.output_item.added" => self.tally.wrote(json::characters_in(&data["item"], &["name"])),
            "error" if !self.tally.fail_by(data) => self.tally.fail(json::error(data)),
            "error" => {}
            // Sound is the one thing that is not written in characters.
            delta if delta.ends_with(".delta") && !delta.ends_with("audio.delta") => {
                self.tally.wrote(json::characters_in(data, &["delta"]));
            }
            _ if text(data, "object") == "response" => self.end(data),
            _ => {
                self.tally.fail_by(data);
            }
        }
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }

    fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

impl Response {
    /// Takes the response as it is at its end. It holds all that was written, which some servers tell
    /// only here.
    fn end(&mut self, response: &Value) {
        let output = response["output"].as_array().into_iter().flatten();
        self.tally.wrote_in_all(output.map(written).sum());
        match response.get("error") {
            None | Some(Value::Null) if text(response, "status") == "failed" => {
                self.tally.fail("the response failed".to_owned());
            }
            None | Some(Value::Null) => {}
            Some(error) => self.tally.fail(json::error(error)),
        }
        self.tally.used(json::usage(&response["usage"], "input_tokens", "output_tokens"));
        self.tally.finish();
    }
}

/// Characters of one item that the model wrote.
fn written(item: &Value) -> u64 {
    let parts = [item.get("content"), item.get("summary")].into_iter().flatten();
    let parts = parts.filter_map(Value::as_array).flatten();
    json::characters_in(item, &["name", "arguments", "input", "action", "operation"])
        + parts.map(|part| json::characters_in(part, &["text", "refusal"])).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::super::Reading;
    use super::super::tests::{events, follow, limited, read, refuse, usage};
    use super::*;
    use crate::domain::wire::Wire::Responses as WIRE;

    fn with(field: &str, value: Value) -> Value {
        let mut body = json!({"model": "m", "input": "hi"});
        body[field] = value;
        body
    }

    #[test]
    fn a_limit_is_read_and_written() {
        assert_eq!(read(WIRE, with("max_output_tokens", json!(50))).asked, Some(Tokens(50)));
        assert_eq!(limited(WIRE, with("stream", json!(true)), 30)["max_output_tokens"], 30);
    }

    #[test]
    fn what_the_provider_keeps_is_refused() {
        for (field, value) in [
            ("previous_response_id", json!("resp_1")),
            ("conversation", json!({"id": "conv_1"})),
            ("prompt", json!({"id": "pmpt_1"})),
        ] {
            assert!(refuse(WIRE, with(field, value)).contains("send the whole conversation"), "{field}");
            read(WIRE, with(field, json!(null)));
        }
        for item in [json!({"type": "item_reference", "id": "msg_1"}), json!({"id": "msg_1"})] {
            assert!(refuse(WIRE, with("input", json!([item]))).contains("send the item itself"));
        }
        assert!(refuse(WIRE, with("background", json!(true))).contains("wait for the answer"));
        read(WIRE, with("background", json!(false)));
    }

    #[test]
    fn tools_that_the_client_runs_stay_and_those_of_the_provider_go() {
        let function = json!({"type": "function", "name": "f", "defer_loading": true});
        let tools = json!([
            function,
            {"type": "custom", "name": "c"},
            {"type": "local_shell"},
            {"type": "apply_patch"},
            {"type": "shell", "environment": {"type": "local"}},
            {"type": "namespace", "name": "n", "tools": [function, {"type": "mcp"}]},
            {"type": "namespace", "name": "o", "tools": [{"type": "mcp"}]},
            {"type": "shell", "environment": {"type": "container_auto"}},
            {"type": "shell"},
            {"type": "web_search"},
            {"type": "tool_search"},
            {"type": "mcp", "server_url": "https://x"},
        ]);
        let request = read(WIRE, with("tools", tools));
        let left = request.body["tools"].as_array().unwrap();
        assert_eq!(
            left.iter().map(kind).collect::<Vec<_>>(),
            ["function", "custom", "local_shell", "apply_patch", "shell", "namespace"]
        );
        assert_eq!(left[0], json!({"type": "function", "name": "f"}));
        assert_eq!(left[5]["tools"], json!([{"type": "function", "name": "f"}]));
        let searching = json!([function, {"type": "tool_search", "execution": "client"}]);
        assert_eq!(read(WIRE, with("tools", searching.clone())).body["tools"], searching);
        for field in STRIPPED {
            assert_eq!(read(WIRE, with(field, json!([1]))).stripped, [format!("`{field}`")]);
        }
    }

    #[test]
    fn tools_that_are_only_named_count_for_the_definition_that_the_provider_adds() {
        let named = json!([{"type": "apply_patch"}, {"type": "local_shell"}]);
        assert!(read(WIRE, with("tools", named)).parts[0].len() > 2 * parts::DEFINITION);
    }

    #[test]
    fn items_of_the_client_stay_and_those_of_the_provider_go() {
        let kept: Vec<_> =
            ITEMS.iter().filter(|kind| **kind != "reasoning").map(|kind| json!({"type": kind, "id": "i"})).collect();
        let mut items = kept.clone();
        items.extend(
            ["web_search_call", "mcp_call", "compaction", "computer_call_output"].map(|kind| json!({"type": kind})),
        );
        let request = read(WIRE, with("input", items.into()));
        assert_eq!(request.body["input"], Value::from(kept));
        assert_eq!(request.stripped.len(), 4, "{:?}", request.stripped);
        let tools =
            json!([{"type": "tool_search_output", "tools": [{"type": "mcp"}, {"type": "function", "name": "f"}]}]);
        let request = read(WIRE, with("input", tools));
        assert_eq!(request.body["input"][0]["tools"], json!([{"type": "function", "name": "f"}]));
    }

    #[test]
    fn reasoning_that_only_the_provider_has_goes_with_the_ids_that_lead_to_it() {
        let call = json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"});
        let here = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"});
        let open = json!({"type": "reasoning", "id": "rs_1", "content": [{"type": "reasoning_text", "text": "hm"}]});
        for reasoning in [here, open] {
            let input = json!([reasoning, call]);
            assert_eq!(read(WIRE, with("input", input.clone())).body["input"], input);
        }
        for encrypted in [json!(null), json!("")] {
            let gone = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted});
            let request = read(WIRE, with("input", json!([gone, call])));
            let mut alone = call.clone();
            alone.as_object_mut().unwrap().remove("id");
            assert_eq!(request.body["input"], json!([alone]));
            assert_eq!(request.stripped, ["reasoning that only the provider has"]);
        }
    }

    #[test]
    fn what_is_no_text_is_replaced_by_a_text_that_says_so() {
        let image = json!({"type": "input_image", "image_url": "data:image/png;base64,aGk="});
        let input = json!([
            {"role": "user", "content": [{"type": "input_text", "text": "kept"}, image, {"type": "input_file", "file_id": "f"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_audio"}]},
            {"type": "function_call_output", "call_id": "c", "output": [image]},
            {"type": "custom_tool_call_output", "call_id": "d", "output": "kept"},
        ]);
        let request = read(WIRE, with("input", input));
        let left_out = |as_text: &str, kind: &str| json!({"type": as_text, "text": strip::left_out(kind)});
        let input = &request.body["input"];
        assert_eq!(input[0]["content"][0]["text"], "kept");
        assert_eq!(input[0]["content"][1], left_out("input_text", "input_image"));
        assert_eq!(input[0]["content"][2], left_out("input_text", "input_file"));
        assert_eq!(input[1]["content"][0], left_out("output_text", "output_audio"));
        assert_eq!(input[2]["output"], json!([left_out("input_text", "input_image")]));
        assert_eq!(input[3]["output"], "kept");
    }

    fn delta(kind: &str, delta: &str) -> Value {
        json!({"type": format!("response.{kind}.delta"), "delta": delta, "obfuscation": "xxxxxxx"})
    }

    fn end(kind: &str, mut response: Value) -> Value {
        response["object"] = "response".into();
        json!({"type": format!("response.{kind}"), "response": response})
    }

    #[test]
    fn all_that_a_model_writes_is_counted() {
        let mut pieces = vec![
            json!({"type": "response.created", "response": {"object": "response", "usage": null, "error": null}}),
            delta("reasoning_summary_text", "hm"),
            delta("output_text", "tschüß"),
            delta("refusal", "no"),
            json!({"type": "response.output_item.added", "item": {"type": "function_call", "name": "run", "arguments": ""}}),
            delta("function_call_arguments", "{}"),
            delta("custom_tool_call_input", "x"),
            delta("audio", "aGVsbG8="),
        ];
        assert_eq!(follow(WIRE, &events(&pieces)), Reading { written: 16, ..Reading::default() });
        let output = json!([{"type": "message", "content": [{"type": "output_text", "text": "twelve chars"}]},
            {"type": "function_call", "name": "run", "arguments": "{}"}]);
        pieces.push(end("completed", json!({"output": output, "usage": {"input_tokens": 1, "output_tokens": 2}})));
        assert_eq!(follow(WIRE, &events(&pieces)).written, 17);
    }

    #[test]
    fn usage_comes_with_the_end_whichever_it_is() {
        for kind in ["completed", "incomplete", "failed"] {
            let told = json!({"usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}});
            let reading = follow(WIRE, &events(&[delta("output_text", "a"), end(kind, told)]));
            assert_eq!((reading.usage, reading.complete), (usage(7, 3), true), "{kind}");
        }
        let cut = follow(WIRE, &events(&[delta("output_text", "a")]));
        assert_eq!((cut.usage, cut.complete), (None, false));
        let silent = follow(WIRE, &events(&[end("completed", json!({"usage": null}))]));
        assert_eq!((silent.usage, silent.complete), (None, false));
    }

    #[test]
    fn an_answer_in_one_piece_is_read_like_a_stream() {
        let body = json!({"object": "response", "status": "completed", "error": null,
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "four"}]}],
            "usage": {"input_tokens": 9, "output_tokens": 4}});
        let reading = follow(WIRE, &body.to_string());
        assert_eq!((reading.usage, reading.complete, reading.written), (usage(9, 4), true, 4));
        assert_eq!(reading.error, None);
    }

    #[test]
    fn an_error_is_told_in_every_shape_that_there_is() {
        for error in [
            json!({"type": "error", "code": "server_error", "message": "no", "param": null}),
            json!({"type": "error", "error": {"message": "no"}}),
            json!({"error": {"message": "no"}}),
            end("failed", json!({"status": "failed", "error": {"code": "server_error", "message": "no"}})),
            json!({"object": "response", "status": "failed", "error": {"message": "no"}}),
        ] {
            let reading = follow(WIRE, &events(&[delta("output_text", "a"), error.clone()]));
            assert_eq!((reading.error.as_deref(), reading.complete), (Some("no"), false), "{error}");
            assert_eq!(follow(WIRE, &error.to_string()).error.as_deref(), Some("no"), "{error}");
        }
        let silent = end("failed", json!({"status": "failed", "error": null}));
        assert_eq!(follow(WIRE, &events(&[silent])).error.as_deref(), Some("the response failed"));
    }
}
