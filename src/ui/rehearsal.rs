//! What a rehearsal came to: what each control tried, and how it ended.

use super::style::{Style, Tone};
use super::table::{Align, Cell, Table};
use super::words;
use crate::domain::scoreboard::Scoreboard;
use crate::engine::rehearsal;
use crate::engine::state::Facts;

/// The whole text.
pub fn rehearsal(facts: &Facts, board: &Scoreboard, style: Style) -> String {
    let started = &facts.seen.started;
    let findings = rehearsal::findings(facts, board);
    let head = ["Control", "Tried", "Ended"].map(|title| (title.to_owned(), Align::Left));
    let mut table = Table::new([(String::new(), Align::Left)].into_iter().chain(head));
    for finding in &findings {
        let (mark, tone) = if finding.held { ("✓", Tone::Plain) } else { ("✗", Tone::Bad) };
        table.row([
            Cell::toned(tone, mark),
            Cell::from(finding.contender.to_string()),
            Cell::from(finding.tried),
            Cell::toned(tone, &finding.ended),
        ]);
    }
    let (tone, said) = match rehearsal::passed(&findings) {
        true => (Tone::Good, "the harness passed: no control came out ahead"),
        false => (Tone::Bad, "the harness did not pass: a verdict of it would mean nothing"),
    };
    format!(
        "{}  rehearsal {}, {}, {}\n\n{}\n{}\n",
        style.paint(Tone::Strong, &words::one_line(&started.plan.title)),
        started.run,
        words::count(board.blocks as usize, "block"),
        words::duration(facts.elapsed),
        table.render(style),
        style.paint(tone, said)
    )
}
