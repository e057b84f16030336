//! One link's keys, and what it reaches: probes of every packet size, each with a challenge that the neighbour echoes.
//!
//! A probe is a packet like any other to an observer: header under the link's key, circuit id 0, the body sealed with the
//! link's own AEAD key: `tag | kind u8 | challenge 8 | zeros`. An echo is the same of the smallest size.
//!
//! Invariant: a size is used only while a challenge sent in that size, to the address that the session has now, was echoed;
//! probes go on while packets go, so a path that stops taking them is left within about a second.

use std::time::{Duration, Instant};

use wayfare_onion::ReplayWindow;
use wayfare_types::{Random, Reason};
use wayfare_wire::fast::{FAST_HEADER, epoch_bits};
use wayfare_wire::{FastHeader, SLOT, TAGS};

use crate::View;
use crate::keys::{EpochKeys, SECRET_BYTES, Secret};

const PROBE: u8 = 1;
const ECHO: u8 = 2;
const CHALLENGE: usize = 8;
const MESSAGE: usize = 1 + CHALLENGE;

/// Unanswered probes after which a size counts as not passing.
const TRIES: u32 = 3;
/// While packets go out, a size that passes is probed this often.
const REPEAT_AFTER: Duration = Duration::from_millis(500);
/// The least that an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_millis(150);
/// A size that does not pass is tried again after this, and twice as long each time, up to the second: what only faltered is
/// back soon, what is blocked costs little.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(320);
/// Packets under one epoch's header key. What bounds it is the tweak: first slots are tags, of which two in 2^30 are equal
/// with probability 2^-69.
const EPOCH_PACKETS: u64 = 1 << 30;
/// How much may go to an address that has proven nothing, for each byte that came from there (RFC 9000, section 8.1).
const UNPROVEN_TIMES: usize = 3;

struct Sending {
    epoch: u32,
    secret: Secret,
    keys: EpochKeys,
    /// The next epoch's, once a probe under it has gone out.
    next: Option<EpochKeys>,
    next_asked: Option<([u8; CHALLENGE], Instant)>,
    control_counter: u64,
    packets: u64,
    epoch_packets: u64,
}

struct Receiving {
    epoch: u32,
    /// The secret of the epoch after `next`.
    secret: Secret,
    previous: Option<EpochKeys>,
    keys: EpochKeys,
    next: EpochKeys,
    /// Counters of control messages under `keys`, and under `previous`.
    window: ReplayWindow,
    window_previous: ReplayWindow,
}

/// What is known of packets of one size.
struct Reach {
    packet_bytes: usize,
    passes: bool,
    asked: Option<[u8; CHALLENGE]>,
    tries: u32,
    due_at: Option<Instant>,
    again_after: Duration,
}

/// What a control message asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Send this back, to where the session's neighbour is.
    Answer(Vec<u8>),
    /// What passes may have changed.
    Reach,
}

/// See the module's first paragraph.
pub struct FastLink {
    send: Sending,
    receive: Receiving,
    reach: Vec<Reach>,
    /// Packets went out since the last probe.
    active: bool,
    rtt: Duration,
    view: View,
    /// Bytes that may still go to an address that has proven nothing; `None` once a challenge came back from there.
    credit: Option<usize>,
}

impl FastLink {
    /// What both ends give the session's exporter as its label (RFC 8446, section 7.5); the context is `direction(dialler)`.
    pub const LABEL: &[u8] = b"EXPORTER-wayfare-fast-1";

