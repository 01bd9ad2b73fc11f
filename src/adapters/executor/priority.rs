//! The priority at which programs are measured: the highest that this machine lets us, found out once.
//!
//! Where the kernel gives every session its share of the machine (autogroups), a program's priority only
//! counts inside of its session, which is ours: that is raised with it.

use std::fs;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use rustix::process::{getpriority_process, setpriority_process};

/// The highest priority there is, as a nice value.
const HIGHEST: i32 = -20;

/// The nice value at which programs are measured; our own where none above it is allowed.
pub fn measured() -> i32 {
    static BEST: OnceLock<i32> = OnceLock::new();
    // A thread has a priority of its own: this one tries, and ends with what it got.
    let probe = || thread::Builder::new().spawn(probe).ok()?.join().ok();
    *BEST.get_or_init(|| probe().unwrap_or_else(own))
}

fn probe() -> i32 {
    let own = own();
    (HIGHEST..own).find(|nice| setpriority_process(None, *nice).is_ok()).unwrap_or(own)
}

/// The calling thread's nice value.
fn own() -> i32 {
    getpriority_process(None).unwrap_or(0)
}

/// Raises the calling thread until this is dropped. What it starts meanwhile keeps the priority.
pub struct Raised(i32);

impl Raised {
    /// From now on.
    pub fn now() -> Self {
        let before = own();
        // Refused or not, everyone who is measured runs alike.
        let _ = setpriority_process(None, measured());
        Self(before)
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        // To step back is always allowed.
        let _ = setpriority_process(None, self.0);
    }
}

/// Raises our session against others, where sessions have shares of the machine, as long as one of these is
/// there. All of us is in it: what is measured, and the threads that look at it.
pub struct Session(());

/// How many there are, and what the session's nice value was before the first.
static SESSION: Mutex<(usize, i32)> = Mutex::new((0, 0));

impl Session {
    /// From now on.
    pub fn raise() -> Self {
        let mut state = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 == 0 && measured() < 0 {
            state.1 = session().unwrap_or(0);
            set_session(measured());
        }
        state.0 += 1;
        Self(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 -= 1;
        if state.0 == 0 && measured() < 0 {
            set_session(state.1);
        }
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

    #[test]
    fn our_session_is_raised_as_long_as_anything_is_measured_and_then_as_it_was() {
        let before = session();
        let both = (Session::raise(), Session::raise());
        drop(both.0);
        if measured() < 0 {
            assert!(session().is_none_or(|nice| nice == measured()), "{:?}", session());
        }
        drop(both.1);
        assert_eq!(session(), before);
    }

    #[test]
    fn a_thread_steps_back_to_where_it_was() {
        let before = own();
        let raised = Raised::now();
        assert_eq!(own(), measured());
        assert!(measured() <= before);
        drop(raised);
        assert_eq!(own(), before);
    }
}
