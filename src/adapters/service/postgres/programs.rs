//! The programs of a PostgreSQL server on this machine, and the user they run as.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::adapters::process::{Command, Environment, Executor, Finished, Stop, User};
use crate::adapters::service::ServiceError;

/// Names the directory that holds the programs, before every other place.
pub(crate) const VARIABLE: &str = "BLUEPRINT_PG_BIN";

/// The oldest version that private servers are made with.
const OLDEST: u32 = 14;

/// Where distributions put versions beside each other.
const VERSIONED: &[(&str, &str)] = &[("/usr/lib/postgresql", "bin"), ("/usr", "bin")];

/// One installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// Holds `postgres` and `initdb`.
    pub dir: PathBuf,
    /// As `postgres --version` says it.
    pub version: String,
    /// Such as 15.
    pub major: u32,
}

impl Programs {
    /// The installation of this major version, or the newest one.
    pub async fn find(exec: &Arc<dyn Executor>, major: Option<u32>) -> Result<Option<Self>, ServiceError> {
        let mut found: Vec<Self> = Vec::new();
        for dir in directories() {
            let dir = real(dir);
            let whole = dir.join("postgres").is_file() && dir.join("initdb").is_file();
            if whole && let Some(programs) = ask(exec, &dir).await? {
                found.push(programs);
            }
        }
        found.retain(|p| p.major >= OLDEST && major.is_none_or(|wanted| wanted == p.major));
        // The first of the newest: an earlier place was named more explicitly.
        Ok(found.into_iter().rev().max_by_key(|p| p.major))
    }

    /// Runs one of them to its end, as the user whom servers run as.
    pub async fn run(&self, exec: &Arc<dyn Executor>, name: &str, args: Vec<String>) -> Result<Finished, ServiceError> {
        let finished = exec.run(self.command(name, args), &Stop::new()).await?;
        if finished.exit.success() {
            return Ok(finished);
        }
        let why = format!("{}\n{}", finished.exit, finished.tail(8));
        Err(ServiceError::Failed { what: format!("running {}", self.dir.join(name).display()), why })
    }

    /// One of them, to be started.
    pub fn command(&self, name: &str, args: Vec<String>) -> Command {
        let mut command = Command::new(self.dir.join(name), args, "/").env(&environment());
        command.user = server_user();
        command
    }
}

/// Servers inherit nothing that could change what they do.
fn environment() -> Environment {
    let path = std::env::var("PATH").unwrap_or_default();
    [("PATH", path.as_str()), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

fn directories() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        return vec![PathBuf::from(named)];
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect();
    for (parent, below) in VERSIONED {
        let versions = std::fs::read_dir(parent).into_iter().flatten().flatten().map(|e| e.path().join(below));
        all.extend(versions.filter(|dir| dir.join("postgres").is_file()));
    }
    all
}

/// Where the programs are, if what stands here are links to some of them.
fn real(dir: PathBuf) -> PathBuf {
    let linked = std::fs::canonicalize(dir.join("postgres")).ok();
    linked.and_then(|program| program.parent().map(Path::to_owned)).unwrap_or(dir)
}

async fn ask(exec: &Arc<dyn Executor>, dir: &Path) -> Result<Option<Programs>, ServiceError> {
    let mut command = Command::new(dir.join("postgres"), ["--version"], "/").env(&environment());
    command.user = server_user();
    // What does not even say its version is no installation, and another place may hold one.
    let Ok(finished) = exec.run(command, &Stop::new()).await else { return Ok(None) };
    let version = finished.text().trim().to_owned();
    Ok(major_of(&version).map(|major| Programs { dir: dir.to_owned(), version, major }))
}

/// The 15 of `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL) ").nth(1)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// PostgreSQL refuses to run as root: the ordinary user to run as where we are root.
pub(super) fn server_user() -> Option<User> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = |name| user_of(&users, name);
    Some(named("postgres").or_else(|| named("nobody")).unwrap_or(User { uid: 65_534, gid: 65_534 }))
}

fn user_of(users: &str, name: &str) -> Option<User> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let user = User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? };
    (user.uid != 0).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_programs_say() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("redis 7"), None);
    }

    #[test]
    fn a_server_never_runs_as_root() {
        let users = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104::/var/lib/postgresql:/bin/bash\nroot2:x:0:0::/:/x\n";
        assert_eq!(user_of(users, "postgres"), Some(User { uid: 101, gid: 104 }));
        assert_eq!(user_of(users, "root2"), None);
        assert_eq!(user_of(users, "post"), None);
    }
}
