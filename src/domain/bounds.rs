//! Bounds under uncertainty: pass, fail or not yet known, at 20:1 and valid at any stopping time.

use serde::{Deserialize, Serialize};

/// The odds at which a bound is known.
const ODDS: f64 = 20.0;
/// Betting fractions that are averaged over.
const BETS: [f64; 3] = [0.2, 0.5, 0.9];

/// What is known of a bound so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Kept, at 20:1.
    Passed,
    /// Missed, at 20:1.
    Failed,
    /// Not known yet.
    Uncertain,
}

impl Standing {
    /// A value that does not vary settles its bound at once.
    pub fn of_exact(held: bool) -> Self {
        if held { Self::Passed } else { Self::Failed }
    }
}

/// A sequential sign test of one bound on one contender: is a typical slice within it?
///
/// Under "half of the slices or fewer hold" the stake Π (1 + b·x), x = ±1, gains nothing on
/// average, so that its mean over several b reaches 20 with probability at most 1 in 20 at any time
/// (Ville's inequality); the other way round alike. Six slices that agree settle it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundTest {
    held: [f64; 3],
    missed: [f64; 3],
    standing: Standing,
}

impl Default for BoundTest {
    fn default() -> Self {
        Self::new()
    }
}

impl BoundTest {
    /// A test that has seen nothing.
    pub fn new() -> Self {
        Self { held: [0.0; 3], missed: [0.0; 3], standing: Standing::Uncertain }
    }

    /// One slice's answer.
    pub fn record(&mut self, held: bool) {
        let x = if held { 1.0 } else { -1.0 };
        for (at, bet) in BETS.iter().enumerate() {
            self.held[at] += (bet * x).ln_1p();
            self.missed[at] += (-bet * x).ln_1p();
        }
        if self.standing != Standing::Uncertain {
            return;
        }
        let wealth = |logs: &[f64; 3]| logs.iter().map(|l| l.min(700.0).exp()).sum::<f64>() / 3.0;
        if wealth(&self.held) >= ODDS {
            self.standing = Standing::Passed;
        } else if wealth(&self.missed) >= ODDS {
            self.standing = Standing::Failed;
        }
    }

    /// What is known now. Once it is known it stays.
    pub fn standing(&self) -> Standing {
        self.standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(answers: &[bool]) -> Standing {
        let mut test = BoundTest::new();
        answers.iter().for_each(|held| test.record(*held));
        test.standing()
    }

    #[test]
    fn six_slices_that_agree_settle_a_bound_and_five_do_not() {
        assert_eq!(after(&[true; 6]), Standing::Passed);
        assert_eq!(after(&[false; 6]), Standing::Failed);
        assert_eq!(after(&[true; 5]), Standing::Uncertain);
    }

    #[test]
    fn slices_that_disagree_settle_nothing() {
        let answers: Vec<_> = (0..200).map(|i| i % 2 == 0).collect();
        assert_eq!(after(&answers), Standing::Uncertain);
    }

    #[test]
    fn what_is_known_stays_known() {
        let mut answers = vec![true; 6];
        answers.extend([false; 50]);
        assert_eq!(after(&answers), Standing::Passed);
    }

    #[test]
    fn a_fair_coin_is_rarely_called_either_way() {
        use rand_core::{Rng, SeedableRng};
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let called = (0..2_000).filter(|_| {
            let coins: Vec<_> = (0..100).map(|_| random.next_u32() & 1 == 0).collect();
            after(&coins) != Standing::Uncertain
        });
        let share = called.count() as f64 / 2_000.0;
        assert!(share <= 0.1, "{share}");
    }
}
