//! `doctor`: what this machine has of what a run may need, the configured agent first.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Context, Outcome, documents};
use crate::adapters::agent::{Agent, AgentError, AgentSettings, build, preset};
use crate::adapters::executor::local::Local;
use crate::adapters::git::{GitError, Repository};
use crate::adapters::machine::Machine as _;
use crate::adapters::machine::linux::Linux;
use crate::adapters::process::{Command, Environment, Executor, Stop, installed};
use crate::adapters::service::postgres::Programs;
use crate::adapters::service::redis;
use crate::domain::detect::detect;
use crate::domain::document::Document;
use crate::domain::plan::{Status, Variant, VariantKey};
use crate::domain::wire::Provider;
use crate::engine::before::doctor::{Call, ClientLine, Configured, Findings, Found, KeyLine, Tool};
use crate::engine::before::known::Reach;
use crate::engine::trouble;
use crate::error::{ExitCode, Result};
use crate::project::{self, Project, files};
use crate::{compose, config, ui};

/// A program that does not tell its version within this does not run.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint doctor")]
pub struct Args {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let exec: Arc<dyn Executor> = Arc::new(Local);
    let project = project_around(&context.directory, &exec).await?;
    let agent = match &project {
        Some(project) => configured(project).await?,
        None => None,
    };
    let missing = project.iter().flat_map(missing);
    let sandbox = compose::sandbox::available().await;
    let promises = match &sandbox {
        Ok(sandbox) => compose::promises::tried(&**sandbox).await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let findings = Findings {
        agent,
        clients: join_all(preset::clients().iter().map(|client| line(client, &*exec))).await,
        keys: keys(),
        tools: tools(&exec, sandbox.err()).await.into_iter().chain(missing).collect(),
        promises,
        cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        cores: Some(Linux.topology().cores.len()).filter(|cores| *cores > 0),
    };
    if args.json {
        context.out.print_document(&ui::doctor_json(&findings));
    } else {
        context.out.print(&ui::doctor(&findings, context.out.style()));
    }
    Ok(if findings.can_run() { ExitCode::Done } else { ExitCode::Machine })
}

/// The project around a directory; without a repository there is none, and the machine can be looked at all the same.
async fn project_around(directory: &Path, exec: &Arc<dyn Executor>) -> Result<Option<Project>> {
    match Repository::discover(directory, Arc::clone(exec)).await {
        // Where git is missing, that is what is told.
        Err(GitError::NotARepository(_) | GitError::Process(_)) => Ok(None),
        _ => Project::open(directory).await.map(Some),
    }
}

async fn configured(project: &Project) -> Result<Option<Configured>> {
    let Some(named) = &project.config.agent else { return Ok(None) };
    let settings = compose::agents::settings(named)?;
    let call = match &settings {
        AgentSettings::Preset(settings) => Some(shown(settings.example())),
        _ => None,
    };
    let agent = build(settings);
    let mut problems = if agent.whole_variant() { recorded(project, named, &*agent).await? } else { Vec::new() };
    if let Some(key) = VariantKey::new("A").filter(|_| !agent.whole_variant()) {
        let any = Variant { key, name: String::new(), notes: Vec::new() };
        let checked = agent.check(project.git_root(), &any, &*project.exec).await;
        problems.extend(checked.err().map(|error| trouble::machine(error).message));
    }
    let models = match compose::agents::reach(project, &*agent) {
        Reach::Through(places) => Some(places),
        Reach::None | Reach::Unseen => None,
        Reach::Missing(why) => {
            problems.push(why);
            None
        }
    };
    Ok(Some(Configured { agent: agent.describe(), problems, models, call }))
}

/// What is missing of recorded work: its folder, and what the variants of documents that are still to run need.
async fn recorded(project: &Project, named: &config::Agent, agent: &dyn Agent) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    if let config::Agent::Patch(config::Patch::Directory(folder)) = named {
        let place = folder.trim_end_matches('/');
        if !project.git_root().join(place).is_dir() {
            problems.push(format!(
                "the folder {place}/ is not there: record a diff for each variant in it, such as {place}/A.patch"
            ));
            return Ok(problems);
        }
    }
    let folder = project.git_root().join(documents::FOLDER);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "md")) {
        let Ok(document) = Document::parse(&project::read(path)?) else { continue };
        let plan = document.plan();
        if !matches!(plan.status, Status::Drafting | Status::Pending | Status::Approved) {
            continue;
        }
        for variant in &plan.variants {
            if let Err(error) = agent.check(project.git_root(), variant, &*project.exec).await {
                let (shown, why) = (project.relative(path)?, trouble::machine(error).message);
                problems.push(format!("{shown}, variant {}: {why}", variant.key));
            }
        }
    }
    Ok(problems)
}

