//! Rates that a machine holds, over fakes.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::adapters::metric::{Held, MetricSource};
use crate::engine::fixtures::{World, noisy, sample, source};
use crate::engine::pipeline;

fn n(rate: u32) -> NonZeroU32 {
    NonZeroU32::new(rate).unwrap()
}

/// A world whose source asks at 100/s, of which the machine holds this.
fn holding(rate: u32, late: f64, on_time: bool) -> (World, Arc<dyn MetricSource>) {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    let disk = world.disk.clone();
    let slices = source(move |site, slot| sample(noisy(&disk, site, slot)));
    let source: Arc<dyn MetricSource> = Arc::new(slices.asking(n(100), Held { rate: n(rate), late, on_time }));
    world.ports.sources = vec![Arc::clone(&source)];
    (world, source)
}

#[tokio::test(start_paused = true)]
async fn everybody_is_asked_at_the_rate_that_the_machine_holds_and_a_lower_one_is_told() {
    let (world, source) = holding(40, 0.1, true);
    world.carry_out().await.unwrap();
    assert_eq!(source.rate(), Some(n(40)));
    assert!(world.warnings().iter().any(|text| text.starts_with("100/s was asked, this machine holds about 40/s")));
    assert_eq!(world.facts().await.seen.rates["bench"].held, n(40));
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_is_held_is_not_talked_about() {
    let (world, source) = holding(100, 0.0, true);
    world.carry_out().await.unwrap();
    assert_eq!(source.rate(), Some(n(100)));
    assert!(!world.warnings().iter().any(|text| text.contains("/s was asked")), "{:?}", world.warnings());
}

#[tokio::test(start_paused = true)]
async fn a_resumed_run_asks_at_the_rate_that_it_began_with() {
    for records in 10.. {
        let (world, source) = holding(40, 0.1, true);
        assert!(world.stop_after(records).await, "it never stopped while it measured");
        if world.facts().await.seen.blocks.is_empty() {
            continue;
        }
        source.fix_rate(n(100));
        pipeline::carry_out(&world.resume().await).await.unwrap();
        assert_eq!(source.rate(), Some(n(40)));
        return;
    }
}
