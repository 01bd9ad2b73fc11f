//! What measuring yields: readings, slices and blocks. Values are quantities, so `NaN` can't occur.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::key::VariantKey;
use super::quantity::Quantity;

/// A metric's name, such as `query_latency_p95`: letters, digits, `_`, `-`, `.` and `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MetricName(Arc<str>);

impl MetricName {
    /// The name, or `None` where the text can't be one.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b))
            && text.as_bytes()[0].is_ascii_alphanumeric();
        fits.then(|| Self(text.into()))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MetricName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text).ok_or_else(|| format!("`{text}` can't be a metric's name"))
    }
}

impl From<MetricName> for String {
    fn from(name: MetricName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who is measured: the base commit itself, one of the variants, or the base commit once more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Contender {
    /// The base commit.
    Baseline,
    /// A variant's harvested commit.
    Variant(VariantKey),
    /// The base commit in a second tree: no candidate, but what tells whether the harness treats
    /// two identical trees alike.
    Shadow,
}

impl Contender {
    /// The variant's key, or `None` for the baseline and its shadow.
    pub fn key(&self) -> Option<&VariantKey> {
        match self {
            Self::Baseline | Self::Shadow => None,
            Self::Variant(key) => Some(key),
        }
    }

    /// The form used in paths and names: the variant's slug, `baseline`, or `shadow`.
    pub fn slug(&self) -> String {
        match self {
            Self::Baseline => "baseline".to_owned(),
            Self::Shadow => "shadow".to_owned(),
            Self::Variant(key) => {
                let slug = key.slug();
                // A variant may be called "baseline"; the prefix keeps the two apart. So may one be called
                // "v-baseline", and has one more.
                let bare = slug.trim_start_matches("v-");
                if ["baseline", "shadow"].contains(&bare) { format!("v-{slug}") } else { slug }
            }
        }
    }

    /// What its programs are told as `BLUEPRINT_VARIANT`: the variant's key as the document writes
    /// it, `baseline`, or `shadow`. The shadow has a name of its own as a variant has, so that a
    /// harness that treats the baseline's apart is found out.
    pub fn told(&self) -> String {
        match self {
            Self::Baseline | Self::Shadow => self.slug(),
            Self::Variant(key) => key.to_string(),
        }
    }

    /// Whose facts that do not vary (tests, exact metrics) count for it: the shadow has the baseline's.
    pub(super) fn stands_for(&self) -> &Self {
        match self {
            Self::Shadow => &Self::Baseline,
            own => own,
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Baseline => f.pad("baseline"),
            Self::Shadow => f.pad("shadow baseline"),
            Self::Variant(key) => f.pad(key.as_str()),
        }
    }
}

impl From<Contender> for String {
    fn from(contender: Contender) -> Self {
        match contender {
            Contender::Baseline => "@baseline".to_owned(),
            Contender::Shadow => "@shadow".to_owned(),
            Contender::Variant(key) => key.into(),
        }
    }
}

impl TryFrom<String> for Contender {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "@baseline" => Ok(Self::Baseline),
            "@shadow" => Ok(Self::Shadow),
            _ => VariantKey::try_from(text).map(Self::Variant),
        }
    }
}

/// One metric's value in one slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Which metric.
    pub metric: MetricName,
    /// Its value; finite and not negative.
    pub value: Quantity,
    /// How many observations stand behind the value.
    pub observations: u64,
    /// Which work the program says it timed itself, where the source tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
}

/// What a program that times itself says of the work behind a value, and what its tool does beside it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// How often the work was done in the time that is reported, one time after another.
    pub times: f64,
    /// How long that took in all, in seconds.
    pub spent: f64,
    /// How much time the report tells of in all, with the other benchmarks in it; in seconds.
    pub told: f64,
    /// How much more the tool may do without telling than beside another program, in seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub apart: f64,
    /// Whether the tool starts the program anew for each observation, so that it has no start of its own in
    /// what is not told.
    #[serde(skip_serializing_if = "is_false")]
    pub anew: bool,
    /// Whether the tool can be asked for fewer observations.
    #[serde(skip_serializing_if = "is_false")]
    pub shortens: bool,
    /// Whether it was.
    #[serde(skip_serializing_if = "is_false")]
    pub brief: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// The priority at which programs are measured, the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Ours.
    Usual,
    /// This nice value, above ours.
    Nice(i32),
    /// The lowest real-time priority, taking turns.
    RealTime,
}

