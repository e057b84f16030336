//! What can wait: events that TypeScript has nothing to decide about, and goodbyes of clients that have had all they wanted.
//!
//! A connection that follows another one finds the node busy with the end of the one before, and JavaScript's thread, told of each
//! step of a request as it happens, takes turns on the cores with those who carry it. So what can wait goes together with what
//! cannot, or while the node has nothing to do but wait for an answer, or after [`SOON`].
//!
//! Invariant: nothing waits for longer than [`SOON`], and events are told in their order.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Notify;
use wayfare_quic::Instant;

use crate::event::Event;

/// Little beside any round trip between machines.
const SOON: Duration = Duration::from_millis(1);
/// Events held back at most.
const HELD_MAX: usize = 64;

/// By when something that can wait is to be done.
#[derive(Default)]
pub(crate) struct Later {
    due: Cell<Option<Instant>>,
    set: Notify,
}

impl Later {
    /// Something is to be done with the next turn, or with one that is taken for it.
    pub fn want(&self, now: Instant) {
        if self.due.get().is_none() {
            self.due.set(Some(now + SOON));
            self.set.notify_one();
        }
    }

    /// What waits, if anything does, is done with the next turn.
    pub fn hasten(&self, now: Instant) {
        if self.due.get().is_some() {
            self.due.set(Some(now));
        }
    }

    /// When a turn is to be taken.
    pub fn due(&self) -> Option<Instant> {
        self.due.get()
    }

    /// Waits until [`Self::due`] has been set from outside a turn.
    pub async fn wanted(&self) {
        self.set.notified().await;
    }

    /// At the end of a turn: the events that are to be told now; the others are left.
    pub fn due_events(&self, now: Instant, events: &mut Vec<Event>) -> Vec<Event> {
        let due = self.due.get().is_some_and(|at| at <= now);
        let hold = !due && !events.is_empty() && events.len() < HELD_MAX && events.iter().all(Event::can_wait);
        if hold {
            self.due.set(self.due.get().or(Some(now + SOON)));
            return Vec::new();
        }
        if due || !events.is_empty() {
            self.due.set(None);
        }
        std::mem::take(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(request: u32) -> Event {
        Event::ProxyOpened { request, connection: 1 }
    }

    fn failed(request: u32) -> Event {
        Event::ProxyFailed { request, connection: 1, reason: "timeout" }
    }

    #[test]
    fn what_can_wait_is_told_when_its_time_has_come_and_the_time_is_that_of_the_first() {
        let (later, start) = (Later::default(), Instant::now());
        let mut events = vec![opened(1)];
        assert_eq!(later.due_events(start, &mut events), []);
        events.push(opened(2));
        let half = start + SOON / 2;
        assert_eq!(later.due_events(half, &mut events), []);
        assert_eq!(later.due(), Some(start + SOON));
        assert_eq!(later.due_events(start + SOON, &mut events), [opened(1), opened(2)]);
        assert_eq!((events.len(), later.due()), (0, None));
        assert_eq!(later.due_events(start + SOON, &mut events), []);
    }

    #[test]
    fn what_cannot_wait_takes_along_what_waited_before_it() {
        let (later, now) = (Later::default(), Instant::now());
        let mut events = vec![opened(1)];
        assert_eq!(later.due_events(now, &mut events), []);
        events.extend([failed(2), opened(3)]);
        assert_eq!(later.due_events(now, &mut events), [opened(1), failed(2), opened(3)]);
        assert_eq!(later.due(), None);
    }

    #[test]
    fn only_what_waits_is_hastened() {
        let (later, now) = (Later::default(), Instant::now());
        later.hasten(now);
        assert_eq!(later.due(), None);
        let mut events = vec![opened(1)];
        assert_eq!(later.due_events(now, &mut events), []);
        later.hasten(now);
        assert_eq!(later.due_events(now, &mut events), [opened(1)]);
    }

    #[test]
    fn a_bounded_number_is_held_back() {
        let (later, now) = (Later::default(), Instant::now());
        let mut events = Vec::new();
        for request in 1..HELD_MAX as u32 {
            events.push(opened(request));
            assert_eq!(later.due_events(now, &mut events), []);
        }
        events.push(opened(HELD_MAX as u32));
        assert_eq!(later.due_events(now, &mut events).len(), HELD_MAX);
    }

    /// A goodbye is no event: the turn that is taken for it ends it.
    #[test]
    fn a_turn_is_wanted_once_and_had_once() {
        let (later, start) = (Later::default(), Instant::now());
        later.want(start);
        later.want(start + SOON / 2);
        assert_eq!(later.due(), Some(start + SOON));
        assert_eq!(later.due_events(start, &mut Vec::new()), []);
        assert_eq!(later.due(), Some(start + SOON));
        assert_eq!(later.due_events(start + SOON, &mut Vec::new()), []);
        assert_eq!(later.due(), None);
    }

    #[test]
    fn a_request_that_is_asked_about_cannot_wait_and_one_that_was_decided_on_can() {
        let request = |ahead| Event::ProxyRequest {
            request: 1,
            kind: "tcp",
            protocol: "socks5",
            host: "a.test".into(),
            port: 80,
            user: None,
            source: "127.0.0.1:9".into(),
            ahead,
        };
        assert_eq!([request(None).can_wait(), request(Some(1)).can_wait()], [false, true]);
        assert!(!failed(1).can_wait());
    }
}
