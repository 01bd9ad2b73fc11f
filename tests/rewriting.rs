//! Rewriting is lossless: over documents made of many styles, whatever is not a region of the
//! tool comes through byte for byte, and writing twice is writing once.

use blueprint::domain::document::{Document, Regions, ResultRow, changed_lines, same_outside_regions};
use blueprint::domain::plan::{Plan, Status, VariantKey};
use blueprint::domain::score::{Criteria, Points};
use proptest::prelude::*;

/// A document as it is made: its text, and the pieces of it that no rewriting may touch.
struct Made {
    text: String,
    kept: Vec<String>,
}

/// Choices drawn from random bytes; when they end, the first of everything is chosen.
struct Choices {
    bytes: std::vec::IntoIter<u8>,
    endings: &'static [&'static str],
    made: Made,
}

impl Choices {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.bytes.next().unwrap_or(0)) % from.len()]
    }

    fn ended(&mut self, text: &str) -> String {
        let mut out = String::new();
        for line in text.split_inclusive('\n') {
            out.push_str(line.trim_end_matches('\n'));
            if line.ends_with('\n') {
                let ending = self.pick(self.endings);
                out.push_str(ending);
            }
        }
        out
    }

    /// Adds text that must stay.
    fn keep(&mut self, text: &str) {
        let text = self.ended(text);
        self.made.text.push_str(&text);
        self.made.kept.push(text);
    }

    /// Adds text that the tool may write.
    fn region(&mut self, text: &str) {
        let text = self.ended(text);
        self.made.text.push_str(&text);
    }
}

/// Blocks that mean nothing, or look like something that they are not.
const NOISE: &[&str] = &[
    "",
    "Plain words.\n\n",
    "```markdown\n## Results\n**Status**: failed\n```\n\n",
    "<!--\n## Artifacts\n\n### Results\n-->\n\n",
    "> ## Budget\n> - Time cap: 0\n\n",
    "- item\n  ## Goal\n\n  more\n- ```\n  ## Weights\n  ```\n\n",
    "| a | b |\n|---|:-:|\n| âœ… \\| x | 勝者 |\n\n",
    "    indented\n    ### Results\n\n",
    "Setext\n------\n\n",
    "#### Deep\n\ntext with `code | pipes` and ✅ é 勝\n\n",
    "***\n\n",
    "tail without a blank line\n",
];

const RESULTS: &[&str] = &[
    "| Variant | Tests | Performance | Simplicity | Total | Winner |\n|---|---|---|---|---|---|\n| A | 1 | 2 | 3 | 4 | âœ… |\n| B | 1.0 | 2 | 3 | | |\n\n",
    "",
    "\n",
    "words\n\n",
    "Variant | Total | Winner\n--- | ---: | :-:\nA | 1 |\nB | 2 |\n\n",
    "Winner | Variant | Notes\n---|---|---\n | `A` | a \\| b\n✅ | Variant B | <b>\n\n",
    "|Total|Owner|variant|\n|-|-|-|\n\n",
    "  | Variant | Total |\n  | :-- | --: |\n  | Z | 5 |\n  | b | 1 |\n\n",
    "| Variant | Total |\n|---|---|\n| A | 1 |\n",
    "| a | b |\n|---|---|\n\n",
    "  ~~~\n  | Variant |\n  ~~~\n\n",
];

const WINNERS: &[&str] =
    &["**Winner**: Variant A (x)\n\n", "", "**Winner**:\n\n", "**winner:** B\ngoes on\n\n", "**Winner**:A\n"];

const ANALYSES: &[&str] = &[
    "**Analysis**:\n- one\n- two\n\n",
    "",
    "**Analysis**:\n",
    "**Analysis**: none yet\n\n",
    "**Analysis**:\n\n  * one\n    more\n\n  * two\n\n",
    "**Analysis**:\n1. one\n2. two\n\n",
    "**Analysis:** x\n**Winner**: y\n\n",
    "**Analysis**:\nbelow\n\n+ plus\n",
    "**Analysis**:\n- a\n  ```\n  open\n\n",
];

