//! Open files: every connection needs one, here and in the server, which inherits our limit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::HttpError;

/// What a process holds besides its connections.
const RESERVE: u64 = 256;

/// Raises the soft limit, so that this many connections fit; never lowers it. Where the hard limit
/// is too low the machine can't hold them.
pub(super) fn allow_connections(connections: u64) -> Result<(), HttpError> {
    // A few more are open while one is given from request to request.
    let needed = connections + connections / 4 + RESERVE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|soft| soft >= needed) {
        return Ok(());
    }
    if let Some(hard) = limit.maximum.filter(|hard| *hard < needed) {
        return Err(HttpError::Machine(format!(
            "{connections} connections need {needed} open files, and a process may have {hard} here; \
             raise the hard limit (`ulimit -Hn {needed}`) or lower `concurrency`"
        )));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })
        .map_err(|why| HttpError::Machine(format!("the limit of open files can't be raised to {needed}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_hard_limit_allows_is_refused_with_what_to_do() {
        let Some(hard) = getrlimit(Resource::Nofile).maximum else { return };
        let error = allow_connections(hard).unwrap_err().to_string();
        assert!(error.contains("ulimit -Hn") && error.contains("lower `concurrency`"), "{error}");
        allow_connections(1).unwrap();
    }
}
