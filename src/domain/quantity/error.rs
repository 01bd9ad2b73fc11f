//! Why a text is no quantity, bound or duration.

use super::dimension::Dimension;

/// Why a text is not a quantity, a bound or a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No number where one must stand.
    #[error("`{0}` does not start with a number")]
    NoNumber(String),
    /// A number that can't be held.
    #[error("`{0}` is not a finite number")]
    NotFinite(String),
    /// A number that could only be held rounded.
    #[error("`{0}` has more digits than can be compared exactly")]
    Digits(String),
    /// A number whose separators can be meant in another way, or in one that is not read.
    #[error("`{written}` {}", meanings(.readings))]
    Separator {
        /// As written.
        written: String,
        /// What it may mean, without separators; at least one.
        readings: Vec<String>,
    },
    /// A unit nobody knows.
    #[error("unknown unit `{unit}`{}", hint(.near))]
    UnknownUnit {
        /// As written.
        unit: String,
        /// The nearest known one.
        near: Option<String>,
    },
    /// A unit that can be meant in more than one way.
    #[error("`{unit}` can be read as {one} or as {other}: {instead}")]
    AmbiguousUnit {
        /// As written.
        unit: String,
        /// One of its meanings.
        one: String,
        /// Another.
        other: String,
        /// What to write instead of it.
        instead: String,
    },
    /// No comparator at the start of a bound.
    #[error("`{0}` does not start with one of `<`, `<=`, `>`, `>=`")]
    NoComparator(String),
    /// A sign before a limit that is no percentage.
    #[error(
        "`{written}` can be read as {plain} or as a difference from the baseline: write `{plain}` without a sign, or a \
         percentage with one, such as `+1%`"
    )]
    Signed {
        /// As written.
        written: String,
        /// Without its sign.
        plain: String,
    },
    /// A quantity compared with one of another dimension.
    #[error("{left} can't be compared with {right}")]
    Dimensions {
        /// The value's.
        left: Dimension,
        /// The limit's.
        right: Dimension,
    },
    /// A limit relative to the baseline without a baseline value.
    #[error("the bound is relative to the baseline, which has no value")]
    NoBaseline,
}

fn hint(near: &Option<String>) -> String {
    near.as_ref().map(|n| format!(", did you mean `{n}`?")).unwrap_or_default()
}

fn meanings(readings: &[String]) -> String {
    match readings {
        [one, other] => format!("can be read as {one} or as {other}: write `{one}` or `{other}`"),
        all => format!("has separators that are not read: write `{}`", all.join("` or `")),
    }
}
