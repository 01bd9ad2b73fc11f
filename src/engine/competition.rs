//! The stages of a run, put together: each is given what it needs, and knows the ones before it.

use std::sync::Arc;

use crate::adapters::journal::Journal;
use crate::adapters::process::Stop;
use crate::engine::budget::accounts::Accounts;
use crate::engine::implement::Implementing;
use crate::engine::judge::Judging;
use crate::engine::land::Landing;
use crate::engine::measure::Measuring;
use crate::engine::ports::Ports;
use crate::engine::resources::Leases;
use crate::engine::run::Run;
use crate::engine::settings::Settings;
use crate::engine::state::Facts;
use crate::error::Error;

/// A run with its stages.
pub struct Competition {
    /// What all of them know.
    pub run: Arc<Run>,
    /// What is held outside.
    pub(in crate::engine) leases: Arc<Leases>,
    /// Variants are written,
    pub(in crate::engine) implementing: Implementing,
    /// judged,
    pub(in crate::engine) judging: Arc<Judging>,
    /// and measured;
    pub(in crate::engine) measuring: Arc<Measuring>,
    /// the best lands.
    pub(in crate::engine) landing: Landing,
}

impl Competition {
    /// A run that starts or goes on; `facts` are what its journal says so far.
    pub fn new(
        facts: &Facts,
        ports: &Ports,
        settings: Settings,
        journal: Arc<dyn Journal>,
        stop: Stop,
    ) -> Result<Self, Error> {
        let run = Arc::new(Run::new(facts, ports, &settings, journal, stop));
        let accounts = Arc::new(Accounts::new(facts, run.log.clone(), Arc::clone(&ports.events))?);
        // With the baseline and its shadow.
        let contenders = run.plan().variants.len() + 2;
        let at_once = settings.implement.parallel.unwrap_or(contenders).max(1);
        let leases = Arc::new(Leases::new(&run, ports, settings.leases));
        let judging = Arc::new(Judging::new((&run, &leases), ports, settings.judge, at_once, facts.rewritten.clone()));
        let stages = (&run, &leases, &judging);
        let implementing = Implementing::new(stages, ports, settings.implement, accounts, at_once);
        let measuring = Arc::new(Measuring::new(stages, ports, settings.measure));
        let landing = Landing::new((&run, &leases), (&judging, &measuring), ports, settings.land);
        Ok(Self { run, leases, implementing, judging, measuring, landing })
    }

    /// Takes over what an earlier run wrote for the variants that this one has as well.
    pub async fn take_over(&self, earlier: &Facts) -> Result<(), Error> {
        self.implementing.take_over(earlier).await
    }
}
