//! What the engine tells whoever watches. Only `ui` turns events into text.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::landing::Landing;
use super::measurement::Contender;
use super::quantity::Tokens;
use super::trial::{Outcome, Phase};
use super::verdict::Verdict;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// A run began or went on.
    RunStarted {
        /// Its id.
        run: String,
        /// The document, relative to the repository.
        document: String,
        /// Who takes part.
        contenders: Vec<Contender>,
        /// How long it may take.
        time_cap: Option<Duration>,
        /// True after `resume`.
        resumed: bool,
        /// Whether controls compete in the place of the variants.
        rehearsal: bool,
    },
    /// Something worth knowing before work starts, such as the isolation that was chosen and why.
    Choice {
        /// What was chosen, such as `database`.
        what: String,
        /// The choice and its reason.
        text: String,
    },
    /// A trial entered a phase.
    PhaseEntered {
        /// Whose.
        contender: Contender,
        /// Which.
        phase: Phase,
    },
    /// An agent's step began.
    StepStarted {
        /// Whose.
        contender: Contender,
        /// The work item.
        title: String,
    },
    /// What a trial spent so far.
    Spent {
        /// Whose.
        contender: Contender,
        /// Tokens so far.
        tokens: Tokens,
        /// The cap that all trials share, if there is one.
        cap: Option<Tokens>,
    },
    /// A trial's requests wait, or wait no more.
    Waits {
        /// Whose.
        contender: Contender,
        /// For what, in a half sentence; none where for nothing.
        what: Option<String>,
    },
    /// A trial ended or left the race.
    TrialEnded {
        /// Whose.
        contender: Contender,
        /// How.
        outcome: Outcome,
    },
    /// A block was measured.
    BlockMeasured {
        /// Its index.
        index: u32,
        /// Who is still in.
        survivors: Vec<Contender>,
        /// Measuring time used.
        elapsed: Duration,
        /// Measuring time there is.
        budget: Duration,
    },
    /// The race dropped a contender.
    Dropped {
        /// Whom.
        contender: Contender,
        /// The rival with the largest e-value against it.
        by: Contender,
        /// What the stakes against it came to.
        e_value: f64,
    },
    /// The verdict was reached.
    Concluded {
        /// It.
        verdict: Verdict,
        /// What may land by it.
        landing: Option<Landing>,
    },
    /// A step of the landing.
    Landing {
        /// What is being done.
        text: String,
    },
    /// The landing is done.
    Landed {
        /// The merge commit.
        commit: String,
        /// The branch that moved.
        branch: String,
    },
    /// Nothing landed, and the document says so.
    Recorded {
        /// The commit of the document alone.
        commit: String,
        /// The branch that moved.
        branch: String,
    },
    /// Something a reader should know; the run goes on.
    Warning {
        /// One or two sentences.
        text: String,
    },
    /// The run ended.
    RunEnded {
        /// Its id.
        run: String,
        /// From the first event.
        elapsed: Duration,
    },
}

/// Where events go. Implementations must not block.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn send(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> Sink for F {
    fn send(&self, event: Event) {
        self(event);
    }
}