async fn line(client: &'static preset::Client, exec: &dyn Executor) -> ClientLine {
    let found = match preset::probe(client, exec).await {
        Ok(version) => Found::Here { version },
        Err(AgentError::Material { why, .. }) => Found::Missing { why },
        Err(error) => Found::Missing { why: error.to_string() },
    };
    ClientLine {
        name: client.name.clone(),
        title: client.title.clone(),
        found,
        tried: client.tried.clone(),
        wires: client.wires(),
        call: shown(preset::Settings::plain(client).example()),
        note: client.note.clone(),
    }
}

fn shown(call: preset::Call) -> Call {
    Call { line: shell_words::join(call.words), env: call.env }
}

fn keys() -> Vec<KeyLine> {
    let variables = project::variables();
    let one = |provider: Provider| {
        let variable = provider.key_variable().to_owned();
        let set = variables.get(&variable).is_some_and(|value| !value.is_empty());
        KeyLine { provider, variable, set }
    };
    Provider::ALL.map(one).into()
}

/// The tools that runs may need; `no_sandbox` is why there is none.
async fn tools(exec: &Arc<dyn Executor>, no_sandbox: Option<String>) -> Vec<Tool> {
    let (git, postgres, redis, sandbox) =
        tokio::join!(told("git", &**exec), Programs::find(exec, None), redis::found(&**exec), told("bwrap", &**exec));
    let tool = |name: &str, needed, version: Option<String>, without: &str| {
        let why = || format!("not found; {without}");
        let found = version.map_or_else(|| Found::Missing { why: why() }, |version| Found::Here { version });
        Tool { name: name.to_owned(), found, needed }
    };
    let postgres = match postgres {
        Ok(found) => tool(
            "PostgreSQL",
            false,
            found.map(|programs| programs.version),
            "install PostgreSQL 14 or newer for private servers, or name its programs' directory in BLUEPRINT_PG_BIN",
        ),
        Err(error) => broken("PostgreSQL", &trouble::machine(error).message),
    };
    let redis = match redis {
        Ok(found) => {
            tool("Redis", false, found, "install redis-server for private servers, or name it in BLUEPRINT_REDIS_BIN")
        }
        Err(error) => broken("Redis", &trouble::machine(error).message),
    };
    let walls = match (sandbox, no_sandbox) {
        (None, _) => tool("bwrap", false, None, "without it agents, tests and benchmarks run with your permissions"),
        (_, Some(why)) => broken("bwrap", &format!("makes no sandbox here: {why}; {}", compose::sandbox::remedy(&why))),
        (version, None) => tool("bwrap", false, version, ""),
    };
    vec![tool("git", true, git, "install git 2.36 or newer"), postgres, redis, walls]
}

/// The most of a line that is shown.
const SHOWN: usize = 60;

/// What lines of the project call and this machine does not have.
fn missing(project: &Project) -> Vec<Tool> {
    let found = detect(&files::listing(project.git_root()));
    let all = compose::named::programs(project, &found).into_iter();
    let tool = |(name, line): (String, String)| {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = words.chars().take(SHOWN).collect();
        let more = if shown.len() < words.len() { "…" } else { "" };
        Tool { name, found: Found::Missing { why: format!("not found; `{shown}{more}` calls it") }, needed: true }
    };
    all.filter(|(program, _)| !installed(program)).map(tool).collect()
}

fn broken(name: &str, why: &str) -> Tool {
    Tool { name: name.to_owned(), found: Found::Missing { why: why.to_owned() }, needed: false }
}

/// What a program says when it is asked for its version; nothing where it is not there.
async fn told(program: &str, exec: &dyn Executor) -> Option<String> {
    let env: Environment = [("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())].into();
    let command = Command::new(program, ["--version"], "/").env(&env).limit(LIMIT);
    let done = exec.run(command, &Stop::new()).await.ok().filter(|done| done.exit.success())?;
    let text = done.text();
    let line = text.lines().next().unwrap_or_default().trim();
    Some(line.trim_start_matches(program).trim_start_matches(" version").trim_start().to_owned())
}
