//! `blueprint` turns a written change into competing implementations, measures them, and lands
//! the one that wins.

pub mod adapters;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod engine;
pub mod error;
pub mod ui;
