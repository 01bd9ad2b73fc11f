//! Weights, and what the Results table says of itself.

use std::ops::Range;

use super::entries::{Entry, entries, item_text};
use super::outline::{Outline, SectionName};
use super::table::{Column, Table};
use super::text;
use crate::domain::diagnostic::{Code, Diagnostic, suggestion};
use crate::domain::plan::{EvaluationTest, MetricBound};
use crate::domain::quantity::{Dimension, Quantity, QuantityError};
use crate::domain::score::Points;
use crate::domain::weights::{Weight, Weights};

const CRITERIA: [&str; 3] = ["tests", "performance", "simplicity"];

/// One line of the weights.
struct Line {
    weight: Weight,
    span: Range<usize>,
    /// Without `%`: a share of 1 where all are.
    plain: bool,
}

/// The weights; findings where they are missing, can't be read or do not sum to 100 %.
pub(super) fn weights(
    text: &str,
    outline: &Outline,
    (tests, metrics): (&[EvaluationTest], &[MetricBound]),
    found: &mut Vec<Diagnostic>,
) -> Weights {
    let mut lines: [Option<Line>; 3] = [None, None, None];
    let section = outline.section(SectionName::Scoring);
    let at = section.map_or(outline.title.clone().unwrap_or(0..0), |s| text::trim(text, s.heading.clone()));
    let before = found.len();
    let mut last = at.clone();
    for span in weight_lines(text, outline) {
        last = span.clone();
        if let Err(finding) = weight(text, span, &mut lines) {
            found.push(*finding);
        }
    }
    shares(&mut lines);
    if found.len() == before {
        if lines.iter().all(Option::is_none) {
            let finding = Diagnostic::new(Code::Weights, at, "there are no scoring weights")
                .help("add `### Weights` to the section Competition Scoring, with `- Tests: 50%`, `- Performance: 30%`, `- Simplicity: 20%`");
            found.push(finding);
        } else {
            found.extend(sum(&lines, last));
        }
    }
    for (name, line) in CRITERIA.iter().zip(&lines) {
        found.extend(line.as_ref().and_then(|line| note(name, line, tests, metrics)));
    }
    let [tests, performance, simplicity] =
        lines.map(|line| line.map_or_else(|| Weight::new(0.0, None), |line| line.weight));
    Weights { tests, performance, simplicity }
}

fn total(lines: &[Option<Line>; 3]) -> f64 {
    lines.iter().flatten().map(|line| line.weight.percent).sum()
}

/// Weights of which none is a percentage and that sum to 1 are shares of it.
fn shares(lines: &mut [Option<Line>; 3]) {
    if lines.iter().flatten().all(|line| line.plain) && (total(lines) - 1.0).abs() < 1e-9 {
        for line in lines.iter_mut().flatten() {
            line.weight.percent = tidy(line.weight.percent * 100.0);
        }
    }
}

/// A finding where the weights do not sum to 100 %.
fn sum(lines: &[Option<Line>; 3], at: Range<usize>) -> Option<Diagnostic> {
    let sum = total(lines);
    if (sum - 100.0).abs() <= 1e-9 {
        return None;
    }
    let plain = lines.iter().flatten().filter(|line| line.plain);
    if plain.clone().any(|line| line.weight.percent < 1.0 && line.weight.percent > 0.0) {
        let message = if plain.count() == lines.iter().flatten().count() {
            format!("scoring weights sum to {}, which is neither 1 nor 100 %", tidy(sum))
        } else {
            "some scoring weights are percentages, and others are shares of 1".to_owned()
        };
        return Some(Diagnostic::new(Code::WeightSum, at, message).help("write all of them with `%`, 100 % together"));
    }
    let (verb, much, where_to) = if sum < 100.0 { ("add", 100.0 - sum, "to") } else { ("take", sum - 100.0, "from") };
    let finding = Diagnostic::new(Code::WeightSum, at, format!("scoring weights sum to {} %, not 100 %", tidy(sum)));
    Some(finding.help(format!("{verb} {} % {where_to} a criterion", tidy(much))))
}

/// What there is to say of a note: that it demands what no test can miss, chooses no metric, or does nothing.
fn note(criterion: &str, line: &Line, tests: &[EvaluationTest], metrics: &[MetricBound]) -> Option<Diagnostic> {
    let (note, span) = (line.weight.note.as_ref()?, line.span.clone());
    if let Some(gate) = line.weight.gate {
        let idle = !tests.iter().any(|test| gate.covers(test.text()));
        return (idle && !tests.is_empty()).then(|| {
            let message = format!("`{note}` is demanded, and no line of the tests says performance, load or benchmark");
            Diagnostic::new(Code::IdleGate, span, message)
                .help("it covers what lies in a folder of such a name; for every test, write `must pass all tests`")
        });
    }
    if criterion != CRITERIA[1] {
        let message = format!("the note `{note}` is prose: nothing is decided by it");
        let finding = Diagnostic::new(Code::ProseNote, span, message);
        return Some(
            finding.help("`must pass all tests` puts out whoever fails one; the note of Performance chooses metrics"),
        );
    }
    (!metrics.is_empty() && !names_a_metric(note, metrics)).then(|| {
        let names: Vec<_> = metrics.iter().map(|m| m.name.as_str()).collect();
        let message = format!("the note `{note}` matches no metric, so all metrics count");
        Diagnostic::new(Code::NoteMatchesNothing, span, message)
            .help(format!("use words of the metrics' names: {}", names.join(", ")))
    })
}

