//! The Results table: its cells, and its rows written anew in the document's own style.

use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use super::text;
use crate::domain::plan::VariantKey;
use crate::domain::score::{Criteria, Points};

/// One row of the Results table.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultRow {
    /// Whose.
    pub variant: VariantKey,
    /// Its points; `–` is shown where it has none.
    pub criteria: Option<Criteria>,
    /// Its total; `–` is shown where it has none.
    pub total: Option<Points>,
    /// Whether it bears the winner's mark.
    pub winner: bool,
}

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Variant,
    Tests,
    Performance,
    Simplicity,
    Total,
    Winner,
    /// Somebody else's; kept as it is.
    Other,
}

/// A table with a Variant column.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub columns: Vec<Column>,
    /// The header's cells, with the white space around their text.
    header: Vec<Range<usize>>,
    /// The alignment row, without its line ending.
    alignment: Range<usize>,
    /// The rows below, without line endings.
    pub rows: Vec<Range<usize>>,
    /// Where the header's line begins, and its text.
    indent: Range<usize>,
    leading: bool,
    trailing: bool,
}

impl Table {
    /// The table in this span, if it has a Variant column.
    pub fn read(text: &str, span: Range<usize>) -> Option<Self> {
        let start = text::line_start(text, span.start);
        let mut lines = text::lines(text, start..text::trim(text, span).end);
        let (head, alignment) = (lines.next()?, lines.next()?);
        let header = cells(text, head.clone());
        let columns: Vec<_> = header.iter().map(|cell| column(&text[cell.clone()])).collect();
        if !columns.contains(&Column::Variant) {
            return None;
        }
        let rows: Vec<_> = lines.collect();
        let inner = text::trim(text, head.clone());
        let starts = |line: &Range<usize>| text[line.clone()].trim_start().starts_with('|');
        Some(Self {
            columns,
            header,
            alignment,
            leading: starts(&head) || rows.iter().any(starts),
            trailing: ends_with_pipe(&text[inner.clone()]),
            indent: head.start..inner.start,
            rows,
        })
    }

    /// The text of a row's cell in a column, without white space.
    pub fn cell(&self, text: &str, row: Range<usize>, column: Column) -> Option<Range<usize>> {
        let at = self.columns.iter().position(|c| *c == column)?;
        cells(text, row).into_iter().nth(at).map(|cell| text::trim(text, cell))
    }

    /// The key in a row's Variant cell.
    pub fn key<'a>(&self, text: &'a str, row: Range<usize>) -> Option<&'a str> {
        let cell = text::unquote(text, self.cell(text, row, Column::Variant)?);
        let cell = text[cell].trim();
        let plain = match cell.get(..8) {
            Some(word) if word.eq_ignore_ascii_case("variant ") => cell[8..].trim_start(),
            _ => cell,
        };
        plain.split(|c: char| c.is_whitespace() || matches!(c, ':' | '(')).next().filter(|key| !key.is_empty())
    }

    /// The edit that writes these rows: in place where a row names a variant, the others below.
    pub fn edit(&self, text: &str, rows: &[ResultRow]) -> (Range<usize>, String) {
        let eol = text::eol(text, self.indent.start);
        let mut written: Vec<String> = Vec::new();
        let mut done = vec![false; rows.len()];
        for line in &self.rows {
            let key = self.key(text, line.clone());
            let at = rows.iter().position(|row| key.is_some_and(|k| k.eq_ignore_ascii_case(row.variant.as_str())));
            match at {
                Some(at) => {
                    done[at] = true;
                    written.push(self.line(text, &rows[at], Some(line.clone())));
                }
                None => written.push(text[line.clone()].to_owned()),
            }
        }
        let more = rows.iter().zip(&done).filter(|(_, done)| !**done);
        written.extend(more.map(|(row, _)| self.line(text, row, None)));
        let end = self.rows.last().map_or(self.alignment.end, |row| row.end);
        let body: String = written.iter().map(|line| format!("{eol}{line}")).collect();
        (self.alignment.end..end, body)
    }

    fn line(&self, text: &str, row: &ResultRow, old: Option<Range<usize>>) -> String {
        let old = old.map(|line| cells(text, line)).unwrap_or_default();
        let alignments = cells(text, self.alignment.clone());
        let mut parts = Vec::new();
        for (at, (column, head)) in self.columns.iter().zip(&self.header).enumerate() {
            let content = match column {
                Column::Other => old.get(at).map_or("", |cell| text[cell.clone()].trim()).to_owned(),
                column => row.cell(*column),
            };
            let alignment = alignments.get(at).map_or("", |cell| text[cell.clone()].trim());
            parts.push(pad(&text[head.clone()], &content, alignment));
        }
        let plain = parts.first().is_some_and(|p| p.trim_start().starts_with(|c: char| c.is_ascii_alphanumeric()));
        let lead = if self.leading || !plain { "|" } else { "" };
        let trail = if self.trailing { "|" } else { "" };
        let line = format!("{}{lead}{}{trail}", &text[self.indent.clone()], parts.join("|"));
        if self.trailing { line } else { line.trim_end().to_owned() }
    }
}

