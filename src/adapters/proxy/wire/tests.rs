//! What holds for every protocol alike.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::adapters::proxy::bound::Anchors;

/// The endpoint at which a protocol's requests come.
pub(super) fn generate(wire: Wire) -> Endpoint {
    let model = (wire == Wire::Gemini).then(|| "gemini-2.5-pro".to_owned());
    Endpoint::Generate { wire, model, stream: false }
}

pub(super) fn read(wire: Wire, body: Value) -> Request {
    rules(wire).read(&generate(wire), body).unwrap()
}

pub(super) fn refuse(wire: Wire, body: Value) -> String {
    rules(wire).read(&generate(wire), body).unwrap_err().to_string()
}

/// The body that is sent with an output limit.
pub(super) fn limited(wire: Wire, body: Value, output: u64) -> Value {
    let mut request = read(wire, body);
    rules(wire).limit(&mut request, Tokens(output));
    request.body
}

/// What is known after some text, which must be the same however it is cut.
pub(super) fn follow(wire: Wire, text: &str) -> Reading {
    let mut whole = rules(wire).meter();
    whole.feed(text.as_bytes(), &mut |_| {});
    for size in [1, 2, 3, 7, 64] {
        let mut cut = rules(wire).meter();
        text.as_bytes().chunks(size).for_each(|piece| {
            cut.feed(piece, &mut |_| {});
        });
        assert_eq!(cut.reading(), whole.reading(), "in pieces of {size}");
    }
    whole.reading()
}

/// The stream that holds these data.
pub(super) fn events(data: &[Value]) -> String {
    data.iter().map(|data| format!("data: {data}\n\n")).collect()
}

pub(super) fn usage(input: u64, output: u64) -> Option<Usage> {
    Some(Usage { input: Tokens(input), output: Tokens(output) })
}

/// A conversation of so many turns, in which each text is a question and its answer. `mark` is where
/// the client has moved its mark for the cache to.
fn conversation(wire: Wire, system: &str, texts: &[String], call: usize) -> Value {
    let marked = |at: usize, mut part: Value| {
        if wire == Wire::Messages && at + 1 == texts.len() {
            part["cache_control"] = json!({"type": "ephemeral"});
        }
        part
    };
    let mut turns = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        turns.extend(match wire {
            Wire::Messages => vec![
                json!({"role": "user", "content": [marked(at, json!({"type": "text", "text": text}))]}),
                json!({"role": "assistant", "content": [
                    {"type": "tool_use", "id": format!("toolu_{at}"), "name": "run", "input": {"command": text}}]}),
                json!({"role": "user", "content": [marked(at, json!({"type": "tool_result",
                    "tool_use_id": format!("toolu_{at}"),
                    "content": [marked(at, json!({"type": "text", "text": text}))]}))]}),
            ],
            Wire::Chat => vec![
                json!({"role": "user", "content": text}),
                json!({"role": "assistant", "content": null, "tool_calls": [{"id": format!("call_{at}"),
                    "type": "function", "function": {"name": "run", "arguments": text}}]}),
                json!({"role": "tool", "tool_call_id": format!("call_{at}"), "content": text}),
            ],
            Wire::Responses => vec![
                json!({"role": "user", "content": [{"type": "input_text", "text": text}]}),
                json!({"type": "function_call", "id": format!("fc_{call}_{at}"), "status": "completed",
                    "call_id": format!("call_{at}"), "name": "run", "arguments": text}),
                json!({"type": "function_call_output", "call_id": format!("call_{at}"), "output": text}),
            ],
            Wire::Gemini => vec![
                json!({"role": "user", "parts": [{"text": text}]}),
                json!({"role": "model", "parts": [{"functionCall": {"name": "run", "args": {"command": text}}}]}),
                json!({"role": "user", "parts": [{"functionResponse": {"name": "run", "response": {"out": text}}}]}),
            ],
        });
    }
    let tool = json!({"name": "run", "description": system});
    match wire {
        Wire::Messages => json!({"model": "m", "max_tokens": 100 + call, "stream": call.is_multiple_of(2),
            "metadata": {"user_id": call.to_string()}, "messages": turns, "tools": [marked(0, tool)],
            "system": [marked(call, json!({"type": "text", "text": system}))]}),
        Wire::Chat => {
            json!({"model": "m", "max_tokens": 100 + call, "stream": call.is_multiple_of(2), "user": call.to_string(),
            "messages": turns, "tools": [{"type": "function", "function": tool}]})
        }
        Wire::Responses => json!({"model": "m", "max_output_tokens": 100 + call, "instructions": system,
            "prompt_cache_key": call.to_string(), "input": turns, "tools": [{"type": "function", "name": "run"}]}),
        Wire::Gemini => json!({"contents": turns, "generationConfig": {"maxOutputTokens": 100 + call},
            "systemInstruction": {"parts": [{"text": system}]}, "tools": [{"functionDeclarations": [tool]}]}),
    }
}

