//! The walls of `docs/architecture.md`, checked on the sources.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

#[path = "architecture/circles.rs"]
mod circles;
#[path = "architecture/edges.rs"]
mod edges;
#[path = "architecture/modules.rs"]
mod modules;
#[path = "architecture/page.rs"]
mod page;
#[path = "architecture/public.rs"]
mod public;

use std::fs;
use std::path::{Path, PathBuf};

use circles::circles;
use modules::Modules;

/// Production code in one file; tests at its end do not count.
const LINES: usize = 500;

/// A source file: its path below `src/`, and its text without comments and without its tests.
struct Source {
    path: String,
    text: String,
    code: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut open = vec![src.clone()];
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path, code: code(&text), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 40, "the sources were not found");
    found
}

/// Without comments and without the test module at the end.
fn code(text: &str) -> String {
    let production = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text);
    production.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether the code names an identifier as a path's first part: `use x::…`, `x::…`.
fn names_crate(code: &str, name: &str) -> bool {
    let needle = format!("{name}::");
    code.match_indices(&needle).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// Modules of our own crate that the code names: `adapters::git`, `domain`, ….
fn own_modules(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in source.code.match_indices("crate::") {
        let rest = &source.code[at + "crate::".len()..];
        let path: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
        found.push(path);
    }
    // A path through `super` is resolved by hand, as far as it leaves its folder.
    let folders: Vec<&str> = source.path.trim_end_matches(".rs").split('/').filter(|p| *p != "mod").collect();
    for (at, _) in source.code.match_indices("super::") {
        if source.code[..at].ends_with("super::") {
            continue;
        }
        let mut rest = &source.code[at..];
        let mut depth = folders.len();
        while let Some(next) = rest.strip_prefix("super::") {
            rest = next;
            depth = depth.saturating_sub(1);
        }
        let path: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
        found.push(folders[..depth].iter().copied().chain([path.as_str()]).collect::<Vec<_>>().join("::"));
    }
    found
}

fn violations(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let mut bad = |what: String| found.push(format!("{}: {what}", source.path));
    let layer = source.path.split(['/', '.']).next().unwrap_or_default();
    let port = source.path.strip_prefix("adapters/").and_then(|p| p.split(['/', '.']).next());
    for module in own_modules(source) {
        let mut parts = module.split("::").filter(|p| !p.is_empty());
        let (top, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let allowed = match layer {
            "domain" => top == "domain",
            "adapters" => match top {
                "domain" | "error" => true,
                "adapters" => {
                    second.is_empty()
                        || Some(second) == port
                        || ["process", "sql", "http", "load", "fake"].contains(&second)
                }
                _ => false,
            },
            "engine" => ["domain", "adapters", "engine", "error"].contains(&top),
            "ui" => ["domain", "engine", "ui", "error"].contains(&top),
            _ => true,
        };
        if !allowed {
            bad(format!("must not import `{module}`"));
        }
    }
    let forbidden: &[&str] = match layer {
        "domain" => &["tokio", "std::fs", "std::process", "std::net", "std::env", "git2", "sqlx", "redis", "reqwest"],
        "engine" => &["git2", "sqlx", "redis", "reqwest", "indicatif", "std::fs", "std::process"],
        "ui" => &["git2", "sqlx", "redis", "reqwest", "std::fs", "std::process"],
        _ => &[],
    };
    for name in forbidden {
        if names_crate(&source.code, name) {
            bad(format!("must not use `{name}`"));
        }
    }
    if layer == "domain" && (source.code.contains("SystemTime") || source.code.contains("Instant::now")) {
        bad("must not read a clock".to_owned());
    }
    let looks = [".is_dir()", ".is_file()", ".is_symlink()", ".exists()", ".canonicalize()"];
    if ["domain", "engine", "ui"].contains(&layer) && looks.iter().any(|look| source.code.contains(look)) {
        bad("must not look at the disk itself".to_owned());
    }
    let prints = ["println!", "eprintln!", "print!(", "dbg!"].iter().any(|m| source.code.contains(m));
    if prints && layer != "ui" {
        bad("only `ui` prints".to_owned());
    }
    let spawns = source.code.contains("process::Command::new") || source.code.contains("tokio::process");
    if spawns && !source.path.starts_with("adapters/executor/") {
        bad("only the executor starts programs".to_owned());
    }
    if !source.text.starts_with("//!") {
        bad("must open by saying what it owns (`//!`)".to_owned());
    }
    let lines = source.text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default().lines().count();
    if lines > LINES {
        bad(format!("has {lines} lines of production code; {LINES} are the most"));
    }
    found
}

#[test]
fn the_walls_hold() {
    let found: Vec<_> = sources().iter().flat_map(violations).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_breaks_a_wall_is_found() {
    let cases = [
        ("domain/x.rs", "//! x\nuse crate::adapters::git::Git;", "import `adapters::git::Git`"),
        ("domain/x.rs", "//! x\nuse super::super::ui::Printer;", "import `ui::Printer`"),
        ("domain/x.rs", "//! x\nfn f() { std::fs::read(\"x\"); }", "use `std::fs`"),
        ("domain/x.rs", "//! x\nfn f() { std::time::SystemTime::now(); }", "clock"),
        (
            "adapters/git/x.rs",
            "//! x\nuse crate::adapters::service::sqlite::WAY;",
            "import `adapters::service::sqlite::WAY`",
        ),
        ("adapters/git/x.rs", "//! x\nuse super::super::service::Service;", "import `adapters::service::Service`"),
        ("adapters/git/x.rs", "//! x\nfn f() { std::process::Command::new(\"git\"); }", "starts programs"),
        ("engine/x.rs", "//! x\nuse sqlx::Row;", "use `sqlx`"),
        ("engine/x.rs", "//! x\nuse crate::ui::Printer;", "import `ui::Printer`"),
        ("engine/x.rs", "//! x\nfn f() { println!(\"x\"); }", "prints"),
        ("engine/x.rs", "//! x\nfn f(p: &Path) -> bool { p.is_dir() }", "look at the disk"),
        ("engine/x.rs", "fn f() {}", "what it owns"),
    ];
    for (path, text, expected) in cases {
        let source = Source { path: path.to_owned(), text: text.to_owned(), code: code(text) };
        let found = violations(&source);
        assert!(found.iter().any(|v| v.contains(expected)), "{path}: {text}: {found:?}");
    }
}

#[test]
fn what_keeps_the_walls_is_not() {
    let cases = [
        ("domain/race.rs", "//! x\nuse super::measurement::Contender;\n// std::fs is not used\n"),
        ("adapters/git/x.rs", "//! x\nuse super::oid;\nuse crate::adapters::process::Executor;"),
        ("engine/x.rs", "//! x\nuse super::context::Run;\nuse crate::adapters::git::Git;"),
        ("ui/x.rs", "//! x\nfn f() { println!(); }"),
    ];
    for (path, text) in cases {
        let source = Source { path: path.to_owned(), text: text.to_owned(), code: code(text) };
        assert_eq!(violations(&source), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn every_module_that_the_architecture_names_exists() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let exists = |name: &str| {
        let path = Path::new("src").join(name);
        root().join(&path).is_dir() || root().join(path).with_extension("rs").is_file()
    };
    let quoted = text.split('`').skip(1).step_by(2);
    let layers = [
        "domain",
        "adapters",
        "engine",
        "ui",
        "cli",
        "executor",
        "git",
        "journal",
        "workspace",
        "agent",
        "database",
        "cache",
        "suite",
        "metric",
    ];
    let mut checked = 0;
    for name in quoted.filter(|q| q.contains('/') && !q.contains(['<', '*', '.'])) {
        let top = name.split('/').next().unwrap_or_default();
        if !layers.contains(&top) {
            continue;
        }
        let inside = ["engine", "domain", "adapters", "ui", "cli"].contains(&top);
        let full = if inside { name.to_owned() } else { format!("adapters/{name}") };
        assert!(exists(&full), "docs/architecture.md names `{name}`, and src/{full} is not there");
        checked += 1;
    }
    assert!(checked > 20, "only {checked} names were found");
}

#[test]
fn no_circle_no_implementation_in_the_engine_no_stray_sql_and_every_file_named() {
    let sources = sources();
    let sources: Vec<_> = sources.iter().map(|source| (source.path.as_str(), source.text.as_str())).collect();
    let modules = Modules::read(&sources);
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let of_page = page::differences(&page, &modules).into_iter().map(|what| format!("docs/architecture.md: {what}"));
    let found = [circles(&modules), edges::implementations(&modules), edges::sql(&modules), of_page.collect()].concat();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn only_what_another_layer_or_a_test_names_is_public() {
    let mut sources = Vec::new();
    for top in ["src", "tests", "benches", "fuzz"] {
        let mut open = vec![root().join(top)];
        while let Some(dir) = open.pop() {
            for path in fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()) {
                // What is below fixtures is other people's code, and what is below target nobody's.
                if path.is_dir() && !path.ends_with("tests/fixtures") && !path.ends_with("target") {
                    open.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                    sources.push((name, fs::read_to_string(&path).unwrap()));
                }
            }
        }
    }
    let found = public::needless(&sources);
    assert!(found.is_empty(), "{} items: \n{}", found.len(), found.join("\n"));
}
