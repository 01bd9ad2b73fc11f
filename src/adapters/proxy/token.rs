//! A trial's token: drawn from the system's randomness, and compared without telling how much of a
//! wrong one was right.

use crate::adapters::process::secret;
use crate::domain::wire::Secret;

/// 256 bits from the system, as digits that neither a header nor a URL has to escape.
pub(super) fn draw() -> std::io::Result<Secret> {
    secret(256).map(Secret::new)
}

/// Whether what was given is the token. Takes as long for a nearly right one as for any other; the
/// length is no secret.
pub(super) fn same(given: &[u8], token: &Secret) -> bool {
    let right = token.expose().as_bytes();
    let differences = given.iter().zip(right).fold(0, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
    given.len() == right.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_is_drawn_twice() {
        let token = draw().unwrap();
        assert_eq!(token.expose().len(), 64);
        assert_ne!(token, draw().unwrap());
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Secret::new("0123abcd");
        assert!(same(b"0123abcd", &token));
        for other in ["", "0123abc", "0123abcde", "1123abcd", "0123ABCD"] {
            assert!(!same(other.as_bytes(), &token), "{other:?}");
        }
    }
}
