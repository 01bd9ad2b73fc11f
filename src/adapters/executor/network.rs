//! The network of a lease: a loopback of its own and nothing else, and sockets in it for us.
//!
//! Bubblewrap makes it. A socket belongs to the network of the thread that makes it, wherever it is used afterwards; so there
//! is a thread in here that makes them. Each address is one of this machine's in there, so that a server can be put in the
//! place of any other, and what nobody listens for is refused at once.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::worker::Worker;
use crate::adapters::process::sockets;

/// The network of a lease.
pub(super) struct Inside {
    door: Arc<OwnedFd>,
    maker: Worker,
}

impl Inside {
    /// The one behind this descriptor.
    pub fn behind(door: OwnedFd) -> io::Result<Self> {
        let door = Arc::new(door);
        let entrance = Arc::clone(&door);
        let maker = Worker::start("network", "makes the sockets of a lease", move || {
            move_into_link_name_space(entrance.as_fd(), Some(LinkNameSpaceType::Network))?;
            every_address_is_ours(AddressFamily::INET)?;
            // There may be none of these.
            drop(every_address_is_ours(AddressFamily::INET6));
            Ok(())
        })?;
        Ok(Self { door, maker })
    }

    /// What programs join.
    pub fn door(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.door)
    }

    /// So many sockets in it, which don't block.
    pub fn sockets(&self, family: AddressFamily, kind: SocketType, count: usize) -> io::Result<Vec<OwnedFd>> {
        self.maker.ask(move || sockets(family, kind, count))?
    }
}

/// Numbers of the kernel's interface, as linux/rtnetlink.h has them.
mod number {
    /// Message: a route is made.
    pub(super) const NEW_ROUTE: u16 = 24;
    /// Message: how the request ended.
    pub(super) const ERROR: u16 = 2;
    /// Flags: a request that is answered and makes what is not there.
    pub(super) const MAKE: u16 = 0x1 | 0x4 | 0x400;
    /// The table of what this machine itself is.
    pub(super) const LOCAL_TABLE: u8 = 255;
    /// Made by whoever administers.
    pub(super) const BY_HAND: u8 = 4;
    /// Valid on this machine alone.
    pub(super) const ON_HOST: u8 = 254;
    /// Leads to this machine itself.
    pub(super) const LOCAL: u8 = 2;
    /// Attribute: the device.
    pub(super) const DEVICE: u16 = 4;
    /// The loopback is the first device of each network.
    pub(super) const LOOPBACK: u32 = 1;
}

/// Lets the kernel take every address of a family for one of its own: `ip route add local default dev lo`.
fn every_address_is_ours(family: AddressFamily) -> io::Result<()> {
    let mut message: Vec<u8> = Vec::with_capacity(36);
    // The head: length, kind, flags, number, port.
    message.extend(36_u32.to_ne_bytes());
    message.extend(number::NEW_ROUTE.to_ne_bytes());
    message.extend(number::MAKE.to_ne_bytes());
    message.extend([0; 8]);
    // The route: family, bits of target and source, type of service, table, maker, scope, kind, flags.
    let family = u8::try_from(family.as_raw()).map_err(io::Error::other)?;
    message.extend([family, 0, 0, 0, number::LOCAL_TABLE, number::BY_HAND, number::ON_HOST, number::LOCAL]);
    message.extend([0; 4]);
    // Its device: length, kind, value.
    message.extend(8_u16.to_ne_bytes());
    message.extend(number::DEVICE.to_ne_bytes());
    message.extend(number::LOOPBACK.to_ne_bytes());
    let kernel = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    connect(&kernel, &SocketAddrNetlink::new(0, 0))?;
    send(&kernel, &message, SendFlags::empty())?;
    let mut answer = [0; 256];
    let (_, length) = recv(&kernel, &mut answer, RecvFlags::empty())?;
    let at = |from: usize, to: usize| answer.get(from..to.min(length));
    let kind = at(4, 6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let code = at(16, 20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(number::ERROR), Some(0)) => Ok(()),
        (Some(number::ERROR), Some(code)) => Err(io::Error::from_raw_os_error(-code)),
        _ => Err(io::Error::other("the kernel does not answer a request for a route")),
    }
}
