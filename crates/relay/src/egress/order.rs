//! Packets that wait, in three orders at once: the one to send next, the one to give up first, and the oldest.
//!
//! Each order holds entries and forgets lazily: one whose packet has gone is skipped when it comes up, and once they
//! outnumber the others they are swept out. So all that is done to a packet costs O(log n), amortised.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// What empty orders keep of their memory, in entries.
const KEPT: usize = 64;

/// A packet, and when and how it came.
pub(super) struct Waiting {
    pub packet: Vec<u8>,
    pub priority: u32,
    pub since_us: u64,
}

/// Where a packet is. A place is used again, a number is not.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    priority: u32,
    place: u32,
    number: u64,
}

/// The greatest is the one to send next: the highest priority, the first to come among those.
#[derive(PartialEq, Eq)]
struct Next(Entry);

impl Ord for Next {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        a.priority.cmp(&b.priority).then(b.number.cmp(&a.number))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The greatest is the one to give up first: the lowest priority, the oldest among those.
#[derive(PartialEq, Eq)]
struct Least(Entry);

impl Ord for Least {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        b.priority.cmp(&a.priority).then(b.number.cmp(&a.number))
    }
}

impl PartialOrd for Least {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Order {
    places: Vec<Option<(u64, Waiting)>>,
    free: Vec<u32>,
    live: usize,
    next: BinaryHeap<Next>,
    least: BinaryHeap<Least>,
    oldest: VecDeque<Entry>,
    number: u64,
}

fn holds(places: &[Option<(u64, Waiting)>], entry: &Entry) -> bool {
    places.get(entry.place as usize).is_some_and(|p| p.as_ref().is_some_and(|(number, _)| *number == entry.number))
}

impl Order {
    pub fn len(&self) -> usize {
        self.live
    }

    pub fn push(&mut self, waiting: Waiting) {
        let place = self.free.pop().unwrap_or(self.places.len() as u32);
        let entry = Entry { priority: waiting.priority, place, number: self.number };
        self.number += 1;
        self.live += 1;
        let held = Some((entry.number, waiting));
        match self.places.get_mut(place as usize) {
            Some(empty) => *empty = held,
            None => self.places.push(held),
        }
        self.next.push(Next(entry));
        self.least.push(Least(entry));
        self.oldest.push_back(entry);
    }

    /// The packet to send next.
    pub fn next(&mut self) -> Option<&Waiting> {
        while self.next.peek().is_some_and(|e| !holds(&self.places, &e.0)) {
            self.next.pop();
        }
        let entry = self.next.peek()?.0;
        self.get(entry)
    }

    /// The packet to give up first.
    pub fn least(&mut self) -> Option<&Waiting> {
        while self.least.peek().is_some_and(|e| !holds(&self.places, &e.0)) {
            self.least.pop();
        }
        let entry = self.least.peek()?.0;
        self.get(entry)
    }

    /// The packet that has waited longest.
    pub fn oldest(&self) -> Option<&Waiting> {
        self.get(*self.oldest.front()?)
    }

    pub fn take_next(&mut self) -> Option<Waiting> {
        self.next()?;
        let entry = self.next.pop()?.0;
        self.take(entry)
    }

    pub fn take_least(&mut self) -> Option<Waiting> {
        self.least()?;
        let entry = self.least.pop()?.0;
        self.take(entry)
    }

    pub fn take_oldest(&mut self) -> Option<Waiting> {
        let entry = *self.oldest.front()?;
        self.take(entry)
    }

    fn get(&self, entry: Entry) -> Option<&Waiting> {
        self.places.get(entry.place as usize)?.as_ref().map(|(_, waiting)| waiting)
    }

    fn take(&mut self, entry: Entry) -> Option<Waiting> {
        let (_, waiting) = self.places.get_mut(entry.place as usize)?.take()?;
        self.free.push(entry.place);
        self.live -= 1;
        // The oldest is looked at without being changed, so its front always holds.
        while self.oldest.front().is_some_and(|e| !holds(&self.places, e)) {
            self.oldest.pop_front();
        }
        self.sweep();
        Some(waiting)
    }

    fn sweep(&mut self) {
        if self.live == 0 {
            self.next.clear();
            self.least.clear();
            self.oldest.clear();
            self.places.clear();
            self.free.clear();
            self.next.shrink_to(KEPT);
            self.least.shrink_to(KEPT);
            self.oldest.shrink_to(KEPT);
            self.places.shrink_to(KEPT);
            self.free.shrink_to(KEPT);
            return;
        }
        let (places, most) = (&self.places, 2 * self.live + KEPT);
        if self.next.len() > most {
            self.next.retain(|e| holds(places, &e.0));
        }
        if self.least.len() > most {
            self.least.retain(|e| holds(places, &e.0));
        }
        if self.oldest.len() > most {
            self.oldest.retain(|e| holds(places, e));
        }
    }
}
