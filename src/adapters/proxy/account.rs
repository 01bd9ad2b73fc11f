//! One reservation from its admission to its settlement, which is told exactly once; and what an
//! answer settles it with.

use std::sync::Arc;

use super::bound::MOST_CHARACTERS;
use super::wire::Reading;
use super::{Grant, Purse};
use crate::domain::budget::Settlement;
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;
use crate::domain::wire::Provider;

/// So many tokens of a short answer may be missing: names and marks that a tokenizer knows as a whole.
const WHOLE: u64 = 16;
/// What a token is worth where only characters are known.
const CHARACTERS: u64 = 4;

/// What was reserved, and of whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reserved {
    pub input: Tokens,
    pub output: Tokens,
    /// What the request must be at the least, going by its characters.
    pub least: Tokens,
    pub provider: Provider,
}

/// A reservation that is not settled yet. Whatever happens to whoever holds it, it is settled.
pub(super) struct Account {
    purse: Arc<dyn Purse>,
    grant: Option<Grant>,
    pub reserved: Reserved,
}

impl Account {
    /// Takes charge of a grant, for a request to this provider that has at least so many tokens.
    pub(super) fn new(purse: Arc<dyn Purse>, grant: Grant, provider: Provider, least: Tokens) -> Self {
        let reserved = Reserved { input: grant.input, output: grant.output, least, provider };
        Self { purse, grant: Some(grant), reserved }
    }

    /// Settles it.
    pub(super) fn settle(mut self, settlement: Settlement) {
        if let Some(grant) = self.grant.take() {
            self.purse.settle(grant, settlement);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(grant) = self.grant.take() {
            let why = "the proxy broke off while it was under way".to_owned();
            self.purse.settle(grant, Settlement::InFull { why });
        }
    }
}

impl Reserved {
    /// Why a stream must be cut now: it has written more than it was allowed to.
    pub(super) fn passed(self, reading: &Reading) -> Option<String> {
        let reported = reading.usage.map_or(Tokens::ZERO, |usage| usage.output);
        if reported > self.output {
            return Some(format!("{reported} output tokens reported, {} allowed", self.output));
        }
        self.overwritten(reading)
    }

    /// What an answer that was cut settles with.
    pub(super) fn cut(self, reading: &Reading, why: String) -> Settlement {
        let reported = reading.usage.unwrap_or(Usage { input: self.input, output: Tokens::ZERO });
        let counted = Tokens(reading.written.div_ceil(CHARACTERS));
        let output = reported.output.max(counted).max(self.output);
        Settlement::BoundViolated { usage: Usage { input: reported.input.max(self.least), output }, why }
    }

    /// What an answer under 2xx settles with that came to its end, or to why it did not. Never less than
    /// [`Self::floor`].
    pub(super) fn settlement(self, reading: &Reading, broken: Option<String>) -> Settlement {
        let error = reading.error.as_ref().map(|error| format!("an error in the answer: {error}"));
        let Some(usage) = reading.usage else {
            return self.in_full(reading, broken.or(error).unwrap_or_else(|| "the answer told no usage".to_owned()));
        };
        if reading.complete {
            let charged = most(usage, self.floor(reading));
            let violated = self.violated(usage).or_else(|| self.overwritten(reading));
            return match (violated, self.doubted(usage, reading)) {
                (Some(why), _) => Settlement::BoundViolated { usage: charged, why },
                (None, Some(why)) => Settlement::Doubted { usage: charged, provider: self.provider, why },
                (None, None) => Settlement::Reported { usage },
            };
        }
        if usage.input > self.input {
            // More is known to be used than was reserved: charging the reservation would lose the rest.
            let known = Usage { input: usage.input, output: usage.output.max(self.output) };
            let why = format!("{} input tokens reported, {} reserved; the answer broke off", usage.input, self.input);
            return Settlement::BoundViolated { usage: most(known, self.floor(reading)), why };
        }
        let why = broken.or(error).unwrap_or_else(|| "the answer ended without its last usage".to_owned());
        self.in_full(reading, why)
    }

