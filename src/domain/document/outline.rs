//! The outline: top-level blocks of a document, gathered by section. Structure is pulldown-cmark's
//! judgement, so that what stands in code blocks, comments, quotes and list items is no structure.
//!
//! A large document is read in windows, because the tree of a whole one takes many times its size.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag};

use super::text;

/// What is parsed at once, in bytes, unless a single block is larger.
const WINDOW: usize = 1 << 19;

/// One block at the top level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub kind: Kind,
    pub span: Range<usize>,
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// With its level and the span of its text.
    Heading(u8, Range<usize>),
    Paragraph,
    /// The spans of its items, markers included, white space at the ends not.
    List(Vec<Range<usize>>),
    Table,
    Fence,
    Html,
    /// Quotes, rules, indented code.
    Other,
}

/// The sections that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum SectionName {
    Goal,
    Assumptions,
    Questions,
    Approach,
    WorkItems,
    Evaluation,
    Scoring,
    Budget,
    Rollback,
    Artifacts,
}

impl SectionName {
    /// The section of that heading, compared without case and markup.
    fn of(heading: &str) -> Option<Self> {
        Some(match text::normal(heading).as_str() {
            "goal" => Self::Goal,
            "assumptions" => Self::Assumptions,
            "clarifying questions" => Self::Questions,
            "approach" => Self::Approach,
            "work items" => Self::WorkItems,
            "evaluation criteria" => Self::Evaluation,
            "competition scoring" => Self::Scoring,
            "budget" => Self::Budget,
            "rollback plan" => Self::Rollback,
            "artifacts" => Self::Artifacts,
            _ => return None,
        })
    }
}

/// A known section.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub name: SectionName,
    /// Its heading, with the line ending.
    pub heading: Range<usize>,
    /// From the heading's end to the next section or the end.
    pub body: Range<usize>,
    pub blocks: Vec<Block>,
}

/// Everything that later readings look at.
#[derive(Debug, Clone, Default)]
pub(super) struct Outline {
    /// The lines between the `---` of a YAML front matter.
    pub front_matter: Option<Range<usize>>,
    /// The text of the first heading of level 1.
    pub title: Option<Range<usize>>,
    /// Blocks before the first section.
    pub header: Vec<Block>,
    pub sections: Vec<Section>,
    /// A fence that is never closed although sections follow in it.
    pub open_fence: Option<Range<usize>>,
}

impl Outline {
    /// Reads the outline of a document, which may start with a byte order mark.
    pub fn read(text: &str) -> Self {
        let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut outline = Self::default();
        let front_matter = front_matter(text, start);
        let body = front_matter.as_ref().map_or(start, |(_, after)| *after);
        outline.front_matter = front_matter.map(|(inner, _)| inner);
        let mut in_header = true;
        let mut keep = false;
        blocks(text, body, |block| {
            match &block.kind {
                Kind::Heading(1, title) if outline.title.is_none() => {
                    outline.title = Some(title.clone());
                    in_header = outline.sections.is_empty() && in_header;
                    keep = false;
                    return;
                }
                Kind::Heading(1 | 2, name) => {
                    in_header = false;
                    let name = SectionName::of(&text[name.clone()]);
                    keep = name.is_some();
                    outline.close(block.span.start);
                    if let Some(name) = name {
                        let heading = block.span.start..text::line_end(text, block.span.end.saturating_sub(1));
                        let body = heading.end..text.len();
                        outline.sections.push(Section { name, heading, body, blocks: Vec::new() });
                    }
                    return;
                }
                Kind::Fence if is_open_fence(text, &block.span) => outline.open_fence = Some(block.span.clone()),
                _ => {}
            }
            if in_header {
                outline.header.push(block);
            } else if let (true, Some(section)) = (keep, outline.sections.last_mut()) {
                section.blocks.push(block);
            }
        });
        outline
    }

    /// Ends the section before this place, unless another heading ended it.
    fn close(&mut self, at: usize) {
        if let Some(section) = self.sections.last_mut() {
            section.body.end = section.body.end.min(at);
        }
    }

