//! Puts a run together: from a plan and a configuration to the ports and settings that the engine
//! works with. Decides nothing; what can't be put together is refused with the key to correct.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::adapters::agent::scripted::Scripted;
use crate::adapters::agent::{self, Agent};
use crate::adapters::git::{CommitId, Git as _, Head};
use crate::adapters::journal::Journal;
use crate::adapters::machine::linux::Linux;
use crate::adapters::metric::MetricSource;
use crate::adapters::proxy::Proxy;
use crate::adapters::workspace::{LocalWorkspace, Workspace};
use crate::config::{self, Config};
use crate::domain::decision;
use crate::domain::document::Document;
use crate::domain::estimate::Estimate;
use crate::domain::event::{Event, Sink};
use crate::domain::lanes::Wanted;
use crate::domain::measurement::{MetricName, Unchecked};
use crate::domain::plan::{MetricBound, Plan, VariantKey};
use crate::engine::before::approval::{self, Approval, Candidate};
use crate::engine::before::estimate;
use crate::engine::before::known::{Environment, Known};
use crate::engine::before::preview::{self, Outline};
use crate::engine::before::target::{self, Based, Target};
use crate::engine::before::uncommitted;
use crate::engine::clock::Clock;
use crate::engine::judge::shadow;
use crate::engine::measure::lanes;
use crate::engine::ports::Ports;
use crate::engine::rehearsal::{self, Files};
use crate::engine::settings::{Implementing, Judging, Landing, Leasing, Measuring, Settings};
use crate::engine::state::{Facts, Log, Record, Started};
use crate::error::{Error, Result};
use crate::project::{CONFIGURATION, Project};

pub mod agents;
mod guarded;
mod measures;
pub mod named;
pub mod promises;
mod queries;
pub mod sandbox;
pub mod services;
pub mod starter;
mod values;

pub use measures::bindings;

/// A run that is ready to start; nothing was written yet.
pub struct Prepared {
    /// What will be frozen.
    pub started: Started,
    /// The world.
    pub ports: Ports,
    /// The how.
    pub settings: Settings,
}

impl Prepared {
    /// Writes the first record.
    pub async fn record(&self, journal: &Arc<dyn Journal>) -> Result<Facts> {
        let log = Log::new(Arc::clone(journal), &self.started.run, Clock::resumed(Duration::ZERO));
        log.write(&Record::Started(self.started.clone())).await?;
        Ok(Facts::new(self.started.clone()))
    }
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Its document.
    Document,
    /// The harness: controls compete in the place of the variants.
    Rehearsal,
    /// The harness on the baseline alone: no variant takes part.
    Try,
}

/// What a run fixes at its start, and keeps when it goes on.
struct Fixed {
    state: PathBuf,
    measure_budget: Duration,
    /// Whether a winner lands.
    merge: bool,
}

impl Fixed {
    fn new(project: &Project, plan: &Plan, run: &str) -> Self {
        let measure_budget = project.config.measure_budget(plan.budget.time_cap);
        Self { state: project.state_root().join(run), measure_budget, merge: true }
    }

    fn of(started: &Started) -> Self {
        let merge = started.merge && !started.rehearsal && !started.trying;
        Self { state: started.state.clone(), measure_budget: started.measure_budget, merge }
    }
}

/// Who implements variants.
enum Work {
    /// The configured agent, which is only looked at.
    Described,
    /// The configured agent, with its way to models.
    Live,
    /// Controls: what each leaves is known beforehand.
    Known(BTreeMap<VariantKey, Files>),
    /// Nobody.
    None,
}

