//! One request from its body to its settlement. It runs in a task of its own, so that a client that
//! hangs up does not take the knowledge of what was used with it.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Response;

use super::Ask;
use super::account::{Account, Reserved};
use super::answer::{Answer, Reply, passed};
use super::bound::{Anchors, Chain};
use super::request::off_thread;
use super::sending::{Sent, send};
use super::step::Visit;
use super::transcript::{Excerpt, Line, Scribe};
use super::upstream::{Link, Outgoing};
use super::wire::{self, Endpoint, ErrorKind, Meter, Request, Rules};
use crate::domain::budget::{Refusal, Settlement};
use crate::domain::quantity::{Tokens, show_duration};
use crate::domain::wire::Wire;

/// An error of a provider's is no longer, and comes within this time.
const LONGEST_ERROR: usize = 1 << 20;
const ERROR_TIME: Duration = Duration::from_secs(30);
/// So many characters of what a client or a provider says go into the accounts.
const LONGEST_TOLD: usize = 300;
const CLOSED: &str = "the step was closed before the answer was complete";

/// A request under way.
pub(super) struct Exchange {
    pub visit: Visit,
    pub link: Arc<Link>,
    pub scribe: Scribe,
    pub reply: Reply,
    pub line: Line,
    /// Its body is the client's until it is limited.
    pub outgoing: Outgoing,
    pub began: Instant,
    pub response: Excerpt,
}

/// A request that was read and not admitted yet.
struct Prepared {
    request: Request,
    chain: Chain,
}

/// What is settled when the answer is known.
struct Claim {
    account: Account,
    chain: Chain,
    rules: &'static dyn Rules,
    /// Whether the answer was asked for in pieces.
    stream: bool,
}

/// How an answer under 2xx ended.
enum End {
    Whole,
    Broken(String),
    /// It passed the limit.
    Cut(String),
}

impl Exchange {
    /// Answers it, settles it and tells of it.
    pub(super) async fn run(mut self, endpoint: Endpoint) {
        match endpoint {
            Endpoint::Generate { wire, .. } => self.generate(endpoint, wire).await,
            Endpoint::Count | Endpoint::Models => self.forward(None).await,
        }
        self.line.took_ms = millis(self.began.elapsed());
        let request = Excerpt::of(&self.outgoing.body);
        self.scribe.note(&self.visit.step.book.file, self.line, request, self.response).await;
    }

    async fn generate(&mut self, endpoint: Endpoint, wire: Wire) {
        self.line.wire = Some(wire);
        let (rules, body) = (wire::rules(wire), self.outgoing.body.clone());
        let size = body.len();
        let prepared = off_thread(size, move || prepare(rules, &endpoint, &body)).await;
        let prepared = prepared.unwrap_or_else(|| Err("the request can't be read".to_owned()));
        let Prepared { mut request, chain } = match prepared {
            Ok(prepared) => prepared,
            Err(why) => return self.refuse(ErrorKind::Invalid, &why),
        };
        self.line.model = request.model.chars().take(LONGEST_TOLD).collect();
        self.line.stripped = std::mem::take(&mut request.stripped);
        let Some(account) = self.admit(&request, &chain).await else { return };
        let (output, stream) = (account.reserved.output, request.stream);
        let limited = off_thread(size, move || {
            rules.limit(&mut request, output);
            let mut body = Vec::with_capacity(size + 256);
            serde_json::to_writer(&mut body, &request.body).map(|()| body)
        });
        let claim = Claim { account, chain, rules, stream };
        let Some(Ok(body)) = limited.await else {
            self.settle(Some(claim), Settlement::Released { why: "it can't be written".to_owned() });
            return self.refuse(ErrorKind::Invalid, "the request can't be written");
        };
        self.outgoing.body = body.into();
        self.forward(Some(claim)).await;
    }

