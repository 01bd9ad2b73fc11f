//! What lies outside of a lease, and ways to it that programs within its walls try.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::time::{Duration, Instant};

use blueprint::adapters::process::{Command, Stay, Stop};

use super::lease::{Lease, command_lines};

/// The ways, a line each; the file says how they are written.
const WAYS: &str = include_str!("../fixtures/escapes.txt");

/// What is outside beside files: it holds shared memory, a queue and a semaphore, and answers on sockets. It ends with its
/// standard input, and removes what it holds.
const OUTSIDE: &str = r#"
import ctypes, os, socket, sys, threading
needle, name, key, place = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
c = ctypes.CDLL(None)
c.shmat.restype = ctypes.c_void_p
shm = c.shmget(key, 4096, 0o1666)
ctypes.memmove(c.shmat(shm, None, 0), needle.encode(), len(needle))
queue, semaphore = c.msgget(key, 0o1666), c.semget(key, 1, 0o1666)
open('/dev/shm/' + name, 'w').write(needle)
def serve(server):
    while True:
        stream = server.accept()[0]
        stream.sendall(needle.encode())
        stream.close()
first = socket.create_server(('127.0.0.1', 0))
port = first.getsockname()[1]
servers = [first]
try:
    servers.append(socket.create_server(('::1', port), family=socket.AF_INET6))
except OSError:
    pass
for at in (place, '\0' + name):
    server = socket.socket(socket.AF_UNIX)
    server.bind(at)
    server.listen()
    servers.append(server)
for server in servers:
    threading.Thread(target=serve, args=(server,), daemon=True).start()
print(port, shm, flush=True)
sys.stdin.read()
os.unlink('/dev/shm/' + name)
c.shmctl(shm, 0, None)
c.msgctl(queue, 0, None)
c.semctl(semaphore, 0, 0)
"#;

/// Files outside that are nobody's business, below the test's directory.
const FILES: [&str; 14] = [
    "home/.ssh/id",
    "home/.netrc",
    "home/.aws/credentials",
    "home/.config/gh/hosts.yml",
    "home/.gitconfig",
    "home/.bash_history",
    "home/.cargo/credentials.toml",
    "home/.npmrc",
    "home/.pypirc",
    "home/.docker/config.json",
    "repo/.git/config",
    "repo/.git/HEAD",
    "repo/src/main.c",
    "other/code",
];

/// A lease, and all that is put outside of it.
struct World {
    lease: Lease,
    needle: String,
    outside: Child,
    holes: BTreeMap<&'static str, String>,
}

impl World {
    async fn new() -> Self {
        let lease = Lease::open().await;
        let own = lease.root.file_name().unwrap().to_string_lossy().trim_start_matches('.').to_owned();
        let (needle, name) = (format!("needle-{own}"), format!("outside-{own}"));
        for file in FILES {
            let place = lease.root.join(file);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, format!("{needle}\n")).unwrap();
        }
        let (sock, fifo) = (lease.root.join("sock"), lease.root.join("fifo"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
        let key = 1_000_000 + std::process::id();
        let mut outside = Program::new("python3")
            .args(["-c", OUTSIDE, &needle, &name, &key.to_string(), sock.to_str().unwrap()])
            .env("SECRET", &needle)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(outside.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (port, shm) = line.trim().split_once(' ').unwrap();
        let shown = |path: &Path| path.display().to_string();
        let root = &lease.root;
        let holes = BTreeMap::from([
            ("root", shown(root)),
            ("home", shown(&root.join("home"))),
            ("repo", shown(&root.join("repo"))),
            ("other", shown(&root.join("other"))),
            ("sock", shown(&sock)),
            ("fifo", shown(&fifo)),
            ("pid", outside.id().to_string()),
            ("port", port.to_owned()),
            ("shm", shm.to_owned()),
            ("key", key.to_string()),
            ("needle", needle.clone()),
            ("name", name),
        ]);
        Self { lease, needle, outside, holes }
    }

    fn filled(&self, line: &str) -> String {
        self.holes.iter().fold(line.to_owned(), |line, (name, text)| line.replace(&format!("{{{name}}}"), text))
    }

    /// What is outside, by path; what a lease may write is not.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.lease.root.clone()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).unwrap().flatten() {
                let (path, kind) = (entry.path(), entry.file_type().unwrap());
                if kind.is_dir() && path != self.lease.root.join("lease") {
                    open.push(path);
                } else if kind.is_file() {
                    let modified = entry.metadata().unwrap().modified().unwrap();
                    let bytes = [fs::read(&path).unwrap(), format!("{modified:?}").into_bytes()].concat();
                    found.insert(path, bytes);
                }
            }
        }
        found
    }

    /// Whether everything outside is still there and answers.
    fn lives(&mut self) -> bool {
        let port: u16 = self.holes["port"].parse().unwrap();
        let mut said = String::new();
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.read_to_string(&mut said).unwrap();
        said == self.needle && self.outside.try_wait().unwrap().is_none()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.outside.stdin.take());
        drop(self.outside.wait());
    }
}

