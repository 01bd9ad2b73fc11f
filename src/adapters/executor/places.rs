//! What the programs of a lease see of this machine: one list of mounts, made from an order and a table of what toolchains
//! keep in a home.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::ordinary::is_apart;
use crate::adapters::process::{Command, Environment, Network, Order, PREFIX};

/// Where what a fleeting program writes is mounted while its mounts are made; then it is covered by an empty one.
pub(super) const STORE: &str = "/dev/shm";

/// Where the lease's private place is mounted for users other than root, whose overlays can't be made over a place that others
/// are mounted in. A fleeting program finds nothing there.
pub(super) const STASH: &str = "/run/blueprint";

/// What of /proc tells and changes the machine, and is root's to write even without rights.
const KERNEL: &[&str] = &["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"];

/// What a folder of a toolchain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It is run and read.
    Program,
    /// Tools fetch packages into it, or build there: what is written stays with the lease.
    Cache,
}

/// What toolchains keep in a home, by folder; nothing of it is a credential. Programs of the path are among it, and what
/// they need.
const TOOLCHAINS: &[(&str, Use)] = &[
    (".asdf", Use::Program),
    (".bun/bin", Use::Program),
    (".bun/install", Use::Cache),
    (".cabal/bin", Use::Program),
    (".cabal/packages", Use::Cache),
    (".cache/go-build", Use::Cache),
    (".cache/ms-playwright", Use::Program),
    (".cache/pip", Use::Cache),
    (".cache/pypoetry", Use::Cache),
    (".cache/uv", Use::Cache),
    (".cargo/bin", Use::Program),
    (".cargo/config", Use::Program),
    (".cargo/config.toml", Use::Program),
    (".cargo/env", Use::Program),
    (".cargo/git", Use::Cache),
    (".cargo/registry", Use::Cache),
    (".composer/cache", Use::Cache),
    (".deno/bin", Use::Program),
    (".dotnet", Use::Program),
    (".fnm", Use::Program),
    (".ghcup", Use::Program),
    (".gradle/caches", Use::Cache),
    (".gradle/wrapper", Use::Cache),
    (".juliaup", Use::Program),
    (".local/bin", Use::Program),
    (".local/lib", Use::Program),
    (".local/pipx", Use::Program),
    (".local/share/claude", Use::Program),
    (".local/share/fnm", Use::Program),
    (".local/share/mise", Use::Program),
    (".local/share/pipx", Use::Program),
    (".local/share/pnpm", Use::Cache),
    (".local/share/uv", Use::Program),
    (".m2/repository", Use::Cache),
    (".m2/wrapper", Use::Cache),
    (".nix-profile", Use::Program),
    (".npm/_cacache", Use::Cache),
    (".npm-global", Use::Program),
    (".nuget/packages", Use::Cache),
    (".nvm", Use::Program),
    (".opam", Use::Program),
    (".pub-cache", Use::Cache),
    (".pyenv", Use::Program),
    (".rbenv", Use::Program),
    (".rustup", Use::Program),
    (".rvm", Use::Program),
    (".sdkman", Use::Program),
    (".stack", Use::Cache),
    (".volta", Use::Program),
    (".yarn", Use::Cache),
    ("bin", Use::Program),
    ("go/bin", Use::Program),
    ("go/pkg", Use::Cache),
    ("miniconda3", Use::Program),
    ("miniforge3", Use::Program),
];

/// Variables that name such a folder.
const CACHE_NAMES: &[&str] = &[
    "CARGO_HOME",
    "GOCACHE",
    "GOMODCACHE",
    "GOPATH",
    "GRADLE_USER_HOME",
    "NPM_CONFIG_CACHE",
    "NUGET_PACKAGES",
    "PIP_CACHE_DIR",
    "UV_CACHE_DIR",
    "YARN_CACHE_FOLDER",
    "npm_config_cache",
];

/// What else is needed of places that are hidden.
const NEEDED: &[&str] = &["/home/linuxbrew/.linuxbrew", "/run/current-system", "/run/wrappers"];

