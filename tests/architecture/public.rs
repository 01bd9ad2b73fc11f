//! `pub` is for another layer, a test or a benchmark: within a layer an item is `pub(crate)`, `pub(super)` or private.
//!
//! Told by names, so that nothing is accused that may be used: an item whose name stands anywhere outside of its layer, or in the
//! signature of an item that may be used there, is taken to be used there too.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::modules::without_tests;

/// Words before `fn` in a declaration.
const BEFORE: [&str; 4] = ["async", "unsafe", "extern", "const"];
const KINDS: [&str; 7] = ["fn", "struct", "enum", "trait", "const", "static", "type"];

/// An item that is `pub`, wherever in its file.
struct Public {
    file: String,
    layer: String,
    declared: String,
    name: String,
    /// What its users have to be able to name.
    signature: BTreeSet<String>,
}

/// Items that are `pub` and used by nobody outside of their layer. `sources` are all files of ours, by their path.
pub fn needless(sources: &[(String, String)]) -> Vec<String> {
    let mut words: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut items = Vec::new();
    for (path, text) in sources {
        let tokens: TokenStream = text.parse().unwrap_or_else(|e| panic!("{path}: {e}"));
        let layer = layer(path);
        if path.starts_with("src/") && path != "src/main.rs" {
            public(&without_tests(tokens.clone()), path, &layer, &mut items);
        }
        idents(&tokens.into_iter().collect::<Vec<_>>(), words.entry(layer).or_default());
    }
    let layers: BTreeSet<String> = words.keys().cloned().collect();
    layers.iter().flat_map(|layer| needless_in(layer, &words, &items)).collect()
}

fn needless_in(layer: &str, words: &BTreeMap<String, BTreeSet<String>>, items: &[Public]) -> Vec<String> {
    let others = words.iter().filter(|(other, _)| *other != layer);
    let mut named: BTreeSet<&String> = others.flat_map(|(_, words)| words).collect();
    let mut left: Vec<&Public> = items.iter().filter(|item| item.layer == layer).collect();
    loop {
        let (used, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|item| named.contains(&item.name));
        left = rest;
        if used.is_empty() {
            break;
        }
        named.extend(used.iter().flat_map(|item| &item.signature));
    }
    left.iter()
        .map(|item| format!("{}: `{}` is `pub`, and nothing outside of {layer} names it", item.file, item.declared))
        .collect()
}

/// `src/adapters/git/mod.rs` is of `src/adapters`, and every test of `tests`.
fn layer(path: &str) -> String {
    let mut parts = path.split(['/', '.']);
    let top = parts.next().unwrap_or_default();
    if top == "src" { format!("src/{}", parts.next().unwrap_or_default()) } else { top.to_owned() }
}

fn idents(tokens: &[TokenTree], found: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => drop(found.insert(ident.to_string())),
            TokenTree::Group(group) => idents(&group.stream().into_iter().collect::<Vec<_>>(), found),
            _ => {}
        }
    }
}

/// The items among these tokens that are `pub`, on every level.
fn public(tokens: &[TokenTree], file: &str, layer: &str, found: &mut Vec<Public>) {
    let word = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => ident.to_string(),
        _ => String::new(),
    };
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            public(&group.stream().into_iter().collect::<Vec<_>>(), file, layer, found);
        }
        if word(at) != "pub" {
            continue;
        }
        let mut kind = at + 1;
        while BEFORE.contains(&word(kind).as_str())
            && (KINDS.contains(&word(kind + 1).as_str()) || BEFORE.contains(&word(kind + 1).as_str()))
        {
            kind += 1;
        }
        let (declared, name) = (word(kind), word(kind + 1));
        if !KINDS.contains(&declared.as_str()) || name.is_empty() {
            continue;
        }
        let mut signature = BTreeSet::new();
        for (more, token) in tokens.iter().enumerate().skip(kind + 2) {
            let body = matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
            let value = ["const", "static"].contains(&declared.as_str())
                && matches!(token, TokenTree::Punct(p) if p.as_char() == '=');
            let ends = matches!(token, TokenTree::Punct(p) if p.as_char() == ';') || value;
            // What a function does is its own affair; fields, variants and methods of a trait are not.
            if ends || (body && declared == "fn") {
                break;
            }
            idents(&tokens[more..=more], &mut signature);
            if body {
                break;
            }
        }
        found.push(Public {
            file: file.to_owned(),
            layer: layer.to_owned(),
            declared: format!("{declared} {name}"),
            name,
            signature,
        });
    }
}

#[test]
fn what_only_its_own_layer_names_is_found() {
    let found = |files: &[(&str, &str)]| {
        needless(&files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect::<Vec<_>>())
    };
    let own = "pub struct Inner;\npub async fn f() {}\nimpl Inner { pub const fn g(self) {} }\npub const ONE: u8 = 1;";
    let user = ("src/domain/b.rs", "use super::a::{Inner, ONE, f};\nfn h(inner: Inner) { inner.g() }");
    let all = found(&[("src/domain/a.rs", own), user]);
    assert_eq!(all.len(), 4, "{all:?}");
    for (path, text) in [
        ("src/engine/x.rs", "use crate::domain::a::{Inner, ONE, f};\nfn h(inner: Inner) { inner.g() }"),
        ("tests/x.rs", "fn h(inner: Inner) { f(); inner.g(); ONE; }"),
        ("src/engine/x.rs", "#[cfg(test)]\nmod tests { fn h(inner: Inner) { f(); inner.g(); ONE; } }"),
    ] {
        assert_eq!(found(&[("src/domain/a.rs", own), user, (path, text)]), Vec::<String>::new(), "{path}: {text}");
    }
    let by_signature = "pub struct Outer { inner: Inner }\npub struct Inner;\npub fn f() -> Outer { todo() }";
    assert_eq!(found(&[("src/domain/a.rs", by_signature), ("benches/x.rs", "f();")]), Vec::<String>::new());
    let narrow =
        "pub(crate) struct A;\npub(super) fn f() {}\n#[cfg(test)]\nmod tests { pub fn g() {} }\nfn h() { pub_fn(); }";
    assert_eq!(found(&[("src/domain/a.rs", narrow)]), Vec::<String>::new());
}
