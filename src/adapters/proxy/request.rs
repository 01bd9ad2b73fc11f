//! What a client sent: where to, with which token, and its body as it is meant.

use std::io::Read;
use std::str::FromStr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::Uri;
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING};

use super::token;
use super::wire::ErrorKind;
use crate::domain::wire::{Provider, Secret};

/// The longest body, as sent and as decoded.
pub(super) const LONGEST: usize = 64 << 20;
/// Of a body that is too long so much is read and forgotten: who is still sending does not see the answer.
const FORGOTTEN: usize = 4 * LONGEST;
/// A body that takes longer on this machine's own loopback does not come to its end.
const STALLED: Duration = Duration::from_secs(60);
/// Bodies that are longer than this are parsed away from the threads that serve everybody.
const INLINE: usize = 256 << 10;

/// Where a request goes: `/t/<trial>/<provider>/<path>?<query>`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub trial: String,
    /// None where the path names nobody we know.
    pub provider: Option<Provider>,
    /// Below the provider's base, starting with a slash.
    pub path: String,
    pub query: String,
}

impl Route {
    /// From a request's address; none where it is not one of ours at all.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let rest = uri.path().strip_prefix("/t/")?;
        let (trial, rest) = rest.split_once('/')?;
        let (name, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let provider = Provider::ALL.into_iter().find(|provider| provider.as_str() == name);
        // OpenAI's base ends with its version, on both sides.
        let (provider, path) = match (provider, path.strip_prefix("/v1")) {
            (Some(Provider::OpenAi), Some(below)) if below.starts_with('/') => (provider, below),
            (Some(Provider::OpenAi), _) => (None, path),
            _ => (provider, path),
        };
        let query = uri.query().unwrap_or_default().to_owned();
        Some(Self { trial: trial.to_owned(), provider, path: path.to_owned(), query })
    }

    /// What follows the upstream's base: the path, and the query without a key.
    pub(super) fn tail(&self) -> String {
        let kept: Vec<_> = self.query.split('&').filter(|pair| !pair.is_empty() && !is_key(pair)).collect();
        let mark = if kept.is_empty() { "" } else { "?" };
        format!("{}{mark}{}", self.path, kept.join("&"))
    }

    /// Whether any of the places for a key holds this token.
    pub(super) fn shows(&self, headers: &HeaderMap, token: &Secret) -> bool {
        let bearer = headers.get_all(AUTHORIZATION).iter().filter_map(|value| {
            let (word, given) = value.to_str().ok()?.split_once(' ')?;
            word.eq_ignore_ascii_case("bearer").then(|| given.trim())
        });
        let named = ["x-api-key", "x-goog-api-key"].into_iter().flat_map(|name| headers.get_all(name));
        let named = named.filter_map(|value| value.to_str().ok());
        let mut given = bearer.chain(named);
        let in_query = || url::form_urlencoded::parse(self.query.as_bytes()).filter(|(name, _)| name == "key");
        given.any(|given| token::same(given.as_bytes(), token))
            || in_query().any(|(_, given)| token::same(given.as_bytes(), token))
    }
}

/// Whether a pair of a query is `key=…`, however it is escaped.
fn is_key(pair: &str) -> bool {
    url::form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| name == "key")
}

/// Why a body can't be used.
#[derive(Debug)]
pub(super) enum BadBody {
    /// The client gets this answer.
    Refused(ErrorKind, String),
    /// The client is gone.
    Gone,
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
    Deflate,
}

impl FromStr for Coding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Plain),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            other => Err(format!("the content encoding `{other}` is not read here; send the body plain or with gzip")),
        }
    }
}

/// Reads a body to its end, which must come within `patience`, and takes its compression off.
pub(super) async fn body(headers: &HeaderMap, body: Incoming, patience: Duration) -> Result<Bytes, BadBody> {
    let invalid = |why| BadBody::Refused(ErrorKind::Invalid, why);
    let named: Vec<_> = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("?")).collect();
    let coding: Coding = named.join(",").parse().map_err(invalid)?;
    let read = tokio::time::timeout(patience.min(STALLED), read(body)).await.map_err(|_| BadBody::Gone)??;
    if coding == Coding::Plain {
        return Ok(read);
    }
    // A few bytes can become very many.
    match off_thread(usize::MAX, move || decode(coding, &read)).await {
        Some(decoded) => decoded,
        None => Err(invalid("the body can't be decoded".to_owned())),
    }
}

async fn read(mut body: Incoming) -> Result<Bytes, BadBody> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut kept = BytesMut::with_capacity(if announced > LONGEST { 0 } else { announced });
    let mut length = 0;
    loop {
        let Some(frame) = body.frame().await else { break };
        let Ok(frame) = frame else { return Err(BadBody::Gone) };
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length.max(announced) <= LONGEST {
            kept.extend_from_slice(&data);
        } else if length > FORGOTTEN {
            break;
        }
    }
    if length > LONGEST { Err(too_large()) } else { Ok(kept.freeze()) }
}

/// Does work here if it is small, else on a thread for such work; none where it panicked there.
pub(super) async fn off_thread<T: Send + 'static>(size: usize, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if size <= INLINE { Some(work()) } else { tokio::task::spawn_blocking(work).await.ok() }
}

fn too_large() -> BadBody {
    BadBody::Refused(ErrorKind::TooLarge, format!("the body is longer than {} MiB", LONGEST >> 20))
}

