//! What a run's requests to models cost, as far as prices are known.

use crate::domain::price::{Money, Prices};
use crate::engine::state::Facts;

/// What a run cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// Of the models whose price is known, at the most: cached input counts in full.
    pub known: Money,
    /// The models whose price is not known, sorted. Their tokens are counted, and that is all.
    pub unpriced: Vec<String>,
}

/// What a run cost; `None` where no request of it went through the proxy.
pub fn cost(facts: &Facts, prices: &Prices) -> Option<Cost> {
    let models = facts.calls.by_model();
    if models.is_empty() {
        return None;
    }
    let mut cost = Cost { known: Money::default(), unpriced: Vec::new() };
    for (model, calls) in models {
        match prices.of(model) {
            Some(price) => cost.known = cost.known.plus(price.of(calls.usage)),
            None => cost.unpriced.push(model.to_owned()),
        }
    }
    Some(cost)
}
