//! Commits that are to land, as the repository wants them: with hooks that may refuse them, and signed.

use super::context::Run;
use super::lease::Purpose;
use crate::adapters::git::{CommitId, CommitOrder};
use crate::domain::measurement::Contender;
use crate::error::Error;

impl Run {
    /// Makes a commit as the landing policy says; an inner error is why the repository's own hooks or its
    /// signer do not let it pass. Nothing points at it yet.
    pub(super) async fn vetted(
        &self,
        contender: &Contender,
        order: &CommitOrder<'_>,
    ) -> Result<Result<CommitId, String>, Error> {
        let order = CommitOrder { signed: self.settings.sign, ..*order };
        if !self.settings.hooks {
            return Ok(self.ports.git.commit(&order).await.map_err(|error| error.to_string()));
        }
        let draft = self.ports.git.commit(&CommitOrder { signed: false, ..order }).await?;
        let mut lease = self.open_lease(contender, "hooks", Purpose::Directories).await?;
        let vetted = match self.intend_hooks(&mut lease).await {
            Ok(place) => self.ports.git.vet(&draft, &place).await.map_err(Error::from),
            Err(error) => Err(error),
        };
        self.close_lease(lease).await?;
        match vetted? {
            Err(refusal) => Ok(Err(refusal)),
            Ok(message) => {
                let order = CommitOrder { message: &message, ..order };
                Ok(self.ports.git.commit(&order).await.map_err(|error| error.to_string()))
            }
        }
    }
}
