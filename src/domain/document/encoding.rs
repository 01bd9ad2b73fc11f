//! Double-encoded text: UTF-8 that was once read as Windows-1252 and written as UTF-8 again.

use std::ops::Range;

use crate::domain::diagnostic::{Code, Diagnostic};

/// The characters of Windows-1252 from 0x80 to 0x9f; what it leaves open stands for itself.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// One finding for all double-encoded places, with the repair.
pub(super) fn check(text: &str, found: &mut Vec<Diagnostic>) {
    let edits = repairs(text);
    let Some((first, repaired)) = edits.first().cloned() else { return };
    let more = if edits.len() > 1 { format!(", and {} more places", edits.len() - 1) } else { String::new() };
    let message = format!("`{}` is double-encoded UTF-8 for `{repaired}`{more}", &text[first.clone()]);
    let mut finding = Diagnostic::new(Code::DoubleEncoded, first, message)
        .help("the text was read as Windows-1252 somewhere and saved again; `blueprint check --fix` repairs it");
    for (span, repaired) in edits.iter().skip(1).take(2) {
        finding = finding.also(span.clone(), format!("for `{repaired}`"));
    }
    found.push(finding.fixed_by("repair double-encoded text", edits));
}

/// Every double-encoded run with what it stands for.
fn repairs(text: &str) -> Vec<(Range<usize>, String)> {
    let bytes = text.as_bytes();
    let mut edits = Vec::new();
    let mut at = 0;
    // The lead byte of every such sequence is one of U+00C2 to U+00F4, which UTF-8 starts with 0xc3.
    while let Some(next) = bytes[at..].iter().position(|b| *b == 0xc3) {
        let start = at + next;
        let (mut end, mut repaired, mut sure) = (start, String::new(), false);
        while let Some((length, c, strong)) = decode(&text[end..]) {
            end += length;
            repaired.push(c);
            sure |= strong;
        }
        // A single odd pair may be what somebody wrote, such as `É”`; two in a row are not.
        if sure || repaired.chars().nth(1).is_some() {
            edits.push((start..end, repaired));
        }
        at = end.max(start + 2);
    }
    edits
}

/// The character that a double-encoded sequence at the start stands for: its length in bytes, the
/// character, and whether it is one that no one writes by accident.
fn decode(text: &str) -> Option<(usize, char, bool)> {
    let mut chars = text.chars();
    let lead = byte(chars.next()?)?;
    let length = match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let mut bytes = [lead, 0, 0, 0];
    let mut punctuation = false;
    for slot in &mut bytes[1..length] {
        let c = chars.next()?;
        *slot = byte(c).filter(|b| (0x80..0xc0).contains(b))?;
        punctuation |= matches!(c, '‘' | '’' | '“' | '”' | '‚' | '„' | '–' | '—' | '…' | '•' | '«' | '»');
    }
    let decoded = std::str::from_utf8(&bytes[..length]).ok()?.chars().next()?;
    let strong = match lead {
        0xc2 | 0xc3 => !punctuation,
        0xe2 | 0xf0 => true,
        _ => false,
    };
    Some((text.len() - chars.as_str().len(), decoded, strong))
}

/// The byte of a character in Windows-1252.
fn byte(c: char) -> Option<u8> {
    let number = u32::from(c);
    if number < 0x100 {
        return u8::try_from(number).ok();
    }
    HIGH.iter().position(|high| *high == c).and_then(|at| u8::try_from(0x80 + at).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str) -> String {
        let mut out = text.to_owned();
        for (span, new) in repairs(text).into_iter().rev() {
            out.replace_range(span, &new);
        }
        out
    }

    #[test]
    fn what_was_encoded_twice_is_repaired() {
        let twice = |text: &str| -> String {
            let high = |b: u8| if (0x80..0xa0).contains(&b) { HIGH[usize::from(b) - 0x80] } else { char::from(b) };
            text.bytes().map(high).collect()
        };
        for text in ["✅", "it’s – done", "naïve café", "🚀 up", "日本語", "≤ 5 µs"] {
            assert_eq!(fixed(&twice(text)), text);
        }
        assert_eq!(fixed("| âœ… |"), "| ✅ |");
    }

    #[test]
    fn what_people_write_is_left_alone() {
        for text in ["naïve café", "“CAFÉ”", "Ângela à la «maison»", "É»…", "São Paulo – Ã", "Größe ≤ 5 µs", "✅"]
        {
            assert_eq!(fixed(text), text);
        }
    }
}
