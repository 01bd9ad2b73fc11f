//! Takes secrets out of text, however they are spelled in it: plain, with JSON's or a URL's
//! escapes, or in base64.

use std::borrow::Cow;

use crate::domain::wire::Secret;

/// What stands in a secret's place.
const GONE: &[u8] = b"[redacted]";
/// What is shorter is a placeholder such as `none` or `ollama`, which would riddle every text.
const SHORTEST: usize = 8;
/// How many backslashes an escape nested in escapes may have.
const BACKSLASHES: usize = 8;
/// After `Bearer` this many characters of a credential are one.
const CREDENTIAL: usize = 16;
const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Knows secrets, and shows none of them.
#[derive(Clone)]
pub struct Redactor {
    /// By their first byte.
    spellings: Vec<Vec<Vec<u8>>>,
    /// Whether one may start with this byte.
    starts: [bool; 256],
    /// Whether `Bearer …` is taken out whatever it is.
    bearer: bool,
}

impl Redactor {
    /// Knows these keys.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut made = Self { spellings: vec![Vec::new(); 256], starts: [false; 256], bearer: false };
        for key in keys {
            let key = key.expose().as_bytes();
            made.add(key.to_vec());
            for shift in 0..3 {
                made.add(base64(key, shift, STANDARD));
                made.add(base64(key, shift, URL_SAFE));
            }
        }
        made
    }

    /// Knows a trial's token as well.
    pub(crate) fn knowing(mut self, token: &Secret) -> Self {
        self.add(token.expose().as_bytes().to_vec());
        self
    }

    /// Takes out the credentials of others too, where they are marked as such.
    pub(crate) fn with_bearers(mut self) -> Self {
        self.bearer = true;
        self.starts[usize::from(b'b')] = true;
        self.starts[usize::from(b'B')] = true;
        self
    }

    fn add(&mut self, spelling: Vec<u8>) {
        let Some(first) = spelling.first().filter(|_| spelling.len() >= SHORTEST) else { return };
        for start in [*first, b'\\', b'%'] {
            self.starts[usize::from(start)] = true;
        }
        let known = &mut self.spellings[usize::from(*first)];
        if !known.contains(&spelling) {
            known.push(spelling);
        }
    }

    /// The first `end` bytes of a text without secrets. What is behind is looked at, so that a secret that
    /// `end` cuts is found.
    pub fn clean<'a>(&self, text: &'a [u8], end: usize) -> Cow<'a, [u8]> {
        let end = end.min(text.len());
        let mut out = Vec::new();
        let (mut at, mut copied) = (0, 0);
        while at < end {
            let found = if self.starts[usize::from(text[at])] { self.secret(&text[at..]) } else { None };
            let Some((before, length)) = found else {
                at += 1;
                continue;
            };
            out.extend_from_slice(&text[copied..at + before]);
            out.extend_from_slice(GONE);
            at += before + length;
            copied = at;
        }
        if copied == 0 {
            return Cow::Borrowed(&text[..end]);
        }
        out.extend_from_slice(text.get(copied..end).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Whether a secret stands in this text.
    pub(crate) fn finds(&self, text: &[u8]) -> bool {
        matches!(self.clean(text, text.len()), Cow::Owned(_))
    }

    /// Where a secret begins that this text may end within: the first such place. Where an escape is cut, nobody
    /// knows what it stands for.
    pub fn begun(&self, text: &[u8]) -> Option<usize> {
        // Each character may be written as an escape within escapes.
        let longest = self.spellings.iter().flatten().map(Vec::len).max().unwrap_or(0) * (BACKSLASHES + 5);
        (text.len().saturating_sub(longest)..text.len()).find(|at| {
            let rest = &text[*at..];
            let first = unit(rest).map_or(0, |(first, _)| first);
            let known = || &self.spellings[usize::from(first)];
            self.starts[usize::from(rest[0])]
                && (known().iter().any(|secret| starts(rest, secret))
                    || is_cut(rest) && self.spellings.iter().any(|some| !some.is_empty()))
        })
    }

    /// A text without secrets.
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.clean(text.as_bytes(), text.len())).into_owned()
    }

    /// Whether a secret starts here: how much before it stays, and how long it is.
    fn secret(&self, text: &[u8]) -> Option<(usize, usize)> {
        let (first, _) = unit(text)?;
        let known = self.spellings[usize::from(first)].iter().find_map(|secret| spelled(text, secret));
        known.map(|length| (0, length)).or_else(|| if self.bearer { bearer(text) } else { None })
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(…)")
    }
}

