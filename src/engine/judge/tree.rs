//! Judging a tree: a clean checkout with protected files restored, set-up, migrations, tests.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::PoisonError;
use std::time::SystemTime;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::adapters::git::{CheckoutOrder, GitError};
use crate::adapters::process::Site;
use crate::adapters::suite::SuiteError;
use crate::domain::cases::TestStatus;
use crate::domain::event::Event;
use crate::domain::excerpt::excerpt;
use crate::domain::measurement::Contender;
use crate::domain::steady::{is_a_taken_port, tells_of_a_taken_port};
use crate::domain::trial::{Disqualification, Failure, Outcome, Phase, TestReport};
use crate::domain::weights::Weights;
use crate::engine::judge::Judging;
use crate::engine::judge::guards::Guard;
use crate::engine::patience::{Patience, too_long};
use crate::engine::resources::lease::{Lease, Purpose, judging};
use crate::engine::state::Record;
use crate::engine::trouble::machine;
use crate::error::Error;

/// What the suites of a tree print, in its scratch directory.
const TESTS_LOG: &str = "tests.log";

/// A tree that is ready to be measured.
pub struct Judged {
    /// What it holds.
    pub lease: Lease,
    /// Where its programs run.
    pub site: Site,
    /// When it was set up; what changed in it since then, its tests or others changed.
    pub ready: SystemTime,
    /// The files by which its contender is judged.
    pub(in crate::engine) guard: Mutex<Guard>,
}

/// What judging came to before tests were compared with the baseline's.
pub enum Judgement {
    /// Ready, with its tests.
    Ready(Box<Judged>, TestReport),
    /// The tree could not even be set up or tested.
    Broken(Disqualification),
}

impl Judging {
    /// A clean tree of this commit (or tree object) with services of its own, set up and migrated.
    /// What `restored` matches is as the base has it.
    pub(crate) async fn fresh_tree(
        &self,
        contender: &Contender,
        name: &str,
        tree: &str,
        restored: &[String],
    ) -> Result<Result<Judged, String>, Error> {
        let began = Instant::now();
        let mut lease = self.leases.open_lease(contender, name, Purpose::Services).await?;
        let guard = match self.furnish(&mut lease, tree, restored).await? {
            Ok(guard) => guard,
            Err(failure) => {
                self.leases.close_lease(lease).await?;
                return Ok(Err(failure));
            }
        };
        {
            let mut slowest = self.slowest_tree.lock().unwrap_or_else(PoisonError::into_inner);
            *slowest = slowest.max(began.elapsed());
        }
        self.judged(lease, guard).await.map(Ok)
    }

    /// A furnished lease, with where its programs run.
    pub(in crate::engine) async fn judged(&self, lease: Lease, guard: Guard) -> Result<Judged, Error> {
        let exec = self.leases.within(&lease).await?;
        let site = Site {
            tree: lease.tree(),
            env: lease.env.clone(),
            scratch: lease.scratch(),
            cpus: Vec::new(),
            exec,
            stop: self.run.stop.clone(),
        };
        Ok(Judged { lease, site, ready: SystemTime::now(), guard: Mutex::new(guard) })
    }

    /// Makes a lease's tree ready to be tested; why that can't be.
    async fn furnish(
        &self,
        lease: &mut Lease,
        tree: &str,
        restored: &[String],
    ) -> Result<Result<Guard, String>, Error> {
        let into = lease.tree();
        let order = CheckoutOrder { tree, base: &self.run.started.base, restored, into: &into };
        match self.git.check_out(&order).await {
            // Such as a filter that refuses what the variant wrote.
            Err(error @ GitError::Failed { .. }) if !error.is_of_the_machine() => {
                return Ok(Err(format!("its tree can't be checked out: {error}")));
            }
            done => done?,
        }
        self.leases.stand_on(lease, "judged tree", into.clone()).await?;
        self.leases.carry(&into).await?;
        self.leases.build_on_baseline(&into).await?;
        let mut guard = self.guard(&into).await?;
        for lines in [&self.settings.setup, &self.settings.build, &self.settings.migrate] {
            if let Some(failure) = self.set_up(lease, &into, lines).await? {
                return Ok(Err(failure));
            }
        }
        let touched = self.touched(lease, &mut guard, "set up").await?;
        Ok(touched.map_or(Ok(guard), |reason| Err(reason.to_string())))
    }