/// Puts a run together and refuses what could only fail later. `merge` says whether a winner of its document is to land.
pub async fn prepare(
    project: &Project,
    path: &str,
    document: &Document,
    target: &Target,
    (purpose, merge): (Purpose, bool),
    events: Arc<dyn Sink>,
) -> Result<Prepared> {
    let (rehearsal, trying) = (purpose == Purpose::Rehearsal, purpose == Purpose::Try);
    let plan = &if rehearsal { rehearsal::plan(document.plan()) } else { document.plan().clone() };
    let (config, random) = (&project.config, LocalWorkspace.random());
    let at = now();
    let run = target::run_id(at, random);
    let usual = Fixed::new(project, plan, &run);
    let fixed = match purpose {
        Purpose::Document => Fixed { merge, ..usual },
        Purpose::Try => Fixed { merge: false, ..usual },
        Purpose::Rehearsal => Fixed { merge: false, measure_budget: rehearsal_budget(usual.measure_budget), ..usual },
    };
    let settings = settings(project, plan, &run, fixed, &based(project, plan, &target.base).await?);
    let work = match purpose {
        Purpose::Document => Work::Live,
        // What would implement something is no matter of the harness.
        Purpose::Try => Work::None,
        Purpose::Rehearsal => Work::Known(controls(project, plan, &settings, &target.base).await?),
    };
    let ports = ports(project, plan, work, events).await?;
    target::preflight(plan, target, &ports, &settings).await?;
    queries::check(config, plan, &settings.judge.protect, &*project.git, target).await?;
    let started = Started {
        run,
        document: path.to_owned(),
        digest: document.digest(),
        plan: plan.clone(),
        base: target.base.clone(),
        target: target.branch.clone(),
        seed: LocalWorkspace.random(),
        state: settings.leases.state.clone(),
        at,
        configuration: fingerprint(config),
        given: None,
        measure_budget: settings.measure.budget,
        extends: settings.measure.extends,
        require: settings.land.require,
        rules: decision::RULES,
        sources: named(&ports.sources),
        counts: counts(&ports.sources),
        unchecked: unchecked(plan, &ports.sources),
        sandboxed: ports.sandbox.is_some(),
        rehearsal,
        merge,
        trying,
    };
    Ok(Prepared { started, ports, settings })
}

/// Refuses what a run of this document would refuse before it starts; nothing is started or written.
pub async fn preflight(project: &Project, document: &Document, target: &Target) -> Result<()> {
    let plan = document.plan();
    let based = based(project, plan, &target.base).await?;
    let settings = settings(project, plan, "<run>", Fixed::new(project, plan, "<run>"), &based);
    let ports = ports(project, plan, Work::Described, Arc::new(|_| {})).await?;
    agents::models(project, &*ports.agent)?;
    target::preflight(plan, target, &ports, &settings).await?;
    queries::check(&project.config, plan, &settings.judge.protect, &*project.git, target).await
}

/// A rehearsal looks for what is wrong with a harness in a quarter of the time that a decision may
/// take, at least half a minute.
fn rehearsal_budget(whole: Duration) -> Duration {
    (whole / 4).max(Duration::from_secs(30)).min(whole)
}

/// What controls write, which is known beforehand.
async fn controls(
    project: &Project,
    plan: &Plan,
    settings: &Settings,
    base: &CommitId,
) -> Result<BTreeMap<VariantKey, Files>> {
    rehearsal::script(&*project.git, base, &settings.judge.protect, plan, &settings.leases.state).await
}

/// Puts a run together again after an interruption. The configuration must be the same: half a
/// run by one and half by another is no measurement.
pub async fn again(project: &Project, facts: &Facts, events: Arc<dyn Sink>) -> Result<(Ports, Settings)> {
    let started = &facts.seen.started;
    if started.rules != decision::RULES {
        return Err(Error::refused(format!(
            "run {} was begun by another version of blueprint, which decides by other rules",
            started.run
        ))
        .hint("finish it with that version")
        .hint(format!("or start anew: blueprint gc, then blueprint run {}", started.document)));
    }
    if started.configuration != fingerprint(&project.config) {
        return Err(Error::refused(format!("{CONFIGURATION} changed since run {} began", started.run))
            .hint("restore it and resume")
            .hint(format!("or start anew: blueprint gc, then blueprint run {}", started.document)));
    }
    let based = based(project, &started.plan, &started.base).await?;
    let settings = settings(project, &started.plan, &started.run, Fixed::of(started), &based);
    let work = match started.rehearsal {
        true => Work::Known(controls(project, &started.plan, &settings, &started.base).await?),
        false => Work::Live,
    };
    Ok((ports(project, &started.plan, work, events).await?, settings))
}

/// Ports that can remove what a run made, and do nothing else.
pub async fn caretaker(project: &Project, facts: &Facts) -> Result<Ports> {
    bare(project, facts.seen.started.plan.variants.len(), (nobody(), None), Arc::new(|_| {})).await
}