/// Files that programs which run as root could read and have no business with.
const MASKED: &[&str] = &["/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers"];

/// Folders in which other users and the system keep what is theirs.
const HIDDEN: &[&str] = &["/home", "/root", "/run", "/var/run"];

/// What is mounted at a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// An empty, read-only folder.
    Hidden,
    /// A folder of the lease's private place.
    Private(&'static str),
    /// An empty folder in memory.
    Memory,
    /// As outside, read-only.
    Read,
    /// As outside; what is written stays with the lease.
    Cached,
    /// As outside.
    Write,
    /// An unreadable file.
    Masked,
    /// A file of the lease's private place, read-only.
    Replaced(&'static str),
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    at: PathBuf,
    kind: Kind,
    /// What a fleeting program finds there.
    found: Found,
}

/// What a fleeting program finds at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// The place itself.
    Same,
    /// What is there, and what it writes is thrown away.
    Copy,
    /// Nothing but what it is told of.
    Nothing,
}

/// All that is mounted over a read-only root.
#[derive(Debug, Clone)]
pub struct Places {
    private: PathBuf,
    mounts: Vec<Mount>,
    /// Folders that every program of the lease is told of.
    told: BTreeSet<PathBuf>,
    /// Whether the private place is mounted as such.
    stashed: bool,
}

/// What has to be done to the mounts for a program of which nothing is to stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An overlay over a place, or what is the same, with the number of its own folder.
    Overlay(PathBuf, PathBuf, usize),
    /// An empty folder in memory; the last of all.
    Memory(PathBuf),
    /// An empty place in the store, with the number of its own folder, and folders that are made in it.
    Bare(PathBuf, usize, Vec<PathBuf>),
    /// What the steps before cover is put in its place again.
    Again(PathBuf),
}

/// The folders of a lease's private place.
pub const FOLDERS: &[&str] = &["home", "tmp", "var-tmp", LAYERS];
/// Where hosts are that have no server of names, and what stands there within, in the lease's private place.
pub(super) const HOSTS_FILE: &str = "/etc/hosts";
pub(super) const HOSTS: &str = "hosts";
/// Of them, where what is written to caches of packages goes.
pub(super) const LAYERS: &str = "layers";

