//! UDP associations: datagrams of a proxied application, split over inner datagrams where they do not fit one.

use std::collections::{HashMap, VecDeque};

use wayfare_quic::Instant;
use wayfare_types::{Counters, Reason};
use wayfare_wire::datagram::{Fragments, Limits, Reassembly, UdpAddress};

use crate::api::{ConnectionId, Event, UdpId};
use crate::engine::Engine;
use crate::inner::Side;

/// Associations of one connection at an exit, each of which costs it a socket.
const ASSOCIATIONS_MAX: usize = 256;

struct Association {
    connection: ConnectionId,
    number: u32,
    packet: u16,
    /// At an exit, the class of credits that is added for it.
    adds: u8,
}

#[derive(Default)]
pub(crate) struct UdpTable {
    by_id: HashMap<UdpId, Association>,
    by_number: HashMap<(ConnectionId, u32), UdpId>,
    partial: HashMap<ConnectionId, Reassembly>,
    next: UdpId,
    started: Option<Instant>,
}

impl UdpTable {
    pub fn any(&self) -> bool {
        !self.by_id.is_empty()
    }

    fn insert(&mut self, connection: ConnectionId, number: Option<u32>, adds: u8) -> UdpId {
        self.next += 1;
        let number = number.unwrap_or(self.next);
        self.by_id.insert(self.next, Association { connection, number, packet: 0, adds });
        self.by_number.insert((connection, number), self.next);
        self.next
    }

    fn remove(&mut self, id: UdpId) -> Option<Association> {
        let association = self.by_id.remove(&id)?;
        self.by_number.remove(&(association.connection, association.number));
        if let Some(partial) = self.partial.get_mut(&association.connection) {
            partial.forget(association.number);
        }
        Some(association)
    }

    pub fn close_of(&mut self, connection: ConnectionId, events: &mut VecDeque<Event>) {
        let gone: Vec<UdpId> =
            self.by_id.iter().filter(|(_, a)| a.connection == connection).map(|(&id, _)| id).collect();
        for id in gone {
            self.remove(id);
            events.push_back(Event::UdpClosed(id));
        }
        self.partial.remove(&connection);
    }

    /// Forgets datagrams whose fragments did not all come.
    pub fn expire(&mut self, now: Instant, counters: &mut Counters) {
        let now_us = self.now_us(now);
        self.partial.values_mut().for_each(|p| p.expire(now_us, counters));
    }

    fn now_us(&mut self, now: Instant) -> u64 {
        let started = *self.started.get_or_insert(now);
        now.saturating_duration_since(started).as_micros() as u64
    }
}

impl Engine {
    /// Begins an association on a connection.
    ///
    /// # Errors
    /// `CircuitUnknown` when there is no such connection.
    pub fn udp_open(&mut self, now: Instant, connection: ConnectionId) -> Result<UdpId, Reason> {
        if !self.inner.conns.contains_key(&connection) {
            return Err(Reason::CircuitUnknown);
        }
        self.count_live(now, connection, 1);
        Ok(self.inner.udp.insert(connection, None, 0))
    }

    /// Forgets an association.
    pub fn udp_close(&mut self, now: Instant, id: UdpId) {
        if let Some(association) = self.inner.udp.remove(id) {
            self.count_live(now, association.connection, -1);
            self.add_end(now, association.connection, association.adds);
        }
    }

    /// Sends a datagram: at a client to `address`, at an exit from it.
    ///
    /// # Errors
    /// `CircuitUnknown`, `FragmentMalformed` when it is too large, `QueueFull`; all are counted.
    pub fn udp_send(&mut self, id: UdpId, address: &UdpAddress, data: &[u8]) -> Result<(), Reason> {
        let sent = self.try_udp_send(id, address, data);
        if let Err(reason) = sent {
            self.counters.count(reason);
        }
        sent
    }

    fn try_udp_send(&mut self, id: UdpId, address: &UdpAddress, data: &[u8]) -> Result<(), Reason> {
        let inner = &mut self.inner;
        let association = inner.udp.by_id.get_mut(&id).ok_or(Reason::CircuitUnknown)?;
        let conn = inner.conns.get(&association.connection).ok_or(Reason::CircuitUnknown)?;
        let host = match conn.side {
            Side::Client => Some(&mut inner.client),
            Side::Exit => inner.exit.as_mut(),
        };
        let quic = host.and_then(|h| h.conn(conn.handle)).ok_or(Reason::CircuitUnknown)?;
        let mut datagrams = quic.datagrams();
        let max = datagrams.max_size().ok_or(Reason::FragmentMalformed)?;
        association.packet = association.packet.wrapping_add(1);
        let mut fragments = Fragments::new(association.number, association.packet, address, data, max)?;
        if datagrams.send_buffer_space() < data.len() + 64 {
            return Err(Reason::QueueFull);
        }
        let mut fragment = Vec::new();
        while fragments.next_into(&mut fragment) {
            datagrams.send(std::mem::take(&mut fragment).into(), false).map_err(|_| Reason::QueueFull)?;
        }
        Ok(())
    }

    /// Takes in what came as inner datagrams.
    pub(crate) fn read_datagrams(&mut self, now: Instant, id: ConnectionId) {
        let now_us = self.inner.udp.now_us(now);
        let Some((side, handle)) = self.inner.conns.get(&id).map(|c| (c.side, c.handle)) else { return };
        while let Some(data) = self.inner.host(side).and_then(|h| h.receive(handle)) {
            let table = &mut self.inner.udp;
            let partial = table.partial.entry(id).or_insert_with(|| Reassembly::new(Limits::default()));
            let udp = match partial.push(now_us, &data, &mut self.counters) {
                Ok(Some(udp)) => udp,
                Ok(None) => continue,
                Err(reason) => {
                    self.counters.count(reason);
                    continue;
                }
            };
            let known = table.by_number.get(&(id, udp.association)).copied();
            let association = match (known, side) {
                (Some(association), _) => association,
                (None, Side::Client) => {
                    self.counters.count(Reason::FragmentMalformed);
                    continue;
                }
                (None, Side::Exit) => {
                    if self.draining || table.by_id.values().filter(|a| a.connection == id).count() >= ASSOCIATIONS_MAX
                    {
                        self.counters.count(Reason::ExitOverloaded);
                        continue;
                    }
                    let adds = self.adding.rules.class_for_any();
                    let association = table.insert(id, Some(udp.association), adds);
                    self.count_live(now, id, 1);
                    self.add_begin(now, id, adds);
                    self.events.push_back(Event::UdpOpened(association));
                    association
                }
            };
            self.events.push_back(Event::UdpReceived { udp: association, address: udp.address, data: udp.data });
        }
    }
}
