//! How an exit turns names into addresses.
//!
//! Invariant: one request, one question; the answers go through the exit policy and only what it returns is dialled.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

/// What a resolver gives back.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up; a test's flips its answers.
pub trait Resolver: Send + Sync {
    /// The addresses of an absolute name, in the order in which to try them.
    fn resolve(&self, name: &str) -> Resolving;
}

/// The operating system's resolver.
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> Resolving {
        // The final dot keeps the machine's search domains out of it: the client asked for this very name.
        let absolute = format!("{name}.");
        Box::pin(async move { Ok(tokio::net::lookup_host((absolute, 0)).await?.map(|a| a.ip()).collect()) })
    }
}
