//! Documents as people write them: the seed, its variations, and everything that can be wrong.

use std::collections::{BTreeMap, BTreeSet};

use blueprint::domain::diagnostic::{Code, Diagnostic};
use blueprint::domain::document::{Bindings, Document, Regions, changed_lines, same_outside_regions};
use blueprint::domain::ending::Circumstances;
use blueprint::domain::landing::{Because, Landing, Withheld};
use blueprint::domain::measurement::{Contender, MetricName};
use blueprint::domain::plan::{Plan, Status, VariantKey};
use blueprint::domain::quantity::Quantity;
use blueprint::domain::results::Ended;
use blueprint::domain::score::{Criteria, Points};
use blueprint::domain::scoreboard::Scoreboard;
use blueprint::domain::trial::{ChangeSize, Disqualification, Outcome};
use blueprint::domain::verdict::{NoWinner, Row, Support, Verdict};

const SEED: &str = include_str!("fixtures/documents/seed.md");

/// Codes with the text that they are about.
fn about<'a>(source: &'a str, found: &[Diagnostic]) -> Vec<(Code, &'a str)> {
    found.iter().map(|f| (f.code, &source[f.span.clone()])).collect()
}

/// What there is to say of a seed without a fault.
const PROSE: (Code, &str) = (Code::ProseNote, "Simplicity: 20% (LOC, maintenance complexity)");

#[test]
fn the_seed_has_exactly_its_own_faults() {
    let seed = Document::parse(SEED.as_bytes()).unwrap();
    let expected =
        [PROSE, (Code::Total, "95.6"), (Code::DoubleEncoded, "âœ…"), (Code::Total, "92.2"), (Code::Total, "92.6")];
    assert_eq!(about(SEED, seed.warnings()), expected);
    assert_eq!(seed.warnings()[1].message, "the Total of A is 95.6, and the weighted sum is 96.96");
    let metrics: BTreeMap<_, _> = seed.plan().metrics.iter().map(|m| (m.name.clone(), None)).collect();
    let open = Bindings { suites: BTreeSet::new(), load_bound: false, metrics };
    assert_eq!(about(SEED, &seed.bind(&open)), [(Code::Unbound, "Load test with 1000 concurrent requests")]);
    assert_eq!(seed.bind(&Bindings { load_bound: true, ..open }), []);
}

#[test]
fn the_seed_reads_as_it_is_meant() {
    let seed = Document::parse(SEED.as_bytes()).unwrap();
    insta::assert_json_snapshot!(seed.plan());
}

fn points(value: f64) -> Points {
    Points::new(value).expect("finite")
}

fn row(contender: &str, criteria: [f64; 3], total: f64, p95: f64) -> Row {
    let [tests, performance, simplicity] = criteria.map(points);
    let value = Quantity::in_unit(p95, "ms").expect("a time");
    Row {
        contender: Contender::try_from(contender.to_owned()).expect("a key"),
        outcome: Outcome::Eligible { over_budget: false, unfinished: Vec::new() },
        criteria: Some(Criteria { tests, performance, simplicity }),
        total: Some(points(total)),
        metrics: BTreeMap::from([(MetricName::new("query_latency_p95").expect("a name"), value)]),
        open: Vec::new(),
        better: None,
        instructions: None,
    }
}

/// A run of the seed in which A wins and C fails two tests, one of them with a hostile name.
fn scoreboard() -> Scoreboard {
    let tests = ["tests/performance/test_user_query.py::test_query_speed[<1000|all>]", "z"].map(str::to_owned).to_vec();
    let out = Row {
        outcome: Outcome::Disqualified { reason: Disqualification::TestsFailed { tests, detail: None } },
        criteria: None,
        total: None,
        metrics: BTreeMap::new(),
        ..row("C", [0.0; 3], 0.0, 1.0)
    };
    let rival = Contender::try_from("B".to_owned()).expect("a key");
    let support = Support { rival, difference: 2.2, half_width: Some(0.3), e_value: 212.4, blocks: 31 };
    Scoreboard {
        rows: vec![
            row("A", [100.0, 68.5, 91.7], 88.89, 46.0),
            row("B", [100.0, 66.2, 84.0], 86.66, 51.0),
            out,
            row("@baseline", [100.0, 11.1, 100.0], 73.33 - 2.23, 800.0),
        ],
        verdict: Verdict::Winner { key: VariantKey::new("A").expect("a key"), support: Some(support) },
        blocks: 31,
        measured: 32,
        landing: Some(Landing::Lands { key: VariantKey::new("A").expect("a key"), because: Because::Best }),
        outlook: None,
        fresh: Vec::new(),
    }
}

