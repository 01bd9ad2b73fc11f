//! Control groups (version 2), where we may make them: what a whole tree of processes used, whoever
//! of it was waited for.
//!
//! A group of ours lies in our own group, is called `blueprint-<our process id>-<number>`, and goes with
//! what it was made for; those of an orchestrator that was killed are removed by the next.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::aside::aside;

/// How its directories are called, before the process id.
const PREFIX: &str = "blueprint-";

/// A killed process leaves its group a moment later; this often it is asked for again.
const ROUNDS: u32 = 100;

/// A group for one program and all that it starts.
pub struct ControlGroup {
    dir: PathBuf,
    procs: File,
}

impl ControlGroup {
    /// A new one; `None` where this machine or its administrator lets us have none.
    pub fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let home = home()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = home.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&dir).ok()?;
        match fs::OpenOptions::new().write(true).open(dir.join("cgroup.procs")) {
            Ok(procs) if used(&dir).is_some() => Some(Self { dir, procs }),
            _ => {
                drop(fs::remove_dir(&dir));
                None
            }
        }
    }

    /// Where a process writes `0` to be in it, as long as this lives.
    pub(super) fn entrance(&self) -> RawFd {
        self.procs.as_raw_fd()
    }

    /// CPU time of everything that was ever in it.
    pub fn cpu(&self) -> Option<Duration> {
        // Whatever was in it has used something; nothing means that the program could not enter.
        used(&self.dir).filter(|used| !used.is_zero())
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        if fs::remove_dir(&self.dir).is_ok() {
            return;
        }
        // Something outlived its leader, or is just ending.
        let dir = std::mem::take(&mut self.dir);
        drop(fs::write(dir.join("cgroup.kill"), "1"));
        aside(move || {
            for _ in 0..ROUNDS {
                if fs::remove_dir(&dir).is_ok() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    }
}

/// Removes the groups of orchestrators that are no more, with what still runs in them.
pub fn sweep() {
    let Some(home) = home() else { return };
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-')?.0.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            drop(fs::write(entry.path().join("cgroup.kill"), "1"));
            drop(fs::remove_dir(entry.path()));
        }
    }
}

fn used(dir: &Path) -> Option<Duration> {
    let text = fs::read_to_string(dir.join("cpu.stat")).ok()?;
    let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    micros.trim().parse().ok().map(Duration::from_micros)
}

/// Our own group's directory.
fn home() -> Option<&'static Path> {
    static HOME: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        directory(&own, &mounts).filter(|dir| dir.is_dir())
    };
    HOME.get_or_init(find).as_deref()
}

/// Where our group is mounted, by the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn directory(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount =
        mounts.lines().find(|line| line.split_once(" - ").is_some_and(|(_, kind)| kind.starts_with("cgroup2 ")))?;
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    // What is mounted may be a part of the tree, as in a container.
    let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(path));
    Some(Path::new(point).join(inside.strip_prefix("/").unwrap_or(inside)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_group_is_found_in_every_layout() {
        let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        let hybrid = "29 23 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n31 29 0:27 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n";
        let container = "500 400 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        for (own, mounts, expected) in [
            ("0::/user.slice/session-1.scope\n", unified, Some("/sys/fs/cgroup/user.slice/session-1.scope")),
            ("1:cpu:/\n0::/\n", hybrid, Some("/sys/fs/cgroup/unified/")),
            ("0::/docker/abc\n", container, Some("/sys/fs/cgroup/")),
            ("1:cpu:/\n", hybrid, None),
            ("0::/\n", "29 23 0:25 / /sys rw - sysfs sysfs rw\n", None),
        ] {
            assert_eq!(directory(own, mounts), expected.map(PathBuf::from), "{own}");
        }
    }
}
