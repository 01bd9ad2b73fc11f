//! A repository, a machine and a document for unit tests of the engine, every port a fake: no file is touched and no program
//! started. What is measured is a number in `cost.txt`, with noise that is the same for nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::adapters::agent::AgentEnd;
use crate::adapters::agent::fake::FakeAgent;
use crate::adapters::executor::fake::{FakeExecutor, Given, Ran};
use crate::adapters::fake::Disk;
use crate::adapters::git::fake::FakeGit;
use crate::adapters::git::{CommitId, Git};
use crate::adapters::journal::{Appended, Entry, Journal, JournalError, Memory, RunLock};
use crate::adapters::machine::fake::FakeMachine;
use crate::adapters::metric::fake::FakeSource;
use crate::adapters::metric::{MetricError, Sample, Slot};
use crate::adapters::process::{Environment, Redactor, Site, Stop};
use crate::adapters::service::fake::FakeService;
use crate::adapters::suite::SuiteError;
use crate::adapters::suite::fake::FakeSuite;
use crate::adapters::workspace::fake::FakeWorkspace;
use crate::domain::cases::{TestCase, TestStatus};
use crate::domain::decision;
use crate::domain::document::Document;
use crate::domain::event::Event;
use crate::domain::landing::Require;
use crate::domain::lanes::Wanted;
use crate::domain::measurement::{Contender, MetricName, Reading, Timing};
use crate::domain::plan::VariantKey;
use crate::domain::quantity::{Dimension, Quantity, Tokens};
use crate::domain::trial::{Outcome, TestReport, Usage};
use crate::engine::clock::Clock;
use crate::engine::competition::Competition;
use crate::engine::pipeline::{self, Conclusion};
use crate::engine::ports::Ports;
use crate::engine::resources::recovery;
use crate::engine::settings::{Implementing, Judging, Landing, Leasing, Measuring, Opened, Settings};
use crate::engine::state::{Facts, Log, Record, Started};
use crate::error::Error;

/// The document's path.
pub const DOCUMENT: &str = "docs/blueprints/cost.md";
/// The checkout.
const ROOT: &str = "/repo";
/// Where leases live.
pub(crate) const STATE: &str = "/state/r";
/// The competition.
pub const RUN: &str = "20260105-100000-beef";

/// What one slice takes.
const SLICE: Duration = Duration::from_millis(10);

/// A journal that can stop the whole process, so to say: from one record on nothing that is written is ever heard of again,
/// and whoever waits for it waits for ever.
pub struct Stopping {
    kept: Memory,
    left: AtomicUsize,
    stopped: Stop,
}

#[async_trait]
impl Journal for Stopping {
    fn append(&self, run: &str, elapsed: Duration, kind: &str, data: Value) -> Appended {
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return self.kept.append(run, elapsed, kind, data);
        }
        self.stopped.cancel();
        Box::pin(std::future::pending())
    }

    async fn entries(&self, run: &str) -> Result<Vec<Entry>, JournalError> {
        self.kept.entries(run).await
    }

    async fn runs(&self) -> Result<Vec<String>, JournalError> {
        self.kept.runs().await
    }

    async fn lock(&self, run: &str) -> Result<Box<dyn RunLock>, JournalError> {
        self.kept.lock(run).await
    }
}

/// Everything that a run of a small run touches.
pub struct World {
    pub disk: Disk,
    pub git: Arc<FakeGit>,
    pub exec: FakeExecutor,
    pub cache: Arc<FakeService>,
    pub journal: Arc<Stopping>,
    pub events: Arc<Mutex<Vec<Event>>>,
    /// Steps that agents were called for, as `A 0`.
    pub calls: Arc<Mutex<Vec<String>>>,
    pub ports: Ports,
    pub settings: Settings,
    pub started: Started,
    pub stop: Stop,
}

pub fn key(text: &str) -> VariantKey {
    VariantKey::new(text).unwrap()
}

pub fn variant(text: &str) -> Contender {
    Contender::Variant(key(text))
}

pub fn metric() -> MetricName {
    MetricName::new("latency_p95").unwrap()
}

