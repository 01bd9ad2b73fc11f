//! What the programs of a lease may use of the machine, and what they use, seen from outside.
//!
//! Memory is counted by what processes have for themselves, and where that is too much by their share of everything, which
//! takes the kernel longer to tell.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;

use super::stat::processes;
use crate::adapters::process::{Excess, Limits, Stay};
use crate::domain::quantity::Bytes;

/// What is allowed, and what was seen.
#[derive(Debug)]
pub(super) struct Ration {
    limits: Limits,
    /// All files of the lease are below it.
    place: PathBuf,
    /// What was there before any program.
    before: Sum,
    working: AtomicUsize,
    measured: AtomicUsize,
    excess: OnceLock<Excess>,
}

impl Ration {
    /// For a lease whose files are below a place.
    pub fn new(limits: Limits, place: PathBuf) -> Self {
        let (working, measured) = Default::default();
        let before = Sum::of(&place);
        Self { limits, place, before, working, measured, excess: OnceLock::new() }
    }

    /// The limit that was passed, once one was.
    pub fn excess(&self) -> Option<Excess> {
        self.excess.get().copied()
    }

    /// How many numbers for processes and threads there are within, which bounds what is started before anybody looks.
    pub fn numbers(&self) -> Option<u32> {
        // The kernel keeps the first few hundred for itself.
        self.limits.processes.map(|most| most.saturating_mul(2).saturating_add(600))
    }

    /// How long a file may get at most, whoever looks.
    pub fn longest(&self) -> Option<u64> {
        // Twice, because who makes such a file by mistake is to be told of by its length.
        self.limits.file.map(|most| most.0.max(self.before.longest).saturating_mul(2))
    }

    /// Programs that run now, by what stays of what they write.
    pub fn running(&self, stay: Stay) -> &AtomicUsize {
        match stay {
            Stay::Lasting => &self.working,
            Stay::Fleeting => &self.measured,
        }
    }

    /// Which limit of memory and processes is passed by those in a process namespace, whose first process this is.
    pub fn used(&self, namespace: &Path, keeper: u32) -> Option<Excess> {
        let all = within(namespace);
        self.processes(&all).or_else(|| self.memory(&all, files_in_memory(keeper)))
    }

    /// Notes that a limit was passed; the first that was counts.
    pub(super) fn pass(&self, excess: Excess) {
        let _ = self.excess.set(excess);
    }

    fn processes(&self, within: &[u32]) -> Option<Excess> {
        let (most, used) = (self.limits.processes?, u32::try_from(within.len()).ok()?);
        (used > most).then_some(Excess::Processes(used, most))
    }

    /// `files` is what files in memory take.
    fn memory(&self, within: &[u32], files: u64) -> Option<Excess> {
        let most = self.limits.memory?;
        let own: u64 = within.iter().filter_map(|pid| own_memory(*pid)).sum();
        if own + files <= most.0 {
            return None;
        }
        let share = files + within.iter().filter_map(|pid| share_of_memory(*pid)).sum::<u64>();
        (share > most.0).then_some(Excess::Memory(Bytes(share), most))
    }

    /// Which limit of the disk is passed.
    pub fn disk(&self) -> Option<Excess> {
        let sum = Sum::of(&self.place);
        // What we put there ourselves is nobody's excess.
        let file = self.limits.file.filter(|most| sum.longest > most.0.max(self.before.longest));
        let spare = self.limits.spare.map(|spare| Bytes(self.before.taken.saturating_add(spare.0)));
        let disk = self.limits.disk.or(spare).filter(|most| sum.taken > most.0);
        let file = file.map(|most| Excess::File(Bytes(sum.longest), most));
        file.or_else(|| disk.map(|most| Excess::Disk(Bytes(sum.taken), most)))
    }
}

/// The sizes of what is below a place.
#[derive(Debug, Default)]
struct Sum {
    taken: u64,
    longest: u64,
    /// Files with several names, by device and number.
    seen: BTreeSet<(u64, u64)>,
}

impl Sum {
    fn of(place: &Path) -> Self {
        let mut sum = Self::default();
        sum.add(place);
        sum
    }

    fn add(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // What is gone meanwhile takes nothing.
            let Ok(found) = entry.metadata() else { continue };
            if found.nlink() > 1 && found.is_file() && !self.seen.insert((found.dev(), found.ino())) {
                continue;
            }
            self.taken += found.blocks() * 512;
            if found.is_file() {
                self.longest = self.longest.max(found.len());
            } else if found.is_dir() {
                self.add(&entry.path());
            }
        }
    }
}

/// The page size of this machine.
fn page() -> u64 {
    u64::try_from(rustix::param::page_size()).unwrap_or(4096)
}

/// What a process has in memory that no file stands behind; parts that it shares with its children are in it.
fn own_memory(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
    let (resident, shared) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(resident.saturating_sub(shared) * page())
}

/// Its share of all that it has in memory or swapped out.
fn share_of_memory(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let field = |name: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some((field("Pss_Anon:").or_else(|| field("Pss:"))? + field("SwapPss:").unwrap_or(0)) * 1024)
}

/// What files in the memory that programs of a lease share take.
fn files_in_memory(keeper: u32) -> u64 {
    let place = format!("/proc/{keeper}/root/dev/shm");
    let found = rustix::fs::statvfs(place).ok();
    found.map_or(0, |found| found.f_blocks.saturating_sub(found.f_bfree).saturating_mul(found.f_frsize))
}

/// The processes in a process namespace, by a descriptor's or a process's link to it.
fn within(namespace: &Path) -> Vec<u32> {
    let is_in = |pid: &u32| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|own| own == namespace);
    processes().filter(is_in).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_lease_before_its_programs_is_no_use_of_theirs() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, mib: usize| fs::write(place.path().join(name), vec![1; mib << 20]).unwrap();
        write("before", 3);
        let mib = |mib: u64| Some(Bytes(mib << 20));
        let ration = Ration::new(Limits { spare: mib(2), file: mib(1), ..Limits::default() }, place.path().to_owned());
        assert_eq!(ration.disk(), None);
        write("small", 1);
        assert_eq!(ration.disk(), None);
        write("more", 2);
        assert!(matches!(ration.disk(), Some(Excess::Disk(..))));
        write("before", 4);
        assert!(matches!(ration.disk(), Some(Excess::File(..))));
        let named = Limits { disk: mib(1), spare: mib(99), ..Limits::default() };
        assert!(Ration::new(named, place.path().to_owned()).disk().is_some(), "what is named is all that is there");
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_no_limit_of_ours() {
        assert_eq!(Limits::usual(Some(Bytes(8 << 20))).spare, Some(Bytes(1 << 30)));
        assert_eq!(Limits::usual(Some(Bytes(8 << 30))).spare, Some(Bytes(4 << 30)));
    }
}
