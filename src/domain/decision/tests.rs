//! What decides, on made-up blocks.

use std::time::Duration;

use serde_json::{Value, json};

use super::fixtures::started_json;
use super::*;
use crate::domain::estimate::Smoke;
use crate::domain::landing::Withheld;
use crate::domain::measurement::{Block, Contender};
use crate::domain::plan::VariantKey;
use crate::domain::scoreboard::Scoreboard;
use crate::domain::trial::{Disqualification, Outcome};
use crate::domain::verdict::{Ground, NoWinner, Verdict};

fn key(text: &str) -> VariantKey {
    VariantKey::new(text).unwrap()
}

fn variant(text: &str) -> Contender {
    Contender::Variant(key(text))
}

/// What a run has seen whose variants are `A` and `B`, whose Performance weighs 80 and whose only metric is `t`.
fn seen(bound: &str) -> Seen {
    let mut started = started_json();
    let plan = &mut started["plan"];
    plan["variants"] = json!([{"key": "A", "name": "A", "notes": []}, {"key": "B", "name": "B", "notes": []}]);
    let weight = |percent: f64| json!({"percent": percent, "note": null});
    plan["weights"] = json!({"tests": weight(10.0), "performance": weight(80.0), "simplicity": weight(10.0)});
    let mut started: crate::domain::started::Started = serde_json::from_value(started).unwrap();
    started.plan.metrics = vec![crate::domain::plan::MetricBound {
        name: MetricName::new("t").unwrap(),
        bound: crate::domain::quantity::Bound::parse(bound).unwrap(),
        note: None,
    }];
    let mut seen = Seen::new(started);
    for name in ["A", "B"] {
        let harvest = json!({"variant": name, "commit": "c", "changed": ["x"]});
        let size = json!({
            "added": 1, "deleted": 1, "nesting_surplus": 1.0, "new_dependencies": 0, "dependencies": [],
            "counted": [], "excluded": [],
        });
        let (harvest, size) = (serde_json::from_value(harvest).unwrap(), serde_json::from_value(size).unwrap());
        seen.harvests.insert(key(name), (harvest, size, false));
    }
    for name in ["A", "B", "@baseline"] {
        tests(&mut seen, name, &[("unit", "passed")]);
    }
    seen
}

fn contender(name: &str) -> Contender {
    serde_json::from_value(json!(name)).unwrap()
}

fn tests(seen: &mut Seen, name: &str, cases: &[(&str, &str)]) {
    let cases: Vec<Value> = cases.iter().map(|(name, status)| json!({"name": name, "status": status})).collect();
    seen.tests.insert(contender(name), serde_json::from_value(json!({"cases": cases})).unwrap());
}

/// One block in which these took so many milliseconds, with a little noise that is nobody's.
fn block(seen: &mut Seen, values: &[(&str, f64)]) {
    let index = u32::try_from(seen.blocks.len()).unwrap();
    let slices: Vec<Value> = values
        .iter()
        .enumerate()
        .map(|(at, (name, ms))| {
            let noise = 1.0 + 0.002 * f64::from((index * 7 + u32::try_from(at).unwrap() * 5) % 11);
            let value = json!({"value": ms * noise / 1000.0, "dimension": "time"});
            json!({
                "contender": name, "source": "file: x",
                "readings": [{"metric": "t", "value": value, "observations": 1}],
                "timing": {"wall": Duration::from_millis(500), "cpu": null},
            })
        })
        .collect();
    seen.observe(serde_json::from_value::<Block>(json!({"index": index, "slices": slices})).unwrap());
}

fn blocks(seen: &mut Seen, count: u32, values: &[(&str, f64)]) {
    (0..count).for_each(|_| block(seen, values));
}

fn outcome<'a>(board: &'a Scoreboard, name: &str) -> &'a Outcome {
    &board.rows.iter().find(|row| row.contender == contender(name)).unwrap().outcome
}