impl Places {
    /// As ordered.
    pub fn of(order: &Order) -> Self {
        let env = &order.env;
        let mut mounts: Vec<Mount> = Vec::new();
        let mut add = |at: &Path, kind: Kind, found: Found| {
            // The last word on a place counts.
            mounts.retain(|mount| mount.at != at);
            mounts.push(Mount { at: at.to_owned(), kind, found });
        };
        for place in HIDDEN.iter().map(Path::new).filter(|place| is_folder(place)) {
            add(place, Kind::Hidden, Found::Same);
        }
        for (place, folder) in [("/tmp", "tmp"), ("/var/tmp", "var-tmp")] {
            if is_folder(Path::new(place)) {
                add(Path::new(place), Kind::Private(folder), Found::Copy);
            }
        }
        add(Path::new("/dev/shm"), Kind::Memory, Found::Copy);
        let home = env.get("HOME").and_then(|home| Path::new(home).canonicalize().ok());
        let home = home.filter(|home| home.parent().is_some());
        if let Some(home) = &home {
            add(home, Kind::Private("home"), Found::Copy);
        }
        for place in order.hidden.iter().filter_map(|place| place.canonicalize().ok()) {
            add(&place, Kind::Hidden, Found::Same);
        }
        let caches = Caches::of(env);
        for place in readable(order, env, home.as_deref()) {
            let kind = if caches.holds(&place) { Kind::Cached } else { Kind::Read };
            add(&place, kind, Found::Same);
        }
        let cargo = env.get("CARGO_HOME").map(Path::new);
        let tokens = ["credentials", "credentials.toml"].map(|name| cargo.map(|cargo| cargo.join(name)));
        let masked = MASKED.iter().map(PathBuf::from).chain(tokens.into_iter().flatten());
        for place in masked.filter(|place| place.is_file()) {
            add(&place, Kind::Masked, Found::Same);
        }
        // Written by whoever opens the walls; it says where each host is that may be reached.
        let hosts = Path::new(HOSTS_FILE).canonicalize().ok().filter(|place| place.is_file());
        if let Some(hosts) = hosts.filter(|_| order.network != Network::Shared) {
            add(&hosts, Kind::Replaced(HOSTS), Found::Same);
        }
        for place in order.write.iter().filter_map(|place| place.canonicalize().ok()) {
            let is_in = |list: &[PathBuf]| list.iter().any(|one| one.canonicalize().is_ok_and(|one| one == place));
            let found = match (is_in(&order.reset), is_in(&order.bare)) {
                (_, true) => Found::Nothing,
                (true, _) => Found::Copy,
                _ => Found::Same,
            };
            add(&place, Kind::Write, found);
        }
        mounts.sort_by_key(|mount| mount.at.components().count());
        let all = mounts.clone();
        // What is seen as it is, or not there at all, needs no mount of its own.
        mounts.retain(|mount| {
            let over = above(&all, &mount.at);
            match mount.kind {
                // What may be written is not made less by somebody naming a part of it.
                Kind::Read => over.is_some_and(|over| !matches!(over.kind, Kind::Read | Kind::Write)),
                Kind::Cached => over.is_none_or(|over| !matches!(over.kind, Kind::Cached | Kind::Write)),
                Kind::Masked => over.is_none_or(|over| matches!(over.kind, Kind::Read | Kind::Cached | Kind::Write)),
                Kind::Hidden => over.is_none_or(|over| matches!(over.kind, Kind::Read | Kind::Write)),
                _ => true,
            }
        });
        let mut places = Self { private: order.private.clone(), mounts, told: BTreeSet::new(), stashed: is_apart() };
        places.told = places.named(env.values().map(String::as_str));
        places
    }

    /// As bubblewrap's options.
    pub fn options(&self) -> Vec<OsString> {
        let mut options: Vec<OsString> =
            ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"].map(Into::into).into();
        let mut put = |words: &[&std::ffi::OsStr]| options.extend(words.iter().map(|word| (*word).to_owned()));
        for place in KERNEL.iter().filter(|place| Path::new(place).exists()) {
            put(&["--ro-bind".as_ref(), place.as_ref(), place.as_ref()]);
        }
        for Mount { at, kind, .. } in &self.mounts {
            let place = at.as_os_str();
            match kind {
                Kind::Hidden => put(&["--tmpfs".as_ref(), place]),
                Kind::Memory => put(&["--perms".as_ref(), "1777".as_ref(), "--tmpfs".as_ref(), place]),
                Kind::Replaced(file) => put(&["--ro-bind".as_ref(), self.private.join(file).as_os_str(), place]),
                Kind::Private(folder) => put(&["--bind".as_ref(), self.private.join(folder).as_os_str(), place]),
                Kind::Read | Kind::Cached => put(&["--ro-bind".as_ref(), place, place]),
                Kind::Write if at.starts_with("/dev") => put(&["--dev-bind".as_ref(), place, place]),
                Kind::Write => put(&["--bind".as_ref(), place, place]),
                Kind::Masked => put(&["--ro-bind".as_ref(), "/dev/null".as_ref(), place]),
            }
            if self.stashed && at == Path::new("/run") {
                put(&["--bind".as_ref(), self.private.as_os_str(), STASH.as_ref()]);
            }
        }
        for mount in self.mounts.iter().filter(|mount| mount.kind == Kind::Hidden) {
            put(&["--remount-ro".as_ref(), mount.at.as_os_str()]);
        }
        put(&["--remount-ro".as_ref(), "/dev".as_ref()]);
        options
    }

