//! What is going on in a run, folded from its events, and how that reads. No clock: times are
//! handed in.

use std::time::Duration;

use crate::domain::event::Event;
use crate::domain::measurement::Contender;
use crate::domain::quantity::Tokens;
use crate::domain::trial::{Outcome, Phase};
use crate::domain::verdict::Verdict;

use super::super::{verdict, words};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A change of state, which a display that shows the state need not print.
    Step,
    /// Worth keeping on the screen.
    Milestone,
    /// The run goes on, and a reader should know.
    Warning,
    /// The machine failed somebody.
    Trouble,
}

/// One line to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub weight: Weight,
    /// Without a line end.
    pub text: String,
}

/// The parts of a run, as a log is folded by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// Implementing and testing.
    #[default]
    Trials,
    /// Blocks.
    Measuring,
    /// After the verdict.
    Landing,
}

impl Stage {
    /// As a title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Trials => "Trials",
            Self::Measuring => "Measuring",
            Self::Landing => "Landing",
        }
    }
}

/// One contender.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Who.
    pub contender: Contender,
    doing: String,
    /// What its requests wait for.
    waits: Option<String>,
    spent: Option<(Tokens, Option<Tokens>)>,
    blocks: u32,
    /// Set when nothing more will happen to it.
    pub over: bool,
}

/// Measuring time between two lines about blocks.
const BETWEEN_BLOCKS: Duration = Duration::from_secs(10);

/// A run as far as its events tell.
#[derive(Debug, Clone, Default)]
pub struct State {
    run: String,
    /// How long the run may take.
    pub time_cap: Option<Duration>,
    /// In the order of the document, the baseline last.
    pub standings: Vec<Standing>,
    doing: String,
    /// Where the run is.
    pub stage: Stage,
    shown: Option<(Duration, Vec<Contender>)>,
}

impl State {
    /// Takes an event; the lines that it is worth.
    pub fn take(&mut self, event: &Event) -> Vec<Line> {
        let line = |weight, text: String| vec![Line { weight, text: words::one_line(&text) }];
        match event {
            Event::RunStarted { run, document, contenders, time_cap, resumed, rehearsal } => {
                self.start(run, contenders, *time_cap);
                let goes_on = match (*resumed, *rehearsal) {
                    (true, _) => "goes on with",
                    (false, true) => "rehearses the harness of",
                    (false, false) => "carries out",
                };
                let cap = time_cap.map_or_else(String::new, |cap| format!(", ≤ {}", words::duration(cap)));
                let who = words::list(contenders);
                line(Weight::Milestone, format!("run {run} {goes_on} {document}: {who}{cap}"))
            }
            Event::Choice { what, text } => line(Weight::Milestone, format!("{what}: {text}")),
            Event::PhaseEntered { contender, phase } => self.phase(contender, *phase),
            Event::StepStarted { contender, title } => self.enter(contender, format!("implementing: {title}")),
            Event::Spent { contender, tokens, cap } => self.spent(contender, *tokens, *cap),
            Event::Waits { contender, what } => {
                if let Some(standing) = self.standing(contender) {
                    standing.waits = what.as_deref().map(words::one_line);
                }
                Vec::new()
            }
            Event::TrialEnded { contender, outcome } => self.ended(contender, outcome),
            Event::BlockMeasured { index, survivors, elapsed, budget } => {
                self.block(*index, survivors, *elapsed, *budget)
            }
            Event::Dropped { contender, by, e_value } => {
                let by = verdict::rival(by);
                self.over(contender, format!("has lost to {by}"));
                let odds = words::odds(*e_value);
                line(Weight::Milestone, format!("{} has lost to {by} ({odds})", verdict::rival(contender)))
            }
            Event::Concluded { verdict: reached, landing } => {
                let open = matches!(reached, Verdict::Undecided { .. });
                let lands = landing.as_ref().filter(|landing| open || landing.key().is_none());
                let lands = lands.filter(|_| !matches!(reached, Verdict::NoWinner { .. }));
                let lands = lands.map_or_else(String::new, |landing| format!("; {}", verdict::lands(landing)));
                let text = format!("{}{lands}", verdict::sentence(reached, None));
                self.doing.clone_from(&text);
                line(Weight::Milestone, text)
            }
            Event::Landing { text } => {
                self.stage = Stage::Landing;
                self.doing = words::one_line(text);
                line(Weight::Step, text.clone())
            }
            Event::Landed { commit, branch } => {
                line(Weight::Milestone, format!("landed {} on {branch}", words::short(commit)))
            }
            Event::Recorded { commit, branch } => {
                line(Weight::Milestone, format!("recorded {} on {branch}: nothing landed", words::short(commit)))
            }
            Event::Warning { text } => line(Weight::Warning, text.clone()),
            Event::RunEnded { run, elapsed } => {
                line(Weight::Milestone, format!("run {run} ended after {}", words::duration(*elapsed)))
            }
        }
    }

    fn start(&mut self, run: &str, contenders: &[Contender], time_cap: Option<Duration>) {
        let standing = |contender: &Contender| Standing {
            contender: contender.clone(),
            doing: "waiting".to_owned(),
            waits: None,
            spent: None,
            blocks: 0,
            over: false,
        };
        *self = Self {
            run: run.to_owned(),
            time_cap,
            standings: contenders.iter().map(standing).collect(),
            doing: "implementing and testing".to_owned(),
            ..Self::default()
        };
    }

