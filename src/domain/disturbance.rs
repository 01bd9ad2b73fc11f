//! Blocks that others disturbed: whether one is worth being taken again.
//!
//! The rule looks at what others used, never at what was measured, so that it favours nobody. It
//! compares with the load that this run usually has, since a machine that is never quiet would have
//! every block taken again, and it is bounded over the run.

use std::collections::BTreeMap;
use std::time::Duration;

use super::measurement::{Block, Contender, Slice};
use super::statistics;
use super::timed::{Clocks, TOLD};

/// Cores that others may use beyond what they usually use, before a block is taken again.
const DISTURBED: f64 = 0.25;

/// Earlier blocks before anything can be called usual.
const USUAL: usize = 3;

/// For every so many blocks that are kept, one may be taken again.
const SHARE: u32 = 4;

/// How many cores others used during a slice, a hypervisor included.
pub fn others(slice: &Slice) -> Option<f64> {
    let used = slice.timing.others? + slice.timing.steal.unwrap_or_default();
    let wall = slice.timing.wall.as_secs_f64();
    (wall > 0.0).then(|| used.as_secs_f64() / wall)
}

/// By how many cores others disturbed a block, beyond the median of what they used in earlier
/// blocks beside the same contender and source. What belongs to a contender and is not known as
/// its own (a database server that is shared) is in that median too. Slices whose clock takes waits
/// out do not count, and what is left must have taken half a second.
pub fn beyond_the_usual(block: &Block, earlier: &[Block], clocks: &Clocks) -> f64 {
    let judged: Vec<&Slice> = block.slices.iter().filter(|slice| clocks.hindered(block.index, slice)).collect();
    if judged.iter().map(|slice| slice.timing.wall).sum::<Duration>() < TOLD {
        return 0.0;
    }
    let mut known: BTreeMap<(&Contender, &str), Vec<f64>> = BTreeMap::new();
    for slice in earlier.iter().flat_map(|block| &block.slices) {
        known.entry((&slice.contender, &slice.source)).or_default().extend(others(slice));
    }
    let excess = |slice: &Slice| {
        let usual = known.get(&(&slice.contender, slice.source.as_str())).filter(|loads| loads.len() >= USUAL)?;
        Some((slice.timing.wall, others(slice)? - statistics::median(usual)?))
    };
    let all: Vec<_> = judged.into_iter().filter_map(excess).collect();
    let wall: Duration = all.iter().map(|(wall, _)| *wall).sum();
    if wall < TOLD {
        return 0.0;
    }
    let beyond = all.iter().map(|(wall, cores)| wall.as_secs_f64() * cores).sum::<f64>();
    (beyond / wall.as_secs_f64()).max(0.0)
}

/// Whether a block that others disturbed by so many cores is taken again, when `kept` blocks were kept and
/// `discarded` were not.
pub fn is_taken_again(cores: f64, kept: u32, discarded: u32) -> bool {
    cores > DISTURBED && discarded < kept / SHARE
}

/// The cores that others used at the median slice of these blocks; absent where no slice tells.
pub fn usual(blocks: &[Block]) -> Option<f64> {
    let loads: Vec<f64> = blocks.iter().flat_map(|block| &block.slices).filter_map(others).collect();
    statistics::median(&loads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::measurement::{MetricName, Timing};
    use crate::domain::plan::VariantKey;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn beside(key: &str, wall: u64, others: u64, delay: Option<u64>) -> Slice {
        let timing = Timing {
            wall: ms(wall),
            cpu: Some(ms(wall * 9 / 10)),
            delay: delay.map(ms),
            others: Some(ms(others)),
            ..Timing::default()
        };
        Slice {
            contender: Contender::Variant(VariantKey::new(key).unwrap()),
            source: "time: x".to_owned(),
            lane: None,
            readings: Vec::new(),
            timing,
            own: MetricName::new("t"),
            output: None,
        }
    }

    fn blocks(loads: &[(u64, u64)]) -> Vec<Block> {
        let block = |(index, (a, b)): (u32, &(u64, u64))| Block {
            index,
            slices: vec![beside("A", 1000, *a, None), beside("B", 1000, *b, None)],
        };
        (0..).zip(loads).map(block).collect()
    }

    #[test]
    fn a_block_is_disturbed_by_what_others_use_beyond_the_usual_beside_the_same_contender() {
        // A shared server works half a core for A and a tenth for B; once somebody else did nothing at all.
        let earlier = blocks(&[(500, 100), (0, 0), (510, 110), (490, 90)]);
        let at = |a, b| {
            let slices = vec![beside("A", 1000, a, None), beside("B", 1000, b, None)];
            beyond_the_usual(&Block { index: 4, slices }, &earlier, &Clocks::default())
        };
        assert!(at(495, 95) < 1e-9 && at(400, 50) < 1e-9);
        assert!((at(895, 495) - 0.4).abs() < 1e-9, "both by 0.4 cores");
        assert!((at(495, 895) - 0.4).abs() < 1e-9, "one by 0.8 cores, the other not");
    }

    #[test]
    fn a_machine_that_is_never_quiet_has_its_usual_load() {
        let earlier = blocks(&[(1900, 1900), (1800, 1850), (1950, 1900), (100, 100)]);
        let slices = vec![beside("A", 1000, 1900, None), beside("B", 1000, 1900, None)];
        assert!(beyond_the_usual(&Block { index: 4, slices }, &earlier, &Clocks::default()) < 0.05);
        assert!(usual(&earlier).is_some_and(|cores| (1.8..1.95).contains(&cores)));
    }

    #[test]
    fn at_most_one_block_is_taken_again_for_four_that_are_kept() {
        assert!(!is_taken_again(1.0, 3, 0) && is_taken_again(1.0, 4, 0) && !is_taken_again(1.0, 7, 1));
        assert!(is_taken_again(1.0, 8, 1) && !is_taken_again(0.2, 8, 0));
    }

    #[test]
    fn a_block_that_is_too_short_for_the_kernels_counters_is_never_called_disturbed() {
        let short = |others| vec![beside("A", 20, others, None), beside("B", 20, others, None)];
        let earlier: Vec<_> = (0..4).map(|index| Block { index, slices: short(0) }).collect();
        assert!(beyond_the_usual(&Block { index: 4, slices: short(10) }, &earlier, &Clocks::default()) < 1e-9);
    }

    #[test]
    fn where_waits_are_taken_out_nothing_disturbs() {
        let calm: Vec<_> = (0..4).map(|index| Block { index, slices: vec![beside("A", 1000, 0, Some(50))] }).collect();
        let clocks = Clocks::chosen(&calm[0].slices);
        let busy = Block { index: 4, slices: vec![beside("A", 1000, 1900, Some(50))] };
        assert!(beyond_the_usual(&busy, &calm, &clocks) < 1e-9);
    }
}
