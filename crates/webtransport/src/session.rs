//! All of a connection's streams as far as HTTP/3 goes: who asks for the session, which streams are its.

use std::collections::{BTreeMap, VecDeque};

use wayfare_types::Reason;

use crate::request::{CLOSE_SESSION, Request, SECTION_BYTES_MAX, Said};
use crate::uni::{self, Heard, Uni};
use crate::{code, qpack, tlv, varint};

/// Begins a bidirectional stream of a session.
const SESSION_STREAM: u64 = 0x41;
/// HEADERS and DATA.
const HEADERS: u64 = 0x01;
const DATA: u64 = 0x00;
/// Bytes taken at once of what is ours to read.
const PORTION: usize = 4 << 10;
/// Requests and streams refused on one connection before the connection is.
const REFUSED_MAX: u32 = 32;
/// A closing reason is cut to this (draft-ietf-webtrans-http3, section 6).
const CLOSE_TEXT_MAX: usize = 1024;

/// The client broke the rules: close the connection with this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub reason: Reason,
    pub code: u64,
    pub text: &'static str,
}

impl Fault {
    pub(crate) fn malformed(code: u64, text: &'static str) -> Self {
        Self { reason: Reason::WebMalformed, code, text }
    }

    pub(crate) fn oversized(text: &'static str) -> Self {
        Self { reason: Reason::WebOversized, code: code::EXCESSIVE_LOAD, text }
    }
}

/// What is to be done with a stream or the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this.
    Write { stream: u64, data: Vec<u8> },
    /// The session stands: its streams and datagrams may flow.
    Open,
    /// What follows on this stream is the session's. `first` is the one the client opened before every other.
    Stream { stream: u64, first: bool },
    /// Not taken: count it, end it with `answer` or, without one, reset it, and stop reading.
    Refuse { stream: u64, answer: Option<Vec<u8>>, code: u64 },
    /// The client ended the session.
    Closed,
}

enum Stream {
    /// Of which nothing is known yet.
    Fresh(Vec<u8>),
    Request(Box<Request>),
    Uni(Box<Uni>),
    /// One of `session`, if it comes to be.
    Of(u64),
}

/// See the crate's first paragraph.
pub struct Session {
    path: &'static [u8],
    streams: BTreeMap<u64, Stream>,
    critical: Vec<u64>,
    settings: bool,
    /// Asked for, once the client's settings are there.
    asked: Option<u64>,
    open: Option<u64>,
    closed: bool,
    first_given: bool,
    refused: u32,
    actions: VecDeque<Action>,
}

const fn is_uni(stream: u64) -> bool {
    stream & 2 != 0
}

impl Session {
    /// A connection whose client may ask for one session, at `path`.
    pub fn new(path: &'static [u8]) -> Self {
        Self {
            path,
            streams: BTreeMap::new(),
            critical: Vec::new(),
            settings: false,
            asked: None,
            open: None,
            closed: false,
            first_given: false,
            refused: 0,
            actions: VecDeque::new(),
        }
    }

    /// What a unidirectional stream of ours begins with; it is to stay open.
    pub fn control() -> Vec<u8> {
        uni::own_control(SECTION_BYTES_MAX)
    }

    /// The client opened a stream (by its QUIC id). Streams come in the order of their ids.
    pub fn opened(&mut self, stream: u64) {
        let fresh = if is_uni(stream) { Stream::Uni(Box::default()) } else { Stream::Fresh(Vec::new()) };
        self.streams.insert(stream, fresh);
    }

    /// How many bytes to take from a stream at most, for [`Self::take`]. None: it is not ours to read.
    pub fn wants(&self, stream: u64) -> usize {
        match self.streams.get(&stream) {
            Some(Stream::Fresh(head)) => fresh_wants(head),
            Some(Stream::Request(_) | Stream::Uni(_)) => PORTION,
            Some(Stream::Of(_)) | None => 0,
        }
    }