/// What none of them may leave behind on this machine.
fn left() -> Vec<PathBuf> {
    let places =
        ["/", "/etc", "/etc/cron.d", "/usr/bin", "/usr/local/bin", "/opt", "/var", "/root", "/tmp", "/dev/shm"];
    let entries = places.iter().flat_map(|place| fs::read_dir(place).into_iter().flatten().flatten());
    let ours = entries.map(|entry| entry.path());
    ours.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("escape"))).collect()
}

/// Whether any program on this machine has this name.
fn runs(name: &str) -> bool {
    command_lines().iter().any(|line| line.split(' ').next() == Some(name))
}

fn ways() -> Vec<(&'static str, &'static str)> {
    let lines = WAYS.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap()).collect()
}

/// Ways that lead out where there are no walls: by these it is known that what is outside can be seen.
const SEEN: [&str; 6] = [
    "cat {home}/.ssh/id",
    "cat /dev/shm/{name}",
    "tr '\\0' '\\n' < /proc/{pid}/environ",
    "python3 -c \"import socket; print(socket.create_connection(('127.0.0.1', {port}), 3).recv(99).decode())\"",
    "python3 -c \"import socket; s = socket.socket(socket.AF_UNIX); s.connect('\\0{name}'); print(s.recv(99).decode())\"",
    "python3 -c \"import ctypes; c = ctypes.CDLL(None); c.shmat.restype = ctypes.c_void_p; \
     print(ctypes.string_at(c.shmat({shm}, None, 0), 64))\"",
];

/// What came of all ways, tried one after another in one lease.
pub struct Tried {
    /// How many there are.
    pub ways: usize,
    /// Those that led out, with what they printed and left.
    pub escapes: Vec<String>,
    /// Whether a program of the lease lives on although its walls are closed.
    pub outlived: bool,
}

/// Tries every way.
pub async fn tried() -> Tried {
    let (ways, mut world) = (ways(), World::new().await);
    for line in SEEN {
        let seen = Program::new("sh").args(["-c", &world.filled(line)]).output().unwrap();
        assert!(String::from_utf8_lossy(&seen.stdout).contains(&world.needle), "{line} shows nothing, also outside");
    }
    let before = world.files();
    let sibling = Lease::open().await;
    let listens = format!(
        "exec python3 -c \"import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n\
         while True: s.accept()[0].sendall(b'{}')\"",
        world.needle
    );
    let server = sibling.executor().serve(sibling.command(&listens)).await.unwrap();
    let began = Instant::now();
    while server.tail(1).is_empty() && began.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.holes.insert("sibling", server.tail(1));
    let mut escapes = Vec::new();
    for (after, line) in &ways {
        let line = world.filled(line);
        let command =
            Command { stay: Stay::Lasting, ..world.lease.command(&line).limit(Some(Duration::from_secs(20))) };
        let done = world.lease.executor().run(command, &Stop::new()).await.unwrap();
        let said = format!("{}{}", done.text(), String::from_utf8_lossy(&done.stderr));
        if said.contains(&world.needle) || !world.lives() || world.files() != before || !left().is_empty() {
            escapes.push(format!("{after}: {line}\n{said}\n{:?}", left()));
        }
    }
    world.lease.walls.close().await;
    let began = Instant::now();
    while runs("escape-lives") && began.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Tried { ways: ways.len(), escapes, outlived: runs("escape-lives") }
}
