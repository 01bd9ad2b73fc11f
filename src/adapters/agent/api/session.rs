//! One step: turn after turn the model is asked, its calls are carried out, and it is decided
//! whether that was all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::super::prompt::{prompt, system};
use super::super::{AgentEnd, AgentError, AgentReport, Task};
use super::allowance::Allowance;
use super::client::{Client, Fault};
use super::conversation::{Answer, Call, Conversation, Ending, Round, Told};
use super::dialect::Dialect;
use super::gate::{Gate, Verdict};
use super::record::Record;
use super::tools::{Hands, Outcome, TOOLS, ends, tail};
use super::{Halt, Settings};
use crate::adapters::process::{Executor, Exit};
use crate::domain::quantity::Tokens;
use crate::domain::wire::Access;

/// After so many turns in a row that changed nothing, the plan's tests passing, the step is done whatever the model says.
/// Fewer would end a step whose tests pass from the start while the model reads on for its next change.
const LINGER: usize = 10;
/// A step that takes more turns is going in circles.
const MOST_TURNS: usize = 200;
/// How often the model is told that the tests fail when it says that it is done.
const MOST_FAILURES: usize = 3;
/// A call that failed so often in the same way is remarked upon.
const SAME: usize = 3;
/// After so many turns in a row in which every call had been made before, the model is told so; after twice as many
/// the step ends. Who changes something between two looks at it makes a call that is new.
const AGAIN: usize = 3;
/// So much of a result is told in any case: enough for what is wrong.
const SHORTEST: usize = 500;
/// How much of the model's last words is reported, in bytes.
const SUMMARY: usize = 2000;

/// A step under way.
pub struct Session<'a> {
    settings: &'a Settings,
    dialect: &'static dyn Dialect,
    task: &'a Task<'a>,
    exec: &'a dyn Executor,
    client: Client,
    deadline: Option<Instant>,
    talk: Conversation,
    allowance: Allowance,
    record: Record,
    summary: String,
    /// How often the model was told that the tests fail.
    failures: usize,
    /// Whether it was reminded that an answer without calls leads nowhere.
    reminded: bool,
    /// Turns since the tests pass in which nothing changed.
    lingered: usize,
    /// How often each call failed.
    failed: BTreeMap<String, usize>,
    /// The calls that were made.
    made: BTreeSet<String>,
    /// Turns in a row in which none was new.
    again: usize,
}

/// What a turn's calls came to.
#[derive(Default)]
struct Deeds {
    results: Vec<Told>,
    changed: bool,
    failed: bool,
    /// Which of the results is that of `finish`, and what it said.
    finish: Option<(usize, String)>,
}

/// What follows a turn.
enum Decision {
    /// The step is done.
    Done,
    /// The model goes on, and is told this besides.
    On(Option<String>),
}

impl<'a> Session<'a> {
    /// Before the first turn.
    pub fn new(
        settings: &'a Settings,
        dialect: &'static dyn Dialect,
        access: &Access,
        task: &'a Task<'a>,
        exec: &'a dyn Executor,
    ) -> Result<Self, AgentError> {
        let client = Client::new(dialect, settings.wire, access, task.refused).map_err(|why| AgentError::Material {
            what: format!("api {} ({})", settings.model, settings.wire),
            why: format!("it can't ask its model: {why}"),
        })?;
        let talk = Conversation { system: system(task), prompt: prompt(task), rounds: Vec::new() };
        Ok(Self {
            settings,
            dialect,
            task,
            exec,
            client,
            deadline: task.time.map(|time| Instant::now() + time),
            talk,
            allowance: Allowance::new(task.tokens),
            record: Record::open(task.scratch),
            summary: String::new(),
            failures: 0,
            reminded: false,
            lingered: 0,
            failed: BTreeMap::new(),
            made: BTreeSet::new(),
            again: 0,
        })
    }

    /// Carries out the step.
    pub async fn carry_out(mut self) -> Result<AgentReport, AgentError> {
        self.record.begin(&self.settings.model, &self.talk.system, &self.talk.prompt);
        let end = match self.turns().await {
            Ok(end) | Err(Halt::Ended(end)) => end,
            Err(Halt::Error(error)) => return Err(error),
        };
        self.record.end(&end);
        Ok(AgentReport { usage: self.allowance.reported(), end, summary: tail(self.summary.trim(), SUMMARY) })
    }

