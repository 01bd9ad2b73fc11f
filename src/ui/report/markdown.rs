//! The report as markdown, for a job's summary or a comment. What variants wrote is escaped: it
//! must not make headings, links, images or mentions.

use std::fmt::Write;

use super::super::notes::notes;
use super::super::{change, scoreboard, verdict, words};
use crate::domain::measurement::Contender;
use crate::domain::price::Prices;
use crate::domain::reckoning;
use crate::domain::scoreboard::Scoreboard;
use crate::domain::verdict::Row;
use crate::engine::state::Facts;

/// The whole report.
pub fn markdown(facts: &Facts, board: &Scoreboard, prices: &Prices) -> String {
    let mut out = format!("# {}\n\n", escape(&facts.seen.started.plan.title));
    let sentences = scoreboard::conclusion(facts, board);
    for sentence in &sentences {
        let _ = write!(out, "**{}**\n\n", escape(sentence));
    }
    if let Some(meaning) = words::evidence(&sentences.join("\n")) {
        let _ = write!(out, "{}\n\n", escape(meaning));
    }
    out.push_str(&table(facts, board));
    out.push('\n');
    for row in &board.rows {
        if let Some(ending) = verdict::ending_in_full(&row.contender, &row.outcome) {
            let (first, rest) = ending.split_once('\n').unwrap_or((&ending, ""));
            let _ = writeln!(out, "- {}", escape(first));
            out.push_str(&if verdict::lists(&row.outcome) { listed(rest) } else { fenced(rest) });
        }
    }
    if let Some(missed) = scoreboard::missed_gate(facts) {
        let _ = writeln!(out, "- {}", escape(&missed));
    }
    if !out.ends_with("\n\n") {
        out.push('\n');
    }
    out.push_str(&reckoned(facts, board));
    out.push_str(&changes(facts));
    out.push_str("## Run\n\n");
    out.push_str(&particulars(facts, board, prices));
    out
}

/// Names, one an item.
fn listed(lines: &str) -> String {
    lines.lines().map(|line| format!("  - {}\n", escape(line.trim()))).collect()
}

