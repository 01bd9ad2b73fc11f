//! Who would land by being faster than asked for is measured in fresh trees before: each slice the first in a copy of a
//! tree that was set up and built, with services of its own, the baseline beside the variant.
//!
//! A copy stands where its tree was set up, because set-up writes down where it is.

use std::time::Duration;

use tokio::time::Instant;

use crate::adapters::metric::{Cadence, Meter, MetricError, Sample, Slot};
use crate::adapters::workspace::Carry;
use crate::domain::decision;
use crate::domain::event::Event;
use crate::domain::fresh::{Cut, FEWEST, Finding, MOST};
use crate::domain::measurement::{Contender, Outputs, Slice, compare_outputs};
use crate::domain::plan::VariantKey;
use crate::domain::race;
use crate::domain::trial::{Disqualification, Outcome};
use crate::engine::judge::guards::Guard;
use crate::engine::judge::tree::Judged;
use crate::engine::measure::Measuring;
use crate::engine::measure::blocks::Spoiled;
use crate::engine::resources::lease::{Lease, Purpose, TREE};
use crate::engine::run::PerContender;
use crate::engine::state::{Facts, Record};
use crate::engine::trouble::machine;
use crate::error::{Error, ExitCode, followed_by};

/// No block has the numbers from here on down, so that inputs are those of nothing that was measured.
const FRESH: u32 = u32::MAX - 64;

/// The part of the time for measuring that pairs may take beyond the fewest.
const SHARE: u32 = 2;

/// How often the machine may spoil a pair.
const TRIES: u32 = 3;

/// Why a pair could not be taken.
enum Fault {
    /// As slices of the race are spoiled.
    Spoiled(Spoiled),
    /// The baseline itself can't be measured in a tree that nothing was tested in.
    Baseline(String),
}

/// A meter of which only first slices are taken.
struct First<'a>(&'a mut dyn Meter);

#[async_trait::async_trait]
impl Meter for First<'_> {
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        self.0.first(slot).await
    }

    async fn close(&mut self) {}
}

impl Measuring {
    /// Measures a variant that is to land in fresh trees; whether it is out by what was seen. What enough of them leave
    /// unclear keeps nobody from landing; too few do.
    pub(in crate::engine) async fn verify_advantage(&self, key: &VariantKey, facts: &mut Facts) -> Result<bool, Error> {
        let contender = Contender::Variant(key.clone());
        if !facts.seen.fresh.contains_key(key) {
            self.run.note(facts, Record::Verifying { variant: key.clone() }).await?;
        }
        let text = format!("{key} is faster than the document asks for, and is measured again in fresh trees");
        self.run.tell(Event::Choice { what: "verifying".to_owned(), text });
        let mut pristine = PerContender::new();
        let taken = self.pairs(key, facts, &mut pristine).await;
        drop(pristine);
        self.leases.removed().await;
        let cut = match taken {
            Ok(cut) => cut,
            Err(error) if error.kind == ExitCode::Machine => Some(Cut::short(error.message)),
            Err(error) => return Err(error),
        };
        self.run.note(facts, Record::Verified { variant: key.clone(), cut }).await?;
        let Some(check) = decision::check(&facts.seen, key) else { return Ok(false) };
        self.end_refuted(facts).await?;
        if facts.seen.ended.contains_key(&contender) {
            return Ok(true);
        }
        match check.finding() {
            Finding::Unclear => self.run.warn(check.to_string()),
            _ => self.run.tell(Event::Choice { what: "verified".to_owned(), text: check.to_string() }),
        }
        Ok(false)
    }

    /// Ends whoever has no advantage in fresh trees, unless that was done: a run may have been interrupted in between.
    pub(in crate::engine) async fn end_refuted(&self, facts: &mut Facts) -> Result<(), Error> {
        for (contender, outcome) in decision::refuted(&facts.seen) {
            self.run.put_out(&contender, outcome, facts).await?;
        }
        Ok(())
    }

