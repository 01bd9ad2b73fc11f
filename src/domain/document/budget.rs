//! The Budget section.

use std::ops::Range;

use super::entries::{Entry, entries, item_text};
use super::outline::{Outline, SectionName};
use super::text;
use crate::domain::diagnostic::{Code, Diagnostic, suggestion};
use crate::domain::plan::Budget;
use crate::domain::quantity::{Tokens, parse_duration};

const NAMES: [&str; 5] = ["Max tokens per step", "Variant token cap", "Session token cap", "Time estimate", "Time cap"];

/// The budget; a line that can't be read is an error, because it would limit nothing.
pub(super) fn budget(text: &str, outline: &Outline, found: &mut Vec<Diagnostic>) -> Budget {
    let mut budget = Budget::default();
    let mut places: [Option<Range<usize>>; 5] = [const { None }; 5];
    for span in lines(text, outline) {
        if let Err(finding) = line(text, span, &mut budget, &mut places) {
            found.push(*finding);
        }
    }
    cap_order(&budget, &places, found);
    budget
}

/// A cap that lies within another must not be greater than it.
fn cap_order(budget: &Budget, places: &[Option<Range<usize>>; 5], found: &mut Vec<Diagnostic>) {
    let caps = [
        ("one step", "a step", budget.step_tokens),
        ("one variant", "a variant", budget.variant_tokens),
        ("the whole session", "the session", budget.session_tokens),
    ];
    for inner in 0..caps.len() {
        for outer in inner + 1..caps.len() {
            let ((one, of_one, Some(less)), (all, of_all, Some(more))) = (caps[inner], caps[outer]) else { continue };
            let (Some(at), Some(other)) = (&places[inner], &places[outer]) else { continue };
            if less > more {
                let message = format!("{one} may use {less} tokens, and {all} only {more}");
                let finding = Diagnostic::new(Code::CapOrder, at.clone(), message)
                    .also(other.clone(), format!("{of_all}'s cap"))
                    .help(format!("the cap of {of_one} must not be greater than that of {of_all}"));
                found.push(finding);
            }
        }
    }
}

fn lines(text: &str, outline: &Outline) -> Vec<Range<usize>> {
    let Some(section) = outline.section(SectionName::Budget) else { return Vec::new() };
    let mut lines = Vec::new();
    for entry in entries(text, &section.blocks) {
        match entry {
            Entry::Item(item) => lines.push(item_text(text, item)),
            Entry::Field(field) => {
                let start = text::line_start(text, field.name.start);
                lines.push(text::trim(text, start..field.value.end.max(field.name.end)));
                lines.extend(field.items.iter().map(|item| item_text(text, item.clone())));
            }
            _ => {}
        }
    }
    lines
}

fn line(
    text: &str,
    span: Range<usize>,
    budget: &mut Budget,
    places: &mut [Option<Range<usize>>; 5],
) -> Result<(), Box<Diagnostic>> {
    let known = format!("known: {}", NAMES.join(", "));
    let refuse =
        |at: Range<usize>, message: String, help: &str| Box::new(Diagnostic::new(Code::Budget, at, message).help(help));
    let Some((key, value)) = text::key_value(text, span.clone()) else {
        return Err(refuse(span.clone(), format!("`{}` is no budget, so it limits nothing", &text[span]), &known));
    };
    let name = text::normal(&text[key.clone()]);
    let Some(at) = NAMES.iter().position(|n| n.to_lowercase() == name) else {
        let message = format!("unknown budget `{}`{}", &text[key.clone()], suggestion(&name, NAMES));
        return Err(refuse(key, message, &known));
    };
    if let Some(first) = &places[at] {
        let message = format!("duplicate budget `{}`", NAMES[at]);
        return Err(Box::new((*refuse(span, message, "keep one of them")).also(first.clone(), "first here")));
    }
    places[at] = Some(span.clone());
    let (number, _) = text::note(text, value);
    let place = if number.is_empty() { span } else { number.clone() };
    let written = &text[number];
    if at < 3 {
        let tokens = tokens(written).ok_or_else(|| {
            let help = "write a whole number greater than 0, such as 15000 or 15,000; leave the line out for no cap";
            refuse(place, format!("`{written}` is not a number of tokens"), help)
        })?;
        let cap = match at {
            0 => &mut budget.step_tokens,
            1 => &mut budget.variant_tokens,
            _ => &mut budget.session_tokens,
        };
        *cap = Some(tokens);
    } else {
        let help = "write such as `60 minutes`, `2h` or `1h 30m`; leave the line out for no cap";
        let duration = parse_duration(written).map_err(|error| refuse(place.clone(), error.to_string(), help))?;
        if duration.is_zero() {
            return Err(refuse(place, "the time is zero".to_owned(), help));
        }
        *(if at == 3 { &mut budget.time_estimate } else { &mut budget.time_cap }) = Some(duration);
    }
    Ok(())
}

/// `15000`, `15,000` or `15_000`, perhaps with `tokens` behind it.
fn tokens(text: &str) -> Option<Tokens> {
    let number = text.trim().strip_suffix("tokens").unwrap_or(text).trim();
    let groups: Vec<_> = number.split([',', '_']).collect();
    let digits = |group: &&str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
    let grouped = groups.len() == 1 || (groups[0].len() <= 3 && groups[1..].iter().all(|g| g.len() == 3));
    if !grouped || !groups.iter().all(digits) {
        return None;
    }
    groups.concat().parse().ok().filter(|n| *n > 0).map(Tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_with_separators_and_nothing_is_guessed() {
        for text in ["15000", "15,000", "15_000", "15,000 tokens"] {
            assert_eq!(tokens(text), Some(Tokens(15_000)), "{text}");
        }
        for text in ["", "0", "-5", "15,00", "1.5", "15k", "many", ",", "15,000,", "99999999999999999999999"] {
            assert_eq!(tokens(text), None, "{text}");
        }
    }
}
