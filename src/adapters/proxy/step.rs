//! A trial as the proxy knows it: its token, what it learnt about its conversations, and the step
//! that is open, with everything of it that is under way.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::watch;

use super::bound::Anchors;
use super::cooldown::Waits;
use super::transcript::Scribe;
use super::{Door, Opening, Purse, Stop};
use crate::domain::wire::{Access, Secret};

/// A trial, from its first step to the end of the run.
pub(super) struct Trial {
    pub access: Access,
    pub anchors: Mutex<Anchors>,
    slot: Mutex<Slot>,
}

/// Which step is open, and where the last one's transcript is.
#[derive(Default)]
struct Slot {
    step: Option<Arc<Step>>,
    book: Option<Book>,
}

/// Where the lines of a step go.
#[derive(Clone)]
pub(super) struct Book {
    pub file: Arc<File>,
    pub opened: Instant,
}

/// One open step.
pub(super) struct Step {
    pub purse: Arc<dyn Purse>,
    pub refused: Stop,
    pub closing: Stop,
    pub waits: Waits,
    pub book: Book,
    underway: watch::Sender<usize>,
}

impl Trial {
    /// Without an open step.
    pub(super) fn new(root: String, key: Secret) -> Self {
        let (anchors, slot) = (Mutex::default(), Mutex::default());
        Self { access: Access { root, key }, anchors, slot }
    }

    /// Opens a step. One that is still open is broken off; its door must still be closed.
    pub(super) fn open(self: &Arc<Self>, opening: Opening, file: Arc<File>, scribe: Scribe) -> OpenDoor {
        let book = Book { file, opened: Instant::now() };
        let step = Arc::new(Step {
            purse: opening.purse,
            refused: Stop::new(),
            closing: Stop::new(),
            waits: Waits::new(opening.time),
            book: book.clone(),
            underway: watch::Sender::new(0),
        });
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = slot.step.replace(Arc::clone(&step)) {
            before.closing.cancel();
        }
        slot.book = Some(book);
        drop(slot);
        OpenDoor { trial: Arc::clone(self), step, scribe }
    }

    /// Begins a request of the open step; none where no step is open.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Visit> {
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let step = Arc::clone(slot.step.as_ref()?);
        // While the slot is held nobody closes the step: it will wait for this request.
        step.underway.send_modify(|count| *count += 1);
        Some(Visit { trial: Arc::clone(self), step })
    }

    /// Where what no step asked for is noted, if there ever was a step.
    pub(super) fn book(&self) -> Option<Book> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).book.clone()
    }

    fn leave(&self, step: &Arc<Step>) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.step.as_ref().is_some_and(|open| Arc::ptr_eq(open, step)) {
            slot.step = None;
        }
        drop(slot);
        step.closing.cancel();
    }
}

/// A request of a step that is under way until this is dropped.
pub(super) struct Visit {
    pub trial: Arc<Trial>,
    pub step: Arc<Step>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.step.underway.send_modify(|count| *count -= 1);
    }
}

/// The door of an open step. Dropped without being closed it admits nothing more either, and what is
/// under way settles by itself.
pub(super) struct OpenDoor {
    trial: Arc<Trial>,
    step: Arc<Step>,
    scribe: Scribe,
}

#[async_trait]
impl Door for OpenDoor {
    fn access(&self) -> &Access {
        &self.trial.access
    }

    fn refused(&self) -> &Stop {
        &self.step.refused
    }

    fn busy(&self) -> bool {
        *self.step.underway.borrow() > 0
    }

    async fn close(self: Box<Self>) {
        self.trial.leave(&self.step);
        // The sender is the step's own, which this holds.
        drop(self.step.underway.subscribe().wait_for(|count| *count == 0).await);
        self.scribe.flush().await;
    }
}

impl Drop for OpenDoor {
    fn drop(&mut self) {
        self.trial.leave(&self.step);
    }
}
