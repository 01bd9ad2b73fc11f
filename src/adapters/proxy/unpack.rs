//! Takes the compression off an answer as its pieces come. Nothing is asked for compressed; what comes
//! compressed all the same is read as it says that it is, or refused: nobody can meter it else.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use hyper::HeaderMap;
use hyper::header::CONTENT_ENCODING;

/// More codings than this on top of each other are nobody's honest answer.
const MOST_LAYERS: usize = 3;
/// So much is unpacked at a time, so that a few bytes that become very many are noticed early.
pub(super) const SLICE: usize = 1 << 10;

/// One coding, and what came out of it.
enum Layer {
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// Named after zlib's format, and by some servers meant without its frame: the first byte tells.
    Deflate,
    Zlib(ZlibDecoder<Vec<u8>>),
    Bare(DeflateDecoder<Vec<u8>>),
}

/// The codings of an answer.
pub(super) struct Unpacker {
    /// The last one that was put on comes first.
    layers: Vec<Layer>,
    /// What it starts with, unpacked.
    start: Vec<u8>,
}

/// So much of the start tells text from what is packed.
const START: usize = 8;

impl Unpacker {
    /// As an answer's head says; what it says where that is not read here.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, String> {
        let mut layers = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.to_str().unwrap_or("?").split(',') {
                match name.trim().to_ascii_lowercase().as_str() {
                    "" | "identity" => {}
                    "gzip" | "x-gzip" => layers.push(Layer::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))),
                    "deflate" => layers.push(Layer::Deflate),
                    other => {
                        let name: String = other.chars().take(20).collect();
                        return Err(format!(
                            "the answer is compressed with `{name}`, which was not asked for and is not read here"
                        ));
                    }
                }
            }
        }
        if layers.len() > MOST_LAYERS {
            return Err(format!("the answer is compressed {} times over", layers.len()));
        }
        layers.reverse();
        Ok(Self { layers, start: Vec::new() })
    }

    /// Whether there is anything to take off.
    pub(super) fn packed(&self) -> bool {
        !self.layers.is_empty()
    }

    /// What these bytes mean. An error where they are not what the head says.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = bytes.to_vec();
        for layer in &mut self.layers {
            out = layer.feed(&out).map_err(|_| "the answer is not compressed as its head says".to_owned())?;
        }
        if self.start.len() < START {
            let room = START - self.start.len();
            self.start.extend_from_slice(&out[..out.len().min(room)]);
            if !is_text(&self.start) {
                return Err("the answer is no text: it is compressed, and its head does not say so".to_owned());
            }
        }
        Ok(out)
    }
}

impl Layer {
    fn feed(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        if let (Self::Deflate, Some(first)) = (&self, bytes.first()) {
            *self = match first & 0x0f {
                8 => Self::Zlib(ZlibDecoder::new(Vec::new())),
                _ => Self::Bare(DeflateDecoder::new(Vec::new())),
            };
        }
        match self {
            Self::Gzip(decoder) => {
                write(decoder, bytes)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Zlib(decoder) => {
                write(decoder, bytes)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Bare(decoder) => {
                write(decoder, bytes)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Deflate => Ok(Vec::new()),
        }
    }
}

fn write(decoder: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    decoder.write_all(bytes)?;
    decoder.flush()
}

/// Whether text may start like this. Whatever is packed starts with what is none within a few bytes.
fn is_text(start: &[u8]) -> bool {
    let known = match std::str::from_utf8(start) {
        Ok(text) => text,
        // A character may be cut.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    known.chars().all(|c| !c.is_control() || c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = b"data: {\"a\": 1}\n\ndata: [DONE]\n\n";

    fn of(names: &[&str]) -> Result<Unpacker, String> {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(CONTENT_ENCODING, name.parse().unwrap());
        }
        Unpacker::of(&headers)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut out = ZlibEncoder::new(Vec::new(), Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    fn bare(text: &[u8]) -> Vec<u8> {
        let mut out = DeflateEncoder::new(Vec::new(), Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    fn read(names: &[&str], bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
        let mut unpacker = of(names)?;
        let mut out = Vec::new();
        for piece in bytes.chunks(size) {
            out.extend(unpacker.feed(piece)?);
        }
        Ok(out)
    }

    #[test]
    fn an_answer_is_read_as_its_head_says_wherever_it_is_cut() {
        for size in [1, 7, 1000] {
            for (names, bytes) in [
                (&[][..], TEXT.to_vec()),
                (&["identity"], TEXT.to_vec()),
                (&["gzip"], gzip(TEXT)),
                (&["X-GZIP"], [gzip(&TEXT[..9]), gzip(&TEXT[9..])].concat()),
                (&["deflate"], zlib(TEXT)),
                (&["deflate"], bare(TEXT)),
                (&["deflate, gzip"], gzip(&zlib(TEXT))),
                (&["gzip", "identity", "gzip"], gzip(&gzip(TEXT))),
            ] {
                assert_eq!(read(names, &bytes, size).unwrap(), TEXT, "{names:?} by {size}");
            }
        }
    }

    #[test]
    fn a_piece_that_is_flushed_is_there_at_once() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"data: 1\n\n").unwrap();
        encoder.flush().unwrap();
        let first = std::mem::take(encoder.get_mut());
        assert_eq!(of(&["gzip"]).unwrap().feed(&first).unwrap(), b"data: 1\n\n");
    }

    #[test]
    fn what_is_not_read_here_or_is_not_what_it_says_is_refused() {
        for names in ["br", "zstd", "gzip, br", "compress", "gzip,gzip,gzip,gzip"] {
            assert!(of(&[names]).is_err(), "{names}");
        }
        let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0];
        for (names, bytes) in [
            (&["gzip"][..], TEXT.to_vec()),
            (&["gzip"], zlib(TEXT)),
            (&["deflate"], gzip(TEXT)),
            (&[], gzip(TEXT)),
            (&["gzip"], gzip(&gzip(TEXT))),
            (&["identity"], zstd.to_vec()),
            (&[], vec![0x1b, 0x20, 0]),
        ] {
            assert!(read(names, &bytes, 5).is_err(), "{names:?} {bytes:?}");
        }
    }
}
