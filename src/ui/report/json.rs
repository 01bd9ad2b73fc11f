//! The report for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::{scoreboard, verdict};
use crate::domain::calls::StepCalls;
use crate::domain::fresh::Check;
use crate::domain::instructions::decide_alone;
use crate::domain::landing::Landing;
use crate::domain::lanes::Lanes;
use crate::domain::load::Rate;
use crate::domain::measurement::{Contender, Unchecked};
use crate::domain::plan::VariantKey;
use crate::domain::price::Prices;
use crate::domain::quantity::{Dimension, Tokens};
use crate::domain::reckoning::{self, Reckoning, Share};
use crate::domain::scoreboard::Scoreboard;
use crate::domain::timed::{Change, Clock};
use crate::domain::trial::{ChangeSize, Outcome, TestReport};
use crate::domain::verdict::{Row, Verdict};
use crate::engine::state::Facts;

/// The whole report as one JSON document.
pub fn json(facts: &Facts, board: &Scoreboard, prices: &Prices) -> String {
    text(&Report::of(facts, board, prices))
}

/// Pretty JSON with a line end.
pub fn text(value: &impl Serialize) -> String {
    // The reports' own types have string keys and finite numbers only, so that this can't fail.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[derive(Serialize)]
struct Report<'a> {
    /// Of this form; it changes when a key changes its meaning or goes.
    schema_version: u32,
    run: &'a str,
    document: &'a str,
    title: &'a str,
    digest: &'a str,
    base: &'a str,
    target: &'a str,
    seed: u64,
    /// Seconds since 1970.
    started_at: i64,
    finished: bool,
    /// Whether controls competed in the place of the variants.
    rehearsal: bool,
    verdict: Conclusion<'a>,
    blocks: u32,
    /// Blocks that were measured, counted or not.
    measured_blocks: u32,
    /// Clocks that stopped telling the truth of somebody.
    #[serde(skip_serializing_if = "<[Change]>::is_empty")]
    clock_changes: &'a [Change],
    /// By which time each source is compared whose metric is its slices' own time.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    clocks: BTreeMap<&'a str, Clock>,
    /// Whether blocks were measured in parallel lanes; null where that was never decided.
    lanes: Option<Measuring<'a>>,
    /// At which rate each load asks, where that was decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rates: Vec<&'a Rate>,
    /// Whether Performance rests on counts of instructions alone, and on no time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    counts_decide: bool,
    /// What the tie-breaker counted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tie_break: &'a BTreeMap<Contender, u64>,
    /// What came out in fresh trees of who was faster than asked for.
    #[serde(skip_serializing_if = "<[Check]>::is_empty")]
    fresh: &'a [Check],
    /// Metrics of which nobody checked what was answered, as far as the configuration tells.
    #[serde(skip_serializing_if = "<[Unchecked]>::is_empty")]
    unchecked: &'a [Unchecked],
    rows: Vec<Line<'a>>,
    tokens: Spending<'a>,
    time: Time,
    landed: Option<&'a str>,
    /// The commit in which the document tells that nothing landed.
    recorded: Option<&'a str>,
    /// Why nothing landed and what to do next, a sentence each; empty where something did.
    why_nothing_landed: Vec<String>,
    /// What a run without a verdict has not done, a half sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    open: Vec<String>,
}

#[derive(Serialize)]
struct Measuring<'a> {
    /// The CPUs of each lane; empty for one after another.
    cpus: &'a [Vec<usize>],
    why: &'a str,
}

#[derive(Serialize)]
struct Conclusion<'a> {
    text: String,
    supported: bool,
    lands: Option<&'a str>,
    /// On what grounds something lands, or why nothing does.
    landing: Option<&'a Landing>,
    detail: &'a Verdict,
}

#[derive(Serialize)]
struct Line<'a> {
    /// The variant's key, or `@baseline`, which no key can be.
    contender: &'a Contender,
    name: Option<&'a str>,
    outcome: &'a Outcome,
    criteria: Option<Points>,
    total: Option<f64>,
    metrics: BTreeMap<&'a str, Value>,
    tests: Option<Tests<'a>>,
    /// The gate of the weights that the baseline itself misses.
    #[serde(skip_serializing_if = "Option::is_none")]
    misses_gate: Option<String>,
    change: Option<&'a ChangeSize>,
    commit: Option<&'a str>,
    kept_ref: Option<String>,
    /// What it gained and paid against the baseline, in points of the total.
    against_baseline: Option<Gained>,
}

/// Points of the total, to 0.1, with what brought or cost them.
#[derive(Serialize)]
struct Gained {
    points: f64,
    criteria: BTreeMap<&'static str, Part>,
    text: String,
}