#[test]
fn the_better_variant_wins_when_the_blocks_show_it_and_not_before() {
    let values = [("A", 50.0), ("B", 90.0), ("@baseline", 100.0)];
    let mut seen = seen("<200ms");
    blocks(&mut seen, 5, &values);
    assert!(!standing(&seen).unwrap().concluded());
    let board = conclude(&seen).unwrap();
    assert!(matches!(board.verdict, Verdict::Undecided { .. }), "{:?}", board.verdict);
    assert_eq!(board.lands(), None);
    blocks(&mut seen, 10, &values);
    assert!(standing(&seen).unwrap().concluded());
    let board = conclude(&seen).unwrap();
    assert!(matches!(&board.verdict, Verdict::Winner { key: winner, .. } if *winner == key("A")));
    assert_eq!(board.lands(), Some(&key("A")));
    assert_eq!(conclude(&seen).unwrap(), board, "the same was seen");
}

#[test]
fn what_the_warm_up_showed_decides_nothing() {
    let mut plain = seen("<200ms");
    let mut wild = plain.clone();
    block(&mut plain, &[("A", 50.0), ("B", 90.0), ("@baseline", 100.0)]);
    block(&mut wild, &[("A", 5000.0), ("B", 1.0), ("@baseline", 0.1)]);
    for seen in [&mut plain, &mut wild] {
        blocks(seen, 14, &[("A", 50.0), ("B", 90.0), ("@baseline", 100.0)]);
    }
    assert_eq!(conclude(&plain).unwrap(), conclude(&wild).unwrap());
}

#[test]
fn a_bound_is_open_until_eight_counted_blocks_agree() {
    let values = [("A", 50.0), ("B", 90.0), ("@baseline", 100.0)];
    let mut seen = seen("<70ms");
    blocks(&mut seen, 8, &values);
    let now = standing(&seen).unwrap();
    assert!(now.failed.is_empty() && now.uncertain.contains(&(variant("B"), MetricName::new("t").unwrap())));
    block(&mut seen, &values);
    let now = standing(&seen).unwrap();
    assert_eq!(now.failed.iter().map(|(who, _)| who.clone()).collect::<Vec<_>>(), [key("B")]);
    assert!(matches!(now.failed[0].1, Disqualification::BoundBroken { .. }), "{:?}", now.failed);
    assert!(!now.active.contains(&variant("B")), "{:?}", now.active);
    assert!(!outcome(&conclude(&seen).unwrap(), "B").is_eligible());
}

#[test]
fn a_relative_bound_is_held_against_the_baseline_of_the_same_block() {
    let mut seen = seen("<=-20%");
    for (at, drift) in [1.0, 1.0, 3.0, 1.0, 5.0, 1.0, 2.0, 1.0, 4.0, 1.0].into_iter().enumerate() {
        assert_eq!(seen.blocks.len(), at);
        block(&mut seen, &[("A", 50.0 * drift), ("B", 95.0 * drift), ("@baseline", 100.0 * drift)]);
    }
    let now = standing(&seen).unwrap();
    assert_eq!(now.failed.iter().map(|(who, _)| who.clone()).collect::<Vec<_>>(), [key("B")]);
    assert!(now.uncertain.is_empty(), "{:?}", now.uncertain);
}

#[test]
fn a_baseline_that_fails_a_test_which_every_variant_passes_takes_no_part() {
    let mut seen = seen("<200ms");
    tests(&mut seen, "@baseline", &[("unit", "passed"), ("new", "failed")]);
    for name in ["A", "B"] {
        tests(&mut seen, name, &[("unit", "passed"), ("new", "passed")]);
    }
    blocks(&mut seen, 12, &[("A", 160.0), ("B", 190.0), ("@baseline", 100.0)]);
    let now = standing(&seen).unwrap();
    assert!(!now.active.contains(&Contender::Baseline), "{:?}", now.active);
    let board = conclude(&seen).unwrap();
    assert_eq!(board.lands(), Some(&key("A")), "it is slower, and passes what the baseline does not");
    let row = board.rows.iter().find(|row| row.contender == variant("A")).unwrap();
    assert_eq!(row.better, Some(Ground::Test { name: "new".to_owned() }));
    // Where one of them fails it as well, the baseline is not out of the race, and is ahead.
    tests(&mut seen, "B", &[("unit", "passed"), ("new", "failed")]);
    assert!(conclude(&seen).unwrap().lands().is_none_or(|lands| *lands == key("A")));
    assert!(standing(&seen).unwrap().race.survivors().contains(&Contender::Baseline));
}

