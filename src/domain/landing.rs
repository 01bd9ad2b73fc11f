//! What may land: which variant takes the place of the baseline, and on what grounds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::instructions;
use super::measurement::Contender;
use super::plan::VariantKey;
use super::race::Race;
use super::verdict::{Ground, Row, Verdict};

/// What must be shown before a variant may land.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Require {
    /// That it is better than the baseline. Of several that can't be told apart the simplest lands.
    #[default]
    Better,
    /// Nothing: whoever leads when the time ends lands.
    Leader,
    /// That it is better than the baseline and than every rival, or ties with those that are left.
    Supported,
    /// That it is better than the baseline, and that no line of it could be there for whoever measures and tests.
    Unsuspicious,
}

impl Require {
    /// Whether it is enough to be better than the baseline.
    fn asks_for_better(self) -> bool {
        matches!(self, Self::Better | Self::Unsuspicious)
    }
}

impl fmt::Display for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::Leader => "leader",
            Self::Supported => "supported",
            Self::Unsuspicious => "unsuspicious",
        })
    }
}

/// Whether anything lands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "landing")]
pub enum Landing {
    /// This variant.
    Lands {
        /// Which.
        key: VariantKey,
        /// On what grounds.
        because: Because,
    },
    /// Nobody.
    Nothing {
        /// Why.
        why: Withheld,
    },
}

/// The grounds on which a variant lands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "because")]
pub enum Because {
    /// It beats the baseline and every rival.
    Best,
    /// It is the simplest of those that tie, and all of them are better than the baseline.
    Simplest,
    /// It is better than the baseline; of those that are and can't be told apart it is the simplest.
    Better {
        /// What shows it.
        ground: Ground,
        /// All that are known to be better and can't be told apart, itself among them, in document order.
        among: Vec<VariantKey>,
    },
    /// It leads, and nothing more is asked.
    Leads,
}

/// Why nobody lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Withheld {
    /// The verdict says why.
    NoWinner,
    /// No variant whose bounds are settled was shown to be better than the baseline.
    NotBetter,
    /// The verdict is not supported, and support is required.
    NotSupported,
    /// Nobody leads.
    NoLeader,
    /// Who was to land is faster than asked for and was measured in too few fresh trees.
    NotVerified,
    /// Lines of who was to land could be there for whoever measures and tests, and nobody looked at them.
    Suspicious,
}

/// How many more blocks like those so far would decide: who is out, or where that is enough to land whether anybody
/// is better than the baseline; `None` where that can't be told or nothing is left to decide.
pub fn blocks_to_go(require: Require, race: &Race) -> Option<u32> {
    let shown = if require.asks_for_better() { race.blocks_to_show(&Contender::Baseline) } else { None };
    race.blocks_to_go().into_iter().chain(shown).min()
}

impl Landing {
    /// Who lands.
    pub fn key(&self) -> Option<&VariantKey> {
        match self {
            Self::Lands { key, .. } => Some(key),
            Self::Nothing { .. } => None,
        }
    }

    /// What may land by a verdict and what is known of the variants; `race` is that of those whose bounds are
    /// settled.
    pub fn decide(require: Require, verdict: &Verdict, rows: &[Row], race: &Race) -> Self {
        let lands = |key: &VariantKey, because| Self::Lands { key: key.clone(), because };
        let nothing = |why| Self::Nothing { why };
        match verdict {
            Verdict::NoWinner { .. } => nothing(Withheld::NoWinner),
            Verdict::Winner { key, .. } if is_cleared(rows, key, require) => lands(key, Because::Best),
            Verdict::Tie { key, .. } if is_cleared(rows, key, require) => lands(key, Because::Simplest),
            Verdict::Winner { .. } | Verdict::Tie { .. } => nothing(Withheld::NotBetter),
            Verdict::Undecided { leader, .. } => match require {
                Require::Leader => {
                    leader.as_ref().map_or(nothing(Withheld::NoLeader), |key| lands(key, Because::Leads))
                }
                Require::Supported => nothing(Withheld::NotSupported),
                Require::Better | Require::Unsuspicious => {
                    simplest_of_the_better(rows, race).unwrap_or(nothing(Withheld::NotBetter))
                }
            },
        }
    }
}

