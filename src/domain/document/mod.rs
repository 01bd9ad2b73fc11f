//! The document: bytes, the plan read from them, and the places that the tool may write.
//!
//! Reading takes structure from pulldown-cmark (`outline`) and values from the raw text. Writing
//! replaces named regions; every other byte stays as it is.

mod bind;
mod budget;
mod compare;
mod encoding;
mod entries;
mod evaluation;
mod header;
mod outline;
mod regions;
mod rewrite;
mod scoring;
mod table;
mod text;
mod variants;

use std::ops::Range;

use sha2::{Digest, Sha256};

pub use bind::Bindings;
pub use compare::{changed_lines, same_outside_regions};
pub use outline::SectionName;
pub use regions::Regions;
pub use table::ResultRow;

use entries::Entry;
use header::Header;
use outline::Outline;
use regions::Places;

use super::diagnostic::{Code, Diagnostic};
use super::plan::{Plan, Question};

/// A document that was read and is valid.
#[derive(Debug, Clone)]
pub struct Document {
    source: String,
    plan: Plan,
    places: Places,
    /// Where the plan's tests and metrics stand, in the plan's order.
    tests: Vec<Range<usize>>,
    metrics: Vec<Range<usize>>,
    warnings: Vec<Diagnostic>,
}

/// What `check --fix` can do without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The document with the fixes made.
    pub bytes: Vec<u8>,
    /// What was done, in the order of the findings.
    pub descriptions: Vec<String>,
}

impl Document {
    /// Reads a document. The error holds every finding, warnings too, in the order of the source.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Diagnostic>> {
        let source = std::str::from_utf8(bytes).map_err(|error| vec![not_utf8(bytes, &error)])?;
        if source.trim_start_matches('\u{feff}').trim().is_empty() {
            let finding = Diagnostic::new(Code::Empty, 0..0, "the document is empty")
                .help("`blueprint new \"<title>\"` writes one to start from");
            return Err(vec![finding]);
        }
        let outline = Outline::read(source);
        let mut found = Vec::new();
        structure(source, &outline, &mut found);
        encoding::check(source, &mut found);
        let header = Header::read(source, &outline, &mut found);
        let tests = evaluation::tests(source, &outline, &mut found);
        let metrics = evaluation::metrics(source, &outline, &mut found);
        let (tests, test_places) = tests.into_iter().unzip();
        let (metrics, metric_places) = metrics.into_iter().unzip();
        let plan = plan(source, &outline, &header, (tests, metrics), &mut found);
        let places = Places::find(source, &outline, header);
        places.check(source, &outline, &plan.variants, &mut found);
        // A sum by weights that are wrong is wrong itself.
        let weighed = !found.iter().any(|f| matches!(f.code, Code::Weights | Code::WeightSum));
        if let Some(table) = places.table.as_ref().filter(|_| weighed) {
            scoring::table(source, table, &plan.weights, &mut found);
        }
        found.sort_by_key(|finding| (finding.span.start, finding.span.end, finding.code));
        if found.iter().any(Diagnostic::is_error) {
            return Err(found);
        }
        drop(outline);
        let source = source.to_owned();
        Ok(Self { source, plan, places, tests: test_places, metrics: metric_places, warnings: found })
    }

    /// What it plans.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its bytes.
    pub fn source(&self) -> &[u8] {
        self.source.as_bytes()
    }

    /// What it probably does not mean to say, and notes, in the order of the source.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The same bytes with these regions written anew.
    pub fn rewrite(&self, regions: &Regions) -> Vec<u8> {
        rewrite::apply(self.source(), rewrite::edits(&self.source, &self.places, regions))
    }

    /// The same bytes with `Approved: <digest>` and the status `approved` in the header.
    pub fn with_approval(&self, digest: &str) -> Vec<u8> {
        rewrite::apply(self.source(), rewrite::approval(&self.source, &self.places.header, digest))
    }

    /// The SHA-256 in hex of everything outside the regions that the tool writes, which are the
    /// lines of Status, Updated and Approved, all of Results and Artifacts, Winner and Analysis.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        self.outside().for_each(|part| hasher.update(part));
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The run that wrote its end into the regions, by the last one's id.
    pub fn run(&self) -> Option<&str> {
        let item = |span: &Range<usize>| &self.source[entries::item_text(&self.source, span.clone())];
        let analysis = self.places.analysis.iter().flat_map(|field| &field.items).map(item);
        let artifacts = self.places.artifacts.iter().flat_map(|(_, items)| items).map(item);
        let mut told = analysis.filter_map(|text| text.strip_prefix("Run: "));
        let mut listed = artifacts.filter_map(|text| text.strip_prefix("Run ")?.split(':').next());
        listed.rfind(|id| is_run(id)).or_else(|| told.rfind(|id| is_run(id)))
    }

    /// The parts outside of all regions.
    fn outside(&self) -> impl Iterator<Item = &str> {
        self.places.outside(self.source.len()).map(|span| &self.source[span])
    }
}

/// Whether a text is a run's id: `yyyymmdd-hhmmss-<4 hex>`.
fn is_run(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let digits = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    let hex = |part: &str| part.len() == 4 && part.bytes().all(|b| b.is_ascii_hexdigit());
    matches!(parts.as_slice(), [day, time, mark] if digits(day, 8) && digits(time, 6) && hex(mark))
}

