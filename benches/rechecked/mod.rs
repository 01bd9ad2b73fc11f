//! What it costs to ask after each block whether every source's clock still tells the truth of every contender.

use std::time::{Duration, Instant};

use blueprint::domain::measurement::{Block, Contender, MetricName, Reading, Slice, Timing};
use blueprint::domain::plan::VariantKey;
use blueprint::domain::quantity::{Dimension, Quantity};
use blueprint::domain::timed::Clocks;

/// As many variants as a large competition has, and sources.
const VARIANTS: u32 = 16;
const SOURCES: u32 = 4;
/// More blocks than nearly all races need.
const BLOCKS: u32 = 1_000;

/// Milliseconds of the dearest of the last tenth of the blocks' checks, each the least of some tries: others may have the core in
/// the middle of one.
pub fn dearest() -> f64 {
    const TRIES: usize = 3;
    let blocks: Vec<Block> = (0..BLOCKS).map(block).collect();
    let mut least = vec![f64::INFINITY; blocks.len()];
    for _ in 0..TRIES {
        let mut clocks = Clocks::default();
        for (block, least) in blocks.iter().zip(&mut least) {
            let began = Instant::now();
            std::hint::black_box(clocks.observe(block));
            *least = least.min(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    least[least.len() * 9 / 10..].iter().copied().fold(0.0, f64::max)
}

/// Slices of programs that compute and wait a little, some longer than others.
fn block(index: u32) -> Block {
    let variants = (0..VARIANTS).filter_map(|at| VariantKey::new(&format!("V{at}"))).map(Contender::Variant);
    let contenders = variants.chain([Contender::Baseline, Contender::Shadow]);
    let slices = contenders.enumerate().flat_map(|(at, contender)| {
        let metric = MetricName::new("t").expect("a name");
        (0..SOURCES).filter_map(move |source| {
            let spread = (u64::from(index) * 37 + at as u64 * 11 + u64::from(source)) % 17;
            let cpu = Duration::from_micros(100_000 + 100 * spread);
            let delay = Duration::from_micros(10 * spread);
            let wall = cpu + delay + Duration::from_micros(200);
            let timing = Timing { wall, cpu: Some(cpu), delay: Some(delay), ..Timing::default() };
            let value = Quantity::new(wall.as_secs_f64(), Dimension::Time)?;
            Some(Slice {
                contender: contender.clone(),
                source: format!("time: {source}"),
                lane: None,
                readings: vec![Reading { metric: metric.clone(), value, observations: 1, account: None }],
                timing,
                // Half of the sources report their times.
                own: (source % 2 == 0).then(|| metric.clone()),
                output: None,
            })
        })
    });
    Block { index, slices: slices.collect() }
}
