//! Writing regions: edits that leave every other byte as it is.

use std::ops::Range;

use super::entries::Field;
use super::header::{Header, HeaderField, Name, status_name};
use super::regions::{LISTS_APART, Places, Regions};
use super::table;
use super::text;
use crate::domain::plan::Status;

/// A replacement of bytes.
pub(super) type Edit = (Range<usize>, String);

/// The bytes with these edits made; none of them overlap.
pub(super) fn apply(source: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    let grown: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut out = Vec::with_capacity(source.len() + grown);
    let mut at = 0;
    for (span, text) in edits {
        out.extend_from_slice(&source[at..span.start]);
        out.extend_from_slice(text.as_bytes());
        at = span.end;
    }
    out.extend_from_slice(&source[at..]);
    out
}

/// The edits that write these regions.
pub(super) fn edits(text: &str, places: &Places, regions: &Regions) -> Vec<Edit> {
    let mut edits = Vec::new();
    let header = &places.header;
    if let Some(status) = regions.status {
        edits.extend(header.all(Name::Status).map(|field| (field.value.clone(), status_name(status).to_owned())));
    }
    if let Some(updated) = &regions.updated {
        edits.extend(header.all(Name::Updated).map(|field| value_edit(text, field.value.clone(), inline(updated))));
    }
    results(text, places, regions, &mut edits);
    if let (Some(winner), Some(field)) = (&regions.winner, &places.winner) {
        edits.push(value_edit(text, field.value.clone(), inline(winner)));
    }
    if let (Some(bullets), Some(field)) = (&regions.analysis, &places.analysis) {
        analysis(text, field, bullets, &mut edits);
    }
    if let (Some(bullets), Some((heading, items))) = (&regions.artifacts, &places.artifacts) {
        artifacts(text, *heading, items, bullets, &mut edits);
    }
    edits
}

/// The Results table, and below it what the document has no lines for.
fn results(text: &str, places: &Places, regions: &Regions, edits: &mut Vec<Edit>) {
    let rows = regions.results.as_deref();
    match (&places.table, places.results) {
        (Some(table), _) => {
            let (place, body) = table.edit(text, rows.unwrap_or_default());
            let end = place.end;
            edits.extend(rows.map(|_| (place, body)));
            let parts = missing(text, places, regions, end);
            if !parts.is_empty() {
                let eol = text::eol(text, text::line_start(text, end));
                let apart = if text[text::line_end(text, end)..].lines().next().is_none_or(|l| l.trim().is_empty()) {
                    ""
                } else {
                    eol
                };
                edits.push((end..end, format!("{eol}{eol}{}{apart}", parts.join(&format!("{eol}{eol}")))));
            }
        }
        (None, Some(heading)) => {
            let eol = text::eol(text, heading);
            let table = rows.map(|rows| table::fresh(rows, eol));
            let parts: Vec<_> = table.into_iter().chain(missing(text, places, regions, heading)).collect();
            if !parts.is_empty() {
                edits.push(after_heading(text, heading, &parts.join(&format!("{eol}{eol}"))));
            }
        }
        // Such a document is not valid.
        (None, None) => {}
    }
}

/// Lines that the document has no place for, to be put behind the line that ends at or after `after`.
fn missing(text: &str, places: &Places, regions: &Regions, after: usize) -> Vec<String> {
    let eol = text::eol(text, text::line_start(text, after));
    let mut parts = Vec::new();
    if let (Some(winner), None) = (&regions.winner, &places.winner) {
        parts.push(format!("**Winner**: {}", inline(winner)).trim_end().to_owned());
    }
    if let (Some(bullets), None) = (&regions.analysis, &places.analysis) {
        let below = text::line_end(text, after);
        let prefix = prefix(text, None, below);
        let lines: String = bullets.iter().map(|text| format!("{eol}{}", bullet(&prefix, text, eol))).collect();
        parts.push(format!("**Analysis**:{lines}"));
        if !bullets.is_empty() && begins_item(&text[text::skip_blank(text, below)..]) {
            parts.push(LISTS_APART.to_owned());
        }
    }
    parts
}