    /// What is to be done once, to the mounts of the lease: caches of packages get a layer of its own.
    pub fn layers(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for (number, Mount { at: place, kind, .. }) in self.mounts.iter().enumerate() {
            if *kind == Kind::Cached {
                steps.push(Step::Overlay(place.clone(), place.clone(), number));
            } else if steps.iter().any(|step| place.starts_with(at(step))) {
                steps.push(Step::Again(place.clone()));
            }
        }
        steps
    }

    /// What a program of which nothing is to stay has to do.
    pub fn steps(&self, command: &Command) -> Vec<Step> {
        let words =
            command.args.iter().filter_map(|word| word.to_str()).chain(command.env.values().map(String::as_str));
        // What all are told of is no place that anybody alone is told of.
        let own: Vec<PathBuf> = self.named(words).difference(&self.told).cloned().collect();
        let own = own.into_iter().map(|at| Mount { at, kind: Kind::Write, found: Found::Same });
        let mut mounts: Vec<Mount> = self.mounts.iter().cloned().chain(own).collect();
        mounts.sort_by_key(|mount| mount.at.components().count());
        let mut steps: Vec<Step> = Vec::new();
        for (number, Mount { at: place, kind, found }) in mounts.iter().enumerate() {
            let last = steps.iter().filter(|step| place.starts_with(at(step)) && place != at(step));
            let covered = last.max_by_key(|step| at(step).components().count());
            // What is put in its place again brings what is mounted below it.
            if covered.is_some_and(|step| !matches!(step, Step::Again(_))) {
                steps.push(Step::Again(place.clone()));
            }
            match (found, kind) {
                (Found::Same, _) => {}
                (_, Kind::Memory) => {}
                (Found::Copy, Kind::Private(folder)) if self.stashed => {
                    steps.push(Step::Overlay(place.clone(), Path::new(STASH).join(folder), number));
                }
                (Found::Copy, _) => steps.push(Step::Overlay(place.clone(), place.clone(), number)),
                (Found::Nothing, _) => {
                    let folders = self.told.iter().filter(|folder| folder.starts_with(place)).cloned().collect();
                    steps.push(Step::Bare(place.clone(), number, folders));
                }
            }
        }
        // One of them is where what is written goes until then.
        let memory = mounts.iter().filter(|mount| mount.kind == Kind::Memory && mount.found != Found::Same);
        steps.extend(memory.map(|mount| Step::Memory(mount.at.clone())));
        steps.extend(self.stashed.then(|| Step::Memory(PathBuf::from(STASH))));
        steps
    }

    /// The folders right below places that fleeting programs don't share, as far as these words name them.
    fn named<'a>(&self, words: impl Iterator<Item = &'a str> + Clone) -> BTreeSet<PathBuf> {
        let places = self.mounts.iter().filter(|mount| mount.kind == Kind::Write && mount.found != Found::Same);
        let mut named = BTreeSet::new();
        for place in places.filter_map(|mount| mount.at.to_str()) {
            for word in words.clone() {
                for (found, _) in word.match_indices(place) {
                    let rest = word[found + place.len()..].strip_prefix('/').unwrap_or_default();
                    let name: String = rest.chars().take_while(|c| !"/ \"':;,".contains(*c)).collect();
                    let folder = Path::new(place).join(&name);
                    if name.starts_with(PREFIX) && folder.symlink_metadata().is_ok_and(|found| found.is_dir()) {
                        named.insert(folder);
                    }
                }
            }
        }
        named
    }
}

fn at(step: &Step) -> &Path {
    match step {
        Step::Overlay(at, ..) | Step::Memory(at) | Step::Again(at) | Step::Bare(at, ..) => at,
    }
}

/// The mount that decides what a place is where it has none of its own.
fn above<'a>(mounts: &'a [Mount], place: &Path) -> Option<&'a Mount> {
    let over = mounts.iter().filter(|mount| mount.at != place && place.starts_with(&mount.at));
    over.max_by_key(|mount| mount.at.components().count())
}