    /// The least that was used, going by the characters that were seen in both directions.
    fn floor(self, reading: &Reading) -> Usage {
        Usage { input: self.least, output: Tokens((reading.written / MOST_CHARACTERS).saturating_sub(WHOLE)) }
    }

    /// All that was reserved, and what was seen beyond it.
    fn in_full(self, reading: &Reading, why: String) -> Settlement {
        match self.overwritten(reading) {
            None => Settlement::InFull { why },
            Some(more) => {
                let usage = most(Usage { input: self.input, output: self.output }, self.floor(reading));
                Settlement::BoundViolated { usage, why: format!("{more}; {why}") }
            }
        }
    }

    /// How more was written than so many tokens can be, if it was.
    fn overwritten(self, reading: &Reading) -> Option<String> {
        (reading.written / MOST_CHARACTERS > self.output.0)
            .then(|| format!("{} characters written, {} tokens allowed", reading.written, self.output))
    }

    /// Why usage can't be true, if it can't.
    fn doubted(self, usage: Usage, reading: &Reading) -> Option<String> {
        let floor = self.floor(reading);
        if usage.input < floor.input {
            return Some(format!("{} input tokens reported, at least {} sent", usage.input, floor.input));
        }
        let Usage { output, .. } = usage;
        (output < floor.output).then(|| format!("{output} output tokens reported, {} characters came", reading.written))
    }

    /// Which part of the reservation the usage does not keep.
    fn violated(self, usage: Usage) -> Option<String> {
        let told = |what: &str, used: Tokens, reserved: Tokens| {
            (used > reserved).then(|| format!("{used} {what} tokens reported, {reserved} reserved"))
        };
        told("input", usage.input, self.input).or_else(|| told("output", usage.output, self.output))
    }
}

/// The higher of each.
fn most(one: Usage, other: Usage) -> Usage {
    Usage { input: one.input.max(other.input), output: one.output.max(other.output) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::adapters::proxy::Ask;
    use crate::domain::budget::Refusal;

    #[derive(Default)]
    struct Recording(Mutex<Vec<(u64, Settlement)>>);

    #[async_trait]
    impl Purse for Recording {
        async fn reserve(&self, _ask: Ask) -> Result<Grant, Refusal> {
            Err(Refusal::Closed)
        }

        fn settle(&self, grant: Grant, settlement: Settlement) {
            self.0.lock().unwrap().push((grant.id, settlement));
        }
    }

    const RESERVED: Reserved =
        Reserved { input: Tokens(100), output: Tokens(50), least: Tokens(1), provider: Provider::Gemini };

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input: Tokens(input), output: Tokens(output) }
    }

    fn reading(usage: Option<Usage>, complete: bool, written: u64) -> Reading {
        Reading { usage, complete, written, error: None }
    }

