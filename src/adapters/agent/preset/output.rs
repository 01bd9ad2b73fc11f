//! What clients print: the tokens that they say they used, what they said last, and what went wrong.
//! One small reader a format. None of it is trusted; lines that no reader knows are kept as text.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;

/// So many lines of plain text are kept, the last ones.
const MOST_LINES: usize = 20;
/// Characters of one line or message that are kept.
const MOST_CHARACTERS: usize = 2_000;

/// The form of a client's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `codex exec --json`.
    Codex,
    /// The JSON lines of Claude Code, which Qwen Code prints as well.
    Claude,
    /// The JSON lines of Gemini CLI.
    Gemini,
    /// `opencode run --format json`.
    Opencode,
    /// `pi --mode json`.
    Pi,
    /// Anything.
    Text,
}

/// What a client told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The tokens that it says it used.
    pub usage: Usage,
    /// What its model said last.
    pub message: Option<String>,
    /// What went wrong and was not put right afterwards.
    pub error: Option<String>,
    /// The last lines that are none of its events.
    pub text: VecDeque<String>,
}

impl Format {
    /// Reads a whole output. `errors` are the beginnings of lines that tell of an error where it is text.
    pub fn read(self, output: &[u8], errors: &[String]) -> Told {
        let mut told = Told::default();
        for line in output.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let known = match self {
                Self::Text => false,
                _ => serde_json::from_slice::<Value>(line).is_ok_and(|event| self.event(&event, &mut told)),
            };
            if !known {
                told.line(&String::from_utf8_lossy(line), errors);
            }
        }
        told
    }

    /// Takes one event in; `false` where it is none that this format has.
    fn event(self, event: &Value, told: &mut Told) -> bool {
        let Some(kind) = event["type"].as_str() else { return false };
        match self {
            Self::Codex => codex(kind, event, told),
            Self::Claude => claude(kind, event, told),
            Self::Gemini => gemini(kind, event, told),
            Self::Opencode => opencode(kind, event, told),
            Self::Pi => pi(kind, event, told),
            Self::Text => false,
        }
    }
}

impl Told {
    fn line(&mut self, line: &str, errors: &[String]) {
        if errors.iter().any(|error| line.starts_with(error)) {
            self.failed(line);
        }
        if self.text.len() == MOST_LINES {
            self.text.pop_front();
        }
        self.text.push_back(shortened(line));
    }

    fn said(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.message = Some(shortened(text.trim()));
        }
    }

    fn failed(&mut self, text: &str) {
        let text = if text.trim().is_empty() { "an error without a message" } else { text.trim() };
        self.error = Some(shortened(text));
    }

    fn used(&mut self, input: u64, output: u64) {
        let add = |Tokens(a): Tokens, b: u64| Tokens(a.saturating_add(b));
        self.usage = Usage { input: add(self.usage.input, input), output: add(self.usage.output, output) };
    }
}

/// The end of a text says more than its beginning.
fn shortened(text: &str) -> String {
    match text.char_indices().rev().nth(MOST_CHARACTERS) {
        Some((at, first)) => format!("…{}", &text[at + first.len_utf8()..]),
        None => text.to_owned(),
    }
}

/// The sum of these numbers of an object; what is missing is 0.
fn sum(object: &Value, keys: &[&str]) -> u64 {
    keys.iter().filter_map(|key| object[*key].as_u64()).fold(0, u64::saturating_add)
}

/// The texts of a list of content blocks.
fn texts(blocks: &Value) -> String {
    let blocks = blocks.as_array().into_iter().flatten().filter(|block| block["type"] == "text");
    blocks.filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
}

/// The first of these places that holds a text.
fn text_at<'a>(event: &'a Value, places: &[&str]) -> &'a str {
    places.iter().find_map(|place| event.pointer(place)?.as_str()).unwrap_or_default()
}

fn codex(kind: &str, event: &Value, told: &mut Told) -> bool {
    match kind {
        "turn.completed" => {
            // The total of the session so far.
            let usage = &event["usage"];
            told.usage = Usage::default();
            told.used(sum(usage, &["input_tokens"]), sum(usage, &["output_tokens"]));
            told.error = None;
        }
        "turn.failed" | "error" => told.failed(text_at(event, &["/error/message", "/message"])),
        "item.completed" if event["item"]["type"] == "agent_message" => told.said(text_at(event, &["/item/text"])),
        "thread.started" | "turn.started" | "item.started" | "item.updated" | "item.completed" => {}
        _ => return false,
    }
    true
}

