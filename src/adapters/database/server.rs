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

use super::cluster::{self, DURABLE, End, PORT, Running};
use super::place::{self, blocking};
use super::programs::{Programs, VARIABLE, server_user};
use super::seed::Seed;
use super::template::{self, APPLICATION, Template, directory_mode};
use super::{Choice, Connected, Database, DatabaseError, DatabaseResource, DatabaseSettings, Ground, LeaseName, clone};
use crate::adapters::process::{Environment, Executor, Service};
use crate::adapters::sql::url::{Login, Server as Reached};
use crate::adapters::sql::{digest, postgres, url};

/// The name in a resource.
pub(crate) const KIND: &str = "postgresql-server";

/// Stands in for a state directory that the server's user can't reach.
const SHARED: &str = "/var/lib/blueprint";

/// A PostgreSQL server a lease.
pub struct Server {
    settings: DatabaseSettings,
    programs: Programs,
    exec: Arc<dyn Executor>,
    why: String,
    template: OnceCell<Template>,
    running: Mutex<HashMap<String, Box<dyn Service>>>,
}

impl Server {
    /// For the table.
    pub fn open(ground: Ground) -> Result<Arc<dyn Database>, DatabaseError> {
        let Ground { settings, why, programs, exec } = ground;
        let programs = programs.ok_or_else(|| DatabaseError::Failed {
            what: "looking for PostgreSQL".to_owned(),
            why: format!(
                "a private server needs `postgres` and `initdb`, version 14 or newer, on the PATH or in the \
                 directory that {VARIABLE} names; install them, or name a server in `database.url`"
            ),
        })?;
        let (template, running) = (OnceCell::new(), Mutex::default());
        Ok(Arc::new(Self { settings, programs, exec, why, template, running }))
    }

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

    async fn template(&self) -> Result<&Template, DatabaseError> {
        let find = async || {
            let home = self.home();
            place::make(&home, directory_mode())?;
            let seed = Seed::read(&self.settings.seed)?;
            template::find_or_build(&self.exec, &self.programs, &seed, &home).await
        };
        self.template.get_or_try_init(find).await
    }

    fn keep(&self, name: &str, service: Box<dyn Service>) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), service);
    }

    fn release(&self, name: &str) -> Option<Box<dyn Service>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    /// The scheme of the configured URL, which names the application's driver too.
    fn scheme(&self) -> &str {
        self.settings.url.as_deref().map_or("postgresql", url::scheme)
    }

    /// Starts a lease's server on its copied directory, with a password of its own.
    async fn start(&self, dir: &Path, resource: &DatabaseResource, password: &str) -> Result<Running, DatabaseError> {
        let data = dir.join("data");
        let sockets = sockets(resource);
        let template = self.template().await?;
        let started = cluster::start(&self.exec, &self.programs, &data, &sockets, DURABLE, &template.password);
        let (running, mut admin) = started.await?;
        let set = postgres::execute(&mut admin, postgres::set_password(APPLICATION, password)).await;
        set.map_err(|why| DatabaseError::Failed {
            what: format!("opening the server of {}", resource.name),
            why: postgres::said(&why),
        })?;
        Ok(running)
    }
}

fn sockets(resource: &DatabaseResource) -> PathBuf {
    cluster::socket_directory(&format!("{} {}", resource.place, resource.nonce))
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
impl Database for Server {
    fn choice(&self) -> Choice {
        let level = format!("postgresql server (version {})", self.programs.major);
        Choice { level, why: self.why.clone() }
    }

    async fn reach(&self) -> Result<(), DatabaseError> {
        Seed::read(&self.settings.seed).map(drop)
    }

    async fn prepare(&self) -> Result<(), DatabaseError> {
        self.template().await.map(drop)
    }

    async fn tidy(&self) -> Result<(), DatabaseError> {
        template::tidy(&self.exec, &self.home()).await
    }

    async fn forget(&self) -> Result<Vec<String>, DatabaseError> {
        template::forget(&self.exec, &self.home()).await
    }

    fn intend(&self, lease: &LeaseName) -> DatabaseResource {
        let mut resource = place::intend(KIND, "", lease, Some(APPLICATION));
        resource.place = self.home().join("leases").join(&resource.name).display().to_string();
        resource
    }

    async fn create(&self, resource: &DatabaseResource) -> Result<Connected, DatabaseError> {
        self.remove(resource).await?;
        let template = self.template().await?.data.clone();
        let dir = place::directory(resource, KIND)?;
        place::make_marked(&dir, directory_mode(), resource)?;
        let into = dir.join("data");
        let owner = server_user();
        blocking(format!("copying {}", template.display()), move || clone::tree(&template, &into, owner)).await?;
        let password = place::secret()?;
        let running = self.start(&dir, resource, &password).await?;
        self.keep(&resource.name, running.service);
        let login = Login { user: APPLICATION, password: &password, database: APPLICATION, search_path: None };
        let server = Reached::in_directory(self.scheme(), &sockets(resource).display().to_string(), PORT);
        Ok(Connected { resource: resource.clone(), env: environment(&server, &login, &resource.name) })
    }

    async fn remove(&self, resource: &DatabaseResource) -> Result<(), DatabaseError> {
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
