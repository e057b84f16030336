//! 2^x and log2 in integers, the same bits on every host.

/// log2(e) in 1/2^63.
const LOG2_E: u64 = 0xB8AA_3B29_5C17_F0BC;
/// ln 2 in 1/2^64.
const LN_2: u64 = 0xB172_17F7_D1CF_79AC;
/// ln 2 in 1/2^120.
const LN_2_FINE: u128 = 0x00B1_7217_F7D1_CF79_ABC9_E3B3_9803_F2F6;

/// a·b in 1/2^120, both at most a few, with an error of a few units.
const fn times_fine(a: u128, b: u128) -> u128 {
    const LOW: u128 = (1 << 60) - 1;
    let (ah, al, bh, bl) = (a >> 60, a & LOW, b >> 60, b & LOW);
    ah * bh + ((ah * bl) >> 60) + ((al * bh) >> 60)
}

/// 2^(i / 2^(8·level)) for i in 0..256, in 1/2^63, rounded to the nearest: the exponential series, while compiling.
const fn table(level: u32) -> [u64; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let x = (LN_2_FINE >> (8 * level)) * i as u128;
        let (mut sum, mut term, mut n) = (1 << 120, 1 << 120, 1);
        while n < 32 {
            term = times_fine(term, x) / n;
            sum += term;
            n += 1;
        }
        table[i] = ((sum + (1 << 56)) >> 57) as u64;
        i += 1;
    }
    table
}

static COARSE: [u64; 256] = table(1);
static FINE: [u64; 256] = table(2);

/// 2^f, f in 1/2^64 and so below 1; the result, from 1 to 2, in 1/2^63. Its relative error is below 2^-61.
#[inline]
pub fn exp2_fraction(f: u64) -> u64 {
    let table = ((u128::from(COARSE[(f >> 56) as usize]) * u128::from(FINE[(f >> 48 & 255) as usize])) >> 63) as u64;
    // What is left is below 2^-16, so that the fourth power of it is below 2^-68: e^y - 1 in 1/2^80.
    let times = |a: u64, b: u64, shift: u32| ((u128::from(a) * u128::from(b)) >> shift) as u64;
    let y = times(f & 0xFFFF_FFFF_FFFF, LN_2, 48);
    let y2 = times(y, y, 80);
    let y3 = times(y2, y, 80);
    let more = y + y2 / 2 + y3 / 6;
    table + times(table, more, 80)
}

/// log2 of a number from 1 on, in 1/2^32: at most the true one, and less than it by at most 1.01 of these units.
pub fn log2(x: u128) -> i64 {
    let Some(whole) = x.checked_ilog2() else { return 0 };
    // From 1 to 2, in 1/2^63.
    let mut m = if whole > 63 { (x >> (whole - 63)) as u64 } else { (x as u64) << (63 - whole) };
    let mut log = i64::from(whole);
    for _ in 0..32 {
        let square = u128::from(m) * u128::from(m);
        let carry = (square >> 127) as u32;
        m = (square >> (63 + carry)) as u64;
        log = log << 1 | i64::from(carry);
    }
    log
}

/// a·m, m in 1/2^63 and below 2. The true product must be below 2^128; it is rounded down.
#[inline]
pub(crate) fn scaled(a: u128, m: u64) -> u128 {
    let (high, low, m) = (a >> 64, a & u128::from(u64::MAX), u128::from(m));
    ((high * m) << 1) + ((low * m) >> 63)
}

/// x·2^(e / 2^32), rounded down, at most 2^63. The relative error before rounding is below 2^-31: that of an exponent in 1/2^32.
pub fn times_exp2(x: u64, e: i64) -> u64 {
    let (whole, fraction) = (e >> 32, (e as u64) << 32);
    let product = u128::from(x) * u128::from(exp2_fraction(fraction));
    let most = 1 << 63;
    match 63 - whole {
        shift @ 0..=127 => (product >> shift).min(most) as u64,
        shift if shift > 127 => 0,
        _ if x == 0 => 0,
        _ => most as u64,
    }
}

/// Credits per second for ever, at equilibrium with a decay of this half-life: perSecond·halfLife/ln 2, in 1/2^64 credits.
/// The product of both must be below 2^52·10^6.
pub(crate) fn equilibrium(per_second: u64, half_life_us: u64) -> u128 {
    let product = u128::from(per_second) * u128::from(half_life_us);
    let (whole, rest) = (product / 1_000_000, product % 1_000_000);
    scaled((whole << 64) + (rest << 64) / 1_000_000, LOG2_E)
}
