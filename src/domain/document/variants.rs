//! Variants and work items.

use std::ops::Range;

use super::entries::{self, Entry, entries, item_text};
use super::outline::{Block, Group, Outline, SectionName};
use super::text;
use crate::domain::diagnostic::{Code, Diagnostic, suggestion};
use crate::domain::plan::{Applies, ContractKind, DiffContract, FilePattern, Mode, Variant, VariantKey, WorkItem};

/// The variants of the Approach section; one implicit variant `A` where the mode needs no more.
pub(super) fn variants(
    text: &str,
    outline: &Outline,
    mode: Mode,
    title: &str,
    found: &mut Vec<Diagnostic>,
) -> Vec<Variant> {
    let mut variants: Vec<(Variant, Range<usize>)> = Vec::new();
    let section = outline.section(SectionName::Approach);
    let before = found.len();
    for group in section.map(|s| s.groups()).unwrap_or_default() {
        let Some((heading, inner)) = &group.heading else { continue };
        let Some((key, name)) = variant_heading(text, inner.clone()) else { continue };
        let Some(key) = VariantKey::new(&text[key.clone()]) else {
            let message = format!("`{}` can't be a variant's key", &text[key.clone()]);
            let finding = Diagnostic::new(Code::VariantHeading, key, message)
                .help("a key is 1 to 24 letters, digits, `-` or `_`: `### Variant A: Composite index`");
            found.push(finding);
            continue;
        };
        if let Some((_, first)) = variants.iter().find(|(v, _)| v.key.as_str().eq_ignore_ascii_case(key.as_str())) {
            let finding = Diagnostic::new(Code::VariantTwice, inner.clone(), format!("duplicate variant {key}"))
                .also(first.clone(), "first here")
                .help("give each variant a key of its own; keys are compared without case");
            found.push(finding);
            continue;
        }
        if let Some((twin, first)) = variants.iter().find(|(v, _)| v.key.slug() == key.slug()) {
            let (other, slug) = (&twin.key, key.slug());
            let message = format!("the variants {other} and {key} would both be `{slug}`");
            let finding = Diagnostic::new(Code::VariantName, inner.clone(), message)
                .says("its branch, worktree and recorded work are named after its key")
                .also(first.clone(), "first here")
                .help("in names `_` is `-`, and case does not count: give one of them another key");
            found.push(finding);
            continue;
        }
        let notes = entries(text, group.blocks).iter().map(|entry| text::flow(&text[said(text, entry)])).collect();
        variants.push((Variant { key, name: text[name].to_owned(), notes }, text::trim(text, heading.clone())));
    }
    let whole = section.map_or(outline.title.clone().unwrap_or(0..0), |s| text::trim(text, s.heading.clone()));
    if variants.is_empty() && mode != Mode::Competition && found.len() == before {
        return implicit(title);
    }
    if found.len() == before {
        count(mode, &variants, whole, found);
    }
    variants.into_iter().map(|(variant, _)| variant).collect()
}

/// What an entry says: an item without its marker, a field with its name.
fn said(text: &str, entry: &Entry) -> Range<usize> {
    match entry {
        Entry::Item(span) => item_text(text, span.clone()),
        Entry::Field(field) => {
            let start = text::line_start(text, field.name.start);
            let last = field.items.last().map_or(field.value.end, |item| item.end);
            text::trim(text, start..last.max(field.value.end))
        }
        other => other.span(),
    }
}

fn implicit(title: &str) -> Vec<Variant> {
    VariantKey::new("A").map(|key| Variant { key, name: title.to_owned(), notes: Vec::new() }).into_iter().collect()
}

