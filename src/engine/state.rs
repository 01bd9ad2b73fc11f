//! What the engine writes down, and what it knows again after reading it.
//!
//! Intent is recorded before each outside effect and its completion after, so that after a crash
//! every effect is either known to be done or known to be possible.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::adapters::agent::AgentReport;
use crate::adapters::git::CommitId;
use crate::adapters::journal::Entry;
use crate::adapters::process::Address;
use crate::adapters::service::ServiceResource;
use crate::domain::budget::{Caps, Settlement};
use crate::domain::calls::{Call, Calls};
use crate::domain::decision::{Fresh, Incomparable, Seen};
use crate::domain::estimate::Smoke;
use crate::domain::fresh::Cut;
use crate::domain::lanes::Decision;
use crate::domain::load::Rate;
use crate::domain::measurement::{Block, Contender, Reading, Slice};
use crate::domain::plan::VariantKey;
use crate::domain::scoreboard::Scoreboard;
use crate::domain::timed::Change;
use crate::domain::trial::{ChangeSize, Harvest, Outcome, TestReport, Usage};
use crate::error::Error;

pub use crate::domain::started::Started;
pub use crate::engine::log::Log;

/// Something outside that a run makes and must remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "resource")]
pub enum Resource {
    /// A git worktree with its branch.
    Worktree {
        /// Where.
        path: PathBuf,
        /// Its branch, which is deleted with it once its tip is kept.
        branch: String,
        /// The ref that keeps the tip.
        kept: String,
    },
    /// A private directory.
    Directory {
        /// Where.
        path: PathBuf,
    },
    /// A database, a cache, or whatever else a lease has of its own. Earlier journals told these two apart.
    #[serde(alias = "database", alias = "cache")]
    Service {
        /// As its adapter describes it.
        #[serde(alias = "database", alias = "cache")]
        service: ServiceResource,
    },
}

/// What landing is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandingIntent {
    /// Which variant.
    pub variant: VariantKey,
    /// Where the target was.
    pub from: CommitId,
    /// The merge commit.
    pub to: CommitId,
}

/// One record of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "record")]
#[expect(clippy::large_enum_variant, reason = "records are written one at a time")]
pub enum Record {
    /// The run began.
    Started(Started),
    /// A session of it began again.
    Resumed,
    /// A run that ended undecided is measured on.
    Extended {
        /// For so long.
        by: Duration,
    },
    /// A run of which variants are unfinished goes on with these caps.
    Raised(Caps),
    /// Something is about to be made.
    Intended {
        /// For whom.
        contender: Contender,
        /// What.
        resource: Resource,
    },
    /// It was made.
    Made {
        /// For whom.
        contender: Contender,
        /// What, with what is known now that it exists.
        resource: Resource,
    },
    /// It was removed.
    Removed {
        /// What.
        resource: Resource,
    },
    /// Set-up of a tree reached an address outside of its sandbox.
    Reached {
        /// Whose.
        contender: Contender,
        /// Where.
        address: Address,
        /// How many connections there were.
        connections: u64,
    },
    /// Files by which contenders are judged changed while the baseline was: its own programs write them.
    Rewritten {
        /// Their paths in the tree.
        paths: Vec<String>,
    },
    /// A request to a model was admitted and is about to be sent.
    Reserved(Call),
    /// What came of a request.
    Settled {
        /// Which.
        call: u64,
        /// It.
        #[serde(flatten)]
        settlement: Settlement,
    },
    /// A step of a variant was carried out and committed.
    Step {
        /// Whose.
        variant: VariantKey,
        /// From 0.
        step: usize,
        /// The variant's tip after it.
        commit: CommitId,
        /// What the agent said.
        report: AgentReport,
    },
    /// A variant's work stands on its branch.
    Harvested {
        /// Where.
        harvest: Harvest,
        /// How large it is.
        size: ChangeSize,
        /// Set where a cap stopped the agent.
        over_budget: bool,
    },
    /// Tests ran in a judged tree.
    Tested {
        /// Whose.
        contender: Contender,
        /// What came out.
        report: TestReport,
    },
    /// Every source was asked on the baseline, before anything was spent.
    Smoked(Smoke),
    /// A metric that does not vary was read.
    Exact {
        /// Whose.
        contender: Contender,
        /// What.
        readings: Vec<Reading>,
    },
    /// Whether blocks are measured in parallel lanes; the last of these counts.
    Lanes(Decision),
    /// At which rate a source asks what it loads.
    Rate(Rate),
    /// A block was measured.
    Block(Block),
    /// A clock stopped telling the truth of somebody. What follows from it is worked out from the blocks
    /// again; the record is for readers.
    Clock(Change),
    /// A block was thrown away whole, for a reason that is blind to its result.
    Discarded {
        /// Its index.
        index: u32,
        /// Why.
        why: String,
    },
    /// A trial can't win any more, or the machine failed it.
    Ended {
        /// Whose.
        contender: Contender,
        /// How.
        outcome: Outcome,
    },
    /// What the tie-breaker counted of a variant that can't be told from another.
    TieBreak {
        /// Whose.
        contender: Contender,
        /// How many.
        instructions: u64,
    },
    /// Who is to land is faster than asked for, and is about to be measured in fresh trees.
    Verifying {
        /// Who.
        variant: VariantKey,
    },
    /// A slice of the baseline and one of the variant for each source that is asked, each the first in its tree.
    FreshPair {
        /// Whose.
        variant: VariantKey,
        /// In the order in which they were taken.
        slices: Vec<Slice>,
    },
    /// There are no more pairs of it.
    Verified {
        /// Of whom.
        variant: VariantKey,
        /// Why there are no more, where more would have told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cut: Option<Cut>,
    },
    /// The verdict.
    Concluded {
        /// With everything it was made from.
        scoreboard: Scoreboard,
    },
    /// The target branch is about to move.
    Landing(LandingIntent),
    /// It moved.
    Landed {
        /// The merge commit.
        commit: CommitId,
    },
    /// The document's end is about to be committed on the target branch.
    Recording {
        /// The commit of the document alone.
        to: CommitId,
    },
    /// It was committed.
    Recorded {
        /// The commit.
        commit: CommitId,
    },
    /// Nothing is left to do.
    Finished,
}

