//! The configured server as we administer it: reached within a limit, asked what we may do, and
//! refused where it must not be touched.

use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::CONNECT_LIMIT;
use crate::adapters::service::{ServiceError, ServiceResource, ServiceSettings};
use crate::adapters::sql::postgres::{self, Found, Standing};
use crate::adapters::sql::url::{Login, Server};
use crate::adapters::sql::{MARKER, marker};
use crate::domain::service::Use;

/// Advisory locks of ours are told from those of applications by this number.
pub(super) const LOCK: i64 = 0x626c_7565_7072_696e;

/// What a role may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To create databases.
    Databases,
    /// To create roles.
    Roles,
    /// To create schemas.
    Schemas,
    /// For any level at all.
    Any,
}

/// A configured server.
pub(super) struct Admin {
    /// How it is reached.
    pub server: Server,
}

impl Admin {
    /// Reads the URL of the configuration and refuses what looks like production.
    pub fn new(url: &str) -> Result<Self, ServiceError> {
        let server = Server::parse(url).map_err(|why| ServiceError::Failed {
            what: "reading `database.url`".to_owned(),
            why: format!("{why} (write postgresql://user:password@host:port/database)"),
        })?;
        if !server.is_local() && server.database().to_ascii_lowercase().contains("prod") {
            return Err(ServiceError::Refused(format!(
                "{} looks like production and is not on this machine: name a database for development in \
                 `database.url`",
                server.place()
            )));
        }
        Ok(Self { server })
    }

    /// The server of the settings, which this level needs.
    pub fn configured(settings: &ServiceSettings) -> Result<Self, ServiceError> {
        match &settings.url {
            Some(url) => Self::new(url),
            None => Err(ServiceError::Refused(format!(
                "`database.isolation: {}` needs a server: name it in `database.url`",
                settings.isolation
            ))),
        }
    }

    /// Connects as the configuration says.
    pub async fn connect(&self) -> Result<PgConnection, ServiceError> {
        self.connect_with(&self.server.options()).await
    }

    /// Connects to another database of the server as the configured role.
    pub(super) async fn connect_to(&self, database: &str) -> Result<PgConnection, ServiceError> {
        self.connect_with(&self.server.options().database(database)).await
    }

    async fn connect_with(&self, options: &PgConnectOptions) -> Result<PgConnection, ServiceError> {
        let connected = postgres::connect(options, CONNECT_LIMIT).await;
        let mut connection = connected.map_err(|why| self.unreached(&why, self.server.user()))?;
        self.execute(&mut connection, "connecting", postgres::HASTY.to_owned()).await?;
        Ok(connection)
    }

    /// Connects as a lease's role, which also proves that the lease can.
    pub(super) async fn connect_as(&self, login: &Login<'_>) -> Result<PgConnection, ServiceError> {
        let connected = postgres::connect(&self.server.options_for(login), CONNECT_LIMIT).await;
        connected.map_err(|why| self.unreached(&why, login.user))
    }

    /// Logs in as a lease and out again.
    pub(super) async fn check_login(&self, login: &Login<'_>) -> Result<(), ServiceError> {
        let connection = self.connect_as(login).await?;
        sqlx::Connection::close(connection).await.map_err(|why| self.failed("closing", &why))
    }

    fn unreached(&self, why: &sqlx::Error, role: &str) -> ServiceError {
        let (place, said) = (self.server.place(), postgres::said(why));
        if postgres::is_refusal(why) {
            return ServiceError::Failed { what: format!("logging in as `{role}` at {place}"), why: said };
        }
        ServiceError::Unreachable { used_as: Use::Database, place, why: said }
    }

    /// What the role may do there; a replica is refused.
    pub async fn standing(&self, connection: &mut PgConnection) -> Result<Standing, ServiceError> {
        let standing = postgres::standing(connection).await.map_err(|why| self.failed("asking for rights", &why))?;
        if standing.replica {
            let place = self.server.place();
            return Err(ServiceError::Refused(format!(
                "{place} is a replica, in which nothing can be created: name its primary in `database.url`"
            )));
        }
        Ok(standing)
    }

    /// The same, on a connection of its own.
    pub(super) async fn found_standing(&self) -> Result<Standing, ServiceError> {
        self.standing(&mut self.connect().await?).await
    }

    /// The role lacks a right that the level needs.
    pub fn lacks(&self, standing: &Standing, right: Right) -> ServiceError {
        let role = &standing.role;
        let (what, grant) = match right {
            Right::Databases => ("create databases", postgres::grant_databases(role)),
            Right::Roles => ("create roles", postgres::grant_roles(role)),
            Right::Schemas => ("create schemas", postgres::grant_schemas(role, self.server.database())),
            Right::Any => ("create databases, or roles and schemas", postgres::grant_databases(role)),
        };
        let (role, place) = (standing.role.clone(), self.server.place());
        ServiceError::Rights { role, place, what: what.to_owned(), grant }
    }

    /// A statement failed.
    pub fn failed(&self, what: &str, why: &sqlx::Error) -> ServiceError {
        ServiceError::Failed { what: format!("{what} at {}", self.server.place()), why: postgres::said(why) }
    }

    /// Runs statements of ours.
    pub async fn execute(&self, connection: &mut PgConnection, what: &str, text: String) -> Result<(), ServiceError> {
        postgres::execute(connection, text).await.map_err(|why| self.failed(what, &why))
    }

    /// One at a time makes or removes a lease's objects, until the connection ends. A server goes on
    /// with the statement of a client that was killed: who removes after it has to wait for that.
    pub(crate) async fn hold(
        &self,
        connection: &mut PgConnection,
        lease: &ServiceResource,
    ) -> Result<(), ServiceError> {
        let key = u64::from_str_radix(&lease.nonce, 16).unwrap_or_default();
        self.looked(postgres::lock(connection, key.cast_signed()).await)
    }

    /// A failing query of the catalogs.
    pub(crate) fn looked<T>(&self, result: Result<T, sqlx::Error>) -> Result<T, ServiceError> {
        result.map_err(|why| self.failed("looking", &why))
    }
}

/// Whether an object carries the mark of this nonce.
pub(super) fn is_marked(found: &Found, nonce: &str) -> bool {
    found.comment.as_deref() == Some(&marker(nonce))
}

/// Whether an object carries any mark of ours.
pub(super) fn is_ours(found: &Found) -> bool {
    found.comment.as_deref().is_some_and(|comment| comment.starts_with(MARKER))
}

/// Connections of one lease: what the server has, less ten for others, shared evenly.
pub fn share(standing: &Standing, leases: u32) -> u32 {
    (standing.connections.saturating_sub(10) / leases.max(1)).max(1)
}
