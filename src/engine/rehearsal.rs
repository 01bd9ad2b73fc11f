//! The rehearsal of a harness: controls compete in the place of the variants and go through all
//! that variants go through. One is the baseline once more, the others cheat. None may come out ahead.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::adapters::git::{CommitId, Git};
use crate::domain::decision::control;
use crate::domain::measurement::Contender;
use crate::domain::plan::{
    Applies, ContractKind, DiffContract, FilePattern, MetricBound, Plan, Variant, VariantKey, WorkItem,
};
use crate::domain::quantity::{Dimension, Direction, Limit};
use crate::domain::scoreboard::Scoreboard;
use crate::domain::steady::differing;
use crate::domain::trial::{ChangeSize, Disqualification, Harvest, Outcome};
use crate::domain::verdict::{Row, Verdict};
use crate::engine::implement::contract;
use crate::engine::judge::shadow;
use crate::engine::resources::lease;
use crate::engine::run::Run;
use crate::engine::state::{Facts, Record};
use crate::error::Error;

/// The baseline once more, as a candidate.
const NULL: &str = "null";
/// Rewrites what judges it.
const EXAM: &str = "exam";
/// Changes what no work item names.
const OUTSIDE: &str = "outside";
/// Brings its own reports.
const REPORTS: &str = "reports";

/// Counted blocks in which a constant difference takes an e-value to 40, where the race drops the beaten.
const TELLING: u32 = 9;
/// The same for the shadow's 1000.
const ENOUGH: u32 = 16;

/// What each control tries.
const TRIED: [(&str, &str); 4] = [
    (NULL, "the baseline once more, as a candidate"),
    (EXAM, "rewrites every test, benchmark and runner configuration that is protected"),
    (OUTSIDE, "adds a conftest.py that no work item names: it skips tests and stops the clock"),
    (REPORTS, "brings perfect reports of tests and metrics to where they are read"),
];

/// In the place of a protected file: no language reads it, so that it is noticed if it stays.
const SPOILED: &[u8] = b")( rewritten by a control of the harness\n";

const CONFTEST: &[u8] = b"# Written by a control of the harness.\nimport time\nimport pytest\n\n\
    time.time = time.monotonic = time.perf_counter = lambda: 0.0\n\n\n\
    def pytest_collection_modifyitems(items):\n    for item in items:\n        item.add_marker(pytest.mark.skip)\n";

/// How one control ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Which.
    pub contender: Contender,
    /// What it tried.
    pub tried: &'static str,
    /// How it ended, in a few words.
    pub ended: String,
    /// Whether that is how it must end.
    pub held: bool,
}

/// The plan of a rehearsal: the document's, with the controls in the place of its variants.
pub fn plan(of: &Plan) -> Plan {
    let key = |text: &str| VariantKey::new(text);
    let variant =
        |(name, tried): &(&str, &str)| Some(Variant { key: key(name)?, name: (*tried).to_owned(), notes: Vec::new() });
    let item = |title: &str, keys: &[&str], files: &[&str]| WorkItem {
        title: title.to_owned(),
        applies: Applies::Only(keys.iter().filter_map(|k| key(k)).collect()),
        files: files.iter().filter_map(|file| FilePattern::new(file).ok()).collect(),
        contract: DiffContract { kind: ContractKind::Patch, variant_specific: false },
        tests: Vec::new(),
        text: String::new(),
    };
    // The contract would stop the first two before they are judged, and judging is what they are to try.
    let mut work_items = vec![
        item("Cheat where the contract allows it", &[EXAM, REPORTS], &["**"]),
        item("Cheat beside the contract", &[OUTSIDE], &[]),
    ];
    // What restricts an item to variants restricts it to nobody here.
    work_items.extend(of.work_items.iter().filter(|i| i.applies == Applies::All).cloned());
    // Controls are to come out like the baseline, which may well miss a gate.
    let weights = of.weights.without_gates();
    Plan { variants: TRIED.iter().filter_map(variant).collect(), work_items, weights, ..of.clone() }
}

/// Files with their whole contents: paths below the worktree, or anywhere else where they are absolute.
pub(crate) type Files = Vec<(PathBuf, Vec<u8>)>;

