//! What a look at a machine found: whether the configured agent can run, and what else there is.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::wire::{Provider, Wire};

/// A program, or what is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Found {
    /// It runs.
    Here {
        /// As it says it.
        version: String,
    },
    /// It is not there, or does not run.
    Missing {
        /// What is wrong, and what to do about it.
        why: String,
    },
}

/// How a program is called, with examples in the place of what differs from step to step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// The program and its arguments, as one would type them.
    pub line: String,
    /// The variables that are set for it.
    pub env: BTreeMap<String, String>,
}

/// The agent that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Configured {
    /// As the plan shows it.
    pub agent: String,
    /// What keeps it from running, a line each.
    pub problems: Vec<String>,
    /// Where its requests to models go; absent where it makes none that we see.
    pub models: Option<String>,
    /// How it is called, where it is a program.
    pub call: Option<Call>,
}

/// A client that there is a preset for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientLine {
    /// As the configuration calls it.
    pub name: String,
    /// As its makers call it.
    pub title: String,
    /// Whether it is there.
    pub found: Found,
    /// The versions that the preset was tried with.
    pub tried: Vec<String>,
    /// By which protocols it reaches models.
    pub wires: Vec<Wire>,
    /// How it would be called.
    pub call: Call,
    /// What else is worth knowing.
    pub note: String,
}

/// A key, by its variable; its value is nobody's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyLine {
    /// Whose.
    pub provider: Provider,
    /// The variable that it is looked for in.
    pub variable: String,
    /// Whether it holds anything.
    pub set: bool,
}

/// A program that runs may need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tool {
    /// What it is called.
    pub name: String,
    /// Whether it is there.
    pub found: Found,
    /// Whether nothing works without it.
    pub needed: bool,
}

/// Something that a sandbox promises of the programs of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promise {
    /// In words: `they do not read your files`.
    pub statement: &'static str,
    /// What was seen that breaks it on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// The configured agent; absent where no configuration names one.
    pub agent: Option<Configured>,
    /// Every client that there is a preset for.
    pub clients: Vec<ClientLine>,
    /// The keys of providers.
    pub keys: Vec<KeyLine>,
    /// git, servers and the sandbox.
    pub tools: Vec<Tool>,
    /// What the sandbox promises; none where there is no sandbox.
    pub promises: Vec<Promise>,
    /// CPUs that may be used.
    pub cpus: usize,
    /// Physical cores among them, where the machine tells.
    pub cores: Option<usize>,
}

impl Findings {
    /// Whether the configured agent, if there is one, can run.
    pub fn can_run(&self) -> bool {
        self.agent.as_ref().is_none_or(|agent| agent.problems.is_empty())
    }
}
