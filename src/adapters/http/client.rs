//! One request: what is asked, which answers are clean, and the kinds in which they are not.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::ACCEPT;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustix::io::Errno;

use super::answers::{Answers, Body};
use super::dial::Dial;
use crate::adapters::load::{Failure, Target};
use crate::adapters::process::Executor;
use crate::domain::quantity::show_duration;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// How much of an answer is kept in memory to look for the expected text.
const KEPT: usize = 4 << 20;
/// Servers commonly close idle connections after 5 s or more; ours must not race with that.
const IDLE: Duration = Duration::from_secs(2);
/// What the system says when this process can't open another connection.
const OURS: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS];

/// Where this stands in a path, each request has a number of its own, the same for every contender.
const NUMBER: &str = "{seed}";
/// It is below this, so that any server reads it as a number.
const NUMBERS: u64 = 1_000_000;

/// A path with an optional query, such as `/users?page=2` or `/users?page={seed}`.
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
    /// Answered otherwise than to the same question before.
    Changing,
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
            Self::Changing => f.write_str("another answer than before"),
            Self::Unconnected => f.write_str("no connection"),
            Self::Broken => f.write_str("connection broken"),
            Self::Late => f.write_str("no answer in time"),
            Self::Exhausted => f.write_str("no means to connect"),
        }
    }
}

/// The start of every client, with what encrypts. Whichever part of the program comes first installs
/// it; it is the same one everywhere.
pub(crate) fn builder() -> reqwest::ClientBuilder {
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
    http: legacy::Client<Dial, Empty<Bytes>>,
    server: String,
    settings: RequestSettings,
    seed: u64,
    answers: Option<Answers>,
}

impl Client {
    /// A client of the server on a loopback port, where this executor's programs are, that keeps up to `connections` open.
    pub fn new(exec: Arc<dyn Executor>, port: u16, settings: RequestSettings, connections: usize) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(connections)
            .build(Dial::new(exec, port));
        Self { http, server: format!("http://127.0.0.1:{port}"), settings, seed: 0, answers: None }
    }

    /// The same over the same connections, with the numbers of a slice in its path; answers are noted where they are to
    /// be compared.
    #[must_use]
    pub fn seeded(&self, seed: u64, answers: Option<Answers>) -> Self {
        let Self { http, server, settings, .. } = self;
        Self { http: http.clone(), server: server.clone(), settings: settings.clone(), seed, answers }
    }

    /// The path of a question.
    fn path(&self, question: u64) -> String {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(question);
        let number = random.next_u64() % NUMBERS;
        self.settings.path.0.replace(NUMBER, &number.to_string())
    }

    /// One request and its answer, however long that takes.
    async fn asked(&self, question: u64, path: &str) -> Result<(), Failure> {
        let request = Request::get(format!("{}{path}", self.server)).header(ACCEPT, "*/*").body(Empty::new());
        let request = request.map_err(|error| fails(Kind::Unconnected, path, &error.to_string()))?;
        let answer = self.http.request(request).await;
        let answer = answer.map_err(|error| failed(path, &error, error.is_connect()))?;
        let status = answer.status();
        let wanted = self.settings.expect.as_deref();
        let (mut kept, mut body, mut rest) = (Vec::new(), Body::default(), answer.into_body());
        while let Some(part) = rest.frame().await {
            let Ok(part) = part.map_err(|error| failed(path, &error, false))?.into_data() else { continue };
            let keep = !status.is_success() || wanted.is_some();
            let room = if keep { KEPT - kept.len() } else { 0 };
            kept.extend_from_slice(&part[..part.len().min(room)]);
            if self.answers.is_some() {
                body.take(&part);
            }
        }
        let text = String::from_utf8_lossy(&kept);
        if !status.is_success() {
            return Err(fails(Kind::Status(status.as_u16()), path, &format!("{status}{}", quoted(&text))));
        }
        if let Some(wanted) = wanted.filter(|wanted| !text.contains(wanted)) {
            let what = format!("the answer does not hold `{wanted}`{}", quoted(&text));
            return Err(fails(Kind::Unexpected, path, &what));
        }
        let Some(answers) = &self.answers else { return Ok(()) };
        answers.add(question, body).map_err(|(before, now)| {
            fails(Kind::Changing, path, &format!("answered `{before}` at first, and then `{now}`"))
        })
    }
}

/// Why there is no whole answer.
fn failed(path: &str, error: &(dyn Error + 'static), connecting: bool) -> Failure {
    let mut cause: &dyn Error = error;
    let mut exhausted = false;
    while let Some(inner) = cause.source() {
        cause = inner;
        let system = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        exhausted |= system.is_some_and(|code| OURS.iter().any(|errno| errno.raw_os_error() == code));
    }
    let kind = match (exhausted, connecting) {
        (true, _) => Kind::Exhausted,
        (false, true) => Kind::Unconnected,
        (false, false) => Kind::Broken,
    };
    fails(kind, path, &cause.to_string())
}

fn fails(kind: Kind, path: &str, what: &str) -> Failure {
    let asked = format!("GET {path}: {what}");
    match kind {
        Kind::Exhausted => Failure {
            kind: kind.to_string(),
            machine: true,
            message: format!("this machine can't hold the load: {asked}"),
        },
        _ => Failure { kind: kind.to_string(), machine: false, message: asked },
    }
}

#[async_trait]
impl Target for Client {
    async fn ask(&self, question: u64) -> Result<(), Failure> {
        let path = self.path(question);
        let limit = self.settings.limit;
        let late = |_| fails(Kind::Late, &path, &format!("no answer within {}", show_duration(limit)));
        tokio::time::timeout(limit, self.asked(question, &path)).await.unwrap_or_else(|passed| Err(late(passed)))
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
        for text in ["/", "/users?page=2&q=a%20b", "/a//b", "/users/{seed}"] {
            assert_eq!(text.parse::<RequestPath>().unwrap().to_string(), text);
        }
        for text in
            ["", "users", "//elsewhere/", "@elsewhere/", "http://elsewhere/", "/a b", "/a#b", "/\\elsewhere", "/ä"]
        {
            text.parse::<RequestPath>().unwrap_err();
        }
    }
}
