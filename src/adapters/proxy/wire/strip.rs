//! Takes out of requests what would make a bound false, and keeps note of it.

use serde_json::{Value, json};

use super::Unbounded;
use super::json::{Object, text};

/// So many different things are told; a request that has more of them is not told better by more.
const MOST: usize = 64;

/// What was taken out, each thing once.
#[derive(Debug, Default)]
pub(super) struct Notes(pub(super) Vec<String>);

impl Notes {
    pub(super) fn add(&mut self, what: String) {
        if self.0.len() < MOST && !self.0.contains(&what) {
            self.0.push(what);
        }
    }
}

/// A name that a client chose, in a form that can be told: not too long, and without control characters.
pub(super) fn told(name: &str) -> String {
    name.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What a part or tool says that it is.
pub(super) fn kind(value: &Value) -> &str {
    text(value, "type")
}

/// Takes fields out. One that says nothing, or no, is not missed.
pub(super) fn fields(body: &mut Object, names: &[&str], notes: &mut Notes) {
    for name in names {
        if body.remove(*name).is_some_and(|value| !value.is_null() && value != false) {
            notes.add(format!("`{name}`"));
        }
    }
}

/// What stands in the place of a part that was taken out.
pub(super) fn left_out(kind: &str) -> String {
    match told(kind).as_str() {
        "" => "[a part was left out here: only text can be sent]".to_owned(),
        kind => format!("[a part of type {kind} was left out here: only text can be sent]"),
    }
}

/// Replaces whatever is in a message and is not known to be text. How many tokens a picture, a
/// document or a sound has is not told by its bytes, still less by its address.
pub(super) fn media(content: &mut Value, known: &[&str], as_text: &str, notes: &mut Notes) -> Result<(), Unbounded> {
    let parts = match content {
        Value::Null | Value::String(_) => return Ok(()),
        Value::Array(parts) => parts,
        _ => return Err(Unbounded("the content of a message must be a text or a list of parts".to_owned())),
    };
    for part in parts.iter_mut().filter(|part| !part.is_string()) {
        let kind = kind(part);
        if !known.contains(&kind) {
            notes.add(format!("a part of type `{}`, whose tokens can't be bounded", told(kind)));
            *part = json!({"type": as_text, "text": left_out(kind)});
        }
    }
    Ok(())
}

/// Takes out of a list the tools that the provider runs itself: what they give is read by the model
/// within the same request, and nobody knows how much it is.
pub(super) fn tools(
    list: &mut Value,
    runs_here: &dyn Fn(&mut Value) -> bool,
    notes: &mut Notes,
) -> Result<(), Unbounded> {
    let Value::Array(list) = list else {
        return Err(Unbounded("`tools` must be a list".to_owned()));
    };
    list.retain_mut(|tool| {
        let stays = runs_here(tool);
        if !stays {
            let name = match (kind(tool), name(tool)) {
                ("", name) => name,
                (kind, _) => kind,
            };
            notes.add(format!("tool `{}`, which is not run by the client", told(name)));
        }
        stays
    });
    Ok(())
}

/// [`tools`] of a request's body. An empty list goes with whatever says how to choose from it, and a
/// choice that names a tool goes with the tool.
pub(super) fn offered(
    body: &mut Object,
    runs_here: &dyn Fn(&mut Value) -> bool,
    notes: &mut Notes,
) -> Result<(), Unbounded> {
    let mut list = body.remove("tools").unwrap_or_default();
    if list.is_null() {
        return Ok(());
    }
    tools(&mut list, runs_here, notes)?;
    if list.as_array().is_none_or(Vec::is_empty) {
        body.remove("tool_choice");
        body.remove("parallel_tool_calls");
    } else {
        choice(body, &list);
        body.insert("tools".to_owned(), list);
    }
    Ok(())
}

fn choice(body: &mut Object, tools: &Value) {
    let Some(choice @ Value::Object(_)) = body.get_mut("tool_choice") else { return };
    let stays = match allowed(choice) {
        Some(list) => {
            list.retain(|one| is_offered(one, tools));
            !list.is_empty()
        }
        None => is_offered(choice, tools),
    };
    if !stays {
        body.remove("tool_choice");
    }
}

/// The list of a choice that allows several tools.
fn allowed(choice: &mut Value) -> Option<&mut Vec<Value>> {
    match choice.get("allowed_tools").is_some() {
        true => choice.get_mut("allowed_tools")?.get_mut("tools")?.as_array_mut(),
        false => choice.get_mut("tools")?.as_array_mut(),
    }
}

fn is_offered(choice: &Value, tools: &Value) -> bool {
    let (wanted, named) = (kind(choice), name(choice));
    if named.is_empty() && ["", "auto", "any", "none", "required"].contains(&wanted) {
        return true;
    }
    tools.as_array().into_iter().flatten().any(|tool| {
        let same = if named.is_empty() { kind(tool) == wanted } else { name(tool) == named };
        same || tool.get("tools").is_some_and(|inner| is_offered(choice, inner))
    })
}

/// What a tool, or a choice of one, is called: in itself, or in the field that has its type's name.
fn name(tool: &Value) -> &str {
    match text(tool, "name") {
        "" => tool.get(kind(tool)).map_or("", |inner| text(inner, "name")),
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(body: Value) -> (Value, Vec<String>) {
        let Value::Object(mut body) = body else { panic!("no object") };
        let mut notes = Notes::default();
        offered(&mut body, &|tool| kind(tool) == "function", &mut notes).unwrap();
        (Value::Object(body), notes.0)
    }

    #[test]
    fn a_choice_goes_with_the_tool_that_it_names_and_stays_with_one_that_stays() {
        let tools = json!([{"type": "function", "function": {"name": "run"}}, {"type": "search"}]);
        for (choice, stays) in [
            (json!("auto"), true),
            (json!({"type": "any"}), true),
            (json!({"type": "function", "function": {"name": "run"}}), true),
            (json!({"type": "tool", "name": "run"}), true),
            (json!({"type": "search"}), false),
            (json!({"type": "tool", "name": "search"}), false),
            (json!({"type": "allowed_tools", "tools": [{"type": "search"}]}), false),
        ] {
            let (body, notes) = offer(json!({"tools": tools, "tool_choice": choice}));
            assert_eq!(body.get("tool_choice").is_some(), stays, "{choice}");
            assert_eq!(body["tools"].as_array().unwrap().len(), 1);
            assert_eq!(notes, ["tool `search`, which is not run by the client"]);
        }
    }

    #[test]
    fn a_choice_of_several_tools_keeps_those_that_are_left() {
        let choice = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
            {"type": "search"}, {"type": "function", "function": {"name": "run"}}]}});
        let tools = json!([{"type": "function", "function": {"name": "run"}}, {"type": "search"}]);
        let (body, _) = offer(json!({"tools": tools, "tool_choice": choice}));
        assert_eq!(body["tool_choice"]["allowed_tools"]["tools"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_field_that_says_nothing_goes_without_a_note() {
        let Value::Object(mut body) = json!({"a": null, "b": false, "c": 0, "d": 1}) else { panic!("no object") };
        let mut notes = Notes::default();
        fields(&mut body, &["a", "b", "c"], &mut notes);
        assert_eq!((Value::Object(body), notes.0), (json!({"d": 1}), vec!["`c`".to_owned()]));
    }

    #[test]
    fn an_empty_list_of_tools_goes_with_all_that_says_how_to_choose() {
        for tools in [json!([]), json!([{"type": "search"}])] {
            let (body, _) = offer(json!({"tools": tools, "tool_choice": "required", "parallel_tool_calls": true}));
            assert_eq!(body, json!({}));
        }
    }

    #[test]
    fn what_was_taken_out_is_told_once_and_without_a_clients_long_names() {
        let tools = json!([{"type": "x\n".repeat(100)}, {"type": "x\n".repeat(100)}]);
        let (_, notes) = offer(json!({"tools": tools}));
        assert_eq!(notes.len(), 1);
        assert!(notes[0].len() < 120 && !notes[0].contains('\n'), "{notes:?}");
        let many: Vec<_> = (0..1000).map(|n| json!({"type": n.to_string()})).collect();
        assert_eq!(offer(json!({"tools": many})).1.len(), MOST);
    }
}
