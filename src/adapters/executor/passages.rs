//! Ways out of a lease's network: listeners in it, each at the address that it stands for, which pass on what they are sent.
//!
//! Programs are told nothing of it: an address leads where it would lead outside. A host's name stands in their `/etc/hosts`,
//! with a number of its own in there.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::net::{AddressFamily, SocketType, bind, listen, sockopt};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::network::Inside;
use super::outward::Outward;
use crate::adapters::process::{Address, Network, Ways, take_all};

/// Connections that wait to be taken.
const BACKLOG: i32 = 1024;
/// The first of the numbers that stand for names: of a range that is nobody's.
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 1]);

/// The numbers of hosts within a lease.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts(BTreeMap<String, IpAddr>);

impl Hosts {
    /// Of all hosts that may ever be reached.
    pub fn of(network: &Network) -> Self {
        let Network::Own { always, sometimes, .. } = network else { return Self::default() };
        let named =
            always.iter().chain(sometimes).filter(|address| address.ip().is_none() && address.host() != "localhost");
        let names: BTreeSet<&str> = named.map(Address::host).collect();
        let numbers = (FIRST..).map(|number| IpAddr::V4(Ipv4Addr::from(number)));
        Self(names.into_iter().map(str::to_owned).zip(numbers).collect())
    }

    /// What stands in their `/etc/hosts`, where this is what stands in ours.
    pub fn file(&self, ours: &str) -> String {
        let is_ours = |line: &&str| {
            let words = line.split('#').next().unwrap_or_default().split_ascii_whitespace().skip(1);
            !words.into_iter().any(|word| self.0.contains_key(&word.to_ascii_lowercase()))
        };
        let kept = ours.lines().filter(is_ours).map(str::to_owned);
        let own = self.0.iter().map(|(name, number)| format!("{number} {name}"));
        kept.chain(own).flat_map(|line| [line, "\n".to_owned()]).collect()
    }

    /// The number of one, by its name in lower case.
    pub fn number(&self, name: &str) -> Option<IpAddr> {
        self.0.get(name).copied()
    }

    /// Where programs look for an address.
    fn places(&self, address: &Address) -> Vec<SocketAddr> {
        let numbers = match (address.ip(), self.0.get(address.host())) {
            (Some(ip), _) => vec![ip],
            (None, Some(number)) => vec![*number],
            (None, None) => vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        };
        numbers.into_iter().map(|number| SocketAddr::new(number, address.port())).collect()
    }
}

/// Ways that are open for as long as this lives. Connections end with it.
#[derive(Default)]
pub(super) struct Open {
    _listening: JoinSet<()>,
    used: Vec<(Address, Arc<AtomicU64>)>,
}

impl Open {
    /// One to each of these, by tasks of this runtime.
    pub fn to(by: &Handle, network: &Inside, hosts: &Hosts, outward: &Outward, to: &[Address]) -> io::Result<Self> {
        let _entered = by.enter();
        let (mut listening, mut used) = (JoinSet::new(), Vec::new());
        for address in to {
            let count = Arc::new(AtomicU64::new(0));
            let places = hosts.places(address);
            let heard = places.iter().map(|place| heard(network, *place)).collect::<Vec<_>>();
            // Of the two families there may be one alone.
            if let Some(Err(error)) = heard.iter().find(|_| heard.iter().all(Result::is_err)) {
                return Err(io::Error::new(error.kind(), format!("{address} can't be reached from there: {error}")));
            }
            for listener in heard.into_iter().flatten() {
                listening.spawn(pass_all(listener, address.clone(), outward.clone(), Arc::clone(&count)));
            }
            used.push((address.clone(), count));
        }
        Ok(Self { _listening: listening, used })
    }
}

impl Ways for Open {
    fn used(&self) -> Vec<(Address, u64)> {
        let counts = self.used.iter().map(|(address, count)| (address.clone(), count.load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

/// Listens in a network.
fn heard(network: &Inside, at: SocketAddr) -> io::Result<TcpListener> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = network.sockets(family, SocketType::STREAM, 1)?.pop().ok_or(io::ErrorKind::Other)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &at)?;
    listen(&socket, BACKLOG)?;
    TcpListener::from_std(std::net::TcpListener::from(socket))
}

async fn pass_all(listener: TcpListener, to: Address, outward: Outward, count: Arc<AtomicU64>) {
    let passed = |stream| {
        count.fetch_add(1, Ordering::Relaxed);
        pass(stream, to.clone(), outward.clone())
    };
    take_all(listener, passed).await;
}

/// Passes one connection on. How it ends, both ends see.
async fn pass(mut inner: TcpStream, to: Address, outward: Outward) {
    match outward.connect(&to).await {
        Ok(mut outer) => drop(copy_bidirectional(&mut inner, &mut outer).await),
        // Who is refused outside is cut off at once, and not told of an end in good order.
        Err(error) => {
            tracing::debug!(%to, %error, "is not reached");
            drop(inner.set_zero_linger());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_that_may_be_reached_has_a_number_of_its_own_and_no_other_line_speaks_of_it() {
        let all: Vec<Address> = ["b.example:443", "a.example:80", "a.example:443", "localhost:1", "10.0.0.7:5"]
            .map(|one| one.parse().unwrap())
            .into();
        let hosts = Hosts::of(&Network::Own { always: all.clone(), sometimes: vec![], proxies: BTreeMap::new() });
        let ours = "127.0.0.1 localhost\n10.1.1.1 x A.example # mine\n\n# a.example\n::1 ip6";
        let file = "127.0.0.1 localhost\n\n# a.example\n::1 ip6\n198.18.0.1 a.example\n198.18.0.2 b.example\n";
        assert_eq!(hosts.file(ours), file);
        let places = |index: usize| hosts.places(&all[index]).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(places(0), ["198.18.0.2:443"]);
        assert_eq!(places(2), ["198.18.0.1:443"]);
        assert_eq!(places(3), ["127.0.0.1:1", "[::1]:1"]);
        assert_eq!(places(4), ["10.0.0.7:5"]);
    }
}
