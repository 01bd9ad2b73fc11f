//! PostgreSQL: connecting within a limit, the statements we send, and scripts of the user's.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgErrorPosition};
use sqlx::{AssertSqlSafe, Connection, Row};

use super::script::{ScriptError, line_of, statements};
use super::{ident, literal};

/// Connects within a limit.
pub async fn connect(options: &PgConnectOptions, limit: Duration) -> Result<PgConnection, sqlx::Error> {
    tokio::time::timeout(limit, PgConnection::connect_with(options)).await.unwrap_or_else(|_| {
        let late = format!("no answer within {} s", limit.as_secs());
        Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, late)))
    })
}

/// Runs statements of ours, in one transaction if there are several.
pub async fn execute(connection: &mut PgConnection, text: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await.map(drop)
}

/// Whether a login was refused, as against a server that can't be reached.
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code()).unwrap_or_default();
    code.starts_with("28") || code == "3D000" || code == "42501"
}

/// What the server says about an object of its catalogs: its OID and our comment, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its OID.
    pub oid: u32,
    /// Its comment.
    pub comment: Option<String>,
}

const FIND_DATABASE: &str =
    "SELECT oid::int8, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1";
const FIND_ROLE: &str = "SELECT oid::int8, shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1";
const FIND_SCHEMA: &str = "SELECT oid::int8, obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1";

async fn find(conn: &mut PgConnection, query: &'static str, name: &str) -> Result<Option<Found>, sqlx::Error> {
    let row = sqlx::query(query).bind(name).fetch_optional(conn).await?;
    let Some(row) = row else { return Ok(None) };
    let oid: i64 = row.try_get(0)?;
    Ok(Some(Found { oid: u32::try_from(oid).unwrap_or_default(), comment: row.try_get(1)? }))
}

/// A database by its name.
pub(crate) async fn find_database(conn: &mut PgConnection, name: &str) -> Result<Option<Found>, sqlx::Error> {
    find(conn, FIND_DATABASE, name).await
}

/// A role by its name.
pub(crate) async fn find_role(conn: &mut PgConnection, name: &str) -> Result<Option<Found>, sqlx::Error> {
    find(conn, FIND_ROLE, name).await
}

/// A schema of the connection's database by its name.
pub(crate) async fn find_schema(conn: &mut PgConnection, name: &str) -> Result<Option<Found>, sqlx::Error> {
    find(conn, FIND_SCHEMA, name).await
}

/// Databases of the connected role whose names start like this and whose comment is this, or was
/// not written any more.
pub(crate) async fn marked_databases(
    conn: &mut PgConnection,
    prefix: &str,
    comment: &str,
) -> Result<Vec<String>, sqlx::Error> {
    let query = "SELECT datname::text FROM pg_database
                 WHERE starts_with(datname, $1) AND datdba = current_user::regrole
                 AND coalesce(shobj_description(oid, 'pg_database'), $2) = $2";
    let rows = sqlx::query(query).bind(prefix).bind(comment).fetch_all(conn).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Finished templates of the connected role: databases whose names start and whose comments begin like this.
pub async fn templates(conn: &mut PgConnection, prefix: &str, mark: &str) -> Result<Vec<String>, sqlx::Error> {
    let query = "SELECT datname::text FROM pg_database
                 WHERE starts_with(datname, $1) AND datdba = current_user::regrole
                 AND starts_with(shobj_description(oid, 'pg_database'), $2)";
    let rows = sqlx::query(query).bind(prefix).bind(mark).fetch_all(conn).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Whether leases' roles are members of the role that owns what templates hold.
pub(crate) async fn has_leases(conn: &mut PgConnection, owner: &str) -> Result<bool, sqlx::Error> {
    let query = r"SELECT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
                  WHERE m.roleid = (SELECT oid FROM pg_roles WHERE rolname = $1) AND r.rolname LIKE 'bp\_%')";
    sqlx::query_scalar(query).bind(owner).fetch_one(conn).await
}

/// What the connected role and its server allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The role.
    pub role: String,
    /// `server_version_num`, such as 150004.
    pub version: u32,
    /// Whether the server is a replica.
    pub replica: bool,
    /// May create databases.
    pub databases: bool,
    /// May create roles.
    pub roles: bool,
    /// May create schemas in the connection's database.
    pub schemas: bool,
    /// `max_connections`.
    pub connections: u32,
}

