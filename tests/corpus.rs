//! Every input that fuzzing found, and some to start from, once through its target; and that targets, corpora and binaries are the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod targets;

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder of fuzz/");
    let name = |entry: fs::DirEntry| entry.path().file_stem().expect("a name").to_string_lossy().into_owned();
    entries.map(|entry| name(entry.expect("an entry"))).collect()
}

#[test]
fn every_target_has_a_corpus_and_a_binary_and_nothing_else_has() {
    let known: BTreeSet<String> = targets::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz/corpus"), known);
    assert_eq!(names("fuzz/fuzz_targets"), known);
    let manifest = include_str!("../fuzz/Cargo.toml");
    let listed = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""));
    assert_eq!(listed.map(str::to_owned).collect::<BTreeSet<_>>(), known);
}

#[test]
fn what_fuzzing_found_and_what_it_starts_from_passes_every_target() {
    for (name, target) in targets::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let inputs: Vec<_> =
            fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
        assert!(inputs.len() >= 5, "{name} has only {} inputs", inputs.len());
        for input in inputs {
            let bytes = fs::read(&input).expect("an input");
            // The name of the input stands in front of what a target says of it.
            println!("{}", input.display());
            target(&bytes);
        }
    }
}
