//! Traces as bytes: readable lines about the machine, an empty one, then packed columns.
//!
//! A column holds one number a tick or sample, as the difference to what is expected there, in as few
//! bytes as it takes: 7 bits each, the lowest first. Where a number may be absent, 0 is absence and
//! n + 1 is n. Signed differences alternate: 0, −1, 1, −2, …. All columns together are one zlib stream,
//! whose checksum tells damage.

use std::fmt::Write as _;
use std::io::{Read, Write as _};

use super::{Header, Sample, Tick, Trace};
use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// How a file of ours begins, before the version of its format.
const MAGIC: &str = "blueprint-noise";
/// The version of the format that is written and read.
const FORMAT: &str = "1";
/// More than a day of ticks; whoever claims more did not record them.
const MOST: usize = 20_000_000;
/// Microseconds in 30 years: a number beyond it is damage, and sums of what is below can't overflow.
const LONGEST: u64 = 1 << 50;

/// Why bytes are no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// Something else altogether.
    #[error("it does not begin with `{MAGIC}`, so it was not recorded by `blueprint noise record`")]
    Foreign,
    /// Another version of the format.
    #[error("its format is `{0}`, and this version of blueprint reads {FORMAT}")]
    Version(String),
    /// A line before the columns is missing or wrong.
    #[error("line {line} {what}")]
    Header {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The columns are damaged or cut off.
    #[error("the packed columns, which begin at byte {start}, {what}")]
    Columns {
        /// Where they begin in the file.
        start: usize,
        /// What is wrong with them.
        what: String,
    },
}

impl Trace {
    /// The trace as a file.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.head().into_bytes();
        let mut packer = ZlibEncoder::new(&mut bytes, Compression::best());
        // Writing to memory does not fail.
        let _ = packer.write_all(&self.columns());
        drop(packer);
        bytes
    }

    fn head(&self) -> String {
        let header = &self.header;
        let mut text = format!("{MAGIC} {FORMAT}\n");
        let mut line = |key: &str, value: &str| {
            let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let _ = writeln!(text, "{key}: {}", value.trim());
        };
        line("recorded", &header.recorded.to_string());
        line("version", &header.version);
        line("cores", &header.cores.to_string());
        for (key, value) in [("cpu", &header.cpu), ("kernel", &header.kernel), ("note", &header.note)] {
            if let Some(value) = value {
                line(key, value);
            }
        }
        line("tick", &format!("{} us", header.tick));
        line("ticks", &self.ticks.len().to_string());
        line("samples", &self.samples.len().to_string());
        text.push('\n');
        text
    }

    fn columns(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(5 * self.ticks.len());
        self.ticks.iter().for_each(|tick| put_optional(&mut out, tick.run_delay));
        self.ticks.iter().for_each(|tick| put(&mut out, zigzag(tick.cpu, self.header.tick)));
        self.ticks.iter().for_each(|tick| put(&mut out, zigzag(tick.wall, expected_wall(tick.cpu, tick.run_delay))));
        let mut before = 0;
        for sample in &self.samples {
            put(&mut out, sample.at.saturating_sub(before));
            before = sample.at;
        }
        for of in [|s: &Sample| s.steal, |s: &Sample| s.pressure] {
            let mut before = 0;
            for value in self.samples.iter().map(of) {
                put_optional(&mut out, value.map(|value| zigzag(value, before)));
                before = value.unwrap_or(before);
            }
        }
        self.samples.iter().for_each(|sample| put_optional(&mut out, sample.running));
        out
    }

    /// Reads a file.
    pub fn decode(bytes: &[u8]) -> Result<Self, TraceError> {
        let (mut trace, counts, start) = Lines::read(bytes)?;
        let broken = |what: String| TraceError::Columns { start, what };
        // Three and four columns of at most ten bytes a number; a byte beyond that would be one too many.
        let most = 10 * (3 * counts.0 as u64 + 4 * counts.1 as u64) + 1;
        let mut columns = Vec::new();
        let mut packed = &bytes[start..];
        let read = ZlibDecoder::new(&mut packed).take(most).read_to_end(&mut columns);
        read.map_err(|why| broken(format!("are cut off or damaged: {why}")))?;
        let mut reader = Numbers { bytes: &columns, at: 0, column: "", row: 0 };
        reader.fill(&mut trace, counts).map_err(&broken)?;
        match (columns.len() - reader.at, packed.len()) {
            (0, 0) => Ok(trace),
            (0, rest) => Err(broken(format!("are followed by {rest} bytes that do not belong to them"))),
            (rest, _) => Err(broken(format!("hold {rest} bytes more than their ticks and samples"))),
        }
    }
}