    /// Takes what a stream brought.
    ///
    /// # Errors
    /// A [`Fault`] ends the connection.
    pub fn take(&mut self, stream: u64, mut bytes: &[u8]) -> Result<(), Fault> {
        // A fresh stream turns into another kind, which takes what is left.
        while !bytes.is_empty() {
            match self.streams.get_mut(&stream) {
                Some(Stream::Fresh(_)) => self.take_fresh(stream, &mut bytes)?,
                Some(Stream::Request(request)) => match request.take(&mut bytes)? {
                    Some(Said::Head(head)) => self.requested(stream, &head)?,
                    Some(Said::Close) => self.close_if(stream),
                    None => {}
                },
                Some(Stream::Uni(uni)) => {
                    if let Some(heard) = uni.take(&mut bytes)? {
                        self.heard(stream, &heard)?;
                    }
                }
                Some(Stream::Of(_)) | None => return Ok(()),
            }
        }
        Ok(())
    }

    /// A stream has come to its end.
    ///
    /// # Errors
    /// A [`Fault`] ends the connection.
    pub fn ended(&mut self, stream: u64) -> Result<(), Fault> {
        match self.streams.get(&stream) {
            Some(Stream::Request(request)) if !request.may_end() => {
                Err(Fault::malformed(code::FRAME, "a request that is cut off"))
            }
            _ => self.gone(stream),
        }
    }

    /// The client has broken off a stream.
    ///
    /// # Errors
    /// A [`Fault`] ends the connection.
    pub fn gone(&mut self, stream: u64) -> Result<(), Fault> {
        match self.streams.get(&stream) {
            Some(Stream::Uni(uni)) if uni.is_critical() => {
                Err(Fault::malformed(code::CLOSED_CRITICAL_STREAM, "a stream ended that must not"))
            }
            Some(Stream::Uni(_)) => {
                self.streams.remove(&stream);
                Ok(())
            }
            Some(Stream::Request(_)) if self.open == Some(stream) => {
                self.close_if(stream);
                Ok(())
            }
            Some(_) => self.refuse(stream, None, code::REQUEST_REJECTED),
            None => Ok(()),
        }
    }

    /// What to do next.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The stream on which the session was asked for, once it stands.
    pub fn id(&self) -> Option<u64> {
        self.open
    }

    /// What precedes a datagram of the session (RFC 9297, section 2.1). Empty before there is one.
    pub fn datagram_prefix(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(session) = self.open {
            varint::write(session / 4, &mut out);
        }
        out
    }

    /// How many bytes precede the content of a datagram that came.
    ///
    /// # Errors
    /// The reason to drop it: too short, or of a session that does not stand.
    pub fn datagram(&self, bytes: &[u8]) -> Result<usize, Reason> {
        let (quarter, rest) = varint::read(bytes).ok_or(Reason::PacketTruncated)?;
        match self.open {
            Some(session) if session / 4 == quarter => Ok(bytes.len() - rest.len()),
            _ => Err(Reason::WebRefused),
        }
    }

    /// What a stream that we open begins with. Empty before there is a session.
    pub fn stream_head(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(session) = self.open {
            varint::write(SESSION_STREAM, &mut out);
            varint::write(session, &mut out);
        }
        out
    }

