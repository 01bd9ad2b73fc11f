//! Secrets that programs are handed: passwords and tokens, drawn from the system's randomness.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read};

/// So many bits, a multiple of 8, as hexadecimal digits: neither a URL nor a header has to escape them.
pub fn secret(bits: usize) -> io::Result<String> {
    let mut bytes = vec![0; bits / 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// 16 hexadecimal digits that tell things of ours apart. Not a secret.
pub fn nonce() -> String {
    // Keyed from the system's randomness, and differently at every construction.
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_twice() {
        let drawn = secret(256).unwrap();
        assert_eq!(drawn.len(), 64);
        assert_ne!(drawn, secret(256).unwrap());
    }
}
