//! Editing: an exact piece of a file replaced by another, and new files.

use super::super::contract::Contract;
use super::super::tree::{Found, Place, Tree};
use super::output::short;
use super::{Arguments, Field, Kind, Outcome, Tool};

/// What the model is told of it.
pub(super) const TOOL: Tool = Tool {
    name: "edit",
    about: "Replaces `old`, which must stand in the file exactly once, by `new`; without the line numbers of `read`. \
            With an empty `old` it makes a new file that holds `new`.",
    fields: &[
        Field { name: "path", kind: Kind::Text, required: true, about: "Relative to the working directory." },
        Field { name: "old", kind: Kind::Text, required: true, about: "What stands there now, with its white space." },
        Field { name: "new", kind: Kind::Text, required: true, about: "What is to stand there." },
        Field { name: "all", kind: Kind::Flag, required: false, about: "Replace every occurrence." },
    ],
};

/// Carries out a call.
pub fn edit(tree: &Tree, contract: &Contract, arguments: &Arguments) -> Result<Outcome, String> {
    let place = tree.place(arguments.text("path"))?;
    contract.allows(place.as_str())?;
    let (old, new) = (arguments.text("old"), arguments.text("new"));
    let text = match tree.read(&place)? {
        None if old.is_empty() => return made(tree, &place, new),
        None => return Err(format!("there is no `{}`; with an empty `old` it is made", place.shown())),
        Some(Found::Folder(_)) => return Err(format!("`{}` is a directory", place.shown())),
        Some(Found::File(bytes)) => String::from_utf8(bytes)
            .map_err(|_| format!("`{}` is not UTF-8 text; change it with `run`", place.shown()))?,
    };
    if old.is_empty() && text.is_empty() {
        return made(tree, &place, new);
    }
    let replaced =
        replace(&text, old, new, arguments.flag("all")).map_err(|why| format!("`{}`: {why}", place.shown()))?;
    tree.write(&place, replaced.text.as_bytes())?;
    Ok(Outcome::changed(format!("`{}` was changed in {}", place.shown(), replaced.at)))
}

fn made(tree: &Tree, place: &Place, text: &str) -> Result<Outcome, String> {
    tree.write(place, text.as_bytes())?;
    Ok(Outcome::changed(format!("`{}` was made, with {} lines", place.shown(), text.lines().count())))
}

/// A text after a replacement.
#[derive(Debug, PartialEq, Eq)]
struct Replaced {
    text: String,
    at: String,
}

fn replace(text: &str, old: &str, new: &str, all: bool) -> Result<Replaced, String> {
    if old.is_empty() {
        return Err("the file is there already; say in `old` what is to be replaced".to_owned());
    }
    if old == new {
        return Err("`old` and `new` are the same".to_owned());
    }
    // Models write `\n` whatever ends the file's lines.
    let windows = !text.contains(old) && text.contains("\r\n") && !old.contains('\r');
    let ends = |piece: &str| if windows { piece.replace('\n', "\r\n") } else { piece.to_owned() };
    let (old, new) = (ends(old), ends(new));
    let lines: Vec<usize> = text.match_indices(&old).map(|(at, _)| 1 + text[..at].matches('\n').count()).collect();
    match lines.as_slice() {
        [] => Err(format!("`old` does not stand in it{}", nearest(text, &old))),
        [line] => Ok(Replaced { text: text.replace(&old, &new), at: format!("line {line}") }),
        _ if all => Ok(Replaced { text: text.replace(&old, &new), at: format!("{} places", lines.len()) }),
        _ => {
            let shown = lines.iter().take(10).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(format!(
                "`old` stands in it {} times (lines {shown}); add lines around it until it is unique, or set `all`",
                lines.len()
            ))
        }
    }
}

