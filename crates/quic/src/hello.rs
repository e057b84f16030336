//! Which application protocols a TLS ClientHello offers (RFC 8446 section 4.1.2, RFC 7301): what has to be known before it is
//! known which TLS configuration answers.
//!
//! Invariant: total over any bytes, and keeps none of them.

/// No ClientHello, or one that contradicts its own lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

const CLIENT_HELLO: u8 = 1;
const HEAD: usize = 4;
const ALPN: u16 = 16;

/// The protocols of one ClientHello, in the client's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer<'a>(&'a [u8]);

impl<'a> Offer<'a> {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = Cursor(self.0);
        std::iter::from_fn(move || rest.vector8())
    }

    /// Whether `protocol` is among them.
    pub fn has(&self, protocol: &[u8]) -> bool {
        self.iter().any(|p| p == protocol)
    }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.take(1)?[0];
        self.take(usize::from(length))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}

/// Reads the handshake's first bytes; `None` while the ClientHello is not whole. What follows it is not looked at.
///
/// # Errors
/// [`Malformed`] as soon as it can be told.
pub fn offered(handshake: &[u8]) -> Result<Option<Offer<'_>>, Malformed> {
    if handshake.first().is_some_and(|&kind| kind != CLIENT_HELLO) {
        return Err(Malformed);
    }
    let Some((head, rest)) = handshake.split_first_chunk::<HEAD>() else { return Ok(None) };
    let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
    let Some(body) = rest.get(..length) else { return Ok(None) };
    protocols(body).map(Some).ok_or(Malformed)
}

fn protocols(body: &[u8]) -> Option<Offer<'_>> {
    let mut r = Cursor(body);
    // Version and random; session id; suites; compression methods.
    r.take(2 + 32)?;
    r.vector8()?;
    r.vector16()?;
    r.vector8()?;
    let mut found = None;
    if !r.0.is_empty() {
        let mut extensions = Cursor(r.vector16()?);
        while !extensions.0.is_empty() {
            let (kind, content) = (extensions.u16()?, extensions.vector16()?);
            if kind == ALPN {
                let mut content = Cursor(content);
                let list = content.vector16()?;
                // An extension comes once, holds one list and nothing else, and a list names something (RFC 7301).
                if found.is_some() || !content.0.is_empty() || list.is_empty() {
                    return None;
                }
                let mut names = Cursor(list);
                while !names.0.is_empty() {
                    if names.vector8()?.is_empty() {
                        return None;
                    }
                }
                found = Some(list);
            }
        }
    }
    if !r.0.is_empty() {
        return None;
    }
    Some(Offer(found.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vector(width: usize, content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u32).to_be_bytes();
        [&length[4 - width..], content].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &vector(2, content)].concat()
    }

    fn hello(session: &[u8], extensions: &[u8]) -> Vec<u8> {
        let body =
            [&[3, 3][..], &[7; 32], &vector(1, session), &vector(2, &[0x13, 1]), &[1, 0], &vector(2, extensions)];
        [&[CLIENT_HELLO][..], &vector(3, &body.concat())].concat()
    }

    fn alpn(names: &[Vec<u8>]) -> Vec<u8> {
        let list: Vec<u8> = names.iter().flat_map(|n| vector(1, n)).collect();
        extension(ALPN, &vector(2, &list))
    }

    #[test]
    fn every_name_is_read_and_nothing_else() {
        let whole =
            hello(&[], &[extension(0, b"whatever"), alpn(&[b"h3".to_vec(), b"wayfare-link/1".to_vec()])].concat());
        let offer = offered(&whole).unwrap().unwrap();
        assert!(offer.has(b"h3") && offer.has(b"wayfare-link/1") && !offer.has(b"h2") && !offer.has(b""));
        assert!(offered(&hello(&[], &extension(0, b"h3"))).unwrap().unwrap().iter().next().is_none());
    }

    #[test]
    fn lists_that_the_standard_forbids_are_malformed() {
        let empty_name = extension(ALPN, &vector(2, &[0]));
        let empty_list = extension(ALPN, &vector(2, &[]));
        let twice = [alpn(&[b"h3".to_vec()]), alpn(&[b"h3".to_vec()])].concat();
        let trailing = extension(ALPN, &[&vector(2, &vector(1, b"h3"))[..], b"x"].concat());
        let beyond = extension(ALPN, &[0, 9, 2, b'h', b'3']);
        for extensions in [empty_name, empty_list, twice, trailing, beyond] {
            assert_eq!(offered(&hello(&[], &extensions)), Err(Malformed), "{extensions:?}");
        }
        assert_eq!(offered(&[2]), Err(Malformed), "a ServerHello");
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..600), kind in 0u8..3) {
            let _ = offered(&bytes);
            let _ = offered(&[&[kind][..], &vector(3, &bytes)].concat());
        }

        #[test]
        fn names_come_back_in_order_and_only_once_all_is_there(
            names in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..255), 1..20),
            session in proptest::collection::vec(any::<u8>(), 0..33),
            before in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let whole = hello(&session, &[extension(0x2a2a, &before), alpn(&names)].concat());
            let offer = offered(&whole).unwrap().unwrap();
            prop_assert_eq!(offer.iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), names);
            for cut in 0..whole.len() {
                prop_assert_eq!(offered(&whole[..cut]), Ok(None));
            }
            let longer = [&whole[..], b"more"].concat();
            prop_assert_eq!(offered(&longer), Ok(Some(offer)));
        }
    }
}
