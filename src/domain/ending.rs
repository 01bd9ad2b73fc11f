//! Why nothing landed, and what to do next, in sentences: the end of a run that the document keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use super::estimate::DECIDING;
use super::plan::VariantKey;
use super::reckoning::Reckoning;
use super::scoreboard::Scoreboard;
use super::verdict::{NoWinner, Verdict};

/// What is known of a run that landed nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Circumstances {
    /// In how many counted blocks each variant's total was above the baseline's, and of how many.
    pub leads: BTreeMap<VariantKey, (u32, u32)>,
    /// How long one block took; absent where none was measured.
    pub block: Option<Duration>,
    /// How long measuring was allowed to take.
    pub budget: Duration,
}

/// The reason, and then what to do next: a sentence each.
pub fn why(board: &Scoreboard, reckonings: &[Reckoning], known: &Circumstances) -> Vec<String> {
    let mut sentences = Vec::new();
    match &board.verdict {
        Verdict::NoWinner { reason: NoWinner::NoneEligible } => {
            sentences.push("No variant passed its gates".to_owned());
            sentences.push("Next: fix what each is out for, or change the gate, and approve the document".to_owned());
        }
        Verdict::NoWinner { reason: NoWinner::BaselineBetter } => {
            sentences.extend(reckonings.iter().filter(|r| is_eligible(board, &r.variant)).map(Reckoning::trade));
            sentences.push("No variant is worth more than the baseline by these weights".to_owned());
            sentences.push("Next: where the trade is wanted, change the weights and approve the document".to_owned());
        }
        Verdict::NoWinner { reason: NoWinner::NotMeasured } => {
            sentences.push(unmeasured(known));
            sentences.push("Next: a longer `measure: {budget: …}`, or benchmarks that take less time".to_owned());
        }
        Verdict::NoWinner { reason: NoWinner::HarnessBiased { .. } } => {
            sentences.push("Two trees of the baseline did not come out alike".to_owned());
        }
        Verdict::NoWinner { reason: NoWinner::NotSupported }
        | Verdict::Winner { .. }
        | Verdict::Tie { .. }
        | Verdict::Undecided { .. } => {
            sentences.extend(reckonings.iter().filter(|r| is_eligible(board, &r.variant)).map(Reckoning::trade));
            sentences.extend(closest(board, known));
            sentences.push(format!("Next: measure on (blueprint resume --measure …){}", outlook(board)));
        }
    }
    sentences
}

/// How much longer, as far as the blocks so far tell.
fn outlook(board: &Scoreboard) -> String {
    let told = board.outlook.and_then(|outlook| Some((outlook.blocks?, outlook.block)));
    match told {
        Some((blocks, block)) => {
            let noun = if blocks == 1 { "block" } else { "blocks" };
            format!(": {blocks} {noun} like those so far would decide, {}", roughly(block * blocks))
        }
        None => ", best on a calmer machine".to_owned(),
    }
}

fn is_eligible(board: &Scoreboard, key: &VariantKey) -> bool {
    board.rows.iter().any(|row| row.contender.key() == Some(key) && row.outcome.is_eligible())
}

/// How far the variant with the most points was from being shown to be better than the baseline.
fn closest(board: &Scoreboard, known: &Circumstances) -> Option<String> {
    let eligible = board.rows.iter().filter(|row| row.outcome.is_eligible() && row.total.is_some());
    let best = eligible.filter(|row| row.contender.key().is_some()).max_by_key(|row| row.total)?;
    let key = best.contender.key()?;
    let (ahead, of) = known.leads.get(key).copied().filter(|(_, of)| *of > 0)?;
    if ahead < of {
        return Some(format!("{key} is ahead of the baseline in {ahead} of {of} blocks, which may be chance"));
    }
    let more = DECIDING.saturating_sub(of);
    if more == 0 {
        return Some(format!("{key} is ahead of the baseline in all {of} blocks, by too little to be sure"));
    }
    let time = known.block.map(|block| format!(": {} more", roughly(block * more))).unwrap_or_default();
    let blocks = if of == 1 { "the 1 block that counts".to_owned() } else { format!("all {of} blocks") };
    Some(format!("{key} is ahead of the baseline in {blocks}, {DECIDING} are needed{time}"))
}

