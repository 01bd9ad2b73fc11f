//! `check`: everything that is wrong with documents, without running anything.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Context, Outcome, documents};
use crate::compose;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::document::{Bindings, Document, fixed};
use crate::error::{ExitCode, Result};
use crate::project::{self, Project};
use crate::ui::diagnostics;

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
    let mut json = Vec::new();
    let (mut errors, mut warnings) = (0, 0);
    for path in &documents::named(&args.documents, context)? {
        let shown = path.display().to_string();
        let place = context.directory.join(path);
        let mut bytes = project::read(&place)?;
        if args.fix {
            bytes = fix(&place, bytes, &bindings, context)?;
        }
        let found = findings(&bytes, &bindings);
        errors += found.iter().filter(|finding| finding.is_error()).count();
        warnings += found.iter().filter(|finding| !finding.is_error()).count();
        match args.format {
            Format::Human => {
                let coloured = context.out.style().coloured;
                context.out.print(&diagnostics::human(&found, &shown, &bytes, coloured));
            }
            Format::Github => context.out.print_document(&diagnostics::github(&found, &shown, &bytes)),
            Format::Json => json.extend(diagnostics::json(&found, &shown, &bytes)),
        }
    }
    match args.format {
        Format::Json => {
            let document = serde_json::json!({ "schema_version": 1, "diagnostics": json });
            context.out.print_document(&format!("{document:#}\n"));
        }
        Format::Human => context.out.note(&summary(errors, warnings)),
        Format::Github => {}
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

fn summary(errors: usize, warnings: usize) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!("{}, {}\n", count(errors, "error"), count(warnings, "warning"))
}
