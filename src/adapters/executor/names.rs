//! Answers to those in a lease's network who ask for the number of a host: what may be reached has one, everything else is
//! not there, and who asked for it is known.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::net::{AddressFamily, SocketType, bind};
use simple_dns::rdata::{A, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::network::Inside;
use super::passages::Hosts;

/// The longest question that is read.
const LONGEST: usize = 1024;
/// For how long an answer may be remembered, in seconds.
const REMEMBERED: u32 = 5;
/// How many names that are not there are remembered.
const MOST: usize = 100;

/// Answers for as long as it lives.
pub(super) struct Names {
    missed: Arc<Mutex<BTreeSet<String>>>,
    answering: Vec<JoinHandle<()>>,
}

impl Names {
    /// Answers in a network, in the place of the servers that this `resolv.conf` names.
    pub fn answer(network: &Inside, hosts: &Hosts, resolver: &str) -> io::Result<Self> {
        let missed = Arc::new(Mutex::new(BTreeSet::new()));
        let mut answering = Vec::new();
        for server in servers(resolver) {
            let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let Some(socket) = network.sockets(family, SocketType::DGRAM, 1)?.pop() else { continue };
            if bind(&socket, &server).is_err() {
                // A machine with one family alone.
                continue;
            }
            let socket = UdpSocket::from_std(std::net::UdpSocket::from(socket))?;
            answering.push(tokio::spawn(answer_all(socket, hosts.clone(), Arc::clone(&missed))));
        }
        Ok(Self { missed, answering })
    }

    /// Names that were asked for since the last time and are not there.
    pub fn missed(&self) -> Vec<String> {
        std::mem::take(&mut *self.missed.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.answering.iter().for_each(JoinHandle::abort);
    }
}

/// The servers that a `resolv.conf` names; this machine, where it names none.
fn servers(resolver: &str) -> BTreeSet<SocketAddr> {
    let named = resolver.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse::<IpAddr>().ok())?
    });
    let named: BTreeSet<IpAddr> = named.collect();
    let all = if named.is_empty() { BTreeSet::from([IpAddr::from([127, 0, 0, 1])]) } else { named };
    all.into_iter().map(|ip| SocketAddr::new(ip, 53)).collect()
}

async fn answer_all(socket: UdpSocket, hosts: Hosts, missed: Arc<Mutex<BTreeSet<String>>>) {
    let mut question = [0; LONGEST];
    loop {
        // What was wrong with one says nothing of the next.
        let Ok((length, from)) = socket.recv_from(&mut question).await else { continue };
        let Some((reply, unknown)) = reply(&question[..length], &hosts) else { continue };
        if let Some(name) = unknown {
            let mut missed = missed.lock().unwrap_or_else(PoisonError::into_inner);
            if missed.len() < MOST {
                missed.insert(name);
            }
        }
        drop(socket.send_to(&reply, from).await);
    }
}

/// The answer to a question, and the name where it is not there; `None` for what is not a question.
fn reply(question: &[u8], hosts: &Hosts) -> Option<(Vec<u8>, Option<String>)> {
    let asked = Packet::parse(question).ok().filter(|packet| !packet.has_flags(PacketFlag::RESPONSE))?;
    let first = asked.questions.first()?;
    let name = first.qname.to_string().to_ascii_lowercase();
    let mut reply = Packet::new_reply(asked.id());
    reply.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::RECURSION_AVAILABLE);
    let known = hosts.number(&name);
    match known {
        Some(IpAddr::V4(number)) if matches!(first.qtype, QTYPE::TYPE(TYPE::A) | QTYPE::ANY) => {
            let data = RData::A(A::from(number));
            reply.answers.push(ResourceRecord::new(first.qname.clone(), CLASS::IN, REMEMBERED, data));
        }
        Some(_) => {}
        None => *reply.rcode_mut() = RCODE::NameError,
    }
    reply.questions.push(first.clone());
    Some((reply.build_bytes_vec().ok()?, known.is_none().then_some(name)))
}

#[cfg(test)]
mod tests {
    use simple_dns::{Name, QCLASS, Question};

    use std::collections::BTreeMap;

    use super::*;
    use crate::adapters::process::{Address, Network};

    fn asked(name: &str, kind: TYPE) -> (Vec<String>, RCODE, Option<String>) {
        let address: Address = "packages.example:443".parse().unwrap();
        let mut packet = Packet::new_query(7);
        let name = Name::new(name).unwrap();
        packet.questions.push(Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
        let bytes = packet.build_bytes_vec().unwrap();
        let network = Network::Own { always: vec![address], sometimes: vec![], proxies: BTreeMap::new() };
        let (bytes, missed) = reply(&bytes, &Hosts::of(&network)).unwrap();
        let read = Packet::parse(&bytes).unwrap();
        assert_eq!((read.id(), read.has_flags(PacketFlag::RESPONSE)), (7, true));
        let numbers = read.answers.iter().map(|answer| match &answer.rdata {
            RData::A(number) => std::net::Ipv4Addr::from(number.address).to_string(),
            other => format!("{other:?}"),
        });
        (numbers.collect(), read.rcode(), missed)
    }

    #[test]
    fn who_may_be_reached_has_a_number_and_everybody_else_is_not_there_and_noted() {
        assert_eq!(asked("Packages.example", TYPE::A), (vec!["198.18.0.1".to_owned()], RCODE::NoError, None));
        assert_eq!(asked("packages.example", TYPE::AAAA), (vec![], RCODE::NoError, None));
        let missed = Some("telemetry.example".to_owned());
        assert_eq!(asked("telemetry.example", TYPE::A), (vec![], RCODE::NameError, missed));
    }

    #[test]
    fn what_is_not_a_question_has_no_answer() {
        for bytes in [&[][..], &[0; 5], &[0xff; 600], Packet::new_reply(1).build_bytes_vec().unwrap().as_slice()] {
            assert!(reply(bytes, &Hosts::default()).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn servers_of_names_are_those_of_the_machine() {
        let shown = |text: &str| servers(text).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            shown("# x\nnameserver 10.1.1.1\nsearch a\nnameserver fe80::1%eth0\nnameserver ::1\n"),
            ["10.1.1.1:53", "[::1]:53"]
        );
        assert_eq!(shown(""), ["127.0.0.1:53"]);
    }
}
