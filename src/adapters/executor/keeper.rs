//! Process 1 of a lease's namespaces: it reaps on request and otherwise sleeps. Its death is the death of all that is in
//! them.
//!
//! It runs in a process of its own, from our binary, and holds nothing: no capability, no memory of ours, nothing that those
//! who live beside it could read. It talks by its standard input: one byte says that it is ready; then a number of four
//! bytes (a child of its, as it counts them) is answered by eight: what that child took in microseconds, or all ones where it
//! has not ended.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::write;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::joining::{Keep, confine};
use super::reaping;
use super::tasks::children;

/// The word on the command line that asks for it.
pub const WORD: &str = "__keeper";

/// How often it is seen to that the dead don't become too many.
const LOOK: std::time::Duration = std::time::Duration::from_secs(60);
/// As many are too many.
const MANY: usize = 1000;

/// The answer for whom nothing is known of.
const UNKNOWN: u64 = u64::MAX;
/// The one byte that says that it is ready.
const READY: u8 = b'r';

/// Is process 1 until nobody asks any more.
pub fn main() -> u8 {
    match keep() {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn keep() -> io::Result<()> {
    let input = io::stdin();
    let mut socket = UnixStream::from(input.as_fd().try_clone_to_owned()?);
    forget_all_but(socket.as_raw_fd());
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    if let Some(most) = std::env::args().nth(2) {
        // Older kernels have one number for all, which is not theirs to change; whoever looks on sees too many in the end.
        drop(allow_processes(&most));
    }
    confine(Keep::Nothing)?;
    socket.set_read_timeout(Some(LOOK))?;
    socket.write_all(&[READY])?;
    let mut asked = [0; 4];
    loop {
        match socket.read_exact(&mut asked) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) if [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut].contains(&error.kind()) => {
                reap_many();
                continue;
            }
            Err(error) => return Err(error),
        }
        let took = reaping::reap(u32::from_ne_bytes(asked));
        let micros = took.and_then(|took| u64::try_from(took.as_micros()).ok()).unwrap_or(UNKNOWN);
        socket.write_all(&micros.to_ne_bytes())?;
    }
}

/// Lets this process namespace have no more numbers than so many. It is told by a `/proc` of its own: the one that can be seen is read-only.
fn allow_processes(most: &str) -> io::Result<()> {
    let making = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(making.as_fd())?;
    let proc = fsmount(making.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let file = openat(&proc, "sys/kernel/pid_max", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    write(&file, most.as_bytes())?;
    Ok(())
}

/// Reaps what ended where it is so much that there could soon be no room for more; of those nobody will know what they took.
fn reap_many() {
    let own = std::process::id();
    let children = children(own, own);
    if children.len() >= MANY {
        for child in children {
            reaping::reap(child);
        }
    }
}

/// Closes whatever else was handed down.
fn forget_all_but(kept: RawFd) {
    let listed = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<RawFd> = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2 && *descriptor != kept) {
        #[expect(unsafe_code, reason = "descriptors that were handed down by number")]
        // SAFETY: nothing in this process owns them; what listed them is gone, and closing it again does nothing.
        unsafe {
            libc::close(descriptor);
        }
    }
}

/// The other end.
#[derive(Debug)]
pub struct Line(UnixStream);

impl Line {
    /// Once the keeper is ready; an error where it never was.
    pub fn ready(mut socket: UnixStream) -> io::Result<Self> {
        let mut said = [0];
        socket.read_exact(&mut said)?;
        if said == [READY] { Ok(Self(socket)) } else { Err(io::Error::other("it said something else")) }
    }

    /// Lets a child of its be reaped, by its number in there; what it took, where it has ended.
    pub(super) fn reap(&mut self, pid: u32) -> Option<std::time::Duration> {
        let mut answer = [0; 8];
        self.0.write_all(&pid.to_ne_bytes()).ok()?;
        self.0.read_exact(&mut answer).ok()?;
        let micros = u64::from_ne_bytes(answer);
        (micros != UNKNOWN).then(|| std::time::Duration::from_micros(micros))
    }
}
