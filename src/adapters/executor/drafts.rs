//! Mounts that bubblewrap does not make: layers of a lease's own over caches of packages, for good; and those of which nothing
//! is to stay, a copy of a lease's mounts for one program, in which what it writes goes to memory.
//!
//! The latter are made by a thread of ours before the program starts, and are held by us beyond its end: whoever lets go of them
//! last waits for the kernel, some milliseconds on a busy machine, and that must be neither a slice nor who starts the next.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_bind, mount_change,
};
use rustix::mount::{UnmountFlags, move_mount, open_tree, unmount};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::aside::aside;
use super::joining::Doors;
use super::ordinary::is_apart;
use super::places::{LAYERS, STASH, STORE, Step};

/// The mounts of one program.
#[derive(Debug)]
pub struct Draft(Option<OwnedFd>);

impl Draft {
    /// For one program of this lease.
    pub fn make(doors: &Doors, steps: &[Step]) -> io::Result<Self> {
        // Where a thread is, is its own affair from here on, so that it is one for this alone.
        let made = std::thread::scope(|scope| {
            let maker = std::thread::Builder::new().name("drafts".to_owned());
            let gone = |_| Err(io::Error::other("the thread that makes mounts is gone"));
            maker.spawn_scoped(scope, || lay(doors, steps))?.join().unwrap_or_else(gone)
        })?;
        Ok(Self(Some(made)))
    }

    /// For the program to join.
    pub fn mounts(&self) -> io::Result<OwnedFd> {
        self.0.as_ref().ok_or(io::ErrorKind::NotFound)?.try_clone()
    }
}

impl Drop for Draft {
    /// The kernel takes milliseconds to be rid of mounts.
    fn drop(&mut self) {
        if let Some(mounts) = self.0.take() {
            aside(move || drop(mounts));
        }
    }
}

/// Gives places of a lease layers of its own, for good: what is written there goes to the store, which lies outside.
pub fn layer(doors: &Doors, steps: &[Step], store: &Path) -> io::Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    std::thread::scope(|scope| {
        let maker = std::thread::Builder::new().name("layers".to_owned());
        let gone = |_| Err(io::Error::other("the thread that makes mounts is gone"));
        maker.spawn_scoped(scope, || lay_for_good(doors, steps, store))?.join().unwrap_or_else(gone)
    })
}

