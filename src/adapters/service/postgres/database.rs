//! PostgreSQL, a database each on the configured server: cloned from a closed template by copying
//! files, each with a role that can enter no other.
//!
//! What templates hold belongs to `bp_owner`, which nobody logs in as. A lease's role is its member
//! and acts as it; the right to connect is what keeps leases apart. On removal the role's mark, made
//! in one transaction with it, also proves a database whose own mark was not yet written.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, PgConnection};
use tokio::sync::OnceCell;

use super::admin::{Admin, LOCK, Right, is_marked, is_ours, share};
use super::server::{environment, ready};
use super::{ENGINE, SCHEMES, WORDS};
use crate::adapters::process::nonce;
use crate::adapters::service::place;
use crate::adapters::service::seed::Seed;
use crate::adapters::service::{
    Choice, Ground, Isolation, LeaseName, Offer, Ready, Service, ServiceError, ServiceResource, ServiceSettings, Way,
};
use crate::adapters::sql::postgres::{self, Standing};
use crate::adapters::sql::url::Login;
use crate::adapters::sql::{MARKER, marker};
use crate::domain::service::Use;

/// The name in a resource.
pub(crate) const KIND: &str = "postgresql-database";

/// Owns what templates hold, in every database of ours on a server.
const OWNER: &str = "bp_owner";

/// What a finished template is called, before the digest of its seed.
const TEMPLATE: &str = "bp_template_";

/// A template that is being built is called so, with a nonce; it gets its name when it is whole.
const BUILDING: &str = "bp_build_";

/// The server ends what a killed builder had asked for; that is seldom much.
const TIDY_LIMIT: Duration = Duration::from_secs(5);

/// Held in common by those who copy from a template, and alone by whoever removes it.
const USE: i64 = LOCK + 1;

/// Its line in the table.
pub(crate) const WAY: Way = Way {
    used_as: Use::Database,
    engine: ENGINE,
    schemes: SCHEMES,
    isolation: Isolation::Database,
    kind: KIND,
    words: WORDS,
    open: |ground| Box::pin(open(ground)),
};

/// A database a lease.
struct Databases {
    settings: ServiceSettings,
    admin: Admin,
    why: String,
    template: OnceCell<String>,
    /// Whether the server lets a lease's role in, which is tried once.
    let_in: OnceCell<()>,
}

async fn open(ground: Ground) -> Result<Offer, ServiceError> {
    let admin = Admin::configured(&ground.settings)?;
    let mut own = None;
    if ground.sought.is_some() {
        let standing = admin.found_standing().await?;
        if !standing.databases || !standing.roles {
            let why = format!("`{}` may create no databases", standing.role);
            return Ok(Offer::Lacking { why, error: admin.lacks(&standing, Right::Any) });
        }
        own = Some(format!("`{}` may create databases", standing.role));
    }
    let (template, let_in) = (OnceCell::new(), OnceCell::new());
    Ok(Offer::had(Databases { why: ground.because(own), settings: ground.settings, admin, template, let_in }))
}

impl Databases {
    /// Connects, and checks that the role may do what this level needs.
    async fn connect(&self) -> Result<(PgConnection, Standing), ServiceError> {
        let mut connection = self.admin.connect().await?;
        let standing = self.admin.standing(&mut connection).await?;
        match (standing.databases, standing.roles) {
            (true, true) => Ok((connection, standing)),
            (false, _) => Err(self.admin.lacks(&standing, Right::Databases)),
            (_, false) => Err(self.admin.lacks(&standing, Right::Roles)),
        }
    }

    async fn template(&self) -> Result<&str, ServiceError> {
        Ok(self.template.get_or_try_init(async || self.find_or_build().await).await?)
    }

    async fn find_or_build(&self) -> Result<String, ServiceError> {
        let seed = Seed::read(&self.settings.seed)?;
        let digest = seed.digest(KIND);
        let name = format!("{TEMPLATE}{digest}");
        let (mut connection, _) = self.connect().await?;
        // Held until the connection ends, however it ends.
        self.admin.looked(postgres::lock(&mut connection, LOCK).await)?;
        if let Some(found) = self.admin.looked(postgres::find_database(&mut connection, &name).await)? {
            if is_marked(&found, &digest) {
                return Ok(name);
            }
            return Err(ServiceError::Refused(format!(
                "the database `{name}` at {} is in the place of a template and carries no mark of ours: drop or rename it",
                self.admin.server.place()
            )));
        }
        self.sweep(&mut connection).await?;
        self.owner(&mut connection).await?;
        let building = format!("{BUILDING}{}", nonce());
        let built = self.build(&mut connection, &building, &name, &digest, &seed).await;
        if built.is_err() {
            self.admin.execute(&mut connection, "dropping a template", postgres::drop_database(&building)).await?;
        }
        built?;
        connection.close().await.map_err(|why| self.admin.failed("closing", &why))?;
        Ok(name)
    }

