//! The edge at which numbers become readings, or reasons why they can't.

use serde_json::Value;

use super::MetricError;
use crate::adapters::sql::digest;
use crate::domain::measurement::{MetricName, Reading};
use crate::domain::quantity::{Dimension, Quantity};

/// Where a value was found, for messages, such as `line 3 of the metrics file`.
pub type Place<'a> = &'a str;

/// No clock tells less, however many observations are timed together; a little less for rounding.
const NANOSECOND: f64 = 0.999e-9;

fn too_short(seconds: f64, observations: u64) -> String {
    let all = if observations == 1 { String::new() } else { format!(" in {observations} observations") };
    format!("a time of {seconds:.1e} s{all} can't have been measured: clocks tell 1e-9 s")
}

/// A reading in a named unit, if the value can be one.
pub fn reading(
    metric: &MetricName,
    value: f64,
    unit: &str,
    observations: u64,
    place: Place<'_>,
) -> Result<Reading, MetricError> {
    let refuse = |why: String| MetricError::Variant(format!("{metric} ({place}): {why}"));
    if !value.is_finite() {
        return Err(refuse(format!("the value is {value}, not a finite number")));
    }
    let value = Quantity::in_unit(value, unit).map_err(|why| refuse(why.to_string()))?;
    if value.value() < 0.0 {
        return Err(refuse(format!("the value {value} is negative")));
    }
    let impossible = matches!(value.dimension(), Dimension::Time | Dimension::Rate);
    if impossible && value.value() <= 0.0 {
        return Err(refuse(format!("the value is zero, which {} can't be", value.dimension())));
    }
    if observations == 0 {
        return Err(refuse("no observation stands behind the value".to_owned()));
    }
    let time = value.dimension() == Dimension::Time;
    if time && value.value() * (observations as f64) < NANOSECOND {
        return Err(refuse(too_short(value.value(), observations)));
    }
    Ok(Reading { metric: metric.clone(), value, observations, account: None })
}

/// A JSON number as a float, with a message about what stands there instead.
pub fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Number(number) => number.as_f64().ok_or_else(|| format!("`{number}` is not a finite number")),
        Value::String(text) => Err(format!("a number is expected, and the text \"{}\" stands there", clip(text))),
        Value::Null => Err("a number is expected, and null stands there".to_owned()),
        other => Err(format!("a number is expected, and `{}` stands there", clip(&other.to_string()))),
    }
}

/// What a program says that it computed, as one short line: equal where the text is.
pub fn output(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match clip(&line) {
        short if short == line => line,
        short => format!("{short} ({})", digest([line.as_bytes()], 16)),
    }
}

/// Text short enough for a message.
pub(super) fn clip(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(value: f64, unit: &str) -> String {
        let name = MetricName::new("m").unwrap();
        reading(&name, value, unit, 1, "here").unwrap_err().to_string()
    }

    #[test]
    fn values_that_can_not_be_are_refused_with_their_reason() {
        assert_eq!(refused(f64::NAN, "ms"), "m (here): the value is NaN, not a finite number");
        assert_eq!(refused(f64::INFINITY, "ms"), "m (here): the value is inf, not a finite number");
        assert_eq!(refused(-1.0, "B"), "m (here): the value -1 B is negative");
        assert_eq!(refused(0.0, "ms"), "m (here): the value is zero, which a time can't be");
        assert_eq!(refused(0.0, "req/s"), "m (here): the value is zero, which a rate can't be");
        assert_eq!(refused(1.0, "mss"), "m (here): unknown unit `mss`, did you mean `ms`?");
    }

    #[test]
    fn a_time_that_no_clock_can_tell_is_refused_and_one_of_many_observations_together_is_not() {
        assert_eq!(
            refused(1e-300, "ms"),
            "m (here): a time of 1.0e-303 s can't have been measured: clocks tell 1e-9 s"
        );
        assert!(refused(0.5, "ns").contains("a time of 5.0e-10 s can't"));
        let name = MetricName::new("m").unwrap();
        let many = reading(&name, 0.001, "ns", 100, "here").unwrap_err().to_string();
        assert!(many.contains("a time of 1.0e-12 s in 100 observations can't"), "{many}");
        for (value, observations) in [(1.0, 1), (0.25, 4), (0.001, 1_000_000)] {
            reading(&name, value, "ns", observations, "here").unwrap();
        }
        reading(&name, 1e-300, "B", 1, "here").unwrap();
    }

    #[test]
    fn a_long_output_is_cut_and_still_differs_from_another() {
        assert_eq!(output(" 1\n2 "), "1 2");
        let (a, b) = (output(&"x".repeat(100)), output(&"x".repeat(101)));
        assert!(a.len() < 120 && a.starts_with("xxx"), "{a}");
        assert_ne!(a, b);
    }

    #[test]
    fn a_size_a_share_and_a_count_may_be_zero() {
        let name = MetricName::new("m").unwrap();
        for unit in ["B", "%", ""] {
            reading(&name, 0.0, unit, 1, "here").unwrap();
        }
    }
}
