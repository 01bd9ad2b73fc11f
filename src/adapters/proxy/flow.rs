//! An answer on its way through: unpacked, metered, kept below its limit, and passed on in whole events
//! in which no key stands, however the provider cuts it.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use serde_json::Value;

use super::account::Reserved;
use super::unpack::{SLICE, Unpacker};
use super::wire::{Meter, Reading};
use crate::adapters::process::Redactor;

/// Of an answer in one piece, so many bytes are not the model's: names, ids, filters.
const FRAME: u64 = 64 << 10;
/// A token of it is no longer, written with escapes and in encrypted reasoning.
const TOKEN: u64 = 64;
/// Where each token is told with those that came close.
const TOKEN_TOLD: u64 = 8 << 10;
/// A stream has an event for each token at the most, and some that repeat what was asked.
const STREAM_FRAME: u64 = 1 << 20;
const EVENT: u64 = 8 << 10;
/// An event that is longer is none of a model's.
const LONGEST: usize = 64 << 20;
/// So much of a key's start may stand anywhere.
const BY_CHANCE: usize = 3;
/// So much of one is as good as all of it.
const MOST_OF_ONE: usize = 16;
/// After so many events in which it did not go on, it stood there by chance.
const EVENTS: u32 = 8;
/// Fields of events whose texts are joined; more of them are no protocol's.
const FIELDS: usize = 256;

/// Why an answer is not passed on any further.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It is longer than it may be.
    Cut(String),
    /// It can't be passed on.
    Broken(String),
}

/// What is known beforehand of an answer that is metered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub reserved: Reserved,
    /// Whether it was asked for in pieces.
    pub stream: bool,
    /// Whether it was asked to tell of each token how likely it and others were.
    pub likelihoods: bool,
    /// The request's bytes: some providers repeat them.
    pub request: u64,
}

/// One answer.
pub(super) struct Flow<'a> {
    unpacker: Unpacker,
    meter: Box<dyn Meter>,
    asked: Asked,
    redactor: &'a Redactor,
    /// Bytes that came, unpacked.
    came: u64,
    /// What was not passed on yet.
    held: Vec<u8>,
    /// So much of it is whole events.
    whole: usize,
    split: Split,
}

impl<'a> Flow<'a> {
    /// Before its first byte.
    pub(super) fn new(unpacker: Unpacker, meter: Box<dyn Meter>, asked: Asked, redactor: &'a Redactor) -> Self {
        Self { unpacker, meter, asked, redactor, came: 0, held: Vec::new(), whole: 0, split: Split::default() }
    }

    /// What is known of it.
    pub(super) fn reading(&self) -> Reading {
        self.meter.reading()
    }