/// The document of a competition between these variants.
pub fn document(keys: &[&str], items: &str) -> String {
    let variants: String = keys.iter().map(|key| format!("### Variant {key}: Cost {key}\n\n- lower it\n\n")).collect();
    let rows: String = keys.iter().map(|key| format!("| {key} | | | | | |\n")).collect();
    format!(
        "# Lower the cost\n\n**Blueprint ID**: `2026-01-05T10:00:00Z_cost`  \n**Status**: approved  \n\
         **Mode**: competition  \n**Created**: 2026-01-05 10:00:00 UTC  \n**Updated**: 2026-01-05 10:00:00 UTC  \n\n\
         ## Goal\n\nLower what `cost.txt` says.\n\n## Approach\n\n{variants}## Work Items\n\n{items}\
         ## Evaluation Criteria\n\n**Tests**:\n- sh tests/competition.sh\n\n**Metrics**:\n- latency_p95: <80ms\n\n\
         ## Competition Scoring\n\n### Weights\n\n- Tests: 50%\n- Performance: 30% (p95 latency)\n- Simplicity: 20%\n\n\
         ### Results\n\n| Variant | Tests | Performance | Simplicity | Total | Winner |\n\
         |---------|-------|-------------|------------|-------|--------|\n{rows}\n**Winner**: none yet\n\n\
         **Analysis**:\n- none yet\n\n## Budget\n\n- Time cap: 15 minutes\n\n## Rollback Plan\n\n```bash\ngit revert -m 1 HEAD\n```\n\n\
         ## Artifacts\n\n- {DOCUMENT}\n"
    )
}

/// The only work item.
pub(crate) const ITEM: &str = "### The cost\n\n**Files**: cost.txt, notes/**\n**Diff Contract**: patch\n\n";

/// What a tree costs.
pub fn cost(disk: &Disk, tree: &Path) -> f64 {
    disk.text(tree.join("cost.txt")).trim().parse().unwrap_or(f64::NAN)
}

