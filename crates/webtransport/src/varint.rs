//! Integers of one, two, four or eight bytes (RFC 9000, section 16).

/// The largest there is.
pub const MAX: u64 = (1 << 62) - 1;

/// How many bytes the integer has that begins so.
pub const fn length(first: u8) -> usize {
    1 << (first >> 6)
}

/// The integer in front, and what follows it; `None` while it is not whole.
pub fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = length(*bytes.first()?);
    let (own, rest) = bytes.split_at_checked(length)?;
    let value = own.iter().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
    Some((value & (MAX >> (62 - (8 * length - 2))), rest))
}

/// Appends `value` in the fewest bytes. What is larger than [`MAX`] cannot be said, and is cut to it.
pub fn write(value: u64, out: &mut Vec<u8>) {
    let value = value.min(MAX);
    match value {
        0..=0x3f => out.push(value as u8),
        0x40..=0x3fff => out.extend((0x4000 | value as u16).to_be_bytes()),
        0x4000..=0x3fff_ffff => out.extend((0x8000_0000 | value as u32).to_be_bytes()),
        _ => out.extend((0xc000_0000_0000_0000 | value).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_standards_own_examples() {
        // RFC 9000, appendix A.1.
        let long = [0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c];
        assert_eq!(read(&long), Some((151_288_809_941_952_652, &[][..])));
        assert_eq!(read(&[0x9d, 0x7f, 0x3e, 0x7d]), Some((494_878_333, &[][..])));
        assert_eq!(read(&[0x7b, 0xbd, 9]), Some((15_293, &[9][..])));
        assert_eq!(read(&[0x25]), Some((37, &[][..])));
        assert_eq!(read(&[0x40, 0x25]), Some((37, &[][..])));
        assert_eq!(read(&[0x40]), None);
        assert_eq!(read(&[]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in 0..=MAX, shift in 0u32..62, rest: [u8; 2]) {
            for value in [value, value >> shift] {
                let mut out = Vec::new();
                write(value, &mut out);
                prop_assert_eq!(out.len(), length(out[0]));
                out.extend(rest);
                prop_assert_eq!(read(&out), Some((value, &rest[..])));
            }
        }
    }
}
