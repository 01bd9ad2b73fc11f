//! A plain HTTP client on loopback, and what it got.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer, read until it ended or broke off.
pub struct Got {
    /// The status.
    pub status: u16,
    /// The head.
    pub headers: HeaderMap,
    /// All that came.
    pub body: String,
    /// Whether it came to its end.
    pub whole: bool,
}

impl Got {
    /// Reads an answer.
    pub async fn of(mut response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        let whole = loop {
            match response.chunk().await {
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        Self { status, headers, body: String::from_utf8(body).unwrap(), whole }
    }

    /// The body, which must be JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A client.
pub fn client() -> reqwest::Client {
    blueprint::adapters::http::plain().build().unwrap()
}
