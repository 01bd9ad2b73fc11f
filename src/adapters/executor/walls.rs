//! The walls of one lease: a process 1 of ours in namespaces of its own, started by bubblewrap, and the way in for programs.
//!
//! Programs stay children of ours: they are started by the executor as any other, in the process namespace of the
//! keeper, and join its other namespaces before they become what they are. So they are waited for, metered, stopped and
//! logged as without walls.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::aside::aside;
use super::calls::Refused;
use super::drafts::{self, Draft};
use super::joining::{Doors, Joining};
use super::keeper::{self, Line};
use super::mark::Mark;
use super::network::Inside;
use super::places::{FOLDERS, LAYERS, Places};
use super::ration::Ration;
use super::spawner::on_spawner;
use super::tasks::children;
use super::worker::Worker;
use crate::adapters::process::{Command, Limits, Network, Order, Stay};
use crate::domain::quantity::Bytes;

/// How long the namespaces may take to be gone once their keeper was killed.
const DEATH: Duration = Duration::from_secs(5);
/// Between two looks at that.
const LOOK: Duration = Duration::from_millis(2);

/// The walls.
pub struct Walls {
    places: Places,
    doors: Arc<Doors>,
    /// Where it is not the machine's.
    network: Option<Inside>,
    /// As we count it.
    keeper: u32,
    line: Mutex<Line>,
    bubble: Arc<Mutex<Child>>,
    /// Programs that have not ended.
    live: Mutex<BTreeSet<Mark>>,
    /// To the thread that starts its programs.
    spawner: Worker,
    ration: Ration,
}