const STANDING: &str = "
    SELECT current_user::text, current_setting('server_version_num')::int, pg_is_in_recovery(),
           rolsuper OR rolcreatedb, rolsuper OR rolcreaterole,
           has_database_privilege(current_database(), 'CREATE'), current_setting('max_connections')::int
    FROM pg_roles WHERE rolname = current_user";

/// Asks the server what the connected role may do.
pub async fn standing(conn: &mut PgConnection) -> Result<Standing, sqlx::Error> {
    let row = sqlx::query(STANDING).fetch_one(conn).await?;
    let number =
        |at: usize| -> Result<u32, sqlx::Error> { Ok(u32::try_from(row.try_get::<i32, _>(at)?).unwrap_or_default()) };
    Ok(Standing {
        role: row.try_get(0)?,
        version: number(1)?,
        replica: row.try_get(2)?,
        databases: row.try_get(3)?,
        roles: row.try_get(4)?,
        schemas: row.try_get(5)?,
        connections: number(6)?,
    })
}

/// A role of a lease with its marker, both or neither. `owner` is what it acts as.
pub(crate) fn create_role(name: &str, password: &str, connections: u32, owner: Option<&str>, marker: &str) -> String {
    let role = ident(name);
    let mut text = format!(
        "CREATE ROLE {role} LOGIN PASSWORD {} CONNECTION LIMIT {connections};
         COMMENT ON ROLE {role} IS {};
         GRANT {role} TO CURRENT_USER;",
        literal(password),
        literal(marker),
    );
    if let Some(owner) = owner {
        let owner = ident(owner);
        text.push_str(&format!("GRANT {owner} TO {role}; ALTER ROLE {role} SET role = {owner};"));
    }
    text
}

/// The role that owns what templates hold, with its marker.
pub(crate) fn create_owner(name: &str, marker: &str) -> String {
    let role = ident(name);
    format!("CREATE ROLE {role} NOLOGIN; COMMENT ON ROLE {role} IS {}; GRANT {role} TO CURRENT_USER;", literal(marker))
}

/// An empty database, to be filled. Stands alone: no transaction may surround it.
pub(crate) fn create_empty_database(name: &str) -> String {
    format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", ident(name))
}

/// A clone by copying files, which costs no write-ahead log. Before version 15 there is no other way.
pub(crate) fn clone_database(name: &str, template: &str, version: u32) -> String {
    let strategy = if version >= 150_000 { " STRATEGY FILE_COPY" } else { "" };
    format!("CREATE DATABASE {} TEMPLATE {}{strategy}", ident(name), ident(template))
}

/// Small steps of a session don't wait for the disk. Creating a database does all the same, and what
/// was written before it, such as the role that marks it, is then on the disk too.
pub(crate) const HASTY: &str = "SET synchronous_commit = off";

/// Lets the server share blocks instead of copying, where it can (version 18).
pub(crate) const SHARE_BLOCKS: &str = "SET file_copy_method = 'clone'";

/// Marks a database.
pub(crate) fn comment_on_database(name: &str, comment: &str) -> String {
    format!("COMMENT ON DATABASE {} IS {}", ident(name), literal(comment))
}

/// Who may do what in a template that is being built: its owner's objects, nobody else's visits.
pub(crate) fn open_to_owner(database: &str, owner: &str) -> String {
    let (database, owner) = (ident(database), ident(owner));
    format!(
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC;
         GRANT CREATE, TEMPORARY ON DATABASE {database} TO {owner};"
    )
}

