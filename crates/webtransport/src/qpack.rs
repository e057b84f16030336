//! Header sections without a dynamic table (RFC 9204): of a request, what says whether it opens a session.
//!
//! We announce no table, so a section that refers to one is an error of the client's.

use crate::huffman;

/// What of a request matters here. Other fields are read and forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub method: Option<Vec<u8>>,
    pub scheme: Option<Vec<u8>>,
    pub path: Option<Vec<u8>>,
    pub protocol: Option<Vec<u8>>,
}

/// Why a section is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// It does not decode.
    Decompression,
    /// It decodes into no request: a pseudo-field twice.
    Message,
}

impl Head {
    fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        let slot = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":path" => &mut self.path,
            b":protocol" => &mut self.protocol,
            _ => return Ok(()),
        };
        if slot.replace(value.to_vec()).is_some() { Err(HeadError::Message) } else { Ok(()) }
    }
}

/// Entries of the static table (RFC 9204, appendix A) whose names matter; the others come without theirs.
fn static_entry(index: u64) -> Option<(&'static [u8], &'static [u8])> {
    Some(match index {
        1 => (b":path", b"/"),
        15 => (b":method", b"CONNECT"),
        16 => (b":method", b"DELETE"),
        17 => (b":method", b"GET"),
        18 => (b":method", b"HEAD"),
        19 => (b":method", b"OPTIONS"),
        20 => (b":method", b"POST"),
        21 => (b":method", b"PUT"),
        22 => (b":scheme", b"http"),
        23 => (b":scheme", b"https"),
        0..=98 => (b"", b""),
        _ => return None,
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// An integer in the low `bits` of `first` and, where those are all ones, the bytes behind (RFC 7541, section 5.1).
    fn integer(&mut self, first: u8, bits: u32) -> Option<u64> {
        let mask = (1u64 << bits) - 1;
        let mut value = u64::from(first) & mask;
        if value < mask {
            return Some(value);
        }
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value += u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        // Larger than any section that is let in.
        None
    }

    /// A string whose length is in the low `bits` of `first`, the bit above saying whether it is Huffman-coded.
    fn string(&mut self, first: u8, bits: u32) -> Option<std::borrow::Cow<'a, [u8]>> {
        let length = usize::try_from(self.integer(first, bits)?).ok()?;
        let (own, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        if first >> bits & 1 == 0 { Some(own.into()) } else { Some(huffman::decode(own)?.into()) }
    }
}

/// Reads a whole section.
///
/// # Errors
/// See [`HeadError`].
pub fn read(section: &[u8]) -> Result<Head, HeadError> {
    let mut r = Reader(section);
    let mut head = Head::default();
    prefix(&mut r).ok_or(HeadError::Decompression)?;
    while !r.0.is_empty() {
        let (name, value) = line(&mut r).ok_or(HeadError::Decompression)?;
        head.set(&name, &value)?;
    }
    Ok(head)
}

fn prefix(r: &mut Reader<'_>) -> Option<()> {
    let first = r.byte()?;
    let required = r.integer(first, 8)?;
    let base = r.byte()?;
    r.integer(base, 7)?;
    (required == 0).then_some(())
}

type Line<'a> = (std::borrow::Cow<'a, [u8]>, std::borrow::Cow<'a, [u8]>);

fn line<'a>(r: &mut Reader<'a>) -> Option<Line<'a>> {
    let first = r.byte()?;
    // The forms of RFC 9204, section 4.5; those not named refer to a dynamic table.
    if first & 0xc0 == 0xc0 {
        let (name, value) = static_entry(r.integer(first, 6)?)?;
        Some((name.into(), value.into()))
    } else if first & 0xd0 == 0x50 {
        let (name, _) = static_entry(r.integer(first, 4)?)?;
        let value = r.byte()?;
        Some((name.into(), r.string(value, 7)?))
    } else if first & 0xe0 == 0x20 {
        let name = r.string(first, 3)?;
        let value = r.byte()?;
        Some((name, r.string(value, 7)?))
    } else {
        None
    }
}

/// The section of a response that has a status and nothing else.
pub(crate) fn status(found: bool) -> [u8; 3] {
    // Static entries 25 and 27: 200 and 404.
    [0, 0, if found { 0xc0 | 25 } else { 0xc0 | 27 }]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
        let mut out = if name.len() < 7 { vec![0x20 | name.len() as u8] } else { vec![0x27, (name.len() - 7) as u8] };
        out.extend_from_slice(name);
        if value.len() < 127 {
            out.push(value.len() as u8)
        } else {
            out.extend([0x7f, (value.len() - 127) as u8])
        }
        out.extend_from_slice(value);
        out
    }

    #[test]
    fn the_standards_own_example() {
        // RFC 9204, appendix B.1: a literal with the name of static entry 1.
        let section = [0x00, 0x00, 0x51, 0x0b, 0x2f, 0x69, 0x6e, 0x64, 0x65, 0x78, 0x2e, 0x68, 0x74, 0x6d, 0x6c];
        let expected = Head { path: Some(b"/index.html".to_vec()), ..Head::default() };
        assert_eq!(read(&section), Ok(expected));
    }

    #[test]
    fn a_request_for_a_session_in_every_form() {
        let expected = Head {
            method: Some(b"CONNECT".to_vec()),
            scheme: Some(b"https".to_vec()),
            path: Some(b"/wayfare".to_vec()),
            protocol: Some(b"webtransport".to_vec()),
        };
        let indexed =
            [&[0, 0, 0xc0 | 15, 0xc0 | 23, 0x51, 8][..], b"/wayfare", &literal(b":protocol", b"webtransport")];
        assert_eq!(read(&indexed.concat()), Ok(expected.clone()));
        let literals = [
            &[0, 0][..],
            &literal(b":method", b"CONNECT"),
            &literal(b":scheme", b"https"),
            &literal(b":path", b"/wayfare"),
            &literal(b":protocol", b"webtransport"),
            &literal(b":authority", b"relay.example"),
            &literal(b"origin", &[b'o'; 140]),
        ];
        assert_eq!(read(&literals.concat()), Ok(expected));
    }

    #[test]
    fn what_needs_a_table_or_says_a_thing_twice_is_refused() {
        let sections: [&[u8]; 9] = [
            &[],
            &[0],
            &[1, 0],
            &[0, 0, 0x80],
            &[0, 0, 0x10],
            &[0, 0, 0x40, 0],
            &[0, 0, 0x00, 0],
            &[0, 0, 0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
            &[0, 0, 0xff, 36],
        ];
        for section in sections {
            assert_eq!(read(section), Err(HeadError::Decompression), "{section:?}");
        }
        assert!(read(&[0, 0, 0xff, 35]).is_ok(), "98 is the last entry there is");
        assert_eq!(read(&[0, 0, 0xc0 | 15, 0xc0 | 17]), Err(HeadError::Message));
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(section in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&section);
            let _ = read(&[&[0, 0][..], &section].concat());
        }

        #[test]
        fn literal_values_come_back(path in proptest::collection::vec(any::<u8>(), 0..250)) {
            let section = [&[0, 0][..], &literal(b":path", &path)].concat();
            prop_assert_eq!(read(&section).unwrap().path, Some(path));
        }
    }
}
