//! Anthropic Messages.

use serde_json::Value;

use super::answer::{Answer, Follower, Tally};
use super::json::{self, Object};
use super::strip::{self, Notes, kind};
use super::{Counting, Endpoint, Meter, Request, Rules, Unbounded, parts};
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;

/// The protocol.
pub(super) struct Messages;

/// Parts of messages whose tokens are bounded by their bytes. What a provider's own tools gave is not
/// among them: it holds results in an encoding that only the provider knows.
const BLOCKS: [&str; 6] = ["text", "thinking", "redacted_thinking", "tool_use", "tool_result", "search_result"];

/// Fields that add nothing to what is read, so that a conversation is known again whatever they say.
const UNREAD: [&str; 10] = [
    "messages",
    "stream",
    "max_tokens",
    "metadata",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "service_tier",
    "cache_control",
];

/// Clients move these from message to message.
const MARKS: [&str; 1] = ["cache_control"];

/// Tools that Anthropic defines and clients run, by the start of their types.
const DEFINED: [&str; 4] = ["bash_", "text_editor_", "memory_", "computer_"];

/// Thinking with a smaller budget is refused by the provider.
const LEAST_THINKING: u64 = 1024;

impl Rules for Messages {
    fn read(&self, _: &Endpoint, body: Value) -> Result<Request, Unbounded> {
        let mut body = json::object(body)?;
        let model = json::optional_text(&body, "model")?;
        let stream = json::flag(&body, "stream")?;
        let asked = json::limit(&body, "max_tokens")?;
        let mut notes = Notes::default();
        strip::fields(&mut body, &["mcp_servers", "container"], &mut notes);
        edits(&mut body, &mut notes);
        strip::offered(&mut body, &runs_here, &mut notes)?;
        if let Some(system) = body.get_mut("system") {
            strip::media(system, &["text"], "text", &mut notes)?;
        }
        for message in json::objects(&mut body, "messages")? {
            if let Some(content) = message.get_mut("content") {
                blocks(content, &mut notes)?;
            }
        }
        let parts = parts(&body);
        Ok(Request { body: body.into(), model, stream, asked, parts, stripped: notes.0 })
    }

    fn limit(&self, request: &mut Request, output: Tokens) {
        let Some(body) = request.body.as_object_mut() else { return };
        body.insert("max_tokens".to_owned(), output.0.into());
        let budget = body.get_mut("thinking").and_then(|thinking| thinking.get_mut("budget_tokens"));
        let Some(budget) = budget.filter(|budget| budget.as_u64().is_some_and(|budget| budget >= output.0)) else {
            return;
        };
        // The budget is part of the limit and must be less; half leaves as much for the answer.
        let lowered = output.0 / 2;
        if lowered >= LEAST_THINKING {
            *budget = lowered.into();
        } else {
            body.remove("thinking");
            // Without thinking there is none to clear, and asking for it is an error.
            keep_edits(body, |edit| !kind(edit).starts_with("clear_thinking_"));
        }
    }

    fn counting(&self, request: &Request, _path: &str) -> Option<Counting> {
        // Fields that only say how to write are an error here.
        let read = ["model", "messages", "system", "tools", "tool_choice", "thinking"];
        let body: Object =
            request.body.as_object()?.clone().into_iter().filter(|(name, _)| read.contains(&name.as_str())).collect();
        Some(Counting { path: "/v1/messages/count_tokens".to_owned(), body: body.into(), field: "input_tokens" })
    }

    fn meter(&self) -> Box<dyn Meter> {
        Follower::meter(Message::default())
    }
}

/// Whether the client runs a tool, which says so by its type. As the tools that find tools are the
/// provider's, none may wait for being found, nor be called by code that the provider runs.
fn runs_here(tool: &mut Value) -> bool {
    let runs = match tool.get("type") {
        None | Some(Value::Null) => true,
        Some(Value::String(kind)) => kind == "custom" || is_defined(kind),
        Some(_) => false,
    };
    if let Some(tool) = tool.as_object_mut() {
        tool.remove("defer_loading");
        tool.remove("allowed_callers");
    }
    runs && tool.is_object()
}

