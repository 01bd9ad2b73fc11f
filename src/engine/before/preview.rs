//! What a run would do, before it does anything: what a reviewer reads before approving.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::adapters::process::Egress;
use crate::adapters::service::Choice;
use crate::domain::estimate::Estimate;
use crate::domain::gate::Gate;
use crate::domain::landing::Require;
use crate::domain::measurement::Contender;
use crate::domain::plan::{Budget, ContractKind, EvaluationTest, Mode, Plan, Status, WorkItem};
use crate::domain::quantity::Bound;
use crate::domain::score;
use crate::domain::service::Use;
use crate::domain::weights::Weight;
use crate::engine::before::known::{Environment, Known, Reach};
use crate::engine::before::risks;

/// The outline of a run. Serialised, it is what `plan --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/report.md documents the keys; most say what they hold")]
pub struct Outline {
    /// Of this form; it changes when a key changes its meaning or goes.
    pub schema_version: u32,
    pub document: String,
    pub id: String,
    pub title: String,
    pub status: Status,
    pub approved: bool,
    pub digest: String,
    pub mode: Mode,
    pub base: String,
    pub agent: String,
    /// Where its requests go through the proxy; absent where none do.
    pub models: Option<String>,
    pub variants: Vec<Contestant>,
    pub commands: Commands,
    pub environment: Environment,
    pub files: Files,
    /// `database` and `cache`; null where leases have none.
    #[serde(flatten)]
    pub services: BTreeMap<Use, Option<Isolation>>,
    pub sandbox: bool,
    /// Addresses that set-up and builds reach from the sandbox; null where there is none, or all is reached.
    pub reached: Option<Vec<String>>,
    pub judge: Judge,
    pub measure: Measuring,
    /// From an earlier run or try of the same document and configuration; absent where there is none.
    pub estimate: Option<Estimate>,
    pub land: Landing,
    pub budget: Caps,
    /// Files that the plan names and that the target does not have as they are on disk, a sentence each.
    pub uncommitted: Vec<String>,
    /// What a reviewer should know before approving, a sentence each.
    pub risks: Vec<String>,
}

/// One variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/report.md documents the keys; most say what they hold")]
pub struct Contestant {
    pub key: String,
    pub name: String,
    /// Where its work goes; `<run>` is not known yet.
    pub branch: String,
    /// Its work items, in order; an agent's call each.
    pub steps: Vec<Step>,
}

/// One work item of one variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/report.md documents the keys; most say what they hold")]
pub struct Step {
    pub title: String,
    pub files: Vec<String>,
    pub contract: ContractKind,
    pub tests: Vec<String>,
}

/// What is run in the trees.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/report.md documents the keys; most say what they hold")]
pub struct Commands {
    pub setup: Vec<String>,
    pub build: Vec<String>,
    /// Folders with what is built.
    pub built: Vec<String>,
    pub migrate: Vec<String>,
    pub tests: Vec<String>,
    pub metrics: Vec<Source>,
}

/// Where metrics come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/report.md documents the keys; most say what they hold")]
pub struct Source {
    pub source: String,
    pub metrics: Vec<String>,
}

/// Which files are touched.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/report.md documents the keys; most say what they hold")]
pub struct Files {
    /// By any variant, sorted.
    pub may_change: Vec<String>,
    pub restored_from_base: Vec<String>,
    pub copied: Vec<String>,
}

/// How a service is kept apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/report.md documents the keys; most say what they hold")]
pub struct Isolation {
    pub level: String,
    pub why: String,
}

/// What decides.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/report.md documents the keys; most say what they hold")]
pub struct Judge {
    pub tests: Weight,
    pub performance: Weight,
    pub simplicity: Weight,
    /// What the notes of the weights do.
    pub notes: Vec<NoteLine>,
    pub bounds: Vec<MetricLine>,
}

/// A weight's note, and what it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoteLine {
    /// `tests`, `performance` or `simplicity`.
    pub criterion: &'static str,
    /// As written.
    pub note: String,
    /// What it does.
    #[serde(flatten)]
    pub effect: NoteEffect,
}

/// What a weight's note does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "effect")]
pub enum NoteEffect {
    /// Puts out whoever fails a test that it covers, also where the baseline fails it.
    Gates {
        /// Which tests.
        covers: Gate,
        /// Lines of the tests that it covers.
        suites: Vec<String>,
        /// Metrics that it covers; their bounds gate in any case.
        metrics: Vec<String>,
    },
    /// Chooses the metrics that make the points of Performance.
    Chooses {
        /// Them.
        metrics: Vec<String>,
    },
    /// Nothing: it is for readers.
    Prose,
}

