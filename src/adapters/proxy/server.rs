//! The proxy on its loopback port: who may ask for what, and which trials there are.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use hyper::body::Incoming;
use hyper::header::USER_AGENT;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::answer::{Answer, Reply, models};
use super::exchange::{Exchange, millis};
use super::request::{BadBody, Route, body};
use super::step::{Book, Trial, Visit};
use super::transcript::{self, Excerpt, Line, Scribe};
use super::upstream::{Link, Outgoing, Patience, passed};
use super::wire::{Endpoint, ErrorKind, endpoint};
use super::{Door, Opening, Proxy, ProxyError, Settings, token};
use crate::adapters::process::{Address, Redactor, take_all};
use crate::domain::budget::Refusal;
use crate::domain::wire::{Provider, Secret};

/// The proxy of a run. Its port is closed when it is dropped; doors that are open then must still be closed.
pub struct LoopbackProxy {
    hub: Arc<Hub>,
    accepting: JoinHandle<()>,
}

/// What all connections share.
struct Hub {
    port: u16,
    links: BTreeMap<Provider, Arc<Link>>,
    models: Vec<String>,
    trials: Mutex<HashMap<String, Arc<Trial>>>,
    /// Compared with where a trial is not known, so that this takes as long.
    nobody: Secret,
    scribe: Scribe,
}

impl LoopbackProxy {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(settings: Settings) -> Result<Self, ProxyError> {
        Self::with_patience(settings, Patience::default()).await
    }

    /// With other time limits towards providers.
    pub async fn with_patience(settings: Settings, patience: Patience) -> Result<Self, ProxyError> {
        let mut links = BTreeMap::new();
        for (provider, upstream) in &settings.upstreams {
            links.insert(*provider, Arc::new(Link::new(*provider, upstream, patience)?));
        }
        let keys = settings.upstreams.iter().filter_map(|(_, upstream)| upstream.key.as_ref());
        let scribe = Scribe::start(Redactor::new(keys)).map_err(ProxyError::Listen)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(ProxyError::Listen)?;
        let port = listener.local_addr().map_err(ProxyError::Listen)?.port();
        let nobody = token::draw().map_err(ProxyError::Listen)?;
        let hub = Arc::new(Hub { port, links, models: settings.models, trials: Mutex::default(), nobody, scribe });
        let shared = Arc::clone(&hub);
        let accepting = tokio::spawn(take_all(listener, move |stream| connection(stream, Arc::clone(&shared))));
        Ok(Self { hub, accepting })
    }
}

impl Drop for LoopbackProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl std::fmt::Debug for LoopbackProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoopbackProxy").field("port", &self.hub.port).finish_non_exhaustive()
    }
}

#[async_trait]
impl Proxy for LoopbackProxy {
    async fn open(&self, opening: Opening) -> Result<Box<dyn Door>, ProxyError> {
        let path = opening.transcript.clone();
        let file = transcript::open(&path).map_err(|source| ProxyError::Transcript { path, source })?;
        let trial = self.hub.trial_for(&opening.trial).map_err(ProxyError::Listen)?;
        Ok(Box::new(trial.open(opening, file, self.hub.scribe.clone())))
    }

    fn address(&self) -> Option<Address> {
        Some(Address::loopback(self.hub.port))
    }
}

async fn connection(stream: TcpStream, hub: Arc<Hub>) {
    let service = service_fn(move |request| {
        let hub = Arc::clone(&hub);
        async move { Ok::<_, Infallible>(hub.serve(request).await) }
    });
    // How a connection ends is known to whoever has a request on it.
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

impl Hub {
    /// The trial of this name, which has one token for all of its steps.
    fn trial_for(&self, name: &str) -> std::io::Result<Arc<Trial>> {
        let mut trials = self.trials.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trial) = trials.get(name) {
            return Ok(Arc::clone(trial));
        }
        let token = token::draw()?;
        self.scribe.hide(&token);
        let trial = Arc::new(Trial::new(format!("http://127.0.0.1:{}/t/{name}", self.port), token));
        trials.insert(name.to_owned(), Arc::clone(&trial));
        Ok(trial)
    }

    fn known(&self, name: &str) -> Option<Arc<Trial>> {
        self.trials.lock().unwrap_or_else(PoisonError::into_inner).get(name).map(Arc::clone)
    }

    /// Answers one request. When the client hangs up this is dropped where it stands.
    async fn serve(&self, request: Request<Incoming>) -> Response<Answer> {
        let began = Instant::now();
        let (head, incoming) = request.into_parts();
        let Some(route) = Route::of(&head.uri) else {
            return Answer::error(None, ErrorKind::NotFound, "there is nothing here");
        };
        let trial = self.known(&route.trial);
        let token = trial.as_ref().map_or(&self.nobody, |trial| &trial.access.key);
        let shown = route.shows(&head.headers, token);
        let asked = Asked { hub: self, route: &route, head: &head, began };
        let trial = match trial {
            Some(trial) if shown => trial,
            trial => {
                let book = trial.and_then(|trial| trial.book());
                return asked.refuse(book.as_ref(), ErrorKind::Unauthorized, "this key is not valid here").await;
            }
        };
        match trial.enter() {
            Some(visit) => asked.answer(visit, incoming).await,
            None => asked.refuse(trial.book().as_ref(), ErrorKind::Invalid, &Refusal::Closed.to_string()).await,
        }
    }
}