/// A number without a needless fraction.
fn tidy(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

fn names_a_metric(note: &str, metrics: &[MetricBound]) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
    };
    let wanted = words(note);
    metrics.iter().any(|metric| words(metric.name.as_str()).iter().any(|part| wanted.contains(part)))
}

/// The lines under the heading or the field `Weights`.
fn weight_lines(text: &str, outline: &Outline) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    for group in outline.section(SectionName::Scoring).map(|s| s.groups()).unwrap_or_default() {
        // What the tool rewrites is not part of what was approved, so nothing is read from it.
        if group.is_named(text, "results") {
            continue;
        }
        let named = group.is_named(text, "weights");
        for entry in entries(text, group.blocks) {
            match entry {
                Entry::Item(item) if named => lines.push(item_text(text, item)),
                Entry::Field(field) => match text::normal(&text[field.name.clone()]).as_str() {
                    "weights" => lines.extend(field.items.iter().map(|item| item_text(text, item.clone()))),
                    name if named && CRITERIA.contains(&name) => {
                        lines.push(text::line_start(text, field.name.start)..field.value.end);
                    }
                    _ => {}
                },
                _ => {}
            }
        }
    }
    lines
}

fn weight(text: &str, span: Range<usize>, lines: &mut [Option<Line>; 3]) -> Result<(), Box<Diagnostic>> {
    let refuse = |message: String| {
        Box::new(
            Diagnostic::new(Code::Weights, span.clone(), message)
                .help("write `Tests: 50%`, `Performance: 30% (p95 latency)` and `Simplicity: 20%`"),
        )
    };
    let written = &text[span.clone()];
    let (key, value) =
        text::key_value(text, span.clone()).ok_or_else(|| refuse(format!("`{written}` is no weight")))?;
    let name = text::normal(&text[key]);
    let Some(at) = CRITERIA.iter().position(|c| *c == name) else {
        return Err(refuse(format!("unknown criterion `{name}`{}", suggestion(&name, CRITERIA))));
    };
    let (number, note) = text::note(text, value);
    let no_share = || format!("`{}` is not a percentage from 0 to 100", &text[number.clone()]);
    let quantity = Quantity::parse(&text[number.clone()]).map_err(|error| match error {
        QuantityError::Separator { .. } => refuse(error.to_string()),
        _ => refuse(no_share()),
    })?;
    let known = matches!(quantity.dimension(), Dimension::Percent | Dimension::Count);
    if !known || !(0.0..=100.0).contains(&quantity.value()) {
        return Err(refuse(no_share()));
    }
    if let Some(Line { span: first, .. }) = &lines[at] {
        return Err(Box::new((*refuse(format!("duplicate weight of `{name}`"))).also(first.clone(), "first here")));
    }
    let weight = Weight::new(quantity.value(), note.map(|n| text[n].to_owned()));
    lines[at] = Some(Line { weight, span: span.clone(), plain: quantity.dimension() == Dimension::Count });
    Ok(())
}

/// Totals that are not the weighted sum of their row, and more than one winner.
pub(super) fn table(text: &str, table: &Table, weights: &Weights, found: &mut Vec<Diagnostic>) {
    let shares = [&weights.tests, &weights.performance, &weights.simplicity].map(|w| w.percent);
    let mut winners: Vec<Range<usize>> = Vec::new();
    for row in &table.rows {
        let cell = |column| table.cell(text, row.clone(), column);
        let number = |column| {
            let cell = cell(column)?;
            Quantity::parse(&text[text::unquote(text, cell.clone())]).ok().map(|q| (q.value(), cell))
        };
        if let Some(mark) = cell(Column::Winner).filter(|mark| !text::says_nothing(&text[mark.clone()])) {
            winners.push(mark);
        }
        let criteria = [Column::Tests, Column::Performance, Column::Simplicity].map(number);
        let ([Some((tests, _)), Some((performance, _)), Some((simplicity, _))], Some((total, place))) =
            (criteria, number(Column::Total))
        else {
            continue;
        };
        let sum: f64 = shares.iter().zip([tests, performance, simplicity]).map(|(w, c)| w * c).sum::<f64>() / 100.0;
        // Half a step of what is shown, for sums that were rounded either way.
        if (total - sum).abs() > 0.05 + 1e-9 {
            let key = table.key(text, row.clone()).unwrap_or("this row");
            let shown = Points::new(sum).unwrap_or_default();
            let [t, p, s] = shares;
            let finding = Diagnostic::new(
                Code::Total,
                place.clone(),
                format!("the Total of {key} is {}, and the weighted sum is {}", &text[place.clone()], tidy(sum)),
            )
            .says(format!("{t} % × {tests} + {p} % × {performance} + {s} % × {simplicity} = {}", tidy(sum)))
            .help("`blueprint check --fix` writes the sum; a run writes the whole table anew")
            .fixed_by(format!("write {shown}"), vec![(place, shown.to_string())]);
            found.push(finding);
        }
    }
    if let [first, second, ..] = winners.as_slice() {
        let finding =
            Diagnostic::new(Code::Winners, second.clone(), format!("{} rows bear a winner's mark", winners.len()))
                .also(first.clone(), "first here")
                .help("one variant wins; a run writes the mark anew");
        found.push(finding);
    }
}