    /// The exporter's context for packets that the dialler sends, or the acceptor.
    pub const fn context(from_dialler: bool) -> &'static [u8] {
        if from_dialler { b"dialler" } else { b"acceptor" }
    }

    /// A link that reaches nothing yet. `packet_bytes` are the sizes to try, whole packets, the smallest first.
    pub fn new(
        now: Instant,
        own: [u8; SECRET_BYTES],
        neighbours: [u8; SECRET_BYTES],
        packet_bytes: impl IntoIterator<Item = usize>,
    ) -> Self {
        let secret = Secret::new(own);
        let receive = Secret::new(neighbours);
        let receive_next = receive.next();
        let reach = |packet_bytes| Reach {
            packet_bytes,
            passes: false,
            asked: None,
            tries: 0,
            due_at: Some(now),
            again_after: AGAIN_AFTER,
        };
        let (sending, receiving) = (EpochKeys::new(&secret, 0), EpochKeys::new(&receive, 0));
        let next = EpochKeys::new(&receive_next, 1);
        let view = View::new(&sending, [&receiving, &next]);
        Self {
            send: Sending {
                epoch: 0,
                keys: sending,
                secret,
                next: None,
                next_asked: None,
                control_counter: 0,
                packets: 0,
                epoch_packets: EPOCH_PACKETS,
            },
            receive: Receiving {
                epoch: 0,
                previous: None,
                keys: receiving,
                next,
                secret: receive_next.next(),
                window: ReplayWindow::default(),
                window_previous: ReplayWindow::default(),
            },
            reach: packet_bytes.into_iter().map(reach).collect(),
            active: false,
            rtt: Duration::ZERO,
            view,
            credit: None,
        }
    }

    /// Renews keys after so many packets instead of the default.
    #[must_use]
    pub fn renewing_after(mut self, packets: u64) -> Self {
        self.send.epoch_packets = packets;
        self
    }

    /// The largest packet that may go out, header included; 0 while the link is not to be used.
    #[inline]
    pub fn max_packet(&self) -> usize {
        self.view.max_packet()
    }

    /// What packets need. It has changed when a call of [`Self::take_control`], [`Self::poll_probe`] or
    /// [`Self::path_changed`] has made another of it ([`View::revision`]).
    #[inline]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// [`View::sealer`].
    #[inline]
    pub fn sealer(&self) -> &FastHeader {
        self.view.sealer()
    }

    /// [`View::opener`].
    #[inline]
    pub fn opener(&self, first_byte: u8) -> Option<&FastHeader> {
        self.view.opener(first_byte)
    }

    /// The epoch of the packets that go out.
    pub fn epoch(&self) -> u32 {
        self.send.epoch
    }

    /// So many packets went out.
    #[inline]
    pub fn sent(&mut self, packets: u64) {
        self.send.packets += packets;
        self.active = true;
    }

    /// The keys of an epoch, and how far it is ahead of the current one.
    fn receiving(&self, bits: u8) -> Option<(&EpochKeys, i32)> {
        let Receiving { epoch, previous, keys, next, .. } = &self.receive;
        match bits.wrapping_sub(*epoch as u8) & 3 {
            0 => Some((keys, 0)),
            1 => Some((next, 1)),
            3 => previous.as_ref().map(|keys| (keys, -1)),
            _ => None,
        }
    }

    /// Takes a packet of circuit id 0, whose header has been opened: a probe or an echo.
    ///
    /// # Errors
    /// [`Reason::PacketTruncated`], [`Reason::PacketVersion`] for an epoch that is none, [`Reason::PacketForged`],
    /// [`Reason::PacketReplayed`], [`Reason::ControlMalformed`], [`Reason::Timeout`] for the echo of a challenge that is not
    /// waited for any more.
    pub fn take_control(&mut self, now: Instant, counter: u64, packet: &mut [u8]) -> Result<Taken, Reason> {
        if packet.len() < FAST_HEADER + TAGS {
            return Err(Reason::PacketTruncated);
        }
        let bits = epoch_bits(packet[0]);
        let body = &mut packet[FAST_HEADER..];
        let (keys, ahead) = self.receiving(bits).ok_or(Reason::PacketVersion)?;
        let fresh = match ahead {
            0 => self.receive.window.fresh(counter),
            1 => true,
            _ => self.receive.window_previous.fresh(counter),
        };
        if !fresh {
            return Err(Reason::PacketReplayed);
        }
        if !keys.open(counter, body) {
            return Err(Reason::PacketForged);
        }
        if ahead == 1 {
            self.advance();
        }
        if ahead < 0 { &mut self.receive.window_previous } else { &mut self.receive.window }.mark(counter);
        let (kind, mut challenge) = (body[SLOT], [0; CHALLENGE]);
        challenge.copy_from_slice(&body[SLOT + 1..SLOT + MESSAGE]);
        match kind {
            PROBE => {
                let answer = self.message(ECHO, challenge, self.smallest(), false);
                self.credit = self.credit.map(|credit| credit.saturating_sub(answer.len()));
                Ok(Taken::Answer(answer))
            }
            ECHO if self.echoed(now, challenge) => Ok(Taken::Reach),
            ECHO => Err(Reason::Timeout),
            _ => Err(Reason::ControlMalformed),
        }
    }

    /// The neighbour has begun its next epoch.
    fn advance(&mut self) {
        let r = &mut self.receive;
        r.epoch = r.epoch.wrapping_add(1);
        let next = EpochKeys::new(&r.secret, r.epoch.wrapping_add(1));
        r.secret = r.secret.next();
        r.previous = Some(std::mem::replace(&mut r.keys, std::mem::replace(&mut r.next, next)));
        r.window_previous = std::mem::take(&mut r.window);
        self.view.receive(r.previous.as_ref(), &r.keys, &r.next);
    }

    fn smallest(&self) -> usize {
        self.reach.first().map_or(FAST_HEADER + TAGS, |r| r.packet_bytes)
    }

    fn message(&mut self, kind: u8, challenge: [u8; CHALLENGE], packet_bytes: usize, next_epoch: bool) -> Vec<u8> {
        let mut packet = vec![0; packet_bytes.max(FAST_HEADER + TAGS)];
        let counter = self.send.control_counter;
        self.send.control_counter = counter.wrapping_add(1);
        let body = &mut packet[FAST_HEADER..];
        body[SLOT] = kind;
        body[SLOT + 1..SLOT + MESSAGE].copy_from_slice(&challenge);
        let keys = self.send.next.as_ref().filter(|_| next_epoch).unwrap_or(&self.send.keys);
        keys.seal(counter, body);
        // There is room for the header: the packet was made above.
        let _ = keys.header.put(&mut packet, 0, counter);
        packet
    }

    /// Whether the challenge is one that is waited for.
    fn echoed(&mut self, now: Instant, challenge: [u8; CHALLENGE]) -> bool {
        if self.send.next_asked.is_some_and(|(asked, _)| asked == challenge) {
            self.send.next_asked = None;
            if let Some(next) = self.send.next.take() {
                let secret = self.send.secret.next();
                (self.send.keys, self.send.secret) = (next, secret);
                self.send.epoch = self.send.epoch.wrapping_add(1);
                self.send.packets = 0;
                self.view.send(&self.send.keys);
            }
            return true;
        }
        let Some(reach) = self.reach.iter_mut().find(|r| r.asked == Some(challenge)) else { return false };
        (reach.passes, reach.asked, reach.tries) = (true, None, 0);
        (reach.due_at, reach.again_after) = (Some(now + REPEAT_AFTER), AGAIN_AFTER);
        self.credit = None;
        self.update();
        true
    }

    fn update(&mut self) {
        let max = self.reach.iter().filter(|r| r.passes).map(|r| r.packet_bytes).max();
        self.view.reach(max.unwrap_or(0));
    }

    /// The session's neighbour is at another address, which has proven nothing yet.
    pub fn moved(&mut self, now: Instant) {
        self.path_changed(now);
        self.credit = Some(0);
    }

    /// Whether the neighbour is known to be at its address.
    #[inline]
    pub fn is_proven(&self) -> bool {
        self.credit.is_none()
    }

    /// A packet of so many bytes, whose header was the neighbour's, came from the address that has to be proven.
    pub fn heard(&mut self, bytes: usize) {
        self.credit = self.credit.map(|credit| credit.saturating_add(UNPROVEN_TIMES * bytes));
    }

    /// The path to the neighbour has changed: nothing passes until it has been shown, by challenges sent from now on.
    pub fn path_changed(&mut self, now: Instant) {
        for reach in &mut self.reach {
            (reach.passes, reach.asked, reach.tries) = (false, None, 0);
            (reach.due_at, reach.again_after) = (Some(now), AGAIN_AFTER);
        }
        self.send.next_asked = None;
        self.update();
    }

    /// The session's estimate of the round trip.
    pub fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// The next probe to send, or `None` when none is due; call until then. `random` gives challenges, which must be
    /// unpredictable.
    pub fn poll_probe(&mut self, now: Instant, random: &mut dyn Random) -> Option<Vec<u8>> {
        let wait = ANSWER_WITHIN.max(self.rtt * 3);
        if let Some(probe) = self.poll_renewal(now, wait, random) {
            return Some(probe);
        }
        let largest = self.max_packet();
        for at in 0..self.reach.len() {
            let reach = &mut self.reach[at];
            if reach.due_at.is_none_or(|due| due > now) {
                continue;
            }
            if reach.passes && reach.tries == 0 {
                // What is known to pass is asked after while it is used, in the largest size: smaller ones pass with it.
                if reach.packet_bytes < largest || !self.active {
                    reach.due_at = Some(now + REPEAT_AFTER);
                    continue;
                }
                self.active = false;
            }
            if reach.tries >= TRIES {
                reach.due_at = Some(now + reach.again_after);
                reach.again_after = (reach.again_after * 2).min(AGAIN_AFTER_MAX);
                (reach.asked, reach.tries) = (None, 0);
                if std::mem::take(&mut reach.passes) {
                    self.ask_smaller(now, at);
                    self.update();
                }
                continue;
            }
            if let Some(credit) = &mut self.credit {
                let Some(left) = credit.checked_sub(reach.packet_bytes) else { continue };
                *credit = left;
            }
            reach.tries += 1;
            let mut challenge = reach.asked.unwrap_or_default();
            if reach.asked.is_none() {
                random.fill(&mut challenge);
                reach.asked = Some(challenge);
            }
            reach.due_at = Some(now + wait);
            let bytes = reach.packet_bytes;
            return Some(self.message(PROBE, challenge, bytes, false));
        }
        None
    }

    /// A size stopped passing: whether smaller ones still do is no longer known, so they are asked after at once.
    fn ask_smaller(&mut self, now: Instant, at: usize) {
        for reach in &mut self.reach[..at] {
            if reach.passes {
                (reach.due_at, reach.tries) = (Some(now), 1);
                self.active = true;
            }
        }
    }

    fn poll_renewal(&mut self, now: Instant, wait: Duration, random: &mut dyn Random) -> Option<Vec<u8>> {
        if self.send.packets < self.send.epoch_packets || self.max_packet() == 0 {
            return None;
        }
        let mut challenge = [0; CHALLENGE];
        match self.send.next_asked {
            Some((_, at)) if now < at + wait => return None,
            Some((asked, _)) => challenge = asked,
            None => random.fill(&mut challenge),
        }
        if self.send.next.is_none() {
            self.send.next = Some(EpochKeys::new(&self.send.secret.next(), self.send.epoch.wrapping_add(1)));
        }
        self.send.next_asked = Some((challenge, now));
        let bytes = self.smallest();
        Some(self.message(PROBE, challenge, bytes, true))
    }

    /// When to call [`Self::poll_probe`] again, at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        // An idle link that passes has nothing to ask.
        let asks = |r: &Reach| self.active || !r.passes || r.tries > 0;
        let affords = |r: &Reach| self.credit.is_none_or(|credit| r.packet_bytes <= credit);
        let due = |r: &Reach| r.due_at.filter(|_| asks(r) && affords(r));
        self.reach.iter().filter_map(due).min()
    }
}
