//! Set-up, building and migrations: shell lines of the configuration, run in a tree.

use std::path::Path;
use std::time::Duration;

use crate::adapters::process::{Command, Exit};
use crate::engine::judge::Judging;
use crate::engine::resources::lease::Lease;
use crate::engine::state::Record;
use crate::engine::trouble::machine;
use crate::error::Error;

/// What they print, in the lease's scratch directory.
const SETUP_LOG: &str = "setup.log";

/// Lines of each stream that are looked at for what is shown of a failure.
const TOLD: usize = 40;

impl Judging {
    /// Runs set-up lines in a tree; the tail of the first that fails.
    pub(in crate::engine) async fn set_up(
        &self,
        lease: &Lease,
        tree: &Path,
        lines: &[String],
    ) -> Result<Option<String>, Error> {
        if lines.is_empty() {
            return Ok(None);
        }
        // At any other time programs of a lease reach none of it.
        let open = self.leases.reach(lease).await?;
        let failed = self.carry_out(lease, tree, lines).await?;
        for (address, connections) in open.iter().flat_map(|open| open.used()) {
            self.run.log.write(&Record::Reached { contender: lease.contender.clone(), address, connections }).await?;
        }
        Ok(failed)
    }

    async fn carry_out(&self, lease: &Lease, tree: &Path, lines: &[String]) -> Result<Option<String>, Error> {
        for line in lines {
            self.run.check_stop()?;
            if let Some(replaced) = self.leases.replaced(lease).await {
                return Ok(Some(replaced));
            }
            let mut command = Command::shell(line, tree).env(&lease.env).limit(self.run.time_left());
            command.log = Some(lease.scratch().join(SETUP_LOG));
            command.grace = Duration::from_secs(5);
            let exec = self.leases.within(lease).await?;
            let done = exec.run(command, &self.run.stop).await.map_err(machine)?;
            if done.exit == Exit::Stopped {
                self.run.check_stop()?;
            }
            if let Some(leak) = done.leak(line) {
                self.run.warn(leak);
            }
            if !done.exit.success() {
                let output = self.excerpt(&done.tail(TOLD));
                let log = self.keep_log(&lease.scratch(), SETUP_LOG).await;
                let log = log.map_or_else(String::new, |log| format!("\nall of it: {log}"));
                let missed = self.leases.missed(lease).map(|missed| {
                    format!("\n{missed}: `sandbox.network` in blueprint.yaml lists what set-up reaches, as HOST:PORT")
                });
                let missed = missed.unwrap_or_default();
                return Ok(Some(format!("`{line}` {}\n{output}{missed}{log}", done.exit.ending())));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
