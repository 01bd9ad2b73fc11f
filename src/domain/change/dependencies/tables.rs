//! Manifests in TOML: enough of the language to find keys and the strings of their values.

use std::collections::{BTreeMap, BTreeSet};

use super::lists::requirement;

/// A value with the keys that lead to it, tables' keys first.
struct Entry {
    keys: Vec<String>,
    /// As written, over as many lines as it takes, without comments.
    value: String,
}

/// `Cargo.toml`: normal and build dependencies, of any target and of the workspace, by the name of the package.
pub fn cargo(text: &str) -> BTreeSet<String> {
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    for Entry { keys, value } in entries(text) {
        let Some(at) = keys.iter().position(|key| key == "dependencies" || key == "build-dependencies") else {
            continue;
        };
        // Features and metadata may have keys of the same name, further down.
        let is_table = match &keys[..at] {
            [] => true,
            [workspace] => workspace == "workspace",
            [target, _] => target == "target",
            _ => false,
        };
        let [name, rest @ ..] = &keys[at + 1..] else { continue };
        if !is_table {
            continue;
        }
        let package = match rest {
            [] => inline(&value).into_iter().find(|(key, _)| key == "package").map(|(_, value)| value),
            [key] if key == "package" => Some(value),
            _ => None,
        };
        let package = package.and_then(|value| strings(&value).into_iter().next());
        let known = found.entry(name.clone()).or_default();
        *known = package.or(known.take());
    }
    found.into_iter().map(|(name, package)| package.unwrap_or(name)).collect()
}

/// `pyproject.toml`: the project's dependencies and extras, and Poetry's main group.
pub(super) fn pyproject(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for Entry { keys, value } in entries(text) {
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        match keys.as_slice() {
            ["project", "dependencies"] => names.extend(strings(&value).iter().filter_map(|s| requirement(s))),
            ["project", "optional-dependencies", extra] if !super::lists::is_for_development(extra) => {
                names.extend(strings(&value).iter().filter_map(|s| requirement(s)));
            }
            ["tool", "poetry", "dependencies", name, ..] if *name != "python" => names.extend(requirement(name)),
            _ => {}
        }
    }
    names
}

/// Every `key = value` of a text in order; what is not understood is skipped.
fn entries(text: &str) -> Vec<Entry> {
    let mut table = Vec::new();
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let header = until(header.trim_start_matches('['), ']').0;
            table = dotted(&header);
            // A table counts even when nothing stands in it.
            found.push(Entry { keys: table.clone(), value: String::new() });
            continue;
        }
        let (key, Some(rest)) = until(line, '=') else { continue };
        let mut value = rest.to_owned();
        let mut walk = Walk::default();
        rest.chars().for_each(|c| walk.step(c));
        while walk.depth > 0 {
            let Some(next) = lines.next() else { break };
            value.push('\n');
            value.push_str(next);
            "\n".chars().chain(next.chars()).for_each(|c| walk.step(c));
        }
        let keys = table.iter().cloned().chain(dotted(&key)).collect();
        found.push(Entry { keys, value: until(&value, '\0').0.trim().to_owned() });
    }
    found
}

/// The keys of `a."b.c".d`.
fn dotted(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (key, after) = until(text, '.');
        keys.push(key.trim().trim_matches(['"', '\'']).to_owned());
        rest = after;
    }
    keys
}

/// Keys and values of an inline table; nothing where the value is none.
fn inline(value: &str) -> Vec<(String, String)> {
    let Some(inner) = value.strip_prefix('{').and_then(|v| v.strip_suffix('}')) else { return Vec::new() };
    let mut found = Vec::new();
    let mut rest = Some(inner);
    while let Some(text) = rest {
        let (pair, after) = until(text, ',');
        if let (key, Some(value)) = until(&pair, '=') {
            found.push((key.trim().to_owned(), value.trim().to_owned()));
        }
        rest = after;
    }
    found
}