fn count(mode: Mode, variants: &[(Variant, Range<usize>)], at: Range<usize>, found: &mut Vec<Diagnostic>) {
    let finding = match (mode, variants) {
        (Mode::Competition, []) => Diagnostic::new(Code::NoVariants, at, "there are no variants")
            .help("add `### Variant A: <name>` and `### Variant B: <name>` to the Approach section")
            .help("or say `**Mode**: single` in the header"),
        (Mode::Competition, [(one, heading)]) => {
            let message = format!("a competition needs two variants, and {} is the only one", one.key);
            Diagnostic::new(Code::VariantCount, heading.clone(), message)
                .help("add a second variant, or say `**Mode**: single` in the header")
        }
        (Mode::Single, [_, (_, second), ..]) => {
            let message = format!("mode `single` has one variant, and there are {}", variants.len());
            Diagnostic::new(Code::VariantCount, second.clone(), message)
                .help("say `**Mode**: competition` in the header, or keep one variant")
        }
        _ => return,
    };
    found.push(finding);
}

/// `Variant X: Name`, also with a dash for the colon: the key's and the name's span. A heading
/// without a name counts only where the key is short, so that `Variant comparison` is none.
fn variant_heading(text: &str, span: Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let heading = &text[span.clone()];
    let word = heading.get(.."variant".len()).filter(|w| w.eq_ignore_ascii_case("variant"))?;
    let rest = &heading[word.len()..];
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    let start = span.start + word.len();
    let separators = [":", " – ", " — ", " - "];
    let found = separators.iter().filter_map(|s| rest.find(s).map(|at| (at, s.len()))).min();
    if let Some((at, length)) = found {
        return Some((text::trim(text, start..start + at), text::trim(text, start + at + length..span.end)));
    }
    let key = text::trim(text, start..span.end);
    (key.len() <= 2).then(|| (key.clone(), key.end..key.end))
}

/// The work items, in document order.
pub(super) fn work_items(
    text: &str,
    outline: &Outline,
    variants: &[Variant],
    title: &str,
    found: &mut Vec<Diagnostic>,
) -> Vec<WorkItem> {
    let Some(section) = outline.section(SectionName::WorkItems) else {
        let at = outline.title.clone().unwrap_or(0..0);
        let finding = Diagnostic::new(Code::NoFiles, at, "there are no work items, so nothing may be changed")
            .help("add a section `## Work Items` with `### <title>`, `**Files**: …` and `**Diff Contract**: patch`");
        found.push(finding);
        return Vec::new();
    };
    let mut items = Vec::new();
    for group in section.groups() {
        let said = entries(text, group.blocks);
        // Fields before any heading are an item of their own.
        if group.heading.is_none() && entries::field(text, &said, "files").is_none() {
            continue;
        }
        let heading = text::trim(text, section.heading.clone());
        let (name, applies) = match &group.heading {
            Some((_, inner)) => restriction(text, inner.clone(), variants, found),
            None => (title.to_owned(), Applies::All),
        };
        let at = group.heading.as_ref().map_or(heading, |(_, inner)| inner.clone());
        items.push(work_item(text, &group, &said, (name, applies), at, found));
    }
    items
}

fn work_item(
    text: &str,
    group: &Group<'_>,
    said: &[Entry],
    (title, applies): (String, Applies),
    at: Range<usize>,
    found: &mut Vec<Diagnostic>,
) -> WorkItem {
    let listed = |name| entries::fields(text, said, name).flat_map(|f| entries::listed(text, f)).collect::<Vec<_>>();
    let mut files = Vec::new();
    for span in listed("files") {
        match FilePattern::new(&text[span.clone()]) {
            Ok(pattern) => files.push(pattern),
            Err(why) => {
                let finding = Diagnostic::new(Code::FilePath, span.clone(), format!("`{}`: {why}", &text[span]))
                    .help("patterns are relative to the repository's root; a folder with all in it is `folder/**`");
                found.push(finding);
            }
        }
    }
    if files.is_empty() && !found.iter().any(|f| f.code == Code::FilePath) {
        let finding =
            Diagnostic::new(Code::NoFiles, at, format!("`{title}` names no files, so nothing may be changed for it"))
                .help("add a line: **Files**: src/a.py, db/**");
        found.push(finding);
    }
    WorkItem {
        title,
        applies,
        files,
        contract: contract(text, said, found),
        tests: listed("tests").into_iter().map(|span| text[span].to_owned()).collect(),
        text: rest(text, group.blocks, said),
    }
}

