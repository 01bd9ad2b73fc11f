//! In no folder do its files and subfolders use each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Item, Module, Modules, Named, Path};

/// Who uses whom within one folder, and in what words that is told.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The circles of every folder, in words.
///
/// A subfolder is taken whole, so that a circle through several folders is one of the folder that they are in. A folder's own file
/// (`mod.rs`, or `x.rs` beside `x/`) is one of its files: what the others share may be declared there, and then it uses none of
/// them. To hand a name on (`pub use`) is no use of it. One thing is not counted: the folder's table, where it lists its
/// files ([`is_of_a_table`]), because that is how one more of a kind is a file and a line.
pub fn circles(modules: &Modules) -> Vec<String> {
    let mut folders: BTreeMap<Path, Graph> = BTreeMap::new();
    for (from, module) in &modules.0 {
        for (to, item) in uses(modules, from, module) {
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            let end = |path: &Path| path.get(shared).map_or("mod", String::as_str).to_owned();
            let told = format!("{} uses {item} of {}", from.join("/"), to.join("/"));
            let graph = folders.entry(from[..shared].to_vec()).or_default();
            graph.entry(end(from)).or_default().entry(end(&to)).or_default().insert(told);
        }
    }
    folders.iter().flat_map(|(folder, graph)| of_folder(folder, graph)).collect()
}

/// Items of other modules that a module uses, where its table is not counted.
fn uses(modules: &Modules, at: &Path, module: &Module) -> BTreeSet<(Path, String)> {
    let (mut used, mut listed) = (BTreeSet::new(), BTreeSet::new());
    for item in &module.items {
        for named in modules.named(at, item) {
            let of_table = is_of_a_table(item) && is_below(at, &named.module);
            if of_table { &mut listed } else { &mut used }.insert(named.place());
        }
    }
    // One file is no list.
    let files: BTreeSet<_> = listed.iter().map(|(file, _): &(Path, String)| file.clone()).collect();
    if files.len() < 2 {
        used.append(&mut listed);
    }
    // Traits whose methods are called are named by `use` alone.
    used.extend(modules.imported(at).iter().map(Named::place).filter(|place| !listed.contains(place)));
    used
}

/// A table is a `const` or a `static`, or a macro that makes more than that out of one line a file.
fn is_of_a_table(item: &Item) -> bool {
    ["const", "static", "macro", "macro_rules"].contains(&item.kind.as_str())
}

/// Whether a module is a file of a folder, or of a folder in it.
fn is_below(folder: &Path, module: &Path) -> bool {
    module.len() > folder.len() && module.starts_with(folder)
}

/// The circles of one folder.
fn of_folder(folder: &Path, graph: &Graph) -> Vec<String> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = graph.keys().map(|from| (from, reach(graph, from))).collect();
    let mut told: BTreeSet<&String> = BTreeSet::new();
    let mut found = Vec::new();
    for from in graph.keys() {
        let leads_back = |to: &&String| reached.get(*to).is_some_and(|back| back.contains(from));
        let all: BTreeSet<&String> = reached[from].iter().copied().filter(leads_back).collect();
        if all.is_empty() || told.contains(from) {
            continue;
        }
        told.extend(&all);
        let mut lines = vec![format!("a circle in src/{}:", folder.join("/"))];
        for from in &all {
            let within = graph[*from].iter().filter(|(to, _)| all.contains(to));
            lines.extend(within.flat_map(|(_, why)| why).map(|line| format!("    {line}")));
        }
        found.push(lines.join("\n"));
    }
    found
}