    /// Reserves what it may use; none where it was refused or the client is gone.
    async fn admit(&mut self, request: &Request, chain: &Chain) -> Option<Account> {
        let input = self.visit.trial.anchors.lock().unwrap_or_else(PoisonError::into_inner).bound(chain);
        self.line.bound = Some(input);
        let output = request.asked.unwrap_or(self.link.default_output);
        let model = request.model.chars().take(LONGEST_TOLD).collect();
        let ask = Ask { input, output, model };
        let step = Arc::clone(&self.visit.step);
        let reserved = tokio::select! {
            // A grant that is there is taken, whatever else happened.
            biased;
            reserved = step.purse.reserve(ask) => reserved,
            () = step.closing.cancelled() => Err(Refusal::Closed),
            () = self.reply.gone() => {
                self.line.refused = Some("the client hung up while the request waited for tokens".to_owned());
                return None;
            }
        };
        match reserved {
            Ok(grant) => {
                self.line.granted = Some(grant.output);
                return Some(Account::new(Arc::clone(&step.purse), grant));
            }
            Err(refusal @ Refusal::Spent { .. }) => {
                step.refused.cancel();
                self.refuse(ErrorKind::Invalid, &format!("{refusal}. Do not retry: finish with what is done."));
            }
            Err(refusal) => self.refuse(ErrorKind::Invalid, &refusal.to_string()),
        }
        None
    }

    /// Sends it and passes the answer on. Without a claim it costs nothing.
    async fn forward(&mut self, claim: Option<Claim>) {
        let sent = send(&self.link, &self.outgoing, &self.visit.step, &mut self.reply, &mut self.line.retried).await;
        match sent {
            Sent::Answered(answer) if answer.status().is_success() => self.pass(answer, claim).await,
            Sent::Answered(answer) => {
                self.settle(claim, Settlement::Released { why: format!("status {}", answer.status().as_u16()) });
                self.pass_error(answer).await;
            }
            Sent::Gone => {
                let why = "the client hung up while the request waited to be sent".to_owned();
                self.line.refused = Some(why.clone());
                self.settle(claim, Settlement::Released { why });
            }
            Sent::Unsent(why) => {
                let message = format!("{} could not be reached: {why}", self.link.provider);
                self.settle(claim, Settlement::Released { why });
                self.refuse(self.unanswered(), &message);
            }
            Sent::Lost(why) => {
                let message = format!("no answer from {}: {why}", self.link.provider);
                self.settle(claim, Settlement::InFull { why });
                self.refuse(self.unanswered(), &message);
            }
        }
    }

    /// Passes an answer on as it comes, and settles before its end is passed on: whoever has seen
    /// the end finds the accounts up to date.
    async fn pass(&mut self, mut answer: reqwest::Response, claim: Option<Claim>) {
        self.begin(&answer);
        self.reply.begin(answer.status(), passed(answer.headers(), &self.link.redactor));
        let mut metered = claim.as_ref().map(|claim| Metered {
            meter: claim.rules.meter(),
            reserved: claim.account.reserved,
            stream: claim.stream,
        });
        let end = self.pieces(&mut answer, metered.as_mut()).await;
        let broken = match &end {
            End::Whole => None,
            End::Broken(why) | End::Cut(why) => Some(why.clone()),
        };
        if let (Some(claim), Some(Metered { meter, reserved, .. })) = (claim, metered) {
            let reading = meter.reading();
            if let Some(usage) = reading.usage.filter(|usage| usage.input > Tokens::ZERO) {
                let mut anchors = self.visit.trial.anchors.lock().unwrap_or_else(PoisonError::into_inner);
                anchors.learn(&claim.chain, usage.input);
            }
            let settlement = match end {
                End::Cut(why) => reserved.cut(&reading, why),
                End::Whole | End::Broken(_) => reserved.settlement(&reading, broken.clone()),
            };
            self.settle(Some(claim), settlement);
        }
        match &broken {
            None => self.reply.end(),
            Some(_) => self.reply.break_off(),
        }
        self.line.broken = broken;
    }

    async fn pieces(&mut self, answer: &mut reqwest::Response, mut metered: Option<&mut Metered>) -> End {
        let (closing, patience) = (self.visit.step.closing.clone(), self.link.patience);
        // When the rest of the answer is given up, once the client is gone.
        let mut until: Option<tokio::time::Instant> = None;
        loop {
            let next = tokio::select! {
                biased;
                () = closing.cancelled() => return End::Broken(CLOSED.to_owned()),
                () = self.reply.gone(), if until.is_none() => {
                    until = Some(tokio::time::Instant::now() + patience.alone);
                    continue;
                }
                () = sleep_until(until) => {
                    return End::Broken("the client hung up, and the answer did not end in time".to_owned());
                }
                next = tokio::time::timeout(patience.between, answer.chunk()) => next,
            };
            let bytes = match next {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => return End::Whole,
                Ok(Err(error)) => return End::Broken(format!("the answer broke off: {}", self.link.told(&error))),
                Err(_) => return End::Broken(format!("nothing more came within {}", show_duration(patience.between))),
            };
            self.response.push(&bytes);
            if let Some(why) = metered.as_mut().and_then(|metered| metered.take(&bytes)) {
                return End::Cut(why);
            }
            if until.is_some() {
                continue;
            }
            let cleaned = self.clean(bytes);
            // That a client is gone is noticed above; one that takes nothing is as good as gone.
            let taken = tokio::select! {
                biased;
                () = closing.cancelled() => return End::Broken(CLOSED.to_owned()),
                taken = tokio::time::timeout(patience.between, self.reply.piece(cleaned)) => taken,
            };
            if taken.is_err() {
                self.reply.break_off();
                until = Some(tokio::time::Instant::now() + patience.alone);
            }
        }
    }

