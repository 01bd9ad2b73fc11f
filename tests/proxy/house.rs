//! A proxy with a model behind it, and what a client does before it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blueprint::adapters::proxy::{Door, LoopbackProxy, Opening, Patience, Proxy, Settings, Upstream};
use blueprint::domain::quantity::Tokens;
use blueprint::domain::wire::{Access, Provider, Secret, Wire};
use serde_json::{Value, json};

use crate::bank::Bank;
pub use crate::common::got::{Got, client};
use crate::common::model::{Call, Model, Reply};

/// Every provider's key. It holds what URLs and JSON escape.
pub const KEY: &str = "sk-canary/0123456789";

/// A proxy, its model, and a directory for transcripts.
pub struct House {
    pub model: Model,
    pub proxy: LoopbackProxy,
    dir: tempfile::TempDir,
}

impl House {
    pub async fn new(script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(Patience::default(), script).await
    }

    pub async fn with(patience: Patience, script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        let model = Model::start(script);
        let proxy = LoopbackProxy::with_patience(settings(&model.url()), patience).await.unwrap();
        Self { model, proxy, dir: tempfile::tempdir().unwrap() }
    }

    pub async fn open(&self, trial: &str, bank: &Arc<Bank>) -> Box<dyn Door> {
        self.open_for(trial, bank, None).await
    }

    pub async fn open_for(&self, trial: &str, bank: &Arc<Bank>, time: Option<Duration>) -> Box<dyn Door> {
        let purse = bank.purse(&trial.to_ascii_uppercase());
        let opening = Opening { trial: trial.to_owned(), purse, transcript: self.path(trial), time };
        self.proxy.open(opening).await.unwrap()
    }

    fn path(&self, trial: &str) -> PathBuf {
        self.dir.path().join("transcripts").join(format!("{trial}.jsonl"))
    }

    /// What was noted of a trial; its door must be closed.
    pub fn text(&self, trial: &str) -> String {
        std::fs::read_to_string(self.path(trial)).unwrap()
    }

    pub fn lines(&self, trial: &str) -> Vec<Value> {
        self.text(trial).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// All providers at one address.
pub fn settings(url: &str) -> Settings {
    let upstream = |provider| {
        let url = if provider == Provider::OpenAi { format!("{url}/v1") } else { url.to_owned() };
        (provider, Upstream { url, key: Some(Secret::new(KEY)), default_output: Tokens(500) })
    };
    Settings { upstreams: Provider::ALL.map(upstream).into(), models: vec!["first".to_owned(), "second".to_owned()] }
}

/// Short limits, for tests that wait for them.
pub fn impatient() -> Patience {
    let short = Duration::from_millis(400);
    Patience { first: short, between: short, alone: short }
}

/// Where a protocol's requests go.
pub fn url(access: &Access, wire: Wire, stream: bool) -> String {
    let base = access.base(wire.provider());
    match wire {
        Wire::Messages => format!("{base}/v1/messages?beta=true"),
        Wire::Chat => format!("{base}/chat/completions"),
        Wire::Responses => format!("{base}/responses"),
        Wire::Gemini if stream => format!("{base}/v1beta/models/scripted:streamGenerateContent?alt=sse"),
        Wire::Gemini => format!("{base}/v1beta/models/scripted:generateContent"),
    }
}

/// A request for 100 tokens.
pub fn body(wire: Wire, text: &str, stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": text}]);
    match wire {
        Wire::Messages => json!({"model": "scripted", "max_tokens": 100, "stream": stream, "messages": messages}),
        Wire::Chat => json!({"model": "scripted", "max_tokens": 100, "stream": stream, "messages": messages}),
        Wire::Responses => json!({"model": "scripted", "max_output_tokens": 100, "stream": stream, "input": messages}),
        Wire::Gemini => json!({
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "generationConfig": {"maxOutputTokens": 100},
        }),
    }
}

/// A request as a client of this protocol sends it.
pub fn request(access: &Access, wire: Wire, stream: bool, body: &Value) -> reqwest::RequestBuilder {
    let key = access.key.expose();
    let request = client().post(url(access, wire, stream)).body(body.to_string());
    match wire {
        Wire::Messages => request.header("x-api-key", key).header("anthropic-version", "2023-06-01"),
        Wire::Chat | Wire::Responses => request.bearer_auth(key),
        Wire::Gemini => request.header("x-goog-api-key", key),
    }
}

pub async fn ask(access: &Access, wire: Wire, stream: bool) -> Got {
    Got::of(request(access, wire, stream, &body(wire, "hello", stream)).send().await.unwrap()).await
}
