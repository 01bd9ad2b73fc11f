//! Which CPUs share a physical core, and which of them this process may use: what Linux says in `/sys`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::domain::lanes::{Core, Topology};

/// The cores below a directory such as `/sys/devices/system/cpu`, by the text of `/proc/self/status`. CPUs
/// that are offline or tell nothing of their siblings are left out.
pub fn topology(root: &Path, status: &str) -> Topology {
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let Some(allowed) = allowed.and_then(list) else { return Topology::default() };
    let mut cores: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("cpu")?.parse::<usize>().ok());
        let Some((cpu, siblings)) = number.and_then(|cpu| Some((cpu, siblings(&entry.path())?))) else { continue };
        // Whatever else the siblings say, a CPU is put into one core only.
        let first = siblings.first().map_or(cpu, |first| cpu.min(*first));
        cores.entry(first).or_default().insert(cpu);
    }
    let core = |cpus: BTreeSet<usize>| {
        let ours: Vec<usize> = cpus.intersection(&allowed).copied().collect();
        let whole = ours.len() == cpus.len();
        (!ours.is_empty()).then_some(Core { cpus: ours, whole })
    };
    Topology { cores: cores.into_values().filter_map(core).collect() }
}

/// The CPUs that share a core with the one of this directory, itself included; `None` where it is offline.
fn siblings(cpu: &Path) -> Option<BTreeSet<usize>> {
    let read = |name: &str| fs::read_to_string(cpu.join(name)).ok();
    if read("online").is_some_and(|online| online.trim() == "0") {
        return None;
    }
    list(&read("topology/thread_siblings_list")?)
}

/// A list such as `0-3,8`; `None` where it is none.
fn list(text: &str) -> Option<BTreeSet<usize>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        // No machine has so many; a strange text must not fill the memory.
        (first <= last && last < 1 << 16).then_some(first..=last)
    };
    let ranges = text.trim().split(',').map(range).collect::<Option<Vec<_>>>()?;
    Some(ranges.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree as `/sys/devices/system/cpu` is, of CPUs with their siblings; those without any are offline.
    fn tree(cpus: &[(usize, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for other in ["cpufreq", "cpuidle", "possible"] {
            fs::create_dir(dir.path().join(other)).unwrap();
        }
        for (cpu, siblings) in cpus {
            let at = dir.path().join(format!("cpu{cpu}"));
            fs::create_dir_all(at.join("topology")).unwrap();
            fs::write(at.join("online"), if siblings.is_empty() { "0\n" } else { "1\n" }).unwrap();
            fs::write(at.join("topology/thread_siblings_list"), format!("{siblings}\n")).unwrap();
        }
        dir
    }

    fn found(cpus: &[(usize, &str)], allowed: &str) -> Vec<(Vec<usize>, bool)> {
        let status = format!("Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t{allowed}\n");
        let cores = topology(tree(cpus).path(), &status).cores;
        cores.into_iter().map(|core| (core.cpus, core.whole)).collect()
    }

    #[test]
    fn hyperthreads_are_put_together_in_either_numbering() {
        let apart = [(0, "0,2"), (1, "1,3"), (2, "0,2"), (3, "1,3")];
        assert_eq!(found(&apart, "0-3"), [(vec![0, 2], true), (vec![1, 3], true)]);
        let beside = [(0, "0-1"), (1, "0-1"), (2, "2-3"), (3, "2-3")];
        assert_eq!(found(&beside, "0-3"), [(vec![0, 1], true), (vec![2, 3], true)]);
    }

    #[test]
    fn cores_of_different_kinds_are_each_what_they_are() {
        let hybrid = [(0, "0-1"), (1, "0-1"), (2, "2"), (3, "3"), (10, "10")];
        let expected = [(vec![0, 1], true), (vec![2], true), (vec![3], true), (vec![10], true)];
        assert_eq!(found(&hybrid, "0-3,10"), expected);
    }

    #[test]
    fn a_cpu_that_is_offline_is_not_there_and_its_sibling_is_a_core_alone() {
        // The first CPU of most machines has no file `online`; one whose topology is gone is offline too.
        let cpus = [(0, "0"), (1, ""), (2, "2"), (3, "3")];
        let root = tree(&cpus);
        fs::remove_file(root.path().join("cpu0/online")).unwrap();
        fs::remove_dir_all(root.path().join("cpu3/topology")).unwrap();
        let cores = topology(root.path(), "Cpus_allowed_list:\t0-3\n").cores;
        assert_eq!(cores, [0, 2].map(|cpu| Core { cpus: vec![cpu], whole: true }));
    }

    #[test]
    fn a_core_of_which_we_may_use_a_part_is_not_whole_and_one_of_which_none_is_left_out() {
        let cpus = [(0, "0,4"), (4, "0,4"), (1, "1,5"), (5, "1,5"), (2, "2,6"), (6, "2,6")];
        assert_eq!(found(&cpus, "0,1,5"), [(vec![0], false), (vec![1, 5], true)]);
    }

    #[test]
    fn what_is_strange_or_missing_is_no_core() {
        assert_eq!(found(&[(0, "x"), (1, "3-1"), (2, "0-99999999999"), (3, "3")], "0-3"), [(vec![3], true)]);
        for status in ["", "Cpus_allowed_list:\tall\n"] {
            assert_eq!(topology(tree(&[(0, "0")]).path(), status), Topology::default());
        }
        assert_eq!(topology(Path::new("/no/such/place"), "Cpus_allowed_list:\t0\n"), Topology::default());
    }
}
