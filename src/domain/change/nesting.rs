//! How deep lines of code are nested, by their indentation.

use super::lines::{Classified, LineKind, split};

/// Depths of a text's lines, from 0; none for what is no code, and for lines that begin in a string.
///
/// A line that stands further right than the one before it is one level deeper, however far: levels
/// need no unit, tabs and spaces are alike, and arguments aligned under a bracket count one level.
pub fn depths(text: &str, classified: &Classified) -> Vec<Option<u32>> {
    let mut open = vec![0];
    let mut depth = |line: &str| {
        let column = indent(line);
        while open.last().is_some_and(|outer| *outer > column) {
            open.pop();
        }
        if open.last().is_none_or(|outer| *outer < column) {
            open.push(column);
        }
        u32::try_from(open.len() - 1).unwrap_or(u32::MAX)
    };
    split(text)
        .zip(&classified.lines)
        .map(|(text, line)| (line.kind == LineKind::Code && !line.in_string).then(|| depth(text)))
        .collect()
}

/// Columns of white space before a line's text; a tab counts 4.
fn indent(line: &str) -> usize {
    line.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { 4 } else { 1 }).sum()
}

/// A mean over lines.
#[derive(Debug, Default)]
pub struct Mean {
    levels: f64,
    lines: f64,
}

impl Mean {
    /// Takes in lines' depths.
    pub fn extend(&mut self, depths: impl IntoIterator<Item = u32>) {
        for depth in depths {
            self.levels += f64::from(depth);
            self.lines += 1.0;
        }
    }

    /// The mean depth; none over no lines.
    pub fn get(&self) -> Option<f64> {
        (self.lines > 0.0).then(|| self.levels / self.lines)
    }
}

/// How many times deeper the added lines are than the files were, at least 1. Depth is counted from
/// 1, so that flat code has a ratio; without lines on both sides there is nothing to compare.
pub fn surplus(added: &Mean, before: &Mean) -> f64 {
    match (added.get(), before.get()) {
        (Some(added), Some(before)) => ((added + 1.0) / (before + 1.0)).max(1.0),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::classify;
    use super::*;

    fn of(path: &str, text: &str) -> Vec<Option<u32>> {
        depths(text, &classify(path, text))
    }

    #[test]
    fn a_block_is_one_level_whatever_it_is_indented_by() {
        for unit in ["  ", "    ", "\t", "        "] {
            let text = format!("def f():\n{unit}if a:\n{unit}{unit}return 1\n{unit}return 2\nf()\n");
            assert_eq!(of("a.py", &text), [0, 1, 2, 1, 0].map(Some), "{unit:?}");
        }
    }

    #[test]
    fn aligned_arguments_are_one_level_and_not_ten() {
        let text = "result = function_with_a_name(a,\n                              b,\n                              c)\nx = 1\n";
        assert_eq!(of("a.py", text), [0, 1, 1, 0].map(Some));
    }

    #[test]
    fn comments_blank_lines_and_insides_of_strings_have_no_depth() {
        let text = "a = 1\n        # far right\n\nb = \"\"\"\n                deep\n    \"\"\"\nc = 2\n";
        assert_eq!(of("a.py", text), [Some(0), None, None, Some(0), None, None, Some(0)]);
    }
}
