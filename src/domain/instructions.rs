//! What counts of instructions may decide: how much work a program does, never how long it takes.

use super::measurement::MetricName;
use super::plan::{Plan, VariantKey};
use super::score::{Points, selected};

/// Counts that differ by a smaller share agree: paths of other lengths and the dates of files change a count by a
/// hundredth of that.
pub const SAME: f64 = 0.001;

/// The share by which the larger of two counts exceeds the smaller.
pub fn spread(a: u64, b: u64) -> f64 {
    let (least, most) = (a.min(b), a.max(b));
    if least == most { 0.0 } else { (most - least) as f64 / (least as f64).max(1.0) }
}

/// Whether two counts are the same as far as it matters.
pub fn agree(a: u64, b: u64) -> bool {
    spread(a, b) <= SAME
}

/// Whether the Performance of a plan rests on counts alone, given the metrics that are counts: nothing that was
/// measured then says how long anything takes.
pub fn decide_alone(plan: &Plan, counts: &[MetricName]) -> bool {
    let mut metrics = selected(plan.weights.performance.note.as_deref(), &plan.metrics).peekable();
    plan.weights.performance.percent > 0.0 && metrics.peek().is_some() && metrics.all(|m| counts.contains(&m.name))
}

/// A variant among those that can't be told apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tied<'a> {
    /// Who.
    pub key: &'a VariantKey,
    /// Its Simplicity; absent where it has none.
    pub simplicity: Option<Points>,
    /// Instructions of the plan's tie-breaker; absent where they were not counted.
    pub instructions: Option<u64>,
}

/// What settled a tie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettledBy {
    /// One is simpler than all others.
    Simplicity,
    /// Of the simplest, one executes fewer instructions.
    Instructions,
    /// Nothing tells the first from the others: the order of the document.
    Order,
}

/// Who is taken of those that can't be told apart, in document order: the simplest; of equally simple ones who
/// executes the fewest instructions, where that is known of all of them; else the first. `None` of nobody.
pub fn tie_break<'a>(tied: &[Tied<'a>]) -> Option<(&'a VariantKey, SettledBy)> {
    let most = tied.iter().map(|one| one.simplicity).max()?;
    let simplest: Vec<_> = tied.iter().filter(|one| one.simplicity == most).collect();
    let first = simplest.first()?;
    if simplest.len() == 1 {
        let by = if tied.len() == 1 { SettledBy::Order } else { SettledBy::Simplicity };
        return Some((first.key, by));
    }
    let counts: Option<Vec<u64>> = simplest.iter().map(|one| one.instructions).collect();
    let Some(least) = counts.and_then(|counts| counts.into_iter().min()) else {
        return Some((first.key, SettledBy::Order));
    };
    let fewest: Vec<_> = simplest.iter().filter(|one| one.instructions.is_some_and(|n| agree(n, least))).collect();
    let by = if fewest.len() < simplest.len() { SettledBy::Instructions } else { SettledBy::Order };
    fewest.first().map(|one| (one.key, by))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(tied: &[(&str, f64, Option<u64>)]) -> Option<(String, SettledBy)> {
        let keys: Vec<_> = tied.iter().map(|(key, ..)| VariantKey::new(key).unwrap()).collect();
        let one = |(key, (_, simplicity, instructions)): (_, &(&str, f64, Option<u64>))| Tied {
            key,
            simplicity: Points::new(*simplicity),
            instructions: *instructions,
        };
        let all: Vec<_> = keys.iter().zip(tied).map(one).collect();
        tie_break(&all).map(|(key, by)| (key.to_string(), by))
    }

    fn takes(tied: &[(&str, f64, Option<u64>)], key: &str, by: SettledBy) {
        assert_eq!(settled(tied), Some((key.to_owned(), by)), "{tied:?}");
    }

    #[test]
    fn the_simplest_is_taken_however_many_instructions_it_executes() {
        takes(&[("A", 90.0, Some(1)), ("B", 95.0, Some(1_000_000))], "B", SettledBy::Simplicity);
    }

    #[test]
    fn of_equally_simple_ones_the_fewest_instructions_decide_from_a_thousandth_on() {
        let equal = |a, b| [("A", 90.0, Some(a)), ("B", 90.0, Some(b)), ("C", 80.0, Some(1))];
        takes(&equal(1_005_000, 1_000_000), "B", SettledBy::Instructions);
        takes(&equal(1_000_900, 1_000_000), "A", SettledBy::Order);
        takes(&equal(1_000_000, 1_005_000), "A", SettledBy::Instructions);
    }

    #[test]
    fn counts_that_are_not_known_of_all_decide_nothing() {
        takes(&[("A", 90.0, None), ("B", 90.0, Some(1))], "A", SettledBy::Order);
        takes(&[("A", 90.0, None)], "A", SettledBy::Order);
        assert_eq!(settled(&[]), None);
    }

    #[test]
    fn counts_decide_alone_where_performance_rests_on_nothing_else() {
        let bound = |name: &str, text: &str| serde_json::json!({"name": name, "bound": super::super::quantity::Bound::parse(text).unwrap(), "note": null});
        let plan = |note: Option<&str>, percent: f64| -> Plan {
            let weight = |percent: f64| serde_json::json!({"percent": percent, "note": note});
            serde_json::from_value(serde_json::json!({
                "id": "", "title": "", "status": "approved", "mode": "competition", "approved": null, "goal": "",
                "assumptions": [], "questions": [], "variants": [], "work_items": [], "tests": [], "rollback": null,
                "metrics": [bound("parse_instr", "<7000000"), bound("parse_time", "<80ms")],
                "weights": {"tests": weight(0.0), "performance": weight(percent), "simplicity": weight(0.0)},
                "budget": {"step_tokens": null, "session_tokens": null, "time_estimate": null, "time_cap": null},
            }))
            .unwrap()
        };
        let counts = [MetricName::new("parse_instr").unwrap()];
        assert!(decide_alone(&plan(Some("instr"), 30.0), &counts));
        assert!(!decide_alone(&plan(None, 30.0), &counts), "the time counts too");
        assert!(!decide_alone(&plan(Some("instr"), 0.0), &counts));
        assert!(!decide_alone(&plan(Some("instr"), 30.0), &[]));
    }
}
