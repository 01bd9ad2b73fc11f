//! Commits that are to land, as the repository wants them: with hooks that may refuse them, and signed.

use crate::adapters::git::{CommitId, CommitOrder};
use crate::domain::measurement::Contender;
use crate::engine::land::Landing;
use crate::engine::resources::lease::{Lease, Purpose};
use crate::error::Error;

/// So many names of what changed are told.
const NAMES: usize = 8;

impl Landing {
    /// Tells of configuration and hooks that somebody wrote during the run: what lands does not obey them, and
    /// the user's own git will.
    async fn tell_strayed(&self) -> Result<(), Error> {
        let names = self.git.strayed().await?;
        if !names.is_empty() {
            let more = if names.len() > NAMES { format!(" and {} more", names.len() - NAMES) } else { String::new() };
            self.run.warn(format!(
                "git configuration or hooks changed during the run: {}{more}; landing ignores the change, but your own git \
                 commands will use it",
                names[..names.len().min(NAMES)].join(", ")
            ));
        }
        Ok(())
    }

    /// Makes a commit as the landing policy says; an inner error is why the repository's own hooks or its
    /// signer do not let it pass. Nothing points at it yet.
    pub(in crate::engine) async fn vetted(
        &self,
        contender: &Contender,
        order: &CommitOrder<'_>,
    ) -> Result<Result<CommitId, String>, Error> {
        self.tell_strayed().await?;
        let order = CommitOrder { signed: self.settings.sign, ..*order };
        if !self.settings.hooks {
            return Ok(self.git.commit(&order).await.map_err(|error| error.to_string()));
        }
        let draft = self.git.commit(&CommitOrder { signed: false, ..order }).await?;
        let vet = async |lease: &mut Lease| {
            let place = self.leases.intend_hooks(lease).await?;
            Ok(self.git.vet(&draft, &place).await?)
        };
        match self.leases.with_lease(contender, "hooks", Purpose::Directories, vet).await? {
            Err(refusal) => Ok(Err(refusal)),
            Ok(message) => {
                let order = CommitOrder { message: &message, ..order };
                Ok(self.git.commit(&order).await.map_err(|error| error.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