#[test]
fn a_landed_seed_is_what_somebody_would_have_written_by_hand() {
    let seed = Document::parse(SEED.as_bytes()).unwrap();
    let (board, sizes) = (scoreboard(), BTreeMap::new());
    let ended =
        Ended { plan: seed.plan(), board: &board, sizes: &sizes, run: "20251102-160000-beef", at: 1_762_101_600 };
    let regions = ended.landed();
    let landed = String::from_utf8(seed.rewrite(&regions)).unwrap();
    assert_eq!(landed, include_str!("fixtures/documents/seed-landed.md"));
    let again = Document::parse(landed.as_bytes()).unwrap();
    assert_eq!(again.digest(), seed.digest());
    assert_eq!(about(&landed, again.warnings()), [PROSE]);
    assert_eq!(again.plan(), &Plan { status: Status::Completed, ..seed.plan().clone() });
    assert_eq!(again.rewrite(&regions), landed.as_bytes());
}

#[test]
fn a_seed_of_which_nothing_landed_tells_why_what_to_do_next_and_which_run_it_was() {
    let seed = Document::parse(SEED.as_bytes()).unwrap();
    let (verdict, why) = (Verdict::NoWinner { reason: NoWinner::BaselineBetter }, Withheld::NoWinner);
    let board = Scoreboard { verdict, landing: Some(Landing::Nothing { why }), ..scoreboard() };
    let size = ChangeSize { added: 124, nesting_surplus: 1.0, ..ChangeSize::default() };
    let sizes = BTreeMap::from([(VariantKey::new("B").unwrap(), size)]);
    let run = "20251102-160000-beef";
    let ended = Ended { plan: seed.plan(), board: &board, sizes: &sizes, run, at: 1_762_101_600 };
    let regions = ended.failed(&Circumstances::default());
    let failed = String::from_utf8(seed.rewrite(&regions)).unwrap();
    assert_eq!(failed, include_str!("fixtures/documents/seed-failed.md"));
    let again = Document::parse(failed.as_bytes()).unwrap();
    assert_eq!((again.digest(), again.run()), (seed.digest(), Some(run)));
    // Its note of Simplicity is prose, as it was before.
    assert!(
        again.warnings().iter().all(|found| found.severity() == blueprint::domain::diagnostic::Severity::Note),
        "{:?}",
        again.warnings()
    );
    assert_eq!(again.plan(), &Plan { status: Status::Failed, ..seed.plan().clone() });
    assert_eq!(again.rewrite(&regions), failed.as_bytes());
    assert_eq!(seed.run(), None);
}

#[test]
fn a_place_for_results_is_not_added_where_it_would_be_part_of_a_code_block() {
    let text = "# A\n\n## Competition Scoring\n\n### Weights\n\n- Tests: 50%\n";
    let fix = |text: &str| {
        let found = Document::parse(text.as_bytes()).unwrap_err();
        found.into_iter().find(|finding| finding.code == Code::NoResults).expect("no place for results").fix
    };
    assert!(fix(text).is_some());
    for open in ["```\n\n## Artifacts\n", "<!--\n\n## Artifacts\n"] {
        assert_eq!(fix(&format!("{text}{open}")), None, "{open}");
    }
}

