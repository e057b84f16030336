//! How far a request's body reaches (RFC 9112 §6 and §7). Its bytes pass untouched; only their end is looked for.
//!
//! Invariant: no byte after the message's end is ever counted as part of it, and a framing that two parsers could read
//! differently (a bare line feed, a signed or empty chunk size) ends the request.

use wayfare_types::Reason;

/// Chunk extensions and trailers are of no use to anyone here; this many bytes of them are borne in a whole body.
const OVERHEAD_LEN_MAX: u32 = 64 * 1024;

/// The rest of a request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(State);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Everything until the connection ends.
    Tunnel,
    Length(u64),
    Chunked {
        at: At,
        overhead_len: u32,
    },
    Malformed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Digits of a chunk's size: the value so far, and whether there is one yet.
    Size(u64, bool),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// In the trailer section: whether the line is still empty.
    Trailer(bool),
    TrailerLf(bool),
    End,
}

impl Body {
    /// All that comes, both protocols' tunnels.
    pub fn tunnel() -> Self {
        Self(State::Tunnel)
    }

    pub(super) fn length(len: u64) -> Self {
        Self(State::Length(len))
    }

    pub(super) fn chunked() -> Self {
        Self(State::Chunked { at: At::Size(0, false), overhead_len: 0 })
    }

    /// Whether no more bytes belong to the request. A tunnel never is.
    pub fn is_finished(&self) -> bool {
        matches!(self.0, State::Length(0) | State::Chunked { at: At::End, .. })
    }

    /// How many bytes at the start of `input` belong to the request: forward those and call again with what follows.
    /// Fewer than there are means that the request ends there: forward nothing more from this client. An error means
    /// that the framing is broken: close the connection to the destination.
    pub fn accept(&mut self, input: &[u8]) -> Result<usize, Reason> {
        match &mut self.0 {
            State::Tunnel => Ok(input.len()),
            State::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= taken as u64;
                Ok(taken)
            }
            State::Chunked { at, overhead_len } => match accept_chunked(at, overhead_len, input) {
                Some(taken) => Ok(taken),
                None => {
                    self.0 = State::Malformed;
                    Err(Reason::ProxyMalformed)
                }
            },
            State::Malformed => Err(Reason::ProxyMalformed),
        }
    }
}

fn accept_chunked(at: &mut At, overhead_len: &mut u32, input: &[u8]) -> Option<usize> {
    let mut taken = 0;
    while taken < input.len() && *at != At::End {
        if let At::Data(left) = *at {
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(input.len() - taken);
            taken += step;
            *at = if step as u64 == left { At::DataCr } else { At::Data(left - step as u64) };
            continue;
        }
        let byte = input[taken];
        let next = step(*at, byte)?;
        if matches!((*at, next), (At::Extension(_), _) | (At::Trailer(_), _)) {
            *overhead_len += 1;
            if *overhead_len > OVERHEAD_LEN_MAX {
                return None;
            }
        }
        *at = next;
        taken += 1;
    }
    Some(taken)
}

/// One byte of the framing between data.
fn step(at: At, byte: u8) -> Option<At> {
    Some(match (at, byte) {
        (At::Size(size, true), b'\r') => At::SizeLf(size),
        (At::Size(size, true), b';') => At::Extension(size),
        (At::Size(size, _), digit) => {
            let digit = char::from(digit).to_digit(16)?;
            At::Size(size.checked_mul(16)? + u64::from(digit), true)
        }
        (At::Extension(size), b'\r') => At::SizeLf(size),
        (At::Extension(_), b'\n' | 0) => return None,
        (At::Extension(size), _) => At::Extension(size),
        (At::SizeLf(0), b'\n') => At::Trailer(true),
        (At::SizeLf(size), b'\n') => At::Data(size),
        (At::DataCr, b'\r') => At::DataLf,
        (At::DataLf, b'\n') => At::Size(0, false),
        (At::Trailer(empty), b'\r') => At::TrailerLf(empty),
        (At::Trailer(_), b'\n' | 0) => return None,
        (At::Trailer(_), _) => At::Trailer(false),
        (At::TrailerLf(true), b'\n') => At::End,
        (At::TrailerLf(false), b'\n') => At::Trailer(true),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(mut body: Body, input: &[u8]) -> (Result<usize, Reason>, bool) {
        let mut total = 0;
        for byte in input {
            match body.accept(std::slice::from_ref(byte)) {
                Ok(0) => break,
                Ok(n) => total += n,
                Err(reason) => return (Err(reason), false),
            }
        }
        (Ok(total), body.is_finished())
    }

    #[test]
    fn a_body_ends_where_its_length_says() {
        let mut body = Body::length(5);
        assert_eq!(body.accept(b"abc"), Ok(3));
        assert!(!body.is_finished());
        assert_eq!(body.accept(b"deGET / HTTP/1.1"), Ok(2));
        assert!(body.is_finished());
        assert_eq!(body.accept(b"GET"), Ok(0));
        assert!(Body::length(0).is_finished());
        assert_eq!(Body::tunnel().accept(&[0; 99]), Ok(99));
    }

    #[test]
    fn a_chunked_body_ends_after_its_last_chunk_and_trailers() {
        // The example of RFC 9112 §7.1 with an extension and a trailer field.
        let message = b"4\r\nWiki\r\n7;a=\"b\"\r\npedia i\r\nB\r\nn \r\nchunks.\r\n0\r\nA: b\r\n\r\n";
        for next in ["", "GET http://other/ HTTP/1.1\r\n\r\n"] {
            let input = [&message[..], next.as_bytes()].concat();
            let mut whole = Body::chunked();
            assert_eq!(whole.accept(&input), Ok(message.len()));
            assert!(whole.is_finished());
            assert_eq!(accepted(Body::chunked(), &input), (Ok(message.len()), true));
        }
        assert_eq!(accepted(Body::chunked(), b"0\r\n\r\n"), (Ok(5), true));
    }

    #[test]
    fn ambiguous_framing_ends_the_request() {
        for input in [
            &b"\r\n"[..],
            b"4\nWiki",
            b"+4\r\n",
            b"-1\r\n",
            b"0x4\r\n",
            b" 4\r\n",
            b"4 \r\n",
            b"4\rW",
            b"4;\n",
            b"4;\0\r\n",
            b"1\r\nab\r\n",
            b"1\r\na\n",
            b"11111111111111111\r\n",
            b"0\r\n\n",
            b"0\r\nA: b\n",
            b"g\r\n",
        ] {
            let mut body = Body::chunked();
            assert_eq!(body.accept(input), Err(Reason::ProxyMalformed), "{input:?}");
            assert_eq!(body.accept(b"0\r\n\r\n"), Err(Reason::ProxyMalformed), "stays refused");
            assert_eq!(accepted(Body::chunked(), input).0, Err(Reason::ProxyMalformed), "{input:?}");
        }
    }

    #[test]
    fn endless_extensions_and_trailers_are_cut_off() {
        for start in ["1;", "0\r\nX: "] {
            let mut body = Body::chunked();
            assert!(body.accept(start.as_bytes()).is_ok());
            let refused_after = (0..100).find(|_| body.accept(&[b'x'; 1024]).is_err());
            assert!(matches!(refused_after, Some(63..=64)), "{refused_after:?}");
        }
    }
}
