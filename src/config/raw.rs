//! The shape of `blueprint.yaml` as it is written; `config` turns it into what the rest works with.
//!
//! The JSON schema for editors is generated from these types, so their docs are what editors show.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::land::Land;

/// How `blueprint` carries out the documents of this repository.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys with values, such as `version: 1`")]
#[schemars(title = "blueprint.yaml")]
pub struct Raw {
    /// The version of this format: 1.
    pub version: Option<u32>,
    /// What implements the variants.
    pub agent: Option<Agent>,
    /// Where the requests of agents to their models go, and with which keys.
    pub models: Option<Models>,
    /// What a million tokens cost, by the model's name or a pattern such as `gpt-*`.
    pub prices: BTreeMap<String, Price>,
    /// A database for each contender.
    pub database: Option<Database>,
    /// A Redis for each contender.
    pub cache: Option<Cache>,
    /// Variables for every program of a run: set-up, tests, benchmarks and agents.
    pub env: BTreeMap<String, String>,
    /// Names of variables of your own that every program of a run gets as well; those of proxies and certificates always do.
    pub pass_env: Vec<String>,
    /// Shell lines run in every judged tree, and in the worktrees of agents, before anything else.
    pub setup: Vec<String>,
    /// What is built in a judged tree after set-up: shell lines, or `{run: […], cache: […]}`.
    pub build: Build,
    /// Shell lines run in a judged tree against its fresh database.
    pub migrate: Vec<String>,
    /// Untracked paths that are copied into every tree.
    pub carry: Vec<String>,
    /// Globs that are as the base has them in every judged tree, beside the tests and their runner's configuration.
    pub protect: Vec<String>,
    /// How variants are judged.
    pub judge: Judge,
    /// The walls around agents, set-up, tests and benchmarks; `auto` where absent.
    pub sandbox: Option<super::sandbox::Raw>,
    /// What holds for all tests.
    pub tests: Tests,
    /// What load tests and HTTP metrics talk to, unless they say otherwise.
    pub http: Option<Http>,
    /// What stands behind a line of the document's tests, by that line.
    pub suites: BTreeMap<String, Suite>,
    /// Where the values of the document's metrics come from, by the metric's name.
    pub metrics: BTreeMap<String, Metric>,
    /// How long measuring may take.
    pub measure: Measure,
    /// Where and when a winner lands.
    pub land: Land,
    /// What becomes of a variant of which work items were not carried out; `out` where absent.
    pub unfinished: Option<Unfinished>,
}

/// What becomes of a variant of which work items were not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unfinished {
    /// It is out, and its work is kept.
    Out,
    /// It competes as it is, and is marked.
    Judge,
}

/// How variants are judged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{trust: [Makefile]}`")]
pub struct Judge {
    /// Globs of scripts, recipes and configuration of runners that variants may change, although they say how variants are
    /// judged.
    pub trust: Vec<String>,
}

/// What is built in a judged tree after set-up.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "shell lines, or `{run: […], cache: […]}`")]
pub enum Build {
    /// Shell lines.
    Lines(Vec<String>),
    /// Shell lines, and where their results are.
    Settings(BuildSettings),
}

impl Default for Build {
    fn default() -> Self {
        Self::Lines(Vec::new())
    }
}

/// What is built, and where the results are.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{run: [\"cargo build --release\"], cache: [target]}`")]
pub struct BuildSettings {
    /// Shell lines.
    pub run: Vec<String>,
    /// Folders with what was built, such as `target`: every tree begins with a private copy of the baseline's.
    pub cache: Vec<String>,
}

/// What implements the variants: the name of a preset, or settings.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum Agent {
    /// A preset, such as `codex`.
    Name(String),
    /// Exactly one of `preset`, `api`, `command` and `patch`, with what goes with it.
    Settings(Box<AgentSettings>),
}

