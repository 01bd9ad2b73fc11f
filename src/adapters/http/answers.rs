//! What a server answered in one slice, as one line that can be compared with what another answered to the same questions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::adapters::load::CLOSED;

/// Characters of an answer that are shown.
const SHOWN: usize = 80;

/// The body of an answer while it is read.
#[derive(Default)]
pub struct Body {
    head: Vec<u8>,
    length: u64,
    hash: Sha256,
}

impl Body {
    /// The next part of it.
    pub fn take(&mut self, part: &[u8]) {
        let room = (4 * SHOWN).saturating_sub(self.head.len());
        self.head.extend_from_slice(&part[..part.len().min(room)]);
        self.length += part.len() as u64;
        self.hash.update(part);
    }

    /// One short line that no other body has: its beginning, its length and a digest of all bytes.
    fn shown(self) -> String {
        let text = String::from_utf8_lossy(&self.head);
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect();
        format!("{line} ({} bytes, {})", self.length, short(self.hash))
    }
}

fn short(hash: Sha256) -> String {
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Answers by question. Of a closed loop, which asks as often as there is time, only those are kept that everybody has
/// time for: the first of each connection.
#[derive(Debug, Clone)]
pub struct Answers {
    connections: u64,
    known: Arc<Mutex<BTreeMap<u64, String>>>,
}

impl Answers {
    /// None yet; a closed loop asks over so many connections.
    pub fn new(connections: u64) -> Self {
        Self { connections, known: Arc::default() }
    }

    /// Takes one in; an error with both where the same question was answered otherwise before.
    pub fn add(&self, question: u64, body: Body) -> Result<(), (String, String)> {
        if question >= CLOSED + self.connections {
            return Ok(());
        }
        let (mut known, new) = (self.known.lock().unwrap_or_else(PoisonError::into_inner), body.shown());
        match known.entry(question).or_insert_with(|| new.clone()) {
            before if *before == new => Ok(()),
            before => Err((before.clone(), new)),
        }
    }

    /// All of them: the first one as it is, with a digest of the others; `None` where nothing was answered.
    pub fn told(&self) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, first) = known.first_key_value()?;
        let mut hash = Sha256::new();
        for (question, answer) in &*known {
            hash.update(format!("{question} {} {answer}", answer.len()));
        }
        Some(format!("{first}, one of {} answers with the digest {}", known.len(), short(hash)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(parts: &[&[u8]]) -> Body {
        let mut body = Body::default();
        parts.iter().for_each(|part| body.take(part));
        body
    }

    fn told(all: &[(u64, &[u8])]) -> String {
        let answers = Answers::new(2);
        all.iter().for_each(|(question, text)| answers.add(*question, body(&[*text])).unwrap());
        answers.told().unwrap()
    }

    #[test]
    fn bodies_are_the_same_where_all_of_their_bytes_are() {
        assert_eq!(body(&[b"a\nb"]).shown(), "a b (3 bytes, 7e18f737311b2dc3)");
        assert_eq!(body(&[b"a\nb"]).shown(), body(&[b"a", b"\nb"]).shown());
        assert_ne!(body(&[b"a\nb"]).shown(), body(&[b"a b"]).shown());
        let long = |last: &[u8]| body(&[&[b'x'; 5000], last]).shown();
        assert_ne!(long(b"1"), long(b"2"));
        assert_eq!(long(b"1").chars().take_while(|c| *c == 'x').count(), SHOWN);
        assert_ne!(body(&[b"\xff"]).shown(), body(&[b"\xfe"]).shown(), "no text, and not the same");
    }

    #[test]
    fn every_answer_counts_that_all_servers_have_time_for_in_whatever_order_they_come() {
        assert_eq!(Answers::new(2).told(), None);
        let all: [(u64, &[u8]); 4] = [(0, b"a"), (7, b"b"), (CLOSED, b"c"), (CLOSED + 1, b"d")];
        let turned: Vec<_> = all.iter().rev().copied().collect();
        assert_eq!(told(&all), told(&turned));
        assert!(told(&all).starts_with("a (1 bytes, "), "{}", told(&all));
        let more = [&all[..], &[(CLOSED + 2, b"e"), (2 * CLOSED, b"f")]].concat();
        assert_eq!(told(&all), told(&more));
        for at in 0..4 {
            let mut other = all;
            other[at].1 = b"x";
            assert_ne!(told(&all), told(&other));
            assert_ne!(told(&all), told(&[&all[..at], &all[at + 1..]].concat()));
        }
    }

    #[test]
    fn one_question_has_one_answer() {
        let answers = Answers::new(1);
        answers.add(3, body(&[b"a"])).unwrap();
        answers.add(3, body(&[b"a"])).unwrap();
        assert!(answers.add(3, body(&[b"b"])).unwrap_err().1.starts_with('b'));
    }
}
