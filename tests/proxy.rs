//! The proxy between real sockets: a scripted model behind it, a plain HTTP client before it, and a
//! purse that lets no settlement be lost or told twice.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

#[path = "proxy/bank.rs"]
mod bank;
#[path = "proxy/bounds.rs"]
mod bounds;
mod common;
#[path = "proxy/conformance.rs"]
mod conformance;
#[path = "proxy/drip.rs"]
mod drip;
#[path = "proxy/encodings.rs"]
mod encodings;
#[path = "proxy/faults.rs"]
mod faults;
#[path = "proxy/house.rs"]
mod house;
#[path = "proxy/limits.rs"]
mod limits;
#[path = "proxy/passing.rs"]
mod passing;
#[path = "proxy/patience.rs"]
mod patience;
#[path = "proxy/refusals.rs"]
mod refusals;
#[path = "proxy/secrets.rs"]
mod secrets;
#[path = "proxy/split.rs"]
mod split;
#[path = "proxy/usage.rs"]
mod usage;
