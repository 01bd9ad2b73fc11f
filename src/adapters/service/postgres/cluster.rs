//! One PostgreSQL server of ours: starting it on a data directory, and ending it whoever started it.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use sqlx::postgres::PgConnection;

use super::programs::{Programs, server_user};
use crate::adapters::process::{Command, Executor, Serving, Stop};
use crate::adapters::service::ServiceError;
use crate::adapters::service::place::{self, failed, give};
use crate::adapters::sql::url::{Login, Server};
use crate::adapters::sql::{digest, postgres};

/// The superuser of private servers; its password never leaves us.
pub(super) const ADMIN: &str = "postgres";

/// The one port; only the directory of the socket differs.
pub(super) const PORT: u16 = 5432;

/// Starting replays what a killed server had not written.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A stop with a checkpoint may have to write a whole template.
const CLEAN_LIMIT: Duration = Duration::from_secs(120);

/// A stop without one has nothing to do.
const IMMEDIATE_LIMIT: Duration = Duration::from_secs(5);

/// Between a server's death and that of the last of its children.
const SEGMENT_LIMIT: Duration = Duration::from_secs(3);

/// What a lease's server runs with: as durable as a server in production, so that what is measured
/// is what will be paid there. WAL limits are those of a server with 16 MB segments; ours are
/// smaller to keep a template small. Dynamic shared memory stays in the data directory and goes
/// with it.
pub(super) const DURABLE: &[&str] = &[
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=128MB",
    "max_connections=100",
    "min_wal_size=80MB",
    "max_wal_size=1GB",
];

/// What a template is built with: fast, and without a trace of its building in the directory. It is
/// synced as a whole before it counts as built.
pub(super) const BUILDING: &[&str] = &[
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "shared_buffers=128MB",
    "min_wal_size=2MB",
    "max_wal_size=1GB",
    "wal_recycle=off",
    "autovacuum=off",
];

const ALWAYS: &[&str] =
    &["listen_addresses=", "port=5432", "dynamic_shared_memory_type=mmap", "unix_socket_permissions=0777"];

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a checkpoint: the directory is then a whole template.
    Clean,
    /// At once: the directory is to be removed.
    Immediate,
}

/// A server that answers.
pub struct Running {
    /// Dies with us, and when this is dropped.
    pub service: Box<dyn Serving>,
    /// How to reach it.
    pub server: Server,
}

/// Where a server's socket is: short, because a socket's path has room for 107 bytes, and named by
/// what only the journal knows.
pub(super) fn socket_directory(key: &str) -> PathBuf {
    PathBuf::from("/tmp").join(format!("bp-{}", digest([key.as_bytes()], 16)))
}

/// Makes a socket directory. One that was left by an interrupted start is made again.
fn make_sockets(dir: &Path) -> Result<(), ServiceError> {
    remove_sockets(dir)?;
    let user = server_user();
    let mode = if user.is_some() { 0o711 } else { 0o700 };
    let made = fs::DirBuilder::new().mode(mode).create(dir).and_then(|()| give(dir, user));
    made.map_err(|why| failed(format!("making {}", dir.display()), &why))
}

/// Removes a socket directory, if it is a directory of ours or our server's.
pub(super) fn remove_sockets(dir: &Path) -> Result<(), ServiceError> {
    let Ok(found) = fs::symlink_metadata(dir) else { return Ok(()) };
    let own = rustix::process::geteuid().as_raw();
    let ours = found.uid() == own || server_user().is_some_and(|user| user.uid == found.uid());
    if !found.is_dir() || !ours {
        return Err(ServiceError::Refused(format!("{} belongs to somebody else", dir.display())));
    }
    place::remove(dir).map_err(|why| failed(format!("removing {}", dir.display()), &why))
}

