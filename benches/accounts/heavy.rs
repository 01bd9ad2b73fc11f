//! A client whose first request is large, as Qwen Code's is: 80,000 bytes of instructions and tools, some
//! 20,000 tokens, in front of every conversation.

use blueprint::adapters::proxy::bound::{Anchors, Chain};
use blueprint::domain::budget::Basis;
use blueprint::domain::quantity::Tokens;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// As measured with version 0.24.4.
const HEAD: usize = 79_000;
/// What its makers let it write at the most.
pub const ASKS: Tokens = Tokens(32_000);
/// A conversation has so many turns; then the next work item begins a new one.
const TURNS: usize = 8;
/// Bytes of a true token.
const BYTES: u64 = 4;

/// Its conversations, bounded as the proxy bounds them where nobody counts.
pub struct Heavy {
    anchors: Anchors,
    parts: Vec<Vec<u8>>,
    turns: usize,
    random: ChaCha8Rng,
}

/// A request.
pub struct Request {
    chain: Chain,
    /// Its bound, and by what that is known.
    pub bound: (Tokens, Basis),
    /// What it truly reads.
    pub input: Tokens,
    /// What the model wants to write.
    pub wanted: u64,
}

impl Heavy {
    /// One client.
    pub fn new(seed: u64) -> Self {
        let mut made =
            Self { anchors: Anchors::default(), parts: Vec::new(), turns: 0, random: ChaCha8Rng::seed_from_u64(seed) };
        let head = made.text(HEAD);
        made.parts.push(head);
        made.begin();
        made
    }

    /// Its next request.
    pub fn request(&mut self) -> Request {
        let chain = Anchors::measure(&self.parts);
        let bytes: usize = self.parts.iter().map(Vec::len).sum();
        let wanted = self.between(20, 700);
        Request { bound: self.anchors.bounded(&chain), chain, input: Tokens(bytes as u64 / BYTES), wanted }
    }

    /// The answer and a tool's result go into the next request.
    pub fn went_on(&mut self, request: &Request, output: u64) {
        self.anchors.learn(&request.chain, request.input);
        self.turns += 1;
        if self.turns.is_multiple_of(TURNS) {
            return self.begin();
        }
        let result = self.between(100, 4000);
        for length in [output * BYTES, result] {
            let part = self.text(length as usize);
            self.parts.push(part);
        }
    }

    fn begin(&mut self) {
        self.parts.truncate(1);
        let length = self.between(800, 1600);
        let part = self.text(length as usize);
        self.parts.push(part);
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.random.next_u64() % (to - from)
    }

    fn text(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| b'a' + (self.random.next_u64() % 26) as u8).collect()
    }
}