#[test]
fn nothing_wins_on_a_harness_that_treats_two_identical_trees_differently() {
    let mut seen = seen("<200ms");
    tests(&mut seen, "@shadow", &[("unit", "passed")]);
    let values = [("A", 50.0), ("B", 90.0), ("@baseline", 100.0), ("@shadow", 130.0)];
    blocks(&mut seen, 12, &values);
    let now = standing(&seen).unwrap();
    assert!(now.control.is_suspected() && !now.control.is_biased() && !now.concluded(), "{:?}", now.control.e_value());
    assert!(now.active.contains(&Contender::Shadow) && now.active.contains(&Contender::Baseline));
    blocks(&mut seen, 10, &values);
    assert!(standing(&seen).unwrap().concluded());
    let board = conclude(&seen).unwrap();
    assert!(matches!(board.verdict, Verdict::NoWinner { reason: NoWinner::HarnessBiased { .. } }));
    assert_eq!(board.lands(), None);
}

#[test]
fn whoever_is_not_faster_in_fresh_trees_is_out_and_the_others_go_on() {
    let values = [("A", 10.0), ("B", 70.0), ("@baseline", 100.0)];
    let mut seen = seen("<200ms");
    blocks(&mut seen, 20, &values);
    let board = conclude(&seen).unwrap();
    assert_eq!(unverified(&seen, &board), Some(key("A")));
    let mut fresh = Fresh { blocks: seen.blocks.len(), over: true, ..Fresh::default() };
    let mut pairs = seen.clone();
    pairs.blocks.clear();
    blocks(&mut pairs, 3, &[("A", 101.0), ("@baseline", 100.0)]);
    fresh.pairs = pairs.blocks.into_iter().map(|block| block.slices).collect();
    seen.fresh.insert(key("A"), fresh.clone());
    assert_eq!(refuted(&seen).into_keys().collect::<Vec<_>>(), [variant("A")]);
    let board = conclude(&seen).unwrap();
    assert!(matches!(outcome(&board, "A"), Outcome::Disqualified { reason: Disqualification::LeftOver { .. } }));
    assert_eq!(board.lands(), Some(&key("B")));
    // Cut short before it could tell, it keeps its place and nothing lands.
    let cut = Fresh { pairs: fresh.pairs[..2].to_vec(), over: false, ..fresh };
    seen.fresh.insert(key("A"), cut);
    assert!(refuted(&seen).is_empty());
}

#[test]
fn a_value_that_is_nothing_like_its_bound_is_named() {
    let mut seen = seen("<10MB");
    blocks(&mut seen, 2, &[("A", 50.0), ("B", 90.0), ("@baseline", 100.0)]);
    let error = conclude(&seen).unwrap_err().to_string();
    assert!(error.starts_with("t: "), "{error}");
}

#[test]
fn a_baseline_without_a_value_gives_every_bound_that_is_kept_the_ground_to_land() {
    let mut seen = seen("<200ms");
    seen.smoke = Some(Smoke { missing: vec![MetricName::new("t").unwrap()], ..Smoke::default() });
    seen.ended.insert(
        Contender::Baseline,
        Outcome::Disqualified { reason: Disqualification::InvalidMeasurement { message: "no value".to_owned() } },
    );
    blocks(&mut seen, 14, &[("A", 50.0), ("B", 90.0)]);
    let board = conclude(&seen).unwrap();
    let row = board.rows.iter().find(|row| row.contender == variant("A")).unwrap();
    assert_eq!(row.better, Some(Ground::Bound { metric: MetricName::new("t").unwrap() }));
    assert_eq!(board.lands(), Some(&key("A")));
}

#[test]
fn a_run_that_measured_nothing_lands_nothing() {
    let board = conclude(&seen("<200ms")).unwrap();
    assert!(board.verdict.is_open() && board.lands().is_none(), "{:?}", board.verdict);
    assert!(!matches!(board.landing, Some(crate::domain::landing::Landing::Nothing { why: Withheld::NotVerified })));
}
