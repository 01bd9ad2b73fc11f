//! At which rate a source asks what it loads, where the machine decides that too.
//!
//! Requests that are sent late measure the machine and not the target. So the rate is tried on the baseline before
//! anything counts; where this machine can't hold the one that is asked, a lower one is fixed for every contender.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::quantity::{Bound, Dimension, Direction, Limit};

/// The rate that every contender is asked at by one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Which source.
    pub source: String,
    /// Requests a second that the configuration asks for.
    pub asked: NonZeroU32,
    /// Requests a second that are sent.
    pub held: NonZeroU32,
    /// The share of a latency that was the generator's own lateness at this rate.
    pub late: f64,
    /// Whether that is little enough not to matter.
    pub on_time: bool,
}

impl Rate {
    /// Whether the machine could not hold what was asked.
    fn is_lowered(&self) -> bool {
        self.held < self.asked
    }

    /// One sentence, where there is something to say.
    pub fn told(&self) -> Option<String> {
        let Self { source, asked, held, late, .. } = self;
        if self.is_lowered() {
            return Some(format!(
                "{asked}/s was asked, this machine holds about {held}/s beside what else runs: every contender is \
                 asked {held}/s ({source})"
            ));
        }
        let share = (100.0 * late).round();
        (!self.on_time).then(|| {
            format!(
                "this machine sends requests late beside what else runs, at any rate: about {share} % of a latency \
                 is that, for every contender alike ({source})"
            )
        })
    }

    /// Whether a value below this bound says nothing of what was loaded: it asks for more a second than this
    /// machine can send.
    pub fn hides(&self, bound: &Bound) -> bool {
        let floor = bound.direction() == Direction::HigherIsBetter;
        match bound.limit {
            Limit::Absolute(limit) if floor && limit.dimension() == Dimension::Rate => {
                self.is_lowered() && limit.value() > f64::from(self.held.get())
            }
            Limit::Absolute(_) | Limit::Relative(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(asked: u32, held: u32, late: f64) -> Rate {
        let n = |n| NonZeroU32::new(n).unwrap();
        Rate { source: "http: /".to_owned(), asked: n(asked), held: n(held), late, on_time: late <= 0.05 }
    }

    #[test]
    fn what_the_machine_can_not_hold_is_said_with_what_it_can() {
        let told = rate(500, 320, 0.01).told().unwrap();
        assert!(told.starts_with("500/s was asked, this machine holds about 320/s beside what else runs"), "{told}");
        assert!(rate(500, 500, 0.21).told().unwrap().contains("about 21 % of a latency"));
        assert_eq!(rate(500, 500, 0.01).told(), None);
    }

    #[test]
    fn a_rate_above_what_is_sent_can_not_be_judged_and_everything_else_can() {
        let bound = |text: &str| Bound::parse(text).unwrap();
        let lowered = rate(500, 320, 0.01);
        assert!(lowered.hides(&bound(">400 req/s")) && lowered.hides(&bound(">=321 req/s")));
        for other in [">300 req/s", "<400 req/s", "<80ms", ">=+10%", ">400"] {
            assert!(!lowered.hides(&bound(other)), "{other}");
        }
        assert!(!rate(500, 500, 0.2).hides(&bound(">400 req/s")));
    }
}
