//! What `doctor` prints.

use serde::Serialize;

use super::report::json_text;
use super::style::{Style, Tone};
use super::table::{Align, Cell, Table};
use super::words;
use crate::domain::wire::Wire;
use crate::engine::before::doctor::{Call, ClientLine, Configured, Findings, Found, KeyLine, Promise, Tool};

/// The whole text.
pub fn doctor(findings: &Findings, style: Style) -> String {
    let title = |text: &str| style.paint(Tone::Strong, text);
    format!(
        "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}",
        title("The agent of this repository"),
        configured(findings.agent.as_ref(), style),
        title("Keys of providers"),
        keys(&findings.keys, style),
        title("This machine"),
        machine(findings, style),
        title("Programs of a run, as tried here"),
        promises(&findings.promises, style),
        title("Agents that there is a preset for"),
        clients(&findings.clients, style)
    )
}

fn configured(agent: Option<&Configured>, style: Style) -> String {
    let Some(Configured { agent, problems, models, call }) = agent else {
        return "– none is configured; name one in blueprint.yaml, such as `agent: codex`\n".to_owned();
    };
    let mark = if problems.is_empty() { good(style) } else { bad(style) };
    let mut out = format!("{mark} {}\n", words::one_line(agent));
    for problem in problems {
        let text = words::indented(&words::visible(problem, false), 4);
        out.push_str(&format!("    {}\n", style.paint(Tone::Bad, &text)));
    }
    out.extend(models.as_ref().map(|models| format!("    its requests to models go to {}\n", words::one_line(models))));
    out.extend(call.as_ref().map(|call| line(call, style)));
    out
}

fn line(call: &Call, style: Style) -> String {
    format!("    {}\n", style.paint(Tone::Faint, &words::one_line(&call.line)))
}

fn keys(keys: &[KeyLine], style: Style) -> String {
    let mut table = Table::bare([Align::Left, Align::Left, Align::Left]);
    for key in keys {
        let (mark, said) =
            if key.set { (Cell::toned(Tone::Good, "✓"), "set") } else { (Cell::from("–"), "not set") };
        table.row([mark, Cell::from(&key.variable), Cell::from(said)]);
    }
    table.render(style)
}

fn machine(findings: &Findings, style: Style) -> String {
    let mut table = Table::bare([Align::Left, Align::Left, Align::Left]);
    for Tool { name, found, needed } in &findings.tools {
        let (mark, said) = match found {
            Found::Here { version } => (Cell::toned(Tone::Good, "✓"), version),
            Found::Missing { why } if *needed => (Cell::toned(Tone::Bad, "✗"), why),
            Found::Missing { why } => (Cell::from("–"), why),
        };
        table.row([mark, Cell::from(name), Cell::from(said)]);
    }
    let cores = findings.cores.map(|cores| format!(" on {}", words::count(cores, "core"))).unwrap_or_default();
    let cpus = format!("{}{cores}", words::count(findings.cpus, "CPU"));
    table.row([Cell::from(""), Cell::from("cores"), Cell::from(cpus)]);
    table.render(style)
}

fn promises(promises: &[Promise], style: Style) -> String {
    if promises.is_empty() {
        return "– no sandbox: agents, tests and benchmarks run with your permissions\n".to_owned();
    }
    let one = |Promise { statement, broken }: &Promise| match broken {
        None => format!("{} {statement}\n", good(style)),
        Some(said) => format!("{} {statement}: broken here: {}\n", bad(style), words::one_line(said)),
    };
    promises.iter().map(one).collect()
}

fn clients(clients: &[ClientLine], style: Style) -> String {
    let mut out = String::new();
    for client in clients {
        let wires = client.wires.iter().map(|wire| Wire::as_str(*wire)).collect::<Vec<_>>().join(", ");
        let tried = match client.tried.as_slice() {
            [] => "not tried".to_owned(),
            versions => format!("tried with {}", versions.join(", ")),
        };
        let (mark, said) = match &client.found {
            Found::Here { version } => (good(style), format!("{version}; {tried}; {wires}")),
            Found::Missing { why } => ("–".to_owned(), format!("{why}; {tried}; {wires}")),
        };
        let name = style.paint(Tone::Strong, &client.name);
        out.push_str(&format!(
            "{mark} {name} ({}): {}\n",
            client.title,
            words::indented(&words::visible(&said, false), 4)
        ));
        out.push_str(&line(&client.call, style));
        out.push_str(&format!("    {}\n", client.note));
    }
    out
}

