//! 2^x and log2 against decimal arithmetic with 80 digits.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::powers::{EXP2, LOG2};
use wayfare_credit::{exp2_fraction, log2, times_exp2};

#[test]
fn exp2_is_within_its_bound() {
    for (exponent, power) in EXP2 {
        // In 1/2^120: a relative error of 2^-61 is one of at least 2^59.
        let ours = u128::from(exp2_fraction(exponent)) << 57;
        assert!(ours.abs_diff(power) <= power >> 61, "2^({exponent:#x}/2^64): {ours:#x}, not {power:#x}");
    }
}

#[test]
fn log2_is_within_its_bound_and_never_above() {
    for (x, log) in LOG2 {
        let ours = log2(x);
        assert!(ours <= log && log - ours <= 1, "log2 {x}: {ours:#x}, not {log:#x}");
    }
    assert_eq!(log2(0), 0);
}

#[test]
fn a_gain_and_its_inverse_give_back_what_there_was() {
    for x in [0, 1, 999, 1 << 20, (1 << 40) + 12_345, 1 << 52] {
        for octaves in -10..=10 {
            let gain = (octaves << 32) + 0x1234_5678;
            let there = times_exp2(x, gain);
            let expected = x as f64 * (gain as f64 / 4_294_967_296.0).exp2();
            assert!((there as f64 - expected).abs() <= 1.0 + expected * 1e-9, "{x}·2^{octaves}");
            let back = times_exp2(there, -gain);
            assert!(back <= x && (x - back) as f64 <= 2.0 + (-gain as f64 / 4_294_967_296.0).exp2() + x as f64 * 1e-9);
        }
    }
    assert_eq!(times_exp2(1, 200 << 32), 1 << 63);
    assert_eq!(times_exp2(0, 200 << 32), 0);
    assert_eq!(times_exp2(u64::MAX, -(200 << 32)), 0);
    assert_eq!(times_exp2(u64::MAX, i64::MAX), 1 << 63);
    assert_eq!(times_exp2(u64::MAX, i64::MIN), 0);
}