/// As an untagged enum would read it, with the errors of whichever was meant.
impl<'de> Deserialize<'de> for Agent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Agent;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a preset such as `codex`, or `{preset: …}`, `{api: …}`, `{command: …}`, `{patch: …}`")
            }

            fn visit_str<E>(self, name: &str) -> Result<Agent, E> {
                Ok(Agent::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Agent, A::Error> {
                AgentSettings::deserialize(MapAccessDeserializer::new(map)).map(|all| Agent::Settings(Box::new(all)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What implements the variants: exactly one of `preset`, `api`, `command` and `patch`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentSettings {
    /// A known program: `codex`, `claude`, `gemini`, `qwen`, `opencode`, `pi`, `aider`, `goose`, `mini-swe-agent`.
    pub preset: Option<String>,
    /// The built-in agent.
    pub api: Option<Api>,
    /// Any program: a line or an argument list with placeholders such as `{prompt_file}`.
    pub command: Option<Words>,
    /// Recorded work: a directory with one diff a variant, or a file or `branch:name` for each.
    pub patch: Option<Patch>,
    /// The model that a preset or a program is to use; its own choice where absent.
    pub model: Option<String>,
    /// More arguments for a preset.
    pub args: Vec<String>,
    /// More variables for a preset.
    pub env: BTreeMap<String, String>,
    /// After so long without any sign of life a program is stopped, such as `10m`.
    pub patience: Option<String>,
}

/// The built-in agent.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{model: …}`")]
pub struct Api {
    /// The model, as its provider names it.
    pub model: Option<String>,
    /// By which protocol: `messages` or `chat`; told by the model's name where absent.
    pub wire: Option<ApiWire>,
    /// How many tokens one answer may have.
    pub max_output: Option<NonZeroU32>,
}

/// Protocols of the built-in agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApiWire {
    /// Anthropic Messages.
    Messages,
    /// OpenAI Chat Completions, or whatever is compatible.
    Chat,
}

/// Where the requests of agents to their models go.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{openai: {url: …}}`")]
pub struct Models {
    /// Anthropic Messages.
    pub anthropic: Option<Upstream>,
    /// OpenAI Chat Completions and Responses: OpenAI, or any compatible server (Ollama, vLLM, llama.cpp, a gateway).
    pub openai: Option<Upstream>,
    /// Gemini.
    pub gemini: Option<Upstream>,
}

/// A provider's address and key.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{url: http://127.0.0.1:11434/v1}`")]
pub struct Upstream {
    /// The base URL, as the provider's own clients are given it; the provider's own where absent.
    pub url: Option<String>,
    /// The variable that holds the key, such as `$OPENAI_API_KEY`; none where a server of one's own wants none.
    pub key: Option<String>,
    /// The output limit of requests that name none; 16,384 where absent.
    pub max_output: Option<NonZeroU32>,
}

/// What a million tokens cost, in one currency.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{input: 3, output: 15}`")]
pub struct Price {
    /// A million tokens read.
    pub input: Option<f64>,
    /// A million tokens written.
    pub output: Option<f64>,
}

/// A directory, or a diff or branch by variant.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a folder, or a diff for each variant")]
pub enum Patch {
    /// A directory with one diff a variant, named by its key.
    Directory(String),
    /// A file, or `branch:name`, by variant.
    Each(BTreeMap<String, String>),
}

/// A line that is split as a shell would, or the words themselves.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a line, or a list of words")]
pub enum Words {
    /// A line.
    Line(String),
    /// Words.
    List(Vec<String>),
}

/// A database for each contender.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{engine: postgres}`, or `{}`")]
pub struct Database {
    /// `postgres` or `sqlite`; told by the URL where there is one.
    pub engine: Option<Engine>,
    /// The server, best as `$DATABASE_URL`; absent for private servers or SQLite files.
    pub url: Option<String>,
    /// How contenders are kept apart.
    pub isolation: Option<DatabaseIsolation>,
    /// SQL files that make the template, in order.
    pub seed: Vec<String>,
}

/// Database engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL 14 or newer.
    Postgres,
    /// SQLite, one file a contender.
    Sqlite,
}

/// Levels of isolation for databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseIsolation {
    /// The first that the machine and the role allow.
    Auto,
    /// A private server a contender.
    Server,
    /// A database a contender, cloned from a template.
    Database,
    /// A schema a contender.
    Schema,
}

/// A Redis for each contender.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{url: $REDIS_URL}`, or `{}`")]
pub struct Cache {
    /// The server, best as `$REDIS_URL`; absent for private servers.
    pub url: Option<String>,
    /// How contenders are kept apart.
    pub isolation: Option<CacheIsolation>,
}

/// Levels of isolation for caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CacheIsolation {
    /// The first that the machine allows.
    Auto,
    /// A private server a contender.
    Server,
    /// A user of one server, bound to a key prefix.
    Acl,
}

/// What holds for all tests.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{limit: 10m}`")]
pub struct Tests {
    /// Whether variants may write and change the tests that judge them.
    pub by_contestants: bool,
    /// How long one suite may take, such as `10m`.
    pub limit: Option<String>,
}

/// What stands behind a line of the document's tests: exactly one of `run` and `http`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{run: …}` or `{http: {…}}`")]
pub struct Suite {
    /// A shell line; it finds the place for a JUnit report in `$BLUEPRINT_JUNIT`, or may print TAP.
    pub run: Option<String>,
    /// A burst of requests that must all be answered well.
    pub http: Option<Http>,
    /// How long it may take, such as `10m`.
    pub limit: Option<String>,
}

/// Requests to a program on loopback. What is absent is as the file's own `http` has it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{serve: …, path: /}`")]
pub struct Http {
    /// Starts the program: a shell line run in the judged tree. It listens on 127.0.0.1 at `$PORT`.
    pub serve: Option<String>,
    /// The path that is asked, with its query; `{seed}` in it is another number in each request.
    pub path: Option<String>,
    /// The path that answers 2xx once the program is ready; `path` where absent.
    pub ready: Option<String>,
    /// How long it may take to be ready, such as `30s`.
    pub ready_limit: Option<String>,
    /// Text that every answer must hold.
    pub expect: Option<String>,
    /// Requests in flight (suites, `throughput`).
    pub concurrency: Option<NonZeroU32>,
    /// Requests in all (suites); twice those in flight where absent.
    pub requests: Option<NonZeroU32>,
    /// Requests a second (latencies).
    pub rate: Option<NonZeroU32>,
    /// How long a slice is, such as `400ms` (metrics).
    pub slice: Option<String>,
}

/// Where a metric's value comes from.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{from: command, run: …}`")]
pub struct Metric {
    /// Whether the baseline need not have a value: what is measured does not exist there yet.
    pub missing_on_base: bool,
    /// The kind of source: the format of a benchmark report (`pytest-benchmark`, `criterion`, `hyperfine`, `k6`, `go-bench`),
    /// `file`, `command`, `time` or `instructions`; not needed beside `sql`, `sql_load` and `http`.
    pub from: Option<String>,
    /// The shell line that measures (reports, `file`, `command`) or is measured (`time`, `instructions`).
    pub run: Option<String>,
    /// The benchmark that is meant; not needed where the report holds one (reports).
    pub test: Option<String>,
    /// The statistic: `p50`, `p95`, `mean`, `min`, … (reports, `http`, `sql_load`); also `ops` (reports) and `throughput` (`http`, `sql_load`).
    pub stat: Option<String>,
    /// Keys and indices of the JSON document joined by dots (`command`).
    pub path: Option<String>,
    /// What was computed, which must be what the baseline computes from the same inputs: `stdout` (`time`), `body`
    /// (`http`), or keys and indices of the JSON document joined by dots (`command`).
    pub output: Option<String>,
    /// What the number is in, such as `ms` or `B` (`command`, `sql`); what the file must say (`file`); which figure of a
    /// benchmark, such as `B/op` (`go-bench`); what a trend of the script is in (`k6`).
    pub unit: Option<String>,
    /// What counts (`instructions`): `callgrind`, `pmu` (the processor), or `auto`: the processor where it can.
    pub counter: Option<String>,
    /// A query with one row and one column.
    pub sql: Option<String>,
    /// A load on the contender's own database.
    pub sql_load: Option<SqlLoad>,
    /// A load on a program that answers HTTP requests.
    pub http: Option<Http>,
}

/// A statement that is asked over and over in the contender's own database.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{file: bench/lookup.sql}`")]
pub struct SqlLoad {
    /// The file with the statement: one query, read-only, with parameters as `$1` (SQLite: `?` or `?1`).
    pub file: Option<String>,
    /// What it is asked with: a CSV file whose header is such as `id:int,name:text`, or `{range: [1, 1000000]}`.
    pub params: Option<Params>,
    /// Whether variants may rewrite the statement's file; else it is as the base has it.
    pub by_variant: bool,
    /// Statements a second (latencies).
    pub rate: Option<NonZeroU32>,
    /// Connections, all of them busy for `throughput`.
    pub concurrency: Option<NonZeroU32>,
    /// How long a slice is, such as `400ms`.
    pub slice: Option<String>,
}

/// Parameters out of a file, or drawn from a range.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a CSV file, or `{range: [1, 1000000]}`")]
pub enum Params {
    /// A CSV file.
    File(String),
    /// Drawn.
    Drawn(Drawn),
}

/// Parameters that are drawn anew for each statement, the same for every contender.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// One whole number from the first to the last.
    pub range: [i64; 2],
}

