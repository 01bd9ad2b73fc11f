//! Puts a run together: from a plan and a configuration to the ports and settings that the engine
//! works with. Decides nothing; what can't be put together is refused with the key to correct.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::adapters::agent::patch::{self, Source};
use crate::adapters::agent::scripted::Scripted;
use crate::adapters::agent::{self, AgentSettings};
use crate::adapters::cache::{self, Cache, CacheSettings};
use crate::adapters::database::{self, Database, DatabaseSettings};
use crate::adapters::git::{CommitId, Git as _, Head};
use crate::adapters::journal::{Journal, Memory};
use crate::adapters::machine::linux::Linux;
use crate::adapters::metric::MetricSource;
use crate::adapters::workspace::{LocalWorkspace, Workspace};
use crate::config::{self, Config, DatabaseIsolation};
use crate::domain::decision;
use crate::domain::document::Document;
use crate::domain::estimate::Estimate;
use crate::domain::event::{Event, Sink};
use crate::domain::lanes::Wanted;
use crate::domain::measurement::{MetricName, Unchecked};
use crate::domain::plan::{MetricBound, Plan};
use crate::engine::before::approval::{self, Approval, Candidate};
use crate::engine::before::estimate;
use crate::engine::before::known::{Environment, Known};
use crate::engine::before::preview::{self, Outline};
use crate::engine::before::target::{self, Target};
use crate::engine::before::uncommitted;
use crate::engine::clock::Clock;
use crate::engine::judge::shadow;
use crate::engine::measure::lanes;
use crate::engine::rehearsal;
use crate::engine::resources::lease;
use crate::engine::run::{Ports, Settings};
use crate::engine::state::{Facts, Log, Record, Started};
use crate::error::{Error, Result};
use crate::project::{CONFIGURATION, Project};

pub mod agents;
mod measures;
pub mod named;
mod queries;
pub mod sandbox;
pub mod starter;
mod values;

pub use measures::bindings;