    async fn turns(&mut self) -> Result<AgentEnd, Halt> {
        let hands = Hands::new(self.task, self.exec, self.deadline).await?;
        let mut gate = Gate::of(self.task);
        for _ in 0..MOST_TURNS {
            let answer = self.ask().await?;
            if answer.ending == Ending::Declined {
                let message = format!("the model declined to go on: {}", tail(answer.text.trim(), 300));
                return Ok(AgentEnd::Failed { message });
            }
            if !answer.text.trim().is_empty() {
                answer.text.clone_into(&mut self.summary);
            }
            let mut deeds = self.work(&answer, &hands).await?;
            gate.turn(deeds.changed);
            let (done, told) = match self.decide(&answer, &mut deeds, &mut gate, &hands).await? {
                Decision::Done => (true, None),
                Decision::On(told) => (false, told),
            };
            self.repeats(&answer.calls, deeds.changed);
            let again = (self.again == AGAIN).then(|| {
                format!("The calls of your last {AGAIN} turns had all been made before. Do something else, or call `finish`.")
            });
            let notes: Vec<_> = told.into_iter().chain(again).chain(self.allowance.warning()).collect();
            let note = (!notes.is_empty()).then(|| notes.join("\n"));
            let round = Round { answer, results: deeds.results, note };
            self.record.round(&round);
            self.talk.rounds.push(round);
            if done {
                return Ok(AgentEnd::Finished);
            }
            if self.again == 2 * AGAIN && !gate.passed() {
                let message = format!("it repeated itself: {} turns in a row had no new call", self.again);
                return Ok(AgentEnd::Failed { message });
            }
        }
        Ok(AgentEnd::Failed { message: format!("it did not come to an end within {MOST_TURNS} turns") })
    }

    /// The model's next answer, to as much of the conversation as can be paid for.
    async fn ask(&mut self) -> Result<Answer, Halt> {
        self.interrupted()?;
        let limit = self.settings.max_output.or(self.dialect.default_limit());
        let mut body = self.body(limit);
        let surplus = self.allowance.surplus(&self.talk, body.len());
        if surplus > 0 {
            self.talk.leave_out(surplus);
            body = self.body(limit);
        }
        if !self.allowance.affords(body.len()) {
            return Err(Halt::Ended(AgentEnd::OverTokens));
        }
        let room = self.allowance.answer(body.len());
        if let (Some(limit), Some(room)) = (limit, room)
            && room < limit
        {
            body = self.body(Some(room));
        }
        let size = body.len();
        let allowance = &mut self.allowance;
        let asked = self.client.ask(&body, |usage| allowance.spent(usage, size, 0));
        let stopped = async {
            tokio::select! {
                () = self.task.stop.cancelled() => {}
                () = over(self.deadline) => {}
            }
        };
        let asked = tokio::select! {
            biased;
            asked = asked => Some(asked),
            () = stopped => None,
        };
        let Some(asked) = asked else {
            self.interrupted()?;
            return Err(Halt::Ended(AgentEnd::OverTime));
        };
        let answer = asked.map_err(|fault| Halt::Ended(end_of(fault)))?;
        self.allowance.spent(answer.usage, size, answer.bytes());
        Ok(answer)
    }

    fn body(&self, limit: Option<Tokens>) -> Vec<u8> {
        self.dialect.body(&self.settings.model, &self.talk, &TOOLS, limit).to_string().into_bytes()
    }