impl Timing {
    /// With the priority that it was taken at.
    #[must_use]
    pub fn at(self, priority: Priority) -> Self {
        let (nice, real_time) = match priority {
            Priority::Usual => (None, false),
            Priority::Nice(nice) => (Some(nice), false),
            Priority::RealTime => (None, true),
        };
        Self { nice, real_time, ..self }
    }

    /// The priority that it was taken at.
    pub fn priority(&self) -> Priority {
        match self.nice {
            _ if self.real_time => Priority::RealTime,
            Some(nice) => Priority::Nice(nice),
            None => Priority::Usual,
        }
    }
}

/// What a slice cost the machine, taken outside the measured process. What a machine can't tell
/// is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Timing {
    /// Elapsed.
    pub wall: Duration,
    /// User and system time of everything that belongs to the slice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Duration>,
    /// How long its threads and processes could have run and had no core, all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    /// How much of the CPU time is that of those who told their waits; less than 95 % leave `delay` unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<Duration>,
    /// The nice value at which it ran, where that was raised above our own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<i32>,
    /// Whether it ran in real time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub real_time: bool,
    /// CPU time of everything else meanwhile, all cores together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<Duration>,
    /// Time that a hypervisor took from the cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steal: Option<Duration>,
    /// Time in which anything on the machine waited for a core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Duration>,
    /// The most that requests which this machine sent late added to a latency of the slice; absent where
    /// nothing was sent on a schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<Duration>,
}

/// What was read of one metric of a contender among these slices, with its slice.
pub fn read<'a>(slices: &'a [Slice], who: &Contender, metric: &MetricName) -> Option<(&'a Slice, &'a Reading)> {
    let own = slices.iter().filter(|slice| slice.contender == *who);
    let mut read = own.flat_map(|slice| slice.readings.iter().map(move |reading| (slice, reading)));
    read.find(|(_, reading)| reading.metric == *metric)
}

/// One contender's turn in a block at one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Whose turn.
    pub contender: Contender,
    /// Which source was asked.
    pub source: String,
    /// The lane that it ran in; absent where contenders are measured one after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<u32>,
    /// What it said.
    pub readings: Vec<Reading>,
    /// What it cost.
    pub timing: Timing,
    /// The metric whose value is the slice's own time, where there is one: by which clock is for
    /// `domain::timed` to choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<MetricName>,
    /// What the measured work answered, where the source tells: the same for everyone whose work is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// A metric that is measured without anybody looking at what the measured work answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unchecked {
    /// Which.
    pub metric: MetricName,
    /// What lets its answers be compared with the baseline's.
    pub remedy: String,
}

impl Unchecked {
    /// All of them in a sentence without a full stop; `None` of nobody.
    pub fn sentence<'a>(all: impl IntoIterator<Item = &'a Self>) -> Option<String> {
        let named: Vec<_> = all.into_iter().map(|one| format!("{} ({})", one.metric, one.remedy)).collect();
        (!named.is_empty()).then(|| {
            let named = named.join(", ");
            format!("nobody checks what is answered while this is measured, so that a variant is fast by skipping work: {named}")
        })
    }
}

/// What the outputs of one block's slices say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outputs {
    /// Nobody's differs.
    Agree,
    /// One contender's differs from the baseline's, which is right by definition.
    Wrong {
        /// Whose.
        contender: Contender,
        /// Which source told.
        source: String,
        /// What differs.
        message: String,
    },
    /// They differ, and the baseline, which would settle it, had no turn at this source.
    Disputed {
        /// Which.
        source: String,
    },
}

