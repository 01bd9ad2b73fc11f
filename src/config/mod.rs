//! `blueprint.yaml`: how documents are carried out. Read once, checked whole, immutable afterwards.
//!
//! Precedence: built-in defaults, then this file; the document says *what* and is not overridden.

mod agent;
mod duration;
mod environment;
mod keys;
mod land;
mod metrics;
mod models;
mod raw;
mod sandbox;
mod starter;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_yaml::Value;

use crate::adapters::http::Endpoint;
use crate::adapters::metric::instructions;
use crate::domain::landing;
use crate::domain::lanes::Wanted;
use crate::domain::measurement::MetricName;
use crate::domain::price::{Money, Price, Prices};
use crate::error::{Error, Result};

pub use agent::Agent;
use duration::time;
pub use environment::{Passed, Variables};
pub use metrics::{Metric, Suite, Work};
pub use models::{Models, Upstream};
pub use raw::{Cache, CacheIsolation, Database, DatabaseIsolation, Engine, Patch, Words};
pub use sandbox::{Mode as SandboxMode, Sandbox};
pub use starter::starter;

/// Measuring gets at least this much of a run without a time cap.
const LEAST_MEASURING: Duration = Duration::from_secs(120);

/// What `blueprint.yaml` says.
#[derive(Debug, Default)]
pub struct Config {
    /// What implements variants; must be there before anything can run.
    pub agent: Option<Agent>,
    /// Where requests to models go, where the file says.
    pub models: Option<Models>,
    /// What a million tokens cost, by model, where the file says.
    prices: BTreeMap<String, Price>,
    /// After so long without any sign of life an agent's program is stopped.
    pub patience: Duration,
    /// A database for each contender, where one is asked for.
    pub database: Option<Database>,
    /// A Redis for each contender, where one is asked for.
    pub cache: Option<Cache>,
    /// Variables for every program of a run.
    pub environment: Variables,
    /// Shell lines for every tree.
    pub setup: Vec<String>,
    /// Shell lines for a judged tree after set-up.
    pub build: Vec<String>,
    /// Folders with what they build.
    pub built: Vec<String>,
    /// Shell lines for a judged tree with its database.
    pub migrate: Vec<String>,
    /// Untracked paths copied into every tree.
    pub carry: Vec<String>,
    /// The walls around its programs.
    pub sandbox: Sandbox,
    /// More globs that are as the base has them.
    pub protect: Vec<String>,
    /// Globs of what is not, although variants are judged by it.
    pub trust: Vec<String>,
    /// Whether variants may write the tests that judge them.
    pub contestants_write_tests: bool,
    /// How long one suite may take.
    pub test_limit: Option<Duration>,
    /// What HTTP suites and metrics have in common.
    pub http: Endpoint,
    /// Suites by the document's line.
    pub suites: BTreeMap<String, Suite>,
    /// Metrics by name.
    pub metrics: BTreeMap<MetricName, Metric>,
    /// How long measuring may take, where it is set.
    measure_budget: Option<Duration>,
    /// Variants at a time.
    pub parallel: Option<usize>,
    /// Parallel lanes of measuring.
    pub lanes: Wanted,
    /// What is counted of variants that can't be told apart.
    pub tie_break: Option<instructions::Settings>,
    /// The branch that winners land on.
    pub branch: Option<String>,
    /// What must be shown before a variant may land.
    pub require: landing::Require,
    /// How long measuring may wait for a calmer machine.
    pub wait: Option<Duration>,
    /// Whether the end of a run that landed nothing is kept out of the branch.
    pub journal_only: bool,
    /// Whether hooks of the repository are run on a commit before it lands.
    pub hooks: bool,
    /// Whether commits are signed where the user's git is set to sign.
    pub sign: bool,
    /// Whether a variant competes of which work items were not carried out.
    pub judge_unfinished: bool,
    /// The bytes that it was read from; empty where there is no file.
    pub text: String,
}

