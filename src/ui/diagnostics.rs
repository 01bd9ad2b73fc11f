//! Diagnostics as text: for people, as JSON, and as annotations of a GitHub workflow.
//!
//! Nothing here looks at more of a document than the lines that a finding is about, so that a
//! finding in a large document costs no more than one in a small one.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::domain::diagnostic::{Diagnostic, Severity};

/// Bytes of one line that are shown; longer ones are cut around the finding.
const WIDE: usize = 400;
/// Places that are so many lines apart are shown as one piece.
const NEAR: usize = 8;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A place as editors count it: both from 1, columns in characters, a byte order mark not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    line: usize,
    column: usize,
}

/// Counts lines; places that come in order are counted on from the last one.
struct Lines<'a> {
    source: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(source: &'a [u8]) -> Self {
        Self { source, at: 0, line: 1 }
    }

    fn line(&mut self, offset: usize) -> usize {
        if offset < self.at {
            (self.at, self.line) = (0, 1);
        }
        let offset = offset.min(self.source.len());
        self.line += self.source[self.at..offset].iter().filter(|b| **b == b'\n').count();
        self.at = offset;
        self.line
    }

    fn position(&mut self, offset: usize) -> Position {
        let offset = offset.min(self.source.len());
        let start = line_start(self.source, offset);
        let column = String::from_utf8_lossy(&self.source[start..offset.max(start)]).chars().count() + 1;
        Position { line: self.line(offset), column }
    }
}

/// Where the line of this byte begins, behind a byte order mark.
fn line_start(source: &[u8], offset: usize) -> usize {
    let before = &source[..offset.min(source.len())];
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    if start == 0 && source.starts_with(BOM) { BOM.len() } else { start }
}

/// Where the line of this byte ends, without its line ending.
fn line_end(source: &[u8], offset: usize) -> usize {
    let offset = offset.min(source.len());
    let end = source[offset..].iter().position(|b| *b == b'\n').map_or(source.len(), |n| offset + n);
    if end > offset && source[end - 1] == b'\r' { end - 1 } else { end }
}

/// Diagnostics in rustc's look, each followed by an empty line. An empty text where there are none.
pub fn human(diagnostics: &[Diagnostic], path: &str, source: &[u8], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut lines = Lines::new(source);
    let mut out = String::new();
    for diagnostic in diagnostics {
        let level = match diagnostic.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.to_string());
        let elements = pieces(diagnostic, path, source, &mut lines);
        let help = diagnostic.help.iter().map(|text| Element::from(Level::HELP.message(text.as_str())));
        let group: Group<'_> = title.elements(elements.into_iter().chain(help));
        out.push_str(&renderer.render(&[group]));
        out.push_str("\n\n");
    }
    out
}

/// One annotated place.
struct Mark<'a> {
    span: Range<usize>,
    text: &'a str,
    primary: bool,
}

/// The parts of the source that a diagnostic is about: its own place first.
fn pieces<'a>(diagnostic: &'a Diagnostic, path: &'a str, source: &[u8], lines: &mut Lines<'_>) -> Vec<Element<'a>> {
    if source.is_empty() {
        return vec![Origin::path(path).into()];
    }
    // What goes over several lines is shown by its first.
    let clipped = |span: &Range<usize>| {
        let start = span.start.min(source.len());
        let start = if start < BOM.len() { line_start(source, start).min(source.len()) } else { start };
        start..span.end.min(line_end(source, start)).max(start)
    };
    let own = Mark { span: clipped(&diagnostic.span), text: &diagnostic.label, primary: true };
    let more = diagnostic.labels.iter().map(|l| Mark { span: clipped(&l.span), text: &l.text, primary: false });
    let mut groups: Vec<Vec<Mark<'a>>> = vec![vec![own]];
    for mark in more {
        let line = lines.line(mark.span.start);
        let near = groups.iter_mut().find(|group| {
            let wide = |mark: &Mark<'_>| line_end(source, mark.span.start) - line_start(source, mark.span.start) > WIDE;
            let close = group.iter().any(|m| lines.line(m.span.start).abs_diff(line) <= NEAR);
            close && !wide(&mark) && !group.iter().any(wide)
        });
        match near {
            Some(group) => group.push(mark),
            None => groups.push(vec![mark]),
        }
    }
    groups.into_iter().flat_map(|group| piece(&group, path, source, lines)).collect()
}

