//! Lanes never share a core, leave one free, and are refused by what would decide wrongly.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::plan::VariantKey;

fn v(key: &str) -> Contender {
    Contender::Variant(VariantKey::new(key).unwrap())
}

/// Cores with these numbers of hyperthreads, numbered one after another.
fn machine(threads: &[usize]) -> Topology {
    let mut next = 0;
    let core = |count: &usize| {
        let cpus = (next..next + count).collect();
        next += count;
        Core { cpus, whole: true }
    };
    Topology { cores: threads.iter().map(core).collect() }
}

fn auto(topology: &Topology, contenders: usize) -> Result<Lanes, Refusal> {
    Lanes::planned(topology, Wanted::Auto, contenders)
}

#[test]
fn four_cores_are_three_lanes_and_the_first_core_stays_free() {
    assert_eq!(auto(&machine(&[1; 4]), 5).unwrap().cpus(), [[1], [2], [3]]);
    assert_eq!(auto(&machine(&[2; 4]), 5).unwrap().cpus(), [[2, 3], [4, 5], [6, 7]]);
}

#[test]
fn lanes_are_no_more_than_contenders_and_share_the_cores_evenly() {
    assert_eq!(auto(&machine(&[1; 8]), 3).unwrap().cpus(), [[1, 2], [3, 4], [5, 6]]);
    let wanted = |n| Lanes::planned(&machine(&[1; 8]), Wanted::Exactly(n), 3).unwrap().count();
    assert_eq!((wanted(2), wanted(3), wanted(20)), (2, 3, 3));
}

#[test]
fn cores_of_one_kind_are_lanes_and_the_others_are_what_stays_free() {
    // Two fast cores with two hyperthreads beside five slow ones.
    assert_eq!(auto(&machine(&[2, 2, 1, 1, 1, 1, 1]), 9).unwrap().cpus(), [[4], [5], [6], [7], [8]]);
}

#[test]
fn each_refusal_says_why_and_what_to_do() {
    let two = auto(&machine(&[1; 2]), 5).unwrap_err();
    assert_eq!(two.to_string(), "2 cores, lanes need 4");
    assert!(two.hint().contains("4 cores or more"));
    assert_eq!(auto(&machine(&[2]), 5).unwrap_err().to_string(), "1 core, lanes need 4");
    let mut shared = machine(&[2; 4]);
    for core in &mut shared.cores[1..] {
        core.whole = false;
    }
    assert_eq!(auto(&shared, 5).unwrap_err().to_string(), "1 core, lanes need 4; 3 more are only partly ours to use");
    assert_eq!(auto(&Topology::default(), 5), Err(Refusal::Unknown));
    let many = Lanes::planned(&machine(&[1; 4]), Wanted::Exactly(4), 5).unwrap_err();
    assert_eq!(many.to_string(), "4 lanes do not fit beside a free core, 3 would");
    assert!(many.hint().contains("lanes: 3"));
    assert_eq!(Lanes::planned(&machine(&[1; 8]), Wanted::Off, 5), Err(Refusal::Off));
}

#[test]
fn lanes_that_were_planned_before_must_still_be_wholly_ours() {
    let mut topology = machine(&[2; 4]);
    let lanes = auto(&topology, 5).unwrap();
    assert!(lanes.fit(&topology) && !lanes.fit(&machine(&[1; 4])));
    topology.cores[3].whole = false;
    assert!(!lanes.fit(&topology));
}

#[test]
fn every_contender_comes_to_every_lane_and_no_lane_is_used_more_than_another() {
    let lanes = auto(&machine(&[1; 4]), 5).unwrap();
    let contenders = [v("A"), v("B"), v("C"), Contender::Baseline];
    let mut seen: BTreeMap<(Contender, u32), u32> = BTreeMap::new();
    let mut used: BTreeMap<u32, u32> = BTreeMap::new();
    for block in 0..600 {
        for (lane, contender) in lanes.rounds(&contenders, 7, block).into_iter().flatten() {
            *seen.entry((contender, lane)).or_default() += 1;
            *used.entry(lane).or_default() += 1;
        }
    }
    assert!(seen.len() == 12 && seen.values().all(|n| (150..=250).contains(n)), "{seen:?}");
    assert!(used.values().all(|n| *n == 800), "{used:?}");
    assert_eq!(lanes.rounds(&contenders, 7, 3), lanes.rounds(&contenders, 7, 3));
}

prop_compose! {
    fn topologies()(cores in prop::collection::vec((1_usize..4, prop::bool::weighted(0.8)), 0..24)) -> Topology {
        let mut topology = machine(&cores.iter().map(|c| c.0).collect::<Vec<_>>());
        for (core, (_, whole)) in topology.cores.iter_mut().zip(&cores) {
            core.whole = *whole;
        }
        topology
    }
}