/// What can be come to from there, itself where a way leads back.
fn reach<'a>(graph: &'a Graph, from: &String) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&String> = graph[from].keys().collect();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(graph.get(next).into_iter().flat_map(BTreeMap::keys));
        }
    }
    found
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let leaf = "use super::b::B;\npub struct A(B);";
    let cases: [(&str, &[(&str, &str)]); 8] = [
        ("by `use`", &[("a.rs", leaf), ("b.rs", "use crate::a::A;\npub struct B(Box<A>);")]),
        ("by a path in code", &[("a.rs", leaf), ("b.rs", "pub struct B;\nfn f() { crate::a::f(); }")]),
        (
            "by a name of the file",
            &[("a.rs", leaf), ("b.rs", "use super::a as other;\npub struct B;\nfn f(_: other::A) {}")],
        ),
        ("in a group", &[("a.rs", leaf), ("b.rs", "use crate::{a::{self, A}, c};\npub struct B(Box<A>);")]),
        ("in a function", &[("a.rs", leaf), ("b.rs", "pub struct B;\nfn f() { use crate::a::A; }")]),
        ("by an attribute", &[("a.rs", leaf), ("b.rs", "#[serde(default = \"crate::a::none\")]\npub struct B;")]),
        (
            "through a third and what is handed on",
            &[("a.rs", leaf), ("b.rs", "use crate::c::A;\npub struct B(Box<A>);"), ("c.rs", "pub use crate::a::A;")],
        ),
        (
            "through folders, by other files",
            &[
                ("a/mod.rs", "mod x;\nmod y;"),
                ("a/x.rs", "use crate::b::B;"),
                ("a/y.rs", "pub struct Y;"),
                ("b.rs", "use crate::a::y::Y;\npub struct B;"),
            ],
        ),
    ];
    for (how, files) in cases {
        assert_eq!(of(files).len(), 1, "{how}: {:?}", of(files));
    }
    let folder = ("a/x.rs", "use super::Shared;\npub fn x(_: Shared) {}\npub const X: u8 = 1;");
    let parent = |code: &'static str| [("a/mod.rs", code), folder, ("a/y.rs", "pub const Y: u8 = 2;")];
    for code in [
        "mod x;\nmod y;\npub struct Shared;\nfn f() { x::x(Shared); }",
        "mod x;\nmod y;\npub struct Shared;\nconst ONE: u8 = x::X;",
        "mod x;\nmod y;\npub struct Shared;\nconst ALL: &[u8] = &[x::X, y::Y];\nfn f() { x::x(Shared); }",
    ] {
        assert_eq!(of(&parent(code)).len(), 1, "{code}");
    }
}

#[test]
fn what_is_no_circle_is_none() {
    let user = ("a.rs", "use crate::b::B;\npub struct A(B);");
    let cases: [&[(&str, &str)]; 6] = [
        &[user, ("b.rs", "pub struct B;")],
        &[user, ("b.rs", "pub struct B;\n#[cfg(test)]\nmod tests { use crate::a::A; }")],
        &[user, ("b.rs", "pub struct B;\n#[cfg(test)]\nmod tests;"), ("b/tests.rs", "use crate::a::A;")],
        &[user, ("b.rs", "/// Of [`crate::a::A`].\npub struct B;\nconst WORD: &str = \"crate::a::A is used\";")],
        &[user, ("b.rs", "pub use crate::a::A;\npub struct B;")],
        &[
            ("a/mod.rs", "mod x;\nmod y;\npub use x::x;\npub struct Shared;\nconst ALL: &[u8] = &[x::X, y::Y];"),
            ("a/x.rs", "use super::Shared;\npub fn x(_: Shared) {}\npub const X: u8 = 1;"),
            ("a/y.rs", "pub const Y: u8 = 2;"),
        ],
    ];
    for files in cases {
        assert_eq!(of(files), Vec::<String>::new(), "{files:?}");
    }
}

/// The circles of a crate of these files.
#[cfg(test)]
fn of(files: &[(&str, &str)]) -> Vec<String> {
    let root: String =
        files.iter().filter_map(|(file, _)| file.split(['/', '.']).next()).fold(String::new(), |all, name| {
            let line = format!("mod {name};\n");
            if all.contains(&line) { all } else { all + &line }
        });
    circles(&Modules::read(&[files, &[("lib.rs", root.as_str())]].concat()))
}
