//! Getting an answer out of a provider: which failures are tried again, after which pause, and for
//! how long.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::answer::Reply;
use super::cooldown::{LONGEST, backoff, retry_after, spread};
use super::step::Step;
use super::upstream::{Link, Outgoing, Tried};
use crate::domain::quantity::show_duration;

/// How often one request is sent at the most.
const TRIES: u32 = 8;
/// The answers after which it is sent again.
const AGAIN: [u16; 6] = [429, 500, 502, 503, 504, 529];
/// Those of them that are about the provider, not about this request: nobody sends for a while.
const EVERYBODY: [u16; 3] = [429, 503, 529];
/// A connection is kept for the next request if the rest of a useless answer is no longer, and comes within [`DRAIN`].
const USELESS: usize = 64 << 10;
const DRAIN: Duration = Duration::from_secs(1);

/// What became of a request.
pub(super) enum Sent {
    /// The provider answers: well, or with an error that stays.
    Answered(reqwest::Response),
    /// It never reached the provider.
    Unsent(String),
    /// It never will.
    Never(String),
    /// It may have, and no answer came: it is not sent again.
    Lost(String),
    /// The client hung up before it was sent, or before it was sent again.
    Gone,
}

/// Sends a request as often as it helps. What failed before the last try is left in `retried`.
pub(super) async fn send(
    link: &Link,
    outgoing: &Outgoing,
    step: &Step,
    reply: &mut Reply,
    retried: &mut Vec<String>,
) -> Sent {
    let mut waited = Duration::ZERO;
    let mut resume = Instant::now();
    let mut why = None;
    for failures in 1..=TRIES {
        if let Some(ended) = pause(link, step, reply, resume, &mut waited, why.as_deref()).await {
            return ended;
        }
        let tried = tokio::select! {
            biased;
            () = step.closing.cancelled() => return Sent::Lost("the step was closed before the answer came".to_owned()),
            () = alone(reply, link.patience.alone) => {
                return Sent::Lost("the client hung up, and no answer came".to_owned());
            }
            tried = link.send(outgoing) => tried,
        };
        let (told, rest, everybody, ended) = match tried {
            Tried::Lost(why) => return Sent::Lost(why),
            Tried::Never(why) => return Sent::Never(why),
            Tried::Unsent(why) => (why.clone(), backoff(failures), true, Sent::Unsent(why)),
            Tried::Answered(answer) if !AGAIN.contains(&answer.status().as_u16()) => return Sent::Answered(answer),
            Tried::Answered(answer) => {
                let status = answer.status().as_u16();
                let asked = retry_after(answer.headers(), SystemTime::now()).filter(|pause| !pause.is_zero());
                let everybody = asked.is_some() || EVERYBODY.contains(&status);
                let rest = asked.unwrap_or_else(|| backoff(failures));
                (format!("status {status}"), rest, everybody, Sent::Answered(answer))
            }
        };
        // Nobody waits for what is too long to be waited for; each is told so by the provider itself.
        if everybody && rest <= LONGEST {
            link.cooldown.hold(rest);
        }
        if failures == TRIES || !step.waits.allows(rest, waited) {
            return ended;
        }
        retried.push(format!("{told}; again after {}", show_duration(rest)));
        why = Some(told);
        resume = Instant::now() + rest;
        drain(ended).await;
    }
    Sent::Unsent("it was not sent".to_owned())
}

/// Waits until this request and everybody else may send; why it is not to be sent, if so.
async fn pause(
    link: &Link,
    step: &Step,
    reply: &mut Reply,
    resume: Instant,
    waited: &mut Duration,
    why: Option<&str>,
) -> Option<Sent> {
    loop {
        let left = resume.saturating_duration_since(Instant::now()).max(link.cooldown.left());
        if step.closing.is_cancelled() {
            return Some(Sent::Unsent("the step was closed before it was sent".to_owned()));
        }
        if left.is_zero() {
            return None;
        }
        if !step.waits.allows(left, *waited) {
            return Some(Sent::Unsent(format!(
                "{} wants a pause of {}, and the time for waiting is used up",
                link.provider,
                show_duration(left)
            )));
        }
        let (began, waiting) = (Instant::now(), step.waits.begin());
        let why = why.unwrap_or("a pause that it asked all for");
        step.purse.waits(Some(format!("{}: {why}; asked again in {}", link.provider, show_duration(left))));
        tokio::select! {
            () = step.closing.cancelled() => {}
            () = reply.gone() => return Some(Sent::Gone),
            () = tokio::time::sleep(left + spread(left)) => {}
        }
        step.purse.waits(None);
        drop(waiting);
        *waited += began.elapsed();
    }
}

/// Returns when the client has been gone for so long.
pub(super) async fn alone(reply: &mut Reply, patience: Duration) {
    reply.gone().await;
    tokio::time::sleep(patience).await;
}

/// Reads the rest of an answer that nobody needs.
async fn drain(sent: Sent) {
    let Sent::Answered(mut answer) = sent else { return };
    let read = async {
        let mut length = 0;
        while let Ok(Some(piece)) = answer.chunk().await
            && length < USELESS
        {
            length += piece.len();
        }
    };
    drop(tokio::time::timeout(DRAIN, read).await);
}
