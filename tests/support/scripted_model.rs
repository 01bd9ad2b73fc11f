//! The scripted model as a program, for clients that are programs themselves.
//!
//! `scripted-model SCRIPT [--port N] [--log FILE] [--bodies]` listens on loopback and first prints
//! `listening on http://127.0.0.1:PORT`; without a port it takes a free one. It runs until it is
//! stopped.
//!
//! The script is what `tests/common/model/script.rs` describes.
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
    unused_imports,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "shared with tests, which use other parts of it"
)]
mod model;

use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use model::{Call, Model, Reply, Script};
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
    let script = Script::read(&text).map_err(|e| format!("{}: {e}", options.script.display()))?;
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
