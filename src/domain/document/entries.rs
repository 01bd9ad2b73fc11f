//! Entries: what a section says, line by line where it has bold fields.

use std::ops::Range;

use super::outline::{Block, Kind, fence_content};
use super::table::cells;
use super::text;

/// One thing that a section says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// A bold field with the list that follows it.
    Field(Field),
    /// One item of a list that follows no field.
    Item(Range<usize>),
    /// A fenced block: the whole and its content.
    Fence(Range<usize>, Range<usize>),
    Table(Range<usize>),
    /// Anything else, paragraphs without fields above all.
    Text(Range<usize>),
}

/// `**Name**: value`, and perhaps a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub name: Range<usize>,
    /// May go on over several lines; trimmed.
    pub value: Range<usize>,
    /// The items of the lists that follow at once, markers included.
    pub items: Vec<Range<usize>>,
    /// Whether it is the last line of its paragraph.
    pub last: bool,
}

impl Entry {
    /// The bytes it covers.
    pub fn span(&self) -> Range<usize> {
        match self {
            Self::Field(field) => field.name.start..field.value.end.max(field.name.end),
            Self::Item(span) | Self::Fence(span, _) | Self::Table(span) | Self::Text(span) => span.clone(),
        }
    }
}

/// What these blocks say.
pub(super) fn entries(text: &str, blocks: &[Block]) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for block in blocks {
        match &block.kind {
            Kind::Paragraph => paragraph(text, block.span.clone(), &mut found),
            Kind::List(items) => match found.last_mut() {
                Some(Entry::Field(field)) if field.last => field.items.extend(items.iter().cloned()),
                _ => found.extend(items.iter().cloned().map(Entry::Item)),
            },
            Kind::Table => {
                // A bold field that follows a table's last row at once is meant as a field.
                let is_field = |line: &Range<usize>| {
                    cells(text, line.clone()).len() == 1 && text::bold_field(text, line.clone()).is_some()
                };
                let after = text::lines(text, block.span.clone()).find(is_field);
                let end = after.map_or(block.span.end, |line| line.start);
                found.push(Entry::Table(block.span.start..end));
                paragraph(text, end..block.span.end, &mut found);
            }
            Kind::Fence => {
                found.push(Entry::Fence(text::trim(text, block.span.clone()), fence_content(text, block.span.clone())));
            }
            Kind::Heading(..) | Kind::Html | Kind::Other => {
                found.push(Entry::Text(text::trim(text, block.span.clone())));
            }
        }
    }
    found
}

fn paragraph(text: &str, span: Range<usize>, found: &mut Vec<Entry>) {
    let before = found.len();
    for line in text::lines(text, span) {
        let line = text::trim(text, line);
        if line.is_empty() {
            continue;
        }
        if let Some((name, value)) = text::bold_field(text, line.clone()) {
            found.push(Entry::Field(Field { name, value, items: Vec::new(), last: false }));
        } else {
            // A line without a field goes on with what stands above it in the paragraph.
            match found[before..].last_mut() {
                Some(Entry::Field(field)) => field.value = text::trim(text, field.value.start..line.end),
                Some(Entry::Text(text)) => text.end = line.end,
                _ => found.push(Entry::Text(line)),
            }
        }
    }
    if let Some(Entry::Field(field)) = found[before..].last_mut() {
        field.last = true;
    }
}

/// The text of a list item without its marker.
pub(super) fn item_text(text: &str, item: Range<usize>) -> Range<usize> {
    let inner = &text[item.clone()];
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    let marker = if digits > 0 { digits + 1 } else { 1 };
    text::trim(text, (item.start + marker).min(item.end)..item.end)
}

/// What a field lists: the parts between commas of its value, then the items of its list.
pub(super) fn listed(text: &str, field: &Field) -> Vec<Range<usize>> {
    let mut parts = text::comma_list(text, field.value.clone());
    parts.extend(field.items.iter().flat_map(|item| text::comma_list(text, item_text(text, item.clone()))));
    parts.retain(|part| !text::says_nothing(&text[part.clone()]));
    parts
}

/// The fields of that name, compared without case.
pub(super) fn fields<'a>(text: &'a str, entries: &'a [Entry], name: &'a str) -> impl Iterator<Item = &'a Field> {
    entries.iter().filter_map(move |entry| match entry {
        Entry::Field(field) if text::normal(&text[field.name.clone()]) == name => Some(field),
        _ => None,
    })
}

/// The first field of that name.
pub(super) fn field<'a>(text: &'a str, entries: &'a [Entry], name: &'a str) -> Option<&'a Field> {
    fields(text, entries, name).next()
}
