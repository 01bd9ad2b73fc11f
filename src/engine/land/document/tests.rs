//! Whether the document on the branch is still the one that is carried out, over fakes.

use crate::adapters::git::CommitId;
use crate::engine::fixtures::{DOCUMENT, RUN, World};

/// Makes another text of the document, or none.
type Change = fn(&str) -> Option<String>;

/// What is said of the document that the branch has after this change of its text, or of its removal.
async fn said(change: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let world = World::of(&[("A", "20"), ("B", "60")]);
    let competition = world.start().await;
    let text = change(&world.own(DOCUMENT));
    let tip = world.git.commit_on("main", &[("other.txt", Some("x\n")), (DOCUMENT, text.as_deref())]);
    competition.landing.standing_document(&tip).await.unwrap().map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_document_that_nobody_changed_is_the_one_that_is_carried_out() {
    assert_eq!(said(|text| Some(text.to_owned())).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_gone_or_broken_or_asks_for_something_else_is_not() {
    let cases: [(Change, &str); 4] = [
        (|_| None, "is not on `main` any more"),
        (|text| Some(text.replace("## Approach", "## Way")), "is no longer a valid blueprint"),
        (|text| Some(text.replace("<80ms", "<70ms")), "was edited on `main` during the run"),
        (|text| Some(text.replace("**Status**: approved", "**Status**: drafting")), "is drafting on `main` by now"),
    ];
    for (change, words) in cases {
        let why = said(change).await.unwrap_err();
        assert!(why.starts_with(DOCUMENT) && why.ends_with(words), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_tool_writes_into_a_document_is_no_edit_of_it() {
    let filled = |text: &str| Some(text.replace("**Updated**: 2026-01-05", "**Updated**: 2026-01-06"));
    assert_eq!(said(filled).await, Ok(()));
}

/// A world whose run ended without a landing, which the document says, and the commit that says it.
async fn failed() -> (World, CommitId) {
    let world = World::of(&[("A", "120"), ("B", "150")]);
    let conclusion = world.carry_out().await.unwrap();
    (world, conclusion.recorded.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_run_finds_the_end_that_it_recorded_itself_and_another_run_s_is_in_its_way() {
    let (world, tip) = failed().await;
    let competition = world.resume().await;
    assert!(competition.landing.standing_document(&tip).await.unwrap().is_ok());
    let other = world.own(DOCUMENT).replace(RUN, "20260105-110000-cafe");
    let tip = world.git.commit_on("main", &[(DOCUMENT, Some(other.as_str()))]);
    let why = competition.landing.standing_document(&tip).await.unwrap().map(drop).unwrap_err();
    assert!(why.ends_with("is failed on `main` by now"), "{why}");
}
