//! The scoreboard: the rows of a run, the verdict over them, what may land by it, and what more measuring would bring.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fresh::Check;
use super::instructions;
use super::landing::{self, Landing, Require, Withheld};
use super::measurement::Contender;
use super::plan::VariantKey;
use super::race::Race;
use super::score::Points;
use super::statistics;
use super::verdict::{Ground, NoWinner, Row, Support, Verdict};

/// What more measuring would bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// Blocks like those so far that would decide who is out; absent where they point nowhere.
    pub blocks: Option<u32>,
    /// What a block took, at the median.
    pub block: Duration,
}

/// Everything the Results table, the Analysis and the report are made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scoreboard {
    /// The variants in document order, then the baseline.
    pub rows: Vec<Row>,
    /// What was concluded.
    pub verdict: Verdict,
    /// Blocks counted.
    pub blocks: u32,
    /// Blocks that were measured, the warm-up and all that did not count among them.
    #[serde(default)]
    pub measured: u32,
    /// What may land; absent in runs whose verdict said so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing: Option<Landing>,
    /// What more measuring would bring, where it is not decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlook: Option<Outlook>,
    /// Who was to land, was faster than asked for, and was measured again in fresh trees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fresh: Vec<Check>,
}

impl Scoreboard {
    /// The variant to land, if any.
    pub fn lands(&self) -> Option<&VariantKey> {
        self.landing.as_ref().and_then(Landing::key)
    }

    /// Whether more measuring could change what lands.
    pub fn is_open(&self) -> bool {
        let unverified = Landing::Nothing { why: Withheld::NotVerified };
        self.verdict.is_open() || self.landing.as_ref() == Some(&unverified)
    }

    /// With what fresh trees said of those who were to land. Who could not be measured in enough of them does not.
    #[must_use]
    pub fn verified(mut self, fresh: Vec<Check>) -> Self {
        let short = |key: &VariantKey| fresh.iter().any(|check| check.variant == *key && check.is_cut_short());
        if self.lands().is_some_and(short) {
            self.landing = Some(Landing::Nothing { why: Withheld::NotVerified });
        }
        Self { fresh, ..self }
    }
}

/// What a verdict is made from.
pub struct Evidence<'a> {
    /// The variants in document order, then the baseline.
    pub rows: Vec<Row>,
    /// The race as it ended.
    pub race: &'a Race,
    /// The race of those alone whose bounds are settled: who is beaten only by somebody whose bound is open is
    /// not beaten.
    pub cleared: &'a Race,
    /// Every block's unrounded totals, warm-up included.
    pub blocks: &'a [(u32, BTreeMap<Contender, f64>)],
    /// Whether every bound was known when measuring ended.
    pub bounds_known: bool,
    /// What must be shown before a variant may land.
    pub require: Require,
    /// Blocks that were measured, counted or not.
    pub measured: u32,
    /// What a block took, at the median.
    pub block: Duration,
    /// The run's seed, for the intervals.
    pub seed: u64,
}

/// The verdict with the table it was made from, and what may land by it.
///
/// One survivor that is a variant wins. Survivors that all tie are settled by simplicity, which
/// the baseline always wins: a change that brings nothing is not landed. Where the time ended
/// first, or a bound is not known, the survivor with the highest total leads and is not supported.
pub fn decide(mut evidence: Evidence<'_>) -> Scoreboard {
    let verdict = evidence.verdict();
    evidence.show_better(&verdict);
    let landing = Landing::decide(evidence.require, &verdict, &evidence.rows, evidence.cleared);
    let outlook = matches!(verdict, Verdict::Undecided { .. })
        .then(|| Outlook { blocks: landing::blocks_to_go(evidence.require, evidence.race), block: evidence.block });
    Scoreboard {
        blocks: evidence.race.counted(),
        measured: evidence.measured,
        landing: Some(landing),
        outlook,
        fresh: Vec::new(),
        rows: evidence.rows,
        verdict,
    }
}