/// A metric with its bound.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/report.md documents the keys; most say what they hold")]
pub struct MetricLine {
    pub metric: String,
    /// As a reader writes it, such as `< 80 ms`.
    pub text: String,
    pub bound: Bound,
}

/// How contenders are measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measuring {
    /// The CPUs of each parallel lane, used if the check passes; empty for one after another.
    pub lanes: Vec<Vec<usize>>,
    /// Why not in lanes.
    pub why: Option<String>,
    /// What is counted of variants that can't be told apart.
    pub tie_break: Option<String>,
}

impl Measuring {
    fn of(known: &Known<'_>) -> Self {
        let (lanes, why) = match &known.lanes {
            Ok(lanes) => (lanes.cpus().to_vec(), None),
            Err(refusal) => (Vec::new(), Some(refusal.to_string())),
        };
        Self { lanes, why, tie_break: known.tie_break.map(str::to_owned) }
    }
}

/// What happens to the winner.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/report.md documents the keys; most say what they hold")]
pub struct Landing {
    pub branch: String,
    pub automatic: bool,
    pub require: Require,
    pub rewrites: Vec<String>,
    /// `commit` or `journal`: where a run that landed nothing tells its end.
    pub record: &'static str,
    /// `run` or `skip`.
    pub hooks: &'static str,
    /// `auto` or `never`.
    pub sign: &'static str,
    /// `out` or `judge`: what becomes of a variant of which work items were not carried out.
    pub unfinished: &'static str,
}

/// What may be spent; absent is unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "docs/report.md documents the keys; most say what they hold")]
pub struct Caps {
    pub step_tokens: Option<u64>,
    pub variant_tokens: Option<u64>,
    pub session_tokens: Option<u64>,
    pub time_estimate_seconds: Option<u64>,
    pub time_cap_seconds: Option<u64>,
    pub measure_seconds: u64,
}

/// The regions of the document that landing writes.
const REGIONS: [&str; 6] = ["Results", "Winner", "Analysis", "Status", "Updated", "Artifacts"];

fn isolation(services: &[Choice], used_as: Use) -> Option<Isolation> {
    let choice = services.iter().find(|choice| choice.used_as == used_as)?;
    Some(Isolation { level: choice.level.clone(), why: choice.why.clone() })
}

/// The outline of what would be run.
pub fn outline(known: &Known<'_>) -> Outline {
    let plan = known.plan;
    let weights = &plan.weights;
    Outline {
        schema_version: 1,
        document: known.document.to_owned(),
        id: plan.id.clone(),
        title: plan.title.clone(),
        status: plan.status,
        approved: known.approved,
        digest: known.digest.to_owned(),
        mode: plan.mode,
        base: known.base.to_owned(),
        agent: known.agent.to_owned(),
        models: match known.models {
            Reach::Through(addresses) => Some(addresses.clone()),
            Reach::None | Reach::Unseen | Reach::Missing(_) => None,
        },
        variants: contestants(plan),
        commands: commands(known),
        environment: known.environment.clone(),
        files: files(known),
        services: Use::ALL.into_iter().map(|used_as| (used_as, isolation(&known.services, used_as))).collect(),
        sandbox: known.sandbox.is_some(),
        reached: known.sandbox.and_then(|egress| match egress {
            Egress::All => None,
            Egress::SetUp(list) => Some(list.iter().map(ToString::to_string).collect()),
        }),
        judge: Judge {
            tests: weights.tests.clone(),
            performance: weights.performance.clone(),
            simplicity: weights.simplicity.clone(),
            notes: notes(known),
            bounds: bounds(plan),
        },
        measure: Measuring::of(known),
        estimate: known.estimate.clone(),
        land: Landing {
            branch: known.target.to_owned(),
            automatic: known.merge,
            require: known.require,
            rewrites: REGIONS.map(str::to_owned).into(),
            record: if known.record { "commit" } else { "journal" },
            hooks: if known.hooks { "run" } else { "skip" },
            sign: if known.sign { "auto" } else { "never" },
            unfinished: if known.judge_unfinished { "judge" } else { "out" },
        },
        budget: caps(&plan.budget, known.measure_seconds),
        uncommitted: known.uncommitted.to_vec(),
        risks: risks::risks(known),
    }
}

fn contestants(plan: &Plan) -> Vec<Contestant> {
    let step = |item: &WorkItem| Step {
        title: item.title.clone(),
        files: item.files.iter().map(|f| f.as_str().to_owned()).collect(),
        contract: item.contract.kind,
        tests: item.tests.clone(),
    };
    let variants = plan.variants.iter().map(|variant| Contestant {
        key: variant.key.to_string(),
        name: variant.name.clone(),
        branch: format!("blueprint/<run>/{}", Contender::Variant(variant.key.clone()).slug()),
        steps: plan.items_of(&variant.key).map(step).collect(),
    });
    variants.collect()
}

