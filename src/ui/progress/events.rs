//! Other readers of a run's events: a stream of JSON lines, and several readers at once.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::event::{Event, Sink};
use crate::error::{Error, Result};

/// Writes each event as one line of JSON. A reader can follow the stream while the run goes on.
pub struct JsonLines {
    to: Mutex<(Box<dyn Write + Send>, Option<io::Error>)>,
}

impl JsonLines {
    /// Lines to this writer.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self { to: Mutex::new((Box::new(writer), None)) }
    }

    /// Tells whether every event was written.
    pub fn finish(&self) -> Result<()> {
        match self.to.lock().unwrap_or_else(PoisonError::into_inner).1.take() {
            Some(why) => Err(Error::machine("the events could not be written").because(why)),
            None => Ok(()),
        }
    }
}

impl Sink for JsonLines {
    fn send(&self, event: Event) {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let (writer, failed) = &mut *to;
        if failed.is_none() {
            let line = serde_json::to_string(&event).map_err(io::Error::other).map(|line| line + "\n");
            *failed = line.and_then(|line| writer.write_all(line.as_bytes()).and_then(|()| writer.flush())).err();
        }
    }
}

/// Hands every event to each of several sinks, in their order.
pub struct Sinks(pub Vec<Arc<dyn Sink>>);

impl Sink for Sinks {
    fn send(&self, event: Event) {
        for sink in &self.0 {
            sink.send(event.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::terminal::tests::Captured;
    use super::*;

    #[test]
    fn each_sink_gets_every_event_and_a_line_is_an_event() {
        let (first, second) = (Captured::default(), Captured::default());
        let sinks = Sinks(vec![Arc::new(JsonLines::new(first.clone())), Arc::new(JsonLines::new(second.clone()))]);
        let events = [
            Event::Warning { text: "two\nlines".to_owned() },
            Event::Landed { commit: "3f2a1c9".to_owned(), branch: "main".to_owned() },
        ];
        events.iter().for_each(|event| sinks.send(event.clone()));
        assert_eq!(first.text(), second.text());
        insta::assert_snapshot!(first.text(), @r#"
        {"event":"warning","text":"two\nlines"}
        {"event":"landed","commit":"3f2a1c9","branch":"main"}
        "#);
        let back: Vec<Event> = first.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(back, events);
    }

    #[test]
    fn an_event_that_could_not_be_written_is_told_in_the_end() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = JsonLines::new(Full);
        assert!(lines.finish().is_ok());
        lines.send(Event::Warning { text: "x".to_owned() });
        assert!(lines.finish().is_err());
    }
}
