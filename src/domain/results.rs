//! What a run writes into its document: the numbers that decided, and why.

use std::collections::BTreeMap;

use super::document::{Regions, ResultRow};
use super::ending::{self, Circumstances};
use super::fresh::Finding;
use super::landing::{Because, Landing};
use super::measurement::Contender;
use super::plan::{Plan, Status, VariantKey};
use super::reckoning::{self, Reckoning};
use super::scoreboard::Scoreboard;
use super::trial::{self, ChangeSize, Disqualification, Outcome};
use super::verdict::{NoWinner, Row, Support, Verdict};

/// The largest e-value that is worth its digits.
const MOST: f64 = 1e6;

/// A run that is over.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// What was carried out.
    pub plan: &'a Plan,
    /// What came out.
    pub board: &'a Scoreboard,
    /// How large each variant's change is.
    pub sizes: &'a BTreeMap<VariantKey, ChangeSize>,
    /// The run's id.
    pub run: &'a str,
    /// When it began, in seconds since 1970.
    pub at: i64,
}

impl Ended<'_> {
    /// The regions of a document whose winner lands.
    pub fn landed(&self) -> Regions {
        let winner = self.board.lands();
        let mut bullets = self.analysis();
        bullets.push(support(&self.board.verdict, self.board.blocks));
        self.regions(winner, bullets)
    }

    /// The regions of a document of which nothing lands: how it ended, why, and what to do next.
    pub fn failed(&self, known: &Circumstances) -> Regions {
        let mut bullets = ending::why(self.board, &self.reckonings(), known);
        bullets.extend(self.analysis());
        self.regions(None, bullets)
    }

    fn reckonings(&self) -> Vec<Reckoning> {
        reckoning::reckon(self.plan, self.board, self.sizes)
    }

    fn regions(&self, winner: Option<&VariantKey>, mut bullets: Vec<String>) -> Regions {
        let mut artifacts = vec![format!("Run {0}: blueprint report {0}", self.run)];
        artifacts.extend(winner.map(|key| format!("Winning variant: {}", named(self.plan, key))));
        bullets.push(format!("Run: {}", self.run));
        Regions {
            results: Some(self.board.rows.iter().filter_map(|row| result_row(row, winner)).collect()),
            winner: Some(match winner {
                Some(_) => winner_line(self.plan, self.board),
                None => "none".to_owned(),
            }),
            analysis: Some(bullets),
            status: Some(if winner.is_some() { Status::Completed } else { Status::Failed }),
            updated: Some(moment(self.at)),
            artifacts: Some(artifacts),
        }
    }

    /// How each contender stands, and what each variant gained and paid.
    fn analysis(&self) -> Vec<String> {
        let mut bullets: Vec<String> = self.board.rows.iter().map(|row| standing(self.plan, row)).collect();
        let reckonings = self.reckonings();
        bullets.extend(reckonings.iter().map(|r| format!("{} against the baseline: {}", r.variant, r.line())));
        // Who is out by it says so itself.
        let told = self.board.fresh.iter().filter(|check| check.finding() != Finding::Contradicted);
        bullets.extend(told.map(ToString::to_string));
        bullets
    }
}

fn result_row(row: &Row, winner: Option<&VariantKey>) -> Option<ResultRow> {
    let variant = row.contender.key()?.clone();
    let won = winner == Some(&variant);
    Some(ResultRow { variant, criteria: row.criteria, total: row.total, winner: won })
}

