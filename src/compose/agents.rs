//! The agent of a run and its way to models, from the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::values::reference;
use crate::adapters::agent::patch::{self, Material, Source};
use crate::adapters::agent::{Agent, AgentSettings, Template, api, command, preset};
use crate::adapters::proxy::{LoopbackProxy, Proxy, Settings, Upstream};
use crate::config;
use crate::domain::plan::VariantKey;
use crate::domain::quantity::Tokens;
use crate::domain::wire::{Provider, Secret, Wire};
use crate::engine::before::known::Reach;
use crate::engine::trouble;
use crate::error::{Error, Result};
use crate::project::{CONFIGURATION, Project};

/// The output limit of requests that name none. Few models take no more, and few answers are longer.
const DEFAULT_OUTPUT: Tokens = Tokens(16_384);

/// The agent's settings.
pub fn settings(agent: &config::Agent) -> Result<AgentSettings> {
    use config::{Agent, Patch, Words};
    let patch = |source| AgentSettings::Patch(patch::Settings { source });
    let settings = match agent {
        Agent::Patch(Patch::Directory(directory)) => Source::directory(directory).map(patch),
        Agent::Patch(Patch::Each(each)) => material(each).map(|all| patch(Source::Each(all))),
        Agent::Command { words, model } => {
            let template = match words {
                Words::Line(line) => Template::from_line(line),
                Words::List(words) => Template::from_words(words),
            };
            let settings = |command| AgentSettings::Command(command::Settings { command, model: model.clone() });
            template.map(settings).map_err(|error| error.to_string())
        }
        Agent::Preset { name, model, args, env } => {
            let (model, args, env) = (model.clone(), args.clone(), env.clone());
            preset::Settings::new(name, model, args, env).map(AgentSettings::Preset)
        }
        Agent::Api { model, wire, max_output } => {
            Ok(AgentSettings::Api(api::Settings { model: model.clone(), wire: *wire, max_output: *max_output }))
        }
    };
    settings.map_err(|why| Error::usage(format!("{CONFIGURATION}: `agent`: {why}")))
}

fn material(each: &BTreeMap<String, String>) -> std::result::Result<BTreeMap<VariantKey, Material>, String> {
    let one = |(key, text): (&String, &String)| {
        let key = VariantKey::new(key).ok_or_else(|| format!("`{key}` can't be a variant's key"))?;
        Ok((key, Material::parse(text)?))
    };
    each.iter().map(one).collect()
}

/// Where an agent's requests go through the proxy: always for agents whose protocols are known, and
/// for any other program where the configuration says where its requests are to go.
pub fn models(project: &Project, implementer: &dyn Agent) -> Result<Option<Settings>> {
    // Recorded work asks nobody.
    if implementer.whole_variant() {
        return Ok(None);
    }
    let wires = implementer.wires();
    let upstreams = match &project.config.models {
        Some(models) => configured(project, models)?,
        None if wires.is_empty() => return Ok(None),
        None => by_convention(project, wires),
    };
    if !wires.is_empty() && !wires.iter().any(|wire| upstreams.iter().any(|(provider, _)| *provider == wire.provider()))
    {
        return Err(unreachable(project, implementer, wires));
    }
    let models = implementer.model().map(str::to_owned).into_iter().collect();
    Ok(Some(Settings { upstreams, models }))
}

/// The proxy itself, listening.
pub async fn proxy(settings: Settings) -> Result<Arc<dyn Proxy>> {
    Ok(Arc::new(LoopbackProxy::start(settings).await.map_err(trouble::machine)?))
}

/// The same for a reviewer, without listening anywhere.
pub fn reach(project: &Project, implementer: &dyn Agent) -> Reach {
    match models(project, implementer) {
        Ok(Some(settings)) => Reach::Through(settings.describe()),
        Ok(None) if implementer.whole_variant() => Reach::None,
        Ok(None) => Reach::Unseen,
        Err(error) => Reach::Missing(error.to_string()),
    }
}

fn configured(project: &Project, models: &config::Models) -> Result<Vec<(Provider, Upstream)>> {
    let one = |(provider, upstream): &(Provider, config::Upstream)| {
        let key = reference(project, &format!("models.{provider}.key"), upstream.key.as_deref())?;
        let key = match (key, &upstream.url) {
            (Some(key), _) => Some(key),
            // A server of one's own may want none; the provider's own always does.
            (None, Some(_)) => None,
            (None, None) => {
                let named = format!("${}", provider.key_variable());
                reference(project, &format!("models.{provider}"), Some(&named))?
            }
        };
        let url = upstream.url.clone().unwrap_or_else(|| address(*provider).to_owned());
        let default_output = upstream.max_output.unwrap_or(DEFAULT_OUTPUT);
        Ok((*provider, Upstream { url, key: key.map(Secret::new), default_output }))
    };
    models.upstreams.iter().map(one).collect()
}

/// The providers whose keys are set where everybody expects them.
fn by_convention(project: &Project, wires: &[Wire]) -> Vec<(Provider, Upstream)> {
    let wanted = |provider: &Provider| wires.iter().any(|wire| wire.provider() == *provider);
    let one = |provider: Provider| {
        let key = project.variables.get(provider.key_variable()).filter(|key| !key.is_empty())?;
        let (url, key) = (address(provider).to_owned(), Some(Secret::new(key)));
        Some((provider, Upstream { url, key, default_output: DEFAULT_OUTPUT }))
    };
    Provider::ALL.into_iter().filter(wanted).filter_map(one).collect()
}

/// A provider's own address.
fn address(provider: Provider) -> &'static str {
    match provider {
        Provider::Anthropic => "https://api.anthropic.com",
        Provider::OpenAi => "https://api.openai.com/v1",
        Provider::Gemini => "https://generativelanguage.googleapis.com",
    }
}

fn unreachable(project: &Project, agent: &dyn Agent, wires: &[Wire]) -> Error {
    let mut providers: Vec<_> = wires.iter().map(|wire| wire.provider()).collect();
    providers.dedup();
    let names: Vec<_> = providers.iter().map(ToString::to_string).collect();
    let error = Error::usage(format!(
        "`{}` reaches its models by {}, and no such provider can be reached",
        agent.describe(),
        names.join(" or ")
    ));
    let keys: Vec<_> = providers.iter().map(|provider| format!("export {}=…", provider.key_variable())).collect();
    match &project.config.models {
        Some(_) => error.hint(format!("name it in {CONFIGURATION}: `models: {{{}: {{url: …}}}}`", names[0])),
        None => error.hint(keys.join("   or   ")).hint(format!(
            "or a server of your own, in {CONFIGURATION}: `models: {{{}: {{url: http://127.0.0.1:11434/v1}}}}`",
            names[0]
        )),
    }
}
