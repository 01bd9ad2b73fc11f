//! Units by name, with what they are units of. A name that can be meant in two ways is refused with both.

use super::dimension::Dimension;
use super::error::QuantityError;
use super::exact::Exact;

const ONE: Exact = Exact::decimal(1, 0);
const SIXTY: Exact = Exact::decimal(6, 1);
const HOUR: Exact = Exact::decimal(36, 2);
/// A sixtieth: a third of a twentieth.
const A_MINUTE: Exact = Exact::third(5, -2);

const fn ten(power: i16) -> Exact {
    Exact::decimal(1, power)
}

/// Unit names with their dimension and size in the dimension's base unit (s, 1/s, B, %, 1).
const UNITS: &[(&str, Dimension, Exact)] = &[
    ("ns", Dimension::Time, ten(-9)),
    ("us", Dimension::Time, ten(-6)),
    ("µs", Dimension::Time, ten(-6)),
    ("μs", Dimension::Time, ten(-6)),
    ("ms", Dimension::Time, ten(-3)),
    ("s", Dimension::Time, ONE),
    ("sec", Dimension::Time, ONE),
    ("second", Dimension::Time, ONE),
    ("seconds", Dimension::Time, ONE),
    ("min", Dimension::Time, SIXTY),
    ("minute", Dimension::Time, SIXTY),
    ("minutes", Dimension::Time, SIXTY),
    ("h", Dimension::Time, HOUR),
    ("hour", Dimension::Time, HOUR),
    ("hours", Dimension::Time, HOUR),
    ("/s", Dimension::Rate, ONE),
    ("/sec", Dimension::Rate, ONE),
    ("req/s", Dimension::Rate, ONE),
    ("req/sec", Dimension::Rate, ONE),
    ("rps", Dimension::Rate, ONE),
    ("requests/s", Dimension::Rate, ONE),
    ("requests/sec", Dimension::Rate, ONE),
    ("ops/s", Dimension::Rate, ONE),
    ("ops/sec", Dimension::Rate, ONE),
    ("/min", Dimension::Rate, A_MINUTE),
    ("req/min", Dimension::Rate, A_MINUTE),
    ("requests/min", Dimension::Rate, A_MINUTE),
    ("ops/min", Dimension::Rate, A_MINUTE),
    ("B", Dimension::Bytes, ONE),
    ("byte", Dimension::Bytes, ONE),
    ("bytes", Dimension::Bytes, ONE),
    ("kB", Dimension::Bytes, ten(3)),
    ("KB", Dimension::Bytes, ten(3)),
    ("MB", Dimension::Bytes, ten(6)),
    ("GB", Dimension::Bytes, ten(9)),
    ("TB", Dimension::Bytes, ten(12)),
    ("KiB", Dimension::Bytes, Exact::decimal(1 << 10, 0)),
    ("MiB", Dimension::Bytes, Exact::decimal(1 << 20, 0)),
    ("GiB", Dimension::Bytes, Exact::decimal(1 << 30, 0)),
    ("TiB", Dimension::Bytes, Exact::decimal(1 << 40, 0)),
    ("%", Dimension::Percent, ONE),
    ("", Dimension::Count, ONE),
    ("instr", Dimension::Count, ONE),
    ("instructions", Dimension::Count, ONE),
];

/// The unit of this name. Case does not matter where it can change nothing.
pub(super) fn find(unit: &str) -> Result<(Dimension, Exact), QuantityError> {
    let unit = unit.trim();
    let exact = UNITS.iter().find(|(name, ..)| *name == unit);
    if exact.is_none()
        && let Some(error) = ambiguous(unit)
    {
        return Err(error);
    }
    let loose = || UNITS.iter().find(|(name, ..)| !name.is_empty() && name.eq_ignore_ascii_case(unit));
    match exact.or_else(loose) {
        Some(&(_, dimension, size)) => Ok((dimension, size)),
        None => Err(QuantityError::UnknownUnit { unit: unit.to_owned(), near: nearest(unit) }),
    }
}

/// Names with two meanings, and what to write for each.
const UNCLEAR: &[(&str, &str, &str, &str)] = &[
    ("m", "minutes", "milliseconds", "write `min` or `ms`"),
    ("M", "millions", "megabytes", "write the number in full, or `MB`; minutes are `min`"),
    ("k", "thousands", "kilobytes", "write the number in full, or `kB`"),
    ("K", "thousands", "kilobytes", "write the number in full, or `kB`"),
    ("g", "billions", "gigabytes", "write the number in full, or `GB`"),
    ("G", "billions", "gigabytes", "write the number in full, or `GB`"),
    ("t", "trillions", "terabytes", "write the number in full, or `TB`"),
    ("T", "trillions", "terabytes", "write the number in full, or `TB`"),
    ("Ms", "milliseconds", "megaseconds", "write `ms`"),
    ("MS", "milliseconds", "megaseconds", "write `ms`"),
    ("mB", "megabytes", "thousandths of a byte", "write `MB`"),
];

