//! The priority at which programs are measured: the highest that this machine lets us, found out once.
//!
//! A program that waits for its turn behind others is timed with them. At a higher nice value it gets the larger
//! share, but when it wakes it may still wait until whoever has the core has used up a slice of some milliseconds.
//! Real-time programs are not made to wait: they take turns with each other (round robin), at the lowest
//! real-time priority, and what sends them requests goes before them. The kernel keeps a part of each second for all
//! others; where it was told not to, a program that never sleeps would freeze the machine, and real time is not used.
//! What reads `/proc` of programs that are just ending never runs in real time: opening it, the kernel goes round until
//! whoever takes those entries down is done, and in real time nobody else ever gets on.
//!
//! Where the kernel gives every session its share of the machine (autogroups), a nice value only
//! counts inside of its session, which is ours: that is raised with it.

use std::fs;
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use rustix::process::{getpriority_process, setpriority_process};

use crate::domain::measurement::Priority;

/// The highest priority there is, as a nice value.
const HIGHEST: i32 = -20;
/// The real-time priority of what is measured: the lowest there is.
const MEASURED: i32 = 1;
/// The real-time priority of what asks it or waits for its end, and hardly ever runs.
const LOOKING: i32 = 2;

/// The priority at which programs are measured; our own where none above it is allowed.
pub fn measured() -> Priority {
    static BEST: OnceLock<Priority> = OnceLock::new();
    // A thread has a priority of its own: this one tries, and ends with what it got.
    let probe = || thread::Builder::new().spawn(probe).ok()?.join().ok();
    *BEST.get_or_init(|| probe().unwrap_or(Priority::Usual))
}

fn probe() -> Priority {
    if others_keep_a_part() && is_usual() && set(libc::SCHED_RR, LOOKING).is_ok() {
        return Priority::RealTime;
    }
    let own = own();
    (HIGHEST..own).find(|nice| setpriority_process(None, *nice).is_ok()).map_or(Priority::Usual, Priority::Nice)
}

/// The calling thread's nice value.
fn own() -> i32 {
    getpriority_process(None).unwrap_or(0)
}

/// Whether real-time programs may use less than all of the time.
fn others_keep_a_part() -> bool {
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?.trim().parse::<i64>().ok();
    let (runtime, period) = (read("sched_rt_runtime_us"), read("sched_rt_period_us"));
    runtime.zip(period).is_some_and(|(runtime, period)| (0..period).contains(&runtime))
}

/// Whether the calling thread is scheduled as programs usually are; who was started otherwise stays as it is.
fn is_usual() -> bool {
    #[expect(unsafe_code, reason = "the only way to ask; no memory is handed over")]
    // SAFETY: the call takes a number and returns one.
    let policy = unsafe { libc::sched_getscheduler(0) };
    policy == libc::SCHED_OTHER
}

