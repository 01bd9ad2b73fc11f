//! What was asked of models in a run: every request that was admitted, and what came of it. Folded
//! from the journal, and kept while the run goes on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::budget::{Basis, Settlement};
use crate::domain::plan::VariantKey;
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;
use crate::domain::wire::Provider;

/// A request that was admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Counted from 0 over the run.
    pub call: u64,
    /// Whose.
    pub variant: VariantKey,
    /// Of which step.
    pub step: usize,
    /// As the request names it.
    pub model: String,
    /// What was reserved for reading.
    pub input: Tokens,
    /// What was reserved for writing.
    pub output: Tokens,
    /// By what the first is known; absent in journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Basis>,
}

/// What one step asked of models.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepCalls {
    /// Requests that were settled.
    pub calls: u64,
    /// What they are charged.
    pub usage: Usage,
    /// Of them, those of which nobody knows what they used.
    pub in_full: u64,
    /// Of them, those that used more than was reserved.
    pub violated: u64,
    /// Of them, those whose reported usage can't be true, and which are charged by what was seen.
    pub doubted: u64,
}

/// All requests of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calls {
    /// Admitted and not settled yet.
    open: BTreeMap<u64, Call>,
    /// The number that the next one gets.
    next: u64,
    /// By step and model.
    settled: BTreeMap<(VariantKey, usize, String), StepCalls>,
    /// Who reported usage that can't be true.
    doubted: BTreeSet<Provider>,
}

impl Calls {
    /// The number that the next call gets.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// A call was admitted.
    pub fn reserved(&mut self, call: Call) {
        self.next = self.next.max(call.call + 1);
        self.open.insert(call.call, call);
    }

    /// A call was settled; what it is charged. `None` for a number that is not open.
    pub fn settled(&mut self, call: u64, settlement: &Settlement) -> Option<(Call, Usage)> {
        let call = self.open.remove(&call)?;
        let charged = settlement.charge(call.input, call.output);
        let key = (call.variant.clone(), call.step, call.model.clone());
        let step = self.settled.entry(key).or_default();
        step.calls += 1;
        step.usage = step.usage.plus(charged);
        step.in_full += u64::from(matches!(settlement, Settlement::InFull { .. }));
        step.violated += u64::from(matches!(settlement, Settlement::BoundViolated { .. }));
        if let Settlement::Doubted { provider, .. } = settlement {
            step.doubted += 1;
            self.doubted.insert(*provider);
        }
        Some((call, charged))
    }

    /// Calls that were admitted and not settled.
    pub fn open(&self) -> impl Iterator<Item = &Call> {
        self.open.values()
    }

    /// The providers that reported usage which can't be true.
    pub fn doubted(&self) -> &BTreeSet<Provider> {
        &self.doubted
    }

    /// What one step asked, over all models; `None` where it asked nothing.
    pub fn of_step(&self, variant: &VariantKey, step: usize) -> Option<StepCalls> {
        sum(self.settled.iter().filter(|((v, s, _), _)| v == variant && *s == step).map(|(_, calls)| calls))
    }

    /// The steps that asked anything, each with its charge.
    pub fn by_step(&self) -> BTreeMap<(VariantKey, usize), Usage> {
        let mut steps: BTreeMap<_, Usage> = BTreeMap::new();
        for ((variant, step, _), calls) in &self.settled {
            let usage = steps.entry((variant.clone(), *step)).or_default();
            *usage = usage.plus(calls.usage);
        }
        steps
    }

    /// What each model was asked, over the whole run.
    pub fn by_model(&self) -> BTreeMap<&str, StepCalls> {
        let mut models: BTreeMap<&str, StepCalls> = BTreeMap::new();
        for ((_, _, model), calls) in &self.settled {
            let known = models.entry(model).or_default();
            *known = sum([&*known, calls]).unwrap_or_default();
        }
        models
    }
}

fn sum<'a>(all: impl IntoIterator<Item = &'a StepCalls>) -> Option<StepCalls> {
    all.into_iter().cloned().reduce(|a, b| StepCalls {
        calls: a.calls + b.calls,
        usage: a.usage.plus(b.usage),
        in_full: a.in_full + b.in_full,
        violated: a.violated + b.violated,
        doubted: a.doubted + b.doubted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> VariantKey {
        VariantKey::new(text).unwrap()
    }

    fn call(number: u64, variant: &str, step: usize) -> Call {
        let model = "m".to_owned();
        Call { call: number, variant: key(variant), step, model, input: Tokens(100), output: Tokens(50), by: None }
    }

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input: Tokens(input), output: Tokens(output) }
    }

    #[test]
    fn a_call_is_charged_once_and_by_what_is_known_of_it() {
        let mut calls = Calls::default();
        for number in 0..5 {
            calls.reserved(call(number, "A", 0));
        }
        let settlements = [
            Settlement::Reported { usage: usage(60, 10) },
            Settlement::InFull { why: "cut".to_owned() },
            Settlement::Released { why: "429".to_owned() },
            Settlement::BoundViolated { usage: usage(60, 90), why: "reported".to_owned() },
            Settlement::Doubted { usage: usage(30, 5), provider: Provider::OpenAi, why: "0 reported".to_owned() },
        ];
        for (number, settlement) in (0..).zip(&settlements) {
            assert!(calls.settled(number, settlement).is_some());
            assert!(calls.settled(number, settlement).is_none(), "twice");
        }
        let step = calls.of_step(&key("A"), 0).unwrap();
        assert_eq!(step, StepCalls { calls: 5, usage: usage(250, 155), in_full: 1, violated: 1, doubted: 1 });
        assert_eq!(calls.doubted().iter().copied().collect::<Vec<_>>(), [Provider::OpenAi]);
        assert_eq!(calls.of_step(&key("A"), 1), None);
        assert_eq!(calls.next(), 5);
    }

    #[test]
    fn what_was_not_settled_stays_open() {
        let mut calls = Calls::default();
        calls.reserved(call(7, "B", 2));
        assert_eq!(calls.open().map(|c| c.call).collect::<Vec<_>>(), [7]);
        assert_eq!(calls.next(), 8);
        assert!(calls.by_step().is_empty());
    }
}
