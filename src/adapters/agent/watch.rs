//! Runs an agent's program and ends it where it must end: on request, at its deadline, a while
//! after a cap is spent, and where it shows no sign of life.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::{AgentEnd, Task};
use crate::adapters::process::{Command, Executor, Finished, ProcessError, Pulse, Vital};
use crate::domain::quantity::show_duration;

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(3);
/// How long a program may go on after its first refused request: time to say so and to end by itself.
const AFTER_REFUSAL: Duration = Duration::from_secs(5);
/// How often signs of life are looked for, at the most.
const LOOK: Duration = Duration::from_secs(5);
/// Less CPU time than this share of the time is what idling programs take, too.
const IDLE_SHARE: f64 = 0.01;
/// How many entries of the worktree are looked at for changes.
const MOST_ENTRIES: usize = 20_000;

/// A program that ended, and why we ended it, if we did.
pub struct Watched {
    /// What the executor says.
    pub finished: Finished,
    /// Set where it did not end by itself.
    pub end: Option<AgentEnd>,
}

/// Runs a program for a task. `over` resolves when it spent more than it may, where that is known
/// otherwise than from the proxy.
pub async fn watched(
    task: &Task<'_>,
    mut command: Command,
    exec: &dyn Executor,
    over: impl Future<Output = ()>,
) -> Result<Watched, ProcessError> {
    let pulse = Pulse::default();
    command.pulse = Some(pulse.clone());
    command.grace = GRACE;
    let stop = task.stop.child_token();
    let running = exec.run(command, &stop);
    tokio::pin!(running);
    let reason = tokio::select! {
        biased;
        finished = &mut running => {
            let finished = finished?;
            return Ok(Watched { end: AgentEnd::interrupted(finished.exit), finished });
        }
        () = over => AgentEnd::OverTokens,
        () = refused(task) => AgentEnd::OverTokens,
        message = stuck(task, &pulse) => AgentEnd::Stuck { message },
    };
    stop.cancel();
    Ok(Watched { finished: running.await?, end: Some(reason) })
}

/// Returns a while after the first refusal.
async fn refused(task: &Task<'_>) {
    task.refused.cancelled().await;
    tokio::time::sleep(AFTER_REFUSAL).await;
}

/// Returns when nothing has happened for too long: no output, no change in the worktree, no CPU time
/// worth the name, and no request under way that could explain it.
async fn stuck(task: &Task<'_>, pulse: &Pulse) -> String {
    let pause = LOOK.min(task.patience / 4).max(Duration::from_millis(50));
    let mut seen = Signs::of(task, pulse);
    let mut since = Instant::now();
    loop {
        tokio::time::sleep(pause).await;
        let now = Signs::of(task, pulse);
        if now.life_since(&seen, since.elapsed()) || (task.asking)() {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() >= task.patience {
            let quiet = show_duration(task.patience);
            return format!("no output, no change in the worktree and no CPU time for {quiet}");
        }
    }
}

/// What can be seen of a program at one moment.
struct Signs {
    vital: Vital,
    changed: Option<SystemTime>,
}

impl Signs {
    fn of(task: &Task<'_>, pulse: &Pulse) -> Self {
        Self { vital: pulse.read(), changed: newest(task.worktree) }
    }

    fn life_since(&self, before: &Self, elapsed: Duration) -> bool {
        let cpu = self.vital.cpu.abs_diff(before.vital.cpu);
        self.vital.output != before.vital.output
            || self.changed != before.changed
            || cpu.as_secs_f64() > IDLE_SHARE * elapsed.as_secs_f64().max(1.0)
    }
}

/// When something below a directory was changed last, as far as a bounded look tells. A directory's
/// own time tells of files that came and went.
fn newest(root: &Path) -> Option<SystemTime> {
    let mut open = vec![root.to_owned()];
    let (mut newest, mut looked) = (None, 0);
    while let Some(folder) = open.pop() {
        newest = newest.max(std::fs::metadata(&folder).and_then(|m| m.modified()).ok());
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            looked += 1;
            if looked > MOST_ENTRIES {
                return newest;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            newest = newest.max(metadata.modified().ok());
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_deep_in_a_worktree_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/x"), "1").unwrap();
        let before = newest(dir.path());
        assert_eq!(newest(dir.path()), before);
        std::thread::sleep(Duration::from_millis(20));
        std::fs::write(dir.path().join("a/b/x"), "2").unwrap();
        let changed = newest(dir.path());
        assert!(changed > before);
        std::thread::sleep(Duration::from_millis(20));
        std::fs::remove_file(dir.path().join("a/b/x")).unwrap();
        assert!(newest(dir.path()) > changed);
    }

    #[test]
    fn a_program_that_only_idles_shows_no_life() {
        let signs =
            |output, cpu_ms| Signs { vital: Vital { output, cpu: Duration::from_millis(cpu_ms) }, changed: None };
        let minute = Duration::from_secs(60);
        assert!(!signs(5, 100).life_since(&signs(5, 0), minute));
        assert!(signs(5, 700).life_since(&signs(5, 0), minute));
        assert!(signs(6, 0).life_since(&signs(5, 0), minute));
        // What it had started may be gone, and its time with it.
        assert!(signs(5, 0).life_since(&signs(5, 5000), minute));
    }
}