/// Gives the calling thread a policy and a real-time priority; 0 with the usual policy.
fn set(policy: libc::c_int, priority: libc::c_int) -> io::Result<()> {
    #[expect(unsafe_code, reason = "all of its fields are numbers, and some systems have more of them")]
    // SAFETY: zeroes are a valid value of it.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority;
    #[expect(unsafe_code, reason = "the only way to ask for it")]
    // SAFETY: the parameters live beyond the call, which only reads them.
    let done = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets the calling thread go before what is measured: for one that asks it or waits for its end, and does little. Where nothing better is allowed it stays as it is.
pub(crate) fn go_first() {
    // Refused or not, what is measured is looked at alike.
    match measured() {
        Priority::RealTime => drop(set(libc::SCHED_RR, LOOKING)),
        Priority::Nice(nice) => drop(setpriority_process(None, nice)),
        Priority::Usual => {}
    }
}

/// Gives the calling thread the best usual priority that it may have, whatever it was started with: for one that looks into
/// `/proc` again and again.
pub(crate) fn look_on() {
    if measured() == Priority::RealTime {
        drop(set(libc::SCHED_OTHER, 0));
        let _ = setpriority_process(None, HIGHEST);
    }
}

/// Raises the calling thread until this is dropped. What it starts meanwhile keeps the priority.
pub struct Raised(i32);

impl Raised {
    /// From now on.
    pub fn now() -> Self {
        let before = own();
        // Refused or not, everyone who is measured runs alike.
        match measured() {
            Priority::RealTime => drop(set(libc::SCHED_RR, MEASURED)),
            Priority::Nice(nice) => drop(setpriority_process(None, nice)),
            Priority::Usual => {}
        }
        Self(before)
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        // To step back is always allowed.
        match measured() {
            Priority::RealTime => drop(set(libc::SCHED_OTHER, 0)),
            Priority::Nice(_) => drop(setpriority_process(None, self.0)),
            Priority::Usual => {}
        }
    }
}

/// Raises our session against others, where sessions have shares of the machine and priorities count inside of them, as
/// long as one of these is there. All of us is in it: what is measured, and the threads that look at it.
pub struct Session(());

/// How many there are, and what the session's nice value was before the first.
static SESSION: Mutex<(usize, i32)> = Mutex::new((0, 0));

impl Session {
    /// From now on.
    pub fn raise() -> Self {
        let mut state = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
        if let (0, Some(nice)) = (state.0, raised()) {
            // Another run's doing, or that of one that was killed, is not to be kept.
            state.1 = session().filter(|known| *known != nice).unwrap_or(0);
            set_session(nice);
        }
        state.0 += 1;
        Self(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 -= 1;
        if state.0 == 0 && raised().is_some() {
            set_session(state.1);
        }
    }
}

/// The nice value that a session is raised to: of what is measured, or in real time of what looks on.
fn raised() -> Option<i32> {
    match measured() {
        Priority::RealTime => Some(HIGHEST),
        Priority::Nice(nice) => Some(nice),
        Priority::Usual => None,
    }
}

/// The nice value of our session; `None` where sessions have none (`/autogroup-12 nice 0` is what is read).
fn session() -> Option<i32> {
    fs::read_to_string("/proc/self/autogroup").ok()?.trim().rsplit_once(' ')?.1.parse().ok()
}

fn set_session(nice: i32) {
    // Without sessions' shares there is nothing to raise; where it is refused, priorities count inside of ours alone.
    drop(fs::write("/proc/self/autogroup", nice.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a thread runs at: its policy, its real-time priority and its nice value.
    fn now() -> (bool, i32) {
        (is_usual(), own())
    }

    #[test]
    fn our_session_is_raised_as_long_as_anything_is_measured_and_then_as_it_was() {
        let before = session();
        let both = (Session::raise(), Session::raise());
        drop(both.0);
        match raised() {
            Some(best) => assert!(session().is_none_or(|nice| nice == best), "{:?}", session()),
            None => assert_eq!(session(), before),
        }
        drop(both.1);
        assert_eq!(session(), before);
    }

    #[test]
    fn a_thread_steps_back_to_where_it_was() {
        let before = now();
        let raised = Raised::now();
        match measured() {
            Priority::RealTime => assert_eq!(now(), (false, before.1)),
            Priority::Nice(nice) => assert_eq!(now(), (true, nice)),
            Priority::Usual => assert_eq!(now(), before),
        }
        drop(raised);
        assert_eq!(now(), before);
    }

    #[test]
    fn real_time_is_used_wherever_it_may_be_had_and_the_machine_keeps_a_part_for_others() {
        // A container may forbid it to its root too.
        let allowed = thread::spawn(|| set(libc::SCHED_RR, LOOKING).is_ok()).join().unwrap();
        assert_eq!(measured() == Priority::RealTime, allowed && others_keep_a_part() && is_usual());
    }

    #[test]
    fn what_looks_on_is_not_in_real_time_whoever_starts_it() {
        let raised = Raised::now();
        let looking = || {
            thread::spawn(|| {
                look_on();
                is_usual()
            })
        };
        assert!(looking().join().unwrap());
        drop(raised);
        assert!(looking().join().unwrap());
    }

    #[test]
    fn who_may_everything_measures_in_real_time_where_the_machine_keeps_a_part_for_others() {
        let may = rustix::process::geteuid().is_root() && others_keep_a_part();
        // A container may forbid it to its root too.
        let allowed = thread::spawn(|| set(libc::SCHED_RR, LOOKING).is_ok()).join().unwrap();
        assert_eq!(measured() == Priority::RealTime, allowed && others_keep_a_part(), "{may}");
    }
}
