//! The journal's fake: the same behaviour without a disk.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::{Appended, Entry, Journal, JournalError, RunLock};

/// A journal that ends with the process.
#[derive(Default)]
pub struct Memory {
    entries: Mutex<Vec<Entry>>,
    locked: Arc<Mutex<BTreeSet<String>>>,
}

struct Held(String, Arc<Mutex<BTreeSet<String>>>);

impl RunLock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

#[async_trait]
impl Journal for Memory {
    fn append(&self, run: &str, elapsed: Duration, kind: &str, data: Value) -> Appended {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = i64::try_from(entries.len()).unwrap_or(i64::MAX) + 1;
        entries.push(Entry { sequence, run: run.to_owned(), at: 0, elapsed, kind: kind.to_owned(), data });
        Box::pin(ready(Ok(sequence)))
    }

    async fn entries(&self, run: &str) -> Result<Vec<Entry>, JournalError> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(entries.iter().filter(|e| e.run == run).cloned().collect())
    }

    async fn runs(&self) -> Result<Vec<String>, JournalError> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut runs: Vec<String> = Vec::new();
        for entry in entries.iter() {
            if !runs.contains(&entry.run) {
                runs.push(entry.run.clone());
            }
        }
        Ok(runs)
    }

    async fn lock(&self, run: &str) -> Result<Box<dyn RunLock>, JournalError> {
        if self.locked.lock().unwrap_or_else(PoisonError::into_inner).insert(run.to_owned()) {
            Ok(Box::new(Held(run.to_owned(), Arc::clone(&self.locked))))
        } else {
            Err(JournalError::Locked(run.to_owned()))
        }
    }
}