/// Where tools keep packages that they fetch: by the table, and by what variables name.
struct Caches(Vec<PathBuf>);

impl Caches {
    fn of(env: &Environment) -> Self {
        Self(CACHE_NAMES.iter().filter_map(|name| Path::new(env.get(*name)?).canonicalize().ok()).collect())
    }

    fn holds(&self, place: &Path) -> bool {
        let listed = || TOOLCHAINS.iter().any(|(part, used)| *used == Use::Cache && place.ends_with(part));
        place.is_dir() && (self.0.iter().any(|named| named == place) || listed())
    }
}

/// What a folder of programs belongs to, where they can't run without it: a virtual environment, a folder of packages, an
/// unpacked toolchain.
fn installation(folder: &Path) -> Option<PathBuf> {
    let is_programs =
        [Some("bin"), Some(".bin"), Some("sbin")].contains(&folder.file_name().and_then(|name| name.to_str()));
    let above = folder.parent().filter(|_| is_programs)?;
    let name = above.file_name()?.to_string_lossy();
    let environment = above.join("pyvenv.cfg").is_file() || above.join("conda-meta").is_dir() || name == "node_modules";
    // Folders with a dot keep settings and keys beside their programs.
    let unpacked = !name.starts_with('.') && ["lib", "libexec", "pkg"].iter().any(|part| above.join(part).is_dir());
    (environment || unpacked).then(|| above.to_owned())
}

/// What is to be read of places that are hidden.
fn readable(order: &Order, env: &Environment, home: Option<&Path>) -> Vec<PathBuf> {
    let folders = env.get("PATH").map(std::env::split_paths).into_iter().flatten();
    let folders: Vec<PathBuf> = folders.filter(|folder| folder.is_absolute()).collect();
    let mut homes: BTreeSet<PathBuf> = home.map(Path::to_owned).into_iter().collect();
    for folder in &folders {
        let of = |above: &&Path| TOOLCHAINS.iter().any(|(part, _)| folder.starts_with(above.join(part)));
        homes.extend(folder.ancestors().skip(1).filter(|above| above.parent().is_some()).find(of).map(Path::to_owned));
    }
    // What the environment names is meant to be found: toolchains, certificates, sockets. Cargo keeps credentials beside.
    if let Some(above) = env.get("CARGO_HOME").and_then(|cargo| Path::new(cargo).parent()) {
        homes.insert(above.to_owned());
    }
    let toolchains = homes.iter().flat_map(|home| TOOLCHAINS.iter().map(|(part, _)| home.join(part)));
    let named = env.iter().filter(|(name, _)| !["HOME", "PATH", "PWD"].contains(&name.as_str()));
    let named = named.map(|(_, value)| PathBuf::from(value)).filter(|path| path.is_absolute());
    let resolver = PathBuf::from("/etc/resolv.conf");
    let installations = folders.iter().filter_map(|folder| installation(folder));
    let all = folders
        .iter()
        .cloned()
        .chain(installations)
        .chain(toolchains)
        .chain(named)
        .chain(NEEDED.iter().map(PathBuf::from));
    let hidden = HIDDEN.iter().chain(&["/tmp"]).map(Path::new).chain(order.hidden.iter().map(PathBuf::as_path));
    let hidden: Vec<PathBuf> = hidden.chain(home).filter_map(|place| place.canonicalize().ok()).collect();
    let mut found: BTreeSet<PathBuf> = BTreeSet::new();
    for path in all.chain([resolver]).chain(order.read.iter().cloned()) {
        let Ok(real) = path.canonicalize() else { continue };
        // Nothing is shown whole that holds what is hidden.
        if real.parent().is_none() || hidden.iter().any(|place| place.starts_with(&real)) {
            continue;
        }
        if path == real || !path.is_symlink() {
            found.insert(real);
        } else {
            found.extend([path, real]);
        }
    }
    found.into_iter().collect()
}

fn is_folder(place: &Path) -> bool {
    place.symlink_metadata().is_ok_and(|found| found.is_dir())
}
