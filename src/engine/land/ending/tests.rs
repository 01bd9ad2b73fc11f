//! Ends without a landing, over fakes: the document says how it ended, and nothing else changes.

use crate::domain::document::Document;
use crate::domain::plan::Status;
use crate::engine::fixtures::{DOCUMENT, RUN, World};
use crate::engine::pipeline;
use crate::error::ExitCode;

/// Variants that are both worse than what there is.
fn world() -> World {
    World::of(&[("A", "120"), ("B", "150")])
}

fn document(world: &World) -> Document {
    Document::parse(world.own(DOCUMENT).as_bytes()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_better_the_document_alone_is_committed_and_says_so() {
    let world = world();
    let before = world.tip();
    let conclusion = world.carry_out().await.unwrap();
    assert_eq!((conclusion.landed, conclusion.recorded), (None, Some(world.tip())));
    assert_eq!(world.git.parents(&world.tip()), [before]);
    let document = document(&world);
    assert_eq!((document.plan().status, document.run()), (Status::Failed, Some(RUN)));
    assert_eq!((world.own("cost.txt").as_str(), world.left()), ("90\n", Vec::new()));
    let facts = world.facts().await;
    assert!(facts.finished && facts.recorded.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_not_to_be_recorded_leaves_the_branch_as_it_is() {
    for (merge, record) in [(true, false), (false, true)] {
        let mut world = world();
        (world.settings.land.merge, world.settings.land.record) = (merge, record);
        let before = world.tip();
        let conclusion = world.carry_out().await.unwrap();
        assert_eq!((conclusion.recorded, world.tip()), (None, before));
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_can_not_be_written_yet_is_written_by_a_resume_and_measured_no_second_time() {
    let world = world();
    world.git.set_busy(Some("a rebase is not concluded"));
    let error = world.carry_out().await.unwrap_err();
    assert_eq!(error.kind, ExitCode::LandingBlocked, "{}", error.message);
    assert!(error.message.contains("a rebase is not concluded"), "{}", error.message);
    assert!(error.hints.iter().any(|hint| hint.contains(&format!("blueprint resume {RUN}"))), "{:?}", error.hints);
    world.git.set_busy(None);
    let blocks = world.facts().await.seen.blocks.len();
    let conclusion = pipeline::carry_out(&world.resume().await).await.unwrap();
    assert_eq!(conclusion.recorded, Some(world.tip()));
    assert_eq!(world.facts().await.seen.blocks.len(), blocks);
}