proptest! {
    #[test]
    fn no_two_lanes_share_a_core_and_one_core_is_always_free(
        topology in topologies(), contenders in 1_usize..10, wanted in 0_usize..12,
    ) {
        let wanted = if wanted == 0 { Wanted::Auto } else { Wanted::Exactly(wanted) };
        let Ok(lanes) = Lanes::planned(&topology, wanted, contenders) else { return Ok(()) };
        let user = |core: &Core| {
            let using = |lane: &&Vec<usize>| core.cpus.iter().any(|cpu| lane.contains(cpu));
            let users: Vec<_> = lanes.cpus().iter().filter(using).collect();
            // A lane has all of a core's CPUs or none.
            assert!(users.iter().all(|lane| core.whole && core.cpus.iter().all(|cpu| lane.contains(cpu))));
            users.len()
        };
        let users: Vec<usize> = topology.cores.iter().map(user).collect();
        prop_assert!(users.iter().all(|n| *n <= 1) && users.contains(&0), "{topology:?}: {lanes:?}");
        let sizes: BTreeSet<usize> = lanes.cpus().iter().map(Vec::len).collect();
        prop_assert!(sizes.len() == 1 && !sizes.contains(&0));
        prop_assert!((1..=contenders).contains(&lanes.count()) && lanes.fit(&topology));
    }

    #[test]
    fn a_block_has_each_contender_once_and_nobody_shares_a_lane_in_a_round(
        count in 1_usize..12, cores in 4_usize..12, seed: u64, block in 0_u32..2000,
    ) {
        let lanes = auto(&machine(&vec![1; cores]), count).unwrap();
        let contenders: Vec<_> = (0..count).map(|n| v(&format!("V{n}"))).collect();
        let rounds = lanes.rounds(&contenders, seed, block);
        prop_assert_eq!(rounds.len(), count.div_ceil(lanes.count()));
        for round in &rounds {
            let used: BTreeSet<_> = round.iter().map(|(lane, _)| lane).collect();
            prop_assert!(used.len() == round.len() && used.iter().all(|lane| (**lane as usize) < lanes.count()));
        }
        let sizes = rounds.iter().map(Vec::len);
        prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
        let mut all: Vec<_> = rounds.into_iter().flatten().map(|(_, contender)| contender).collect();
        all.sort();
        let mut expected = contenders;
        expected.sort();
        prop_assert_eq!(all, expected);
    }
}

/// What a check saw: contender, lane, the median alone and beside others.
fn seen(values: &[(&Contender, u32, f64, f64)]) -> Vec<Tried> {
    let one = |(who, lane, alone, beside): &(&Contender, u32, f64, f64)| {
        let tried = |alone, value| Tried {
            source: "time: x".to_owned(),
            metric: MetricName::new("latency").unwrap(),
            contender: (*who).clone(),
            lane: *lane,
            alone,
            value,
        };
        // One value in three is far off, as the first run in a tree may be.
        [(true, alone * 3.0), (true, *alone), (true, *alone), (false, *beside), (false, *beside), (false, beside * 3.0)]
            .map(|(alone, value)| tried(alone, value))
    };
    values.iter().flat_map(one).collect()
}

#[test]
fn lanes_that_change_nothing_pass_and_what_is_off_once_does_not_matter() {
    let base = Contender::Baseline;
    let fine = seen(&[(&base, 0, 1.0, 1.01), (&base, 1, 1.005, 1.01), (&v("A"), 0, 0.5, 0.507)]);
    assert_eq!(interference(&fine), Ok(()));
}

#[test]
fn lanes_that_differ_a_slow_down_and_an_unequal_one_are_each_a_reason() {
    let base = Contender::Baseline;
    let (a, b) = (v("A"), v("B"));
    let cases: [(&[_], &str); 5] = [
        (&[(&base, 0, 1.0, 1.0), (&base, 1, 1.03, 1.03)], "lanes 0 and 1 are not alike"),
        (
            &[(&base, 0, 1.0, 1.021), (&base, 1, 1.0, 1.021)],
            "baseline is 2.1 % more beside others than alone in lane 0",
        ),
        (&[(&base, 0, 1.0, 1.0), (&a, 1, 1.0, 1.5)], "latency of A is 50.0 % more beside others than alone in lane 1"),
        (&[(&base, 0, 1.0, 1.0), (&a, 1, 1.0, 0.9)], "10.0 % less"),
        (
            &[(&base, 0, 1.0, 1.0), (&a, 1, 1.0, 1.015), (&b, 2, 1.0, 0.99)],
            "not change latency for all alike: by up to 2.5 %",
        ),
    ];
    for (values, expected) in cases {
        let why = interference(&seen(values)).unwrap_err();
        assert!(why.contains(expected) && why.contains("time: x"), "{why}");
    }
}

#[test]
fn values_of_zero_are_alike_and_something_from_nothing_is_not() {
    let base = Contender::Baseline;
    assert_eq!(interference(&seen(&[(&base, 0, 0.0, 0.0)])), Ok(()));
    assert!(interference(&seen(&[(&base, 0, 0.0, 1.0)])).unwrap_err().contains("many times more"));
}

#[test]
fn a_check_that_compared_nothing_does_not_pass() {
    interference(&[]).unwrap_err();
    let mut half = seen(&[(&Contender::Baseline, 0, 1.0, 1.0)]);
    half.retain(|one| one.alone);
    interference(&half).unwrap_err();
}