    fn standing(&mut self, contender: &Contender) -> Option<&mut Standing> {
        self.standings.iter_mut().find(|s| s.contender == *contender)
    }

    fn phase(&mut self, contender: &Contender, phase: Phase) -> Vec<Line> {
        let doing = match phase {
            Phase::Queued => "waiting",
            Phase::Prepare => "preparing",
            Phase::Implement => "implementing",
            Phase::Harvest => "collecting its work",
            Phase::Test => "testing",
            Phase::Measure => "measuring",
            Phase::Done => "done",
        };
        if phase == Phase::Measure {
            self.stage = Stage::Measuring;
            self.doing = "measuring".to_owned();
        }
        if phase == Phase::Done {
            self.over(contender, doing.to_owned());
            return Vec::new();
        }
        let lines = self.enter(contender, doing.to_owned());
        // The step that follows names the work item, which says more.
        if phase == Phase::Implement { Vec::new() } else { lines }
    }

    fn enter(&mut self, contender: &Contender, doing: String) -> Vec<Line> {
        let doing = words::one_line(&doing);
        let line = self.of(contender, &doing);
        if let Some(standing) = self.standing(contender) {
            (standing.doing, standing.waits) = (doing, None);
        }
        vec![line]
    }

    /// A change of one contender's state, with the run in front so that logs of several can be told apart.
    fn of(&self, contender: &Contender, text: &str) -> Line {
        Line { weight: Weight::Step, text: format!("{}  {contender}  {text}", self.run) }
    }

    fn over(&mut self, contender: &Contender, doing: String) {
        if let Some(standing) = self.standing(contender)
            && !standing.over
        {
            standing.doing = doing;
            standing.over = true;
        }
    }

    fn spent(&mut self, contender: &Contender, tokens: Tokens, cap: Option<Tokens>) -> Vec<Line> {
        if let Some(standing) = self.standing(contender) {
            standing.spent = Some((tokens, cap));
        }
        if tokens == Tokens::ZERO && cap.is_none() {
            return Vec::new();
        }
        vec![self.of(contender, &format!("spent {}", of_cap(tokens, cap)))]
    }

    fn ended(&mut self, contender: &Contender, outcome: &Outcome) -> Vec<Line> {
        let Some(text) = verdict::ending(contender, outcome) else { return Vec::new() };
        if !outcome.is_eligible() {
            let reason = text.strip_prefix(&format!("{contender} is ")).unwrap_or(&text);
            self.over(contender, reason.to_owned());
        }
        let weight =
            if matches!(outcome, Outcome::Infrastructure { .. }) { Weight::Trouble } else { Weight::Milestone };
        vec![Line { weight, text }]
    }

    /// Blocks may take milliseconds: one is told when it is the first, when somebody left, and
    /// after every ten seconds of measuring.
    fn block(&mut self, index: u32, survivors: &[Contender], elapsed: Duration, budget: Duration) -> Vec<Line> {
        let names: Vec<_> = survivors.iter().map(Contender::to_string).collect();
        let time = format!("{} of {}", words::duration(elapsed), words::duration(budget));
        let text = format!("block {index} · {} · {time}", names.join(" "));
        self.doing.clone_from(&text);
        for standing in self.standings.iter_mut().filter(|s| survivors.contains(&s.contender)) {
            standing.blocks = index + 1;
        }
        let shown = self.shown.as_ref();
        if shown.is_some_and(|(at, who)| who == survivors && elapsed < *at + BETWEEN_BLOCKS) {
            return Vec::new();
        }
        self.shown = Some((elapsed, survivors.to_vec()));
        vec![Line { weight: Weight::Step, text }]
    }

    /// What is said when nothing else was for a while.
    pub(super) fn heartbeat(&self, elapsed: Duration) -> String {
        let waits = |s: &Standing| s.waits.as_ref().map_or_else(String::new, |what| format!(" (waits for {what})"));
        let busy = self.standings.iter().filter(|s| !s.over);
        let busy = busy.map(|s| format!("{} {}{}", s.contender, s.doing, waits(s)));
        let busy: Vec<_> = if self.stage == Stage::Trials { busy.collect() } else { vec![self.doing.clone()] };
        format!("{}  still running: {} · {}", self.run, busy.join(", "), time(elapsed, self.time_cap))
    }

    /// The session's line of a display.
    pub fn session(&self) -> String {
        self.doing.clone()
    }
}

impl Standing {
    /// The contender's line of a display.
    pub fn line(&self) -> String {
        let mut parts = vec![self.doing.clone()];
        if let Some((tokens, cap)) = self.spent.filter(|(tokens, cap)| *tokens != Tokens::ZERO || cap.is_some()) {
            parts.push(of_cap(tokens, cap));
        }
        if self.blocks > 0 {
            parts.push(words::count(self.blocks as usize, "block"));
        }
        parts.join(" · ")
    }
}

fn of_cap(tokens: Tokens, cap: Option<Tokens>) -> String {
    match cap {
        Some(cap) => format!("{tokens} of {cap} tokens"),
        None => format!("{tokens} tokens"),
    }
}

/// The time used and the time there is.
pub fn time(elapsed: Duration, cap: Option<Duration>) -> String {
    let used = words::duration(Duration::from_secs(elapsed.as_secs()));
    cap.map_or_else(|| used.clone(), |cap| format!("{used} of {}", words::duration(cap)))
}