impl Config {
    /// Reads the file; `name` is how messages call it.
    pub fn parse(text: &str, name: &Path) -> Result<Self> {
        let at = |error: Error| Error { message: format!("{}: {}", name.display(), error.message), ..error };
        let wrong = |what: String| at(Error::usage(what));
        let value: Value = serde_yaml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if value.is_null() {
            return Ok(Self { text: text.to_owned(), ..Self::default() });
        }
        let schema = serde_json::to_value(schemars::schema_for!(raw::Raw)).unwrap_or_default();
        if let Some(unknown) = keys::unknown(&value, &schema) {
            let error = wrong(format!("unknown key `{}`", unknown.path));
            return Err(match unknown.near {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("known there: {}", unknown.known.join(", "))),
            });
        }
        let raw: raw::Raw = serde_yaml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        Self::resolve(raw, text).map_err(at)
    }

    fn resolve(raw: raw::Raw, text: &str) -> Result<Self> {
        match raw.version {
            Some(1) => {}
            Some(other) => {
                return Err(Error::usage(format!("version {other} is not known; this program reads version 1")));
            }
            None => return Err(Error::usage("`version: 1` is missing")),
        }
        let http = metrics::endpoint("http", raw.http.unwrap_or_default())?;
        let metrics = metrics::metrics(raw.metrics, &http, raw.database.is_some())?;
        if raw.measure.parallel == Some(0) {
            return Err(Error::usage("`measure.parallel` must be at least 1"));
        }
        let (build, built) = match raw.build {
            raw::Build::Lines(lines) => (lines, Vec::new()),
            raw::Build::Settings(settings) => (settings.run, settings.cache),
        };
        if build.is_empty() && !built.is_empty() {
            return Err(Error::usage("`build.cache` names folders, and `build.run` has no line that fills them"));
        }
        let models = raw.models.map(Models::read).transpose().map_err(Error::usage)?;
        let keys = models.as_ref().map_or_else(Vec::new, Models::key_variables);
        Ok(Self {
            patience: agent::patience(raw.agent.as_ref()).map_err(Error::usage)?,
            agent: raw.agent.map(Agent::read).transpose().map_err(Error::usage)?,
            models,
            prices: prices(raw.prices).map_err(Error::usage)?,
            database: raw.database,
            cache: raw.cache,
            environment: Variables::read(raw.env, raw.pass_env, &keys).map_err(Error::usage)?,
            setup: raw.setup,
            build,
            built: all_inside("build.cache", built)?,
            migrate: raw.migrate,
            carry: all_inside("carry", raw.carry)?,
            sandbox: Sandbox::of(raw.sandbox).map_err(Error::usage)?,
            protect: all_inside("protect", raw.protect)?,
            trust: all_inside("judge.trust", raw.judge.trust)?,
            contestants_write_tests: raw.tests.by_contestants,
            test_limit: time("tests.limit", raw.tests.limit.as_deref())?,
            http,
            suites: metrics::suites(raw.suites)?,
            metrics,
            measure_budget: time("measure.budget", raw.measure.budget.as_deref())?,
            parallel: raw.measure.parallel,
            lanes: lanes(raw.measure.lanes).map_err(Error::usage)?,
            tie_break: raw.measure.tie_break.map(metrics::tie_break).transpose()?,
            branch: raw.land.branch,
            require: raw.land.require.map_or_else(landing::Require::default, Into::into),
            wait: time("measure.wait", raw.measure.wait.as_deref())?,
            journal_only: raw.land.record == Some(land::Record::Journal),
            hooks: raw.land.hooks == Some(land::Hooks::Run),
            sign: raw.land.sign == Some(land::Sign::Auto),
            judge_unfinished: raw.unfinished == Some(raw::Unfinished::Judge),
            text: text.to_owned(),
        })
    }

    /// How long measuring may take: as configured, or a quarter of the time cap and at least two
    /// minutes, and never more than half of the cap.
    pub fn measure_budget(&self, time_cap: Option<Duration>) -> Duration {
        let fallback = match time_cap {
            Some(cap) => (cap / 4).max(LEAST_MEASURING).min(cap / 2),
            None => LEAST_MEASURING,
        };
        self.measure_budget.unwrap_or(fallback)
    }

    /// Whether the file says how long measuring may take.
    pub fn has_measure_budget(&self) -> bool {
        self.measure_budget.is_some()
    }

    /// What tokens cost: list prices, and in front of them what the file says.
    pub fn prices(&self) -> Prices {
        let listed = serde_yaml::from_str(PRICES).ok().and_then(|raw| prices(raw).ok()).unwrap_or_default();
        let mut all = Prices::default();
        for (model, price) in listed.iter().chain(&self.prices) {
            all.add(model, *price);
        }
        all
    }
}

/// The JSON schema of the file, for editors.
pub fn schema() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(raw::Raw)).unwrap_or_default()
}

fn all_inside(key: &str, paths: Vec<String>) -> Result<Vec<String>> {
    paths.into_iter().map(|path| inside(key, path).map_err(Error::usage)).collect()
}

fn lanes(raw: Option<raw::Lanes>) -> std::result::Result<Wanted, String> {
    match raw {
        None | Some(raw::Lanes::Word(raw::LanesWord::Auto)) => Ok(Wanted::Auto),
        Some(raw::Lanes::Word(raw::LanesWord::Off)) => Ok(Wanted::Off),
        Some(raw::Lanes::Number(count @ 2..)) => Ok(Wanted::Exactly(count)),
        Some(raw::Lanes::Number(_)) => Err("`measure.lanes` must be `auto`, `off`, or at least 2".to_owned()),
    }
}

/// List prices of well-known models.
const PRICES: &str = include_str!("../../templates/prices.yaml");

/// Prices as a file has them; both sides of each must be said.
fn prices(raw: BTreeMap<String, raw::Price>) -> std::result::Result<BTreeMap<String, Price>, String> {
    let one = |(model, price): (String, raw::Price)| {
        let side = |what: &str, units: Option<f64>| {
            let units =
                units.ok_or_else(|| format!("`prices.{model}.{what}` is missing: what a million tokens cost"))?;
            Money::new(units).ok_or_else(|| format!("`prices.{model}.{what}`: {units} is no price"))
        };
        let price = Price { input: side("input", price.input)?, output: side("output", price.output)? };
        Ok((model, price))
    };
    raw.into_iter().map(one).collect()
}

/// A path below the repository's root, or a glob of such.
fn inside(key: &str, path: String) -> std::result::Result<String, String> {
    use crate::domain::plan::FilePattern;
    FilePattern::new(path.trim_end_matches('/')).map_err(|why| format!("`{key}`: `{path}`: {why}"))?;
    Ok(path)
}

#[cfg(test)]
mod tests;
