//! Diagnostics with stable codes: what is wrong in a document, where, and what to do.
//!
//! How they are printed is `ui::diagnostics`' work; `docs/diagnostics.md` has a section for each code.

use std::fmt;
use std::ops::Range;

/// The longest message in bytes.
const LONGEST: usize = 400;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The document can't run.
    Error,
    /// The document can run, and probably does not say what its author means.
    Warning,
    /// Nothing is wrong; something may do less than it seems to.
    Note,
}

impl Severity {
    /// `error`, `warning` or `note`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Declares the codes once: name, number, title. Numbers from 100 to 199 are warnings, those from 300 on notes.
macro_rules! codes {
    ($($name:ident = $number:literal, $title:literal;)*) => {
        /// What a finding is about. A number is never given to another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Code {
            $(#[doc = $title] $name = $number,)*
        }

        impl Code {
            /// Every code, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it is about, in one line.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }
        }
    };
}

codes! {
    NotUtf8 = 1, "the document is not UTF-8";
    Empty = 2, "the document is empty";
    NoTitle = 3, "the document has no title";
    NoId = 4, "the Blueprint ID is missing";
    FieldTwice = 5, "duplicate header field";
    FieldsDisagree = 6, "front matter and header fields disagree";
    FrontMatter = 7, "the front matter can't be read";
    Status = 8, "the status is missing or unknown";
    Mode = 9, "the mode is unknown";
    NoVariants = 10, "no variants";
    VariantCount = 11, "the number of variants does not fit the mode";
    WeightSum = 12, "scoring weights do not sum to 100 %";
    VariantTwice = 13, "duplicate variant";
    VariantHeading = 14, "a variant's heading can't be read";
    Bound = 15, "a metric's bound can't be read";
    MetricNamed = 16, "a metric's name can't be used";
    MetricTwice = 17, "duplicate metric";
    Weights = 18, "scoring weights are missing or can't be read";
    FilePath = 19, "a file pattern is not allowed";
    Contract = 20, "the diff contract is unknown";
    UnknownVariant = 21, "a work item names a variant that does not exist";
    Budget = 22, "a budget line can't be read";
    CapOrder = 23, "the step cap is greater than the session cap";
    SectionTwice = 24, "duplicate section";
    Command = 25, "a test command can't be run as written";
    Approval = 26, "the approval is not a digest";
    VariantName = 27, "two variants come to the same name";
    NoResults = 28, "there is no place for results";
    Total = 101, "a Total is not the weighted sum of its row";
    DoubleEncoded = 102, "double-encoded text";
    Winners = 103, "more than one winner mark";
    NoMetrics = 104, "no metrics";
    NoteMatchesNothing = 105, "a weight's note matches no metric";
    OpenFence = 106, "sections vanish into a code block that is never closed";
    NoFiles = 107, "a work item names no files";
    NoTests = 108, "no tests";
    IdleGate = 109, "a gate covers no test";
    Unbound = 201, "nothing binds a test that is written as prose";
    NoSource = 202, "a metric has no source";
    Dimension = 203, "a bound and its metric's source differ in dimension";
    ProseNote = 301, "a weight's note is prose";
}

impl Code {
    /// The number after `BP`.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// Whether it stops a run.
    pub fn severity(self) -> Severity {
        match self.number() {
            100..200 => Severity::Warning,
            300.. => Severity::Note,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BP{:03}", self.number())
    }
}

/// Words at a place of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Bytes of the document.
    pub span: Range<usize>,
    /// What is there.
    pub text: String,
}

/// A change that `check --fix` makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What it does.
    pub description: String,
    /// Bytes to replace, in source order, none overlapping.
    pub edits: Vec<(Range<usize>, String)>,
}

/// A finding in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What it is about.
    pub code: Code,
    /// What is wrong, with names and numbers.
    pub message: String,
    /// The bytes it is about; empty where it is about what is missing.
    pub span: Range<usize>,
    /// Words at that span; may be empty.
    pub label: String,
    /// Other places that matter.
    pub labels: Vec<Label>,
    /// What to do next.
    pub help: Vec<String>,
    /// What `check --fix` would do.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// A finding at a place.
    pub fn new(code: Code, span: Range<usize>, message: impl Into<String>) -> Self {
        let mut message = message.into();
        // What is quoted may be a line of megabytes.
        if message.len() > LONGEST {
            message.truncate(message.floor_char_boundary(LONGEST));
            message.push('…');
        }
        Self { code, message, span, label: String::new(), labels: Vec::new(), help: Vec::new(), fix: None }
    }

    /// Whether it stops a run.
    pub fn is_error(&self) -> bool {
        self.severity() == Severity::Error
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// Adds words at its own place.
    #[must_use]
    pub fn says(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn also(mut self, span: Range<usize>, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Adds a change that makes it go away.
    #[must_use]
    pub fn fixed_by(mut self, description: impl Into<String>, edits: Vec<(Range<usize>, String)>) -> Self {
        self.fix = Some(Fix { description: description.into(), edits });
        self
    }
}

/// `, did you mean \`x\`?` for the nearest of the known names, or nothing.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    // Distances of long names take time and memory, and suggest nothing.
    if name.len() > 64 {
        return String::new();
    }
    let lower = name.to_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
    let near = known.into_iter().map(|candidate| (distance(candidate), candidate)).min_by_key(|(d, _)| *d);
    match near {
        Some((distance, candidate)) if distance * 3 <= candidate.chars().count().max(3) => {
            format!(", did you mean `{candidate}`?")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_no_number_is_given_twice() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
        assert_eq!(Code::WeightSum.to_string(), "BP012");
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        assert_eq!(suggestion("Aproved", ["approved", "pending"]), ", did you mean `approved`?");
        assert_eq!(suggestion("zebra", ["approved", "pending"]), "");
    }
}