    /// Drops what killed builders left; they held the lock that we hold.
    async fn sweep(&self, connection: &mut PgConnection) -> Result<(), ServiceError> {
        let begun = format!("{MARKER} building");
        for left in self.admin.looked(postgres::marked_databases(connection, BUILDING, &begun).await)? {
            self.admin.execute(connection, "dropping a template", postgres::drop_database(&left)).await?;
        }
        Ok(())
    }

    async fn owner(&self, connection: &mut PgConnection) -> Result<(), ServiceError> {
        match self.admin.looked(postgres::find_role(connection, OWNER).await)? {
            None => {
                let text = postgres::create_owner(OWNER, &marker("owner"));
                self.admin.execute(connection, "creating the templates' owner", text).await
            }
            Some(found) if is_ours(&found) => Ok(()),
            Some(_) => Err(ServiceError::Refused(format!(
                "the role `{OWNER}` at {} is somebody else's: rename it, or set `database.isolation` to another level",
                self.admin.server.place()
            ))),
        }
    }

    async fn build(
        &self,
        connection: &mut PgConnection,
        building: &str,
        name: &str,
        digest: &str,
        seed: &Seed,
    ) -> Result<(), ServiceError> {
        let what = "building a template";
        let admin = &self.admin;
        admin.execute(connection, what, postgres::create_empty_database(building)).await?;
        let begun = postgres::comment_on_database(building, &format!("{MARKER} building"));
        admin.execute(connection, what, begun).await?;
        admin.execute(connection, what, postgres::open_to_owner(building, OWNER)).await?;
        let mut inside = admin.connect_to(building).await?;
        admin.execute(&mut inside, what, postgres::open_public_schema(OWNER)).await?;
        inside.close().await.map_err(|why| admin.failed(what, &why))?;
        for script in seed.scripts() {
            // A session for each file: what one sets does not reach the next.
            let mut inside = admin.connect_to(building).await?;
            admin.execute(&mut inside, what, postgres::become_role(OWNER)).await?;
            postgres::run_script(&mut inside, script.text).await.map_err(|why| script.failed(&why))?;
            inside.close().await.map_err(|why| admin.failed(what, &why))?;
        }
        let mut inside = admin.connect_to(building).await?;
        admin.execute(&mut inside, what, postgres::become_role(OWNER)).await?;
        admin.execute(&mut inside, what, postgres::SETTLE.to_owned()).await?;
        inside.close().await.map_err(|why| admin.failed(what, &why))?;
        admin.execute(connection, what, postgres::close_database(building)).await?;
        admin.execute(connection, what, postgres::comment_on_database(building, &marker(digest))).await?;
        admin.execute(connection, what, postgres::rename_database(building, name)).await
    }

    async fn clone_template(
        &self,
        connection: &mut PgConnection,
        standing: &Standing,
        resource: &ServiceResource,
        password: &str,
    ) -> Result<u32, ServiceError> {
        let (admin, name, what) = (&self.admin, resource.name.as_str(), "cloning the template");
        let template = self.template().await?;
        let mark = marker(&resource.nonce);
        let limit = share(standing, self.settings.leases);
        let role = postgres::create_role(name, password, limit, Some(OWNER), &mark);
        admin.execute(connection, "creating a role", format!("{} {role}", postgres::alone())).await?;
        if standing.version >= 180_000 {
            // A server that was built without it says so, and copies.
            drop(postgres::execute(connection, postgres::SHARE_BLOCKS.to_owned()).await);
        }
        // Until the connection ends. What was removed before this is built anew.
        admin.looked(postgres::lock_shared(connection, USE).await)?;
        if admin.looked(postgres::find_database(connection, template).await)?.is_none() {
            self.find_or_build().await?;
        }
        admin.execute(connection, what, postgres::clone_database(name, template, standing.version)).await?;
        admin.execute(connection, what, postgres::comment_on_database(name, &mark)).await?;
        let opened = format!("{} {}", postgres::open_to_owner(name, OWNER), postgres::allow_connect(name, name));
        admin.execute(connection, what, opened).await?;
        let found = admin.looked(postgres::find_database(connection, name).await)?;
        Ok(found.map_or(0, |found| found.oid))
    }
}

impl Databases {
    fn check(&self, resource: &ServiceResource) -> Result<(), ServiceError> {
        place::check(resource, KIND)?;
        let place = self.admin.server.place();
        if resource.place == place { Ok(()) } else { Err(elsewhere(resource, &place)) }
    }

