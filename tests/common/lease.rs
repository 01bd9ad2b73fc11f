//! A lease with walls, as one contender has it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use blueprint::adapters::executor::enclosed::Bubblewrap;
use blueprint::adapters::process::{
    Command, Enclosure, Environment, Executor, Finished, Limits, Network, Order, Sandbox, Stay, Stop,
};

/// A lease with a tree, below a home of its own.
pub struct Lease {
    _dir: tempfile::TempDir,
    /// Home, repository, the lease and another one lie in there.
    pub root: PathBuf,
    /// What its programs are started with.
    pub env: Environment,
    /// Its walls.
    pub walls: Arc<dyn Enclosure>,
}

impl Lease {
    /// One that reaches nothing.
    pub async fn open() -> Self {
        Self::with(Network::default()).await
    }

    /// One with this network.
    pub async fn with(network: Network) -> Self {
        Self::ordered(network, Limits::default()).await
    }

    /// One with these limits.
    pub async fn limited(limits: Limits) -> Self {
        Self::ordered(Network::default(), limits).await
    }

    /// One with both.
    pub async fn ordered(network: Network, limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for folder in ["home/.ssh", "home/.cargo/bin", "lease/tree", "lease/scratch", "repo/.git", "other"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in ["home/.ssh/id", "home/.cargo/bin/tool", "lease/tree/code", "repo/.git/HEAD", "other/code"] {
            fs::write(root.join(file), "outside\n").unwrap();
        }
        let env: Environment = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("HOME", root.join("home").display().to_string()),
            ("NAMED", root.join("lease/tree/code").display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_blueprint"));
        let order = Order {
            private: root.join("lease/private"),
            hidden: vec![root.join("repo"), root.join("other")],
            read: Vec::new(),
            write: vec![root.join("lease/tree"), root.join("lease/scratch")],
            reset: vec![root.join("lease/tree")],
            bare: vec![root.join("lease/scratch")],
            env: env.clone(),
            network,
            limits,
        };
        let sandbox = Bubblewrap::installed(binary).unwrap();
        let walls = sandbox.open(&order).await.unwrap();
        Self { _dir: dir, root, env, walls }
    }

    /// A shell line in its tree.
    pub fn command(&self, line: &str) -> Command {
        Command::shell(line, self.root.join("lease/tree")).env(&self.env)
    }

    /// What runs its programs.
    pub fn executor(&self) -> Arc<dyn Executor> {
        self.walls.executor()
    }

    /// Runs a shell line.
    pub async fn run(&self, stay: Stay, line: &str) -> Finished {
        self.executor().run(Command { stay, ..self.command(line) }, &Stop::new()).await.unwrap()
    }

    /// What a shell line prints.
    pub async fn says(&self, stay: Stay, line: &str) -> String {
        let done = self.run(stay, line).await;
        format!("{}{}", done.text(), String::from_utf8_lossy(&done.stderr)).trim().to_owned()
    }
}

/// Command lines of all programs on this machine, with blanks between their words.
pub fn command_lines() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.map(|line| line.trim_end_matches('\0').replace('\0', " ")).collect()
}