    /// The first section of that name.
    pub fn section(&self, name: SectionName) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

impl Section {
    /// Its blocks by heading of level 3; first those before any.
    pub fn groups(&self) -> Vec<Group<'_>> {
        let heading = |block: &&Block| matches!(block.kind, Kind::Heading(3, _));
        let starts: Vec<usize> = (0..self.blocks.len()).filter(|i| heading(&&self.blocks[*i])).collect();
        let first = starts.first().copied().unwrap_or(self.blocks.len());
        let end = self.blocks.get(first).map_or(self.body.end, |next| next.span.start);
        let mut groups = vec![Group { heading: None, blocks: &self.blocks[..first], end }];
        for (n, start) in starts.iter().enumerate() {
            let stop = starts.get(n + 1).copied().unwrap_or(self.blocks.len());
            let end = self.blocks.get(stop).map_or(self.body.end, |next| next.span.start);
            let block = &self.blocks[*start];
            if let Kind::Heading(_, title) = &block.kind {
                let heading = Some((block.span.clone(), title.clone()));
                groups.push(Group { heading, blocks: &self.blocks[start + 1..stop], end });
            }
        }
        groups
    }
}

/// A heading of level 3 with what follows it.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// The heading's span and its text's.
    pub heading: Option<(Range<usize>, Range<usize>)>,
    pub blocks: &'a [Block],
    /// Where the next group or section begins.
    pub end: usize,
}

impl Group<'_> {
    /// Whether its heading is this one, compared without case.
    pub(super) fn is_named(&self, text: &str, name: &str) -> bool {
        self.heading.as_ref().is_some_and(|(_, inner)| text::normal(&text[inner.clone()]) == name)
    }
}

/// A YAML front matter: the lines between its markers, and where the document goes on.
fn front_matter(text: &str, start: usize) -> Option<(Range<usize>, usize)> {
    let first = text::line_end(text, start);
    if text[start..first].trim_end() != "---" {
        return None;
    }
    let mut at = first;
    while at < text.len() {
        let end = text::line_end(text, at);
        if matches!(text[at..end].trim_end(), "---" | "...") {
            return Some((first..at, end));
        }
        at = end;
    }
    None
}

/// Hands out the top-level blocks from `start` on.
fn blocks(text: &str, start: usize, mut sink: impl FnMut(Block)) {
    let (mut at, mut window) = (start, WINDOW);
    while at < text.len() {
        let end = cut(text, at, window);
        let mut found = window_blocks(text, at..end);
        let mut next = end;
        // A fence or an HTML block may go on behind the window: it is read again from its start.
        let open = found.last().filter(|b| matches!(b.kind, Kind::Fence | Kind::Html));
        if let Some(open) = open.filter(|b| end < text.len() && text[b.span.end.min(end)..end].trim().is_empty()) {
            next = open.span.start;
            if next == at {
                window *= 2;
                continue;
            }
            found.pop();
        }
        found.into_iter().for_each(&mut sink);
        (at, window) = (next, WINDOW);
    }
}

/// The end of a window: a line's start at which nothing but a fence or an HTML block can be open.
fn cut(text: &str, at: usize, window: usize) -> usize {
    let bytes = text.as_bytes();
    let Some(mut line) = at.checked_add(window).filter(|from| *from < bytes.len()) else { return bytes.len() };
    let limit = line.saturating_add(8 * window);
    let mut blank = false;
    let mut first = true;
    while line < bytes.len() {
        let end = bytes[line..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| line + n + 1);
        if !first {
            let starts = &bytes[line..end];
            let plain = starts.first().is_some_and(|b| !b.is_ascii_whitespace());
            let bullet = starts.starts_with(b"- ") && starts[2..].iter().any(|b| b.is_ascii_alphanumeric());
            // Past the limit any line will do: only a table of megabytes gets here.
            if plain && (blank || bullet || starts[0] == b'#' || line > limit) {
                return line;
            }
            blank = starts.iter().all(u8::is_ascii_whitespace);
        }
        first = false;
        line = end;
    }
    bytes.len()
}

