//! What this node, where circuits end at it, adds to what it sends back: by the destination of what runs on them.
//!
//! A circuit has the largest class of all that runs on the connection it carries, as long as that runs; a connection that moves to
//! another circuit takes it along.

use std::collections::BTreeMap;

use wayfare_credit::{CLASSES, rate};
use wayfare_quic::Instant;

use crate::api::{CircuitId, ConnectionId};
use crate::engine::Engine;
use crate::inner::circuit_of;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fits {
    Any,
    Port(u16),
    /// In lower case.
    Host(String),
    /// Every name that ends so, with its dot.
    Under(String),
}

/// An owner's rules in their order, the first that fits decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions(Vec<(Fits, u8)>);

impl Additions {
    /// A line each: `any CLASS`, `port NUMBER CLASS`, `host NAME CLASS` or `host *.NAME CLASS`. `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let rule = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let (fits, class) = match words[..] {
                ["any", class] => (Fits::Any, class),
                ["port", port, class] => (Fits::Port(port.parse().ok().filter(|&port| port > 0)?), class),
                ["host", name, class] if !name.is_empty() => match name.strip_prefix('*') {
                    Some(end) => (Fits::Under(end.to_ascii_lowercase()), class),
                    None => (Fits::Host(name.to_ascii_lowercase()), class),
                },
                _ => return None,
            };
            Some((fits, class.parse().ok().filter(|&class| rate(class).is_some())?))
        };
        text.lines().map(rule).collect::<Option<_>>().map(Self)
    }

    /// The class for a stream to this destination.
    pub(crate) fn class_for(&self, host: &str, port: u16) -> u8 {
        if self.0.is_empty() {
            return 0;
        }
        let host = host.to_ascii_lowercase();
        let fits = |fits: &Fits| match fits {
            Fits::Any => true,
            Fits::Port(of) => *of == port,
            Fits::Host(name) => *name == host,
            Fits::Under(end) => host.ends_with(end),
        };
        self.0.iter().find(|(of, _)| fits(of)).map_or(0, |&(_, class)| class)
    }

    /// The class for datagrams, whose destinations come and go.
    pub(crate) fn class_for_any(&self) -> u8 {
        self.0.iter().find(|(of, _)| *of == Fits::Any).map_or(0, |&(_, class)| class)
    }
}

/// What runs on a connection from a client, by class; and which circuit adds what for it.
#[derive(Debug, Default)]
struct Standing {
    running: [u32; CLASSES as usize],
    told: Option<(CircuitId, u8)>,
}

/// The rules, and the connections that they have to do with.
#[derive(Default)]
pub(crate) struct Adding {
    pub rules: Additions,
    by_connection: BTreeMap<ConnectionId, Standing>,
}

impl Engine {
    /// Adds so much, from now on, to the flow of circuits that end here, for what begins to run on them.
    pub fn credits_add(&mut self, rules: Additions) {
        self.adding.rules = rules;
    }

    /// Something of this class runs on a connection from a client.
    pub(crate) fn add_begin(&mut self, now: Instant, connection: ConnectionId, class: u8) {
        if class > 0 {
            let standing = self.adding.by_connection.entry(connection).or_default();
            standing.running[usize::from(class)] += 1;
            self.add_apply(now, connection);
        }
    }

    /// It does no longer.
    pub(crate) fn add_end(&mut self, now: Instant, connection: ConnectionId, class: u8) {
        let Some(standing) = self.adding.by_connection.get_mut(&connection).filter(|_| class > 0) else { return };
        let running = &mut standing.running[usize::from(class)];
        *running = running.saturating_sub(1);
        self.add_apply(now, connection);
    }

    /// Nothing runs on a connection any more.
    pub(crate) fn add_lost(&mut self, now: Instant, connection: ConnectionId) {
        if let Some(Standing { told: Some((circuit, _)), .. }) = self.adding.by_connection.remove(&connection) {
            // It may have ended.
            let _ = self.circuit_flow(now, circuit, 0);
        }
    }

    /// Looks which circuits connections have moved to.
    pub(crate) fn add_follow(&mut self, now: Instant) {
        for connection in self.adding.by_connection.keys().copied().collect::<Vec<_>>() {
            self.add_apply(now, connection);
        }
    }

    fn add_apply(&mut self, now: Instant, connection: ConnectionId) {
        let Some(standing) = self.adding.by_connection.get_mut(&connection) else { return };
        let class = standing.running.iter().rposition(|&running| running > 0).unwrap_or(0) as u8;
        let quic = self.inner.conns.get(&connection).and_then(|conn| self.inner.exit.as_ref()?.peek(conn.handle));
        let wanted = quic.and_then(|quic| Some((circuit_of(quic.remote_address())?, class))).filter(|_| class > 0);
        let told = std::mem::replace(&mut standing.told, wanted);
        if class == 0 {
            self.adding.by_connection.remove(&connection);
        }
        if told == wanted {
            return;
        }
        if let Some((circuit, _)) = told.filter(|of| wanted.is_none_or(|to| to.0 != of.0)) {
            let _ = self.circuit_flow(now, circuit, 0);
        }
        if let Some((circuit, class)) = wanted {
            let _ = self.circuit_flow(now, circuit, class);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = "port 22 5\nhost *.Home.example 4\nhost home.example 3\nany 1";
        let rules = Additions::parse(rules).unwrap();
        for (host, port, class) in [
            ("a.home.example", 22, 5),
            ("A.HOME.EXAMPLE", 80, 4),
            ("home.example", 80, 3),
            ("nothome.example", 80, 1),
            ("192.0.2.1", 443, 1),
        ] {
            assert_eq!(rules.class_for(host, port), class, "{host}:{port}");
        }
        assert_eq!(rules.class_for_any(), 1);
        let none = Additions::parse("").unwrap();
        assert_eq!((none.class_for("home.example", 22), none.class_for_any()), (0, 0));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "any",
            "any 9",
            "any x",
            "port 0 1",
            "port 65536 1",
            "port 22",
            "host 1",
            "host  1",
            "user a 1",
            "any 1\n\n",
            "any 1 ",
        ] {
            assert_eq!(Additions::parse(text), None, "{text:?}");
        }
    }
}