fn unmeasured(known: &Circumstances) -> String {
    match known.block {
        Some(block) => {
            // The first block warms up and never counts.
            let least = block * (DECIDING + 1);
            format!(
                "One block takes {}, the budget is {}: a decision takes at least {}",
                roughly(block),
                roughly(known.budget),
                roughly(least)
            )
        }
        None => format!("Nothing was measured within the budget of {}", roughly(known.budget)),
    }
}

/// A time in whole seconds up to two minutes, in whole minutes beyond, rounded up: a promise must hold.
fn roughly(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match seconds {
        0..=120 => format!("{seconds} s"),
        _ => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::measurement::Contender;
    use crate::domain::score::{Criteria, Points};
    use crate::domain::scoreboard::Outlook;
    use crate::domain::trial::Outcome;
    use crate::domain::verdict::Row;

    fn board(reason: NoWinner) -> Scoreboard {
        let points = |value| Points::new(value).unwrap();
        let row = |contender: &str, total: f64| Row {
            contender: Contender::try_from(contender.to_owned()).unwrap(),
            outcome: serde_json::from_value::<Outcome>(
                serde_json::json!({"outcome": "eligible", "over_budget": false}),
            )
            .unwrap(),
            criteria: Some(Criteria { tests: points(100.0), performance: points(total), simplicity: points(90.0) }),
            total: Some(points(total)),
            metrics: BTreeMap::new(),
            open: Vec::new(),
            better: None,
            instructions: None,
        };
        Scoreboard {
            rows: vec![row("A", 61.0), row("B", 62.0), row("@baseline", 60.0)],
            verdict: Verdict::NoWinner { reason },
            blocks: 8,
            measured: 9,
            landing: None,
            outlook: None,
            fresh: Vec::new(),
        }
    }

    fn known(leads: (u32, u32), block: u64) -> Circumstances {
        let leads = BTreeMap::from([(VariantKey::new("B").unwrap(), leads)]);
        Circumstances { leads, block: Some(Duration::from_secs(block)), budget: Duration::from_secs(60) }
    }

    #[test]
    fn who_is_ahead_in_too_few_blocks_is_told_how_many_it_takes_and_how_long() {
        let said = |leads| why(&board(NoWinner::NotSupported), &[], &known(leads, 50))[0].clone();
        assert_eq!(said((8, 8)), "B is ahead of the baseline in all 8 blocks, 9 are needed: 50 s more");
        assert_eq!(said((1, 1)), "B is ahead of the baseline in the 1 block that counts, 9 are needed: 7 min more");
        assert_eq!(said((7, 8)), "B is ahead of the baseline in 7 of 8 blocks, which may be chance");
        assert_eq!(said((12, 12)), "B is ahead of the baseline in all 12 blocks, by too little to be sure");
    }

    #[test]
    fn a_block_that_is_longer_than_the_budget_is_told_with_what_a_decision_takes() {
        let said = why(&board(NoWinner::NotMeasured), &[], &known((0, 0), 117));
        assert_eq!(said[0], "One block takes 117 s, the budget is 60 s: a decision takes at least 20 min");
        let nothing = Circumstances { block: None, ..known((0, 0), 0) };
        let said = why(&board(NoWinner::NotMeasured), &[], &nothing);
        assert_eq!(said[0], "Nothing was measured within the budget of 60 s");
    }

    #[test]
    fn an_undecided_end_says_how_much_longer_it_would_have_taken() {
        let outlook = Some(Outlook { blocks: Some(4), block: Duration::from_secs(20) });
        let undecided = Verdict::Undecided { leader: None, support: None, smallest_seen: None };
        let board = Scoreboard { outlook, verdict: undecided, ..board(NoWinner::NotSupported) };
        let said = why(&board, &[], &known((6, 8), 20));
        let expected = "Next: measure on (blueprint resume --measure …): 4 blocks like those so far would decide, 80 s";
        assert_eq!(said.last().unwrap(), expected);
    }

    #[test]
    fn every_end_says_what_to_do_next() {
        let reasons = [NoWinner::NoneEligible, NoWinner::BaselineBetter, NoWinner::NotSupported, NoWinner::NotMeasured];
        for reason in reasons {
            let said = why(&board(reason.clone()), &[], &known((8, 8), 1));
            assert!(said.last().unwrap().starts_with("Next: "), "{reason:?}: {said:?}");
        }
    }
}