    /// Makes a tree ready and runs every suite in it. A report that the journal has stays the one
    /// that counts; the suites run all the same, because what they leave in the tree and its
    /// services is what the blocks before the interruption were measured on.
    #[tracing::instrument(name = "judging", skip_all, fields(%contender))]
    pub async fn judge(
        &self,
        contender: &Contender,
        commit: &str,
        known: Option<&TestReport>,
    ) -> Result<Judgement, Error> {
        let mut turn = self.judges.take().await?;
        loop {
            self.run.check_stop()?;
            let judgement = self.judge_once(contender, commit, known).await?;
            let taken = match &judgement {
                Judgement::Ready(_, report) => tells_of_a_taken_port(report),
                Judgement::Broken(reason) => is_a_taken_port(&reason.to_string()),
            };
            if turn.alone || known.is_some() || !taken {
                return self.written(contender, judgement, known).await;
            }
            // Suites that want one port want it in every tree: nobody is out because a neighbour had it first.
            if let Judgement::Ready(judged, _) = judgement {
                self.leases.close_lease(judged.lease).await?;
            }
            let (alone, first) = self.judges.alone_instead(turn).await?;
            turn = alone;
            if first {
                self.run.warn(format!(
                    "tests of {contender} found a port taken, as tests do that want the same one in every tree: tests \
                     are run one after another from now on, and these again (`$PORT` is free and each contender's own)"
                ));
            }
        }
    }

    /// Writes down what the tests came to, unless the journal has it.
    async fn written(
        &self,
        contender: &Contender,
        judgement: Judgement,
        known: Option<&TestReport>,
    ) -> Result<Judgement, Error> {
        let record = match (&judgement, known) {
            (Judgement::Ready(_, report), None) => {
                Record::Tested { contender: contender.clone(), report: report.clone() }
            }
            _ => return Ok(judgement),
        };
        self.run.log.write(&record).await?;
        Ok(judgement)
    }

    async fn judge_once(
        &self,
        contender: &Contender,
        commit: &str,
        known: Option<&TestReport>,
    ) -> Result<Judgement, Error> {
        self.run.tell(Event::PhaseEntered { contender: contender.clone(), phase: Phase::Test });
        let name = judging(&contender.slug());
        let judged = match self.fresh_tree(contender, &name, commit, &self.settings.protect).await? {
            Ok(judged) => judged,
            Err(message) => return Ok(Judgement::Broken(Disqualification::SetupFailed { message })),
        };
        let tested = self.run_suites(contender, &judged).await;
        self.leases.settle(&judged.lease).await;
        match (tested?, known) {
            (_, Some(report)) => Ok(Judgement::Ready(Box::new(judged), report.clone())),
            (Ok(report), None) => Ok(Judgement::Ready(Box::new(judged), report)),
            (Err(reason), None) => {
                self.leases.close_lease(judged.lease).await?;
                Ok(Judgement::Broken(reason))
            }
        }
    }

    /// Every suite; the first that takes selectors gets those of the work items that apply. Cases are
    /// counted once.
    pub(crate) async fn run_suites(
        &self,
        contender: &Contender,
        judged: &Judged,
    ) -> Result<Result<TestReport, Disqualification>, Error> {
        let selectors = self.selectors(contender);
        let mut report = TestReport::default();
        let taker = self.suites.iter().position(|suite| suite.takes_selectors());
        for (at, suite) in self.suites.iter().enumerate() {
            self.run.check_stop()?;
            if let Some(message) = self.leases.replaced(&judged.lease).await {
                return Ok(Err(Disqualification::Replaced { message }));
            }
            let wanted = if taker == Some(at) { selectors.as_slice() } else { &[] };
            match self.run_suite(at, contender, judged, wanted).await {
                Ok(part) => {
                    let failures = part.failures.iter().cloned().map(|failure| self.shown(failure)).collect();
                    report.add(suite.name(), TestReport { failures, ..part });
                    let guard = &mut *judged.guard.lock().await;
                    if let Some(reason) = self.touched(&judged.lease, guard, "tested").await? {
                        return Ok(Err(reason));
                    }
                }
                Err(SuiteError::Variant(message)) => {
                    let message = self.excerpt(&message);
                    let (first, rest) = message.split_once('\n').unwrap_or((&message, ""));
                    let tests = vec![format!("{}: {first}", suite.name())];
                    let output = Some(rest.to_owned()).filter(|rest| !rest.is_empty());
                    let log = self.keep_log(&judged.site.scratch, TESTS_LOG).await;
                    let lines: Vec<_> = output.into_iter().chain(log.map(|log| format!("all of it: {log}"))).collect();
                    let detail = (!lines.is_empty()).then(|| lines.join("\n"));
                    return Ok(Err(Disqualification::TestsFailed { tests, detail }));
                }
                Err(SuiteError::Stopped) => {
                    self.run.check_stop()?;
                    return Err(Error::machine(format!("the suite `{}` was stopped", suite.name())));
                }
                Err(other) => return Err(machine(other)),
            }
        }
        if !report.failed().is_empty() {
            report.log = self.keep_log(&judged.site.scratch, TESTS_LOG).await;
        }
        Ok(Ok(report))
    }

