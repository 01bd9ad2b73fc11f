//! A server and what it is asked, as a configuration has them: what one leaves open is taken from another.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{REQUEST_LIMIT, RequestPath, RequestSettings, ServeSettings};
use crate::adapters::process::Program;
use crate::error::{Error, Result};

/// Requests to a program on loopback. What is absent is left open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Starts the program.
    pub serve: Option<Program>,
    /// What is asked.
    pub path: Option<RequestPath>,
    /// What answers once the program is ready; `path` where absent.
    pub ready: Option<RequestPath>,
    /// How long it may take to be ready.
    pub ready_limit: Option<Duration>,
    /// Text that every answer must hold.
    pub expect: Option<String>,
    /// Requests in flight.
    pub concurrency: Option<NonZeroU32>,
    /// Requests in all.
    pub requests: Option<NonZeroU32>,
    /// Requests a second.
    pub rate: Option<NonZeroU32>,
    /// How long a slice is.
    pub slice: Option<Duration>,
}

impl Endpoint {
    /// This one, with what it leaves open taken from another.
    #[must_use]
    pub fn or(self, all: &Self) -> Self {
        Self {
            serve: self.serve.or_else(|| all.serve.clone()),
            path: self.path.or_else(|| all.path.clone()),
            ready: self.ready.or_else(|| all.ready.clone()),
            ready_limit: self.ready_limit.or(all.ready_limit),
            expect: self.expect.or_else(|| all.expect.clone()),
            concurrency: self.concurrency.or(all.concurrency),
            requests: self.requests.or(all.requests),
            rate: self.rate.or(all.rate),
            slice: self.slice.or(all.slice),
        }
    }

    /// How the program is started; `place` is what messages call the keys.
    pub fn serving(&self, place: &str) -> Result<ServeSettings> {
        let serve = needed(place, "serve", self.serve.as_ref())?;
        let ready = match &self.ready {
            Some(ready) => ready,
            None => needed(place, "path", self.path.as_ref())?,
        };
        let mut settings = ServeSettings::new(serve.clone(), ready.clone());
        settings.ready_limit = self.ready_limit.unwrap_or(settings.ready_limit);
        Ok(settings)
    }

    /// What it is asked.
    pub fn request(&self, place: &str) -> Result<RequestSettings> {
        let path = needed(place, "path", self.path.as_ref())?.clone();
        Ok(RequestSettings { path, expect: self.expect.clone(), limit: REQUEST_LIMIT })
    }
}

fn needed<'a, T>(place: &str, key: &str, value: Option<&'a T>) -> Result<&'a T> {
    value.ok_or_else(|| Error::usage(format!("`{place}` needs `{key}`")))
}