#[test]
fn an_analysis_that_is_added_below_a_table_without_a_heading_leaves_all_else_as_it_was() {
    let (head, tail) = SEED.split_once("**Winner**").unwrap();
    let tail = tail.split_once("## Budget").unwrap().1;
    let regions = Regions {
        winner: Some("none".to_owned()),
        analysis: Some(vec!["all is well".to_owned()]),
        ..Regions::default()
    };
    for (below, is_list) in
        [("**Winner**: A", false), ("- a note\n- another", true), ("1. a note", true), ("2026", false)]
    {
        let text = format!("{head}{below}\n\n## Budget{tail}").replace("### Results", "### Outcome");
        let document = Document::parse(text.as_bytes()).unwrap();
        let written = document.rewrite(&regions);
        let again = Document::parse(&written).unwrap();
        let text = String::from_utf8(written).unwrap();
        assert!(same_outside_regions(&document, &again), "{text}");
        assert_eq!(document.digest(), again.digest());
        assert_eq!(again.rewrite(&regions), text.as_bytes());
        assert_eq!(text.contains("<!-- -->"), is_list, "{text}");
    }
}

#[test]
fn an_unsupported_leader_is_named_as_such() {
    let seed = Document::parse(SEED.as_bytes()).unwrap();
    let key = VariantKey::new("B").unwrap();
    let verdict = Verdict::Undecided { leader: Some(key.clone()), support: None, smallest_seen: None };
    let landing = Some(Landing::Lands { key, because: Because::Leads });
    let (board, sizes) = (Scoreboard { verdict, landing, ..scoreboard() }, BTreeMap::new());
    let regions = Ended { plan: seed.plan(), board: &board, sizes: &sizes, run: "r", at: 0 }.landed();
    let landed = String::from_utf8(seed.rewrite(&regions)).unwrap();
    assert!(
        landed.contains("\n**Winner**: Variant B (Materialized View + Caching) – not supported by the measurements\n")
    );
    assert!(landed.contains("| A       | 100.0 | 68.5        | 91.7       | 88.9  |        |"));
}

fn plan_of(text: &str) -> Plan {
    Document::parse(text.as_bytes()).unwrap_or_else(|found| panic!("{found:#?}")).plan().clone()
}

#[test]
fn byte_order_mark_line_endings_and_front_matter_change_nothing_of_the_plan() {
    let plan = plan_of(SEED);
    assert_eq!(plan_of(&format!("\u{feff}{}", SEED.replace('\n', "\r\n"))), plan);
    let start = SEED.find("**Blueprint ID**").unwrap();
    let end = SEED.find("## Goal").unwrap();
    let yaml = "---\nBlueprint_ID: '2025-11-02T14:00:00Z_optimize-db-query'\nstatus: APPROVED # by two\nMODE: competition\ntags: [a]\n---\n";
    assert_eq!(plan_of(&format!("{yaml}{}{}", &SEED[..start], &SEED[end..])), plan);
    assert_eq!(plan_of(&SEED.replace("**: ", ":** ")), plan);
}

#[test]
fn weights_may_be_shares_of_one() {
    let shares =
        SEED.replace(": 50% (", ": 0.5 (").replace(": 30% (p95", ": 0.3 (p95").replace(": 20% (LOC", ": .20 (LOC");
    assert_eq!(plan_of(&shares), plan_of(SEED));
    let plain = SEED.replace(": 50% (", ": 50 (").replace(": 30% (p95", ": 30 (p95").replace(": 20% (LOC", ": 20 (LOC");
    assert_eq!(plan_of(&plain), plan_of(SEED));
}

#[test]
fn sections_may_stand_in_any_order_and_case_among_unknown_ones() {
    let sections: Vec<&str> = SEED.split("\n## ").collect();
    let mut turned = sections[0].to_owned();
    for section in sections[1..].iter().rev() {
        let (name, body) = section.split_once('\n').unwrap();
        turned.push_str(&format!(
            "\n## Notes\n\n**Status**: failed\n- Time cap: 0\n\n## {}\n{body}",
            name.to_uppercase()
        ));
    }
    assert_eq!(plan_of(&turned), plan_of(SEED));
}

#[test]
fn what_stands_in_code_comments_and_quotes_is_no_structure() {
    let noise = "```md\n## Budget\n- Time cap: 0\n```\n\n<!--\n## Budget\n-->\n\n> **Status**: failed\n\n";
    let text = SEED
        .replace("## Goal\n", &format!("{noise}## Goal\n"))
        .replace("## Risks", &format!("## Else\n\n{noise}## Risks"));
    assert_eq!(plan_of(&text), plan_of(SEED));
}

