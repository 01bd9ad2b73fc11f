//! A trial's transcript: one JSON line an exchange, for people. A thread of its own takes secrets out
//! and writes, so that no answer waits for a disk. The accounts do not depend on it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::adapters::process::Redactor;
use crate::domain::budget::{Basis, Settlement};
use crate::domain::quantity::Tokens;
use crate::domain::wire::{Provider, Secret, Wire};

/// How much of a body is kept.
const KEPT: usize = 1 << 20;
/// Longer than any spelling of a secret; kept behind what is written, so that the cut shows no half of one.
const MARGIN: usize = 4 << 10;
/// What bodies that wait to be written may take together.
const QUEUED: usize = 32 << 20;
/// How many lines may wait.
const LINES: usize = 1024;

/// What is told of one exchange.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Line {
    /// Milliseconds since the step was opened.
    pub at_ms: u64,
    /// Until the answer was passed on or broken off.
    pub took_ms: u64,
    pub method: String,
    /// Below the provider's base, without the query.
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire: Option<Wire>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// What the client got; none where it was gone.
    pub status: Option<u16>,
    /// The upper bound of what is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<Tokens>,
    /// By what that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_by: Option<Basis>,
    /// The output that was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted: Option<Tokens>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement: Option<Settlement>,
    /// Why it was not let through, or not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// How the answer ended, where it did not end well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stripped: Vec<String>,
    /// What each try before the last came to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retried: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The start of a body, and how long it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Excerpt {
    start: Vec<u8>,
    whole: usize,
}

impl Excerpt {
    /// Of a body that is there.
    pub(super) fn of(body: &[u8]) -> Self {
        let mut made = Self::default();
        made.push(body);
        made
    }

    /// Takes the next piece of a body.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let room = KEPT + MARGIN - self.start.len();
        self.start.extend_from_slice(&piece[..piece.len().min(room)]);
        self.whole += piece.len();
    }

    fn text(&self, redactor: &Redactor) -> Option<String> {
        let note = match self.whole {
            0 => return None,
            whole if whole > KEPT => format!(" … [{} more bytes]", whole - KEPT),
            _ => String::new(),
        };
        let cleaned = redactor.clean(&self.start, KEPT);
        Some(format!("{}{note}", String::from_utf8_lossy(&cleaned)))
    }
}

/// What the writer is told.
enum Note {
    Line { file: Arc<File>, line: Box<Line>, request: Excerpt, response: Excerpt },
    Flushed(oneshot::Sender<()>),
}

/// Where exchanges leave their lines. Its clones write to the same thread, which ends with the last of them.
#[derive(Clone)]
pub(super) struct Scribe {
    notes: mpsc::Sender<Note>,
    queued: Arc<AtomicUsize>,
    redactor: Arc<Mutex<Arc<Redactor>>>,
}

impl Scribe {
    /// Starts the thread.
    pub(super) fn start(redactor: Redactor) -> std::io::Result<Self> {
        let (notes, taken) = mpsc::channel(LINES);
        let queued = Arc::new(AtomicUsize::new(0));
        let redactor = Arc::new(Mutex::new(Arc::new(redactor.with_bearers())));
        let (bytes, known) = (Arc::clone(&queued), Arc::clone(&redactor));
        std::thread::Builder::new().name("transcripts".to_owned()).spawn(move || write(taken, &bytes, &known))?;
        Ok(Self { notes, queued, redactor })
    }

    /// Takes a trial's token out from now on.
    pub(super) fn hide(&self, token: &Secret) {
        let mut known = self.redactor.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Arc::new(Redactor::clone(&known).knowing(token));
    }

    /// Leaves a line. Where the disk does not keep up bodies are left out, and then this waits.
    pub(super) async fn note(&self, file: &Arc<File>, line: Line, mut request: Excerpt, mut response: Excerpt) {
        let bytes = request.start.len() + response.start.len();
        if self.queued.fetch_add(bytes, Ordering::Relaxed) + bytes > QUEUED {
            self.queued.fetch_sub(bytes, Ordering::Relaxed);
            request.start = Vec::new();
            response.start = Vec::new();
        }
        let note = Note::Line { file: Arc::clone(file), line: Box::new(line), request, response };
        // The thread lives as long as any of its senders.
        drop(self.notes.send(note).await);
    }

    /// Returns when every line left before is written.
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.notes.send(Note::Flushed(done)).await.is_ok() {
            drop(flushed.await);
        }
    }
}

/// The file of a step: appended to, and read by nobody but its owner.
pub(super) fn open(path: &Path) -> std::io::Result<Arc<File>> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(Arc::new(file))
}

fn write(mut notes: mpsc::Receiver<Note>, queued: &AtomicUsize, redactor: &Mutex<Arc<Redactor>>) {
    while let Some(note) = notes.blocking_recv() {
        match note {
            Note::Flushed(done) => drop(done.send(())),
            Note::Line { file, line, request, response } => {
                queued.fetch_sub(request.start.len() + response.start.len(), Ordering::Relaxed);
                let known = Arc::clone(&redactor.lock().unwrap_or_else(PoisonError::into_inner));
                // A full disk costs lines here and nothing else: what was spent is in the journal.
                drop((&*file).write_all(&render(&line, &request, &response, &known)));
            }
        }
    }
}

/// A line as it is written, with its end.
fn render(line: &Line, request: &Excerpt, response: &Excerpt, redactor: &Redactor) -> Vec<u8> {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        line: &'a Line,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        response: Option<String>,
    }
    let whole = Whole { line, request: request.text(redactor), response: response.text(redactor) };
    // Everything in it becomes JSON; the bodies were cleaned before they were cut, the rest is now.
    let text = serde_json::to_vec(&whole).unwrap_or_default();
    let mut cleaned = redactor.clean(&text, text.len()).into_owned();
    cleaned.push(b'\n');
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-canary-0123456789";

    fn rendered(request: &[u8]) -> String {
        let redactor = Redactor::new([&Secret::new(KEY)]);
        let line = Line { path: format!("/v1/{KEY}"), status: Some(200), ..Line::default() };
        String::from_utf8(render(&line, &Excerpt::of(request), &Excerpt::default(), &redactor)).unwrap()
    }

    #[test]
    fn a_line_is_one_line_without_secrets() {
        let line = rendered(format!("{{\n\"key\": \"{KEY}\"}}").as_bytes());
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((read["path"].as_str(), line.matches('\n').count()), (Some("/v1/[redacted]"), 1));
        assert_eq!(read["request"], "{\n\"key\": \"[redacted]\"}");
        assert!(read.get("response").is_none());
    }

    #[test]
    fn a_long_body_is_cut_with_a_note_and_not_through_a_secret() {
        let body = format!("{}{KEY}{}", "x".repeat(KEPT - 5), "y".repeat(100));
        let line = rendered(body.as_bytes());
        assert!(!line.contains("sk-ca"), "{}", &line[line.len() - 200..]);
        assert!(line.ends_with("x[redacted] … [115 more bytes]\"}\n"), "{}", &line[line.len() - 200..]);
    }

    #[tokio::test]
    async fn what_was_left_before_a_flush_is_on_disk_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("private/step.jsonl");
        let file = open(&path).unwrap();
        let scribe = Scribe::start(Redactor::new([])).unwrap();
        for _ in 0..3000 {
            scribe.note(&file, Line::default(), Excerpt::of(b"a"), Excerpt::default()).await;
        }
        scribe.flush().await;
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3000);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }
}
