//! PostgreSQL, a private server each: cloned from a template data directory, reached by a socket
//! alone, gone with us.
//!
//! Every server has the same role and database (`blueprint`) and the same `public`; only the
//! directory of its socket and the password differ. Its data directory is
//! `<state>/postgresql/leases/<name>/data`; where we are root and the server's user can't walk into
//! the state directory, `/var/lib/blueprint/<digest of the state's path>` stands in for it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::admin::Admin;
use super::cluster::{self, DURABLE, End, PORT, Running};
use super::programs::{Programs, VARIABLE, server_user};
use super::template::{self, APPLICATION, Template, directory_mode};
use super::{ENGINE, SCHEMES, WORDS};
use crate::adapters::process::{Environment, Executor, Serving};
use crate::adapters::service::place::{self, blocking};
use crate::adapters::service::seed::Seed;
use crate::adapters::service::{
    Choice, Ground, Isolation, LeaseName, Offer, Ready, Service, ServiceError, ServiceResource, ServiceSettings, Way,
    clone,
};
use crate::adapters::sql::url::{Login, Server as Reached};
use crate::adapters::sql::{digest, postgres, url};
use crate::domain::service::Use;

/// The name in a resource.
pub(crate) const KIND: &str = "postgresql-server";

/// Stands in for a state directory that the server's user can't reach.
const SHARED: &str = "/var/lib/blueprint";

/// Its line in the table.
pub(crate) const WAY: Way = Way {
    used_as: Use::Database,
    engine: ENGINE,
    schemes: SCHEMES,
    isolation: Isolation::Server,
    kind: KIND,
    words: WORDS,
    open: |ground| Box::pin(open(ground)),
};

/// A PostgreSQL server a lease.
struct Server {
    settings: ServiceSettings,
    programs: Programs,
    exec: Arc<dyn Executor>,
    why: String,
    template: OnceCell<Template>,
    running: Mutex<HashMap<String, Box<dyn Serving>>>,
}

async fn open(ground: Ground) -> Result<Offer, ServiceError> {
    // Where it stands in for a configured server, it is of the same version.
    let major = match (&ground.sought, &ground.settings.url) {
        (Some(_), Some(url)) => {
            let admin = Admin::new(url)?;
            Some(admin.found_standing().await?.version / 10_000)
        }
        _ => None,
    };
    let Some(programs) = Programs::find(&ground.exec, major).await? else { return Ok(missing(major)) };
    let own = major.map(|major| format!("PostgreSQL {major}, the configured server's version, is installed here"));
    let (why, template, running) = (ground.because(own), OnceCell::new(), Mutex::default());
    Ok(Offer::had(Server { settings: ground.settings, programs, exec: ground.exec, why, template, running }))
}

fn missing(major: Option<u32>) -> Offer {
    let which = major.map_or_else(|| "PostgreSQL".to_owned(), |major| format!("PostgreSQL {major}"));
    let why = format!(
        "a private server needs `postgres` and `initdb`, version 14 or newer, on the PATH or in the directory that \
         {VARIABLE} names; install them, or name a server in `database.url`"
    );
    let error = ServiceError::Failed { what: format!("looking for {which}"), why };
    Offer::Lacking { why: format!("no {which} is installed here"), error }
}

impl Server {
    /// Where templates and leases are.
    fn home(&self) -> PathBuf {
        let state = &self.settings.state;
        match server_user() {
            Some(user) if !place::reachable(state, user) => {
                Path::new(SHARED).join(digest([state.as_os_str().as_encoded_bytes()], 12))
            }
            _ => state.join("postgresql"),
        }
    }

    async fn template(&self) -> Result<&Template, ServiceError> {
        let find = async || {
            let home = self.home();
            place::make(&home, directory_mode())?;
            let seed = Seed::read(&self.settings.seed)?;
            template::find_or_build(&self.exec, &self.programs, &seed, &home).await
        };
        self.template.get_or_try_init(find).await
    }

