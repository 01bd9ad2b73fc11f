//! What the system tells about this machine and about the calling thread, read from files of `/proc`.
//!
//! What a machine does not tell is absent; it is never taken for zero.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// What a machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// CPUs that this process may use.
    pub cores: usize,
    /// The model of the CPU.
    pub cpu: Option<String>,
    /// The release of the kernel.
    pub kernel: Option<String>,
}

impl Facts {
    /// Of this machine.
    pub fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).ok();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: text("/proc/cpuinfo").as_deref().and_then(model),
            kernel: text("/proc/sys/kernel/osrelease").map(|release| release.trim().to_owned()),
        }
    }
}

/// The model of the first CPU; not every architecture names one.
fn model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// A file that is read again and again and was opened once, so that reading it takes few microseconds.
#[derive(Debug)]
struct Watched(Option<File>);

impl Watched {
    fn open(path: &str) -> Self {
        Self(File::open(path).ok())
    }

    /// What `find` finds in the first bytes of it.
    fn read(&self, find: fn(&str) -> Option<u64>) -> Option<u64> {
        let mut bytes = [0; 256];
        let length = self.0.as_ref()?.read_at(&mut bytes, 0).ok()?;
        // A cut within a character can only be at the end, where nothing is looked for.
        let text = bytes[..length].utf8_chunks().next()?.valid();
        find(text)
    }
}

/// The counters of the calling thread.
#[derive(Debug)]
pub(super) struct Thread {
    schedstat: Watched,
}

impl Thread {
    /// Of the thread that calls this, and that alone may go on with it.
    pub fn current() -> Self {
        Self { schedstat: Watched::open("/proc/thread-self/schedstat") }
    }

    /// Nanoseconds of CPU time so far.
    pub fn cpu(&self) -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
    }

    /// Nanoseconds that it waited for a CPU so far.
    pub fn run_delay(&self) -> Option<u64> {
        self.schedstat.read(run_delay)
    }
}

fn run_delay(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The counters of the whole machine.
#[derive(Debug)]
pub struct Whole {
    stat: Watched,
    pressure: Watched,
    load: Watched,
    /// Microseconds in one unit of `/proc/stat`.
    unit: u64,
}

impl Whole {
    /// Opens what there is.
    pub fn open() -> Self {
        Self {
            stat: Watched::open("/proc/stat"),
            pressure: Watched::open("/proc/pressure/cpu"),
            load: Watched::open("/proc/loadavg"),
            unit: 1_000_000 / rustix::param::clock_ticks_per_second().max(1),
        }
    }

    /// Microseconds that the hypervisor took from all CPUs so far.
    pub fn steal(&self) -> Option<u64> {
        self.stat.read(steal).map(|units| units * self.unit)
    }

    /// Microseconds in which some task waited for a CPU so far.
    pub fn pressure(&self) -> Option<u64> {
        self.pressure.read(pressure)
    }

    /// Tasks that run or want to.
    pub fn running(&self) -> Option<u64> {
        self.load.read(running)
    }
}

fn steal(stat: &str) -> Option<u64> {
    stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().nth(7)?.parse().ok()
}

fn pressure(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_ascii_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

fn running(loadavg: &str) -> Option<u64> {
    loadavg.split_ascii_whitespace().nth(3)?.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_where_they_stand() {
        assert_eq!(run_delay("5171230 57317 42\n"), Some(57_317));
        assert_eq!(steal("cpu  1033392 70582 232648 1793331 17419 0 4702 383 0 0\ncpu0 1\n"), Some(383));
        assert_eq!(
            pressure("some avg10=4.47 avg60=18.09 avg300=14.38 total=3595050124\nfull total=0\n"),
            Some(3_595_050_124)
        );
        assert_eq!(running("1.68 1.49 1.08 3/101 11522\n"), Some(3));
        assert_eq!(
            model("processor : 0\nmodel name\t: A CPU @ 2 GHz\nmodel name\t: B\n"),
            Some("A CPU @ 2 GHz".to_owned())
        );
    }

    #[test]
    fn what_is_not_told_is_absent() {
        let counters: [fn(&str) -> Option<u64>; 4] = [run_delay, steal, pressure, running];
        for text in ["", "\n", "x", "cpu  1 2 3\n", "some avg10=0.00\n", "1 2"] {
            for counter in &counters[1..] {
                assert_eq!(counter(text), None, "{text:?}");
            }
        }
        assert_eq!(run_delay("0"), None);
        assert_eq!(Watched::open("/proc/there-is-no-such-file").read(run_delay), None);
        assert_eq!(model("Processor: ARM\n"), None);
    }

    #[test]
    fn the_time_of_a_thread_that_works_goes_on() {
        let thread = Thread::current();
        let (before, mut sum) = (thread.cpu(), 0u64);
        for i in 0..2_000_000u64 {
            sum = std::hint::black_box(sum ^ i);
        }
        assert!(thread.cpu() > before);
    }
}
