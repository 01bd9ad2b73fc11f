//! A model that says what a script tells it to: real HTTP on loopback, in the four protocols that
//! real clients speak, streaming where they ask for it.
//!
//! `POST /v1/messages` (and `/count_tokens`), `/v1/chat/completions`, `/v1/responses` (and
//! `/input_tokens`), `/v1beta/models/{model}:generateContent`, `:streamGenerateContent` and
//! `:countTokens`, and the lists of models. Faults are parts of a [`Reply`].

mod answer;
mod call;
mod chat;
mod gemini;
mod messages;
mod reply;
mod responses;
mod script;
mod shell;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blueprint::domain::wire::Wire;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

pub use self::call::Call;
pub use self::reply::Reply;
pub use self::script::Script;

use self::answer::Answer;
use self::call::{Heard, Target};
use self::reply::What;

type Says = dyn Fn(&Call) -> Reply + Send + Sync;
type Body = UnsyncBoxBody<Bytes, io::Error>;

/// One event of a stream. `name` is empty where the protocol names none.
struct Event {
    name: &'static str,
    data: String,
}

impl Event {
    fn new(name: &'static str, data: &Value) -> Self {
        Self { name, data: data.to_string() }
    }
}

/// What one protocol looks like.
trait Protocol: Sync {
    /// What a request's body says.
    fn hear(&self, body: &Value) -> Heard;
    /// An answer in one piece.
    fn whole(&self, call: &Call, answer: &Answer) -> Value;
    /// An answer as a stream.
    fn events(&self, call: &Call, answer: &Answer) -> Vec<Event>;
    /// The body of an error status.
    fn failure(&self, status: u16, message: &str) -> Value;
    /// An error under 200, after so many events of a stream.
    fn broken(&self, call: &Call, answer: &Answer, message: &str, after: usize) -> Vec<Event>;
    /// The answer to who wants tokens counted.
    fn count(&self, tokens: u64) -> Value;
}

fn protocol(wire: Wire) -> &'static dyn Protocol {
    match wire {
        Wire::Messages => &messages::Messages,
        Wire::Chat => &chat::Chat,
        Wire::Responses => &responses::Responses,
        Wire::Gemini => &gemini::Gemini,
    }
}

/// A server for one script. It stops when it is dropped.
pub struct Model {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shared {
    script: Box<Says>,
    heard: Mutex<History>,
}

/// What was asked so far.
struct History {
    count: usize,
    /// Empty where nobody will ask for them.
    calls: Vec<Call>,
    kept: bool,
}

impl Model {
    /// Listens on a free port of loopback and remembers every call.
    pub fn start(script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(0, true, script).expect("a free port of loopback")
    }

    /// Listens on this port (0: a free one). Without `kept` it remembers no calls, however many come.
    pub fn listen(port: u16, kept: bool, script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let history = History { count: 0, calls: Vec::new(), kept };
        let shared = Arc::new(Shared { script: Box::new(script), heard: Mutex::new(history) });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener of this runtime");
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                drop(stream.set_nodelay(true));
                let shared = Arc::clone(&serving);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let shared = Arc::clone(&shared);
                        async move { Ok::<_, Infallible>(shared.serve(request).await) }
                    });
                    // A client may leave whenever it wants, and cut streams are ours.
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Ok(Self { address, shared, runtime: Some(runtime) })
    }

    /// Such as `http://127.0.0.1:40123`: the base for Anthropic's and Gemini's clients. OpenAI's
    /// have `/v1` added.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far that asked for an answer or a count, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.heard.lock().unwrap().calls.clone()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let target = call::target(&head);
        // A client that leaves while it sends has no answer to wait for.
        let Ok(body) = body.collect().await else { return json_response(400, &Value::Null) };
        let bytes = body.to_bytes();
        match target {
            Target::Models(list) => json_response(200, &list),
            Target::Unknown(wire) => {
                json_response(404, &protocol(wire).failure(404, &format!("no such path: {}", head.uri.path())))
            }
            Target::Ask { wire, model, stream, counting } => {
                let parsed: serde_json::Result<Value> = serde_json::from_slice(&bytes);
                let malformed = parsed.as_ref().err().map(ToString::to_string);
                let mut call = Call::new(&head, wire, parsed.unwrap_or_default(), bytes.len());
                call.stream = (stream || call.stream) && !counting;
                call.counting = counting;
                if let Some(model) = model {
                    call.model = model;
                }
                self.remember(&mut call);
                if let Some(why) = malformed {
                    return json_response(400, &protocol(wire).failure(400, &format!("the body is not JSON: {why}")));
                }
                let reply = (self.script)(&call);
                answer(&call, reply).await
            }
        }
    }

    fn remember(&self, call: &mut Call) {
        let mut heard = self.heard.lock().unwrap();
        call.index = heard.count;
        heard.count += 1;
        if heard.kept {
            heard.calls.push(call.clone());
        }
    }
}

