//! `noise`: this machine is recorded for a second, and decisions are made on the recording.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::Done;
use rustix::process::{Pid, Signal, kill_process};

fn program(dir: &tempfile::TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blueprint"));
    command.env_clear().current_dir(dir.path()).args(args);
    command
}

fn done(dir: &tempfile::TempDir, args: &[&str]) -> Done {
    Done::of(program(dir, args).output().unwrap())
}

fn left(dir: &tempfile::TempDir) -> Vec<PathBuf> {
    common::tree(dir.path()).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn a_second_is_recorded_outside_of_any_repository_and_replayed_twice_alike() {
    let dir = tempfile::tempdir().unwrap();
    let recorded = done(&dir, &["noise", "record", "a.noise", "--for", "1s", "--note", "a test\nof mine"]).ends_with(0);
    assert!(recorded.out.starts_with("wrote a.noise: ") && recorded.err == "recording for 1 s\n", "{recorded:?}");
    assert_eq!(left(&dir), [dir.path().join("a.noise")]);
    done(&dir, &["noise", "record", "a.noise", "--for", "1s"]).ends_with(2).says(&["already exists"]);
    let replay =
        ["noise", "replay", "a.noise", "--variants", "3", "--difference", "5%,50", "--decisions", "4", "--format"];
    let json = |seed| done(&dir, &[&replay[..], &["json", "--seed", seed]].concat()).ends_with(0).out;
    let read: serde_json::Value = serde_json::from_str(&json("7")).unwrap();
    assert_eq!((read["schema_version"].as_u64(), read["note"].as_str()), (Some(1), Some("a test of mine")));
    assert!(read["seconds"].as_f64().unwrap() >= 1.0 && read["noise"]["slow_down"]["p99"].as_f64().unwrap() >= 1.0);
    let contests = read["contests"].as_array().unwrap();
    let differences: Vec<_> = contests.iter().map(|c| c["difference"].as_f64().unwrap()).collect();
    assert_eq!(differences, [0.0, 0.0, 0.05, 0.05, 0.5, 0.5]);
    assert_eq!(json("7"), json("7"));
    let human = done(&dir, &[&replay[..], &["human"]].concat()).ends_with(0).says(&["shorter than a contest"]);
    assert!(human.out.contains("3 variants: 1, 1+d, 1+2d; 4 decisions a line"), "{}", human.out);
}

#[test]
fn a_recording_that_is_stopped_keeps_what_it_has() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        let mut command = program(&dir, &["noise", "record", "a.noise"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // What it says first it says when it listens.
        let mut said = [0; 9];
        std::io::Read::read_exact(child.stderr.as_mut().unwrap(), &mut said).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        kill_process(Pid::from_child(&child), signal).unwrap();
        let stopped = Done::of(child.wait_with_output().unwrap()).ends_with(0);
        assert!(stopped.out.starts_with("wrote a.noise: "), "{}", stopped.out);
        done(&dir, &["noise", "replay", "a.noise", "--decisions", "1"]).ends_with(0);
    }
}

#[test]
fn what_can_t_be_read_or_written_is_refused_before_anything_is_done() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("b.noise"), "blueprint-noise 1\nrecorded: yesterday\n").unwrap();
    done(&dir, &["noise", "replay", "b.noise"]).ends_with(2).says(&["b.noise is no trace", "line 2 has a `recorded`"]);
    done(&dir, &["noise", "replay", "c.noise"]).ends_with(2).says(&["can't be read", "blueprint noise record"]);
    done(&dir, &["noise", "record", "no/d.noise"]).ends_with(1).says(&["can't be written"]);
    for wrong in [&["--for", "0s"], &["--for", "2 pounds"]] {
        done(&dir, &[&["noise", "record", "e.noise"][..], wrong].concat()).ends_with(2).says(&["--for"]);
    }
    for wrong in [&["--difference", "0"], &["--variants", "1"], &["--decisions", "0"]] {
        done(&dir, &[&["noise", "replay", "b.noise"][..], wrong].concat()).ends_with(2).says(&[wrong[0]]);
    }
    assert_eq!(left(&dir), [dir.path().join("b.noise")]);
}
