//! What the configuration says about a client: which one, which model, and what is added to its call.

use std::collections::BTreeMap;

use super::table::{Client, Way, clients};
use crate::adapters::process::Environment;
use crate::domain::budget::{ADDED, USEFUL_OUTPUT};
use crate::domain::quantity::Tokens;
use crate::domain::wire::{Access, Provider, Secret, Tokenizer, Wire};

/// A client that can be called as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    client: &'static Client,
    way: usize,
    /// As it was asked for, and as the client is told.
    model: Option<(String, String)>,
    args: Vec<String>,
    env: BTreeMap<String, String>,
}

/// A client's call with its placeholders filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// The variables that are set for it.
    pub env: Environment,
    /// The files of its home, by their paths in there.
    pub files: BTreeMap<String, String>,
}

impl Settings {
    /// Reads what the configuration says, or tells what is wrong with it. `model` may begin with a provider, such as
    /// `anthropic/…`, where the client speaks to several; `args` are added to its arguments and `env` to its
    /// variables, as they are.
    pub fn new(
        preset: &str,
        model: Option<String>,
        args: Vec<String>,
        env: BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let client = clients().iter().find(|client| client.name == preset).ok_or_else(|| {
            let names: Vec<_> = clients().iter().map(|client| client.name.as_str()).collect();
            format!("there is no preset `{preset}`; there are {}", names.join(", "))
        })?;
        let (way, model) = match model {
            None if client.needs_model => {
                return Err(format!("the preset {preset} needs a model: `{{preset: {preset}, model: NAME}}`"));
            }
            None => (0, None),
            Some(asked) => {
                let (way, told) = route(client, &asked)?;
                (way, Some((asked.clone(), told.to_owned())))
            }
        };
        Ok(Self { client, way, model, args, env })
    }

    /// How a client is called where nothing is asked for that it does not need.
    pub fn plain(client: &'static Client) -> Self {
        let model = client.needs_model.then(|| ("MODEL".to_owned(), "MODEL".to_owned()));
        Self { client, way: 0, model, args: Vec::new(), env: BTreeMap::new() }
    }

    /// The client.
    pub fn client(&self) -> &'static Client {
        self.client
    }

    /// The protocol that it speaks.
    pub fn wire(&self) -> &'static Wire {
        &self.way().wire
    }

    /// The model as it was asked for.
    pub fn model(&self) -> Option<&str> {
        self.model.as_ref().map(|(asked, _)| asked.as_str())
    }

    /// The model as requests name it: without the provider in front.
    pub(super) fn requested(&self) -> Option<&str> {
        self.model.as_ref().map(|(_, told)| told.as_str())
    }

    /// What the client's first request and a useful answer come to at the most, bounded as the proxy bounds it; none
    /// where it was not measured.
    pub fn needs(&self) -> Option<Tokens> {
        let first = self.client.first_request?;
        // Anthropic and Gemini count for themselves.
        let counted = self.wire().provider() != Provider::OpenAi || self.requested().and_then(Tokenizer::of).is_some();
        let most = if counted { first.tokens + first.tokens / 8 } else { first.bytes };
        Some(Tokens(most + ADDED + USEFUL_OUTPUT))
    }

    /// The call with its placeholders filled; the model's name is known here.
    pub fn call(&self, value: impl Fn(&str) -> String) -> Call {
        let (client, way) = (self.client, self.way());
        let model = self.requested();
        let value = |name: &str| if name == "model" { model.unwrap_or_default().to_owned() } else { value(name) };
        let named = if model.is_some() { way.model.as_slice() } else { &[] };
        let head = client.command.iter().chain(named).map(|word| word.fill(value));
        let prompt = client.prompt.iter().map(|word| word.fill(value));
        let env = client.env.iter().chain(&way.env).map(|(name, text)| (name.clone(), text.fill(value)));
        let files = client.files.iter().chain(&way.files).map(|(path, text)| (path.clone(), text.fill(value)));
        Call {
            words: head.chain(self.args.iter().cloned()).chain(prompt).collect(),
            env: env.chain(self.env.clone()).collect(),
            files: files.collect(),
        }
    }

    /// The call as an example: capitals stand for what differs from step to step.
    pub fn example(&self) -> Call {
        let access = Access { root: "http://127.0.0.1:PORT".to_owned(), key: Secret::new("KEY") };
        self.call(|name| match name {
            "prompt_file" => "PROMPT.md".to_owned(),
            "base_anthropic" => access.base(Provider::Anthropic),
            "base_openai" => access.base(Provider::OpenAi),
            "base_gemini" => access.base(Provider::Gemini),
            name => name.to_uppercase(),
        })
    }

    fn way(&self) -> &'static Way {
        // Made from a client's own ways, of which there is at least one.
        &self.client.ways[self.way]
    }
}

