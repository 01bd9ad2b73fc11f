//! What a reviewer of a plan should know before approving it, a sentence each.

use std::collections::BTreeSet;

use crate::adapters::process::Egress;
use crate::domain::estimate::DECIDING;
use crate::domain::instructions;
use crate::domain::measurement::Unchecked;
use crate::domain::plan::{Status, globs};
use crate::domain::quantity::show_duration;
use crate::engine::before::known::{Known, Reach};

/// CPUs below which the plan points out that measuring shares them.
const FEW_CPUS: usize = 4;

/// The risks of what is known of a run.
pub(in crate::engine) fn risks(known: &Known<'_>) -> Vec<String> {
    let plan = known.plan;
    let mut risks = Vec::new();
    let mut risk = |holds: bool, text: String| {
        if holds {
            risks.push(text);
        }
    };
    let ended = matches!(plan.status, Status::Completed | Status::Failed);
    risk(
        !known.approved && ended,
        format!("its status is `{}`: `blueprint run` carries it out again only with `--again`", plan.status),
    );
    risk(!known.approved && !ended, "not approved: `blueprint run` will not run it".to_owned());
    let shared = "`sandbox.network` is `shared`: agents and judged code reach what this machine reaches".to_owned();
    risk(
        known.sandbox.is_none(),
        "no sandbox: agents and judged code run with your permissions on this machine".to_owned(),
    );
    risk(known.sandbox == Some(&Egress::All), shared);
    if let (true, Err(refusal)) = (known.lanes_asked, &known.lanes) {
        risk(true, format!("the lanes that blueprint.yaml asks for can't be had, so `run` refuses: {refusal}"));
    }
    of_landing(known, &mut risk);
    risk(known.judge_unfinished, "a variant may land of which work items were not carried out".to_owned());
    of_files(known, &mut risk);
    let missing = &known.environment.missing;
    risk(!missing.is_empty(), format!("to be passed on, and not set here: {}", missing.join(", ")));
    if let Some(estimate) = known.estimate.as_ref().filter(|estimate| estimate.blocks < DECIDING) {
        risk(
            true,
            format!(
                "the time for measuring is enough for {} blocks after the warm-up, and {DECIDING} are the fewest that \
                 can decide: {} are needed",
                estimate.blocks,
                show_duration(estimate.needed())
            ),
        );
    }
    for (missed, from) in known.estimate.iter().flat_map(|e| e.misses.iter().map(move |missed| (missed, &e.from))) {
        risk(true, format!("the baseline itself misses a gate (run {from}): {missed}"));
    }
    risk(plan.budget.time_cap.is_none(), "no time cap: only measuring ends by itself".to_owned());
    let capped = plan.budget.step_tokens.or(plan.budget.variant_tokens).or(plan.budget.session_tokens).is_some();
    let uses_models = *known.models != Reach::None;
    risk(uses_models && plan.budget.session_tokens.is_none(), "no token cap for the session".to_owned());
    if let Reach::Missing(why) = known.models {
        risk(true, format!("the agent can't reach its models, so `run` refuses: {why}"));
    }
    of_caps(known, &mut risk);
    risk(
        capped && *known.models == Reach::Unseen,
        "token caps rest on what the agent says of itself: blueprint.yaml has no `models` to send its requests to"
            .to_owned(),
    );
    risk(
        !plan.metrics.is_empty() && known.cpus < FEW_CPUS,
        format!("measures on {} CPUs: other work on this machine shows in the values", known.cpus),
    );
    risk(
        instructions::decide_alone(plan, known.counts),
        "a count decides Performance, not a time: instructions say nothing of waiting, caches or parallel work"
            .to_owned(),
    );
    if let Some(unchecked) = Unchecked::sentence(known.unchecked) {
        risk(true, unchecked);
    }
    risk(plan.variants.len() == 1, "one variant: it only has to keep its bounds and beat the baseline".to_owned());
    risk(plan.metrics.is_empty(), "no metric: tests and simplicity alone decide".to_owned());
    risks
}

/// Caps below what the agent's client needs for one useful request.
fn of_caps(known: &Known<'_>, risk: &mut impl FnMut(bool, String)) {
    let (Some(needs), Reach::Through(_)) = (known.needs, known.models) else { return };
    let budget = &known.plan.budget;
    let caps = [("step", budget.step_tokens), ("variant", budget.variant_tokens), ("session", budget.session_tokens)];
    for (scope, cap) in caps.into_iter().filter_map(|(scope, cap)| Some((scope, cap?))) {
        risk(
            cap < needs,
            format!(
                "a {scope} may use {cap} tokens, and the agent needs up to {needs} for its first request and one useful \
                 answer: it would be refused at once or soon"
            ),
        );
    }
}

/// What landing does to the repository and leaves out.
fn of_landing(known: &Known<'_>, risk: &mut impl FnMut(bool, String)) {
    risk(known.merge && known.checked_out, format!("merges into `{}`, which is checked out", known.target));
    if let (true, false, [_, ..]) = (known.merge, known.hooks, known.customs.hooks.as_slice()) {
        let hooks = known.customs.hooks.join(", ");
        risk(true, format!("hooks are not run on what lands: {hooks} (`land: {{hooks: run}}` runs them)"));
    }
    if let (true, false, Some(format)) = (known.merge, known.sign, &known.customs.signs) {
        risk(
            true,
            format!("commits are not signed, though git is set to sign ({format}); `land: {{sign: auto}}` signs"),
        );
    }
}

/// What variants may write that judges them, and what they may write in vain.
fn of_files(known: &Known<'_>, risk: &mut impl FnMut(bool, String)) {
    let (restored, harness) = (restored(known), harness(known));
    risk(
        !restored.is_empty(),
        format!(
            "under Files, and restored from the base before judging: {}; what variants do there neither counts nor is tested",
            restored.join(", ")
        ),
    );
    risk(
        !harness.is_empty(),
        format!(
            "variants may change what tests or measures them: {}; take it out of Files, or name it under `protect`",
            harness.join(", ")
        ),
    );
    risk(
        !known.trust.is_empty(),
        format!("variants may change what they are judged by (`judge.trust`): {}", known.trust.join(", ")),
    );
    risk(known.contestants_write_tests, "contestants may write tests that judge them".to_owned());
}

/// Patterns under Files that lie wholly in what is restored from the base.
fn restored(known: &Known<'_>) -> Vec<String> {
    let protected = globs(known.protect);
    // Any file that the pattern allows stands for all of them: what comes before its first wildcard decides.
    let example = |pattern: &str| match pattern.find(['*', '?', '[', '{']) {
        Some(at) => format!("{}x", &pattern[..pattern[..at].rfind('/').map_or(0, |slash| slash + 1)]),
        None => pattern.to_owned(),
    };
    let files = known.plan.work_items.iter().flat_map(|item| &item.files).map(|file| file.as_str());
    let restored: BTreeSet<_> = files.filter(|file| protected.is_match(example(file))).collect();
    restored.into_iter().map(|file| format!("`{file}`")).collect()
}

/// Files that variants may change and that say what a test is, or whose word is taken for a metric's value.
fn harness(known: &Known<'_>) -> Vec<String> {
    let protected = globs(known.protect);
    let files = known.plan.work_items.iter().flat_map(|item| &item.files).map(|file| file.as_str().to_owned());
    let allowed = globs(&files.collect::<Vec<_>>());
    let open = known.harness.iter().filter(|(_, file)| allowed.is_match(file) && !protected.is_match(file));
    open.map(|(what, file)| format!("`{file}` ({what})")).collect()
}
