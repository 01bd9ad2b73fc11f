//! Sockets of the network that a thread is in, and connections to one that listens.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// After a connection could not be taken, for want of open files.
const BREATH: Duration = Duration::from_millis(50);

/// So many of this thread's, connected to nothing, which don't block.
pub(crate) fn sockets(family: AddressFamily, kind: SocketType, count: usize) -> io::Result<Vec<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    (0..count).map(|_| Ok(socket_with(family, kind, flags, None)?)).collect()
}

/// Takes every connection and does something with it. All of them end when this is dropped.
pub(crate) async fn take_all<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> F,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Without it only the small pieces of a stream would come late.
                    drop(stream.set_nodelay(true));
                    connections.spawn(serve(stream));
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
