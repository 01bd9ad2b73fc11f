//! A verdict and an outcome as sentences.

use super::words;
use crate::domain::landing::{Because, Landing, Withheld};
use crate::domain::measurement::Contender;
use crate::domain::trial::{self, Disqualification, Outcome};
use crate::domain::verdict::{Ground, NoWinner, Support, Verdict};

/// What was concluded, with its support. `blocks` is how many were counted, where that is known.
pub fn sentence(verdict: &Verdict, blocks: Option<u32>) -> String {
    match verdict {
        Verdict::Winner { key, support: Some(support) } => {
            format!(
                "{key} wins: beats {} by {}, E {}",
                rival(&support.rival),
                margin(support),
                words::e_value(support.e_value)
            )
        }
        Verdict::Winner { key, support: None } => format!("{key} wins: nobody was left to compare it with"),
        Verdict::Tie { key, among } if among.len() > 1 => {
            format!("tie between {}: no difference worth having; {key} is the simplest", words::list(among))
        }
        Verdict::Tie { key, .. } => format!("{key} wins: nobody else is left"),
        Verdict::Undecided { leader, support, smallest_seen } => {
            let blocks = blocks.or(support.as_ref().map(|s| s.blocks));
            let after = blocks.map(|n| format!(" after {}", counted(n))).unwrap_or_default();
            let Some(leader) = leader else { return format!("undecided{after}: no variant is ahead") };
            let lead = support
                .as_ref()
                .map_or_else(String::new, |s| format!(" of {} by {} points", rival(&s.rival), difference(s)));
            let seen = smallest_seen.map_or_else(String::new, |points| {
                format!("; a difference of {points:.1} points could have been seen")
            });
            format!("undecided{after}: {leader} is ahead{lead}, which is not enough to be sure{seen}")
        }
        Verdict::NoWinner { reason } => format!("no winner: {}", why_nobody(reason, blocks)),
    }
}

fn why_nobody(reason: &NoWinner, blocks: Option<u32>) -> String {
    match reason {
        NoWinner::NoneEligible => "no variant passed its gates".to_owned(),
        NoWinner::BaselineBetter => "no variant is better than the baseline".to_owned(),
        NoWinner::NotSupported => {
            let after = blocks.map(|n| format!(" after {}", counted(n))).unwrap_or_default();
            format!("support is required, and is missing{after}")
        }
        NoWinner::NotMeasured => "the time ended before anything was measured".to_owned(),
        NoWinner::HarnessBiased { support } => format!(
            "two trees of the baseline differ by {}, E {}: no comparison of this run counts",
            margin(&Support { difference: support.difference.abs(), ..support.clone() }),
            words::e_value(support.e_value)
        ),
    }
}

/// What lands and on what grounds, or why nothing does, in one sentence.
pub fn lands(landing: &Landing) -> String {
    match landing {
        Landing::Lands { key, because: Because::Best } => format!("{key} lands: it is better than all others"),
        Landing::Lands { key, because: Because::Simplest } => {
            format!("{key} lands: it is the simplest of those that tie")
        }
        Landing::Lands { key, because: Because::Leads } => {
            format!("{key} lands although nothing shows that it is better: `land.require` is `leader`")
        }
        Landing::Lands { key, because: Because::Better { ground, among } } => {
            let simplest = if among.len() > 1 {
                format!("; {} can't be told apart, and it is the simplest", words::list(among))
            } else {
                String::new()
            };
            format!("{key} lands: {}{simplest}", grounds(ground))
        }
        Landing::Nothing { why } => match why {
            Withheld::NoWinner => "nothing lands".to_owned(),
            Withheld::NotBetter => "nothing lands: no variant was shown to be better than the baseline".to_owned(),
            Withheld::NotSupported => {
                "nothing lands: no winner is supported, and `land.require` asks for it".to_owned()
            }
            Withheld::NoLeader => "nothing lands: no variant is ahead".to_owned(),
            Withheld::NotVerified => "nothing lands: who was to land is faster than asked for, and could not be \
                                      measured in enough fresh trees (more time: blueprint resume --measure 5m)"
                .to_owned(),
            Withheld::Suspicious => "nothing lands: lines of the winner are suspicious, and `land.require` is \
                                     `unsuspicious`; read them, and land it with `require: better` if they are fine"
                .to_owned(),
        },
    }
}

