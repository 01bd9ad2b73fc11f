//! The race: a pure machine that is told each block's total scores and says who is out and when to stop.
//!
//! For each ordered pair (v, w) the block's difference d = total(v) − total(w) − indifference is
//! brought to z = tanh(d / s), where s is the median of the pair's earlier |d|. A gambler who stakes
//! the share b on v each block ends with Π (1 + b·z); E(v, w) is the mean over several b. If v does
//! not beat w by more than the indifference, and the order within a block is random, no stake gains
//! on average, so that E reaches a threshold T with probability at most 1/T however long one looks
//! (Ville's inequality; Ramdas et al., *Game-theoretic statistics and safe anytime-valid inference*,
//! 2023). The same gambler staking against v tells when two contenders tie.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::measurement::Contender;

/// What the race was told to hold to, fixed before the first block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Differences below this many points are nobody's victory.
    pub indifference: f64,
    /// The mean e-value over its rivals at which a contender is out.
    pub threshold: f64,
    /// Blocks at the start that are never counted.
    pub warmup: u32,
    /// Betting fractions that are averaged over.
    pub bets: Vec<f64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { indifference: 0.25, threshold: 40.0, warmup: 1, bets: vec![0.2, 0.5, 0.9] }
    }
}

/// Who beat whom so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Race {
    rules: Rules,
    entrants: Vec<Contender>,
    running: Vec<bool>,
    /// By the index of v times the number of entrants plus the index of w.
    pairs: Vec<Pair>,
    counted: u32,
}

/// What is known of one ordered pair.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Pair {
    /// Earlier |d|, sorted.
    scales: Vec<f64>,
    /// Logarithms of Π (1 + b·z), one a bet.
    wins: Vec<f64>,
    /// Logarithms of Π (1 − b·z): the stake that v does not win.
    fails: Vec<f64>,
}

/// A contender that left the race in a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// Who.
    pub contender: Contender,
    /// The rival with the largest e-value against it.
    pub by: Contender,
    /// The mean e-value over its rivals.
    pub e_value: f64,
}

impl Pair {
    fn record(&mut self, d: f64, bets: &[f64]) {
        if self.wins.is_empty() {
            self.wins = vec![0.0; bets.len()];
            self.fails = vec![0.0; bets.len()];
        }
        // The first difference only sets the scale: a scale must come from the past.
        if let Some(scale) = median_of_sorted(&self.scales) {
            let z = if d == 0.0 { 0.0 } else { (d / scale.max(f64::MIN_POSITIVE)).tanh() };
            for ((win, fail), bet) in self.wins.iter_mut().zip(&mut self.fails).zip(bets) {
                *win += (bet * z).ln_1p();
                *fail += (-bet * z).ln_1p();
            }
        }
        let size = d.abs();
        let at = self.scales.partition_point(|known| *known < size);
        self.scales.insert(at, size);
    }
}

fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The mean of the bets' winnings, from their logarithms; at most `f64::MAX`.
fn mean_wealth(logs: &[f64]) -> f64 {
    if logs.is_empty() {
        return 1.0;
    }
    let sum: f64 = logs.iter().map(|log| log.min(700.0).exp()).sum();
    sum / logs.len() as f64
}

impl Race {
    /// A race between these contenders.
    pub fn new(rules: Rules, entrants: &[Contender]) -> Self {
        let n = entrants.len();
        Self { rules, entrants: entrants.to_vec(), running: vec![true; n], pairs: vec![Pair::default(); n * n], counted: 0 }
    }

    /// The survivors in the order in which block `index` measures them, from the run's seed alone.
    pub fn order(&self, seed: u64, index: u32) -> Vec<Contender> {
        shuffled(&self.survivors(), seed, index)
    }

