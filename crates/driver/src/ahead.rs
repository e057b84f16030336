//! Exits decided on ahead: which connection the next request of a kind takes, so that it need not wait for TypeScript
//! (docs/decisions/0012-exits-ahead.md).
//!
//! Invariant: a decision is used once, by a request that is in everything but its source what it was made for, from a source that
//! has no earlier connection to that destination; TypeScript is told of each use by the request's own event.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wayfare_proxy::Request;

use crate::proxy::Protocol;

/// Ended connections remembered: no fewer than `LIMITS.tuples` in ts/egress, as one of them is to have the exit that it had.
const SOURCES_MAX: usize = 65_536;

/// All that TypeScript looks at in a TCP request besides its source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    pub protocol: Protocol,
    /// User and password of the client, as the request's event has them.
    pub user: Option<String>,
    /// As the client spells it.
    pub host: String,
    pub port: u16,
}

impl Wanted {
    pub(crate) fn new(protocol: Protocol, request: &Request) -> Self {
        Self { protocol, user: request.isolation.clone(), host: request.host.clone(), port: request.port }
    }
}

/// What TypeScript has decided ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    pub id: u32,
    pub connection: u32,
}

/// Shared with the handles of a node, so that a decision wakes nobody: the node's thread may be in the middle of a request.
#[derive(Clone, Default)]
pub(crate) struct SharedAhead(Arc<Mutex<Ahead>>);

impl SharedAhead {
    pub fn lock(&self) -> MutexGuard<'_, Ahead> {
        // What panicked was none of ours: nothing here does.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(crate) struct Ahead {
    decided: HashMap<Wanted, Decided>,
    hasher: RandomState,
    /// Hashes of source and destination; two that are alike cost one request a question.
    sources: HashSet<u64>,
    oldest: VecDeque<u64>,
}

impl Ahead {
    /// In the place of what was decided for such a request before.
    pub fn decide(&mut self, wanted: Wanted, decided: Decided) {
        self.decided.insert(wanted, decided);
    }

    /// Takes a decision back; false where there is none: a request has it.
    pub fn revoke(&mut self, id: u32) -> bool {
        let before = self.decided.len();
        self.decided.retain(|_, decided| decided.id != id);
        self.decided.len() < before
    }

    /// What this request takes, if there is something.
    pub fn take(&mut self, wanted: &Wanted, source: SocketAddr) -> Option<Decided> {
        if self.decided.is_empty() || self.sources.contains(&self.hash(wanted, source)) {
            return None;
        }
        self.decided.remove(wanted)
    }

    /// A connection from there has ended: a later one of the same source is TypeScript's to decide.
    pub fn ended(&mut self, wanted: &Wanted, source: SocketAddr) {
        let hash = self.hash(wanted, source);
        if !self.sources.insert(hash) {
            return;
        }
        self.oldest.push_back(hash);
        if self.oldest.len() > SOURCES_MAX
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.sources.remove(&oldest);
        }
    }

    fn hash(&self, wanted: &Wanted, source: SocketAddr) -> u64 {
        self.hasher.hash_one((source, wanted.host.to_ascii_lowercase(), wanted.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(user: Option<&str>, host: &str, port: u16) -> Wanted {
        Wanted { protocol: Protocol::Socks5, user: user.map(Into::into), host: host.into(), port }
    }

    fn source(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_decision_serves_one_request_that_is_like_it_in_everything() {
        let mut ahead = Ahead::default();
        let decided = Decided { id: 1, connection: 7 };
        ahead.decide(wanted(Some("a:"), "a.test", 80), decided);
        let http = Wanted { protocol: Protocol::Http, ..wanted(Some("a:"), "a.test", 80) };
        let others = [
            wanted(None, "a.test", 80),
            wanted(Some("b:"), "a.test", 80),
            wanted(Some("a:"), "A.test", 80),
            wanted(Some("a:"), "a.test", 81),
            http,
        ];
        for other in others {
            assert_eq!(ahead.take(&other, source(1)), None);
        }
        assert_eq!(ahead.take(&wanted(Some("a:"), "a.test", 80), source(1)), Some(decided));
        assert_eq!(ahead.take(&wanted(Some("a:"), "a.test", 80), source(2)), None);
    }

    #[test]
    fn a_revoked_or_replaced_decision_is_not_used_and_one_that_was_used_is_not_revoked() {
        let mut ahead = Ahead::default();
        let of = wanted(None, "a.test", 80);
        ahead.decide(of.clone(), Decided { id: 1, connection: 7 });
        assert!(ahead.revoke(1));
        assert!(!ahead.revoke(1));
        assert_eq!(ahead.take(&of, source(1)), None);
        ahead.decide(of.clone(), Decided { id: 2, connection: 7 });
        ahead.decide(of.clone(), Decided { id: 3, connection: 8 });
        assert!(!ahead.revoke(2));
        assert_eq!(ahead.take(&of, source(1)), Some(Decided { id: 3, connection: 8 }));
        assert!(!ahead.revoke(3));
    }

    /// Its tuple has an exit already; a name's case makes no other destination.
    #[test]
    fn a_source_that_was_there_before_is_left_to_typescript() {
        let mut ahead = Ahead::default();
        let of = wanted(None, "a.test", 80);
        ahead.ended(&wanted(None, "A.TEST", 80), source(5));
        ahead.decide(of.clone(), Decided { id: 1, connection: 7 });
        assert_eq!(ahead.take(&of, source(5)), None);
        assert!(ahead.take(&of, source(6)).is_some());
    }

    #[test]
    fn sources_take_bounded_memory_and_the_oldest_goes() {
        let mut ahead = Ahead::default();
        let of = wanted(None, "a.test", 80);
        for n in 0..=SOURCES_MAX as u32 {
            ahead.ended(&of, SocketAddr::from((n.to_be_bytes(), 9)));
            ahead.ended(&of, SocketAddr::from((n.to_be_bytes(), 9)));
        }
        assert_eq!((ahead.sources.len(), ahead.oldest.len()), (SOURCES_MAX, SOURCES_MAX));
        ahead.decide(of.clone(), Decided { id: 1, connection: 7 });
        assert_eq!(ahead.take(&of, SocketAddr::from(([0, 0, 0, 1], 9))), None);
        assert!(ahead.take(&of, SocketAddr::from(([0, 0, 0, 0], 9))).is_some());
    }
}
