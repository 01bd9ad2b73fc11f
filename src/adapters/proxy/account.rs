//! One reservation from its admission to its settlement, which is told exactly once; and what an
//! answer settles it with.

use std::sync::Arc;

use super::wire::Reading;
use super::{Grant, Purse};
use crate::domain::budget::Settlement;
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;

/// Over a whole answer no honest tokenizer averages more characters a token.
const MOST_CHARACTERS: u64 = 8;
/// What a token is worth where only characters are known.
const CHARACTERS: u64 = 4;

/// What was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reserved {
    pub input: Tokens,
    pub output: Tokens,
}

/// A reservation that is not settled yet. Whatever happens to whoever holds it, it is settled.
pub(super) struct Account {
    purse: Arc<dyn Purse>,
    grant: Option<Grant>,
    pub reserved: Reserved,
}

impl Account {
    /// Takes charge of a grant.
    pub(super) fn new(purse: Arc<dyn Purse>, grant: Grant) -> Self {
        let reserved = Reserved { input: grant.input, output: grant.output };
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
        (reading.written / MOST_CHARACTERS > self.output.0)
            .then(|| format!("{} characters written, {} tokens allowed", reading.written, self.output))
    }

    /// What a stream that was cut settles with.
    pub(super) fn cut(self, reading: &Reading, why: String) -> Settlement {
        let reported = reading.usage.unwrap_or(Usage { input: self.input, output: Tokens::ZERO });
        let counted = Tokens(reading.written.div_ceil(CHARACTERS));
        let output = reported.output.max(counted).max(self.output);
        Settlement::BoundViolated { usage: Usage { input: reported.input, output }, why }
    }

    /// What an answer under 2xx settles with that came to its end, or to why it did not.
    pub(super) fn settlement(self, reading: &Reading, broken: Option<String>) -> Settlement {
        let Some(usage) = reading.usage else {
            let error = reading.error.as_ref().map(|error| format!("an error in the answer: {error}"));
            let why = broken.or(error).unwrap_or_else(|| "the answer told no usage".to_owned());
            return Settlement::InFull { why };
        };
        if reading.complete {
            return match self.violated(usage) {
                Some(why) => Settlement::BoundViolated { usage, why },
                None => Settlement::Reported { usage },
            };
        }
        if usage.input > self.input {
            // More is known to be used than was reserved: charging the reservation would lose the rest.
            let usage = Usage { input: usage.input, output: usage.output.max(self.output) };
            let why = format!("{} input tokens reported, {} reserved; the answer broke off", usage.input, self.input);
            return Settlement::BoundViolated { usage, why };
        }
        let error = reading.error.as_ref().map(|error| format!("an error in the answer: {error}"));
        let why = broken.or(error).unwrap_or_else(|| "the answer ended without its last usage".to_owned());
        Settlement::InFull { why }
    }

    /// Which part of the reservation the usage does not keep.
    fn violated(self, usage: Usage) -> Option<String> {
        let told = |what: &str, used: Tokens, reserved: Tokens| {
            (used > reserved).then(|| format!("{used} {what} tokens reported, {reserved} reserved"))
        };
        told("input", usage.input, self.input).or_else(|| told("output", usage.output, self.output))
    }
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

    const RESERVED: Reserved = Reserved { input: Tokens(100), output: Tokens(50) };

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input: Tokens(input), output: Tokens(output) }
    }

    fn reading(usage: Option<Usage>, complete: bool, written: u64) -> Reading {
        Reading { usage, complete, written, error: None }
    }

    #[test]
    fn an_account_is_settled_once_whatever_happens() {
        let purse = Arc::new(Recording::default());
        let account = |id| Account::new(purse.clone(), Grant { id, input: Tokens(1), output: Tokens(1) });
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
