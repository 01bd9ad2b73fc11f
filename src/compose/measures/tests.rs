//! Metrics of a configuration as sources, and what is refused on the way.

use std::path::Path;

use super::*;

fn read(text: &str) -> Result<Config> {
    Config::parse(&format!("version: 1\n{text}\n"), Path::new("blueprint.yaml"))
}

fn config(text: &str) -> Config {
    read(text).unwrap()
}

fn names(text: &str) -> Vec<(String, Vec<String>)> {
    let config = config(text);
    let built = built(config.metrics.values().map(|metric| &metric.source)).unwrap();
    built.iter().map(|s| (s.name().to_owned(), s.metrics().iter().map(ToString::to_string).collect())).collect()
}

fn refused(text: &str) -> String {
    let error = read(text).and_then(|config| bindings(&config)).unwrap_err();
    std::iter::once(error.message).chain(error.hints).collect::<Vec<_>>().join(" | ")
}

#[test]
fn metrics_of_the_same_run_come_from_one_source() {
    let found = names(
        "metrics:\n  p50: {from: pytest-benchmark, run: pytest x, stat: p50}\n  \
         p95: {from: pytest-benchmark, run: pytest x, stat: p95}\n  other: {from: pytest-benchmark, run: pytest y, stat: p95}",
    );
    assert_eq!(found.len(), 2);
    assert!(found.iter().any(|(_, metrics)| metrics == &["p50", "p95"]), "{found:?}");
}

#[test]
fn every_format_of_reports_is_bound_by_its_name_and_shares_a_run() {
    for format in metric::report::FORMATS {
        let name = format.name;
        let found = names(&format!(
            "metrics:\n  a: {{from: {name}, run: x, test: t, stat: p50}}\n  b: {{from: {name}, run: x, stat: p95}}\n  \
             c: {{from: file, run: x}}"
        ));
        let report = (format!("{name}: x"), vec!["a".to_owned(), "b".to_owned()]);
        assert!(found.len() == 2 && found.contains(&report), "{found:?}");
        let unit = read(&format!("metrics: {{m: {{from: {name}, run: x, stat: p50, unit: B/op}}}}"));
        assert_eq!(unit.is_ok(), format.units, "{name}");
    }
}

#[test]
fn http_metrics_of_one_server_share_it() {
    let found = names(
        "http: {serve: ./serve, path: /users}\nmetrics:\n  a: {from: http, stat: p95}\n  b: {from: http, stat: throughput}\n  \
         c: {http: {path: /other}, stat: throughput}",
    );
    assert_eq!(found.len(), 2, "{found:?}");
    let compared = names(
        "http: {serve: ./serve, path: \"/users/{seed}\"}\nmetrics:\n  a: {from: http, stat: p95}\n  \
         b: {from: http, stat: p50, output: body}",
    );
    assert_eq!(compared.len(), 1, "{compared:?}");
}

#[test]
fn answers_are_compared_only_where_none_may_be_missing() {
    let message = refused(
        "http: {serve: ./serve, path: /}\nmetrics:\n  a: {from: http, stat: error_rate}\n  b: {from: http, stat: p50, output: body}",
    );
    assert!(message.contains("`metrics.a` counts failed requests"), "{message}");
}

#[test]
fn loads_of_one_statement_with_the_same_parameters_share_a_slice() {
    let one = "sql_load: {file: q.sql, params: {range: [1, 9]}}";
    let text = format!(
        "database: {{}}\nmetrics:\n  a: {{{one}, stat: p95}}\n  b: {{{one}, stat: throughput}}\n  c: {{sql_load: {{file: q.sql}}, stat: p95}}"
    );
    let found = names(&text);
    assert_eq!(found.iter().map(|(_, metrics)| metrics.len()).collect::<Vec<_>>(), [2, 1], "{found:?}");
    assert_eq!((found[0].0.as_str(), found[1].0.as_str()), ("sql-load: q.sql with 1 to 9", "sql-load: q.sql"));
}

