//! Gemini generateContent.
//!
//! Google reads every field by two names, `maxOutputTokens` and `max_output_tokens`, and takes one
//! object where a list of them belongs. Both are brought into one form first, where it matters.

use serde_json::{Value, json};

use super::answer::{Answer, Follower, Tally};
use super::json::{self, Object};
use super::strip::{self, Notes};
use super::{Counting, Endpoint, Meter, Request, Rules, Unbounded, parts};
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;

/// The protocol.
pub(super) struct Gemini;

/// Fields of parts whose tokens are bounded by their bytes, by both of their names.
const KNOWN: [&str; 14] = [
    "text",
    "thought",
    "thoughtSignature",
    "thought_signature",
    "functionCall",
    "function_call",
    "functionResponse",
    "function_response",
    "executableCode",
    "executable_code",
    "codeExecutionResult",
    "code_execution_result",
    "partMetadata",
    "part_metadata",
];

/// Fields that add nothing to what is read, so that a conversation is known again whatever they say.
const UNREAD: [&str; 6] = ["contents", "generationConfig", "safetySettings", "labels", "store", "serviceTier"];

/// The same, of `generationConfig`.
const UNREAD_CONFIG: [&str; 6] = ["maxOutputTokens", "temperature", "topP", "topK", "seed", "stopSequences"];

/// A budget for thinking that is lowered below this is dropped: then the model chooses, within the limit.
const LEAST_THINKING: u64 = 1024;

impl Rules for Gemini {
    fn read(&self, endpoint: &Endpoint, body: Value) -> Result<Request, Unbounded> {
        let (model, stream) = match endpoint {
            Endpoint::Generate { model, stream, .. } => (model.clone().unwrap_or_default(), *stream),
            _ => (String::new(), false),
        };
        let mut body = json::object(body)?;
        for field in ["systemInstruction", "generationConfig", "toolConfig", "cachedContent"] {
            rename(&mut body, field)?;
        }
        json::absent(&body, "cachedContent")?;
        let mut notes = Notes::default();
        let asked = config(&mut body, &mut notes)?;
        tools(&mut body, &mut notes)?;
        as_list(&mut body, "contents");
        if let Some(Value::Object(system)) = body.get_mut("systemInstruction") {
            content(system, &mut notes)?;
        }
        for one in json::objects(&mut body, "contents")?.iter_mut().filter_map(Value::as_object_mut) {
            content(one, &mut notes)?;
        }
        let parts = parts(&model, &body);
        Ok(Request { body: body.into(), model, stream, asked, parts, stripped: notes.0 })
    }

    fn limit(&self, request: &mut Request, output: Tokens) {
        let Some(body) = request.body.as_object_mut() else { return };
        let config = body.entry("generationConfig").or_insert_with(|| json!({}));
        let Some(config) = config.as_object_mut() else { return };
        config.insert("maxOutputTokens".to_owned(), output.0.into());
        let Some(Value::Object(thinking)) = config.get_mut("thinkingConfig") else { return };
        // The budget is part of the limit; half leaves as much for the answer.
        if thinking.get("thinkingBudget").and_then(whole).is_some_and(|budget| budget >= output.0) {
            match output.0 / 2 {
                lowered if lowered < LEAST_THINKING => thinking.remove("thinkingBudget"),
                lowered => thinking.insert("thinkingBudget".to_owned(), lowered.into()),
            };
        }
    }

    fn counting(&self, request: &Request, path: &str) -> Option<Counting> {
        let mut body = request.body.as_object()?.clone();
        body.insert("model".to_owned(), format!("models/{}", request.model).into());
        let path = format!("{}:countTokens", path.rsplit_once(':')?.0);
        Some(Counting { path, body: json!({"generateContentRequest": body}), field: "totalTokens" })
    }

    fn meter(&self) -> Box<dyn Meter> {
        Follower::meter(Content::default())
    }
}

