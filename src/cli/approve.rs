//! `approve`: binds an approval to what a document says now.

use std::path::PathBuf;

use super::{Context, Outcome, documents};
use crate::error::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  blueprint approve docs/blueprints/faster-listing.md")]
pub struct Args {
    /// The document.
    #[arg(value_name = "DOCUMENT")]
    document: PathBuf,
}

pub async fn main(args: &Args, context: &Context) -> Outcome {
    let project = context.project().await?;
    let loaded = documents::load(&args.document, &project, context).await?;
    documents::bind(&loaded, &project, context)?;
    let digest = loaded.document.digest();
    let approved = loaded.document.with_approval(&digest);
    project.write_document(&context.directory.join(&args.document), &approved).await?;
    let shown = &loaded.shown;
    context.out.print(&format!("approved {shown} as {}\n", &digest[..12.min(digest.len())]));
    context.out.note(&format!("commit it, then: blueprint run {shown}\n"));
    Ok(ExitCode::Done)
}