    /// Why a contender is out for what its programs did to its tree while it was `doing`.
    async fn touched(&self, lease: &Lease, guard: &mut Guard, doing: &str) -> Result<Option<Disqualification>, Error> {
        if let Some(message) = self.leases.replaced(lease).await {
            return Ok(Some(Disqualification::Replaced { message }));
        }
        let tampered = self.guarded(&lease.contender, &lease.tree(), guard, doing).await?;
        Ok(tampered.map(|message| Disqualification::Tampered { message }))
    }

    /// One suite, as long as it may take: a variant's has a limit beside the baseline's, and all have the run's time
    /// cap.
    async fn run_suite(
        &self,
        at: usize,
        contender: &Contender,
        judged: &Judged,
        selectors: &[String],
    ) -> Result<TestReport, SuiteError> {
        let suite = &self.suites[at];
        let times = || self.suite_times.lock().unwrap_or_else(PoisonError::into_inner);
        let usual = times().get(&at).copied().filter(|_| contender.key().is_some());
        let Patience { limit, ours } = self.run.first_patience(usual);
        let site = Site { stop: self.run.stop.child_token(), ..judged.site.clone() };
        let (began, running) = (Instant::now(), suite.run(&site, selectors));
        tokio::pin!(running);
        let late = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            done = &mut running => {
                if contender.key().is_none() && done.is_ok() {
                    let mut times = times();
                    let longest = times.entry(at).or_default();
                    *longest = began.elapsed().max(*longest);
                }
                done
            }
            () = late => {
                site.stop.cancel();
                drop(running.await);
                let why = if ours { "the run's time cap ended in the middle of it".to_owned() } else { too_long() };
                Err(SuiteError::Variant(why))
            }
        }
    }

    fn shown(&self, failure: Failure) -> Failure {
        Failure { output: self.excerpt(&failure.output), ..failure }
    }

    /// The end of what a contender's program printed, as it may be shown and kept: without secrets.
    pub(in crate::engine) fn excerpt(&self, text: &str) -> String {
        excerpt(&self.settings.redactor.text(text))
    }

    /// Keeps all that a lease's programs printed, without secrets, by the log's name; where, if there was anything. A log that
    /// can't be kept is no reason to end anything.
    pub(in crate::engine) async fn keep_log(&self, scratch: &Path, name: &str) -> Option<String> {
        let lease = scratch.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let kept = self.settings.logs.join(format!("{lease}-{name}"));
        match self.workspace.keep(&scratch.join(name), &kept, &self.settings.redactor).await {
            Ok(true) => Some(kept.display().to_string()),
            Ok(false) => None,
            Err(error) => {
                self.run.warn(format!("{name} of {lease} could not be kept: {error}"));
                None
            }
        }
    }

    /// The tests that the work items of a contender name; the baseline has those of all.
    fn selectors(&self, contender: &Contender) -> Vec<String> {
        let items = self.run.plan().work_items.iter();
        let applying = items.filter(|item| match contender.key() {
            Some(key) => item.applies_to(key),
            None => item.applies == crate::domain::plan::Applies::All,
        });
        let mut selectors: Vec<String> = Vec::new();
        for selector in applying.flat_map(|item| &item.tests) {
            if !selectors.contains(selector) {
                selectors.push(selector.clone());
            }
        }
        selectors
    }
}

/// Tests that pass on the baseline and fail on the variant, or fail on the variant and are not the
/// baseline's at all.
pub(crate) fn regressions(baseline: &TestReport, variant: &TestReport) -> Vec<String> {
    let failing: BTreeSet<_> = baseline.failed().into_iter().collect();
    variant.failed().into_iter().filter(|name| !failing.contains(name)).collect()
}