/// Everything but the three fields that are read.
fn rest(text: &str, blocks: &[Block], said: &[Entry]) -> String {
    if blocks.is_empty() {
        return String::new();
    }
    let is_read = |entry: &&Entry| match entry {
        Entry::Field(f) => !["files", "diff contract", "tests"].contains(&text::normal(&text[f.name.clone()]).as_str()),
        _ => true,
    };
    let written = |entry: &Entry| match entry {
        Entry::Field(_) => text::flow(&text[self::said(text, entry)]),
        other => text[other.span()].replace("\r\n", "\n"),
    };
    said.iter().filter(is_read).map(written).collect::<Vec<_>>().join("\n")
}

fn contract(text: &str, said: &[Entry], found: &mut Vec<Diagnostic>) -> DiffContract {
    let patch = DiffContract { kind: ContractKind::Patch, variant_specific: false };
    let Some(field) = entries::field(text, said, "diff contract") else { return patch };
    let (value, note) = text::note(text, text::unquote(text, field.value.clone()));
    let value = text::unquote(text, value);
    let note = note.map(|n| text::normal(&text[n]));
    let kind = match text::normal(&text[value.clone()]).as_str() {
        "patch" => ContractKind::Patch,
        "new file" | "new files" => ContractKind::NewFile,
        other => {
            let message = format!("unknown diff contract `{other}`{}", suggestion(other, ["patch", "new file"]));
            let finding = Diagnostic::new(Code::Contract, value, message)
                .help("known: `patch` (change and add) and `new file` (add only), each perhaps `(variant-specific)`");
            found.push(finding);
            return patch;
        }
    };
    DiffContract { kind, variant_specific: note.is_some_and(|n| n == "variant specific") }
}

/// A title without its `(Variants B & C)`, and the restriction.
fn restriction(text: &str, span: Range<usize>, variants: &[Variant], found: &mut Vec<Diagnostic>) -> (String, Applies) {
    let whole = || (text[span.clone()].to_owned(), Applies::All);
    let Some(open) = text[span.clone()].rfind('(').filter(|_| text[span.clone()].ends_with(')')) else {
        return whole();
    };
    let inner = text::trim(text, span.start + open + 1..span.end - 1);
    let lower = text[inner.clone()].to_ascii_lowercase();
    let Some(skip) = ["variants ", "variant "].iter().find(|w| lower.starts_with(**w)).map(|w| w.len()) else {
        return if lower == "all variants" {
            (text[span.start..span.start + open].trim().to_owned(), Applies::All)
        } else {
            whole()
        };
    };
    let mut keys = Vec::new();
    let words = text[inner.start + skip..inner.end].split(|c: char| c.is_whitespace() || ",&+/".contains(c));
    for word in words.filter(|w| !w.is_empty() && !w.eq_ignore_ascii_case("and") && !w.eq_ignore_ascii_case("or")) {
        match variants.iter().find(|v| v.key.as_str().eq_ignore_ascii_case(word)) {
            Some(variant) if keys.contains(&variant.key) => {}
            Some(variant) => keys.push(variant.key.clone()),
            None => {
                let known: Vec<_> = variants.iter().map(|v| v.key.as_str()).collect();
                let finding =
                    Diagnostic::new(Code::UnknownVariant, inner.clone(), format!("there is no variant `{word}`"))
                        .help(format!("known: {}", known.join(", ")));
                found.push(finding);
            }
        }
    }
    if keys.is_empty() && !found.iter().any(|f| f.code == Code::UnknownVariant) {
        let finding = Diagnostic::new(Code::UnknownVariant, inner, "the work item is restricted to no variant")
            .help("name variants, as in `(Variants B & C)`, or remove the parentheses");
        found.push(finding);
    }
    (text[span.start..span.start + open].trim().to_owned(), Applies::Only(keys))
}
