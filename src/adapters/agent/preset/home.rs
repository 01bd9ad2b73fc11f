//! The private home of one step: made for it, with the client's configuration in it, and gone with
//! it. A client finds nothing there that another step or the user left, and leaves nothing.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::adapters::process::Environment;

/// Toolchains and packages that are looked for in the home unless a variable says where they are. The
/// user's own are used: tests of a variant need them.
const TOOLCHAINS: [(&str, &str); 5] = [
    ("CARGO_HOME", ".cargo"),
    ("RUSTUP_HOME", ".rustup"),
    ("PYENV_ROOT", ".pyenv"),
    ("PYTHONUSERBASE", ".local"),
    ("GOPATH", "go"),
];

/// What the XDG variables name, below the home.
const XDG: [(&str, &str); 4] = [
    ("XDG_CONFIG_HOME", ".config"),
    ("XDG_CACHE_HOME", ".cache"),
    ("XDG_DATA_HOME", ".local/share"),
    ("XDG_STATE_HOME", ".local/state"),
];

/// A directory that is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Home {
    dir: TempDir,
    owner: (u32, u32),
}

impl Home {
    /// An empty one with mode 0700, which belongs to whoever owns `scratch`.
    pub fn make(scratch: &Path) -> io::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("home-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(scratch)?;
        let owner = fs::metadata(scratch)?;
        let home = Self { dir, owner: (owner.uid(), owner.gid()) };
        home.give(home.path())?;
        Ok(home)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file with mode 0600; the directories above it are made.
    pub fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let file = self.path().join(path);
        let above: Vec<PathBuf> = Path::new(path).ancestors().skip(1).map(|part| self.path().join(part)).collect();
        for folder in above.iter().rev() {
            match fs::DirBuilder::new().mode(0o700).create(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => self.give(folder)?,
            }
        }
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?.write_all(text.as_bytes())?;
        self.give(&file)
    }

    /// Makes an environment one that leads here.
    pub fn settle(&self, env: &mut Environment) -> io::Result<()> {
        if let Some(home) = env.get("HOME").cloned() {
            for (name, folder) in TOOLCHAINS {
                let place = Path::new(&home).join(folder);
                if place.is_dir() {
                    env.entry(name.to_owned()).or_insert_with(|| place.display().to_string());
                }
            }
        }
        env.insert("HOME".to_owned(), self.path().display().to_string());
        for (name, folder) in XDG {
            env.insert(name.to_owned(), self.path().join(folder).display().to_string());
        }
        env.remove("XDG_RUNTIME_DIR");
        // Some clients refuse a home that lies in the directory for temporary files.
        let temporary = env.get("TMPDIR").map_or("/tmp", String::as_str);
        if self.path().starts_with(temporary) {
            let own = self.path().join("tmp");
            fs::DirBuilder::new().mode(0o700).create(&own)?;
            self.give(&own)?;
            env.insert("TMPDIR".to_owned(), own.display().to_string());
        }
        Ok(())
    }

    /// The trial's programs may run as another user than we do.
    fn give(&self, path: &Path) -> io::Result<()> {
        let ours = fs::symlink_metadata(path)?;
        if (ours.uid(), ours.gid()) != self.owner {
            chown(path, Some(self.owner.0), Some(self.owner.1))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_can_read_it_and_it_is_gone_afterwards() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::make(scratch.path()).unwrap();
        home.write(".a/b/c.json", "{}").unwrap();
        home.write(".a/d", "").unwrap();
        let mode = |path: &str| home.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!([mode(""), mode(".a"), mode(".a/b"), mode(".a/b/c.json")], [0o700, 0o700, 0o700, 0o600]);
        let path = home.path().to_owned();
        drop(home);
        assert!(!path.exists());
    }

    #[test]
    fn the_environment_leads_there_and_toolchains_stay_where_they_are() {
        let (scratch, user) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(user.path().join(".cargo")).unwrap();
        fs::create_dir(user.path().join("go")).unwrap();
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let old = user.path().display().to_string();
        let elsewhere = "/no/such/place";
        let mut env: Environment =
            [set("HOME", &old), set("GOPATH", "/go"), set("TMPDIR", elsewhere), set("XDG_RUNTIME_DIR", "/run")].into();
        let home = Home::make(scratch.path()).unwrap();
        home.settle(&mut env).unwrap();
        let at = home.path().display().to_string();
        assert_eq!((&env["HOME"], &env["XDG_CACHE_HOME"]), (&at, &format!("{at}/.cache")));
        assert_eq!((env["CARGO_HOME"].clone(), env["GOPATH"].as_str()), (format!("{old}/.cargo"), "/go"));
        assert!(!env.contains_key("RUSTUP_HOME") && !env.contains_key("XDG_RUNTIME_DIR"));
        assert_eq!(env["TMPDIR"], elsewhere);
        env.insert("TMPDIR".to_owned(), scratch.path().display().to_string());
        home.settle(&mut env).unwrap();
        assert_eq!(env["TMPDIR"], format!("{at}/tmp"));
    }
}
