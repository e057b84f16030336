//! Which connections ran at once, in what groups, and which were retries of which: from an order in which an end within a
//! tolerance of a start comes before that start (docs/decisions/0009-egress-choice.md says why this is an order at all).

use std::collections::{BTreeMap, VecDeque};

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    pub destination: u64,
    /// Who opened it: retries come from the same address.
    pub address: [u64; 2],
    pub hop: u32,
    pub start_us: u64,
    /// `None` while it runs.
    pub end_us: Option<u64>,
    pub failed: bool,
}

/// What happens in an order, by index into the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Start(usize),
    End(usize),
}

/// A maximal run with more than no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub start_us: u64,
    /// The latest end of its connections; `None` while one runs.
    pub end_us: Option<u64>,
    pub connections: usize,
    /// The most at once.
    pub peak: usize,
}

/// Connections of which each but the last failed and was followed by the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Indices, in order; at least two.
    pub connections: Vec<usize>,
    /// Whether the last one failed, too.
    pub failed: bool,
}

/// What the order tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Without an end.
    pub running: usize,
    pub peak: usize,
    pub groups: Vec<Group>,
    pub chains: Vec<Chain>,
}

fn end_us(connection: &Connection) -> Option<u64> {
    connection.end_us.map(|end| end.max(connection.start_us))
}

/// Starts by time, ends by the later of their own start and `end - tolerance_us`. At equal keys the ends of connections that began
/// earlier come first; an end that its own start holds back comes right after that start. Equal starts are in the order given.
pub fn order(connections: &[Connection], tolerance_us: u64) -> Vec<Event> {
    let mut events = Vec::with_capacity(2 * connections.len());
    for (i, connection) in connections.iter().enumerate() {
        let start = connection.start_us;
        events.push(((start, 1, i as u64, 0), Event::Start(i)));
        if let Some(end) = end_us(connection) {
            let early = end.saturating_sub(tolerance_us);
            let key = if early > start { (early, 0, end, i) } else { (start, 1, i as u64, 1) };
            events.push((key, Event::End(i)));
        }
    }
    events.sort_by_key(|(key, _)| *key);
    events.into_iter().map(|(_, event)| event).collect()
}

/// Walks the order once.
pub fn groups(connections: &[Connection], tolerance_us: u64) -> Groups {
    let mut found = Groups::default();
    let mut open: Option<Group> = None;
    // Failed ones that nobody has retried yet, longest first; and the chain that each connection is in.
    let mut waiting: BTreeMap<(u64, [u64; 2]), VecDeque<usize>> = BTreeMap::new();
    let mut chain_of: Vec<Option<usize>> = vec![None; connections.len()];
    for event in order(connections, tolerance_us) {
        match event {
            Event::Start(i) => {
                let connection = &connections[i];
                found.running += 1;
                found.peak = found.peak.max(found.running);
                let group =
                    open.get_or_insert(Group { start_us: connection.start_us, end_us: None, connections: 0, peak: 0 });
                group.connections += 1;
                group.peak = group.peak.max(found.running);
                let Some(queue) = waiting.get_mut(&(connection.destination, connection.address)) else { continue };
                queue.retain(|&old| {
                    end_us(&connections[old]).is_some_and(|end| end.saturating_add(tolerance_us) >= connection.start_us)
                });
                let Some(tried) = queue.pop_front() else { continue };
                let chain = *chain_of[tried].get_or_insert_with(|| {
                    found.chains.push(Chain { connections: vec![tried], failed: true });
                    found.chains.len() - 1
                });
                found.chains[chain].connections.push(i);
                found.chains[chain].failed = false;
                chain_of[i] = Some(chain);
            }
            Event::End(i) => {
                let connection = &connections[i];
                found.running -= 1;
                if let Some(group) = &mut open {
                    group.end_us = group.end_us.max(end_us(connection));
                }
                if found.running == 0 {
                    found.groups.extend(open.take());
                }
                if connection.failed {
                    waiting.entry((connection.destination, connection.address)).or_default().push_back(i);
                    if let Some(chain) = chain_of[i] {
                        found.chains[chain].failed = true;
                    }
                }
            }
        }
    }
    found.groups.extend(open.map(|group| Group { end_us: None, ..group }));
    found
}
