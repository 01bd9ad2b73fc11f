//! What a configuration says, and what it is told where it is wrong.

use super::*;

fn read(text: &str) -> Config {
    Config::parse(text, Path::new("blueprint.yaml")).unwrap()
}

fn refused(text: &str) -> String {
    let error = Config::parse(text, Path::new("blueprint.yaml")).unwrap_err();
    std::iter::once(error.message).chain(error.hints).collect::<Vec<_>>().join(" | ")
}

#[test]
fn an_empty_file_says_nothing() {
    let config = read("# nothing yet\n");
    assert!(config.agent.is_none() && config.metrics.is_empty());
}

#[test]
fn a_key_that_is_not_known_is_named_with_its_place_and_the_nearest_one() {
    let cases = [
        ("budgett: 3", "blueprint.yaml: unknown key `budgett`"),
        ("databse: {}", "unknown key `databse` | did you mean `database`?"),
        ("measure: {buget: 3m}", "unknown key `measure.buget` | did you mean `budget`?"),
        ("metrics: {p95: {form: file}}", "unknown key `metrics.p95.form` | did you mean `from`?"),
        ("suites: {load: {http: {concurency: 3}}}", "unknown key `suites.load.http.concurency`"),
        ("land: {zebra: 1}", "known there: branch, hooks, record, require, sign"),
        ("metrics: {m: {sql_load: {param: x}}}", "unknown key `metrics.m.sql_load.param` | did you mean `params`?"),
    ];
    for (text, expected) in cases {
        let message = refused(&format!("version: 1\n{text}\n"));
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn values_of_a_wrong_kind_are_refused_with_their_line() {
    let message = refused("version: 1\nsetup: 3\n");
    assert!(message.contains("line 2"), "{message}");
    let cases = [
        ("version: 2", "version 2 is not known"),
        ("setup: [x]", "`version: 1` is missing"),
        ("version: 1\nagent: {patch: a, command: b}", "exactly one of `preset`, `api`, `command` and `patch`"),
        ("version: 1\nmeasure: {budget: soon}", "`measure.budget`"),
        ("version: 1\nmeasure: {budget: 0s}", "must be longer than nothing"),
        ("version: 1\nmeasure: {parallel: 0}", "at least 1"),
        ("version: 1\ncarry: [../secrets]", "`carry`: `../secrets`"),
        ("version: 1\nprotect: [../x]", "`protect`: `../x`"),
        ("version: 1\nmetrics: {m: {sql_load: {params: {range: [1]}}}}", "a CSV file, or `{range: [1, 1000000]}`"),
        ("version: 1\nagent: [codex]", "expected a preset such as `codex`, or `{preset: …}`"),
        ("version: 1\nagent: {patience: 3, preset: x}", "`agent.patience`"),
        ("version: 1\nagent: {command: 3}", "a line, or a list of words"),
        ("version: 1\nmetrics: {p95: fast}", "expected keys such as `{from: command, run: …}`"),
        ("version: 1\nmetrics: {\"a b\": {from: file}}", "can't be a metric's name"),
        ("a: [", "blueprint.yaml: "),
    ];
    for (text, expected) in cases {
        let message = refused(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn an_agent_is_recorded_work_or_a_program() {
    let of = |text: &str| read(&format!("version: 1\nagent: {text}\n")).agent.unwrap();
    assert!(matches!(of("{patch: recorded}"), Agent::Patch(Patch::Directory(dir)) if dir == "recorded"));
    assert!(matches!(of("{patch: {A: a.patch, B: \"branch:b\"}}"), Agent::Patch(Patch::Each(map)) if map.len() == 2));
    assert!(matches!(of("{command: ./agent.sh}"), Agent::Command { words: Words::Line(_), .. }));
    assert!(
        matches!(of("{command: [./agent.sh, x]}"), Agent::Command { words: Words::List(words), .. } if words.len() == 2)
    );
}

#[test]
fn measuring_gets_a_quarter_of_the_cap_at_least_two_minutes_and_at_most_half() {
    let minutes = |m: u64| Duration::from_secs(60 * m);
    let config = read("version: 1\n");
    assert_eq!(config.measure_budget(Some(minutes(60))), minutes(15));
    assert_eq!(config.measure_budget(Some(minutes(6))), minutes(2));
    assert_eq!(config.measure_budget(Some(minutes(2))), minutes(1));
    assert_eq!(config.measure_budget(None), minutes(2));
    assert_eq!(read("version: 1\nmeasure: {budget: 5m}\n").measure_budget(None), minutes(5));
}

#[test]
fn what_a_suite_leaves_open_is_as_the_file_has_it_for_all() {
    let config = read("version: 1\nhttp: {serve: ./serve, path: /all}\nsuites: {load: {http: {path: /own}}}\n");
    let Work::Http(own) = &config.suites["load"].work else { panic!("asks a server") };
    let http = own.clone().or(&config.http);
    assert_eq!((http.serve, http.path), (config.http.serve, Some("/own".parse().unwrap())));
}

#[test]
fn the_schema_is_one_that_editors_can_use() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    assert_eq!(schema["title"], "blueprint.yaml");
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["properties"]["measure"].is_object());
}

#[test]
fn lanes_are_a_word_or_a_number_of_two_or_more() {
    let lanes = |text: &str| read(&format!("version: 1\nmeasure: {{lanes: {text}}}\n")).lanes;
    assert_eq!([lanes("auto"), lanes("off"), lanes("4")], [Wanted::Auto, Wanted::Off, Wanted::Exactly(4)]);
    assert_eq!(read("version: 1\n").lanes, Wanted::Auto);
    for text in ["0", "1"] {
        let message = refused(&format!("version: 1\nmeasure: {{lanes: {text}}}\n"));
        assert!(message.contains("`measure.lanes` must be"), "{message}");
    }
    for text in ["-1", "1.5", "many", "[1]"] {
        let message = refused(&format!("version: 1\nmeasure: {{lanes: {text}}}\n"));
        assert!(message.contains("`auto`, `off`, or a number of lanes"), "{message}");
    }
}

#[test]
fn list_prices_are_read_and_the_file_comes_first() {
    let prices = Config::default().prices();
    let input = |prices: &Prices, model: &str| prices.of(model).map(|price| price.input.units());
    assert_eq!(input(&prices, "claude-sonnet-4-5-20250929"), Some(3.0));
    assert_eq!(input(&prices, "gpt-4o-mini-2024-07-18"), Some(0.15));
    assert_eq!(input(&prices, "some-model"), None);
    let text = "version: 1\nprices:\n  claude-sonnet-4*: {input: 9, output: 9}\n  some-*: {input: 0, output: 0}\n";
    let own = read(text).prices();
    assert_eq!(input(&own, "claude-sonnet-4-5-20250929"), Some(9.0));
    assert_eq!(input(&own, "some-model"), Some(0.0));
}

#[test]
fn agents_models_and_prices_that_mean_nothing_are_refused_with_the_key() {
    let said: Vec<_> = [
        "agent: {preset: codex, command: x}",
        "agent: {}",
        "agent: {patch: recorded, args: [-x]}",
        "agent: {api: {}}",
        "agent: {api: {model: m}, model: n}",
        "agent: {preset: codex, patience: 0s}",
        "models: {}",
        "models: {openai: {key: sk-123}}",
        "models: {openai: {url: 'ftp://h/v1'}}",
        "models: {openai: {url: 'http://u:p@h/v1'}}",
        "models: {openai: {url: here}}",
        "prices: {m: {input: 3}}",
        "prices: {m: {input: -3, output: 1}}",
        "prices: {m: {input: .nan, output: 1}}",
    ]
    .iter()
    .map(|text| refused(&format!("version: 1\n{text}\n")))
    .collect();
    insta::assert_snapshot!(said.join("\n"), @"
    blueprint.yaml: `agent` takes exactly one of `preset`, `api`, `command` and `patch`
    blueprint.yaml: `agent` takes exactly one of `preset`, `api`, `command` and `patch`
    blueprint.yaml: `agent.args` goes with `preset` only
    blueprint.yaml: `agent.api.model` is missing: the model's name, as its provider has it
    blueprint.yaml: `agent.model` goes with `preset` and `command`; the built-in agent has `agent.api.model`
    blueprint.yaml: `agent.patience` must be longer than nothing
    blueprint.yaml: `models` names no provider; name `anthropic`, `openai` or `gemini`
    blueprint.yaml: `models.openai.key` must name a variable, such as $OPENAI_API_KEY: a key has no place in a file
    blueprint.yaml: `models.openai.url`: `ftp://h/v1` is no http or https URL; write such as http://127.0.0.1:11434/v1
    blueprint.yaml: `models.openai.url`: a base URL has no user, password, query or fragment; write such as http://127.0.0.1:11434/v1
    blueprint.yaml: `models.openai.url`: `here` is no URL (relative URL without a base); write such as http://127.0.0.1:11434/v1
    blueprint.yaml: `prices.m.output` is missing: what a million tokens cost
    blueprint.yaml: `prices.m.input`: -3 is no price
    blueprint.yaml: `prices.m.input`: NaN is no price
    ");
}
