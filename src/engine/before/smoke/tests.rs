//! The smoke test over fakes: what can measure nothing is told before any agent starts.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::adapters::metric::MetricError;
use crate::engine::fixtures::{World, metric, noisy, sample, source};
use crate::error::ExitCode;

fn world() -> World {
    World::of(&[("A", "20"), ("B", "60")])
}

#[tokio::test(start_paused = true)]
async fn a_metric_that_the_baseline_can_not_have_ends_the_run_before_any_agent_starts() {
    let mut world = world();
    world.measured_by(source(|_, _| Err(MetricError::Variant("exit status 127\nno such file".to_owned()))));
    let error = world.carry_out().await.unwrap_err();
    assert_eq!(error.kind, ExitCode::Machine);
    assert!(error.message.starts_with("latency_p95 can't be measured on the baseline: bench: exit status 127"));
    assert_eq!((world.calls(), world.left()), (Vec::new(), Vec::new()));
    assert!(world.facts().await.finished, "there is nothing to resume");
}

#[tokio::test(start_paused = true)]
async fn a_metric_that_the_baseline_need_not_have_puts_the_baseline_out_and_not_the_run() {
    let mut world = world();
    world.settings.measure.missing_on_base.insert(metric());
    let disk = world.disk.clone();
    world.measured_by(source(move |site, slot| match site.tree.to_string_lossy().contains("/baseline_") {
        true => Err(MetricError::Variant("no such benchmark".to_owned())),
        false => sample(noisy(&disk, site, slot)),
    }));
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!(world.own("cost.txt"), "20\n", "{:?}", conclusion.scoreboard.verdict);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_fails_once_is_asked_again_and_one_that_always_does_is_only_told() {
    for failures in [2, 3] {
        let mut world = world();
        let (disk, failed) = (world.disk.clone(), AtomicUsize::new(0));
        world.measured_by(source(move |site, slot| match failed.fetch_add(1, Ordering::SeqCst) < failures {
            true => Err(MetricError::Machine("the port is taken".to_owned())),
            false => sample(noisy(&disk, site, slot)),
        }));
        world.carry_out().await.unwrap();
        let told = world.warnings().iter().any(|text| text.contains("bench could not be tried on the baseline"));
        assert_eq!((told, world.own("cost.txt").as_str()), (failures == 3, "20\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_tried_is_not_tried_again_when_the_run_goes_on() {
    let world = world();
    let records = {
        let whole = self::world();
        whole.carry_out().await.unwrap();
        whole.kinds().await.iter().position(|kind| kind == "smoked").unwrap() + 1
    };
    assert!(world.stop_after(records).await);
    crate::engine::pipeline::carry_out(&world.resume().await).await.unwrap();
    assert_eq!(world.kinds().await.iter().filter(|kind| *kind == "smoked").count(), 1);
}
