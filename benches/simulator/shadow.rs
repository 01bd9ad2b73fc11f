//! What the shadow baseline costs and how soon it finds a biased harness: whole measurements on the
//! product's scale, with the baseline in the race and its shadow beside it.

use std::collections::BTreeMap;

use blueprint::domain::control::Control;
use blueprint::domain::measurement::Contender;
use blueprint::domain::plan::VariantKey;
use blueprint::domain::race::{Race, Rules, shuffled};

use super::{CAP, Environment, Machine, SLICE};

/// What one measurement came to.
pub struct Measured {
    /// Measured seconds.
    pub seconds: f64,
    /// Slices taken.
    pub slices: u32,
    /// Whether the race was decided in its time.
    pub decided: bool,
    /// Whether the shadow invalidated it.
    pub biased: bool,
}

/// Points for a time, at a weight of 30 %; the baseline's true time, 1, is the bound.
fn points(time: f64) -> f64 {
    30.0 / (1.0 + time)
}

/// Measures variants of these true times against a baseline of 1, with its shadow in every `every`th
/// block in which the baseline is measured (never, where it is 0). The shadow's slices are longer by the
/// share `bias`.
pub fn measure(times: &[f64], environment: Environment, seed: u64, every: u32, bias: f64) -> Measured {
    let mut machine = Machine::new(environment, seed);
    let mut length: BTreeMap<Contender, f64> =
        BTreeMap::from([(Contender::Baseline, 1.0), (Contender::Shadow, 1.0 + bias)]);
    for (i, time) in times.iter().enumerate() {
        length.extend(VariantKey::new(&format!("V{i}")).map(|key| (Contender::Variant(key), *time)));
    }
    let entrants: Vec<_> = length.keys().filter(|c| **c != Contender::Shadow).cloned().collect();
    let (mut race, mut control) = (Race::new(Rules::default(), &entrants), Control::new(&Rules::default()));
    let (mut index, mut slices) = (0, 0);
    let over = |race: &Race, control: &Control| control.is_biased() || (race.is_decided() && !control.is_suspected());
    while machine.clock < CAP && !over(&race, &control) {
        let mut active = if race.is_decided() { Vec::new() } else { race.survivors() };
        if control.is_suspected() && !active.contains(&Contender::Baseline) {
            active.push(Contender::Baseline);
        }
        if every > 0 && index % every == 0 && active.contains(&Contender::Baseline) {
            active.push(Contender::Shadow);
        }
        let order = shuffled(&active, seed, index);
        let run = |c: Contender| (c.clone(), points(machine.run(SLICE * length[&c]).elapsed / SLICE));
        let totals: BTreeMap<_, _> = order.into_iter().map(run).collect();
        slices += u32::try_from(totals.len()).unwrap_or(0);
        race.record(index, &totals);
        control.record(index, &totals);
        index += 1;
    }
    Measured { seconds: machine.clock, slices, decided: race.is_decided(), biased: control.is_biased() }
}
