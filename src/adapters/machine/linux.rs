//! Linux: `/proc/stat`, `/proc/self/stat`, `/proc/pressure/cpu`, and the cores that `/sys` describes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Load, Machine, cores};
use crate::domain::lanes::Topology;

/// This machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Linux;

impl Machine for Linux {
    fn load(&self, cpus: &[usize]) -> Load {
        let stat = read("/proc/stat");
        let (used, own) = if cpus.is_empty() {
            (counters(&stat, "cpu"), own(&read("/proc/self/stat")).unwrap_or(0))
        } else {
            (named(&stat, cpus), 0)
        };
        Load {
            busy: used.map(|(busy, _)| ticks(busy.saturating_sub(own))),
            steal: used.map(|(_, steal)| ticks(steal)),
            pressure: pressure(&read("/proc/pressure/cpu")),
        }
    }

    fn topology(&self) -> Topology {
        cores::topology(Path::new("/sys/devices/system/cpu"), &read("/proc/self/status"))
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_micros(count.saturating_mul(1_000_000) / per_second)
}

/// Ticks of these CPUs together, as [`counters`].
fn named(stat: &str, cpus: &[usize]) -> Option<(u64, u64)> {
    let each = cpus.iter().map(|cpu| counters(stat, &format!("cpu{cpu}")));
    each.reduce(|sum, one| sum.zip(one).map(|(sum, one)| (sum.0 + one.0, sum.1 + one.1)))?
}

/// Ticks of one CPU, or of all that are called `cpu`: at work, and taken by a hypervisor (proc_stat(5);
/// guests are in user and nice).
fn counters(stat: &str, name: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    let fields: Vec<u64> = line.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = fields[..] else { return None };
    Some((user + nice + system + irq + softirq, steal))
}

/// Ticks of this process itself, without its children (proc_pid_stat(5)).
fn own(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// The `total` of the line `some`, in microseconds.
fn pressure(text: &str) -> Option<Duration> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    line.rsplit_once("total=")?.1.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_what_the_kernel_prints() {
        let stat = "cpu  100 20 30 4000 5 6 7 8 9 10\ncpu1 1 2 3 4 5 6 7 8\ncpu10 10 20 30 40 50 60 70 80\n";
        assert_eq!(counters(stat, "cpu"), Some((163, 8)));
        assert_eq!((counters(stat, "cpu1"), named(stat, &[1, 10])), (Some((19, 8)), Some((209, 88))));
        assert_eq!(named(stat, &[1, 2]), None);
        assert_eq!(own("12 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13\n"), Some(23));
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=3556378764\nfull avg10=0.00 total=0\n";
        assert_eq!(pressure(text), Some(Duration::from_micros(3_556_378_764)));
    }

    #[test]
    fn what_is_not_there_or_strange_is_absent() {
        for text in ["", "cpu", "cpu  1 2", "cpu  1 2 x 4 5 6 7 8", "intr 1"] {
            assert_eq!(counters(text, "cpu"), None, "{text}");
        }
        assert_eq!((own(""), pressure("")), (None, None));
    }

    #[test]
    fn this_machine_counts_what_others_do() {
        let before = Linux.load(&[]);
        let burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let done = std::process::Command::new("sh").args(["-c", burn]).status().unwrap();
        assert!(done.success());
        let used = Linux.load(&[]).since(before).busy.unwrap();
        assert!(used >= Duration::from_millis(30), "{used:?}");
    }

    #[test]
    fn this_machine_tells_its_cores_and_their_counters() {
        let topology = Linux.topology();
        assert!(!topology.cores.is_empty());
        for core in &topology.cores {
            assert!(Linux.load(&core.cpus).busy.is_some(), "{core:?}");
        }
    }
}
