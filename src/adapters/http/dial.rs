//! Connections to a server on a loopback port, in the network where its programs are.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tower_service::Service;

use crate::adapters::process::Executor;

/// Sockets that are made at once: who connects while it is measured is not to wait for another thread each time.
const BATCH: usize = 64;

/// Connects to one port.
#[derive(Clone)]
pub(super) struct Dial {
    exec: Arc<dyn Executor>,
    port: u16,
    ready: Arc<Mutex<Vec<OwnedFd>>>,
}

impl Dial {
    /// To this port, where this executor's programs are.
    pub fn new(exec: Arc<dyn Executor>, port: u16) -> Self {
        Self { exec, port, ready: Arc::default() }
    }

    fn socket(&self) -> io::Result<OwnedFd> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.is_empty() {
            *ready = self.exec.sockets(BATCH)?;
        }
        ready.pop().ok_or_else(|| io::Error::other("there is no socket to connect with"))
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (socket, at) = (self.socket(), SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)));
        Box::pin(async move {
            let stream = TcpSocket::from_std_stream(std::net::TcpStream::from(socket?)).connect(at).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}