fn commands(known: &Known<'_>) -> Commands {
    let sources =
        known.sources.iter().map(|(source, metrics)| Source { source: source.clone(), metrics: metrics.clone() });
    Commands {
        setup: known.setup.to_vec(),
        build: known.build.to_vec(),
        built: known.built.to_vec(),
        migrate: known.migrate.to_vec(),
        tests: known.plan.tests.iter().map(EvaluationTest::text).map(str::to_owned).collect(),
        metrics: sources.collect(),
    }
}

fn files(known: &Known<'_>) -> Files {
    let files = known.plan.work_items.iter().flat_map(|item| &item.files);
    let may_change: BTreeSet<_> = files.map(|f| f.as_str().to_owned()).collect();
    Files {
        may_change: may_change.into_iter().collect(),
        restored_from_base: known.protect.to_vec(),
        copied: known.carry.to_vec(),
    }
}

fn notes(known: &Known<'_>) -> Vec<NoteLine> {
    let plan = known.plan;
    let weights = &plan.weights;
    let all = [("tests", &weights.tests), ("performance", &weights.performance), ("simplicity", &weights.simplicity)];
    let lines = all.into_iter().filter_map(|(criterion, weight)| {
        let effect = match weight.gate {
            Some(gate) => gates(known, gate),
            None if criterion == "performance" => {
                let chosen = score::selected(weight.selection(), &plan.metrics);
                NoteEffect::Chooses { metrics: chosen.map(|metric| metric.name.to_string()).collect() }
            }
            None => NoteEffect::Prose,
        };
        Some(NoteLine { criterion, note: weight.note.clone()?, effect })
    });
    lines.collect()
}

fn gates(known: &Known<'_>, gate: Gate) -> NoteEffect {
    let suites = known.plan.tests.iter().map(EvaluationTest::text).filter(|line| gate.covers(line));
    let measured = |name: &str| {
        let sources = known.sources.iter().filter(|(_, metrics)| metrics.iter().any(|metric| metric == name));
        sources.into_iter().any(|(source, _)| gate.covers(source))
    };
    let metrics = known.plan.metrics.iter().map(|metric| metric.name.as_str());
    NoteEffect::Gates {
        covers: gate,
        suites: suites.map(str::to_owned).collect(),
        metrics: metrics.filter(|name| gate.covers(name) || measured(name)).map(str::to_owned).collect(),
    }
}

fn bounds(plan: &Plan) -> Vec<MetricLine> {
    let line = |m: &crate::domain::plan::MetricBound| MetricLine {
        metric: m.name.to_string(),
        text: m.bound.to_string(),
        bound: m.bound,
    };
    plan.metrics.iter().map(line).collect()
}

