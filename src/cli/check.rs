//! `check`: everything that is wrong with documents, without running anything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Context, Outcome, documents};
use crate::compose;
use crate::domain::diagnostic::{Diagnostic, Severity};
use crate::domain::document::{Bindings, Document, fixed};
use crate::engine::before::target;
use crate::engine::before::uncommitted;
use crate::error::{ExitCode, Result};
use crate::project::{self, Project};
use crate::ui::diagnostics::{self, Checked};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint check docs/blueprints/*.md")]
pub struct Args {
    /// Documents to check [default: all in docs/blueprints].
    #[arg(value_name = "DOCUMENT")]
    documents: Vec<PathBuf>,
    /// How to print findings.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Repair in the file what needs no question.
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

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let project = context.project().await?;
    target::refs_can_be_made(&*project.git).await?;
    let bindings = compose::bindings(&project.config)?;
    let mut all = Vec::new();
    for path in &documents::named(&args.documents, context)?.paths {
        let place = context.directory.join(path);
        if args.fix {
            let source = project::read(&place)?;
            fix(&place, source, &bindings, context)?;
        }
        let source = project.document(&place).await?;
        let found = findings(&source, &bindings);
        let uncommitted = uncommitted(&project, path, &source, context).await?;
        all.push(Checked { path: path.display().to_string(), source, found, uncommitted });
    }
    let count = |severity| all.iter().flat_map(|c| &c.found).filter(|finding| finding.severity() == severity).count();
    let errors = count(Severity::Error);
    let loose: BTreeSet<_> = all.iter().flat_map(|checked| &checked.uncommitted).cloned().collect();
    match args.format {
        Format::Json => context.out.print_document(&diagnostics::json(&all)),
        Format::Github => {
            for Checked { path, source, found, .. } in &all {
                context.out.print_document(&diagnostics::github(found, path, source));
            }
            context.out.print_document(&diagnostics::github_files(&loose));
        }
        Format::Human => {
            for Checked { path, source, found, .. } in &all {
                context.out.print(&diagnostics::human(found, path, source, context.out.style().coloured));
            }
            context.out.print(&diagnostics::files(&loose, context.out.style()));
            context.out.note(&summary(errors, count(Severity::Warning), count(Severity::Note), loose.len()));
        }
    }
    Ok(if errors > 0 { ExitCode::Usage } else { ExitCode::Done })
}

/// Files that the document's plan names and that are not committed; none where there is no branch to land on yet.
async fn uncommitted(project: &Project, path: &Path, source: &[u8], context: &Context) -> Result<Vec<String>> {
    let (Ok(document), Ok(target)) =
        (Document::parse(source), target::target(&*project.git, project.config.branch.as_deref()).await)
    else {
        return Ok(Vec::new());
    };
    // A document elsewhere can be checked too; no run would take it.
    let Ok(relative) = project.relative(&context.directory.join(path)) else { return Ok(Vec::new()) };
    uncommitted::sentences(&*project.git, &target, &compose::named::files(project, &relative, document.plan())).await
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
fn fix(path: &Path, bytes: Vec<u8>, bindings: &Bindings, context: &Context) -> Result<()> {
    let fixed = fixed(&bytes, &findings(&bytes, bindings));
    if fixed.bytes != bytes {
        project::write(path, &fixed.bytes)?;
    }
    for description in &fixed.descriptions {
        context.out.note(&format!("fixed: {description}"));
    }
    Ok(())
}

fn summary(errors: usize, warnings: usize, notes: usize, uncommitted: usize) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let more = |n: usize, what: &str, behind: &str| match n {
        0 => String::new(),
        n => format!(", {}{behind}", count(n, what)),
    };
    let (notes, loose) = (more(notes, "note", ""), more(uncommitted, "file", " not committed"));
    format!("{}, {}{notes}{loose}\n", count(errors, "error"), count(warnings, "warning"))
}
