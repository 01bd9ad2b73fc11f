//! The form in which Redis takes and keeps a password.

use sha2::{Digest, Sha256};

/// From this the password can't be had back.
pub fn digest(password: &str) -> String {
    Sha256::digest(password.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha_256() {
        // The test vector of FIPS 180-4 for "abc".
        let kept = digest("abc");
        assert_eq!(kept, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