/// The strings in a value, without what stands in tables inside it.
fn strings(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some(at) = rest.find(['"', '\'']) {
        let quote = &rest[at..=at];
        let inner = &rest[at + 1..];
        let end = inner.find(quote).unwrap_or(inner.len());
        found.push(inner[..end].to_owned());
        rest = inner.get(end + 1..).unwrap_or_default();
    }
    found
}

/// What stands before a character outside strings and brackets, without comments, and what after.
fn until(text: &str, end: char) -> (String, Option<&str>) {
    let mut before = String::new();
    let mut walk = Walk::default();
    for (at, c) in text.char_indices() {
        if c == end && walk.quote.is_none() && walk.depth == 0 && !walk.comment {
            return (before, text.get(at + c.len_utf8()..));
        }
        walk.step(c);
        if !walk.comment {
            before.push(c);
        }
    }
    (before, None)
}

/// Where a walk over a text stands: in a string, a comment, how many brackets.
#[derive(Default)]
struct Walk {
    quote: Option<char>,
    escaped: bool,
    comment: bool,
    depth: u32,
}

impl Walk {
    fn step(&mut self, c: char) {
        match (self.quote, c) {
            // An ordinary string ends with its line, so that one left open does not swallow the rest.
            (_, '\n') => (self.quote, self.comment, self.escaped) = (None, false, false),
            _ if self.comment => {}
            (Some('"'), '\\') if !self.escaped => self.escaped = true,
            (Some(quote), c) => {
                if c == quote && !self.escaped {
                    self.quote = None;
                }
                self.escaped = false;
            }
            (None, '"' | '\'') => self.quote = Some(c),
            (None, '#') => self.comment = true,
            (None, '[' | '{') => self.depth += 1,
            (None, ']' | '}') => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: BTreeSet<String>) -> Vec<String> {
        names.into_iter().collect()
    }

    #[test]
    fn every_way_to_state_a_crate_is_read() {
        let text = r##"
            [package]
            name = "a" # dependencies
            [dependencies]
            plain = "1" # a comment with [ and "
            wide = { version = "1", features = [
                "x", # = y
                "z",
            ] }
            alias = { package = "renamed", version = "1" }
            dotted.workspace = true
            "quoted" = '1'
            [dependencies.table]
            version = "1"
            package = "renamed-table"
            [dependencies.empty]
            [target.'cfg(target_os = "linux")'.dependencies]
            linux = "1"
            [target."cfg(unix)".build-dependencies.unix]
            version = "1"
            [workspace.dependencies]
            shared = "1"
            [dev-dependencies]
            tests-only = "1"
            [target.'cfg(unix)'.dev-dependencies]
            tests-only-too = "1"
            [package.metadata.x.dependencies]
            not-a-crate = "1"
            [features]
            dependencies = ["no"]
        "##;
        let expected =
            ["dotted", "empty", "linux", "plain", "quoted", "renamed", "renamed-table", "shared", "unix", "wide"];
        assert_eq!(all(cargo(text)), expected);
    }

    #[test]
    fn a_python_project_states_dependencies_in_two_dialects() {
        let text = "[project]\nname = \"a\"\ndependencies = [\n  \"Flask[async]>=3\", # why\n  'redis; python_version > \"3\"',\n]\n\
            [project.optional-dependencies]\npg = [\"psycopg\"]\ndev = [\"pytest\"]\n\
            [tool.poetry.dependencies]\npython = \"^3.12\"\nhttpx = { version = \"1\" }\n\
            [tool.poetry.group.dev.dependencies]\nruff = \"1\"\n[dependency-groups]\ntest = [\"hypothesis\"]\n";
        assert_eq!(all(pyproject(text)), ["flask", "httpx", "psycopg", "redis"]);
    }

    proptest::proptest! {
        #[test]
        fn broken_manifests_are_read_as_far_as_they_go(text in "[\\[\\]{}=.,#'\"a-c\\\\ \n\u{e9}-]{0,80}") {
            cargo(&text);
            pyproject(&text);
        }
    }
}
