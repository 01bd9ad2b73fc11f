//! What implements variants, as the configuration says it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::duration::duration;
use super::raw::{self, Patch, Words};
use crate::domain::quantity::Tokens;
use crate::domain::wire::Wire;

/// After so long without any sign of life a program is stopped, unless the file says.
const PATIENCE: Duration = Duration::from_secs(600);

/// What implements variants.
#[derive(Debug, Clone)]
pub enum Agent {
    /// Recorded work.
    Patch(Patch),
    /// A program.
    Command {
        /// It.
        words: Words,
        /// The model it is to use; it is told, and may not care.
        model: Option<String>,
    },
    /// A known program.
    Preset {
        /// Its name.
        name: String,
        /// The model it is to use.
        model: Option<String>,
        /// More arguments.
        args: Vec<String>,
        /// More variables.
        env: BTreeMap<String, String>,
    },
    /// The built-in agent.
    Api {
        /// The model.
        model: String,
        /// The protocol.
        wire: Wire,
        /// How much one answer may have.
        max_output: Option<Tokens>,
    },
}

impl Agent {
    pub(super) fn read(raw: raw::Agent) -> Result<Self, String> {
        let raw = match raw {
            raw::Agent::Name(name) => raw::AgentSettings { preset: Some(name), ..raw::AgentSettings::default() },
            raw::Agent::Settings(settings) => *settings,
        };
        let raw::AgentSettings { preset, api, command, patch, model, args, env, patience: _ } = raw;
        let only_preset = |what: &str| format!("`agent.{what}` goes with `preset` only");
        if preset.is_none() && !args.is_empty() {
            return Err(only_preset("args"));
        }
        if preset.is_none() && !env.is_empty() {
            return Err(only_preset("env"));
        }
        if model.is_some() && preset.is_none() && command.is_none() {
            return Err(
                "`agent.model` goes with `preset` and `command`; the built-in agent has `agent.api.model`".to_owned()
            );
        }
        match (preset, api, command, patch) {
            (Some(name), None, None, None) => Ok(Self::Preset { name, model, args, env }),
            (None, Some(api), None, None) => Self::api(&api),
            (None, None, Some(words), None) => Ok(Self::Command { words, model }),
            (None, None, None, Some(patch)) => Ok(Self::Patch(patch)),
            _ => Err("`agent` takes exactly one of `preset`, `api`, `command` and `patch`".to_owned()),
        }
    }

    fn api(raw: &raw::Api) -> Result<Self, String> {
        let model = raw.model.clone().filter(|model| !model.trim().is_empty());
        let model = model.ok_or("`agent.api.model` is missing: the model's name, as its provider has it")?;
        let wire = match raw.wire {
            Some(raw::ApiWire::Messages) => Wire::Messages,
            Some(raw::ApiWire::Chat) => Wire::Chat,
            // Every other provider that matters can be spoken to by Chat Completions.
            None if model.starts_with("claude") => Wire::Messages,
            None => Wire::Chat,
        };
        Ok(Self::Api { model, wire, max_output: raw.max_output.map(|n| Tokens(u64::from(n.get()))) })
    }
}

/// How long a program may show no sign of life.
pub(super) fn patience(raw: Option<&raw::Agent>) -> Result<Duration, String> {
    let text = match raw {
        Some(raw::Agent::Settings(settings)) => settings.patience.as_deref(),
        _ => None,
    };
    Ok(duration("agent.patience", text)?.unwrap_or(PATIENCE))
}
