//! Who watches a run: progress on standard error, and a file of events where one is asked for.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

use super::Context;
use crate::domain::event::Sink;
use crate::error::{Error, Result};
use crate::ui::{JsonLines, Progress, Sinks};

/// Watches one run.
pub struct Watch {
    /// Where its events go.
    pub sink: Arc<dyn Sink>,
    progress: Arc<Progress>,
    lines: Option<Arc<JsonLines>>,
}

impl Watch {
    /// Watches from now on.
    pub fn new(context: &Context, events: Option<&Path>) -> Result<Self> {
        let progress = Arc::new(Progress::new(Arc::clone(&context.out)));
        let lines = events.map(open).transpose()?;
        let mut sinks: Vec<Arc<dyn Sink>> = vec![progress.clone()];
        if let Some(lines) = &lines {
            sinks.push(lines.clone());
        }
        Ok(Self { sink: Arc::new(Sinks(sinks)), progress, lines })
    }

    /// Makes way for the results; tells whether every event was written.
    pub fn finish(&self) -> Result<()> {
        self.progress.finish();
        self.lines.as_ref().map_or(Ok(()), |lines| lines.finish())
    }
}

fn open(path: &Path) -> Result<Arc<JsonLines>> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| Error::usage(format!("events can't be written to {}", path.display())).because(error))?;
    Ok(Arc::new(JsonLines::new(file)))
}
