//! Points gained and paid: how a variant's total differs from the baseline's, criterion by criterion,
//! in points of the total and in plain figures.

use std::collections::BTreeMap;

use serde::Serialize;

use super::measurement::{Contender, MetricName};
use super::plan::{MetricBound, Plan, VariantKey};
use super::quantity::{Dimension, Direction, Quantity};
use super::score::{self, Points};
use super::scoreboard::Scoreboard;
use super::trial::ChangeSize;
use super::verdict::Row;

/// What one variant gained and paid against the baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reckoning {
    /// Which variant.
    pub variant: VariantKey,
    /// Tests, Performance and Simplicity, in this order.
    pub shares: [Share; 3],
    /// All of it: points of the total, more than the baseline's where positive.
    pub points: f64,
}

/// One criterion's part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// As the table names it.
    pub criterion: &'static str,
    /// Points of the total that it brought, or cost where negative.
    pub points: f64,
    /// What brought or cost them, such as `p95 22 % faster`; absent where there is nothing to say.
    pub figures: Option<String>,
}

/// What every variant gained and paid that has points to compare with the baseline's, in document order.
pub fn reckon(plan: &Plan, board: &Scoreboard, sizes: &BTreeMap<VariantKey, ChangeSize>) -> Vec<Reckoning> {
    let Some(base) = board.rows.iter().find(|row| row.contender == Contender::Baseline) else { return Vec::new() };
    board.rows.iter().filter_map(|row| one(plan, row, base, sizes)).collect()
}

fn one(plan: &Plan, row: &Row, base: &Row, sizes: &BTreeMap<VariantKey, ChangeSize>) -> Option<Reckoning> {
    let variant = row.contender.key()?.clone();
    let (ours, theirs) = (row.criteria?, base.criteria?);
    let weights = &plan.weights;
    // From the points as the table shows them, so that a reader can add them up.
    let points = |percent: f64, a: Points, b: Points| percent * (a.shown() - b.shown()) / 100.0;
    let shares = [
        Share {
            criterion: "Tests",
            points: points(weights.tests.percent, ours.tests, theirs.tests),
            figures: (ours.tests.shown() != theirs.tests.shown())
                .then(|| format!("{} % pass, {} % of the baseline's", ours.tests, theirs.tests)),
        },
        Share {
            criterion: "Performance",
            points: points(weights.performance.percent, ours.performance, theirs.performance),
            figures: changes(plan, row, base, ours.performance.shown() - theirs.performance.shown()),
        },
        Share {
            criterion: "Simplicity",
            points: points(weights.simplicity.percent, ours.simplicity, theirs.simplicity),
            figures: sizes.get(&variant).map(size),
        },
    ];
    let points = shares.iter().map(|share| share.points).sum();
    Some(Reckoning { variant, shares, points })
}