/// Names of fields that the protocols look for.
const FIELDS: &str = "\
    model stream max_tokens messages content contents parts input tools tool_choice type role name text \
    generationConfig generation_config thinkingConfig thinkingBudget maxOutputTokens thinking budget_tokens \
    context_management edits stream_options system systemInstruction usage usageMetadata promptTokenCount \
    input_tokens output_tokens prompt_tokens completion_tokens total_tokens choices delta message candidates \
    response output error finish_reason item function_call tool_calls";

/// Values that the protocols look for.
const WORDS: &str = "\
    message message_start message_delta message_stop content_block_delta content_block_start response.completed \
    response.output_text.delta error response function namespace tool_result reasoning image auto";

/// Any JSON, made of the fields that the protocols look for more often than chance would have it.
fn any_json() -> impl Strategy<Value = Value> {
    let one_of = |words: &'static str| prop::sample::select(words.split_whitespace().collect::<Vec<_>>());
    let (field, word) = (one_of(FIELDS), one_of(WORDS));
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(
                (prop_oneof![4 => field.clone().prop_map(str::to_owned), 1 => ".{0,4}"], inner),
                0..7
            )
            .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Any body that has a chance of being let through.
fn any_body() -> impl Strategy<Value = Value> {
    (any_json(), prop::collection::vec(any_json(), 0..4)).prop_map(|(mut body, turns)| {
        if let Value::Object(fields) = &mut body {
            let turns: Vec<_> = turns.into_iter().filter(Value::is_object).collect();
            for field in ["messages", "input", "contents"] {
                fields.insert(field.to_owned(), turns.clone().into());
            }
            for field in ["model", "stream", "max_tokens"] {
                fields.remove(field);
            }
        }
        body
    })
}

proptest! {
    #[test]
    fn no_request_panics_and_a_limit_is_read_as_it_was_written(body in prop_oneof![any_json(), any_body()], limit in any::<u64>()) {
        for wire in Wire::ALL {
            let Ok(mut request) = rules(wire).read(&generate(wire), body.clone()) else { continue };
            prop_assert!(!request.parts.is_empty());
            rules(wire).limit(&mut request, Tokens(limit));
            let again = rules(wire).read(&generate(wire), request.body.clone());
            let again = again.map_err(|why| TestCaseError::fail(format!("{wire}: {why}")))?;
            prop_assert_eq!(again.asked, Some(Tokens(limit)), "{}", wire);
            // Nothing is left to be taken out, and what was written is not part of what is read.
            prop_assert_eq!(&again.stripped, &Vec::<String>::new(), "{}", wire);
            prop_assert_eq!(&again.body, &request.body, "{}", wire);
        }
    }

    #[test]
    fn no_answer_panics_and_none_is_read_differently_for_being_cut(
        data in prop::collection::vec(any_json(), 0..6), bytes in prop::collection::vec(any::<u8>(), 0..40),
        shape in 0..3, cuts in prop::collection::vec(0..4000usize, 0..6),
    ) {
        let mut text = match shape {
            0 => events(&data),
            1 => Value::from(data).to_string(),
            _ => data.first().map(Value::to_string).unwrap_or_default(),
        }.into_bytes();
        text.extend(bytes);
        for wire in Wire::ALL {
            let mut whole = rules(wire).meter();
            whole.feed(&text, &mut |_| {});
            let mut cut = rules(wire).meter();
            let mut cuts: Vec<_> = cuts.iter().map(|at| at % (text.len() + 1)).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            cuts.windows(2).for_each(|ends| {
                cut.feed(&text[ends[0]..ends[1]], &mut |_| {});
            });
            prop_assert_eq!(cut.reading(), whole.reading(), "{}", wire);
        }
    }

    #[test]
    fn a_conversation_that_goes_on_starts_with_the_parts_of_its_last_call(
        texts in prop::collection::vec(".{1,12}", 2..5), system in ".{0,20}",
    ) {
        for wire in Wire::ALL {
            let earlier = read(wire, conversation(wire, &system, &texts[..texts.len() - 1], 1));
            let later = read(wire, conversation(wire, &system, &texts, 2));
            prop_assert_eq!(later.parts.len(), earlier.parts.len() + 3);
            prop_assert_eq!(&later.parts[..earlier.parts.len()], &earlier.parts[..], "{}", wire);
        }
    }

    #[test]
    fn parts_are_never_shorter_than_the_texts_in_them(
        texts in prop::collection::vec(".{1,30}", 1..5), system in ".{0,40}",
    ) {
        for wire in Wire::ALL {
            let request = read(wire, conversation(wire, &system, &texts, 1));
            let read: usize = texts.iter().map(|text| 3 * text.len()).sum::<usize>() + system.len();
            prop_assert!(request.parts.iter().map(Vec::len).sum::<usize>() >= read, "{}", wire);
        }
    }
}

#[test]
fn a_conversation_that_goes_on_is_bounded_by_what_is_new_in_it() {
    let texts: Vec<_> = (0..50).map(|n| format!("{n} {}", "long text ".repeat(100))).collect();
    for wire in Wire::ALL {
        let mut anchors = Anchors::default();
        let earlier = Anchors::measure(&read(wire, conversation(wire, "s", &texts[..49], 1)).parts);
        anchors.learn(&earlier, Tokens(30_000));
        let bound = anchors.bound(&Anchors::measure(&read(wire, conversation(wire, "s", &texts, 2)).parts));
        assert!(bound > Tokens(33_000) && bound < Tokens(34_000), "{wire}: {bound}");
    }
}

#[test]
fn another_system_text_or_model_is_another_conversation() {
    let texts = ["a".to_owned()];
    for wire in Wire::ALL {
        let one = conversation(wire, "s", &texts, 1);
        let mut other = one.clone();
        match wire {
            Wire::Messages => other["system"][0]["text"] = "t".into(),
            Wire::Chat => other["model"] = "n".into(),
            Wire::Responses => other["instructions"] = "t".into(),
            Wire::Gemini => other["systemInstruction"]["parts"][0]["text"] = "t".into(),
        }
        assert_ne!(read(wire, one).parts[0], read(wire, other).parts[0], "{wire}");
    }
}

#[test]
fn bodies_that_are_no_request_are_refused_with_a_reason() {
    for wire in Wire::ALL {
        for body in [json!(null), json!([]), json!("x"), json!({}), json!({"messages": 1, "input": 1, "contents": 1})] {
            let why = refuse(wire, body.clone());
            assert!(why.contains("must be"), "{wire}: {body}: {why}");
        }
    }
}

#[test]
fn a_request_keeps_whatever_can_be_bounded() {
    for wire in Wire::ALL {
        let mut body = conversation(wire, "s", &["a".to_owned()], 1);
        body["unknown"] = json!({"x": [1, 2.5, 1e300, -0.1, 18_446_744_073_709_551_615_u64, null]});
        let request = read(wire, body.clone());
        assert_eq!((request.body, request.stripped), (body, vec![]), "{wire}");
    }
}

#[test]
fn refusals_have_the_shape_of_each_providers_errors() {
    let show = |provider| {
        [ErrorKind::Invalid, ErrorKind::Unauthorized, ErrorKind::NotFound, ErrorKind::TooLarge, ErrorKind::Unreachable]
            .map(|kind| format!("{} {}", kind.status(), error(provider, kind, "no")))
            .join("\n")
    };
    insta::assert_snapshot!(show(Provider::Anthropic), @r#"
    400 {"error":{"message":"no","type":"invalid_request_error"},"type":"error"}
    401 {"error":{"message":"no","type":"authentication_error"},"type":"error"}
    404 {"error":{"message":"no","type":"not_found_error"},"type":"error"}
    413 {"error":{"message":"no","type":"request_too_large"},"type":"error"}
    502 {"error":{"message":"no","type":"api_error"},"type":"error"}
    "#);
    insta::assert_snapshot!(show(Provider::OpenAi), @r#"
    400 {"error":{"code":null,"message":"no","param":null,"type":"invalid_request_error"}}
    401 {"error":{"code":"invalid_api_key","message":"no","param":null,"type":"invalid_request_error"}}
    404 {"error":{"code":"unknown_url","message":"no","param":null,"type":"invalid_request_error"}}
    413 {"error":{"code":"request_too_large","message":"no","param":null,"type":"invalid_request_error"}}
    502 {"error":{"code":null,"message":"no","param":null,"type":"server_error"}}
    "#);
    insta::assert_snapshot!(show(Provider::Gemini), @r#"
    400 {"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}
    401 {"error":{"code":401,"message":"no","status":"UNAUTHENTICATED"}}
    404 {"error":{"code":404,"message":"no","status":"NOT_FOUND"}}
    413 {"error":{"code":413,"message":"no","status":"INVALID_ARGUMENT"}}
    502 {"error":{"code":502,"message":"no","status":"UNAVAILABLE"}}
    "#);
}
