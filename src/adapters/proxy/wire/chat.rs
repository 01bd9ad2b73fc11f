//! OpenAI Chat Completions, as OpenAI and the many servers that are compatible with it speak it.

use serde_json::{Value, json};

use super::answer::{Answer, Follower, Tally};
use super::json::{self, Object, text};
use super::strip::{self, Notes, kind};
use super::{Endpoint, Meter, Request, Rules, Unbounded, parts};
use crate::domain::quantity::Tokens;

/// The protocol.
pub(super) struct Chat;

/// Parts of messages whose tokens are bounded by their bytes.
const KNOWN: [&str; 3] = ["text", "refusal", "thinking"];

/// What OpenAI's protocols, and servers compatible with them, read from elsewhere.
pub(super) const ELSEWHERE: [&str; 4] = ["previous_response_id", "conversation", "prompt", "preset"];

/// What makes a server search, speak, guess or repeat by itself. `n_predict` is another name of the output
/// limit, and the first that llama.cpp looks for; a template could write the prompt over and over.
const STRIPPED: [&str; 10] = [
    "web_search_options",
    "prediction",
    "audio",
    "plugins",
    "data_sources",
    "search_parameters",
    "enable_search",
    "chat_template",
    "use_beam_search",
    "n_predict",
];

/// Fields that add nothing to what is read, so that a conversation is known again whatever they say.
const UNREAD: [&str; 22] = [
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "user",
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
    "safety_identifier",
    "parallel_tool_calls",
];

const LIMITS: [&str; 2] = ["max_completion_tokens", "max_tokens"];

impl Rules for Chat {
    fn read(&self, _: &Endpoint, body: Value) -> Result<Request, Unbounded> {
        let mut body = json::object(body)?;
        let model = json::optional_text(&body, "model")?;
        reads_alone(&model)?;
        let stream = json::flag(&body, "stream")?;
        // Where both are there a server takes the one or the other; the lower is what is asked for.
        let limits = [json::limit(&body, LIMITS[0])?, json::limit(&body, LIMITS[1])?];
        let asked = limits.into_iter().flatten().min();
        for field in ["n", "best_of", "n_cmpl"] {
            json::single(&body, field)?;
        }
        for field in ELSEWHERE {
            json::absent(&body, field)?;
        }
        let mut notes = Notes::default();
        strip::fields(&mut body, &STRIPPED, &mut notes);
        if body.get("modalities").is_some_and(|wanted| *wanted != json!(["text"])) {
            strip::fields(&mut body, &["modalities"], &mut notes);
        }
        let runs_here = |tool: &mut Value| ["function", "custom"].contains(&kind(tool));
        strip::offered(&mut body, &runs_here, &mut notes)?;
        for message in json::objects(&mut body, "messages")? {
            let Some(message) = message.as_object_mut() else { continue };
            strip::fields(message, &["audio", "images", "videos"], &mut notes);
            if let Some(content) = message.get_mut("content") {
                strip::media(content, &KNOWN, "text", &mut notes)?;
            }
        }
        let parts = parts(&body);
        Ok(Request { body: body.into(), model, stream, asked, parts, stripped: notes.0 })
    }

    /// The limit goes into the field that the client used. Where it used none, OpenAI's reasoning models
    /// are given `max_completion_tokens`, which they insist on, and all others `max_tokens`, which is the
    /// only one that every compatible server knows.
    fn limit(&self, request: &mut Request, output: Tokens) {
        let Some(body) = request.body.as_object_mut() else { return };
        let used: Vec<_> = LIMITS.into_iter().filter(|field| json::is_set(body, field)).collect();
        let fields = match used.is_empty() {
            true if reasons(&request.model) => vec![LIMITS[0]],
            true => vec![LIMITS[1]],
            false => used,
        };
        for field in fields {
            body.insert(field.to_owned(), output.0.into());
        }
        if request.stream {
            match body.get_mut("stream_options") {
                Some(Value::Object(options)) => {
                    options.insert("include_usage".to_owned(), true.into());
                }
                _ => {
                    body.insert("stream_options".to_owned(), json!({"include_usage": true}));
                }
            }
        }
    }