/// Needed since version 15, inside of the database.
pub(crate) fn open_public_schema(owner: &str) -> String {
    format!("GRANT ALL ON SCHEMA public TO {}", ident(owner))
}

/// Lets one role connect to a database.
pub(crate) fn allow_connect(database: &str, role: &str) -> String {
    format!("GRANT CONNECT ON DATABASE {} TO {}", ident(database), ident(role))
}

/// Acts as a role from now on.
pub(crate) fn become_role(role: &str) -> String {
    format!("SET ROLE {}", ident(role))
}

/// A filled template gets its last name.
pub(crate) fn rename_database(from: &str, to: &str) -> String {
    format!("ALTER DATABASE {} RENAME TO {}", ident(from), ident(to))
}

/// Nobody connects to a template: any session would make cloning fail.
pub(crate) fn close_database(name: &str) -> String {
    format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", ident(name))
}

/// Drops a database with whoever is connected to it.
pub(crate) fn drop_database(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(name))
}

/// Drops a role.
pub(crate) fn drop_role(name: &str) -> String {
    format!("DROP ROLE IF EXISTS {}", ident(name))
}

/// A schema with its role, both marked, all or nothing.
pub(crate) fn create_schema(name: &str, database: &str, marker: &str) -> String {
    let schema = ident(name);
    format!(
        "CREATE SCHEMA {schema} AUTHORIZATION {schema};
         COMMENT ON SCHEMA {schema} IS {};
         ALTER ROLE {schema} SET search_path = {schema};
         GRANT CONNECT, TEMPORARY ON DATABASE {} TO {schema};",
        literal(marker),
        ident(database),
    )
}

/// Everything a role owns or was granted in this database.
pub(crate) fn drop_owned(role: &str) -> String {
    format!("DROP OWNED BY {} CASCADE", ident(role))
}

/// Drops a schema with what is in it.
pub(crate) fn drop_schema(name: &str) -> String {
    format!("DROP SCHEMA IF EXISTS {} CASCADE", ident(name))
}

/// The application's role in a private server. It may create databases, as test runners do: none of
/// them is anybody else's.
pub(crate) fn create_application(role: &str, password: &str) -> String {
    format!("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}", ident(role), literal(password))
}

/// A database that a role owns. Stands alone.
pub(crate) fn create_owned_database(name: &str, owner: &str) -> String {
    format!("CREATE DATABASE {} OWNER {}", ident(name), ident(owner))
}

/// Vacuumed, with statistics, and written out.
pub(crate) const SETTLE: &str = "VACUUM (ANALYZE)";

/// As [`SETTLE`], for a role that owns only some of a database's tables.
pub(crate) const SETTLE_OWN: &str = "ANALYZE";

/// A new password.
pub(crate) fn set_password(role: &str, password: &str) -> String {
    format!("ALTER ROLE {} PASSWORD {}", ident(role), literal(password))
}

/// What lets a role make databases with roles of their own.
pub(crate) fn grant_databases(role: &str) -> String {
    format!("ALTER ROLE {} CREATEDB CREATEROLE", ident(role))
}

/// What lets a role make roles.
pub(crate) fn grant_roles(role: &str) -> String {
    format!("ALTER ROLE {} CREATEROLE", ident(role))
}

/// What lets a role make schemas in a database.
pub(crate) fn grant_schemas(role: &str, database: &str) -> String {
    format!("GRANT CREATE ON DATABASE {} TO {}", ident(database), ident(role))
}

/// Ends the sessions of a role and says how many there were.
pub(crate) async fn end_sessions(conn: &mut PgConnection, role: &str) -> Result<usize, sqlx::Error> {
    let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1";
    Ok(sqlx::query(query).bind(role).fetch_all(conn).await?.len())
}