    /// Pairs until they tell, or there are no more; why not, where more would tell.
    async fn pairs(
        &self,
        key: &VariantKey,
        facts: &mut Facts,
        pristine: &mut PerContender<Lease>,
    ) -> Result<Option<Cut>, Error> {
        let sources = self.claiming(key, facts);
        let (mut began, mut longest, mut spoiled) = (None, Duration::ZERO, 0);
        loop {
            self.run.check_stop()?;
            if let Some(cut) = self.enough(key, facts, began.map(|b: Instant| b.elapsed()), longest) {
                return Ok(cut);
            }
            if pristine.is_empty()
                && let Err(why) = self.prepare(key, facts, pristine).await?
            {
                return Ok(Some(Cut::short(why)));
            }
            let start = Instant::now();
            began = began.or(Some(start));
            match self.pair(key, &sources, facts, pristine).await? {
                Ok(slices) => self.run.note(facts, Record::FreshPair { variant: key.clone(), slices }).await?,
                Err(Fault::Baseline(why)) => {
                    let why = format!("the baseline can't be measured there: {}", self.judging.excerpt(&why));
                    return Ok(Some(Cut { why, lasting: true }));
                }
                Err(Fault::Spoiled(Spoiled::Contender(message))) => {
                    let message = format!("in a fresh tree, {}", self.judging.excerpt(&message));
                    let outcome = Outcome::Disqualified { reason: Disqualification::InvalidMeasurement { message } };
                    self.run.put_out(&Contender::Variant(key.clone()), outcome, facts).await?;
                    return Ok(None);
                }
                Err(Fault::Spoiled(Spoiled::OutOfTime)) => {
                    return Ok(Some(Cut::short("the time cap ended in the middle of it")));
                }
                Err(Fault::Spoiled(Spoiled::Machine(why))) => {
                    spoiled += 1;
                    if spoiled == TRIES {
                        return Ok(Some(Cut::short(why)));
                    }
                }
            }
            longest = longest.max(start.elapsed());
        }
    }

    /// The sources of the metrics by which a variant is faster than asked for.
    fn claiming(&self, key: &VariantKey, facts: &Facts) -> Vec<usize> {
        let metrics: Vec<_> =
            decision::check(&facts.seen, key).into_iter().flat_map(|c| c.metrics).map(|one| one.metric).collect();
        let all = self.sources.iter().enumerate();
        let each = all.filter(|(_, source)| source.cadence() == Cadence::EachBlock);
        each.filter(|(_, source)| source.metrics().iter().any(|m| metrics.contains(m))).map(|(at, _)| at).collect()
    }

    /// Whether no more pairs are taken, and why not where they would tell.
    fn enough(
        &self,
        key: &VariantKey,
        facts: &Facts,
        elapsed: Option<Duration>,
        longest: Duration,
    ) -> Option<Option<Cut>> {
        let check = decision::check(&facts.seen, key)?;
        let taken = facts.seen.fresh.get(key).map_or(0, |fresh| fresh.pairs.len());
        let building = check.metrics.iter().any(|measured| measured.builds);
        let told = check.finding() != Finding::Unclear || building;
        if taken >= MOST || (taken >= FEWEST && told) {
            return Some(None);
        }
        if self.run.time_left().is_some_and(|left| left.is_zero() || left < longest) {
            return Some(Some(Cut::short("the time cap leaves no room for it")));
        }
        let share = self.run.started.measure_budget / SHARE;
        let late = elapsed.is_some_and(|elapsed| elapsed + longest > share);
        (taken >= FEWEST && late)
            .then(|| Some(Cut::short("more of it would take more than half of the time for measuring")))
    }

    /// A tree of the baseline and one of the variant, set up and built, in which nothing was tested or measured.
    async fn prepare(
        &self,
        key: &VariantKey,
        facts: &Facts,
        pristine: &mut PerContender<Lease>,
    ) -> Result<Result<(), String>, Error> {
        let Some((harvest, ..)) = facts.seen.harvests.get(key) else {
            return Err(Error::machine(format!("the journal has no harvest of {key}")));
        };
        let both = [
            (Contender::Baseline, self.run.started.base.0.clone()),
            (Contender::Variant(key.clone()), harvest.commit.clone()),
        ];
        for (contender, commit) in both {
            let protect = &self.judging.settings.protect;
            let made = self.judging.fresh_tree(&contender, &live(&contender), &commit, protect).await?;
            let judged = match made {
                Ok(judged) => judged,
                Err(why) => return Ok(Err(format!("a fresh tree of {contender} can't be set up: {why}"))),
            };
            self.leases.settle(&judged.lease).await;
            let kept = self
                .leases
                .open_lease(&contender, &format!("{}_pristine", contender.slug()), Purpose::Directories)
                .await?;
            self.copy_tree(&judged.lease, &kept).await?;
            pristine.insert(contender.clone(), kept);
            self.leases.close_lease(judged.lease).await?;
        }
        Ok(Ok(()))
    }

    async fn copy_tree(&self, from: &Lease, into: &Lease) -> Result<(), Error> {
        let order = Carry { path: TREE, from: &from.dir, into: &into.dir, without: &[] };
        self.workspace.carry(&order).await.map_err(machine)
    }

