//! The ledger's arithmetic: reservations in nested scopes, `spent + reserved ≤ cap` at every instant.