impl From<Incomparable> for Error {
    fn from(error: Incomparable) -> Self {
        Self::usage(error.to_string())
    }
}

/// Reads one record back.
pub fn read(entry: &Entry) -> Result<Record, Error> {
    let mut data = entry.data.clone();
    if data.is_null() {
        data = serde_json::Value::Object(serde_json::Map::new());
    }
    if let Some(map) = data.as_object_mut() {
        map.insert("record".to_owned(), entry.kind.clone().into());
    }
    serde_json::from_value(data).map_err(|error| {
        Error::machine(format!("record {} of run {} can't be read", entry.sequence, entry.run))
            .because(error)
            .hint("it may have been written by another version of blueprint")
    })
}

/// A step that was carried out: the variant's tip after it, and what the agent said.
pub type Done = (CommitId, AgentReport);

/// What a run's records say.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// What decides.
    pub seen: Seen,
    /// Resources that were intended and not removed, oldest first.
    pub live: Vec<(Contender, Resource)>,
    /// What was asked of models through the proxy.
    pub calls: Calls,
    /// Steps by variant, in order.
    pub steps: BTreeMap<VariantKey, Vec<Done>>,
    /// Where variants are, with the last step of each.
    pub tips: BTreeMap<VariantKey, CommitId>,
    /// Steps that were cut and are to be gone on with.
    pub cut: BTreeSet<(VariantKey, usize)>,
    /// How long measuring may take, with what was added later.
    pub measure_budget: Duration,
    /// Blocks that were thrown away.
    pub discarded: u32,
    /// Files by which contenders are judged and which the baseline's own programs change.
    pub rewritten: BTreeSet<String>,
    /// The verdict.
    pub scoreboard: Option<Scoreboard>,
    /// What landing was about to do, the last one.
    pub landing: Option<LandingIntent>,
    /// What landed.
    pub landed: Option<CommitId>,
    /// The commit of the document's end that was about to be made, the last one.
    pub recording: Option<CommitId>,
    /// The commit in which the document tells that nothing landed.
    pub recorded: Option<CommitId>,
    /// Nothing is left to do.
    pub finished: bool,
    /// Time used.
    pub elapsed: Duration,
}

