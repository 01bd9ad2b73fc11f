//! The files of a repository as detection sees them: what git does not ignore, with the texts that tell something, and lock
//! files in any case.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use ignore::WalkBuilder;

use crate::domain::detect::{self, Listing};

/// Files of a repository that are looked at; what is larger is known by these.
const MOST: usize = 50_000;
/// Texts that are read, and the bytes of each.
const TEXTS: usize = 1_000;
const BYTES: u64 = 64 << 10;

/// Lists the files below a root. What can't be read is left out.
pub fn listing(root: &Path) -> Listing {
    let walk = WalkBuilder::new(root)
        .hidden(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .sort_by_file_name(Ord::cmp)
        .build();
    let files = walk.flatten().filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()));
    let mut texts = 0;
    let read = files.take(MOST).filter_map(|entry| {
        let path = entry.path().strip_prefix(root).ok()?.to_str()?.to_owned();
        let wanted = texts < TEXTS && detect::wants(&path);
        texts += usize::from(wanted);
        let text = if wanted { text(entry.path()) } else { String::new() };
        Some((path, text))
    });
    let listing = Listing::new(read);
    let ignored: Vec<_> =
        detect::locks(&listing).into_iter().filter(|path| !listing.has(path) && root.join(path).is_file()).collect();
    listing.with_ignored(ignored)
}

/// The beginning of a file.
fn text(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BYTES).read_to_end(&mut bytes));
    read.map(|_| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
