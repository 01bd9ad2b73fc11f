//! How models are spoken to: the protocols, whose they are, and what an agent needs to reach one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A protocol between a client and a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wire {
    /// Anthropic Messages: `POST /v1/messages`.
    Messages,
    /// OpenAI Chat Completions: `POST /v1/chat/completions`.
    Chat,
    /// OpenAI Responses: `POST /v1/responses`.
    Responses,
    /// Gemini: `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`.
    Gemini,
}

impl Wire {
    /// Every protocol.
    pub const ALL: [Self; 4] = [Self::Messages, Self::Chat, Self::Responses, Self::Gemini];

    /// As configurations and records spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Gemini => "gemini",
        }
    }

    /// Whose address and key requests of this protocol go to.
    pub fn provider(self) -> Provider {
        match self {
            Self::Messages => Provider::Anthropic,
            Self::Chat | Self::Responses => Provider::OpenAi,
            Self::Gemini => Provider::Gemini,
        }
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A family of protocols that share an address and a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Anthropic, or whatever speaks Messages.
    Anthropic,
    /// OpenAI, or whatever is compatible: Ollama, vLLM, llama.cpp, a gateway.
    OpenAi,
    /// Google's Gemini.
    Gemini,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 3] = [Self::Anthropic, Self::OpenAi, Self::Gemini];

    /// As configurations, records and our own paths spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
        }
    }

    /// The variable that holds its key by convention.
    pub fn key_variable(self) -> &'static str {
        match self {
            Self::Anthropic => "ANTHROPIC_API_KEY",
            Self::OpenAi => "OPENAI_API_KEY",
            Self::Gemini => "GEMINI_API_KEY",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A tokenizer that several models share, and that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokenizer {
    /// OpenAI's since GPT-4o.
    O200k,
    /// GPT-4 and GPT-3.5.
    Cl100k,
}

impl Tokenizer {
    /// By a model's name; none where nothing is known of it.
    pub fn of(model: &str) -> Option<Self> {
        let name = model.rsplit('/').next().unwrap_or_default();
        let starts = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        let reasons = name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        match () {
            () if reasons || starts(&["gpt-4o", "gpt-4.", "chatgpt-", "codex-"]) => Some(Self::O200k),
            () if starts(&["gpt-4", "gpt-3.5"]) => Some(Self::Cl100k),
            () if starts(&["gpt-"]) => Some(Self::O200k),
            () => None,
        }
    }
}

/// A key. It shows itself to nobody by accident: not in messages, logs or `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// From its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How one trial's agent reaches its model: through the run's proxy, with a key that is worth
/// nothing anywhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Such as `http://127.0.0.1:40123/t/a`; the providers' addresses lie below it.
    pub root: String,
    /// The trial's own token, in the place of a provider's key.
    pub key: Secret,
}

impl Access {
    /// The base URL that a provider's clients are given, without a slash at its end. As these
    /// clients expect: OpenAI's includes `/v1`, the others' have no version.
    pub fn base(&self, provider: Provider) -> String {
        match provider {
            Provider::Anthropic => format!("{}/anthropic", self.root),
            Provider::OpenAi => format!("{}/openai/v1", self.root),
            Provider::Gemini => format!("{}/gemini", self.root),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_itself_to_nobody_by_accident() {
        let access = Access { root: "http://127.0.0.1:1/t/a".to_owned(), key: Secret::new("sk-real") };
        assert!(!format!("{access:?}").contains("sk-real"));
        assert_eq!(access.key.expose(), "sk-real");
    }

    #[test]
    fn a_models_tokenizer_is_known_by_its_name() {
        let new = ["gpt-4o-mini", "gpt-4.1", "gpt-5.1-codex", "openai/gpt-5", "o3", "o4-mini", "chatgpt-4o-latest"];
        for name in new.into_iter().chain(["gpt-oss-120b"]) {
            assert_eq!(Tokenizer::of(name), Some(Tokenizer::O200k), "{name}");
        }
        for name in ["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo"] {
            assert_eq!(Tokenizer::of(name), Some(Tokenizer::Cl100k), "{name}");
        }
        for name in ["qwen3-coder", "claude-sonnet-4-5", "olmo-2", "", "llama3:8b", "my-gpt-5"] {
            assert_eq!(Tokenizer::of(name), None, "{name}");
        }
    }

    #[test]
    fn every_protocol_has_a_provider_whose_address_lies_below_the_root() {
        let access = Access { root: "http://h/t/a".to_owned(), key: Secret::new("k") };
        for wire in Wire::ALL {
            assert!(access.base(wire.provider()).starts_with("http://h/t/a/"), "{wire}");
        }
    }
}