/// Gives a field the name that is looked for. Both names at once are refused: nobody knows which is read.
fn rename(body: &mut Object, field: &str) -> Result<(), Unbounded> {
    let other = field.chars().fold(String::new(), |mut name, c| {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
        name
    });
    let Some(value) = body.remove(&other) else { return Ok(()) };
    match body.insert(field.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(Unbounded(format!("`{field}` and `{other}` are the same field; give it once"))),
    }
}

/// Makes a list of an object that stands alone.
fn as_list(body: &mut Object, field: &str) {
    if let Some(value @ Value::Object(_)) = body.get_mut(field) {
        *value = Value::Array(vec![value.take()]);
    }
}

/// A whole number as Google reads it: also from a text, and from a fraction that is none.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().or_else(|| {
            let fraction = value.as_f64()?;
            let fits = fraction.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&fraction);
            fits.then_some(fraction as u64)
        }),
    }
}

/// Reads and cleans `generationConfig`; the output limit in it.
fn config(body: &mut Object, notes: &mut Notes) -> Result<Option<Tokens>, Unbounded> {
    let config = match body.get_mut("generationConfig") {
        Some(Value::Object(config)) => config,
        Some(Value::Null) => {
            body.remove("generationConfig");
            return Ok(None);
        }
        None => return Ok(None),
        Some(_) => return Err(Unbounded("`generationConfig` must be an object".to_owned())),
    };
    for field in ["maxOutputTokens", "candidateCount", "responseModalities", "thinkingConfig"] {
        rename(config, field)?;
    }
    if let Some(Value::Object(thinking)) = config.get_mut("thinkingConfig") {
        rename(thinking, "thinkingBudget")?;
    }
    if let Some(count) = config.get("candidateCount").and_then(whole).filter(|count| *count < 2) {
        config.insert("candidateCount".to_owned(), count.max(1).into());
    }
    json::single(config, "candidateCount")?;
    let only_text = |wanted: &Value| match wanted {
        Value::Array(kinds) => kinds.iter().all(|kind| kind == "TEXT"),
        kind => kind == "TEXT",
    };
    if config.get("responseModalities").is_some_and(|wanted| !only_text(wanted)) {
        strip::fields(config, &["responseModalities"], notes);
    }
    match config.get("maxOutputTokens") {
        None | Some(Value::Null) => Ok(None),
        Some(limit) => whole(limit)
            .map(|limit| Some(Tokens(limit)))
            .ok_or_else(|| Unbounded("`maxOutputTokens` must be a whole number of tokens".to_owned())),
    }
}

/// Keeps declarations of functions, which the client runs; all else is run by the provider.
fn tools(body: &mut Object, notes: &mut Notes) -> Result<(), Unbounded> {
    as_list(body, "tools");
    if !json::is_set(body, "tools") {
        body.remove("tools");
    } else {
        let tools = json::objects(body, "tools")?;
        for tool in tools.iter_mut().filter_map(Value::as_object_mut) {
            rename(tool, "functionDeclarations")?;
            tool.retain(|name, _| {
                let stays = name == "functionDeclarations";
                if !stays {
                    notes.add(format!("tool `{}`, which is not run by the client", strip::told(name)));
                }
                stays
            });
        }
        tools.retain(|tool| tool.as_object().is_some_and(|tool| !tool.is_empty()));
        if tools.is_empty() {
            body.remove("tools");
            body.remove("toolConfig");
        }
    }
    if let Some(Value::Object(config)) = body.get_mut("toolConfig") {
        rename(config, "functionCallingConfig")?;
        config.retain(|name, _| name == "functionCallingConfig");
    }
    Ok(())
}

/// Takes what is no text out of one turn of a conversation.
fn content(content: &mut Object, notes: &mut Notes) -> Result<(), Unbounded> {
    as_list(content, "parts");
    let parts = match content.get_mut("parts") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(parts)) => parts,
        Some(_) => return Err(Unbounded("the `parts` of a content must be a list".to_owned())),
    };
    for part in parts {
        let Value::Object(fields) = part else { continue };
        if let Some(other) = fields.keys().find(|field| !KNOWN.contains(&field.as_str())) {
            notes.add(format!("a part with `{}`, whose tokens can't be bounded", strip::told(other)));
            *part = json!({"text": strip::left_out(other)});
            continue;
        }
        for name in ["functionResponse", "function_response"] {
            if let Some(Value::Object(result)) = fields.get_mut(name) {
                response(result, notes);
            }
        }
    }
    Ok(())
}