/// The metrics that the criterion counts, each against the baseline's. Points come from what each block says and
/// these from all of them together: where a single metric goes the other way than its points, it explains nothing.
fn changes(plan: &Plan, row: &Row, base: &Row, points: f64) -> Option<String> {
    let counted: Vec<_> = score::selected(plan.weights.performance.note.as_deref(), &plan.metrics).collect();
    let value = |row: &Row, name: &MetricName| row.metrics.get(name).copied();
    let change = |metric: &MetricBound| {
        let told = change(value(row, &metric.name)?, value(base, &metric.name)?)?;
        Some(format!("{} {told}", metric.name))
    };
    if let [only] = counted[..] {
        let (ours, theirs) = (value(row, &only.name)?.value(), value(base, &only.name)?.value());
        let better = match only.bound.direction() {
            Direction::LowerIsBetter => theirs - ours,
            Direction::HigherIsBetter => ours - theirs,
        };
        if better * points < 0.0 {
            return None;
        }
    }
    let told: Vec<String> = counted.into_iter().filter_map(change).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// `22 % faster`, `3.1 % larger`, `unchanged`; nothing where there is no share to speak of.
fn change(value: Quantity, baseline: Quantity) -> Option<String> {
    let (now, before) = (value.value(), baseline.value());
    if value.dimension() != baseline.dimension() || before == 0.0 {
        return (now == before).then(|| "unchanged".to_owned());
    }
    let percent = 100.0 * (now - before) / before.abs();
    let (less, more) = match value.dimension() {
        Dimension::Time => ("faster", "slower"),
        Dimension::Bytes => ("smaller", "larger"),
        Dimension::Rate | Dimension::Percent | Dimension::Count => ("lower", "higher"),
    };
    let size = percent.abs();
    let shown = if size < 9.95 { format!("{size:.1}") } else { format!("{size:.0}") };
    Some(match shown.as_str() {
        "0.0" => "unchanged".to_owned(),
        _ => format!("{shown} % {}", if percent < 0.0 { less } else { more }),
    })
}

/// `124 lines`, with what else makes a change less simple.
fn size(size: &ChangeSize) -> String {
    let mut parts = vec![counted(size.added, "line")];
    if size.deleted > 0 {
        parts.push(format!("{} deleted", size.deleted));
    }
    if size.nesting_surplus > 1.005 {
        parts.push(format!("nesting × {:.2}", size.nesting_surplus));
    }
    if size.new_dependencies > 0 {
        let noun = if size.new_dependencies == 1 { "dependency" } else { "dependencies" };
        parts.push(format!("{} new {noun}", size.new_dependencies));
    }
    parts.join(", ")
}

/// `1 line`, `2 lines`.
fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Points with their sign, to 0.1: `+1.8`, `−5.0`, `+0.0`.
pub fn signed(points: f64) -> String {
    let tenths = (points * 10.0).round() / 10.0;
    if tenths < 0.0 { format!("−{:.1}", -tenths) } else { format!("+{:.1}", tenths.abs()) }
}

impl Reckoning {
    /// All of it in one line:
    /// `Tests +0.0, Performance +1.8 (p95 22 % faster), Simplicity −5.0 (124 lines): −3.2 points`.
    pub fn line(&self) -> String {
        let share = |share: &Share| {
            let figures = share.figures.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
            format!("{} {}{figures}", share.criterion, signed(share.points))
        };
        let shares: Vec<_> = self.shares.iter().map(share).collect();
        format!("{}: {} points", shares.join(", "), signed(self.points))
    }

    /// What was traded for what, as a reason: `B gained 1.8 points (p95 22 % faster) and paid 5.0 (124 lines)`.
    pub fn trade(&self) -> String {
        let side = |wanted: fn(f64) -> bool| {
            let shares = self.shares.iter().filter(|share| wanted((share.points * 10.0).round()));
            let all: Vec<_> = shares.collect();
            let sum: f64 = all.iter().map(|share| share.points.abs()).sum();
            let figures: Vec<_> = all.iter().filter_map(|share| share.figures.clone()).collect();
            let figures = if figures.is_empty() { String::new() } else { format!(" ({})", figures.join("; ")) };
            (sum, figures)
        };
        let (gained, why_gained) = side(|tenths| tenths > 0.0);
        let (paid, why_paid) = side(|tenths| tenths < 0.0);
        let variant = &self.variant;
        match (gained > 0.0, paid > 0.0) {
            (true, true) => format!("{variant} gained {gained:.1} points{why_gained} and paid {paid:.1}{why_paid}"),
            (true, false) => format!("{variant} gained {gained:.1} points{why_gained}"),
            (false, true) => format!("{variant} gained nothing and paid {paid:.1} points{why_paid}"),
            (false, false) => format!("{variant} gained nothing and paid nothing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(ms: f64) -> Quantity {
        Quantity::in_unit(ms, "ms").unwrap()
    }

    #[test]
    fn a_change_is_told_as_a_share_of_the_baselines_value() {
        let told = |now, before| change(time(now), time(before)).unwrap();
        assert_eq!(told(78.0, 100.0), "22 % faster");
        assert_eq!(told(103.14, 100.0), "3.1 % slower");
        assert_eq!(told(100.01, 100.0), "unchanged");
        let bytes = |value| Quantity::new(value, Dimension::Bytes).unwrap();
        assert_eq!(change(bytes(150.0), bytes(100.0)).unwrap(), "50 % larger");
        assert_eq!((change(bytes(1.0), time(1.0)), change(time(1.0), time(0.0))), (None, None));
    }

    #[test]
    fn what_was_gained_and_paid_reads_as_a_sum() {
        let share = |criterion, points, figures: &str| Share {
            criterion,
            points,
            figures: (!figures.is_empty()).then(|| figures.to_owned()),
        };
        let mut b = Reckoning {
            variant: VariantKey::new("B").unwrap(),
            shares: [
                share("Tests", 0.0, ""),
                share("Performance", 1.8, "p95 22 % faster"),
                share("Simplicity", -4.97, "124 lines"),
            ],
            points: -3.17,
        };
        assert_eq!(
            b.line(),
            "Tests +0.0, Performance +1.8 (p95 22 % faster), Simplicity −5.0 (124 lines): −3.2 points"
        );
        assert_eq!(b.trade(), "B gained 1.8 points (p95 22 % faster) and paid 5.0 (124 lines)");
        b.shares[1].points = 0.0;
        assert_eq!(b.trade(), "B gained nothing and paid 5.0 points (124 lines)");
        b.shares[2].points = -0.04;
        assert_eq!(b.trade(), "B gained nothing and paid nothing");
    }

    #[test]
    fn points_keep_their_sign_and_nothing_is_no_minus() {
        assert_eq!([1.84, -5.0, -0.04, 0.0].map(signed), ["+1.8", "−5.0", "+0.0", "+0.0"]);
    }
}
