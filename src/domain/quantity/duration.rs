//! Durations as people write and read them.

use std::time::Duration;

use super::dimension::Dimension;
use super::error::QuantityError;
use super::number;
use super::unit;

/// Reads `30 minutes`, `2h`, `90 s` or `1h 30m`. Here `m` are minutes: nothing else is a time.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let (number, tail) = number::split(rest)?;
        let tail = tail.trim_start();
        let end = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
        let unit = match &tail[..end] {
            "m" => "min",
            other => other,
        };
        let (dimension, size) = unit::find(unit)?;
        if dimension != Dimension::Time {
            return Err(QuantityError::Dimensions { left: dimension, right: Dimension::Time });
        }
        total += number.get() * size.get();
        rest = tail[end..].trim_start();
    }
    if text.trim().is_empty() {
        return Err(QuantityError::NoNumber(text.to_owned()));
    }
    Duration::try_from_secs_f64(total).map_err(|_| QuantityError::NotFinite(text.to_owned()))
}

/// `1 h 02 min`, `3 min 20 s`, `12.4 s` or `35 ms`.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        3600.. => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        60.. if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        60.. => format!("{} min {:02} s", seconds / 60, seconds % 60),
        1.. => format!("{:.1} s", duration.as_secs_f64()),
        0 => format!("{} ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(parse_duration("60 minutes").unwrap(), Duration::from_secs(3600));
        assert_eq!(parse_duration("1h 30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(parse_duration("0.1 s").unwrap(), Duration::from_millis(100));
        assert!(parse_duration("5 bytes").is_err());
        assert!(parse_duration("").is_err());
    }

    #[test]
    fn a_duration_with_two_readings_is_refused() {
        for text in ["1,500 s", "1 000 s", "5M", "1h 1,5 min"] {
            let error = parse_duration(text).unwrap_err().to_string();
            assert!(error.contains("can be read as"), "{text}: {error}");
        }
    }
}