/// What a function gave may have parts beside it, and these are never text.
fn response(result: &mut Object, notes: &mut Notes) {
    let parts = result.remove("parts").filter(|parts| parts.as_array().is_none_or(|parts| !parts.is_empty()));
    if parts.is_some_and(|parts| !parts.is_null()) {
        notes.add("parts of a function's response, whose tokens can't be bounded".to_owned());
        if let Some(Value::Object(response)) = result.get_mut("response") {
            response.insert("left_out".to_owned(), strip::left_out("").into());
        }
    }
}

fn parts(model: &str, body: &Object) -> Vec<Vec<u8>> {
    let mut head = model.as_bytes().to_vec();
    head.extend(parts::head(body, &UNREAD, &[]));
    if let Some(Value::Object(config)) = body.get("generationConfig") {
        head.extend(parts::head(config, &UNREAD_CONFIG, &[]));
    }
    let contents = body.get("contents").and_then(Value::as_array).into_iter().flatten();
    std::iter::once(head).chain(contents.map(|content| parts::item(content, &[], &[]))).collect()
}

/// An answer: each piece has the form of the whole.
#[derive(Default)]
struct Content {
    tally: Tally,
}

impl Answer for Content {
    fn take(&mut self, _event: &str, data: &Value) {
        self.tally.fail_by(data);
        for candidate in data["candidates"].as_array().into_iter().flatten() {
            let parts = candidate["content"]["parts"].as_array().into_iter().flatten();
            self.tally.wrote(parts.map(written).sum());
            if candidate["finishReason"].is_string() {
                self.tally.finish();
            }
        }
        if data["promptFeedback"]["blockReason"].is_string() {
            self.tally.finish();
        }
        if let Some(told) = data.get("usageMetadata").filter(|told| !told.is_null()) {
            self.tally.used(usage(told));
        }
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }

    fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

fn written(part: &Value) -> u64 {
    let inside = [part.get("functionCall"), part.get("executableCode")].into_iter().flatten();
    json::characters_in(part, &["text"])
        + inside.map(|call| json::characters_in(call, &["name", "args", "code"])).sum::<u64>()
}

/// Numbers that are zero are not told, but every prompt has tokens. Some models told their thoughts in
/// the total only.
fn usage(told: &Value) -> Option<Usage> {
    let number = |field: &str| told.get(field).map_or(Some(0), json::count);
    told.get("promptTokenCount")?;
    let read = number("promptTokenCount")?.max(number("cachedContentTokenCount")?);
    let input = read + number("toolUsePromptTokenCount")?;
    let output = number("candidatesTokenCount")? + number("thoughtsTokenCount")?;
    let beyond = number("totalTokenCount")?.saturating_sub(input);
    Some(Usage { input: Tokens(input), output: Tokens(output.max(beyond)) })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{events, follow, limited, read, refuse, usage};
    use super::super::{ErrorKind, error, rules};
    use super::*;
    use crate::domain::wire::Provider;
    use crate::domain::wire::Wire::Gemini as WIRE;

    fn with(field: &str, value: Value) -> Value {
        let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
        body[field] = value;
        body
    }

    #[test]
    fn the_model_and_the_stream_are_named_by_the_path() {
        let endpoint = Endpoint::Generate { wire: WIRE, model: Some("g".to_owned()), stream: true };
        let request = rules(WIRE).read(&endpoint, with("model", json!("other"))).unwrap();
        assert_eq!((request.model.as_str(), request.stream), ("g", true));
    }

    #[test]
    fn a_counter_is_asked_about_the_whole_request() {
        let endpoint = Endpoint::Generate { wire: WIRE, model: Some("g".to_owned()), stream: true };
        let request = rules(WIRE).read(&endpoint, with("x", json!(1))).unwrap();
        let counting = rules(WIRE).counting(&request, "/v1beta/models/g:streamGenerateContent").unwrap();
        assert_eq!(counting.path, "/v1beta/models/g:countTokens");
        assert_eq!(counting.body["generateContentRequest"]["model"], "models/g");
        assert_eq!(counting.body["generateContentRequest"]["contents"], request.body["contents"]);
    }

    #[test]
    fn both_names_of_a_field_are_read_and_both_at_once_are_refused() {
        for config in [
            json!({"generationConfig": {"maxOutputTokens": 50}}),
            json!({"generation_config": {"max_output_tokens": 50}}),
            json!({"generationConfig": {"max_output_tokens": "50"}}),
            json!({"generation_config": {"maxOutputTokens": 50.0}}),
        ] {
            let mut body = with("x", json!(1));
            body.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
            assert_eq!(read(WIRE, body.clone()).asked, Some(Tokens(50)), "{config}");
            let body = limited(WIRE, body, 30);
            assert_eq!(body["generationConfig"], json!({"maxOutputTokens": 30}), "{config}");
            assert_eq!(body.get("generation_config"), None);
        }
        let twice = with("generationConfig", json!({"maxOutputTokens": 50, "max_output_tokens": 60}));
        assert!(refuse(WIRE, twice).contains("give it once"));
        for bad in [json!(-1), json!(1.5), json!("many"), json!(true)] {
            assert!(refuse(WIRE, with("generationConfig", json!({"maxOutputTokens": bad}))).contains("whole number"));
        }
        assert_eq!(limited(WIRE, with("x", json!(1)), 30)["generationConfig"], json!({"maxOutputTokens": 30}));
    }

    #[test]
    fn several_answers_and_what_the_provider_keeps_are_refused() {
        for (name, count) in
            [("candidateCount", json!(2)), ("candidate_count", json!("2")), ("candidateCount", json!(8.0))]
        {
            assert!(refuse(WIRE, with("generationConfig", json!({name: count}))).contains("ask once for each"));
        }
        for count in [json!(1), json!("1"), json!(0), json!(null)] {
            read(WIRE, with("generationConfig", json!({"candidateCount": count})));
        }
        for name in ["cachedContent", "cached_content"] {
            assert!(refuse(WIRE, with(name, json!("cachedContents/x"))).contains("send the whole conversation"));
        }
    }

    #[test]
    fn only_declared_functions_stay_of_the_tools() {
        let functions = json!([{"name": "f"}]);
        let mut body =
            with("tools", json!([{"function_declarations": functions, "googleSearch": {}}, {"codeExecution": {}}]));
        body["tool_config"] = json!({"function_calling_config": {"mode": "ANY"}, "retrievalConfig": {}});
        let request = read(WIRE, body);
        assert_eq!(request.body["tools"], json!([{"functionDeclarations": functions}]));
        assert_eq!(request.body["toolConfig"], json!({"functionCallingConfig": {"mode": "ANY"}}));
        assert_eq!(request.stripped.len(), 2);
        let mut body = with("tools", json!({"google_search": {}}));
        body["toolConfig"] = json!({"functionCallingConfig": {"mode": "ANY"}});
        let request = read(WIRE, body);
        assert_eq!((request.body.get("tools"), request.body.get("toolConfig")), (None, None));
        assert_eq!(request.stripped, ["tool `google_search`, which is not run by the client"]);
    }

    #[test]
    fn what_is_no_text_is_replaced_by_a_text_that_says_so() {
        let body = json!({
            "system_instruction": {"parts": {"inlineData": {"mimeType": "image/png", "data": "aGk="}}},
            "contents": {"parts": [
                {"text": "kept", "thought": true},
                {"file_data": {"fileUri": "https://x"}},
                {"functionResponse": {"name": "f", "response": {"output": "kept"},
                    "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]}},
            ]},
        });
        let request = read(WIRE, body);
        let left_out = |kind: &str| json!({"text": strip::left_out(kind)});
        assert_eq!(request.body["systemInstruction"]["parts"], json!([left_out("inlineData")]));
        let parts = &request.body["contents"][0]["parts"];
        assert_eq!(parts[0], json!({"text": "kept", "thought": true}));
        assert_eq!(parts[1], left_out("file_data"));
        let response = json!({"name": "f", "response": {"output": "kept", "left_out": strip::left_out("")}});
        assert_eq!(parts[2]["functionResponse"], response);
        assert_eq!(request.stripped.len(), 3, "{:?}", request.stripped);
    }

    #[test]
    fn sound_and_pictures_are_not_asked_for() {
        let config = json!({"response_modalities": ["TEXT", "AUDIO"]});
        let request = read(WIRE, with("generationConfig", config));
        assert_eq!(
            (&request.body["generationConfig"], request.stripped),
            (&json!({}), vec!["`responseModalities`".to_owned()])
        );
        let config = json!({"responseModalities": ["TEXT"]});
        assert_eq!(read(WIRE, with("generationConfig", config.clone())).body["generationConfig"], config);
    }

    #[test]
    fn a_budget_for_thinking_stays_below_the_limit_or_goes() {
        let budget = |told: Value, output| {
            let config = json!({"thinking_config": {"thinking_budget": told, "includeThoughts": true}});
            let body = limited(WIRE, with("generationConfig", config), output);
            let thinking = &body["generationConfig"]["thinkingConfig"];
            assert_eq!(thinking["includeThoughts"], true);
            thinking.get("thinkingBudget").cloned()
        };
        assert_eq!(budget(json!(8192), 10_000), Some(json!(8192)));
        assert_eq!(budget(json!("8192"), 8000), Some(json!(4000)));
        assert_eq!(budget(json!(8192), 2047), None);
        assert_eq!(budget(json!(-1), 100), Some(json!(-1)));
        assert_eq!(budget(json!(0), 100), Some(json!(0)));
    }

    fn chunk(text: &str, finish: Option<&str>, output: u64) -> Value {
        let mut chunk = json!({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}],
            "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": output, "thoughtsTokenCount": 100,
                "toolUsePromptTokenCount": 3, "cachedContentTokenCount": 5, "totalTokenCount": 110 + output}});
        if let Some(finish) = finish {
            chunk["candidates"][0]["finishReason"] = finish.into();
        }
        chunk
    }