/// Starts a server and waits until it lets the superuser in.
pub async fn start(
    exec: &Arc<dyn Executor>,
    programs: &Programs,
    data: &Path,
    sockets: &Path,
    settings: &[&str],
    password: &str,
) -> Result<(Running, PgConnection), ServiceError> {
    make_sockets(sockets)?;
    let mut args = vec!["-D".to_owned(), data.display().to_string()];
    let directory = format!("unix_socket_directories={}", sockets.display());
    for setting in settings.iter().chain(ALWAYS).copied().chain([directory.as_str()]) {
        args.extend(["-c".to_owned(), setting.to_owned()]);
    }
    let mut command = programs.command("postgres", args);
    command.log = data.parent().map(|lease| lease.join("server.log"));
    let mut service = exec.serve(command).await?;
    let server = Server::in_directory("postgresql", &sockets.display().to_string(), PORT);
    let login = Login { user: ADMIN, password, database: ADMIN, search_path: None };
    let options = server.options_for(&login);
    let started = Instant::now();
    loop {
        let connected = postgres::connect(&options, START_LIMIT).await;
        let why = match connected {
            Ok(connection) => return Ok((Running { service, server }, connection)),
            Err(why) => why,
        };
        let ended = service.ended();
        if ended.is_some() || started.elapsed() > START_LIMIT || postgres::is_refusal(&why) {
            let how = ended.map_or_else(|| postgres::said(&why), |exit| exit.to_string());
            let why = format!("{how}\n{}", service.tail(8));
            return Err(ServiceError::Failed { what: format!("starting a server on {}", data.display()), why });
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Ends the server of a data directory, if one runs, whoever started it, and frees what the system
/// still holds for it. It is found by its own `postmaster.pid` and known by its working directory.
pub async fn stop(exec: &Arc<dyn Executor>, data: &Path, end: End) -> Result<(), ServiceError> {
    let Some(lock) = LockFile::read(data) else { return Ok(()) };
    let (signal, limit) = match end {
        End::Clean => (Signal::INT, CLEAN_LIMIT),
        End::Immediate => (Signal::QUIT, IMMEDIATE_LIMIT),
    };
    if !lock.end(data, signal, limit).await && !lock.end(data, Signal::KILL, IMMEDIATE_LIMIT).await {
        let why = "it lives on after a KILL".to_owned();
        return Err(ServiceError::Failed { what: format!("stopping the server on {}", data.display()), why });
    }
    if let Some(segment) = lock.segment {
        free(exec, segment).await;
    }
    Ok(())
}

/// A shared memory segment by which a server keeps a second one out. A killed server leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    key: i64,
    id: i64,
}

/// What a server says about itself in its data directory.
#[derive(Debug, PartialEq, Eq)]
struct LockFile {
    pid: i32,
    segment: Option<Segment>,
}

impl LockFile {
    fn read(data: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    /// Process, directory, start, port, socket directory, address, segment (`key id`), state.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        // A server that only `initdb` talks to says its number with a minus.
        let pid = lines.next()?.trim().parse::<i32>().ok()?.checked_abs().filter(|pid| *pid > 1)?;
        let mut numbers = lines.nth(5).unwrap_or_default().split_whitespace().map(str::parse);
        let segment = match (numbers.next(), numbers.next()) {
            (Some(Ok(key)), Some(Ok(id))) => Some(Segment { key, id }),
            _ => None,
        };
        Some(Self { pid, segment })
    }

    /// The server's process, if it lives. A number may have passed on to a stranger since: a server
    /// works in its data directory, and the handle can't pass on while we look.
    fn process(&self, data: &Path) -> Option<OwnedFd> {
        let handle = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::NONBLOCK).ok()?;
        let works_in = fs::read_link(format!("/proc/{}/cwd", self.pid)).ok()?;
        (works_in == fs::canonicalize(data).ok()?).then_some(handle)
    }

    /// Sends a signal to the server's process and says whether it ended within the limit.
    async fn end(&self, data: &Path, signal: Signal, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let Some(handle) = self.process(data) else { return true };
        // A process that is gone already is what we want.
        let _ = pidfd_send_signal(&handle, signal);
        while Instant::now() < until {
            // One that ended and was not yet reaped works nowhere.
            if self.process(data).is_none() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        false
    }
}

/// Frees a segment that nobody is attached to any more. It is known by key and id together, and
/// what can't be freed costs 56 bytes: not worth failing for.
async fn free(exec: &Arc<dyn Executor>, segment: Segment) {
    let until = Instant::now() + SEGMENT_LIMIT;
    loop {
        let table = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
        match attached(&table, segment) {
            None => return,
            Some(0) => break,
            Some(_) if Instant::now() > until => return,
            Some(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let env = [("PATH".to_owned(), path)].into();
    let command = Command::new("ipcrm", ["-m".to_owned(), segment.id.to_string()], "/").env(&env);
    drop(exec.run(command, &Stop::new()).await);
}

/// How many processes are attached to a segment, by the system's table; `None` where it is gone.
fn attached(table: &str, segment: Segment) -> Option<u64> {
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let number = |text: Option<&&str>| text.and_then(|t| t.parse::<i64>().ok());
    let mut ours = rows.filter(|row| {
        let key = number(row.first()).map(|key| key & 0xffff_ffff);
        key == Some(segment.key & 0xffff_ffff) && number(row.get(1)) == Some(segment.id)
    });
    ours.next()?.get(6)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "4242\n/tmp/x/data\n1764000000\n5432\n/tmp/bp-1\n\n   131072     65538\nready   \n";

    #[test]
    fn a_server_says_its_process_and_segment() {
        let segment = Some(Segment { key: 131_072, id: 65_538 });
        assert_eq!(LockFile::parse(LOCK), Some(LockFile { pid: 4242, segment }));
        assert_eq!(LockFile::parse("4242\n/tmp"), Some(LockFile { pid: 4242, segment: None }));
        assert_eq!(LockFile::parse("-4242\n").map(|lock| lock.pid), Some(4242));
        for text in ["", "0", "-1", "x", "99999999999", "-2147483648"] {
            assert_eq!(LockFile::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_process_that_works_elsewhere_is_a_stranger() {
        let elsewhere = tempfile::tempdir().unwrap();
        let own = LockFile { pid: i32::try_from(std::process::id()).unwrap(), segment: None };
        assert!(own.process(elsewhere.path()).is_none());
        assert!(own.process(&std::env::current_dir().unwrap()).is_some());
    }

    #[test]
    fn a_segment_is_known_by_key_and_id() {
        let table =
            "  key shmid perms size cpid lpid nattch uid\n 131072 65538 600 56 1 2 0 101\n 9 65539 600 56 1 2 3 101\n";
        let attached = |key, id| attached(table, Segment { key, id });
        assert_eq!(
            (attached(131_072, 65_538), attached(131_072, 65_539), attached(9, 65_539)),
            (Some(0), None, Some(3))
        );
    }

    #[test]
    fn a_socket_fits_into_its_path() {
        let socket = socket_directory(&"x".repeat(300)).join(".s.PGSQL.5432");
        assert!(socket.as_os_str().len() <= 107, "{}", socket.display());
    }
}