/// The top-level blocks of one window.
fn window_blocks(text: &str, window: Range<usize>) -> Vec<Block> {
    let base = window.start;
    let mut found: Vec<Block> = Vec::new();
    let mut depth = 0_usize;
    for (event, span) in Parser::new_ext(&text[window], Options::ENABLE_TABLES).into_offset_iter() {
        let span = span.start + base..span.end + base;
        match event {
            Event::Start(tag) => {
                match (depth, found.last_mut()) {
                    (0, _) => found.push(Block { kind: kind(&tag, &span), span }),
                    (1, Some(Block { kind: Kind::List(items), .. })) => items.push(text::trim(text, span)),
                    (_, Some(Block { kind: Kind::Heading(_, inner), .. })) => widen(inner, &span),
                    _ => {}
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Rule if depth == 0 => found.push(Block { kind: Kind::Other, span }),
            _ => {
                if let Some(Block { kind: Kind::Heading(_, inner), .. }) = found.last_mut() {
                    widen(inner, &span);
                }
            }
        }
    }
    for block in &mut found {
        if let Kind::Heading(_, inner) = &mut block.kind
            && inner.start > inner.end
        {
            // A heading without text.
            *inner = block.span.start..block.span.start;
        }
    }
    found
}

fn kind(tag: &Tag<'_>, span: &Range<usize>) -> Kind {
    match tag {
        Tag::Heading { level, .. } => Kind::Heading(rank(*level), span.end..span.start),
        Tag::Paragraph => Kind::Paragraph,
        Tag::List(_) => Kind::List(Vec::new()),
        Tag::Table(_) => Kind::Table,
        Tag::CodeBlock(CodeBlockKind::Fenced(_)) => Kind::Fence,
        Tag::HtmlBlock => Kind::Html,
        _ => Kind::Other,
    }
}

fn rank(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

/// A heading's text is what its inner events cover; it starts inside out.
fn widen(inner: &mut Range<usize>, span: &Range<usize>) {
    inner.start = inner.start.min(span.start);
    inner.end = inner.end.max(span.end);
}

/// Whether the fence has no end although a heading of a known section stands in it.
fn is_open_fence(text: &str, span: &Range<usize>) -> bool {
    if !text[span.end..].trim().is_empty() {
        return false;
    }
    let block = text[span.clone()].trim();
    let mark = if block.starts_with('~') { '~' } else { '`' };
    let length = block.len() - block.trim_start_matches(mark).len();
    let last = block.lines().next_back().unwrap_or_default().trim();
    let closed = block.lines().nth(1).is_some() && last.len() >= length && last.chars().all(|c| c == mark);
    !closed && block.lines().any(|line| line.strip_prefix("## ").is_some_and(|name| SectionName::of(name).is_some()))
}

/// The lines inside a fenced block.
pub(super) fn fence_content(text: &str, span: Range<usize>) -> Range<usize> {
    let start = text::line_end(text, span.start);
    let end = text::trim(text, span.clone()).end;
    let last = text::line_start(text, end);
    let line = text[last..end].trim();
    let closed = last >= start && !line.is_empty() && line.chars().all(|c| c == '`' || c == '~');
    start.min(end)..if closed { last } else { end.max(start.min(end)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headings(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        blocks(text, 0, |block| {
            if let Kind::Heading(_, inner) = block.kind {
                found.push(&text[inner]);
            }
        });
        found
    }

    #[test]
    fn headings_in_fences_comments_quotes_and_items_are_no_headings() {
        let text = "# T\n\n```\n## A\n```\n\n<!--\n## B\n\n## B2\n-->\n\n> ## C\n\n- ## D\n\n## E ##\n";
        assert_eq!(headings(text), ["T", "E"]);
    }

    #[test]
    fn windows_do_not_change_what_is_found() {
        let filler = "word word word\n\n- item\n- item\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n".repeat(3 * WINDOW / 60);
        let fence = format!("```\n{}\n```\n", "## not\n\ntext\n\n".repeat(2 * WINDOW / 14));
        let text = format!("# T\n\n{filler}## A\n\n{fence}\n## B\n\n{filler}## C\n");
        assert_eq!(headings(&text), ["T", "A", "B", "C"]);
    }

    #[test]
    fn the_content_of_a_fence_is_what_stands_between_its_lines() {
        for (text, inner) in [("```sh\na\nb\n```\n", "a\nb\n"), ("```\n```", ""), ("~~~\na", "a"), ("```", "")] {
            assert_eq!(&text[fence_content(text, 0..text.len())], inner, "{text}");
        }
    }

    #[test]
    fn a_front_matter_needs_both_of_its_lines() {
        let outline = Outline::read("\u{feff}---\r\nstatus: approved\r\n---\r\n# T\r\n");
        assert!(outline.front_matter.is_some() && outline.title.is_some());
        assert!(Outline::read("---\nstatus: approved\n# T\n").front_matter.is_none());
    }
}
