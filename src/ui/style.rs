//! Style: what a text means, how that looks where colours are wanted, and how wide it may be.

/// What a text means to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// Headings and winners.
    Strong,
    /// Kept, won.
    Good,
    /// Missed, failed.
    Bad,
    /// Worth a second look.
    Warn,
    /// Less important than the rest.
    Faint,
}

/// Whether tones are shown, and in how many columns. No meaning rests on a colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Whether tones become colours.
    pub coloured: bool,
    /// Columns of the terminal; unknown where the text goes elsewhere, and then nothing is broken.
    pub columns: Option<usize>,
}

impl Style {
    /// Without colours, of any width.
    pub const PLAIN: Self = Self { coloured: false, columns: None };

    /// Coloured, of any width.
    #[cfg(test)]
    pub const COLOURED: Self = Self { coloured: true, columns: None };

    /// The text in its tone.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Strong => "1",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warn => "33",
            Tone::Faint => "2",
        };
        if self.coloured && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_a_colour_only_where_colours_are_wanted() {
        assert_eq!(Style::COLOURED.paint(Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(Style::PLAIN.paint(Tone::Bad, "x"), "x");
    }
}
