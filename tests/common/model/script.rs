//! A script in a file: YAML or JSON, a list of rules. The first rule that fits a request answers it.
//!
//! ```yaml
//! - when: "Variant: A"            # a text that the conversation contains, or a list of such texts;
//!                                 # without it the rule fits always
//!   tools: true                   # only requests that offer tools; `false`: only those that offer none
//!   turns:                        # what is said, one after another
//!     - text: "Let me look."
//!     - shell: "echo 20 > cost.txt"      # by whatever tool for commands the client offers
//!     - {tool: read, arguments: {path: cost.txt}}
//!     - words: 200                       # a text of so many words
//!     - {status: 429, message: "slow down", retry_after: "1"}
//!     - hang: true                       # takes the request and never answers
//!   usage: {input: 1000, output: 50}     # of every turn that says none; also `read` and `written`,
//!                                        # the parts of the input that come from and go to a cache
//!   repeat: true                  # the last turn over and over; otherwise "Done." after the last
//! ```
//!
//! Each turn also takes `usage`, `no_usage: true`, `delay_ms` (before the first byte), `pace_ms`
//! (between events), `cut_after` (events), `error_after` (events, with `message`),
//! `ignoring_limit: true`. Turns are counted for each conversation and rule by itself: requests whose first text of
//! the user is the same are one conversation, and one that holds fewer turns of the model than
//! before has started again. A client's retry gets the next turn.
//!
//! Requests for a count get the usual count and take no turn. What no rule fits is answered with
//! the text "Done.".

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::reply::Reply;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    when: When,
    tools: Option<bool>,
    turns: Vec<Turn>,
    usage: Option<Usage>,
    #[serde(default)]
    repeat: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum When {
    One(String),
    All(Vec<String>),
}

impl Default for When {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields)]
struct Usage {
    input: u64,
    output: u64,
    #[serde(default)]
    read: u64,
    #[serde(default)]
    written: u64,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Turn {
    text: Option<String>,
    shell: Option<String>,
    tool: Option<String>,
    arguments: Option<Value>,
    words: Option<usize>,
    status: Option<u16>,
    message: String,
    retry_after: Option<String>,
    hang: bool,
    usage: Option<Usage>,
    no_usage: bool,
    delay_ms: u64,
    pace_ms: u64,
    cut_after: Option<usize>,
    error_after: Option<usize>,
    ignoring_limit: bool,
}

impl Turn {
    fn reply(&self, usage: Option<Usage>) -> Result<Reply, String> {
        let said = [
            self.text.as_ref().map(Reply::text),
            self.shell.as_ref().map(Reply::shell),
            self.tool.as_ref().map(|name| Reply::tool(name, self.arguments.clone().unwrap_or_else(|| json!({})))),
            self.words.map(Reply::words),
            self.status.map(|code| Reply::status(code, &self.message)),
            self.hang.then(Reply::hang),
        ];
        let mut said = said.into_iter().flatten();
        let (Some(mut reply), None) = (said.next(), said.next()) else {
            return Err("a turn is one of text, shell, tool, words, status and hang".to_owned());
        };
        if let Some(usage) = self.usage.or(usage) {
            reply = reply.usage(usage.input, usage.output).cached(usage.read, usage.written);
        }
        if let Some(seconds) = &self.retry_after {
            reply = reply.retry_after(seconds);
        }
        if let Some(events) = self.cut_after {
            reply = reply.cut_after(events);
        }
        if let Some(events) = self.error_after {
            reply = reply.error_after(events, &self.message);
        }
        if self.no_usage {
            reply = reply.no_usage();
        }
        if self.ignoring_limit {
            reply = reply.ignoring_limit();
        }
        Ok(reply.delay(Duration::from_millis(self.delay_ms)).pace(Duration::from_millis(self.pace_ms)))
    }
}

/// A rule ready to answer.
struct Ready {
    when: Vec<String>,
    tools: Option<bool>,
    turns: Vec<Reply>,
    repeat: bool,
}

impl Ready {
    fn new(rule: Rule) -> Result<Self, String> {
        let turns = rule.turns.iter().map(|turn| turn.reply(rule.usage)).collect::<Result<Vec<_>, _>>()?;
        let when = match rule.when {
            When::One(text) => vec![text],
            When::All(texts) => texts,
        };
        Ok(Self { when, tools: rule.tools, turns, repeat: rule.repeat })
    }

    fn fits(&self, call: &Call) -> bool {
        let tools = self.tools.is_none_or(|wanted| wanted != call.tools.is_empty());
        tools && self.when.iter().all(|text| call.text.contains(text))
    }
}

/// How far a conversation has come.
#[derive(Default)]
struct Progress {
    answered: usize,
    turn: usize,
}

/// A script that was read, and how far each conversation has come in it.
pub struct Script {
    rules: Vec<Ready>,
    progress: Mutex<HashMap<(usize, String), Progress>>,
}

impl Script {
    /// Reads a file's text.
    pub fn read(text: &str) -> Result<Self, String> {
        let rules: Vec<Rule> = serde_yaml::from_str(text).map_err(|e| e.to_string())?;
        let rules = rules.into_iter().map(Ready::new).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { rules, progress: Mutex::default() })
    }

    /// The answer, with its rule and which of the rule's turns it is.
    pub fn reply(&self, call: &Call) -> (Reply, Option<(usize, usize)>) {
        let Some((number, rule)) = self.rules.iter().enumerate().find(|(_, rule)| rule.fits(call)) else {
            return (Reply::text("Done."), None);
        };
        if call.counting {
            return (Reply::text(""), None);
        }
        let mut progress = self.progress.lock().unwrap();
        let progress = progress.entry((number, call.opening.clone())).or_default();
        if call.turn < progress.turn {
            progress.answered = 0;
        }
        progress.turn = call.turn;
        let position = progress.answered;
        progress.answered += 1;
        let last = rule.turns.len().saturating_sub(1);
        let position = if rule.repeat { position.min(last) } else { position };
        match rule.turns.get(position) {
            Some(reply) => (reply.clone(), Some((number, position))),
            None => (Reply::text("Done."), None),
        }
    }
}