const ARTIFACTS: &[&str] = &[
    "- docs/a.md\n- Winning variant: B (old)\n\n",
    "",
    "\n",
    "text\n\n",
    "* a\n\n* b\n\n  more\n\nAfter.\n\n",
    "1. a\n2. Run r1: old\n",
    "text\n\n- a\n\nmore\n\n- b\n\n",
    "  - a\n\n    code\n\n",
];

fn header(choices: &mut Choices) {
    if choices.pick(&[false, true]) {
        choices.keep("\u{feff}");
    }
    let (open, close, name) = choices.pick(&[("**", "**: ", 0), ("**", ":** ", 1), ("", ": ", 2)]);
    let [id, status, mode, updated] = choices.pick(&[
        ["Blueprint ID", "Status", "Mode", "Updated"],
        ["blueprint id", "STATUS", "mode", "updated"],
        ["ID", "status", "MODE", "UPDATED"],
    ]);
    let tick = choices.pick(&["", "`"]);
    let tick = if name == 2 { if tick.is_empty() { "" } else { "\"" } } else { tick };
    let tail = choices.pick(&["  ", ""]);
    let title = |choices: &mut Choices| {
        let heading = choices.pick(&["# The title\n\n", "The `title`\n=====\n", "# The title #\n"]);
        choices.keep(heading);
    };
    if name == 2 {
        choices.keep("---\n");
    } else {
        title(choices);
    }
    let value = |choices: &mut Choices, field: &str, value: &str| {
        choices.region(&format!("{open}{field}{close}{tick}{value}{tick}{tail}\n"));
    };
    choices.keep(&format!("{open}{id}{close}x-1{tail}\n"));
    value(choices, status, "approved");
    choices.keep(&format!("{open}{mode}{close}competition{tail}\n"));
    if choices.pick(&[true, false]) {
        value(choices, updated, "2025-11-02 15:30:00 UTC");
    }
    if name == 2 {
        choices.keep("---\n");
        title(choices);
    } else {
        choices.keep("\n");
    }
}

fn noise(choices: &mut Choices) {
    let text = choices.pick(NOISE);
    choices.keep(text);
}

fn scoring(choices: &mut Choices) {
    choices.keep("\n## Competition scoring\n\n");
    let weights = "### Weights\n\n- Tests: 50%\n- Performance: 30%\n- Simplicity: 20%\n";
    let first = choices.pick(&[true, false]);
    if first {
        choices.keep(weights);
    }
    let blank = if choices.pick(&[true, false]) { "\n" } else { "" };
    choices.keep(&format!("\n### RESULTS\n{blank}"));
    let table = choices.pick(RESULTS);
    choices.region(table);
    let (winner, analysis) = (choices.pick(WINNERS), choices.pick(ANALYSES));
    let (one, two) = choices.pick(&[(winner, analysis), (analysis, winner)]);
    choices.region(one);
    choices.region(two);
    if !first {
        choices.keep("\n");
        choices.keep(weights);
    }
}

fn section(choices: &mut Choices, which: u8) {
    match which {
        0 => choices.keep(
            "\n## Approach\n\n### Variant A: Index & Cache\n\n- one\n\n### variant b – `View`\n\n* two\n  * deep\n",
        ),
        1 => choices.keep("\n## Work Items\n\n### Do it (Variants A and b)\n\n**Files**: `src/{a,b}.rs`, db/**\n**Diff contract**: new file (variant-specific)\n"),
        2 => choices.keep("\n## Evaluation criteria\n\n**Tests**:\n- cargo test\n\n**Metrics**:\n- p95: <100ms\n"),
        3 => scoring(choices),
        4 => {
            let heading = choices.pick(&["\n## Artifacts\n", "\n## artifacts ##\n\n", "\nArtifacts\n---\n"]);
            choices.keep(heading);
            let list = choices.pick(ARTIFACTS);
            choices.region(list);
        }
        _ => choices.keep("\n## Budget\n\n- Time cap: 60 minutes\n- Max tokens per step: 15,000 (per variant)\n"),
    }
}

