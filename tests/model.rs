//! The scripted model itself: that it looks like the real thing in every protocol.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::time::{Duration, Instant};

use blueprint::adapters::http::{SseEvent, SseReader};
use blueprint::domain::wire::Wire;
use common::got::{Got, client};
use common::model::{Call, Model, Reply, Script};
use serde_json::{Value, json};

fn events(got: &Got) -> Vec<SseEvent> {
    SseReader::default().feed(got.body.as_bytes())
}

/// The events' data, without the mark at the end of chats.
fn data(got: &Got) -> Vec<Value> {
    let events = events(got).into_iter().filter(|event| event.data != "[DONE]");
    events.map(|event| serde_json::from_str(&event.data).unwrap()).collect()
}

fn names(got: &Got) -> Vec<String> {
    let mut names = events(got).into_iter().map(|event| event.event).collect::<Vec<_>>();
    names.dedup();
    names
}

async fn ask(model: &Model, path: &str, body: &Value) -> Got {
    Got::of(client().post(format!("{}{path}", model.url())).body(body.to_string()).send().await.unwrap()).await
}

/// A first request of each protocol, with this output limit, and where it goes.
fn request(wire: Wire, stream: bool, limit: u64) -> (&'static str, Value) {
    let schema = json!({"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]});
    match wire {
        Wire::Messages => (
            "/v1/messages",
            json!({
                "model": "m", "max_tokens": limit, "stream": stream, "system": [{"type": "text", "text": "rules"}],
                "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
                "tools": [{"name": "Bash", "input_schema": schema}],
            }),
        ),
        Wire::Chat => (
            "/v1/chat/completions",
            json!({
                "model": "m", "max_completion_tokens": limit, "stream": stream,
                "stream_options": {"include_usage": true},
                "messages": [{"role": "system", "content": "rules"}, {"role": "user", "content": "hello"}],
                "tools": [{"type": "function", "function": {"name": "bash", "parameters": schema}}],
            }),
        ),
        Wire::Responses => (
            "/v1/responses",
            json!({
                "model": "m", "max_output_tokens": limit, "stream": stream, "instructions": "rules",
                "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}],
                "tools": [
                    {"type": "web_search"},
                    {"type": "function", "name": "shell", "parameters": {"type": "object", "properties": {
                        "command": {"type": "array", "items": {"type": "string"}}, "timeout_ms": {"type": "number"},
                    }, "required": ["command"]}},
                ],
            }),
        ),
        Wire::Gemini => (
            if stream { "/v1beta/models/m:streamGenerateContent?alt=sse" } else { "/v1beta/models/m:generateContent" },
            json!({
                "systemInstruction": {"parts": [{"text": "rules"}]},
                "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
                "generationConfig": {"maxOutputTokens": limit},
                "tools": [{"functionDeclarations": [{"name": "run_shell_command", "parametersJsonSchema": schema}]}],
            }),
        ),
    }
}

/// What an answer comes to: its text, its calls, why it stopped, and its usage.
#[derive(Debug, PartialEq, Eq, Default)]
struct Told {
    text: String,
    tools: Vec<(String, String)>,
    stop: String,
    usage: Option<(u64, u64)>,
}

fn told(wire: Wire, stream: bool, got: &Got) -> Told {
    assert_eq!(got.status, 200, "{}", got.body);
    match (wire, stream) {
        (Wire::Messages, false) => messages_whole(&got.json()),
        (Wire::Messages, true) => messages_stream(&data(got)),
        (Wire::Chat, false) => chat_whole(&got.json()),
        (Wire::Chat, true) => chat_stream(&data(got)),
        (Wire::Responses, false) => responses_whole(&got.json()),
        (Wire::Responses, true) => responses_stream(&data(got)),
        (Wire::Gemini, false) => gemini(&[got.json()]),
        (Wire::Gemini, true) => gemini(&data(got)),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn pair(usage: &Value, input: &str, output: &str) -> Option<(u64, u64)> {
    usage.is_object().then(|| (usage[input].as_u64().unwrap(), usage[output].as_u64().unwrap()))
}

fn messages_whole(message: &Value) -> Told {
    let mut told = Told { stop: text(&message["stop_reason"]), ..Told::default() };
    for block in message["content"].as_array().unwrap() {
        match block["type"].as_str().unwrap() {
            "text" => told.text.push_str(block["text"].as_str().unwrap()),
            _ => told.tools.push((text(&block["name"]), block["input"].to_string())),
        }
    }
    told.usage = pair(&message["usage"], "input_tokens", "output_tokens");
    told
}

fn messages_stream(events: &[Value]) -> Told {
    let mut told = Told::default();
    for event in events {
        match event["type"].as_str().unwrap() {
            "content_block_start" if event["content_block"]["type"] == "tool_use" => {
                told.tools.push((text(&event["content_block"]["name"]), String::new()));
            }
            "content_block_delta" if event["delta"]["type"] == "text_delta" => {
                told.text.push_str(event["delta"]["text"].as_str().unwrap());
            }
            "content_block_delta" => {
                told.tools.last_mut().unwrap().1.push_str(event["delta"]["partial_json"].as_str().unwrap());
            }
            "message_delta" => {
                told.stop = text(&event["delta"]["stop_reason"]);
                let input = events[0]["message"]["usage"]["input_tokens"].as_u64();
                told.usage = input.map(|input| (input, event["usage"]["output_tokens"].as_u64().unwrap()));
            }
            _ => {}
        }
    }
    told
}

fn chat_whole(completion: &Value) -> Told {
    let choice = &completion["choices"][0];
    let calls = choice["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
    Told {
        text: choice["message"]["content"].as_str().unwrap_or_default().to_owned(),
        tools: calls.iter().map(|c| (text(&c["function"]["name"]), text(&c["function"]["arguments"]))).collect(),
        stop: text(&choice["finish_reason"]),
        usage: pair(&completion["usage"], "prompt_tokens", "completion_tokens"),
    }
}

fn chat_stream(chunks: &[Value]) -> Told {
    let mut told = Told::default();
    for chunk in chunks {
        told.usage = pair(&chunk["usage"], "prompt_tokens", "completion_tokens");
        let Some(choice) = chunk["choices"].get(0) else { continue };
        told.text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            if call.get("id").is_some() {
                told.tools.push((text(&call["function"]["name"]), String::new()));
            }
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            told.tools[index].1.push_str(call["function"]["arguments"].as_str().unwrap());
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            reason.clone_into(&mut told.stop);
        }
    }
    told
}

fn responses_whole(response: &Value) -> Told {
    let mut told = Told::default();
    for item in response["output"].as_array().unwrap() {
        match item["type"].as_str().unwrap() {
            "message" => told.text.push_str(item["content"][0]["text"].as_str().unwrap()),
            _ => told.tools.push((text(&item["name"]), text(&item["arguments"]))),
        }
    }
    let reason = response["incomplete_details"]["reason"].as_str();
    told.stop = reason.or(response["status"].as_str()).unwrap().to_owned();
    told.usage = pair(&response["usage"], "input_tokens", "output_tokens");
    told
}

/// The last event says it all; what was streamed before has to agree with it.
fn responses_stream(events: &[Value]) -> Told {
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let told = responses_whole(&events.last().unwrap()["response"]);
    let deltas = |kind: &str| -> String {
        events.iter().filter(|e| e["type"] == kind).map(|e| e["delta"].as_str().unwrap()).collect()
    };
    assert_eq!(deltas("response.output_text.delta"), told.text);
    let arguments = told.tools.iter().map(|(_, arguments)| arguments.as_str()).collect::<String>();
    assert_eq!(deltas("response.function_call_arguments.delta"), arguments);
    told
}

fn gemini(chunks: &[Value]) -> Told {
    let mut told = Told::default();
    for chunk in chunks {
        for part in chunk["candidates"][0]["content"]["parts"].as_array().unwrap() {
            told.text.push_str(part["text"].as_str().unwrap_or_default());
            if let Some(call) = part.get("functionCall") {
                told.tools.push((text(&call["name"]), call["args"].to_string()));
            }
        }
        if let Some(reason) = chunk["candidates"][0]["finishReason"].as_str() {
            reason.clone_into(&mut told.stop);
        }
        told.usage = pair(&chunk["usageMetadata"], "promptTokenCount", "candidatesTokenCount");
    }
    told
}

fn stops(wire: Wire) -> [&'static str; 3] {
    match wire {
        Wire::Messages => ["end_turn", "tool_use", "max_tokens"],
        Wire::Chat => ["stop", "tool_calls", "length"],
        Wire::Responses => ["completed", "completed", "max_output_tokens"],
        Wire::Gemini => ["STOP", "STOP", "MAX_TOKENS"],
    }
}

/// Every protocol, in one piece and as a stream.
fn ways() -> impl Iterator<Item = (Wire, bool)> {
    Wire::ALL.into_iter().flat_map(|wire| [(wire, false), (wire, true)])
}

#[tokio::test]
async fn a_text_with_its_usage_arrives_in_every_protocol() {
    let model = Model::start(|_| Reply::text("three small\nwords ").usage(70, 9));
    for (wire, stream) in ways() {
        let (path, body) = request(wire, stream, 100);
        let got = ask(&model, path, &body).await;
        let expected = Told {
            text: "three small\nwords ".into(),
            tools: vec![],
            stop: stops(wire)[0].into(),
            usage: Some((70, 9)),
        };
        assert_eq!(told(wire, stream, &got), expected, "{wire}, stream: {stream}: {}", got.body);
    }
    assert_eq!(model.calls().len(), 8);
}

#[tokio::test]
async fn a_command_is_a_call_of_whatever_tool_runs_commands() {
    let model = Model::start(|_| Reply::shell("ls -l | head"));
    for (wire, stream) in ways() {
        let (path, body) = request(wire, stream, 100);
        let told = told(wire, stream, &ask(&model, path, &body).await);
        let (name, arguments) = match wire {
            Wire::Messages => ("Bash", json!({"command": "ls -l | head"})),
            Wire::Chat => ("bash", json!({"command": "ls -l | head"})),
            Wire::Responses => ("shell", json!({"command": ["bash", "-lc", "ls -l | head"]})),
            Wire::Gemini => ("run_shell_command", json!({"command": "ls -l | head"})),
        };
        assert_eq!(told.tools, [(name.to_owned(), arguments.to_string())], "{wire}, stream: {stream}");
        assert_eq!((told.text.as_str(), told.stop.as_str()), ("", stops(wire)[1]), "{wire}, stream: {stream}");
    }
}

#[tokio::test]
async fn a_turn_may_hold_several_calls_and_broken_arguments() {
    let model = Model::start(|_| Reply::tool("read", json!({"path": "a"})).and_tool("edit", json!("{\"path\": ")));
    for (wire, stream) in ways() {
        let (path, body) = request(wire, stream, 100);
        let told = told(wire, stream, &ask(&model, path, &body).await);
        assert_eq!(told.tools[0], ("read".to_owned(), "{\"path\":\"a\"}".to_owned()), "{wire}, stream: {stream}");
        // Where arguments are a value, broken ones are a text in its place.
        let as_value = wire == Wire::Gemini || (wire == Wire::Messages && !stream);
        let broken = if as_value { "\"{\\\"path\\\": \"" } else { "{\"path\": " };
        assert_eq!(told.tools[1], ("edit".to_owned(), broken.to_owned()), "{wire}, stream: {stream}");
    }
}

#[tokio::test]
async fn tools_of_free_text_and_shells_without_a_schema_are_called_in_their_own_way() {
    let model = Model::start(|call| match call.tools[0].as_str() {
        "patch" => Reply::tool("patch", json!("*** Begin")),
        _ => Reply::shell("ls"),
    });
    for stream in [false, true] {
        let body = json!({"model": "m", "stream": stream, "input": "hi", "tools": [{"type": "local_shell"}]});
        let got = ask(&model, "/v1/responses", &body).await;
        let response = if stream { data(&got).pop().unwrap()["response"].clone() } else { got.json() };
        assert_eq!(response["output"][0]["type"], "local_shell_call");
        assert_eq!(response["output"][0]["action"]["command"], json!(["bash", "-lc", "ls"]));

        let body =
            json!({"model": "m", "stream": stream, "input": "hi", "tools": [{"type": "custom", "name": "patch"}]});
        let got = ask(&model, "/v1/responses", &body).await;
        let response = if stream { data(&got).pop().unwrap()["response"].clone() } else { got.json() };
        assert_eq!(response["output"][0]["type"], "custom_tool_call");
        assert_eq!(response["output"][0]["input"], "*** Begin");
    }
}

#[tokio::test]
async fn required_arguments_that_nobody_cares_about_get_something_that_fits() {
    let schema = json!({"type": "OBJECT", "required": ["cmd", "description", "background", "mode", "timeout"], "properties": {
        "cmd": {"type": "STRING"}, "description": {"type": ["string", "null"]}, "background": {"type": "boolean"},
        "mode": {"enum": ["now", "later"]}, "timeout": {"type": "integer"}, "optional": {"type": "string"},
    }});
    let model = Model::start(|_| Reply::shell("ls"));
    let tools = json!([{"functionDeclarations": [{"name": "exec_command", "parameters": schema}]}]);
    let got = ask(&model, "/v1beta/models/m:generateContent", &json!({"contents": [], "tools": tools})).await;
    let args = &got.json()["candidates"][0]["content"]["parts"][0]["functionCall"]["args"];
    let expected =
        json!({"cmd": "ls", "description": "scripted", "background": false, "mode": "now", "timeout": 60_000});
    assert_eq!(*args, expected);
}

#[tokio::test]
async fn who_offers_no_tools_gets_the_command_in_a_fence() {
    let model = Model::start(|_| Reply::shell("ls"));
    for (system, fence) in [("help", "```bash\nls\n```"), ("use mswea_bash_command", "```mswea_bash_command\nls\n```")]
    {
        let body = json!({"model": "m", "messages": [{"role": "system", "content": system}]});
        let told = told(Wire::Chat, false, &ask(&model, "/v1/chat/completions", &body).await);
        assert!(told.text.contains(fence), "{}", told.text);
        assert_eq!(told.stop, "stop");
    }
}

#[tokio::test]
async fn an_output_limit_cuts_the_text_and_the_usage_unless_it_is_ignored() {
    let model = Model::start(|call| match call.index % 3 {
        0 => Reply::words(50),
        1 => Reply::text("short").usage(10, 900),
        _ => Reply::words(50).usage(10, 900).ignoring_limit(),
    });
    for (wire, stream) in ways() {
        let (path, body) = request(wire, stream, 20);
        let cut = told(wire, stream, &ask(&model, path, &body).await);
        assert_eq!(cut.text.split(' ').count(), 20, "{wire}, stream: {stream}");
        assert_eq!(cut.stop, stops(wire)[2]);
        assert_eq!(cut.usage, Some((body.to_string().len().div_ceil(4) as u64, 20)));
        let said = told(wire, stream, &ask(&model, path, &body).await);
        assert_eq!((said.stop.as_str(), said.usage), (stops(wire)[2], Some((10, 20))));
        let ignored = told(wire, stream, &ask(&model, path, &body).await);
        assert_eq!(ignored.text.split(' ').count(), 50);
        assert_eq!((ignored.stop.as_str(), ignored.usage), (stops(wire)[0], Some((10, 900))));
    }
}

#[tokio::test]
async fn usage_can_be_left_out_and_chats_tell_it_only_where_they_are_asked_to() {
    let model = Model::start(|call| if call.index < 8 { Reply::text("a").no_usage() } else { Reply::text("a") });
    for (wire, stream) in ways() {
        let (path, body) = request(wire, stream, 20);
        assert_eq!(told(wire, stream, &ask(&model, path, &body).await).usage, None, "{wire}, stream: {stream}");
    }
    let (path, mut body) = request(Wire::Chat, true, 20);
    body.as_object_mut().unwrap().remove("stream_options");
    let got = ask(&model, path, &body).await;
    assert!(!got.body.contains("usage"), "{}", got.body);
    assert!(got.body.ends_with("data: [DONE]\n\n"), "{}", got.body);
}

#[tokio::test]
async fn input_from_the_cache_is_told_as_each_protocol_does() {
    let model = Model::start(|_| Reply::text("a").usage(100, 1).cached(60, 30));
    let mut seen = Vec::new();
    for wire in Wire::ALL {
        let (path, body) = request(wire, false, 20);
        let got = ask(&model, path, &body).await.json();
        seen.push(match wire {
            Wire::Messages => json!([
                got["usage"]["input_tokens"],
                got["usage"]["cache_read_input_tokens"],
                got["usage"]["cache_creation_input_tokens"]
            ]),
            Wire::Chat => {
                json!([got["usage"]["prompt_tokens"], got["usage"]["prompt_tokens_details"]["cached_tokens"]])
            }
            Wire::Responses => {
                json!([got["usage"]["input_tokens"], got["usage"]["input_tokens_details"]["cached_tokens"]])
            }
            Wire::Gemini => {
                json!([got["usageMetadata"]["promptTokenCount"], got["usageMetadata"]["cachedContentTokenCount"]])
            }
        });
    }
    assert_eq!(seen, [json!([10, 60, 30]), json!([100, 60]), json!([100, 60]), json!([100, 60])]);
}

#[tokio::test]
async fn streams_have_their_events_in_the_real_order() {
    let model = Model::start(|_| Reply::text("two words").and_tool("bash", json!({"command": "ls"})));
    let (path, body) = request(Wire::Messages, true, 100);
    let called = names(&ask(&model, path, &body).await);
    let block = ["content_block_start", "content_block_delta", "content_block_stop"];
    let mut expected =
        vec!["message_start", "content_block_start", "ping", "content_block_delta", "content_block_stop"];
    expected.extend(block.iter().chain(&["message_delta", "message_stop"]));
    assert_eq!(called, expected);
    let (path, body) = request(Wire::Responses, true, 100);
    let called = names(&ask(&model, path, &body).await);
    assert_eq!(
        called.iter().map(|name| name.strip_prefix("response.").unwrap()).collect::<Vec<_>>(),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed"
        ]
    );
    for wire in [Wire::Chat, Wire::Gemini] {
        let (path, body) = request(wire, true, 100);
        let got = ask(&model, path, &body).await;
        assert_eq!(names(&got), [""], "{wire} names no events");
        assert!(got.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    }
}

#[tokio::test]
async fn gemini_streams_an_array_to_who_asks_for_no_events() {
    let model = Model::start(|call| {
        if call.text.contains("cut") { Reply::words(3).cut_after(1) } else { Reply::words(3).usage(5, 3) }
    });
    let (_, body) = request(Wire::Gemini, true, 100);
    let got = ask(&model, "/v1beta/models/m:streamGenerateContent", &body).await;
    assert_eq!(got.json().as_array().unwrap().len(), 3);
    assert_eq!(gemini(got.json().as_array().unwrap()).text, "word word word");
    let cut = json!({"contents": [{"role": "user", "parts": [{"text": "cut"}]}]});
    let got = ask(&model, "/v1beta/models/m:streamGenerateContent", &cut).await;
    assert!(!got.whole && got.body.starts_with('[') && !got.body.ends_with(']'), "{}", got.body);
}

#[tokio::test]
async fn errors_have_the_providers_shape() {
    let model = Model::start(|_| Reply::status(429, "slow down").retry_after("7").header("x-more", "yes"));
    for (wire, stream) in ways() {
        let (path, body) = request(wire, stream, 100);
        let got = ask(&model, path, &body).await;
        assert_eq!((got.status, got.headers["retry-after"].to_str().unwrap()), (429, "7"));
        assert_eq!(got.headers["x-more"], "yes");
        assert_eq!(got.json()["error"]["message"], "slow down", "{wire}");
        let kind = if wire == Wire::Gemini { "status" } else { "type" };
        let expected = match wire {
            Wire::Messages => "rate_limit_error",
            Wire::Chat | Wire::Responses => "requests",
            Wire::Gemini => "RESOURCE_EXHAUSTED",
        };
        assert_eq!(got.json()["error"][kind], expected);
    }
}

#[tokio::test]
async fn a_connection_breaks_in_the_middle_where_it_is_told_to() {
    let model = Model::start(|_| Reply::words(30).cut_after(5));
    for (wire, stream) in ways() {
        let (path, body) = request(wire, stream, 100);
        let got = ask(&model, path, &body).await;
        assert!(!got.whole, "{wire}, stream: {stream}");
        if stream {
            assert_eq!(events(&got).len(), 5, "{wire}");
        } else {
            assert!(!got.body.is_empty() && serde_json::from_str::<Value>(&got.body).is_err());
        }
    }
}

#[tokio::test]
async fn an_error_can_come_under_200() {
    let model = Model::start(|_| Reply::words(30).error_after(4, "overloaded"));
    for (wire, stream) in ways() {
        let (path, body) = request(wire, stream, 100);
        let got = ask(&model, path, &body).await;
        assert!(got.status == 200 && got.whole, "{wire}, stream: {stream}");
        let error = match (wire, stream) {
            (_, false) => got.json()["error"].clone(),
            (Wire::Responses, true) => {
                assert_eq!(data(&got)[4]["type"], "error");
                data(&got)[5]["response"]["error"].clone()
            }
            (_, true) => data(&got)[4]["error"].clone(),
        };
        assert_eq!(error["message"], "overloaded", "{wire}, stream: {stream}: {}", got.body);
        assert!(!got.body.contains("[DONE]") && !got.body.contains("message_stop"));
    }
}

#[tokio::test]
async fn bytes_are_sent_as_they_are() {
    let model = Model::start(|_| Reply::raw(200, "application/json", "{\"broken"));
    let (path, body) = request(Wire::Chat, false, 100);
    let got = ask(&model, path, &body).await;
    assert_eq!((got.status, got.body.as_str(), got.whole), (200, "{\"broken", true));
}

#[tokio::test]
async fn delays_paces_and_silence_take_their_time() {
    let model = Model::start(|call| match call.index {
        0 => Reply::text("a").delay(Duration::from_millis(80)),
        1 => Reply::words(4).pace(Duration::from_millis(20)),
        _ => Reply::hang(),
    });
    let (path, body) = request(Wire::Gemini, true, 100);
    for least in [80, 60] {
        let started = Instant::now();
        ask(&model, path, &body).await;
        assert!(started.elapsed() >= Duration::from_millis(least), "{:?}", started.elapsed());
    }
    let silent = tokio::time::timeout(Duration::from_millis(300), ask(&model, path, &body)).await;
    assert!(silent.is_err());
    assert_eq!(model.calls().len(), 3);
}

#[tokio::test]
async fn a_call_is_seen_as_it_was_made() {
    let model = Model::start(|_| Reply::text("ok"));
    for (wire, stream) in ways() {
        let (path, body) = request(wire, stream, 33);
        ask(&model, path, &body).await;
        let call: Call = model.calls().pop().unwrap();
        assert_eq!((call.wire, call.stream, call.counting), (wire, stream, false));
        assert_eq!((call.text.as_str(), call.opening.as_str(), call.turn), ("rules\nhello", "hello", 0), "{wire}");
        assert_eq!((call.bytes, call.limit, call.body), (body.to_string().len(), Some(33), body));
        assert_eq!((call.method.as_str(), call.model.as_str(), call.tools.len()), ("POST", "m", 1));
        assert_eq!(call.headers["host"], model.url().strip_prefix("http://").unwrap());
    }
    assert_eq!(model.calls().iter().map(|call| call.index).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn turns_of_the_model_are_counted_and_results_of_tools_are_read() {
    let model = Model::start(|_| Reply::text("ok"));
    let messages = json!({"messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "text", "text": "mine"}, {"type": "tool_use", "id": "1", "name": "bash", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "result"}]}]},
    ]});
    let chat = json!({"messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "mine", "tool_calls": []},
        {"role": "tool", "tool_call_id": "1", "content": "result"},
    ]});
    let responses = json!({"input": [
        {"role": "user", "content": "go"},
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "mine"}]},
        {"type": "function_call", "call_id": "1", "name": "shell", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "result"},
    ]});
    let gemini = json!({"contents": [
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [{"text": "mine"}, {"functionCall": {"name": "bash", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "bash", "response": {"output": "result"}}}]},
    ]});
    for (wire, body) in Wire::ALL.into_iter().zip([messages, chat, responses, gemini]) {
        ask(&model, request(wire, false, 1).0, &body).await;
        let call = model.calls().pop().unwrap();
        assert_eq!((call.turn, call.text.as_str()), (1, "go\nresult"), "{wire}");
    }
}

