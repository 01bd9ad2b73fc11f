//! Two versions of a document, compared outside the regions that the tool writes.

use super::{Document, text};

/// The largest table of the comparison line by line; what is larger is paired by position.
const CELLS: usize = 4_000_000;

/// Whether two documents are equal outside the regions that the tool writes.
pub fn same_outside_regions(a: &Document, b: &Document) -> bool {
    a.outside().flat_map(str::bytes).eq(b.outside().flat_map(str::bytes))
}

/// Lines that differ outside those regions: number in the second document, old text, new text. A
/// line that is only in one of them has an empty text on the other side.
pub fn changed_lines(a: &Document, b: &Document) -> Vec<(usize, String, String)> {
    let (old, new) = (lines(a), lines(b));
    let same = |(x, y): &(&(usize, &str), &(usize, &str))| x.1 == y.1;
    let head = old.iter().zip(&new).take_while(same).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(same).count();
    let (old, rest) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let after = new.get(new.len() - tail).or(new.last()).map_or(1, |line| line.0);
    let mut changes = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (next_i, next_j) in common(old, rest).into_iter().chain([(old.len(), rest.len())]) {
        while i < next_i || j < next_j {
            let number = rest.get(j).map_or(after, |line| line.0);
            let was = (i < next_i).then(|| old[i].1.to_owned());
            let is = (j < next_j).then(|| rest[j].1.to_owned());
            i += usize::from(was.is_some());
            j += usize::from(is.is_some());
            changes.push((number, was.unwrap_or_default(), is.unwrap_or_default()));
        }
        (i, j) = (next_i + 1, next_j + 1);
    }
    changes
}

/// Lines outside the regions with their numbers.
fn lines(document: &Document) -> Vec<(usize, &str)> {
    let text = &document.source;
    let mut found = Vec::new();
    let (mut number, mut at) = (1, 0);
    for part in document.places.outside(text.len()) {
        for line in text::lines(text, part) {
            number += text[at..line.start].matches('\n').count();
            at = line.start;
            found.push((number, &text[line]));
        }
    }
    found
}

/// A longest common subsequence, as pairs of places.
fn common(old: &[(usize, &str)], new: &[(usize, &str)]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    if old.len().saturating_mul(width) > CELLS {
        return Vec::new();
    }
    let mut best = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let equal = old[i].1 == new[j].1;
            best[i * width + j] = if equal {
                best[(i + 1) * width + j + 1] + 1
            } else {
                best[(i + 1) * width + j].max(best[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        if old[i].1 == new[j].1 {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if best[(i + 1) * width + j] >= best[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}
