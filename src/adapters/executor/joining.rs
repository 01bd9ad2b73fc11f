//! What a new process does between fork and exec to live within the walls of a lease: it joins the keeper's namespaces and
//! gives its rights away.
//!
//! Everything that needs memory is prepared before the fork; after it there are system calls alone.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, LinkNameSpaceType, move_into_link_name_space, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs, set_thread_gid, set_thread_groups, set_thread_uid,
};

use super::calls::Refused;
use crate::adapters::process::User;

/// Which rights stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// None.
    Nothing,
    /// Those that builds and tests need that run as root: over files that they see, and over their own processes.
    Ordinary,
}

/// What root in a lease may do with what it sees there.
const ORDINARY: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// The namespaces of a lease.
#[derive(Debug)]
pub struct Doors {
    pub mounts: OwnedFd,
    pub ipc: OwnedFd,
    pub names: OwnedFd,
    /// Where it is not the machine's.
    pub network: Option<Arc<OwnedFd>>,
    /// Joined by the thread that starts its programs, for its children.
    pub processes: OwnedFd,
}

/// What a new process does.
pub(super) struct Joining {
    pub doors: Arc<Doors>,
    /// Mounts of its own, where it does not share the lease's.
    pub mounts: Option<OwnedFd>,
    /// Whom it runs as, where that is another user.
    pub user: Option<User>,
    /// Its directory within the walls.
    pub dir: CString,
    /// What the kernel refuses it.
    pub refused: Refused,
}

impl Joining {
    /// Between fork and exec.
    pub fn join(&self) -> io::Result<()> {
        // A place that is missing within the walls is no missing program.
        self.go().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => rustix::io::Errno::ACCESS.into(),
            _ => error,
        })
    }

    fn go(&self) -> io::Result<()> {
        let doors = &*self.doors;
        let mounts = self.mounts.as_ref().unwrap_or(&doors.mounts);
        move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
        move_into_link_name_space(doors.ipc.as_fd(), Some(LinkNameSpaceType::InterProcessCommunication))?;
        move_into_link_name_space(doors.names.as_fd(), Some(LinkNameSpaceType::HostNameAndNISDomainName))?;
        if let Some(network) = &doors.network {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
        }
        rustix::process::chdir(self.dir.as_c_str())?;
        if let Some(User { uid, gid }) = self.user {
            set_thread_groups(&[])?;
            set_thread_gid(Gid::from_raw(gid))?;
            set_thread_uid(Uid::from_raw(uid))?;
        }
        confine(Keep::Ordinary)?;
        self.refused.refuse()
    }
}

/// Gives away all rights but these, for this process and all that come of it.
pub(super) fn confine(keep: Keep) -> io::Result<()> {
    let kept = match keep {
        Keep::Nothing => CapabilitySet::empty(),
        Keep::Ordinary => ORDINARY,
    };
    set_no_new_privs(true)?;
    for bit in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        if kept.contains(one) {
            continue;
        }
        match remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // Beyond the last that the kernel knows; or there is nothing to give away.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let own = rustix::thread::capabilities(None)?;
    let effective = own.effective & kept;
    let sets = CapabilitySets { effective, permitted: effective, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)?;
    Ok(())
}
