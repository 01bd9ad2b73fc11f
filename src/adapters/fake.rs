//! A disk in memory, which the fakes of several ports share: what the fake git checks out, a fake program changes, and the
//! fake workspace removes.
//!
//! Fakes are compiled always and not behind a feature: unit tests of the engine and `tests/conformance.rs`, which sees the
//! library from outside, use the same ones, no build differs from another, and what no command of ours reaches is not
//! linked into the program.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder,
    /// A file with these bytes. Whether it can be run is not kept.
    File(Vec<u8>),
    /// A link to this place. Nothing is ever reached through one.
    Link(PathBuf),
}

/// An entry with what the system knows of it.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub entry: Entry,
    /// Which one it is: nothing else has the number, now or later.
    pub number: u64,
    /// When it last changed in any way.
    pub changed: SystemTime,
    /// When it was last written, or the time that somebody gave it.
    pub modified: SystemTime,
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<PathBuf, Node>,
    made: u64,
    full: Option<String>,
}

/// Files, folders and links by their absolute paths. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a file, with the folders above it. One that is there stays the same file with other bytes; a link or a
    /// folder in its place, and a file or a link on the way, are errors.
    pub fn write(&self, path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) -> io::Result<()> {
        let path = path.as_ref();
        let mut state = self.state();
        if state.full.is_some() {
            return Err(ErrorKind::StorageFull.into());
        }
        match state.nodes.get_mut(path) {
            Some(node @ Node { entry: Entry::File(_), .. }) => {
                let now = SystemTime::now();
                (node.entry, node.changed, node.modified) = (Entry::File(bytes.into()), now, now);
                return Ok(());
            }
            Some(_) => return Err(ErrorKind::IsADirectory.into()),
            None => {}
        }
        state.folders(path.parent().unwrap_or(path))?;
        state.add(path, Entry::File(bytes.into()));
        Ok(())
    }

    /// Makes a folder and those above it.
    pub fn folder(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.state().folders(path.as_ref())
    }

    /// Makes a link, in the place of whatever stands there.
    pub fn link(&self, path: impl AsRef<Path>, to: impl Into<PathBuf>) -> io::Result<()> {
        let mut state = self.state();
        state.folders(path.as_ref().parent().unwrap_or(path.as_ref()))?;
        state.take(path.as_ref());
        state.add(path.as_ref(), Entry::Link(to.into()));
        Ok(())
    }

    /// The bytes of a file; nothing where there is none.
    pub fn read(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        match self.node(path)?.entry {
            Entry::File(bytes) => Some(bytes),
            Entry::Folder | Entry::Link(_) => None,
        }
    }

    /// The text of a file; empty where there is none.
    pub fn text(&self, path: impl AsRef<Path>) -> String {
        String::from_utf8_lossy(&self.read(path).unwrap_or_default()).into_owned()
    }

    /// What stands at a path.
    pub fn node(&self, path: impl AsRef<Path>) -> Option<Node> {
        self.state().nodes.get(path.as_ref()).cloned()
    }

    /// Whether anything stands at a path.
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.state().nodes.contains_key(path.as_ref())
    }

    /// Gives a file another time at which it was written.
    pub fn set_modified(&self, path: impl AsRef<Path>, modified: SystemTime) {
        if let Some(node) = self.state().nodes.get_mut(path.as_ref()) {
            (node.modified, node.changed) = (modified, SystemTime::now());
        }
    }

    /// Removes what stands at a path with all below it.
    pub fn remove(&self, path: impl AsRef<Path>) {
        self.state().take(path.as_ref());
    }

    /// Moves what stands at a path with all below it; whether there was anything.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<bool> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let mut state = self.state();
        if !state.nodes.contains_key(from) {
            return Ok(false);
        }
        state.folders(to.parent().unwrap_or(to))?;
        for (path, node) in state.take(from) {
            // A name that is joined with nothing would end with a slash.
            let below = path.strip_prefix(from).ok().filter(|below| !below.as_os_str().is_empty());
            state.nodes.insert(below.map_or_else(|| to.to_owned(), |below| to.join(below)), node);
        }
        Ok(true)
    }

    /// Everything below a folder, by its path from there; a folder stands before what is in it.
    pub fn below(&self, folder: impl AsRef<Path>) -> BTreeMap<PathBuf, Entry> {
        let folder = folder.as_ref();
        let state = self.state();
        let inside = state.nodes.range(folder.to_owned()..).take_while(|(path, _)| path.starts_with(folder));
        let from_there = |(path, node): (&PathBuf, &Node)| {
            let below = path.strip_prefix(folder).ok().filter(|below| !below.as_os_str().is_empty())?;
            Some((below.to_owned(), node.entry.clone()))
        };
        inside.filter_map(from_there).collect()
    }

    /// Everything there is, for a look at what was left.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().nodes.keys().cloned().collect()
    }

    /// Lets nothing be written from here on, as these words say it; or everything again.
    pub fn fill(&self, words: Option<&str>) {
        self.state().full = words.map(str::to_owned);
    }

    /// Why nothing can be written.
    pub fn full(&self) -> Option<String> {
        self.state().full.clone()
    }
}

