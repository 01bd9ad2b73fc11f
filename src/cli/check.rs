//! `check`: everything that is wrong with documents, without running anything.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Context, Outcome, documents};
use crate::compose;
use crate::domain::diagnostic::{Diagnostic, Severity};
use crate::domain::document::{Bindings, Document, fixed};
use crate::error::{ExitCode, Result};
use crate::project::{self, Project};
use crate::ui::diagnostics::{self, Checked};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Documents; all in docs/blueprints where none is named.
    #[arg(value_name = "DOCUMENT")]
    documents: Vec<PathBuf>,
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Repair what can be repaired without a question, in the file.
    #[arg(long)]
    fix: bool,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON document.
    Json,
    /// Annotations of a GitHub workflow.
    Github,
}

pub fn main(args: &Args, context: &Context) -> Outcome {
    let project = Project::open(&context.directory)?;
    let bindings = compose::bindings(&project.config)?;
    let mut all = Vec::new();
    for path in &documents::named(&args.documents, context)? {
        let place = context.directory.join(path);
        let mut source = project::read(&place)?;
        if args.fix {
            source = fix(&place, source, &bindings, context)?;
        }
        let found = findings(&source, &bindings);
        all.push(Checked { path: path.display().to_string(), source, found });
    }
    let count = |severity| all.iter().flat_map(|c| &c.found).filter(|finding| finding.severity() == severity).count();
    let errors = count(Severity::Error);
    match args.format {
        Format::Json => context.out.print_document(&diagnostics::json(&all)),
        Format::Github => all.iter().for_each(|checked| {
            let Checked { path, source, found } = checked;
            context.out.print_document(&diagnostics::github(found, path, source));
        }),
        Format::Human => {
            for Checked { path, source, found } in &all {
                context.out.print(&diagnostics::human(found, path, source, context.out.style().coloured));
            }
            context.out.note(&summary(errors, count(Severity::Warning), count(Severity::Note)));
        }
    }
    Ok(if errors > 0 { ExitCode::Usage } else { ExitCode::Done })
}

fn findings(bytes: &[u8], bindings: &Bindings) -> Vec<Diagnostic> {
    match Document::parse(bytes) {
        Ok(document) => {
            let mut found = document.warnings().to_vec();
            found.extend(document.bind(bindings));
            found.sort_by_key(|finding| finding.span.start);
            found
        }
        Err(found) => found,
    }
}

/// Writes the repaired bytes back, whole or not at all, and says what was repaired.
fn fix(path: &Path, bytes: Vec<u8>, bindings: &Bindings, context: &Context) -> Result<Vec<u8>> {
    let fixed = fixed(&bytes, &findings(&bytes, bindings));
    if fixed.bytes != bytes {
        project::write(path, &fixed.bytes)?;
    }
    for description in &fixed.descriptions {
        context.out.note(&format!("fixed: {description}"));
    }
    Ok(fixed.bytes)
}

fn summary(errors: usize, warnings: usize, notes: usize) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let notes = if notes == 0 { String::new() } else { format!(", {}", count(notes, "note")) };
    format!("{}, {}{notes}\n", count(errors, "error"), count(warnings, "warning"))
}
