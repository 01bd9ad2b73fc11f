//! Connection URLs: read from the configuration, built for leases, never shown with credentials.
//!
//! A lease's URL for a socket is `postgresql:///db?host=/dir&port=5432&user=u&password=p`: with the
//! credentials in the query, because some parsers refuse credentials before an empty host and
//! others let a host in the authority win over the socket. libpq, SQLAlchemy, asyncpg and sqlx all
//! read it.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use url::Url;

/// What an application speaks; a URL's scheme tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

impl Engine {
    /// The engine that a scheme such as `postgresql+psycopg` names.
    pub(crate) fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme.split('+').next().unwrap_or_default() {
            "postgres" | "postgresql" => Some(Self::Postgres),
            "sqlite" | "sqlite3" => Some(Self::Sqlite),
            _ => None,
        }
    }
}

/// The scheme of a URL, without reading the rest.
pub fn scheme(url: &str) -> &str {
    url.split_once(':').map_or("", |(scheme, _)| scheme)
}

/// A server of the configuration. Has no `Debug`: it holds credentials.
#[derive(Clone)]
pub struct Server {
    options: PgConnectOptions,
    scheme: String,
    /// Query parameters that are about the connection and not about who connects (`sslmode`, …).
    query: Vec<(String, String)>,
}

/// Who connects to what.
#[derive(Clone)]
pub struct Login<'a> {
    /// The role.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// The database.
    pub database: &'a str,
    /// `search_path`, where it is not the default.
    pub search_path: Option<&'a str>,
}

/// Parameters that a lease's URL gets from us instead.
const OURS: &[&str] = &["host", "hostaddr", "port", "user", "password", "dbname", "options", "application_name"];

impl Server {
    /// Reads a URL. The error never repeats it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let scheme = scheme(text).to_owned();
        let rest = text.get(scheme.len()..).unwrap_or_default();
        let url = Url::parse(&format!("postgresql{rest}")).map_err(|why| why.to_string())?;
        let options = PgConnectOptions::from_str(url.as_str()).map_err(|_| "a parameter has a bad value".to_owned())?;
        let kept = url.query_pairs().filter(|(name, _)| !OURS.contains(&&**name));
        let query = kept.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        Ok(Self { options, scheme, query })
    }

    /// A server of ours that listens on a socket in this directory.
    pub(crate) fn in_directory(scheme: &str, directory: &str, port: u16) -> Self {
        let options = PgConnectOptions::new_without_pgpass().socket(directory).port(port);
        Self { options, scheme: scheme.to_owned(), query: Vec::new() }
    }

    /// How to connect as the URL says.
    pub fn options(&self) -> PgConnectOptions {
        self.options.clone().application_name("blueprint")
    }

    /// How to connect as somebody else.
    pub(crate) fn options_for(&self, login: &Login<'_>) -> PgConnectOptions {
        let options = self.options().username(login.user).password(login.password).database(login.database);
        match login.search_path {
            Some(path) => options.options([("search_path", path)]),
            None => options,
        }
    }

    /// Host name or socket directory.
    pub fn host(&self) -> String {
        match self.options.get_socket() {
            Some(directory) => directory.display().to_string(),
            None => self.options.get_host().to_owned(),
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.options.get_port()
    }

    /// The role that the URL names, or the one that the system's user gives.
    pub fn user(&self) -> &str {
        self.options.get_username()
    }

    /// The database that the URL names; the role's own where it names none.
    pub fn database(&self) -> &str {
        self.options.get_database().unwrap_or_else(|| self.options.get_username())
    }

    /// `host:port/database`, for messages and the journal.
    pub fn place(&self) -> String {
        format!("{}:{}/{}", self.host(), self.port(), self.database())
    }

    /// Whether it listens on this machine only, as far as the name tells.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        self.options.get_socket().is_some() || loopback || matches!(bare, "" | "localhost")
    }

    /// The URL that a lease's processes get, with the scheme of the configuration's.
    pub(crate) fn url_for(&self, login: &Login<'_>) -> String {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        let host = self.host();
        let mut out = format!("{}://", self.scheme);
        if host.starts_with('/') || host.is_empty() {
            if !host.is_empty() {
                pairs.append_pair("host", &host);
            }
            pairs.append_pair("port", &self.port().to_string());
            pairs.append_pair("user", login.user).append_pair("password", login.password);
        } else {
            out.push_str(&format!("{}:{}@{host}:{}", encode(login.user), encode(login.password), self.port()));
        }
        out.push_str(&format!("/{}", encode(login.database)));
        if let Some(path) = login.search_path {
            pairs.append_pair("options", &format!("-csearch_path={path}"));
        }
        for (name, value) in &self.query {
            pairs.append_pair(name, value);
        }
        let query = pairs.finish();
        if !query.is_empty() {
            out.push_str(&format!("?{query}"));
        }
        // Clients read a slash as it is; some would not decode it.
        out.replace("%2F", "/")
    }
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The URL of a SQLite file with an absolute path: four slashes, which SQLAlchemy and its kind
/// need for an absolute path and which sqlx reads as one too.
pub fn sqlite(scheme: &str, file: &std::path::Path) -> String {
    format!("{scheme}:///{}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Login<'_> = Login { user: "bp_a", password: "s3cret", database: "bp_a", search_path: None };

    #[test]
    fn a_lease_gets_the_configured_server_with_its_own_credentials() {
        let server = Server::parse("postgresql+asyncpg://me:top%20secret@localhost:5433/dev?sslmode=disable").unwrap();
        assert_eq!(server.place(), "localhost:5433/dev");
        assert_eq!(server.url_for(&LOGIN), "postgresql+asyncpg://bp_a:s3cret@localhost:5433/bp_a?sslmode=disable");
    }

    #[test]
    fn a_socket_goes_into_the_query_and_a_search_path_into_the_options() {
        let server = Server::in_directory("postgresql", "/tmp/bp-1", 5432);
        let login = Login { search_path: Some("bp_s"), ..LOGIN };
        let url = server.url_for(&login);
        assert_eq!(
            url,
            "postgresql:///bp_a?host=/tmp/bp-1&port=5432&user=bp_a&password=s3cret&options=-csearch_path%3Dbp_s"
        );
        let read = PgConnectOptions::from_str(&url).unwrap();
        assert_eq!(read.get_socket().unwrap().to_str(), Some("/tmp/bp-1"));
        assert_eq!((read.get_username(), read.get_database()), ("bp_a", Some("bp_a")));
        assert_eq!(read.get_options(), Some("-csearch_path=bp_s"));
    }

    #[test]
    fn what_is_on_this_machine_is_told_from_what_is_not() {
        for (url, local) in [
            ("postgres://localhost/x", true),
            ("postgres://127.0.0.2:1/x", true),
            ("postgres://[::1]/x", true),
            ("postgres:///x?host=/var/run/postgresql", true),
            ("postgres://db.example.com/x", false),
            ("postgres://10.0.0.1/x", false),
        ] {
            assert_eq!(Server::parse(url).unwrap().is_local(), local, "{url}");
        }
    }

    #[test]
    fn an_error_about_a_url_never_repeats_its_password() {
        for url in ["postgres://me:hunter2@host:99999/x", "postgres://me:hunter2@h/x?port=hunter2", "hunter2"] {
            let error = Server::parse(url).err().unwrap_or_default();
            assert!(!error.is_empty() && !error.contains("hunter2"), "{url}: {error}");
        }
    }
}