impl Facts {
    /// How large each variant's change is, as far as there is one.
    pub fn sizes(&self) -> BTreeMap<VariantKey, ChangeSize> {
        self.seen.harvests.iter().map(|(key, (_, size, _))| (key.clone(), size.clone())).collect()
    }

    /// Facts of a run that only just started.
    pub fn new(started: Started) -> Self {
        let measure_budget = started.measure_budget;
        Self {
            seen: Seen::new(started),
            live: Vec::new(),
            calls: Calls::default(),
            steps: BTreeMap::new(),
            tips: BTreeMap::new(),
            cut: BTreeSet::new(),
            measure_budget,
            discarded: 0,
            rewritten: BTreeSet::new(),
            scoreboard: None,
            landing: None,
            landed: None,
            recording: None,
            recorded: None,
            finished: false,
            elapsed: Duration::ZERO,
        }
    }

    /// Folds a run's entries; `None` where it has no start.
    pub fn read(entries: &[Entry]) -> Result<Option<Self>, Error> {
        let Some(first) = entries.first() else { return Ok(None) };
        let Record::Started(started) = read(first)? else {
            return Err(Error::machine(format!("the journal of run {} does not begin with its start", first.run)));
        };
        let mut facts = Self::new(started);
        for entry in entries {
            facts.elapsed = facts.elapsed.max(entry.elapsed);
            facts.take(read(entry)?);
        }
        Ok(Some(facts))
    }

    /// Adds one record to what is known.
    pub fn take(&mut self, record: Record) {
        match record {
            Record::Started(_) | Record::Resumed | Record::Clock(_) | Record::Reached { .. } => {}
            Record::Extended { by } => {
                self.measure_budget = self.seen.measured() + by;
                let cap = &mut self.seen.started.plan.budget.time_cap;
                // What is asked for comes on top of a whole run's time: trees are made and tested again.
                *cap = cap.map(|cap| self.elapsed + cap + by);
                (self.scoreboard, self.finished) = (None, false);
                self.seen.fresh.values_mut().for_each(Fresh::go_on);
                // The end that was recorded is not the end any more.
                (self.recording, self.recorded) = (None, None);
            }
            Record::Raised(caps) => self.raise(&caps),
            Record::Discarded { .. } => self.discarded += 1,
            Record::Rewritten { paths } => self.rewritten.extend(paths),
            Record::Intended { contender, resource } => self.live.push((contender, resource)),
            Record::Made { contender, resource } => {
                // The made resource may know more than the intended one; it takes its place.
                let place = self.live.iter().rposition(|(_, known)| known.same_as(&resource));
                match place {
                    Some(at) => self.live[at] = (contender, resource),
                    None => self.live.push((contender, resource)),
                }
            }
            Record::Removed { resource } => self.live.retain(|(_, known)| !known.same_as(&resource)),
            Record::Reserved(call) => self.calls.reserved(call),
            Record::Settled { call, settlement } => drop(self.calls.settled(call, &settlement)),
            Record::Step { variant, step, commit, report } => self.stepped(variant, step, (commit, report)),
            Record::Harvested { harvest, size, over_budget } => {
                self.seen.harvests.insert(harvest.variant.clone(), (harvest, size, over_budget));
            }
            Record::Tested { contender, report } => self.seen.tests.insert(contender, report),
            Record::Smoked(smoke) => self.seen.smoke = Some(smoke),
            Record::Exact { contender, readings } => self.seen.exact.entry(contender).or_default().extend(readings),
            Record::Lanes(decision) => self.seen.lanes = Some(decision),
            Record::Rate(rate) => drop(self.seen.rates.insert(rate.source.clone(), rate)),
            Record::Block(block) => self.seen.observe(block),
            Record::Ended { contender, outcome } => drop(self.seen.ended.insert(contender, outcome)),
            Record::TieBreak { contender, instructions } => drop(self.seen.tie_break.insert(contender, instructions)),
            Record::Verifying { variant } => {
                self.seen.fresh.insert(variant, Fresh { blocks: self.seen.blocks.len(), ..Fresh::default() });
            }
            Record::FreshPair { variant, slices } => self.seen.fresh.entry(variant).or_default().pairs.push(slices),
            Record::Verified { variant, cut } => {
                let fresh = self.seen.fresh.entry(variant).or_default();
                (fresh.over, fresh.cut) = (true, cut);
            }
            Record::Concluded { scoreboard } => self.scoreboard = Some(scoreboard),
            Record::Landing(intent) => self.landing = Some(intent),
            Record::Landed { commit } => self.landed = Some(commit),
            Record::Recording { to } => self.recording = Some(to),
            Record::Recorded { commit } => self.recorded = Some(commit),
            Record::Finished => self.finished = true,
        }
    }