    /// One slice of each source for either of the two, whoever has the first turn by lot; each in a tree of its own.
    async fn pair(
        &self,
        key: &VariantKey,
        sources: &[usize],
        facts: &Facts,
        pristine: &PerContender<Lease>,
    ) -> Result<Result<Vec<Slice>, Fault>, Error> {
        let known: &[Vec<Slice>] = facts.seen.fresh.get(key).map_or(&[], |fresh| &fresh.pairs);
        let index = FRESH.saturating_sub(u32::try_from(known.len()).unwrap_or(u32::MAX));
        let seed = race::block_seed(self.run.started.seed, index);
        let both = [Contender::Baseline, Contender::Variant(key.clone())];
        // How long a first slice takes is known from the baseline's.
        let order = if known.is_empty() { both.to_vec() } else { race::shuffled(&both, self.run.started.seed, index) };
        let mut slices: Vec<Slice> = Vec::new();
        for at in sources {
            for contender in &order {
                let source = self.sources[*at].name();
                let before = facts.seen.blocks.iter().flat_map(|block| &block.slices).chain(known.iter().flatten());
                let like = before.chain(&slices).filter(|s| s.source == source && s.contender == Contender::Baseline);
                let longest = like.map(|slice| slice.timing.wall).max().filter(|_| *contender != Contender::Baseline);
                let slot = Slot { block: index, seed, limit: self.run.time_left(), brief: None };
                match self.first_slice(*at, contender, pristine, slot, longest).await? {
                    Ok(slice) => slices.push(slice),
                    Err(Spoiled::Contender(why)) if *contender == Contender::Baseline => {
                        return Ok(Err(Fault::Baseline(why)));
                    }
                    Err(spoiled) => return Ok(Err(Fault::Spoiled(spoiled))),
                }
            }
        }
        Ok(match compare_outputs(&slices) {
            Outputs::Wrong { source, message, .. } => {
                Err(Fault::Spoiled(Spoiled::Contender(format!("{source}: {message}"))))
            }
            Outputs::Agree | Outputs::Disputed { .. } => Ok(slices),
        })
    }

    /// The first slice in a copy of a contender's tree, with services of its own.
    async fn first_slice(
        &self,
        at: usize,
        contender: &Contender,
        pristine: &PerContender<Lease>,
        slot: Slot,
        longest: Option<Duration>,
    ) -> Result<Result<Slice, Spoiled>, Error> {
        let mut lease = self.leases.open_lease(contender, &live(contender), Purpose::Services).await?;
        self.furnish_copy(&mut lease, pristine).await?;
        // Nothing else is at work on the disk.
        self.leases.removed().await;
        // One slice, after which nothing else runs there.
        let judged = self.judging.judged(lease, Guard::default()).await?;
        let taken = self.only_slice(at, contender, &judged, slot, longest).await;
        followed_by(taken, self.leases.close_lease(judged.lease).await)
    }

    async fn furnish_copy(&self, lease: &mut Lease, pristine: &PerContender<Lease>) -> Result<(), Error> {
        let Some(from) = pristine.get(&lease.contender) else {
            return Err(Error::machine(format!("{} has no fresh tree", lease.contender)));
        };
        self.copy_tree(from, lease).await?;
        let tree = lease.tree();
        self.leases.stand_on(lease, "fresh tree", tree.clone()).await?;
        if let Some(why) = self.judging.set_up(lease, &tree, &self.judging.settings.migrate).await? {
            return Err(Error::machine(why));
        }
        self.leases.settle(lease).await;
        Ok(())
    }

    async fn only_slice(
        &self,
        at: usize,
        contender: &Contender,
        judged: &Judged,
        slot: Slot,
        longest: Option<Duration>,
    ) -> Result<Result<Slice, Spoiled>, Error> {
        let source = &self.sources[at];
        let patience = self.run.first_patience(longest);
        let slot = Slot { limit: patience.limit, ..slot };
        match source.open(&judged.site).await {
            Ok(mut meter) => {
                let mut first = First(&mut *meter);
                let taken = self.sample(source.name(), contender, &mut first, None, slot, patience).await;
                meter.close().await;
                taken
            }
            Err(error) => self.spoiled(source.name(), error),
        }
    }
}

/// The lease in which a contender's fresh trees stand, one after another.
fn live(contender: &Contender) -> String {
    format!("{}_fresh", contender.slug())
}

#[cfg(test)]
mod tests;