#[tokio::test]
async fn tokens_are_counted_and_models_are_listed() {
    let model = Model::start(|_| Reply::text("ok").usage(41, 0));
    let body = json!({"messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(ask(&model, "/v1/messages/count_tokens", &body).await.json(), json!({"input_tokens": 41}));
    let wrapped = json!({"generateContentRequest": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}});
    assert_eq!(ask(&model, "/v1beta/models/m:countTokens", &wrapped).await.json()["totalTokens"], 41);
    assert!(model.calls().iter().all(|call| call.counting && call.text == "hi"));
    for (path, header, list) in [
        ("/v1/models", "authorization", "data"),
        ("/v1/models", "x-api-key", "data"),
        ("/v1beta/models", "x-goog-api-key", "models"),
    ] {
        let sent = client().get(format!("{}{path}", model.url())).header(header, "k").send().await.unwrap();
        let listed: Value = serde_json::from_str(&sent.text().await.unwrap()).unwrap();
        assert_eq!(listed[list].as_array().unwrap().len(), 1, "{listed}");
        assert_eq!(listed.get("has_more").is_some(), header == "x-api-key");
    }
    assert_eq!(model.calls().len(), 2, "lists ask nothing of a model");
}

#[tokio::test]
async fn what_is_no_request_is_answered_with_an_error() {
    let model = Model::start(|_| Reply::text("ok"));
    let url = format!("{}/v1/messages", model.url());
    let sent = client().post(url).body("{\"model\": ").send().await.unwrap();
    assert_eq!(sent.status(), 400);
    assert!(sent.text().await.unwrap().contains("invalid_request_error"));
    assert_eq!(ask(&model, "/v1/images/generations", &json!({})).await.status, 404);
    assert_eq!(model.calls().len(), 1);
}

#[tokio::test]
async fn it_is_gone_when_it_is_dropped() {
    let model = Model::start(|_| Reply::hang());
    let url = format!("{}/v1/messages", model.url());
    let waiting = tokio::spawn(client().post(&url).body("{}").send());
    while model.calls().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(model);
    assert!(waiting.await.unwrap().is_err());
    assert!(client().post(&url).body("{}").send().await.is_err());
}

/// A conversation of chats with this opening, so many turns in, with or without tools.
fn chat(opening: &str, turns: usize, tools: bool) -> Value {
    let mut messages = vec![json!({"role": "user", "content": opening})];
    for _ in 0..turns {
        messages.push(json!({"role": "assistant", "content": "mine"}));
        messages.push(json!({"role": "user", "content": "go on"}));
    }
    let tool = json!({"type": "function", "function": {"name": "bash", "parameters": {}}});
    json!({"model": "m", "messages": messages, "tools": if tools { json!([tool]) } else { json!([]) }})
}

#[tokio::test]
async fn a_script_in_a_file_answers_each_conversation_turn_by_turn() {
    let script = Script::read(
        r#"
- tools: false
  turns: [{text: A title}]
  repeat: true
- when: [variant, A]
  turns:
    - {status: 529, message: busy, retry_after: "1"}
    - {shell: ls, usage: {input: 5, output: 2}}
    - {words: 3}
  usage: {input: 900, output: 10}
- turns: [{text: first}, {tool: bash, arguments: {command: pwd}}]
  repeat: true
"#,
    );
    let script = script.unwrap();
    let model = Model::start(move |call| script.reply(call).0);
    let path = "/v1/chat/completions";
    assert_eq!(told(Wire::Chat, false, &ask(&model, path, &chat("variant A", 0, false)).await).text, "A title");
    assert_eq!(ask(&model, path, &chat("variant A", 0, true)).await.status, 529);
    let first = told(Wire::Chat, false, &ask(&model, path, &chat("variant A", 0, true)).await);
    assert_eq!((first.tools[0].0.as_str(), first.usage), ("bash", Some((5, 2))));
    let other = told(Wire::Chat, false, &ask(&model, path, &chat("variant B", 0, true)).await);
    assert_eq!(other.text, "first", "another conversation starts at its beginning");
    let second = told(Wire::Chat, false, &ask(&model, path, &chat("variant A", 1, true)).await);
    assert_eq!((second.text.as_str(), second.usage), ("word word word", Some((900, 10))));
    assert_eq!(told(Wire::Chat, false, &ask(&model, path, &chat("variant A", 2, true)).await).text, "Done.");
    for turn in [1, 2, 3] {
        let other = told(Wire::Chat, false, &ask(&model, path, &chat("variant B", turn, true)).await);
        assert_eq!(other.tools, [("bash".to_owned(), "{\"command\":\"pwd\"}".to_owned())]);
    }
    let again = told(Wire::Chat, false, &ask(&model, path, &chat("variant B", 0, true)).await);
    assert_eq!(again.text, "first", "it was started once more");
}

#[test]
fn a_script_that_says_nothing_or_two_things_in_a_turn_is_refused() {
    for turn in ["{}", "{text: a, shell: b}", "{txt: a}"] {
        assert!(Script::read(&format!("[{{turns: [{turn}]}}]")).is_err(), "{turn}");
    }
}
