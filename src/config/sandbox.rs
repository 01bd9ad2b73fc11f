//! What `blueprint.yaml` says of the walls around a run's programs, as it is written and as it is meant.

use std::num::NonZeroU32;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::adapters::process::{Address, Egress, Limits};
use crate::domain::quantity::Bytes;

/// The walls around agents, set-up, tests and benchmarks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "`auto`, `required`, `off`, or keys such as `{read: [~/sdk]}`")]
pub enum Raw {
    /// In a word.
    Mode(Mode),
    /// With what is opened.
    Keys(Keys),
}

/// Whether there are walls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Where this machine can have them; a warning where it can't.
    Auto,
    /// Nothing runs without them.
    Required,
    /// None.
    Off,
}

/// The walls with what is opened.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{read: [~/sdk]}`")]
pub struct Keys {
    /// Whether there are walls; where absent, `required` in continuous integration (the variable `CI`) and else `auto`.
    pub mode: Option<Mode>,
    /// What programs may read besides: absolute paths, or such as `~/sdk`.
    pub read: Vec<String>,
    /// What programs may read and write besides; all contenders share it.
    pub write: Vec<String>,
    /// What set-up and builds reach over the network; else nobody reaches anything but services of the lease.
    pub network: Network,
    /// What the programs of a lease may use of the machine.
    pub limits: Most,
}

/// What the programs of a lease may use of the machine, all together.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "keys such as `{memory: 8 GiB, processes: 500}`")]
pub struct Most {
    /// Memory, such as `8 GiB`; three quarters of the machine's where absent.
    pub memory: Option<String>,
    /// Processes at a time; 4000 where absent.
    pub processes: Option<NonZeroU32>,
    /// Disk, such as `20 GiB`; half of what is free where absent.
    pub disk: Option<String>,
    /// One file, such as `1 GiB`; 4 GiB where absent.
    pub file: Option<String>,
}

impl Most {
    fn read(&self) -> Result<Limits, String> {
        let size = |key: &str, text: &Option<String>| {
            let read = |text: &String| text.parse::<Bytes>().map_err(|why| format!("`sandbox.limits.{key}`: {why}"));
            text.as_ref().map(read).transpose()
        };
        let (memory, disk, file) =
            (size("memory", &self.memory)?, size("disk", &self.disk)?, size("file", &self.file)?);
        Ok(Limits { memory, processes: self.processes.map(NonZeroU32::get), disk, spare: None, file })
    }
}

/// What is reached over the network.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a list such as `[packages.example:443]`, or `shared`")]
pub enum Network {
    /// Set-up and builds reach these: hosts with ports.
    Named(Vec<String>),
    /// In a word.
    Word(Word),
}

/// A word for what is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Everything in a lease reaches what this machine reaches, and leases share its ports.
    Shared,
}

impl Default for Network {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

/// The walls as they are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Whether there are walls, where the file says.
    pub mode: Option<Mode>,
    read: Vec<String>,
    write: Vec<String>,
    /// What is reached over the network.
    pub network: Egress,
    /// What may be used of the machine, where the file says.
    pub limits: Limits,
}

impl Sandbox {
    /// Reads the key.
    pub(super) fn of(raw: Option<Raw>) -> Result<Self, String> {
        let keys = match raw {
            None => Keys::default(),
            Some(Raw::Mode(mode)) => Keys { mode: Some(mode), ..Keys::default() },
            Some(Raw::Keys(keys)) => keys,
        };
        for (key, path) in
            keys.read.iter().map(|path| ("read", path)).chain(keys.write.iter().map(|path| ("write", path)))
        {
            if !path.starts_with('/') && !path.starts_with("~/") {
                return Err(format!("`sandbox.{key}`: `{path}` must begin with `/` or `~/`"));
            }
        }
        let network = match keys.network {
            Network::Word(Word::Shared) => Egress::All,
            Network::Named(list) => {
                let read = list.iter().map(|text| text.parse::<Address>()).collect::<Result<_, _>>();
                Egress::SetUp(read.map_err(|why| format!("`sandbox.network`: {why}"))?)
            }
        };
        let limits = keys.limits.read()?;
        Ok(Self { mode: keys.mode, read: keys.read, write: keys.write, network, limits })
    }

    /// Whether there are walls. Where nobody looks on, in continuous integration, nothing runs without them unless the file
    /// says so.
    pub fn mode(&self, integration: bool) -> Mode {
        self.mode.unwrap_or(if integration { Mode::Required } else { Mode::Auto })
    }

    /// What may be read besides.
    pub fn read(&self, home: Option<&str>) -> Vec<PathBuf> {
        self.read.iter().map(|path| placed(path, home)).collect()
    }

    /// What may be written besides.
    pub fn write(&self, home: Option<&str>) -> Vec<PathBuf> {
        self.write.iter().map(|path| placed(path, home)).collect()
    }
}

fn placed(path: &str, home: Option<&str>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(path),
    }
}