/// Whether what must be shown of a supported winner is shown.
fn is_cleared(rows: &[Row], key: &VariantKey, require: Require) -> bool {
    require == Require::Leader || row(rows, key).is_some_and(|row| row.better.is_some())
}

fn row<'a>(rows: &'a [Row], key: &VariantKey) -> Option<&'a Row> {
    rows.iter().find(|row| row.contender.key() == Some(key))
}

fn simplest_of_the_better(rows: &[Row], race: &Race) -> Option<Landing> {
    let survivors = race.survivors();
    let may = |row: &&Row| {
        row.outcome.is_eligible() && row.open.is_empty() && row.better.is_some() && survivors.contains(&row.contender)
    };
    let candidates: Vec<&Row> = rows.iter().filter(may).collect();
    let tied: Vec<_> = candidates.iter().filter_map(|row| row.tied()).collect();
    let (key, _) = instructions::tie_break(&tied)?;
    let ground = row(rows, key)?.better.clone()?;
    let among = tied.iter().map(|one| one.key.clone()).collect();
    Some(Landing::Lands { key: key.clone(), because: Because::Better { ground, among } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::measurement::MetricName;
    use crate::domain::race::Rules;
    use crate::domain::score::{Criteria, Points};
    use crate::domain::trial::Outcome;
    use crate::domain::verdict::NoWinner;

    fn key(text: &str) -> VariantKey {
        VariantKey::new(text).unwrap()
    }

    /// An eligible row: key, simplicity, whether it is shown to be better, and whether a bound is open.
    fn rows(all: &[(&str, f64, bool, bool)]) -> Vec<Row> {
        let points = |p| Points::new(p).unwrap();
        let row = |(name, simplicity, better, open): &(&str, f64, bool, bool)| Row {
            contender: Contender::Variant(key(name)),
            outcome: Outcome::Eligible { over_budget: false, unfinished: Vec::new() },
            criteria: Some(Criteria {
                tests: points(100.0),
                performance: points(50.0),
                simplicity: points(*simplicity),
            }),
            total: Some(points(50.0)),
            metrics: BTreeMap::new(),
            open: if *open { vec![MetricName::new("size").unwrap()] } else { Vec::new() },
            better: better.then_some(Ground::Lead { e_value: 50.0 }),
            instructions: None,
        };
        all.iter().map(row).collect()
    }

    fn race(all: &[Row]) -> Race {
        Race::new(Rules::default(), &all.iter().map(|row| row.contender.clone()).collect::<Vec<_>>())
    }

    fn undecided(leader: Option<&str>) -> Verdict {
        Verdict::Undecided { leader: leader.map(key), support: None, smallest_seen: None }
    }

    #[test]
    fn only_what_is_shown_to_be_better_than_the_baseline_lands_by_default() {
        let leading = rows(&[("A", 90.0, false, false), ("B", 95.0, false, false)]);
        let landing = |require| Landing::decide(require, &undecided(Some("A")), &leading, &race(&leading));
        assert_eq!(landing(Require::default()), Landing::Nothing { why: Withheld::NotBetter });
        assert_eq!(landing(Require::Supported), Landing::Nothing { why: Withheld::NotSupported });
        assert_eq!(landing(Require::Leader), Landing::Lands { key: key("A"), because: Because::Leads });
    }

    #[test]
    fn of_those_that_are_better_and_cant_be_told_apart_the_simplest_lands() {
        let better = rows(&[("A", 90.0, true, false), ("B", 95.0, true, false), ("C", 99.0, false, false)]);
        let landing = Landing::decide(Require::Better, &undecided(Some("A")), &better, &race(&better));
        let Landing::Lands { key: lands, because: Because::Better { among, .. } } = landing else {
            panic!("{landing:?}")
        };
        assert_eq!((lands, among), (key("B"), vec![key("A"), key("B")]));
    }

    #[test]
    fn of_equally_simple_ones_the_one_that_executes_the_fewest_instructions_lands() {
        let mut better = rows(&[("A", 90.0, true, false), ("B", 90.0, true, false)]);
        let lands =
            |rows: &[Row]| Landing::decide(Require::Better, &undecided(Some("A")), rows, &race(rows)).key().cloned();
        assert_eq!(lands(&better), Some(key("A")), "the first, where nothing was counted");
        (better[0].instructions, better[1].instructions) = (Some(2_000_000), Some(1_000_000));
        assert_eq!(lands(&better), Some(key("B")));
    }

    #[test]
    fn blocks_that_show_one_to_be_better_than_the_baseline_decide_where_that_is_enough_to_land() {
        let baseline = Contender::Baseline;
        let entrants = [Contender::Variant(key("A")), Contender::Variant(key("B")), baseline.clone()];
        let mut race = Race::new(Rules::default(), &entrants);
        for block in 0..6 {
            let totals = entrants.iter().map(|who| (who.clone(), if *who == baseline { 50.0 } else { 60.0 })).collect();
            race.record(block, &totals);
        }
        let to_go = |race: &Race| [Require::Better, Require::Supported].map(|require| blocks_to_go(require, race));
        assert!(matches!(to_go(&race), [Some(1..=8), None]), "A and B point nowhere: {:?}", to_go(&race));
        for block in 6..16 {
            let survivors = race.survivors();
            let totals = survivors.into_iter().map(|who| {
                let total = if who == baseline { 50.0 } else { 60.0 };
                (who, total)
            });
            let totals = totals.collect();
            race.record(block, &totals);
        }
        assert_eq!(to_go(&race), [None, None]);
    }

    #[test]
    fn who_left_the_race_or_holds_an_open_bound_does_not_land() {
        let better = rows(&[("A", 90.0, true, true), ("B", 95.0, true, false), ("C", 80.0, true, false)]);
        let mut race = race(&better);
        race.withdraw(&Contender::Variant(key("B")));
        let landing = Landing::decide(Require::Better, &undecided(Some("A")), &better, &race);
        assert_eq!(landing.key(), Some(&key("C")));
        race.withdraw(&Contender::Variant(key("C")));
        let landing = Landing::decide(Require::Better, &undecided(Some("A")), &better, &race);
        assert_eq!(landing, Landing::Nothing { why: Withheld::NotBetter });
    }

    #[test]
    fn a_winner_with_nothing_to_compare_it_with_lands_only_where_nothing_is_asked() {
        let alone = rows(&[("A", 90.0, false, false)]);
        let winner = Verdict::Winner { key: key("A"), support: None };
        let lands = |require| Landing::decide(require, &winner, &alone, &race(&alone)).key().is_some();
        assert_eq!([Require::Better, Require::Supported, Require::Leader].map(lands), [false, false, true]);
    }

    #[test]
    fn a_winner_and_the_simplest_of_a_tie_land_where_they_are_better_than_the_baseline() {
        let tie = Verdict::Tie { key: key("A"), among: vec![key("A"), key("B")] };
        let winner = Verdict::Winner { key: key("A"), support: None };
        let decide = |verdict: &Verdict, rows: &[Row]| Landing::decide(Require::Better, verdict, rows, &race(rows));
        let lands = |because| Landing::Lands { key: key("A"), because };
        let better = rows(&[("A", 90.0, true, false), ("B", 80.0, false, false)]);
        assert_eq!(decide(&tie, &better), lands(Because::Simplest));
        assert_eq!(decide(&winner, &better), lands(Because::Best));
        // What is known of others is not known of it.
        let other = rows(&[("A", 90.0, false, false), ("B", 80.0, true, false)]);
        for verdict in [tie, winner] {
            assert_eq!(decide(&verdict, &other), Landing::Nothing { why: Withheld::NotBetter });
        }
    }

    #[test]
    fn who_is_disqualified_does_not_land_however_much_better_it_is() {
        let mut all = rows(&[("A", 90.0, true, false)]);
        all[0].outcome = Outcome::Infrastructure { message: "the machine failed".to_owned() };
        let landing = Landing::decide(Require::Better, &undecided(None), &all, &race(&all));
        assert_eq!(landing, Landing::Nothing { why: Withheld::NotBetter });
    }

    #[test]
    fn where_nobody_leads_or_nobody_wins_nobody_lands() {
        let leading = rows(&[("A", 90.0, false, false)]);
        let decide = |verdict: &Verdict| Landing::decide(Require::Leader, verdict, &leading, &race(&leading));
        assert_eq!(decide(&undecided(None)), Landing::Nothing { why: Withheld::NoLeader });
        let none = Verdict::NoWinner { reason: NoWinner::NoneEligible };
        assert_eq!(decide(&none), Landing::Nothing { why: Withheld::NoWinner });
    }
}