/// Between 0 and 1, by whatever the parts hold.
fn noise(seed: u64, place: &str) -> f64 {
    let mut mixed = place.bytes().fold(seed, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// A slice whose metric is so many milliseconds.
pub fn sample(ms: f64) -> Result<Sample, MetricError> {
    let value = Quantity::new(ms / 1e3, Dimension::Time).ok_or_else(|| MetricError::Variant("no number".to_owned()))?;
    let readings = vec![Reading { metric: metric(), value, observations: 1, account: None }];
    Ok(Sample { readings, timing: Timing { wall: SLICE, ..Timing::default() }, own: None, output: None })
}

/// A source of the metric, as this says of a site and a slot.
pub fn source(answer: impl Fn(&Site, Slot) -> Result<Sample, MetricError> + Send + Sync + 'static) -> FakeSource {
    FakeSource::new("bench", [(metric(), Dimension::Time)], answer)
}

/// What a site costs, give or take 2 %.
pub fn noisy(disk: &Disk, site: &Site, slot: Slot) -> f64 {
    cost(disk, &site.tree) * (1.0 + 0.02 * noise(slot.seed, &site.tree.to_string_lossy()))
}

/// A report of these cases.
pub fn report(cases: &[(&str, bool)]) -> TestReport {
    let case = |(name, passes): &(&str, bool)| TestCase {
        name: (*name).to_owned(),
        status: if *passes { TestStatus::Passed } else { TestStatus::Failed },
    };
    TestReport::of(cases.iter().map(case).collect())
}

impl World {
    /// A competition between variants that set the cost to these numbers; the baseline's is 90.
    pub fn of(costs: &[(&str, &str)]) -> Self {
        let files = costs.iter().map(|(key, cost)| (*key, vec![("cost.txt", *cost)])).collect::<Vec<_>>();
        Self::writing(&files, ITEM)
    }

    /// A competition between variants whose every step writes these files, with these work items.
    pub(crate) fn writing(files: &[(&str, Vec<(&str, &str)>)], items: &str) -> Self {
        let disk = Disk::default();
        let keys: Vec<&str> = files.iter().map(|(key, _)| *key).collect();
        let text = document(&keys, items);
        let document = Document::parse(text.as_bytes()).unwrap();
        let committed = [(DOCUMENT, text.as_str()), ("cost.txt", "90\n"), ("tests/competition.sh", "true\n")];
        let git = Arc::new(FakeGit::with(&disk, ROOT, "main", &committed));
        let exec = FakeExecutor::on(&disk);
        let (events, calls) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let stopping = Stopping { kept: Memory::default(), left: AtomicUsize::new(usize::MAX), stopped: Stop::new() };
        let journal = Arc::new(stopping);
        let base = git.refs()["refs/heads/main"].clone();
        let settings = settings();
        let started = started(&document, base, &settings);
        let sink = Arc::clone(&events);
        let ports = Ports {
            git: Arc::clone(&git) as Arc<dyn Git>,
            exec: Arc::new(exec.clone()),
            sandbox: None,
            machine: Arc::new(FakeMachine::new(Vec::new())),
            workspace: Arc::new(FakeWorkspace::on(&disk)),
            agent: Arc::new(agent(&disk, files, &calls)),
            proxy: None,
            services: Vec::new(),
            suites: vec![Arc::new(suite(&disk))],
            sources: Vec::new(),
            tie_breaker: None,
            events: Arc::new(move |event| sink.lock().unwrap().push(event)),
        };
        let (cache, stop) = (Arc::default(), Stop::new());
        let mut world = Self { disk, git, exec, cache, journal, events, calls, ports, settings, started, stop };
        let disk = world.disk.clone();
        world.measured_by(source(move |site, slot| sample(noisy(&disk, site, slot))));
        world
    }

    /// With this source alone.
    pub(crate) fn measured_by(&mut self, source: FakeSource) {
        self.ports.sources = vec![Arc::new(source)];
    }

    /// With this suite alone.
    pub(crate) fn tested_by(
        &mut self,
        answer: impl Fn(&Site, &[String]) -> Result<TestReport, SuiteError> + Send + Sync + 'static,
    ) {
        self.ports.suites = vec![Arc::new(FakeSuite::new("sh tests/competition.sh", answer))];
    }

    /// With one more program.
    pub fn program(&mut self, name: &str, body: impl Fn(&Given<'_>) -> Ran + Send + Sync + 'static) {
        self.exec = self.exec.clone().program(name, body);
        self.ports.exec = Arc::new(self.exec.clone());
    }

    /// With a cache for each lease.
    pub(crate) fn with_cache(&mut self) {
        self.ports.services = vec![Arc::clone(&self.cache) as _];
    }

    /// A log of the run that goes on from there.
    pub(crate) fn start_log(&self, elapsed: Duration) -> Log {
        Log::new(Arc::clone(&self.journal) as Arc<dyn Journal>, RUN, Clock::resumed(elapsed))
    }

    /// A run that starts.
    pub async fn start(&self) -> Competition {
        self.start_log(Duration::ZERO).write(&Record::Started(self.started.clone())).await.unwrap();
        let facts = Facts::new(self.started.clone());
        Competition::new(&facts, &self.ports, self.settings.clone(), self.journal.clone(), self.stop.clone()).unwrap()
    }

    /// The run as it goes on after whatever ended it.
    pub async fn resume(&self) -> Competition {
        let facts = self.facts().await;
        let log = self.start_log(facts.elapsed);
        recovery::clean(&self.ports, &log, &facts).await.unwrap();
        log.write(&Record::Resumed).await.unwrap();
        Competition::new(&facts, &self.ports, self.settings.clone(), self.journal.clone(), self.stop.clone()).unwrap()
    }

    /// Starts a run and carries it out.
    pub async fn carry_out(&self) -> Result<Conclusion, Error> {
        pipeline::carry_out(&self.start().await).await
    }

    /// Carries a run out until so many records are written, and lets everything of it vanish then; whether it got so far.
    pub(crate) async fn stop_after(&self, records: usize) -> bool {
        self.vanish(records, self.carry_out()).await
    }

    /// Lets something go on until so many records are written, and vanish then; whether it got so far.
    pub(crate) async fn vanish<T>(&self, records: usize, work: impl Future<Output = T>) -> bool {
        self.journal.left.store(records, Ordering::SeqCst);
        let stopped = tokio::select! {
            biased;
            () = self.journal.stopped.cancelled() => true,
            _ = work => false,
        };
        self.journal.left.store(usize::MAX, Ordering::SeqCst);
        stopped
    }

    pub async fn facts(&self) -> Facts {
        Facts::read(&self.entries().await).unwrap().unwrap()
    }

    pub async fn entries(&self) -> Vec<Entry> {
        self.journal.entries(RUN).await.unwrap()
    }

    /// Kinds of all records, in order.
    pub async fn kinds(&self) -> Vec<String> {
        self.entries().await.into_iter().map(|entry| entry.kind).collect()
    }

    /// How a variant's trial ended, where it is out.
    pub async fn outcome(&self, of: &str) -> Option<Outcome> {
        self.facts().await.seen.ended.get(&variant(of)).cloned()
    }

    pub fn warnings(&self) -> Vec<String> {
        let text = |event: &Event| if let Event::Warning { text } = event { Some(text.clone()) } else { None };
        self.events.lock().unwrap().iter().filter_map(text).collect()
    }

    pub fn calls(&self) -> Vec<String> {
        let mut calls = self.calls.lock().unwrap().clone();
        calls.sort();
        calls
    }

    pub fn tip(&self) -> CommitId {
        self.git.refs()["refs/heads/main"].clone()
    }

    /// A file of the user's checkout.
    pub fn own(&self, path: &str) -> String {
        self.disk.text(Path::new(ROOT).join(path))
    }

    /// What a run must not leave: worktrees, branches of its own, directories, caches, programs.
    pub fn left(&self) -> Vec<String> {
        let worktrees = self.git.worktrees().into_iter().map(|path| path.display().to_string());
        let branches = self.git.refs().into_keys().filter(|name| name.starts_with("refs/heads/blueprint/"));
        let files = self.disk.paths().into_iter().filter(|path| path.starts_with(STATE));
        let files = files.map(|path| path.display().to_string());
        worktrees.chain(branches).chain(files).chain(self.cache.live()).chain(self.exec.running()).collect()
    }
}

/// An agent whose every step writes these files of its variant.
fn agent(disk: &Disk, files: &[(&str, Vec<(&str, &str)>)], calls: &Arc<Mutex<Vec<String>>>) -> FakeAgent {
    let owned = |list: &Vec<(&str, &str)>| {
        list.iter().map(|(path, text)| ((*path).to_owned(), format!("{text}\n"))).collect::<Vec<_>>()
    };
    let work: BTreeMap<VariantKey, Vec<(String, String)>> =
        files.iter().map(|(name, list)| (key(name), owned(list))).collect();
    let (disk, calls) = (disk.clone(), Arc::clone(calls));
    FakeAgent::new(Usage { input: Tokens(70), output: Tokens(30) }, move |task| {
        calls.lock().unwrap().push(format!("{} {}", task.variant.key, task.step));
        for (path, text) in &work[&task.variant.key] {
            disk.write(task.worktree.join(path), text.as_str()).unwrap();
        }
        AgentEnd::Finished
    })
}

/// Two cases; the second passes where the cost is a number below 1000.
fn suite(disk: &Disk) -> FakeSuite {
    let disk = disk.clone();
    FakeSuite::new("sh tests/competition.sh", move |site, _| {
        Ok(report(&[("it runs", true), ("it is cheap", cost(&disk, &site.tree) < 1000.0)]))
    })
}

fn settings() -> Settings {
    let leases = Leasing {
        state: STATE.into(),
        env: Environment::from([("PATH".to_owned(), "/bin".to_owned())]),
        carry: Vec::new(),
        built: Vec::new(),
        sandbox: Opened::default(),
    };
    let implement = Implementing {
        parallel: None,
        patience: Duration::from_secs(60),
        judge_unfinished: false,
        transcripts: "/kept/transcripts".into(),
    };
    let judge = Judging {
        setup: Vec::new(),
        build: Vec::new(),
        migrate: Vec::new(),
        protect: vec!["tests/**".to_owned()],
        contestants_write_tests: false,
        logs: "/kept/logs".into(),
        redactor: Redactor::new([]),
    };
    let measure = Measuring {
        budget: Duration::from_secs(60),
        extends: false,
        wait: None,
        lanes: Wanted::Off,
        missing_on_base: BTreeSet::new(),
    };
    let land = Landing { require: Require::Better, merge: true, record: true, hooks: true, sign: false };
    Settings { leases, implement, judge, measure, land }
}

fn started(document: &Document, base: CommitId, settings: &Settings) -> Started {
    Started {
        run: RUN.to_owned(),
        document: DOCUMENT.to_owned(),
        digest: document.digest(),
        plan: document.plan().clone(),
        base,
        target: "main".to_owned(),
        seed: 7,
        state: STATE.into(),
        at: 1_767_607_200,
        configuration: String::new(),
        given: None,
        measure_budget: settings.measure.budget,
        extends: settings.measure.extends,
        require: settings.land.require,
        rules: decision::RULES,
        sources: vec![("bench".to_owned(), vec![metric().to_string()])],
        counts: Vec::new(),
        unchecked: Vec::new(),
        rehearsal: false,
        trying: false,
        sandboxed: false,
        merge: true,
    }
}
