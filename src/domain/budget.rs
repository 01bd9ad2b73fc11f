//! The ledger: three nested token budgets, reserved before and settled after, so that what is
//! spent never exceeds a cap.

use super::plan::{Budget, VariantKey};
use super::quantity::Tokens;

/// Tokens that are reserved and spent, by step, variant and session.
#[derive(Debug, Clone)]
pub struct Ledger {}

/// A claim on tokens that must be settled.
#[derive(Debug, PartialEq, Eq)]
pub struct Reservation {}

/// What asking for tokens came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// Reserved.
    Admitted {
        /// To be settled.
        reservation: Reservation,
        /// How many: what was wanted, or what is left.
        tokens: Tokens,
    },
    /// Nothing is free now, and other reservations may give some back.
    Wait,
    /// Nothing is free and nothing will be.
    Refused,
}

impl Ledger {
    /// An empty ledger under these caps.
    pub fn new(_caps: &Budget) -> Self {
        todo!()
    }

    /// Reserves what one step may use.
    pub fn reserve_step(&mut self, _variant: &VariantKey, _step: usize, _wanted: Tokens) -> Admission {
        todo!()
    }

    /// Replaces a reservation by what was used.
    pub fn settle(&mut self, _reservation: Reservation, _used: Tokens) {
        todo!()
    }

    /// Adds what an earlier session of the run spent.
    pub fn spent_before(&mut self, _variant: &VariantKey, _step: usize, _used: Tokens) {
        todo!()
    }
}
