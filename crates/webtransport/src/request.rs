//! A request stream: frames until the header section, then, on the session's own, capsules inside DATA frames.

use wayfare_types::Reason;

use crate::session::Fault;
use crate::tlv::{Piece, Tlv};
use crate::{code, qpack};

const DATA: u64 = 0x00;
const HEADERS: u64 = 0x01;
/// Frames of the control stream, of pushes, and those of HTTP/2 that must not come at all (RFC 9114, section 7.2).
const FOREIGN: [u64; 9] = [0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0d];
/// CLOSE_WEBTRANSPORT_SESSION.
pub(crate) const CLOSE_SESSION: u64 = 0x2843;

/// A header section of more bytes is refused; browsers' have some hundred.
pub(crate) const SECTION_BYTES_MAX: u64 = 8 << 10;
/// What may come before the headers and mean nothing.
const IGNORED_BYTES_MAX: u64 = 16 << 10;
/// The code and a reason of 1,024 bytes (draft-ietf-webtrans-http3, section 6).
const CLOSE_BYTES_MAX: u64 = 4 + 1024;

/// What a stream has come to say.
pub(crate) enum Said {
    Head(qpack::Head),
    /// The client closes the session.
    Close,
}

#[derive(Default)]
pub(crate) struct Request {
    frames: Tlv,
    frame: u64,
    /// Of HEADERS, while it comes.
    section: Vec<u8>,
    headed: bool,
    ignored: u64,
    capsules: Tlv,
    capsule: u64,
}

impl Request {
    /// Takes from the front of `input`; `None` once all of it is taken.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<Said>, Fault> {
        while let Some(piece) = self.frames.next(input) {
            let said = match piece {
                Piece::Head { kind, length } => self.frame(kind, length)?,
                Piece::Content { bytes, last } if self.frame == HEADERS => {
                    self.section.extend_from_slice(bytes);
                    if last { Some(self.head()?) } else { None }
                }
                Piece::Content { bytes, .. } if self.frame == DATA => self.capsules(bytes)?,
                Piece::Content { .. } => None,
            };
            if said.is_some() {
                return Ok(said);
            }
        }
        Ok(None)
    }

    /// Whether the stream may end here.
    pub fn may_end(&self) -> bool {
        self.frames.at_boundary() && self.capsules.at_boundary()
    }

    fn frame(&mut self, kind: u64, length: u64) -> Result<Option<Said>, Fault> {
        self.frame = kind;
        match kind {
            HEADERS if self.headed => Err(Fault::malformed(code::FRAME_UNEXPECTED, "headers twice")),
            HEADERS if length > SECTION_BYTES_MAX => Err(Fault::oversized("headers of too many bytes")),
            HEADERS if length == 0 => Err(Fault::malformed(code::QPACK_DECOMPRESSION_FAILED, "headers of no bytes")),
            DATA if !self.headed => Err(Fault::malformed(code::FRAME_UNEXPECTED, "data before headers")),
            HEADERS | DATA => Ok(None),
            _ if FOREIGN.contains(&kind) => {
                Err(Fault::malformed(code::FRAME_UNEXPECTED, "a frame that no request stream has"))
            }
            _ => {
                self.ignored = self.ignored.saturating_add(length).saturating_add(1);
                if self.ignored > IGNORED_BYTES_MAX {
                    return Err(Fault::oversized("too much that means nothing"));
                }
                Ok(None)
            }
        }
    }

    fn head(&mut self) -> Result<Said, Fault> {
        let section = std::mem::take(&mut self.section);
        self.headed = true;
        qpack::read(&section).map(Said::Head).map_err(|error| match error {
            qpack::HeadError::Decompression => {
                Fault::malformed(code::QPACK_DECOMPRESSION_FAILED, "headers that do not decode")
            }
            qpack::HeadError::Message => Fault::malformed(code::MESSAGE, "headers that contradict themselves"),
        })
    }

    fn capsules(&mut self, mut bytes: &[u8]) -> Result<Option<Said>, Fault> {
        while let Some(piece) = self.capsules.next(&mut bytes) {
            match piece {
                Piece::Head { kind: CLOSE_SESSION, length } if !(4..=CLOSE_BYTES_MAX).contains(&length) => {
                    return Err(Fault {
                        reason: Reason::WebMalformed,
                        code: code::DATAGRAM,
                        text: "a closing capsule of a wrong length",
                    });
                }
                Piece::Head { kind, .. } => self.capsule = kind,
                Piece::Content { last: true, .. } if self.capsule == CLOSE_SESSION => return Ok(Some(Said::Close)),
                Piece::Content { .. } => {}
            }
        }
        Ok(None)
    }
}
