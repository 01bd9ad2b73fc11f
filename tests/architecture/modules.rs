//! The sources read as tokens: which modules there are, what each declares, and what it names of the others.
//!
//! Names are resolved as the compiler does it, as far as paths tell: through `use`, `as`, `crate`, `self`, `super` and re-exports, to the
//! file that declares the item. What a method call reaches without naming its type is not seen. Tests are left out.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A module's path below the crate: `["adapters", "git"]`; the crate itself has none.
pub type Path = Vec<String>;

/// An item at the top of a file.
pub struct Item {
    /// `fn`, `struct`, `impl`, `macro`, … as it is written; `macro` is the use of one.
    pub kind: String,
    /// What it is called; an `impl` and the use of a macro have no name.
    pub name: Option<String>,
    /// All of it, attributes included.
    pub tokens: Vec<TokenTree>,
}

/// One name that a `use` brings in.
struct Import {
    path: Vec<String>,
    name: String,
    /// `pub use`, however far.
    handed_on: bool,
}

/// A file.
pub struct Module {
    /// Its path below `src/`.
    pub file: String,
    pub items: Vec<Item>,
    imports: Vec<Import>,
    children: BTreeSet<String>,
}

/// What a module names of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The module whose file declares it.
    pub module: Path,
    /// The item.
    pub item: String,
    /// The modules that the path went through as it is written, the longest.
    pub through: Path,
}

impl Named {
    pub fn place(&self) -> (Path, String) {
        (self.module.clone(), self.item.clone())
    }
}

/// The modules of a crate that are compiled without its tests.
pub struct Modules(pub BTreeMap<Path, Module>);

impl Modules {
    /// Reads `(path below src/, text)`, from `lib.rs` along `mod`.
    pub fn read(sources: &[(&str, &str)]) -> Self {
        let files: BTreeMap<Path, (&str, &str)> =
            sources.iter().map(|(file, text)| (module(file), (*file, *text))).collect();
        let mut found = BTreeMap::new();
        let mut open = vec![Path::new()];
        while let Some(path) = open.pop() {
            let Some((file, text)) = files.get(&path) else { continue };
            let tokens: TokenStream = text.parse().unwrap_or_else(|e| panic!("src/{file}: {e}"));
            let module = parse(file, without_tests(tokens));
            open.extend(module.children.iter().map(|child| [path.clone(), vec![child.clone()]].concat()));
            found.insert(path, module);
        }
        Self(found)
    }

    /// What the item names of other modules.
    pub fn named(&self, at: &Path, item: &Item) -> BTreeSet<Named> {
        let mut paths = Vec::new();
        let mut imports = Vec::new();
        walk(&item.tokens, &mut paths, &mut imports);
        paths.extend(imports.into_iter().map(|import| import.path));
        paths.iter().filter_map(|path| self.resolve(at, path)).filter(|named| named.module != *at).collect()
    }

    /// What the module's own `use`s name of other modules, without what it only hands on (`pub use`).
    pub fn imported(&self, at: &Path) -> BTreeSet<Named> {
        let module = &self.0[at];
        let imports = module.imports.iter().filter(|import| !import.handed_on);
        imports.filter_map(|import| self.resolve(at, &import.path)).filter(|named| named.module != *at).collect()
    }

    /// The item at the end of a path that is written in the module `at`. None where it is another crate's, or ends at a module.
    fn resolve(&self, at: &Path, path: &[String]) -> Option<Named> {
        self.step(at, path, &mut BTreeSet::new()).filter(|named| !named.item.is_empty())
    }

