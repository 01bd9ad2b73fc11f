//! A tool's arguments: one table for the schema that the model is shown and for what is accepted.

use serde_json::{Map, Value, json};

use super::super::conversation::{Call, Ending, Malformed};

/// What the model is told of a tool.
pub struct Tool {
    /// What it is called by.
    pub name: &'static str,
    /// What it does and how it is used.
    pub about: &'static str,
    /// Its arguments.
    pub fields: &'static [Field],
}

/// One argument.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What it means.
    pub about: &'static str,
}

/// What an argument can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A whole number from 1.
    Count,
    /// True or false.
    Flag,
}

impl Kind {
    fn schema(self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Count => json!({"type": "integer", "minimum": 1}),
            Self::Flag => json!({"type": "boolean"}),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Count => "a whole number from 1",
            Self::Flag => "true or false",
        }
    }

    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Count => value.as_u64().is_some_and(|number| number > 0),
            Self::Flag => value.is_boolean(),
        }
    }
}

/// Arguments as their tool wants them.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments(Map<String, Value>);

impl Arguments {
    /// A string; empty where it was left out.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A number, unless it was left out.
    pub fn count(&self, name: &str) -> Option<usize> {
        self.0.get(name)?.as_u64().map(|count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// A flag; false where it was left out.
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or_default()
    }
}

impl Tool {
    /// The JSON schema of its arguments.
    pub fn schema(&self) -> Value {
        let property = |field: &Field| {
            let mut schema = field.kind.schema();
            schema["description"] = field.about.into();
            (field.name.to_owned(), schema)
        };
        let required: Vec<_> = self.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        json!({
            "type": "object",
            "properties": self.fields.iter().map(property).collect::<Map<_, _>>(),
            "required": required,
            "additionalProperties": false,
        })
    }

    /// The arguments of a call, or what is wrong with them and what would be right.
    pub fn accept(&self, call: &Call, ending: Ending) -> Result<Arguments, String> {
        let given = match &call.arguments {
            Ok(given) => given,
            Err(_) if ending == Ending::Cut => {
                return Err("your answer was cut at its limit before this call was whole, so nothing was done; \
                            write less in one answer, such as one part of the change after the other"
                    .to_owned());
            }
            Err(Malformed { raw, why }) => {
                let raw: String = raw.chars().take(200).collect();
                return Err(self.told(&format!("the arguments are no JSON object ({why}): {raw}")));
            }
        };
        // Models write null for what they leave out.
        let given: Map<_, _> = given.clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        for (name, value) in &given {
            let Some(field) = self.fields.iter().find(|field| field.name == name) else {
                return Err(self.told(&format!("`{name}` is not known")));
            };
            if !field.kind.takes(value) {
                let shown: String = value.to_string().chars().take(80).collect();
                return Err(self.told(&format!("`{name}` must be {}, not {shown}", field.kind.words())));
            }
        }
        match self.fields.iter().find(|field| field.required && !given.contains_key(field.name)) {
            Some(_) if ending == Ending::Cut && given.is_empty() => {
                Err("your answer was cut at its limit before this call was whole, so nothing was done".to_owned())
            }
            Some(field) => Err(self.told(&format!("`{}` is missing", field.name))),
            None => Ok(Arguments(given)),
        }
    }

    fn told(&self, what: &str) -> String {
        let field = |field: &Field| {
            let optional = if field.required { "" } else { ", optional" };
            format!("`{}` ({}{optional})", field.name, field.kind.words())
        };
        format!("{what}; `{}` takes {}", self.name, self.fields.iter().map(field).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn accepted(raw: &str, ending: Ending) -> Result<Arguments, String> {
        read::TOOL.accept(&Call::new(String::new(), "read".to_owned(), raw.to_owned()), ending)
    }

    #[test]
    fn arguments_are_taken_as_the_schema_has_them() {
        let arguments = accepted(r#"{"path": "a", "start": 3, "lines": null}"#, Ending::Whole).unwrap();
        assert_eq!((arguments.text("path"), arguments.count("start"), arguments.count("lines")), ("a", Some(3), None));
        assert!(!arguments.flag("all"));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        let said = |raw: &str| accepted(raw, Ending::Whole).unwrap_err();
        let all = [
            said("{}"),
            said(r#"{"path": 3}"#),
            said(r#"{"path": "a", "start": 0}"#),
            said(r#"{"path": "a", "start": "3"}"#),
            said(r#"{"path": "a", "offset": 3}"#),
            said(r#"{"path": "a""#),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        `path` is missing; `read` takes `path` (a string), `start` (a whole number from 1, optional), `lines` (a whole number from 1, optional)
        `path` must be a string, not 3; `read` takes `path` (a string), `start` (a whole number from 1, optional), `lines` (a whole number from 1, optional)
        `start` must be a whole number from 1, not 0; `read` takes `path` (a string), `start` (a whole number from 1, optional), `lines` (a whole number from 1, optional)
        `start` must be a whole number from 1, not "3"; `read` takes `path` (a string), `start` (a whole number from 1, optional), `lines` (a whole number from 1, optional)
        `offset` is not known; `read` takes `path` (a string), `start` (a whole number from 1, optional), `lines` (a whole number from 1, optional)
        the arguments are no JSON object (EOF while parsing an object at line 1 column 12): {"path": "a"; `read` takes `path` (a string), `start` (a whole number from 1, optional), `lines` (a whole number from 1, optional)
        "#);
    }

    #[test]
    fn a_call_that_was_cut_is_told_so() {
        for raw in [r#"{"path": "a"#, ""] {
            assert!(accepted(raw, Ending::Cut).unwrap_err().contains("was cut at its limit"), "{raw}");
        }
        accepted(r#"{"path": "a"}"#, Ending::Cut).unwrap();
    }

    #[test]
    fn a_schema_names_every_argument_and_forbids_others() {
        let schema = read::TOOL.schema();
        assert_eq!(schema["required"], json!(["path"]));
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["start"]["type"], "integer");
    }
}
