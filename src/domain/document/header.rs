//! The header: fields before the first section, in bold or as YAML front matter.

use std::ops::Range;

use serde_yaml::Value;

use super::outline::{Block, Kind, Outline};
use super::text;
use crate::domain::diagnostic::{Code, Diagnostic, suggestion};
use crate::domain::plan::{Mode, Status};

/// Header fields that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Id,
    Status,
    Mode,
    Created,
    Updated,
    Approved,
}

impl Name {
    const ALL: [Self; 6] = [Self::Id, Self::Status, Self::Mode, Self::Created, Self::Updated, Self::Approved];

    fn of(text: &str) -> Option<Self> {
        let name = text::normal(text);
        Self::ALL.into_iter().find(|known| name == known.title().to_lowercase() || (*known == Self::Id && name == "id"))
    }

    fn title(self) -> &'static str {
        match self {
            Self::Id => "Blueprint ID",
            Self::Status => "Status",
            Self::Mode => "Mode",
            Self::Created => "Created",
            Self::Updated => "Updated",
            Self::Approved => "Approved",
        }
    }
}

/// One field of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeaderField {
    pub name: Name,
    /// The name as it is written.
    pub written: Range<usize>,
    /// Without quotes or backticks.
    pub value: Range<usize>,
    /// Its whole line with the line ending.
    pub line: Range<usize>,
    pub yaml: bool,
}

/// What the header says.
#[derive(Debug, Clone, Default)]
pub(super) struct Header {
    pub fields: Vec<HeaderField>,
    /// Where a missing field is missed: at the title.
    missing: Range<usize>,
    /// Set where the front matter can't be read, so that nothing is known to be missing.
    broken: bool,
}

impl Header {
    /// Reads the fields; findings go to `found`.
    pub fn read(text: &str, outline: &Outline, found: &mut Vec<Diagnostic>) -> Self {
        let at = outline.title.clone().unwrap_or(0..0);
        let mut header = Self { fields: Vec::new(), missing: at, broken: false };
        if let Some(inner) = &outline.front_matter {
            header.read_yaml(text, inner.clone(), found);
            header.broken = found.iter().any(|f| f.code == Code::FrontMatter);
            header.fields.retain(|field| !(header.broken && field.yaml));
        }
        for block in &outline.header {
            header.read_bold(text, block, found);
        }
        header.compare(text, found);
        header
    }