    fn step(&self, at: &Path, path: &[String], seen: &mut BTreeSet<(Path, Vec<String>)>) -> Option<Named> {
        if !seen.insert((at.clone(), path.to_vec())) {
            return None;
        }
        let mut here = at.clone();
        for (i, part) in path.iter().enumerate() {
            let module = self.0.get(&here)?;
            match part.as_str() {
                "crate" if i == 0 => here.clear(),
                "self" => {}
                "super" => drop(here.pop()),
                _ if module.children.contains(part) => here.push(part.clone()),
                _ if module.items.iter().any(|item| item.name.as_ref() == Some(part)) => {
                    return Some(Named { module: here.clone(), item: part.clone(), through: here });
                }
                _ => {
                    let found = self.imported_as(&here, part, &path[i + 1..], seen);
                    if i == 0 {
                        return found;
                    }
                    // What macros declare is found by nobody, and is where it is looked for.
                    let found = found.unwrap_or_else(|| Named {
                        module: here.clone(),
                        item: part.clone(),
                        through: Path::new(),
                    });
                    return Some(Named { through: here, ..found });
                }
            }
        }
        Some(Named { module: here.clone(), item: String::new(), through: here })
    }

    fn imported_as(
        &self,
        at: &Path,
        name: &str,
        rest: &[String],
        seen: &mut BTreeSet<(Path, Vec<String>)>,
    ) -> Option<Named> {
        let imports = &self.0[at].imports;
        let own = imports
            .iter()
            .filter(|import| import.name == name && import.path.first().is_some_and(|first| first != name));
        let globs = imports.iter().filter(|import| import.name == "*");
        let paths = own.map(|import| [&import.path[..], rest].concat());
        let paths = paths.chain(globs.map(|import| [&import.path[..], &[name.to_owned()], rest].concat()));
        paths.into_iter().find_map(|path| self.step(at, &path, seen))
    }
}

/// `adapters/git/mod.rs` is `adapters::git`.
fn module(file: &str) -> Path {
    let parts = file.trim_end_matches(".rs").split('/');
    parts.filter(|part| !["mod", "lib"].contains(part)).map(str::to_owned).collect()
}

fn is(token: Option<&TokenTree>, text: &str) -> bool {
    match token {
        Some(TokenTree::Ident(ident)) => *ident == text,
        Some(TokenTree::Punct(punct)) => text.len() == 1 && text.starts_with(punct.as_char()),
        _ => false,
    }
}

fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<Vec<TokenTree>> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group.stream().into_iter().collect()),
        _ => None,
    }
}

/// Without what `#[cfg(test)]` stands before, on every level.
pub fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut kept = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let attribute = is(tokens.get(i), "#").then(|| group(tokens.get(i + 1), Delimiter::Bracket)).flatten();
        let test = attribute.is_some_and(|inside| {
            is(inside.first(), "cfg")
                && group(inside.get(1), Delimiter::Parenthesis)
                    .is_some_and(|of| of.len() == 1 && is(of.first(), "test"))
        });
        if test {
            i += 2;
            while i < tokens.len() {
                let ends = is(tokens.get(i), ";")
                    || is(tokens.get(i), ",")
                    || group(tokens.get(i), Delimiter::Brace).is_some();
                i += 1;
                if ends {
                    break;
                }
            }
            continue;
        }
        kept.push(match &tokens[i] {
            TokenTree::Group(group) => TokenTree::Group(proc_macro2::Group::new(
                group.delimiter(),
                without_tests(group.stream()).into_iter().collect(),
            )),
            other => other.clone(),
        });
        i += 1;
    }
    kept
}

