//! Reports of a run in the forms that people and programs ask for. `docs/report.md` describes them.

/// Pretty JSON with a line end.
pub(super) fn json_text(value: &impl serde::Serialize) -> String {
    // The reports' own types have string keys and finite numbers only, so that this can't fail.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