fn make(bytes: Vec<u8>) -> Made {
    let made = Made { text: String::new(), kept: Vec::new() };
    let mut choices = Choices { bytes: bytes.into_iter(), endings: &["\n"], made };
    choices.endings = choices.pick(&[&["\n"] as &'static [_], &["\r\n"], &["\n", "\r\n"]]);
    header(&mut choices);
    noise(&mut choices);
    let mut order = vec![0, 1, 2, 3, 4, 5];
    while !order.is_empty() {
        let places: Vec<usize> = (0..order.len()).collect();
        let at = choices.pick(&places);
        section(&mut choices, order.remove(at));
        if choices.pick(&[true, false]) {
            choices.keep("\n## Something else\n");
            noise(&mut choices);
            noise(&mut choices);
        }
    }
    let mut made = choices.made;
    // Not every document ends with a line ending.
    if made.text.len().is_multiple_of(2) {
        let end = made.text.trim_end().len();
        made.text.truncate(end);
        if let Some(last) = made.kept.last_mut() {
            let end = last.trim_end().len();
            last.truncate(end);
        }
    }
    made
}

fn regions() -> impl Strategy<Value = Regions> {
    let line = "[ -~✅勝\n\r\t–]{0,40}";
    let points = || (0.0..100.0f64).prop_map(|p| Points::new(p).expect("finite"));
    let criteria = (points(), points(), points());
    let criteria = criteria.prop_map(|(tests, performance, simplicity)| Criteria { tests, performance, simplicity });
    let row = (prop::sample::select(vec!["A", "b", "c-3"]), prop::option::of((criteria, points())), any::<bool>());
    let row = row.prop_map(|(key, scores, winner)| ResultRow {
        variant: VariantKey::new(key).expect("a key"),
        criteria: scores.map(|s| s.0),
        total: scores.map(|s| s.1),
        winner,
    });
    let rows = prop::collection::btree_map("[abc]", row, 0..4).prop_map(|rows| {
        let mut seen = std::collections::BTreeSet::new();
        rows.into_values().filter(|row| seen.insert(row.variant.clone())).collect::<Vec<_>>()
    });
    let lines = || prop::collection::vec(line, 0..4);
    let artifacts = prop::collection::btree_map("[a-c]", line, 0..3)
        .prop_map(|lines| lines.into_iter().map(|(label, line)| format!("Run {label}: {line}")).collect::<Vec<_>>());
    (
        prop::option::of(rows),
        prop::option::of(line),
        prop::option::of(lines()),
        any::<bool>(),
        prop::option::of(artifacts),
    )
        .prop_map(|(results, winner, analysis, header, artifacts)| Regions {
            results,
            winner,
            analysis,
            status: header.then_some(Status::Completed),
            updated: header.then(|| "2026-01-05 10:00:00 UTC".to_owned()),
            artifacts,
        })
}

fn parsed(bytes: &[u8]) -> Result<Document, TestCaseError> {
    Document::parse(bytes).map_err(|found| {
        TestCaseError::fail(format!("{:?}\n{}", found, String::from_utf8_lossy(bytes).replace('\r', "␍")))
    })
}

/// The pieces stand in the text, in this order.
fn holds(text: &str, pieces: &[String]) -> Option<String> {
    let mut at = 0;
    for piece in pieces {
        match text[at..].find(piece.trim()) {
            Some(next) => at += next + piece.trim().len(),
            None => return Some(piece.clone()),
        }
    }
    None
}

/// A document whose scoring section ends like this.
fn scored(end: &str) -> String {
    format!(
        "# T\n\n**Blueprint ID**: x-1\n**Status**: approved\n\n## Approach\n\n### Variant A: one\n\n### Variant B: two\n\n\
         ## Competition Scoring\n\n### Weights\n\n- Tests: 50%\n- Performance: 30%\n- Simplicity: 20%\n{end}"
    )
}

#[test]
fn winner_and_analysis_are_added_below_the_results_where_there_are_none() {
    let row =
        |key: &str| ResultRow { variant: VariantKey::new(key).unwrap(), criteria: None, total: None, winner: false };
    let regions = Regions {
        results: Some(vec![row("A"), row("B")]),
        winner: Some("Variant A".to_owned()),
        analysis: Some(vec!["why".to_owned()]),
        ..Regions::default()
    };
    let table = "| Variant | Total |\n|---|---|\n| A | |";
    for end in [
        "\n### Results\n".to_owned(),
        "\n### Results".to_owned(),
        format!("\n### Results\n\n{table}\n"),
        format!("\n### Results\n\n{table}\n\n- kept: 1\n"),
        format!("\n### Results\n\n{table}\n**Winner**: B\n"),
        format!("\n### Results\n\n{table}\n\n**Analysis**: none yet\n\n## Notes\n\n1. x\n"),
        format!("\n{table}\n\n## Notes\n"),
        format!("\n{table}"),
    ] {
        let text = scored(&end);
        let document = Document::parse(text.as_bytes()).unwrap();
        let written = String::from_utf8(document.rewrite(&regions)).unwrap();
        assert!(written.contains("\n**Winner**: Variant A") && written.contains("\n**Analysis**:\n- why"), "{written}");
        let again = Document::parse(written.as_bytes()).unwrap();
        assert_eq!(again.digest(), document.digest(), "{text}\n=====\n{written}");
        assert_eq!(String::from_utf8(again.rewrite(&regions)).unwrap(), written, "{text}");
        assert_eq!(again.plan(), document.plan());
        assert!(!end.contains("- kept") || written.contains("\n- kept: 1\n"), "{written}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rewriting_touches_nothing_but_its_regions(
        bytes in prop::collection::vec(any::<u8>(), 0..160),
        regions in regions(),
    ) {
        let made = make(bytes);
        let document = parsed(made.text.as_bytes())?;
        let visible = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\r', "␍");
        prop_assert_eq!(visible(&document.rewrite(&Regions::default())), visible(made.text.as_bytes()));

        let written = document.rewrite(&regions);
        let text = String::from_utf8(written.clone()).unwrap();
        prop_assert_eq!(holds(&text, &made.kept), None, "{}\n=====\n{}", made.text, text);
        let again = parsed(&written)?;
        let status = regions.status.unwrap_or(document.plan().status);
        prop_assert_eq!(again.plan(), &Plan { status, ..document.plan().clone() });
        prop_assert_eq!(again.digest(), document.digest(), "{}\n=====\n{}", made.text, text);
        prop_assert!(same_outside_regions(&document, &again));
        prop_assert_eq!(changed_lines(&document, &again), vec![]);
        prop_assert_eq!(visible(&again.rewrite(&regions)), visible(&written));
    }

    #[test]
    fn approving_adds_one_line_and_changes_no_other_byte(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        let document = parsed(make(bytes).text.as_bytes())?;
        let digest = document.digest();
        let written = String::from_utf8(document.with_approval(&digest)).unwrap();
        let approved = parsed(written.as_bytes())?;
        prop_assert_eq!(approved.plan().approved.as_deref(), Some(digest.as_str()));
        prop_assert_eq!(approved.digest(), digest.as_str());
        let lines: Vec<_> = written.split_inclusive('\n').filter(|line| !line.contains(&digest)).collect();
        let rest = lines.concat();
        prop_assert_eq!(rest.as_bytes(), document.source());
        let other = "0".repeat(64);
        prop_assert_eq!(String::from_utf8(approved.with_approval(&other)).unwrap(), written.replace(&digest, &other));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(\\*\\*[A-Za-z ]{1,8}\\*\\*: |\\| |# |## |### |- |`{3}|---|\n|\r\n|\r|\t| |[a-zA-Z0-9:()%<>=,.]{1,6}|✅|âœ…|Approach|Budget|Results|Variant A: ){0,60}") {
        if let Ok(document) = Document::parse(text.as_bytes()) {
            prop_assert_eq!(document.rewrite(&Regions::default()), text.as_bytes());
        }
    }

    #[test]
    fn no_damaged_seed_makes_the_parser_panic(cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, "[|*#`\\-: \n\r✅%]{0,4}"), 1..6)) {
        let mut text = include_str!("fixtures/documents/seed.md").to_owned();
        for (at, length, new) in cuts {
            let (start, end) = (text.floor_char_boundary(at.index(text.len() + 1)), length);
            let end = text.floor_char_boundary((start + end).min(text.len()));
            text.replace_range(start..end.max(start), &new);
        }
        if let Ok(document) = Document::parse(text.as_bytes()) {
            let rewritten = document.rewrite(&Regions { results: Some(vec![]), winner: Some("x".into()), analysis: Some(vec!["y".into()]), ..Regions::default() });
            prop_assert!(Document::parse(&rewritten).is_ok());
        }
    }
}
