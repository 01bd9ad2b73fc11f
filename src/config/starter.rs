//! A `blueprint.yaml` to start from: the template, with what was found in the repository written into it.

use crate::domain::detect::{Found, Metric};

const TEMPLATE: &str = include_str!("../../templates/blueprint.yaml");

/// What stands in the place of set-up where nothing is known of it.
const SETUP: &str = "# Shell lines for every tree before anything else.\n# setup: [\"npm ci\"]\n";
const NETWORK: &str = "# In a sandbox set-up reaches the hosts that are named, and nothing else. One that fails says which it asked for.\n\
    # sandbox: {network: [\"packages.example:443\"]}\n";
const CARRY: &str = "# carry: [node_modules]\n";
const METRICS: &str = "\
# Where the values of the document's metrics come from.
# metrics:
#   query_latency_p95: {from: pytest-benchmark, run: \"pytest tests/performance\", stat: p95}
#   parse_time: {from: file, run: \"./bench.sh\"}   # JSON lines in $BLUEPRINT_METRICS
#   index_size: {sql: \"select pg_indexes_size('users')\", unit: B}
";
const SUITES: &str = "\
# What stands behind tests that the document only describes.
# suites:
#   \"Load test with 1000 concurrent requests\": {http: {serve: \"./serve\", path: /users}}
";

/// The text of the file.
pub fn starter(found: &[Found]) -> String {
    TEMPLATE
        .replace("{{found}}", &told(found))
        .replace("{{setup}}\n", &setup(found))
        .replace("{{carry}}\n", &carry(found))
        .replace("{{protect}}\n", &protect(found))
        .replace("{{metrics}}\n", &metrics(found))
        .replace("{{suites}}\n", &suites(found))
}

fn told(found: &[Found]) -> String {
    let lines = found.iter().map(|found| format!("# Found: {}.\n", found.told()));
    let notes = found.iter().flat_map(|found| &found.notes).map(|note| format!("# Note: {note}.\n"));
    lines.chain(notes).collect()
}

fn setup(found: &[Found]) -> String {
    let install: Vec<_> = found.iter().flat_map(|found| &found.setup).collect();
    let build: Vec<_> = found.iter().flat_map(|found| &found.build).collect();
    let mut out = String::new();
    if install.is_empty() {
        out.push_str(SETUP);
    } else {
        out.push_str(
            "# Shell lines for every tree before anything else; they install what the lock files say.\nsetup:\n",
        );
        out.extend(install.into_iter().map(|line| format!("  - {}\n", quoted(line))));
    }
    out.push_str(NETWORK);
    if !build.is_empty() {
        out.push_str("\n# Shell lines that compile what is tested and measured, and the folders that they fill.\nbuild:\n  run:\n");
        out.extend(build.into_iter().map(|line| format!("    - {}\n", quoted(line))));
        let cache: Vec<_> = found.iter().flat_map(|found| &found.cache).map(|folder| quoted(folder)).collect();
        if !cache.is_empty() {
            out.push_str(&format!("  cache: [{}]\n", cache.join(", ")));
        }
    }
    out
}

fn carry(found: &[Found]) -> String {
    let paths: Vec<_> = found.iter().flat_map(|found| &found.carry).map(|path| quoted(path)).collect();
    if paths.is_empty() { CARRY.to_owned() } else { format!("carry: [{}]\n", paths.join(", ")) }
}

fn protect(found: &[Found]) -> String {
    let globs: Vec<_> = found.iter().flat_map(|found| &found.protect).map(|glob| quoted(glob)).collect();
    if globs.is_empty() {
        return String::new();
    }
    let globs = globs.join(", ");
    format!("\n# Tests that lie among the code; variants are tested with the base's.\nprotect: [{globs}]\n")
}

fn metrics(found: &[Found]) -> String {
    let all: Vec<_> = found.iter().flat_map(|found| &found.metrics).collect();
    if all.is_empty() {
        return METRICS.to_owned();
    }
    let mut out =
        "# Where the values of the document's metrics come from. Take what fits its goal.\nmetrics:\n".to_owned();
    out.extend(all.into_iter().map(metric));
    out
}

fn metric(metric: &Metric) -> String {
    let mut keys = vec![format!("from: {}", metric.from), format!("run: {}", quoted(&metric.run))];
    keys.extend(metric.test.as_ref().map(|test| format!("test: {}", quoted(test))));
    keys.extend(metric.stat.map(|stat| format!("stat: {stat}")));
    format!("  {}: {{{}}}\n", quoted(metric.name.as_str()), keys.join(", "))
}

fn suites(found: &[Found]) -> String {
    let named = found.iter().flat_map(|found| &found.tests).filter_map(|test| Some((&test.line, test.run.as_ref()?)));
    let lines: String = named.map(|(line, run)| format!("  {}: {{run: {}}}\n", quoted(line), quoted(run))).collect();
    if lines.is_empty() {
        return SUITES.to_owned();
    }
    format!(
        "\n# The suites that a document's tests name. A report in $BLUEPRINT_JUNIT gives a case for each test.\nsuites:\n{lines}"
    )
}

/// A scalar in double quotes. JSON's are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::domain::detect::{Listing, detect};

    #[test]
    fn without_anything_found_it_is_a_configuration_with_examples() {
        let text = starter(&[]);
        assert!(!text.contains("{{") && text.contains("# setup:") && text.contains("# suites:"), "{text}");
        Config::parse(&text, Path::new("blueprint.yaml")).unwrap();
    }

    #[test]
    fn its_keys_hold_what_was_found() {
        let files = [
            ("Cargo.toml", "[package]\n"),
            ("Cargo.lock", ""),
            ("benches/parse.rs", "use criterion;\nc.bench_function(\"a \\\"b\", |b| 1);"),
            ("web/package.json", r#"{"scripts": {"test": "vitest"}, "devDependencies": {"vitest": "3"}}"#),
            ("web/package-lock.json", ""),
        ];
        let listing = Listing::new(files.map(|(path, text)| (path.to_owned(), text.to_owned())));
        let text = starter(&detect(&listing));
        let config = Config::parse(&text, Path::new("blueprint.yaml")).unwrap();
        assert_eq!(config.setup, ["cargo fetch --locked", "cd web && npm ci"]);
        assert_eq!(config.build, ["cargo test --no-run --locked", "cargo bench --no-run --bench parse --locked"]);
        assert_eq!((config.built, config.carry), (vec!["target".to_owned()], Vec::<String>::new()));
        assert_eq!(config.suites.keys().collect::<Vec<_>>(), ["The vitest suite of web"]);
        assert_eq!(config.metrics.len(), 1, "{text}");
        assert!(text.contains("# Found: cargo (Cargo.toml), criterion (benches/parse.rs).\n"), "{text}");
        let ignored = detect(&listing.with_ignored(["Cargo.lock".to_owned()]));
        let config = Config::parse(&starter(&ignored), Path::new("blueprint.yaml")).unwrap();
        assert_eq!(config.carry, ["Cargo.lock"]);
    }
}
