//! Weights, and what the Results table says of itself.

use std::ops::Range;

use super::entries::{Entry, entries, item_text};
use super::outline::{Outline, SectionName};
use super::table::{Column, Table};
use super::text;
use crate::domain::diagnostic::{Code, Diagnostic, suggestion};
use crate::domain::plan::{MetricBound, Weight, Weights};
use crate::domain::quantity::{Dimension, Quantity};
use crate::domain::score::Points;

const CRITERIA: [&str; 3] = ["tests", "performance", "simplicity"];

/// One line of the weights.
type Line = (Weight, Range<usize>);

/// The weights; findings where they are missing, can't be read or do not sum to 100 %.
pub(super) fn weights(text: &str, outline: &Outline, metrics: &[MetricBound], found: &mut Vec<Diagnostic>) -> Weights {
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
    let sum: f64 = lines.iter().flatten().map(|(weight, _)| weight.percent).sum();
    if found.len() == before {
        if lines.iter().all(Option::is_none) {
            let finding = Diagnostic::new(Code::Weights, at, "there are no scoring weights")
                .help("add `### Weights` to the section Competition Scoring, with `- Tests: 50%`, `- Performance: 30%`, `- Simplicity: 20%`");
            found.push(finding);
        } else if (sum - 100.0).abs() > 1e-9 {
            let (verb, much) = if sum < 100.0 { ("add", 100.0 - sum) } else { ("take", sum - 100.0) };
            let where_to = if sum < 100.0 { "to" } else { "from" };
            let finding =
                Diagnostic::new(Code::WeightSum, last, format!("scoring weights sum to {} %, not 100 %", tidy(sum)))
                    .help(format!("{verb} {} % {where_to} a criterion", tidy(much)));
            found.push(finding);
        }
    }
    if let Some((Weight { note: Some(note), .. }, span)) = &lines[1]
        && !metrics.is_empty()
        && !names_a_metric(note, metrics)
    {
        let names: Vec<_> = metrics.iter().map(|m| m.name.as_str()).collect();
        let finding = Diagnostic::new(
            Code::NoteMatchesNothing,
            span.clone(),
            format!("the note `{note}` matches no metric, so all metrics count"),
        )
        .help(format!("use words of the metrics' names: {}", names.join(", ")));
        found.push(finding);
    }
    let [tests, performance, simplicity] =
        lines.map(|line| line.map_or(Weight { percent: 0.0, note: None }, |(weight, _)| weight));
    Weights { tests, performance, simplicity }
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
    let quantity = Quantity::parse(&text[number.clone()]).ok();
    let percent = quantity
        .filter(|q| {
            matches!(q.dimension(), Dimension::Percent | Dimension::Count) && (0.0..=100.0).contains(&q.value())
        })
        .ok_or_else(|| refuse(format!("`{}` is not a percentage from 0 to 100", &text[number])))?
        .value();
    if let Some((_, first)) = &lines[at] {
        return Err(Box::new(
            (*refuse(format!("the weight of `{name}` stands twice"))).also(first.clone(), "first here"),
        ));
    }
    let note = note.map(|n| text[n].to_owned());
    lines[at] = Some((Weight { percent, note }, span));
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
