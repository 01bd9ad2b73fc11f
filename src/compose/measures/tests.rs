//! Metrics of a configuration as sources, and what is refused on the way.

use std::path::Path;

use super::*;

fn config(text: &str) -> Config {
    Config::parse(&format!("version: 1\n{text}\n"), Path::new("blueprint.yaml")).unwrap()
}

fn names(text: &str) -> Vec<(String, Vec<String>)> {
    let config = config(text);
    let all: Vec<_> = config.metrics.iter().collect();
    let built = build(&config, &all).unwrap();
    built.iter().map(|s| (s.name().to_owned(), s.metrics().iter().map(ToString::to_string).collect())).collect()
}

fn refused(text: &str) -> String {
    let error = bindings(&config(text)).unwrap_err();
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
    for format in report::FORMATS {
        let name = format.name;
        let found = names(&format!(
            "metrics:\n  a: {{from: {name}, run: x, test: t, stat: p50}}\n  b: {{from: {name}, run: x, stat: p95}}\n  \
             c: {{from: file, run: x}}"
        ));
        let report = (format!("{name}: x"), vec!["a".to_owned(), "b".to_owned()]);
        assert!(found.len() == 2 && found.contains(&report), "{found:?}");
        let unit = bindings(&config(&format!("metrics: {{m: {{from: {name}, run: x, stat: p50, unit: B/op}}}}")));
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
}

#[test]
fn what_is_wrong_with_a_metric_is_said_with_its_key() {
    let cases = [
        ("{}", "`metrics.m` needs `from`"),
        ("{from: guess}", "`guess` is no source"),
        ("{from: command, unit: ms}", "`metrics.m` needs `run`"),
        ("{from: command, run: x}", "`metrics.m` needs `unit`"),
        ("{from: command, run: x, unit: parsecs}", "`metrics.m.unit`: unknown unit `parsecs`"),
        ("{from: command, run: x, unit: ms, stat: p95}", "`metrics.m.stat` means nothing to a metric from `command`"),
        ("{from: hyperfine, stat: p95}", "`metrics.m` needs `run`"),
        ("{from: go-bench, run: x}", "`metrics.m` needs `stat`"),
        ("{from: k6, run: x, stat: p95, path: a}", "`metrics.m.path` means nothing to a metric from `k6`"),
        (
            "{from: criterion, run: x, stat: p95, unit: ns}",
            "`metrics.m.unit` means nothing to a metric from `criterion`",
        ),
        ("{from: pytest-benchmark, run: x, stat: best}", "`metrics.m.stat`: `best`"),
        ("{from: file, sql: select 1}", "can be only one of them"),
        ("{from: http, stat: p95}", "`metrics.m.http` needs `serve`"),
        ("{http: {serve: x, path: users}, stat: p95}", "`metrics.m.http.path`: `users`"),
    ];
    for (metric, expected) in cases {
        let message = refused(&format!("metrics: {{m: {metric}}}"));
        assert!(message.contains(expected), "{metric}: {message}");
    }
}
