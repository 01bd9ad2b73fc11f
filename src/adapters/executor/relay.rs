//! The thread that passes on what leases and their services say to each other. What is measured waits for it, so that it goes
//! first; everything else that is passed on has time.

use std::future::pending;
use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle};

use crate::adapters::process::priority::go_first;

/// Where to spawn it.
pub(super) fn relay() -> io::Result<Handle> {
    static RELAY: OnceLock<Option<Handle>> = OnceLock::new();
    let gone = || io::Error::other("the thread that passes on to services could not be started");
    RELAY.get_or_init(|| start().ok()).clone().ok_or_else(gone)
}

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name("relay".to_owned()).spawn(move || {
        go_first();
        runtime.block_on(pending::<()>());
    })?;
    Ok(handle)
}