#[test]
fn a_single_document_needs_no_variant_headings() {
    let start = SEED.find("### Variant A").unwrap();
    let end = SEED.find("## Work Items").unwrap();
    let text = format!("{}{}", &SEED[..start], &SEED[end..])
        .replace("Mode**: competition", "Mode**: single")
        .replace(" (Variants B & C)", "");
    let plan = plan_of(&text);
    assert_eq!(plan.variants.len(), 1);
    assert_eq!((plan.variants[0].key.as_str(), plan.variants[0].name.as_str()), ("A", plan.title.as_str()));
}

#[test]
fn a_work_item_is_restricted_as_its_title_says() {
    for (written, keys) in [
        ("(Variant A)", &["A"][..]),
        ("(variants a, b and C)", &["A", "B", "C"]),
        ("(Variants B & C)", &["B", "C"]),
        ("(Variants B/C)", &["B", "C"]),
    ] {
        let plan = plan_of(&SEED.replace("(Variants B & C)", written));
        let found: Vec<_> =
            plan.variants.iter().filter(|v| plan.work_items[1].applies_to(&v.key)).map(|v| v.key.as_str()).collect();
        assert_eq!(found, keys, "{written}");
        assert_eq!(plan.work_items[1].title, "Caching Layer");
    }
    let plan = plan_of(&SEED.replace("(Variants B & C)", "(new)"));
    assert_eq!(plan.work_items[1].title, "Caching Layer (new)");
}

#[test]
fn files_and_tests_may_be_a_list_and_in_backticks_and_the_rest_is_kept_as_text() {
    let text = SEED.replace(
        "**Files**: cache/user_cache.py\n",
        "Keep it small.\n\n**Files**:\n- `cache/{a,b}.py`\n- cache/**, docs/*.md\n\n**Owner**: the cache team\n",
    );
    let item = &plan_of(&text).work_items[1];
    let files: Vec<_> = item.files.iter().map(|f| f.as_str()).collect();
    assert_eq!(files, ["cache/{a,b}.py", "cache/**", "docs/*.md"]);
    assert_eq!(item.text, "Keep it small.\n**Owner**: the cache team");
}

#[test]
fn the_digest_sees_every_change_outside_the_regions_and_none_inside() {
    let digest = |text: &str| Document::parse(text.as_bytes()).unwrap().digest();
    let seed = digest(SEED);
    for (from, to) in [
        ("approved", "completed"),
        ("15:30:00", "16:30:00"),
        ("| 95.2 |", "| 5.2 |"),
        ("Best balance", "Bad"),
        ("- Performance benchmark", "- Other"),
    ] {
        assert_eq!(digest(&SEED.replacen(from, to, 1)), seed, "{from}");
    }
    for (from, to) in
        [("800ms", "900ms"), ("50%", "50.0%"), ("15000", "16000"), ("git revert", "git  revert"), ("Title", "title")]
    {
        let text = SEED.replacen(from, to, 1);
        assert_eq!(digest(&text) == seed, text == SEED, "{from}");
    }
}

#[test]
fn changed_lines_are_told_with_their_numbers() {
    let edited = SEED
        .replace("- Redis available for caching\n", "")
        .replace("## Goal\n", "## Goal\n\nNew words.\n")
        .replace("<50ms", "<60ms")
        .replace("95.2", "1.2");
    let parse = |text: &str| Document::parse(text.as_bytes()).unwrap();
    let line = |n: usize, old: &str, new: &str| (n, old.to_owned(), new.to_owned());
    let expected = [
        line(11, "", "New words."),
        line(12, "", ""),
        line(19, "- Redis available for caching", ""),
        line(82, "- query_latency_p50: <50ms", "- query_latency_p50: <60ms"),
    ];
    assert_eq!(changed_lines(&parse(SEED), &parse(&edited)), expected);
}