/// Whether a text begins with an item of a list; a word in bold does not.
fn begins_item(text: &str) -> bool {
    let text = text.trim_start();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let marker = if digits > 0 { ".)" } else { "-*+" };
    let behind = text[digits..].strip_prefix(|c| marker.contains(c));
    behind.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// The edits that set `Approved` and the status.
pub(super) fn approval(text: &str, header: &Header, digest: &str) -> Vec<Edit> {
    let mut edits: Vec<Edit> =
        header.all(Name::Status).map(|f| (f.value.clone(), status_name(Status::Approved).to_owned())).collect();
    let there: Vec<_> =
        header.all(Name::Approved).map(|f| value_edit(text, f.value.clone(), digest.to_owned())).collect();
    if there.is_empty() {
        edits.extend(header.get(Name::Status).map(|status| approved_line(text, status, digest)));
    }
    edits.extend(there);
    edits
}

/// A line below the status, spelled as the status is.
fn approved_line(text: &str, status: &HeaderField, digest: &str) -> Edit {
    let written = &text[status.written.clone()];
    let plain = written.trim_matches(['"', '\'']);
    let name = if plain.chars().all(|c| !c.is_uppercase()) {
        "approved"
    } else if plain.chars().all(|c| !c.is_lowercase()) {
        "APPROVED"
    } else {
        "Approved"
    };
    let name = written.replace(plain, name);
    let before = &text[status.line.start..status.written.start];
    let between = &text[status.written.end..status.value.start];
    let rest = text[status.value.end..status.line.end].trim_end_matches(['\r', '\n']);
    // In YAML a comment on the status is not one on the approval.
    let rest =
        if status.yaml { rest.chars().take_while(|c| matches!(c, '"' | '\'')).collect() } else { rest.to_owned() };
    let eol = text::eol(text, status.line.start);
    let line = format!("{before}{name}{between}{digest}{rest}");
    let at = status.line.end..status.line.end;
    if text[status.line.clone()].ends_with('\n') { (at, format!("{line}{eol}")) } else { (at, format!("{eol}{line}")) }
}

/// Replaces a field's value, with a space before it where it had none.
fn value_edit(text: &str, value: Range<usize>, new: String) -> Edit {
    let close = text[..value.start].ends_with([':', '*']);
    (value, if close && !new.is_empty() { format!(" {new}") } else { new })
}

/// Puts lines below a heading, apart from what follows.
fn after_heading(text: &str, heading: usize, lines: &str) -> Edit {
    let eol = text::eol(text, heading);
    let end = text::line_end(text, heading);
    let has_end = text[heading..end].ends_with('\n');
    let next = &text[end..text::line_end(text, end)];
    let first = if has_end { "" } else { eol };
    let last = if next.trim().is_empty() { "" } else { eol };
    (end..end, format!("{first}{eol}{lines}{eol}{last}"))
}

fn analysis(text: &str, field: &Field, bullets: &[String], edits: &mut Vec<Edit>) {
    let start = text[..field.value.start].trim_end().len().max(field.name.end);
    let eol = text::eol(text, field.value.end.max(field.name.end));
    let (Some(first), Some(last)) = (field.items.first(), field.items.last()) else {
        let prefix = prefix(text, None, text::line_end(text, field.value.end));
        let lines: String = bullets.iter().map(|text| format!("{eol}{}", bullet(&prefix, text, eol))).collect();
        // A line that follows at once would go on with the last bullet.
        let apart = if field.last || bullets.is_empty() { "" } else { eol };
        edits.push((start..field.value.end.max(start), format!("{lines}{apart}")));
        return;
    };
    if !field.value.is_empty() {
        edits.push((start..field.value.end, String::new()));
    }
    let prefix = prefix(text, Some(last.clone()), text::line_end(text, last.end));
    let lines: Vec<_> = bullets.iter().map(|text| bullet(&prefix, text, eol)).collect();
    edits.push((text::line_start(text, first.start)..last.end, lines.join(eol)));
}

fn artifacts(text: &str, heading: usize, items: &[Range<usize>], bullets: &[String], edits: &mut Vec<Edit>) {
    let label = |text: &str| text.split(':').next().unwrap_or(text).trim().to_lowercase();
    let eol = text::eol(text, heading);
    let Some(last) = items.last() else {
        let prefix = prefix(text, None, text::line_end(text, heading));
        let lines: Vec<_> = bullets.iter().map(|bullet| format!("{prefix}{}", item(bullet))).collect();
        if !lines.is_empty() {
            edits.push(after_heading(text, heading, &lines.join(eol)));
        }
        return;
    };
    let prefix = prefix(text, Some(last.clone()), text::line_end(text, last.end));
    let mut added = String::new();
    for bullet in bullets {
        let written = item(bullet);
        let inner = |span: &Range<usize>| super::entries::item_text(text, span.clone());
        let old = items.iter().map(inner).find(|span| label(&text[span.clone()]) == label(&written));
        match old {
            Some(span) => edits.push((span, written)),
            None => added.push_str(&format!("{eol}{prefix}{written}")),
        }
    }
    if !added.is_empty() {
        edits.push((last.end..last.end, added));
    }
}

/// What stands before a bullet's text: as before the last item, or `- `. The block that follows
/// must not become part of the bullet, so it must not be indented as far as the bullet's text.
fn prefix(text: &str, last: Option<Range<usize>>, after: usize) -> String {
    let like = last.map(|item| {
        let start = text::line_start(text, item.start);
        (text[start..item.start].to_owned(), text[item.start..].chars().next().unwrap_or('-'))
    });
    let (indent, marker) =
        like.filter(|(i, m)| i.trim().is_empty() && "-*+".contains(*m)).unwrap_or((String::new(), '-'));
    let next = text::skip_blank(text, after);
    let next = text[next..].chars().take_while(|c| *c == ' ').count();
    if next >= indent.len() + 2 { format!("   {marker} ") } else { format!("{indent}{marker} ") }
}

/// A bullet: its first line as text, and those below as a block of code that they can't close.
fn bullet(prefix: &str, plain: &str, eol: &str) -> String {
    let (first, rest) = plain.split_once('\n').unwrap_or((plain, ""));
    let mut out = format!("{prefix}{}", item(first));
    let shown = |line: &str| line.chars().filter(|c| *c == '\t' || !(c.is_control() || turns(*c))).collect::<String>();
    let lines: Vec<String> = rest.lines().map(shown).filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return out;
    }
    let longest = lines.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
    let (fence, indent) = ("`".repeat(3.max(longest + 1)), " ".repeat(prefix.chars().count()));
    for line in [fence.as_str()].into_iter().chain(lines.iter().map(String::as_str)).chain([fence.as_str()]) {
        out.push_str(&format!("{eol}{indent}{line}"));
    }
    out
}

