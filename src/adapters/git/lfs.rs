//! Git LFS: where the contents behind pointers are kept, and which pointers have none.
//!
//! A repository with LFS has small text files (pointers) as blobs and the contents beside them, in `lfs/objects`. Git
//! directories of ours use the same place, so that what a variant adds is kept where its commit is.

use std::path::{Path, PathBuf};

use super::program::{Desk, Program};
use super::settings::LFS_STORAGE;
use super::{GitError, HarvestOrder};

/// What every pointer begins with, by its specification; none is longer than [`LONGEST`].
const BEGINNING: &str = "version https://git-lfs.github.com/spec/v1\n";
const LONGEST: usize = 1024;

/// A pointer in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    /// Its path.
    pub path: Vec<u8>,
    /// SHA-256 of the content, in hexadecimal digits.
    content: String,
    /// Bytes of the content.
    size: u64,
}

impl Pointer {
    /// Reads a blob; `None` where it is none.
    fn read(path: &[u8], blob: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(blob).ok().filter(|text| text.len() <= LONGEST)?;
        let mut lines = text.strip_prefix(BEGINNING)?.lines();
        let value = |lines: &mut std::str::Lines<'_>, key: &str| {
            lines
                .clone()
                .find_map(|line| line.strip_prefix(key).and_then(|rest| rest.strip_prefix(' ')).map(str::to_owned))
        };
        let content = value(&mut lines, "oid")?.strip_prefix("sha256:")?.to_owned();
        let digits = content.len() == 64 && content.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = value(&mut lines, "size")?.parse().ok()?;
        digits.then(|| Self { path: path.to_owned(), content, size })
    }

    /// Whether the content is in this place, whole.
    fn is_in(&self, storage: &Path) -> bool {
        let folder = storage.join("objects").join(&self.content[..2]).join(&self.content[2..4]);
        self.size == 0 || folder.join(&self.content).metadata().is_ok_and(|found| found.len() == self.size)
    }
}

/// Pointers in a tree that are not in another, wherever they stand there.
pub(super) fn pointers(
    repo: &git2::Repository,
    before: &git2::Tree<'_>,
    after: &git2::Tree<'_>,
) -> Result<Vec<Pointer>, GitError> {
    let mut found = Vec::new();
    let diff = repo.diff_tree_to_tree(Some(before), Some(after), None)?;
    for delta in diff.deltas() {
        let (file, odb) = (delta.new_file(), repo.odb()?);
        let Ok((size, git2::ObjectType::Blob)) = odb.read_header(file.id()) else { continue };
        if size <= LONGEST {
            let pointer = Pointer::read(file.path_bytes().unwrap_or_default(), repo.find_blob(file.id())?.content());
            found.extend(pointer.map(|pointer| (file.id(), pointer)));
        }
    }
    if !found.is_empty() {
        // One that was moved or copied is as good as it was.
        let mut known = std::collections::BTreeSet::new();
        before.walk(git2::TreeWalkMode::PreOrder, |_, entry| {
            known.insert(entry.id());
            git2::TreeWalkResult::Ok
        })?;
        found.retain(|(id, _)| !known.contains(id));
    }
    Ok(found.into_iter().map(|(_, pointer)| pointer).collect())
}

impl Program {
    /// Where contents are kept, if this repository has LFS.
    pub(super) fn lfs_storage(&self) -> Option<PathBuf> {
        self.settings().get("filter.lfs.clean").or(self.settings().get("filter.lfs.process"))?;
        let named = self.settings().get(LFS_STORAGE).map(|path| match path.strip_prefix("~/") {
            Some(_) => self.expanded(path),
            None => self.common().join(path),
        });
        Some(named.unwrap_or_else(|| self.common().join("lfs")))
    }

    /// Refuses work whose pointers have no content anywhere: nobody could ever check it out. Attributes are read as the
    /// work was, not as the worktree's own git directory has them, which its agent can write.
    pub(super) async fn refuse_empty_pointers(
        &self,
        order: &HarvestOrder<'_>,
        desk: &Desk,
        all: Vec<Pointer>,
    ) -> Result<(), GitError> {
        let Some(storage) = self.lfs_storage().filter(|_| !all.is_empty()) else { return Ok(()) };
        let empty: Vec<_> = all.into_iter().filter(|pointer| !pointer.is_in(&storage)).collect();
        if empty.is_empty() {
            return Ok(());
        }
        // A file that only looks like one, such as a test's, is as good as any other.
        let paths: Vec<_> = empty.into_iter().map(|pointer| pointer.path).collect();
        let filters = self.filters(order.worktree, desk, &paths).await?;
        match paths.iter().find(|path| filters.get(*path).is_some_and(|filter| filter == b"lfs")) {
            None => Ok(()),
            Some(path) => Err(GitError::Harvest(format!(
                "`{}` is a Git LFS pointer whose content is not in {}",
                String::from_utf8_lossy(path),
                storage.join("objects").display()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_known_by_its_first_line_its_digest_and_its_size() {
        let digest = "0123456789abcdef".repeat(4);
        let text = format!("{BEGINNING}oid sha256:{digest}\nsize 12\n");
        let pointer = Pointer::read(b"a", text.as_bytes()).unwrap();
        assert_eq!((pointer.content, pointer.size), (digest.clone(), 12));
        let others = [
            format!("{BEGINNING}oid sha256:{digest}\n"),
            format!("{BEGINNING}oid sha256:0123\nsize 12\n"),
            format!("{BEGINNING}oid md5:{digest}\nsize 12\n"),
            format!("# {BEGINNING}oid sha256:{digest}\nsize 12\n"),
            text.replace("size 12", "size -1"),
        ];
        for other in others {
            assert_eq!(Pointer::read(b"a", other.as_bytes()), None, "{other}");
        }
    }
}
