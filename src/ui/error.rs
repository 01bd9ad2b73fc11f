//! An error as the user reads it: what happened, what caused it, what to do next.

use super::style::{Style, Tone};
use super::words;
use crate::error::Error;

/// Message, chain of causes, what failed afterwards, and hints, a line or more each. A cause that only says again what
/// stands above it is left out.
pub fn error(failure: &Error, style: Style) -> String {
    let mut out = line(style, Tone::Bad, "error", &failure.message);
    let mut said = failure.message.clone();
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            out.push_str(&line(style, Tone::Plain, "caused by", &text));
            said = text;
        }
        cause = error.source();
    }
    for note in &failure.notes {
        out.push_str(&line(style, Tone::Plain, "note", &format!("then this failed as well: {note}")));
    }
    for hint in &failure.hints {
        out.push_str(&line(style, Tone::Strong, "help", hint));
    }
    out
}

fn line(style: Style, tone: Tone, head: &str, text: &str) -> String {
    format!("{}: {}\n", style.paint(tone, head), words::indented(text, head.len() + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_its_causes_and_what_to_do_stand_below_each_other() {
        let inner = std::io::Error::other("permission denied");
        let middle = Error::machine("db/schema.sql can't be read").because(inner);
        let failure = Error::machine("the template can't be made: db/schema.sql can't be read")
            .because(middle)
            .and(&Error::machine("a directory could not be removed"))
            .hint("check `database.seed` in blueprint.yaml")
            .hint("then: blueprint resume\nor start anew");
        insta::assert_snapshot!(error(&failure, Style::PLAIN), @"
        error: the template can't be made: db/schema.sql can't be read
        caused by: permission denied
        note: then this failed as well: a directory could not be removed
        help: check `database.seed` in blueprint.yaml
        help: then: blueprint resume
              or start anew
        ");
    }

    #[test]
    fn a_message_of_several_lines_is_indented() {
        let failure = Error::refused("cost.md was edited after it was approved\n  line 3 was: a\n  line 3  is: b");
        insta::assert_snapshot!(error(&failure, Style::PLAIN), @"
        error: cost.md was edited after it was approved
                 line 3 was: a
                 line 3  is: b
        ");
    }

    #[test]
    fn only_the_first_words_are_coloured() {
        let failure = Error::usage("x").hint("y");
        assert_eq!(error(&failure, Style::COLOURED), "\u{1b}[31merror\u{1b}[0m: x\n\u{1b}[1mhelp\u{1b}[0m: y\n");
    }
}
