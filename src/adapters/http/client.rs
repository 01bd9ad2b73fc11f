//! One request: what is asked, which answers are clean, and the kinds in which they are not.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::redirect::Policy;
use rustix::io::Errno;

use crate::adapters::load::{Failure, Target};

/// How much of an answer is kept in memory to look for the expected text.
const KEPT: usize = 4 << 20;
/// Servers commonly close idle connections after 5 s or more; ours must not race with that.
const IDLE: Duration = Duration::from_secs(2);
/// What the system says when this process can't open another connection.
const OURS: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS];

/// A path with an optional query, such as `/users?page=2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPath(String);

impl FromStr for RequestPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\');
        // With two slashes it would name another host.
        if plain && text.starts_with('/') && !text.starts_with("//") {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "`{text}` is no path to ask for: it starts with one `/` and has no spaces, such as `/users?page=2`"
        ))
    }
}

impl fmt::Display for RequestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is asked and what answers must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSettings {
    /// Asked for with GET.
    pub path: RequestPath,
    /// Text that every answer must hold.
    pub expect: Option<String>,
    /// How long one answer may take, from the sending on.
    pub limit: Duration,
}

/// The kinds of failure, by which they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Answered with a status other than 2xx.
    Status(u16),
    /// Answered 2xx without the expected text.
    Unexpected,
    /// No connection.
    Unconnected,
    /// The connection ended before the answer did.
    Broken,
    /// The time limit passed.
    Late,
    /// This machine has no more files or ports to connect with: nothing that a server does.
    Exhausted,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Unexpected => f.write_str("not the expected answer"),
            Self::Unconnected => f.write_str("no connection"),
            Self::Broken => f.write_str("connection broken"),
            Self::Late => f.write_str("no answer in time"),
            Self::Exhausted => f.write_str("no means to connect"),
        }
    }
}

/// The start of every client, with what encrypts. Whichever part of the program comes first installs
/// it; it is the same one everywhere.
pub fn builder() -> reqwest::ClientBuilder {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
}

/// The start of a client that encrypts nothing: it needs no certificates, and no proxy of the
/// system's may read along.
pub fn plain() -> reqwest::ClientBuilder {
    builder().no_proxy().tls_certs_only([])
}

/// Asks one server for one path over connections that stay open between requests.
pub struct Client {
    http: reqwest::Client,
    url: String,
    settings: RequestSettings,
}

impl Client {
    /// A client of the server on a loopback port that keeps up to `connections` open.
    pub fn new(port: u16, settings: RequestSettings, connections: usize) -> reqwest::Result<Self> {
        let http = plain()
            .http1_only()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(connections)
            .timeout(settings.limit)
            .build()?;
        Ok(Self { http, url: format!("http://127.0.0.1:{port}{}", settings.path), settings })
    }

    fn failed(&self, error: &reqwest::Error) -> Failure {
        if error.is_timeout() {
            let limit = crate::domain::quantity::show_duration(self.settings.limit);
            return self.fails(Kind::Late, &format!("no answer within {limit}"));
        }
        let mut cause: &dyn Error = error;
        let mut exhausted = false;
        while let Some(inner) = cause.source() {
            cause = inner;
            let system = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
            exhausted |= system.is_some_and(|code| OURS.iter().any(|errno| errno.raw_os_error() == code));
        }
        let kind = match (exhausted, error.is_connect()) {
            (true, _) => Kind::Exhausted,
            (false, true) => Kind::Unconnected,
            (false, false) => Kind::Broken,
        };
        self.fails(kind, &cause.to_string())
    }

    fn fails(&self, kind: Kind, what: &str) -> Failure {
        let asked = format!("GET {}: {what}", self.settings.path);
        match kind {
            Kind::Exhausted => Failure {
                kind: kind.to_string(),
                machine: true,
                message: format!("this machine can't hold the load: {asked}"),
            },
            _ => Failure { kind: kind.to_string(), machine: false, message: asked },
        }
    }
}

#[async_trait]
impl Target for Client {
    async fn ask(&self) -> Result<(), Failure> {
        let mut answer = self.http.get(&self.url).send().await.map_err(|error| self.failed(&error))?;
        let status = answer.status();
        let wanted = self.settings.expect.as_deref();
        let mut kept = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| self.failed(&error))? {
            let keep = !status.is_success() || wanted.is_some();
            let room = if keep { KEPT - kept.len() } else { 0 };
            kept.extend_from_slice(&part[..part.len().min(room)]);
        }
        let text = String::from_utf8_lossy(&kept);
        if !status.is_success() {
            return Err(self.fails(Kind::Status(status.as_u16()), &format!("{status}{}", quoted(&text))));
        }
        match wanted.filter(|wanted| !text.contains(wanted)) {
            None => Ok(()),
            Some(wanted) => {
                Err(self.fails(Kind::Unexpected, &format!("the answer does not hold `{wanted}`{}", quoted(&text))))
            }
        }
    }
}

/// The first line of an answer, as the end of a message.
fn quoted(text: &str) -> String {
    let line: String = text.trim_start().lines().next().unwrap_or_default().chars().take(80).collect();
    if line.is_empty() { String::new() } else { format!(" (`{}`)", line.trim_end()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_can_not_name_another_host() {
        for text in ["/", "/users?page=2&q=a%20b", "/a//b"] {
            assert_eq!(text.parse::<RequestPath>().unwrap().to_string(), text);
        }
        for text in
            ["", "users", "//elsewhere/", "@elsewhere/", "http://elsewhere/", "/a b", "/a#b", "/\\elsewhere", "/ä"]
        {
            text.parse::<RequestPath>().unwrap_err();
        }
    }
}