#[derive(Serialize)]
struct Part {
    points: f64,
    figures: Option<String>,
}

/// To 0.1, as the table shows them.
#[derive(Serialize)]
struct Points {
    tests: f64,
    performance: f64,
    simplicity: f64,
}

#[derive(Serialize)]
struct Value {
    value: f64,
    unit: &'static str,
    display: String,
    bound: Option<String>,
    within_bound: Option<bool>,
}

#[derive(Serialize)]
struct Tests<'a> {
    passed: usize,
    counted: usize,
    failed: Vec<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    leaks: &'a [String],
}

#[derive(Serialize)]
struct Spending<'a> {
    spent: Tokens,
    step_cap: Option<Tokens>,
    variant_cap: Option<Tokens>,
    session_cap: Option<Tokens>,
    variants: BTreeMap<&'a str, VariantSpending<'a>>,
    /// By the models' names, as far as requests went through the proxy.
    models: BTreeMap<&'a str, ModelSpending>,
}

#[derive(Serialize)]
struct ModelSpending {
    requests: u64,
    input: Tokens,
    output: Tokens,
    /// Requests of which nobody knows what they used; they are charged all that was reserved.
    charged_in_full: u64,
    /// Requests that used more than was reserved for them.
    bound_violated: u64,
    /// Requests whose reported usage can't be true, charged by what was seen.
    doubted: u64,
    /// At the most, in the prices' currency; null where the model's price is not known.
    cost: Option<f64>,
}

#[derive(Serialize, Default)]
struct VariantSpending<'a> {
    spent: Tokens,
    steps: Vec<StepSpending<'a>>,
}

#[derive(Serialize)]
struct StepSpending<'a> {
    title: Option<&'a str>,
    input: Tokens,
    output: Tokens,
}

#[derive(Serialize)]
struct Time {
    elapsed_seconds: f64,
    estimate_seconds: Option<u64>,
    cap_seconds: Option<u64>,
    measure_cap_seconds: u64,
}

impl<'a> Report<'a> {
    fn of(facts: &'a Facts, board: &'a Scoreboard, prices: &Prices) -> Self {
        let started = &facts.seen.started;
        let budget = &started.plan.budget;
        let reckonings = reckoning::reckon(&started.plan, board, &facts.sizes());
        Self {
            schema_version: 1,
            run: &started.run,
            document: &started.document,
            title: &started.plan.title,
            digest: &started.digest,
            base: &started.base.0,
            target: &started.target,
            seed: started.seed,
            started_at: started.at,
            finished: facts.finished,
            rehearsal: started.rehearsal,
            verdict: Conclusion {
                text: verdict::sentence(&board.verdict, Some(board.blocks)),
                supported: board.verdict.is_supported(),
                lands: board.lands().map(VariantKey::as_str),
                landing: board.landing.as_ref(),
                detail: &board.verdict,
            },
            blocks: board.blocks,
            measured_blocks: board.measured,
            clock_changes: facts.seen.clocks.changes(),
            clocks: facts.seen.clocks.iter().collect(),
            lanes: facts.seen.lanes.as_ref().map(|decision| Measuring {
                cpus: decision.lanes.as_ref().map_or(&[], Lanes::cpus),
                why: &decision.why,
            }),
            rates: facts.seen.rates.values().collect(),
            counts_decide: decide_alone(&started.plan, &started.counts),
            tie_break: &facts.seen.tie_break,
            fresh: &board.fresh,
            unchecked: &started.unchecked,
            rows: board.rows.iter().map(|row| line(facts, board, &reckonings, row)).collect(),
            tokens: spending(facts, prices),
            time: Time {
                elapsed_seconds: facts.elapsed.as_secs_f64(),
                estimate_seconds: budget.time_estimate.map(|t| t.as_secs()),
                cap_seconds: budget.time_cap.map(|t| t.as_secs()),
                measure_cap_seconds: started.measure_budget.as_secs(),
            },
            landed: facts.landed.as_ref().map(|commit| commit.0.as_str()),
            recorded: facts.recorded.as_ref().map(|commit| commit.0.as_str()),
            why_nothing_landed: scoreboard::why_nothing(facts, board),
            open: if facts.scoreboard.is_none() { scoreboard::still_open(facts) } else { Vec::new() },
        }
    }
}

