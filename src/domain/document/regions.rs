//! The regions that the tool writes: where they are, and what is outside of them.

use std::ops::Range;

use super::entries::{self, Entry, Field, entries};
use super::header::{Header, Name};
use super::outline::{Group, Outline, Section, SectionName};
use super::table::{self, ResultRow, Table};
use super::text;
use crate::domain::diagnostic::{Code, Diagnostic};
use crate::domain::plan::{Status, Variant};

/// What to write into a document; what is absent stays as it is. Winner and Analysis are added below
/// the Results where the document has none; of other lines that it has no place for none is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Regions {
    /// Rows of the Results table.
    pub results: Option<Vec<ResultRow>>,
    /// The `Winner` line, as plain text.
    pub winner: Option<String>,
    /// The bullets of the Analysis, as plain text.
    pub analysis: Option<Vec<String>>,
    /// The header's status.
    pub status: Option<Status>,
    /// The header's moment of the last change.
    pub updated: Option<String>,
    /// Bullets of the Artifacts section. A bullet replaces the one that is equal up to its first
    /// colon; bullets that nothing replaces stay.
    pub artifacts: Option<Vec<String>>,
}

/// What is written between an analysis and a list that follows it, which would else be taken for more of it.
pub(super) const LISTS_APART: &str = "<!-- -->";

/// Where the regions are.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub header: Header,
    /// The end of the Results heading's text.
    pub results: Option<usize>,
    pub table: Option<Table>,
    pub winner: Option<Field>,
    pub analysis: Option<Field>,
    /// The end of the Artifacts heading's text, and the items of its first list.
    pub artifacts: Option<(usize, Vec<Range<usize>>)>,
    /// Everything that does not count as the author's, in order and apart.
    inside: Vec<Range<usize>>,
}

impl Places {
    /// Finds the regions of a document.
    pub fn find(text: &str, outline: &Outline, header: Header) -> Self {
        let mut places = Self {
            header,
            results: None,
            table: None,
            winner: None,
            analysis: None,
            artifacts: None,
            inside: Vec::new(),
        };
        for name in [Name::Status, Name::Updated, Name::Approved] {
            let lines: Vec<_> = places.header.all(name).map(|field| field.line.clone()).collect();
            places.inside.extend(lines);
        }
        if let Some(section) = outline.section(SectionName::Scoring) {
            places.find_results(text, section);
        }
        if let Some(section) = outline.section(SectionName::Artifacts) {
            let end = text::trim(text, section.heading.clone()).end;
            places.artifacts = Some((end, first_list(text, section)));
            places.inside.push(end..section.body.end);
        }
        places.inside = merged(std::mem::take(&mut places.inside));
        places
    }

    fn find_results(&mut self, text: &str, section: &Section) {
        let groups = section.groups();
        let results = groups.iter().find(|group| group.is_named(text, "results"));
        if let Some(Group { heading: Some((heading, _)), end: next, .. }) = results {
            let end = text::trim(text, heading.clone()).end;
            self.results = Some(end);
            self.inside.push(end..*next);
        }
        for group in &groups {
            let said = entries(text, group.blocks);
            if (results.is_none() || group.is_named(text, "results")) && self.table.is_none() {
                self.table = said.iter().find_map(|entry| match entry {
                    Entry::Table(span) => Table::read(text, span.clone()),
                    _ => None,
                });
            }
            self.winner = self.winner.take().or_else(|| entries::field(text, &said, "winner").cloned());
            self.analysis = self.analysis.take().or_else(|| entries::field(text, &said, "analysis").cloned());
        }
        if let Some(table) = &self.table {
            let (rows, _) = table.edit(text, &[]);
            self.inside.push(rows.start..text::skip_blank(text, text::line_end(text, rows.end)));
        }
        for field in self.winner.iter().chain(&self.analysis) {
            let end = field.items.last().map_or(field.value.end, |item| item.end).max(field.value.end);
            let mut after = text::skip_blank(text, text::line_end(text, end));
            let below = after..text::line_end(text, after);
            if text[below.clone()].trim() == LISTS_APART {
                after = text::skip_blank(text, below.end);
            }
            self.inside.push(text::line_start(text, field.name.start)..after);
        }
    }

    /// A document without a place for results could not say how it ended.
    pub fn check(&self, text: &str, outline: &Outline, variants: &[Variant], found: &mut Vec<Diagnostic>) {
        let Some(section) = outline.section(SectionName::Scoring) else { return };
        if self.results.is_some() || self.table.is_some() {
            return;
        }
        let heading = text::trim(text, section.heading.clone());
        let eol = text::eol(text, heading.start);
        let end = text::trim(text, heading.start..section.body.end).end;
        let row = |v: &Variant| ResultRow { variant: v.key.clone(), criteria: None, total: None, winner: false };
        let rows: Vec<_> = variants.iter().map(row).collect();
        let added = format!("{eol}{eol}### Results{eol}{eol}{}", table::fresh(&rows, eol));
        let finding = Diagnostic::new(Code::NoResults, heading, "there is no place for the results of a run");
        // Within a code block that is never closed, for one, what is added would be part of the block.
        found.push(if has_results(&format!("{}{added}{}", &text[..end], &text[end..])) {
            finding
                .help("add `### Results` to this section, or let `blueprint check --fix` do it")
                .fixed_by("add `### Results` with an empty table", vec![(end..end, added)])
        } else {
            finding.help("add `### Results` to this section, above what is not closed at its end")
        });
    }

    /// The bytes outside of all regions, in order.
    pub fn outside(&self, length: usize) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.inside.iter().map(|region| region.end));
        let ends = self.inside.iter().map(|region| region.start).chain(std::iter::once(length));
        starts.zip(ends).map(|(start, end)| start..end).filter(|span| !span.is_empty())
    }
}

/// Whether a document has the heading of the results where they are looked for.
fn has_results(text: &str) -> bool {
    let outline = Outline::read(text);
    let groups = outline.section(SectionName::Scoring).map(Section::groups).unwrap_or_default();
    groups.iter().any(|group| group.is_named(text, "results"))
}

/// The items of a section's first list, and of those that follow it at once.
fn first_list(text: &str, section: &Section) -> Vec<Range<usize>> {
    let said = entries(text, &section.blocks);
    let items = said.iter().map(|entry| if let Entry::Item(item) = entry { Some(item.clone()) } else { None });
    items.skip_while(Option::is_none).map_while(|item| item).collect()
}

/// The same bytes as ranges in order and apart.
fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_by_key(|span| (span.start, span.end));
    let mut apart: Vec<Range<usize>> = Vec::new();
    for span in spans {
        match apart.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => apart.push(span),
        }
    }
    apart
}
