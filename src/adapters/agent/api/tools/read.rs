//! Reading: lines of a file with their numbers, or what a directory holds.

use super::super::tree::{Found, Tree};
use super::output::{is_text, short};
use super::{Arguments, Field, Kind, Outcome, Tool};

/// Lines of one call.
const LINES: usize = 2000;
/// Bytes of one call.
const BYTES: usize = 64 << 10;
/// Characters of one line.
const WIDTH: usize = 2000;
/// Entries of a directory.
const ENTRIES: usize = 1000;

/// What the model is told of it.
pub(super) const TOOL: Tool = Tool {
    name: "read",
    about: "Reads a file: lines behind their numbers and a tab, at most 2,000 lines or 64 KiB a call. \
            Of a directory it lists the entries.",
    fields: &[
        Field { name: "path", kind: Kind::Text, required: true, about: "Relative to the working directory." },
        Field { name: "start", kind: Kind::Count, required: false, about: "The first line; 1 by default." },
        Field { name: "lines", kind: Kind::Count, required: false, about: "How many lines." },
    ],
};

/// Carries out a call.
pub fn read(tree: &Tree, arguments: &Arguments) -> Result<Outcome, String> {
    let place = tree.place(arguments.text("path"))?;
    let shown = place.shown();
    match tree.read(&place)? {
        None => Err(format!("there is no `{shown}`; `search` and `read` of a directory tell what there is")),
        Some(Found::Folder(entries)) => Ok(Outcome::done(listed(&entries))),
        Some(Found::File(bytes)) if bytes.is_empty() => Ok(Outcome::done(format!("`{shown}` is empty"))),
        Some(Found::File(bytes)) if !is_text(&bytes) => {
            Ok(Outcome::done(format!("`{shown}` is a binary file of {} bytes", bytes.len())))
        }
        Some(Found::File(bytes)) => {
            let start = arguments.count("start").unwrap_or(1);
            let lines = arguments.count("lines").unwrap_or(LINES).min(LINES);
            numbered(&String::from_utf8_lossy(&bytes), start, lines).map(Outcome::done)
        }
    }
}

fn listed(entries: &[String]) -> String {
    if entries.is_empty() {
        return "the directory is empty".to_owned();
    }
    let mut text = entries.iter().take(ENTRIES).map(|entry| format!("{entry}\n")).collect::<String>();
    if entries.len() > ENTRIES {
        text.push_str(&format!("… and {} more", entries.len() - ENTRIES));
    }
    text
}

fn numbered(text: &str, start: usize, most: usize) -> Result<String, String> {
    let total = text.lines().count();
    if start > total {
        return Err(format!("`start` is {start}, and the file has {total} lines"));
    }
    let mut out = String::new();
    let mut next = start;
    for line in text.lines().skip(start - 1).take(most) {
        let line = format!("{next}\t{}\n", short(line, WIDTH));
        if out.len() + line.len() > BYTES {
            break;
        }
        out.push_str(&line);
        next += 1;
    }
    if next <= total {
        out.push_str(&format!("… lines {next} to {total} are left out; read on with `start` {next}"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_said() {
        insta::assert_snapshot!(numbered("a\n\nb\nc\n", 2, 2).unwrap(), @r"
        2	
        3	b
        … lines 4 to 4 are left out; read on with `start` 4
        ");
        assert_eq!(numbered("a\nb", 2, 9).unwrap(), "2\tb\n");
        assert_eq!(numbered("a\nb", 3, 9).unwrap_err(), "`start` is 3, and the file has 2 lines");
    }

    #[test]
    fn a_call_never_gives_more_than_its_bytes() {
        let long = format!("{}\n", "x".repeat(1_000_000)).repeat(20);
        let text = numbered(&long, 1, LINES).unwrap();
        assert!(text.len() < BYTES + 100 && text.starts_with("1\txxx"), "{}", text.len());
        assert!(text.contains("… (998000 bytes more)"));
        let many = "line\n".repeat(100_000);
        assert!(
            numbered(&many, 1, LINES)
                .unwrap()
                .ends_with("… lines 2001 to 100000 are left out; read on with `start` 2001")
        );
    }

    #[test]
    fn a_long_directory_is_cut() {
        let entries: Vec<_> = (0..1002).map(|at| at.to_string()).collect();
        assert!(listed(&entries).ends_with("999\n… and 2 more"));
        assert_eq!(listed(&[]), "the directory is empty");
    }
}
