//! Parameters of a query under load: rows of typed values, and which of them is whose turn.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::adapters::sql::load::{Kind, Value};

/// Where parameters come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamsFrom {
    /// The statement has none.
    Nowhere,
    /// A whole number from the first to the last.
    Range(i64, i64),
    /// A CSV file, as a path in the judged tree.
    File(String),
}

/// What a query can be asked with.
#[derive(Debug, Clone, PartialEq)]
pub enum Params {
    /// Nothing.
    None,
    /// One whole number from the first to the last, both included.
    Range(i64, i64),
    /// Rows of a file; at least one.
    Rows {
        /// The type of each column.
        kinds: Vec<Kind>,
        /// Its rows, each as long as `kinds`.
        rows: Vec<Vec<Value>>,
    },
}

impl Params {
    /// Reads a CSV file whose header names a type for each column, such as `id:int,name:text`.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|why| format!("the text is not UTF-8: {why}"))?;
        let mut records = records(text.trim_start_matches('\u{feff}'))?.into_iter();
        let (_, header) = records.next().ok_or("there is no header in it, such as `id:int,name:text`")?;
        let columns: Vec<_> = header.iter().map(|name| column(name)).collect::<Result<_, _>>()?;
        let mut rows = Vec::new();
        for (line, fields) in records {
            if fields.len() != columns.len() {
                let (wanted, found) = (columns.len(), fields.len());
                return Err(format!("line {line}: there are {found} values, and the header names {wanted} columns"));
            }
            let read = |(field, (name, kind)): (&String, &(&str, Kind))| {
                value(field, *kind).ok_or_else(|| {
                    format!(
                        "line {line}: `{}` is no value for {name}, which is {}",
                        super::value::clip(field),
                        shown(*kind)
                    )
                })
            };
            rows.push(fields.iter().zip(&columns).map(read).collect::<Result<_, _>>()?);
        }
        if rows.is_empty() {
            return Err("there is a header in it and no row below".to_owned());
        }
        Ok(Self::Rows { kinds: columns.into_iter().map(|(_, kind)| kind).collect(), rows })
    }

    /// The type of each parameter.
    pub fn kinds(&self) -> &[Kind] {
        match self {
            Self::None => &[],
            Self::Range(..) => &[Kind::Int],
            Self::Rows { kinds, .. } => kinds,
        }
    }

    /// The row of a turn. The seed decides, so that everyone in a block is asked alike; `lane` keeps apart
    /// what is asked for different reasons.
    pub fn draw(&self, seed: u64, lane: u64, turn: u64) -> Vec<Value> {
        let chance = || {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(lane);
            // A number takes two words.
            random.set_word_pos(u128::from(turn) * 2);
            random.next_u64()
        };
        match self {
            Self::None => Vec::new(),
            Self::Range(first, last) => {
                let count = u128::from(last.abs_diff(*first)) + 1;
                let offset = u64::try_from(u128::from(chance()) % count).unwrap_or_default();
                vec![Value::Int(first.saturating_add_unsigned(offset))]
            }
            Self::Rows { rows, .. } => {
                let at = usize::try_from(chance() % rows.len() as u64).unwrap_or_default();
                rows[at].clone()
            }
        }
    }
}

const KINDS: &[(&str, Kind)] =
    &[("int", Kind::Int), ("float", Kind::Float), ("text", Kind::Text), ("bool", Kind::Bool)];

fn shown(kind: Kind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("unknown", |(name, _)| name)
}

/// A column of the header: its name and its type.
fn column(text: &str) -> Result<(&str, Kind), String> {
    let known = || KINDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let (name, kind) = text.rsplit_once(':').ok_or_else(|| {
        format!("line 1: the column `{text}` has no type; write `{text}:int` (known are {})", known())
    })?;
    let found = KINDS.iter().find(|(known, _)| *known == kind.trim());
    let (_, kind) = found.ok_or_else(|| format!("line 1: `{kind}` is no type of a column; known are {}", known()))?;
    Ok((name.trim(), *kind))
}

fn value(text: &str, kind: Kind) -> Option<Value> {
    match kind {
        Kind::Int => text.trim().parse().ok().map(Value::Int),
        Kind::Float => text.trim().parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float),
        // A text of PostgreSQL can't hold it.
        Kind::Text => (!text.contains('\0')).then(|| Value::Text(text.to_owned())),
        Kind::Bool => text.trim().parse().ok().map(Value::Bool),
    }
}

