//! The agent's own log: what was said, as JSON lines in the trial's scratch directory. It never holds
//! a token or a key, because no conversation does.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::super::AgentEnd;
use super::conversation::Round;

/// The log. One that can't be written ends nothing.
pub struct Record {
    file: Option<File>,
}

impl Record {
    /// Opens it behind what an earlier step wrote.
    pub fn open(scratch: &Path) -> Self {
        // Programs of the trial can write here: what they put in its place must not be followed.
        let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(flags);
        Self { file: options.open(scratch.join("api.jsonl")).ok() }
    }

    /// What the model is told at the beginning.
    pub fn begin(&mut self, model: &str, system: &str, prompt: &str) {
        self.line(&json!({"model": model, "system": system, "prompt": prompt}));
    }

    /// One turn of the model, and what came of it.
    pub fn round(&mut self, round: &Round) {
        let answer = &round.answer;
        let call = |call: &super::conversation::Call| {
            let raw = call.arguments.as_ref().map_or_else(|bad| Value::from(bad.raw.as_str()), |a| a.clone().into());
            json!({"tool": call.name, "arguments": raw})
        };
        self.line(&json!({
            "said": answer.text,
            "calls": answer.calls.iter().map(call).collect::<Vec<_>>(),
            "usage": answer.usage,
            "results": round.results.iter().map(|told| told.text.as_str()).collect::<Vec<_>>(),
            "note": round.note,
        }));
    }

    /// How it ended.
    pub fn end(&mut self, end: &AgentEnd) {
        self.line(&json!({"end": end}));
    }

    fn line(&mut self, value: &Value) {
        if let Some(file) = &mut self.file {
            drop(file.write_all(format!("{value}\n").as_bytes()));
        }
    }
}
