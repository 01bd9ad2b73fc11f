//! One request from its body to its settlement. It runs in a task of its own, so that a client that
//! hangs up does not take the knowledge of what was used with it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use hyper::Response;

use super::Ask;
use super::account::Account;
use super::answer::{Answer, Reply, passed};
use super::bound::{Anchors, Chain};
use super::counting::{self, count};
use super::flow::{Asked, Flow, Stopped};
use super::request::off_thread;
use super::sending::{Sent, send};
use super::step::Visit;
use super::transcript::{Excerpt, Line, Scribe};
use super::unpack::{SLICE, Unpacker};
use super::upstream::{Link, Outgoing, Patience};
use super::wire::{self, Endpoint, ErrorKind, Reading, Request, Rules};
use crate::domain::budget::{Basis, Refusal, Settlement};
use crate::domain::quantity::{Tokens, show_duration};
use crate::domain::wire::Wire;

/// An answer that costs nothing, such as an error, is no longer, and comes within this time.
const LONGEST_FREE: usize = 1 << 20;
const FREE_TIME: Duration = Duration::from_secs(30);
/// A whole answer takes at most so many times what its first byte may take.
const WHOLE: u32 = 6;
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
    /// What the chain stands for.
    parts: Vec<Vec<u8>>,
}

/// What is settled when the answer is known.
struct Claim {
    account: Account,
    chain: Chain,
    rules: &'static dyn Rules,
    asked: Asked,
}

/// How an answer under 2xx ended.
enum End {
    Whole,
    Broken(String),
    /// It passed the limit.
    Cut(String),
}