    /// What every step used, whether it is done or not: as the proxy counted it, or as its agent said
    /// where no request of it went through the proxy.
    pub fn usage(&self) -> BTreeMap<(VariantKey, usize), Usage> {
        self.usage_with(&self.calls)
    }

    /// The same with calls of which more is known by now.
    pub(super) fn usage_with(&self, calls: &Calls) -> BTreeMap<(VariantKey, usize), Usage> {
        let mut usage = calls.by_step();
        for (variant, steps) in &self.steps {
            for (step, (_, report)) in steps.iter().enumerate() {
                usage.entry((variant.clone(), step)).or_insert(report.usage);
            }
        }
        usage
    }
}

impl Resource {
    /// Whether two descriptions mean one thing, whatever is known of it by now.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Service { service: a }, Self::Service { service: b }) => {
                (&a.kind, &a.name, &a.nonce) == (&b.kind, &b.name, &b.nonce)
            }
            _ => self == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::adapters::journal::{Journal, Memory};
    use crate::domain::budget::Basis;
    use crate::domain::quantity::Tokens;
    use crate::engine::clock::Clock;

    #[tokio::test(start_paused = true)]
    async fn a_record_is_read_back_as_it_was_written() {
        let journal: Arc<dyn Journal> = Arc::new(Memory::default());
        let log = Log::new(Arc::clone(&journal), "r", Clock::resumed(Duration::from_secs(7)));
        let records = [
            Record::Resumed,
            Record::Landed { commit: CommitId("c0ffee".to_owned()) },
            Record::Intended {
                contender: Contender::Baseline,
                resource: Resource::Directory { path: "/tmp/x".into() },
            },
            Record::Lanes(Decision { lanes: None, why: "2 cores, lanes need 4".to_owned(), check: Vec::new() }),
            Record::Block(Block { index: 3, slices: Vec::new() }),
            Record::Reserved(Call {
                call: 3,
                variant: VariantKey::new("A").unwrap(),
                step: 1,
                model: "m".to_owned(),
                input: Tokens(7),
                output: Tokens(8),
                by: Some(Basis::Counter),
            }),
            Record::Settled { call: 3, settlement: Settlement::InFull { why: "cut".to_owned() } },
            Record::Settled { call: 4, settlement: Settlement::Reported { usage: Usage::default() } },
            Record::Finished,
        ];
        for record in &records {
            log.write(record).await.unwrap();
        }
        let entries = journal.entries("r").await.unwrap();
        let back: Vec<_> = entries.iter().map(|e| read(e).unwrap()).collect();
        assert_eq!(back, records);
        assert!(entries[0].elapsed >= Duration::from_secs(7));
    }

    #[test]
    fn databases_and_caches_of_earlier_journals_are_services() {
        let read = |text: &str| serde_json::from_str::<Resource>(text).unwrap();
        let database = r#"{"resource":"database","database":{"kind":"postgresql-schema","place":"h:5432/d","name":"bp_1_a_2",
            "role":"bp_1_a_2","nonce":"00","oid":7}}"#;
        let cache = r#"{"resource":"cache","cache":{"kind":"acl","place":"h:6379","name":"bp:r:a:00","nonce":"00"}}"#;
        for (text, kind, oid) in [(database, "postgresql-schema", Some(7)), (cache, "acl", None)] {
            let Resource::Service { service } = read(text) else { panic!("{text}") };
            assert_eq!((service.kind.as_str(), service.oid), (kind, oid));
            let again = serde_json::to_string(&Resource::Service { service: service.clone() }).unwrap();
            assert_eq!(read(&again), Resource::Service { service });
        }
    }
}