fn claude(kind: &str, event: &Value, told: &mut Told) -> bool {
    match kind {
        "assistant" => told.said(&texts(&event["message"]["content"])),
        "result" => {
            let usage = &event["usage"];
            let input = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
            told.used(sum(usage, &input), sum(usage, &["output_tokens"]));
            let text = text_at(event, &["/result", "/error/message", "/subtype"]);
            if event["is_error"] == true {
                told.failed(text);
            } else {
                told.said(text);
            }
        }
        "system" | "user" | "stream_event" | "rate_limit_event" | "tool_progress" => {}
        _ => return false,
    }
    true
}

fn gemini(kind: &str, event: &Value, told: &mut Told) -> bool {
    match kind {
        "message" if event["role"] == "assistant" => {
            // Comes in pieces; whatever else happens ends it.
            let before = told.message.take().unwrap_or_default();
            told.message = Some(shortened(&(before + text_at(event, &["/content"]))));
        }
        "tool_use" => told.message = None,
        "error" => told.failed(text_at(event, &["/message", "/error/message"])),
        "result" => {
            let stats = &event["stats"];
            told.used(sum(stats, &["input_tokens"]), sum(stats, &["output_tokens"]));
            if event["status"] == "error" {
                told.failed(text_at(event, &["/error/message"]));
            } else {
                told.error = None;
            }
        }
        "init" | "message" | "tool_result" => {}
        _ => return false,
    }
    true
}

fn opencode(kind: &str, event: &Value, told: &mut Told) -> bool {
    match kind {
        "text" => told.said(text_at(event, &["/part/text"])),
        "step_finish" => {
            let tokens = &event["part"]["tokens"];
            let cached = sum(&tokens["cache"], &["read", "write"]);
            told.used(sum(tokens, &["input"]).saturating_add(cached), sum(tokens, &["output", "reasoning"]));
            told.error = None;
        }
        "error" => told.failed(text_at(event, &["/error/data/message", "/error/message", "/error/name"])),
        "step_start" | "tool_use" | "reasoning" => {}
        _ => return false,
    }
    true
}