    fn meter(&self) -> Box<dyn Meter> {
        Follower::meter(Completion::default())
    }
}

/// Refuses models that search before they answer, without being given a tool.
pub(super) fn reads_alone(model: &str) -> Result<(), Unbounded> {
    let searches = ["-search-preview", "-search-api", ":online", "-deep-research"];
    match searches.iter().any(|mark| model.contains(mark)) {
        true => Err(Unbounded(format!(
            "the model {model} reads what it finds by itself, so that its tokens can't be bounded; use one that does not search"
        ))),
        false => Ok(()),
    }
}

/// Whether a model looks like one of OpenAI's that reason: `o1`, `o4-mini`, `gpt-5.1`, `openai/gpt-6`.
fn reasons(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or_default();
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().ok();
    let generation = name.strip_prefix("gpt-").and_then(digits);
    let series = name.strip_prefix('o').and_then(digits);
    generation.is_some_and(|number| number >= 5) || series.is_some()
}

fn parts(body: &Object) -> Vec<Vec<u8>> {
    let messages = body.get("messages").and_then(Value::as_array).into_iter().flatten();
    let head = parts::head(body, &UNREAD, &[]);
    std::iter::once(head).chain(messages.map(|message| parts::item(message, &[], &[]))).collect()
}

/// An answer, streamed or not.
#[derive(Default)]
struct Completion {
    tally: Tally,
}

