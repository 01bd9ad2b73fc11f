//! What tokens cost, where that is known. A model that no price is known for costs nobody knows how
//! much: never nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::trial::Usage;

/// An amount of money, in millionths of a unit of whatever currency the prices are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(u64);

impl Money {
    /// From units; `None` for what is negative, not finite, or beyond a trillion.
    pub fn new(units: f64) -> Option<Self> {
        let micros = (units * 1e6).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
        (0.0..=1e18).contains(&micros).then_some(Self(micros as u64))
    }

    /// In units.
    #[expect(clippy::cast_precision_loss, reason = "for showing")]
    pub fn units(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Both added up; saturating.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Below a cent two digits say nothing.
        let digits = if self.0 < 10_000 { 4 } else { 2 };
        f.pad(&format!("{:.digits$}", self.units()))
    }
}

/// What a million tokens of one model cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Read.
    pub input: Money,
    /// Written.
    pub output: Money,
}

impl Price {
    /// What a usage costs at the most: input that the provider had cached costs less.
    pub fn of(self, usage: Usage) -> Money {
        let part = |price: Money, tokens: u64| u128::from(price.0) * u128::from(tokens);
        let micros = (part(self.input, usage.input.0) + part(self.output, usage.output.0)).div_ceil(1_000_000);
        Money(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// Prices by model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prices {
    /// A name, or its beginning where that is what stands in front of a `*`.
    known: Vec<(String, Price)>,
}

impl Prices {
    /// Adds a price. What is added later is asked first.
    pub fn add(&mut self, pattern: &str, price: Price) {
        self.known.push((pattern.to_owned(), price));
    }

    /// The price of a model: by its exact name, or by the longest pattern that it begins with.
    pub fn of(&self, model: &str) -> Option<Price> {
        let exact = self.known.iter().rev().find(|(pattern, _)| pattern == model);
        let prefix = |pattern: &str| pattern.strip_suffix('*').is_some_and(|start| model.starts_with(start));
        let longest =
            || self.known.iter().filter(|(pattern, _)| prefix(pattern)).max_by_key(|(pattern, _)| pattern.len());
        exact.or_else(longest).map(|(_, price)| *price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::quantity::Tokens;

    fn price(input: f64, output: f64) -> Price {
        Price { input: Money::new(input).unwrap(), output: Money::new(output).unwrap() }
    }

    #[test]
    fn money_is_finite_and_not_negative() {
        for wrong in [f64::NAN, f64::INFINITY, -0.01, 1e13] {
            assert_eq!(Money::new(wrong), None, "{wrong}");
        }
        assert_eq!(Money::new(0.1).unwrap().plus(Money::new(0.2).unwrap()), Money::new(0.3).unwrap());
    }

    #[test]
    fn a_usage_costs_by_the_million_and_is_rounded_up() {
        let usage = |input, output| Usage { input: Tokens(input), output: Tokens(output) };
        assert_eq!(price(3.0, 15.0).of(usage(1_000_000, 200_000)).to_string(), "6.00");
        assert_eq!(price(3.0, 15.0).of(usage(100, 0)).to_string(), "0.0003");
        assert_eq!(price(0.1, 0.0).of(usage(1, 0)), Money(1));
        assert_eq!(price(1e6, 1e6).of(usage(u64::MAX, u64::MAX)), Money(u64::MAX));
    }

    #[test]
    fn the_exact_name_comes_first_then_the_longest_beginning_then_nothing() {
        let mut prices = Prices::default();
        for (pattern, input) in [("gpt-*", 1.0), ("gpt-5-mini*", 2.0), ("gpt-5", 3.0), ("gpt-5", 4.0)] {
            prices.add(pattern, price(input, 0.0));
        }
        let input = |model: &str| prices.of(model).map(|p| p.input.units());
        assert_eq!(input("gpt-5"), Some(4.0));
        assert_eq!(input("gpt-5-mini-2026"), Some(2.0));
        assert_eq!(input("gpt-5.5"), Some(1.0));
        assert_eq!(input("llama"), None);
    }
}