/// How many bytes the secret takes at the start of this text, if it stands there.
fn spelled(text: &[u8], secret: &[u8]) -> Option<usize> {
    let mut at = 0;
    for wanted in secret {
        let rest = &text[at..];
        at += match unit(rest)? {
            _ if rest.first() == Some(wanted) => 1,
            (byte, length) if byte == *wanted => length,
            _ => return None,
        };
    }
    Some(at)
}

/// Whether a text ends within this secret, which begins at its start.
fn starts(text: &[u8], secret: &[u8]) -> bool {
    let mut at = 0;
    for wanted in secret {
        let rest = &text[at..];
        at += match unit(rest) {
            None => return true,
            Some(_) if rest.first() == Some(wanted) => 1,
            Some((byte, length)) if byte == *wanted => length,
            Some(_) => return is_cut(rest),
        };
    }
    false
}

/// Whether this is the start of an escape whose end is missing.
fn is_cut(text: &[u8]) -> bool {
    let run = text.iter().take(BACKSLASHES).take_while(|byte| **byte == b'\\').count();
    match text {
        [b'%', rest @ ..] => rest.len() < 2 && rest.iter().all(u8::is_ascii_hexdigit),
        _ if run == 0 => false,
        _ => match &text[run..] {
            [] => true,
            [b'u', rest @ ..] => rest.len() < 4 && rest.iter().all(u8::is_ascii_hexdigit),
            _ => false,
        },
    }
}

/// The byte that an escape stands for, and the escape's length; any other byte stands for itself.
fn unit(text: &[u8]) -> Option<(u8, usize)> {
    let first = *text.first()?;
    let hex = |from: usize, digits: usize| {
        let digits = std::str::from_utf8(text.get(from..from + digits)?).ok()?;
        u8::from_str_radix(digits.strip_prefix("00").filter(|d| d.len() == 2).unwrap_or(digits), 16).ok()
    };
    if first == b'%' {
        return Some(hex(1, 2).map_or((first, 1), |byte| (byte, 3)));
    }
    if first != b'\\' {
        return Some((first, 1));
    }
    let run = text.iter().take(BACKSLASHES).take_while(|byte| **byte == b'\\').count();
    let escaped = if text.get(run) == Some(&b'u') { hex(run + 1, 4).map(|byte| (byte, run + 5)) } else { None };
    Some(escaped.or_else(|| text.get(run).map(|byte| (*byte, run + 1))).unwrap_or((first, 1)))
}

/// `Bearer` and a credential.
fn bearer(text: &[u8]) -> Option<(usize, usize)> {
    const WORD: &[u8] = b"bearer ";
    let word = text.get(..WORD.len()).filter(|word| word.eq_ignore_ascii_case(WORD))?;
    let of_credential = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    let length = text[word.len()..].iter().take_while(of_credential).count();
    (length >= CREDENTIAL).then_some((word.len(), length))
}