/// Tests that the baseline has and the variant lost: who drops a test has not passed it.
pub fn lost(baseline: &TestReport, variant: &TestReport) -> Vec<String> {
    let present: BTreeSet<_> =
        variant.cases.iter().filter(|c| c.status != TestStatus::Skipped).map(|c| c.name.as_str()).collect();
    let passed = baseline.cases.iter().filter(|c| c.status == TestStatus::Passed);
    passed.map(|c| c.name.clone()).filter(|name| !present.contains(name.as_str())).collect()
}

/// The outcome that a variant's tests alone decide, if they do: by what the baseline passes, and by
/// what the weights demand of whoever is to land.
pub(crate) fn tests_outcome(weights: &Weights, baseline: &TestReport, variant: &TestReport) -> Option<Outcome> {
    let mut tests = regressions(baseline, variant);
    tests.extend(lost(baseline, variant));
    tests.sort();
    let nothing_ran = variant.counted() == 0;
    let nothing_passed = variant.failed().len() == variant.counted();
    if nothing_ran {
        tests = vec!["no test was executed".to_owned()];
    } else if nothing_passed {
        tests = variant.failed();
    }
    let detail = variant.detail(&tests);
    let failed = (!tests.is_empty()).then_some(Disqualification::TestsFailed { tests, detail });
    failed.or_else(|| weights.missed(variant)).map(|reason| Outcome::Disqualified { reason })
}

#[cfg(test)]
mod checks;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cases::TestCase;
    use crate::domain::weights::Weight;

    fn report(cases: &[(&str, TestStatus)]) -> TestReport {
        let case = |(name, status): &(&str, TestStatus)| TestCase { name: (*name).to_owned(), status: *status };
        TestReport::of(cases.iter().map(case).collect())
    }

    fn outcome(note: &str, baseline: &TestReport, variant: &TestReport) -> Option<Outcome> {
        let weight = |note: &str| Weight::new(50.0, Some(note.to_owned()));
        let weights = Weights { tests: weight(note), performance: weight("p95"), simplicity: weight("LOC") };
        super::tests_outcome(&weights, baseline, variant)
    }

    fn tests_outcome(baseline: &TestReport, variant: &TestReport) -> Option<Outcome> {
        outcome("as many as can be", baseline, variant)
    }

    #[test]
    fn a_test_that_fails_on_both_puts_out_whoever_the_weights_demand_it_of() {
        let mut both = TestReport::default();
        both.add("sh perf.sh", report(&[("fast", TestStatus::Failed)]));
        both.add("sh unit.sh", report(&[("right", TestStatus::Passed)]));
        assert_eq!(outcome("LOC", &both, &both), None);
        let Some(Outcome::Disqualified { reason: Disqualification::GateMissed { gate, tests } }) =
            outcome("must pass all performance tests", &both, &both)
        else {
            panic!("it is in")
        };
        assert_eq!((gate.as_str(), tests), ("must pass all performance tests", vec!["fast".to_owned()]));
        let mut kept = TestReport::default();
        kept.add("sh perf.sh", report(&[("fast", TestStatus::Passed)]));
        kept.add("sh unit.sh", report(&[("right", TestStatus::Passed)]));
        assert_eq!(outcome("must pass all performance tests", &both, &kept), None);
    }

    #[test]
    fn a_test_that_fails_on_both_disqualifies_nobody() {
        let both = report(&[("a", TestStatus::Failed), ("b", TestStatus::Passed)]);
        assert_eq!(tests_outcome(&both, &both), None);
    }

    #[test]
    fn a_variant_that_passes_no_test_is_out_even_where_the_baseline_passes_none() {
        let all = report(&[("a", TestStatus::Failed), ("b", TestStatus::Failed)]);
        assert!(tests_outcome(&all, &all).is_some());
    }

    #[test]
    fn a_regression_a_lost_test_and_an_empty_run_disqualify() {
        let base = report(&[("a", TestStatus::Passed), ("b", TestStatus::Passed)]);
        let failed = report(&[("a", TestStatus::Failed), ("b", TestStatus::Passed)]);
        let lost = report(&[("b", TestStatus::Passed)]);
        let skipped = report(&[("a", TestStatus::Skipped), ("b", TestStatus::Passed)]);
        for variant in [failed, lost, skipped, report(&[])] {
            assert!(tests_outcome(&base, &variant).is_some(), "{variant:?}");
        }
    }
}
