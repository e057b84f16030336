//! Randomness is handed in: the runtime root gives the system's, the simulator a seeded stream.

/// A source of unpredictable bytes.
pub trait Random {
    /// Fills all of `out`.
    fn fill(&mut self, out: &mut [u8]);

    /// A uniform 64-bit value.
    fn next_u64(&mut self) -> u64 {
        let mut b = [0; 8];
        self.fill(&mut b);
        u64::from_be_bytes(b)
    }
}
