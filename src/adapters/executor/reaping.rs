//! The end of a process and what it took, to the microsecond.

use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

/// User and system time of a process that ended and is not reaped yet, with that of the children that it
/// waited for.
pub fn used(pid: u32) -> Option<Duration> {
    let mut taken = MaybeUninit::<libc::rusage>::zeroed();
    let mut told = MaybeUninit::<libc::siginfo_t>::zeroed();
    let (how, whom) = (libc::WEXITED | libc::WNOWAIT | libc::WNOHANG, libc::P_PID);
    #[expect(unsafe_code, reason = "the only way to ask for a process's times without reaping it")]
    // SAFETY: both places are as large as the kernel writes, and live beyond the call. Zeroes are
    // valid values of them.
    let taken = unsafe {
        let done = libc::syscall(libc::SYS_waitid, whom, pid, told.as_mut_ptr(), how, taken.as_mut_ptr());
        (done == 0 && told.assume_init().si_signo != 0).then(|| taken.assume_init())
    };
    taken.map(|taken| time(&taken))
}

/// Reaps a child of ours if it ended, and tells what it took, as [`used`].
pub(super) fn reap(pid: u32) -> Option<Duration> {
    let pid = libc::pid_t::try_from(pid).ok()?;
    let mut taken = MaybeUninit::<libc::rusage>::zeroed();
    #[expect(unsafe_code, reason = "the only way to reap a process with its times")]
    // SAFETY: the place is as large as the kernel writes, and lives beyond the call; zeroes are a valid value of it.
    let taken = unsafe {
        let done = libc::wait4(pid, ptr::null_mut(), libc::WNOHANG, taken.as_mut_ptr());
        (done == pid).then(|| taken.assume_init())
    };
    taken.map(|taken| time(&taken))
}

fn time(taken: &libc::rusage) -> Duration {
    let of = |time: libc::timeval| {
        let micros = u64::try_from(time.tv_usec).unwrap_or_default();
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default()) + Duration::from_micros(micros)
    };
    of(taken.ru_utime) + of(taken.ru_stime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_and_its_children_took_is_told_before_and_when_it_is_reaped() {
        let burn = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        let line = format!("sh -c '{burn}'; true");
        let mut child = std::process::Command::new("sh").args(["-c", &line]).spawn().unwrap();
        assert_eq!(reap(child.id()), None, "it runs");
        let before = loop {
            match used(child.id()) {
                Some(used) => break used,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        assert!(before > Duration::from_millis(10), "{before:?}");
        assert_eq!(reap(child.id()), Some(before));
        assert_eq!((used(child.id()), reap(child.id())), (None, None), "it is gone");
        child.wait().unwrap_err();
    }
}
