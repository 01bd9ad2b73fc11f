//! Names that are used once, and passwords.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use sha2::{Digest, Sha256};

use super::CacheError;
use crate::adapters::process::secret;

/// Tells this resource from all others; no secret.
pub fn nonce() -> String {
    // Keyed from the system's randomness, and differently at every construction.
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// 256 bits from the system, as letters and digits that no URL has to escape.
pub fn password() -> Result<String, CacheError> {
    secret(256).map_err(|why| CacheError::Failed { what: "drawing a password".to_owned(), why: why.to_string() })
}

/// The form in which Redis takes and keeps a password, from which it can't be had back.
pub fn digest(password: &str) -> String {
    Sha256::digest(password.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_twice() {
        assert_ne!(nonce(), nonce());
        assert_ne!(password().unwrap(), password().unwrap());
        assert_eq!(password().unwrap().len(), 64);
    }

    #[test]
    fn the_digest_is_sha_256() {
        // The test vector of FIPS 180-4 for "abc".
        let kept = digest("abc");
        assert_eq!(kept, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