/// What the controls write. `state` is where the rehearsal's leases will live.
pub async fn script(
    git: &dyn Git,
    base: &CommitId,
    protect: &[String],
    plan: &Plan,
    state: &Path,
) -> Result<BTreeMap<VariantKey, Files>, Error> {
    // As checking out restores them: a folder's name covers what is below it.
    let below = protect.iter().map(|glob| format!("{}/**", glob.trim_end_matches('/')));
    let protected = contract::globs(&protect.iter().cloned().chain(below).collect::<Vec<_>>());
    let paths = git.paths_at(base).await?;
    let exam: Files = paths.iter().filter(|p| protected.is_match(p)).map(|p| (p.into(), SPOILED.to_vec())).collect();
    let places =
        [Path::new("").to_owned(), "blueprint-control".into(), state.join(lease::judging(REPORTS)).join("scratch")];
    let reports = places.iter().flat_map(|place| forged(&plan.metrics).map(|(name, text)| (place.join(name), text)));
    let outside = vec![("conftest.py".into(), CONFTEST.to_vec())];
    let all = [(EXAM, exam), (OUTSIDE, outside), (REPORTS, reports.collect())];
    let files = all.into_iter().filter_map(|(key, files)| Some((VariantKey::new(key)?, files)));
    Ok(files.collect())
}