    /// The same bytes, unless the provider tells the key that it was sent.
    fn clean(&self, bytes: Bytes) -> Bytes {
        match self.link.redactor.clean(&bytes, bytes.len()) {
            Cow::Owned(cleaned) => cleaned.into(),
            Cow::Borrowed(_) => bytes,
        }
    }

    /// Passes a provider's error on whole: it may hold the key.
    async fn pass_error(&mut self, mut answer: reqwest::Response) {
        self.begin(&answer);
        let mut body = Vec::new();
        let read = async {
            while let Ok(Some(piece)) = answer.chunk().await
                && body.len() < LONGEST_ERROR
            {
                body.extend_from_slice(&piece);
            }
        };
        tokio::select! {
            () = self.visit.step.closing.cancelled() => {}
            _ = tokio::time::timeout(ERROR_TIME, read) => {}
        }
        let body = self.link.redactor.clean(&body, body.len()).into_owned();
        self.response = Excerpt::of(&body);
        let mut response = Response::new(Answer::Whole(Some(body.into())));
        *response.status_mut() = answer.status();
        *response.headers_mut() = passed(answer.headers(), &self.link.redactor);
        self.reply.whole(response);
    }

    fn begin(&mut self, answer: &reqwest::Response) {
        self.line.status = Some(answer.status().as_u16());
        let id = ["request-id", "x-request-id"].into_iter().find_map(|name| answer.headers().get(name));
        self.line.request_id = id.and_then(|id| Some(id.to_str().ok()?.to_owned()));
    }

    fn refuse(&mut self, kind: ErrorKind, message: &str) {
        self.line.status = Some(kind.status());
        self.line.refused = Some(message.to_owned());
        self.reply.whole(Answer::error(Some(self.link.provider), kind, message));
    }

    /// What a client is told where there is no answer: of a step that is over it must not ask again.
    fn unanswered(&self) -> ErrorKind {
        if self.visit.step.closing.is_cancelled() { ErrorKind::Invalid } else { ErrorKind::Unreachable }
    }

    fn settle(&mut self, claim: Option<Claim>, mut settlement: Settlement) {
        let Some(claim) = claim else { return };
        if let Settlement::InFull { why } | Settlement::Released { why } | Settlement::BoundViolated { why, .. } =
            &mut settlement
        {
            // It may hold what the provider says.
            *why = self.link.redactor.text(why).chars().take(LONGEST_TOLD).collect();
        }
        self.line.settlement = Some(settlement.clone());
        claim.account.settle(settlement);
    }
}

/// An answer that is read alongside.
struct Metered {
    meter: Box<dyn Meter>,
    reserved: Reserved,
    stream: bool,
}

impl Metered {
    /// Takes a piece; why the answer must be cut before it, if so. One that is no stream was written before it came.
    fn take(&mut self, bytes: &[u8]) -> Option<String> {
        self.meter.feed(bytes);
        if self.stream { self.reserved.passed(&self.meter.reading()) } else { None }
    }
}

fn prepare(rules: &dyn Rules, endpoint: &Endpoint, body: &[u8]) -> Result<Prepared, String> {
    let value = serde_json::from_slice(body).map_err(|why| format!("the body is not JSON: {why}"))?;
    let mut request = rules.read(endpoint, value).map_err(|why| why.to_string())?;
    let chain = Anchors::measure(&std::mem::take(&mut request.parts));
    Ok(Prepared { request, chain })
}

async fn sleep_until(until: Option<tokio::time::Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// For the transcript.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
