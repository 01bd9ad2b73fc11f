//! How many tokens a request reads, asked of who knows better than its bytes tell: the provider's own
//! counter, where it has one, or the tokenizer of its model.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use super::request::off_thread;
use super::upstream::{Link, Outgoing, Tried};
use super::wire::{Counting, Request, Rules};
use crate::domain::budget::{ADDED, Basis};
use crate::domain::quantity::Tokens;
use crate::domain::wire::Tokenizer;

/// A request whose bytes bound it below this is not worth a question.
pub(super) const WORTH: Tokens = Tokens(8192);
/// A counter that takes longer is no help.
const PATIENCE: Duration = Duration::from_secs(10);
/// One that failed so often in a row is not asked any more: each failure may cost its patience.
const MISSES: u32 = 3;
/// Its answer is no longer.
const LONGEST: usize = 64 << 10;
/// Counters say that what they tell is nearly what is charged: so much is added, as a part and as a whole.
const NEARLY: u64 = 16;
const AROUND: u64 = 64;
/// A tokenizer counts the request as it is sent, and the provider writes it in its own way: so much is added as a part.
const OTHERWISE: u64 = 8;

/// What a request reads at the most; none where nobody counts.
pub(super) async fn count(
    link: &Link,
    rules: &dyn Rules,
    request: &Request,
    outgoing: &Outgoing,
    parts: &[Vec<u8>],
) -> Option<(Tokens, Basis)> {
    let path = outgoing.tail.split('?').next().unwrap_or_default();
    let helps = link.misses.load(Ordering::Relaxed) < MISSES;
    if let Some(counting) = rules.counting(request, path).filter(|_| helps) {
        let asked = tokio::time::timeout(PATIENCE, ask(link, counting, outgoing)).await;
        let counted = asked.ok().flatten();
        match counted {
            Some(_) => link.misses.store(0, Ordering::Relaxed),
            None => drop(link.misses.fetch_add(1, Ordering::Relaxed)),
        }
        if let Some(count) = counted {
            let most = count.saturating_add(count / NEARLY).saturating_add(AROUND);
            return Some((Tokens(most), Basis::Counter));
        }
    }
    let (tokenizer, parts) = (Tokenizer::of(&request.model)?, parts.to_vec());
    let count = off_thread(usize::MAX, move || tokens(tokenizer, &parts)).await?;
    Some((Tokens(count.saturating_add(count / OTHERWISE).saturating_add(ADDED)), Basis::Tokenizer))
}

/// Asks the provider. Where it does not know the question it is not asked again.
async fn ask(link: &Link, counting: Counting, outgoing: &Outgoing) -> Option<u64> {
    let body = serde_json::to_vec(&counting.body).ok()?;
    let query = outgoing.tail.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default();
    // That an answer is to come as events is not said of a count.
    let kept: Vec<_> = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("alt=")).collect();
    let mark = if kept.is_empty() { "" } else { "?" };
    let tail = format!("{}{mark}{}", counting.path, kept.join("&"));
    let question =
        Outgoing { method: outgoing.method.clone(), tail, headers: outgoing.headers.clone(), body: body.into() };
    let Tried::Answered(mut answer) = link.send(&question).await else { return None };
    let status = answer.status().as_u16();
    if [404, 405, 501].contains(&status) {
        link.misses.store(MISSES, Ordering::Relaxed);
    }
    if status != 200 {
        return None;
    }
    let mut text = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await
        && text.len() < LONGEST
    {
        text.extend_from_slice(&piece);
    }
    let told: Value = serde_json::from_slice(&text).ok()?;
    told.get(counting.field).and_then(Value::as_u64).filter(|count| *count > 0)
}

/// A text is counted in pieces of so many bytes: a word without an end would take a time that grows with its square.
/// Each cut adds a token at the most.
const PIECE: usize = 512;

/// The tokens of what a model reads, as it is sent.
fn tokens(tokenizer: Tokenizer, parts: &[Vec<u8>]) -> u64 {
    let known = match tokenizer {
        Tokenizer::O200k => tiktoken_rs::o200k_base_singleton(),
        Tokenizer::Cl100k => tiktoken_rs::cl100k_base_singleton(),
    };
    let of = |part: &Vec<u8>| {
        let text = part.trim_ascii_end();
        // Room for what the request only names stands at the end, see `parts::define`.
        let (spaces, text) = (part.len() - text.len(), String::from_utf8_lossy(text));
        let counted: usize = pieces(&text).map(|piece| known.count_ordinary(piece)).sum();
        (counted + spaces) as u64
    };
    parts.iter().map(of).sum()
}

/// A text in pieces that end with a character.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = (PIECE.min(rest.len())..=rest.len()).find(|at| rest.is_char_boundary(*at)).filter(|end| *end > 0)?;
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_fraction_of_the_bytes_and_keeps_room_for_what_is_only_named() {
        let prose = "You are a careful engineer. Read the files before you change them. ".repeat(100).into_bytes();
        let length = prose.len() as u64;
        for tokenizer in [Tokenizer::O200k, Tokenizer::Cl100k] {
            let count = tokens(tokenizer, std::slice::from_ref(&prose));
            assert!((length / 6..length / 3).contains(&count), "{count} of {length}");
            let named = [prose.clone(), vec![b' '; 1024]].concat();
            assert!(tokens(tokenizer, &[named]) > count + 1000);
            assert_eq!(tokens(tokenizer, &[]), 0);
        }
    }

    #[test]
    fn a_word_without_an_end_is_counted_soon() {
        let began = std::time::Instant::now();
        assert!(tokens(Tokenizer::O200k, &["ä".repeat(1 << 20).into_bytes()]) > 100_000);
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    }
}
