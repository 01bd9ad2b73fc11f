//! The one audited module that builds SQL text and connection URLs.
//!
//! Everything that is not a constant reaches SQL through [`ident`] or [`literal`], except whole
//! scripts of the user's own, which [`script`] only cuts into statements.

pub mod load;
pub mod postgres;
pub mod query;
pub mod scalar;
pub mod script;
pub mod sqlite;
pub mod url;

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The longest name PostgreSQL keeps; it cuts longer ones off without a word, and two may meet.
const NAME_LIMIT: usize = 63;

/// What every comment of ours starts with.
pub(super) const MARKER: &str = "blueprint:v1";

/// An identifier, always quoted.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal that reads the same whatever `standard_conforming_strings` is.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// The first hexadecimal digits of a SHA-256 over parts that can't run into each other.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>, digits: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut text = String::new();
    for byte in hash.finalize() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.truncate(digits);
    text
}

/// `bp_<run8>_<key≤24>_<hash8>`: readable, at most 47 bytes of `[a-z0-9_]`, and its own for each
/// nonce.
pub(super) fn lease_name(run: &str, contender: &str, nonce: &str) -> String {
    let plain = |text: &str| -> String {
        let lower = text.chars().map(|c| c.to_ascii_lowercase());
        lower.map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
    };
    let run8: String = plain(run).chars().filter(|c| *c != '_').collect();
    let run8 = &run8[run8.len().saturating_sub(8)..];
    let key: String = plain(contender).chars().take(24).collect();
    let hash8 = digest([run.as_bytes(), contender.as_bytes(), nonce.as_bytes()], 8);
    format!("bp_{run8}_{key}_{hash8}")
}

/// Whether a name has the shape of [`lease_name`]: nothing else is ever removed.
pub(super) fn is_lease_name(name: &str) -> bool {
    let safe = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    safe && name.len() <= NAME_LIMIT && name.starts_with("bp_") && name.matches('_').count() >= 3
}

/// The comment that tells our objects from everybody else's.
pub fn marker(nonce: &str) -> String {
    format!("{MARKER} {nonce}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_inside_names_and_texts_are_doubled() {
        assert_eq!(ident("a\"; drop table x; --"), "\"a\"\"; drop table x; --\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("\\' or 1"), "E'\\\\'' or 1'");
    }

    #[test]
    fn names_of_long_or_strange_contenders_differ_and_stay_short() {
        let long = "x".repeat(200);
        let (a, b) = (lease_name("20260105-101112-ab12", &long, "1"), lease_name("20260105-101112-ab12", &long, "2"));
        assert_ne!(a, b);
        assert!(a.starts_with("bp_1112ab12_xxxxxxxxxxxxxxxxxxxxxxxx_"), "{a}");
        assert_ne!(lease_name("r", "a-b", "n"), lease_name("r", "a_b", "n"));
    }

    proptest! {
        #[test]
        fn every_name_is_plain_and_within_the_limit(run in ".*", key in ".*", nonce in "[0-9a-f]{16}") {
            let name = lease_name(&run, &key, &nonce);
            prop_assert!(is_lease_name(&name), "{}", name);
            prop_assert!(name.len() <= NAME_LIMIT);
        }
    }

    #[test]
    fn other_names_are_not_ours() {
        for name in ["", "users", "bp_", "bp_x", "bp_a_b", "bp_a_b_../c", "BP_A_B_C", "bp_a_b_c\"", "template1"] {
            assert!(!is_lease_name(name), "{name}");
        }
    }
}
