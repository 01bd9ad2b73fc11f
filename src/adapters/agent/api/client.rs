//! Asking the model, through the run's proxy. The proxy waits and tries again where a provider is
//! busy; here only what went wrong on the way to it is tried again.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode};

use super::conversation::Answer;
use super::dialect::{Dialect, Reader, error_words};
use crate::adapters::http::{self, SseReader};
use crate::adapters::process::Stop;
use crate::domain::trial::Usage;
use crate::domain::wire::{Access, Wire};

/// Pauses before a connection is tried again.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];
/// How often an answer that breaks is asked for again.
const AGAIN: usize = 2;
/// A provider that thinks may be silent for long, but not for ever.
const SILENCE: Duration = Duration::from_secs(600);
/// How long after the end of an answer its connection may stay open.
const CLOSING: Duration = Duration::from_secs(2);
/// How much of an error is read.
const ERROR: usize = 64 << 10;
/// What a refusal for lack of budget says, in whichever provider's shape; see `domain::budget::Refusal`.
const SPENT: &str = "the token budget of this";

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// A cap is spent.
    Spent,
    /// The provider, or the proxy in its place, refused the request.
    Rejected(String),
    /// Nobody answered, or nothing that could be read, and not when asked again either.
    Lost(String),
}

/// One attempt that failed.
enum Failure {
    Final(Fault),
    /// The proxy was not there: nothing was asked.
    Unconnected(String),
    /// The answer broke off, or was none; it may have cost something.
    Broken {
        why: String,
        usage: Option<Usage>,
    },
}

/// A model behind a proxy.
pub struct Client {
    http: reqwest::Client,
    dialect: &'static dyn Dialect,
    url: String,
    headers: HeaderMap,
    key: String,
    refused: Stop,
}

impl Client {
    /// A client for one step; `refused` fires when the proxy refuses a request because a cap is spent.
    pub fn new(dialect: &'static dyn Dialect, wire: Wire, access: &Access, refused: &Stop) -> Result<Self, String> {
        let built = http::plain()
            .http1_only()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .pool_idle_timeout(Duration::from_secs(2))
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(SILENCE)
            .build();
        let mut headers = HeaderMap::new();
        for (name, value) in dialect.headers(&access.key) {
            let mut value =
                HeaderValue::from_str(&value).map_err(|_| "the token can't stand in a header".to_owned())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self {
            http: built.map_err(|error| root_cause(&error))?,
            dialect,
            url: format!("{}{}", access.base(wire.provider()), dialect.path()),
            headers,
            key: access.key.expose().to_owned(),
            refused: refused.clone(),
        })
    }

    /// Asks for an answer to this request. `lost` is told what answers cost that broke off.
    pub async fn ask(&self, body: &[u8], mut lost: impl FnMut(Option<Usage>) + Send) -> Result<Answer, Fault> {
        let (mut unconnected, mut broken) = (0, 0);
        loop {
            match self.once(body).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(fault)) => return Err(fault),
                Err(Failure::Unconnected(why)) => match PAUSES.get(unconnected) {
                    Some(pause) => {
                        unconnected += 1;
                        tokio::time::sleep(*pause).await;
                    }
                    None => return Err(Fault::Lost(format!("the model can't be reached: {}", self.scrubbed(&why)))),
                },
                Err(Failure::Broken { why, usage }) => {
                    lost(usage);
                    if broken == AGAIN {
                        let why = self.scrubbed(&why);
                        return Err(Fault::Lost(format!("the model gave no whole answer, {} times: {why}", AGAIN + 1)));
                    }
                    broken += 1;
                }
            }
        }
    }

    async fn once(&self, body: &[u8]) -> Result<Answer, Failure> {
        let response = self.request(body).send().await.map_err(|error| {
            let why = root_cause(&error);
            if error.is_connect() { Failure::Unconnected(why) } else { Failure::Broken { why, usage: None } }
        })?;
        match response.status() {
            status if status.is_success() => self.read(response).await,
            status => Err(Failure::Final(self.rejected(status, response).await)),
        }
    }

    fn request(&self, body: &[u8]) -> RequestBuilder {
        self.http.post(&self.url).headers(self.headers.clone()).body(body.to_vec())
    }

    async fn rejected(&self, status: StatusCode, mut response: Response) -> Fault {
        let mut body = Vec::new();
        while body.len() < ERROR
            && let Ok(Some(part)) = response.chunk().await
        {
            body.extend_from_slice(&part);
        }
        let told = serde_json::from_slice(&body).ok().and_then(|value| error_words(&value));
        let told = told.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
        if status == StatusCode::BAD_REQUEST && (self.refused.is_cancelled() || told.contains(SPENT)) {
            return Fault::Spent;
        }
        let told: String = told.trim().chars().take(500).collect();
        let told = if told.is_empty() { String::new() } else { format!(": {}", self.scrubbed(&told)) };
        Fault::Rejected(format!("the model's provider answered {status}{told}"))
    }

    async fn read(&self, mut response: Response) -> Result<Answer, Failure> {
        let (mut events, mut reader) = (SseReader::default(), self.dialect.reader());
        let mut begun = Vec::new();
        loop {
            let next = match reader.complete() {
                // What comes now is read so that the proxy sees an answer that was taken to its end.
                true => tokio::time::timeout(CLOSING, response.chunk()).await.unwrap_or(Ok(None)),
                false => response.chunk().await,
            };
            let part = match next {
                Ok(Some(part)) => part,
                Ok(None) => break,
                Err(_) if reader.complete() => break,
                Err(error) => return Err(broken(&*reader, root_cause(&error))),
            };
            begun.extend_from_slice(&part[..part.len().min(200 - begun.len().min(200))]);
            for event in events.feed(&part) {
                reader.take(&event).map_err(|why| broken(&*reader, why))?;
            }
        }
        if reader.complete() {
            return Ok(reader.answer());
        }
        let why = match begun.first() {
            None => "it is empty".to_owned(),
            Some(b'{' | b'<') => format!("it is no stream of events: {}", String::from_utf8_lossy(&begun)),
            Some(_) => "it ended in the middle".to_owned(),
        };
        Err(broken(&*reader, why))
    }

    /// Without the trial's own token, which somebody may have quoted.
    fn scrubbed(&self, text: &str) -> String {
        if self.key.is_empty() { text.to_owned() } else { text.replace(&self.key, "…") }
    }
}

fn broken(reader: &dyn Reader, why: String) -> Failure {
    Failure::Broken { why, usage: reader.usage() }
}

/// What the system said at the bottom of it; never the address, which may be the trial's own.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::budget::{Refusal, Scope};
    use crate::domain::quantity::Tokens;

    #[test]
    fn a_refusal_is_known_by_what_it_says() {
        for scope in [Scope::Step, Scope::Variant, Scope::Session] {
            let refusal = Refusal::Spent { scope, cap: Tokens(9), left: Tokens(1), needed: Tokens(2) };
            assert!(refusal.to_string().contains(SPENT), "{refusal}");
        }
    }
}
