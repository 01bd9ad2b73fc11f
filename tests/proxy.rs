//! The proxy between real sockets: a scripted model behind it, a plain HTTP client before it, and a
//! purse that lets no settlement be lost or told twice.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

#[path = "proxy/bank.rs"]
mod bank;
mod common;
#[path = "proxy/faults.rs"]
mod faults;
#[path = "proxy/house.rs"]
mod house;
#[path = "proxy/limits.rs"]
mod limits;
#[path = "proxy/passing.rs"]
mod passing;
#[path = "proxy/refusals.rs"]
mod refusals;
#[path = "proxy/secrets.rs"]
mod secrets;