/// A request whose head was read.
struct Asked<'a> {
    hub: &'a Hub,
    route: &'a Route,
    head: &'a Parts,
    began: Instant,
}

impl Asked<'_> {
    /// Answers a request that may be made.
    async fn answer(&self, visit: Visit, incoming: Incoming) -> Response<Answer> {
        let Route { path, .. } = self.route;
        let method = self.head.method.as_str();
        let known = self.route.provider.and_then(|provider| Some((provider, endpoint(provider, method, path)?)));
        let book = Some(&visit.step.book);
        let Some((provider, endpoint)) = known else {
            let message = format!("{method} {path} is not among the endpoints that are open here");
            return self.refuse(book, ErrorKind::NotFound, &message).await;
        };
        if endpoint == Endpoint::Models {
            return match models(provider, path, &self.hub.models) {
                Some(list) => Answer::json(200, &list),
                None => self.refuse(book, ErrorKind::NotFound, "there is no such model").await,
            };
        }
        let Some(link) = self.hub.links.get(&provider) else {
            let message = format!("no models of {provider} can be reached from here");
            return self.refuse(book, ErrorKind::NotFound, &message).await;
        };
        let read = tokio::select! {
            read = body(&self.head.headers, incoming, link.patience.between) => read,
            () = visit.step.closing.cancelled() => {
                return self.refuse(book, ErrorKind::Invalid, &Refusal::Closed.to_string()).await;
            }
        };
        let body = match read {
            Ok(body) => body,
            Err(BadBody::Refused(kind, message)) => return self.refuse(book, kind, &message).await,
            Err(BadBody::Gone) => return Answer::error(Some(provider), ErrorKind::Invalid, "the body is incomplete"),
        };
        let headers = passed(&self.head.headers, !body.is_empty());
        let outgoing = Outgoing { method: self.head.method.clone(), tail: self.route.tail(), headers, body };
        let (reply, appears) = Reply::new();
        let exchange = Exchange {
            line: self.line(&visit.step.book),
            visit,
            link: Arc::clone(link),
            scribe: self.hub.scribe.clone(),
            reply,
            outgoing,
            began: self.began,
            response: Excerpt::default(),
        };
        tokio::spawn(exchange.run(endpoint));
        match appears.await {
            Ok(response) => response,
            Err(_) => Answer::error(Some(provider), ErrorKind::Unreachable, "the request broke off inside the proxy"),
        }
    }

    /// Refuses it, and notes that where there is a transcript.
    async fn refuse(&self, book: Option<&Book>, kind: ErrorKind, message: &str) -> Response<Answer> {
        if let Some(book) = book {
            let mut line = self.line(book);
            line.status = Some(kind.status());
            line.refused = Some(message.to_owned());
            line.took_ms = millis(self.began.elapsed());
            self.hub.scribe.note(&book.file, line, Excerpt::default(), Excerpt::default()).await;
        }
        Answer::error(self.route.provider, kind, message)
    }

    fn line(&self, book: &Book) -> Line {
        let agent = self.head.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        Line {
            at_ms: millis(self.began.saturating_duration_since(book.opened)),
            method: self.head.method.to_string(),
            path: self.route.path.clone(),
            provider: self.route.provider,
            user_agent: agent.map(str::to_owned),
            ..Line::default()
        }
    }
}