/// What an answer is waited for.
struct Waiting {
    began: tokio::time::Instant,
    /// When it last brought something: text, usage, its end.
    progress: tokio::time::Instant,
    known: Reading,
    /// Whether something came since that brought nothing.
    alive: bool,
    /// How long the client has let its answer wait.
    client: Duration,
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
        let Prepared { mut request, chain, parts } = match prepared {
            Ok(prepared) => prepared,
            Err(why) => return self.refuse(ErrorKind::Invalid, &why),
        };
        self.line.model = request.model.chars().take(LONGEST_TOLD).collect();
        self.line.stripped = std::mem::take(&mut request.stripped);
        let Some(account) = self.admit(rules, &request, &chain, parts).await else { return };
        let output = account.reserved.output;
        let asked = Asked {
            reserved: account.reserved,
            stream: request.stream,
            likelihoods: wire::likelihoods(&request.body),
            request: size as u64,
        };
        let limited = off_thread(size, move || {
            rules.limit(&mut request, output);
            let mut body = Vec::with_capacity(size + 256);
            serde_json::to_writer(&mut body, &request.body).map(|()| body)
        });
        let claim = Claim { account, chain, rules, asked };
        let Some(Ok(body)) = limited.await else {
            self.settle(Some(claim), Settlement::Released { why: "it can't be written".to_owned() });
            return self.refuse(ErrorKind::Invalid, "the request can't be written");
        };
        self.outgoing.body = body.into();
        self.forward(Some(claim)).await;
    }

    /// Reserves what it may use; none where it was refused or the client is gone.
    async fn admit(
        &mut self,
        rules: &dyn Rules,
        request: &Request,
        chain: &Chain,
        parts: Vec<Vec<u8>>,
    ) -> Option<Account> {
        let (input, by) = self.bound(rules, request, chain, parts).await;
        (self.line.bound, self.line.bound_by) = (Some(input), Some(by));
        let output = request.asked.unwrap_or(self.link.default_output);
        let model = request.model.chars().take(LONGEST_TOLD).collect();
        let ask = Ask { input, output, model, by };
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
                return Some(Account::new(Arc::clone(&step.purse), grant, self.link.provider, chain.least()));
            }
            Err(refusal @ Refusal::Spent { .. }) => {
                step.refused.cancel();
                self.refuse(ErrorKind::Invalid, &format!("{refusal}. Do not retry: finish with what is done."));
            }
            Err(refusal) => self.refuse(ErrorKind::Invalid, &refusal.to_string()),
        }
        None
    }

    /// The most that it reads, and by what that is known.
    async fn bound(&self, rules: &dyn Rules, request: &Request, chain: &Chain, parts: Vec<Vec<u8>>) -> (Tokens, Basis) {
        let (bytes, by) = self.visit.trial.anchors.lock().unwrap_or_else(PoisonError::into_inner).bounded(chain);
        if by != Basis::Bytes || bytes < counting::WORTH {
            return (bytes, by);
        }
        let counted = tokio::select! {
            counted = count(&self.link, rules, request, &self.outgoing, &parts) => counted,
            () = self.visit.step.closing.cancelled() => None,
        };
        match counted.filter(|(tokens, _)| *tokens < bytes) {
            Some((tokens, by)) => (tokens.max(chain.least()), by),
            None => (bytes, by),
        }
    }

    /// Sends it and passes the answer on. Without a claim it costs nothing.
    async fn forward(&mut self, claim: Option<Claim>) {
        let sent = send(&self.link, &self.outgoing, &self.visit.step, &mut self.reply, &mut self.line.retried).await;
        match sent {
            Sent::Answered(answer) if answer.status().is_success() => self.pass(answer, claim).await,
            Sent::Answered(answer) => {
                self.settle(claim, Settlement::Released { why: format!("status {}", answer.status().as_u16()) });
                self.pass_free(answer).await;
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
            Sent::Never(why) => {
                let message = format!("{} can't be asked: {why}. Do not retry.", self.link.provider);
                self.settle(claim, Settlement::Released { why });
                self.refuse(ErrorKind::Invalid, &message);
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
        let Some(claim) = claim else { return self.pass_free(answer).await };
        self.begin(&answer);
        let unpacker = match Unpacker::of(answer.headers()) {
            Ok(unpacker) => unpacker,
            Err(why) => {
                let message = format!("the answer of {} can't be metered: {why}", self.link.provider);
                self.settle(Some(claim), Settlement::InFull { why });
                return self.refuse(ErrorKind::Invalid, &message);
            }
        };
        self.reply.begin(answer.status(), passed(answer.headers(), &self.link.redactor));
        let link = Arc::clone(&self.link);
        let mut flow = Flow::new(unpacker, claim.rules.meter(), claim.asked, &link.redactor);
        let end = self.pieces(&mut answer, &mut flow).await;
        let (reading, reserved) = (flow.reading(), claim.asked.reserved);
        if let Some(usage) = reading.usage {
            let mut anchors = self.visit.trial.anchors.lock().unwrap_or_else(PoisonError::into_inner);
            anchors.learn(&claim.chain, usage.input);
        }
        let (broken, settlement) = match end {
            End::Whole => (None, reserved.settlement(&reading, None)),
            End::Broken(why) => (Some(why.clone()), reserved.settlement(&reading, Some(why))),
            End::Cut(why) => (Some(why.clone()), reserved.cut(&reading, why)),
        };
        self.settle(Some(claim), settlement);
        match &broken {
            None => self.reply.end(),
            Some(_) => self.reply.break_off(),
        }
        self.line.broken = broken;
    }

    async fn pieces(&mut self, answer: &mut reqwest::Response, flow: &mut Flow<'_>) -> End {
        let (closing, patience) = (self.visit.step.closing.clone(), self.link.patience);
        let mut waiting = Waiting::new(flow.reading());
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
                next = tokio::time::timeout_at(waiting.until(patience), answer.chunk()) => next,
            };
            let (end, bytes) = match next {
                Ok(Ok(Some(bytes))) => match flow.take(&bytes) {
                    Ok(passed) => (None, passed),
                    Err(Stopped::Cut(why)) => return End::Cut(why),
                    Err(Stopped::Broken(why)) => return End::Broken(why),
                },
                Ok(Ok(None)) => match flow.rest() {
                    Ok(rest) => (Some(End::Whole), rest),
                    Err(Stopped::Cut(why) | Stopped::Broken(why)) => return End::Broken(why),
                },
                Ok(Err(error)) => {
                    let why = format!("the answer broke off: {}", self.link.told(&error));
                    (Some(End::Broken(why)), flow.rest().unwrap_or_default())
                }
                Err(_) => return End::Broken(waiting.over(patience)),
            };
            waiting.came(flow.reading());
            self.response.push(&bytes);
            if until.is_none() && !bytes.is_empty() {
                // That a client is gone is noticed above; one that takes nothing is as good as gone.
                let began = Instant::now();
                let taken = tokio::select! {
                    biased;
                    () = closing.cancelled() => return End::Broken(CLOSED.to_owned()),
                    taken = tokio::time::timeout(
                        patience.between.saturating_sub(waiting.client),
                        self.reply.piece(bytes.into()),
                    ) => taken,
                };
                waiting.client += began.elapsed();
                if taken.is_err() {
                    self.reply.break_off();
                    until = Some(tokio::time::Instant::now() + patience.alone);
                }
            }
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Passes on whole what costs nothing: it may hold the key.
    async fn pass_free(&mut self, mut answer: reqwest::Response) {
        self.begin(&answer);
        let mut unpacker = Unpacker::of(answer.headers());
        let mut body = Vec::new();
        let read = async {
            while let Ok(Some(piece)) = answer.chunk().await
                && body.len() < LONGEST_FREE
            {
                for slice in piece.chunks(SLICE) {
                    let text = unpacker.as_mut().map_err(|why| why.clone()).and_then(|unpacker| unpacker.feed(slice));
                    body.extend_from_slice(&text?);
                }
            }
            unpacker.map(drop)
        };
        let read = tokio::select! {
            () = self.visit.step.closing.cancelled() => Ok(()),
            read = tokio::time::timeout(FREE_TIME, read) => read.unwrap_or(Ok(())),
        };
        if let Err(why) = read {
            let message = format!("{} answered with status {}: {why}", self.link.provider, answer.status().as_u16());
            return self.refuse(ErrorKind::Invalid, &message);
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
        if let Settlement::InFull { why }
        | Settlement::Released { why }
        | Settlement::Doubted { why, .. }
        | Settlement::BoundViolated { why, .. } = &mut settlement
        {
            // It may hold what the provider says.
            *why = self.link.redactor.text(why).chars().take(LONGEST_TOLD).collect();
        }
        self.line.settlement = Some(settlement.clone());
        claim.account.settle(settlement);
    }
}

impl Waiting {
    fn new(known: Reading) -> Self {
        let began = tokio::time::Instant::now();
        Self { began, progress: began, known, alive: false, client: Duration::ZERO }
    }

    /// When nobody waits any longer: for the next byte, for one that brings something, and for the end.
    fn until(&self, patience: Patience) -> tokio::time::Instant {
        let next = tokio::time::Instant::now() + patience.between;
        // The client's own time is not the provider's.
        let (progress, end) = (self.progress + patience.first, self.began + patience.first * WHOLE + self.client);
        next.min(progress).min(end)
    }

    /// Something came.
    fn came(&mut self, known: Reading) {
        self.alive = known == self.known;
        if !self.alive {
            (self.progress, self.known) = (tokio::time::Instant::now(), known);
        }
    }

    /// Why nobody waits any longer.
    fn over(&self, patience: Patience) -> String {
        if self.began.elapsed() >= patience.first * WHOLE {
            return format!("the answer did not end within {}", show_duration(patience.first * WHOLE));
        }
        match self.alive {
            true => format!("nothing more came within {} but signs of life", show_duration(patience.first)),
            false => format!("nothing more came within {}", show_duration(patience.between)),
        }
    }
}

fn prepare(rules: &dyn Rules, endpoint: &Endpoint, body: &[u8]) -> Result<Prepared, String> {
    let value = serde_json::from_slice(body).map_err(|why| format!("the body is not JSON: {why}"))?;
    let mut request = rules.read(endpoint, value).map_err(|why| why.to_string())?;
    let parts = std::mem::take(&mut request.parts);
    Ok(Prepared { chain: Anchors::measure(&parts), request, parts })
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
