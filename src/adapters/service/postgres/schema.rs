//! PostgreSQL, a schema each in the configured database: for roles that may create no databases.
//!
//! The seed runs inside of each schema anew: copying tables between schemas shares sequences and
//! loses constraints. A schema's role owns it and is bound to it by `search_path`.

use async_trait::async_trait;
use sqlx::{Connection, PgConnection};

use super::admin::{Admin, Right, is_marked, share};
use super::database::elsewhere;
use super::server::{environment, ready};
use super::{ENGINE, SCHEMES, WORDS};
use crate::adapters::service::place;
use crate::adapters::service::seed::Seed;
use crate::adapters::service::{
    Choice, Ground, Isolation, LeaseName, Offer, Ready, Service, ServiceError, ServiceResource, ServiceSettings, Way,
};
use crate::adapters::sql::marker;
use crate::adapters::sql::postgres::{self, Standing};
use crate::adapters::sql::url::Login;
use crate::domain::service::Use;

/// The name in a resource.
pub(crate) const KIND: &str = "postgresql-schema";

/// How often sessions that are ending are asked for again.
const ROUNDS: usize = 200;

/// Its line in the table.
pub(crate) const WAY: Way = Way {
    used_as: Use::Database,
    engine: ENGINE,
    schemes: SCHEMES,
    isolation: Isolation::Schema,
    kind: KIND,
    words: WORDS,
    open: |ground| Box::pin(open(ground)),
};

/// A schema a lease.
struct Schemas {
    settings: ServiceSettings,
    admin: Admin,
    why: String,
}

async fn open(ground: Ground) -> Result<Offer, ServiceError> {
    let admin = Admin::configured(&ground.settings)?;
    let mut own = None;
    if ground.sought.is_some() {
        let standing = admin.found_standing().await?;
        if !standing.roles || !standing.schemas {
            let why = format!("`{}` may create no roles and schemas", standing.role);
            return Ok(Offer::Lacking { why, error: admin.lacks(&standing, Right::Any) });
        }
        own = Some("it may create schemas".to_owned());
    }
    Ok(Offer::had(Schemas { why: ground.because(own), settings: ground.settings, admin }))
}

impl Schemas {
    /// Connects, and checks that the role may do what this level needs.
    async fn connect(&self) -> Result<(PgConnection, Standing), ServiceError> {
        let mut connection = self.admin.connect().await?;
        let standing = self.admin.standing(&mut connection).await?;
        match (standing.roles, standing.schemas) {
            (true, true) => Ok((connection, standing)),
            (false, _) => Err(self.admin.lacks(&standing, Right::Roles)),
            (_, false) => Err(self.admin.lacks(&standing, Right::Schemas)),
        }
    }

    async fn fill(&self, login: &Login<'_>) -> Result<(), ServiceError> {
        let seed = Seed::read(&self.settings.seed)?;
        let closed = |why: sqlx::Error| self.admin.failed("filling a schema", &why);
        for script in seed.scripts() {
            let mut inside = self.admin.connect_as(login).await?;
            postgres::run_script(&mut inside, script.text).await.map_err(|why| script.failed(&why))?;
            inside.close().await.map_err(closed)?;
        }
        let mut inside = self.admin.connect_as(login).await?;
        self.admin.execute(&mut inside, "filling a schema", postgres::SETTLE_OWN.to_owned()).await?;
        inside.close().await.map_err(closed)
    }
}

#[async_trait]
impl Service for Schemas {
    fn choice(&self) -> Choice {
        let level = format!("postgresql schema at {}", self.admin.server.place());
        Choice { used_as: Use::Database, level, why: self.why.clone() }
    }

    fn kind(&self) -> &'static str {
        KIND
    }

    async fn reach(&self) -> Result<(), ServiceError> {
        Seed::read(&self.settings.seed)?;
        self.connect().await.map(drop)
    }

    async fn prepare(&self) -> Result<(), ServiceError> {
        self.reach().await
    }

    fn intend(&self, lease: &LeaseName) -> ServiceResource {
        let mut resource = place::intend(KIND, &self.admin.server.place(), lease, None);
        resource.role = Some(resource.name.clone());
        resource
    }

    async fn create(&self, resource: &ServiceResource) -> Result<Ready, ServiceError> {
        self.remove(resource).await?;
        let (mut connection, standing) = self.connect().await?;
        self.admin.hold(&mut connection, resource).await?;
        let (admin, name, mark) = (&self.admin, resource.name.as_str(), marker(&resource.nonce));
        let password = place::password()?;
        let limit = share(&standing, self.settings.leases);
        let role = postgres::create_role(name, &password, limit, None, &mark);
        let schema = postgres::create_schema(name, admin.server.database(), &mark);
        // One transaction: role and schema are there with their marks, or neither is.
        admin.execute(&mut connection, "creating a schema", format!("{} {role} {schema}", postgres::alone())).await?;
        let database = admin.server.database();
        let login = Login { user: name, password: &password, database, search_path: Some(name) };
        self.fill(&login).await?;
        let found = admin.looked(postgres::find_schema(&mut connection, name).await)?;
        let resource = ServiceResource { oid: found.map(|found| found.oid), ..resource.clone() };
        Ok(ready(resource, environment(&admin.server, &login, name)))
    }

    async fn remove(&self, resource: &ServiceResource) -> Result<(), ServiceError> {
        place::check(resource, KIND)?;
        let (admin, name) = (&self.admin, resource.name.as_str());
        if resource.place != admin.server.place() {
            return Err(elsewhere(resource, &admin.server.place()));
        }
        let mut connection = admin.connect().await?;
        admin.hold(&mut connection, resource).await?;
        let role = admin.looked(postgres::find_role(&mut connection, name).await)?;
        let schema = admin.looked(postgres::find_schema(&mut connection, name).await)?;
        let marked = |found: &Option<postgres::Found>| found.as_ref().is_none_or(|f| is_marked(f, &resource.nonce));
        if !marked(&role) || !marked(&schema) {
            return Err(place::foreign(resource));
        }
        let mut rounds = 0;
        while role.is_some()
            && admin.looked(postgres::end_sessions(&mut connection, name).await)? > 0
            && rounds < ROUNDS
        {
            rounds += 1;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        if role.is_some() {
            admin.looked(postgres::end_prepared(&mut connection, Some(name)).await)?;
        }
        let mut text = postgres::drop_schema(name);
        if role.is_some() {
            let (alone, owned) = (postgres::alone(), postgres::drop_owned(name));
            text = format!("{alone} {owned}; {text}; {}", postgres::drop_role(name));
        }
        admin.execute(&mut connection, "dropping a schema", text).await
    }
}
