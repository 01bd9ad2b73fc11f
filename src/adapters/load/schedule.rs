//! When requests start, and how many of them a percentile needs. Pure.

use std::num::NonZeroU32;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Intended starts of `count` requests at a mean `rate` a second, ascending from the loop's start.
///
/// They are independent and uniform over `count / rate` seconds: a Poisson process of which the
/// count is known (Kingman, *Poisson Processes*, section 2.4), so that arrivals come in bursts as
/// those of independent users do while every schedule is equally long. The seed decides all of it.
pub fn arrivals(seed: u64, count: u64, rate: NonZeroU32) -> Vec<Duration> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let length = count as f64 / f64::from(rate.get());
    let mut starts: Vec<_> = (0..count)
        .map(|_| {
            // 53 bits are as many as a float tells apart between 0 and 1.
            let share = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
            Duration::from_secs_f64(length * share)
        })
        .collect();
    starts.sort_unstable();
    starts
}

/// How many observations a percentile needs: the fewest of which, in 95 % of samples, at least
/// one lies beyond it on its rarer side, `ln 0.05 / ln q` (a bound that holds for every
/// distribution; Wilks, 1941). 59 for p95, 299 for p99.
pub(crate) fn samples_for(quantile: f64) -> u64 {
    let q = quantile.max(1.0 - quantile);
    if q >= 1.0 { 1 } else { (0.05_f64.ln() / q.ln()).ceil() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: NonZeroU32 = NonZeroU32::new(200).unwrap();

    #[test]
    fn the_seed_decides_the_whole_schedule() {
        assert_eq!(arrivals(7, 100, RATE), arrivals(7, 100, RATE));
        assert_ne!(arrivals(7, 100, RATE), arrivals(8, 100, RATE));
    }

    #[test]
    fn a_schedule_ascends_within_its_length_and_keeps_its_rate() {
        let starts = arrivals(1, 1000, RATE);
        assert!(starts.is_sorted());
        assert!(*starts.last().unwrap() < Duration::from_secs(5));
        let first_half = starts.iter().filter(|s| **s < Duration::from_millis(2500)).count();
        assert!((430..570).contains(&first_half), "{first_half} of 1000 in the first half");
    }

    #[test]
    fn gaps_come_in_bursts_as_those_of_independent_users_do() {
        let starts = arrivals(3, 2000, RATE);
        let short = starts.windows(2).filter(|w| w[1] - w[0] < Duration::from_micros(2500)).count();
        // An exponential gap is below half of its mean with probability 1 - e^-0.5 = 0.39.
        assert!((700..860).contains(&short), "{short} of 1999 gaps are short");
    }

    #[test]
    fn rare_percentiles_need_more_observations() {
        let needed = [0.5, 0.95, 0.99, 0.999, 0.05, 1.0].map(samples_for);
        assert_eq!(needed, [5, 59, 299, 2995, 59, 1]);
    }
}
