//! The walls of a run's leases: whether this machine can have them is found out by having some.

use std::path::PathBuf;
use std::sync::Arc;

use crate::adapters::executor::enclosed::Bubblewrap;
use crate::adapters::process::{Order, Sandbox};
use crate::config::SandboxMode;
use crate::engine::settings::Opened;
use crate::error::{Error, Result};
use crate::project::{CONFIGURATION, Project};

/// What the program is without walls.
const WITHOUT: &str = "agents, tests and benchmarks run with your permissions on this machine";

/// What keeps the programs of leases in; an inner text is why nothing does although it might.
pub async fn port(project: &Project) -> Result<std::result::Result<Option<Arc<dyn Sandbox>>, String>> {
    let integration = project.variables.get("CI").is_some_and(|text| !["", "0", "false"].contains(&text.as_str()));
    let mode = project.config.sandbox.mode(integration);
    if mode == SandboxMode::Off {
        return Ok(Ok(None));
    }
    match available().await {
        Ok(sandbox) => Ok(Ok(Some(sandbox))),
        Err(why) if mode == SandboxMode::Required => {
            let who = if project.config.sandbox.mode.is_some() {
                CONFIGURATION
            } else {
                "a run in continuous integration ($CI)"
            };
            Err(Error::refused(format!("there is no sandbox on this machine, and {who} requires one: {why}"))
                .hint(remedy(&why))
                .hint(format!("or do without: `sandbox: off` ({WITHOUT})")))
        }
        Err(why) => Ok(Err(format!("no sandbox: {WITHOUT} ({why}; {})", remedy(&why)))),
    }
}

/// What may be read, written and reached besides.
pub fn opened(project: &Project) -> Opened {
    let home = project.variables.get("HOME").map(String::as_str);
    let sandbox = &project.config.sandbox;
    Opened {
        read: sandbox.read(home),
        write: sandbox.write(home),
        network: sandbox.network.clone(),
        limits: sandbox.limits,
    }
}

/// What makes walls here, or why there are none.
pub async fn available() -> std::result::Result<Arc<dyn Sandbox>, String> {
    // The path of a program that was replaced meanwhile leads to another.
    let binary = PathBuf::from("/proc/self/exe");
    let Some(made) = Bubblewrap::installed(binary) else { return Err("bubblewrap is not installed".to_owned()) };
    let place = tempfile::Builder::new().prefix("blueprint-").tempdir().map_err(|error| error.to_string())?;
    let order = Order { private: place.path().join("private"), ..Order::default() };
    let walls = made.open(&order).await.map_err(|error| error.to_string())?;
    walls.close().await;
    Ok(Arc::new(made))
}

/// What to do so that there are walls.
pub fn remedy(why: &str) -> &'static str {
    const RESTRICTED: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    if why.contains("not installed") {
        "install it: apt-get install bubblewrap"
    } else if std::fs::read_to_string(RESTRICTED).is_ok_and(|text| text.trim() == "1") {
        "let bubblewrap and blueprint make user namespaces: docs/isolation.md#ubuntu"
    } else {
        "see docs/isolation.md#the-sandbox"
    }
}