/// What a reviewer sees before approving.
pub async fn outline(project: &Project, path: &str, document: &Document, target: &Target) -> Result<Outline> {
    let plan = document.plan();
    let based = based(project, plan, &target.base).await?;
    let settings = settings(project, plan, "<run>", Fixed::new(project, plan, "<run>"), &based);
    let ports = ports(project, plan, Work::Described, Arc::new(|_| {})).await?;
    let head = project.git.head().await?;
    let estimate = estimate(project, path, plan).await?;
    let candidate = Candidate { path, disk: document, base: &target.base, target: &target.branch, again: false };
    let approved = matches!(approval::judge(&candidate, &*project.git).await, Ok(Approval::Approved));
    Ok(preview::outline(&Known {
        plan,
        document: path,
        digest: &document.digest(),
        approved,
        base: &target.base.0,
        target: &target.branch,
        checked_out: head == Head::Branch(target.branch.clone()),
        agent: &ports.agent.describe(),
        needs: ports.agent.needs(),
        models: &agents::reach(project, &*ports.agent),
        setup: &settings.judge.setup,
        build: &settings.judge.build,
        built: &settings.leases.built,
        environment: environment(project),
        migrate: &settings.judge.migrate,
        carry: &settings.leases.carry,
        protect: &settings.judge.protect,
        harness: named::harness(&project.config, plan, &*project.git, target).await?,
        measure_seconds: settings.measure.budget.as_secs(),
        lanes: lanes::planned(&*ports.machine, &ports.sources, settings.measure.lanes, plan.variants.len() + 1),
        lanes_asked: matches!(settings.measure.lanes, Wanted::Exactly(_)),
        require: settings.land.require,
        merge: settings.land.merge,
        record: settings.land.record,
        hooks: settings.land.hooks,
        sign: settings.land.sign,
        customs: &project.git.customs().await?,
        judge_unfinished: settings.implement.judge_unfinished,
        contestants_write_tests: settings.judge.contestants_write_tests,
        trust: &project.config.trust,
        services: ports.services.iter().map(|service| service.choice()).collect(),
        sources: &named(&ports.sources),
        uncommitted: &uncommitted::sentences(&*project.git, target, &named::files(project, path, plan)).await?,
        counts: &counts(&ports.sources),
        unchecked: &unchecked(plan, &ports.sources),
        tie_break: ports.tie_breaker.as_ref().map(|source| source.name()),
        estimate,
        sandbox: ports.sandbox.is_some().then_some(&project.config.sandbox.network),
        cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    }))
}

fn environment(project: &Project) -> Environment {
    let config::Passed { set, passed, missing } = project.config.environment.names(&project.variables);
    Environment { set, passed, missing }
}

/// What measuring a document will take and can tell, from the newest run or try of it with this configuration.
pub async fn estimate(project: &Project, path: &str, plan: &Plan) -> Result<Option<Estimate>> {
    if !project.has_journal()? {
        return Ok(None);
    }
    let journal = project.journal().await?;
    let sources = measures::sources(&project.config, plan)?;
    let contenders = plan.variants.len() + 1 + usize::from(shadow::has_shadow(plan, &sources));
    for run in journal.runs().await?.into_iter().rev() {
        let Some(facts) = Facts::read(&journal.entries(&run).await?)? else { continue };
        let started = &facts.seen.started;
        let alike = started.document == path && started.configuration == fingerprint(&project.config);
        if alike && !started.rehearsal && started.plan.metrics == plan.metrics {
            let budget = project.config.measure_budget(plan.budget.time_cap);
            if let Some(estimate) = estimate::of(&facts, contenders, budget) {
                return Ok(Some(estimate));
            }
        }
    }
    Ok(None)
}

/// Sources by name, with the metrics that each provides.
fn named(sources: &[Arc<dyn MetricSource>]) -> Vec<(String, Vec<String>)> {
    let metrics = |source: &Arc<dyn MetricSource>| source.metrics().iter().map(ToString::to_string).collect();
    sources.iter().map(|source| (source.name().to_owned(), metrics(source))).collect()
}

/// The metrics whose values count work and say nothing of time.
fn counts(sources: &[Arc<dyn MetricSource>]) -> Vec<MetricName> {
    sources.iter().filter(|source| source.counts()).flat_map(|source| source.metrics()).collect()
}

/// The metrics of the plan of which nobody checks what is answered.
fn unchecked(plan: &Plan, sources: &[Arc<dyn MetricSource>]) -> Vec<Unchecked> {
    let of = |metric: &MetricBound| {
        let source = sources.iter().find(|source| source.metrics().contains(&metric.name))?;
        Some(Unchecked { metric: metric.name.clone(), remedy: source.unchecked()?.to_owned() })
    };
    plan.metrics.iter().filter_map(of).collect()
}

