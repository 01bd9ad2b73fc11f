//! What was said so far, in no protocol's terms: the task, and rounds of an answer with what came of
//! it. Here old results are left out where the conversation has grown too long.

use std::fmt;

use serde_json::{Map, Value};

use crate::domain::trial::Usage;

/// The newest rounds, whose results are never left out.
const KEPT: usize = 3;
/// A result that is no longer than this is not worth leaving out.
const SHORT: usize = 256;

/// What the model said in one turn.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// Its words.
    pub text: String,
    /// The tools it calls, in its order.
    pub calls: Vec<Call>,
    /// What only its provider understands, such as signed reasoning: given back as it came.
    pub opaque: Vec<Value>,
    /// How it ended.
    pub ending: Ending,
    /// What it cost, where the provider said so.
    pub usage: Option<Usage>,
}

impl Answer {
    /// About how many bytes the model wrote.
    pub fn bytes(&self) -> usize {
        let arguments = |call: &Call| match &call.arguments {
            Ok(arguments) => arguments.iter().map(|(name, value)| name.len() + value.to_string().len()).sum(),
            Err(malformed) => malformed.raw.len(),
        };
        self.text.len() + self.calls.iter().map(arguments).sum::<usize>()
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// As the model wanted.
    #[default]
    Whole,
    /// At the output limit.
    Cut,
    /// The model, or whoever watches it, declined to answer.
    Declined,
}

/// One call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The provider's name for it.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// Its arguments, or what stands in their place and is no JSON object.
    pub arguments: Result<Map<String, Value>, Malformed>,
}

/// Arguments that can't be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Malformed {
    /// As they came.
    pub raw: String,
    /// What is wrong with them.
    pub why: String,
}

impl Call {
    /// From the text that holds the arguments; none at all is an empty object.
    pub fn new(id: String, name: String, raw: String) -> Self {
        let parsed = if raw.trim().is_empty() { Ok(Map::new()) } else { serde_json::from_str(&raw) };
        let arguments = parsed.map_err(|why| Malformed { raw, why: why.to_string() });
        Self { id, name, arguments }
    }

    /// The arguments as they are given back: what can't be read is given back as nothing.
    pub fn object(&self) -> Map<String, Value> {
        self.arguments.clone().unwrap_or_default()
    }
}

impl fmt::Display for Call {
    /// The tool and the argument that says the most, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = ["path", "pattern", "command"].iter().find_map(|name| {
            let arguments = self.arguments.as_ref().ok()?;
            arguments.get(*name)?.as_str()?.lines().next().map(|line| line.chars().take(80).collect::<String>())
        });
        match told {
            Some(told) => write!(f, "{} {told}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What the model is told about one of its calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The call's.
    pub id: String,
    /// The call on one line.
    pub call: String,
    /// What it is told.
    pub text: String,
    /// Whether the call failed.
    pub failed: bool,
    /// Whether the text is only a note on what was there once.
    pub left_out: bool,
}

/// An answer and what came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Round {
    /// What the model said.
    pub answer: Answer,
    /// One for each of its calls.
    pub results: Vec<Told>,
    /// What it is told besides; there is one where there are no results.
    pub note: Option<String>,
}

/// All that the model is told.
#[derive(Debug, Clone, Default)]
pub struct Conversation {
    /// How to work.
    pub system: String,
    /// The task.
    pub prompt: String,
    /// What followed.
    pub rounds: Vec<Round>,
}

impl Conversation {
    /// How many bytes can be taken out of it.
    pub(super) fn removable(&self) -> usize {
        self.old().flat_map(|round| &round.results).map(gain).sum()
    }

    /// Leaves out old results, the oldest first, until so many bytes are gone or nothing old is left.
    /// The task, what the model said and the newest rounds stay.
    pub(super) fn leave_out(&mut self, bytes: usize) {
        let mut gone = 0;
        let old = self.rounds.len().saturating_sub(KEPT);
        for told in self.rounds[..old].iter_mut().flat_map(|round| &mut round.results) {
            if gone >= bytes {
                return;
            }
            gone += gain(told);
            if gain(told) > 0 {
                told.text = note(told);
                told.left_out = true;
            }
        }
    }

