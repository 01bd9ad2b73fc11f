//! A provider that writes its answer in pieces, each in a packet of its own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blueprint::adapters::proxy::{Door, LoopbackProxy, Opening, Patience, Proxy};

use crate::bank::Bank;
use crate::house::settings;

/// Answers every request with a head of this type and these pieces, and then ends. It lasts as long as the test.
pub fn drip(
    content_type: &str,
    pieces: impl Iterator<Item = Vec<u8>> + Clone + Send + 'static,
    pace: Duration,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (head, pieces) = (head.clone(), pieces.clone());
            std::thread::spawn(move || answer(stream, &head, pieces, pace));
        }
    });
    url
}

fn answer(mut stream: TcpStream, head: &str, pieces: impl Iterator<Item = Vec<u8>>, pace: Duration) {
    drop(stream.set_nodelay(true));
    let mut heard = Vec::new();
    let mut buffer = [0; 65536];
    // The whole request: its head, and as much as that promises.
    loop {
        let length = stream.read(&mut buffer).unwrap_or(0);
        heard.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&heard).to_ascii_lowercase();
        let promised = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
        if length == 0 || body.is_some_and(|body| body >= promised.unwrap_or(0)) {
            break;
        }
    }
    if stream.write_all(head.as_bytes()).is_err() {
        return;
    }
    for piece in pieces {
        std::thread::sleep(pace);
        // Who hangs up has heard enough.
        if stream.write_all(&piece).is_err() {
            return;
        }
    }
}

/// A proxy in front of such a provider.
pub struct Tap {
    pub door: Box<dyn Door>,
    pub bank: Arc<Bank>,
    transcript: PathBuf,
    _proxy: LoopbackProxy,
    _dir: tempfile::TempDir,
}

impl Tap {
    pub async fn open(url: &str, patience: Patience) -> Self {
        let proxy = LoopbackProxy::with_patience(settings(url), patience).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let bank = Bank::rich();
        let transcript = dir.path().join("a.jsonl");
        let opening =
            Opening { trial: "a".to_owned(), purse: bank.purse("A"), transcript: transcript.clone(), time: None };
        let door = proxy.open(opening).await.unwrap();
        Self { door, bank, transcript, _proxy: proxy, _dir: dir }
    }

    /// Closes the door; what was noted.
    pub async fn transcript(self) -> String {
        self.door.close().await;
        std::fs::read_to_string(&self.transcript).unwrap()
    }
}