/// The ports of a run.
async fn ports(project: &Project, plan: &Plan, work: Work, events: Arc<dyn Sink>) -> Result<Ports> {
    let config = &project.config;
    let agent = match work {
        Work::Described => (agent::build(agents::settings(configured(project)?)?), None),
        Work::Live => {
            let agent = agent::build(agents::settings(configured(project)?)?);
            let proxy = match agents::models(project, &*agent)? {
                Some(settings) => Some(agents::proxy(settings).await?),
                None => None,
            };
            (agent, proxy)
        }
        Work::Known(files) => (Arc::new(Scripted { files }) as Arc<dyn Agent>, None),
        Work::None => (nobody(), None),
    };
    let sandbox = sandbox::port(project).await?.unwrap_or_else(|text| {
        events.send(Event::Warning { text });
        None
    });
    Ok(Ports {
        sandbox,
        suites: measures::suites(config, plan)?,
        sources: measures::sources(config, plan)?,
        tie_breaker: measures::tie_breaker(config),
        ..bare(project, plan.variants.len(), agent, events).await?
    })
}

fn configured(project: &Project) -> Result<&config::Agent> {
    project.config.agent.as_ref().ok_or_else(|| {
        Error::usage(format!("{CONFIGURATION} names no agent, so nothing can implement the variants"))
            .hint("a known program: `agent: codex` (see: blueprint doctor)")
            .hint("the built-in agent: `agent: {api: {model: …}}`")
            .hint("any program: `agent: {command: \"my-agent {prompt_file}\"}`")
            .hint("recorded work: `agent: {patch: recorded}`")
    })
}

/// An agent where nobody implements anything.
fn nobody() -> Arc<dyn Agent> {
    Arc::new(Scripted { files: BTreeMap::new() })
}

/// The ports that every run of a project has, with nothing to test or measure.
async fn bare(
    project: &Project,
    variants: usize,
    (agent, proxy): (Arc<dyn Agent>, Option<Arc<dyn Proxy>>),
    events: Arc<dyn Sink>,
) -> Result<Ports> {
    Ok(Ports {
        git: project.git.clone(),
        exec: project.exec.clone(),
        sandbox: None,
        machine: Arc::new(Linux),
        workspace: Arc::new(LocalWorkspace),
        agent,
        proxy,
        services: services::ports(project, variants).await?,
        suites: Vec::new(),
        sources: Vec::new(),
        tie_breaker: None,
        events,
    })
}

/// What the base has: globs that the configuration protects, and files by which a plan's variants are judged although nobody names them as tests.
async fn based(project: &Project, plan: &Plan, base: &CommitId) -> Result<Based> {
    let mut guarded = queries::protected(&project.config);
    guarded.extend(guarded::files(&project.config, plan, &*project.git, base).await?);
    if !project.config.contestants_write_tests {
        guarded.extend(guarded::patterns(&project.config, plan, &*project.git, base).await?);
    }
    Ok(Based { guarded, paths: project.git.paths_at(base).await? })
}

fn settings(project: &Project, plan: &Plan, run: &str, fixed: Fixed, based: &Based) -> Settings {
    let config = &project.config;
    let Fixed { state, measure_budget, merge } = fixed;
    let leases = Leasing {
        state,
        env: project.inherited(),
        carry: config.carry.clone(),
        built: config.built.clone(),
        sandbox: sandbox::opened(project),
    };
    let implement = Implementing {
        parallel: config.parallel,
        patience: config.patience,
        judge_unfinished: config.judge_unfinished,
        transcripts: project.transcripts(run),
    };
    let judge = Judging {
        setup: config.setup.clone(),
        build: config.build.clone(),
        migrate: config.migrate.clone(),
        protect: target::protected(plan, based, &config.trust, config.contestants_write_tests),
        contestants_write_tests: config.contestants_write_tests,
        logs: project.logs(run),
        redactor: project.redactor(),
    };
    let measure = Measuring {
        budget: measure_budget,
        extends: !config.has_measure_budget(),
        wait: config.wait,
        lanes: config.lanes,
        missing_on_base: measures::missing_on_base(config),
    };
    let land = Landing {
        require: config.require,
        merge,
        record: !config.journal_only,
        hooks: config.hooks,
        sign: config.sign,
    };
    Settings { leases, implement, judge, measure, land }
}

fn fingerprint(config: &Config) -> String {
    Sha256::digest(config.text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