/// Whether a database has transactions that were prepared and neither committed nor rolled back.
pub(crate) async fn has_prepared(conn: &mut PgConnection, database: &str) -> Result<bool, sqlx::Error> {
    let query = "SELECT EXISTS (SELECT FROM pg_prepared_xacts WHERE database = $1)";
    sqlx::query_scalar(query).bind(database).fetch_one(conn).await
}

/// Rolls back transactions that were prepared in the connection's database, all or those of one role: they outlive their
/// sessions, keep what they locked, and no database can be dropped that has one. Each is its role's to end.
pub(crate) async fn end_prepared(conn: &mut PgConnection, role: Option<&str>) -> Result<(), sqlx::Error> {
    let query = "SELECT gid, owner::text FROM pg_prepared_xacts
                 WHERE database = current_database() AND ($1::text IS NULL OR owner = $1)";
    let prepared: Vec<(String, String)> = sqlx::query_as(query).bind(role).fetch_all(&mut *conn).await?;
    for (name, owner) in prepared {
        execute(conn, become_role(&owner)).await?;
        execute(conn, format!("ROLLBACK PREPARED {}", literal(&name))).await?;
        execute(conn, "RESET ROLE".to_owned()).await?;
    }
    Ok(())
}

/// Takes a lock of the whole server for as long as the connection lives.
pub async fn lock(conn: &mut PgConnection, key: i64) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_lock($1)").bind(key).execute(conn).await.map(drop)
}

/// As [`lock`], beside others who take it so.
pub(crate) async fn lock_shared(conn: &mut PgConnection, key: i64) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_lock_shared($1)").bind(key).execute(conn).await.map(drop)
}

/// As [`lock`], and whether it was to be had within a limit.
pub(crate) async fn lock_within(conn: &mut PgConnection, key: i64, limit: Duration) -> Result<bool, sqlx::Error> {
    let until = std::time::Instant::now() + limit;
    loop {
        let query = "SELECT pg_try_advisory_lock($1)";
        if sqlx::query_scalar(query).bind(key).fetch_one(&mut *conn).await? {
            return Ok(true);
        }
        if std::time::Instant::now() > until {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Until the end of a transaction nobody else of us changes roles or rights: two such changes of one
/// object at a time end in an error. Not the lock under which templates are built, which is long.
pub fn alone() -> String {
    "SELECT pg_advisory_xact_lock(7093862017731881327);".to_owned()
}

/// Runs a script of the user's, a statement at a time, each in its own transaction unless the
/// script opens one.
pub(crate) async fn run_script(conn: &mut PgConnection, text: &str) -> Result<(), ScriptError> {
    for statement in statements(text)? {
        let done = match statement.rows {
            None => execute(conn, statement.text.to_owned()).await,
            Some(rows) => copy(conn, statement.text, rows).await,
        };
        if let Err(error) = done {
            let line = statement.line - 1 + line_of(statement.text, offset(&error, statement.text));
            return Err(ScriptError { line, why: said(&error) });
        }
    }
    Ok(())
}

async fn copy(conn: &mut PgConnection, statement: &str, rows: &str) -> Result<(), sqlx::Error> {
    let mut sink = conn.copy_in_raw(statement).await?;
    for part in rows.as_bytes().chunks(1 << 20) {
        sink.send(part).await?;
    }
    sink.finish().await.map(drop)
}

/// The byte in the statement that the error is about; its start where that is unknown.
pub(super) fn offset(error: &sqlx::Error, statement: &str) -> usize {
    let details = error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>());
    match details.and_then(PgDatabaseError::position) {
        Some(PgErrorPosition::Original(at)) => {
            statement.char_indices().nth(at.saturating_sub(1)).map_or(0, |(byte, _)| byte)
        }
        _ => 0,
    }
}

/// What the server said, without the library's words around it.
pub fn said(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(inner) => inner.message().to_owned(),
        None => error.to_string(),
    }
}
