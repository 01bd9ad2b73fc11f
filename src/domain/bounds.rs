//! Bounds under uncertainty: kept, missed or open, with the evidence that the race asks for and valid at
//! any stopping time.

use serde::{Deserialize, Serialize};

use super::race::Rules;

/// What is known of a bound so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Kept.
    Passed,
    /// Missed.
    Failed,
    /// Open: not known yet. Who holds it is neither out nor cleared.
    Uncertain,
}

impl Standing {
    /// A value that does not vary settles its bound at once.
    pub(super) fn of_exact(held: bool) -> Self {
        if held { Self::Passed } else { Self::Failed }
    }
}

/// What one block says of a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Its value is within the bound.
    Held,
    /// Its value is not.
    Missed,
    /// Its value is not, but would be without what the machine took from it: that is nobody's answer.
    Hindered,
}

/// A sequential sign test of one bound on one contender: is a typical block within it?
///
/// Under "half of the blocks or fewer hold" the stake Π (1 + b·x), x = ±1, gains nothing on average, so that
/// its mean over several b reaches the race's threshold T with probability at most 1/T at any time
/// (Ville's inequality); the other way round alike. Eight blocks that agree settle it.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundTest {
    rules: Rules,
    held: Vec<f64>,
    missed: Vec<f64>,
    standing: Standing,
    hindered: u32,
}

impl BoundTest {
    /// A test that has seen nothing and holds to the race's rules.
    pub fn new(rules: &Rules) -> Self {
        let none = vec![0.0; rules.bets.len()];
        Self { rules: rules.clone(), held: none.clone(), missed: none, standing: Standing::Uncertain, hindered: 0 }
    }

    /// One block's answer.
    pub fn record(&mut self, answer: Answer) {
        let x = match answer {
            Answer::Held => 1.0,
            Answer::Missed => -1.0,
            Answer::Hindered => {
                self.hindered += 1;
                return;
            }
        };
        for (at, bet) in self.rules.bets.iter().enumerate() {
            self.held[at] += (bet * x).ln_1p();
            self.missed[at] += (-bet * x).ln_1p();
        }
        if self.standing != Standing::Uncertain {
            return;
        }
        let wealth = |logs: &[f64]| logs.iter().map(|l| l.min(700.0).exp()).sum::<f64>() / logs.len() as f64;
        if wealth(&self.held) >= self.rules.threshold {
            self.standing = Standing::Passed;
        } else if wealth(&self.missed) >= self.rules.threshold {
            self.standing = Standing::Failed;
        }
    }

    /// What is known now. Once it is known it stays.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Blocks that said nothing because of the machine.
    pub fn hindered(&self) -> u32 {
        self.hindered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_after(answers: &[Answer]) -> BoundTest {
        let mut test = BoundTest::new(&Rules::default());
        answers.iter().for_each(|answer| test.record(*answer));
        test
    }

    fn after(held: &[bool]) -> Standing {
        let answers: Vec<_> = held.iter().map(|h| if *h { Answer::Held } else { Answer::Missed }).collect();
        test_after(&answers).standing()
    }

    #[test]
    fn eight_blocks_that_agree_settle_a_bound_and_seven_do_not() {
        assert_eq!(after(&[true; 8]), Standing::Passed);
        assert_eq!(after(&[false; 8]), Standing::Failed);
        assert_eq!(after(&[true; 7]), Standing::Uncertain);
        assert_eq!(after(&[false; 7]), Standing::Uncertain);
    }

    #[test]
    fn blocks_that_disagree_settle_nothing() {
        let answers: Vec<_> = (0..200).map(|i| i % 2 == 0).collect();
        assert_eq!(after(&answers), Standing::Uncertain);
    }

    #[test]
    fn what_is_known_stays_known() {
        let mut answers = vec![true; 9];
        answers.extend([false; 50]);
        assert_eq!(after(&answers), Standing::Passed);
    }

    #[test]
    fn what_the_machine_took_is_no_answer_however_often() {
        let test = test_after(&[Answer::Hindered; 500]);
        assert_eq!((test.standing(), test.hindered()), (Standing::Uncertain, 500));
        let mut answers = vec![Answer::Missed; 7];
        answers.extend([Answer::Hindered; 5]);
        assert_eq!(test_after(&answers).standing(), Standing::Uncertain);
        answers.push(Answer::Missed);
        assert_eq!(test_after(&answers).standing(), Standing::Failed);
    }

    #[test]
    fn a_fair_coin_is_called_in_each_direction_in_at_most_one_of_forty() {
        use rand_core::{Rng, SeedableRng};
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut called = [0, 0];
        for _ in 0..2_000 {
            let coins: Vec<_> = (0..100).map(|_| random.next_u32() & 1 == 0).collect();
            match after(&coins) {
                Standing::Passed => called[0] += 1,
                Standing::Failed => called[1] += 1,
                Standing::Uncertain => {}
            }
        }
        assert!(called.iter().all(|n| (1..=50).contains(n)), "{called:?} of 2000");
    }
}