    #[test]
    fn an_account_is_settled_once_whatever_happens() {
        let purse = Arc::new(Recording::default());
        let account = |id| {
            let grant = Grant { id, input: Tokens(1), output: Tokens(1) };
            Account::new(purse.clone(), grant, Provider::OpenAi, Tokens::ZERO)
        };
        account(1).settle(Settlement::Released { why: "x".to_owned() });
        drop(account(2));
        let held = account(3);
        std::thread::spawn(move || {
            let _held = held;
            panic!("on purpose");
        })
        .join()
        .unwrap_err();
        let settled = purse.0.lock().unwrap();
        let ids: Vec<_> = settled.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [1, 2, 3]);
        assert!(settled[1..].iter().all(|(_, how)| matches!(how, Settlement::InFull { .. })), "{settled:?}");
    }

    #[test]
    fn usage_within_the_reservation_is_charged_as_reported() {
        let reported = RESERVED.settlement(&reading(Some(usage(100, 50)), true, 0), None);
        assert_eq!(reported, Settlement::Reported { usage: usage(100, 50) });
        // Even where the connection broke after it was told.
        let broken = RESERVED.settlement(&reading(Some(usage(1, 2)), true, 0), Some("cut".to_owned()));
        assert_eq!(broken, Settlement::Reported { usage: usage(1, 2) });
    }

    #[test]
    fn usage_beyond_the_reservation_is_charged_and_called_by_its_name() {
        for used in [usage(101, 1), usage(1, 51)] {
            let settled = RESERVED.settlement(&reading(Some(used), true, 0), None);
            assert!(matches!(&settled, Settlement::BoundViolated { usage, .. } if *usage == used), "{settled:?}");
        }
        let settled = RESERVED.settlement(&reading(Some(usage(300, 1)), false, 0), Some("cut".to_owned()));
        assert!(matches!(&settled, Settlement::BoundViolated { usage: u, .. } if *u == usage(300, 50)), "{settled:?}");
    }

    #[test]
    fn usage_below_what_was_seen_is_not_believed_and_the_least_that_can_be_true_is_charged() {
        let reserved = Reserved { least: Tokens(40), ..RESERVED };
        for (told, written, charged) in
            [(usage(1, 5), 40, usage(40, 5)), (usage(0, 0), 240, usage(40, 14)), (usage(40, 1), 400, usage(40, 34))]
        {
            match reserved.settlement(&reading(Some(told), true, written), None) {
                Settlement::Doubted { usage, provider: Provider::Gemini, why } => {
                    assert_eq!(usage, charged);
                    assert!(why.contains("reported"), "{why}");
                }
                other => panic!("{other:?}"),
            }
        }
        let believed = reserved.settlement(&reading(Some(usage(40, 2)), true, 144), None);
        assert_eq!(believed, Settlement::Reported { usage: usage(40, 2) });
    }

    #[test]
    fn no_settlement_of_an_answer_is_below_what_was_seen() {
        let reserved = Reserved { least: Tokens(90), ..RESERVED };
        let tokens = [0, 1, 49, 51, 101, 5000];
        let told = tokens.iter().flat_map(|input| tokens.iter().map(|output| Some(usage(*input, *output))));
        for told in told.chain([None]) {
            for (complete, written) in [(true, 0), (true, 4000), (false, 0), (false, 4000)] {
                let seen = reading(told, complete, written);
                for settled in [reserved.settlement(&seen, None), reserved.cut(&seen, String::new())] {
                    let charged = settled.charge(reserved.input, reserved.output);
                    assert!(
                        charged.input >= Tokens(90) && charged.output.0 + 16 >= written / 8,
                        "{seen:?}: {settled:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_nobody_knows_is_charged_in_full() {
        let mut failed = reading(Some(usage(10, 1)), false, 0);
        failed.error = Some("overloaded".to_owned());
        let cases = [
            (reading(None, false, 400), None, "no usage"),
            (reading(None, false, 0), Some("cut".to_owned()), "cut"),
            (reading(Some(usage(10, 1)), false, 0), None, "last usage"),
            (failed, None, "overloaded"),
        ];
        for (reading, broken, expected) in cases {
            match RESERVED.settlement(&reading, broken) {
                Settlement::InFull { why } => assert!(why.contains(expected), "{why}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_stream_that_writes_too_much_is_cut_and_charged_by_the_highest_count() {
        assert_eq!(RESERVED.passed(&reading(Some(usage(1, 50)), false, 407)), None);
        assert!(RESERVED.passed(&reading(Some(usage(1, 51)), false, 0)).is_some());
        assert!(RESERVED.passed(&reading(None, false, 408)).is_some());
        let cases = [
            (reading(Some(usage(7, 51)), false, 100), usage(7, 51)),
            (reading(None, false, 409), usage(100, 103)),
            (reading(None, false, 8), usage(100, 50)),
        ];
        for (reading, expected) in cases {
            let settled = RESERVED.cut(&reading, String::new());
            assert!(matches!(&settled, Settlement::BoundViolated { usage, .. } if *usage == expected), "{settled:?}");
        }
    }
}
