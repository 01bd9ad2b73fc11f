//! How much a request may read at the most, known before it is sent.
//!
//! No tokenizer makes more tokens than there are bytes, so the bytes are a bound; where a
//! conversation goes on from a call whose true input is known, that call's input and the bytes that
//! are new are a tighter one.
//!
//! That holds as long as a provider writes what it is given no longer than JSON does, and counts what
//! it reads. Where one does not, a request reads more than its bound; who settles it sees that, and
//! records it.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest, Sha256};

use crate::domain::budget::{ADDED, Basis};
use crate::domain::quantity::Tokens;

/// What it adds where a conversation goes on; the rest was counted in the earlier call.
const ADDED_ON_TOP: u64 = 64;

/// Over a whole text no honest tokenizer averages more characters a token.
pub(crate) const MOST_CHARACTERS: u64 = 8;

/// Of white space and rules (`-----`) so many characters that are alike count as one: there are tokens of 128.
const ALIKE: u64 = 16;

/// So many alike count in full.
const IN_FULL: usize = 4;

/// So many calls are remembered. Conversations go on from their last calls.
const REMEMBERED: usize = 4096;

/// At so many places from the start of a call another may part from it: after the head, and after what a client says first
/// in each conversation.
const STARTS: usize = 3;

/// So many such places are remembered; then all are forgotten.
const MOST_STARTS: usize = 1024;

/// Stands for the parts up to one of them.
type Key = [u8; 16];

/// The parts of a request, in short: enough to bound it, and to know it again as the start of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// For each part, the key of all parts up to it and their bytes together.
    links: Vec<(Key, u64)>,
    /// What the model reads at the least.
    least: Tokens,
}

impl Chain {
    /// The fewest tokens that a request can be: whoever reports less is not believed.
    pub fn least(&self) -> Tokens {
        self.least
    }

    fn bytes(&self) -> u64 {
        self.links.last().map_or(0, |(_, bytes)| *bytes)
    }
}

/// What is known of the calls of one trial.
#[derive(Debug, Default)]
pub struct Anchors {
    inputs: HashMap<Key, Tokens>,
    /// The oldest first.
    order: VecDeque<Key>,
    /// How much calls can have read up to places where others may go on in another way: no more than the whole call.
    starts: HashMap<Key, Tokens>,
}

impl Anchors {
    /// What a request is known by, from what a model reads of it in its order; see
    /// [`Request::parts`](super::wire::Request::parts).
    pub fn measure(parts: &[Vec<u8>]) -> Chain {
        let mut last = [0; 16];
        let mut bytes = 0_u64;
        let link = |part: &Vec<u8>| {
            let length = part.len() as u64;
            // With its length, so that no part can be taken for two.
            let hash: [u8; 32] =
                Sha256::new_with_prefix(last).chain_update(length.to_le_bytes()).chain_update(part).finalize().into();
            last.copy_from_slice(&hash[..16]);
            bytes += length;
            (last, bytes)
        };
        let weight: u64 = parts.iter().map(|part| weight(part)).sum();
        Chain { links: parts.iter().map(link).collect(), least: Tokens(weight / ALIKE / MOST_CHARACTERS) }
    }

    /// The most that a request reads.
    pub fn bound(&self, chain: &Chain) -> Tokens {
        self.bounded(chain).0
    }

    /// The same, and by what it is known.
    pub fn bounded(&self, chain: &Chain) -> (Tokens, Basis) {
        let bytes = chain.bytes();
        let plain = Tokens(bytes.saturating_add(ADDED));
        let known = |key| self.inputs.get(key).or_else(|| self.starts.get(key));
        let anchor = chain.links.iter().rev().find_map(|(key, upto)| Some((known(key)?, upto)));
        let anchored =
            anchor.map(|(input, upto)| Tokens((bytes - upto).saturating_add(ADDED_ON_TOP)).saturating_add(*input));
        match anchored.filter(|anchored| *anchored < plain) {
            Some(anchored) => (anchored.max(chain.least), Basis::Earlier),
            None => (plain, Basis::Bytes),
        }
    }

    /// Remembers what a request truly read. Told again, the higher number counts: some servers leave out
    /// what they still had from an earlier call.
    pub fn learn(&mut self, chain: &Chain, input: Tokens) {
        let input = input.max(chain.least);
        let Some((key, _)) = chain.links.last() else { return };
        if self.starts.len() >= MOST_STARTS {
            self.starts.clear();
        }
        for (start, _) in chain.links.iter().take(STARTS.min(chain.links.len() - 1)) {
            let most = self.starts.entry(*start).or_insert(input);
            *most = input.min(*most);
        }
        if let Some(known) = self.inputs.get_mut(key) {
            *known = input.max(*known);
            return;
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.inputs.remove(&oldest);
        }
        self.order.push_back(*key);
        self.inputs.insert(*key, input);
    }
}

