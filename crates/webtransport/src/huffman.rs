//! The Huffman code of header strings (RFC 7541, section 5.2 and appendix B).
//!
//! The code is canonical: its lengths say all. Symbols of one length are consecutive numbers in the order of the symbols, and
//! shorter codes come before longer ones.

/// Code lengths of the octets 0 to 255 and of EOS.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,  5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,  6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];
const LENGTH_MAX: usize = 30;
const EOS: u16 = 256;

/// How many codes each length has.
const COUNTS: [u16; LENGTH_MAX + 1] = {
    let mut counts = [0; LENGTH_MAX + 1];
    let mut symbol = 0;
    while symbol < LENGTHS.len() {
        counts[LENGTHS[symbol] as usize] += 1;
        symbol += 1;
    }
    counts
};

/// The symbols in the order of their codes.
const SYMBOLS: [u16; 257] = {
    let mut symbols = [0; 257];
    let (mut at, mut length) = (0, 1);
    while length <= LENGTH_MAX {
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                symbols[at] = symbol as u16;
                at += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    symbols
};

/// Decodes a whole string; `None` if it is none. The result is at most 8/5 as long as `bytes`.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    // Of the code being read: its bits, how many, the first code of that length and where its symbols begin.
    let (mut code, mut length, mut first, mut index) = (0u32, 0usize, 0u32, 0u32);
    let mut ones = true;
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1)) {
        code = code << 1 | u32::from(bit);
        ones &= bit == 1;
        first <<= 1;
        length += 1;
        let count = u32::from(*COUNTS.get(length)?);
        if code < first + count {
            let symbol = SYMBOLS[(index + code - first) as usize];
            // EOS in a string is an error.
            if symbol == EOS {
                return None;
            }
            out.push(symbol as u8);
            (code, length, first, index, ones) = (0, 0, 0, 0, true);
        } else {
            first += count;
            index += count;
        }
    }
    // What is left is padding: less than a byte, of ones.
    (length < 8 && ones).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_standards_own_examples() {
        // RFC 7541, appendices C.4 and C.6.
        for (coded, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("6402", "302"),
            ("aec3771a4b", "private"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
        ] {
            assert_eq!(decode(&hex(coded)).as_deref(), Some(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_code_is_complete() {
        // Kraft's equality: the lengths of a complete prefix code.
        let sum: u64 = LENGTHS.iter().map(|&length| 1 << (LENGTH_MAX - usize::from(length))).sum();
        assert_eq!(sum, 1 << LENGTH_MAX);
    }

    #[test]
    fn wrong_padding_and_end_of_string_are_refused() {
        assert_eq!(decode(&hex("fe")), None, "a code is cut off");
        assert_eq!(decode(&hex("a8eb10649cbfff")), None, "a byte of padding");
        assert_eq!(decode(&hex("ffffffff")), None, "EOS");
        assert_eq!(decode(&hex("18")), None, "padding of zeros");
        assert_eq!(decode(&[]), Some(Vec::new()));
    }

    /// The code as an encoder has it, built from the lengths in another way: sorted, each code the one before plus one.
    fn encode(text: &[u8]) -> Vec<u8> {
        let mut order: Vec<u16> = (0..257).collect();
        order.sort_by_key(|&s| (LENGTHS[usize::from(s)], s));
        let mut codes = [(0u64, 0u8); 257];
        let (mut next, mut before) = (0u64, LENGTHS[usize::from(order[0])]);
        for symbol in order {
            let length = LENGTHS[usize::from(symbol)];
            next <<= length - before;
            codes[usize::from(symbol)] = (next, length);
            (next, before) = (next + 1, length);
        }
        let mut bits: Vec<u8> = Vec::new();
        for &octet in text {
            let (code, length) = codes[usize::from(octet)];
            bits.extend((0..length).rev().map(|shift| (code >> shift & 1) as u8));
        }
        bits.resize(bits.len().next_multiple_of(8), 1);
        bits.chunks(8).map(|byte| byte.iter().fold(0, |value, bit| value << 1 | bit)).collect()
    }

    proptest! {
        #[test]
        fn strings_come_back(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }

        #[test]
        fn any_bytes_have_an_answer_of_bounded_length(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(text) = decode(&bytes) {
                prop_assert!(text.len() * 5 <= bytes.len() * 8);
                prop_assert_eq!(encode(&text), bytes);
            }
        }
    }
}
