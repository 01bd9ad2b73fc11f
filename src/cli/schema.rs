//! `schema`: the JSON schema of `blueprint.yaml`.

use super::{Context, Outcome};
use crate::config;
use crate::error::ExitCode;

pub fn main(context: &Context) -> Outcome {
    context.out.print_document(&format!("{}\n", config::schema()));
    Ok(ExitCode::Done)
}