/// Which of a client's ways leads to a model, and how the client is told its name.
fn route<'a>(client: &Client, asked: &'a str) -> Result<(usize, &'a str), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/@+".contains(c);
    // It becomes an argument, and a part of JSON.
    if !asked.starts_with(|c: char| c.is_ascii_alphanumeric()) || asked.ends_with('/') || !asked.chars().all(plain) {
        return Err(format!("`{asked}` can't be a model's name: letters, digits and any of . _ - : / @ + are allowed"));
    }
    let named = asked.split_once('/').and_then(|(provider, name)| {
        Provider::ALL.into_iter().find(|known| known.as_str() == provider).map(|provider| (provider, name))
    });
    match named {
        None => Ok((usual(asked).and_then(|provider| client.way_to(provider)).unwrap_or(0), asked)),
        Some((provider, name)) => client.way_to(provider).map(|way| (way, name)).ok_or_else(|| {
            let to: Vec<_> = client.ways.iter().map(|way| way.wire.provider().to_string()).collect();
            format!(
                "the preset {} does not speak to {provider}, but to {}; where {asked} is a model's name there, write {}/{asked}",
                client.name,
                to.join(", "),
                to.first().map_or("", String::as_str)
            )
        }),
    }
}

/// Whose a model is by the way its name begins.
fn usual(model: &str) -> Option<Provider> {
    let begins = [("claude", Provider::Anthropic), ("gemini", Provider::Gemini)];
    begins.into_iter().find(|(begin, _)| model.starts_with(begin)).map(|(_, provider)| provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(preset: &str, model: Option<&str>) -> Result<Settings, String> {
        Settings::new(preset, model.map(str::to_owned), Vec::new(), BTreeMap::new())
    }

    fn refused(preset: &str, model: Option<&str>) -> String {
        settings(preset, model).unwrap_err()
    }

    #[test]
    fn what_a_client_needs_hangs_on_whether_somebody_counts_its_tokens() {
        let needs = |preset: &str, model: &str| settings(preset, Some(model)).unwrap().needs().map(|tokens| tokens.0);
        assert_eq!(needs("qwen", "qwen3-coder"), Some(80_219 + 1024 + 4096));
        assert_eq!(needs("qwen", "gpt-5.1"), Some(17_852 * 9 / 8 + 1024 + 4096));
        assert!(needs("gemini", "gemini-2.5-pro").unwrap() < 20_000);
        assert!(needs("opencode", "anthropic/claude-sonnet-4-5") < needs("opencode", "openai/qwen3-coder"));
        assert_eq!(needs("goose", "qwen3-coder"), None);
    }

    #[test]
    fn the_name_of_a_model_says_by_which_protocol_it_is_reached() {
        let told = |preset: &str, model: &str| {
            let settings = settings(preset, Some(model)).unwrap();
            (*settings.wire(), settings.call(|_| String::new()).words.join(" "))
        };
        let (wire, words) = told("pi", "qwen3");
        assert!(wire == Wire::Chat && words.contains("--model qwen3"), "{wire} {words}");
        let (wire, words) = told("pi", "anthropic/claude-sonnet-4-5");
        assert!(wire == Wire::Messages && words.contains("--model claude-sonnet-4-5"), "{wire} {words}");
        assert_eq!(told("pi", "claude-sonnet-4-5").0, Wire::Messages);
        assert_eq!(told("codex", "claude-sonnet-4-5").0, Wire::Responses);
        let (wire, words) = told("aider", "openai/anthropic/claude-x");
        assert!(wire == Wire::Chat && words.contains("--model openai/anthropic/claude-x"), "{wire} {words}");
        let (wire, words) = told("codex", "vendor/model:free");
        assert!(wire == Wire::Responses && words.contains("--model vendor/model:free"), "{wire} {words}");
    }

    #[test]
    fn what_can_not_be_called_is_refused_with_what_to_write_instead() {
        insta::assert_snapshot!(refused("codec", None), @"there is no preset `codec`; there are codex, claude, gemini, qwen, opencode, pi, aider, goose, mini-swe-agent");
        insta::assert_snapshot!(refused("pi", None), @"the preset pi needs a model: `{preset: pi, model: NAME}`");
        insta::assert_snapshot!(refused("codex", Some("anthropic/claude")), @"the preset codex does not speak to anthropic, but to openai; where anthropic/claude is a model's name there, write openai/anthropic/claude");
        for model in ["", "-m", "a b", "a\"b", "anthropic/", "{key}", "a\nb"] {
            assert!(refused("claude", Some(model)).contains("can't be a model's name"), "{model}");
        }
    }

    #[test]
    fn without_a_model_a_client_takes_its_own() {
        let call = settings("gemini", None).unwrap().example();
        assert!(!call.words.contains(&"--model".to_owned()), "{:?}", call.words);
    }

    #[test]
    fn own_arguments_stand_before_the_prompt_and_own_variables_win() {
        let env = BTreeMap::from([("CODEX_HOME".to_owned(), "/mine".to_owned())]);
        let call = Settings::new("codex", None, vec!["-c".to_owned(), "{prompt}".to_owned()], env).unwrap().example();
        assert_eq!(call.words[call.words.len() - 3..], ["-c", "{prompt}", "PROMPT"]);
        assert_eq!(call.env["CODEX_HOME"], "/mine");
    }

    #[test]
    fn every_client_is_called_as_this_shows() {
        let shown = clients().iter().map(|client| {
            let call = Settings::plain(client).example();
            let env: String = call.env.iter().map(|(name, value)| format!("\n  {name}={value}")).collect();
            let files: String =
                call.files.iter().map(|(path, text)| format!("\n  ~/{path}:\n{}", indented(text))).collect();
            format!("{}{env}{files}\n", call.words.join(" "))
        });
        insta::assert_snapshot!(shown.collect::<String>());
    }

    fn indented(text: &str) -> String {
        text.trim_end().lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
    }
}
