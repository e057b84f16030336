//! What is said to the CPU and to the system about memory: hints, without which everything is slower and nothing else.

/// Begins to load the lines of `value` that are so many bytes from its start. A core has ten to sixteen loads under way; whoever asks
/// for more waits for them.
#[inline]
pub fn prefetch<T>(value: &T, lines: &[usize]) {
    let start = std::ptr::from_ref(value).cast::<i8>();
    lines.iter().for_each(|&at| load(start.wrapping_add(at)));
}

/// Begins to load the line that a small value is in.
#[inline]
pub fn prefetch_line<T>(value: &T) {
    load(std::ptr::from_ref(value).cast());
}

#[inline]
fn load(address: *const i8) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "no safe way is stable")]
    // SAFETY: a prefetch is a hint that neither reads nor faults, whatever its address; SSE is part of x86_64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks the system to keep `room` in large pages: at random places in hundreds of megabytes, finding a page costs more than what
/// is in it. Where it cannot be asked, it does nothing.
pub fn in_large_pages<T>(room: &mut [std::mem::MaybeUninit<T>]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let range = room.as_mut_ptr_range();
        let start = (range.start as usize).next_multiple_of(PAGE);
        let end = range.end as usize & !(PAGE - 1);
        if end > start {
            let begin = range.start.cast::<u8>().wrapping_add(start - range.start as usize);
            #[allow(unsafe_code, reason = "the call takes a pointer")]
            // SAFETY: the advice changes how whole pages of `room` are mapped, never what they hold; `room` is borrowed for as long.
            let _ = unsafe { rustix::mm::madvise(begin.cast(), end - start, rustix::mm::Advice::LinuxHugepage) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = room;
}