/// Whether a file is meant to be a blueprint at all, however wrong: it has a Blueprint ID, or a section that nothing
/// but a blueprint has. Notes that lie among documents have neither.
pub fn is_blueprint(bytes: &[u8]) -> bool {
    let source = String::from_utf8_lossy(bytes);
    let outline = Outline::read(&source);
    let header = Header::read(&source, &outline, &mut Vec::new());
    let own = [SectionName::Approach, SectionName::WorkItems, SectionName::Evaluation, SectionName::Scoring];
    header.all(header::Name::Id).next().is_some() || own.iter().any(|name| outline.section(*name).is_some())
}

/// The bytes with the findings' fixes made; also for a document that has errors besides.
pub fn fixed(source: &[u8], findings: &[Diagnostic]) -> Fixed {
    let fixes = || findings.iter().filter_map(|finding| finding.fix.as_ref());
    let edits = fixes().flat_map(|fix| fix.edits.iter().cloned()).collect();
    Fixed { bytes: rewrite::apply(source, edits), descriptions: fixes().map(|fix| fix.description.clone()).collect() }
}

fn not_utf8(bytes: &[u8], error: &std::str::Utf8Error) -> Diagnostic {
    let at = error.valid_up_to();
    let line = bytes[..at].iter().filter(|b| **b == b'\n').count() + 1;
    let length = error.error_len().unwrap_or(bytes.len() - at);
    let message = format!("the document is not UTF-8: invalid byte 0x{:02x} at offset {at}, line {line}", bytes[at]);
    Diagnostic::new(Code::NotUtf8, at..at + length, message).help("save it as UTF-8")
}

/// Title, sections that stand twice, and a fence that swallows sections.
fn structure(text: &str, outline: &Outline, found: &mut Vec<Diagnostic>) {
    if outline.title.as_ref().is_none_or(Range::is_empty) {
        let start = text.len() - text.trim_start_matches('\u{feff}').len();
        let line = text::lines(text, start..text.len()).next().unwrap_or(start..start);
        found.push(Diagnostic::new(Code::NoTitle, line, "the document has no title").help("start it with `# <title>`"));
    }
    for (at, section) in outline.sections.iter().enumerate() {
        if let Some(first) = outline.sections[..at].iter().find(|s| s.name == section.name) {
            let heading = text::trim(text, section.heading.clone());
            let name = text[heading.clone()].trim_matches(['#', ' ']).lines().next().unwrap_or_default();
            let finding = Diagnostic::new(Code::SectionTwice, heading, format!("duplicate section `{name}`"))
                .also(text::trim(text, first.heading.clone()), "first here")
                .help("put both into one section");
            found.push(finding);
        }
    }
    if let Some(fence) = &outline.open_fence {
        let line = text::lines(text, fence.clone()).next().unwrap_or(fence.clone());
        let finding = Diagnostic::new(
            Code::OpenFence,
            line,
            "the code block is never closed, and the sections below are part of it",
        )
        .help("close it with a line of the same three characters");
        found.push(finding);
    }
}

fn plan(
    text: &str,
    outline: &Outline,
    header: &Header,
    (tests, metrics): (Vec<super::plan::EvaluationTest>, Vec<super::plan::MetricBound>),
    found: &mut Vec<Diagnostic>,
) -> Plan {
    let title = outline.title.clone().map_or_else(String::new, |span| text::flow(&text[span]));
    let mode = header.mode(text, found);
    let variants = variants::variants(text, outline, mode, &title, found);
    Plan {
        id: header.id(text, found),
        status: header.status(text, found),
        approved: header.approved(text, found),
        mode,
        goal: outline.section(SectionName::Goal).map_or_else(String::new, |s| text::flow(&text[s.body.clone()])),
        assumptions: bullets(text, outline, SectionName::Assumptions),
        questions: bullets(text, outline, SectionName::Questions).into_iter().map(question).collect(),
        work_items: variants::work_items(text, outline, &variants, &title, found),
        weights: scoring::weights(text, outline, (&tests, &metrics), found),
        budget: budget::budget(text, outline, found),
        rollback: rollback(text, outline),
        title,
        variants,
        tests,
        metrics,
    }
}

fn bullets(text: &str, outline: &Outline, name: SectionName) -> Vec<String> {
    let said = outline.section(name).map(|section| entries::entries(text, &section.blocks)).unwrap_or_default();
    let items = said.into_iter().filter_map(|entry| if let Entry::Item(item) = entry { Some(item) } else { None });
    items.map(|item| text::flow(&text[entries::item_text(text, item)])).collect()
}

/// `question? (default: value)`.
fn question(bullet: String) -> Question {
    let open = bullet.rfind("(default:").or_else(|| bullet.rfind("(Default:"));
    match (open, bullet.strip_suffix(')')) {
        (Some(open), Some(inner)) => Question {
            text: bullet[..open].trim().to_owned(),
            default: Some(inner[open + "(default:".len()..].trim().to_owned()),
        },
        _ => Question { text: bullet, default: None },
    }
}

/// The first fenced block of the Rollback Plan.
fn rollback(text: &str, outline: &Outline) -> Option<String> {
    let said = entries::entries(text, &outline.section(SectionName::Rollback)?.blocks);
    said.into_iter().find_map(|entry| match entry {
        Entry::Fence(_, content) => Some(text[content].replace("\r\n", "\n")),
        _ => None,
    })
}