    fn keep(&self, name: &str, service: Box<dyn Serving>) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), service);
    }

    fn release(&self, name: &str) -> Option<Box<dyn Serving>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    /// The scheme of the configured URL, which names the application's driver too.
    fn scheme(&self) -> &str {
        self.settings.url.as_deref().map_or("postgresql", url::scheme)
    }

    /// Starts a lease's server on its copied directory, with a password of its own.
    async fn start(&self, dir: &Path, resource: &ServiceResource, password: &str) -> Result<Running, ServiceError> {
        let data = dir.join("data");
        let sockets = sockets(resource);
        let template = self.template().await?;
        let started = cluster::start(&self.exec, &self.programs, &data, &sockets, DURABLE, &template.password);
        let (running, mut admin) = started.await?;
        let set = postgres::execute(&mut admin, postgres::set_password(APPLICATION, password)).await;
        set.map_err(|why| ServiceError::Failed {
            what: format!("opening the server of {}", resource.name),
            why: postgres::said(&why),
        })?;
        Ok(running)
    }
}

fn sockets(resource: &ServiceResource) -> PathBuf {
    cluster::socket_directory(&format!("{} {}", resource.place, resource.nonce))
}

/// A PostgreSQL that is ready. Where it is reached by a socket, its clients read the folder of that.
pub(super) fn ready(resource: ServiceResource, env: Environment) -> Ready {
    let host = env.get("PGHOST").cloned().unwrap_or_default();
    let port = env.get("PGPORT").and_then(|port| port.parse().ok()).unwrap_or_default();
    let ready = Ready::new(resource, env);
    if host.starts_with('/') { Ready { read: vec![host.into()], ..ready } } else { ready.at(&host, port) }
}

/// What a lease's processes get to reach a PostgreSQL.
pub fn environment(server: &Reached, login: &Login<'_>, name: &str) -> Environment {
    let mut env: Environment = [
        ("DATABASE_URL", server.url_for(login)),
        ("PGHOST", server.host()),
        ("PGPORT", server.port().to_string()),
        ("PGUSER", login.user.to_owned()),
        ("PGPASSWORD", login.password.to_owned()),
        ("PGDATABASE", login.database.to_owned()),
        ("PGAPPNAME", name.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    if let Some(path) = login.search_path {
        env.insert("PGOPTIONS".to_owned(), format!("-csearch_path={path}"));
    }
    env
}

#[async_trait]
impl Service for Server {
    fn choice(&self) -> Choice {
        let level = format!("postgresql server (version {})", self.programs.major);
        Choice { used_as: Use::Database, level, why: self.why.clone() }
    }

    fn kind(&self) -> &'static str {
        KIND
    }

    async fn reach(&self) -> Result<(), ServiceError> {
        Seed::read(&self.settings.seed).map(drop)
    }

    async fn prepare(&self) -> Result<(), ServiceError> {
        self.template().await.map(drop)
    }

    async fn tidy(&self) -> Result<(), ServiceError> {
        template::tidy(&self.exec, &self.home()).await
    }

    async fn forget(&self) -> Result<Vec<String>, ServiceError> {
        template::forget(&self.exec, &self.home()).await
    }

    fn intend(&self, lease: &LeaseName) -> ServiceResource {
        let mut resource = place::intend(KIND, "", lease, Some(APPLICATION));
        resource.place = self.home().join("leases").join(&resource.name).display().to_string();
        resource
    }

    async fn create(&self, resource: &ServiceResource) -> Result<Ready, ServiceError> {
        self.remove(resource).await?;
        let template = self.template().await?.data.clone();
        let dir = place::directory(resource, KIND)?;
        place::make_marked(&dir, directory_mode(), resource)?;
        let into = dir.join("data");
        let owner = server_user();
        blocking(format!("copying {}", template.display()), move || clone::tree(&template, &into, owner)).await?;
        let password = place::password()?;
        let running = self.start(&dir, resource, &password).await?;
        self.keep(&resource.name, running.service);
        let login = Login { user: APPLICATION, password: &password, database: APPLICATION, search_path: None };
        let server = Reached::in_directory(self.scheme(), &sockets(resource).display().to_string(), PORT);
        Ok(ready(resource.clone(), environment(&server, &login, &resource.name)))
    }

    async fn remove(&self, resource: &ServiceResource) -> Result<(), ServiceError> {
        let dir = place::directory(resource, KIND)?;
        if place::is_there(&dir, resource)? {
            cluster::stop(&self.exec, &dir.join("data"), End::Immediate).await?;
            drop(self.release(&resource.name));
            cluster::remove_sockets(&sockets(resource))?;
            blocking(format!("removing {}", dir.display()), move || place::remove(&dir)).await?;
        }
        Ok(())
    }
}
