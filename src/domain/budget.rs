//! The ledger: three nested token budgets (step ⊂ variant ⊂ session), reserved before and settled
//! after, so that what is spent never exceeds a cap as long as nothing settles for more than it
//! reserved. What settles for more is recorded as it is, and leaves that much less for the rest.

use std::collections::BTreeMap;

use super::plan::{Budget, VariantKey};
use super::quantity::Tokens;

/// Tokens that are reserved and spent.
#[derive(Debug, Clone)]
pub struct Ledger {
    step_cap: Option<Tokens>,
    variant_cap: Option<Tokens>,
    session_cap: Option<Tokens>,
    steps: BTreeMap<(VariantKey, usize), Account>,
}

/// One step's side of the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Account {
    reserved: u64,
    spent: u64,
}

/// A claim on tokens. It must be settled, with what was really used; it can't be copied.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a reservation that is not settled holds its tokens for good"]
pub struct Reservation {
    variant: VariantKey,
    step: usize,
    tokens: u64,
}

impl Reservation {
    /// How many tokens it holds.
    pub fn tokens(&self) -> Tokens {
        Tokens(self.tokens)
    }
}

/// What asking for tokens came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// Reserved.
    Admitted {
        /// To be settled.
        reservation: Reservation,
        /// How many: what was wanted, or what is left.
        tokens: Tokens,
    },
    /// Nothing is free now, and other reservations may give some back.
    Wait,
    /// Nothing is free and nothing will be.
    Refused,
}

impl Ledger {
    /// An empty ledger under these caps. A variant may use what the session may.
    pub fn new(caps: &Budget) -> Self {
        Self { step_cap: caps.step_tokens, variant_cap: None, session_cap: caps.session_tokens, steps: BTreeMap::new() }
    }

    /// With a cap on each variant besides.
    #[must_use]
    pub fn with_variant_cap(mut self, cap: Tokens) -> Self {
        self.variant_cap = Some(cap);
        self
    }

    /// Reserves what one step may use: what is wanted, or less where a cap leaves less.
    pub fn reserve_step(&mut self, variant: &VariantKey, step: usize, wanted: Tokens) -> Admission {
        self.admit(variant, step, 1, wanted.0)
    }

    /// Reserves one request: `input` is an upper bound of what it reads and can't shrink, `output`
    /// the most it may write, which is clamped to what is left. The reservation is their sum.
    pub fn reserve_request(&mut self, variant: &VariantKey, step: usize, input: Tokens, output: Tokens) -> Admission {
        self.admit(variant, step, input.0.saturating_add(1), input.0.saturating_add(output.0))
    }

    /// Replaces a reservation by what was used.
    pub fn settle(&mut self, reservation: Reservation, used: Tokens) {
        let account = self.steps.entry((reservation.variant, reservation.step)).or_default();
        account.reserved = account.reserved.saturating_sub(reservation.tokens);
        account.spent = account.spent.saturating_add(used.0);
    }

    /// Adds what an earlier session of the run spent.
    pub fn spent_before(&mut self, variant: &VariantKey, step: usize, used: Tokens) {
        let account = self.steps.entry((variant.clone(), step)).or_default();
        account.spent = account.spent.saturating_add(used.0);
    }

    /// What was spent, all variants together.
    pub fn spent(&self) -> Tokens {
        Tokens(self.steps.values().fold(0, |sum, a| sum.saturating_add(a.spent)))
    }

    /// What one variant spent.
    pub fn spent_by(&self, variant: &VariantKey) -> Tokens {
        let accounts = self.steps.iter().filter(|((v, _), _)| v == variant);
        Tokens(accounts.fold(0, |sum, (_, a)| sum.saturating_add(a.spent)))
    }

    /// What was spent and is reserved, all variants together.
    pub fn committed(&self) -> Tokens {
        self.total(|_| true)
    }

    fn total(&self, of: impl Fn(&(VariantKey, usize)) -> bool) -> Tokens {
        let accounts = self.steps.iter().filter(|(key, _)| of(key)).map(|(_, account)| account);
        Tokens(accounts.fold(0, |sum: u64, a| sum.saturating_add(a.spent).saturating_add(a.reserved)))
    }