impl ResultRow {
    fn cell(&self, column: Column) -> String {
        let shown = |points: Option<Points>| points.map_or_else(|| "–".to_owned(), |p| p.to_string());
        match column {
            Column::Variant => self.variant.to_string(),
            Column::Tests => shown(self.criteria.map(|c| c.tests)),
            Column::Performance => shown(self.criteria.map(|c| c.performance)),
            Column::Simplicity => shown(self.criteria.map(|c| c.simplicity)),
            Column::Total => shown(self.total),
            Column::Winner if self.winner => "✅".to_owned(),
            Column::Winner | Column::Other => String::new(),
        }
    }
}

/// A table where there was none.
pub(super) fn fresh(rows: &[ResultRow], eol: &str) -> String {
    let columns = [
        (Column::Variant, "Variant"),
        (Column::Tests, "Tests"),
        (Column::Performance, "Performance"),
        (Column::Simplicity, "Simplicity"),
        (Column::Total, "Total"),
        (Column::Winner, "Winner"),
    ];
    let head: Vec<_> = columns.iter().map(|(_, name)| format!(" {name} ")).collect();
    let rule: Vec<_> = head.iter().map(|cell| "-".repeat(cell.len())).collect();
    let mut out = format!("|{}|{eol}|{}|", head.join("|"), rule.join("|"));
    for row in rows {
        let cells = columns.iter().zip(&head).map(|((column, _), head)| pad(head, &row.cell(*column), ""));
        out.push_str(&format!("{eol}|{}|", cells.collect::<Vec<_>>().join("|")));
    }
    out
}

/// Content with the header cell's margins, padded to its display width.
fn pad(head: &str, content: &str, alignment: &str) -> String {
    let margin = |has: bool| if has { " " } else { "" };
    let (left, right) = (margin(head.starts_with([' ', '\t'])), margin(head.ends_with([' ', '\t'])));
    let room = head.width().saturating_sub(left.len() + right.len());
    let free = room.saturating_sub(content.width());
    let before = match (alignment.starts_with(':'), alignment.ends_with(':')) {
        (false, true) => free,
        (true, true) => free / 2,
        _ => 0,
    };
    format!("{left}{}{content}{}{right}", " ".repeat(before), " ".repeat(free - before))
}

fn column(name: &str) -> Column {
    match text::normal(name).as_str() {
        "variant" => Column::Variant,
        "tests" => Column::Tests,
        "performance" => Column::Performance,
        "simplicity" => Column::Simplicity,
        "total" => Column::Total,
        "winner" => Column::Winner,
        _ => Column::Other,
    }
}

/// Whether a pipe that is not escaped ends the line.
fn ends_with_pipe(line: &str) -> bool {
    line.strip_suffix('|').is_some_and(|rest| rest.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0)
}

/// The cells of a row, with the white space around their text. Pipes at both ends are optional.
pub(super) fn cells(text: &str, line: Range<usize>) -> Vec<Range<usize>> {
    let line = text::trim(text, line);
    let inner = &text[line.clone()];
    let mut start = line.start + usize::from(inner.starts_with('|'));
    let end = line.end - usize::from(inner.len() > 1 && ends_with_pipe(inner));
    let mut found = Vec::new();
    let mut escaped = false;
    for (at, byte) in text.as_bytes()[start.min(end)..end].iter().enumerate() {
        let at = line.start + usize::from(inner.starts_with('|')) + at;
        match byte {
            b'\\' if !escaped => escaped = true,
            b'|' if !escaped => {
                found.push(start..at);
                start = at + 1;
            }
            _ => escaped = false,
        }
    }
    found.push(start.min(end)..end);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<&str> {
        cells(line, 0..line.len()).into_iter().map(|cell| &line[cell]).collect()
    }

    #[test]
    fn cells_are_split_with_and_without_outer_pipes() {
        assert_eq!(split("| a | b |"), [" a ", " b "]);
        assert_eq!(split("a | b"), ["a ", " b"]);
        assert_eq!(split("| a \\| b | |"), [" a \\| b ", " "]);
        assert_eq!(split("| a \\\\| b"), [" a \\\\", " b"]);
        assert_eq!(split("|"), [""]);
        assert_eq!(split("||"), [""]);
    }

    #[test]
    fn cells_are_padded_by_display_width_and_alignment() {
        assert_eq!(pad(" Winner ", "✅", "---"), " ✅     ");
        assert_eq!(pad(" Total ", "9.5", "--:"), "   9.5 ");
        assert_eq!(pad("Total", "9.5", ":-:"), " 9.5 ");
        assert_eq!(pad(" 勝者 ", "✅", ""), " ✅   ");
    }
}