impl State {
    fn add(&mut self, path: &Path, entry: Entry) {
        self.made += 1;
        let now = SystemTime::now();
        self.nodes.insert(path.to_owned(), Node { entry, number: self.made, changed: now, modified: now });
    }

    fn folders(&mut self, path: &Path) -> io::Result<()> {
        let above: Vec<_> = path.ancestors().collect();
        for folder in above.into_iter().rev() {
            match self.nodes.get(folder).map(|node| &node.entry) {
                Some(Entry::Folder) => {}
                Some(_) => return Err(ErrorKind::NotADirectory.into()),
                None if self.full.is_some() => return Err(ErrorKind::StorageFull.into()),
                None => self.add(folder, Entry::Folder),
            }
        }
        Ok(())
    }

    /// Takes a subtree out.
    fn take(&mut self, root: &Path) -> Vec<(PathBuf, Node)> {
        let inside = self.nodes.range(root.to_owned()..).map(|(path, _)| path.clone());
        let paths: Vec<_> = inside.take_while(|path| path.starts_with(root)).collect();
        paths.into_iter().filter_map(|path| self.nodes.remove_entry(&path)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_moved_and_removed_with_all_below_it_and_nothing_beside_it() {
        let disk = Disk::default();
        for path in ["/a/b/c", "/a/b/d/e", "/a/bb", "/a-b"] {
            disk.write(path, path).unwrap();
        }
        assert!(disk.rename("/a/b", "/x/y").unwrap());
        assert!(!disk.rename("/a/b", "/x/y").unwrap());
        let below: Vec<_> = disk.below("/x/y").into_keys().collect();
        assert_eq!(below, [Path::new("c"), Path::new("d"), Path::new("d/e")]);
        disk.remove("/x");
        let left: Vec<_> = disk.below("/").into_keys().collect();
        assert_eq!(left, [Path::new("a"), Path::new("a/bb"), Path::new("a-b")]);
    }

    #[test]
    fn a_file_that_is_written_again_is_the_same_file_and_one_that_is_made_anew_is_not() {
        let disk = Disk::default();
        disk.write("/a", "1").unwrap();
        let first = disk.node("/a").unwrap().number;
        disk.write("/a", "2").unwrap();
        assert_eq!(disk.node("/a").unwrap().number, first);
        disk.remove("/a");
        disk.write("/a", "2").unwrap();
        assert_ne!(disk.node("/a").unwrap().number, first);
    }

    #[test]
    fn nothing_is_written_through_a_link_or_below_a_file_or_on_a_full_disk() {
        let disk = Disk::default();
        disk.write("/real/file", "x").unwrap();
        disk.link("/link", "/real").unwrap();
        assert_eq!(disk.write("/link/file", "y").unwrap_err().kind(), ErrorKind::NotADirectory);
        assert_eq!(disk.write("/link", "y").unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(disk.write("/real/file/more", "y").unwrap_err().kind(), ErrorKind::NotADirectory);
        disk.fill(Some("full"));
        assert_eq!(disk.write("/other", "y").unwrap_err().kind(), ErrorKind::StorageFull);
        disk.fill(None);
        disk.write("/other", "y").unwrap();
    }
}
