//! Documents named on the command line: read, parsed, bound to the configuration, complained about.

use std::path::{Path, PathBuf};

use super::{Context, Failure};
use crate::compose;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::document::Document;
use crate::error::{Error, ExitCode};
use crate::project::{self, Project};
use crate::ui::diagnostics;

/// A document that can be read, with what is to be said about it.
pub struct Loaded {
    /// As named on the command line.
    pub shown: String,
    /// What it says.
    pub document: Document,
}

/// Reads a document; what is wrong with it is told.
pub fn load(path: &Path, context: &Context) -> Result<Loaded, Failure> {
    let shown = path.display().to_string();
    let bytes = project::read(&context.directory.join(path))?;
    match Document::parse(&bytes) {
        Ok(document) => Ok(Loaded { shown, document }),
        Err(found) => {
            tell(&found, &shown, &bytes, context);
            Err(Failure::Told(ExitCode::Usage))
        }
    }
}

/// Refuses a document that the configuration does not bind, and tells what is missing.
pub fn bind(loaded: &Loaded, project: &Project, context: &Context) -> Result<(), Failure> {
    let found = loaded.document.bind(&compose::bindings(&project.config)?);
    if found.iter().any(Diagnostic::is_error) {
        tell(&found, &loaded.shown, loaded.document.source(), context);
        return Err(Failure::Told(ExitCode::Usage));
    }
    Ok(())
}

/// Prints diagnostics where people look for progress.
fn tell(found: &[Diagnostic], shown: &str, source: &[u8], context: &Context) {
    let coloured = context.out.note_style().coloured;
    context.out.note(&diagnostics::human(found, shown, source, coloured));
}

/// The documents that are meant: those named, or all in the usual place.
pub fn named(paths: &[PathBuf], context: &Context) -> Result<Vec<PathBuf>, Error> {
    if !paths.is_empty() {
        return Ok(paths.to_vec());
    }
    let folder = Path::new("docs/blueprints");
    let entries = std::fs::read_dir(context.directory.join(folder)).map_err(|error| {
        Error::usage(format!("no document was named, and {} can't be read", folder.display()))
            .because(error)
            .hint("name one, or write one: blueprint new \"What is to change\"")
    })?;
    let names = entries.flatten().map(|entry| folder.join(entry.file_name()));
    let mut found: Vec<_> = names.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    found.sort();
    if found.is_empty() {
        return Err(Error::usage(format!("there is no document in {}", folder.display()))
            .hint("write one: blueprint new \"What is to change\""));
    }
    Ok(found)
}
