//! A suite that asks a server many things at once: one case, passed if every answer is clean.

use std::fs::OpenOptions;
use std::io::Write;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Site, Suite, SuiteError};
use crate::adapters::http::{HttpError, RequestSettings, ServeSettings, Server};
use crate::adapters::load::{Tally, burst};
use crate::domain::cases::{TestCase, TestStatus};
use crate::domain::excerpt::excerpt;
use crate::domain::quantity::show_duration;
use crate::domain::trial::{Failure, TestReport};

/// A load test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// The line of the document that it stands for, and the name of its case.
    pub name: String,
    /// The server.
    pub serve: ServeSettings,
    /// What it is asked.
    pub request: RequestSettings,
    /// Requests in flight.
    pub concurrency: NonZeroU32,
    /// Requests in all; twice `concurrency` at least, so that connections are also used again.
    pub requests: Option<NonZeroU32>,
    /// How long all of them may take.
    pub limit: Option<Duration>,
}

/// The suite.
pub struct HttpSuite {
    settings: HttpSettings,
}

impl HttpSuite {
    /// From its settings.
    pub fn new(settings: HttpSettings) -> Self {
        Self { settings }
    }

    /// What went wrong under the load, if anything did.
    async fn load(&self, site: &Site, server: &mut Server) -> Result<Option<String>, SuiteError> {
        let HttpSettings { request, concurrency, requests, limit, .. } = &self.settings;
        let connections = usize::try_from(concurrency.get()).unwrap_or(usize::MAX);
        let client = Arc::new(server.client(request, connections));
        let total = (2 * u64::from(concurrency.get())).max(requests.map_or(0, |n| u64::from(n.get())));
        let limit = limit.unwrap_or(Duration::MAX);
        let answers = tokio::select! {
            biased;
            () = site.stop.cancelled() => return Err(SuiteError::Stopped),
            answers = tokio::time::timeout(limit, burst(&client, *concurrency, total)) => answers,
        };
        if let Some(why) = answers.as_ref().ok().and_then(Tally::machine) {
            return Err(SuiteError::Machine(why.to_owned()));
        }
        let fault = match answers {
            Ok(tally) => tally.fault(),
            Err(_) => Some(format!("{total} requests were not answered within {}", show_duration(limit))),
        };
        match fault {
            Some(fault) => Ok(Some(server.explain(&fault).await)),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Suite for HttpSuite {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn takes_selectors(&self) -> bool {
        false
    }

    async fn run(&self, site: &Site, selectors: &[String]) -> Result<TestReport, SuiteError> {
        let name = &self.settings.name;
        if let Some(selector) = selectors.first() {
            return Err(SuiteError::Refused(format!(
                "`{name}` is a load test; `{selector}` can't select a part of it"
            )));
        }
        let mut server = Server::start(&self.settings.serve, site, self.settings.concurrency.get().into()).await?;
        let fault = self.load(site, &mut server).await;
        server.stop().await;
        let fault = fault?;
        if let Some(fault) = &fault {
            note(site, &format!("{name}: {fault}\n"))
                .map_err(|why| SuiteError::Machine(format!("the scratch directory takes no log: {why}")))?;
        }
        let status = if fault.is_none() { TestStatus::Passed } else { TestStatus::Failed };
        let failures = fault.map(|output| Failure { test: name.clone(), output: excerpt(&output) });
        let cases = vec![TestCase { name: name.clone(), status }];
        Ok(TestReport { cases, failures: failures.into_iter().collect(), ..TestReport::default() })
    }
}

/// Adds to the log that holds what tests print.
fn note(site: &Site, text: &str) -> std::io::Result<()> {
    let mut log = OpenOptions::new().create(true).append(true).open(site.scratch.join("tests.log"))?;
    log.write_all(text.as_bytes())
}

impl From<HttpError> for SuiteError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Variant(message) => Self::Variant(message),
            HttpError::Machine(message) => Self::Machine(message),
            HttpError::Process(error) => Self::Process(error),
            HttpError::Stopped => Self::Stopped,
        }
    }
}