    fn old(&self) -> impl Iterator<Item = &Round> {
        self.rounds[..self.rounds.len().saturating_sub(KEPT)].iter()
    }
}

/// How many bytes leaving out this result saves.
fn gain(told: &Told) -> usize {
    let worth_it = !told.left_out && told.text.len() > SHORT;
    if worth_it { told.text.len().saturating_sub(note(told).len()) } else { 0 }
}

fn note(told: &Told) -> String {
    format!("({} bytes of `{}` were left out to save tokens; ask again if you need them)", told.text.len(), told.call)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(id: usize, length: usize) -> Told {
        Told {
            id: id.to_string(),
            call: format!("read {id}"),
            text: "x".repeat(length),
            failed: false,
            left_out: false,
        }
    }

    fn conversation(lengths: &[usize]) -> Conversation {
        let round = |(at, length): (usize, &usize)| Round { results: vec![told(at, *length)], ..Round::default() };
        Conversation { rounds: lengths.iter().enumerate().map(round).collect(), ..Conversation::default() }
    }

    fn left_out(conversation: &Conversation) -> Vec<bool> {
        conversation.rounds.iter().flat_map(|round| &round.results).map(|told| told.left_out).collect()
    }

    #[test]
    fn the_oldest_results_go_first_and_only_as_many_as_must() {
        let mut talk = conversation(&[1000, 1000, 1000, 1000, 1000, 1000]);
        talk.leave_out(1200);
        assert_eq!(left_out(&talk), [true, true, false, false, false, false]);
        let text = &talk.rounds[0].results[0].text;
        assert_eq!(text, "(1000 bytes of `read 0` were left out to save tokens; ask again if you need them)");
    }

    #[test]
    fn the_newest_three_rounds_and_what_is_short_stay_whatever_is_wanted() {
        let mut talk = conversation(&[1000, 100, 1000, 1000, 1000]);
        talk.leave_out(usize::MAX);
        assert_eq!(left_out(&talk), [true, false, false, false, false]);
        assert_eq!(talk.removable(), 0);
        let before = talk.rounds[0].results[0].text.clone();
        talk.leave_out(usize::MAX);
        assert_eq!(talk.rounds[0].results[0].text, before, "a note is not left out once more");
        conversation(&[]).leave_out(10);
    }

    #[test]
    fn what_can_be_removed_is_what_is_gone_afterwards() {
        let mut talk = conversation(&[5000, 300, 100, 9000, 10, 10, 10]);
        let size =
            |talk: &Conversation| talk.rounds.iter().flat_map(|r| &r.results).map(|t| t.text.len()).sum::<usize>();
        let (before, removable) = (size(&talk), talk.removable());
        talk.leave_out(usize::MAX);
        assert_eq!(size(&talk), before - removable);
    }

    #[test]
    fn arguments_are_an_object_or_said_to_be_none() {
        let call = |raw: &str| Call::new("1".to_owned(), "read".to_owned(), raw.to_owned());
        assert_eq!(call(r#"{"path": "a"}"#).to_string(), "read a");
        assert_eq!(call(" ").arguments, Ok(Map::new()));
        for raw in ["[1]", "\"a\"", "{\"path\": \"a", "null", "{} {}"] {
            let call = call(raw);
            assert_eq!(call.arguments.as_ref().unwrap_err().raw, raw);
            assert_eq!((call.object(), call.to_string()), (Map::new(), "read".to_owned()));
        }
    }

    #[test]
    fn a_call_is_named_on_one_short_line() {
        let raw = serde_json::json!({"command": format!("{}\nsecond", "ä".repeat(200))}).to_string();
        let shown = Call::new(String::new(), "run".to_owned(), raw).to_string();
        assert_eq!(shown, format!("run {}", "ä".repeat(80)));
    }
}