    /// What the session's own stream ends with when we close it.
    pub fn closing(code: u32, text: &str) -> Vec<u8> {
        let mut end = text.len().min(CLOSE_TEXT_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut capsule = Vec::new();
        tlv::write(CLOSE_SESSION, &[&code.to_be_bytes(), &text.as_bytes()[..end]].concat(), &mut capsule);
        let mut out = Vec::new();
        tlv::write(DATA, &capsule, &mut out);
        out
    }

    fn take_fresh(&mut self, stream: u64, bytes: &mut &[u8]) -> Result<(), Fault> {
        let Some(Stream::Fresh(head)) = self.streams.get_mut(&stream) else { return Ok(()) };
        let (own, rest) = bytes.split_at(fresh_wants(head).min(bytes.len()));
        head.extend_from_slice(own);
        *bytes = rest;
        match varint::read(head) {
            None => Ok(()),
            Some((SESSION_STREAM, rest)) => {
                let Some((session, _)) = varint::read(rest) else { return Ok(()) };
                // Sessions are named by the client's bidirectional stream that asked for them.
                if session & 3 != 0 {
                    return Err(Fault::malformed(code::ID, "a session of an impossible name"));
                }
                self.streams.insert(stream, Stream::Of(session));
                self.hand_out()
            }
            Some(_) => {
                let head = std::mem::take(head);
                self.streams.insert(stream, Stream::Request(Box::default()));
                // It may be the one that held up others.
                self.hand_out()?;
                self.take(stream, &head)
            }
        }
    }

    fn requested(&mut self, stream: u64, head: &qpack::Head) -> Result<(), Fault> {
        let wanted = head.method.as_deref() == Some(b"CONNECT")
            && head.protocol.as_deref() == Some(b"webtransport")
            && head.scheme.as_deref() == Some(b"https");
        if !wanted || head.path.as_deref() != Some(self.path) {
            let mut answer = Vec::new();
            tlv::write(HEADERS, &qpack::status(false), &mut answer);
            return self.refuse(stream, Some(answer), code::NO_ERROR);
        }
        if self.asked.is_some() {
            return self.refuse(stream, None, code::REQUEST_REJECTED);
        }
        self.asked = Some(stream);
        self.open_if_ready()
    }

    fn heard(&mut self, stream: u64, heard: &Heard) -> Result<(), Fault> {
        match heard {
            Heard::Critical(kind) if self.critical.contains(kind) => {
                Err(Fault::malformed(code::STREAM_CREATION, "a stream twice that comes once"))
            }
            Heard::Critical(kind) => {
                self.critical.push(*kind);
                Ok(())
            }
            Heard::Foreign => self.refuse(stream, None, code::STREAM_CREATION),
            Heard::Settings { datagrams: false } => Err(Fault::malformed(code::SETTINGS, "a client without datagrams")),
            Heard::Settings { datagrams: true } => {
                self.settings = true;
                self.open_if_ready()
            }
        }
    }

    fn open_if_ready(&mut self) -> Result<(), Fault> {
        let (true, Some(stream), None) = (self.settings, self.asked, self.open) else { return Ok(()) };
        self.open = Some(stream);
        let mut data = Vec::new();
        tlv::write(HEADERS, &qpack::status(true), &mut data);
        self.actions.push_back(Action::Write { stream, data });
        self.actions.push_back(Action::Open);
        self.hand_out()
    }

    /// Gives the session's streams to their owner: first the very first, so nothing while an earlier one may be that.
    fn hand_out(&mut self) -> Result<(), Fault> {
        let Some(session) = self.open else { return Ok(()) };
        let mut strangers = Vec::new();
        let mut given = Vec::new();
        for (&stream, kind) in &self.streams {
            match kind {
                Stream::Of(of) if *of == session => given.push(stream),
                Stream::Of(_) => strangers.push(stream),
                Stream::Fresh(_) if !self.first_given && given.is_empty() => break,
                _ => {}
            }
        }
        for stream in given {
            self.streams.remove(&stream);
            let first = !std::mem::replace(&mut self.first_given, true);
            self.actions.push_back(Action::Stream { stream, first });
        }
        strangers.into_iter().try_for_each(|stream| self.refuse(stream, None, code::BUFFERED_STREAM_REJECTED))
    }

    fn refuse(&mut self, stream: u64, answer: Option<Vec<u8>>, code: u64) -> Result<(), Fault> {
        if self.streams.remove(&stream).is_none() {
            return Ok(());
        }
        if self.open.is_none() && self.asked == Some(stream) {
            self.asked = None;
        }
        self.refused += 1;
        if self.refused > REFUSED_MAX {
            let text = "too many requests that are none of ours";
            return Err(Fault { reason: Reason::WebRefused, code: code::EXCESSIVE_LOAD, text });
        }
        self.actions.push_back(Action::Refuse { stream, answer, code });
        self.hand_out()
    }

    fn close_if(&mut self, stream: u64) {
        if self.open == Some(stream) && !std::mem::replace(&mut self.closed, true) {
            self.actions.push_back(Action::Closed);
        }
    }
}

/// How many bytes a stream's head still lacks, as far as can be told: its kind, and its session where it has one.
fn fresh_wants(head: &[u8]) -> usize {
    let missing = |part: &[u8]| part.first().map_or(1, |&first| varint::length(first) - part.len());
    match varint::read(head) {
        None => missing(head),
        Some((_, rest)) => missing(rest),
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
