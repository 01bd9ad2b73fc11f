//! Looks at what the programs of a lease use as long as its walls stand: often while they work, seldom while one is measured.
//! Where a limit is passed, all that is within is killed.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::walls::Walls;
use crate::adapters::process::{Command, Stay};

/// Between two looks at memory and processes while programs work.
const OFTEN: Duration = Duration::from_millis(200);
/// The same while one is measured.
const SELDOM: Duration = Duration::from_secs(1);
/// Between two looks at the disk, at least; and as many times as long as the last look took.
const DISK: (Duration, u32) = (Duration::from_secs(1), 20);

/// A program that runs as long as this lives.
pub(super) struct Running {
    walls: Arc<Walls>,
    stay: Stay,
}

impl Running {
    /// From now on.
    pub fn of(walls: &Arc<Walls>, command: &Command) -> Self {
        walls.ration().running(command.stay).fetch_add(1, Ordering::Relaxed);
        Self { walls: Arc::clone(walls), stay: command.stay }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.walls.ration().running(self.stay).fetch_sub(1, Ordering::Relaxed);
    }
}

/// Looks on, until nobody needs the walls any more.
pub(super) fn watch(walls: &Arc<Walls>) {
    let Ok(namespace) = fs::read_link(format!("/proc/{}/ns/pid", walls.keeper())) else { return };
    let walls = Arc::downgrade(walls);
    tokio::spawn(async move {
        let (mut disk, mut seen) = (Instant::now(), Instant::now());
        loop {
            tokio::time::sleep(OFTEN).await;
            let Some(walls) = walls.upgrade() else { return };
            let runs = |stay| walls.ration().running(stay).load(Ordering::Relaxed) > 0;
            let (works, measured) = (runs(Stay::Lasting), runs(Stay::Fleeting));
            if !works && (!measured || seen.elapsed() < SELDOM) {
                continue;
            }
            seen = Instant::now();
            let namespace = namespace.clone();
            let look = move || {
                let ration = walls.ration();
                let (mut next, mut excess) = (disk, ration.used(&namespace, walls.keeper()));
                let began = Instant::now();
                if excess.is_none() && works && began >= disk {
                    excess = ration.disk();
                    next = Instant::now() + DISK.0.max(began.elapsed() * DISK.1);
                }
                if let Some(excess) = excess {
                    ration.pass(excess);
                    walls.kill();
                }
                next
            };
            match tokio::task::spawn_blocking(look).await {
                Ok(next) => disk = next,
                Err(_) => return,
            }
        }
    });
}
