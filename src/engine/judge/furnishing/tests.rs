//! Set-up in trees, over fakes.

use crate::adapters::executor::fake::Ran;
use crate::domain::trial::{Disqualification, Outcome};
use crate::engine::fixtures::World;

/// A world whose set-up fails in the trees of which this holds.
fn failing(of: impl Fn(&str) -> bool + Send + Sync + 'static) -> World {
    let mut world = World::of(&[("A", "20"), ("B", "60")]);
    world.settings.judge.setup = vec!["prepare".to_owned()];
    world.program("prepare", move |given| match of(&given.dir().to_string_lossy()) {
        true => Ran::badly(3, "no such module\n"),
        false => Ran::well("ready\n"),
    });
    world
}

#[tokio::test(start_paused = true)]
async fn set_up_that_fails_in_a_variants_tree_is_that_variants_and_says_how() {
    for place in ["/b_judge/", "/b/work"] {
        let world = failing(move |dir| dir.contains(place));
        let conclusion = world.carry_out().await.unwrap();
        let Some(Outcome::Disqualified { reason: Disqualification::SetupFailed { message } }) =
            world.outcome("B").await
        else {
            panic!("B is not out by {place}: {:?}", world.outcome("B").await)
        };
        assert!(message.contains("`prepare`") && message.contains("no such module"), "{message}");
        assert_eq!(conclusion.scoreboard.lands().map(ToString::to_string).as_deref(), Some("A"));
    }
}

#[tokio::test(start_paused = true)]
async fn set_up_that_fails_on_the_baseline_ends_the_run_before_any_agent_is_called() {
    let world = failing(|_| true);
    let error = world.carry_out().await.unwrap_err();
    assert!(error.message.starts_with("the baseline can't be judged: "), "{}", error.message);
    assert!(error.message.contains("no such module"), "{}", error.message);
    assert_eq!((world.calls(), world.left()), (Vec::new(), Vec::new()));
}
