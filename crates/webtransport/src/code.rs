//! Error codes: HTTP/3's own, and those of applications inside the range that WebTransport maps them to
//! (draft-ietf-webtrans-http3, section 4.3).

/// No error (RFC 9114, section 8.1), and the other codes of HTTP/3 in use here.
pub const NO_ERROR: u64 = 0x100;
pub const STREAM_CREATION: u64 = 0x103;
pub const CLOSED_CRITICAL_STREAM: u64 = 0x104;
pub const FRAME_UNEXPECTED: u64 = 0x105;
pub const FRAME: u64 = 0x106;
pub const EXCESSIVE_LOAD: u64 = 0x107;
pub const ID: u64 = 0x108;
pub const SETTINGS: u64 = 0x109;
pub const MISSING_SETTINGS: u64 = 0x10a;
pub const REQUEST_REJECTED: u64 = 0x10b;
pub const MESSAGE: u64 = 0x10e;
/// RFC 9297.
pub const DATAGRAM: u64 = 0x33;
/// RFC 9204.
pub const QPACK_DECOMPRESSION_FAILED: u64 = 0x200;
pub const QPACK_ENCODER_STREAM: u64 = 0x201;
/// A stream of no session that there is.
pub const BUFFERED_STREAM_REJECTED: u64 = 0x3994_bd84;

const FIRST: u64 = 0x52e4_a40f_a8db;

/// What an application's code is called on the wire.
pub const fn of_application(code: u32) -> u64 {
    // Every 31st code is reserved and left out.
    FIRST + code as u64 + code as u64 / 0x1e
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_codes_are_mapped_around_the_reserved_ones() {
        // The range that the draft states, and the codes it reserves: 0x1f * N + 0x21.
        assert_eq!(of_application(0), 0x52e4_a40f_a8db);
        assert_eq!(of_application(u32::MAX), 0x52e5_ac98_3162);
        let mapped: Vec<u64> = (0..10_000).map(of_application).collect();
        assert!(mapped.windows(2).all(|w| w[0] < w[1]));
        assert!(mapped.iter().all(|code| (code - 0x21) % 0x1f != 0));
    }
}