    fn admit(&mut self, variant: &VariantKey, step: usize, least: u64, wanted: u64) -> Admission {
        let free = |cap: Option<Tokens>, used: Tokens| cap.map_or(u64::MAX, |cap| cap.saturating_sub(used).0);
        let left = free(self.step_cap, self.total(|(v, s)| v == variant && *s == step))
            .min(free(self.variant_cap, self.total(|(v, _)| v == variant)))
            .min(free(self.session_cap, self.total(|_| true)));
        let tokens = wanted.min(left);
        if tokens >= least.max(1) {
            let account = self.steps.entry((variant.clone(), step)).or_default();
            account.reserved = account.reserved.saturating_add(tokens);
            let reservation = Reservation { variant: variant.clone(), step, tokens };
            return Admission::Admitted { reservation, tokens: Tokens(tokens) };
        }
        // What others have reserved may come back; what is spent does not.
        let spent = |of: &dyn Fn(&(VariantKey, usize)) -> bool| {
            let accounts = self.steps.iter().filter(|(key, _)| of(key));
            Tokens(accounts.fold(0, |sum: u64, (_, a)| sum.saturating_add(a.spent)))
        };
        let could_be_left = free(self.step_cap, spent(&|(v, s)| v == variant && *s == step))
            .min(free(self.variant_cap, spent(&|(v, _)| v == variant)))
            .min(free(self.session_cap, spent(&|_| true)));
        if could_be_left >= least.max(1) { Admission::Wait } else { Admission::Refused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> VariantKey {
        VariantKey::new(text).unwrap()
    }

    fn ledger(step: u64, session: u64) -> Ledger {
        let caps =
            Budget { step_tokens: Some(Tokens(step)), session_tokens: Some(Tokens(session)), ..Budget::default() };
        Ledger::new(&caps)
    }

    fn admitted(admission: Admission) -> (Reservation, u64) {
        match admission {
            Admission::Admitted { reservation, tokens } => (reservation, tokens.0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_step_gets_what_the_tightest_cap_leaves() {
        let mut ledger = ledger(1000, 1500);
        let (_a, tokens) = admitted(ledger.reserve_step(&key("A"), 0, Tokens(5000)));
        assert_eq!(tokens, 1000);
        let (_b, tokens) = admitted(ledger.reserve_step(&key("B"), 0, Tokens(5000)));
        assert_eq!(tokens, 500);
    }

    #[test]
    fn who_finds_all_reserved_waits_and_who_finds_all_spent_is_refused() {
        let mut ledger = ledger(1000, 1000);
        let (first, _) = admitted(ledger.reserve_step(&key("A"), 0, Tokens(1000)));
        assert_eq!(ledger.reserve_step(&key("B"), 0, Tokens(1000)), Admission::Wait);
        ledger.settle(first, Tokens(400));
        let (second, tokens) = admitted(ledger.reserve_step(&key("B"), 0, Tokens(1000)));
        assert_eq!(tokens, 600);
        ledger.settle(second, Tokens(600));
        assert_eq!(ledger.reserve_step(&key("C"), 0, Tokens(1)), Admission::Refused);
        assert_eq!(ledger.spent(), Tokens(1000));
    }

    #[test]
    fn a_steps_own_spending_counts_against_it_after_a_resume() {
        let mut ledger = ledger(1000, 9000);
        ledger.spent_before(&key("A"), 0, Tokens(1000));
        assert_eq!(ledger.reserve_step(&key("A"), 0, Tokens(10)), Admission::Refused);
        let (_r, tokens) = admitted(ledger.reserve_step(&key("A"), 1, Tokens(2000)));
        assert_eq!(tokens, 1000);
    }

    #[test]
    fn a_variants_cap_holds_over_its_steps() {
        let mut ledger = ledger(1000, 9000).with_variant_cap(Tokens(1200));
        let (first, _) = admitted(ledger.reserve_step(&key("A"), 0, Tokens(1000)));
        ledger.settle(first, Tokens(1000));
        let (_r, tokens) = admitted(ledger.reserve_step(&key("A"), 1, Tokens(1000)));
        assert_eq!(tokens, 200);
    }

    #[test]
    fn a_requests_output_is_clamped_and_its_input_is_not() {
        let mut ledger = ledger(1000, 9000);
        let (first, tokens) = admitted(ledger.reserve_request(&key("A"), 0, Tokens(700), Tokens(4000)));
        assert_eq!(tokens, 1000);
        ledger.settle(first, Tokens(800));
        assert_eq!(ledger.reserve_request(&key("A"), 0, Tokens(200), Tokens(10)), Admission::Refused);
    }

    #[test]
    fn what_settles_for_more_than_it_reserved_is_recorded_as_it_is() {
        let mut ledger = ledger(1000, 1000);
        let (first, _) = admitted(ledger.reserve_step(&key("A"), 0, Tokens(100)));
        ledger.settle(first, Tokens(1100));
        assert_eq!(ledger.spent(), Tokens(1100));
        assert_eq!(ledger.reserve_step(&key("B"), 0, Tokens(1)), Admission::Refused);
    }

    proptest::proptest! {
        #[test]
        fn however_trials_interleave_no_cap_is_exceeded(
            step in 1..2000u64,
            session in 1..6000u64,
            moves in proptest::collection::vec((0..4usize, 0..3usize, 0..3000u64, 0..1000u64), 1..200),
        ) {
            let keys = ["A", "B", "C", "D"].map(key);
            let mut ledger = ledger(step, session);
            let mut open: Vec<(Reservation, u64)> = Vec::new();
            for (variant, at, wanted, share) in moves {
                if let Admission::Admitted { reservation, tokens } = ledger.reserve_step(&keys[variant], at, Tokens(wanted)) {
                    proptest::prop_assert!(tokens.0 <= wanted);
                    open.push((reservation, share));
                } else if let Some((reservation, share)) = open.pop() {
                    let used = reservation.tokens().0 * share / 1000;
                    ledger.settle(reservation, Tokens(used));
                }
                proptest::prop_assert!(ledger.committed().0 <= session);
                for variant in &keys {
                    for at in 0..3 {
                        let used = ledger.total(|(v, s)| v == variant && *s == at);
                        proptest::prop_assert!(used.0 <= step);
                    }
                }
            }
            for (reservation, share) in open {
                let used = reservation.tokens().0 * share / 1000;
                ledger.settle(reservation, Tokens(used));
            }
            proptest::prop_assert_eq!(ledger.committed(), ledger.spent());
        }
    }
}