/// How long measuring may take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{budget: 10m}`")]
pub struct Measure {
    /// Such as `10m`, which then holds; a quarter of the document's time cap and at least 2 minutes where absent, with
    /// what the time cap leaves where that would decide.
    pub budget: Option<String>,
    /// How long to wait for a calmer machine before measuring, such as `10m`; not at all where absent.
    pub wait: Option<String>,
    /// How many variants are implemented and tested at a time; all of them where absent.
    pub parallel: Option<usize>,
    /// Contenders that are measured at the same time, each on cores of its own: `auto`, `off` or a number.
    pub lanes: Option<Lanes>,
    /// What is counted of variants that can't be told apart, and decides between equally simple ones.
    pub tie_break: Option<TieBreak>,
}

/// What is counted of variants that can't be told apart.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{from: instructions, run: …}`")]
pub struct TieBreak {
    /// The kind of source: `instructions`.
    pub from: Option<String>,
    /// The shell line whose instructions are counted.
    pub run: Option<String>,
    /// What counts: `auto`, `callgrind` or `pmu`.
    pub counter: Option<String>,
}

/// Parallel lanes of measuring.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "`auto`, `off`, or a number of lanes")]
pub enum Lanes {
    /// A word.
    Word(LanesWord),
    /// So many; refused where they can't be had.
    Number(usize),
}

/// Parallel lanes of measuring, in a word.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LanesWord {
    /// Where the machine has enough cores and a check sees no interference.
    Auto,
    /// One after another.
    Off,
}
