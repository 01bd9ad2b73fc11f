//! The providers' side: one client a provider, what a request is sent with, and whether a failed
//! one may have reached the provider.

use std::error::Error;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};
use reqwest::redirect::Policy;
use url::Url;

use super::cooldown::Cooldown;
use super::{ProxyError, Upstream};
use crate::adapters::http;
use crate::adapters::process::Redactor;
use crate::domain::quantity::{Tokens, show_duration};
use crate::domain::wire::{Provider, Secret};

/// Some servers close idle connections after 5 s; a request must not race with that.
const IDLE: Duration = Duration::from_secs(4);
/// How long a connection may take, with the name's look-up and TLS.
const CONNECT: Duration = Duration::from_secs(10);
/// What a client's request may tell the provider.
const PASSED: [&str; 5] = ["accept", "anthropic-beta", "anthropic-version", "openai-beta", "user-agent"];

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For its first byte: whoever thinks for long, or waits in a queue, says nothing.
    pub first: Duration,
    /// Between two pieces of it.
    pub between: Duration,
    /// For the rest of it, where the client is gone: only the usage is still of interest.
    pub alone: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(10 * 60),
            between: Duration::from_secs(5 * 60),
            alone: Duration::from_secs(120),
        }
    }
}

/// The way to one provider.
pub(super) struct Link {
    client: reqwest::Client,
    base: Url,
    key: Option<(HeaderName, HeaderValue)>,
    /// What it may not tell a client.
    pub redactor: Redactor,
    pub provider: Provider,
    pub default_output: Tokens,
    pub cooldown: Cooldown,
    pub patience: Patience,
    /// How often in a row it did not count tokens when it was asked to.
    pub misses: AtomicU32,
}

/// A request as it is sent, as often as it has to be.
#[derive(Clone)]
pub(super) struct Outgoing {
    pub method: Method,
    /// Below the base, with the query.
    pub tail: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What sending a request once came to.
pub(super) enum Tried {
    /// An answer's head is there.
    Answered(reqwest::Response),
    /// Nothing of the request left this machine.
    Unsent(String),
    /// The same, and it will be no other way.
    Never(String),
    /// It may have reached the provider, and nothing is known of it.
    Lost(String),
}

impl Link {
    /// A client for the upstream.
    pub(super) fn new(provider: Provider, upstream: &Upstream, patience: Patience) -> Result<Self, ProxyError> {
        let base = base(provider, &upstream.url)?;
        let key = upstream.key.as_ref().map(|key| header(provider, key)).transpose()?;
        let password = base.password().map(Secret::new);
        Ok(Self {
            client: client(provider, base.scheme() == "https")?,
            redactor: Redactor::new(upstream.key.iter().chain(&password)),
            base,
            key,
            provider,
            default_output: upstream.default_output,
            cooldown: Cooldown::default(),
            patience,
            misses: AtomicU32::new(0),
        })
    }

    /// Sends a request once and waits for the answer's head.
    pub(super) async fn send(&self, outgoing: &Outgoing) -> Tried {
        let url = format!("{}{}", self.base.as_str().trim_end_matches('/'), outgoing.tail);
        let mut headers = outgoing.headers.clone();
        if let Some((name, value)) = &self.key {
            headers.insert(name, value.clone());
        }
        let request = self.client.request(outgoing.method.clone(), url).headers(headers).body(outgoing.body.clone());
        match tokio::time::timeout(self.patience.first, request.send()).await {
            Ok(Ok(answer)) => Tried::Answered(answer),
            Ok(Err(error)) if hopeless(&error) => Tried::Never(self.told(&error)),
            Ok(Err(error)) if unsent(&error) => Tried::Unsent(self.told(&error)),
            Ok(Err(error)) => Tried::Lost(self.told(&error)),
            Err(_) => Tried::Lost(format!("no answer within {}", show_duration(self.patience.first))),
        }
    }