/// Computing and waiting for a CPU is most of what a tick takes.
fn expected_wall(cpu: u64, run_delay: Option<u64>) -> u64 {
    cpu + run_delay.unwrap_or(0)
}

/// The difference of two numbers below 2⁶³ as a small one.
fn zigzag(value: u64, expected: u64) -> u64 {
    if value >= expected { 2 * (value - expected) } else { 2 * (expected - value) - 1 }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_optional(out: &mut Vec<u8>, value: Option<u64>) {
    put(out, value.map_or(0, |value| value + 1));
}

/// The readable lines, one after another.
struct Lines<'a> {
    rest: &'a [u8],
    line: usize,
    start: usize,
}

impl<'a> Lines<'a> {
    /// A trace that still lacks its ticks and samples, how many there are of each, and where the columns begin.
    fn read(bytes: &'a [u8]) -> Result<(Trace, (usize, usize), usize), TraceError> {
        let Some(first) = bytes.strip_prefix(MAGIC.as_bytes()).and_then(|rest| rest.strip_prefix(b" ")) else {
            return Err(TraceError::Foreign);
        };
        let format: Vec<u8> = first.iter().copied().take_while(|b| *b != b'\n').take(20).collect();
        if format != FORMAT.as_bytes() {
            return Err(TraceError::Version(String::from_utf8_lossy(&format).into_owned()));
        }
        let mut lines = Lines { rest: bytes, line: 0, start: 0 };
        lines.next()?;
        let recorded = lines.next()?;
        let recorded = lines.parsed("recorded", lines.required("recorded", recorded)?)?;
        let next = lines.next()?;
        let version = lines.required("version", next)?.to_owned();
        let cores = lines.number("cores")?;
        let mut next = lines.next()?;
        let mut optional = |key| match next.strip_prefix(key).and_then(|rest| rest.strip_prefix(": ")) {
            Some(value) => {
                let value = value.to_owned();
                next = lines.next()?;
                Ok(Some(value))
            }
            None => Ok(None),
        };
        let (cpu, kernel, note) = (optional("cpu")?, optional("kernel")?, optional("note")?);
        let tick = lines.required("tick", next)?;
        let tick = lines.parsed("tick", tick.strip_suffix(" us").unwrap_or(tick))?;
        let (ticks, samples) = (lines.number("ticks")?, lines.number("samples")?);
        if ticks == 0 || ticks > MOST || samples > MOST || tick == 0 || tick > LONGEST {
            return Err(lines.wrong("closes lines whose numbers can't be"));
        }
        if !lines.next()?.is_empty() {
            return Err(lines.wrong("must be empty"));
        }
        let header = Header { recorded, version, cores, cpu, kernel, note, tick };
        Ok((Trace { header, ticks: Vec::new(), samples: Vec::new() }, (ticks, samples), lines.start))
    }

    fn wrong(&self, what: impl Into<String>) -> TraceError {
        TraceError::Header { line: self.line, what: what.into() }
    }

    fn next(&mut self) -> Result<&'a str, TraceError> {
        self.line += 1;
        let Some(end) = self.rest.iter().position(|b| *b == b'\n') else {
            return Err(self.wrong("is cut off"));
        };
        let (line, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        self.start += end + 1;
        std::str::from_utf8(line).map_err(|_| self.wrong("is not UTF-8"))
    }

    fn required(&self, key: &str, line: &'a str) -> Result<&'a str, TraceError> {
        let value = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(": "));
        value.ok_or_else(|| self.wrong(format!("must be `{key}: …`")))
    }

    fn parsed<T: std::str::FromStr>(&self, key: &str, value: &str) -> Result<T, TraceError> {
        value.parse().map_err(|_| self.wrong(format!("has a `{key}` that can't be read")))
    }