async fn answer(call: &Call, reply: Reply) -> Response<Body> {
    let speaks = protocol(call.wire);
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    let mut response = match &reply.what {
        What::Hang => std::future::pending().await,
        What::Raw { status, content_type, body } => response(*status, content_type, full(body.clone())),
        What::Status { code, message } => json_response(*code, &speaks.failure(*code, message)),
        What::Says(_) => {
            let answer = Answer::new(call, &reply);
            if call.counting {
                json_response(200, &speaks.count(answer.input))
            } else if call.stream {
                streamed(call, &reply, &answer)
            } else {
                in_one_piece(call, &reply, &answer)
            }
        }
    };
    for (name, value) in &reply.headers {
        let name = HeaderName::try_from(name.as_str()).expect("a header's name");
        response.headers_mut().insert(name, HeaderValue::try_from(value.as_str()).expect("a header's value"));
    }
    response
}

fn in_one_piece(call: &Call, reply: &Reply, answer: &Answer) -> Response<Body> {
    let speaks = protocol(call.wire);
    if let Some((_, message)) = &reply.error_after {
        return json_response(200, &speaks.failure(500, message));
    }
    let body = speaks.whole(call, answer);
    if reply.cut_after.is_none() {
        return json_response(200, &body);
    }
    // Half of what the length promises, then the connection breaks.
    let mut bytes = body.to_string().into_bytes();
    let length = bytes.len();
    bytes.truncate(length / 2);
    let mut response = response(200, "application/json", chunks(vec![bytes.into()], Duration::ZERO, true));
    response.headers_mut().insert(hyper::header::CONTENT_LENGTH, length.into());
    response
}

fn streamed(call: &Call, reply: &Reply, answer: &Answer) -> Response<Body> {
    let speaks = protocol(call.wire);
    let mut events = speaks.events(call, answer);
    if let Some((after, message)) = &reply.error_after {
        events.truncate(*after);
        let after = events.len();
        events.extend(speaks.broken(call, answer, message, after));
    }
    if let Some(after) = reply.cut_after {
        events.truncate(after);
    }
    let array = call.wire == Wire::Gemini && !call.query.split('&').any(|pair| pair == "alt=sse");
    let (content_type, mut frames) = match call.wire {
        Wire::Gemini if array => ("application/json; charset=UTF-8", in_array(&events)),
        Wire::Gemini => ("text/event-stream", as_events(&events, "\r\n")),
        _ => ("text/event-stream; charset=utf-8", as_events(&events, "\n")),
    };
    if array && reply.cut_after.is_none() {
        frames.push("]".into());
    }
    response(200, content_type, chunks(frames, reply.pace, reply.cut_after.is_some()))
}

fn as_events(events: &[Event], end: &str) -> Vec<Bytes> {
    let frame = |event: &Event| match event.name {
        "" => format!("data: {}{end}{end}", event.data),
        name => format!("event: {name}{end}data: {}{end}{end}", event.data),
    };
    events.iter().map(|event| frame(event).into()).collect()
}

fn in_array(events: &[Event]) -> Vec<Bytes> {
    let frame = |(index, event): (usize, &Event)| format!("{}{}", if index == 0 { "[" } else { ",\r\n" }, event.data);
    events.iter().enumerate().map(|pair| frame(pair).into()).collect()
}

/// A body in pieces, which may break instead of ending.
fn chunks(pieces: Vec<Bytes>, pace: Duration, breaks: bool) -> Body {
    let pieces = stream::iter(pieces.into_iter().enumerate()).then(move |(index, bytes)| async move {
        if index > 0 && !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
        Ok(Frame::data(bytes))
    });
    let end = stream::once(async {
        // What was sent before must be on its way when the connection breaks.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::other("cut on purpose"))
    });
    if breaks { StreamBody::new(pieces.chain(end)).boxed_unsync() } else { StreamBody::new(pieces).boxed_unsync() }
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

fn response(status: u16, content_type: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status between 100 and 999");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::try_from(content_type).expect("a content type"));
    response
}

fn json_response(status: u16, body: &Value) -> Response<Body> {
    response(status, "application/json", full(body.to_string()))
}

/// The lists of models, as each provider writes them.
fn models(wire: Wire) -> Value {
    let name = "scripted";
    match wire {
        Wire::Messages => json!({
            "data": [{"type": "model", "id": name, "display_name": name, "created_at": "2025-01-01T00:00:00Z"}],
            "has_more": false, "first_id": name, "last_id": name,
        }),
        Wire::Gemini => json!({"models": [{
            "name": format!("models/{name}"), "version": "1", "displayName": name,
            "inputTokenLimit": 1_000_000, "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }]}),
        Wire::Chat | Wire::Responses => json!({
            "object": "list",
            "data": [{"id": name, "object": "model", "created": 1_735_689_600, "owned_by": "scripted"}],
        }),
    }
}
