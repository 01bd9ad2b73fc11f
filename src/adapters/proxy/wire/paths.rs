//! Which requests are let through at all: a list, and everything else is refused.

use crate::domain::wire::{Provider, Wire};

/// What a request to a provider's address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Makes a model write: it is admitted, bounded, metered.
    Generate {
        /// By which protocol.
        wire: Wire,
        /// The model, where the path names it (Gemini).
        model: Option<String>,
        /// Whether the path asks for a stream (Gemini).
        stream: bool,
    },
    /// Counts tokens and costs none: passed on as it is.
    Count,
    /// Lists models: answered by the proxy.
    Models,
}

/// What the method and the path below a provider's base URL ask for; `None` for whatever is not on
/// the list. `path` has no query and starts with a slash.
pub fn endpoint(provider: Provider, method: &str, path: &str) -> Option<Endpoint> {
    let segments = segments(path)?;
    match (provider, method, segments.as_slice()) {
        (Provider::Anthropic, "POST", ["v1", "messages"]) => Some(by_body(Wire::Messages)),
        (Provider::Anthropic, "POST", ["v1", "messages", "count_tokens"]) => Some(Endpoint::Count),
        (Provider::Anthropic, "GET", ["v1", "models"] | ["v1", "models", _]) => Some(Endpoint::Models),
        (Provider::OpenAi, "POST", ["chat", "completions"]) => Some(by_body(Wire::Chat)),
        (Provider::OpenAi, "POST", ["responses"]) => Some(by_body(Wire::Responses)),
        (Provider::OpenAi, "GET", ["models"] | ["models", _]) => Some(Endpoint::Models),
        (Provider::Gemini, "POST", ["v1" | "v1beta" | "v1alpha", "models", call]) => gemini(call),
        (Provider::Gemini, "GET", ["v1" | "v1beta" | "v1alpha", "models"]) => Some(Endpoint::Models),
        (Provider::Gemini, "GET", ["v1" | "v1beta" | "v1alpha", "models", _]) => Some(Endpoint::Models),
        _ => None,
    }
}

/// A request whose body says the model and whether a stream is wanted.
fn by_body(wire: Wire) -> Endpoint {
    Endpoint::Generate { wire, model: None, stream: false }
}

fn gemini(call: &str) -> Option<Endpoint> {
    let (model, action) = call.split_once(':').filter(|(model, _)| !model.is_empty())?;
    let generate = |stream| Endpoint::Generate { wire: Wire::Gemini, model: Some(model.to_owned()), stream };
    match action {
        "generateContent" => Some(generate(false)),
        "streamGenerateContent" => Some(generate(true)),
        "countTokens" => Some(Endpoint::Count),
        _ => None,
    }
}

/// The path's parts, where nobody on the way can read it as another path: nothing encoded, nothing
/// empty, no dots alone.
fn segments(path: &str) -> Option<Vec<&str>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@".contains(c);
    let fits = |part: &&str| !part.is_empty() && part.chars().all(plain) && !part.chars().all(|c| c == '.');
    let parts: Vec<_> = path.strip_prefix('/')?.split('/').collect();
    parts.iter().all(fits).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generate(wire: Wire, model: Option<&str>, stream: bool) -> Option<Endpoint> {
        Some(Endpoint::Generate { wire, model: model.map(str::to_owned), stream })
    }

    #[test]
    fn what_makes_a_model_write_is_known_by_its_provider_and_path() {
        let model = Some("gemini-2.5-pro");
        for (provider, path, expected) in [
            (Provider::Anthropic, "/v1/messages", generate(Wire::Messages, None, false)),
            (Provider::OpenAi, "/chat/completions", generate(Wire::Chat, None, false)),
            (Provider::OpenAi, "/responses", generate(Wire::Responses, None, false)),
            (Provider::Gemini, "/v1beta/models/gemini-2.5-pro:generateContent", generate(Wire::Gemini, model, false)),
            (Provider::Gemini, "/v1/models/gemini-2.5-pro:streamGenerateContent", generate(Wire::Gemini, model, true)),
            (Provider::Gemini, "/v1alpha/models/gemini-2.5-pro:countTokens", Some(Endpoint::Count)),
            (Provider::Anthropic, "/v1/messages/count_tokens", Some(Endpoint::Count)),
        ] {
            assert_eq!(endpoint(provider, "POST", path), expected, "{path}");
            for method in ["GET", "PUT", "DELETE", "HEAD", "post"] {
                assert_eq!(
                    endpoint(provider, method, path).filter(|e| *e != Endpoint::Models),
                    None,
                    "{method} {path}"
                );
            }
        }
    }

    #[test]
    fn models_are_listed_for_every_provider() {
        for (provider, path) in [
            (Provider::Anthropic, "/v1/models"),
            (Provider::Anthropic, "/v1/models/claude-sonnet-4-5"),
            (Provider::OpenAi, "/models"),
            (Provider::OpenAi, "/models/llama3:8b"),
            (Provider::Gemini, "/v1beta/models"),
            (Provider::Gemini, "/v1beta/models/gemini-2.5-pro"),
        ] {
            assert_eq!(endpoint(provider, "GET", path), Some(Endpoint::Models), "{path}");
        }
    }

    #[test]
    fn what_is_not_on_the_list_is_nothing() {
        for path in [
            "",
            "/",
            "chat/completions",
            "/v1/chat/completions",
            "/chat/completions/",
            "//chat/completions",
            "/chat//completions",
            "/chat/../chat/completions",
            "/./responses",
            "/chat%2fcompletions",
            "/chat/completions%00",
            "/Chat/Completions",
            "/chat/completions?x",
            "/completions",
            "/embeddings",
            "/files",
            "/batches",
            "/responses/compact",
            "/responses/resp_1",
            "/responses/input_tokens",
            "/v1/messages/batches",
            "/v1/complete",
            "/v1/models/x:generateContent",
            "/v1beta/models/:generateContent",
            "/v1beta/models/a:b:generateContent",
            "/v1beta/models/../x:generateContent",
            "/v1beta/models/x:embedContent",
            "/v1beta/models/x:batchGenerateContent",
            "/v1beta/tunedModels/x:generateContent",
            "/v2/models/x:generateContent",
            "/v1beta/cachedContents",
        ] {
            for provider in [Provider::Anthropic, Provider::OpenAi] {
                assert_eq!(endpoint(provider, "POST", path), None, "{provider} {path}");
            }
            let known = path == "/v1/models/x:generateContent";
            assert_eq!(endpoint(Provider::Gemini, "POST", path).is_some(), known, "{path}");
        }
    }
}
