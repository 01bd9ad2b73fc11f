//! Which of a request's tools runs commands, and how it wants to be called.

use serde_json::{Map, Value, json};

use super::call::{Call, Kind, Offered};

/// Names of such tools, the likeliest first; compared without case.
const NAMES: &[&str] = &[
    "bash",
    "shell",
    "shell_command",
    "exec_command",
    "run_shell_command",
    "local_shell",
    "developer__shell",
    "run_terminal_cmd",
    "terminal",
    "execute_command",
    "run_command",
    "exec",
    "run",
];
/// Names of the argument that holds the command.
const COMMANDS: &[&str] = &["command", "cmd", "commands", "script", "argv", "input"];

/// The tool for commands.
pub(super) fn pick(call: &Call) -> Option<&Offered> {
    let named = NAMES.iter().find_map(|name| call.offered.iter().find(|o| o.name.eq_ignore_ascii_case(name)));
    let takes_one = |offered: &&Offered| matches!(command(&offered.schema), Some("command" | "cmd"));
    named.or_else(|| call.offered.iter().find(takes_one))
}

/// What it is called with.
pub(super) fn arguments(tool: &Offered, line: &str) -> Value {
    if tool.kind != Kind::Function {
        return line.into();
    }
    let name = command(&tool.schema).unwrap_or("command");
    let properties = &tool.schema["properties"];
    let list = is(&properties[name], "array") && !is(&properties[name], "string");
    let mut arguments = Map::new();
    arguments.insert(name.to_owned(), if list { json!(["bash", "-lc", line]) } else { line.into() });
    let required = tool.schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for other in required.filter(|other| *other != name) {
        arguments.insert(other.to_owned(), filler(other, &properties[other]));
    }
    arguments.into()
}

/// A text that holds the command for whoever offers no tools: in the fence that the request itself
/// talks of.
pub(super) fn fenced(call: &Call, line: &str) -> String {
    let language = if call.text.contains("mswea_bash_command") { "mswea_bash_command" } else { "bash" };
    format!("Next comes one command.\n\n```{language}\n{line}\n```\n")
}

fn command(schema: &Value) -> Option<&'static str> {
    COMMANDS.iter().copied().find(|name| schema["properties"].get(name).is_some())
}

/// Whether a schema allows this type. Gemini's own schemas write types in capitals.
fn is(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::String(one) => one.eq_ignore_ascii_case(kind),
        Value::Array(several) => several.iter().any(|one| one.as_str() == Some(kind)),
        _ => ["anyOf", "oneOf"].iter().any(|of| schema[of].as_array().is_some_and(|s| s.iter().any(|s| is(s, kind)))),
    }
}

/// Something that fits a required argument that nobody cares about.
fn filler(name: &str, schema: &Value) -> Value {
    if let Some(value) = schema.get("default").or_else(|| schema["enum"].get(0)) {
        return value.clone();
    }
    match () {
        () if is(schema, "string") => "scripted".into(),
        () if is(schema, "boolean") => false.into(),
        () if name.contains("timeout") => 60_000.into(),
        () if is(schema, "integer") || is(schema, "number") => {
            schema.get("minimum").cloned().unwrap_or_else(|| 1.into())
        }
        () if is(schema, "array") => json!([]),
        () => json!({}),
    }
}