    fn number(&mut self, key: &str) -> Result<usize, TraceError> {
        let line = self.next()?;
        self.parsed(key, self.required(key, line)?)
    }
}

/// The numbers of the columns, and where the reader is in them.
struct Numbers<'a> {
    bytes: &'a [u8],
    at: usize,
    column: &'static str,
    row: usize,
}

impl Numbers<'_> {
    fn fill(&mut self, trace: &mut Trace, (ticks, samples): (usize, usize)) -> Result<(), String> {
        let tick = trace.header.tick;
        let delays = self.rows("run delay", ticks, |numbers, _| numbers.optional())?;
        let cpus = self.rows("cpu", ticks, |numbers, _| numbers.near(tick))?;
        let walls = self.rows("wall", ticks, |numbers, i| {
            let wall = numbers.near(expected_wall(cpus[i], delays[i]))?;
            numbers.checked(wall, wall > 0)
        })?;
        let mut end = 0;
        for ((wall, cpu), run_delay) in walls.into_iter().zip(cpus).zip(delays) {
            end += wall;
            self.checked(end, end <= LONGEST)?;
            trace.ticks.push(Tick { wall, cpu, run_delay });
        }
        let mut at = 0;
        let ats = self.rows("sample", samples, |numbers, _| {
            at += numbers.get()?;
            numbers.checked(at, at <= LONGEST)
        })?;
        let steals = self.growing("steal", samples)?;
        let pressures = self.growing("pressure", samples)?;
        let running = self.rows("running", samples, |numbers, _| numbers.optional())?;
        for i in 0..samples {
            trace.samples.push(Sample { at: ats[i], steal: steals[i], pressure: pressures[i], running: running[i] });
        }
        Ok(())
    }

    fn rows<T>(
        &mut self,
        column: &'static str,
        rows: usize,
        mut read: impl FnMut(&mut Self, usize) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.column = column;
        (0..rows)
            .map(|row| {
                self.row = row;
                read(self, row)
            })
            .collect()
    }

    fn growing(&mut self, column: &'static str, rows: usize) -> Result<Vec<Option<u64>>, String> {
        let mut before = 0;
        self.rows(column, rows, |numbers, _| {
            let Some(difference) = numbers.optional()? else { return Ok(None) };
            before = numbers.apart(difference, before)?;
            Ok(Some(before))
        })
    }

    fn checked<T>(&self, value: T, holds: bool) -> Result<T, String> {
        if holds { Ok(value) } else { Err(format!("hold a number that can't be: {} {}", self.column, self.row)) }
    }

    fn get(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let Some(byte) = self.bytes.get(self.at) else {
                return Err(format!("end before {} {}", self.column, self.row));
            };
            self.at += 1;
            self.checked((), shift <= 49)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        self.checked(value, value <= 2 * LONGEST + 2)
    }

    fn optional(&mut self) -> Result<Option<u64>, String> {
        Ok(self.get()?.checked_sub(1))
    }

    fn near(&mut self, expected: u64) -> Result<u64, String> {
        let difference = self.get()?;
        self.apart(difference, expected)
    }

    /// The number that is this far from what is expected.
    fn apart(&self, difference: u64, expected: u64) -> Result<u64, String> {
        let half = difference.div_ceil(2);
        let value = if difference.is_multiple_of(2) { Some(expected + half) } else { expected.checked_sub(half) };
        let value = value.filter(|value| *value <= LONGEST);
        self.checked(value.unwrap_or(0), value.is_some())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures;
    use super::*;

    fn trace() -> Trace {
        let ticks = vec![
            Tick { wall: 5_010, cpu: 5_009, run_delay: Some(0) },
            Tick { wall: 9_000, cpu: 5_020, run_delay: Some(3_979) },
            Tick { wall: 4_990, cpu: 4_990, run_delay: None },
        ];
        let samples = vec![
            Sample { at: 0, steal: Some(0), pressure: Some(0), running: Some(1) },
            Sample { at: 14_000, steal: Some(10_000), pressure: None, running: Some(3) },
        ];
        Trace { header: fixtures::trace(&[]).header, ticks, samples }
    }

    /// These columns below the head of our trace.
    fn packed(columns: &[u8]) -> Vec<u8> {
        let mut packer = ZlibEncoder::new(trace().head().into_bytes(), Compression::fast());
        packer.write_all(columns).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn a_trace_reads_back_as_itself_and_its_head_can_be_read_by_people() {
        let bytes = trace().encode();
        assert_eq!(Trace::decode(&bytes), Ok(trace()));
        let head = bytes.split(|b| *b == b'\n').take(10).map(|l| String::from_utf8_lossy(l)).collect::<Vec<_>>();
        insta::assert_snapshot!(head.join("\n"), @"
        blueprint-noise 1
        recorded: 2026-01-05T08:00:00Z
        version: 0.1.0
        cores: 2
        cpu: Some CPU @ 2.1 GHz
        note: idle
        tick: 5000 us
        ticks: 3
        samples: 2
        ");
    }

    #[test]
    fn what_is_no_trace_is_refused_with_what_and_where() {
        let good = trace().encode();
        let text = |from: &str, to: &str| {
            let at = good.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
            [&good[..at], to.as_bytes(), &good[at + from.len()..]].concat()
        };
        let mut flipped = good.clone();
        let last = flipped.len() - 8;
        flipped[last] ^= 0x55;
        let cases = [
            (b"\x7fELF".to_vec(), "was not recorded by"),
            (Vec::new(), "was not recorded by"),
            (text("noise 1", "noise 2"), "its format is `2`"),
            (text("cores: 2", "cores: two"), "line 4 has a `cores`"),
            (text("cores: 2", "scores: 2"), "line 4 must be `cores: …`"),
            (text("ticks: 3", "ticks: 0"), "can't be"),
            (text("ticks: 3", "ticks: 4"), "hold a number that can't be"),
            (text("samples: 2", "samples: 30"), "end before"),
            (packed(&[trace().columns(), vec![0]].concat()), "hold 1 bytes more than"),
            (text("samples: 2\n", "samples: 2\nmore\n"), "line 10 must be empty"),
            (good[..40].to_vec(), "line 2 is cut off"),
            (good[..good.len() - 5].to_vec(), "cut off or damaged"),
            (flipped, "begin at byte 143, "),
            ([&good[..], b"tail"].concat(), "4 bytes that do not belong"),
        ];
        for (bytes, expected) in cases {
            let why = Trace::decode(&bytes).unwrap_err().to_string();
            assert!(why.contains(expected), "{why}; expected: {expected}");
        }
    }

    fn any_trace() -> impl Strategy<Value = Trace> {
        let number = || prop_oneof![0u64..3, 0u64..20_000, 0u64..1 << 34];
        let tick = (number(), number(), proptest::option::of(number()));
        let sample =
            (number(), proptest::option::of(number()), proptest::option::of(number()), proptest::option::of(number()));
        let ticks = proptest::collection::vec(tick, 1..50);
        (ticks, proptest::collection::vec(sample, 0..20), 1u64..1 << 30).prop_map(|(ticks, samples, tick)| {
            let mut trace = Trace { header: Header { tick, ..trace().header }, ticks: Vec::new(), samples: Vec::new() };
            for (wall, cpu, run_delay) in ticks {
                trace.ticks.push(Tick { wall: wall + 1, cpu, run_delay });
            }
            for (gap, steal, pressure, running) in samples {
                let at = gap + trace.samples.last().map_or(0, |s| s.at);
                trace.samples.push(Sample { at, steal, pressure, running });
            }
            trace
        })
    }

    proptest! {
        #[test]
        fn whatever_is_recorded_reads_back_as_itself(trace in any_trace()) {
            prop_assert_eq!(Trace::decode(&trace.encode()), Ok(trace));
        }

        #[test]
        fn no_cut_and_no_changed_byte_ends_in_a_panic(trace in any_trace(), cut in 0.0..1.0f64, byte: u8) {
            let bytes = trace.encode();
            let at = (bytes.len() as f64 * cut) as usize;
            prop_assert!(Trace::decode(&bytes[..at]).is_err());
            let mut changed = bytes;
            changed[at] = byte;
            let _ = Trace::decode(&changed);
        }

        #[test]
        fn columns_of_any_bytes_are_read_or_refused(columns in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(read) = Trace::decode(&packed(&columns)) {
                prop_assert_eq!(Trace::decode(&read.encode()), Ok(read));
            }
        }
    }
}