fn caps(budget: &Budget, measure_seconds: u64) -> Caps {
    Caps {
        step_tokens: budget.step_tokens.map(|t| t.0),
        variant_tokens: budget.variant_tokens.map(|t| t.0),
        session_tokens: budget.session_tokens.map(|t| t.0),
        time_estimate_seconds: budget.time_estimate.map(|t| t.as_secs()),
        time_cap_seconds: budget.time_cap.map(|t| t.as_secs()),
        measure_seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::git::Customs;
    use crate::domain::lanes::Refusal;
    use crate::domain::measurement::{MetricName, Unchecked};
    use crate::domain::quantity::Tokens;

    /// The smallest plan there is, read as the journal would read it.
    fn plan(variants: &[&str], metrics: bool) -> Plan {
        let weight = |percent: f64| serde_json::json!({"percent": percent, "note": null});
        let bound = Bound::parse("<80ms").unwrap();
        let metrics = if metrics {
            serde_json::json!([{"name": "latency", "bound": bound, "note": null}])
        } else {
            serde_json::json!([])
        };
        let variants: Vec<_> =
            variants.iter().map(|key| serde_json::json!({"key": key, "name": "n", "notes": []})).collect();
        serde_json::from_value(serde_json::json!({
            "id": "x", "title": "t", "status": "approved", "mode": "competition", "approved": null, "goal": "",
            "assumptions": [], "questions": [], "variants": variants, "work_items": [], "tests": [], "metrics": metrics,
            "weights": {"tests": weight(50.0), "performance": weight(30.0), "simplicity": weight(20.0)},
            "budget": {"step_tokens": null, "session_tokens": 10, "time_estimate": null, "time_cap": {"secs": 60, "nanos": 0}},
            "rollback": null,
        }))
        .unwrap()
    }

    static NONE: Reach = Reach::None;
    static CLOSED: Egress = Egress::SetUp(Vec::new());
    static PLAIN: Customs = Customs { hooks: Vec::new(), signs: None };

    fn known(plan: &Plan) -> Known<'_> {
        Known {
            plan,
            document: "d.md",
            digest: "d",
            approved: true,
            base: "b",
            target: "main",
            checked_out: false,
            agent: "patch recorded/",
            models: &NONE,
            needs: None,
            setup: &[],
            build: &[],
            built: &[],
            environment: Environment::default(),
            estimate: None,
            migrate: &[],
            carry: &[],
            protect: &[],
            harness: Vec::new(),
            measure_seconds: 60,
            lanes: Err(Refusal::Off),
            lanes_asked: false,
            require: Require::Better,
            merge: true,
            record: true,
            hooks: false,
            sign: false,
            customs: &PLAIN,
            judge_unfinished: false,
            contestants_write_tests: false,
            trust: &[],
            services: Vec::new(),
            sources: &[],
            uncommitted: &[],
            counts: &[],
            unchecked: &[],
            tie_break: None,
            sandbox: Some(&CLOSED),
            cpus: 8,
        }
    }

    #[test]
    fn a_plan_with_nothing_to_point_out_has_no_risks() {
        let (plan, through) = (plan(&["A", "B"], true), Reach::Through("openai at http://h/v1".to_owned()));
        assert_eq!(outline(&Known { models: &through, ..known(&plan) }).risks, Vec::<String>::new());
    }

    #[test]
    fn each_risk_is_named_for_its_own_reason() {
        let plain = plan(&["A", "B"], true);
        let (alone, unmeasured) = (plan(&["A"], true), plan(&["A", "B"], false));
        let unlimited = Plan { budget: Budget::default(), ..plain.clone() };
        let (missing, through) = (Reach::Missing("no key".to_owned()), Reach::Through("here".to_owned()));
        let caps = Budget {
            step_tokens: Some(Tokens(15_000)),
            variant_tokens: None,
            session_tokens: Some(Tokens(100_000)),
            ..plain.budget.clone()
        };
        let small = Plan { budget: caps, ..plain.clone() };
        let needs = Some(Tokens(15_001));
        let strict = Customs { hooks: vec!["commit-msg".to_owned()], signs: Some("ssh".to_owned()) };
        let unchecked =
            [Unchecked { metric: MetricName::new("latency").unwrap(), remedy: "add `output: stdout`".to_owned() }];
        let cases = [
            (Known { models: &Reach::Unseen, ..known(&plain) }, vec!["what the agent says of itself"]),
            (Known { models: &missing, ..known(&plain) }, vec!["no key"]),
            (Known { approved: false, ..known(&plain) }, vec!["not approved"]),
            (Known { sandbox: None, ..known(&plain) }, vec!["no sandbox"]),
            (Known { sandbox: Some(&Egress::All), ..known(&plain) }, vec!["`sandbox.network` is `shared`"]),
            (Known { checked_out: true, ..known(&plain) }, vec!["checked out"]),
            (Known { customs: &strict, ..known(&plain) }, vec!["commit-msg", "set to sign (ssh)"]),
            (Known { customs: &strict, hooks: true, sign: true, ..known(&plain) }, vec![]),
            (Known { judge_unfinished: true, ..known(&plain) }, vec!["not carried out"]),
            (Known { checked_out: true, merge: false, ..known(&plain) }, vec![]),
            (Known { contestants_write_tests: true, ..known(&plain) }, vec!["may write tests"]),
            (Known { lanes_asked: true, ..known(&plain) }, vec!["can't be had"]),
            (Known { cpus: 2, ..known(&plain) }, vec!["2 CPUs"]),
            (Known { unchecked: &unchecked, ..known(&plain) }, vec!["nobody checks what is answered"]),
            (known(&unlimited), vec!["no time cap"]),
            (Known { models: &through, ..known(&unlimited) }, vec!["no time cap", "no token cap"]),
            (
                Known { models: &through, needs, ..known(&small) },
                vec!["a step may use 15,000 tokens, and the agent needs"],
            ),
            (Known { models: &through, needs: Some(Tokens(15_000)), ..known(&small) }, vec![]),
            (known(&alone), vec!["one variant"]),
            (Known { cpus: 2, ..known(&unmeasured) }, vec!["no metric"]),
        ];
        for (known, expected) in cases {
            let risks = outline(&known).risks;
            assert_eq!(risks.len(), expected.len(), "{risks:?}");
            assert!(risks.iter().zip(&expected).all(|(risk, word)| risk.contains(word)), "{risks:?} for {expected:?}");
        }
    }
}
