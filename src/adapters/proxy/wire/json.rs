//! Reading JSON whose shape nobody promises: requests of agents and answers of servers.

use serde_json::{Map, Value};

use super::Unbounded;
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// No answer reads or writes so many tokens; a server that says so is not to be believed.
const ABSURD: u64 = 20_000_000;

/// The request's body, which is an object in every protocol.
pub(super) fn object(body: Value) -> Result<Object, Unbounded> {
    match body {
        Value::Object(body) => Ok(body),
        _ => Err(Unbounded("the body of a request must be a JSON object".to_owned())),
    }
}

/// Whether a field says something: `null` is the same as leaving it out.
pub(super) fn is_set(body: &Object, field: &str) -> bool {
    body.get(field).is_some_and(|value| !value.is_null())
}

/// A text, or an empty one where there is none.
pub(super) fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A field that holds a text where it is there at all.
pub(super) fn optional_text(body: &Object, field: &str) -> Result<String, Unbounded> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(Unbounded(format!("`{field}` must be a text"))),
    }
}

/// A field that is false where it is not there.
pub(super) fn flag(body: &Object, field: &str) -> Result<bool, Unbounded> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Unbounded(format!("`{field}` must be true or false"))),
    }
}

/// An output limit. One that can't be read is refused: the server might read it in its own way.
pub(super) fn limit(body: &Object, field: &str) -> Result<Option<Tokens>, Unbounded> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .map(|limit| Some(Tokens(limit)))
            .ok_or_else(|| Unbounded(format!("`{field}` must be a whole number of tokens"))),
    }
}

/// Refuses more than one answer: each would have an output limit of its own.
pub(super) fn single(body: &Object, field: &str) -> Result<(), Unbounded> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(value) if value.as_u64() == Some(1) => Ok(()),
        Some(_) => Err(Unbounded(format!(
            "`{field}` asks for several answers, each with its own output limit; leave it out and ask once for each"
        ))),
    }
}

/// Refuses a field that makes the provider read what is not in the request.
pub(super) fn absent(body: &Object, field: &str) -> Result<(), Unbounded> {
    if !is_set(body, field) {
        return Ok(());
    }
    Err(Unbounded(format!(
        "`{field}` makes the provider read what is not in this request, so that its tokens can't be bounded; \
         leave it out and send the whole conversation"
    )))
}

/// A list of objects that the request can't do without.
pub(super) fn objects<'b>(body: &'b mut Object, field: &str) -> Result<&'b mut Vec<Value>, Unbounded> {
    match body.get_mut(field) {
        Some(Value::Array(list)) if list.iter().all(Value::is_object) => Ok(list),
        _ => Err(Unbounded(format!("`{field}` must be a list of objects"))),
    }
}

/// Characters of what a model wrote: of the text, or of the JSON where it is none.
pub(super) fn characters(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::String(text) => text.chars().count() as u64,
        other => other.to_string().chars().count() as u64,
    }
}

/// [`characters`] of some fields together.
pub(super) fn characters_in(value: &Value, fields: &[&str]) -> u64 {
    fields.iter().filter_map(|field| value.get(field)).map(characters).sum()
}

/// A number of tokens as servers report it; none where it is no whole number or an absurd one.
pub(super) fn count(value: &Value) -> Option<u64> {
    value.as_u64().filter(|count| *count < ABSURD)
}

/// Usage from its two fields. Some servers that are compatible leave reasoning out of the output
/// and count it in the total only, so what the total has beyond the input is output too. What was read from a
/// cache is part of the input, so that is no less.
pub(super) fn usage(value: &Value, input: &str, output: &str) -> Option<Usage> {
    let read = count(value.get(input)?)?;
    let written = count(value.get(output)?)?;
    let beyond = value.get("total_tokens").and_then(count).map_or(0, |total| total.saturating_sub(read));
    let cached = |details: &str| value.get(details).and_then(|details| details.get("cached_tokens")).and_then(count);
    let cached = ["prompt_tokens_details", "input_tokens_details"].into_iter().filter_map(cached).max();
    Some(Usage { input: Tokens(read.max(cached.unwrap_or(0))), output: Tokens(written.max(beyond)) })
}

/// What an error says: a text, or the `message` in it.
pub(super) fn error(value: &Value) -> String {
    const LONGEST: usize = 1000;
    let text = match value {
        Value::String(text) => text.as_str(),
        value => text(value, "message"),
    };
    match text {
        "" => "the provider told an error without a message".to_owned(),
        text => text.chars().take(LONGEST).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn negative_fractional_overflowing_and_absurd_numbers_are_no_usage() {
        for bad in ["-1", "1.5", "1e3", "20000000", "18446744073709551616", "\"7\"", "null", "[]"] {
            let value: Value = serde_json::from_str(&format!("{{\"in\":{bad},\"out\":2}}")).unwrap();
            assert_eq!(usage(&value, "in", "out"), None, "{bad}");
        }
        let good = usage(&json!({"in": 7, "out": 0}), "in", "out");
        assert_eq!(good, Some(Usage { input: Tokens(7), output: Tokens(0) }));
    }

    #[test]
    fn output_that_only_the_total_counts_is_output() {
        let value = json!({"in": 10, "out": 5, "total_tokens": 40});
        assert_eq!(usage(&value, "in", "out").map(|usage| usage.output), Some(Tokens(30)));
        let value = json!({"in": 10, "out": 5, "total_tokens": 3});
        assert_eq!(usage(&value, "in", "out").map(|usage| usage.output), Some(Tokens(5)));
    }

    #[test]
    fn more_that_was_cached_than_was_read_was_read() {
        for details in ["prompt_tokens_details", "input_tokens_details"] {
            let value = json!({"in": 10, "out": 5, details: {"cached_tokens": 4000}});
            assert_eq!(usage(&value, "in", "out").map(|usage| usage.input), Some(Tokens(4000)), "{details}");
        }
    }

    #[test]
    fn an_error_is_told_whatever_its_shape() {
        assert_eq!(error(&json!("no")), "no");
        assert_eq!(error(&json!({"message": "no"})), "no");
        assert_eq!(error(&json!({"code": 3})), "the provider told an error without a message");
        assert_eq!(error(&json!("x".repeat(5000))).len(), 1000);
    }
}
