//! Asks the CPU for memory before it is needed.

const LINE: usize = 64;

/// Begins to load all of `value` into the cache. Where the CPU cannot be asked, it does nothing.
#[inline]
pub fn prefetch<T>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<i8>();
    for at in (0..size_of::<T>()).step_by(LINE) {
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code, reason = "no safe way is stable")]
        // SAFETY: a prefetch is a hint that neither reads nor faults, whatever its address; SSE is part of x86_64.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(at));
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (start, at);
    }
}