fn moment(at: i64) -> String {
    let moment = jiff::Timestamp::from_second(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `A (Composite Index)`, or the key alone where the variant has no name.
fn named(plan: &Plan, key: &VariantKey) -> String {
    match plan.variant(key.as_str()).map(|variant| variant.name.as_str()) {
        Some(name) if !name.is_empty() => format!("{key} ({name})"),
        _ => key.to_string(),
    }
}

fn winner_line(plan: &Plan, scoreboard: &Scoreboard) -> String {
    match &scoreboard.landing {
        Some(Landing::Lands { key, because: Because::Leads }) => {
            format!("Variant {} – not supported by the measurements", named(plan, key))
        }
        Some(Landing::Lands { key, because: Because::Better { among, .. } }) if among.len() > 1 => {
            let among: Vec<_> = among.iter().map(VariantKey::as_str).collect();
            let among = list(&among);
            format!("Variant {} – the simplest of {among}, which can't be told apart", named(plan, key))
        }
        Some(Landing::Lands { key, .. }) => format!("Variant {}", named(plan, key)),
        Some(Landing::Nothing { .. }) | None => "none".to_owned(),
    }
}

/// One contender: its points and its metrics, or why it has none.
fn standing(plan: &Plan, row: &Row) -> String {
    let who = match &row.contender {
        Contender::Variant(key) => format!("Variant {key}"),
        Contender::Baseline => "Baseline".to_owned(),
        Contender::Shadow => "Shadow baseline".to_owned(),
    };
    let mut parts = Vec::new();
    match &row.outcome {
        Outcome::Disqualified { reason } => parts.push(format!("out – {}", first_line(&reason.to_string()))),
        Outcome::Infrastructure { message } => parts.push(format!("not judged – {}", first_line(message))),
        Outcome::Eligible { over_budget, unfinished } => {
            match (row.total, row.criteria) {
                (Some(total), Some(c)) => parts.push(format!(
                    "{total} points (tests {}, performance {}, simplicity {})",
                    c.tests, c.performance, c.simplicity
                )),
                _ => parts.push("no points – it was not measured to the end".to_owned()),
            }
            if *over_budget {
                parts.push("stopped by its budget and judged as it was".to_owned());
            }
            if !unfinished.is_empty() {
                parts.push(format!("unfinished, without {}", trial::quoted(unfinished)));
            }
        }
    }
    let metrics: Vec<String> = row.metrics.iter().map(|(name, value)| metric(plan, name.as_str(), value)).collect();
    if !metrics.is_empty() {
        parts.push(metrics.join(", "));
    }
    format!("{who}: {}{}", parts.join("; "), printed(&row.outcome))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Lines of what a failing command or test printed that a document gets.
const PRINTED: usize = 12;

/// The end of what was printed, below the line that says what failed.
fn printed(outcome: &Outcome) -> String {
    let Outcome::Disqualified { reason } = outcome else { return String::new() };
    let lines: Vec<&str> = match reason {
        Disqualification::TestsFailed { detail: Some(detail), .. } => detail.lines().collect(),
        Disqualification::SetupFailed { message } | Disqualification::InvalidMeasurement { message } => {
            message.lines().skip(1).collect()
        }
        _ => Vec::new(),
    };
    // Where all of it is on one machine is no matter of a document.
    let lines: Vec<_> = lines.into_iter().filter(|line| !line.starts_with("all of it: ")).collect();
    lines[lines.len().saturating_sub(PRINTED)..].iter().map(|line| format!("\n{line}")).collect()
}

fn metric(plan: &Plan, name: &str, value: &super::quantity::Quantity) -> String {
    match plan.metrics.iter().find(|metric| metric.name.as_str() == name) {
        Some(metric) => format!("{name} {value} (must be {})", metric.bound),
        None => format!("{name} {value}"),
    }
}

/// How sure the verdict is.
fn support(verdict: &Verdict, blocks: u32) -> String {
    match verdict {
        Verdict::Winner { key, support: Some(support) } => comparison(key, "beats", support),
        Verdict::Winner { key, support: None } => format!("{key} had no rival"),
        Verdict::Tie { key, among } => {
            let among: Vec<_> = among.iter().map(VariantKey::as_str).collect();
            format!("No difference worth having between {} over {blocks} blocks; {key} is the simplest", list(&among))
        }
        Verdict::Undecided { leader, support, smallest_seen } => {
            let lead = match (leader, support) {
                (Some(leader), Some(support)) => comparison(leader, "is ahead of", support),
                (Some(leader), None) => format!("{leader} is ahead"),
                (None, _) => "Nobody is ahead".to_owned(),
            };
            let seen = smallest_seen.map(|d| format!("; a difference of {d:.1} points would have been seen"));
            format!("{lead}: not enough to be sure{}", seen.unwrap_or_default())
        }
        Verdict::NoWinner { reason } => match reason {
            NoWinner::NoneEligible => "No variant passed its gates",
            NoWinner::BaselineBetter => "The baseline beats every variant",
            NoWinner::NotSupported => "No winner is supported by the measurements, and support is required",
            NoWinner::NotMeasured => "The time ended before anything was measured",
            NoWinner::HarnessBiased { .. } => "The baseline and its shadow did not come out alike",
        }
        .to_owned(),
    }
}

/// `A beats B by 1.9 ± 0.4 points over 40 blocks, E = 212`.
fn comparison(key: &VariantKey, verb: &str, support: &Support) -> String {
    let rival = match &support.rival {
        Contender::Baseline => "the baseline".to_owned(),
        Contender::Shadow => "the shadow baseline".to_owned(),
        Contender::Variant(key) => key.to_string(),
    };
    let evidence =
        if support.e_value > MOST { "E > 1,000,000".to_owned() } else { format!("E = {:.0}", support.e_value) };
    let width = support.half_width.map_or_else(String::new, |width| format!(" ± {width:.1}"));
    format!(
        "{key} {verb} {rival} by {:.1}{width} points over {} blocks, {evidence}",
        support.difference, support.blocks
    )
}

/// `A, B and C`.
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> VariantKey {
        VariantKey::new(text).unwrap()
    }

    fn against(rival: Contender) -> Support {
        Support { rival, difference: 1.94, half_width: Some(0.42), e_value: 212.3, blocks: 40 }
    }

    #[test]
    fn a_verdict_says_how_sure_it_is() {
        let rival = Contender::Variant(key("B"));
        let says = |verdict| support(&verdict, 40);
        assert_eq!(
            says(Verdict::Winner { key: key("A"), support: Some(against(rival)) }),
            "A beats B by 1.9 ± 0.4 points over 40 blocks, E = 212"
        );
        assert_eq!(
            says(Verdict::Tie { key: key("A"), among: vec![key("A"), key("B"), key("C")] }),
            "No difference worth having between A, B and C over 40 blocks; A is the simplest"
        );
        let undecided = Verdict::Undecided {
            leader: Some(key("A")),
            support: Some(Support { e_value: f64::INFINITY, ..against(Contender::Baseline) }),
            smallest_seen: Some(2.34),
        };
        assert_eq!(
            says(undecided),
            "A is ahead of the baseline by 1.9 ± 0.4 points over 40 blocks, E > 1,000,000: not enough to be sure; \
             a difference of 2.3 points would have been seen"
        );
        assert_eq!(says(Verdict::Winner { key: key("A"), support: None }), "A had no rival");
    }
}