    /// Drops the database and the role of a lease, as far as they are there and ours.
    async fn drop_from(&self, connection: &mut PgConnection, resource: &ServiceResource) -> Result<(), ServiceError> {
        let (admin, name) = (&self.admin, resource.name.as_str());
        let role = admin.looked(postgres::find_role(connection, name).await)?;
        let database = admin.looked(postgres::find_database(connection, name).await)?;
        let role_is_ours = role.as_ref().is_some_and(|found| is_marked(found, &resource.nonce));
        if let Some(found) = &database {
            let begun = role_is_ours && found.comment.is_none();
            if !is_marked(found, &resource.nonce) && !begun && resource.oid != Some(found.oid) {
                return Err(place::foreign(resource));
            }
            if admin.looked(postgres::has_prepared(connection, name).await)? {
                let mut inside = admin.connect_to(name).await?;
                admin.looked(postgres::end_prepared(&mut inside, None).await)?;
                inside.close().await.map_err(|why| admin.failed("closing", &why))?;
            }
            admin.execute(connection, "dropping a database", postgres::drop_database(name)).await?;
        }
        match role {
            None => Ok(()),
            Some(_) if role_is_ours => {
                let text = format!("{} {}", postgres::alone(), postgres::drop_role(name));
                admin.execute(connection, "dropping a role", text).await
            }
            Some(_) => Err(place::foreign(resource)),
        }
    }
}

#[async_trait]
impl Service for Databases {
    fn choice(&self) -> Choice {
        let level = format!("postgresql database at {}", self.admin.server.place());
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
        self.template().await.map(drop)
    }

    async fn tidy(&self) -> Result<(), ServiceError> {
        let mut connection = self.admin.connect().await?;
        // Who still holds the lock after this is building.
        if self.admin.looked(postgres::lock_within(&mut connection, LOCK, TIDY_LIMIT).await)? {
            self.sweep(&mut connection).await?;
        }
        Ok(())
    }

    async fn forget(&self) -> Result<Vec<String>, ServiceError> {
        let (admin, what) = (&self.admin, "dropping a template");
        let mut connection = admin.connect().await?;
        if !admin.looked(postgres::lock_within(&mut connection, LOCK, TIDY_LIMIT).await)?
            || !admin.looked(postgres::lock_within(&mut connection, USE, Duration::ZERO).await)?
            || admin.looked(postgres::has_leases(&mut connection, OWNER).await)?
        {
            return Ok(Vec::new());
        }
        let mut removed = Vec::new();
        for name in admin.looked(postgres::templates(&mut connection, TEMPLATE, MARKER).await)? {
            admin.execute(&mut connection, what, postgres::drop_database(&name)).await?;
            removed.push(format!("database {name} at {}", admin.server.place()));
        }
        let owner = admin.looked(postgres::find_role(&mut connection, OWNER).await)?;
        // It stays where somebody else's template has something of it.
        if owner.is_some_and(|found| is_ours(&found))
            && postgres::execute(&mut connection, postgres::drop_role(OWNER)).await.is_ok()
        {
            removed.push(format!("role {OWNER} at {}", admin.server.place()));
        }
        Ok(removed)
    }

    fn intend(&self, lease: &LeaseName) -> ServiceResource {
        let mut resource = place::intend(KIND, &self.admin.server.place(), lease, None);
        resource.role = Some(resource.name.clone());
        resource
    }

    async fn create(&self, resource: &ServiceResource) -> Result<Ready, ServiceError> {
        self.check(resource)?;
        let (mut connection, standing) = self.connect().await?;
        self.admin.hold(&mut connection, resource).await?;
        self.drop_from(&mut connection, resource).await?;
        let password = place::password()?;
        let oid = self.clone_template(&mut connection, &standing, resource, &password).await?;
        let name = resource.name.as_str();
        let login = Login { user: name, password: &password, database: name, search_path: None };
        self.let_in.get_or_try_init(async || self.admin.check_login(&login).await).await?;
        let env = environment(&self.admin.server, &login, name);
        Ok(ready(ServiceResource { oid: Some(oid), ..resource.clone() }, env))
    }

    async fn remove(&self, resource: &ServiceResource) -> Result<(), ServiceError> {
        self.check(resource)?;
        let mut connection = self.admin.connect().await?;
        self.admin.hold(&mut connection, resource).await?;
        self.drop_from(&mut connection, resource).await
    }
}

/// The configuration names another server than the one that holds the resource.
pub fn elsewhere(resource: &ServiceResource, now: &str) -> ServiceError {
    ServiceError::Refused(format!(
        "`{}` is at {}, and `database.url` now names {now}: set it as it was when the run began",
        resource.name, resource.place
    ))
}
