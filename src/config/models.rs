//! Where requests to models go, as the configuration says it.

use super::raw;
use crate::domain::quantity::Tokens;
use crate::domain::wire::Provider;

/// Where requests to models go. A provider that is not named can't be reached.
#[derive(Debug, Clone, Default)]
pub struct Models {
    /// By provider.
    pub upstreams: Vec<(Provider, Upstream)>,
}

/// A provider's address and the reference to its key.
#[derive(Debug, Clone, Default)]
pub struct Upstream {
    /// Without a slash at its end; the provider's own where absent.
    pub url: Option<String>,
    /// A variable with its `$`.
    pub key: Option<String>,
    /// The output limit of requests that name none.
    pub max_output: Option<Tokens>,
}

impl Models {
    pub(super) fn read(raw: raw::Models) -> Result<Self, String> {
        let named =
            [(Provider::Anthropic, raw.anthropic), (Provider::OpenAi, raw.openai), (Provider::Gemini, raw.gemini)];
        let named = named.into_iter().filter_map(|(provider, raw)| Some((provider, raw?)));
        let upstreams = named.map(|(provider, raw)| Ok((provider, upstream(provider, raw)?)));
        let upstreams: Vec<_> = upstreams.collect::<Result<_, String>>()?;
        if upstreams.is_empty() {
            return Err("`models` names no provider; name `anthropic`, `openai` or `gemini`".to_owned());
        }
        Ok(Self { upstreams })
    }

    /// Names of the variables that hold keys.
    pub fn key_variables(&self) -> Vec<String> {
        let named = self.upstreams.iter().filter_map(|(_, upstream)| upstream.key.as_deref());
        named.map(|key| key.trim_start_matches('$').trim_matches(['{', '}']).to_owned()).collect()
    }
}

fn upstream(provider: Provider, raw: raw::Upstream) -> Result<Upstream, String> {
    let key = format!("models.{provider}");
    let url = raw.url.map(|url| address(&key, &url)).transpose()?;
    if let Some(reference) = &raw.key
        && !reference.starts_with('$')
    {
        return Err(format!(
            "`{key}.key` must name a variable, such as ${}: a key has no place in a file",
            provider.key_variable()
        ));
    }
    let max_output = raw.max_output.map(|n| Tokens(u64::from(n.get())));
    Ok(Upstream { url, key: raw.key, max_output })
}

/// A base URL, without a slash at its end. Keys in URLs end up in logs; they are refused.
fn address(key: &str, text: &str) -> Result<String, String> {
    let wrong = |why: &str| format!("`{key}.url`: {why}; write such as http://127.0.0.1:11434/v1");
    let url = url::Url::parse(text).map_err(|error| wrong(&format!("`{text}` is no URL ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong(&format!("`{text}` is no http or https URL")));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("a base URL has no user, password, query or fragment"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}