/// The lines that hold these marks, with the marks.
fn piece<'a>(marks: &[Mark<'a>], path: &'a str, source: &[u8], lines: &mut Lines<'_>) -> Vec<Element<'a>> {
    let first = marks.iter().map(|m| m.span.start).min().unwrap_or(0);
    let last = marks.iter().map(|m| m.span.end).max().unwrap_or(first);
    let (mut start, mut end) = (line_start(source, first), line_end(source, last));
    let is_cut = marks.len() == 1 && end - start > WIDE;
    if is_cut {
        start = start.max(boundary(source, first.saturating_sub(WIDE / 4)));
        end = end.min(boundary(source, (last + WIDE / 4).min(first + WIDE)));
    }
    let mut text = String::new();
    let mut places: Vec<usize> = Vec::new();
    let mut stops: Vec<usize> = marks.iter().flat_map(|m| [m.span.start, m.span.end.min(end)]).collect();
    stops.sort_unstable();
    stops.dedup();
    let mut at = start;
    // Replaced bytes change the length, so the text is put together between the marks' ends.
    for stop in &stops {
        text.push_str(&String::from_utf8_lossy(&source[at..*stop]));
        places.push(text.len());
        at = *stop;
    }
    text.push_str(&String::from_utf8_lossy(&source[at..end.max(at)]));
    let place = |offset: usize| places[stops.binary_search(&offset.min(end)).unwrap_or(0)];
    let position = lines.position(marks[0].span.start);
    let mut snippet = Snippet::source(text).line_start(lines.line(start)).fold(true);
    if !is_cut {
        snippet = snippet.path(path);
    }
    for mark in marks {
        let kind = if mark.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let label = (!mark.text.is_empty()).then_some(mark.text);
        snippet = snippet.annotation(kind.span(place(mark.span.start)..place(mark.span.end)).label(label));
    }
    if is_cut {
        let origin = Origin::path(path).line(position.line).char_column(position.column);
        vec![origin.into(), snippet.into()]
    } else {
        vec![snippet.into()]
    }
}

/// The nearest start of a character at or before this byte.
fn boundary(source: &[u8], offset: usize) -> usize {
    let mut at = offset.min(source.len());
    while at > 0 && at < source.len() && source[at] & 0xc0 == 0x80 {
        at -= 1;
    }
    at
}

#[derive(Serialize)]
struct Record<'a> {
    code: String,
    severity: &'static str,
    message: &'a str,
    path: &'a str,
    line: usize,
    column: usize,
    span: [usize; 2],
    label: &'a str,
    labels: Vec<LabelRecord<'a>>,
    help: &'a [String],
    fix: Option<FixRecord<'a>>,
}

#[derive(Serialize)]
struct LabelRecord<'a> {
    line: usize,
    column: usize,
    span: [usize; 2],
    text: &'a str,
}

#[derive(Serialize)]
struct FixRecord<'a> {
    description: &'a str,
    edits: Vec<EditRecord<'a>>,
}

#[derive(Serialize)]
struct EditRecord<'a> {
    span: [usize; 2],
    text: &'a str,
}

/// A document with what was found in it.
pub struct Checked {
    /// As it was named.
    pub path: String,
    /// Its bytes.
    pub source: Vec<u8>,
    /// What was found.
    pub found: Vec<Diagnostic>,
}

#[derive(Serialize)]
struct Findings<'a> {
    schema_version: u32,
    diagnostics: Vec<Record<'a>>,
}

