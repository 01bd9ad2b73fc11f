//! What fails while there is no room, over a fake disk.

use std::sync::Arc;
use std::time::Duration;

use crate::adapters::fake::Disk;
use crate::adapters::process::Environment;
use crate::adapters::workspace::fake::FakeWorkspace;
use crate::domain::trial::{Disqualification, Outcome};
use crate::engine::fixtures::variant;
use crate::engine::room::{PAUSE, Room};
use crate::engine::state::Record;
use crate::error::{Error, ExitCode};

const FULL: &str = "No space left on device: the disk at /state has 0 B";

fn room(disk: &Disk) -> Arc<Room> {
    Arc::new(Room::new(Arc::new(FakeWorkspace::on(disk)), vec!["/state".into()], &Environment::new()))
}

fn ended(outcome: Outcome) -> Record {
    Record::Ended { contender: variant("A"), outcome }
}

fn out() -> Record {
    ended(Outcome::Disqualified { reason: Disqualification::NothingChanged })
}

#[test]
fn where_there_is_room_whoever_fails_has_failed() {
    room(&Disk::default()).check(&out(), || "exit status 1".to_owned()).unwrap();
}

#[test]
fn nobody_is_out_by_what_failed_while_there_was_none_and_what_did_not_fail_counts() {
    let disk = Disk::default();
    let room = room(&disk);
    disk.fill(Some(FULL));
    room.check(&ended(Outcome::Eligible { over_budget: false, unfinished: Vec::new() }), String::new).unwrap();
    let error = room.check(&out(), String::new).unwrap_err();
    assert_eq!(error.kind, ExitCode::Machine);
    assert_eq!(error.message, format!("{FULL}, so that nothing that failed meanwhile counts"));
    // Programs take away what they could not finish: once is enough.
    disk.fill(None);
    room.check(&out(), String::new).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_was_full_for_a_moment_was_seen_by_whoever_watches() {
    let disk = Disk::default();
    let (watched, other) = (room(&disk), room(&disk));
    let watching = watched.watch();
    tokio::time::sleep(PAUSE / 2).await;
    disk.fill(Some(FULL));
    tokio::time::sleep(PAUSE).await;
    disk.fill(None);
    drop(watching);
    watched.check(&out(), String::new).unwrap_err();
    other.check(&out(), String::new).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[test]
fn an_error_of_the_machine_is_explained_by_it_and_one_of_the_user_is_not() {
    let disk = Disk::default();
    let room = room(&disk);
    disk.fill(Some(FULL));
    let explained = room.explains(Error::machine("the journal can't be written"));
    assert!(explained.message.starts_with(FULL), "{}", explained.message);
    assert_eq!(room.explains(Error::usage("no such file")).message, "no such file");
    assert!(room.instead_of(&Error::machine("anything")).unwrap().message.starts_with(FULL));
}
