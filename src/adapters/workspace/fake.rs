//! The fake: a workspace on a disk in memory. Ports and random numbers are counted up, the same ones in every test.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use async_trait::async_trait;

use super::sealing::digest;
use super::{Carry, Footing, Looked, Mark, Seal, Workspace, WorkspaceError};
use crate::adapters::fake::{Disk, Entry};
use crate::adapters::process::{Left, Redactor};

/// The first port that is given away.
const FIRST_PORT: u16 = 40_000;

/// A workspace in memory.
#[derive(Debug)]
pub struct FakeWorkspace {
    disk: Disk,
    ports: AtomicU16,
    drawn: AtomicU64,
}

fn named<T>(what: &str, path: &Path, result: io::Result<T>) -> Result<T, WorkspaceError> {
    result.map_err(|source| WorkspaceError { what: format!("{what} {}", path.display()), source })
}

impl FakeWorkspace {
    /// On this disk.
    pub fn on(disk: &Disk) -> Self {
        Self { disk: disk.clone(), ports: AtomicU16::new(FIRST_PORT), drawn: AtomicU64::new(0) }
    }

    fn stand(&self, path: &Path) -> io::Result<Footing> {
        match self.disk.node(path) {
            Some(node) if node.entry == Entry::Folder => {
                Ok(Footing { device: 0, inode: node.number, gitfile: self.disk.read(path.join(".git")) })
            }
            Some(_) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Copies one file or link, or makes a folder, unless something is there.
    fn copy(&self, from: &Path, into: &Path) -> io::Result<()> {
        // A name that was joined with nothing ends with a slash.
        let (from, into) = (from.components().as_path(), into.components().as_path());
        let Some(node) = self.disk.node(from).filter(|_| !self.disk.has(into)) else { return Ok(()) };
        match node.entry {
            Entry::Folder => self.disk.folder(into)?,
            Entry::Link(to) => self.disk.link(into, to)?,
            Entry::File(bytes) => {
                self.disk.write(into, bytes)?;
                self.disk.set_modified(into, node.modified);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Workspace for FakeWorkspace {
    async fn make_private(&self, path: &Path) -> Result<(), WorkspaceError> {
        named("making", path, self.disk.folder(path))
    }

    async fn remove(&self, path: &Path) -> Result<(), WorkspaceError> {
        self.disk.remove(path);
        Ok(())
    }

    async fn footing(&self, path: &Path) -> Result<Footing, WorkspaceError> {
        named("looking at", path, self.stand(path))
    }

    async fn replaced(&self, path: &Path, known: &Footing) -> Option<&'static str> {
        match (self.stand(path), self.disk.node(path).map(|node| node.entry)) {
            (Ok(now), _) if now == *known => None,
            (Ok(now), _) if now.inode != known.inode => Some("was replaced by another directory"),
            (Ok(_), _) => Some("has another `.git` than it had"),
            (Err(_), Some(Entry::Link(_))) => Some("was replaced by a link"),
            (Err(_), Some(_)) => Some("was replaced by a file"),
            (Err(_), None) => Some("was removed"),
        }
    }

    async fn unlink_detours(&self, root: &Path, path: &Path) -> Result<(), WorkspaceError> {
        let Ok(below) = path.strip_prefix(root) else { return Ok(()) };
        let mut at = root.to_owned();
        for part in std::iter::once(None).chain(below.iter().map(Some)) {
            at.extend(part);
            if matches!(self.disk.node(&at).map(|node| node.entry), Some(Entry::Link(_))) {
                self.disk.remove(&at);
                return Ok(());
            }
        }
        Ok(())
    }

    async fn put_aside(&self, path: &Path, aside: &Path) -> Result<(), WorkspaceError> {
        named("putting aside", path, self.disk.rename(path, aside).map(drop))
    }

    async fn carry(&self, order: &Carry<'_>) -> Result<(), WorkspaceError> {
        let path = PathBuf::from(order.path.trim_end_matches('/'));
        let (from, into) = (order.from.join(&path), order.into.join(&path));
        let without: BTreeSet<&PathBuf> = order.without.iter().collect();
        // What is there already stays, and so does whatever is in its place.
        let is_clear = |place: &Path| {
            let mut above = place.ancestors().skip(1).take_while(|folder| folder.starts_with(order.into));
            above.all(|folder| self.disk.node(folder).is_none_or(|node| node.entry == Entry::Folder))
        };
        let itself = self.disk.node(&from).map(|node| (PathBuf::new(), node.entry));
        for (below, entry) in itself.into_iter().chain(self.disk.below(&from)) {
            let (source, place) = (from.join(&below), into.join(&below));
            // A `.git` that is no folder leads to the user's own repository.
            let leads = entry != Entry::Folder && source.file_name().is_some_and(|name| name == ".git");
            if !leads && !without.contains(&path.join(&below)) && is_clear(&place) {
                named("carrying", &place, self.copy(&source, &place))?;
            }
        }
        Ok(())
    }

    async fn same_times(&self, from: &Path, into: &Path, without: &[String]) -> Result<(), WorkspaceError> {
        let left_alone = |path: &Path| without.iter().any(|folder| path.starts_with(folder.trim_end_matches('/')));
        for (path, entry) in self.disk.below(into) {
            if left_alone(&path) || !matches!(entry, Entry::File(_)) {
                continue;
            }
            if let Some(known) = self.disk.node(from.join(&path)).filter(|known| known.entry == entry) {
                self.disk.set_modified(into.join(&path), known.modified);
            }
        }
        Ok(())
    }

    async fn keep(&self, file: &Path, into: &Path, redactor: &Redactor) -> Result<bool, WorkspaceError> {
        let bytes = match self.disk.node(file).map(|node| node.entry) {
            None => return Ok(false),
            Some(Entry::File(bytes)) if bytes.is_empty() => return Ok(false),
            Some(Entry::File(bytes)) => bytes,
            Some(_) => return named("keeping", file, Err(ErrorKind::InvalidInput.into())),
        };
        let mut kept = self.disk.read(into).unwrap_or_default();
        kept.extend_from_slice(&redactor.clean(&bytes, bytes.len()));
        named("keeping", file, self.disk.write(into, kept)).map(|()| true)
    }

    async fn look(&self, tree: &Path, path: &str) -> Looked {
        let Some(node) = self.disk.node(tree.join(path)) else { return Looked { bytes: None, changed: None } };
        let bytes = match node.entry {
            Entry::File(bytes) => bytes,
            Entry::Folder => b"a folder".to_vec(),
            Entry::Link(_) => b"a link".to_vec(),
        };
        Looked { bytes: Some(bytes), changed: Some(node.changed) }
    }

    async fn seal(&self, tree: &Path, paths: &[String]) -> Seal {
        let mut marks = BTreeMap::new();
        for path in paths {
            marks.insert(path.clone(), Mark { stamp: None, digest: digest(&Ok(self.look(tree, path).await.bytes)) });
        }
        Seal { marks }
    }

    async fn broken(&self, tree: &Path, seal: &mut Seal) -> Vec<String> {
        let now = self.seal(tree, &seal.marks.keys().cloned().collect::<Vec<_>>()).await;
        seal.marks.iter().filter(|(path, mark)| now.marks[*path] != **mark).map(|(path, _)| path.clone()).collect()
    }

    async fn names(&self, tree: &Path, folder: &str) -> Vec<String> {
        let found = self.disk.below(tree.join(folder)).into_keys().filter(|below| below.components().count() == 1);
        found.map(|name| Path::new(folder).join(name).to_string_lossy().into_owned()).collect()
    }

    async fn put_back(&self, tree: &Path, path: &str, bytes: &[u8]) -> Result<(), WorkspaceError> {
        let place = tree.join(path);
        let put = match self.disk.node(&place).map(|node| node.entry) {
            Some(Entry::File(_)) => self.disk.write(&place, bytes),
            _ => Err(ErrorKind::NotFound.into()),
        };
        named("putting back", &place, put)
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, WorkspaceError> {
        match self.disk.node(path).map(|node| node.entry) {
            None => Ok(None),
            Some(Entry::File(bytes)) => Ok(Some(bytes)),
            Some(_) => named("reading", path, Err(ErrorKind::IsADirectory.into())),
        }
    }

    async fn ports(&self, count: usize) -> Result<Vec<u16>, WorkspaceError> {
        Ok((0..count).map(|_| self.ports.fetch_add(1, Ordering::Relaxed)).collect())
    }

    fn full(&self, _: &Path, _: Left) -> Option<String> {
        self.disk.full()
    }

    fn random(&self) -> u64 {
        // Odd, so that no two of 2^64 are the same; large, so that their low digits differ.
        self.drawn.fetch_add(1, Ordering::Relaxed).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}