/// Characters that hide or reorder others.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Text as one line of markdown in which nothing of it becomes markup: no code, HTML, link or
/// table, and no character that hides or reorders others.
fn inline(plain: &str) -> String {
    let mut out = String::with_capacity(plain.len());
    let mut chars = plain.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if turns(c) => {}
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            '\\' | '`' | '[' | '|' => {
                out.push('\\');
                out.push(c);
            }
            '<' if chars.peek().is_some_and(|n| n.is_ascii_alphabetic() || "/!?".contains(*n)) => out.push_str("\\<"),
            c => out.push(c),
        }
    }
    out.trim().to_owned()
}

/// Text as a list item: inline, and nothing at its start that opens a block.
fn item(plain: &str) -> String {
    let text = inline(plain);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if text.is_empty() {
        "–".to_owned()
    } else if text.starts_with(['#', '>', '-', '+', '*', '=', '~', '_']) {
        format!("\\{text}")
    } else if digits > 0 && text[digits..].starts_with(['.', ')']) {
        format!("{}\\{}", &text[..digits], &text[digits..])
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_printed_is_a_block_of_code_that_it_cannot_close() {
        let text = "B: out\nError: ```\n\n## x\u{1b}[2J\n  at y";
        assert_eq!(bullet("- ", text, "\n"), "- B: out\n  ````\n  Error: ```\n  ## x[2J\n    at y\n  ````");
        assert_eq!(bullet("* ", "one line\n \n", "\r\n"), "* one line");
    }

    #[test]
    fn text_from_outside_becomes_no_markup() {
        assert_eq!(inline("a`b` <script> | [x](y)\r\nz < 100 ms"), "a\\`b\\` \\<script> \\| \\[x](y) z < 100 ms");
        assert_eq!(inline("\u{1b}[31mred\u{202e}"), "\\[31mred");
        assert_eq!(item("# no heading"), "\\# no heading");
        assert_eq!(item("1. no list"), "1\\. no list");
        assert_eq!(item("1.5 is a number"), "1\\.5 is a number");
        assert_eq!(item(" "), "–");
    }
}