fn line<'a>(facts: &'a Facts, board: &'a Scoreboard, reckonings: &[Reckoning], row: &'a Row) -> Line<'a> {
    let plan = &facts.seen.started.plan;
    let key = row.contender.key();
    let harvest = key.and_then(|key| facts.seen.harvests.get(key));
    let value = |(name, value): (&'a crate::domain::measurement::MetricName, &crate::domain::quantity::Quantity)| {
        let metric = plan.metrics.iter().find(|metric| metric.name == *name);
        let value = Value {
            value: value.value(),
            unit: unit(value.dimension()),
            display: value.to_string(),
            bound: metric.map(|m| m.bound.to_string()),
            within_bound: metric.map(|m| !scoreboard::missed(row, m, board)),
        };
        (name.as_str(), value)
    };
    Line {
        contender: &row.contender,
        name: key.and_then(|key| plan.variant(key.as_str())).map(|v| v.name.as_str()),
        outcome: &row.outcome,
        criteria: row.criteria.map(|c| Points {
            tests: c.tests.shown(),
            performance: c.performance.shown(),
            simplicity: c.simplicity.shown(),
        }),
        total: row.total.map(|t| t.shown()),
        metrics: row.metrics.iter().map(value).collect(),
        tests: facts.seen.tests.get(&row.contender).map(tests),
        misses_gate: (row.contender == Contender::Baseline).then(|| scoreboard::missed_gate(facts)).flatten(),
        change: harvest.map(|(_, size, _)| size),
        commit: match &row.contender {
            Contender::Baseline | Contender::Shadow => Some(&facts.seen.started.base.0),
            Contender::Variant(_) => harvest.map(|(harvest, ..)| harvest.commit.as_str()),
        },
        kept_ref: key.and_then(|key| scoreboard::kept_ref(facts, key)),
        against_baseline: reckonings.iter().find(|one| key == Some(&one.variant)).map(gained),
    }
}

fn gained(one: &Reckoning) -> Gained {
    let tenths = |points: f64| (points * 10.0).round() / 10.0 + 0.0;
    let part = |share: &Share| (share.criterion, Part { points: tenths(share.points), figures: share.figures.clone() });
    Gained { points: tenths(one.points), criteria: one.shares.iter().map(part).collect(), text: one.line() }
}

fn tests(report: &TestReport) -> Tests<'_> {
    Tests { passed: report.passed(), counted: report.counted(), failed: report.failed(), leaks: &report.leaks }
}

/// The base unit that values are given in.
fn unit(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Time => "s",
        Dimension::Rate => "1/s",
        Dimension::Bytes => "B",
        Dimension::Percent => "%",
        Dimension::Count => "1",
    }
}

fn spending<'a>(facts: &'a Facts, prices: &Prices) -> Spending<'a> {
    let plan = &facts.seen.started.plan;
    let mut spent = Tokens::ZERO;
    let mut variants: BTreeMap<&str, VariantSpending<'_>> = BTreeMap::new();
    for ((key, at), usage) in facts.usage() {
        let Some(variant) = plan.variant(key.as_str()) else { continue };
        let known = variants.entry(variant.key.as_str()).or_default();
        known.spent = known.spent.saturating_add(usage.total());
        spent = spent.saturating_add(usage.total());
        let title = plan.items_of(&variant.key).nth(at).map(|item| item.title.as_str());
        known.steps.push(StepSpending { title, input: usage.input, output: usage.output });
    }
    let model = |name: &str, calls: StepCalls| ModelSpending {
        cost: prices.of(name).map(|price| price.of(calls.usage).units()),
        requests: calls.calls,
        input: calls.usage.input,
        output: calls.usage.output,
        charged_in_full: calls.in_full,
        bound_violated: calls.violated,
        doubted: calls.doubted,
    };
    Spending {
        spent,
        step_cap: plan.budget.step_tokens,
        variant_cap: plan.budget.variant_tokens,
        session_cap: plan.budget.session_tokens,
        variants,
        models: facts.calls.by_model().into_iter().map(|(name, calls)| (name, model(name, calls))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures;
    use super::*;

    #[test]
    fn programs_get_everything_that_decided() {
        let facts = fixtures::finished();
        insta::assert_snapshot!(json(&facts, facts.scoreboard.as_ref().unwrap(), &Prices::default()));
    }

    #[test]
    fn tokens_are_counted_over_all_steps_and_without_any_are_nothing() {
        let facts = fixtures::finished();
        let board = facts.scoreboard.clone().unwrap();
        let read = |facts: &Facts| {
            serde_json::from_str::<serde_json::Value>(&json(facts, &board, &Prices::default())).unwrap()
        };
        assert_eq!(read(&facts)["tokens"]["spent"].as_u64(), Some(4_000));
        assert_eq!(read(&fixtures::started())["tokens"]["spent"].as_u64(), Some(0));
    }
}
