//! Promises of files that no compiler reads, held against what they speak of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const MANIFEST: &str = include_str!("../Cargo.toml");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of the repository")
}

/// The keys of the manifest's tables of dependencies.
fn depended_upon() -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in MANIFEST.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]" || line == "[dev-dependencies]";
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| inside) {
            found.insert(name);
        }
    }
    assert!(found.len() > 20, "the manifest was not understood");
    found
}

#[test]
fn every_direct_dependency_has_its_reason_and_nothing_else_has() {
    let page = read("docs/dependencies.md");
    let section = page.split_once("\n## Dependencies\n").expect("the section").1;
    let section = section.split("\n## ").next().unwrap_or(section);
    let row = |line: &'static str| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name);
    let named: Vec<&str> = section.to_owned().leak().lines().filter_map(row).collect();
    let listed: BTreeSet<&str> = named.iter().copied().collect();
    assert_eq!(listed, depended_upon());
    assert_eq!(named.len(), listed.len(), "one is named twice");
}

#[test]
fn contributing_names_every_script_and_every_step_of_the_gate() {
    let page = read("CONTRIBUTING.md");
    let scripts = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")).expect("the scripts");
    for script in scripts.map(|entry| entry.expect("an entry")).filter(|entry| entry.path().is_file()) {
        let name = format!("scripts/{}", script.file_name().to_string_lossy());
        assert!(page.contains(&name), "CONTRIBUTING.md does not name {name}");
    }
    let gate = read(".ci/run");
    for step in gate.lines().filter_map(|line| line.strip_prefix("cargo ")?.split(' ').next()) {
        assert!(page.contains(&format!("cargo {step}")), "CONTRIBUTING.md does not name cargo {step}");
    }
}

#[test]
fn the_promised_rust_is_the_same_wherever_it_is_named() {
    let version = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("rust-version = \""));
        line.and_then(|rest| rest.strip_suffix('"')).expect("a rust-version").to_owned()
    };
    assert_eq!(version(&read("fuzz/Cargo.toml")), version(MANIFEST));
}
