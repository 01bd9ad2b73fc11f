//! What a run works with: its ports, its settings, its clock and its budget.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore};

use crate::adapters::agent::Agent;
use crate::adapters::git::Git;
use crate::adapters::journal::Journal;
use crate::adapters::machine::Machine;
use crate::adapters::metric::MetricSource;
use crate::adapters::process::{Environment, Executor, Redactor, Sandbox, Stop};
use crate::adapters::proxy::Proxy;
use crate::adapters::service::Service;
use crate::adapters::suite::Suite;
use crate::adapters::workspace::Workspace;
use crate::domain::event::{Event, Sink};
use crate::domain::landing::Require;
use crate::domain::lanes::Wanted;
use crate::domain::measurement::{Contender, MetricName};
use crate::domain::plan::Plan;
use crate::engine::budget::accounts::Accounts;
use crate::engine::clock::Clock;
use crate::engine::holding::Forgotten;
use crate::engine::removals::Removals;
use crate::engine::room::Room;
use crate::engine::state::{Facts, Log, Started};
use crate::engine::turns::Turns;
use crate::error::{Error, ExitCode};

/// Everything a run touches the world through.
#[derive(Clone)]
pub struct Ports {
    /// The repository.
    pub git: Arc<dyn Git>,
    /// Where programs run.
    pub exec: Arc<dyn Executor>,
    /// What keeps those of a lease in, where something does.
    pub sandbox: Option<Arc<dyn Sandbox>>,
    /// What its cores do.
    pub machine: Arc<dyn Machine>,
    /// Directories, carried files, free ports.
    pub workspace: Arc<dyn Workspace>,
    /// What implements variants.
    pub agent: Arc<dyn Agent>,
    /// How it reaches its models, where its requests are to be counted and capped one by one.
    pub proxy: Option<Arc<dyn Proxy>>,
    /// What each lease has of its own besides, as the configuration asks for it.
    pub services: Vec<Arc<dyn Service>>,
    /// The plan's tests, in its order.
    pub suites: Vec<Arc<dyn Suite>>,
    /// Where the plan's metrics come from.
    pub sources: Vec<Arc<dyn MetricSource>>,
    /// What is counted of variants that can't be told apart, where the configuration asks for it.
    pub tie_breaker: Option<Arc<dyn MetricSource>>,
    /// Who watches.
    pub events: Arc<dyn Sink>,
}

/// How a run is to be carried out; resolved once from defaults, configuration, document and flags.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Lines for `sh -c`, run in every judged tree, and in the worktrees of agents that work in them.
    pub setup: Vec<String>,
    /// Lines for `sh -c`, run in a judged tree after set-up.
    pub build: Vec<String>,
    /// Folders with what was built; a tree begins with those of the baseline.
    pub built: Vec<String>,
    /// Lines for `sh -c`, run in a judged tree against its fresh database.
    pub migrate: Vec<String>,
    /// Untracked paths that are copied into every tree.
    pub carry: Vec<String>,
    /// Globs of files that are restored from the base before judging.
    pub protect: Vec<String>,
    /// Metrics that need not have a value on the baseline.
    pub missing_on_base: BTreeSet<MetricName>,
    /// How long measuring may take.
    pub measure_budget: Duration,
    /// Whether more may be taken of the time cap where that would decide.
    pub extends: bool,
    /// How long measuring may wait for a calmer machine.
    pub wait: Option<Duration>,
    /// After so long without any sign of life an agent's program is stopped.
    pub patience: Duration,
    /// Trials at a time; as many as there are variants where absent.
    pub parallel: Option<usize>,
    /// Parallel lanes of measuring.
    pub lanes: Wanted,
    /// What must be shown before a variant may land.
    pub require: Require,
    /// Whether anything is landed at all.
    pub merge: bool,
    /// Whether the document tells on the branch how a run ended that landed nothing.
    pub record: bool,
    /// Whether hooks of the repository are run on a commit before it lands.
    pub hooks: bool,
    /// Whether commits are signed where the user's git is set to sign.
    pub sign: bool,
    /// Whether a variant competes of which work items were not carried out.
    pub judge_unfinished: bool,
    /// Whether contestants may write the tests that judge them.
    pub contestants_write_tests: bool,
    /// Where leases live; outside the repository.
    pub state: PathBuf,
    /// Where transcripts of what is said to models go; they are kept.
    pub transcripts: PathBuf,
    /// Where all that a failing command or test printed goes; it is kept.
    pub logs: PathBuf,
    /// Takes secrets of ours out of what is shown.
    pub redactor: Redactor,
    /// What programs in a lease may read and write besides.
    pub sandbox: Opened,
    /// The allow-listed part of our own environment.
    pub env: Environment,
}

/// What the configuration opens to programs in a lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// To be read.
    pub read: Vec<PathBuf>,
    /// To be read and written.
    pub write: Vec<PathBuf>,
}

