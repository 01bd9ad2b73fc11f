//! System calls that are refused to the programs of a lease: those that reach what no namespace parts.
//!
//! Sockets of other families than the internet's, unix's and netlink's reach the machine, its host or its devices
//! (`AF_VSOCK`, `AF_BLUETOOTH`) or the kernel itself (`AF_ALG`). Rings of `io_uring` make sockets without the call that is
//! looked at here. Keyrings are the user's, whatever process asks.

use std::collections::BTreeMap;
use std::io;
use std::sync::LazyLock;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Compare, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Families of sockets that namespaces part from what is outside.
const FAMILIES: [libc::c_int; 5] = [libc::AF_UNSPEC, libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
/// Calls that make sockets, by a family in their first argument.
const SOCKETS: [libc::c_long; 2] = [libc::SYS_socket, libc::SYS_socketpair];
/// Calls that are as if the kernel had none such.
const MISSING: [libc::c_long; 4] =
    [libc::SYS_io_uring_setup, libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl];

/// The same calls have this bit besides where a kernel has the x32 interface; elsewhere there are no such numbers.
const X32: libc::c_long = 0x4000_0000;

/// Made once, before any program is started: what is to be done after a fork must need no memory.
static FILTERS: LazyLock<Result<Vec<BpfProgram>, String>> =
    LazyLock::new(|| filters().map_err(|error| format!("system calls can't be filtered: {error}")));

/// What is refused to a program, ready to be put into force.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused(&'static [BpfProgram]);

impl Refused {
    /// For programs of a lease.
    pub(super) fn of_a_lease() -> io::Result<Self> {
        FILTERS.as_ref().map(|filters| Self(filters)).map_err(|why| io::Error::other(why.clone()))
    }

    /// Refuses them to this thread and all that comes of it, for ever. Between fork and exec.
    pub(super) fn refuse(&self) -> io::Result<()> {
        for filter in self.0 {
            match seccompiler::apply_filter(filter) {
                Ok(()) => {}
                Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error)) => return Err(error),
                Err(_) => return Err(io::ErrorKind::Unsupported.into()),
            }
        }
        Ok(())
    }
}

fn filters() -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let other = FAMILIES.iter().map(|family| {
        // A negative family is none.
        SeccompCondition::new(0, Length::Dword, Compare::Ne, u64::from(family.unsigned_abs()))
    });
    let other = SeccompRule::new(other.collect::<Result<_, _>>()?)?;
    let both = |call: &libc::c_long| [*call, *call | X32];
    let sockets = SOCKETS.iter().flat_map(both).map(|call| (call, vec![other.clone()]));
    let missing = MISSING.iter().flat_map(both).map(|call| (call, Vec::new()));
    Ok(vec![filter(sockets, libc::EAFNOSUPPORT)?, filter(missing, libc::ENOSYS)?])
}

fn filter(
    rules: impl IntoIterator<Item = (libc::c_long, Vec<SeccompRule>)>,
    errno: libc::c_int,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let rules: BTreeMap<i64, Vec<SeccompRule>> = rules.into_iter().collect();
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno.unsigned_abs()), arch)?.try_into()
}