/// The characters of a text, in parts of [`ALIKE`]: long runs of the same mark are few tokens.
fn weight(text: &[u8]) -> u64 {
    let (mut sum, mut last, mut run) = (0, 0, 0);
    for byte in text.iter().copied().filter(|byte| byte & 0xc0 != 0x80) {
        run = if byte == last { run + 1 } else { 1 };
        last = byte;
        sum += if run > IN_FULL && byte.is_ascii() && !byte.is_ascii_alphanumeric() { 1 } else { ALIKE };
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(parts: &[&str]) -> Chain {
        Anchors::measure(&parts.iter().map(|part| part.as_bytes().to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn without_an_earlier_call_the_bytes_are_the_bound() {
        assert_eq!(Anchors::default().bound(&chain(&["head", "hello"])), Tokens(9 + 1024));
        assert_eq!(Anchors::default().bound(&chain(&[])), Tokens(1024));
    }

    #[test]
    fn a_conversation_that_goes_on_is_bounded_by_its_last_call_and_what_is_new() {
        let mut anchors = Anchors::default();
        let head = "h".repeat(100_000);
        anchors.learn(&chain(&[&head, "one"]), Tokens(20_000));
        anchors.learn(&chain(&[&head, "one", "two", "three"]), Tokens(20_005));
        let next = chain(&[&head, "one", "two", "three", "four"]);
        assert_eq!(anchors.bound(&next), Tokens(20_005 + 4 + 64));
        let branched = chain(&[&head, "one", "2"]);
        assert_eq!(anchors.bound(&branched), Tokens(20_000 + 1 + 64));
        assert_eq!(anchors.bound(&chain(&[&head, "one"])), Tokens(20_000 + 64));
        let other = chain(&[&head, "onetwo"]);
        assert_eq!(anchors.bound(&other), Tokens(20_000 + 6 + 64));
    }

    #[test]
    fn another_conversation_with_the_same_head_is_bounded_by_what_the_first_read_in_all() {
        let mut anchors = Anchors::default();
        let head = "a head of many words ".repeat(4000);
        anchors.learn(&chain(&[&head, "one"]), Tokens(20_000));
        anchors.learn(&chain(&[&head, "one", "two"]), Tokens(25_000));
        let other = chain(&[&head, "something else"]);
        assert_eq!(anchors.bounded(&other), (Tokens(20_000 + 14 + 64), Basis::Earlier));
        assert_eq!(anchors.bounded(&chain(&["a", "b"])), (Tokens(2 + 1024), Basis::Bytes));
    }

    #[test]
    fn an_earlier_call_never_makes_the_bound_higher_than_the_bytes_do() {
        let mut anchors = Anchors::default();
        anchors.learn(&chain(&["head"]), Tokens(u64::MAX));
        assert_eq!(anchors.bound(&chain(&["head", "more"])), Tokens(8 + 1024));
    }

    #[test]
    fn a_server_that_leaves_out_what_it_had_already_does_not_lower_what_is_known() {
        let mut anchors = Anchors::default();
        let call = chain(&[&"h".repeat(5000)]);
        for input in [3000, 10, 2000] {
            anchors.learn(&call, Tokens(input));
        }
        assert_eq!(anchors.bound(&call), Tokens(3000 + 64));
    }

    #[test]
    fn the_oldest_calls_are_forgotten() {
        let mut anchors = Anchors::default();
        let head = "h".repeat(5000);
        for n in 0..REMEMBERED + 10 {
            anchors.learn(&chain(&[&format!("{n} {head}")]), Tokens(700));
        }
        assert_eq!((anchors.inputs.len(), anchors.order.len()), (REMEMBERED, REMEMBERED));
        assert_eq!(anchors.bound(&chain(&[&format!("9 {head}")])), Tokens(5002 + 1024));
        assert_eq!(anchors.bound(&chain(&[&format!("10 {head}")])), Tokens(700 + 64));
    }

    #[test]
    fn a_text_has_at_least_a_token_for_eight_characters_and_few_for_white_space_and_rules() {
        let least = |text: &str| chain(&[text]).least().0;
        assert_eq!(least(&"the same words again ".repeat(80)), 210);
        assert_eq!(least(&"x".repeat(8000)), 1000);
        assert_eq!(least(&"नमस्ते".repeat(80)), 60);
        assert!(least(&" ".repeat(8000)) <= 64 && least(&"-".repeat(8000)) <= 64);
        assert_eq!(least(""), 0);
    }

    #[test]
    fn a_call_that_was_told_to_be_nothing_bounds_no_later_one_below_what_it_must_be() {
        let mut anchors = Anchors::default();
        let call = chain(&[&"words ".repeat(1000)]);
        anchors.learn(&call, Tokens(1));
        assert!(anchors.bound(&call) >= call.least());
    }

    proptest! {
        #[test]
        fn parts_are_not_mistaken_for_others_with_the_same_bytes(parts in prop::collection::vec("[ab]{0,3}", 0..5)) {
            let joined = parts.concat();
            let mut anchors = Anchors::default();
            anchors.learn(&chain(&[&joined]), Tokens(0));
            let parts: Vec<_> = parts.iter().map(String::as_str).collect();
            let known = anchors.bound(&chain(&parts)) < Tokens(1024);
            prop_assert_eq!(known, parts.first().is_some_and(|first| *first == joined));
        }

        #[test]
        fn a_bound_with_a_true_anchor_holds_for_any_tokenizer(
            parts in prop::collection::vec(".{0,40}", 1..8), known in 0..8usize, per_token in 1..5u64,
        ) {
            // A model that makes one token of so many bytes of each part.
            let reads = |parts: &[&str]| parts.iter().map(|part| (part.len() as u64).div_ceil(per_token)).sum::<u64>();
            let parts: Vec<_> = parts.iter().map(String::as_str).collect();
            let mut anchors = Anchors::default();
            let start = &parts[..known.min(parts.len())];
            anchors.learn(&chain(start), Tokens(reads(start)));
            prop_assert!(anchors.bound(&chain(&parts)) >= Tokens(reads(&parts)));
        }
    }
}