fn decode(coding: Coding, body: &[u8]) -> Result<Bytes, BadBody> {
    let mut out = Vec::new();
    let most = LONGEST as u64 + 1;
    let read = match coding {
        Coding::Plain => (&mut &*body).take(most).read_to_end(&mut out),
        Coding::Gzip => flate2::read::MultiGzDecoder::new(body).take(most).read_to_end(&mut out),
        // Named after zlib's format, and by some clients meant without its frame.
        Coding::Deflate => flate2::read::ZlibDecoder::new(body).take(most).read_to_end(&mut out).or_else(|_| {
            out.clear();
            flate2::read::DeflateDecoder::new(body).take(most).read_to_end(&mut out)
        }),
    };
    match read {
        Err(_) => Err(BadBody::Refused(
            ErrorKind::Invalid,
            "the body can't be decoded as its content encoding says".to_owned(),
        )),
        Ok(_) if out.len() > LONGEST => Err(too_large()),
        Ok(_) => Ok(out.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;

    use super::*;

    fn route(uri: &str) -> Route {
        Route::of(&uri.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_path_names_a_trial_a_provider_and_what_lies_below_its_base() {
        for (uri, trial, provider, path, query) in [
            ("/t/a/anthropic/v1/messages?beta=true", "a", Some(Provider::Anthropic), "/v1/messages", "beta=true"),
            ("/t/a-1/openai/v1/chat/completions", "a-1", Some(Provider::OpenAi), "/chat/completions", ""),
            ("/t/a/openai/chat/completions", "a", None, "/chat/completions", ""),
            ("/t/a/openai/v10/chat", "a", None, "/v10/chat", ""),
            (
                "/t/a/gemini/v1beta/models/x:generateContent",
                "a",
                Some(Provider::Gemini),
                "/v1beta/models/x:generateContent",
                "",
            ),
            ("/t/a/anthropic", "a", Some(Provider::Anthropic), "/", ""),
            ("/t/a/mistral/v1", "a", None, "/v1", ""),
        ] {
            let expected = Route { trial: trial.to_owned(), provider, path: path.to_owned(), query: query.to_owned() };
            assert_eq!(route(uri), expected, "{uri}");
        }
        for uri in ["/", "/t/a", "/v1/messages", "/x/a/openai/v1/models"] {
            assert_eq!(Route::of(&uri.parse().unwrap()), None, "{uri}");
        }
    }

    #[test]
    fn a_key_in_the_query_does_not_go_on() {
        let tail = |uri: &str| route(uri).tail();
        assert_eq!(tail("/t/a/gemini/m?alt=sse&key=abc"), "/m?alt=sse");
        assert_eq!(tail("/t/a/gemini/m?k%65y=abc&key=d"), "/m");
        assert_eq!(tail("/t/a/gemini/m?keys=abc"), "/m?keys=abc");
    }

    #[test]
    fn a_token_is_taken_wherever_a_client_puts_its_key() {
        let token = Secret::new("0123abcd");
        let shown = |uri: &str, headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            route(uri).shows(&map, &token)
        };
        let plain = "/t/a/gemini/m";
        assert!(shown(plain, &[("authorization", "Bearer 0123abcd")]));
        assert!(shown(plain, &[("authorization", "Bearer other"), ("x-api-key", "0123abcd")]));
        assert!(shown(plain, &[("x-goog-api-key", "0123abcd")]));
        assert!(shown("/t/a/gemini/m?alt=sse&key=0123abcd", &[]));
        assert!(!shown(plain, &[]));
        assert!(!shown("/t/a/gemini/m?token=0123abcd", &[("authorization", "0123abcd"), ("cookie", "0123abcd")]));
    }

    fn packed(body: &[u8], coding: Coding) -> Vec<u8> {
        match coding {
            Coding::Plain => body.to_vec(),
            Coding::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
                out.write_all(body).unwrap();
                out.finish().unwrap()
            }
            Coding::Deflate => {
                let mut out = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
                out.write_all(body).unwrap();
                out.finish().unwrap()
            }
        }
    }

    #[test]
    fn compressed_bodies_are_read_as_they_are_meant() {
        for coding in [Coding::Plain, Coding::Gzip, Coding::Deflate] {
            assert_eq!(decode(coding, &packed(b"{\"a\": 1}", coding)).unwrap(), "{\"a\": 1}");
        }
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(b"{}").unwrap();
        assert_eq!(decode(Coding::Deflate, &bare.finish().unwrap()).unwrap(), "{}");
    }

    #[test]
    fn what_is_not_compressed_as_it_says_or_becomes_too_long_is_refused() {
        let status = |decoded: Result<Bytes, BadBody>| match decoded {
            Err(BadBody::Refused(kind, _)) => kind.status(),
            other => panic!("{other:?}"),
        };
        assert_eq!(status(decode(Coding::Gzip, b"{}")), 400);
        assert_eq!(status(decode(Coding::Deflate, b"\x00\x01")), 400);
        let bomb = packed(&vec![0; LONGEST + 1], Coding::Gzip);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(status(decode(Coding::Gzip, &bomb)), 413);
    }

    #[test]
    fn only_gzip_and_deflate_are_read() {
        for (text, expected) in [("", Coding::Plain), ("GZIP", Coding::Gzip), (" deflate ", Coding::Deflate)] {
            assert_eq!(text.parse(), Ok(expected));
        }
        for text in ["br", "zstd", "gzip,gzip", "?"] {
            assert!(text.parse::<Coding>().unwrap_err().contains("gzip"), "{text}");
        }
    }
}
