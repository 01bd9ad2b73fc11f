//! Documents as people write them: the seed, its variations, and everything that can be wrong.

use std::collections::{BTreeMap, BTreeSet};

use blueprint::domain::diagnostic::{Code, Diagnostic};
use blueprint::domain::document::{Bindings, Document};
use blueprint::domain::measurement::{Contender, MetricName};
use blueprint::domain::plan::{Plan, Status, VariantKey};
use blueprint::domain::quantity::Quantity;
use blueprint::domain::results;
use blueprint::domain::score::{Criteria, Points};
use blueprint::domain::trial::{Disqualification, Outcome};
use blueprint::domain::verdict::{Row, Scoreboard, Support, Verdict};

const SEED: &str = include_str!("fixtures/documents/seed.md");

/// Codes with the text that they are about.
fn about<'a>(source: &'a str, found: &[Diagnostic]) -> Vec<(Code, &'a str)> {
    found.iter().map(|f| (f.code, &source[f.span.clone()])).collect()
}

#[test]
fn the_seed_has_exactly_its_own_faults() {
    let seed = Document::parse(SEED.as_bytes()).unwrap();
    let expected = [(Code::Total, "95.6"), (Code::DoubleEncoded, "âœ…"), (Code::Total, "92.2"), (Code::Total, "92.6")];
    assert_eq!(about(SEED, seed.warnings()), expected);
    assert_eq!(seed.warnings()[0].message, "the Total of A is 95.6, and the weighted sum is 96.96");
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
    Points::new(value).unwrap()
}

fn row(contender: &str, criteria: [f64; 3], total: f64, p95: f64) -> Row {
    let [tests, performance, simplicity] = criteria.map(points);
    let value = Quantity::in_unit(p95, "ms").unwrap();
    Row {
        contender: Contender::try_from(contender.to_owned()).unwrap(),
        outcome: Outcome::Eligible { over_budget: false },
        criteria: Some(Criteria { tests, performance, simplicity }),
        total: Some(points(total)),
        metrics: BTreeMap::from([(MetricName::new("query_latency_p95").unwrap(), value)]),
    }
}

/// A run of the seed in which A wins and C fails two tests, one of them with a hostile name.
fn scoreboard() -> Scoreboard {
    let tests = ["tests/performance/test_user_query.py::test_query_speed[<1000|all>]", "z"].map(str::to_owned).to_vec();
    let out = Row {
        outcome: Outcome::Disqualified { reason: Disqualification::TestsFailed { tests } },
        criteria: None,
        total: None,
        metrics: BTreeMap::new(),
        ..row("C", [0.0; 3], 0.0, 1.0)
    };
    let rival = Contender::try_from("B".to_owned()).unwrap();
    let support = Support { rival, difference: 2.2, half_width: 0.3, e_value: 212.4, blocks: 31 };
    Scoreboard {
        rows: vec![
            row("A", [100.0, 68.5, 91.7], 88.89, 46.0),
            row("B", [100.0, 66.2, 84.0], 86.66, 51.0),
            out,
            row("@baseline", [100.0, 11.1, 100.0], 73.33 - 2.23, 800.0),
        ],
        verdict: Verdict::Winner { key: VariantKey::new("A").unwrap(), support: Some(support) },
        blocks: 31,
    }
}

#[test]
fn a_landed_seed_is_what_somebody_would_have_written_by_hand() {
    let seed = Document::parse(SEED.as_bytes()).unwrap();
    let regions = results::landed(seed.plan(), &scoreboard(), "20251102-160000-beef", 1_762_101_600);
    let landed = String::from_utf8(seed.rewrite(&regions)).unwrap();
    assert_eq!(landed, include_str!("fixtures/documents/seed-landed.md"));
    let again = Document::parse(landed.as_bytes()).unwrap();
    assert_eq!(again.digest(), seed.digest());
    assert_eq!(again.warnings(), []);
    assert_eq!(again.plan(), &Plan { status: Status::Completed, ..seed.plan().clone() });
    assert_eq!(again.rewrite(&regions), landed.as_bytes());
}

#[test]
fn an_unsupported_leader_is_named_as_such() {
    let seed = Document::parse(SEED.as_bytes()).unwrap();
    let verdict = Verdict::Undecided { leader: VariantKey::new("B").unwrap(), support: None, smallest_seen: None };
    let regions = results::landed(seed.plan(), &Scoreboard { verdict, ..scoreboard() }, "r", 0);
    let landed = String::from_utf8(seed.rewrite(&regions)).unwrap();
    assert!(
        landed.contains("\n**Winner**: Variant B (Materialized View + Caching) – not supported by the measurements\n")
    );
    assert!(landed.contains("| A       | 100.0 | 68.5        | 91.7       | 88.9  |        |"));
}