fn ambiguous(unit: &str) -> Option<QuantityError> {
    let error = |one: String, other: String, instead: String| QuantityError::AmbiguousUnit {
        unit: unit.to_owned(),
        one,
        other,
        instead,
    };
    if let Some((_, one, other, instead)) = UNCLEAR.iter().find(|(name, ..)| *name == unit) {
        return Some(error((*one).to_owned(), (*other).to_owned(), (*instead).to_owned()));
    }
    // A lower-case b is a bit to those who tell bits from bytes, and a byte to others.
    let lower = unit.to_ascii_lowercase();
    let spelled = ["bits", "bit"].iter().find_map(|word| lower.strip_suffix(word));
    let prefix = spelled.or_else(|| unit.strip_suffix('b').map(|rest| &lower[..rest.len()]))?;
    let (name, bytes) = match prefix {
        "" => ("", "B"),
        "k" => ("kilo", "kB"),
        "m" => ("mega", "MB"),
        "g" => ("giga", "GB"),
        "t" => ("tera", "TB"),
        "ki" => ("kibi", "KiB"),
        "mi" => ("mebi", "MiB"),
        "gi" => ("gibi", "GiB"),
        "ti" => ("tebi", "TiB"),
        _ => return None,
    };
    let instead = format!("write `{bytes}` for {name}bytes; for bits, an eighth of the number with `{bytes}`");
    Some(error(format!("{name}bits"), format!("{name}bytes"), instead))
}

fn nearest(unit: &str) -> Option<String> {
    // Distances of long texts take time and memory, and no unit is near them.
    if unit.len() > 24 {
        return None;
    }
    let lower = unit.to_ascii_lowercase();
    UNITS
        .iter()
        .filter(|(name, ..)| !name.is_empty())
        .map(|(name, ..)| (strsim::damerau_levenshtein(&lower, &name.to_ascii_lowercase()), *name))
        .filter(|(distance, name)| *distance <= 2 && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_matters_only_where_it_can_mean_something() {
        for (loose, unit) in
            [("REQ/S", "req/s"), ("Hours", "hours"), ("Sec", "s"), ("kib", ""), ("KIB", "KiB"), ("gB", "GB")]
        {
            assert_eq!(find(loose).ok(), find(unit).ok().filter(|_| !unit.is_empty()), "{loose}");
        }
    }

    #[test]
    fn bits_and_bytes_are_never_taken_for_each_other() {
        for unit in [
            "b", "kb", "Kb", "mb", "Mb", "gb", "Gb", "tb", "Tb", "kib", "Mib", "Gib", "bit", "Mbit", "Gbit", "kbits",
            "MBit",
        ] {
            let error = find(unit).unwrap_err().to_string();
            assert!(error.contains("bits or as ") && error.contains("bytes: write `"), "{unit}: {error}");
        }
        assert_eq!(
            find("Mb").unwrap_err().to_string(),
            "`Mb` can be read as megabits or as megabytes: write `MB` for megabytes; for bits, an eighth of the number with `MB`"
        );
    }

    #[test]
    fn a_lone_prefix_is_refused_with_both_readings() {
        for unit in ["m", "M", "k", "K", "g", "G", "t", "T", "Ms", "MS", "mB"] {
            assert!(matches!(find(unit), Err(QuantityError::AmbiguousUnit { .. })), "{unit}");
        }
        assert_eq!(
            find("m").unwrap_err().to_string(),
            "`m` can be read as minutes or as milliseconds: write `min` or `ms`"
        );
    }

    #[test]
    fn an_unknown_unit_names_the_nearest_one() {
        assert_eq!(find("mss").unwrap_err().to_string(), "unknown unit `mss`, did you mean `ms`?");
    }

    #[test]
    fn every_unit_has_its_own_name_and_is_read_by_it() {
        for (at, (name, dimension, size)) in UNITS.iter().enumerate() {
            assert_eq!(find(name), Ok((*dimension, *size)));
            assert!(UNITS[..at].iter().all(|(other, ..)| other != name), "{name}");
        }
    }
}