/// Why a variant is known to be better than the baseline.
pub fn grounds(ground: &Ground) -> String {
    match ground {
        Ground::Lead { e_value } => format!("it is better than the baseline, E {}", words::e_value(*e_value)),
        Ground::Bound { metric } => format!("it keeps the bound of {metric}, which the baseline misses"),
        Ground::Test { name } => format!("it passes {}, which the baseline fails", words::one_line(name)),
    }
}

fn difference(support: &Support) -> String {
    let width = support.half_width.map_or_else(String::new, |width| format!(" ± {width:.1}"));
    format!("{:.1}{width}", support.difference)
}

fn margin(support: &Support) -> String {
    format!("{} points over {}", difference(support), counted(support.blocks))
}

fn counted(blocks: u32) -> String {
    words::count(blocks as usize, "block")
}

/// A rival in the middle of a sentence.
pub fn rival(contender: &Contender) -> String {
    match contender {
        Contender::Baseline => "the baseline".to_owned(),
        Contender::Shadow => "the shadow baseline".to_owned(),
        Contender::Variant(key) => key.to_string(),
    }
}

/// How a trial ended, in one line; `None` where there is nothing to say.
pub fn ending(contender: &Contender, outcome: &Outcome) -> Option<String> {
    let line = match outcome {
        Outcome::Eligible { over_budget: false, unfinished } if unfinished.is_empty() => return None,
        Outcome::Eligible { over_budget, unfinished } => {
            let budget = if *over_budget { " went over budget; what it had done is judged" } else { "" };
            let missing = match (unfinished.is_empty(), over_budget) {
                (true, _) => String::new(),
                (false, true) => format!(", without {}", trial::quoted(unfinished)),
                (false, false) => format!(" is unfinished and judged without {}", trial::quoted(unfinished)),
            };
            format!("{contender}{budget}{missing}")
        }
        Outcome::Disqualified { reason } => format!("{contender} is out: {reason}"),
        Outcome::Infrastructure { message } => format!("{contender} failed by no fault of its own: {message}"),
    };
    Some(first_line(&line))
}

/// Failing tests that are named one by one.
const NAMED: usize = 10;

/// How a trial ended, with everything that belongs to it: every offending path, failing tests by
/// name, messages whole. `None` where there is nothing to say.
pub(super) fn ending_in_full(contender: &Contender, outcome: &Outcome) -> Option<String> {
    let Outcome::Disqualified { reason } = outcome else {
        return match outcome {
            Outcome::Infrastructure { message } => {
                Some(in_full(&format!("{contender} failed by no fault of its own: {message}")))
            }
            _ => ending(contender, outcome),
        };
    };
    Some(match reason {
        Disqualification::ContractBroken { paths } if paths.len() > 1 => {
            format!("{contender} is out: changed files that are not allowed:{}", below(paths, usize::MAX))
        }
        Disqualification::TestsFailed { tests, detail } => {
            let failed = match tests.len() {
                0 | 1 => words::one_line(&format!("{contender} is out: {reason}")),
                many => format!("{contender} is out: {} failed:{}", words::count(many, "test"), below(tests, NAMED)),
            };
            match detail {
                Some(detail) => format!("{failed}\n  {}", in_full(detail)),
                None => failed,
            }
        }
        Disqualification::GateMissed { gate, tests } if tests.len() > 1 => {
            let failed = words::count(tests.len(), "test");
            let gate = words::one_line(gate);
            format!("{contender} is out: the weights say \"{gate}\", and {failed} failed:{}", below(tests, NAMED))
        }
        _ => in_full(&format!("{contender} is out: {reason}")),
    })
}