#[test]
fn what_is_wrong_with_a_load_on_a_database_is_said_with_its_key() {
    let cases = [
        ("{sql_load: {}, stat: p95}", "`metrics.m.sql_load` needs `file`"),
        ("{sql_load: {file: q.sql}}", "`metrics.m` needs `stat`"),
        ("{sql_load: {file: q.sql}, stat: error_rate}", "`error_rate` is for `http`"),
        ("{sql_load: {file: q.sql}, stat: fastest}", "`fastest` is nothing that load tells"),
        ("{sql_load: {file: ../q.sql}, stat: p95}", "`metrics.m.sql_load.file`: `../q.sql`"),
        ("{sql_load: {file: q.sql, params: /etc/x}, stat: p95}", "`metrics.m.sql_load.params`: `/etc/x`"),
        ("{sql_load: {file: q.sql, params: {range: [2, 1]}}, stat: p95}", "range`: 2 comes after 1"),
        ("{sql_load: {file: q.sql, slice: soon}, stat: p95}", "`metrics.m.sql_load.slice`"),
        ("{from: http, sql_load: {file: q.sql}, stat: p95}", "can be only one of them"),
        ("{from: sql, sql_load: {file: q.sql}, sql: x, unit: B}", "`metrics.m.sql_load` means nothing"),
    ];
    for (metric, expected) in cases {
        let message = refused(&format!("database: {{}}\nmetrics: {{m: {metric}}}"));
        assert!(message.contains(expected), "{metric}: {message}");
    }
}

#[test]
fn files_of_loads_are_protected_unless_variants_may_rewrite_them() {
    let config = config(
        "database: {}\nprotect: [x/**]\nmetrics:\n  a: {sql_load: {file: \"q[1].sql\", params: p.csv}, stat: p95}\n  \
         b: {sql_load: {file: r.sql, params: s.csv, by_variant: true}, stat: p95}",
    );
    assert_eq!(super::super::queries::protected(&config), ["x/**", "q[[]1[]].sql", "p.csv", "s.csv"]);
}

#[test]
fn what_is_wrong_with_a_metric_is_said_with_its_key() {
    let cases = [
        ("{}", "`metrics.m` needs `from`"),
        ("{from: guess}", "`guess` is not a source"),
        ("{from: command, unit: ms}", "`metrics.m` needs `run`"),
        ("{from: command, run: x}", "`metrics.m` needs `unit`"),
        ("{from: command, run: x, unit: parsecs}", "`metrics.m.unit`: unknown unit `parsecs`"),
        ("{from: command, run: x, unit: ms, stat: p95}", "`metrics.m.stat` means nothing to a metric from `command`"),
        ("{from: hyperfine, stat: p95}", "`metrics.m` needs `run`"),
        ("{from: go-bench, run: x}", "`metrics.m` needs `stat`"),
        ("{from: instructions}", "`metrics.m` needs `run`"),
        ("{from: instructions, run: x, counter: abacus}", "`metrics.m.counter`: `abacus` counts no instructions"),
        ("{from: time, run: x, counter: pmu}", "`metrics.m.counter` means nothing to a metric from `time`"),
        ("{from: instructions, run: x, unit: ms}", "`metrics.m.unit` means nothing to a metric from `instructions`"),
        ("{from: k6, run: x, stat: p95, path: a}", "`metrics.m.path` means nothing to a metric from `k6`"),
        (
            "{from: criterion, run: x, stat: p95, unit: ns}",
            "`metrics.m.unit` means nothing to a metric from `criterion`",
        ),
        ("{from: pytest-benchmark, run: x, stat: best}", "`metrics.m.stat`: `best`"),
        ("{from: file, sql: select 1}", "can be only one of them"),
        ("{from: http, stat: p95}", "`metrics.m.http` needs `serve`"),
        ("{from: http, stat: p95, output: status}", "`metrics.m.output` of a metric from `http` can only be `body`"),
        ("{http: {serve: x, path: users}, stat: p95}", "`metrics.m.http.path`: `users`"),
        (
            "{sql_load: {file: q.sql}, stat: p95}",
            "`metrics.m` loads a database, and contenders have none | add `database: {}`",
        ),
    ];
    for (metric, expected) in cases {
        let message = refused(&format!("metrics: {{m: {metric}}}"));
        assert!(message.contains(expected), "{metric}: {message}");
    }
}

#[test]
fn a_tie_is_broken_by_instructions_and_by_nothing_else() {
    let of = |text: &str| read(&format!("measure: {{tie_break: {text}}}"));
    let name = |text: &str| tie_breaker(&of(text).unwrap()).unwrap().name().to_owned();
    assert_eq!(name("{from: instructions, run: ./bench 3}"), "instructions: ./bench 3");
    assert!(tie_breaker(&config("")).is_none());
    for (text, expected) in [
        ("{from: time, run: x}", "ties are broken by `instructions`, not by `time`"),
        ("{run: x}", "`measure.tie_break` needs `from`"),
        ("{from: instructions}", "`measure.tie_break` needs `run`"),
        ("{from: instructions, run: x, counter: abacus}", "`abacus` counts no instructions"),
    ] {
        let error = of(text).err().unwrap();
        assert!(error.message.contains(expected), "{text}: {}", error.message);
    }
}