/// A run that is ready to start; nothing was written yet.
pub struct Prepared {
    /// What will be frozen.
    pub started: Started,
    /// The world, with a journal that forgets.
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

/// Puts a run together and refuses what could only fail later.
pub async fn prepare(
    project: &Project,
    path: &str,
    document: &Document,
    target: &Target,
    purpose: Purpose,
    events: Arc<dyn Sink>,
) -> Result<Prepared> {
    let (rehearsal, trying) = (purpose == Purpose::Rehearsal, purpose == Purpose::Try);
    let plan = &if rehearsal { rehearsal::plan(document.plan()) } else { document.plan().clone() };
    let (config, random) = (&project.config, LocalWorkspace.random());
    let at = now();
    let run = target::run_id(at, random);
    let mut settings = settings(project, plan, &run);
    let mut ports = ports(project, plan, Arc::new(Memory::default()), events).await?;
    if rehearsal {
        settings.measure_budget = rehearsal_budget(settings.measure_budget);
        rehearse(&mut ports, &mut settings, plan, &target.base).await?;
    } else if trying {
        // Nobody implements anything, and what would is no matter of the harness.
        ports.agent = Arc::new(Scripted { files: BTreeMap::new() });
        settings.merge = false;
    } else {
        connect(project, &mut ports).await?;
    }
    target::preflight(plan, target, &ports, &settings).await?;
    queries::check(config, plan, &settings.protect, &*project.git, target).await?;
    let started = Started {
        run,
        document: path.to_owned(),
        digest: document.digest(),
        plan: plan.clone(),
        base: target.base.clone(),
        target: target.branch.clone(),
        seed: LocalWorkspace.random(),
        state: settings.state.clone(),
        at,
        configuration: fingerprint(config),
        given: None,
        measure_budget: settings.measure_budget,
        extends: settings.extends,
        require: settings.require,
        rules: decision::RULES,
        sources: named(&ports.sources),
        counts: counts(&ports.sources),
        unchecked: unchecked(plan, &ports.sources),
        sandboxed: ports.sandbox.is_some(),
        rehearsal,
        merge: true,
        trying,
    };
    Ok(Prepared { started, ports, settings })
}

/// Refuses what a run of this document would refuse before it starts; nothing is started or written.
pub async fn preflight(project: &Project, document: &Document, target: &Target) -> Result<()> {
    let plan = document.plan();
    let settings = settings(project, plan, "<run>");
    let ports = ports(project, plan, Arc::new(Memory::default()), Arc::new(|_| {})).await?;
    agents::models(project, &*ports.agent)?;
    target::preflight(plan, target, &ports, &settings).await?;
    queries::check(&project.config, plan, &settings.protect, &*project.git, target).await
}

/// A rehearsal looks for what is wrong with a harness in a quarter of the time that a decision may
/// take, at least half a minute.
fn rehearsal_budget(whole: Duration) -> Duration {
    (whole / 4).max(Duration::from_secs(30)).min(whole)
}

/// Puts what is known beforehand in the place of the agent, and lets nothing land.
async fn rehearse(ports: &mut Ports, settings: &mut Settings, plan: &Plan, base: &CommitId) -> Result<()> {
    let files = rehearsal::script(&*ports.git, base, &settings.protect, plan, &settings.state).await?;
    ports.agent = Arc::new(Scripted { files });
    settings.merge = false;
    Ok(())
}

/// Puts a run together again after an interruption. The configuration must be the same: half a
/// run by one and half by another is no measurement.
pub async fn again(
    project: &Project,
    journal: Arc<dyn Journal>,
    facts: &Facts,
    events: Arc<dyn Sink>,
) -> Result<(Ports, Settings)> {
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
    let mut settings = settings(project, &started.plan, &started.run);
    settings.state = started.state.clone();
    settings.measure_budget = started.measure_budget;
    settings.merge = started.merge;
    let mut ports = ports(project, &started.plan, journal, events).await?;
    if started.rehearsal {
        rehearse(&mut ports, &mut settings, &started.plan, &started.base).await?;
    } else {
        connect(project, &mut ports).await?;
    }
    Ok((ports, settings))
}

/// Ports that can remove what a run made, and do nothing else.
pub async fn caretaker(project: &Project, journal: Arc<dyn Journal>, facts: &Facts) -> Result<Ports> {
    bare(project, facts.seen.started.plan.variants.len(), journal, Arc::new(|_| {})).await
}

/// What a reviewer sees before approving.
pub async fn outline(project: &Project, path: &str, document: &Document, target: &Target) -> Result<Outline> {
    let plan = document.plan();
    let settings = settings(project, plan, "<run>");
    let ports = ports(project, plan, Arc::new(Memory::default()), Arc::new(|_| {})).await?;
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
        setup: &settings.setup,
        build: &settings.build,
        built: &settings.built,
        environment: environment(project),
        migrate: &settings.migrate,
        carry: &settings.carry,
        protect: &settings.protect,
        harness: named::harness(&project.config, plan, &*project.git, target).await?,
        measure_seconds: settings.measure_budget.as_secs(),
        lanes: lanes::planned(&ports, settings.lanes, plan.variants.len() + 1),
        lanes_asked: matches!(settings.lanes, Wanted::Exactly(_)),
        require: settings.require,
        merge: settings.merge,
        record: settings.record,
        hooks: settings.hooks,
        sign: settings.sign,
        customs: &project.git.customs().await?,
        judge_unfinished: settings.judge_unfinished,
        contestants_write_tests: settings.contestants_write_tests,
        database: ports.database.as_ref().map(|port| port.choice()).map(|choice| (choice.level, choice.why)),
        cache: ports.cache.as_ref().map(|port| port.choice()),
        sources: &named(&ports.sources),
        uncommitted: &uncommitted::sentences(&*project.git, target, &named::files(project, path, plan)).await?,
        counts: &counts(&ports.sources),
        unchecked: &unchecked(plan, &ports.sources),
        tie_break: ports.tie_breaker.as_ref().map(|source| source.name()),
        estimate,
        sandboxed: ports.sandbox.is_some(),
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

/// The ports of a run, but for the proxy, which only a run that starts needs.
async fn ports(project: &Project, plan: &Plan, journal: Arc<dyn Journal>, events: Arc<dyn Sink>) -> Result<Ports> {
    let config = &project.config;
    let sandbox = sandbox::port(project).await?.unwrap_or_else(|text| {
        events.send(Event::Warning { text });
        None
    });
    Ok(Ports {
        sandbox,
        agent: agent::build(agents::settings(configured(project)?)?),
        suites: measures::suites(config, plan)?,
        sources: measures::sources(config, plan)?,
        tie_breaker: measures::tie_breaker(config)?,
        ..bare(project, plan.variants.len(), journal, events).await?
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

/// Lets the agent reach its models, where that is ours to do.
async fn connect(project: &Project, ports: &mut Ports) -> Result<()> {
    if let Some(settings) = agents::models(project, &*ports.agent)? {
        ports.proxy = Some(agents::proxy(settings).await?);
    }
    Ok(())
}

/// The ports that every run of a project has, with nothing to implement, test or measure.
async fn bare(project: &Project, variants: usize, journal: Arc<dyn Journal>, events: Arc<dyn Sink>) -> Result<Ports> {
    Ok(Ports {
        git: project.git.clone(),
        journal,
        exec: project.exec.clone(),
        sandbox: None,
        machine: Arc::new(Linux),
        workspace: Arc::new(LocalWorkspace),
        // Recorded work needs nothing to be told about, and nobody implements anything here.
        agent: agent::build(AgentSettings::Patch(patch::Settings { source: Source::Directory(String::new()) })),
        proxy: None,
        database: database_port(project, variants).await?,
        cache: cache_port(project).await?,
        suites: Vec::new(),
        sources: Vec::new(),
        tie_breaker: None,
        events,
    })
}

fn settings(project: &Project, plan: &Plan, run: &str) -> Settings {
    let config = &project.config;
    Settings {
        setup: config.setup.clone(),
        build: config.build.clone(),
        built: config.built.clone(),
        migrate: config.migrate.clone(),
        carry: config.carry.clone(),
        protect: target::protected(plan, &queries::protected(config), config.contestants_write_tests),
        measure_budget: config.measure_budget(plan.budget.time_cap),
        extends: !config.has_measure_budget(),
        wait: config.wait,
        patience: config.patience,
        missing_on_base: measures::missing_on_base(config),
        transcripts: project.transcripts(run),
        logs: project.logs(run),
        redactor: project.redactor(),
        parallel: config.parallel,
        lanes: config.lanes,
        require: config.require,
        merge: true,
        record: !config.journal_only,
        hooks: config.hooks,
        sign: config.sign,
        judge_unfinished: config.judge_unfinished,
        contestants_write_tests: config.contestants_write_tests,
        state: project.state_root().join(run),
        sandbox: sandbox::opened(project),
        env: project.inherited(),
    }
}

/// Every contender, the baseline and its shadow among them, is judged while others are still at
/// work: two leases each at the most.
fn leases(variants: usize) -> u32 {
    u32::try_from(2 * (variants + 2)).unwrap_or(u32::MAX)
}

/// The databases that the configuration names, for runs of no particular size.
pub async fn databases(project: &Project) -> Result<Option<Arc<dyn Database>>> {
    database_port(project, 1).await
}

async fn database_port(project: &Project, variants: usize) -> Result<Option<Arc<dyn Database>>> {
    let Some(config) = &project.config.database else { return Ok(None) };
    let settings = DatabaseSettings {
        url: values::reference(project, "database.url", config.url.as_deref())?,
        engine: config.engine.map(|engine| match engine {
            config::Engine::Postgres => database::Engine::Postgres,
            config::Engine::Sqlite => database::Engine::Sqlite,
        }),
        seed: config.seed.iter().map(|file| project.git_root().join(file)).collect(),
        // Templates and private servers live beside the leases.
        state: project.state_root(),
        leases: leases(variants),
    };
    let chosen = database::choose(settings, isolation(config), project.exec.clone()).await;
    chosen.map(Some).map_err(lease::database_error)
}

async fn cache_port(project: &Project) -> Result<Option<Arc<dyn Cache>>> {
    let Some(config) = &project.config.cache else { return Ok(None) };
    let settings = CacheSettings {
        url: values::reference(project, "cache.url", config.url.as_deref())?,
        isolation: match config.isolation {
            None | Some(config::CacheIsolation::Auto) => cache::Isolation::Auto,
            Some(config::CacheIsolation::Server) => cache::Isolation::Server,
            Some(config::CacheIsolation::Acl) => cache::Isolation::Acl,
        },
        // Templates and private servers live beside the leases.
        state: project.state_root(),
    };
    let chosen = cache::choose(settings, project.exec.clone()).await;
    chosen.map(Some).map_err(lease::cache_error)
}

fn isolation(config: &config::Database) -> database::Isolation {
    match config.isolation {
        None | Some(DatabaseIsolation::Auto) => database::Isolation::Auto,
        Some(DatabaseIsolation::Server) => database::Isolation::Server,
        Some(DatabaseIsolation::Database) => database::Isolation::Database,
        Some(DatabaseIsolation::Schema) => database::Isolation::Schema,
    }
}

fn fingerprint(config: &Config) -> String {
    Sha256::digest(config.text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