/// What of the base64 of any text is the key's alone, where `shift` bytes stand before it in its group of three.
fn base64(key: &[u8], shift: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let bytes: Vec<u8> = std::iter::repeat_n(0, shift).chain(key.iter().copied()).collect();
    let sextet = |at: usize| {
        let bits = (at * 6) / 8;
        let pair = u16::from(bytes[bits]) << 8 | bytes.get(bits + 1).map_or(0, |next| u16::from(*next));
        alphabet[usize::from(pair >> (10 - (at * 6) % 8) & 63)]
    };
    ((shift * 8).div_ceil(6)..bytes.len() * 8 / 6).map(sextet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-canary/0123456789";

    fn clean(text: &str) -> String {
        Redactor::new([&Secret::new(KEY)]).with_bearers().text(text)
    }

    #[test]
    fn a_key_is_found_however_it_is_escaped() {
        let unicode: String = KEY.chars().map(|c| format!("\\u{:04X}", c as u32)).collect();
        let percent: String = KEY.bytes().map(|b| format!("%{b:02x}")).collect();
        for spelling in [
            KEY.to_owned(),
            KEY.replace('/', "\\/"),
            KEY.replace('/', "\\\\/"),
            KEY.replace('/', "%2F"),
            KEY.replace('a', "\\u0061"),
            KEY.replace('s', "\\\\u0073"),
            unicode,
            percent,
        ] {
            assert_eq!(clean(&format!("{{\"k\": \"{spelling}\"}}")), "{\"k\": \"[redacted]\"}", "{spelling}");
        }
    }

    #[test]
    fn a_key_in_base64_is_found_whatever_stands_before_it() {
        // As `base64` prints them: the key alone, after `:`, and after `u:`.
        for text in ["c2stY2FuYXJ5LzAxMjM0NTY3ODk=", "OnNrLWNhbmFyeS8wMTIzNDU2Nzg5", "dTpzay1jYW5hcnkvMDEyMzQ1Njc4OQ=="]
        {
            let cleaned = clean(text);
            assert!(cleaned.contains("[redacted]") && cleaned.len() < 18, "{text}: {cleaned}");
        }
    }

    #[test]
    fn credentials_of_others_are_taken_out_where_they_are_marked() {
        assert_eq!(
            clean("authorization: bearer abcdef0123456789 and more"),
            "authorization: bearer [redacted] and more"
        );
        assert_eq!(clean("a bearer of bad news"), "a bearer of bad news");
    }

    #[test]
    fn a_text_without_secrets_stays_as_it_is() {
        let text = "100 % of \\n \\u00e4 sk-canary \\\\\\\\\\\\\\\\\\\\ %zz \\";
        assert_eq!(clean(text), text);
        let short = Redactor::new([&Secret::new("ollama")]);
        assert_eq!(short.text("an ollama server"), "an ollama server");
    }

    #[test]
    fn a_key_that_the_end_cuts_is_taken_out_whole() {
        let redactor = Redactor::new([&Secret::new(KEY)]);
        let text = format!("before {KEY} after");
        assert_eq!(redactor.clean(text.as_bytes(), 12).as_ref(), b"before [redacted]");
        assert_eq!(redactor.clean(text.as_bytes(), 4).as_ref(), b"befo");
    }

    #[test]
    fn a_text_that_may_end_within_a_key_says_from_where() {
        let redactor = Redactor::new([&Secret::new(KEY)]);
        for (text, from) in [
            ("before sk-can", Some(7)),
            ("before s", Some(7)),
            ("before \\u0073\\u006b-c\\u00", Some(7)),
            ("before sk-canary\\", Some(7)),
            ("before sk%2", Some(7)),
            ("before sk-canter", None),
            ("sk-canary/0123456789", None),
            ("", None),
        ] {
            assert_eq!(redactor.begun(text.as_bytes()), from, "{text}");
        }
        assert_eq!(Redactor::new([]).begun(b"sk-can\\"), None);
        assert!(redactor.finds(KEY.as_bytes()) && !redactor.finds(b"sk-canter"));
    }

    #[test]
    fn a_redactor_shows_nothing_of_what_it_knows() {
        assert!(!format!("{:?}", Redactor::new([&Secret::new(KEY)])).contains("canary"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it_and_none_keeps_a_key(before in "[\\\\%u0-9a-z\"]{0,20}", after in "[\\\\%u0-9a-z\"]{0,20}") {
            let text = format!("{before}{KEY}{after}");
            let cleaned = clean(&text);
            proptest::prop_assert!(!cleaned.contains(KEY));
            proptest::prop_assert!(cleaned.ends_with(&after));
        }
    }
}