#[test]
fn approval_is_written_below_the_status_in_the_headers_own_spelling() {
    let digest = "ab".repeat(32);
    let approve =
        |text: &str| String::from_utf8(Document::parse(text.as_bytes()).unwrap().with_approval(&digest)).unwrap();
    let drafting = SEED.replace("approved  ", "drafting  ");
    assert_eq!(approve(&drafting), SEED.replace("approved  \n", &format!("approved  \n**Approved**: {digest}  \n")));
    assert_eq!(approve(&approve(&drafting)), approve(&drafting));
    let yaml = "---\r\nstatus: \"pending\" # later\r\n---\r\n";
    let text = format!("{yaml}{}", SEED.replace("**Status**: approved  \n", ""));
    let expected = format!("---\r\nstatus: \"approved\" # later\r\napproved: \"{digest}\"\r\n---\r\n");
    assert!(approve(&text).starts_with(&expected), "{}", &approve(&text)[..200]);
}

#[test]
fn the_template_is_a_valid_document_without_findings() {
    let config = blueprint::config::Config::default();
    let (id, now) = ("2026-01-05_make-it-fast", "2026-01-05 10:00:00 UTC");
    let text = blueprint::compose::starter::document("Make it fast", id, now, &[], &config);
    assert!(!text.contains("{{"), "{text}");
    let document = Document::parse(text.as_bytes()).unwrap();
    assert_eq!(document.warnings(), []);
    assert_eq!((document.plan().status, document.plan().variants.len()), (Status::Drafting, 2));
}

#[test]
fn sample_documents_are_valid_without_findings_and_their_metrics_have_sources() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("blueprints");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let yaml = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let config = blueprint::config::Config::parse(yaml, std::path::Path::new("blueprint.yaml")).unwrap();
    let mut samples = 0;
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name == "README.md" {
            continue;
        }
        assert!(readme.contains(&format!("({name})")), "{name} is not in the list");
        let document = Document::parse(&std::fs::read(entry.path()).unwrap()).unwrap();
        assert_eq!(document.warnings(), [], "{name}");
        for metric in &document.plan().metrics {
            assert!(config.metrics.contains_key(&metric.name), "{name}: {}", metric.name);
        }
        samples += 1;
    }
    assert_eq!(samples, 3);
}

#[test]
fn no_line_of_tests_is_passed_over_whatever_stands_between_them() {
    let text = SEED.replace(
        "**Tests**:\n- pytest tests/performance/ -v --benchmark\n",
        "**Tests**:\n- pytest tests/performance/\n  -v\n  - takes a while\n\nAnd after that:\n\n1. `make sure`\n\n```\n- none\n```\n\n**Tests**: cargo test\n- cargo bench\n",
    );
    let tests: Vec<_> = plan_of(&text).tests.iter().map(|t| t.text().to_owned()).collect();
    let expected = [
        "pytest tests/performance/ -v",
        "make sure",
        "cargo test",
        "cargo bench",
        "Load test with 1000 concurrent requests",
    ];
    assert_eq!(tests, expected);
}

#[test]
fn nothing_of_the_plan_is_read_from_what_the_approval_does_not_cover() {
    let start = SEED.find("### Weights").unwrap();
    let end = SEED.find("### Results").unwrap();
    let weights = SEED[start..end].replace("### Weights\n", "**Weights**:");
    let moved = format!("{}{}", &SEED[..start], &SEED[end..]).replace("**Winner**", &format!("{weights}**Winner**"));
    let found = Document::parse(moved.as_bytes()).unwrap_err();
    assert_eq!(found.iter().find(|f| f.is_error()).map(|f| f.code), Some(Code::Weights));
}

#[test]
fn shapes_that_are_hard_on_parsers_are_read_in_time() {
    let shapes = [
        "- x\n",
        "| a | b |\n",
        ">",
        "* _`[",
        "word ",
        "word\n",
        "  - ",
        "<!--\n",
        "```\n~~~\n",
        "\u{feff}",
        "\r",
        "[a]: b\n",
        "é",
        "![[",
    ];
    for shape in shapes {
        for place in ["## Goal\n", "**Analysis**:\n", "**Metrics**:\n", "## Artifacts\n", "# Optimize"] {
            let filler = shape.repeat(150_000 / shape.len());
            let text = SEED.replacen(place, &format!("{place}\n{filler}\n\n"), 1);
            let started = std::time::Instant::now();
            let found = Document::parse(text.as_bytes());
            let took = started.elapsed();
            assert!(took.as_secs() < 10, "{shape:?} at {place:?}: {took:?}, {}", found.is_ok());
        }
    }
}
