//! The tie-breaker over fakes.

use std::sync::Arc;

use crate::adapters::metric::MetricError;
use crate::adapters::metric::fake::FakeSource;
use crate::adapters::process::Site;
use crate::domain::measurement::{MetricName, Reading, Timing};
use crate::domain::quantity::{Dimension, Quantity};
use crate::engine::fixtures::{World, cost, key, sample, source, variant};

/// Two variants that nothing tells apart, and what their trees count.
fn tied(count: impl Fn(&Site) -> Result<f64, MetricError> + Send + Sync + 'static) -> World {
    let mut world = World::of(&[("A", "20"), ("B", "20")]);
    let disk = world.disk.clone();
    world.measured_by(source(move |site, _| sample(cost(&disk, &site.tree))));
    let name = MetricName::new("instructions").unwrap();
    let counted = name.clone();
    let answer = move |site: &Site, _| {
        let value = Quantity::new(count(site)?, Dimension::Count).unwrap();
        let readings = vec![Reading { metric: counted.clone(), value, observations: 1, account: None }];
        Ok(crate::adapters::metric::Sample { readings, timing: Timing::default(), own: None, output: None })
    };
    world.ports.tie_breaker = Some(Arc::new(FakeSource::new("instructions", [(name, Dimension::Count)], answer)));
    world
}

fn is_of(site: &Site, slug: &str) -> bool {
    site.tree.to_string_lossy().contains(&format!("/{slug}_"))
}

#[tokio::test(start_paused = true)]
async fn of_variants_that_tie_the_one_that_executes_less_lands() {
    for fewer in ["a", "b"] {
        let world = tied(move |site| Ok(if is_of(site, fewer) { 1e6 } else { 2e6 }));
        let conclusion = world.carry_out().await.unwrap();
        let lands = conclusion.scoreboard.lands().cloned();
        assert_eq!(lands, Some(key(&fewer.to_uppercase())), "{:?}", conclusion.scoreboard.landing);
        let facts = world.facts().await;
        assert_eq!(facts.seen.tie_break.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_variant_that_can_not_be_counted_is_only_not_counted() {
    let world =
        tied(|site| if is_of(site, "a") { Err(MetricError::Machine("no counters".to_owned())) } else { Ok(1e6) });
    let conclusion = world.carry_out().await.unwrap();
    assert!(conclusion.scoreboard.lands().is_some());
    assert!(world.warnings().iter().any(|text| text == "the instructions of A were not counted: no counters"));
    assert_eq!(world.facts().await.seen.tie_break.keys().collect::<Vec<_>>(), [&variant("B")]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_counted_where_the_race_told_them_apart() {
    let mut world = tied(|_| panic!("it was counted"));
    let disk = world.disk.clone();
    world
        .measured_by(source(move |site, _| sample(cost(&disk, &site.tree) * if is_of(site, "b") { 1.5 } else { 1.0 })));
    world.carry_out().await.unwrap();
    assert!(world.facts().await.seen.tie_break.is_empty());
}