/// Where the file comes closest to what was looked for, and what is different there.
fn nearest(text: &str, old: &str) -> String {
    let file: Vec<&str> = text.lines().collect();
    let wanted: Vec<&str> = old.lines().skip_while(|line| line.trim().is_empty()).collect();
    let Some(first) = wanted.first() else { return String::new() };
    let alike = |from: usize| file[from..].iter().zip(&wanted).take_while(|(is, old)| is.trim() == old.trim()).count();
    let best =
        (0..file.len()).map(|from| (alike(from), from)).max_by_key(|(length, from)| (*length, usize::MAX - from));
    match best {
        Some((length, from)) if length > 0 => {
            let differs = |at: &usize| file.get(from + at) != wanted.get(*at);
            let Some(at) = (0..wanted.len()).find(differs) else {
                return format!("; line {} looks like it, but it does not end there as `old` does", from + 1);
            };
            let is =
                file.get(from + at).map_or("the end of the file".to_owned(), |line| format!("`{}`", short(line, 200)));
            format!(
                "; it comes closest at line {}, where line {} is {is} and not `{}`",
                from + 1,
                from + at + 1,
                short(wanted[at], 200)
            )
        }
        _ => {
            let similar =
                |(at, line): (usize, &&str)| (strsim::sorensen_dice(&short(line.trim(), 200), first.trim()), at);
            let best = file.iter().take(20_000).enumerate().map(similar).max_by(|a, b| a.0.total_cmp(&b.0));
            match best.filter(|(likeness, _)| *likeness > 0.6) {
                Some((_, at)) => format!("; the closest line is {}: `{}`", at + 1, short(file[at], 200)),
                None => "; read the file again".to_owned(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "def a():\n    return 1\n\ndef b():\n    return 1\n";

    fn replaced(old: &str, new: &str, all: bool) -> Result<(String, String), String> {
        replace(FILE, old, new, all).map(|replaced| (replaced.text, replaced.at))
    }

    #[test]
    fn what_stands_there_once_is_replaced() {
        let (text, at) = replaced("def b():\n    return 1", "def b():\n    return 2", false).unwrap();
        assert_eq!((text.as_str(), at.as_str()), ("def a():\n    return 1\n\ndef b():\n    return 2\n", "line 4"));
        assert_eq!(replaced("return 1", "return 3", true).unwrap().1, "2 places");
    }

    #[test]
    fn the_files_own_line_ends_are_kept() {
        let done = replace("a\r\nb\r\nc\r\n", "a\nb\n", "a\nx\ny\n", false).unwrap();
        assert_eq!(done.text, "a\r\nx\r\ny\r\nc\r\n");
    }

    #[test]
    fn what_does_not_fit_is_told_with_what_comes_closest() {
        let said = |old: &str| replaced(old, "x", false).unwrap_err();
        let all = [
            said("return 1"),
            said("  def b():\n  return 1"),
            said("def b():\n    return 2\n"),
            said("def b():\n    return 1\n    pass"),
            said("def bb():"),
            said("class Unheard"),
            said(""),
            said("x"),
            said("\n\n\n"),
        ];
        insta::assert_snapshot!(all.join("\n"), @r"
        `old` stands in it 2 times (lines 2, 5); add lines around it until it is unique, or set `all`
        `old` does not stand in it; it comes closest at line 4, where line 4 is `def b():` and not `  def b():`
        `old` does not stand in it; it comes closest at line 4, where line 5 is `    return 1` and not `    return 2`
        `old` does not stand in it; it comes closest at line 4, where line 6 is the end of the file and not `    pass`
        `old` does not stand in it; the closest line is 4: `def b():`
        `old` does not stand in it; read the file again
        the file is there already; say in `old` what is to be replaced
        `old` and `new` are the same
        `old` does not stand in it
        ");
    }

    proptest::proptest! {
        #[test]
        fn a_unique_piece_is_replaced_whatever_it_is_and_nothing_panics(text in "[a-c\\r\\n ]{0,30}", old in "[a-c\\n ]{0,5}", new in "[a-d\\n]{0,5}") {
            let done = replace(&text, &old, &new, false);
            if !old.is_empty() && old != new && text.matches(&old).count() == 1 {
                proptest::prop_assert_eq!(done.unwrap().text, text.replacen(&old, &new, 1));
            }
        }
    }
}
