//! The fake: a proxy without sockets. Whoever has a door's access asks here what a client would ask over HTTP, and is
//! answered by the accounts alone: there is no model, and what a request used is what its caller says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Ask, Door, Opening, Proxy, ProxyError, Purse, Stop};
use crate::adapters::process::Address;
use crate::domain::budget::{Refusal, Settlement};
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;
use crate::domain::wire::{Access, Secret};

/// Why a request had no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The key is not the trial's.
    Unauthorized,
    /// It was not admitted.
    Refused(Refusal),
}

/// Trials and their doors, in memory.
#[derive(Default)]
pub struct FakeProxy {
    trials: Mutex<BTreeMap<String, Arc<Trial>>>,
}

struct Trial {
    access: Access,
    step: Mutex<Option<Arc<Step>>>,
}

struct Step {
    purse: Arc<dyn Purse>,
    refused: Stop,
    closing: Stop,
    underway: watch::Sender<usize>,
}

/// A request that is under way until this is dropped.
struct Visit(Arc<Step>);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.underway.send_modify(|count| *count -= 1);
    }
}

impl Trial {
    fn step(&self) -> MutexGuard<'_, Option<Arc<Step>>> {
        self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Option<Visit> {
        let open = self.step();
        let step = Arc::clone(open.as_ref()?);
        step.underway.send_modify(|count| *count += 1);
        Some(Visit(step))
    }

    fn leave(&self, step: &Arc<Step>) {
        let mut open = self.step();
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, step)) {
            *open = None;
        }
        step.closing.cancel();
    }
}

impl FakeProxy {
    fn trials(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Trial>>> {
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a request that turns out to use so much; what it may write.
    pub async fn ask(&self, access: &Access, ask: Ask, used: Usage) -> Result<Tokens, Unanswered> {
        let known = self.trials().values().find(|trial| trial.access.root == access.root).cloned();
        let trial = known.filter(|trial| trial.access.key == access.key).ok_or(Unanswered::Unauthorized)?;
        let Some(Visit(step)) = &trial.enter() else { return Err(Unanswered::Refused(Refusal::Closed)) };
        let reserved = tokio::select! {
            biased;
            () = step.closing.cancelled() => Err(Refusal::Closed),
            reserved = step.purse.reserve(ask) => reserved,
        };
        match reserved {
            Ok(grant) => {
                let output = grant.output;
                step.purse.settle(grant, Settlement::Reported { usage: used });
                Ok(output)
            }
            Err(refusal) => {
                if matches!(refusal, Refusal::Spent { .. }) {
                    step.refused.cancel();
                }
                Err(Unanswered::Refused(refusal))
            }
        }
    }
}

#[async_trait]
impl Proxy for FakeProxy {
    async fn open(&self, opening: Opening) -> Result<Box<dyn Door>, ProxyError> {
        let trial = {
            let mut trials = self.trials();
            let number = trials.len();
            let new = || {
                let (root, key) = (format!("fake://t/{}", opening.trial), Secret::new(format!("key-{number}")));
                Arc::new(Trial { access: Access { root, key }, step: Mutex::default() })
            };
            Arc::clone(trials.entry(opening.trial.clone()).or_insert_with(new))
        };
        let step = Arc::new(Step {
            purse: opening.purse,
            refused: Stop::new(),
            closing: Stop::new(),
            underway: watch::Sender::new(0),
        });
        if let Some(before) = trial.step().replace(Arc::clone(&step)) {
            before.closing.cancel();
        }
        Ok(Box::new(FakeDoor { trial, step }))
    }

    fn address(&self) -> Option<Address> {
        None
    }
}

struct FakeDoor {
    trial: Arc<Trial>,
    step: Arc<Step>,
}

#[async_trait]
impl Door for FakeDoor {
    fn access(&self) -> &Access {
        &self.trial.access
    }

    fn refused(&self) -> &Stop {
        &self.step.refused
    }

    fn busy(&self) -> bool {
        *self.step.underway.borrow() > 0
    }

    async fn close(self: Box<Self>) {
        self.trial.leave(&self.step);
        drop(self.step.underway.subscribe().wait_for(|count| *count == 0).await);
    }
}

impl Drop for FakeDoor {
    fn drop(&mut self) {
        self.trial.leave(&self.step);
    }
}
