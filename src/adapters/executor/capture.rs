//! Reading a program's output to the end whatever its length, and keeping only the last of it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::pulse::Counter;
use crate::adapters::process::FIRST;

/// How much of a program's output a log file takes.
const LOGGED: u64 = 64 << 20;

/// The first and the last bytes of one stream.
#[derive(Clone)]
pub struct Kept {
    limit: usize,
    first: Arc<Mutex<Vec<u8>>>,
    last: Arc<Mutex<VecDeque<u8>>>,
}

impl Kept {
    /// Keeps at most so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, first: Arc::default(), last: Arc::default() }
    }

    fn push(&self, bytes: &[u8]) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let room = FIRST - first.len();
        first.extend(&bytes[..bytes.len().min(room)]);
        drop(first);
        let mut kept = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = &bytes[bytes.len().saturating_sub(self.limit)..];
        let surplus = (kept.len() + bytes.len()).saturating_sub(self.limit);
        kept.drain(..surplus);
        kept.extend(bytes);
    }

    /// A copy of the beginning.
    pub fn first(&self) -> Vec<u8> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A copy of what is kept of the end now.
    pub fn bytes(&self) -> Vec<u8> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

/// A log file that stops growing at its limit; shared by both streams of a program.
#[derive(Clone)]
pub struct Log(Arc<Mutex<(File, u64)>>);

impl Log {
    /// Opens the file for appending.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self(Arc::new(Mutex::new((file, length)))))
    }

    fn write(&self, bytes: &[u8]) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, length) = &mut *guard;
        let room = usize::try_from(LOGGED.saturating_sub(*length)).unwrap_or(usize::MAX);
        let part = &bytes[..bytes.len().min(room)];
        // A log that can't be written must not end the program it is about.
        if file.write_all(part).is_ok() {
            *length += part.len() as u64;
        }
    }
}

/// Reads a stream to its end.
pub async fn drain(mut stream: impl AsyncRead + Unpin, kept: Kept, log: Option<Log>, counter: Counter) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                kept.push(&buffer[..length]);
                counter.add(length);
                if let Some(log) = &log {
                    log.write(&buffer[..length]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_and_the_last_bytes_are_kept() {
        let kept = Kept::new(10);
        for _ in 0..3 {
            kept.push(b"aaaaaa");
        }
        kept.push(b"end");
        assert_eq!(kept.bytes(), b"aaaaaaaend");
        kept.push(b"longer than the limit");
        assert_eq!(kept.bytes(), b" the limit");
        for _ in 0..FIRST {
            kept.push(b"b");
        }
        let first = kept.first();
        assert!(first.len() == FIRST && first.starts_with(b"aaaaaaaaaaaaaaaaaaendlonger") && first.ends_with(b"bb"));
    }
}