impl Walls {
    /// Opens them by this bubblewrap, with this binary as the keeper. Blocks for some milliseconds.
    pub fn open(bubblewrap: &Path, binary: &Path, order: &Order) -> io::Result<Self> {
        for folder in FOLDERS {
            let path = order.private.join(folder);
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            if folder.ends_with("tmp") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o1777))?;
            }
        }
        let ration = ration(order);
        let own = order.network != Network::Shared;
        let places = Places::of(order);
        let (ours, theirs) = UnixStream::pair()?;
        let image = File::open(binary)?;
        let mut command = std::process::Command::new(bubblewrap);
        command
            .args(["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--as-pid-1", "--clearenv"])
            .args(if own { &["--unshare-net"][..] } else { &[] })
            .args(places.options())
            .args(["--chdir", "/", "--"])
            .arg(format!("/proc/self/fd/{}", image.as_raw_fd()))
            .arg(keeper::WORD)
            .args(ration.numbers().map(|most| most.to_string()))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let number = image.as_raw_fd();
        let hand_down = move || {
            #[expect(unsafe_code, reason = "a number is all that reaches the other side of the fork")]
            // SAFETY: whoever forks keeps the file open beyond the fork.
            let image = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            rustix::io::fcntl_setfd(image, FdFlags::empty())?;
            rustix::process::setsid()?;
            Ok(())
        };
        #[expect(unsafe_code, reason = "only system calls that are safe between fork and exec")]
        // SAFETY: the closure allocates nothing and takes no lock.
        unsafe {
            command.pre_exec(hand_down);
        }
        let mut bubble = on_spawner(move || command.spawn())??;
        drop(image);
        let line = match Line::ready(ours) {
            Ok(line) => line,
            Err(error) => return Err(why(&mut bubble, &error)),
        };
        let keeper = *children(bubble.id(), bubble.id()).first().ok_or(io::ErrorKind::NotFound)?;
        let door = |kind: &str| File::open(format!("/proc/{keeper}/ns/{kind}")).map(OwnedFd::from);
        let network = own.then(|| Inside::behind(door("net")?)).transpose()?;
        let doors = Arc::new(Doors {
            mounts: door("mnt")?,
            ipc: door("ipc")?,
            names: door("uts")?,
            network: network.as_ref().map(Inside::door),
            processes: door("pid")?,
        });
        drafts::layer(&doors, &places.layers(), &order.private.join(LAYERS))?;
        Ok(Self {
            places,
            keeper,
            line: Mutex::new(line),
            bubble: Arc::new(Mutex::new(bubble)),
            live: Mutex::default(),
            spawner: spawner(&doors)?,
            ration,
            network,
            doors,
        })
    }

    /// The network within, where it is not the machine's.
    pub(super) fn network(&self) -> Option<&Inside> {
        self.network.as_ref()
    }

    /// What its programs may use.
    pub(super) fn ration(&self) -> &Ration {
        &self.ration
    }

    /// Process 1 within, as we count it.
    pub(super) fn keeper(&self) -> u32 {
        self.keeper
    }

    /// Does something on the thread whose children begin in the keeper's process namespace.
    pub fn start<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        self.spawner.ask(work)
    }

    /// What a new process does to be within the walls, with mounts of its own where it is fleeting.
    pub(super) fn joining(&self, command: &Command) -> io::Result<(Joining, Option<Draft>)> {
        let draft = match command.stay {
            Stay::Lasting => None,
            Stay::Fleeting => Some(Draft::make(&self.doors, &self.places.steps(command))?),
        };
        let mounts = draft.as_ref().map(Draft::mounts).transpose()?;
        let (doors, dir) = (Arc::clone(&self.doors), CString::new(command.dir.as_os_str().as_bytes())?);
        let refused = Refused::of_a_lease()?;
        Ok((Joining { doors, mounts, user: command.user, dir, refused }, draft))
    }

    /// What was handed to the keeper, dead or alive, as we count it.
    pub(super) fn handed(&self) -> Vec<u32> {
        children(self.keeper, self.keeper)
    }

    /// Lets the keeper reap one of its children, if it ended; what it took.
    pub(super) fn reap(&self, pid: u32) -> Option<Duration> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        if !field("State:")?.trim_start().starts_with('Z') {
            return None;
        }
        let inside = field("NSpid:")?.split_ascii_whitespace().last()?.parse().ok()?;
        self.line.lock().unwrap_or_else(PoisonError::into_inner).reap(inside)
    }

    /// A program began.
    pub fn enter(&self, mark: Mark) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).insert(mark);
    }

    /// A program ended.
    pub(crate) fn leave(&self, mark: Mark) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&mark);
    }

    /// Whether a process is one of a program that has not ended.
    pub fn is_live(&self, pid: u32) -> bool {
        Mark::of(pid).is_some_and(|mark| self.live.lock().unwrap_or_else(PoisonError::into_inner).contains(&mark))
    }

    /// Kills everything within, and says whether it is dead.
    pub(super) fn kill(&self) -> bool {
        let mut bubble = self.bubble.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(bubble.try_wait(), Ok(Some(_)) | Err(_)) {
            return true;
        }
        // Bubblewrap has not ended, so that its child is not reaped and the number is its own.
        if let Some(pid) = i32::try_from(self.keeper).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        false
    }

    /// Kills everything within, and returns when it is dead.
    pub async fn end(&self) {
        let began = std::time::Instant::now();
        while !self.kill() && began.elapsed() < DEATH {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Walls {
    fn drop(&mut self) {
        if !self.kill() {
            // It ends with its child, and must not stay as a zombie of ours.
            let bubble = Arc::clone(&self.bubble);
            aside(move || {
                let mut bubble = bubble.lock().unwrap_or_else(PoisonError::into_inner);
                drop(bubble.kill());
                drop(bubble.wait());
            });
        }
    }
}

/// What the programs of a lease may use.
fn ration(order: &Order) -> Ration {
    let place = order.private.parent().unwrap_or(&order.private).to_owned();
    let free =
        rustix::fs::statvfs(&order.private).ok().map(|found| Bytes(found.f_bavail.saturating_mul(found.f_frsize)));
    Ration::new(order.limits.or(Limits::usual(free)), place)
}

/// A thread that starts programs in the keeper's process namespace. There is no way back for it where we are not root, and a
/// program dies with the thread that started it, so that it lives as long as the walls.
fn spawner(doors: &Arc<Doors>) -> io::Result<Worker> {
    let doors = Arc::clone(doors);
    let kind = Some(LinkNameSpaceType::ProcessID);
    Worker::start("walls", "starts the programs of a lease", move || {
        Ok(move_into_link_name_space(doors.processes.as_fd(), kind)?)
    })
}

/// What bubblewrap said before it ended.
fn why(bubble: &mut Child, error: &io::Error) -> io::Error {
    let mut said = String::new();
    if let Some(stream) = bubble.stderr.take() {
        drop(stream.take(4096).read_to_string(&mut said));
    }
    drop(bubble.kill());
    drop(bubble.wait());
    let said = said.trim();
    if said.is_empty() {
        io::Error::other(format!("its first process: {error}"))
    } else {
        io::Error::other(said.to_owned())
    }
}