    /// An error where the step must end now.
    fn interrupted(&self) -> Result<(), Halt> {
        if self.task.stop.is_cancelled() {
            return Err(Halt::Ended(AgentEnd::Failed { message: Exit::Stopped.to_string() }));
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Halt::Ended(AgentEnd::OverTime));
        }
        Ok(())
    }

    /// Carries out what an answer calls for, in its order.
    async fn work(&mut self, answer: &Answer, hands: &Hands<'_>) -> Result<Deeds, Halt> {
        let mut deeds = Deeds::default();
        let mut room = self.allowance.room();
        for (at, call) in answer.calls.iter().enumerate() {
            // Only what comes last can have been cut.
            let ending = if at + 1 == answer.calls.len() { answer.ending } else { Ending::Whole };
            let outcome = hands.carry_out(call, ending).await?;
            self.interrupted()?;
            deeds.changed |= outcome.changed;
            deeds.failed |= outcome.failed;
            if let Some(summary) = &outcome.finish {
                deeds.finish = Some((at, summary.clone()));
            }
            let text = ends(&outcome.text, room.max(SHORTEST));
            room = room.saturating_sub(text.len());
            deeds.results.push(self.told(call, Outcome { text, ..outcome }));
        }
        Ok(deeds)
    }

    /// Takes note of a turn's calls. A command that changed something did something new; an edit that was made before
    /// only goes back and forth.
    fn repeats(&mut self, calls: &[Call], changed: bool) {
        let before = self.made.len();
        self.made.extend(calls.iter().map(same));
        let ran = changed && calls.iter().any(|call| call.name == "run");
        self.again = if calls.is_empty() || ran || self.made.len() > before { 0 } else { self.again + 1 };
    }

    fn told(&mut self, call: &Call, outcome: Outcome) -> Told {
        let Outcome { mut text, failed, .. } = outcome;
        let same = same(call);
        if failed {
            let times = self.failed.entry(same).or_default();
            *times += 1;
            if *times >= SAME {
                text.push_str(&format!("\nThis same call has failed {times} times now. Do something else."));
            }
        } else {
            self.failed.remove(&same);
        }
        Told { id: call.id.clone(), call: call.to_string(), text, failed, left_out: false }
    }

    /// Whether that was all.
    async fn decide(
        &mut self,
        answer: &Answer,
        deeds: &mut Deeds,
        gate: &mut Gate,
        hands: &Hands<'_>,
    ) -> Result<Decision, Halt> {
        if let Some((at, summary)) = deeds.finish.take() {
            let Some(why) = self.finish(summary, deeds.failed, gate, hands).await? else { return Ok(Decision::Done) };
            let told = &mut deeds.results[at];
            (told.text, told.failed) = (why, true);
            return Ok(Decision::On(None));
        }
        if answer.calls.is_empty() {
            return Ok(self.idle(answer, gate));
        }
        self.reminded = false;
        // The tests pass and nothing changes any more: what follows would only cost.
        self.lingered = if gate.passed() && !deeds.changed { self.lingered + 1 } else { 0 };
        if self.lingered >= LINGER {
            return Ok(Decision::Done);
        }
        let passed = deeds.changed && gate.due() && gate.try_out(self.task, hands, self.exec).await? == Verdict::Passed;
        self.interrupted()?;
        let told = "The plan's tests pass now. When the work item is done, call `finish`.";
        Ok(Decision::On(passed.then(|| told.to_owned())))
    }

    /// The model says that it is done: why it is not, if so.
    async fn finish(
        &mut self,
        summary: String,
        failed: bool,
        gate: &mut Gate,
        hands: &Hands<'_>,
    ) -> Result<Option<String>, Halt> {
        if failed {
            return Ok(Some("not finished: another call of the same answer failed; see to that first".to_owned()));
        }
        self.summary = summary;
        let verdict = gate.try_out(self.task, hands, self.exec).await?;
        self.interrupted()?;
        match verdict {
            // The judge decides on what the model can't put right.
            Verdict::Failed(why) if self.failures < MOST_FAILURES => {
                self.failures += 1;
                Ok(Some(format!("not finished, a test of the plan fails: {why}")))
            }
            Verdict::Passed | Verdict::Failed(_) => Ok(None),
        }
    }

    /// The model called nothing.
    fn idle(&mut self, answer: &Answer, gate: &Gate) -> Decision {
        if answer.ending == Ending::Cut {
            return Decision::On(Some(
                "Your answer was cut at its limit. Go on from there, in smaller parts.".to_owned(),
            ));
        }
        if gate.passed() || self.reminded {
            return Decision::Done;
        }
        self.reminded = true;
        let told =
            "An answer without a call leads nowhere: call `finish` when the work item is done, or go on with it.";
        Decision::On(Some(told.to_owned()))
    }
}

/// What two calls have in common that are the same.
fn same(call: &Call) -> String {
    format!("{} {:?}", call.name, call.arguments)
}

/// Returns when the time is over; never without a limit.
async fn over(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn end_of(fault: Fault) -> AgentEnd {
    match fault {
        Fault::Spent => AgentEnd::OverTokens,
        Fault::Rejected(message) | Fault::Lost(message) => AgentEnd::Failed { message },
    }
}