impl Evidence<'_> {
    fn verdict(&self) -> Verdict {
        let none = |reason| Verdict::NoWinner { reason };
        let eligible = |row: &&Row| row.outcome.is_eligible() && row.contender != Contender::Baseline;
        if self.rows.iter().filter(eligible).count() == 0 {
            return none(NoWinner::NoneEligible);
        }
        if self.rows.iter().filter(eligible).all(|row| row.total.is_none()) {
            return none(NoWinner::NotMeasured);
        }
        let survivors = self.race.survivors();
        let supported = self.bounds_known && self.race.is_decided();
        if supported && survivors.contains(&Contender::Baseline) {
            return none(NoWinner::BaselineBetter);
        }
        match (supported, survivors.as_slice()) {
            (true, [Contender::Variant(key)]) => Verdict::Winner { key: key.clone(), support: self.support(key) },
            (true, _) => self.tie(&survivors),
            (false, _) => self.undecided(&survivors),
        }
    }

    /// Notes in the rows who is known to be better than the baseline by its lead. Whoever is left of a
    /// decided race that the baseline was in and left is better than it.
    fn show_better(&mut self, verdict: &Verdict) {
        let baseline = Contender::Baseline;
        let raced = self.race.entrants().contains(&baseline);
        let mut shown = if raced { self.cleared.shown_over(&baseline) } else { BTreeMap::new() };
        if raced && verdict.is_supported() {
            for survivor in self.race.survivors() {
                let e_value = self.race.e_value(&survivor, &baseline);
                shown.entry(survivor).or_insert(e_value);
            }
        }
        for row in self.rows.iter_mut().filter(|row| row.outcome.is_eligible() && row.better.is_none()) {
            row.better = shown.get(&row.contender).map(|e_value| Ground::Lead { e_value: *e_value });
        }
    }

    fn row(&self, contender: &Contender) -> Option<&Row> {
        self.rows.iter().find(|row| row.contender == *contender)
    }

    /// The simplest of those that tie; of equally simple ones the one that executes the fewest instructions, where
    /// those were counted; else the first in the document.
    fn tie(&self, survivors: &[Contender]) -> Verdict {
        let tied: Vec<_> = survivors.iter().filter_map(|contender| self.row(contender)?.tied()).collect();
        match instructions::tie_break(&tied) {
            Some((key, _)) => {
                Verdict::Tie { key: key.clone(), among: tied.iter().map(|one| one.key.clone()).collect() }
            }
            None => Verdict::NoWinner { reason: NoWinner::NoneEligible },
        }
    }

    fn undecided(&self, survivors: &[Contender]) -> Verdict {
        let mut leader: Option<(&Contender, f64)> = None;
        for contender in survivors {
            let total = self.row(contender).and_then(|row| row.total).map(Points::get);
            // The baseline keeps its place where a variant only equals it.
            let better = |best: f64, total: f64| total > best || (total >= best && *contender == Contender::Baseline);
            if let Some(total) = total
                && leader.is_none_or(|(_, best)| better(best, total))
            {
                leader = Some((contender, total));
            }
        }
        let Some((first, _)) = leader else { return Verdict::NoWinner { reason: NoWinner::NotMeasured } };
        let key = first.key();
        let support = key.and_then(|key| self.support(key));
        // Who is not ahead of its closest rival leads nobody.
        let behind = support.as_ref().is_some_and(|support| support.difference <= 0.0);
        let Some(key) = key.filter(|_| !behind) else {
            return Verdict::Undecided { leader: None, support: None, smallest_seen: None };
        };
        let smallest_seen = support.as_ref().and_then(|s| self.smallest_seen(key, &s.rival));
        Verdict::Undecided { leader: Some(key.clone()), support, smallest_seen }
    }

    /// Differences in total between two contenders over the counted blocks that both were in.
    fn differences(&self, key: &VariantKey, rival: &Contender) -> Vec<f64> {
        let ours = Contender::Variant(key.clone());
        let counted = self.blocks.iter().filter(|(index, _)| *index >= self.race.rules().warmup);
        counted.filter_map(|(_, totals)| Some(totals.get(&ours)? - totals.get(rival)?)).collect()
    }

    /// How a variant stands against the rival that comes closest to it.
    fn support(&self, key: &VariantKey) -> Option<Support> {
        let ours = Contender::Variant(key.clone());
        let rivals = self.rows.iter().map(|row| &row.contender).filter(|c| **c != ours);
        let against = |rival: &Contender| {
            let differences = self.differences(key, rival);
            let difference = statistics::trimmed_mean(&differences, 0.2)?;
            Some(Support {
                rival: rival.clone(),
                difference,
                half_width: statistics::half_width(&differences, self.seed),
                e_value: self.race.e_value(&ours, rival),
                blocks: u32::try_from(differences.len()).unwrap_or(u32::MAX),
            })
        };
        rivals.filter_map(against).min_by(|a, b| a.difference.total_cmp(&b.difference))
    }

    /// The smallest difference that the race would have seen in these very blocks, had their
    /// median been it: found by racing the centred differences, shifted, once more.
    fn smallest_seen(&self, key: &VariantKey, rival: &Contender) -> Option<f64> {
        let differences = self.differences(key, rival);
        let centre = statistics::median(&differences).filter(|_| differences.len() >= 3)?;
        let rivals = self.rows.iter().filter(|row| row.outcome.is_eligible()).count().saturating_sub(1).max(1);
        let mut rules = self.race.rules().clone();
        rules.threshold *= rivals as f64;
        rules.warmup = 0;
        let ours = Contender::Variant(key.clone());
        let seen = |shift: f64| {
            let mut race = Race::new(rules.clone(), &[ours.clone(), rival.clone()]);
            (0..).zip(&differences).any(|(index, d)| {
                let totals = BTreeMap::from([(ours.clone(), d - centre + shift), (rival.clone(), 0.0)]);
                race.record(index, &totals).iter().any(|dropped| dropped.contender == *rival)
            })
        };
        let (mut low, mut high) = (0.0, 100.0);
        if !seen(high) {
            return None;
        }
        while high - low > 0.05 {
            let middle = f64::midpoint(low, high);
            if seen(middle) { high = middle } else { low = middle }
        }
        Some(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::race::Rules;
    use crate::domain::score::Criteria;
    use crate::domain::trial::{Disqualification, Outcome};

    fn v(key: &str) -> Contender {
        Contender::try_from(key.to_owned()).unwrap()
    }

    /// One contender: key, simplicity, and its total in a block.
    type Runner<'a> = (&'a str, f64, &'a dyn Fn(u32) -> f64);

    struct Case<'a> {
        runners: &'a [Runner<'a>],
        blocks: u32,
        bounds_known: bool,
    }

    fn row(contender: Contender, simplicity: f64, total: Option<f64>, outcome: Outcome) -> Row {
        let points = |p| Points::new(p).unwrap();
        let criteria =
            total.map(|_| Criteria { tests: points(100.0), performance: points(50.0), simplicity: points(simplicity) });
        let (metrics, open) = (BTreeMap::new(), Vec::new());
        Row { contender, outcome, criteria, total: total.map(points), metrics, open, better: None, instructions: None }
    }

    fn conclude(case: &Case<'_>) -> Verdict {
        concluded(case).verdict
    }

    fn concluded(case: &Case<'_>) -> Scoreboard {
        let entrants: Vec<_> = case.runners.iter().map(|r| v(r.0)).collect();
        let mut race = Race::new(Rules::default(), &entrants);
        let mut blocks = Vec::new();
        for index in 0..case.blocks {
            let totals: BTreeMap<_, _> = case.runners.iter().map(|r| (v(r.0), r.2(index))).collect();
            let of = race.survivors().into_iter().map(|c| (c.clone(), totals[&c])).collect();
            race.record(index, &of);
            blocks.push((index, of));
        }
        let rows = case
            .runners
            .iter()
            .map(|r| row(v(r.0), r.1, Some(r.2(1)), Outcome::Eligible { over_budget: false, unfinished: Vec::new() }));
        let evidence = Evidence {
            rows: rows.collect(),
            race: &race,
            cleared: &race,
            blocks: &blocks,
            bounds_known: case.bounds_known,
            require: Require::Better,
            measured: case.blocks,
            block: Duration::from_secs(2),
            seed: 1,
        };
        decide(evidence)
    }

    fn key(text: &str) -> VariantKey {
        VariantKey::new(text).unwrap()
    }

    const PLAIN: Case<'static> = Case { runners: &[], blocks: 40, bounds_known: true };

    #[test]
    fn a_variant_that_beats_all_wins_with_its_closest_rival_named() {
        let runners: &[Runner<'_>] =
            &[("A", 90.0, &|i| 70.0 + f64::from(i % 3) * 0.1), ("B", 95.0, &|_| 68.0), ("@baseline", 100.0, &|_| 60.0)];
        let Verdict::Winner { key: winner, support } = conclude(&Case { runners, ..PLAIN }) else {
            panic!("no winner")
        };
        let support = support.unwrap();
        assert_eq!((winner, support.rival), (key("A"), v("B")));
        assert!((support.difference - 2.1).abs() < 0.1 && support.half_width.unwrap() < 0.2 && support.e_value >= 40.0);
    }

    #[test]
    fn variants_that_tie_are_settled_by_simplicity_and_then_by_their_order() {
        let runners: &[Runner<'_>] =
            &[("A", 90.0, &|_| 70.0), ("B", 95.0, &|_| 70.0), ("C", 95.0, &|_| 70.0), ("@baseline", 100.0, &|_| 50.0)];
        let expected = Verdict::Tie { key: key("B"), among: vec![key("A"), key("B"), key("C")] };
        assert_eq!(conclude(&Case { runners, ..PLAIN }), expected);
    }

    #[test]
    fn a_variant_that_is_beaten_by_the_baseline_or_only_equals_it_does_not_win() {
        let better = Verdict::NoWinner { reason: NoWinner::BaselineBetter };
        for own in [40.0, 60.0] {
            let of = move |_| own;
            let runners: &[Runner<'_>] = &[("A", 90.0, &of), ("@baseline", 100.0, &|_| 60.0)];
            assert_eq!(conclude(&Case { runners, ..PLAIN }), better, "{own}");
            let undecided = concluded(&Case { runners, blocks: 2, ..PLAIN });
            assert!(matches!(undecided.verdict, Verdict::Undecided { leader: None, .. }), "{own}: nobody leads");
            assert_eq!(undecided.lands(), None);
        }
    }

    #[test]
    fn when_the_time_ends_first_the_highest_total_leads_unsupported_and_what_could_be_seen_is_told() {
        let noise = |i: u32| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let runners: &[Runner<'_>] =
            &[("A", 90.0, &move |i| 70.0 + noise(i)), ("B", 95.0, &|_| 70.1), ("@baseline", 100.0, &|_| 50.0)];
        let verdict = conclude(&Case { runners, ..PLAIN });
        let Verdict::Undecided { leader, support, smallest_seen } = verdict else { panic!("{verdict:?}") };
        assert!(support.is_some());
        assert_eq!(leader, Some(key("B")));
        let smallest = smallest_seen.unwrap();
        assert!((0.25..10.0).contains(&smallest), "{smallest}");
    }

    #[test]
    fn where_the_time_ends_first_who_is_known_to_be_better_than_the_baseline_lands_and_the_simplest_of_them() {
        let noise = |i: u32| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let runners: &[Runner<'_>] =
            &[("A", 90.0, &move |i| 70.0 + noise(i)), ("B", 95.0, &|_| 69.9), ("@baseline", 100.0, &|_| 50.0)];
        let board = concluded(&Case { runners, ..PLAIN });
        assert_eq!(board.lands(), Some(&key("B")));
        assert!(
            board.rows[..2].iter().all(|row| matches!(row.better, Some(Ground::Lead { e_value }) if e_value >= 40.0))
        );
        assert_eq!(board.outlook.map(|outlook| outlook.block), Some(Duration::from_secs(2)));
        let early = concluded(&Case { runners, blocks: 6, ..PLAIN });
        assert_eq!(early.lands(), None, "five blocks show nothing");
    }

    #[test]
    fn an_interval_is_told_only_where_there_is_one() {
        let runners: &[Runner<'_>] = &[("A", 90.0, &|_| 70.0), ("@baseline", 100.0, &|_| 50.0)];
        let Verdict::Undecided { support, .. } = conclude(&Case { runners, blocks: 2, ..PLAIN }) else { panic!() };
        assert_eq!(support.unwrap().half_width, None);
    }

    #[test]
    fn a_winner_whose_bound_is_not_known_is_not_supported() {
        let runners: &[Runner<'_>] = &[("A", 90.0, &|_| 70.0), ("@baseline", 100.0, &|_| 60.0)];
        let verdict = conclude(&Case { runners, bounds_known: false, ..PLAIN });
        assert!(matches!(verdict, Verdict::Undecided { .. }), "{verdict:?}");
    }

    #[test]
    fn nobody_wins_when_nobody_is_eligible_or_nothing_was_measured() {
        let race = Race::new(Rules::default(), &[]);
        let out = Outcome::Disqualified { reason: Disqualification::NothingChanged };
        for (outcome, reason) in [
            (out, NoWinner::NoneEligible),
            (Outcome::Eligible { over_budget: false, unfinished: Vec::new() }, NoWinner::NotMeasured),
        ] {
            let rows = vec![row(v("A"), 90.0, None, outcome)];
            let evidence = Evidence {
                rows,
                race: &race,
                cleared: &race,
                blocks: &[],
                bounds_known: true,
                require: Require::Better,
                measured: 0,
                block: Duration::ZERO,
                seed: 1,
            };
            assert_eq!(decide(evidence).verdict, Verdict::NoWinner { reason });
        }
    }
}
