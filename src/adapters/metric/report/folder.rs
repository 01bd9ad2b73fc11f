//! A report that is a folder of files, read without trust.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::format::Document;
use crate::adapters::process::{REPORT_LIMIT, read_untrusted};

/// More files and folders than this are refused.
const ENTRIES: usize = 20_000;
/// Files deeper than this are not looked for.
const DEPTH: usize = 8;

/// The files below a folder whose paths end in one of these, in the order of their paths. Links
/// are not followed; what is more than a report may be, in files or in bytes, is refused.
pub fn read(root: &Path, endings: &[&str]) -> io::Result<Vec<Document>> {
    let mut files = Vec::new();
    if fs::symlink_metadata(root).is_ok_and(|root| root.is_dir()) {
        list(root, endings, &mut files)?;
    }
    files.sort();
    let mut total = 0;
    let mut documents = Vec::new();
    for file in files {
        let bytes = read_untrusted(&file, 0)?.unwrap_or_default();
        total += bytes.len() as u64;
        if total > REPORT_LIMIT {
            return Err(io::Error::other("longer than 64 MiB"));
        }
        let path = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        documents.push(Document { path, bytes });
    }
    Ok(documents)
}

fn list(root: &Path, endings: &[&str], files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut open = vec![(root.to_owned(), 1)];
    let mut seen = 0;
    while let Some((dir, depth)) = open.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            seen += 1;
            if seen > ENTRIES {
                return Err(io::Error::other(format!("more than {ENTRIES} files")));
            }
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() && depth < DEPTH {
                open.push((path, depth + 1));
            } else if kind.is_file() && endings.iter().any(|ending| path.ends_with(ending)) {
                files.push(path);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_the_end_of_their_paths_and_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let (inside, outside) = (root.path().join("report"), root.path().join("outside"));
        for dir in [inside.join("a/new"), inside.join("b/base"), outside.join("new")] {
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("x.json"), "1").unwrap();
        }
        std::os::unix::fs::symlink(outside.join("new/x.json"), inside.join("a/new/y.json")).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("c")).unwrap();
        let found = read(&inside, &["new/x.json", "new/y.json"]).unwrap();
        let paths: Vec<_> = found.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["a/new/x.json"]);
        std::os::unix::fs::symlink(&outside, root.path().join("link")).unwrap();
        assert!(read(&root.path().join("link"), &["new/x.json"]).unwrap().is_empty());
        assert!(read(&root.path().join("absent"), &["new/x.json"]).unwrap().is_empty());
    }
}