impl Answer for Completion {
    fn take(&mut self, _event: &str, data: &Value) {
        if !self.tally.fail_by(data) && text(data, "object") == "error" {
            self.tally.fail(json::error(data));
        }
        let choices = data.get("choices").and_then(Value::as_array);
        for choice in choices.into_iter().flatten() {
            for message in [choice.get("delta"), choice.get("message")].into_iter().flatten() {
                self.tally.wrote(written(message));
            }
            if choice.get("finish_reason").is_some_and(Value::is_string) {
                self.tally.finish();
            }
        }
        if let Some(usage) = data.get("usage").filter(|usage| !usage.is_null()) {
            self.tally.used(json::usage(usage, "prompt_tokens", "completion_tokens"));
            // A piece that only tells usage is the last one, whether or not `[DONE]` comes after it.
            if choices.is_some_and(Vec::is_empty) {
                self.tally.finish();
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

/// Characters of a message or of a piece of it. Reasoning has two names; a server that uses both says
/// the same in both.
fn written(message: &Value) -> u64 {
    let reasoning = ["reasoning_content", "reasoning"].map(|field| json::characters_in(message, &[field]));
    let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    let calls = calls.flat_map(|call| [call.get("function"), call.get("custom")]);
    let calls = calls.chain([message.get("function_call")]).flatten();
    json::characters_in(message, &["content", "refusal"])
        + reasoning[0].max(reasoning[1])
        + calls.map(|call| json::characters_in(call, &["name", "arguments", "input"])).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{events, follow, limited, read, refuse, usage};
    use super::*;
    use crate::domain::wire::Wire::Chat as WIRE;

    fn with(field: &str, value: Value) -> Value {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        body[field] = value;
        body
    }

    #[test]
    fn the_lower_of_two_limits_is_what_is_asked_for() {
        let mut body = with("max_tokens", json!(50));
        assert_eq!(read(WIRE, body.clone()).asked, Some(Tokens(50)));
        body["max_completion_tokens"] = json!(40);
        assert_eq!(read(WIRE, body).asked, Some(Tokens(40)));
        assert_eq!(read(WIRE, with("max_tokens", json!(null))).asked, None);
        for bad in [json!(-1), json!(1.5), json!("50")] {
            assert!(refuse(WIRE, with("max_tokens", bad)).contains("whole number"));
        }
    }

    #[test]
    fn several_answers_are_refused() {
        for field in ["n", "best_of"] {
            for bad in [json!(2), json!(0), json!("2"), json!(2.0)] {
                assert!(refuse(WIRE, with(field, bad)).contains("ask once for each"), "{field}");
            }
            for good in [json!(1), json!(null)] {
                read(WIRE, with(field, good));
            }
        }
    }

    #[test]
    fn models_that_search_by_themselves_are_refused() {
        for model in ["gpt-4o-search-preview", "openai/gpt-5:online", "o3-deep-research", "gpt-5-search-api"] {
            assert!(refuse(WIRE, with("model", json!(model))).contains("does not search"), "{model}");
        }
    }

    #[test]
    fn what_the_server_would_do_by_itself_is_taken_out() {
        for field in STRIPPED {
            let request = read(WIRE, with(field, json!({"x": 1})));
            assert_eq!((request.body.get(field), request.stripped), (None, vec![format!("`{field}`")]));
        }
        assert_eq!(read(WIRE, with("modalities", json!(["text"]))).stripped, Vec::<String>::new());
        assert_eq!(read(WIRE, with("modalities", json!(["text", "audio"]))).stripped, ["`modalities`"]);
        let tools = json!([{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "c"}},
            {"type": "web_search"}, {"type": "builtin_function", "function": {"name": "$web_search"}}, {}]);
        let request = read(WIRE, with("tools", tools));
        assert_eq!(request.body["tools"].as_array().unwrap().len(), 2);
        assert_eq!(request.stripped.len(), 3);
    }

    #[test]
    fn what_is_no_text_is_replaced_by_a_text_that_says_so() {
        let body = json!({"model": "m", "messages": [
            {"role": "user", "content": ["plain", {"type": "text", "text": "kept"}, {"type": "image_url", "image_url": {}},
                {"type": "input_audio", "input_audio": {}}, {"type": "file", "file": {"file_id": "f"}}, {"image": "x"}]},
            {"role": "assistant", "audio": {"id": "a"}, "content": null},
            {"role": "tool", "content": [{"type": "image_url", "image_url": {}}]},
            {"role": "user", "content": "hi", "images": ["aGk="]},
        ]});
        let request = read(WIRE, body);
        let left_out = |kind: &str| json!({"type": "text", "text": strip::left_out(kind)});
        let messages = &request.body["messages"];
        let kept = [json!("plain"), json!({"type": "text", "text": "kept"})];
        let gone = ["image_url", "input_audio", "file", ""].map(left_out);
        assert_eq!(messages[0]["content"], Value::from([kept.to_vec(), gone.to_vec()].concat()));
        assert_eq!(messages[1], json!({"role": "assistant", "content": null}));
        assert_eq!(messages[2]["content"], json!([left_out("image_url")]));
        assert_eq!(messages[3], json!({"role": "user", "content": "hi"}));
        assert_eq!(request.stripped.len(), 6, "{:?}", request.stripped);
    }

    #[test]
    fn the_limit_goes_into_the_field_that_was_used_or_that_the_model_knows() {
        let limits = |body: Value| {
            let body = limited(WIRE, body, 30);
            LIMITS.map(|field| body.get(field).and_then(Value::as_u64))
        };
        assert_eq!(limits(with("max_tokens", json!(50))), [None, Some(30)]);
        assert_eq!(limits(with("max_completion_tokens", json!(50))), [Some(30), None]);
        for model in ["o1", "o3-mini", "o4-mini", "gpt-5", "openai/gpt-5.1-codex", "gpt-10"] {
            assert_eq!(limits(with("model", json!(model))), [Some(30), None], "{model}");
        }
        for model in ["gpt-4o", "gpt-oss-120b", "qwen3-coder", "olmo-2", "llama3:8b", "", "openai/"] {
            assert_eq!(limits(with("model", json!(model))), [None, Some(30)], "{model}");
        }
    }

    #[test]
    fn a_stream_is_made_to_tell_its_usage() {
        assert_eq!(limited(WIRE, with("stream", json!(false)), 30).get("stream_options"), None);
        let body = limited(WIRE, with("stream", json!(true)), 30);
        assert_eq!(body["stream_options"], json!({"include_usage": true}));
        let mut body = with("stream", json!(true));
        body["stream_options"] = json!({"include_usage": false, "include_obfuscation": false});
        let options = limited(WIRE, body, 30)["stream_options"].clone();
        assert_eq!(options, json!({"include_usage": true, "include_obfuscation": false}));
    }

    fn delta(delta: Value) -> Value {
        json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}], "usage": null})
    }

    fn told(input: u64, output: u64) -> Value {
        json!({"choices": [], "usage": {"prompt_tokens": input, "completion_tokens": output}})
    }

    fn finish() -> Value {
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    }

    #[test]
    fn all_that_a_model_writes_is_counted() {
        let pieces = [
            delta(json!({"role": "assistant", "content": ""})),
            delta(json!({"reasoning_content": "hm", "reasoning": "hm"})),
            delta(json!({"content": "tschüß"})),
            delta(json!({"refusal": "no"})),
            delta(json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "run", "arguments": ""}}]})),
            delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})),
        ];
        assert_eq!(follow(WIRE, &events(&pieces)).written, 15);
    }

    #[test]
    fn usage_is_complete_with_the_last_piece_whether_or_not_done_follows() {
        let text = events(&[delta(json!({"content": "a"})), finish()]);
        assert_eq!(follow(WIRE, &text).usage, None);
        let whole = events(&[delta(json!({"content": "a"})), finish(), told(7, 1)]);
        for end in ["", "data: [DONE]\n\n"] {
            let reading = follow(WIRE, &format!("{whole}{end}"));
            assert_eq!((reading.usage, reading.complete), (usage(7, 1), true), "{end}");
        }
        let done = follow(WIRE, &format!("{text}data: [DONE]\n\n"));
        assert_eq!((done.usage, done.complete), (None, false));
    }

    #[test]
    fn usage_in_every_piece_is_the_last_word_only_at_the_end() {
        let piece = |output: u64, finish: Value| {
            json!({"choices": [{"delta": {"content": "a"}, "finish_reason": finish}],
                "usage": {"prompt_tokens": 7, "completion_tokens": output}})
        };
        let cut = follow(WIRE, &events(&[piece(1, json!(null)), piece(2, json!(null))]));
        assert_eq!((cut.usage, cut.complete), (usage(7, 2), false));
        let whole = follow(WIRE, &events(&[piece(1, json!(null)), piece(2, json!("stop"))]));
        assert_eq!((whole.usage, whole.complete), (usage(7, 2), true));
        let late = follow(WIRE, &events(&[told(7, 0), delta(json!({"content": "abc"})), finish()]));
        assert_eq!((late.usage, late.complete), (usage(7, 0), false));
    }

    #[test]
    fn an_answer_in_one_piece_is_read_like_a_stream() {
        let body = json!({"object": "chat.completion", "choices": [{"message": {"role": "assistant", "content": "four"},
            "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}});
        let reading = follow(WIRE, &format!("\u{feff}\n{body}"));
        assert_eq!((reading.usage, reading.complete, reading.written), (usage(9, 4), true, 4));
    }

    #[test]
    fn an_error_is_told_in_the_middle_of_a_stream_and_under_200() {
        let error = json!({"error": {"message": "no", "type": "server_error"}});
        let reading = follow(WIRE, &events(&[delta(json!({"content": "a"})), error.clone()]));
        assert_eq!((reading.error.as_deref(), reading.complete), (Some("no"), false));
        assert_eq!(follow(WIRE, &error.to_string()).error.as_deref(), Some("no"));
        let other = json!({"object": "error", "message": "bad", "code": 400});
        assert_eq!(follow(WIRE, &other.to_string()).error.as_deref(), Some("bad"));
    }
}