    /// The innermost cause, in the system's words; the outer ones hold the address.
    pub(super) fn told(&self, error: &reqwest::Error) -> String {
        let mut cause: &dyn Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        if error.source().is_none() {
            "the request can't be made".to_owned()
        } else {
            self.redactor.text(&cause.to_string())
        }
    }
}

/// The headers of a client's request that are passed on.
pub(super) fn passed(headers: &HeaderMap, body: bool) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in PASSED {
        for value in headers.get_all(name) {
            kept.append(HeaderName::from_static(name), value.clone());
        }
    }
    if body {
        kept.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    kept
}

fn base(provider: Provider, text: &str) -> Result<Url, ProxyError> {
    // The text itself may hold a password.
    let bad = |why: &str| ProxyError::Client(format!("the address of {provider} is not usable: {why}"));
    let url = Url::parse(text).map_err(|why| bad(&why.to_string()))?;
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        return Err(bad("it starts with http:// or https:// and names a host"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it ends with a path, not with `?…` or `#…`"));
    }
    Ok(url)
}

/// The header in which a provider wants its key.
fn header(provider: Provider, key: &Secret) -> Result<(HeaderName, HeaderValue), ProxyError> {
    let (name, text) = match provider {
        Provider::Anthropic => (HeaderName::from_static("x-api-key"), key.expose().to_owned()),
        Provider::OpenAi => (AUTHORIZATION, format!("Bearer {}", key.expose())),
        Provider::Gemini => (HeaderName::from_static("x-goog-api-key"), key.expose().to_owned()),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        ProxyError::Client(format!(
            "the key of {provider} holds a character that no header can carry, such as a line end"
        ))
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn client(provider: Provider, encrypted: bool) -> Result<reqwest::Client, ProxyError> {
    let builder = if encrypted { http::builder() } else { http::plain() };
    let builder = builder
        // One connection a request: what breaks it is that request's alone, and never sends another twice.
        .http1_only()
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE);
    builder.build().map_err(|error| {
        let mut cause: &dyn Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        ProxyError::Client(format!("{provider}: {cause}"))
    })
}

/// Whether there is no talking to whoever answers, because of a certificate that does not hold or because nothing is
/// encrypted there, or the request can't be made at all: that does not pass by itself.
fn hopeless(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if inner.is::<rustls::Error>() {
            return true;
        }
        // The source of an error of the system's is not what it wraps, but the source of that.
        let wrapped = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| inner.source());
    }
    error.is_builder()
}

/// Whether a failed request certainly never reached the provider.
fn unsent(error: &reqwest::Error) -> bool {
    if error.is_connect() || error.is_builder() {
        return true;
    }
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(inner) = cause {
        if inner.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        cause = inner.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-canary-0123456789";

    fn link(provider: Provider, url: &str, key: &str) -> Result<Link, ProxyError> {
        let upstream = Upstream { url: url.to_owned(), key: Some(Secret::new(key)), default_output: Tokens(1) };
        Link::new(provider, &upstream, Patience::default())
    }

    #[test]
    fn an_address_or_a_key_that_can_not_be_used_is_refused_without_being_shown() {
        let cases = [
            ("ftp://user:sk-canary@host", KEY, "http://"),
            ("sk-canary", KEY, "not usable"),
            ("http://sk-canary@host/v1?key=sk-canary", KEY, "`?…`"),
            ("http://host/v1", "sk-canary\nsecond line", "line end"),
        ];
        for (url, key, expected) in cases {
            let error = link(Provider::OpenAi, url, key).err().unwrap();
            let told = format!("{error} {error:?}");
            assert!(told.contains(expected) && !told.contains("canary"), "{told}");
        }
    }

    #[test]
    fn each_provider_gets_its_key_in_its_own_header() {
        let expected = [
            ("x-api-key", KEY.to_owned()),
            ("authorization", format!("Bearer {KEY}")),
            ("x-goog-api-key", KEY.to_owned()),
        ];
        for (provider, (name, value)) in Provider::ALL.into_iter().zip(expected) {
            let (header, text) = header(provider, &Secret::new(KEY)).unwrap();
            assert_eq!((header.as_str(), text.to_str().unwrap()), (name, value.as_str()));
            assert!(!format!("{text:?}").contains("canary"));
        }
    }

    #[test]
    fn only_listed_headers_are_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("anthropic-beta", "a"), ("cookie", "c"), ("x-api-key", "k"), ("authorization", "b"), ("user-agent", "u")]
        {
            headers.append(name, value.parse().unwrap());
        }
        headers.append("anthropic-beta", "b".parse().unwrap());
        let kept = passed(&headers, true);
        let mut names: Vec<_> =
            kept.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
        names.sort();
        assert_eq!(names, ["anthropic-beta=a", "anthropic-beta=b", "content-type=application/json", "user-agent=u"]);
    }
}
