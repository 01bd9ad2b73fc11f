//! The usage file: what a program says it has spent so far, rewritten or appended to at any time.
//!
//! It holds one JSON object `{"input_tokens": n, "output_tokens": n}`, or JSON lines of them, each
//! cumulative, so that the last valid line counts. Its writer is not trusted to be atomic, to
//! be honest about going back, or to leave a regular file.

use serde::Deserialize;

use crate::adapters::process::Exchange;
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;

/// What a usage file says.
#[derive(Debug, PartialEq, Eq)]
enum Reported {
    /// Nothing yet.
    Nothing,
    /// The total so far.
    Total(Usage),
    /// Something that is no usage.
    Malformed(String),
}

/// Reads a usage file again and again. What was reported once can't be taken back.
pub struct Meter {
    exchange: Exchange,
    most: Usage,
    fault: Option<String>,
}

impl Meter {
    /// A meter on a file that need not exist yet.
    pub fn new(exchange: Exchange) -> Self {
        Self { exchange, most: Usage::default(), fault: None }
    }

    /// Where the program finds the file.
    pub fn path(&self) -> String {
        self.exchange.shown()
    }

    /// Reads the file now; the most that was ever reported.
    pub fn read(&mut self) -> Usage {
        let reported = match self.exchange.read() {
            Ok(bytes) => parse(&bytes.unwrap_or_default()),
            Err(why) => Reported::Malformed(why.to_string()),
        };
        self.fault = None;
        match reported {
            Reported::Nothing => {}
            Reported::Total(usage) if usage.total() > self.most.total() => self.most = usage,
            Reported::Total(_) => {}
            Reported::Malformed(why) => self.fault = Some(why),
        }
        self.most
    }

    /// What was wrong with the file when it was read last, as a sentence.
    pub fn fault(&self) -> Option<String> {
        let why = self.fault.as_ref()?;
        Some(format!("the usage file can't be read ({why}); {} tokens are counted", self.most.total()))
    }
}

#[derive(Deserialize)]
struct Line {
    input_tokens: u64,
    output_tokens: u64,
}

impl From<Line> for Usage {
    fn from(line: Line) -> Self {
        Self { input: Tokens(line.input_tokens), output: Tokens(line.output_tokens) }
    }
}

fn parse(bytes: &[u8]) -> Reported {
    if bytes.trim_ascii().is_empty() {
        return Reported::Nothing;
    }
    let whole = serde_json::from_slice::<Line>(bytes);
    let last = || bytes.split(|b| *b == b'\n').rev().find_map(|line| serde_json::from_slice::<Line>(line).ok());
    match whole {
        Ok(line) => Reported::Total(line.into()),
        Err(why) => last().map_or_else(|| Reported::Malformed(why.to_string()), |line| Reported::Total(line.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(text: &str) -> Option<u64> {
        match parse(text.as_bytes()) {
            Reported::Total(usage) => Some(usage.total().0),
            Reported::Nothing | Reported::Malformed(_) => None,
        }
    }

    #[test]
    fn one_object_counts_however_it_is_laid_out() {
        assert_eq!(
            total("{\n  \"input_tokens\": 900,\n  \"output_tokens\": 200,\n  \"model\": \"m\"\n}\n"),
            Some(1100)
        );
    }

    #[test]
    fn of_lines_the_last_valid_one_counts() {
        let lines = "{\"input_tokens\":1,\"output_tokens\":2}\n{\"input_tokens\":30,\"output_tokens\":4}\n{\"input_tok";
        assert_eq!(total(lines), Some(34));
        assert_eq!(total(&format!("noise\n{}", &lines[..lines.len() - 11])), Some(34));
    }

    #[test]
    fn what_is_no_usage_is_told_apart_from_nothing() {
        assert_eq!(parse(b" \n"), Reported::Nothing);
        let invalid = [
            "12",
            "{}",
            "{\"input_tokens\": 5}",
            "{\"input_tokens\": -5, \"output_tokens\": 0}",
            "{\"input_tokens\": 1.5, \"output_tokens\": 0}",
            "{\"input_tokens\": 1e99, \"output_tokens\": 0}",
            "\u{0}\u{1}",
        ];
        for text in invalid {
            assert!(matches!(parse(text.as_bytes()), Reported::Malformed(_)), "{text}");
        }
    }

    #[test]
    fn the_largest_numbers_do_not_wrap_around() {
        assert_eq!(total("{\"input_tokens\": 18446744073709551615, \"output_tokens\": 9}"), Some(u64::MAX));
    }

    #[test]
    fn what_was_reported_can_t_be_taken_back() {
        let scratch = tempfile::tempdir().unwrap();
        let mut meter = Meter::new(Exchange::new(scratch.path(), "usage.json").unwrap());
        assert_eq!(meter.read(), Usage::default());
        for text in
            ["{\"input_tokens\":900,\"output_tokens\":1}", "{\"input_tokens\":0,\"output_tokens\":1}", "", "junk"]
        {
            std::fs::write(meter.path(), text).unwrap();
            assert_eq!(meter.read().total(), Tokens(901), "{text}");
        }
        assert!(meter.fault().unwrap().ends_with("901 tokens are counted"));
    }
}
