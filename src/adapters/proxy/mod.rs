//! The proxy port: how agents reach their models. One loopback address and one token a trial, a
//! list of allowed endpoints, the provider's key in nobody's memory but ours, and no request that
//! was not admitted first by whoever keeps the accounts.

mod account;
mod address;
mod answer;
pub mod bound;
mod cooldown;
mod counting;
mod exchange;
pub mod fake;
mod flow;
mod request;
mod sending;
mod server;
mod step;
mod token;
mod transcript;
mod unpack;
mod upstream;
pub mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::process::Address;
use super::process::Stop;
use crate::domain::budget::{Basis, Refusal, Settlement};
use crate::domain::quantity::Tokens;
use crate::domain::wire::{Access, Provider, Secret};

pub use server::LoopbackProxy;
pub use upstream::Patience;

/// Where the requests of a provider's protocols go.
#[derive(Clone)]
pub struct Upstream {
    /// As the provider's own clients are given it: `https://api.anthropic.com`,
    /// `https://api.openai.com/v1`, `http://127.0.0.1:11434/v1`,
    /// `https://generativelanguage.googleapis.com`. Without a slash at its end.
    pub url: String,
    /// Sent with every request and shown nowhere; none for servers that want none.
    pub key: Option<Secret>,
    /// The output limit of requests that name none.
    pub default_output: Tokens,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // An address may hold a password.
        let Self { url, key, default_output } = self;
        let url = address::shown(url);
        f.debug_struct("Upstream").field("url", &url).field("key", key).field("default_output", default_output).finish()
    }
}

/// What a proxy is made from.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The providers that can be reached.
    pub upstreams: Vec<(Provider, Upstream)>,
    /// What a list of models names, where a client asks for one.
    pub models: Vec<String>,
}

impl Settings {
    /// Where requests go, as the plan shows it: `anthropic at https://…, openai at http://…`.
    pub fn describe(&self) -> String {
        let one =
            |(provider, upstream): &(Provider, Upstream)| format!("{provider} at {}", address::shown(&upstream.url));
        self.upstreams.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// What a request wants to be admitted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// An upper bound of the tokens that the model reads.
    pub input: Tokens,
    /// What it asks to write at the most, or the default.
    pub output: Tokens,
    /// As the request names it.
    pub model: String,
    /// By what the bound is known.
    pub by: Basis,
}

/// A request that was admitted. Its reservation is on disk.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is not settled is charged in full when the door closes"]
pub struct Grant {
    /// Tells it from all others of the run.
    pub id: u64,
    /// What was reserved for input.
    pub input: Tokens,
    /// What it may write: what was asked, or what is left.
    pub output: Tokens,
}

/// Keeps the accounts of one step. Whoever admits must make a reservation durable before it
/// returns, and never forget one.
#[async_trait]
pub trait Purse: Send + Sync {
    /// Admits a request, waiting for others to settle where that helps. Dropped before it returns, it
    /// leaves nothing reserved.
    async fn reserve(&self, ask: Ask) -> Result<Grant, Refusal>;

    /// Replaces a reservation by what came of it. Takes effect before it returns.
    fn settle(&self, grant: Grant, settlement: Settlement);

    /// A request of the step waits for this, a half sentence; or none does any more. For people, and only told.
    fn waits(&self, what: Option<String>) {
        drop(what);
    }
}

/// One step that is about to use models.
pub struct Opening {
    /// The trial: lower-case letters, digits and hyphens. All steps of a trial have one address and one token.
    pub trial: String,
    /// Who admits its requests.
    pub purse: Arc<dyn Purse>,
    /// Where its transcript goes: JSON lines, appended to.
    pub transcript: PathBuf,
    /// How long waiting for a provider may take altogether, requests that wait together counted once; where
    /// absent each request may wait for ten minutes.
    pub time: Option<Duration>,
}

/// A trial's way to its models, open for one step.
#[async_trait]
pub trait Door: Send + Sync {
    /// What its agent is given.
    fn access(&self) -> &Access;

    /// Fires when a request was refused because a cap is spent.
    fn refused(&self) -> &Stop;

    /// Whether a request of its is under way or waits: then silence is no sign of being stuck.
    fn busy(&self) -> bool;

    /// Admits nothing more, breaks off what is under way, and returns when nothing is.
    async fn close(self: Box<Self>);
}

/// Why the proxy could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No socket.
    #[error("the proxy for models can't listen on 127.0.0.1")]
    Listen(#[source] std::io::Error),
    /// The transcript could not be written.
    #[error("the transcript {} can't be written", path.display())]
    Transcript {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The client for providers could not be made.
    #[error("no client for the providers: {0}")]
    Client(String),
}

/// Lets agents reach their models.
#[async_trait]
pub trait Proxy: Send + Sync {
    /// Opens one step of a trial. The step that was open before must be closed.
    async fn open(&self, opening: Opening) -> Result<Box<dyn Door>, ProxyError>;

    /// Where agents reach it, where that is over the network.
    fn address(&self) -> Option<Address>;
}
