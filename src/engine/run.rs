//! A run as all of its stages know it: what was frozen at its start, its record, its clock, and who watches.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::adapters::journal::Journal;
use crate::adapters::process::Stop;
use crate::domain::event::{Event, Sink};
use crate::domain::measurement::Contender;
use crate::domain::plan::Plan;
use crate::domain::trial::Outcome;
use crate::engine::clock::Clock;
use crate::engine::ports::Ports;
use crate::engine::room::Room;
use crate::engine::settings::Settings;
use crate::engine::state::{Facts, Log, Record, Started};
use crate::error::{Error, ExitCode};

/// A run in progress.
pub struct Run {
    /// What was frozen at its start.
    pub started: Started,
    /// The record.
    pub log: Log,
    /// Whether there is room on the disks that it writes to.
    pub(in crate::engine) room: Arc<Room>,
    /// Fires when the user asks to stop.
    pub(in crate::engine) stop: Stop,
    /// Who watches.
    events: Arc<dyn Sink>,
    /// How long measuring may take, which no agent may use up.
    measure_budget: Duration,
    /// Set once there is a verdict: the time cap reaches as far as that.
    decided: AtomicBool,
}

impl Run {
    /// A run that starts or goes on; `facts` are what its journal says so far.
    pub(in crate::engine) fn new(
        facts: &Facts,
        ports: &Ports,
        settings: &Settings,
        journal: Arc<dyn Journal>,
        stop: Stop,
    ) -> Self {
        let started = facts.seen.started.clone();
        let needed = vec![started.state.clone(), ports.git.common_dir().to_owned()];
        let room = Arc::new(Room::new(Arc::clone(&ports.workspace), needed, &settings.leases.env));
        let log = Log::new(journal, &started.run, Clock::resumed(facts.elapsed)).with_room(Arc::clone(&room));
        let (events, measure_budget) = (Arc::clone(&ports.events), settings.measure.budget);
        Self { started, log, room, stop, events, measure_budget, decided: AtomicBool::new(false) }
    }

    /// There is a verdict: no time cap holds from here on.
    pub(in crate::engine) fn is_decided(&self) {
        self.decided.store(true, Ordering::Relaxed);
    }

    /// The frozen plan.
    pub fn plan(&self) -> &Plan {
        &self.started.plan
    }

    /// Tells whoever watches.
    pub fn tell(&self, event: Event) {
        self.events.send(event);
    }

    /// Warns whoever watches.
    pub(super) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!("{text}");
        self.tell(Event::Warning { text });
    }

    /// The time that is left of the plan's cap; unlimited where there is none, and after the verdict.
    pub(super) fn time_left(&self) -> Option<Duration> {
        if self.decided.load(Ordering::Relaxed) {
            return None;
        }
        self.plan().budget.time_cap.map(|cap| cap.saturating_sub(self.log.elapsed()))
    }

    /// The time an agent may still take: what is left, less what measuring needs.
    pub(super) fn agent_time(&self) -> Option<Duration> {
        self.time_left().map(|left| left.saturating_sub(self.measure_budget))
    }

    /// Ends the work between two steps if the user asked for it.
    pub(super) fn check_stop(&self) -> Result<(), Error> {
        if self.stop.is_cancelled() {
            return Err(Error::new(ExitCode::Interrupted, format!("run {} was interrupted", self.started.run))
                .hint(format!("go on with it: {}", self.way_on())));
        }
        Ok(())
    }

    /// The command that goes on with the run: where its time is spent, only a new one can.
    pub fn way_on(&self) -> String {
        let command = if self.time_left() == Some(Duration::ZERO) { "retry" } else { "resume" };
        format!("blueprint {command} {}", self.started.run)
    }

    /// The branch of a variant in this run.
    pub fn branch(&self, slug: &str) -> String {
        format!("blueprint/{}/{slug}", self.started.run)
    }

    /// The ref under which a variant's work is kept for good.
    pub fn kept_ref(&self, slug: &str) -> String {
        format!("refs/blueprint/{}/{slug}", self.started.run)
    }

    /// Where everything of a contender lives.
    pub fn place(&self, contender: &str) -> PathBuf {
        self.started.state.join(contender)
    }

    /// What the journal says of this run.
    pub async fn facts(&self) -> Result<Facts, Error> {
        Facts::read(&self.log.entries().await?)?
            .ok_or_else(|| Error::machine(format!("the journal has no records of run {}", self.started.run)))
    }

    /// Writes a record and keeps the facts in step with the journal.
    pub(in crate::engine) async fn note(&self, facts: &mut Facts, record: Record) -> Result<(), Error> {
        self.log.write(&record).await?;
        facts.take(record);
        Ok(())
    }

    /// Records that a trial ended and tells whoever watches.
    pub(in crate::engine) async fn end(&self, contender: &Contender, outcome: Outcome) -> Result<(), Error> {
        self.log.write(&Record::Ended { contender: contender.clone(), outcome: outcome.clone() }).await?;
        self.tell(Event::TrialEnded { contender: contender.clone(), outcome });
        Ok(())
    }

    /// Writes down that a contender is out, and tells it.
    pub(in crate::engine) async fn put_out(
        &self,
        contender: &Contender,
        outcome: Outcome,
        facts: &mut Facts,
    ) -> Result<(), Error> {
        self.end(contender, outcome.clone()).await?;
        facts.take(Record::Ended { contender: contender.clone(), outcome });
        Ok(())
    }

    /// Ends a run that its own harness keeps from deciding anything: another is started when that is put
    /// right, because this one holds to the commit and the configuration that it began with.
    pub(in crate::engine) async fn unfit(&self, error: Error) -> Error {
        if let Some(full) = self.room.instead_of(&error) {
            return full;
        }
        match self.log.write(&Record::Finished).await {
            Ok(()) => error,
            Err(failed) => failed,
        }
    }
}

/// Contenders with something each.
pub type PerContender<T> = BTreeMap<Contender, T>;