    /// Takes the total scores of one block (unrounded); a block that lacks a survivor, or holds a
    /// total that is no number, is refused whole. Returns who dropped out, if anyone. Warm-up
    /// blocks are taken and not counted.
    pub fn record(&mut self, index: u32, totals: &BTreeMap<Contender, f64>) -> Vec<Dropped> {
        let of = |v: usize| totals.get(&self.entrants[v]).copied().filter(|t| t.is_finite());
        let values: Vec<Option<f64>> = (0..self.entrants.len()).map(|v| of(v).filter(|_| self.running[v])).collect();
        let complete = values.iter().zip(&self.running).all(|(value, running)| value.is_some() || !running);
        if index < self.rules.warmup || !complete {
            return Vec::new();
        }
        let n = self.entrants.len();
        for (v, ours) in values.iter().enumerate() {
            for (w, theirs) in values.iter().enumerate() {
                if let (Some(ours), Some(theirs)) = (ours, theirs)
                    && v != w
                {
                    self.pairs[v * n + w].record(ours - theirs - self.rules.indifference, &self.rules.bets);
                }
            }
        }
        self.counted += 1;
        self.drop_beaten()
    }

    fn drop_beaten(&mut self) -> Vec<Dropped> {
        let mut beaten: Vec<_> = (0..self.entrants.len())
            .filter(|w| self.running[*w])
            .map(|w| (w, self.mean_against(w)))
            .filter(|(_, mean)| *mean >= self.rules.threshold)
            .collect();
        beaten.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        // Somebody always stays.
        beaten.truncate(self.running.iter().filter(|r| **r).count().saturating_sub(1));
        let mut dropped = Vec::new();
        for (w, e_value) in beaten {
            self.running[w] = false;
            if let Some(by) = self.strongest_against(w) {
                dropped.push(Dropped { contender: self.entrants[w].clone(), by, e_value });
            }
        }
        dropped
    }

    /// The mean over all rivals it ever had: those that left keep the e-value they left with, so
    /// that the mean stays a fair game.
    fn mean_against(&self, w: usize) -> f64 {
        let n = self.entrants.len();
        let rivals = (0..n).filter(|v| *v != w);
        let sum: f64 = rivals.map(|v| mean_wealth(&self.pairs[v * n + w].wins)).sum();
        if n < 2 { 0.0 } else { (sum / (n - 1) as f64).min(f64::MAX) }
    }

    fn strongest_against(&self, w: usize) -> Option<Contender> {
        let n = self.entrants.len();
        let e = |v: usize| mean_wealth(&self.pairs[v * n + w].wins);
        (0..n).filter(|v| *v != w).max_by(|a, b| e(*a).total_cmp(&e(*b))).map(|v| self.entrants[v].clone())
    }

    /// Takes a contender out for a reason that is not the race's (a gate failed).
    pub fn withdraw(&mut self, contender: &Contender) {
        if let Some(at) = self.place(contender) {
            self.running[at] = false;
        }
    }

    /// Who is still in, in entry order.
    pub fn survivors(&self) -> Vec<Contender> {
        self.entrants.iter().zip(&self.running).filter(|(_, r)| **r).map(|(c, _)| c.clone()).collect()
    }

    /// The e-value for "`better` beats `worse` by more than the indifference"; 1 where nothing is known.
    pub fn e_value(&self, better: &Contender, worse: &Contender) -> f64 {
        self.pair(better, worse).map_or(1.0, |pair| mean_wealth(&pair.wins))
    }

    /// Whether neither beats the other by more than the indifference, each at the race's threshold.
    pub fn ties(&self, a: &Contender, b: &Contender) -> bool {
        let fails = |v, w| self.pair(v, w).is_some_and(|p| mean_wealth(&p.fails) >= self.rules.threshold);
        fails(a, b) && fails(b, a)
    }

    /// Whether nothing is left to decide: one survivor, or all that are left tie with each other.
    pub fn is_decided(&self) -> bool {
        let survivors = self.survivors();
        survivors.iter().enumerate().all(|(i, a)| survivors[i + 1..].iter().all(|b| self.ties(a, b)))
    }

    /// Blocks counted so far.
    pub fn counted(&self) -> u32 {
        self.counted
    }

    /// What the race holds to.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    fn place(&self, contender: &Contender) -> Option<usize> {
        self.entrants.iter().position(|c| c == contender)
    }

    fn pair(&self, v: &Contender, w: &Contender) -> Option<&Pair> {
        Some(&self.pairs[self.place(v)? * self.entrants.len() + self.place(w)?])
    }
}

