//! The prompt: `templates/prompt.md` filled from the plan, and for the built-in agent how to work,
//! `templates/agent.md`. Pure; the same task gives the same text.

use super::Task;
use crate::domain::plan::{ContractKind, DiffContract, EvaluationTest};
use crate::domain::quantity::{Dimension, Quantity};
use crate::domain::weights::Weight;

const TASK: &str = include_str!("../../../templates/prompt.md");
const SYSTEM: &str = include_str!("../../../templates/agent.md");

/// What an agent is told about its step.
pub fn prompt(task: &Task<'_>) -> String {
    filled(TASK, task)
}

/// What the built-in agent is told about its work, whatever the step is.
pub(super) fn system(task: &Task<'_>) -> String {
    filled(SYSTEM, task)
}

fn filled(template: &str, task: &Task<'_>) -> String {
    // A program can't be given an argument that holds a zero byte.
    fill(template, |name| value(task, name)).replace('\0', "\u{fffd}")
}

/// Replaces each `{{name}}` once; what a value holds is not looked at again, and a name that
/// nobody knows stays as it is.
fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        match after.split_once("}}").and_then(|(name, behind)| Some((value(name)?, behind))) {
            Some((text, behind)) => {
                out.push_str(&text);
                rest = behind;
            }
            None => {
                out.push_str("{{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn value(task: &Task<'_>, name: &str) -> Option<String> {
    let Task { plan, variant, item, .. } = task;
    Some(match name {
        "title" => plan.title.clone(),
        "goal" => or_none(plan.goal.trim()),
        "assumptions" => bullets(&plan.assumptions),
        "questions" => bullets(plan.questions.iter().map(|question| match &question.default {
            Some(answer) => format!("{} {answer}", question.text),
            None => format!("{} (open: decide, and keep it simple)", question.text),
        })),
        "variant" => variant.key.to_string(),
        "name" => variant.name.clone(),
        "notes" => bullets(&variant.notes),
        "item" => item.title.clone(),
        "step" => (task.step + 1).to_string(),
        "steps" => plan.items_of(&variant.key).count().to_string(),
        "text" => or_none(item.text.trim()),
        "files" => bullets(item.files.iter().map(|file| file.as_str())),
        "contract" => contract(item.contract),
        "tests" => bullets(plan.tests.iter().map(EvaluationTest::text).chain(item.tests.iter().map(String::as_str))),
        "metrics" => bullets(plan.metrics.iter().map(|metric| {
            let note = metric.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
            format!("{}: {}{note}", metric.name, metric.bound)
        })),
        "weights" => {
            let weights = &plan.weights;
            let parts =
                [("tests", &weights.tests), ("performance", &weights.performance), ("simplicity", &weights.simplicity)];
            parts.map(|(name, weight)| weighed(name, weight)).join(", ")
        }
        "budget" => budget(task),
        "correction" => task.correction.map(correction).unwrap_or_default(),
        _ => return None,
    })
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "Nothing besides its title.".to_owned() } else { text.to_owned() }
}

fn bullets<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let lines: Vec<_> = items.into_iter().map(|item| format!("- {}", item.as_ref())).collect();
    if lines.is_empty() { "- none".to_owned() } else { lines.join("\n") }
}

fn contract(contract: DiffContract) -> String {
    let kind = match contract.kind {
        ContractKind::Patch => "They may be changed, and added where they do not exist.",
        ContractKind::NewFile => "They must be new files; nothing that exists may change.",
    };
    let specific = if contract.variant_specific { " What they hold differs from variant to variant." } else { "" };
    format!("{kind}{specific}")
}

fn weighed(name: &str, weight: &Weight) -> String {
    let note = weight.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    format!("{name} {} %{note}", weight.percent)
}

/// A section of its own, with the empty line that parts it from the next.
fn correction(why: &str) -> String {
    format!(
        "## To be put right\n\nThis work item was carried out before, and what came of it can't stand:\n\n{}\n\n\
         What was done is still in the working directory. Put it right; keep what is good.\n\n",
        why.trim()
    )
}

fn budget(task: &Task<'_>) -> String {
    let tokens = task.tokens.map(|tokens| format!("{tokens} tokens for this step; at more than that you are stopped."));
    let time = task.time.and_then(|time| Quantity::new(time.as_secs_f64().floor(), Dimension::Time));
    let time = time.map(|time| format!("{time} for this step; after that you are stopped."));
    let caps: Vec<_> = tokens.into_iter().chain(time).collect();
    if caps.is_empty() { "No cap on tokens or time.".to_owned() } else { bullets(caps) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_nobody_knows_stays_and_a_value_is_not_read_again() {
        let value = |name: &str| (name == "a").then(|| "{{b}} {{a}}".to_owned());
        assert_eq!(fill("{{a}} {{b}} {{ }} {{a", value), "{{b}} {{a}} {{b}} {{ }} {{a");
    }
}
