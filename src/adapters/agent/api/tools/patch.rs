//! Patching: a unified diff, applied by git whole or not at all.

use std::time::Duration;

use super::super::super::patch::{Applied, apply_written};
use super::super::Halt;
use super::{Arguments, Field, Hands, Kind, Outcome, Tool};

/// How long git may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What the model is told of it.
pub(super) const TOOL: Tool = Tool {
    name: "patch",
    about: "Applies a unified diff, all of it or none: `--- a/path` and `+++ b/path` (`/dev/null` for a file that is \
            new or goes), then hunks `@@ -1,3 +1,4 @@` with their lines of context.",
    fields: &[Field { name: "patch", kind: Kind::Text, required: true, about: "The diff." }],
};

impl Hands<'_> {
    /// Carries out a call.
    pub(super) async fn patch(&self, arguments: &Arguments) -> Result<Outcome, Halt> {
        let text = arguments.text("patch");
        // Git does not say where a file went that was moved, so its old path could not be checked.
        if text.lines().any(|line| line.starts_with("rename from ") || line.starts_with("copy from ")) {
            let why = "a file is not moved or copied by a patch here: take the old one away and add the new one";
            return Ok(Outcome::failed(why));
        }
        let allowed = |path: &str| self.contract.allows(path);
        match apply_written(self.task, self.exec, self.time(LIMIT), text, &allowed).await? {
            Applied::Changed(paths) => {
                let shown = paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
                Ok(Outcome::changed(format!("changed: {shown}")))
            }
            Applied::Refused(why) => Ok(Outcome::failed(format!("nothing was changed: {why}"))),
        }
    }
}
