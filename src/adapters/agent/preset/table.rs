//! The clients that we know how to call, as data: one file each below `templates/agents`.
//!
//! What changes when a client changes stands there and not in the code.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use super::output::Format;
use crate::adapters::agent::template::Text;
use crate::domain::wire::{Provider, Wire};

const FILES: &[&str] = &[
    include_str!("../../../../templates/agents/codex.yaml"),
    include_str!("../../../../templates/agents/claude.yaml"),
    include_str!("../../../../templates/agents/gemini.yaml"),
    include_str!("../../../../templates/agents/qwen.yaml"),
    include_str!("../../../../templates/agents/opencode.yaml"),
    include_str!("../../../../templates/agents/pi.yaml"),
    include_str!("../../../../templates/agents/aider.yaml"),
    include_str!("../../../../templates/agents/goose.yaml"),
    include_str!("../../../../templates/agents/mini-swe-agent.yaml"),
];

/// One client, and how it is called.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// As the configuration calls it.
    pub name: String,
    /// As its makers call it.
    pub title: String,
    /// How to get it.
    pub install: String,
    /// The program and the arguments that make it tell its version, or at least show that it runs.
    pub version: Vec<String>,
    /// The versions that were tried; none where it was not run.
    pub tried: Vec<String>,
    /// What else is worth knowing.
    pub note: String,
    /// Whether it has no model of its own to fall back on.
    #[serde(default)]
    pub needs_model: bool,
    /// What its first request in a small repository comes to, as `scripts/real-agents` measured it; none where it was not
    /// run.
    #[serde(default)]
    pub(super) first_request: Option<FirstRequest>,
    /// The ways to a model; the first is taken where the model's name does not say another.
    pub ways: Vec<Way>,
    /// How its output is read.
    pub(super) output: Format,
    /// The program and its arguments.
    pub(super) command: Vec<Text>,
    /// The arguments that hand the prompt over; they come last.
    pub(super) prompt: Vec<Text>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Text>,
    /// Files of its private home, by their paths in there.
    #[serde(default)]
    pub(super) files: BTreeMap<String, Text>,
    /// Exit statuses that say nothing of how it went; then what it said last counts.
    #[serde(default)]
    pub(super) meaningless_exits: BTreeSet<i32>,
    /// How lines begin that tell of an error, where the output is text.
    #[serde(default)]
    pub(super) errors: Vec<String>,
}

/// The size of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstRequest {
    /// Of what a model reads of it; those bound it where nobody counts.
    pub bytes: u64,
    /// Counted by the tokenizer o200k; others differ by a little.
    pub tokens: u64,
}

/// One way of a client to a model: a protocol, and what makes the client speak it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Way {
    /// The protocol.
    pub wire: Wire,
    /// The arguments that name the model.
    #[serde(default)]
    pub(super) model: Vec<Text>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) files: BTreeMap<String, Text>,
}

impl Client {
    /// The program.
    pub fn program(&self) -> String {
        self.command.first().map(|word| word.fill(|_| String::new())).unwrap_or_default()
    }

    /// The protocols that it can be made to speak, the usual one first.
    pub fn wires(&self) -> Vec<Wire> {
        self.ways.iter().map(|way| way.wire).collect()
    }

    /// The way to the models of a provider, with its place among the ways.
    pub(super) fn way_to(&self, provider: Provider) -> Option<usize> {
        self.ways.iter().position(|way| way.wire.provider() == provider)
    }
}

/// Every client that we know how to call.
pub fn clients() -> &'static [Client] {
    // A test reads each file and wants it whole, so that none is missing here.
    static CLIENTS: LazyLock<Vec<Client>> =
        LazyLock::new(|| FILES.iter().filter_map(|text| serde_yaml::from_str(text).ok()).collect());
    &CLIENTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_read_and_is_whole() {
        for text in FILES {
            let client: Client = serde_yaml::from_str(text).unwrap_or_else(|why| panic!("{why} in\n{text}"));
            let name = &client.name;
            let texts: Vec<&Text> = client
                .ways
                .iter()
                .flat_map(|way| way.model.iter().chain(way.env.values()).chain(way.files.values()))
                .chain(client.env.values())
                .chain(client.files.values())
                .collect();
            let holes = |texts: &[&Text]| texts.iter().flat_map(|t| t.holes()).map(str::to_owned).collect::<Vec<_>>();
            assert!(!client.program().is_empty() && !client.title.is_empty() && !client.note.is_empty(), "{name}");
            assert!(!client.install.is_empty() && !client.install.contains("://"), "{name}: {}", client.install);
            assert_eq!(client.version.first(), Some(&client.program()), "{name}");
            assert!(!client.ways.is_empty(), "{name}");
            let prompt: Vec<&Text> = client.prompt.iter().collect();
            assert!(
                holes(&prompt).iter().all(|hole| hole.starts_with("prompt")) && !holes(&prompt).is_empty(),
                "{name}"
            );
            // What everyone on the machine can read must not hold a key.
            let words: Vec<&Text> =
                client.command.iter().chain(&client.prompt).chain(client.ways.iter().flat_map(|w| &w.model)).collect();
            assert!(!holes(&words).contains(&"key".to_owned()), "{name}");
            // Whatever the way, the client is told where its model is, and which.
            for way in &client.ways {
                let base = format!("base_{}", way.wire.provider());
                assert!(holes(&texts).contains(&base), "{name}: {base}");
            }
            assert!(holes(&texts).contains(&"model".to_owned()), "{name}");
        }
    }

    #[test]
    fn files_lie_in_the_home_and_hold_json_once_they_are_filled() {
        for client in clients() {
            for (path, text) in client.files.iter().chain(client.ways.iter().flat_map(|way| &way.files)) {
                assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."), "{path}");
                let filled = text.fill(|name| format!("<{name}>"));
                if path.ends_with(".json") {
                    let read: serde_json::Result<serde_json::Value> = serde_json::from_str(&filled);
                    assert!(read.is_ok(), "{}: {path}: {read:?}", client.name);
                }
            }
        }
    }

    #[test]
    fn names_are_those_of_the_documentation_and_no_two_are_the_same() {
        let names: Vec<_> = clients().iter().map(|client| client.name.as_str()).collect();
        let all = ["codex", "claude", "gemini", "qwen", "opencode", "pi", "aider", "goose", "mini-swe-agent"];
        assert_eq!(names, all);
        let guide = include_str!("../../../../docs/agents.md");
        for client in clients() {
            assert!(
                guide.contains(&format!("| `{}` |", client.name)),
                "docs/agents.md has no line for {}",
                client.name
            );
        }
    }
}
