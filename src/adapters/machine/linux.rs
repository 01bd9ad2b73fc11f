//! Linux: `/proc/stat`, `/proc/self/stat` and `/proc/pressure/cpu`.

use std::fs;
use std::time::Duration;

use super::{Load, Machine};

/// This machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Linux;

impl Machine for Linux {
    fn load(&self) -> Load {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cores = cores(&read("/proc/stat"));
        let own = own(&read("/proc/self/stat"));
        Load {
            busy: cores.map(|(busy, _)| ticks(busy.saturating_sub(own.unwrap_or(0)))),
            steal: cores.map(|(_, steal)| ticks(steal)),
            pressure: pressure(&read("/proc/pressure/cpu")),
        }
    }
}

fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_micros(count.saturating_mul(1_000_000) / per_second)
}

/// Ticks of all cores: at work, and taken by a hypervisor (proc_stat(5); guests are in user and nice).
fn cores(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
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
        assert_eq!(cores("cpu  100 20 30 4000 5 6 7 8 9 10\ncpu0 1 2\n"), Some((163, 8)));
        assert_eq!(own("12 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13\n"), Some(23));
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=3556378764\nfull avg10=0.00 total=0\n";
        assert_eq!(pressure(text), Some(Duration::from_micros(3_556_378_764)));
    }

    #[test]
    fn what_is_not_there_or_strange_is_absent() {
        for text in ["", "cpu", "cpu  1 2", "cpu  1 2 x 4 5 6 7 8", "intr 1"] {
            assert_eq!(cores(text), None, "{text}");
        }
        assert_eq!((own(""), pressure("")), (None, None));
    }

    #[test]
    fn this_machine_counts_what_others_do() {
        let before = Linux.load();
        let burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let done = std::process::Command::new("sh").args(["-c", burn]).status().unwrap();
        assert!(done.success());
        let used = Linux.load().since(before).busy.unwrap();
        assert!(used >= Duration::from_millis(30), "{used:?}");
    }
}
