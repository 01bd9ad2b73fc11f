//! Parallel lanes: which CPUs they are made of, who runs in which, and whether they may be used.
//!
//! Slices that are taken at once disturb each other unless each has cores of its own, and often even then:
//! caches, memory and clock rates are shared. So lanes are planned by the machine's shape and used
//! only where a check on this machine, with this plan's own sources, saw no difference.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::measurement::{Contender, MetricName, Reading, Slice};
use super::race;
use super::statistics::median;
use super::timed::Clocks;

/// Physical cores below which everything is measured one after another.
const LEAST_CORES: usize = 4;

/// The share by which a median beside others may differ from the one alone; from here on lanes are not used.
const SLOWDOWN: f64 = 0.02;

/// The share by which lanes, and slow-downs, may differ from each other: who is slowed more than
/// another would lose by its lane or its neighbours.
const UNEQUAL: f64 = 0.02;

/// One physical core, as far as this process may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    /// Its logical CPUs that this process may use, in order; at least one.
    pub cpus: Vec<usize>,
    /// Whether that is all of them: who else uses the rest is not known.
    pub whole: bool,
}

/// The physical cores that this process may use; none where the machine does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topology {
    /// In the order of their first CPU. No two have a CPU in common.
    pub cores: Vec<Core>,
}

/// What the configuration says about lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// Where they are possible.
    #[default]
    Auto,
    /// Never.
    Off,
    /// So many, and never more than there are contenders.
    Exactly(usize),
}

/// Why contenders are measured one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The configuration says so.
    Off,
    /// The machine does not tell which CPUs share a core.
    Unknown,
    /// There are too few cores.
    FewCores {
        /// Cores that are wholly ours.
        whole: usize,
        /// Cores that are ours in part.
        partial: usize,
    },
    /// So many lanes do not fit.
    TooMany {
        /// Lanes that were asked for.
        wanted: usize,
        /// Lanes that fit.
        fit: usize,
    },
    /// A source keeps something running, or asks something that runs elsewhere.
    Stays {
        /// Its name.
        source: String,
    },
    /// No source is asked in every block.
    Nothing,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = |n: usize| if n == 1 { "1 core".to_owned() } else { format!("{n} cores") };
        match self {
            Self::Off => f.write_str("lanes are off in blueprint.yaml"),
            Self::Unknown => f.write_str("this machine does not tell which CPUs share a core"),
            Self::FewCores { whole, partial: 0 } => write!(f, "{}, lanes need {LEAST_CORES}", cores(*whole)),
            Self::FewCores { whole, partial } => {
                let shared = if *partial == 1 { "1 more is" } else { &format!("{partial} more are") };
                write!(f, "{}, lanes need {LEAST_CORES}; {shared} only partly ours to use", cores(*whole))
            }
            Self::TooMany { wanted, fit } => write!(f, "{wanted} lanes do not fit beside a free core, {fit} would"),
            Self::Stays { source } => {
                write!(f, "`{source}` measures something that keeps running between slices and can't change its lane")
            }
            Self::Nothing => f.write_str("no metric is measured block after block"),
        }
    }
}

impl Refusal {
    /// What can be done by who wants lanes all the same.
    pub fn hint(&self) -> String {
        match self {
            Self::TooMany { fit, .. } => format!("say `measure: {{lanes: {fit}}}` in blueprint.yaml, or `auto`"),
            Self::Stays { .. } | Self::Nothing => {
                "say `measure: {lanes: auto}` in blueprint.yaml: it measures one after another where lanes can't be had"
                    .to_owned()
            }
            Self::Off | Self::Unknown | Self::FewCores { .. } => format!(
                "run it on a machine with {LEAST_CORES} cores or more, or say `measure: {{lanes: auto}}` in blueprint.yaml"
            ),
        }
    }
}

/// The CPUs of each lane. No two lanes share a physical core, and all are of one shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lanes(Vec<Vec<usize>>);

