//! A private Redis server for each contender: on loopback, with a password, keeping nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::cmd;

use super::link::Link;
use super::program::{find, missing, release};
use super::{ENGINE, SCHEMES, password};
use crate::adapters::process::{Command, Executor, Serving, nonce};
use crate::adapters::service::{
    Choice, Ground, Isolation, LeaseName, Offer, Ready, Service, ServiceError, ServiceResource, Way, place,
};
use crate::domain::service::Use;

/// Its name in resources.
const KIND: &str = "server";
/// What a private server's directory is called, before run and contender.
const PREFIX: &str = "redis-";
/// Carries the nonce in a server's environment, by which one that outlived us is found.
const MARK: &str = "BLUEPRINT_CACHE";
/// How long a server may take to answer.
const READY: Duration = Duration::from_secs(20);
/// Between two looks at whether it answers.
const POLL: Duration = Duration::from_millis(2);
/// Somebody else may take the port between finding it and listening on it.
const ATTEMPTS: usize = 3;

/// Its line in the table.
pub(crate) const WAY: Way = Way {
    used_as: Use::Cache,
    engine: ENGINE,
    schemes: SCHEMES,
    isolation: Isolation::Server,
    kind: KIND,
    words: &[],
    open: |ground| Box::pin(open(ground)),
};

/// Private servers.
struct Private {
    program: PathBuf,
    state: PathBuf,
    why: String,
    exec: Arc<dyn Executor>,
    /// By directory. What is in here dies with us.
    running: Mutex<BTreeMap<String, Box<dyn Serving>>>,
}

async fn open(ground: Ground) -> Result<Offer, ServiceError> {
    let Some(program) = find()? else {
        let why = missing();
        let error = ServiceError::Refused(format!("{why}; install it, or set `isolation: acl` with a `cache.url`"));
        return Ok(Offer::Lacking { why, error });
    };
    let why = format!("{} at {}", release(&program, &*ground.exec).await?, program.display());
    Ok(Offer::had(Private::new(program, ground.settings.state, why, ground.exec)))
}

impl Private {
    /// Servers of this program, with their directories in `state`.
    fn new(program: PathBuf, state: PathBuf, why: String, exec: Arc<dyn Executor>) -> Self {
        Self { program, state, why, exec, running: Mutex::default() }
    }

    /// The directory of a resource; refused where it is not one of ours.
    fn dir(&self, resource: &ServiceResource) -> Result<PathBuf, ServiceError> {
        let ServiceResource { kind, name, nonce, .. } = resource;
        if kind != KIND {
            return Err(ServiceError::Refused(format!(
                "the cache `{name}` was made as `{kind}`, and the configuration now means `{KIND}`; \
                 set `isolation: {kind}` to have it removed"
            )));
        }
        let dir = PathBuf::from(name);
        let file = dir.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        let ours = dir.parent() == Some(&self.state) && file.starts_with(PREFIX) && file.ends_with(nonce.as_str());
        if !ours || nonce.is_empty() {
            return Err(ServiceError::Refused(format!("`{name}` is no cache that was made here")));
        }
        Ok(dir)
    }

    /// Starts a server and waits until it answers with this password.
    async fn start(
        &self,
        dir: &Path,
        resource: &ServiceResource,
        password: &str,
    ) -> Result<(Box<dyn Serving>, u16), ServiceError> {
        let mut attempt = 1;
        loop {
            let failed = |why: io::Error| failed(format!("preparing {}", dir.display()), why);
            let port = free_port().map_err(failed)?;
            write_private(&dir.join("redis.conf"), &configuration(dir, port, password)).map_err(failed)?;
            let mut command = Command::new(&self.program, ["redis.conf"], dir);
            command.env.insert(MARK.to_owned(), resource.nonce.clone());
            command.grace = Duration::from_secs(1);
            let mut service = self.exec.serve(command).await?;
            match ready(&mut *service, &url(port, password), port).await {
                Ok(()) => return Ok((service, port)),
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => service.stop().await,
            };
            attempt += 1;
        }
    }
}

#[async_trait]
impl Service for Private {
    fn choice(&self) -> Choice {
        Choice { used_as: Use::Cache, level: "redis server".to_owned(), why: self.why.clone() }
    }

