//! Templates on disk: built by whoever comes first, held while they are used, removed when nobody does.
//!
//! Beside each template lies its lock: shared by all who copy from it, held alone by the one who
//! builds or removes it, and freed however a process ends.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ServiceError;
use super::place::{blocking, failed};

/// How soon one looks again who could not build because others hold the lock.
const AGAIN: Duration = Duration::from_millis(20);

/// Nobody removes a template while one of these lives.
pub struct Held(#[expect(dead_code, reason = "it is held, not read")] File);

/// Holds the template at `done`, which `build` makes where it is not there.
pub(crate) async fn hold<F>(done: &Path, build: impl Fn() -> F) -> Result<Held, ServiceError>
where
    F: Future<Output = Result<(), ServiceError>>,
{
    loop {
        let (shared, ()) = lock(done, File::lock_shared).await?;
        if done.exists() {
            return Ok(Held(shared));
        }
        drop(shared);
        // Whoever built it in between holds it from now on: waiting to be alone could last for a whole run.
        let Some(_alone) = lock_alone(done).await? else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        if !done.exists() {
            build().await?;
        }
    }
}

/// Where a template is built before it gets its name.
pub fn building(done: &Path) -> PathBuf {
    done.with_extension("new")
}

/// What killed builders left in a directory of templates, each with its lock.
pub(crate) fn abandoned(templates: &Path) -> Result<Vec<(PathBuf, File)>, ServiceError> {
    free(templates, |extension| extension == "new")
}

/// Finished templates that nobody holds, each with its lock.
pub(super) fn unused(templates: &Path) -> Result<Vec<(PathBuf, File)>, ServiceError> {
    free(templates, |extension| extension != "new" && extension != "lock")
}

/// Removes the lock of a template that is gone. Whoever waits for it finds out and locks anew.
pub fn clear(template: &Path) -> Result<(), ServiceError> {
    let lock = template.with_extension("lock");
    fs::remove_file(&lock).map_err(|why| failed(format!("removing {}", lock.display()), &why))
}

fn free(templates: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<(PathBuf, File)>, ServiceError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(templates).into_iter().flatten().flatten() {
        let path = entry.path();
        if !wanted(path.extension().and_then(|e| e.to_str()).unwrap_or_default()) {
            continue;
        }
        let lock = path.with_extension("lock");
        let file = open(&lock).map_err(|why| failed(format!("locking {}", lock.display()), &why))?;
        match file.try_lock() {
            Ok(()) => found.push((path, file)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(why)) => return Err(failed(format!("locking {}", lock.display()), &why)),
        }
    }
    Ok(found)
}

fn open(lock: &Path) -> io::Result<File> {
    fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(lock)
}

/// The lock of one who builds, unless somebody else has it, alone or not.
async fn lock_alone(template: &Path) -> Result<Option<File>, ServiceError> {
    let taken = lock(template, |file| match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(why)) => Err(why),
    });
    taken.await.map(|(file, alone)| alone.then_some(file))
}

/// Takes the lock of a template; what taking it came to stands beside it.
async fn lock<T: Send + 'static>(template: &Path, take: fn(&File) -> io::Result<T>) -> Result<(File, T), ServiceError> {
    let path = template.with_extension("lock");
    blocking(format!("locking {}", path.display()), move || {
        loop {
            let file = open(&path)?;
            let taken = take(&file)?;
            // It may have been removed between these two, and another one be in its place.
            let mine = file.metadata()?;
            if fs::metadata(&path).is_ok_and(|there| (there.dev(), there.ino()) == (mine.dev(), mine.ino())) {
                return Ok((file, taken));
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_template_is_built_once_and_not_removed_while_somebody_holds_it() {
        let home = tempfile::tempdir().unwrap();
        let done = home.path().join("abc.db");
        let built = std::cell::Cell::new(0);
        let build = async || {
            built.set(built.get() + 1);
            fs::write(&done, "rows").map_err(|why| failed("writing", &why))
        };
        let one = hold(&done, build).await.unwrap();
        let two = hold(&done, build).await.unwrap();
        drop(one);
        assert!(unused(home.path()).unwrap().is_empty());
        drop(two);
        let free = unused(home.path()).unwrap();
        assert_eq!((free[0].0.as_path(), free.len(), built.get()), (done.as_path(), 1, 1));
    }

    #[tokio::test]
    async fn who_came_too_late_to_build_does_not_wait_for_those_who_use_it() {
        let home = tempfile::tempdir().unwrap();
        let done = home.path().join("abc");
        // Another one built it just after we looked, and holds it.
        let other = open(&done.with_extension("lock")).unwrap();
        other.lock_shared().unwrap();
        let build = async || panic!("it is built already");
        let built = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            fs::write(&done, "rows").unwrap();
        };
        let both = async { tokio::join!(hold(&done, build), built) };
        let (held, ()) = tokio::time::timeout(Duration::from_secs(10), both).await.expect("it waits for the other");
        held.unwrap();
    }

    #[tokio::test]
    async fn who_waited_for_a_template_that_was_removed_builds_it_anew() {
        let home = tempfile::tempdir().unwrap();
        let done = home.path().join("abc");
        fs::write(&done, "old").unwrap();
        let (path, lock) = unused(home.path()).unwrap().remove(0);
        let build = async || fs::write(&done, "new").map_err(|why| failed("writing", &why));
        let remove = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            fs::remove_file(&path).unwrap();
            clear(&path).unwrap();
            drop(lock);
        };
        let (held, ()) = tokio::join!(hold(&done, build), remove);
        held.unwrap();
        assert_eq!(fs::read_to_string(&done).unwrap(), "new");
        assert!(home.path().join("abc.lock").exists());
    }
}
