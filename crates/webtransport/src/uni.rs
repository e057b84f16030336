//! The client's unidirectional streams: its control stream, the two of QPACK, and what is none of ours.

use crate::session::Fault;
use crate::tlv::{Piece, Tlv};
use crate::{code, varint};

const CONTROL: u64 = 0x00;
const PUSH: u64 = 0x01;
const ENCODER: u64 = 0x02;
const DECODER: u64 = 0x03;

const SETTINGS: u64 = 0x04;
/// Frames that a control stream must not have: DATA, HEADERS, PUSH_PROMISE, and those of HTTP/2 that must not come at all.
const FOREIGN: [u64; 7] = [0x00, 0x01, 0x02, 0x05, 0x06, 0x08, 0x09];
const SETTINGS_BYTES_MAX: u64 = 1 << 10;
/// Set Dynamic Table Capacity to 0 (RFC 9204, section 4.3.1): all that an encoder without a table can say.
const NO_CAPACITY: u8 = 0x20;

/// Settings (RFC 9114 section 7.2.4.1, RFC 9297 section 2.1.1, and its name before the RFC).
const DATAGRAMS: [u64; 2] = [0x33, 0xff_d277];
/// Reserved for what were HTTP/2's.
const FORBIDDEN: [u64; 4] = [0x02, 0x03, 0x04, 0x05];

/// What a stream has come to be.
pub(crate) enum Heard {
    /// One of the three that live as long as the connection, of which each comes once.
    Critical(u64),
    /// Of no use here: stop reading it.
    Foreign,
    /// The client's settings, which allow datagrams or not.
    Settings { datagrams: bool },
}

#[derive(Default)]
pub(crate) struct Uni {
    head: Vec<u8>,
    kind: Option<u64>,
    frames: Tlv,
    frame: Option<u64>,
    settings: Vec<u8>,
}

impl Uni {
    /// Takes from the front of `input`; `None` once all of it is taken.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<Heard>, Fault> {
        match self.kind {
            None => self.take_kind(input),
            Some(CONTROL) => self.take_control(input),
            Some(ENCODER) if input.iter().any(|&byte| byte != NO_CAPACITY) => {
                Err(Fault::malformed(code::QPACK_ENCODER_STREAM, "a header table that was not offered"))
            }
            Some(_) => {
                *input = &[];
                Ok(None)
            }
        }
    }

    /// Whether the connection dies with it.
    pub fn is_critical(&self) -> bool {
        self.kind.is_some()
    }

    fn take_kind(&mut self, input: &mut &[u8]) -> Result<Option<Heard>, Fault> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.head.push(byte);
            let Some((kind, _)) = varint::read(&self.head) else { continue };
            return match kind {
                CONTROL | ENCODER | DECODER => {
                    self.kind = Some(kind);
                    Ok(Some(Heard::Critical(kind)))
                }
                PUSH => Err(Fault::malformed(code::STREAM_CREATION, "a client that pushes")),
                _ => Ok(Some(Heard::Foreign)),
            };
        }
        Ok(None)
    }

    fn take_control(&mut self, input: &mut &[u8]) -> Result<Option<Heard>, Fault> {
        while let Some(piece) = self.frames.next(input) {
            let complete = match piece {
                Piece::Head { kind, length } => {
                    let first = self.frame.replace(kind).is_none();
                    if first != (kind == SETTINGS) {
                        let code = if first { code::MISSING_SETTINGS } else { code::FRAME_UNEXPECTED };
                        return Err(Fault::malformed(code, "settings come first, and once"));
                    }
                    if FOREIGN.contains(&kind) {
                        return Err(Fault::malformed(code::FRAME_UNEXPECTED, "a frame that no control stream has"));
                    }
                    if first && length > SETTINGS_BYTES_MAX {
                        return Err(Fault::oversized("settings of too many bytes"));
                    }
                    first && length == 0
                }
                Piece::Content { bytes, last } if self.frame == Some(SETTINGS) => {
                    self.settings.extend_from_slice(bytes);
                    last
                }
                Piece::Content { .. } => false,
            };
            if complete {
                return read_settings(&std::mem::take(&mut self.settings)).map(Some);
            }
        }
        Ok(None)
    }
}

fn read_settings(mut rest: &[u8]) -> Result<Heard, Fault> {
    let mut datagrams = false;
    while !rest.is_empty() {
        let pair = varint::read(rest).and_then(|(id, rest)| varint::read(rest).map(|(value, rest)| (id, value, rest)));
        let Some((id, value, after)) = pair else {
            return Err(Fault::malformed(code::FRAME, "settings that are cut off"));
        };
        if FORBIDDEN.contains(&id) {
            return Err(Fault::malformed(code::SETTINGS, "a setting that must not be"));
        }
        datagrams |= DATAGRAMS.contains(&id) && value == 1;
        rest = after;
    }
    Ok(Heard::Settings { datagrams })
}

/// What our control stream says, and all of it.
pub(crate) fn own_control(section_bytes_max: u64) -> Vec<u8> {
    let mut settings = Vec::new();
    for (id, value) in [
        // SETTINGS_MAX_FIELD_SECTION_SIZE, SETTINGS_ENABLE_CONNECT_PROTOCOL, SETTINGS_H3_DATAGRAM and its name before.
        (0x06, section_bytes_max),
        (0x08, 1),
        (0x33, 1),
        (0xff_d277, 1),
        // SETTINGS_ENABLE_WEBTRANSPORT of draft 02, then SETTINGS_WEBTRANSPORT_MAX_SESSIONS of draft 07.
        (0x2b60_3742, 1),
        (0xc671_706a, 1),
    ] {
        varint::write(id, &mut settings);
        varint::write(value, &mut settings);
    }
    let mut out = vec![CONTROL as u8];
    crate::tlv::write(SETTINGS, &settings, &mut out);
    out
}
