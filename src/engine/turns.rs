//! Whose turn it is to run its tests: several at once, until two of them are in each other's way.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::Error;

/// Turns of a run's contenders.
pub struct Turns {
    most: u32,
    free: Semaphore,
    one_at_a_time: AtomicBool,
}

/// A turn that somebody has, until it is dropped.
pub struct Turn<'a> {
    _permits: SemaphorePermit<'a>,
    /// Whether nobody else has one.
    pub alone: bool,
}

impl Turns {
    /// So many at once.
    pub fn new(most: usize) -> Self {
        let most = u32::try_from(most.clamp(1, 1000)).unwrap_or(1);
        Self { most, free: Semaphore::new(most as usize), one_at_a_time: AtomicBool::new(false) }
    }

    /// The next turn.
    pub async fn take(&self) -> Result<Turn<'_>, Error> {
        let alone = self.most == 1 || self.one_at_a_time.load(Ordering::Relaxed);
        let permits = self.free.acquire_many(if alone { self.most } else { 1 }).await;
        let _permits = permits.map_err(|_| Error::machine("the run is being stopped"))?;
        Ok(Turn { _permits, alone })
    }

    /// Gives a turn back for one that is alone; from now on every turn is. Whether that is new.
    pub(super) async fn alone_instead<'a>(&'a self, turn: Turn<'a>) -> Result<(Turn<'a>, bool), Error> {
        let first = !self.one_at_a_time.swap(true, Ordering::Relaxed);
        drop(turn);
        Ok((self.take().await?, first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_taken_side_by_side_until_one_is_to_be_alone() {
        let turns = Turns::new(3);
        let (one, two) = (turns.take().await.unwrap(), turns.take().await.unwrap());
        assert!(!one.alone && !two.alone);
        drop(two);
        let (alone, first) = turns.alone_instead(one).await.unwrap();
        assert!(alone.alone && first);
        let next = turns.take();
        tokio::pin!(next);
        assert!(futures_util::poll!(&mut next).is_pending(), "nobody else has one");
        drop(alone);
        let (again, first) = turns.alone_instead(next.await.unwrap()).await.unwrap();
        assert!(again.alone && !first);
    }
}
