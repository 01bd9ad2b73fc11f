//! Server-sent events, read as bytes come (HTML Living Standard §9.2.6), as far as answers of
//! models use them: `event` and `data`.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SseEvent {
    /// What the stream calls it; empty where it does not say.
    pub event: String,
    /// Its data lines, joined by a newline.
    pub data: String,
}

/// Takes a stream apart into events, wherever its pieces are cut.
#[derive(Debug, Default)]
pub struct SseReader {
    /// The start of a line whose end has not come yet.
    line: Vec<u8>,
    event: SseEvent,
    has_data: bool,
    /// Whether the last byte was a `\r`, which a `\n` may belong to.
    after_cr: bool,
    /// Whether the last line that ended was empty, so that nothing is open behind it.
    after_blank: bool,
}

/// A line longer than this is no event of a model's; what is longer is dropped.
const LONGEST_LINE: usize = 32 << 20;

impl SseReader {
    /// The events that these bytes complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<SseEvent> {
        self.feed_to(bytes).0
    }

    /// The same, and how many of the bytes are behind no event that has begun and not ended.
    pub fn feed_to(&mut self, bytes: &[u8]) -> (Vec<SseEvent>, usize) {
        let mut done = Vec::new();
        let (mut at, mut upto) = (0, 0);
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match piece.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (text, Some(*end)),
                _ => (piece, None),
            };
            // `\r\n` is one line end, also where it is cut between the two.
            let second_half = end == Some(b'\n') && text.is_empty() && self.after_cr && self.line.is_empty();
            self.after_cr = end == Some(b'\r');
            at += piece.len();
            if second_half {
                if self.after_blank {
                    upto = at;
                }
                continue;
            }
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                self.after_blank = line.is_empty();
                if self.after_blank {
                    upto = at;
                }
                done.extend(self.take(&String::from_utf8_lossy(&line)));
            }
        }
        (done, upto)
    }

    /// Takes one whole line; the event that it ends.
    fn take(&mut self, line: &str) -> Option<SseEvent> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name.trim_start_matches('\u{feff}') {
            "event" => value.clone_into(&mut self.event.event),
            "data" => {
                if self.has_data && self.event.data.len() < LONGEST_LINE {
                    self.event.data.push('\n');
                }
                // Lines of an event that never ends are dropped too.
                if self.event.data.len() + value.len() <= LONGEST_LINE {
                    self.event.data.push_str(value);
                }
                self.has_data = true;
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> Vec<(String, String)> {
        let mut reader = SseReader::default();
        let events = pieces.iter().flat_map(|piece| reader.feed(piece.as_bytes())).collect::<Vec<_>>();
        events.into_iter().map(|e| (e.event, e.data)).collect()
    }

    #[test]
    fn an_event_ends_with_an_empty_line_whatever_ends_its_lines() {
        let expected = vec![("a".to_owned(), "1\n2".to_owned()), (String::new(), "{}".to_owned())];
        for end in ["\n", "\r\n", "\r"] {
            let text = ": hello\nevent: a\ndata: 1\ndata:2\n\ndata: {}\nid: 7\n\ndata: cut".replace('\n', end);
            assert_eq!(read(&[&text]), expected, "{end:?}");
        }
    }

    #[test]
    fn what_stands_behind_the_last_event_is_known() {
        let upto = |text: &str| SseReader::default().feed_to(text.as_bytes()).1;
        assert_eq!(
            [upto("data: a\n\nda"), upto(": ping\n\n"), upto("data: a\n"), upto("data: a\r\n\r\n")],
            [9, 8, 0, 11]
        );
    }

    #[test]
    fn a_line_end_that_is_cut_in_two_closes_no_event_that_is_open() {
        let mut reader = SseReader::default();
        let mut upto = |piece: &str| reader.feed_to(piece.as_bytes()).1;
        assert_eq!([upto("data: a\r"), upto("\ndata: b\r"), upto("\n\r"), upto("\nda")], [0, 0, 2, 1]);
    }

    #[test]
    fn names_without_data_are_no_event() {
        assert_eq!(read(&["event: ping\n\n\n\ndata\n\n"]), [(String::new(), String::new())]);
    }

    proptest::proptest! {
        #[test]
        fn it_does_not_matter_where_a_stream_is_cut(
            data in "[a-zä:\\r ]{0,8}(\\n[a-z: ]{0,8}){0,6}",
            cuts in proptest::collection::vec(0..200usize, 0..12),
        ) {
            let text = format!("data: {data}\r\n\r\nevent: x\ndata: {data}\n\n");
            let whole = SseReader::default().feed(text.as_bytes());
            let mut reader = SseReader::default();
            let mut cuts: Vec<_> = cuts.iter().map(|c| c % (text.len() + 1)).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).flat_map(|w| reader.feed(&text.as_bytes()[w[0]..w[1]])).collect();
            proptest::prop_assert_eq!(pieces, whole);
        }
    }
}