/// A run in progress.
pub struct Run {
    /// What was frozen at its start.
    pub started: Started,
    /// The world.
    pub ports: Ports,
    /// The how.
    pub settings: Settings,
    /// The record.
    pub log: Log,
    /// Whether there is room on the disks that it writes to.
    pub room: Arc<Room>,
    /// Fires when the user asks to stop.
    pub stop: Stop,
    /// Who may use how many tokens, and what was used.
    pub accounts: Arc<Accounts>,
    /// Leases that were given back and whose files are still being removed.
    pub removals: Removals,
    /// What leases held that were dropped on the way, and is still to be given back.
    pub forgotten: Arc<Forgotten>,
    /// What the base commit has; read once, where it is needed.
    pub tracked: OnceCell<Vec<PathBuf>>,
    /// Limits agents at a time.
    pub agents: Semaphore,
    /// Limits judged trees at a time.
    pub judges: Turns,
    /// Set once there is a verdict: the time cap reaches as far as that.
    pub decided: AtomicBool,
    /// What the slowest tree so far took to be checked out, set up and built.
    pub slowest_tree: Mutex<Duration>,
    /// What each suite took at the longest in a tree of the baseline, by its place in the plan.
    pub suite_times: Mutex<BTreeMap<usize, Duration>>,
}

impl Run {
    /// A run that starts or goes on; `facts` are what its journal says so far.
    pub fn new(
        facts: &Facts,
        ports: Ports,
        settings: Settings,
        journal: Arc<dyn Journal>,
        stop: Stop,
    ) -> Result<Self, Error> {
        let started = facts.seen.started.clone();
        let needed = vec![started.state.clone(), ports.git.common_dir().to_owned()];
        let room = Arc::new(Room::new(Arc::clone(&ports.workspace), needed, &settings.env));
        let log = Log::new(journal, &started.run, Clock::resumed(facts.elapsed));
        let log = log.with_room(Arc::clone(&room));
        let accounts = Arc::new(Accounts::new(facts, log.clone(), Arc::clone(&ports.events))?);
        // With the baseline and its shadow.
        let contenders = started.plan.variants.len() + 2;
        let agents = settings.parallel.unwrap_or(contenders).max(1);
        Ok(Self {
            accounts,
            removals: Removals::default(),
            forgotten: Arc::default(),
            tracked: OnceCell::new(),
            agents: Semaphore::new(agents),
            judges: Turns::new(agents),
            decided: AtomicBool::new(false),
            slowest_tree: Mutex::default(),
            suite_times: Mutex::default(),
            started,
            ports,
            settings,
            log,
            room,
            stop,
        })
    }

    /// The frozen plan.
    pub fn plan(&self) -> &Plan {
        &self.started.plan
    }

    /// Tells whoever watches.
    pub fn tell(&self, event: Event) {
        self.ports.events.send(event);
    }

    /// Warns whoever watches.
    pub(super) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!("{text}");
        self.tell(Event::Warning { text });
    }

    /// The time that is left of the plan's cap; unlimited where there is none, and after the verdict.
    pub(super) fn time_left(&self) -> Option<Duration> {
        if self.decided.load(Ordering::Relaxed) {
            return None;
        }
        self.plan().budget.time_cap.map(|cap| cap.saturating_sub(self.log.elapsed()))
    }

    /// The time an agent may still take: what is left, less what measuring needs.
    pub(super) fn agent_time(&self) -> Option<Duration> {
        self.time_left().map(|left| left.saturating_sub(self.settings.measure_budget))
    }

    /// Ends the work between two steps if the user asked for it.
    pub(super) fn check_stop(&self) -> Result<(), Error> {
        if self.stop.is_cancelled() {
            return Err(Error::new(ExitCode::Interrupted, format!("run {} was interrupted", self.started.run))
                .hint(format!("go on with it: {}", self.way_on())));
        }
        Ok(())
    }

    /// The command that goes on with the run: where its time is spent, only a new one can.
    pub fn way_on(&self) -> String {
        let command = if self.time_left() == Some(Duration::ZERO) { "retry" } else { "resume" };
        format!("blueprint {command} {}", self.started.run)
    }

    /// The branch of a variant in this run.
    pub fn branch(&self, slug: &str) -> String {
        format!("blueprint/{}/{slug}", self.started.run)
    }

    /// The ref under which a variant's work is kept for good.
    pub fn kept_ref(&self, slug: &str) -> String {
        format!("refs/blueprint/{}/{slug}", self.started.run)
    }

    /// Where everything of a contender lives.
    pub fn place(&self, contender: &str) -> PathBuf {
        self.started.state.join(contender)
    }
}

/// Contenders with something each.
pub type PerContender<T> = BTreeMap<Contender, T>;
