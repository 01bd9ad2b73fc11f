//! Approval over a fake repository: only what was committed as approved runs.

use crate::adapters::fake::Disk;
use crate::adapters::git::fake::FakeGit;
use crate::adapters::git::{CommitId, Git as _};
use crate::domain::document::Document;
use crate::domain::plan::Status;
use crate::engine::before::approval::{Approval, Candidate, judge};
use crate::engine::fixtures::{DOCUMENT, ITEM, document};
use crate::error::{Error, ExitCode};

fn approved() -> String {
    document(&["A", "B"], ITEM)
}

fn with_status(text: &str, status: &str) -> String {
    text.replace("**Status**: approved", &format!("**Status**: {status}"))
}

/// As `approve` leaves it.
fn with_digest(text: &str) -> String {
    let document = Document::parse(text.as_bytes()).unwrap();
    String::from_utf8(document.with_approval(&document.digest())).unwrap()
}

fn repository(committed: Option<&str>) -> FakeGit {
    let git = FakeGit::with(&Disk::default(), "/repo", "main", &[("a.txt", "a\n")]);
    if let Some(text) = committed {
        git.commit_on("main", &[(DOCUMENT, Some(text))]);
    }
    git
}

async fn judged(git: &FakeGit, disk: &str, again: bool) -> Result<Approval, Error> {
    let (base, disk): (CommitId, _) = (git.tip("main").await.unwrap(), Document::parse(disk.as_bytes()).unwrap());
    judge(&Candidate { path: DOCUMENT, disk: &disk, base: &base, target: "main", again }, git).await
}

async fn refused(git: &FakeGit, disk: &str) -> String {
    let error = judged(git, disk, false).await.unwrap_err();
    assert_eq!(error.kind, ExitCode::Refused);
    error.message
}

#[tokio::test(start_paused = true)]
async fn a_document_runs_that_was_committed_as_approved_and_is_unchanged() {
    for text in [approved(), with_digest(&approved())] {
        assert_eq!(judged(&repository(Some(&text)), &text, false).await.unwrap(), Approval::Approved);
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_of_another_status_is_left_alone_and_not_even_looked_for() {
    for (name, status) in
        [("pending", Status::Pending), ("rejected", Status::Rejected), ("completed", Status::Completed)]
    {
        let text = with_status(&approved(), name);
        assert_eq!(judged(&repository(None), &text, false).await.unwrap(), Approval::NotNow(status));
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_is_not_committed_is_none() {
    let why = refused(&repository(None), &approved()).await;
    assert!(why.contains("is not on `main`"), "{why}");
    let why = refused(&repository(Some(&with_status(&approved(), "pending"))), &approved()).await;
    assert!(why.contains("is not committed on `main`"), "{why}");
    let why = refused(&repository(Some("# Nothing\n")), &approved()).await;
    assert!(why.contains("is not a valid blueprint"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_document_that_was_edited_after_its_approval_is_refused_with_the_lines() {
    for text in [approved(), with_digest(&approved())] {
        let why = refused(&repository(Some(&text)), &text.replace("Lower what", "Raise what")).await;
        assert!(why.contains("was: Lower what `cost.txt` says.") && why.contains("is: Raise what"), "{why}");
    }
    let edited = with_digest(&approved()).replace("Lower what", "Raise what");
    let why = refused(&repository(Some(&edited)), &edited).await;
    assert!(why.contains("was edited after it was approved"), "committing the edit approves nothing: {why}");
}

#[tokio::test(start_paused = true)]
async fn what_the_tool_itself_writes_into_a_document_is_no_edit() {
    let text = with_digest(&approved());
    let touched = text.replace("**Winner**: none yet", "**Winner**: somebody");
    assert_eq!(judged(&repository(Some(&text)), &touched, false).await.unwrap(), Approval::Approved);
}