    #[test]
    fn the_last_usage_counts_with_thoughts_and_is_complete_with_the_reason_to_finish() {
        let call = json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "run", "args": {}}}]}}]});
        let whole = [chunk("tschüß", None, 1), call, chunk("", Some("STOP"), 4)];
        let cut = follow(WIRE, &events(&whole[..2]));
        assert_eq!((cut.usage, cut.complete, cut.written), (usage(10, 101), false, 11));
        let sse = follow(WIRE, &events(&whole));
        assert_eq!((sse.usage, sse.complete, sse.written), (usage(10, 104), true, 11));
        // Without `alt=sse` a stream is one list.
        assert_eq!(follow(WIRE, &Value::from(whole.to_vec()).to_string()), sse);
    }

    #[test]
    fn zeros_are_left_out_of_usage_and_a_blocked_prompt_is_an_end() {
        let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 7}});
        let reading = follow(WIRE, &blocked.to_string());
        assert_eq!((reading.usage, reading.complete), (usage(7, 0), true));
        let thoughts = json!({"usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 90}});
        assert_eq!(follow(WIRE, &thoughts.to_string()).usage, usage(7, 83));
        let silent = json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"totalTokenCount": 7}});
        assert_eq!(follow(WIRE, &silent.to_string()).usage, None);
    }

    #[test]
    fn an_error_is_told_in_the_middle_of_a_stream_and_under_200() {
        let error = error(Provider::Gemini, ErrorKind::Unreachable, "no");
        for text in [events(&[chunk("a", None, 1), error.clone()]), error.to_string(), json!([error]).to_string()] {
            let reading = follow(WIRE, &text);
            assert_eq!((reading.error.as_deref(), reading.complete), (Some("no"), false));
        }
    }
}