/// Whether a type is one of the [`DEFINED`] with a date behind it; `bash_code_execution` is none.
fn is_defined(kind: &str) -> bool {
    let date = DEFINED.iter().find_map(|start| kind.strip_prefix(start));
    date.is_some_and(|date| !date.is_empty() && date.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Takes out the edits of the conversation that make the provider write and read it anew (compaction);
/// those that only clear parts of it stay.
fn edits(body: &mut Object, notes: &mut Notes) {
    if keep_edits(body, |edit| kind(edit).starts_with("clear_")) {
        notes.add("edits of `context_management` that the provider's model writes".to_owned());
    }
}

/// Whether any went. With the last one goes the field.
fn keep_edits(body: &mut Object, keep: impl Fn(&Value) -> bool) -> bool {
    let edits = body.get_mut("context_management").and_then(|management| management.get_mut("edits"));
    let Some(edits) = edits.and_then(Value::as_array_mut) else { return false };
    let before = edits.len();
    edits.retain(keep);
    let left = edits.len();
    if left == 0 {
        body.remove("context_management");
    }
    left < before
}

/// Takes what is no text out of a message and of the tools' results in it.
fn blocks(content: &mut Value, notes: &mut Notes) -> Result<(), Unbounded> {
    strip::media(content, &BLOCKS, "text", notes)?;
    for block in content.as_array_mut().into_iter().flatten() {
        if ["tool_result", "search_result"].contains(&kind(block))
            && let Some(inner) = block.get_mut("content")
        {
            blocks(inner, notes)?;
        }
    }
    Ok(())
}

fn parts(body: &Object) -> Vec<Vec<u8>> {
    let mut head = parts::head(body, &UNREAD, &MARKS);
    let tools = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    parts::define(&mut head, tools.filter(|tool| is_defined(kind(tool))).count());
    let messages = body.get("messages").and_then(Value::as_array).into_iter().flatten();
    std::iter::once(head).chain(messages.map(|message| parts::item(message, &MARKS, &["content"]))).collect()
}

/// An answer. What is counted in a stream is counted up, so that the last number is the whole.
#[derive(Default)]
struct Message {
    tally: Tally,
    input: Option<u64>,
    cache_creation: Option<u64>,
    cache_read: Option<u64>,
    output: Option<u64>,
}

impl Answer for Message {
    fn take(&mut self, event: &str, data: &Value) {
        let kind = if kind(data).is_empty() { event } else { kind(data) };
        match kind {
            "message_start" => {
                let usage = self.usage(&data["message"]["usage"]);
                self.tally.used_so_far(usage);
            }
            "content_block_start" => self.tally.wrote(block(&data["content_block"])),
            "content_block_delta" => {
                self.tally.wrote(json::characters_in(&data["delta"], &["text", "thinking", "partial_json"]));
            }
            "message_delta" => {
                let usage = data.get("usage").and_then(|usage| self.usage(usage));
                self.tally.used(usage);
            }
            "message_stop" => self.tally.finish(),
            "message" => {
                let content = data["content"].as_array().into_iter().flatten();
                self.tally.wrote(content.map(|one| block(one) + json::characters_in(one, &["input"])).sum());
                let usage = self.usage(&data["usage"]);
                self.tally.used(usage);
                self.tally.finish();
            }
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

impl Message {
    /// What is known of usage with these numbers; none where one of them can't be believed.
    fn usage(&mut self, told: &Value) -> Option<Usage> {
        let number = |field: &str, known: Option<u64>| match told.get(field) {
            None | Some(Value::Null) => Some(known),
            // It is counted up: what was told before stays true.
            Some(number) => json::count(number).map(|number| Some(number.max(known.unwrap_or(0)))),
        };
        let input = number("input_tokens", self.input)?;
        let cache_creation = number("cache_creation_input_tokens", self.cache_creation)?;
        let cache_read = number("cache_read_input_tokens", self.cache_read)?;
        let output = number("output_tokens", self.output)?;
        (self.input, self.output) = (input, output);
        (self.cache_creation, self.cache_read) = (cache_creation, cache_read);
        let input = input? + cache_creation.unwrap_or(0) + cache_read.unwrap_or(0);
        Some(Usage { input: Tokens(input), output: Tokens(output?) })
    }
}

/// Characters of a block of content, without the arguments of a call: they come after its start.
fn block(block: &Value) -> u64 {
    json::characters_in(block, &["text", "thinking", "name"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{events, follow, limited, read, usage};
    use super::*;
    use crate::domain::wire::Wire::Messages as WIRE;

    fn with(field: &str, value: Value) -> Value {
        let mut body = json!({"model": "m", "max_tokens": 4000, "messages": [{"role": "user", "content": "hi"}]});
        body[field] = value;
        body
    }

    #[test]
    fn what_a_request_asks_for_is_read() {
        let request = read(WIRE, with("stream", json!(true)));
        assert_eq!((request.model.as_str(), request.stream, request.asked), ("m", true, Some(Tokens(4000))));
        assert_eq!(read(WIRE, with("max_tokens", json!(null))).asked, None);
    }

    #[test]
    fn a_counter_is_asked_about_what_is_read_and_nothing_else() {
        let request = read(WIRE, with("system", json!("s")));
        let counting = super::super::rules(WIRE).counting(&request, "/v1/messages").unwrap();
        assert_eq!(counting.path, "/v1/messages/count_tokens");
        let messages = json!([{"role": "user", "content": "hi"}]);
        assert_eq!(counting.body, json!({"model": "m", "messages": messages, "system": "s"}));
    }

    #[test]
    fn tools_that_the_client_runs_stay_and_those_of_the_provider_go() {
        let tools = json!([
            {"name": "run", "input_schema": {}, "defer_loading": true, "allowed_callers": ["code_execution_20250825"]},
            {"type": "custom", "name": "own", "input_schema": {}},
            {"type": "bash_20250124", "name": "bash"},
            {"type": "text_editor_20250728", "name": "edit"},
            {"type": "memory_20250818", "name": "memory"},
            {"type": "computer_20251124", "name": "computer"},
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "code_execution_20250825", "name": "code_execution"},
            {"type": "bash_code_execution_20250825", "name": "bash_code_execution"},
            {"type": "tool_search_tool_regex_20251119", "name": "tool_search"},
            {"type": "mcp_toolset", "mcp_server_name": "x"},
            {"type": 7, "name": "seven"},
        ]);
        let request = read(WIRE, with("tools", tools));
        let left = request.body["tools"].as_array().unwrap();
        let names: Vec<_> = left.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["run", "own", "bash", "edit", "memory", "computer"]);
        assert_eq!(left[0], json!({"name": "run", "input_schema": {}}));
        assert_eq!(request.stripped.len(), 6);
        assert_eq!(request.stripped[0], "tool `web_search_20250305`, which is not run by the client");
    }

    #[test]
    fn tools_that_are_only_named_count_for_the_definition_that_the_provider_adds() {
        let named = json!([{"type": "text_editor_20250728", "name": "e"}, {"type": "bash_20250124", "name": "b"}]);
        assert!(read(WIRE, with("tools", named)).parts[0].len() > 2 * parts::DEFINITION);
    }

    #[test]
    fn servers_containers_and_compaction_go_and_clearing_stays() {
        let mut body = with("mcp_servers", json!([{"url": "https://x"}]));
        body["container"] = json!("c");
        body["context_management"] =
            json!({"edits": [{"type": "clear_tool_uses_20250919"}, {"type": "compact_20260112"}]});
        let request = read(WIRE, body);
        assert_eq!(request.body["context_management"], json!({"edits": [{"type": "clear_tool_uses_20250919"}]}));
        assert_eq!(request.stripped.len(), 3, "{:?}", request.stripped);
        assert!(request.body.get("mcp_servers").is_none() && request.body.get("container").is_none());
        let alone = read(WIRE, with("context_management", json!({"edits": [{"type": "compact_20260112"}]})));
        assert!(alone.body.get("context_management").is_none());
    }

    #[test]
    fn what_is_no_text_is_replaced_by_a_text_that_says_so() {
        let image = json!({"type": "image", "source": {"type": "url", "url": "https://x"}});
        let mut body = with("system", json!([image, {"type": "text", "text": "s"}]));
        body["messages"][0]["content"] = json!([
            {"type": "document", "source": {"type": "file", "file_id": "f"}},
            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "kept"}, image]},
            {"type": "tool_result", "tool_use_id": "u", "content": "kept"},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "thinking", "thinking": "kept", "signature": "s"},
        ]);
        let request = read(WIRE, body);
        let left_out = |kind: &str| json!({"type": "text", "text": strip::left_out(kind)});
        let content = &request.body["messages"][0]["content"];
        assert_eq!(request.body["system"][0], left_out("image"));
        assert_eq!(content[0], left_out("document"));
        assert_eq!(content[1]["content"], json!([{"type": "text", "text": "kept"}, left_out("image")]));
        assert_eq!(content[2]["content"], "kept");
        assert_eq!(content[3], left_out("server_tool_use"));
        assert_eq!(content[4]["thinking"], "kept");
        assert_eq!(request.stripped.len(), 3, "{:?}", request.stripped);
    }

    #[test]
    fn a_budget_for_thinking_stays_below_the_limit_or_goes() {
        let thinking = |budget: u64| {
            let mut body = with("thinking", json!({"type": "enabled", "budget_tokens": budget}));
            body["context_management"] = json!({"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]});
            body
        };
        let kept = limited(WIRE, thinking(3000), 3001);
        assert_eq!((&kept["max_tokens"], &kept["thinking"]["budget_tokens"]), (&json!(3001), &json!(3000)));
        assert_eq!(limited(WIRE, thinking(3000), 3000)["thinking"]["budget_tokens"], 1500);
        let dropped = limited(WIRE, thinking(3000), 2047);
        assert!(dropped.get("thinking").is_none() && dropped.get("context_management").is_none());
        let adaptive = limited(WIRE, with("thinking", json!({"type": "adaptive"})), 100);
        assert_eq!(adaptive["thinking"], json!({"type": "adaptive"}));
    }

    fn stream(last: &[Value]) -> String {
        let start = json!({"input_tokens": 10, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3000,
            "output_tokens": 1});
        let mut data = vec![
            json!({"type": "message_start", "message": {"usage": start}}),
            json!({"type": "content_block_start", "content_block": {"type": "thinking", "thinking": ""}}),
            json!({"type": "ping"}),
            json!({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}}),
            json!({"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "xxxxxxxx"}}),
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "tschüß"}}),
            json!({"type": "content_block_start", "content_block": {"type": "tool_use", "name": "run", "input": {}}}),
            json!({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
        ];
        data.extend_from_slice(last);
        events(&data)
    }

    #[test]
    fn usage_in_a_stream_is_counted_up_and_its_last_word_comes_before_the_stop() {
        let delta =
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 40}});
        let stop = json!({"type": "message_stop"});
        let open = follow(WIRE, &stream(&[]));
        assert_eq!((open.usage, open.complete, open.written), (usage(3210, 1), false, 13));
        let cut = follow(WIRE, &stream(std::slice::from_ref(&delta)));
        assert_eq!((cut.usage, cut.complete), (usage(3210, 40), false));
        let whole = follow(WIRE, &stream(&[delta, stop.clone()]));
        assert_eq!((whole.usage, whole.complete, whole.error), (usage(3210, 40), true, None));
        let again = json!({"type": "message_delta", "usage": {"input_tokens": 20, "cache_read_input_tokens": null,
            "output_tokens": 50}});
        assert_eq!(follow(WIRE, &stream(&[again, stop.clone()])).usage, usage(3220, 50));
        let silent = follow(WIRE, &stream(&[json!({"type": "message_delta", "delta": {}}), stop.clone()]));
        assert_eq!((silent.usage, silent.complete), (usage(3210, 1), false));
        let absurd = json!({"type": "message_delta", "usage": {"output_tokens": -1}});
        let absurd = follow(WIRE, &stream(&[absurd, stop]));
        assert_eq!((absurd.usage, absurd.complete), (usage(3210, 1), false));
    }

    #[test]
    fn events_are_known_by_their_names_where_data_does_not_say() {
        let text = "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":0}}}\n\n\
                    event: message_delta\ndata: {\"usage\":{\"output_tokens\":2}}\n\nevent: message_stop\ndata: {}\n\n";
        let reading = follow(WIRE, text);
        assert_eq!((reading.usage, reading.complete), (usage(1, 2), true));
    }

    #[test]
    fn an_answer_in_one_piece_is_read_like_a_stream() {
        let body = json!({"type": "message", "content": [{"type": "text", "text": "four"},
            {"type": "tool_use", "name": "run", "input": {"a": 1}}], "usage": {"input_tokens": 9, "output_tokens": 4}});
        let reading = follow(WIRE, &body.to_string());
        assert_eq!((reading.usage, reading.complete, reading.written), (usage(9, 4), true, 14));
    }

    #[test]
    fn an_error_is_told_in_the_middle_of_a_stream_and_under_200() {
        let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        let reading = follow(WIRE, &stream(std::slice::from_ref(&error)));
        assert_eq!((reading.error.as_deref(), reading.complete), (Some("Overloaded"), false));
        assert_eq!(follow(WIRE, &error.to_string()).error.as_deref(), Some("Overloaded"));
    }
}