fn lay_for_good(doors: &Doors, steps: &[Step], store: &Path) -> io::Result<()> {
    let apart = is_apart();
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    // An ordinary user may not take it along from here, and finds it within.
    let outside = if apart { None } else { Some(open_tree(CWD, store, clone)?) };
    #[expect(unsafe_code, reason = "this thread parts from the others in where it is, and in nothing else")]
    // SAFETY: descriptors stay shared.
    unsafe {
        unshare_unsafe(UnshareFlags::FS)?;
    }
    move_into_link_name_space(doors.mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
    let covered = |step: &Step| match step {
        Step::Again(at) => Some(open_tree(CWD, at, clone | OpenTreeFlags::AT_RECURSIVE)),
        _ => None,
    };
    let mut covered = steps.iter().filter_map(covered).collect::<rustix::io::Result<Vec<_>>>()?.into_iter();
    let mut over = PathBuf::from(STORE);
    match &outside {
        Some(outside) => attach(outside, &over)?,
        None => over = Path::new(STASH).join(LAYERS),
    }
    let mut in_memory = false;
    for step in steps {
        match step {
            Step::Again(at) => attach(&covered.next().ok_or(io::ErrorKind::NotFound)?, at)?,
            Step::Overlay(at, lower, index) => {
                let laid = overlay(at, lower, (&over, *index), apart);
                // Not every file system can hold what is written to another: a container's own can't.
                if laid.is_err() && !std::mem::replace(&mut in_memory, true) {
                    over = PathBuf::from(STORE);
                    mount("tmpfs", STORE, "tmpfs", FLAGS, c"mode=0700")?;
                    overlay(at, lower, (&over, *index), apart)?;
                } else {
                    laid?;
                }
            }
            Step::Memory(_) | Step::Bare(..) => {}
        }
    }
    for _ in 0..usize::from(in_memory) + usize::from(outside.is_some()) {
        unmount(STORE, UnmountFlags::DETACH)?;
    }
    Ok(())
}

/// Makes the mounts; on a thread that does nothing else.
fn lay(doors: &Doors, steps: &[Step]) -> io::Result<OwnedFd> {
    // By number it is not found from within.
    let own = rustix::fs::open("/proc/thread-self/ns", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let apart = is_apart();
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let again = |at: &Path| open_tree(CWD, at, clone | OpenTreeFlags::AT_RECURSIVE);
    #[expect(unsafe_code, reason = "this thread parts from the others in where it is, and in nothing else")]
    // SAFETY: descriptors stay shared.
    unsafe {
        unshare_unsafe(UnshareFlags::FS)?;
    }
    move_into_link_name_space(doors.mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
    #[expect(unsafe_code, reason = "the same of its mounts")]
    // SAFETY: descriptors stay shared.
    unsafe {
        unshare_unsafe(UnshareFlags::NEWNS)?;
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let covered = |step: &Step| match step {
        Step::Again(at) => Some(again(at)),
        _ => None,
    };
    let mut covered = steps.iter().filter_map(covered).collect::<rustix::io::Result<Vec<_>>>()?.into_iter();
    mount("tmpfs", STORE, "tmpfs", FLAGS, c"mode=0700")?;
    for step in steps {
        match step {
            Step::Again(at) => {
                let tree = covered.next().ok_or(io::ErrorKind::NotFound)?;
                if !at.exists() {
                    DirBuilder::new().mode(0o700).create(at)?;
                }
                attach(&tree, at)?;
            }
            Step::Memory(at) => mount("tmpfs", at.as_path(), "tmpfs", FLAGS, c"mode=1777")?,
            Step::Overlay(at, lower, index) => overlay(at, lower, (Path::new(STORE), *index), apart)?,
            Step::Bare(at, index, folders) => bare(at, *index, folders)?,
        }
    }
    let mounts = rustix::fs::openat(&own, "mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(mounts)
}

const FLAGS: MountFlags = MountFlags::NODEV.union(MountFlags::NOSUID);

fn attach(tree: &OwnedFd, at: &Path) -> io::Result<()> {
    Ok(move_mount(tree.as_fd(), c"", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// What is written at a place goes to a store, to folders of this number.
fn overlay(at: &Path, lower: &Path, (store, index): (&Path, usize), apart: bool) -> io::Result<()> {
    let usual = fs::metadata(at)?;
    let [upper, work] = ["u", "w"].map(|part| format!("{}/{part}{index}", store.display()));
    for folder in [&upper, &work] {
        DirBuilder::new().mode(0o700).create(folder)?;
    }
    // The place has the rights of its upper folder.
    fs::set_permissions(&upper, usual.permissions())?;
    let mut options = b"lowerdir=".to_vec();
    options.extend(escaped(lower));
    options.extend(format!(",upperdir={upper},workdir={work}").bytes());
    if apart {
        options.extend(b",userxattr");
    }
    let options = std::ffi::CString::new(options)?;
    mount("overlay", at, "overlay", FLAGS, options.as_c_str())?;
    Ok(())
}

/// An empty place in the store, with these folders in it.
fn bare(at: &Path, index: usize, folders: &[PathBuf]) -> io::Result<()> {
    let inside = PathBuf::from(format!("{STORE}/b{index}"));
    DirBuilder::new().mode(0o700).create(&inside)?;
    for folder in folders.iter().filter_map(|folder| folder.strip_prefix(at).ok()) {
        DirBuilder::new().mode(0o700).create(inside.join(folder))?;
    }
    Ok(mount_bind(&inside, at)?)
}

/// A path as an option of an overlay.
fn escaped(path: &Path) -> Vec<u8> {
    let special = |byte: &u8| b"\\:,".contains(byte);
    path.as_os_str()
        .as_bytes()
        .iter()
        .flat_map(|byte| special(byte).then_some(b'\\').into_iter().chain([*byte]))
        .collect()
}
