//! What `init` and `new` tell: what was found in the repository, and what the weights of a new document mean.

use std::fmt::Write;

use super::words;
use crate::domain::detect::Found;
use crate::domain::document::Document;
use crate::domain::score::Trade;
use crate::domain::weights::Weights;

/// What was recognised in a repository, a line a folder, and why.
pub fn found(all: &[Found]) -> String {
    if all.is_empty() {
        return "found: no build tool and no test runner that is known; name the commands in blueprint.yaml: \
                `setup`, `suites`, `metrics`\n"
            .to_owned();
    }
    let mut out = String::new();
    for found in all {
        let place =
            if found.folder.is_empty() { String::new() } else { format!(" in {}", words::one_line(&found.folder)) };
        let _ = writeln!(out, "found{place}: {}", words::one_line(&found.told()));
        if found.tests.is_empty() && found.calls.is_none() {
            let _ = writeln!(out, "  no tests were found for it");
        }
        for note in &found.notes {
            let _ = writeln!(out, "  {}", words::one_line(note));
        }
    }
    out
}

/// What a new document could not be filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// There are no tests: the template's stand in it.
    pub tests: bool,
    /// There are no metrics: the template's stand in it.
    pub metrics: bool,
    /// There is no configuration.
    pub configuration: bool,
}

/// What somebody should know of a new document, from its text.
pub fn started(text: &str, missing: &Missing) -> String {
    let mut out = String::new();
    if missing.configuration {
        out.push_str("there is no blueprint.yaml yet, which binds tests and metrics: blueprint init\n");
    }
    if missing.tests {
        out.push_str("no tests were found: the line under Tests is an example\n");
    }
    if missing.metrics {
        out.push_str("blueprint.yaml has no metrics: the line under Metrics is an example\n");
    }
    if let Ok(document) = Document::parse(text.as_bytes()) {
        out.push_str(&weights(&document.plan().weights));
    }
    out
}

/// What the weights of a plan trade, in points of the Total.
fn weights(weights: &Weights) -> String {
    let trade = Trade::of(weights);
    format!(
        "with its weights (tests {} %, performance {} %, simplicity {} %) the highest total wins, and\n  \
         100 more lines of code cost {:.1} points\n  \
         a p95 at half of its bound gains {:.1} points over one at its bound\n  \
         1 failing test of 10 costs {:.1} points\n",
        weights.tests.percent,
        weights.performance.percent,
        weights.simplicity.percent,
        trade.hundred_lines,
        trade.half_the_bound,
        trade.one_test_of_ten
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::detect::Tool;

    #[test]
    fn what_was_found_is_told_with_the_file_that_gave_it_away() {
        let tool = |name, because: &str| Tool { name, because: because.to_owned() };
        let root =
            Found { tools: vec![tool("cargo", "Cargo.toml"), tool("criterion", "benches/x.rs")], ..Found::default() };
        let web = Found {
            folder: "web".to_owned(),
            tools: vec![tool("npm", "web/package.json")],
            notes: vec!["a note".to_owned()],
            ..Found::default()
        };
        insta::assert_snapshot!(found(&[root, web]), @"
        found: cargo (Cargo.toml), criterion (benches/x.rs)
          no tests were found for it
        found in web: npm (web/package.json)
          no tests were found for it
          a note
        ");
        assert!(found(&[]).starts_with("found: no build tool"));
    }

    #[test]
    fn a_new_document_says_what_its_weights_trade() {
        let nothing = Missing { tests: false, metrics: false, configuration: false };
        let text = crate::compose::starter::document(
            "A",
            "a",
            "2026-01-05 10:00:00 UTC",
            &[],
            &crate::config::Config::default(),
        );
        insta::assert_snapshot!(started(&text, &nothing), @"
        with its weights (tests 50 %, performance 30 %, simplicity 20 %) the highest total wins, and
          100 more lines of code cost 3.3 points
          a p95 at half of its bound gains 5.0 points over one at its bound
          1 failing test of 10 costs 5.0 points
        ");
        let all = Missing { tests: true, metrics: true, configuration: true };
        assert_eq!(started("", &all).lines().count(), 3);
    }
}