    /// Takes bytes as they came; what may be passed on now.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Stopped> {
        let size = if self.unpacker.packed() { SLICE } else { bytes.len().max(1) };
        for slice in bytes.chunks(size) {
            let text = self.unpacker.feed(slice).map_err(Stopped::Broken)?;
            self.came += text.len() as u64;
            if self.came > self.most() {
                let Reserved { output, .. } = self.asked.reserved;
                let why = format!("more than {} bytes came, {output} tokens allowed", self.most());
                // Of a stream the text is known: what is more than that is noise.
                return Err(if self.asked.stream { Stopped::Broken(why) } else { Stopped::Cut(why) });
            }
            let Self { meter, split, redactor, held, .. } = self;
            let upto = meter.feed(&text, &mut |event| split.take(event, redactor));
            if upto > 0 {
                self.whole = held.len() + upto;
            }
            held.extend_from_slice(&text);
            self.judge()?;
        }
        if self.split.suspects() {
            return Ok(Vec::new());
        }
        let rest = self.held.split_off(self.whole);
        self.whole = 0;
        let passed = std::mem::replace(&mut self.held, rest);
        Ok(self.redactor.clean(&passed, passed.len()).into_owned())
    }

    /// What is left at its end. The start of a key that never went on is a text like any other, unless it is most
    /// of one.
    pub(super) fn rest(&mut self) -> Result<Vec<u8>, Stopped> {
        let held = std::mem::take(&mut self.held);
        match self.split.longest() >= MOST_OF_ONE {
            true => Err(Stopped::Broken("the provider told most of the key that it was sent".to_owned())),
            false => Ok(self.redactor.clean(&held, held.len()).into_owned()),
        }
    }

    fn judge(&self) -> Result<(), Stopped> {
        if self.split.found {
            return Err(Stopped::Broken("the provider told the key that it was sent, in pieces".to_owned()));
        }
        // What is no stream was written before it came.
        if self.asked.stream
            && let Some(why) = self.asked.reserved.passed(&self.meter.reading())
        {
            return Err(Stopped::Cut(why));
        }
        match self.held.len() > LONGEST {
            true => Err(Stopped::Broken("an event of the answer does not end".to_owned())),
            false => Ok(()),
        }
    }

    /// The most bytes that an answer within its limit can have.
    fn most(&self) -> u64 {
        let Asked { reserved, stream, likelihoods, request } = self.asked;
        let (frame, token) = match (stream, likelihoods) {
            (false, false) => (FRAME, TOKEN),
            (false, true) => (FRAME, TOKEN_TOLD),
            (true, _) => (STREAM_FRAME, EVENT + if likelihoods { TOKEN_TOLD } else { 0 }),
        };
        let repeated = request.saturating_mul(if stream { 4 } else { 2 });
        frame.saturating_add(repeated).saturating_add(reserved.output.0.saturating_mul(token))
    }
}

/// Joins what the events of a stream say in the same field, as clients do: a key may stand in several of them.
#[derive(Default)]
struct Split {
    /// By the field: what of a key it may have begun with, and how many events ago.
    begun: HashMap<u64, (Vec<u8>, u32)>,
    found: bool,
}

impl Split {
    fn take(&mut self, event: &Value, redactor: &Redactor) {
        if self.begun.len() > FIELDS {
            self.begun.clear();
        }
        for (_, events) in self.begun.values_mut() {
            *events += 1;
        }
        self.follow(event, DefaultHasher::new(), redactor);
    }

