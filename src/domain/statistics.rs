//! Plain statistics over slices of numbers, each with the source of its formula.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// The mean of what is left when the share `cut` of the sorted values is taken off at each end
/// (Tukey; Wilcox, *Introduction to Robust Estimation*, 3.3); `None` of nothing. With `cut` = 0.2
/// and five values the middle three count.
pub fn trimmed_mean(values: &[f64], cut: f64) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let off = (values.len() as f64 * cut.clamp(0.0, 0.49)) as usize;
    let kept = &sorted[off..sorted.len() - off];
    Some(kept.iter().sum::<f64>() / kept.len() as f64)
}

/// The middle value, or the mean of the two in the middle; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The standard deviation of all of these; `None` of nothing.
pub fn spread(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (n > 0.0).then(|| (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt())
}

/// Resamples of the bootstrap.
const RESAMPLES: usize = 2_000;

/// Half the width of the 95 % percentile interval of the 20 % trimmed mean (Efron & Tibshirani,
/// *An Introduction to the Bootstrap*, 13.3), from a seed; `None` of fewer than two values.
pub fn half_width(values: &[f64], seed: u64) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let n = values.len() as u64;
    let mut pick = || values[usize::try_from(random.next_u64() % n).unwrap_or(0)];
    let mut means: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let sample: Vec<f64> = (0..n).map(|_| pick()).collect();
            trimmed_mean(&sample, 0.2)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((means.len() - 1) as f64 * share).round() as usize];
    Some((at(0.975) - at(0.025)) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_cut_at_each_end() {
        assert_eq!(trimmed_mean(&[100.0, 1.0, 2.0, 3.0, -50.0], 0.2), Some(2.0));
        assert_eq!(trimmed_mean(&[1.0, 2.0, 6.0], 0.2), Some(3.0));
        assert_eq!(trimmed_mean(&[], 0.2), None);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_spread_of_equal_values_is_0_and_that_of_two_is_half_their_distance() {
        assert_eq!(spread(&[3.0, 3.0, 3.0]), Some(0.0));
        assert_eq!(spread(&[1.0, 5.0]), Some(2.0));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn the_interval_of_equal_values_is_a_point_and_that_of_a_spread_covers_it() {
        assert_eq!(half_width(&[2.0; 20], 1), Some(0.0));
        let spread: Vec<_> = (0..100).map(f64::from).collect();
        let half = half_width(&spread, 1).unwrap();
        assert!((4.0..9.0).contains(&half), "{half}");
        assert_eq!(half_width(&spread, 1), half_width(&spread, 1));
        assert_eq!(half_width(&[1.0], 1), None);
    }
}