/// A stream of random numbers for one block of one run.
fn stream(seed: u64, index: u32, purpose: u8) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..12].copy_from_slice(&index.to_le_bytes());
    key[12] = purpose;
    ChaCha8Rng::from_seed(key)
}

/// These contenders in the order in which block `index` measures them, from the seed alone.
pub fn shuffled(contenders: &[Contender], seed: u64, index: u32) -> Vec<Contender> {
    let mut random = stream(seed, index, 0);
    let mut order = contenders.to_vec();
    for last in (1..order.len()).rev() {
        // 64 random bits over a handful of places: the bias is below 1 in 10^18.
        let place = random.next_u64() % (last as u64 + 1);
        order.swap(last, usize::try_from(place).unwrap_or(0));
    }
    order
}

/// The seed that every contender's inputs share in block `index`.
pub fn block_seed(seed: u64, index: u32) -> u64 {
    stream(seed, index, 1).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::VariantKey;

    fn v(key: &str) -> Contender {
        Contender::Variant(VariantKey::new(key).unwrap())
    }

    fn run(race: &mut Race, blocks: u32, total: impl Fn(&str, u32) -> f64) -> Vec<(u32, Dropped)> {
        let mut out = Vec::new();
        for index in 0..blocks {
            let totals = race.survivors().into_iter().map(|c| (c.clone(), total(&c.to_string(), index))).collect();
            out.extend(race.record(index, &totals).into_iter().map(|d| (index, d)));
            if race.is_decided() {
                break;
            }
        }
        out
    }

    #[test]
    fn a_constant_difference_is_decided_within_a_dozen_blocks() {
        let mut race = Race::new(Rules::default(), &[v("A"), v("B")]);
        let out = run(&mut race, 100, |key, _| if key == "A" { 60.0 } else { 58.0 });
        assert_eq!(race.survivors(), [v("A")]);
        assert_eq!(out[0].1.contender, v("B"));
        assert_eq!(out[0].1.by, v("A"));
        assert!(race.counted() <= 12, "{}", race.counted());
    }

    #[test]
    fn equal_totals_tie_and_nobody_drops() {
        let mut race = Race::new(Rules::default(), &[v("A"), v("B"), v("C")]);
        assert_eq!(run(&mut race, 100, |_, _| 60.0), []);
        assert!(race.is_decided());
        assert!(race.ties(&v("A"), &v("C")));
        assert_eq!(race.survivors().len(), 3);
    }

    #[test]
    fn differences_below_the_indifference_tie() {
        let mut race = Race::new(Rules::default(), &[v("A"), v("B")]);
        assert_eq!(run(&mut race, 100, |key, _| if key == "A" { 60.1 } else { 60.0 }), []);
        assert!(race.is_decided());
    }

    #[test]
    fn the_warm_up_block_is_never_counted() {
        let mut race = Race::new(Rules::default(), &[v("A"), v("B")]);
        run(&mut race, 1, |_, _| 1.0);
        assert_eq!(race.counted(), 0);
    }

    #[test]
    fn a_block_that_lacks_a_survivor_or_holds_no_number_is_refused_whole() {
        let mut race = Race::new(Rules::default(), &[v("A"), v("B")]);
        race.record(1, &BTreeMap::from([(v("A"), 1.0)]));
        race.record(2, &BTreeMap::from([(v("A"), 1.0), (v("B"), f64::NAN)]));
        assert_eq!(race.counted(), 0);
    }

    #[test]
    fn who_withdrew_is_not_waited_for() {
        let mut race = Race::new(Rules::default(), &[v("A"), v("B")]);
        race.withdraw(&v("B"));
        assert!(race.is_decided());
        assert_eq!(race.survivors(), [v("A")]);
    }

    #[test]
    fn the_order_comes_from_the_seed_alone_and_every_order_occurs() {
        let all = [v("A"), v("B"), v("C")];
        assert_eq!(shuffled(&all, 7, 3), shuffled(&all, 7, 3));
        let orders: std::collections::BTreeSet<_> = (0..100).map(|index| shuffled(&all, 7, index)).collect();
        assert_eq!(orders.len(), 6);
        assert_ne!(block_seed(7, 1), block_seed(7, 2));
    }
}
