//! Users other than root: the rights over namespaces that walls need, in a user namespace of our own.
//!
//! Only a process with one thread can enter one, so that it is done before anything else begins. Whether it may be done is
//! tried out by another process first: what was entered can't be left. The user stays who it is, and programs that we start
//! have none of these rights.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities, unshare_unsafe};

/// The word on the command line that asks for trying it.
pub const WORD: &str = "__apart";

/// Tries it.
pub fn main() -> u8 {
    let tried = enter().and_then(|()| {
        part(UnshareFlags::NEWNS)?;
        Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
    });
    u8::from(tried.is_err())
}

/// Gets the rights where they are missing and can be had; before there is a second thread.
pub fn prepare() {
    let own = capabilities(None).map(|sets| sets.effective).unwrap_or(CapabilitySet::empty());
    if own.contains(CapabilitySet::SYS_ADMIN) || bubblewrap().is_none() {
        return;
    }
    let quiet = || Stdio::null();
    let mut trial = Command::new("/proc/self/exe");
    trial.arg(WORD).env_clear().stdin(quiet()).stdout(quiet()).stderr(quiet());
    if trial.status().is_ok_and(|status| status.success()) {
        // What worked for one works for the next; where it does not, opening walls will say so.
        drop(enter());
    }
}

/// Where bubblewrap is, without which these rights are of no use.
pub fn bubblewrap() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join("bwrap")).find(|path| path.is_file())
}

fn enter() -> io::Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    part(UnshareFlags::NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

fn part(from: UnshareFlags) -> io::Result<()> {
    #[expect(unsafe_code, reason = "what is parted from is no table of descriptors")]
    // SAFETY: descriptors stay as they are.
    unsafe {
        Ok(unshare_unsafe(from)?)
    }
}

/// Whether this process has what rights it has in a user namespace that is not the machine's.
pub(super) fn is_apart() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}
