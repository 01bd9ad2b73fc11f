//! Where a contender's programs run when it is tested and measured.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Command, Environment, Executor, Finished, ProcessError, Program, Stop};

/// A contender's judged tree with everything that runs beside it.
#[derive(Clone)]
pub struct Site {
    /// The clean checkout that is judged.
    pub tree: PathBuf,
    /// The lease's environment, whole (`DATABASE_URL`, `REDIS_URL`, `PORT`, …).
    pub env: Environment,
    /// Private to the trial; reports and logs go here.
    pub scratch: PathBuf,
    /// The CPUs of the lane that its programs run in; anywhere where empty.
    pub cpus: Vec<usize>,
    /// Runs programs in the lease.
    pub exec: Arc<dyn Executor>,
    /// Fires when the run must stop.
    pub stop: Stop,
}

impl Site {
    /// A program of the configuration or the document in the tree, with the lease's environment
    /// and these variables besides; its log goes to the scratch directory.
    pub fn command(
        &self,
        program: &Program,
        extra: &[String],
        vars: &[(&str, String)],
        limit: Option<Duration>,
        log: Option<&str>,
    ) -> Command {
        let mut command = program.command(extra, &self.tree).env(&self.env).limit(limit);
        command.env.extend(vars.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        command.cpus.clone_from(&self.cpus);
        command.log = log.map(|name| self.scratch.join(name));
        command
    }

    /// Runs what [`Site::command`] makes.
    pub async fn run(
        &self,
        program: &Program,
        extra: &[String],
        vars: &[(&str, String)],
        limit: Option<Duration>,
        log: Option<&str>,
    ) -> Result<Finished, ProcessError> {
        self.exec.run(self.command(program, extra, vars, limit, log), &self.stop).await
    }
}