fn good(style: Style) -> String {
    style.paint(Tone::Good, "✓")
}

fn bad(style: Style) -> String {
    style.paint(Tone::Bad, "✗")
}

/// The same for programs.
pub fn doctor_json(findings: &Findings) -> String {
    json_text(&Report { schema_version: 1, can_run: findings.can_run(), findings })
}

#[derive(Serialize)]
struct Report<'a> {
    /// Of this form; it changes when a key changes its meaning or goes.
    schema_version: u32,
    can_run: bool,
    #[serde(flatten)]
    findings: &'a Findings,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::wire::Provider;

    fn here(version: &str) -> Found {
        Found::Here { version: version.to_owned() }
    }

    fn missing(why: &str) -> Found {
        Found::Missing { why: why.to_owned() }
    }

    fn call(line: &str) -> Call {
        Call { line: line.to_owned(), env: [("KEY".to_owned(), "KEY".to_owned())].into() }
    }

    fn client(name: &str, found: Found, tried: &[&str]) -> ClientLine {
        ClientLine {
            name: name.to_owned(),
            title: name.to_uppercase(),
            found,
            tried: tried.iter().map(|version| (*version).to_owned()).collect(),
            wires: vec![Wire::Chat, Wire::Messages],
            call: call(&format!("{name} run PROMPT")),
            note: "Needs nothing.".to_owned(),
        }
    }

    fn findings(problem: Option<&str>) -> Findings {
        Findings {
            agent: Some(Configured {
                agent: "preset one m".to_owned(),
                problems: problem.map(str::to_owned).into_iter().collect(),
                models: Some("openai at http://127.0.0.1:1/v1".to_owned()),
                call: Some(call("one run --model m PROMPT")),
            }),
            clients: vec![
                client("one", here("1.2.3"), &["1.2", "1.1"]),
                client("two", missing("not installed; install it: get two"), &[]),
            ],
            keys: Provider::ALL
                .map(|provider| KeyLine {
                    provider,
                    variable: provider.key_variable().to_owned(),
                    set: provider == Provider::OpenAi,
                })
                .into(),
            tools: vec![
                Tool { name: "git".to_owned(), found: missing("not found; install git"), needed: true },
                Tool { name: "Redis".to_owned(), found: missing("not found"), needed: false },
                Tool { name: "PostgreSQL".to_owned(), found: here("15.1"), needed: false },
            ],
            promises: vec![
                Promise { statement: "they do not read your files", broken: None },
                Promise { statement: "they write only into their lease", broken: Some("/etc/x".to_owned()) },
            ],
            cpus: 2,
            cores: Some(1),
        }
    }

    #[test]
    fn the_configured_agent_comes_first_and_what_is_missing_says_how_to_get_it() {
        let found = findings(Some("`one` is not installed; install it: get one\nsecond line\u{1b}[2J"));
        insta::assert_snapshot!(doctor(&found, Style::PLAIN));
        let coloured = doctor(&found, Style::COLOURED);
        assert_eq!(words::visible(&coloured, false), doctor(&found, Style::PLAIN));
        assert!(!found.can_run() && findings(None).can_run());
    }

    #[test]
    fn without_an_agent_it_says_how_to_name_one_and_all_is_well() {
        let found = Findings { agent: None, ..findings(None) };
        assert!(doctor(&found, Style::PLAIN).contains("– none is configured; name one in blueprint.yaml"));
        assert!(found.can_run());
    }

    #[test]
    fn programs_get_the_same() {
        let mut found = findings(None);
        found.clients.truncate(1);
        insta::assert_snapshot!(doctor_json(&found));
    }
}