    /// All places of a field: none, one, or one in front matter and one in bold.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &HeaderField> {
        self.fields.iter().filter(move |field| field.name == name)
    }

    /// The first place of a field, unless it is empty.
    pub fn get(&self, name: Name) -> Option<&HeaderField> {
        self.all(name).find(|field| !field.value.is_empty())
    }

    fn add(&mut self, text: &str, field: HeaderField, found: &mut Vec<Diagnostic>) {
        let twin = self.fields.iter().find(|f| f.name == field.name && f.yaml == field.yaml);
        if let Some(twin) = twin {
            let message = format!("duplicate header field `{}`", field.name.title());
            let finding = Diagnostic::new(Code::FieldTwice, text::trim(text, field.line), message)
                .also(text::trim(text, twin.line.clone()), "first here")
                .help("keep one of them");
            found.push(finding);
        } else {
            self.fields.push(field);
        }
    }

    fn read_bold(&mut self, text: &str, block: &Block, found: &mut Vec<Diagnostic>) {
        if block.kind != Kind::Paragraph {
            return;
        }
        for line in text::lines(text, block.span.clone()) {
            let Some((written, value)) = text::bold_field(text, line.clone()) else { continue };
            if let Some(name) = Name::of(&text[written.clone()]) {
                let value = text::unquote(text, value);
                let line = text::line_start(text, line.start)..text::line_end(text, line.start);
                self.add(text, HeaderField { name, written, value, line, yaml: false }, found);
            }
        }
    }

    fn read_yaml(&mut self, text: &str, inner: Range<usize>, found: &mut Vec<Diagnostic>) {
        for line in text::lines(text, inner.clone()) {
            let Some(colon) =
                text[line.clone()].find(':').filter(|_| !text[line.clone()].starts_with([' ', '\t', '#']))
            else {
                continue;
            };
            let written = text::trim(text, line.start..line.start + colon);
            if let Some(name) = Name::of(text[written.clone()].trim_matches(['"', '\''])) {
                let value = yaml_scalar(text, line.start + colon + 1..line.end);
                let line = line.start..text::line_end(text, line.start);
                self.add(text, HeaderField { name, written, value, line, yaml: true }, found);
            }
        }
        // Findings about repeated fields say more than YAML's own refusal of them.
        if found.iter().any(|f| f.code == Code::FieldTwice) {
            return;
        }
        match serde_yaml::from_str::<Value>(&text[inner.clone()]) {
            Ok(Value::Mapping(map)) => self.agree_with(&map, text, &inner, found),
            Ok(Value::Null) => {}
            Ok(_) => {
                let finding =
                    Diagnostic::new(Code::FrontMatter, text::trim(text, inner), "the front matter is not a mapping")
                        .help("write one `field: value` a line");
                found.push(finding);
            }
            Err(error) => {
                let number = error.location().map_or(1, |l| l.line()).max(1);
                let line = text::lines(text, inner.clone()).nth(number - 1).unwrap_or(inner);
                found.push(
                    Diagnostic::new(Code::FrontMatter, line, format!("the front matter is not YAML: {error}"))
                        .help("correct it, or write the fields in bold below the title"),
                );
            }
        }
    }

    /// What the lines say must be what YAML says, or the tool would write into the wrong place.
    fn agree_with(&self, map: &serde_yaml::Mapping, text: &str, inner: &Range<usize>, found: &mut Vec<Diagnostic>) {
        for (key, value) in map {
            let Some(name) = key.as_str().and_then(Name::of) else { continue };
            let field = self.fields.iter().find(|f| f.yaml && f.name == name);
            let same = field.is_some_and(|field| match value {
                Value::String(value) => *value == text[field.value.clone()],
                Value::Null => field.value.is_empty(),
                Value::Bool(_) | Value::Number(_) => true,
                _ => false,
            });
            if !same {
                let span = field.map_or(text::trim(text, inner.clone()), |f| text::trim(text, f.line.clone()));
                let message = format!("`{}` does not stand on one line of the front matter", name.title());
                found.push(
                    Diagnostic::new(Code::FrontMatter, span, message).help("write `field: value` on a line of its own"),
                );
            }
        }
    }

    fn compare(&self, text: &str, found: &mut Vec<Diagnostic>) {
        for name in Name::ALL {
            let places: Vec<_> = self.all(name).collect();
            let [yaml, bold] = places.as_slice() else { continue };
            let value = |field: &HeaderField| text[field.value.clone()].trim();
            if !value(yaml).eq_ignore_ascii_case(value(bold)) {
                let message = format!(
                    "`{}` is `{}` in the front matter and `{}` in the header",
                    name.title(),
                    value(yaml),
                    value(bold)
                );
                let finding = Diagnostic::new(Code::FieldsDisagree, text::trim(text, bold.line.clone()), message)
                    .also(text::trim(text, yaml.line.clone()), "the front matter says this")
                    .help("keep one of them, or make them equal");
                found.push(finding);
            }
        }
    }

    /// The `Blueprint ID`; empty, with a finding, where it is missing.
    pub fn id(&self, text: &str, found: &mut Vec<Diagnostic>) -> String {
        let Some(field) = self.get(Name::Id) else {
            if !self.broken {
                let finding = Diagnostic::new(Code::NoId, self.missing.clone(), "the Blueprint ID is missing")
                    .help("add a line below the title: **Blueprint ID**: `<date>_<short-name>`");
                found.push(finding);
            }
            return String::new();
        };
        text[field.value.clone()].to_owned()
    }

    /// The status; `Drafting`, with a finding, where it can't be told.
    pub fn status(&self, text: &str, found: &mut Vec<Diagnostic>) -> Status {
        let names = STATUSES.map(|(name, _)| name);
        let Some(field) = self.get(Name::Status) else {
            if !self.broken {
                let finding = Diagnostic::new(Code::Status, self.missing.clone(), "the status is missing")
                    .help("add a line below the title: **Status**: drafting");
                found.push(finding);
            }
            return Status::Drafting;
        };
        let written = &text[field.value.clone()];
        find(&STATUSES, written).unwrap_or_else(|| {
            let message = format!("unknown status `{written}`{}", suggestion(written, names));
            found.push(
                Diagnostic::new(Code::Status, field.value.clone(), message)
                    .help(format!("known: {}", names.join(", "))),
            );
            Status::Drafting
        })
    }

    /// The mode; a competition where none is named or it can't be told.
    pub fn mode(&self, text: &str, found: &mut Vec<Diagnostic>) -> Mode {
        let modes =
            [("competition", Mode::Competition), ("single", Mode::Single), ("orchestrated", Mode::Orchestrated)];
        let names = modes.map(|(name, _)| name);
        let Some(field) = self.get(Name::Mode) else { return Mode::Competition };
        let written = &text[field.value.clone()];
        find(&modes, written).unwrap_or_else(|| {
            let message = format!("unknown mode `{written}`{}", suggestion(written, names));
            found.push(
                Diagnostic::new(Code::Mode, field.value.clone(), message).help(format!("known: {}", names.join(", "))),
            );
            Mode::Competition
        })
    }

    /// The digest that was approved.
    pub fn approved(&self, text: &str, found: &mut Vec<Diagnostic>) -> Option<String> {
        let field = self.get(Name::Approved)?;
        let written = text[field.value.clone()].to_owned();
        if written.len() != 64 || !written.bytes().all(|b| b.is_ascii_hexdigit()) {
            let finding = Diagnostic::new(Code::Approval, field.value.clone(), "the approval is not a digest")
                .help("remove the line, then let `blueprint approve` write it");
            found.push(finding);
        }
        Some(written.to_ascii_lowercase())
    }
}

const STATUSES: [(&str, Status); 7] = [
    ("drafting", Status::Drafting),
    ("pending", Status::Pending),
    ("approved", Status::Approved),
    ("completed", Status::Completed),
    ("failed", Status::Failed),
    ("rejected", Status::Rejected),
    ("superseded", Status::Superseded),
];

/// A status as documents write it.
pub(super) fn status_name(status: Status) -> &'static str {
    STATUSES.iter().find(|(_, s)| *s == status).map_or("drafting", |(name, _)| name)
}

fn find<T: Copy>(table: &[(&str, T)], written: &str) -> Option<T> {
    table.iter().find(|(name, _)| name.eq_ignore_ascii_case(written.trim())).map(|(_, value)| *value)
}

/// The scalar after a colon: without a comment and without its quotes.
fn yaml_scalar(text: &str, span: Range<usize>) -> Range<usize> {
    let span = text::trim(text, span);
    let inner = &text[span.clone()];
    for quote in ['"', '\''] {
        if let Some(rest) = inner.strip_prefix(quote)
            && let Some(end) = rest.find(quote)
        {
            return span.start + 1..span.start + 1 + end;
        }
    }
    let end = if inner.starts_with('#') { 0 } else { inner.find(" #").unwrap_or(inner.len()) };
    text::trim(text, span.start..span.start + end)
}