/// What programs printed, in a block that nothing in it can close: its fence is longer than any run of backticks.
fn fenced(lines: &str) -> String {
    if lines.trim().is_empty() {
        return String::new();
    }
    let runs = lines.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(runs.max().unwrap_or_default().max(2) + 1);
    // It belongs to its item, so its lines are indented as the item's text is; they were already.
    let text: String = lines.lines().map(|line| format!("  {}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
    format!("\n  {fence}text\n{text}  {fence}\n")
}

/// What each variant gained and paid, and where nothing landed, why.
fn reckoned(facts: &Facts, board: &Scoreboard) -> String {
    let all = reckoning::reckon(&facts.seen.started.plan, board, &facts.sizes());
    let lines = all.iter().map(|one| format!("{}: {}", one.variant, one.line()));
    let mut out: String = lines.map(|line| format!("- {}\n", escape(&line))).collect();
    if !out.is_empty() {
        out = format!("## Points against the baseline\n\n{out}\n");
    }
    let why: String = scoreboard::why_nothing(facts, board).iter().map(|s| format!("- {}\n", escape(s))).collect();
    if why.is_empty() { out } else { format!("{out}## Why nothing landed\n\n{why}\n") }
}

fn table(facts: &Facts, board: &Scoreboard) -> String {
    let plan = &facts.seen.started.plan;
    let mut head = "| Variant | Tests | Performance | Simplicity | Total | Winner |".to_owned();
    let mut rule = "|---|--:|--:|--:|--:|:-:|".to_owned();
    for metric in &plan.metrics {
        let _ = write!(head, " {} |", escape(&scoreboard::metric_title(metric)));
        rule.push_str("--:|");
    }
    let rows: String = board.rows.iter().map(|row| line(facts, board, row)).collect();
    format!("{head}\n{rule}\n{rows}")
}

fn line(facts: &Facts, board: &Scoreboard, row: &Row) -> String {
    let plan = &facts.seen.started.plan;
    let variant = row.contender.key().and_then(|key| plan.variant(key.as_str()));
    let name = variant.map_or_else(|| row.contender.to_string(), |v| format!("{}: {}", v.key, v.name));
    let name = name + scoreboard::lacking(row);
    let points = |points: Option<String>| points.unwrap_or_else(|| "–".to_owned());
    let mut line = format!(
        "| {} | {} | {} | {} | {} | {} |",
        escape(&name),
        points(row.criteria.map(|c| c.tests.to_string())),
        points(row.criteria.map(|c| c.performance.to_string())),
        points(row.criteria.map(|c| c.simplicity.to_string())),
        points(row.total.map(|t| t.to_string())),
        scoreboard::mark(row, board)
    );
    for metric in &plan.metrics {
        let cross = if scoreboard::missed(row, metric, board) { " ✗" } else { "" };
        let value = row.metrics.get(&metric.name).map_or_else(|| "–".to_owned(), |v| format!("{v}{cross}"));
        let _ = write!(line, " {value} |");
    }
    line + "\n"
}

/// What Simplicity is made from, and which files have no part in it.
fn changes(facts: &Facts) -> String {
    let mut out = String::new();
    for (key, (_, size, _)) in &facts.seen.harvests {
        let _ = writeln!(out, "- {}: {}", escape(key.as_str()), escape(&change::factors(size)));
        if let Some(files) = change::not_counted(size) {
            let _ = writeln!(out, "  - {}", escape(&files));
        }
        for told in change::suspicions(size) {
            let _ = writeln!(out, "  - suspicious: {}", escape(&told));
        }
    }
    if out.is_empty() { out } else { format!("## Changes\n\n{out}\n") }
}

fn particulars(facts: &Facts, board: &Scoreboard, prices: &Prices) -> String {
    let started = &facts.seen.started;
    let mut out = String::new();
    let mut item = |what: &str, text: String| {
        let _ = writeln!(out, "- {what}: {text}");
    };
    item("Run", format!("`{}`, {}", started.run, words::duration(facts.elapsed)));
    item("Document", escape(&started.document));
    item("Base", format!("`{}`, seed {}", started.base.short(), started.seed));
    match (&facts.landed, board.lands()) {
        (Some(commit), _) => item("Landed", format!("`{}` on {}", commit.short(), escape(&started.target))),
        (None, _) => item("Landed", "nothing".to_owned()),
    }
    if let Some(commit) = &facts.recorded {
        item("Recorded", format!("`{}` on {}", commit.short(), escape(&started.target)));
    }
    for (source, clock) in facts.seen.clocks.iter() {
        item("Compared", format!("{} by {}", escape(source), clock.name()));
    }
    if let Some(how) = scoreboard::priority(facts) {
        item("Priority", escape(&how));
    }
    for (what, text) in notes(facts, board) {
        item(what, escape(&text));
    }
    item("Tokens", scoreboard::spent(facts, prices).map_or_else(|| "none".to_owned(), |text| escape(&text)));
    for variant in &started.plan.variants {
        if let Some(kept) = scoreboard::kept_ref(facts, &variant.key) {
            item(&format!("Kept, {}", Contender::Variant(variant.key.clone())), format!("`{kept}`"));
        }
    }
    out
}

/// Text as text, in one line: nothing in it is markup, a mention or HTML.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in words::one_line(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("@<!-- -->"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures;
    use super::*;
    use crate::domain::trial::{Disqualification, Outcome};

    #[test]
    fn people_get_the_table_the_verdict_and_where_things_are() {
        let facts = fixtures::finished();
        insta::assert_snapshot!(markdown(&facts, facts.scoreboard.as_ref().unwrap(), &Prices::default()), @r"
        # Lower the cost

        **A wins: beats B by 6.9 ± 0.0 points over 23 blocks, E = 65**

        E is the strength of the evidence: without a difference it reaches 40 at most once in 40 runs, whenever measuring stops; from there on it decides

        | Variant | Tests | Performance | Simplicity | Total | Winner | latency\_p95 &lt; 80 ms | size &lt;= +10 % |
        |---|--:|--:|--:|--:|:-:|--:|--:|
        | A: Cost 20 | 100.0 | 80.0 | 99.0 | 93.8 | ✓ | 20.02 ms | 2 MB |
        | B: Cost 60 | 100.0 | 57.1 | 99.0 | 86.9 |  | 60.06 ms | 2 MB |
        | C: Cost 85 | 100.0 | 48.5 | 99.0 | – | out | 85.09 ms ✗ | 2 MB |
        | D: Elsewhere \| &lt;b&gt; | – | – | – | – | out | – | – |
        | baseline | 100.0 | 47.0 | 100.0 | 84.1 |  | 90.1 ms ✗ | 2 MB |

        - B went over budget; what it had done is judged
        - C is out: latency\_p95 is 85.09 ms, must be &lt; 80 ms
        - D is out: changed files that are not allowed:
          - elsewhere.txt
          - more\|&lt;b&gt;.txt

        ## Points against the baseline

        - A: Tests +0.0, Performance +9.9 (latency\_p95 78 % faster), Simplicity −0.2 (4 lines, 2 deleted): +9.7 points
        - B: Tests +0.0, Performance +3.0 (latency\_p95 33 % faster), Simplicity −0.2 (4 lines, 2 deleted): +2.8 points
        - C: Tests +0.0, Performance +0.5 (latency\_p95 5.6 % faster), Simplicity −0.2 (4 lines, 2 deleted): +0.3 points

        ## Changes

        - A: 4 code lines added, 2 deleted, nesting × 1.00, no new dependency
          - not counted: cost.txt (prose)
        - B: 4 code lines added, 2 deleted, nesting × 1.00, no new dependency
          - not counted: cost.txt (prose)
        - C: 4 code lines added, 2 deleted, nesting × 1.00, no new dependency
          - not counted: cost.txt (prose)

        ## Run

        - Run: `20260105-100000-1a2b`, 42 s
        - Document: docs/blueprints/cost.md
        - Base: `b5a033a`, seed 7
        - Landed: `3f2a1c9` on main
        - Tokens: 4,000 of 80,000
        - Kept, A: `refs/blueprint/20260105-100000-1a2b/a`
        - Kept, B: `refs/blueprint/20260105-100000-1a2b/b`
        - Kept, C: `refs/blueprint/20260105-100000-1a2b/c`
        - Kept, D: `refs/blueprint/20260105-100000-1a2b/d`
        ");
    }

    #[test]
    fn what_a_compiler_printed_stays_in_its_fence() {
        let said = "error: no\n ```\n# not a heading\n````\n<b>\n@everyone";
        let mut facts = fixtures::finished();
        let mut board = facts.scoreboard.take().unwrap();
        let message = format!("`make` ended with exit status 2\n{said}");
        board.rows[1].outcome = Outcome::Disqualified { reason: Disqualification::SetupFailed { message } };
        let text = markdown(&facts, &board, &Prices::default());
        let mut inside = String::new();
        let mut open = false;
        for event in pulldown_cmark::Parser::new(&text) {
            use pulldown_cmark::{Event, Tag, TagEnd};
            match event {
                Event::Start(Tag::CodeBlock(_)) => open = true,
                Event::End(TagEnd::CodeBlock) => open = false,
                Event::Text(part) if open => inside.push_str(&part),
                Event::Text(part) => assert!(!part.contains("not a heading"), "{text}"),
                _ => {}
            }
        }
        assert_eq!(inside, format!("{said}\n"), "{text}");
    }

    #[test]
    fn what_variants_wrote_is_text_and_nothing_else() {
        let text = escape("# <img src=x>\n![a](b) @everyone | `x` **y** &amp;");
        let expected = r"\# &lt;img src=x&gt; \!\[a\](b) @<!-- -->everyone \| \`x\` \*\*y\*\* &amp;amp;";
        assert_eq!(text, expected);
        let events: Vec<_> = pulldown_cmark::Parser::new(&text).collect();
        let markup = |e: &&pulldown_cmark::Event<'_>| {
            use pulldown_cmark::{Event, Tag};
            !matches!(e, Event::Text(_) | Event::Start(Tag::Paragraph) | Event::End(_))
        };
        let found: Vec<_> = events.iter().filter(markup).collect();
        assert_eq!(found, [&pulldown_cmark::Event::InlineHtml("<!-- -->".into())]);
    }
}
