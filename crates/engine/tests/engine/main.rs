//! Whole engines in virtual time: what a user relies on, and what an attacker gets.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests stand on the machine, and panic when they cannot go on"
)]

mod additions;
mod classes;
mod credits;
mod hostile;
mod network;
mod pieces;
mod walk;