impl Lanes {
    /// As many lanes as fit and the contenders fill; each is one or more whole cores with all of their
    /// hyperthreads, and one core stays free for the orchestrator and the services.
    pub fn planned(topology: &Topology, wanted: Wanted, contenders: usize) -> Result<Self, Refusal> {
        let most = match wanted {
            Wanted::Off => return Err(Refusal::Off),
            Wanted::Auto => contenders,
            Wanted::Exactly(wanted) => wanted.min(contenders),
        };
        if topology.cores.is_empty() {
            return Err(Refusal::Unknown);
        }
        let whole: Vec<&Core> = topology.cores.iter().filter(|core| core.whole).collect();
        if whole.len() < LEAST_CORES {
            return Err(Refusal::FewCores { whole: whole.len(), partial: topology.cores.len() - whole.len() });
        }
        let cores = alike(&whole);
        // Interrupts mostly go to the first core: it is the one to leave free.
        let free = usize::from(cores.len() == topology.cores.len());
        let cores = &cores[free..];
        if wanted != Wanted::Auto && most > cores.len() {
            return Err(Refusal::TooMany { wanted: most, fit: cores.len() });
        }
        let count = most.min(cores.len());
        if count == 0 {
            return Err(Refusal::Nothing);
        }
        let each = cores.len() / count;
        let lane = |cores: &[&Core]| cores.iter().flat_map(|core| core.cpus.iter().copied()).collect();
        Ok(Self(cores.chunks_exact(each).take(count).map(lane).collect()))
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Their CPUs, a list a lane.
    pub fn cpus(&self) -> &[Vec<usize>] {
        &self.0
    }

    /// Each lane's number, from 0.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        (0..self.0.len()).map(|lane| u32::try_from(lane).unwrap_or(u32::MAX))
    }

    /// Whether these can still be had on a machine of this shape.
    pub fn fit(&self, topology: &Topology) -> bool {
        let whole: Vec<usize> =
            topology.cores.iter().filter(|c| c.whole).flat_map(|c| c.cpus.iter().copied()).collect();
        self.0.iter().flatten().all(|cpu| whole.contains(cpu))
    }

    /// Who runs beside whom in a block, and in which lane: rounds of about equal size, none with more than
    /// there are lanes. The order is the block's own, drawn anew from the run's seed, so that nobody keeps a
    /// lane, and that given all earlier blocks any two may change places.
    pub fn rounds(&self, contenders: &[Contender], seed: u64, block: u32) -> Vec<Vec<(u32, Contender)>> {
        let order = race::shuffled(contenders, seed, block);
        let lanes: Vec<u32> = self.numbers().collect();
        let rounds = order.len().div_ceil(lanes.len().max(1));
        let mut left = order.into_iter();
        let mut out = Vec::with_capacity(rounds);
        for round in 0..rounds {
            let size = left.len().div_ceil(rounds - round);
            // A round that does not fill the lanes begins elsewhere in each block, so that all are used alike.
            let first = block as usize + round;
            let seats = (0..size).map(|seat| lanes[(first + seat) % lanes.len()]);
            out.push(seats.zip(left.by_ref().take(size)).collect());
        }
        out
    }
}

/// The largest group of cores with equally many hyperthreads; of equal groups the one with more.
fn alike<'a>(cores: &[&'a Core]) -> Vec<&'a Core> {
    let mut kinds: BTreeMap<usize, Vec<&Core>> = BTreeMap::new();
    for core in cores {
        kinds.entry(core.cpus.len()).or_default().push(core);
    }
    kinds.into_values().max_by_key(Vec::len).unwrap_or_default()
}

/// Whether lanes are used, and by what that was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The lanes; absent where contenders are measured one after another.
    pub lanes: Option<Lanes>,
    /// One sentence.
    pub why: String,
    /// What the check saw; empty where there was none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub check: Vec<Tried>,
}

/// One value that the check saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Which source was asked.
    pub source: String,
    /// Which metric.
    pub metric: MetricName,
    /// Who was measured.
    pub contender: Contender,
    /// Where.
    pub lane: u32,
    /// Whether every other lane was idle; else every other lane was busy.
    pub alone: bool,
    /// In the base unit of the metric.
    pub value: f64,
}

