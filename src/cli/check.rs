//! `check`: everything that is wrong with documents, without running anything.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Context, Outcome, documents};
use crate::compose;
use crate::domain::diagnostic::{Diagnostic, Severity};
use crate::domain::document::Document;
use crate::error::{Error, ExitCode};
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
    let mut counts = [0_usize; 2];
    for path in &documents::named(&args.documents, context)? {
        let shown = path.display().to_string();
        let mut bytes = project::read(&context.directory.join(path))?;
        if args.fix {
            bytes = fix(&context.directory.join(path), bytes)?;
        }
        let found = findings(&bytes, &bindings);
        for finding in &found {
            counts[usize::from(finding.severity == Severity::Error)] += 1;
        }
        match args.format {
            Format::Human => {
                let coloured = context.out.style().coloured;
                context.out.print(&diagnostics::human(&found, &shown, &bytes, coloured));
            }
            Format::Github => context.out.print_document(&diagnostics::github(&found, &shown, &bytes)),
            Format::Json => json.extend(diagnostics::json(&found, &shown, &bytes)),
        }
    }
    let [warnings, errors] = counts;
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

fn findings(bytes: &[u8], bindings: &crate::domain::document::Bindings) -> Vec<Diagnostic> {
    match Document::parse(bytes) {
        Ok(document) => {
            let mut found = document.warnings().to_vec();
            found.extend(document.bind(bindings));
            found.sort_by_key(|d| d.span.start);
            found
        }
        Err(found) => found,
    }
}

/// Writes the repaired bytes back, whole or not at all.
fn fix(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    let Ok(document) = Document::parse(&bytes) else { return Ok(bytes) };
    let fixed = document.fix();
    if fixed != bytes {
        project::write(path, &fixed)?;
    }
    Ok(fixed)
}

fn summary(errors: usize, warnings: usize) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!("{}, {}\n", count(errors, "error"), count(warnings, "warning"))
}
