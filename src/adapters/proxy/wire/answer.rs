//! How answers are followed while they pass through: events or JSON, whichever comes.
//!
//! What a request asked for does not settle what comes. Servers answer a request for a stream with
//! one JSON object, be it an error, and Gemini streams a JSON list where it is not asked for events;
//! so the first byte decides.

use serde_json::Value;

use super::{Meter, Reading, json};
use crate::adapters::http::SseReader;
use crate::domain::trial::Usage;

/// A JSON object longer than this is not read.
const LONGEST: usize = 64 << 20;

/// What a protocol makes of an answer's pieces.
pub(super) trait Answer: Send {
    /// Takes an event's data, or the whole answer. `event` is empty where the stream does not name it.
    fn take(&mut self, event: &str, data: &Value);

    /// What is known.
    fn tally(&self) -> &Tally;

    /// The same, to be changed.
    fn tally_mut(&mut self) -> &mut Tally;
}

/// What is known of an answer.
#[derive(Debug, Default)]
pub(super) struct Tally {
    usage: Option<Usage>,
    /// Whether nothing was written since usage was told.
    fresh: bool,
    finished: bool,
    written: u64,
    error: Option<String>,
}

impl Tally {
    /// The model wrote so many characters.
    pub(super) fn wrote(&mut self, characters: u64) {
        if characters > 0 {
            self.written = self.written.saturating_add(characters);
            self.fresh = false;
        }
    }

    /// The model wrote so many characters altogether, as the answer's end shows.
    pub(super) fn wrote_in_all(&mut self, characters: u64) {
        self.written = self.written.max(characters);
    }

    /// Usage was told. Where it can't be believed, what was told before is not the last word.
    pub(super) fn used(&mut self, usage: Option<Usage>) {
        self.fresh = usage.is_some();
        // What was used does not become less.
        self.usage = match (self.usage, usage) {
            (Some(a), Some(b)) => Some(Usage { input: a.input.max(b.input), output: a.output.max(b.output) }),
            (known, told) => told.or(known),
        };
    }

    /// Usage was told that is known to grow.
    pub(super) fn used_so_far(&mut self, usage: Option<Usage>) {
        self.used(usage);
        self.fresh = false;
    }

    /// The model writes no more.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// The provider told an error; the first is kept.
    pub(super) fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
    }

    /// The event may hold an error; whether it does.
    pub(super) fn fail_by(&mut self, data: &Value) -> bool {
        let error = data.get("error").filter(|error| !error.is_null());
        if let Some(error) = error {
            self.fail(json::error(error));
        }
        error.is_some()
    }

    fn reading(&self) -> Reading {
        Reading {
            usage: self.usage,
            complete: self.usage.is_some() && self.fresh && self.finished,
            written: self.written,
            error: self.error.clone(),
        }
    }
}

/// Follows one answer.
pub(super) struct Follower<A> {
    answer: A,
    intake: Intake,
}

enum Intake {
    /// Nothing but white space came.
    Nothing,
    Events(SseReader),
    Objects(Objects),
}

impl<A: Answer + 'static> Follower<A> {
    pub(super) fn meter(answer: A) -> Box<dyn Meter> {
        Box::new(Self { answer, intake: Intake::Nothing })
    }
}

impl<A: Answer> Meter for Follower<A> {
    fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Value)) -> usize {
        let (mut rest, mut blanks) = (bytes, 0);
        if matches!(self.intake, Intake::Nothing) {
            // The byte order mark belongs to white space here: it may be cut, and nobody needs it.
            let blank = |byte: &u8| byte.is_ascii_whitespace() || [0xef, 0xbb, 0xbf].contains(byte);
            let Some(start) = bytes.iter().position(|byte| !blank(byte)) else { return bytes.len() };
            (rest, blanks) = (&bytes[start..], start);
            self.intake = match rest[0] {
                b'{' | b'[' => Intake::Objects(Objects::up_to(LONGEST)),
                _ => Intake::Events(SseReader::default()),
            };
        }
        blanks
            + match &mut self.intake {
                Intake::Nothing => 0,
                Intake::Objects(objects) => objects.feed(rest, |data| {
                    each(&data);
                    self.answer.take("", &data);
                }),
                Intake::Events(reader) => {
                    let (events, upto) = reader.feed_to(rest);
                    for event in events {
                        if event.data.trim() == "[DONE]" {
                            self.answer.tally_mut().finish();
                        } else if let Ok(data) = serde_json::from_str(&event.data) {
                            each(&data);
                            self.answer.take(&event.event, &data);
                        }
                    }
                    upto
                }
            }
    }

    fn reading(&self) -> Reading {
        self.answer.tally().reading()
    }
}

