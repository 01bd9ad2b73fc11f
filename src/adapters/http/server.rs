//! The server under test: started in the judged tree, waited for, and stopped.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::bind;
use rustix::net::sockopt::set_socket_reuseaddr;

use super::client::{Client, RequestPath, RequestSettings};
use super::limits::allow_connections;
use super::{HttpError, READY_LIMIT};
use crate::adapters::load::Target;
use crate::adapters::process::{Executor, Exit, Program, Serving, Site, Usage};
use crate::domain::quantity::show_duration;

/// Between two looks at whether it answers.
const POLL: Duration = Duration::from_millis(20);
/// How long one such look may take.
const LOOK: Duration = Duration::from_secs(2);
/// Between TERM and KILL when it is stopped.
const GRACE: Duration = Duration::from_secs(3);
/// How long the end of a server that breaks its connections may take to be known.
const DEATH: Duration = Duration::from_millis(700);
/// The lease's ports in the order in which they are tried.
const PORTS: &[&str] = &["PORT", "BLUEPRINT_PORT_1", "BLUEPRINT_PORT_2", "BLUEPRINT_PORT_3"];

/// How a tree's server is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeSettings {
    /// Listens on 127.0.0.1 at the port in its variable `PORT`.
    pub serve: Program,
    /// Answers 2xx once the server is ready.
    pub ready: RequestPath,
    /// How long that may take.
    pub ready_limit: Duration,
}

impl ServeSettings {
    /// Ready when it answers this path, within the usual time.
    pub fn new(serve: Program, ready: RequestPath) -> Self {
        Self { serve, ready, ready_limit: READY_LIMIT }
    }
}

/// A server that answered its first request. It dies when this is dropped.
pub struct Server {
    service: Box<dyn Serving>,
    shown: String,
    exec: Arc<dyn Executor>,
    port: u16,
}

impl Server {
    /// Starts it, able to hold this many connections, and waits until it answers. Its output goes
    /// to `server.log` in the site's scratch directory.
    pub async fn start(settings: &ServeSettings, site: &Site, connections: u64) -> Result<Self, HttpError> {
        allow_connections(connections)?;
        let port = free_port(site)?;
        let mut command = settings.serve.command(&[], &site.tree).env(&site.env);
        command.env.insert("PORT".to_owned(), port.to_string());
        command.log = Some(site.scratch.join("server.log"));
        command.cpus.clone_from(&site.cpus);
        command.grace = GRACE;
        command.metered = true;
        let service = site.exec.serve(command).await?;
        let mut server = Self { service, shown: settings.serve.to_string(), exec: Arc::clone(&site.exec), port };
        let ready = tokio::select! {
            ready = server.ready(settings) => ready,
            () = site.stop.cancelled() => Err(HttpError::Stopped),
        };
        if ready.is_err() {
            server.stop().await;
        }
        ready.map(|()| server)
    }

    /// The loopback port on which it answers.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it and all that it started took so far.
    pub fn usage(&self) -> Usage {
        self.service.usage()
    }

    /// A client that keeps up to this many connections to it open.
    pub fn client(&self, request: &RequestSettings, connections: usize) -> Client {
        Client::new(Arc::clone(&self.exec), self.port, request.clone(), connections)
    }

    async fn ready(&mut self, settings: &ServeSettings) -> Result<(), HttpError> {
        let ServeSettings { ready, ready_limit, .. } = settings;
        let deadline = Instant::now() + *ready_limit;
        let look = RequestSettings { path: ready.clone(), expect: None, limit: LOOK.min(*ready_limit) };
        let client = self.client(&look, 1);
        loop {
            let answer = client.ask(0).await;
            if let Some(exit) = self.service.ended() {
                return Err(HttpError::Variant(self.ended_with(exit, "before it was ready")));
            }
            let Err(failure) = answer else { return Ok(()) };
            if Instant::now() >= deadline {
                return Err(HttpError::Variant(format!(
                    "`{}` was not ready within {} on 127.0.0.1:{}; the last look: {}{}",
                    self.shown,
                    show_duration(*ready_limit),
                    self.port,
                    failure.message,
                    self.said()
                )));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// What a failure under load was about: the server's end, if it ended, and its last lines.
    pub(crate) async fn explain(&mut self, failure: &str) -> String {
        let deadline = Instant::now() + DEATH;
        while Instant::now() < deadline {
            if let Some(exit) = self.service.ended() {
                return format!("{}; {failure}", self.ended_with(exit, "under load"));
            }
            tokio::time::sleep(POLL).await;
        }
        format!("{failure}{}", self.said())
    }

    fn ended_with(&self, exit: Exit, when: &str) -> String {
        format!("`{}` ended {when} ({exit}){}", self.shown, self.said())
    }

    fn said(&self) -> String {
        let tail = self.service.tail(8);
        if tail.is_empty() { String::new() } else { format!("\n{tail}") }
    }

    /// Stops it with all that it started.
    pub async fn stop(&mut self) {
        self.service.stop().await;
    }
}

/// The first of the lease's ports on which nobody listens: another server of the same tree may
/// be up, and a look at it would find the wrong one ready.
fn free_port(site: &Site) -> Result<u16, HttpError> {
    let ports = PORTS.iter().filter_map(|name| site.env.get(*name)?.parse::<u16>().ok());
    let free = |port: &u16| {
        let sockets = site.exec.sockets(1).unwrap_or_default();
        // A port of a connection that ended is free.
        sockets.iter().any(|socket| {
            let reused = set_socket_reuseaddr(socket, true);
            reused.and_then(|()| bind(socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, *port))).is_ok()
        })
    };
    ports.into_iter().find(free).ok_or_else(|| {
        HttpError::Machine(format!("none of the lease's ports ({}) is free for a server", PORTS.join(", ")))
    })
}
