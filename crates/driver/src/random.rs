//! The operating system's randomness, which is handed to the engine.

use std::time::{SystemTime, UNIX_EPOCH};

use wayfare_types::Random;

/// aws-lc's generator, seeded and reseeded by the operating system.
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) {
        // Without randomness nothing here is safe; aws-lc says that it never fails on supported systems.
        assert!(aws_lc_rs::rand::fill(out).is_ok(), "the operating system gives no randomness");
    }
}

/// The wall clock.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}