/// Takes the objects out of JSON as it comes: one alone, or those in a list.
struct Objects {
    longest: usize,
    /// The object that has begun.
    open: Vec<u8>,
    /// How many brackets are open in it.
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// It is too long to be read.
    too_long: bool,
}

impl Objects {
    /// Reads objects that are at most this long, in bytes.
    fn up_to(longest: usize) -> Self {
        Self { longest, open: Vec::new(), depth: 0, in_text: false, escaped: false, too_long: false }
    }

    /// How many of the bytes are behind no object that has begun and not ended.
    fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(Value)) -> usize {
        let (mut start, mut upto) = (0, 0);
        for (at, byte) in bytes.iter().enumerate() {
            if self.depth == 0 && *byte != b'{' {
                start = at + 1;
                upto = at + 1;
                continue;
            }
            self.step(*byte);
            if self.depth == 0 {
                self.keep(&bytes[start..=at]);
                start = at + 1;
                upto = at + 1;
                let object = std::mem::take(&mut self.open);
                if !std::mem::take(&mut self.too_long)
                    && let Ok(object) = serde_json::from_slice(&object)
                {
                    take(object);
                }
            }
        }
        self.keep(&bytes[start..]);
        upto
    }

    fn step(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            _ if self.in_text => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_long || self.open.len() + bytes.len() > self.longest {
            self.too_long = true;
            self.open = Vec::new();
        } else {
            self.open.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn objects(pieces: &[&[u8]]) -> Vec<Value> {
        let (mut reader, mut found) = (Objects::up_to(1000), Vec::new());
        for piece in pieces {
            reader.feed(piece, |object| found.push(object));
        }
        found
    }

    #[test]
    fn objects_are_found_alone_and_in_a_list() {
        let text = br#"[{"a":"}\"]"},
            {"b":[{"c":1}]} ]"#;
        let expected = [json!({"a": "}\"]"}), json!({"b": [{"c": 1}]})];
        assert_eq!(objects(&[text]), expected);
        let bytes: Vec<_> = text.chunks(1).collect();
        assert_eq!(objects(&bytes), expected);
        assert_eq!(objects(&[b"{}"]), [json!({})]);
    }

    #[test]
    fn json_that_is_broken_or_cut_is_nothing() {
        for text in ["{", "{\"a\":", "]}{", "[1,2]", "{]", "{nope}", "{\"a\":1]"] {
            assert_eq!(objects(&[text.as_bytes()]), Vec::<Value>::new(), "{text}");
        }
    }

    #[test]
    fn an_object_that_never_ends_does_not_fill_memory_and_the_next_one_is_read() {
        let mut reader = Objects::up_to(1000);
        reader.feed(b"{\"a\":\"", |_| panic!("not closed"));
        for _ in 0..200 {
            reader.feed(&[b'x'; 80], |_| panic!("not closed"));
            assert!(reader.open.capacity() <= 2000);
        }
        assert_eq!(reader.open.capacity(), 0);
        let mut found = Vec::new();
        reader.feed(b"\"}{\"b\":1}", |object| found.push(object));
        assert_eq!(found, [json!({"b": 1})]);
    }

    #[test]
    fn usage_is_the_last_word_only_where_nothing_was_written_after_it() {
        let usage = Some(Usage::default());
        let mut tally = Tally::default();
        tally.used(usage);
        tally.finish();
        assert!(tally.reading().complete);
        tally.wrote(1);
        assert!(!tally.reading().complete);
        tally.used(None);
        assert!(!tally.reading().complete && tally.reading().usage.is_some());
    }
}
