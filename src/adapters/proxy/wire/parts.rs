//! The bytes that stand for what a model reads.
//!
//! Two things hang on them. Their sum bounds the tokens, so nothing that a model can read may be
//! missing: text is kept as JSON writes it, which is never shorter, and the names and quotes around
//! it are more than a protocol's own marks between messages. And their start tells whether a
//! conversation goes on from an earlier call, so what clients move or count up from call to call
//! without a model reading it is left out.

use std::iter::repeat_n;

use serde_json::Value;

use super::json::Object;

/// What the definition of a tool that a request only names adds to the input. Those that are told of have 245
/// (a shell) to 700 tokens (a text editor); a longer one would show as a bound that was violated.
pub(super) const DEFINITION: usize = 1024;

/// What stands before the conversation, as one part: every field but those named, for what is not known
/// may add input. Objects directly in it and in its lists lose the fields in `marks`.
pub(super) fn head(body: &Object, left_out: &[&str], marks: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for (field, value) in body {
        if !left_out.contains(&field.as_str()) {
            name(&mut out, field);
            write(&mut out, value, marks, &[]);
        }
    }
    out
}

/// Makes room in the head for the definitions of tools that the provider has and the request only names.
pub(super) fn define(head: &mut Vec<u8>, tools: usize) {
    head.extend(repeat_n(b' ', tools.saturating_mul(DEFINITION)));
}

/// One message or item. It loses the fields in `marks`, and so do the objects in its field `within`,
/// however deep these lie in each other.
pub(super) fn item(value: &Value, marks: &[&str], within: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, value, marks, within);
    out
}

fn write(out: &mut Vec<u8>, value: &Value, marks: &[&str], within: &[&str]) {
    match value {
        Value::Array(list) => {
            for one in list {
                write(out, one, marks, within);
                out.push(b',');
            }
        }
        Value::Object(object) => {
            out.push(b'{');
            for (field, value) in object.iter().filter(|(field, _)| !marks.contains(&field.as_str())) {
                name(out, field);
                match within.contains(&field.as_str()) {
                    true => write(out, value, marks, within),
                    false => plain(out, value),
                }
            }
            out.push(b'}');
        }
        other => plain(out, other),
    }
}

/// Written as a text too, so that no field can be named like two.
fn name(out: &mut Vec<u8>, field: &str) {
    out.push(b',');
    plain(out, &Value::from(field));
    out.push(b':');
}

fn plain(out: &mut Vec<u8>, value: &Value) {
    out.extend_from_slice(value.to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_are_left_out_where_a_protocol_puts_them_and_nowhere_else() {
        let message = json!({"role": "user", "content": [
            {"type": "text", "text": "a", "mark": 1},
            {"type": "tool_use", "input": {"mark": "read by the model"}},
            {"type": "tool_result", "content": [{"type": "text", "text": "b", "mark": 2}]},
        ]});
        let bytes = String::from_utf8(item(&message, &["mark"], &["content"])).unwrap();
        assert_eq!(bytes.matches("mark").count(), 1, "{bytes}");
        assert!(bytes.contains("read by the model"), "{bytes}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_longer_than_the_bytes_that_stand_for_it(text: String) {
            let message = json!({"content": text});
            proptest::prop_assert!(item(&message, &[], &["content"]).len() >= text.len());
        }
    }
}
