//! Documents named on the command line: read, parsed, bound to the configuration, complained about.

use std::path::{Path, PathBuf};

use super::{Context, Failure};
use crate::compose;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::document::{Document, is_blueprint};
use crate::error::{Error, ExitCode};
use crate::project::Project;
use crate::ui::diagnostics;

/// Where documents usually are, relative to the root.
pub const FOLDER: &str = "docs/blueprints";

/// A document that can be read, with what is to be said about it.
pub struct Loaded {
    /// As named on the command line.
    pub shown: String,
    /// What it says.
    pub document: Document,
}

/// Reads a document as git would store it; what is wrong with it is told.
pub async fn load(path: &Path, project: &Project, context: &Context) -> Result<Loaded, Failure> {
    let shown = path.display().to_string();
    let bytes = project.document(&context.directory.join(path)).await?;
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

/// The documents that are meant.
pub struct Chosen {
    /// Their paths.
    pub paths: Vec<PathBuf>,
    /// Whether one was named and no other: what can't be done with it is an error then.
    pub alone: bool,
}

/// The documents that are meant: those named, or all in the usual place. Among several, files that are no
/// blueprints are told and left out.
pub fn named(paths: &[PathBuf], context: &Context) -> Result<Chosen, Error> {
    if let [one] = paths {
        return Ok(Chosen { paths: vec![one.clone()], alone: true });
    }
    let folder = Path::new(FOLDER);
    let all = if paths.is_empty() { listed(folder, context)? } else { paths.to_vec() };
    let mut chosen = Vec::new();
    for path in all {
        // What can't be read is told where it is wanted.
        let bytes = std::fs::read(context.directory.join(&path));
        if bytes.is_ok_and(|bytes| !is_blueprint(&bytes)) {
            context.out.note(&format!("{} is not a blueprint; skipped\n", path.display()));
        } else {
            chosen.push(path);
        }
    }
    if chosen.is_empty() {
        let place = if paths.is_empty() { folder.display().to_string() } else { "what was named".to_owned() };
        return Err(Error::usage(format!("there is no blueprint in {place}"))
            .hint("write one: blueprint new \"What is to change\""));
    }
    Ok(Chosen { paths: chosen, alone: false })
}

/// The markdown files of a folder, in the order of their names.
fn listed(folder: &Path, context: &Context) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(context.directory.join(folder)).map_err(|error| {
        Error::usage(format!("no document was named, and {} can't be read", folder.display()))
            .because(error)
            .hint("name one, or write one: blueprint new \"What is to change\"")
    })?;
    let names = entries.flatten().map(|entry| folder.join(entry.file_name()));
    let mut found: Vec<_> = names.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    found.sort();
    Ok(found)
}
