//! What tells whose a process is, whatever it does: a mark that every program of ours gets and all that
//! descend from it keep.
//!
//! A daemon leaves its group, its session and its environment behind; the kernel hands its limits on all the
//! same. The limit of CPU time under a realtime policy means nothing to programs without one, so
//! its value carries the mark: years, and how many exactly says which run, lease and program. Who sets the
//! limit anew takes the mark off.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::adapters::process::Environment;

/// Bits of each part.
const PROGRAM: u32 = 16;
const LEASE: u32 = 20;
const RUN: u32 = 24;
/// Smaller limits than this many microseconds could be meant.
const LEAST: u64 = 1 << 41;

/// Whose a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

impl Mark {
    /// For the next program of this environment.
    pub fn next(env: &Environment) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let of = |name: &str| env.get(name).map(String::as_str).unwrap_or_default();
        let program = NEXT.fetch_add(1, Ordering::Relaxed) % (1 << PROGRAM);
        let lease = Self::of_lease(of("BLUEPRINT_LEASE")).0;
        Self((Self::of_run(of("BLUEPRINT_RUN")).0 | lease | program) & mask())
    }

    /// The part that all programs of a run share.
    fn of_run(run: &str) -> Self {
        Self((digest(run, RUN) << (PROGRAM + LEASE)) & mask())
    }

    /// The part that all programs of a lease share.
    fn of_lease(lease: &str) -> Self {
        Self((digest(lease, LEASE) << PROGRAM) & mask())
    }

    /// The mark that a process carries, also after its end until it is reaped.
    pub fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Max realtime timeout"))?;
        let value: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
        let base = base()?;
        (base..2 * base).contains(&value).then(|| Self(value - base))
    }

    /// Whether it is that of a program of this run or lease, by the variable that names it.
    pub(super) fn is_of(self, variable: &str, value: &str) -> bool {
        let (below, part) = match variable {
            "BLUEPRINT_RUN" => (PROGRAM + LEASE, Self::of_run(value).0),
            // It begins with its run, so that another run's leases are never taken for it.
            "BLUEPRINT_LEASE" => {
                let run = value.split('/').next().unwrap_or_default();
                (PROGRAM, Self::of_run(run).0 | Self::of_lease(value).0)
            }
            _ => return false,
        };
        self.0 >> below == part >> below
    }

    /// What the calling process has to do to carry it; `None` where there is no room for marks.
    pub fn limit(self) -> Option<Rlimit> {
        let value = base()? + self.0;
        Some(Rlimit { current: Some(value), maximum: Some(value) })
    }
}

/// Puts a mark on the calling process; one system call.
pub(super) fn put_on(limit: &Rlimit) {
    // Where it is refused, the environment still tells whose a process is.
    let _ = setrlimit(Resource::Rttime, *limit);
}

/// Marks are this and a code below it. Nobody may raise a limit, and we may be marked ourselves, so it is a power
/// of two below our own.
fn base() -> Option<u64> {
    let own = getrlimit(Resource::Rttime).maximum.unwrap_or(1 << 62);
    let half = own.min(1 << 62) / 2;
    (half >= LEAST).then(|| 1 << half.ilog2())
}

fn mask() -> u64 {
    base().map_or(0, |base| base - 1)
}

fn digest(text: &str, bits: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish() % (1 << bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(run: &str, lease: &str) -> Environment {
        [("BLUEPRINT_RUN", run), ("BLUEPRINT_LEASE", lease)].map(|(n, v)| (n.to_owned(), v.to_owned())).into()
    }

    #[test]
    fn a_mark_tells_its_run_its_lease_and_its_program_from_others() {
        let (one, two) = (Mark::next(&env("r", "r/a")), Mark::next(&env("r", "r/a")));
        assert_ne!(one, two);
        for mark in [one, two] {
            assert!(mark.is_of("BLUEPRINT_RUN", "r") && mark.is_of("BLUEPRINT_LEASE", "r/a"));
            assert!(!mark.is_of("BLUEPRINT_RUN", "s") && !mark.is_of("BLUEPRINT_LEASE", "r/b"));
            assert!(!mark.is_of("BLUEPRINT_CACHE", "r"));
        }
    }

    #[test]
    fn a_limit_that_somebody_else_set_is_no_mark() {
        assert_eq!(Mark::of(std::process::id()), None);
    }
}
