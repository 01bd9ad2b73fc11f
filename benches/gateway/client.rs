//! The load generator: plain HTTP/1.1 over kept connections, the same for every server, and no
//! more work a request than it takes to know when the first byte and the last one came.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing here answers this slowly unless it is broken.
const LIMIT: Duration = Duration::from_secs(60);

/// A server and what it is asked.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    request: Arc<[u8]>,
}

impl Target {
    /// `base` such as `http://127.0.0.1:40123/v1`; this path is asked below it.
    pub fn new(base: &str, path: &str, key: &str, body: &str) -> Self {
        let url = url::Url::parse(base).expect("a base URL");
        let address = url.socket_addrs(|| None).expect("an address")[0];
        let request = format!(
            "POST {}{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\naccept: */*\r\ncontent-length: {}\r\n\r\n{body}",
            url.path().trim_end_matches('/'),
            body.len()
        );
        Self { address, request: request.into_bytes().into() }
    }
}

/// When an answer came, since its request was sent.
#[derive(Clone, Copy)]
pub struct Times {
    /// The first byte of its body.
    pub first: Duration,
    /// The last one.
    pub whole: Duration,
}

/// One connection, kept.
pub struct Connection {
    stream: TcpStream,
    request: Arc<[u8]>,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Arc::clone(&target.request), buffer: Vec::with_capacity(16 << 10) })
    }

    /// Asks, and reads the answer to its end. Anything but a 200 is an error.
    pub async fn ask(&mut self) -> Result<Times> {
        match tokio::time::timeout(LIMIT, self.exchange()).await {
            Ok(times) => times,
            Err(_) => Err(Error::new(ErrorKind::TimedOut, "no answer")),
        }
    }

    async fn exchange(&mut self) -> Result<Times> {
        self.buffer.clear();
        let sent = Instant::now();
        self.stream.write_all(&self.request).await?;
        let (mut head, mut first) = (None, None);
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Error::new(ErrorKind::UnexpectedEof, String::from_utf8_lossy(&self.buffer).into_owned()));
            }
            head = head.or_else(|| Head::read(&self.buffer));
            let Some(head) = head else { continue };
            if self.buffer.len() > head.end {
                first.get_or_insert_with(|| sent.elapsed());
            }
            if head.whole(&self.buffer) {
                let whole = sent.elapsed();
                if !self.buffer.starts_with(b"HTTP/1.1 200") {
                    return Err(Error::other(String::from_utf8_lossy(&self.buffer).into_owned()));
                }
                return Ok(Times { first: first.unwrap_or(whole), whole });
            }
        }
    }
}

/// What an answer's head says about its end.
#[derive(Clone, Copy)]
struct Head {
    end: usize,
    /// `None`: it comes in chunks.
    length: Option<usize>,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        Some(Self { end, length })
    }

    fn whole(self, bytes: &[u8]) -> bool {
        match self.length {
            Some(length) => bytes.len() >= self.end + length,
            None => bytes.ends_with(b"\r\n0\r\n\r\n"),
        }
    }
}

/// So many rounds of one request to each of these, which take turns in being the first.
pub async fn in_turns(targets: &[&Target], rounds: usize) -> Result<Vec<Vec<Times>>> {
    let mut connections = Vec::new();
    for target in targets {
        connections.push(Connection::open(target).await?);
    }
    let mut times = vec![Vec::with_capacity(rounds); targets.len()];
    for round in 0..rounds {
        for turn in 0..targets.len() {
            let which = (round + turn) % targets.len();
            times[which].push(connections[which].ask().await?);
        }
    }
    Ok(times)
}

/// What a load came to.
pub struct Load {
    pub requests: usize,
    pub elapsed: Duration,
    /// Seconds from the request to the last byte, in no order.
    pub latencies: Vec<f64>,
}

/// When a load ends.
#[derive(Clone, Copy)]
pub enum Until {
    Elapsed(Duration),
    Requests(usize),
}

/// As many requests as so many connections can make, each sending its next when it has its answer.
pub async fn load(target: &Target, connections: usize, until: Until) -> Result<Load> {
    let started = Instant::now();
    let sent = Arc::new(AtomicUsize::new(0));
    let mut workers = Vec::new();
    for _ in 0..connections {
        let (mut connection, sent) = (Connection::open(target).await?, Arc::clone(&sent));
        workers.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let number = sent.fetch_add(1, Ordering::Relaxed);
                let over = match until {
                    Until::Elapsed(duration) => started.elapsed() >= duration,
                    Until::Requests(most) => number >= most,
                };
                if over {
                    return Result::Ok(latencies);
                }
                latencies.push(connection.ask().await?.whole.as_secs_f64());
            }
        }));
    }
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(worker.await.expect("a worker that does not panic")?);
    }
    Ok(Load { requests: latencies.len(), elapsed: started.elapsed(), latencies })
}

impl Load {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}
