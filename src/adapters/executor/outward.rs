//! Connections from here to elsewhere, for who is in a network that leads nowhere: straight, or by the proxy that the
//! environment names.

use std::io;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::adapters::process::{Address, Environment};

/// The way out of this machine.
#[derive(Debug, Clone)]
pub(super) struct Outward(std::sync::Arc<Matcher>);

impl Default for Outward {
    /// Straight.
    fn default() -> Self {
        Self::by(&Environment::new())
    }
}

impl Outward {
    /// As these variables say: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in small letters too.
    pub fn by(env: &Environment) -> Self {
        let named = |name: &str| env.get(name).or_else(|| env.get(&name.to_uppercase())).cloned().unwrap_or_default();
        let matcher = Matcher::builder().all(named("all_proxy")).http(named("http_proxy")).https(named("https_proxy"));
        Self(std::sync::Arc::new(matcher.no(named("no_proxy")).build()))
    }

    /// Connects.
    pub async fn connect(&self, to: &Address) -> io::Result<TcpStream> {
        let scheme = if to.port() == 80 { "http" } else { "https" };
        let target: Uri = format!("{scheme}://{to}").parse().map_err(io::Error::other)?;
        let here = to.host() == "localhost" || to.ip().is_some_and(|ip| ip.is_loopback());
        let stream = match self.0.intercept(&target).filter(|_| !here) {
            None => TcpStream::connect((to.host(), to.port())).await?,
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), HttpConnector::new());
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                tunnel.call(target).await.map_err(io::Error::other)?.into_inner()
            }
        };
        // Without it only the small pieces of what is passed on would come late.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
