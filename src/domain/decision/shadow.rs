//! What the baseline's shadow says: whether a harness treats two identical trees alike, and what follows where it does not.

use super::seen::Seen;
use super::values::{scaled, totals};
use crate::domain::control::Control;
use crate::domain::landing::{Landing, Withheld};
use crate::domain::measurement::Contender;
use crate::domain::race::Rules;
use crate::domain::score::Scorer;
use crate::domain::scoreboard::Scoreboard;
use crate::domain::verdict::{NoWinner, Verdict};

/// What the blocks say about the harness.
pub fn control(seen: &Seen) -> Control {
    let (scorer, rules) = (Scorer::new(&seen.started.plan), Rules::default());
    let mut control = Control::new(&rules);
    let pair = [Contender::Baseline, Contender::Shadow];
    for scaled in &scaled(seen, &rules) {
        control.record(scaled.block.index, &totals(seen, &scorer, scaled, &pair));
    }
    control
}

/// Those who are measured next with the shadow among them wherever the baseline is; the two alone
/// where nobody else has to be measured and they are suspected to differ.
pub(super) fn accompanied(
    seen: &Seen,
    control: &Control,
    race_over: bool,
    mut active: Vec<Contender>,
) -> Vec<Contender> {
    let shadow = Contender::Shadow;
    let there = seen.tests.get(&shadow).is_some() && !seen.ended.contains_key(&shadow);
    let baseline = !seen.ended.contains_key(&Contender::Baseline);
    if !there || !baseline {
        return active;
    }
    if control.is_suspected() {
        if race_over {
            active.clear();
        }
        if !active.contains(&Contender::Baseline) {
            active.push(Contender::Baseline);
        }
    }
    if active.contains(&Contender::Baseline) {
        active.push(shadow);
    }
    active
}

/// The scoreboard, without a winner where the harness is known to be biased.
pub(super) fn overruled(seen: &Seen, control: &Control, scoreboard: Scoreboard) -> Scoreboard {
    match control.support(seen.started.seed).filter(|_| control.is_biased()) {
        Some(support) => {
            let verdict = Verdict::NoWinner { reason: NoWinner::HarnessBiased { support } };
            let landing = Some(Landing::Nothing { why: Withheld::NoWinner });
            Scoreboard { verdict, landing, outlook: None, ..scoreboard }
        }
        None => scoreboard,
    }
}