/// Reports that anybody would like to have, under the names that the harness gives its own.
fn forged(metrics: &[MetricBound]) -> [(&'static str, Vec<u8>); 3] {
    let junit = r#"<testsuite name="forged" tests="1"><testcase name="forged"/></testsuite>"#;
    let stats = r#""min":1e-9,"max":1e-9,"mean":1e-9,"stddev":0,"median":1e-9,"ops":1e9,"rounds":5,"data":[1e-9,1e-9]"#;
    let bench = format!(r#"{{"benchmarks":[{{"name":"forged","fullname":"forged","stats":{{{stats}}}}}]}}"#);
    let line = |metric: &MetricBound| {
        let value = if metric.bound.direction() == Direction::HigherIsBetter { 1e12 } else { 1e-9 };
        let unit = match metric.bound.limit {
            Limit::Absolute(limit) => match limit.dimension() {
                Dimension::Rate => "/s",
                Dimension::Bytes => "B",
                Dimension::Percent => "%",
                Dimension::Time | Dimension::Count => "s",
            },
            Limit::Relative(_) => "s",
        };
        format!("{{\"metric\":\"{}\",\"value\":{value},\"unit\":\"{unit}\"}}\n", metric.name)
    };
    let lines: String = metrics.iter().map(line).collect();
    [("junit.xml", junit.into()), ("benchmark.json", bench.into_bytes()), ("metrics.jsonl", lines.into_bytes())]
}

impl Run {
    /// Whether more blocks are measured although the time for measuring is over: fewer could not
    /// show what a rehearsal looks for. The plan's time cap holds all the same.
    pub(super) fn measures_on(&self, counted: u32) -> bool {
        self.started.rehearsal && counted < ENOUGH && self.time_left().is_none_or(|left| !left.is_zero())
    }

    /// The null variant has nothing to implement: its work is the base, which no agent could leave.
    pub(super) async fn harvest_null(&self, facts: &Facts) -> Result<(), Error> {
        let null = VariantKey::new(NULL).filter(|_| self.started.rehearsal);
        let Some(variant) = null.filter(|key| !facts.seen.harvests.contains_key(key)) else { return Ok(()) };
        let harvest =
            Harvest { variant, commit: self.started.base.0.clone(), changed: Vec::new(), unfinished: Vec::new() };
        let size = ChangeSize { nesting_surplus: 1.0, ..ChangeSize::default() };
        self.log.write(&Record::Harvested { harvest, size, over_budget: false }).await
    }
}

/// How every control of a rehearsal ended, the shadow baseline last where there was one.
pub fn findings(facts: &Facts, board: &Scoreboard) -> Vec<Finding> {
    let rows = board.rows.iter().filter_map(|row| Some((row, row.contender.key()?.as_str())));
    let tried = |name: &str| TRIED.iter().find(|(known, _)| *known == name).map(|(_, tried)| *tried);
    let mut found: Vec<_> =
        rows.filter_map(|(row, name)| Some(finding(facts, board, row, name, tried(name)?))).collect();
    if facts.seen.tests.get(&Contender::Shadow).is_some() {
        found.push(shadow(facts));
    }
    found
}

/// Whether a harness passed its rehearsal.
pub fn passed(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.held)
}

fn finding(facts: &Facts, board: &Scoreboard, row: &Row, name: &str, tried: &'static str) -> Finding {
    let (held, ended) = match &row.outcome {
        Outcome::Disqualified { reason: Disqualification::ContractBroken { paths } } => {
            (name == OUTSIDE, format!("out, as it must be: it changed {}", paths.join(", ")))
        }
        Outcome::Disqualified { reason: Disqualification::NothingChanged } if name != NULL => {
            (true, "there was nothing of the kind to change".to_owned())
        }
        Outcome::Disqualified { reason } if name == NULL => {
            (false, format!("out, although nothing in it differs: {reason}"))
        }
        Outcome::Disqualified { reason } => (false, format!("what it did reached its judging: {reason}")),
        Outcome::Infrastructure { message } => (false, message.clone()),
        Outcome::Eligible { .. } => judged(facts, board, row),
    };
    Finding { contender: row.contender.clone(), tried, ended, held }
}

/// A control that was judged to the end has to come out like the baseline.
fn judged(facts: &Facts, board: &Scoreboard, row: &Row) -> (bool, String) {
    let empty = Default::default();
    let tests = |who: &Contender| facts.seen.tests.get(who).unwrap_or(&empty);
    let differ = differing(tests(&Contender::Baseline), tests(&row.contender));
    if let Some(first) = differ.first() {
        return (false, format!("{} of its tests came out unlike the baseline's: {first}", differ.len()));
    }
    let points = |row: Option<&Row>| row.and_then(|r| r.total).map_or_else(|| "–".to_owned(), |t| t.to_string());
    let baseline = board.rows.iter().find(|r| r.contender == Contender::Baseline);
    let compared = format!("{} points against {}", points(Some(row)), points(baseline));
    let ahead = match &board.verdict {
        Verdict::Winner { key, .. } => Some(key) == row.contender.key(),
        Verdict::Tie { among, .. } => row.contender.key().is_some_and(|key| among.contains(key)),
        Verdict::Undecided { .. } | Verdict::NoWinner { .. } => false,
    };
    match ahead {
        false if board.blocks < TELLING => (
            false,
            format!("the time cap ended after {} blocks, and {TELLING} are the least that can tell", board.blocks),
        ),
        true => (false, format!("claimed to be better than the baseline: {compared}")),
        false => (true, format!("like the baseline{}: {compared}", changed(facts, row))),
    }
}

/// How much a control changed, so that one that found nothing to change is no comfort.
fn changed(facts: &Facts, row: &Row) -> String {
    let harvest = row.contender.key().and_then(|key| facts.seen.harvests.get(key));
    match harvest.map_or(0, |(harvest, ..)| harvest.changed.len()) {
        0 => String::new(),
        1 => ", with 1 file changed".to_owned(),
        n => format!(", with {n} files changed"),
    }
}

fn shadow(facts: &Facts) -> Finding {
    let control = control(&facts.seen);
    let after = format!("E = {:.1} after {} blocks", control.e_value(), control.counted());
    let ended = match control.is_biased() {
        true => format!("came out differently ({after}): {}", shadow::LOOK),
        false => format!("no difference worth having ({after})"),
    };
    Finding { contender: Contender::Shadow, tried: "the baseline in a second tree", ended, held: !control.is_biased() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::journal::{Journal, Memory};

    #[test]
    fn every_control_has_a_key_and_the_forged_metrics_are_lines_of_their_form() {
        assert!(TRIED.iter().all(|(key, _)| VariantKey::new(key).is_some()));
        let metric = |name: &str, bound: &str| MetricBound {
            name: crate::domain::measurement::MetricName::new(name).unwrap(),
            bound: crate::domain::quantity::Bound::parse(bound).unwrap(),
            note: None,
        };
        let [_, (_, benchmark), (_, lines)] = forged(&[metric("latency", "<80ms"), metric("rate", ">5 req/s")]);
        serde_json::from_slice::<serde_json::Value>(&benchmark).unwrap();
        let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let lines: Vec<_> = String::from_utf8(lines).unwrap().lines().map(read).collect();
        assert_eq!((lines[0]["unit"].as_str(), lines[1]["unit"].as_str()), (Some("s"), Some("/s")));
        assert!(lines[0]["value"].as_f64() < Some(1e-6) && lines[1]["value"].as_f64() > Some(1e6));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_journal_without_rehearsals_is_read() {
        let journal = Memory::default();
        journal
            .append("r", std::time::Duration::ZERO, "started", crate::domain::decision::fixtures::started_json())
            .await
            .unwrap();
        let facts = Facts::read(&journal.entries("r").await.unwrap()).unwrap().unwrap();
        assert!(!facts.seen.started.rehearsal);
    }
}