/// Everything that was found in some documents as one JSON document. Lines and columns count from
/// 1, columns in characters; spans are bytes, the end not included.
pub fn json(documents: &[Checked]) -> String {
    let diagnostics = documents.iter().flat_map(records).collect();
    serde_json::to_string_pretty(&Findings { schema_version: 1, diagnostics }).unwrap_or_default() + "\n"
}

fn records(document: &Checked) -> Vec<Record<'_>> {
    let mut lines = Lines::new(&document.source);
    document.found.iter().map(|finding| record(finding, &document.path, &mut lines)).collect()
}

fn record<'a>(d: &'a Diagnostic, path: &'a str, lines: &mut Lines<'_>) -> Record<'a> {
    let span = |span: &Range<usize>| [span.start, span.end];
    let at = lines.position(d.span.start);
    let labels = d.labels.iter().map(|label| {
        let at = lines.position(label.span.start);
        LabelRecord { line: at.line, column: at.column, span: span(&label.span), text: &label.text }
    });
    let labels = labels.collect();
    let fix = d.fix.as_ref().map(|fix| FixRecord {
        description: &fix.description,
        edits: fix.edits.iter().map(|(at, text)| EditRecord { span: span(at), text }).collect(),
    });
    Record {
        code: d.code.to_string(),
        severity: d.severity().as_str(),
        message: &d.message,
        path,
        line: at.line,
        column: at.column,
        span: span(&d.span),
        label: &d.label,
        labels,
        help: &d.help,
        fix,
    }
}

/// Diagnostics as workflow commands, one a line, which GitHub shows at the lines they are about.
pub fn github(diagnostics: &[Diagnostic], path: &str, source: &[u8]) -> String {
    let mut lines = Lines::new(source);
    let mut out = String::new();
    for d in diagnostics {
        let from = lines.position(d.span.start);
        let to = lines.position(d.span.end);
        let mut properties = format!("file={},line={},col={}", property(path), from.line, from.column);
        // GitHub wants columns only where both are on one line.
        if from.line == to.line && to.column > from.column {
            properties.push_str(&format!(",endLine={},endColumn={}", to.line, to.column));
        }
        let words = [&d.message, &d.label].into_iter().filter(|text| !text.is_empty()).cloned();
        let help = d.help.iter().map(|text| format!("help: {text}"));
        let text = words.chain(help).collect::<Vec<_>>().join("\n");
        let level = match d.severity() {
            // What GitHub calls it.
            Severity::Note => "notice",
            other => other.as_str(),
        };
        out.push_str(&format!("::{level} {properties},title={}::{}\n", property(&d.code.to_string()), data(&text)));
    }
    out
}

