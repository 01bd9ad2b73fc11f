//! What of the world is named where: implementations of ports, and SQL.

use proc_macro2::TokenTree;

use super::modules::{Modules, Named};

/// What the engine names of adapters that is no item of a port's own file.
pub fn implementations(modules: &Modules) -> Vec<String> {
    let mut found = Vec::new();
    for (path, module) in modules.0.iter().filter(|(path, _)| path.first().is_some_and(|layer| layer == "engine")) {
        let mut named = modules.imported(path);
        named.extend(module.items.iter().flat_map(|item| modules.named(path, item)));
        let of_adapters = named.iter().filter(|named| named.through.first().is_some_and(|layer| layer == "adapters"));
        let inside = of_adapters.filter(|named| named.through.len() > 2);
        found.extend(inside.map(|Named { through, item, .. }| {
            format!(
                "src/{} must not import `{}::{item}`: only what a port's own file has",
                module.file,
                through.join("::")
            )
        }));
    }
    found
}

/// Where SQL may stand.
const SQL: [&str; 2] = ["adapters/sql/", "adapters/journal/schema.rs"];

/// SQL in other files: texts that begin as a statement.
pub fn sql(modules: &Modules) -> Vec<String> {
    let mut found = Vec::new();
    let others = modules.0.values().filter(|module| !SQL.iter().any(|place| module.file.starts_with(place)));
    for module in others {
        let mut texts = Vec::new();
        module.items.iter().for_each(|item| literals(&item.tokens, &mut texts));
        let statements = texts.iter().filter(|text| is_statement(text));
        found.extend(
            statements.map(|text| format!("src/{}: SQL belongs to {}: {text}", module.file, SQL.join(" and "))),
        );
    }
    found
}

/// Texts in code; those of attributes are for people.
fn literals(tokens: &[TokenTree], found: &mut Vec<String>) {
    let mut attribute = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) if !attribute => literals(&group.stream().into_iter().collect::<Vec<_>>(), found),
            TokenTree::Literal(literal) => found.push(literal.to_string()),
            _ => {}
        }
        attribute = matches!(token, TokenTree::Punct(punct) if punct.as_char() == '#');
    }
}

/// Objects that statements make, change and drop.
const OBJECTS: [&str; 14] = [
    "table",
    "index",
    "unique",
    "view",
    "database",
    "schema",
    "role",
    "user",
    "owned",
    "extension",
    "function",
    "trigger",
    "type",
    "system",
];

/// Whether a text begins as a statement does.
fn is_statement(literal: &str) -> bool {
    let text = literal.trim_start_matches(['r', 'b', 'c', '#']).strip_prefix('"').unwrap_or_default();
    let text = text.trim_end_matches(['"', '#']);
    let text =
        text.replace("\\n", " ").trim_start_matches(|c: char| c.is_whitespace() || c == '\\').to_ascii_lowercase();
    let mut words = text.split_ascii_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match first {
        "select" | "grant" | "revoke" | "pragma" | "truncate" => !second.is_empty(),
        "insert" => second == "into",
        "delete" => second == "from",
        "update" => text.contains(" set "),
        "create" | "drop" | "alter" => OBJECTS.contains(&second),
        "comment" => second == "on",
        "set" => ["role", "session", "local", "search_path"].contains(&second),
        "begin" => ["immediate", "transaction"].contains(&second),
        "vacuum" | "vacuum;" => true,
        _ => false,
    }
}

#[cfg(test)]
fn crate_of(files: &[(&str, &str)]) -> Modules {
    let roots = files.iter().filter_map(|(file, _)| file.split(['/', '.']).next());
    let mut roots: Vec<_> = roots.map(|name| format!("pub mod {name};")).collect();
    roots.dedup();
    Modules::read(&[files, &[("lib.rs", roots.join("\n").as_str())]].concat())
}

#[test]
fn an_implementation_that_the_engine_names_is_found_and_a_port_is_none() {
    let adapters = [
        ("adapters/mod.rs", "pub mod git;"),
        ("adapters/git/mod.rs", "pub mod repository;\npub use repository::Found;\npub trait Git {}"),
        ("adapters/git/repository.rs", "pub struct Repository;\npub struct Found;"),
    ];
    let found = |code: &str| implementations(&crate_of(&[&adapters[..], &[("engine/mod.rs", code)]].concat()));
    for code in [
        "use crate::adapters::git::repository::Repository;",
        "use crate::adapters::git::repository;\nfn f(_: repository::Found) {}",
        "fn f() { crate::adapters::git::repository::Repository::new() }",
        "use crate::adapters::git;\nfn f(_: git::repository::Repository) {}",
    ] {
        assert_eq!(found(code).len(), 1, "{code}: {:?}", found(code));
    }
    for code in ["use crate::adapters::git::{Found, Git};", "use crate::adapters::git;\nfn f(_: git::Found) {}"] {
        assert_eq!(found(code), Vec::<String>::new(), "{code}");
    }
}

#[test]
fn sql_is_found_outside_of_its_files_and_words_for_people_are_not() {
    let found = |file: &'static str, code: &str| {
        sql(&crate_of(&[("adapters/mod.rs", "mod sql;\nmod git;\nmod journal;"), (file, code)]))
    };
    for text in [
        "\"SELECT a FROM b\"",
        "\"\\n    create table if not exists a (b int)\"",
        "r#\"INSERT INTO a VALUES (1)\"#",
        "\"update a set b = 1\"",
        "\"ALTER ROLE {role} CREATEDB\"",
        "\"DROP OWNED BY x\"",
        "\"VACUUM\"",
    ] {
        let code = format!("fn f() {{ g(&format!({text})); }}");
        assert_eq!(found("adapters/git.rs", &code).len(), 1, "{text}");
        assert_eq!(found("adapters/sql.rs", &code).len(), 1, "a file of that name is not the folder");
        assert_eq!(found("adapters/sql/mod.rs", &code), Vec::<String>::new(), "{text}");
    }
    for code in [
        "fn f() { g(\"SELECT\"); }",
        "fn f() { g(\"create it, or name another\"); }",
        "fn f() { g(\"update-index\"); }",
        "/// Select one.\n#[error(\"select one\")]\nstruct A;",
        "#[cfg(test)]\nmod tests { fn f() { g(\"select 1\"); } }",
    ] {
        assert_eq!(found("adapters/git.rs", code), Vec::<String>::new(), "{code}");
    }
}
