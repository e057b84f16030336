//! Whole engines in virtual time: what a user relies on, and what an attacker gets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod hostile;
mod network;
mod walk;
