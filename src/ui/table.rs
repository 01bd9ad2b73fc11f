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
    pub fn toned(tone: Tone, text: impl AsRef<str>) -> Self {
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
}

impl Table {
    /// A table with this head.
    pub fn new(columns: impl IntoIterator<Item = (String, Align)>) -> Self {
        let (head, aligns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let head = head.into_iter().map(|title| Cell::toned(Tone::Strong, title)).collect();
        Self { aligns, rows: vec![head] }
    }

    /// A table without a head.
    pub fn bare(aligns: impl IntoIterator<Item = Align>) -> Self {
        Self { aligns: aligns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row; cells beyond the head's are left out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().take(self.aligns.len()).collect());
    }

    /// The text, each line with its end and without trailing blanks.
    pub fn render(&self, style: Style) -> String {
        let widths: Vec<usize> = (0..self.aligns.len())
            .map(|column| self.rows.iter().filter_map(|row| row.get(column)).map(|c| words::width(&c.text)).max())
            .map(Option::unwrap_or_default)
            .collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), align) in row.iter().zip(&widths).zip(&self.aligns) {
                let blanks = " ".repeat(width - words::width(&cell.text));
                let painted = style.paint(cell.tone, &cell.text);
                line.push_str(&match align {
                    Align::Left => format!("{painted}{blanks}  "),
                    Align::Right => format!("{blanks}{painted}  "),
                });
            }
            out.push_str(line.trim_end());
            out.push('\n');
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
    fn colours_change_nothing_but_colours() {
        let coloured = table().render(Style { coloured: true });
        assert!(coloured.contains("\u{1b}[32m9.5\u{1b}[0m"), "{coloured:?}");
        assert_eq!(words::visible(&coloured, false), table().render(Style::PLAIN));
    }
}
