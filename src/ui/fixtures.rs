//! Facts of a small run for tests of what is printed: A wins, B is beaten, C misses its bound, D
//! breaks its contract. Built through the journal's own records, so that it can't be a run that
//! could not have happened.

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::decision;
use crate::domain::measurement::MetricName;
use crate::domain::plan::*;
use crate::domain::quantity::{Bound, Tokens};
use crate::domain::weights::{Weight, Weights};
use crate::engine::state::{Facts, Record};

/// The run's id.
pub const RUN: &str = "20260105-100000-1a2b";
const COMMIT: &str = "3f2a1c9d00000000000000000000000000000000";

fn key(text: &str) -> VariantKey {
    VariantKey::new(text).unwrap()
}

/// Four variants, two work items, two metrics.
pub fn plan() -> Plan {
    let weight = |percent, note: Option<&str>| Weight::new(percent, note.map(str::to_owned));
    let variant = |k, name: &str| Variant { key: key(k), name: name.to_owned(), notes: vec![] };
    let item = |title: &str, applies, files: &[&str], kind| WorkItem {
        title: title.to_owned(),
        applies,
        files: files.iter().map(|f| FilePattern::new(f).unwrap()).collect(),
        contract: DiffContract { kind, variant_specific: false },
        tests: vec!["tests/test_cost.py::test_it".to_owned()],
        text: String::new(),
    };
    let metric = |name, bound| MetricBound {
        name: MetricName::new(name).unwrap(),
        bound: Bound::parse(bound).unwrap(),
        note: None,
    };
    Plan {
        id: "2026-01-05T10:00:00Z_cost".to_owned(),
        title: "Lower the cost".to_owned(),
        status: Status::Approved,
        mode: Mode::Competition,
        approved: None,
        goal: "Lower what `cost.txt` says.".to_owned(),
        assumptions: vec![],
        questions: vec![],
        variants: vec![
            variant("A", "Cost 20"),
            variant("B", "Cost 60"),
            variant("C", "Cost 85"),
            variant("D", "Elsewhere | <b>"),
        ],
        work_items: vec![
            item("The cost", Applies::All, &["cost.txt", "notes/**"], ContractKind::Patch),
            item("A cache", Applies::Only(vec![key("B"), key("C")]), &["cache.txt"], ContractKind::NewFile),
        ],
        tests: vec![
            EvaluationTest::Command {
                argv: vec!["sh".to_owned(), "tests/run.sh".to_owned()],
                text: "sh tests/run.sh".to_owned(),
            },
            EvaluationTest::Prose {
                text: "Load test with 1000 concurrent requests".to_owned(),
                load: Some(LoadPhrase { concurrency: 1000 }),
            },
        ],
        metrics: vec![metric("latency_p95", "<80ms"), metric("size", "<=+10%")],
        weights: Weights {
            tests: weight(50.0, None),
            performance: weight(30.0, Some("p95 latency")),
            simplicity: weight(20.0, None),
        },
        budget: Budget {
            step_tokens: Some(Tokens(15_000)),
            variant_tokens: None,
            session_tokens: Some(Tokens(80_000)),
            time_estimate: Some(Duration::from_secs(1800)),
            time_cap: Some(Duration::from_secs(3600)),
        },
        rollback: None,
    }
}

fn take(facts: &mut Facts, record: Value) {
    facts.take(serde_json::from_value::<Record>(record).unwrap());
}

/// Facts of a run that has only just started.
pub fn started() -> Facts {
    let started = json!({
        "run": RUN, "document": "docs/blueprints/cost.md", "digest": "9be1c2d3e4f5", "plan": plan(),
        "base": "b5a033a000000000000000000000000000000000", "target": "main", "seed": 7, "state": "/cache/blueprint/run",
        "at": 1_767_607_200, "configuration": "c", "measure_budget": Duration::from_secs(60),
        "require_supported": false, "sources": [["command: sh bench/cost.sh", ["latency_p95", "size"]]],
    });
    Facts::new(serde_json::from_value(started).unwrap())
}

/// Facts of the same run when it is over: measured, concluded, landed.
pub fn finished() -> Facts {
    let mut facts = started();
    let case = |name: &str, status: &str| json!({"name": name, "status": status});
    for (variant, tokens, end) in
        [("A", 900, "finished"), ("B", 1_200, "over-tokens"), ("C", 800, "finished"), ("D", 700, "finished")]
    {
        let report = json!({"usage": {"input": tokens, "output": 100}, "end": {"end": end}, "summary": ""});
        take(&mut facts, json!({"record": "step", "variant": variant, "step": 0, "commit": COMMIT, "report": report}));
        if variant == "D" {
            let reason = json!({"reason": "contract-broken", "paths": ["elsewhere.txt", "more|<b>.txt"]});
            take(
                &mut facts,
                json!({"record": "ended", "contender": "D", "outcome": {"outcome": "disqualified", "reason": reason}}),
            );
            continue;
        }
        let size = json!({
            "added": 4, "deleted": 2, "nesting_surplus": 1.0, "new_dependencies": 0, "dependencies": [],
            "counted": [{"path": "cost.sh", "language": "shellscript", "added": 4, "deleted": 2}],
            "excluded": [{"path": "cost.txt", "reason": "prose"}],
        });
        let harvest = json!({"variant": variant, "commit": COMMIT, "changed": ["cost.txt"]});
        take(
            &mut facts,
            json!({"record": "harvested", "harvest": harvest, "size": size, "over_budget": variant == "B"}),
        );
    }
    for contender in ["A", "B", "C", "@baseline"] {
        let cases =
            [case("sh tests/run.sh", "passed"), case("a <b> & \"c\"\u{1b}", "passed"), case("later", "skipped")];
        take(&mut facts, json!({"record": "tested", "contender": contender, "report": {"cases": cases}}));
    }
    for index in 0..24_u32 {
        let noise = 1.0 + 0.001 * f64::from(index % 3);
        let slice = |contender: &str, ms: f64| {
            let reading = |metric: &str, value: f64, dimension: &str| json!({"metric": metric, "value": {"value": value, "dimension": dimension}, "observations": 1});
            let readings = [reading("latency_p95", ms * noise / 1000.0, "time"), reading("size", 2e6, "bytes")];
            let timing = json!({"wall": Duration::from_millis(5), "cpu": null});
            json!({"contender": contender, "source": "command: sh bench/cost.sh", "readings": readings, "timing": timing})
        };
        let slices = [slice("A", 20.0), slice("B", 60.0), slice("C", 85.0), slice("@baseline", 90.0)];
        take(&mut facts, json!({"record": "block", "index": index, "slices": slices}));
    }
    let scoreboard = decision::conclude(&facts.seen).unwrap();
    take(&mut facts, json!({"record": "concluded", "scoreboard": scoreboard}));
    take(&mut facts, json!({"record": "landed", "commit": COMMIT}));
    facts.finished = true;
    facts.elapsed = Duration::from_secs(42);
    facts
}
