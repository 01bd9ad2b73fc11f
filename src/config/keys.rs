//! Keys that `blueprint.yaml` does not know, found by walking it along its own JSON schema.

use serde_json::Value as Schema;
use serde_yaml::Value;

/// A key that is not known.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The key, with the keys above it.
    pub path: String,
    /// The nearest known one.
    pub near: Option<String>,
    /// Every key that is known there.
    pub known: Vec<String>,
}

/// The first key that the schema does not have.
pub fn unknown(value: &Value, root: &Schema) -> Option<Unknown> {
    walk(value, root, root, "")
}

fn walk(value: &Value, schema: &Schema, root: &Schema, path: &str) -> Option<Unknown> {
    let schema = resolve(schema, root);
    // `Option` and our untagged shapes are alternatives; the one that takes objects is meant.
    if let Some(alternatives) = schema.get("anyOf").and_then(Schema::as_array) {
        let objects = alternatives.iter().map(|s| resolve(s, root)).filter(|s| s.get("type") == Some(&"object".into()));
        return objects.filter_map(|s| walk(value, s, root, path)).next();
    }
    let Value::Mapping(mapping) = value else {
        let items = schema.get("items")?;
        return value.as_sequence()?.iter().find_map(|item| walk(item, items, root, path));
    };
    let properties = schema.get("properties").and_then(Schema::as_object);
    for (key, inner) in mapping {
        let Some(key) = key.as_str() else { continue };
        let place = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let known = properties.and_then(|p| p.get(key));
        let found = match (known, schema.get("additionalProperties")) {
            (Some(schema), _) => walk(inner, schema, root, &place),
            (None, Some(Schema::Bool(false))) => Some(stranger(place, key, properties)),
            (None, Some(schema)) => walk(inner, schema, root, &place),
            (None, None) => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn resolve<'a>(schema: &'a Schema, root: &'a Schema) -> &'a Schema {
    let target = schema.get("$ref").and_then(Schema::as_str).and_then(|r| root.pointer(r.trim_start_matches('#')));
    target.unwrap_or(schema)
}

fn stranger(path: String, key: &str, properties: Option<&serde_json::Map<String, Schema>>) -> Unknown {
    let known: Vec<String> = properties.into_iter().flat_map(|p| p.keys().cloned()).collect();
    let near = nearest(key, &known);
    Unknown { path, near, known }
}

/// The known word that is at most a third of its letters away.
pub fn nearest(word: &str, known: &[String]) -> Option<String> {
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .filter(|(distance, name)| *distance * 3 <= name.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.clone())
}
