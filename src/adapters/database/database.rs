//! PostgreSQL, a database each on the configured server: cloned from a closed template by copying
//! files, each with a role that can enter no other.
//!
//! What templates hold belongs to `bp_owner`, which nobody logs in as. A lease's role is its member
//! and acts as it; the right to connect is what keeps leases apart. On removal the role's mark, made
//! in one transaction with it, also proves a database whose own mark was not yet written.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, PgConnection};
use tokio::sync::OnceCell;

use super::admin::{Admin, LOCK, Right, is_marked, is_ours, share};
use super::place;
use super::seed::Seed;
use super::server::environment;
use super::{Choice, Connected, Database, DatabaseError, DatabaseResource, DatabaseSettings, Ground, LeaseName};
use crate::adapters::sql::postgres::{self, Standing};
use crate::adapters::sql::url::Login;
use crate::adapters::sql::{MARKER, marker};

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

/// A database a lease.
pub struct Databases {
    settings: DatabaseSettings,
    admin: Admin,
    why: String,
    template: OnceCell<String>,
    /// Whether the server lets a lease's role in, which is tried once.
    let_in: OnceCell<()>,
}

impl Databases {
    /// For the table.
    pub fn open(ground: Ground) -> Result<Arc<dyn Database>, DatabaseError> {
        let admin = Admin::configured(&ground.settings, "database")?;
        let (template, let_in) = (OnceCell::new(), OnceCell::new());
        Ok(Arc::new(Self { settings: ground.settings, admin, why: ground.why, template, let_in }))
    }

    /// Connects, and checks that the role may do what this level needs.
    async fn connect(&self) -> Result<(PgConnection, Standing), DatabaseError> {
        let mut connection = self.admin.connect().await?;
        let standing = self.admin.standing(&mut connection).await?;
        match (standing.databases, standing.roles) {
            (true, true) => Ok((connection, standing)),
            (false, _) => Err(self.admin.lacks(&standing, Right::Databases)),
            (_, false) => Err(self.admin.lacks(&standing, Right::Roles)),
        }
    }

    async fn template(&self) -> Result<&str, DatabaseError> {
        Ok(self.template.get_or_try_init(async || self.find_or_build().await).await?)
    }

    async fn find_or_build(&self) -> Result<String, DatabaseError> {
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
            return Err(DatabaseError::Refused(format!(
                "the database `{name}` at {} is in the place of a template and carries no mark of ours: drop or rename it",
                self.admin.server.place()
            )));
        }
        self.sweep(&mut connection).await?;
        self.owner(&mut connection).await?;
        let building = format!("{BUILDING}{}", place::nonce());
        let built = self.build(&mut connection, &building, &name, &digest, &seed).await;
        if built.is_err() {
            self.admin.execute(&mut connection, "dropping a template", postgres::drop_database(&building)).await?;
        }
        built?;
        connection.close().await.map_err(|why| self.admin.failed("closing", &why))?;
        Ok(name)
    }

    /// Drops what killed builders left; they held the lock that we hold.
    async fn sweep(&self, connection: &mut PgConnection) -> Result<(), DatabaseError> {
        let begun = format!("{MARKER} building");
        for left in self.admin.looked(postgres::marked_databases(connection, BUILDING, &begun).await)? {
            self.admin.execute(connection, "dropping a template", postgres::drop_database(&left)).await?;
        }
        Ok(())
    }

    async fn owner(&self, connection: &mut PgConnection) -> Result<(), DatabaseError> {
        match self.admin.looked(postgres::find_role(connection, OWNER).await)? {
            None => {
                let text = postgres::create_owner(OWNER, &marker("owner"));
                self.admin.execute(connection, "creating the templates' owner", text).await
            }
            Some(found) if is_ours(&found) => Ok(()),
            Some(_) => Err(DatabaseError::Refused(format!(
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
    ) -> Result<(), DatabaseError> {
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
        resource: &DatabaseResource,
        password: &str,
    ) -> Result<u32, DatabaseError> {
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
    fn check(&self, resource: &DatabaseResource) -> Result<(), DatabaseError> {
        place::check(resource, KIND)?;
        let place = self.admin.server.place();
        if resource.place == place { Ok(()) } else { Err(elsewhere(resource, &place)) }
    }

    /// Drops the database and the role of a lease, as far as they are there and ours.
    async fn drop_from(&self, connection: &mut PgConnection, resource: &DatabaseResource) -> Result<(), DatabaseError> {
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
impl Database for Databases {
    fn choice(&self) -> Choice {
        Choice { level: format!("postgresql database at {}", self.admin.server.place()), why: self.why.clone() }
    }

    async fn reach(&self) -> Result<(), DatabaseError> {
        Seed::read(&self.settings.seed)?;
        self.connect().await.map(drop)
    }

    async fn prepare(&self) -> Result<(), DatabaseError> {
        self.template().await.map(drop)
    }

    async fn tidy(&self) -> Result<(), DatabaseError> {
        let mut connection = self.admin.connect().await?;
        // Who still holds the lock after this is building.
        if self.admin.looked(postgres::lock_within(&mut connection, LOCK, TIDY_LIMIT).await)? {
            self.sweep(&mut connection).await?;
        }
        Ok(())
    }

    async fn forget(&self) -> Result<Vec<String>, DatabaseError> {
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

    fn intend(&self, lease: &LeaseName) -> DatabaseResource {
        let mut resource = place::intend(KIND, &self.admin.server.place(), lease, None);
        resource.role = Some(resource.name.clone());
        resource
    }

    async fn create(&self, resource: &DatabaseResource) -> Result<Connected, DatabaseError> {
        self.check(resource)?;
        let (mut connection, standing) = self.connect().await?;
        self.admin.hold(&mut connection, resource).await?;
        self.drop_from(&mut connection, resource).await?;
        let password = place::secret()?;
        let oid = self.clone_template(&mut connection, &standing, resource, &password).await?;
        let name = resource.name.as_str();
        let login = Login { user: name, password: &password, database: name, search_path: None };
        self.let_in.get_or_try_init(async || self.admin.check_login(&login).await).await?;
        let env = environment(&self.admin.server, &login, name);
        Ok(Connected { resource: DatabaseResource { oid: Some(oid), ..resource.clone() }, env })
    }

    async fn remove(&self, resource: &DatabaseResource) -> Result<(), DatabaseError> {
        self.check(resource)?;
        let mut connection = self.admin.connect().await?;
        self.admin.hold(&mut connection, resource).await?;
        self.drop_from(&mut connection, resource).await
    }
}

/// The configuration names another server than the one that holds the resource.
pub fn elsewhere(resource: &DatabaseResource, now: &str) -> DatabaseError {
    DatabaseError::Refused(format!(
        "`{}` is at {}, and `database.url` now names {now}: set it as it was when the run began",
        resource.name, resource.place
    ))
}