/// Compares outputs source by source. A baseline that tells none leaves nothing to compare.
pub fn compare_outputs(slices: &[Slice]) -> Outputs {
    let told = |slice: &Slice| slice.output.as_ref().map_or("nothing".to_owned(), |text| format!("`{text}`"));
    let of_baseline = |source: &str| slices.iter().find(|s| s.source == source && s.contender == Contender::Baseline);
    for slice in slices {
        let source = &slice.source;
        match of_baseline(source) {
            Some(right) if right.output.is_some() && right.output != slice.output => {
                let (found, expected) = (told(slice), told(right));
                let message = format!("the output differs from the baseline's: {found} instead of {expected}");
                return Outputs::Wrong { contender: slice.contender.clone(), source: source.clone(), message };
            }
            None if slices.iter().any(|other| other.source == *source && other.output != slice.output) => {
                return Outputs::Disputed { source: source.clone() };
            }
            _ => {}
        }
    }
    Outputs::Agree
}

/// One round: a slice per survivor and source, in an order shuffled from the run's seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// From 0; block 0 is warm-up and is never counted.
    pub index: u32,
    /// In the order in which they were taken.
    pub slices: Vec<Slice>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(outputs: &[(&str, Option<&str>)]) -> Vec<Slice> {
        let slice = |(who, output): &(&str, Option<&str>)| Slice {
            contender: Contender::try_from((*who).to_owned()).unwrap(),
            source: "lookups".to_owned(),
            lane: None,
            readings: Vec::new(),
            timing: Timing::default(),
            own: None,
            output: output.map(str::to_owned),
        };
        outputs.iter().map(slice).collect()
    }

    #[test]
    fn who_answers_otherwise_than_the_baseline_is_named_whatever_the_order() {
        for all in [[("A", "x"), ("B", "y"), ("@baseline", "x")], [("@baseline", "x"), ("B", "y"), ("A", "x")]] {
            let Outputs::Wrong { contender, source, message } =
                compare_outputs(&slices(&all.map(|(who, text)| (who, Some(text)))))
            else {
                panic!("{all:?}")
            };
            assert_eq!((contender.to_string(), source.as_str()), ("B".to_owned(), "lookups"));
            assert_eq!(message, "the output differs from the baseline's: `y` instead of `x`");
        }
    }

    #[test]
    fn who_tells_nothing_where_the_baseline_does_is_wrong_too() {
        let found = compare_outputs(&slices(&[("A", None), ("@baseline", Some("x"))]));
        assert!(matches!(found, Outputs::Wrong { message, .. } if message.contains("nothing instead of `x`")));
    }

    #[test]
    fn outputs_without_one_of_the_baseline_can_agree_or_be_disputed() {
        let of = |outputs: &[(&str, Option<&str>)]| compare_outputs(&slices(outputs));
        assert_eq!(of(&[("A", Some("x")), ("B", Some("x"))]), Outputs::Agree);
        assert_eq!(of(&[("A", Some("x")), ("B", Some("y"))]), Outputs::Disputed { source: "lookups".to_owned() });
        assert_eq!(of(&[("A", Some("x")), ("B", None)]), Outputs::Disputed { source: "lookups".to_owned() });
        assert_eq!(of(&[("A", Some("x")), ("@baseline", None)]), Outputs::Agree);
        assert_eq!(of(&[("A", None), ("B", None)]), Outputs::Agree);
    }

    #[test]
    fn a_slice_that_was_recorded_without_an_output_can_still_be_read() {
        let mut slice = slices(&[("A", None)]).remove(0);
        let text = serde_json::to_string(&slice).unwrap();
        assert!(!text.contains("output"), "{text}");
        assert_eq!(serde_json::from_str::<Slice>(&text).unwrap(), slice);
        slice.output = Some("x".to_owned());
        assert_eq!(serde_json::from_str::<Slice>(&serde_json::to_string(&slice).unwrap()).unwrap(), slice);
    }

    #[test]
    fn a_contender_is_read_back_as_it_was_written_and_no_variant_takes_the_place_of_the_two_others() {
        for text in ["@baseline", "@shadow", "A", "Shadow", "baseline"] {
            let contender = Contender::try_from(text.to_owned()).unwrap();
            assert_eq!(String::from(contender), text);
        }
        let slug = |text: &str| Contender::try_from(text.to_owned()).unwrap().slug();
        assert_eq!(
            ["@shadow", "Shadow", "@baseline", "baseline", "v-baseline", "v-v_shadow", "v-a"].map(slug),
            ["shadow", "v-shadow", "baseline", "v-baseline", "v-v-baseline", "v-v-v-shadow", "v-a"]
        );
    }
}
