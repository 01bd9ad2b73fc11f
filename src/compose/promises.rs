//! What the walls of a lease promise, tried on this machine: each promise is broken by whoever can, within walls of their own.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::thread::CapabilitySet;

use crate::adapters::process::{Command, Enclosure, Environment, Order, Sandbox, Stay, Stop};
use crate::engine::before::doctor::Promise;

/// A try takes no longer than this.
const LIMIT: Duration = Duration::from_secs(10);
/// What lies outside and is not to be read.
const SECRET: &str = "outside";
/// The name of files that must not come into being.
const MARK: &str = ".blueprint-doctor";
/// Where they would.
const PLACES: &[&str] = &["/", "/etc", "/usr", "/usr/local/bin", "/opt", "/var"];

/// A lease of nobody's.
struct Tried<'a> {
    walls: Arc<dyn Enclosure>,
    place: &'a Path,
    env: Environment,
}

impl Tried<'_> {
    async fn says(&self, stay: Stay, line: &str) -> String {
        let command = Command::shell(line, self.place.join("tree")).env(&self.env).limit(Some(LIMIT));
        match self.walls.executor().run(Command { stay, ..command }, &Stop::new()).await {
            Ok(done) => format!("{}{}", done.text(), String::from_utf8_lossy(&done.stderr)),
            Err(error) => format!("it could not be tried: {error}"),
        }
    }
}

fn promise(statement: &'static str, broken: Option<String>) -> Promise {
    Promise { statement, broken }
}

/// A promise that is kept where nothing was said.
fn silent(statement: &'static str, said: &str) -> Promise {
    promise(statement, Some(said.trim().to_owned()).filter(|said| !said.is_empty()))
}

/// Every promise, with what breaks it here; an error where there are no walls at all.
pub async fn tried(sandbox: &dyn Sandbox) -> Result<Vec<Promise>, String> {
    let dir = tempfile::Builder::new().prefix("blueprint-").tempdir().map_err(|error| error.to_string())?;
    let place = dir.path();
    for folder in ["tree", "scratch", "hidden"] {
        fs::create_dir(place.join(folder)).map_err(|error| error.to_string())?;
    }
    fs::write(place.join("hidden/secret"), SECRET).map_err(|error| error.to_string())?;
    let env = Environment::from([("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())]);
    let order = Order {
        private: place.join("private"),
        hidden: vec![place.join("hidden")],
        write: vec![place.join("tree"), place.join("scratch")],
        reset: vec![place.join("tree")],
        bare: vec![place.join("scratch")],
        env: env.clone(),
        ..Order::default()
    };
    let walls = sandbox.open(&order).await.map_err(|error| error.to_string())?;
    let tried = Tried { walls, place, env };
    let mut promises = seen(&tried).await;
    promises.extend(confined(&tried).await);
    promises.push(outlived(&tried).await);
    Ok(promises)
}

/// What they read and write.
async fn seen(tried: &Tried<'_>) -> Vec<Promise> {
    let hidden = tried.place.join("hidden");
    let secret = shell_words::quote(&hidden.join("secret").display().to_string()).into_owned();
    let read = tried.says(Stay::Lasting, &format!("cat {secret} 2>/dev/null")).await;
    let places = || PLACES.iter().map(Path::new).chain([hidden.as_path()]).map(|place| place.join(MARK));
    let marks: Vec<_> = places().map(|mark| shell_words::quote(&mark.display().to_string()).into_owned()).collect();
    tried.says(Stay::Lasting, &format!("for mark in {}; do : > $mark; done 2>/dev/null", marks.join(" "))).await;
    let written: Vec<_> = places().filter(|mark| fs::remove_file(mark).is_ok()).collect();
    let written = written.iter().map(|mark| mark.display().to_string()).collect::<Vec<_>>().join(", ");
    tried.says(Stay::Fleeting, ": > kept").await;
    let kept = if tried.place.join("tree/kept").exists() { "a file in the tree was kept" } else { "" };
    let others =
        tried.says(Stay::Lasting, "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -x '[d]octor'").await;
    vec![
        silent("they do not read your files", &read),
        silent("they write only into their lease", &written),
        silent("what a slice writes is thrown away", kept),
        silent("they do not see other processes", &others),
    ]
}

/// What the kernel lets them do.
async fn confined(tried: &Tried<'_>) -> Vec<Promise> {
    let devices = tried.says(Stay::Lasting, "grep : /proc/net/dev | cut -d: -f1 | tr -d ' ' | grep -vx lo").await;
    let status = tried.says(Stay::Lasting, "cat /proc/self/status").await;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let filtered = if field("Seccomp:") == "2" { "" } else { "system calls are not filtered" };
    let rights = u64::from_str_radix(field("CapBnd:"), 16).unwrap_or(u64::MAX);
    let more = CapabilitySet::from_bits_retain(rights).intersects(ADMINISTRATION) || field("NoNewPrivs:") != "1";
    vec![
        silent("they reach nothing over the network but what is named", &devices),
        silent("they make no sockets that no network parts", filtered),
        silent("they cannot regain permissions", if more { "some are left" } else { "" }),
    ]
}

/// Rights over the system, other processes, networks, modules, devices and raw input and output.
const ADMINISTRATION: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::SYS_MODULE)
    .union(CapabilitySet::SYS_RAWIO)
    .union(CapabilitySet::MKNOD);

/// What lives on when the walls are closed.
async fn outlived(tried: &Tried<'_>) -> Promise {
    let name = format!("blueprint-doctor-{}", std::process::id());
    let line = format!("setsid sh -c 'while sleep 1; do :; done' {name} </dev/null >/dev/null 2>&1 &");
    tried.says(Stay::Lasting, &line).await;
    tried.walls.close().await;
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lives = lines.any(|line| line.split(|byte| *byte == 0).any(|word| word == name.as_bytes()));
    silent("none of their processes lives on", if lives { "one did, after its lease was closed" } else { "" })
}
