//! The scripted model as a program, for clients that are programs themselves.
//!
//! `scripted-model SCRIPT [--port N] [--log FILE] [--bodies]` listens on loopback and first prints
//! `listening on http://127.0.0.1:PORT`; without a port it takes a free one. It runs until it is
//! stopped.
//!
//! # The script
//!
//! YAML or JSON: a list of rules. The first rule that fits a request answers it.
//!
//! ```yaml
//! - when: "Variant: A"            # a text that the conversation contains, or a list of such texts;
//!                                 # without it the rule fits always
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
//!
//! # The log
//!
//! One JSON object a line and request: `index`, `ms` since the start, `wire`, `path`, `model`, `stream`,
//! `counting`, `turn`, `bytes`, `limit` (the output limit it names), `tools`, `headers`, `opening` (how the
//! user's first text starts), `rule` and `position` (the turn it got; `null` where none), `input` and `output`
//! (tokens that the answer reports; `null` where it reports none), and with `--bodies` the `body`.
#![expect(clippy::print_stdout, reason = "its address is all that it prints")]

#[path = "../common/model/mod.rs"]
#[allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "shared with tests, which use other parts of it"
)]
mod model;

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use model::{Call, Model, Reply};
use serde::Deserialize;
use serde_json::{Value, json};

/// A model that says what a script tells it to.
#[derive(Parser)]
struct Options {
    /// The rules, in YAML or JSON.
    script: PathBuf,
    /// Where to listen on 127.0.0.1.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where to write a line for each request.
    #[arg(long)]
    log: Option<PathBuf>,
    /// Write the requests' bodies too.
    #[arg(long)]
    bodies: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    when: When,
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
        Ok(Self { when, turns, repeat: rule.repeat })
    }

    fn fits(&self, call: &Call) -> bool {
        self.when.iter().all(|text| call.text.contains(text))
    }
}

/// How far a conversation has come.
#[derive(Default)]
struct Progress {
    answered: usize,
    turn: usize,
}

struct Script {
    rules: Vec<Ready>,
    progress: Mutex<HashMap<(usize, String), Progress>>,
}

impl Script {
    /// The answer, with its rule and which of the rule's turns it is.
    fn reply(&self, call: &Call) -> (Reply, Option<(usize, usize)>) {
        let Some((number, rule)) = self.rules.iter().enumerate().find(|(_, rule)| rule.fits(call)) else {
            return (Reply::text("Done."), None);
        };
        if call.counting {
            return (Reply::text(""), None);
        }
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
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

fn line(call: &Call, reply: &Reply, place: Option<(usize, usize)>, since: Duration, bodies: bool) -> Value {
    let reported = reply.reported(call);
    let mut line = json!({
        "index": call.index, "ms": u64::try_from(since.as_millis()).unwrap_or(u64::MAX), "wire": call.wire,
        "path": call.path, "model": call.model, "stream": call.stream, "counting": call.counting, "turn": call.turn,
        "bytes": call.bytes, "limit": call.limit, "tools": call.tools, "headers": call.headers,
        "opening": call.opening.chars().take(200).collect::<String>(),
        "rule": place.map(|place| place.0), "position": place.map(|place| place.1),
        "input": reported.map(|usage| usage.0), "output": reported.map(|usage| usage.1),
    });
    if bodies {
        line["body"] = call.body.clone();
    }
    line
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let text = std::fs::read_to_string(&options.script).map_err(|e| format!("{}: {e}", options.script.display()))?;
    let rules: Vec<Rule> = serde_yaml::from_str(&text).map_err(|e| format!("{}: {e}", options.script.display()))?;
    let rules = rules.into_iter().map(Ready::new).collect::<Result<Vec<_>, _>>()?;
    let script = Script { rules, progress: Mutex::default() };
    let log = options.log.map(File::create).transpose()?.map(Mutex::new);
    let started = Instant::now();
    let model = Model::listen(options.port, false, move |call| {
        let (reply, place) = script.reply(call);
        if let Some(log) = &log {
            let line = format!("{}\n", line(call, &reply, place, started.elapsed(), options.bodies));
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.write_all(line.as_bytes()).expect("the log can be written");
        }
        reply
    })?;
    println!("listening on {}", model.url());
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}
