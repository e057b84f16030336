//! Flow windows: how far the sender of an inner stream may go, sent on an inner unidirectional stream.
//!
//! `stream id u64 | limit u64`, sixteen bytes each, one after the other. The limit is absolute and never falls, so a
//! receiver takes the highest it has seen and order does not matter.

/// The sender of `stream_id` may send up to `limit` bytes in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowWindow {
    pub stream_id: u64,
    pub limit: u64,
}

impl FlowWindow {
    /// Bytes of one message.
    pub const BYTES: usize = 16;

    /// The message's bytes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..8].copy_from_slice(&self.stream_id.to_be_bytes());
        out[8..].copy_from_slice(&self.limit.to_be_bytes());
        out
    }

    /// The message in these bytes; every sixteen bytes are one.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [a0, a1, a2, a3, a4, a5, a6, a7, limit @ ..] = bytes;
        Self { stream_id: u64::from_be_bytes([a0, a1, a2, a3, a4, a5, a6, a7]), limit: u64::from_be_bytes(limit) }
    }
}

/// Cuts a stream into windows.
#[derive(Default)]
pub struct WindowDecoder {
    partial: [u8; FlowWindow::BYTES],
    filled: usize,
}

impl WindowDecoder {
    /// Consumes bytes from the front of `input` up to the end of the next message; `None` when it has run out.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self, input: &mut &[u8]) -> Option<FlowWindow> {
        let take = (FlowWindow::BYTES - self.filled).min(input.len());
        let (head, rest) = input.split_at(take);
        self.partial[self.filled..self.filled + take].copy_from_slice(head);
        self.filled += take;
        *input = rest;
        (self.filled == FlowWindow::BYTES).then(|| {
            self.filled = 0;
            FlowWindow::from_bytes(self.partial)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn windows_round_trip_in_any_pieces(values in prop::collection::vec(any::<(u64, u64)>(), 0..9), piece in 1..40usize) {
            let windows: Vec<_> = values.into_iter().map(|(stream_id, limit)| FlowWindow { stream_id, limit }).collect();
            let bytes: Vec<u8> = windows.iter().flat_map(|w| w.to_bytes()).collect();
            let (mut decoder, mut got) = (WindowDecoder::default(), Vec::new());
            for mut chunk in bytes.chunks(piece) {
                while let Some(window) = decoder.next(&mut chunk) {
                    got.push(window);
                }
            }
            prop_assert_eq!(got, windows);
        }
    }
}