/// A workflow command's text, in which `%` and line ends would be read as something else.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A workflow command's property, in which `:` and `,` would end it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::diagnostic::Code;

    fn finding(source: &[u8], about: &[u8]) -> Diagnostic {
        let at = source.windows(about.len()).position(|w| w == about).unwrap();
        Diagnostic::new(Code::WeightSum, at..at + about.len(), "scoring weights sum to 90 %, not 100 %")
    }

    fn shown(source: &[u8], about: &[u8]) -> String {
        human(&[finding(source, about).says("here")], "docs/cache.md", source, false)
    }

    #[test]
    fn a_finding_looks_like_one_of_rustc() {
        let source = b"# Cache\n\n### Weights\n\n- Performance: 20% (p95 latency)\n";
        let one = finding(source, b"Performance: 20% (p95 latency)").help("add 10 % to a criterion");
        insta::assert_snapshot!(human(&[one], "docs/blueprints/cache.md", source, false), @r#"
        error[BP012]: scoring weights sum to 90 %, not 100 %
         --> docs/blueprints/cache.md:5:3
          |
        5 | - Performance: 20% (p95 latency)
          |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: add 10 % to a criterion
        "#);
    }

    #[test]
    fn places_near_one_another_are_one_piece_and_far_ones_are_two() {
        let far = "\n".repeat(30);
        let source = format!("first\n\nsecond\n{far}third\n").into_bytes();
        let span = |text: &[u8]| finding(&source, text).span;
        let one = finding(&source, b"second").also(span(b"first"), "near").also(span(b"third"), "far");
        insta::assert_snapshot!(human(&[one], "x.md", &source, false), @r#"
        error[BP012]: scoring weights sum to 90 %, not 100 %
          --> x.md:3:1
           |
         1 | first
           | ----- near
         2 |
         3 | second
           | ^^^^^^
           |
          ::: x.md:34:1
           |
        34 | third
           | ----- far
        "#);
    }

    #[test]
    fn tabs_wide_characters_byte_order_marks_and_both_line_endings_keep_the_mark_in_place() {
        insta::assert_snapshot!(shown("\u{feff}\t勝者 bad\r\nnext\r\n".as_bytes(), b"bad"), @r#"
        error[BP012]: scoring weights sum to 90 %, not 100 %
         --> docs/cache.md:1:5
          |
        1 |     勝者 bad
          |          ^^^ here
        "#);
        assert_eq!(Lines::new("\u{feff}ab".as_bytes()).position(4), Position { line: 1, column: 2 });
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_replaced() {
        insta::assert_snapshot!(shown(b"# T\nab\xff\xfecd\n", b"\xff"), @r#"
        error[BP012]: scoring weights sum to 90 %, not 100 %
         --> docs/cache.md:2:3
          |
        2 | ab��cd
          |   ^ here
        "#);
    }

    #[test]
    fn a_line_of_megabytes_is_cut_around_its_finding() {
        let source = format!("# T\n{}bad{}\n", "é".repeat(1_000_000), "x".repeat(1_000_000)).into_bytes();
        let text = shown(&source, b"bad");
        assert!(text.len() < 2_000, "{} bytes", text.len());
        assert!(text.contains("docs/cache.md:2:1000001"), "{text}");
    }

    #[test]
    fn an_empty_document_has_a_place_too() {
        let one = Diagnostic::new(Code::Empty, 0..0, "the document is empty");
        insta::assert_snapshot!(human(&[one], "x.md", b"", false), @r#"
        error[BP002]: the document is empty
        --> x.md
        "#);
    }

    #[test]
    fn json_holds_everything_that_people_see() {
        let source = "\u{feff}é bad\n".as_bytes();
        let one = finding(source, b"bad")
            .says("here")
            .also(3..5, "and here")
            .help("x")
            .fixed_by("good", vec![(6..9, "good".to_owned())]);
        let checked = Checked { path: "x.md".to_owned(), source: source.to_vec(), found: vec![one] };
        insta::assert_snapshot!(json(&[checked]), @r#"
        {
          "schema_version": 1,
          "diagnostics": [
            {
              "code": "BP012",
              "severity": "error",
              "message": "scoring weights sum to 90 %, not 100 %",
              "path": "x.md",
              "line": 1,
              "column": 3,
              "span": [
                6,
                9
              ],
              "label": "here",
              "labels": [
                {
                  "line": 1,
                  "column": 1,
                  "span": [
                    3,
                    5
                  ],
                  "text": "and here"
                }
              ],
              "help": [
                "x"
              ],
              "fix": {
                "description": "good",
                "edits": [
                  {
                    "span": [
                      6,
                      9
                    ],
                    "text": "good"
                  }
                ]
              }
            }
          ]
        }
        "#);
    }

    #[test]
    fn annotations_of_a_workflow_are_escaped() {
        let source = b"a\nbad\n";
        let one = finding(source, b"bad").help("one\ntwo");
        insta::assert_snapshot!(github(&[one], "a,b:c%.md", source), @"::error file=a%2Cb%3Ac%25.md,line=2,col=1,endLine=2,endColumn=4,title=BP012::scoring weights sum to 90 %25, not 100 %25%0Ahelp: one%0Atwo");
    }
}