    fn follow(&mut self, value: &Value, place: DefaultHasher, redactor: &Redactor) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let mut place = place.clone();
                    name.hash(&mut place);
                    self.follow(value, place, redactor);
                }
            }
            Value::Array(list) => {
                for (at, value) in list.iter().enumerate() {
                    let mut place = place.clone();
                    at.hash(&mut place);
                    self.follow(value, place, redactor);
                }
            }
            Value::String(text) => self.text(text.as_bytes(), place.finish(), redactor),
            _ => {}
        }
    }

    fn text(&mut self, text: &[u8], place: u64, redactor: &Redactor) {
        if text.is_empty() {
            return;
        }
        let before = self.begun.remove(&place);
        // A key within one text is taken out of it as it passes.
        let joined = before.map(|(mut begun, _)| {
            begun.extend_from_slice(text);
            begun
        });
        let joined = match &joined {
            Some(joined) => {
                self.found |= redactor.finds(joined) && !redactor.finds(text);
                joined
            }
            None => text,
        };
        if let Some(at) = redactor.begun(joined) {
            self.begun.insert(place, (joined[at..].to_vec(), 0));
        }
    }

    /// Whether a key may have begun whose end has not come.
    fn suspects(&self) -> bool {
        let suspicious = |(begun, events): &(Vec<u8>, u32)| {
            begun.len() >= MOST_OF_ONE || begun.len() >= BY_CHANCE && *events < EVENTS
        };
        self.begun.values().any(suspicious)
    }

    /// The most that stands there of a key.
    fn longest(&self) -> usize {
        self.begun.values().map(|(begun, _)| begun.len()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use serde_json::json;

    use super::*;
    use crate::adapters::proxy::wire::rules;
    use crate::domain::quantity::Tokens;
    use crate::domain::wire::{Provider, Secret, Wire};

    const KEY: &str = "sk-canary-0123456789";

    fn passes(stream: bool, output: u64, pieces: &[&str]) -> (String, Option<Stopped>) {
        let redactor = Redactor::new([&Secret::new(KEY)]);
        let reserved =
            Reserved { input: Tokens(9), output: Tokens(output), least: Tokens(1), provider: Provider::OpenAi };
        let asked = Asked { reserved, stream, likelihoods: false, request: 100 };
        let unpacker = Unpacker::of(&HeaderMap::new()).unwrap();
        let mut flow = Flow::new(unpacker, rules(Wire::Chat).meter(), asked, &redactor);
        let mut out = Vec::new();
        let stopped = pieces.iter().find_map(|piece| match flow.take(piece.as_bytes()) {
            Ok(passed) => {
                out.extend(passed);
                None
            }
            Err(stopped) => Some(stopped),
        });
        if stopped.is_none() {
            out.extend(flow.rest().unwrap());
        }
        (String::from_utf8(out).unwrap(), stopped)
    }

    fn delta(text: &str) -> String {
        format!("data: {}\n\n", json!({"id": "chat-1", "choices": [{"delta": {"content": text}}]}))
    }

    #[test]
    fn what_holds_no_key_passes_unchanged_wherever_it_is_cut() {
        let text =
            [delta("a sk-"), delta("ate, sk-can"), delta("ter"), ": ping\n\n".to_owned(), "rest".to_owned()].concat();
        for size in [1, 3, 50, 1000] {
            let pieces: Vec<_> =
                text.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
            assert_eq!(passes(true, 100, &pieces), (text.clone(), None), "{size}");
        }
    }

    #[test]
    fn a_key_in_several_events_does_not_pass_however_it_is_cut() {
        for size in 1..KEY.len() {
            let deltas: Vec<_> =
                KEY.as_bytes().chunks(size).map(|piece| delta(std::str::from_utf8(piece).unwrap())).collect();
            let text = [vec![delta("here: ")], deltas, vec![delta("!")]].concat().concat();
            for cut in [7, 64, 10_000] {
                let pieces: Vec<_> =
                    text.as_bytes().chunks(cut).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
                let (passed, stopped) = passes(true, 100, &pieces);
                assert!(matches!(stopped, Some(Stopped::Broken(_))), "{size} {cut}");
                assert!(!passed.contains(&KEY[size.max(BY_CHANCE)..]), "{passed}");
                let shown: String =
                    passed.split("content\":\"").skip(1).map(|rest| &rest[..rest.find('"').unwrap()]).collect();
                assert!(shown.len() <= "here: ".len() + BY_CHANCE, "{size} {cut}: {shown}");
            }
        }
    }

    #[test]
    fn a_key_in_one_event_is_taken_out_wherever_the_event_is_cut() {
        let text = [delta("before"), delta(&format!("it is {KEY}.")), delta("after")].concat();
        for cut in [1, 5, 40, 10_000] {
            let pieces: Vec<_> = text.as_bytes().chunks(cut).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
            assert_eq!(passes(true, 100, &pieces), (text.replace(KEY, "[redacted]"), None));
            let object = json!({"choices": [{"message": {"content": KEY}}]}).to_string();
            let pieces: Vec<_> =
                object.as_bytes().chunks(cut).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
            assert_eq!(passes(false, 100, &pieces), (object.replace(KEY, "[redacted]"), None));
        }
    }

    #[test]
    fn an_answer_in_one_piece_is_cut_by_its_size_before_it_ends() {
        let piece = "x".repeat(10_000);
        let pieces: Vec<_> = std::iter::once("{\"a\": \"").chain(std::iter::repeat_n(piece.as_str(), 50)).collect();
        let (passed, stopped) = passes(false, 100, &pieces);
        assert!(matches!(stopped, Some(Stopped::Cut(_))), "{stopped:?}");
        assert_eq!(passed, "");
        assert_eq!(passes(false, 10_000, &pieces).1, None);
    }
}