/// Lines of fields with commas between them, each with its number from 1. A field in quotes may hold
/// commas, line ends and doubled quotes (RFC 4180). Empty lines are left out.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let (mut all, mut fields, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut began, mut quoted, mut was_quoted) = (1, 1, false, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        line += usize::from(c == '\n');
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            _ if quoted => field.push(c),
            '"' if field.is_empty() && !was_quoted => (quoted, was_quoted) = (true, true),
            ',' => {
                fields.push(std::mem::take(&mut field));
                was_quoted = false;
            }
            '\r' if rest.peek() == Some(&'\n') => {}
            '\n' => {
                if was_quoted || !field.is_empty() || !fields.is_empty() {
                    fields.push(std::mem::take(&mut field));
                    all.push((began, std::mem::take(&mut fields)));
                }
                (began, was_quoted) = (line, false);
            }
            _ if was_quoted => return Err(format!("line {line}: text follows a quoted value")),
            _ => field.push(c),
        }
    }
    if quoted {
        return Err(format!("line {began}: a quote is never closed"));
    }
    if was_quoted || !field.is_empty() || !fields.is_empty() {
        fields.push(field);
        all.push((began, fields));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str) -> Vec<Vec<Value>> {
        match Params::read(text.as_bytes()).unwrap() {
            Params::Rows { rows, .. } => rows,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_have_the_types_that_the_header_names() {
        let found = rows("id:int, a b:text,share:float,on:bool\r\n 7,\"x, \"\"y\"\"\n\",0.5,true\r\n\r\n-1,,1e3,false");
        let first = vec![Value::Int(7), Value::Text("x, \"y\"\n".into()), Value::Float(0.5), Value::Bool(true)];
        let second = vec![Value::Int(-1), Value::Text(String::new()), Value::Float(1000.0), Value::Bool(false)];
        assert_eq!(found, [first, second]);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_line() {
        for (text, expected) in [
            (&b""[..], "there is no header"),
            (b"id:int\n", "there is a header in it and no row"),
            (b"id\n1", "line 1: the column `id` has no type; write `id:int`"),
            (b"id:uuid\n1", "line 1: `uuid` is no type of a column; known are int, float, text, bool"),
            (b"id:int\n1\nx\n", "line 3: `x` is no value for id, which is int"),
            (b"id:int\n\n99999999999999999999", "line 3: `99999999999999999999` is no value for id"),
            (b"x:float\nNaN", "line 2: `NaN` is no value for x, which is float"),
            (b"a:int,b:int\n1,2\n3\n", "line 3: there are 1 values, and the header names 2 columns"),
            (b"a:text\n\"x\n", "line 2: a quote is never closed"),
            (b"a:text\n\"x\"y\n", "line 2: text follows a quoted value"),
            (b"a:text\n\xff", "the text is not UTF-8"),
            (b"a:text\nx\0", "line 2: `x\0` is no value for a"),
        ] {
            let error = Params::read(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn the_seed_the_lane_and_the_turn_decide_who_is_asked_what() {
        let range = Params::Range(1, 1_000_000);
        assert_eq!(range.draw(7, 0, 3), range.draw(7, 0, 3));
        assert_ne!(range.draw(7, 0, 3), range.draw(8, 0, 3));
        assert_ne!(range.draw(7, 0, 3), range.draw(7, 1, 3));
        assert_ne!(range.draw(7, 0, 3), range.draw(7, 0, 4));
        assert_eq!(Params::None.draw(1, 0, 0), []);
    }

    #[test]
    fn every_number_of_a_range_has_its_turn_and_none_beside_it() {
        let three = Params::Range(-1, 1);
        let drawn: Vec<_> = (0..100).flat_map(|turn| three.draw(1, 0, turn)).collect();
        for number in -1..=1 {
            let times = drawn.iter().filter(|value| **value == Value::Int(number)).count();
            assert!((15..55).contains(&times), "{number}: {times} of 100");
        }
        assert!(matches!(Params::Range(i64::MIN, i64::MAX).draw(1, 0, 0)[..], [Value::Int(_)]));
        assert_eq!(Params::Range(5, 5).draw(1, 0, 0), [Value::Int(5)]);
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "[a:int,\"\r\n0-9 ]{0,60}") {
            drop(Params::read(text.as_bytes()));
        }

        #[test]
        fn a_quoted_text_reads_back_as_itself(text in "[^\0]{0,40}") {
            let file = format!("a:text\n\"{}\"\n", text.replace('"', "\"\""));
            prop_assert_eq!(rows(&file), vec![vec![Value::Text(text)]]);
        }
    }
}
