//! What an answer comes to for one request: its blocks, cut at the request's output limit, its
//! usage, and why it stopped.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::call::{Call, Kind};
use super::reply::{Reply, Said, What};
use super::shell;

/// An answer, whatever its protocol.
pub(super) struct Answer {
    pub blocks: Vec<Block>,
    pub stop: Stop,
    /// Tokens of input, whether or not they are reported.
    pub input: u64,
    /// What is reported.
    pub usage: Option<Usage>,
    /// Sixteen hexadecimal digits that no other answer of this server has.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
}

pub(super) enum Block {
    Text(String),
    Tool(Tool),
}

/// A call of a tool.
pub(super) struct Tool {
    pub name: String,
    pub kind: Kind,
    /// As a value, for protocols that write it so.
    pub arguments: Value,
    /// As text, for protocols that write it so.
    pub text: String,
    /// Which call of the answer, from 0.
    pub number: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Done,
    Tools,
    Limit,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// All of it, cached or not.
    pub input: u64,
    pub output: u64,
    pub read: u64,
    pub written: u64,
}

impl Answer {
    pub fn new(call: &Call, reply: &Reply) -> Self {
        let said = match &reply.what {
            What::Says(said) => said.as_slice(),
            _ => &[],
        };
        let limit = call.limit.filter(|_| !reply.ignoring_limit).unwrap_or(u64::MAX);
        let (blocks, fits) = cut(said.iter().map(|said| block(call, said)), limit);
        // Arguments without a space are more than one token.
        let letters: usize = blocks.iter().map(|block| block.text().chars().count()).sum();
        let words = blocks.iter().map(Block::tokens).sum::<u64>().max(letters.div_ceil(6) as u64).max(1);
        let (input, output) = reply.usage.unwrap_or((call.bytes.div_ceil(4) as u64, words));
        let (read, written) = reply.cached;
        let usage = Usage { input, output: output.min(limit), read, written };
        let stop = match () {
            () if !fits || output > limit => Stop::Limit,
            () if blocks.iter().any(|block| matches!(block, Block::Tool(_))) => Stop::Tools,
            () => Stop::Done,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            blocks: numbered(blocks),
            stop,
            input,
            usage: (!reply.no_usage).then_some(usage),
            id: format!("{:016x}", call.index + 1),
            created: now.as_secs(),
        }
    }
}

impl Block {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Tool(tool) => &tool.text,
        }
    }

    fn tokens(&self) -> u64 {
        match self {
            Self::Text(text) => text.split_whitespace().count() as u64,
            Self::Tool(tool) => tool.text.split_whitespace().count().max(1) as u64,
        }
    }
}

impl Tool {
    /// An id that no other call of this server has.
    pub fn id(&self, prefix: &str, answer: &Answer) -> String {
        format!("{prefix}{}{:08x}", answer.id, self.number)
    }
}

fn block(call: &Call, said: &Said) -> Block {
    match said {
        Said::Text(text) => Block::Text(text.clone()),
        Said::Tool { name, arguments } => tool(name.clone(), call.kind(name), arguments.clone()),
        Said::Shell(command) => match shell::pick(call) {
            Some(offered) => tool(offered.name.clone(), offered.kind, shell::arguments(offered, command)),
            None => Block::Text(shell::fenced(call, command)),
        },
    }
}

fn tool(name: String, kind: Kind, arguments: Value) -> Block {
    let text = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
    let arguments = match arguments {
        // A local shell's action is built from words.
        Value::String(command) if kind == Kind::LocalShell => json!({"command": ["bash", "-lc", command]}),
        other => other,
    };
    Block::Tool(Tool { name, kind, arguments, text, number: 0 })
}

/// As much as fits into so many tokens, and whether that is all. A call of a tool is not cut: it
/// fits or it is left out.
fn cut(blocks: impl Iterator<Item = Block>, limit: u64) -> (Vec<Block>, bool) {
    let (mut kept, mut left) = (Vec::new(), limit);
    for block in blocks {
        let tokens = block.tokens();
        if tokens <= left {
            left -= tokens;
            kept.push(block);
            continue;
        }
        if let Block::Text(text) = block {
            kept.push(Block::Text(pieces(&text).into_iter().take(usize::try_from(left).unwrap_or(0)).collect()));
        }
        return (kept, false);
    }
    (kept, true)
}

fn numbered(mut blocks: Vec<Block>) -> Vec<Block> {
    let tools = blocks.iter_mut().filter_map(|block| match block {
        Block::Tool(tool) => Some(tool),
        Block::Text(_) => None,
    });
    for (number, tool) in tools.enumerate() {
        tool.number = number;
    }
    blocks
}

/// A text in words, each with the white space before it.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut in_word) = (Vec::new(), 0, false);
    for (at, char) in text.char_indices() {
        if char.is_whitespace() && in_word {
            found.push(&text[start..at]);
            start = at;
        }
        in_word = !char.is_whitespace();
    }
    if start < text.len() {
        found.push(&text[start..]);
    }
    found
}

/// A text in pieces of a few letters, as arguments come.
pub(super) fn crumbs(text: &str) -> Vec<String> {
    text.chars().collect::<Vec<_>>().chunks(12).map(|piece| piece.iter().collect()).collect()
}
