//! Larger budgets for runs that ended, on facts alone.

use std::time::Duration;

use crate::domain::budget::Caps;
use crate::domain::quantity::Tokens;
use crate::engine::fixtures::World;

fn caps(session: Option<u64>, time: Option<Duration>) -> Caps {
    Caps { session: session.map(Tokens), step: None, time }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_whole_or_has_landed_can_not_be_gone_on_with() {
    let world = World::of(&[("A", "20"), ("B", "60")]);
    world.start().await;
    let refused = world.facts().await.may_be_raised(&caps(Some(1_000_000), None)).unwrap_err();
    assert!(refused.message.contains("no variant of it is unfinished"), "{}", refused.message);
    world.carry_out().await.unwrap();
    let refused = world.facts().await.may_be_raised(&caps(Some(1_000_000), None)).unwrap_err();
    assert!(refused.message.contains("it has landed as "), "{}", refused.message);
}