    fn kind(&self) -> &'static str {
        KIND
    }

    fn intend(&self, lease: &LeaseName) -> ServiceResource {
        let (LeaseName { run, contender }, nonce) = (lease, nonce());
        let name = self.state.join(format!("{PREFIX}{run}-{contender}-{nonce}")).display().to_string();
        let place = Ipv4Addr::LOCALHOST.to_string();
        ServiceResource { kind: KIND.to_owned(), place, name, role: None, nonce, oid: None }
    }

    async fn create(&self, resource: &ServiceResource) -> Result<Ready, ServiceError> {
        let dir = self.dir(resource)?;
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(|why| failed(format!("making {}", dir.display()), why))?;
        let password = place::password()?;
        let (service, port) = self.start(&dir, resource, &password).await?;
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(resource.name.clone(), service);
        let url = ("REDIS_URL".to_owned(), url(port, &password));
        let env = [url, ("BLUEPRINT_CACHE_PREFIX".to_owned(), String::new())].into();
        Ok(Ready::new(ServiceResource { place: at(port), ..resource.clone() }, env).at("127.0.0.1", port))
    }

    async fn remove(&self, resource: &ServiceResource) -> Result<(), ServiceError> {
        let dir = self.dir(resource)?;
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&resource.name);
        if let Some(mut service) = running {
            service.stop().await;
        }
        // Whoever made it may have ended without ending it.
        self.exec.sweep(MARK, &resource.nonce).await;
        match fs::remove_dir_all(&dir) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => {
                Err(failed(format!("removing {}", dir.display()), why))
            }
            _ => Ok(()),
        }
    }
}

/// Waits until the server answers; an early end is told with its last words.
async fn ready(service: &mut dyn Serving, url: &str, port: u16) -> Result<(), ServiceError> {
    let started = Instant::now();
    loop {
        let why = match Link::open(url, &at(port)).await {
            Ok(mut link) => match link.ask::<()>(&cmd("PING"), "greeting a private server").await {
                Ok(()) => return Ok(()),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        let what = "starting a private Redis server".to_owned();
        if let Some(exit) = service.ended() {
            return Err(ServiceError::Failed { what, why: format!("{exit}\n{}", service.tail(8)) });
        }
        if started.elapsed() > READY {
            return Err(ServiceError::Failed { what, why });
        }
        tokio::time::sleep(POLL).await;
    }
}

fn at(port: u16) -> String {
    format!("{}:{port}", Ipv4Addr::LOCALHOST)
}

fn url(port: u16, password: &str) -> String {
    // With the user's name: some clients send an empty one where there is none.
    format!("redis://default:{password}@{}/0", at(port))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// The server's configuration. Its contender may do anything with keys and scripts, and nothing
/// by which a Redis server writes files, loads modules or speaks to others (`@admin`).
fn configuration(dir: &Path, port: u16, password: &str) -> String {
    let quoted = dir.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    // The environment, which carries the mark, must stay readable: no title is written over it.
    format!(
        "bind {}\nport {port}\nprotected-mode yes\ndaemonize no\nset-proc-title no\ndir \"{quoted}\"\nlogfile \"\"\n\
         loglevel warning\nsave \"\"\nappendonly no\nuser default on #{} ~* &* +@all -@admin\n",
        Ipv4Addr::LOCALHOST,
        password::digest(password),
    )
}

fn failed(what: String, why: io::Error) -> ServiceError {
    ServiceError::Failed { what, why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::executor::local::Local;

    fn private(state: &str) -> Private {
        Private::new("redis-server".into(), state.into(), String::new(), Arc::new(Local))
    }

    #[test]
    fn the_configuration_keeps_nothing_and_holds_no_password() {
        let text = configuration(Path::new("/a \"b\""), 7000, "s3cret");
        for line in ["bind 127.0.0.1", "save \"\"", "appendonly no", "dir \"/a \\\"b\\\"\""] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("s3cret"));
    }

    #[tokio::test]
    async fn only_a_directory_of_ours_is_ever_removed() {
        let ours = private("/state");
        let intended = ours.intend(&LeaseName { run: "r".to_owned(), contender: "a".to_owned() });
        assert_eq!(ours.dir(&intended).unwrap(), PathBuf::from(&intended.name));
        let with = |name: &str| ServiceResource { name: name.to_owned(), ..intended.clone() };
        let outside = format!("/elsewhere/redis-r-a-{}", intended.nonce);
        let above = format!("/state/redis-r-a-{}/..", intended.nonce);
        for name in ["/", "", "/state", "/state/other", &outside, &above] {
            ours.remove(&with(name)).await.unwrap_err();
        }
        let other = ServiceResource { kind: "acl".to_owned(), ..intended.clone() };
        assert!(ours.remove(&other).await.unwrap_err().to_string().contains("`isolation: acl`"));
    }
}