impl Tried {
    /// The values of a slice, by the clocks that blocks will be compared by.
    pub fn of(slice: &Slice, alone: bool, clocks: &Clocks) -> Vec<Self> {
        let value = |reading: &Reading| {
            Some(Self {
                source: slice.source.clone(),
                metric: reading.metric.clone(),
                contender: slice.contender.clone(),
                lane: slice.lane?,
                alone,
                value: clocks.value(0, slice, reading)?.value(),
            })
        };
        slice.readings.iter().filter_map(value).collect()
    }
}

/// Medians alone and beside others.
type Pair = (f64, f64);

/// What the check is about: one metric of one source.
type Measure<'a> = (&'a str, &'a MetricName);

/// Whether lanes may be used, by what was seen alone and beside others; else why not, in one sentence.
///
/// A difference in either direction counts, whatever the metric: what is faster beside others by more
/// than the limit is not told apart from noise, and that much noise hides a slow-down.
pub fn interference(tried: &[Tried]) -> Result<(), String> {
    let mut measures: BTreeMap<Measure<'_>, BTreeMap<(&Contender, u32), Pair>> = BTreeMap::new();
    for one in tried {
        let of = |alone: bool| {
            let same = |other: &&Tried| {
                other.alone == alone
                    && (&other.source, &other.metric) == (&one.source, &one.metric)
                    && (&other.contender, other.lane) == (&one.contender, one.lane)
            };
            median(&tried.iter().filter(same).map(|other| other.value).collect::<Vec<_>>())
        };
        if let (Some(alone), Some(beside)) = (of(true), of(false)) {
            let places = measures.entry((&one.source, &one.metric)).or_default();
            places.insert((&one.contender, one.lane), (alone, beside));
        }
    }
    if measures.is_empty() {
        return Err("nothing could be compared".to_owned());
    }
    measures.iter().try_for_each(|(measure, places)| judge(*measure, places))
}

fn judge((source, metric): Measure<'_>, places: &BTreeMap<(&Contender, u32), Pair>) -> Result<(), String> {
    let baseline = places.iter().filter(|((who, _), _)| **who == Contender::Baseline);
    let baseline: Vec<_> = baseline.map(|((_, lane), (alone, _))| (*lane, *alone)).collect();
    if let (Some(least), Some(most)) =
        (baseline.iter().min_by(|a, b| a.1.total_cmp(&b.1)), baseline.iter().max_by(|a, b| a.1.total_cmp(&b.1)))
    {
        let apart = change(least.1, most.1);
        if apart >= UNEQUAL {
            return Err(format!(
                "lanes {} and {} are not alike: {metric} of the same program is {} apart in them ({source})",
                least.0.min(most.0),
                least.0.max(most.0),
                percent(apart)
            ));
        }
    }
    let mut changes = Vec::new();
    for ((who, lane), (alone, beside)) in places {
        let by = change(*alone, *beside);
        if by.abs() >= SLOWDOWN {
            return Err(format!(
                "{metric} of {who} is {} {} beside others than alone in lane {lane} ({source})",
                percent(by.abs()),
                if by > 0.0 { "more" } else { "less" }
            ));
        }
        changes.push(by);
    }
    let most = changes.iter().copied().fold(f64::MIN, f64::max);
    let least = changes.iter().copied().fold(f64::MAX, f64::min);
    if most - least >= UNEQUAL {
        let apart = percent(most - least);
        return Err(format!(
            "neighbours do not change {metric} for all alike: by up to {apart} more for some ({source})"
        ));
    }
    Ok(())
}

/// By which share `to` is more than `from`.
fn change(from: f64, to: f64) -> f64 {
    if from.total_cmp(&to).is_eq() { 0.0 } else { (to - from) / from.max(f64::MIN_POSITIVE) }
}

fn percent(share: f64) -> String {
    if share < 10.0 { format!("{:.1} %", share * 100.0) } else { "many times".to_owned() }
}

#[cfg(test)]
mod tests;