/// The items of a file.
fn parse(file: &str, tokens: Vec<TokenTree>) -> Module {
    let mut module =
        Module { file: file.to_owned(), items: Vec::new(), imports: Vec::new(), children: BTreeSet::new() };
    let mut i = 0;
    while i < tokens.len() {
        let start = i;
        while is(tokens.get(i), "#") {
            i += if is(tokens.get(i + 1), "!") { 3 } else { 2 };
        }
        let visible = is(tokens.get(i), "pub");
        i += usize::from(visible);
        i += usize::from(visible && group(tokens.get(i), Delimiter::Parenthesis).is_some());
        if i >= tokens.len() {
            break;
        }
        let head = i;
        while ["async", "unsafe", "extern", "default"].iter().any(|word| is(tokens.get(i), word))
            || matches!(tokens.get(i), Some(TokenTree::Literal(_)))
            || (is(tokens.get(i), "const")
                && ["fn", "async", "unsafe", "extern"].iter().any(|w| is(tokens.get(i + 1), w)))
        {
            i += 1;
        }
        let kind = tokens.get(i).map(ToString::to_string).unwrap_or_default();
        let until_semicolon = ["use", "const", "static", "type"].contains(&kind.as_str());
        let mut end = i;
        while end < tokens.len() {
            let brace = group(tokens.get(end), Delimiter::Brace).is_some();
            end += 1;
            if is(tokens.get(end - 1), ";") || (brace && !until_semicolon) {
                break;
            }
        }
        match kind.as_str() {
            "use" => imports(&tokens[i + 1..end], &[], visible, &mut module.imports),
            "mod" if is(tokens.get(i + 2), ";") => {
                module.children.insert(tokens[i + 1].to_string());
            }
            _ => {
                let invoked = is(tokens.get(i + 1), "!") && kind != "macro_rules";
                let at = if kind == "macro_rules" { i + 2 } else { i + 1 };
                let named = !invoked && kind != "impl";
                module.items.push(Item {
                    kind: if invoked { "macro".to_owned() } else { kind },
                    name: named.then(|| tokens.get(at).map(ToString::to_string)).flatten(),
                    tokens: [&tokens[start..head], &tokens[head..end]].concat(),
                });
            }
        }
        i = end;
    }
    module
}

/// The names of a `use`, whose tokens end at `;`.
fn imports(tokens: &[TokenTree], before: &[String], handed_on: bool, found: &mut Vec<Import>) {
    for branch in tokens.split(|token| is(Some(token), ",") || is(Some(token), ";")) {
        let mut path = before.to_vec();
        let mut name = None;
        for (i, token) in branch.iter().enumerate() {
            match token {
                TokenTree::Group(inner) => {
                    imports(&inner.stream().into_iter().collect::<Vec<_>>(), &path, handed_on, found);
                    path.clear();
                    break;
                }
                TokenTree::Ident(ident) if *ident == "as" => {
                    name = branch.get(i + 1).map(ToString::to_string);
                    break;
                }
                TokenTree::Ident(ident) => path.push(ident.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == '*' => name = Some("*".to_owned()),
                _ => {}
            }
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if let Some(last) = path.last() {
            found.push(Import { name: name.unwrap_or_else(|| last.clone()), path, handed_on });
        }
    }
}

/// Every path that the tokens name, and what a `use` among them brings in.
fn walk(tokens: &[TokenTree], paths: &mut Vec<Vec<String>>, found: &mut Vec<Import>) {
    let mut i = 0;
    while i < tokens.len() {
        match &tokens[i] {
            TokenTree::Group(group) => walk(&group.stream().into_iter().collect::<Vec<_>>(), paths, found),
            TokenTree::Ident(ident) if *ident == "use" => {
                let end = tokens[i..].iter().position(|t| is(Some(t), ";")).map_or(tokens.len(), |n| i + n);
                imports(&tokens[i + 1..end], &[], false, found);
                i = end;
            }
            TokenTree::Ident(first) => {
                let member = i > 0 && is(tokens.get(i - 1), ".");
                let mut path = vec![first.to_string()];
                while joined(tokens, i + 1) {
                    let Some(TokenTree::Ident(next)) = tokens.get(i + 3) else { break };
                    path.push(next.to_string());
                    i += 3;
                }
                if !member {
                    paths.push(path);
                }
            }
            // `#[serde(default = "module::function")]`
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let path: Vec<String> = text.trim_matches('"').split("::").map(str::to_owned).collect();
                let word = |part: &String| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
                if text.starts_with('"') && path.len() > 1 && path.iter().all(word) {
                    paths.push(path);
                }
            }
            TokenTree::Punct(_) => {}
        }
        i += 1;
    }
}

/// Whether `::` stands here.
fn joined(tokens: &[TokenTree], at: usize) -> bool {
    let first =
        matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == Spacing::Joint);
    first && is(tokens.get(at + 1), ":")
}