/// Whether what an ending says below its first line is a list of names, and not what a program printed.
pub fn lists(outcome: &Outcome) -> bool {
    let Outcome::Disqualified { reason } = outcome else { return false };
    use Disqualification::{ContractBroken, GateMissed, TestsFailed};
    matches!(reason, ContractBroken { .. } | TestsFailed { .. } | GateMissed { .. })
}

fn below(items: &[String], most: usize) -> String {
    let mut out: String = items.iter().take(most).map(|item| format!("\n  {}", words::one_line(item))).collect();
    if items.len() > most {
        out.push_str(&format!("\n  and {} more", items.len() - most));
    }
    out
}

fn in_full(text: &str) -> String {
    words::visible(&words::indented(text, 2), false)
}

fn first_line(text: &str) -> String {
    words::one_line(text.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::measurement::MetricName;
    use crate::domain::plan::VariantKey;
    use crate::domain::quantity::{Bound, Quantity};

    fn key(text: &str) -> VariantKey {
        VariantKey::new(text).unwrap()
    }

    fn support(rival: &str) -> Option<Support> {
        let rival = Contender::try_from(rival.to_owned()).unwrap();
        Some(Support { rival, difference: 1.92, half_width: Some(0.41), e_value: 212.4, blocks: 23 })
    }

    #[test]
    fn every_verdict_is_a_sentence() {
        let none = |reason| Verdict::NoWinner { reason };
        let verdicts = [
            Verdict::Winner { key: key("A"), support: support("B") },
            Verdict::Winner { key: key("A"), support: support("@baseline") },
            Verdict::Winner { key: key("A"), support: None },
            Verdict::Tie { key: key("B"), among: vec![key("A"), key("B"), key("C")] },
            Verdict::Undecided { leader: Some(key("A")), support: support("B"), smallest_seen: Some(2.04) },
            Verdict::Undecided { leader: Some(key("A")), support: None, smallest_seen: None },
            none(NoWinner::NoneEligible),
            none(NoWinner::BaselineBetter),
            none(NoWinner::NotSupported),
            none(NoWinner::NotMeasured),
            none(NoWinner::HarnessBiased { support: Support { difference: -1.92, ..support("@shadow").unwrap() } }),
        ];
        let text: Vec<_> = verdicts.iter().map(|v| sentence(v, Some(23))).collect();
        insta::assert_snapshot!(text.join("\n"), @"
        A wins: beats B by 1.9 ± 0.4 points over 23 blocks, E = 212
        A wins: beats the baseline by 1.9 ± 0.4 points over 23 blocks, E = 212
        A wins: nobody was left to compare it with
        tie between A, B and C: no difference worth having; B is the simplest
        undecided after 23 blocks: A is ahead of B by 1.9 ± 0.4 points, which is not enough to be sure; a difference of 2.0 points could have been seen
        undecided after 23 blocks: A is ahead, which is not enough to be sure
        no winner: no variant passed its gates
        no winner: no variant is better than the baseline
        no winner: support is required, and is missing after 23 blocks
        no winner: the time ended before anything was measured
        no winner: two trees of the baseline differ by 1.9 ± 0.4 points over 23 blocks, E = 212: no comparison of this run counts
        ");
        assert_eq!(sentence(&verdicts[5], None), "undecided: A is ahead, which is not enough to be sure");
    }

    fn outcomes() -> Vec<Outcome> {
        let out = |reason| Outcome::Disqualified { reason };
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let many: Vec<_> = (1..=12).map(|n| format!("tests/test_users.py::test_{n}")).collect();
        vec![
            Outcome::Eligible { over_budget: false, unfinished: Vec::new() },
            Outcome::Eligible { over_budget: true, unfinished: Vec::new() },
            Outcome::Infrastructure { message: "the database went away\nat 3 o'clock".to_owned() },
            out(Disqualification::AgentFailed { message: "I can't\u{1b}[2J".to_owned() }),
            out(Disqualification::NothingChanged),
            out(Disqualification::OverBudget { cap: "tokens".to_owned() }),
            Outcome::Eligible { over_budget: true, unfinished: names(&["The cost"]) },
            Outcome::Eligible { over_budget: false, unfinished: names(&["The cost", "A cache"]) },
            out(Disqualification::Unfinished {
                missing: names(&["The cost", "A cache"]),
                why: "its agent failed: exit status 1".to_owned(),
                over_budget: false,
            }),
            out(Disqualification::NotHarvested { message: "`notes/x` is a nested git repository".to_owned() }),
            out(Disqualification::Replaced { message: "its worktree was replaced by a link".to_owned() }),
            out(Disqualification::ContractBroken { paths: names(&["elsewhere.txt"]) }),
            out(Disqualification::ContractBroken { paths: names(&["a.txt", "b\n.txt"]) }),
            out(Disqualification::SetupFailed { message: "`make` ended with status 2\nno rule\n".to_owned() }),
            out(Disqualification::TestsFailed {
                tests: names(&["one"]),
                detail: Some("Error: Cannot find module\n  at x\nall of it: /logs/b".to_owned()),
            }),
            out(Disqualification::TestsFailed { tests: many, detail: None }),
            out(Disqualification::BoundBroken {
                metric: MetricName::new("latency_p95").unwrap(),
                bound: Bound::parse("<80ms").unwrap(),
                value: Quantity::parse("85ms").unwrap(),
            }),
            out(Disqualification::InvalidMeasurement { message: "latency_p95 has no value".to_owned() }),
        ]
    }

    fn endings(of: fn(&Contender, &Outcome) -> Option<String>) -> String {
        let b = Contender::Variant(key("B"));
        outcomes().iter().filter_map(|outcome| of(&b, outcome)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_ending_is_one_line() {
        insta::assert_snapshot!(endings(ending), @"
        B went over budget; what it had done is judged
        B failed by no fault of its own: the database went away
        B is out: agent failed: I can't
        B is out: nothing changed
        B is out: token cap reached with nothing to evaluate
        B went over budget; what it had done is judged, without `The cost`
        B is unfinished and judged without `The cost` and `A cache`
        B is out: unfinished: `The cost` and `A cache` were not carried out (its agent failed: exit status 1)
        B is out: its work can't be taken over: `notes/x` is a nested git repository
        B is out: its worktree was replaced by a link
        B is out: changed files that are not allowed: elsewhere.txt
        B is out: changed files that are not allowed: a.txt, b
        B is out: set-up failed: `make` ended with status 2
        B is out: test failed: one
        B is out: tests failed: tests/test_users.py::test_1 and 11 more
        B is out: latency_p95 is 85 ms, must be < 80 ms
        B is out: invalid measurement: latency_p95 has no value
        ");
    }

    #[test]
    fn in_full_an_ending_names_every_path_and_ten_tests() {
        insta::assert_snapshot!(endings(ending_in_full), @"
        B went over budget; what it had done is judged
        B failed by no fault of its own: the database went away
          at 3 o'clock
        B is out: agent failed: I can't
        B is out: nothing changed
        B is out: token cap reached with nothing to evaluate
        B went over budget; what it had done is judged, without `The cost`
        B is unfinished and judged without `The cost` and `A cache`
        B is out: unfinished: `The cost` and `A cache` were not carried out (its agent failed: exit status 1)
        B is out: its work can't be taken over: `notes/x` is a nested git repository
        B is out: its worktree was replaced by a link
        B is out: changed files that are not allowed: elsewhere.txt
        B is out: changed files that are not allowed:
          a.txt
          b .txt
        B is out: set-up failed: `make` ended with status 2
          no rule
        B is out: test failed: one
          Error: Cannot find module
            at x
          all of it: /logs/b
        B is out: 12 tests failed:
          tests/test_users.py::test_1
          tests/test_users.py::test_2
          tests/test_users.py::test_3
          tests/test_users.py::test_4
          tests/test_users.py::test_5
          tests/test_users.py::test_6
          tests/test_users.py::test_7
          tests/test_users.py::test_8
          tests/test_users.py::test_9
          tests/test_users.py::test_10
          and 2 more
        B is out: latency_p95 is 85 ms, must be < 80 ms
        B is out: invalid measurement: latency_p95 has no value
        ");
    }
}