fn pi(kind: &str, event: &Value, told: &mut Told) -> bool {
    match kind {
        "message_end" if event["message"]["role"] == "assistant" => {
            let message = &event["message"];
            let usage = &message["usage"];
            told.used(sum(usage, &["input", "cacheRead", "cacheWrite"]), sum(usage, &["output"]));
            told.said(&texts(&message["content"]));
            told.error = None;
            if message["stopReason"] == "error" {
                told.failed(text_at(message, &["/errorMessage"]));
            }
        }
        "session"
        | "agent_start"
        | "agent_end"
        | "turn_start"
        | "turn_end"
        | "message_start"
        | "message_update"
        | "message_end"
        | "tool_execution_start"
        | "tool_execution_update"
        | "tool_execution_end"
        | "auto_retry_start"
        | "auto_retry_end" => {}
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(format: Format, output: &str) -> (u64, u64, Option<String>, Option<String>, usize) {
        let told = format.read(output.as_bytes(), &["litellm.".to_owned()]);
        (told.usage.input.0, told.usage.output.0, told.message, told.error, told.text.len())
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    const CODEX: &str = include_str!("../../../../tests/fixtures/agents/codex.jsonl");
    const GEMINI: &str = include_str!("../../../../tests/fixtures/agents/gemini.jsonl");
    const PI: &str = include_str!("../../../../tests/fixtures/agents/pi.jsonl");
    const CODEX_REFUSED: &str = include_str!("../../../../tests/fixtures/agents/codex-refused.jsonl");
    const GEMINI_REFUSED: &str = include_str!("../../../../tests/fixtures/agents/gemini-refused.jsonl");
    const PI_REFUSED: &str = include_str!("../../../../tests/fixtures/agents/pi-refused.jsonl");

    #[test]
    fn what_real_clients_print_is_read_whole() {
        for (format, output) in [(Format::Codex, CODEX), (Format::Gemini, GEMINI), (Format::Pi, PI)] {
            assert_eq!(told(format, output), (2000, 100, some("The cost is 20."), None, 0), "{format:?}");
        }
    }

    #[test]
    fn a_refusal_of_real_clients_is_an_error_with_the_providers_words() {
        let outputs = [(Format::Codex, CODEX_REFUSED), (Format::Gemini, GEMINI_REFUSED), (Format::Pi, PI_REFUSED)];
        for (format, output) in outputs {
            let error = told(format, output).3.unwrap();
            assert!(error.contains("The token budget of this step is spent. Do not retry."), "{format:?}: {error}");
        }
    }

    #[test]
    fn claudes_result_counts_what_was_cached_and_says_whether_it_is_an_error() {
        let said = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"Half"},{"type":"tool_use"}]}}"#;
        let result = |error: bool, text: &str| {
            format!(
                "{{\"type\":\"system\"}}\n{said}\n{{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":{error},\"result\":\"{text}\",\
                 \"usage\":{{\"input_tokens\":5,\"cache_creation_input_tokens\":20,\"cache_read_input_tokens\":300,\"output_tokens\":7}}}}"
            )
        };
        assert_eq!(told(Format::Claude, &result(false, "Done")), (325, 7, some("Done"), None, 0));
        assert_eq!(told(Format::Claude, &result(true, "API Error")), (325, 7, some("Half"), some("API Error"), 0));
        assert_eq!(told(Format::Claude, said), (0, 0, some("Half"), None, 0));
    }

    #[test]
    fn opencodes_steps_add_up_and_an_error_that_was_got_over_is_none() {
        let step = r#"{"type":"step_finish","part":{"tokens":{"input":10,"output":2,"reasoning":3,"cache":{"read":100,"write":1}}}}"#;
        let error = r#"{"type":"error","error":{"name":"APIError","data":{"message":"busy"}}}"#;
        let text = r#"{"type":"text","part":{"type":"text","text":"Done"}}"#;
        assert_eq!(told(Format::Opencode, &[step, error, text, step].join("\n")), (222, 10, some("Done"), None, 0));
        assert_eq!(told(Format::Opencode, error), (0, 0, None, some("busy"), 0));
    }

    #[test]
    fn lines_that_nobody_knows_are_kept_the_last_ones_and_shortened() {
        let lines: String = (0..50).map(|n| format!("line {n}\n")).collect();
        let known = Format::Codex.read(format!("{lines}{{\"type\":\"new.event\"}}\n{{\n[1]\n").as_bytes(), &[]);
        assert_eq!((known.text.len(), known.text.back().unwrap().as_str()), (MOST_LINES, "[1]"));
        assert_eq!(known.text[MOST_LINES - 3], "{\"type\":\"new.event\"}");
        let long = Format::Text.read("ä".repeat(5_000_000).as_bytes(), &[]);
        assert_eq!(long.text[0].chars().count(), MOST_CHARACTERS + 1);
    }

    #[test]
    fn an_error_in_a_text_is_told_by_how_its_line_begins() {
        let text = "Added cost.txt\nlitellm.BadRequestError: spent\n  litellm.x\nTokens: 5k sent\n";
        assert_eq!(told(Format::Text, text), (0, 0, None, some("litellm.BadRequestError: spent"), 4));
    }

    proptest::proptest! {
        #[test]
        fn no_output_makes_a_reader_panic(kind in "[a-z_.]{0,20}", key in "[a-z]{1,8}", output in "\\PC{0,80}", cut in 0usize..2000) {
            let formats = [Format::Codex, Format::Claude, Format::Gemini, Format::Opencode, Format::Pi, Format::Text];
            for format in formats {
                let event = format!("{{\"type\":\"{kind}\",\"{key}\":[null,{{}}],\"usage\":7,\"message\":\"\"}}\n{output}");
                format.read(event.as_bytes(), &[]);
                for real in [CODEX, GEMINI, PI] {
                    format.read(&real.as_bytes()[..cut.min(real.len())], &[]);
                }
            }
        }
    }
}
