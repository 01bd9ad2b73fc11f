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
        let (right, wrong) = match answer {
            Answer::Held => (&mut self.held, &mut self.missed),
            Answer::Missed => (&mut self.missed, &mut self.held),
            Answer::Hindered => {
                self.hindered += 1;
                return;
            }
        };
        for (at, bet) in self.rules.bets.iter().enumerate() {
            right[at] += bet.ln_1p();
            wrong[at] += (-bet).ln_1p();
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

    /// Each bet's winnings are followed on their own, and their mean is what counts.
    #[test]
    fn evidence_that_just_reaches_the_threshold_settles_a_bound_and_what_comes_short_of_it_does_not() {
        let winnings = |bet: f64| (4.0 * bet.ln_1p() + (-bet).ln_1p()).exp();
        let reached = (winnings(0.25) + winnings(0.75)) / 2.0;
        let settled = |threshold: f64, answers: &[Answer]| {
            let mut test = BoundTest::new(&Rules { threshold, bets: vec![0.25, 0.75], ..Rules::default() });
            answers.iter().for_each(|answer| test.record(*answer));
            test.standing()
        };
        let (yes, no) = (Answer::Held, Answer::Missed);
        // The first alone comes to 1.5.
        assert!(reached > 1.5, "{reached}");
        assert_eq!(settled(reached - 1e-12, &[yes, no, yes, yes, yes]), Standing::Passed);
        assert_eq!(settled(reached - 1e-12, &[no, yes, no, no, no]), Standing::Failed);
        assert_eq!(settled(reached + 1e-12, &[yes, no, yes, yes, yes]), Standing::Uncertain);
        assert_eq!(settled(reached + 1e-12, &[no, yes, no, no, no]), Standing::Uncertain);
        let one = |threshold: f64| settled(threshold, &[yes]);
        let exactly = (0.25f64.ln_1p().exp() + 0.75f64.ln_1p().exp()) / 2.0;
        assert_eq!((one(exactly), one(exactly + 1e-12)), (Standing::Passed, Standing::Uncertain));
        assert_eq!(settled(exactly, &[no]), Standing::Failed);
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
