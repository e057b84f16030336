//! Gathers a head byte by byte, so that a line that is no HTTP is refused at the byte that shows it.

use wayfare_types::Reason;

use super::head::{self, Refusal};
use super::response::{Status, response};
use crate::credentials::Credentials;
use crate::request::{Progress, Step};

/// The longest head, its empty line included.
pub const HEAD_LEN_MAX: usize = 64 * 1024;

/// One client's connection to the HTTP proxy.
#[derive(Debug)]
pub struct Http {
    credentials: Option<Credentials>,
    head: Vec<u8>,
    over: Option<Progress>,
}

impl Http {
    /// With credentials a client must present them; without, any it presents only isolate its connections.
    pub fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, head: Vec::new(), over: None }
    }

    /// Takes what the client sent.
    pub fn feed(&mut self, input: &[u8]) -> Step {
        if let Some(progress) = &self.over {
            return Step { consumed: 0, send: Vec::new(), progress: progress.clone() };
        }
        for (at, &byte) in input.iter().enumerate() {
            let outcome = match self.push(byte) {
                Ok(false) => continue,
                Ok(true) => head::request(&self.head, self.credentials.as_ref()),
                Err(refusal) => Err(refusal),
            };
            self.head = Vec::new();
            let (send, progress) = match outcome {
                Ok(request) => (Vec::new(), Progress::Request(request)),
                Err(Refusal { answer, reason }) => (answer, Progress::Refused(reason)),
            };
            self.over = Some(progress.clone());
            return Step { consumed: at + 1, send, progress };
        }
        Step { consumed: input.len(), send: Vec::new(), progress: Progress::NeedMore }
    }

    /// Whether the head is complete with this byte. Lines end in CR LF and nothing else, and do not fold (RFC 9112
    /// §2.2, §5.2): where parsers differ on these, requests are smuggled.
    fn push(&mut self, byte: u8) -> Result<bool, Refusal> {
        let malformed = |sentence| Err(Refusal::malformed(sentence));
        match (&self.head[..], byte) {
            ([], 5) => return Err(Refusal { answer: vec![5, 0xff], reason: Reason::ProxyUnsupported }),
            ([], b) if !b.is_ascii_alphabetic() => return malformed("This is an HTTP proxy, and this is no HTTP."),
            (_, 0) => return malformed("A request's head has no NUL."),
            ([.., b'\r'], b'\n') => {}
            ([.., b'\r'], _) | (_, b'\n') => return malformed("A line of a request's head ends in CR LF."),
            ([.., b'\n'], b' ' | b'\t') => return malformed("A line of a request's head does not start with a blank."),
            _ => {}
        }
        self.head.push(byte);
        if self.head.ends_with(b"\r\n\r\n") {
            return Ok(true);
        }
        if self.head.len() == HEAD_LEN_MAX {
            let answer = response(Status::HeadTooLarge, "A request's head has at most 64 KiB.");
            return Err(Refusal { answer, reason: Reason::ProxyMalformed });
        }
        Ok(false)
    }
}
