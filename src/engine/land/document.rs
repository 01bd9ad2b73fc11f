//! The document on the branch that is landed on: whether it is still the one that is carried out, and what it is told.

use std::collections::BTreeMap;

use crate::adapters::git::CommitId;
use crate::domain::document::Document;
use crate::domain::plan::{Status, VariantKey};
use crate::domain::results::Ended;
use crate::domain::scoreboard::Scoreboard;
use crate::domain::trial::ChangeSize;
use crate::engine::land::Landing;
use crate::engine::state::Facts;
use crate::error::{Error, ExitCode};

impl Landing {
    /// What the document is told of a run that is over.
    pub(super) fn ended<'a>(&'a self, board: &'a Scoreboard, sizes: &'a BTreeMap<VariantKey, ChangeSize>) -> Ended<'a> {
        Ended { plan: self.run.plan(), board, sizes, run: &self.run.started.run, at: self.run.started.at }
    }

    /// The document as a commit has it, if it is still the one that is carried out. Another run may have
    /// carried it out meanwhile, or somebody may have changed what it asks for: then why it is not.
    pub(super) async fn standing_document(&self, at: &CommitId) -> Result<Result<Document, String>, Error> {
        let (path, target) = (&self.run.started.document, &self.run.started.target);
        let Some(bytes) = self.git.file_at(at, path).await? else {
            return Ok(Err(format!("{path} is not on `{target}` any more")));
        };
        let Ok(document) = Document::parse(&bytes) else {
            return Ok(Err(format!("{path} on `{target}` is no longer a valid blueprint")));
        };
        let began = self.git.file_at(&self.run.started.base, path).await?;
        let began = began.and_then(|bytes| Document::parse(&bytes).ok());
        let (status, expected) = (document.plan().status, self.run.plan().status);
        // A run that is measured on finds the end that it recorded itself.
        let own = status == Status::Failed && document.run() == Some(self.run.started.run.as_str());
        Ok(if status != expected && !own {
            Err(format!("{path} is {status} on `{target}` by now"))
        } else if document.digest() != self.run.started.digest {
            Err(format!("{path} was edited on `{target}` during the run"))
        } else if status == Status::Failed && !own && began.is_some_and(|began| began.run() != document.run()) {
            Err(format!("another run recorded its end in {path} on `{target}` meanwhile"))
        } else {
            Ok(document)
        })
    }

    /// The document as the target has it, with the tool's regions written anew.
    pub(super) async fn rewritten(
        &self,
        onto: &CommitId,
        scoreboard: &Scoreboard,
        facts: &Facts,
    ) -> Result<Vec<u8>, Error> {
        let document = self.standing_document(onto).await?.map_err(|why| {
            Error::new(ExitCode::LandingBlocked, format!("cannot land the winner: {why}"))
                .hint("nothing is lost: its work is kept, see `blueprint report`")
                .hint(format!("to carry out what the document says now: blueprint run {}", self.run.started.document))
        })?;
        Ok(document.rewrite(&self.ended(scoreboard, &facts.sizes()).landed()))
    }
}

#[cfg(test)]
mod tests;
