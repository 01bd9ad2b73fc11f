//! Directories of ours: made private, marked with a nonce, and removed only by that mark.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{LeaseName, ServiceError, ServiceResource, use_of};
use crate::adapters::process::{self, User, nonce};
use crate::adapters::sql::{is_lease_name, lease_name, marker};

/// The file that holds the mark.
const MARK: &str = "blueprint";

/// How long files may still appear in a directory whose processes are ending.
const SETTLE: Duration = Duration::from_secs(2);

/// What a lease of this kind will be.
pub fn intend(kind: &str, place: &str, lease: &LeaseName, role: Option<&str>) -> ServiceResource {
    let nonce = nonce();
    let name = lease_name(&lease.run, &lease.contender, &nonce);
    ServiceResource {
        kind: kind.to_owned(),
        place: place.to_owned(),
        role: role.map(str::to_owned),
        name,
        nonce,
        oid: None,
    }
}

/// A password: 256 bits of the system's randomness, as letters and digits that no URL has to escape.
pub fn password() -> Result<String, ServiceError> {
    process::secret(256).map_err(|why| failed("drawing a password", &why))
}

/// An I/O error with what was being done.
pub fn failed(what: impl Into<String>, why: &io::Error) -> ServiceError {
    ServiceError::Failed { what: what.into(), why: why.to_string() }
}

/// Work that blocks, away from the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    what: String,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ServiceError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    done.and_then(|result| result).map_err(|why| failed(what, &why))
}

/// Makes a directory and those above it, private to us. `mode` is 0711 where another user's server
/// has to reach a directory of its own further down.
pub fn make(dir: &Path, mode: u32) -> Result<(), ServiceError> {
    let made = fs::DirBuilder::new().recursive(true).mode(mode).create(dir);
    made.map_err(|why| failed(format!("making {}", dir.display()), &why))
}

/// Makes a lease's directory with its mark.
pub(super) fn make_marked(dir: &Path, mode: u32, resource: &ServiceResource) -> Result<(), ServiceError> {
    make(dir, mode)?;
    write_private(&dir.join(MARK), &marker(&resource.nonce), None)
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &Path, text: &str, owner: Option<User>) -> Result<(), ServiceError> {
    use std::io::Write;
    let opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.and_then(|()| give(path, owner)).map_err(|why| failed(format!("writing {}", path.display()), &why))
}

/// Gives a file or directory to a user.
pub(crate) fn give(path: &Path, owner: Option<User>) -> io::Result<()> {
    match owner {
        Some(user) => std::os::unix::fs::lchown(path, Some(user.uid), Some(user.gid)),
        None => Ok(()),
    }
}

/// The directory that a resource of this kind names, if all of it is as we would have named it.
pub fn directory(resource: &ServiceResource, kind: &str) -> Result<PathBuf, ServiceError> {
    check(resource, kind)?;
    let path = PathBuf::from(&resource.place);
    let ours = path.is_absolute() && path.file_name().is_some_and(|name| *name == *resource.name);
    if ours { Ok(path) } else { Err(foreign(resource)) }
}

/// A resource must be of this kind and have a name of ours.
pub fn check(resource: &ServiceResource, kind: &str) -> Result<(), ServiceError> {
    if resource.kind != kind {
        let used_as = use_of(kind).unwrap_or_default();
        return Err(ServiceError::Refused(format!(
            "the {used_as} `{}` is of the kind {}, and the configuration now gives {kind}: set `{used_as}.isolation` \
             as it was when the run began",
            resource.name, resource.kind
        )));
    }
    if is_lease_name(&resource.name) { Ok(()) } else { Err(foreign(resource)) }
}

/// What is there does not carry our mark.
pub fn foreign(resource: &ServiceResource) -> ServiceError {
    ServiceError::Refused(format!(
        "`{}` at {} carries no mark of this run, so it is left alone",
        resource.name, resource.place
    ))
}

/// Whether there is a directory to remove. One that is empty was made and not yet marked.
pub(super) fn is_there(dir: &Path, resource: &ServiceResource) -> Result<bool, ServiceError> {
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(format!("looking at {}", dir.display()), &error)),
        Ok(found) if !found.is_dir() => return Err(foreign(resource)),
        Ok(_) => {}
    }
    let marked = fs::read_to_string(dir.join(MARK)).is_ok_and(|text| text == marker(&resource.nonce));
    let unmarked = |name: &std::ffi::OsStr| name != MARK;
    let empty = || fs::read_dir(dir).is_ok_and(|mut all| !all.any(|e| e.is_ok_and(|e| unmarked(&e.file_name()))));
    // A mark that was cut off while it was written counts as none.
    let begun = || fs::metadata(dir.join(MARK)).map_or(true, |mark| mark.len() == 0);
    if marked || (empty() && begun()) { Ok(true) } else { Err(foreign(resource)) }
}

/// Removes a tree. Processes that are ending may still write into it for a moment.
pub fn remove(dir: &Path) -> io::Result<()> {
    let until = std::time::Instant::now() + SETTLE;
    loop {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && std::time::Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// Whether a user can walk down to a directory. Parts of the way that are not there yet will be made
/// by us, so that the user can.
pub(super) fn reachable(dir: &Path, user: User) -> bool {
    dir.ancestors().filter(|part| !part.as_os_str().is_empty()).all(|part| match fs::metadata(part) {
        Ok(found) => {
            let bit = if found.uid() == user.uid { 0o100 } else { 0o001 };
            found.permissions().mode() & bit != 0
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(dir: &Path) -> ServiceResource {
        let lease = LeaseName { run: "20260105-101112-ab12".to_owned(), contender: "a".to_owned() };
        let mut made = intend("sqlite", "", &lease, None);
        made.place = dir.join(&made.name).display().to_string();
        made
    }

    #[test]
    fn a_directory_is_ours_by_its_mark_or_when_it_was_only_begun() {
        let home = tempfile::tempdir().unwrap();
        let ours = resource(home.path());
        let dir = directory(&ours, "sqlite").unwrap();
        assert!(!is_there(&dir, &ours).unwrap());
        make(&dir, 0o700).unwrap();
        assert!(is_there(&dir, &ours).unwrap());
        fs::write(dir.join("file"), "x").unwrap();
        is_there(&dir, &ours).unwrap_err();
        make_marked(&dir, 0o700, &ours).unwrap();
        assert!(is_there(&dir, &ours).unwrap());
        is_there(&dir, &ServiceResource { nonce: "other".to_owned(), ..ours }).unwrap_err();
    }

    #[test]
    fn a_path_that_does_not_end_in_a_name_of_ours_is_refused() {
        let ours = resource(Path::new("/state"));
        for place in ["/state", "/", "relative/bp_x_a_1", "/home/me"] {
            directory(&ServiceResource { place: place.to_owned(), ..ours.clone() }, "sqlite").unwrap_err();
        }
        let odd = ServiceResource { name: "me".to_owned(), place: "/home/me".to_owned(), ..ours.clone() };
        directory(&odd, "sqlite").unwrap_err();
        directory(&ours, "postgresql-server").unwrap_err();
    }

    #[test]
    fn a_private_directory_is_out_of_a_strangers_reach() {
        let home = tempfile::tempdir().unwrap();
        let stranger = User { uid: 54_321, gid: 54_321 };
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!reachable(home.path(), stranger) && !reachable(&home.path().join("later"), stranger));
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert!(reachable(home.path(), stranger) && reachable(&home.path().join("later"), stranger));
    }
}
