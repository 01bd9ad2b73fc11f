//! Sockets of the network that a thread is in.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// So many of this thread's, connected to nothing, which don't block.
pub(crate) fn sockets(family: AddressFamily, kind: SocketType, count: usize) -> io::Result<Vec<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    (0..count).map(|_| Ok(socket_with(family, kind, flags, None)?)).collect()
}

/// So many for TCP over IPv4.
pub(super) fn here(count: usize) -> io::Result<Vec<OwnedFd>> {
    sockets(AddressFamily::INET, SocketType::STREAM, count)
}
