//! What a client gets: whole answers of our own, and a provider's answer as its pieces come.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::wire::{self, ErrorKind};
use crate::adapters::process::Redactor;
use crate::domain::wire::Provider;

/// Pieces that may wait for a slow client.
const PIECES: usize = 16;
/// What a provider's answer may tell the client.
const PASSED: [&str; 4] = ["content-type", "request-id", "retry-after", "x-request-id"];
/// The same, by how names start.
const PASSED_FAMILIES: [&str; 2] = ["anthropic-ratelimit-", "x-ratelimit-"];

/// The body of an answer.
pub(super) enum Answer {
    /// It is there.
    Whole(Option<Bytes>),
    /// It comes.
    Passing {
        pieces: mpsc::Receiver<Bytes>,
        /// Whether the last piece is the answer's end; else it broke off there.
        ended: Arc<AtomicBool>,
        broken: bool,
    },
}

impl Answer {
    fn whole(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Self> {
        let mut response = Response::new(Self::Whole(Some(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }

    /// A JSON answer of ours.
    pub(super) fn json(status: u16, body: &Value) -> Response<Self> {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::whole(status, "application/json", body.to_string().into())
    }

    /// A refusal in the shape of the provider's own errors.
    pub(super) fn error(provider: Option<Provider>, kind: ErrorKind, message: &str) -> Response<Self> {
        // Who asks for nobody we know gets the shape that most clients can read.
        let body = wire::error(provider.unwrap_or(Provider::OpenAi), kind, message);
        Self::json(kind.status(), &body)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Poll::Ready(body.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Passing { broken: true, .. } => {
                Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the answer broke off"))))
            }
            Self::Passing { pieces, ended, broken } => match std::task::ready!(pieces.poll_recv(cx)) {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None if ended.load(Ordering::Acquire) => Poll::Ready(None),
                None => {
                    // An error makes the server drop what it has not sent yet: it may send that first.
                    *broken = true;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Passing { .. } => SizeHint::default(),
        }
    }
}

/// The client's end of an exchange.
pub(super) struct Reply {
    head: Option<oneshot::Sender<Response<Answer>>>,
    pieces: Option<mpsc::Sender<Bytes>>,
    ended: Arc<AtomicBool>,
}

impl Reply {
    /// A reply, and where its head appears.
    pub(super) fn new() -> (Self, oneshot::Receiver<Response<Answer>>) {
        let (head, appears) = oneshot::channel();
        (Self { head: Some(head), pieces: None, ended: Arc::default() }, appears)
    }

    /// Answers at once.
    pub(super) fn whole(&mut self, response: Response<Answer>) {
        if let Some(head) = self.head.take() {
            // Who does not wait for it any more has hung up.
            drop(head.send(response));
        }
    }

    /// Begins an answer whose pieces follow.
    pub(super) fn begin(&mut self, status: StatusCode, headers: HeaderMap) {
        let (sender, pieces) = mpsc::channel(PIECES);
        let mut response = Response::new(Answer::Passing { pieces, ended: Arc::clone(&self.ended), broken: false });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        self.whole(response);
        self.pieces = Some(sender);
    }

    /// Returns when the client is gone.
    pub(super) async fn gone(&mut self) {
        match (&mut self.head, &self.pieces) {
            (Some(head), _) => head.closed().await,
            (None, Some(pieces)) => pieces.closed().await,
            (None, None) => std::future::pending().await,
        }
    }

    /// Passes a piece on, waiting while the client is slow. Whether the client is there.
    pub(super) async fn piece(&self, bytes: Bytes) -> bool {
        match &self.pieces {
            Some(pieces) => pieces.send(bytes).await.is_ok(),
            None => false,
        }
    }

    /// Ends the answer, unless it was broken off; without this the client sees it break off.
    pub(super) fn end(&mut self) {
        if let Some(pieces) = self.pieces.take() {
            self.ended.store(true, Ordering::Release);
            drop(pieces);
        }
    }

    /// Breaks the answer off.
    pub(super) fn break_off(&mut self) {
        self.pieces = None;
    }
}

/// The headers of a provider's answer that are passed on: the listed ones in which no key stands.
pub(super) fn passed(headers: &HeaderMap, redactor: &Redactor) -> HeaderMap {
    let listed = |name: &str| PASSED.contains(&name) || PASSED_FAMILIES.iter().any(|family| name.starts_with(family));
    let clean = |value: &HeaderValue| redactor.clean(value.as_bytes(), value.len()) == value.as_bytes();
    let kept = headers.iter().filter(|(name, value)| listed(name.as_str()) && clean(value));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The list of models, or one of them, in the provider's shape; none where there is no such model.
pub(super) fn models(provider: Provider, path: &str, models: &[String]) -> Option<Value> {
    let entry = |model: &str| match provider {
        Provider::Anthropic => {
            json!({"type": "model", "id": model, "display_name": model, "created_at": "1970-01-01T00:00:00Z"})
        }
        Provider::OpenAi => json!({"id": model, "object": "model", "created": 0, "owned_by": "blueprint"}),
        Provider::Gemini => json!({
            "name": format!("models/{model}"),
            "displayName": model,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }),
    };
    if let Some((_, asked)) = path.split_once("/models/") {
        return models.iter().find(|model| *model == asked).map(|model| entry(model));
    }
    let all: Vec<_> = models.iter().map(|model| entry(model)).collect();
    Some(match provider {
        Provider::Anthropic => {
            json!({"data": all, "has_more": false, "first_id": models.first(), "last_id": models.last()})
        }
        Provider::OpenAi => json!({"object": "list", "data": all}),
        Provider::Gemini => json!({"models": all}),
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::domain::wire::Secret;

    #[tokio::test]
    async fn an_answer_that_is_not_ended_breaks_off_after_all_that_came() {
        for ended in [true, false] {
            let (mut reply, head) = Reply::new();
            reply.begin(StatusCode::OK, HeaderMap::new());
            let mut body = head.await.unwrap().into_body();
            assert!(reply.piece("a".into()).await);
            if ended {
                reply.end();
            } else {
                reply.break_off();
            }
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
            assert_eq!(body.frame().await.is_none_or(|frame| frame.is_ok()), ended);
        }
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_is_noticed_before_and_after_the_head() {
        let (mut reply, head) = Reply::new();
        drop(head);
        reply.gone().await;
        let (mut reply, head) = Reply::new();
        reply.begin(StatusCode::OK, HeaderMap::new());
        drop(head.await);
        reply.gone().await;
        assert!(!reply.piece("a".into()).await);
    }

    #[test]
    fn only_listed_headers_without_keys_come_back() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("x-ratelimit-remaining-tokens", "7"),
            ("anthropic-ratelimit-tokens-remaining", "7"),
            ("request-id", "for sk-canary-0123456789"),
            ("set-cookie", "a=b"),
            ("transfer-encoding", "chunked"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let kept = passed(&headers, &Redactor::new([&Secret::new("sk-canary-0123456789")]));
        let mut names: Vec<_> = kept.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["anthropic-ratelimit-tokens-remaining", "content-type", "x-ratelimit-remaining-tokens"]);
    }

    #[test]
    fn models_are_listed_in_each_providers_shape() {
        let known = ["m/1".to_owned(), "m2".to_owned()];
        let of = |provider, path: &str| models(provider, path, &known);
        assert_eq!(of(Provider::OpenAi, "/models").unwrap()["data"][1]["id"], "m2");
        assert_eq!(of(Provider::Anthropic, "/v1/models").unwrap()["last_id"], "m2");
        assert_eq!(of(Provider::Gemini, "/v1beta/models").unwrap()["models"][0]["name"], "models/m/1");
        assert_eq!(of(Provider::OpenAi, "/models/m/1").unwrap()["id"], "m/1");
        assert_eq!(of(Provider::OpenAi, "/models/m3"), None);
    }
}
