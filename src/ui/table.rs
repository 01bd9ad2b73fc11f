//! A table of text: columns as wide as their widest cell, two blanks between them.

use super::style::{Style, Tone};
use super::words;

/// One cell.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in a tone.
    pub(super) fn toned(tone: Tone, text: impl AsRef<str>) -> Self {
        Self { text: words::one_line(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(Tone::Plain, text)
    }
}

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table in the making.
#[derive(Debug)]
pub struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<Cell>>,
    /// Whether the first row is a head.
    titled: bool,
}

/// Blanks between two columns.
const GAP: usize = 2;
/// The fewest columns in which text can still be read.
const NARROWEST: usize = 14;

impl Table {
    /// A table with this head.
    pub fn new(columns: impl IntoIterator<Item = (String, Align)>) -> Self {
        let (head, aligns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let head = head.into_iter().map(|title| Cell::toned(Tone::Strong, title)).collect();
        Self { aligns, rows: vec![head], titled: true }
    }

    /// A table without a head.
    pub fn bare(aligns: impl IntoIterator<Item = Align>) -> Self {
        Self { aligns: aligns.into_iter().collect(), rows: Vec::new(), titled: false }
    }

    /// Adds a row; cells beyond the head's are left out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().take(self.aligns.len()).collect());
    }

    /// The text, each line with its end and without trailing blanks.
    pub fn render(&self, style: Style) -> String {
        self.rows(style).concat()
    }

    /// The text of each row, which is more than a line where the terminal is too narrow for one: then the last
    /// column is broken between words, or, where that is of no use, a row becomes a line a cell.
    pub fn rows(&self, style: Style) -> Vec<String> {
        let widths: Vec<usize> = (0..self.aligns.len())
            .map(|column| self.rows.iter().filter_map(|row| row.get(column)).map(|c| words::width(&c.text)).max())
            .map(Option::unwrap_or_default)
            .collect();
        let before: usize = widths.iter().rev().skip(1).map(|width| width + GAP).sum();
        let whole = before + widths.last().copied().unwrap_or_default();
        match style.columns {
            Some(columns) if whole > columns && before + NARROWEST <= columns && self.ends_in_words() => {
                self.rows.iter().map(|row| self.line(row, &widths, columns - before, style)).collect()
            }
            Some(columns) if whole > columns => self.stacked(columns, style),
            _ => self.rows.iter().map(|row| self.line(row, &widths, usize::MAX, style)).collect(),
        }
    }

    fn ends_in_words(&self) -> bool {
        self.aligns.last() == Some(&Align::Left)
    }

    /// One row, its last cell in lines of so many columns.
    fn line(&self, row: &[Cell], widths: &[usize], last: usize, style: Style) -> String {
        let (mut line, mut rest) = (String::new(), Vec::new());
        for (at, (cell, align)) in row.iter().zip(&self.aligns).enumerate() {
            let mut parts = vec![cell.text.clone()];
            if at + 1 == self.aligns.len() && last < words::width(&cell.text) {
                parts = words::wrapped(&cell.text, last);
            }
            let first = parts.remove(0);
            let blanks = " ".repeat(widths[at].saturating_sub(words::width(&first)));
            let painted = style.paint(cell.tone, &first);
            line.push_str(&match align {
                Align::Left => format!("{painted}{blanks}  "),
                Align::Right => format!("{blanks}{painted}  "),
            });
            rest = parts.iter().map(|part| style.paint(cell.tone, part)).collect();
        }
        let indent: usize = widths.iter().rev().skip(1).map(|width| width + GAP).sum();
        let mut out = format!("{}\n", line.trim_end());
        rest.iter().for_each(|part| out.push_str(&format!("{}{part}\n", " ".repeat(indent))));
        out
    }

    /// A line a cell: the first of a row at the left, the others below it with their titles.
    fn stacked(&self, columns: usize, style: Style) -> Vec<String> {
        let titles = self.titled.then(|| self.rows.first()).flatten();
        let title = |at: usize| titles.and_then(|row| row.get(at)).map_or("", |cell| cell.text.as_str());
        let widest = (1..self.aligns.len()).map(|at| words::width(title(at))).max().unwrap_or_default();
        let mut out = Vec::new();
        for row in self.rows.iter().skip(usize::from(self.titled)) {
            let mut text = String::new();
            for (at, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.text.is_empty()) {
                // A title that leaves no room for its value stands above it.
                let beside = at > 0 && widest > 0 && widest + GAP + 2 + NARROWEST <= columns;
                let head = if beside {
                    format!("  {:widest$}  ", title(at))
                } else {
                    " ".repeat(if at == 0 { 0 } else { GAP })
                };
                let titled = !beside && at > 0 && !title(at).is_empty();
                let said = if titled { format!("{}: {}", title(at), cell.text) } else { cell.text.clone() };
                let parts = words::wrapped(&said, columns.saturating_sub(words::width(&head)));
                for (number, part) in parts.iter().enumerate() {
                    let head = if number == 0 { head.clone() } else { " ".repeat(words::width(&head)) };
                    text.push_str(&format!("{head}{}\n", style.paint(cell.tone, part)));
                }
            }
            out.push(text);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([("Name".to_owned(), Align::Left), ("Points".to_owned(), Align::Right)]);
        table.row(["日本".into(), Cell::toned(Tone::Good, "9.5")]);
        table.row(["a long name\u{1b}[2J\nof two lines".into(), "100.0".into()]);
        table.row(["short".into()]);
        table
    }

    #[test]
    fn columns_line_up_by_what_a_terminal_shows() {
        insta::assert_snapshot!(table().render(Style::PLAIN), @"
        Name                      Points
        日本                         9.5
        a long name of two lines   100.0
        short
        ");
    }

    #[test]
    fn on_a_narrow_terminal_a_row_is_a_line_a_cell_and_no_line_is_wider() {
        let narrow = Style { columns: Some(20), ..Style::PLAIN };
        insta::assert_snapshot!(table().render(narrow), @"
        日本
          Points: 9.5
        a long name of two
        lines
          Points: 100.0
        short
        ");
        let mut bare = Table::bare([Align::Left, Align::Left]);
        bare.row(["kept".into(), "refs/blueprint/run/a and more of it".into()]);
        insta::assert_snapshot!(bare.render(narrow), @"
        kept  refs/blueprint
              /run/a and
              more of it
        ");
        for columns in 1..60 {
            let style = Style { columns: Some(columns), ..Style::PLAIN };
            let text = table().render(style) + &bare.render(style);
            assert!(columns < 4 || text.lines().all(|line| words::width(line) <= columns), "{columns}:\n{text}");
        }
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let coloured = table().render(Style::COLOURED);
        assert!(coloured.contains("\u{1b}[32m9.5\u{1b}[0m"), "{coloured:?}");
        assert_eq!(words::visible(&coloured, false), table().render(Style::PLAIN));
    }
}
