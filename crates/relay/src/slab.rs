//! A list that grows without moving what it holds, and whose large parts lie in large pages.
//!
//! Invariant: part `k` has room for `FIRST << k`; every part before the last is full.

use crate::memory::in_large_pages;

const FIRST_BITS: u32 = 6;
const FIRST: usize = 1 << FIRST_BITS;
/// From here on a part is worth large pages, two megabytes each.
const LARGE_BYTES: usize = 4 << 20;

pub struct Slab<T> {
    parts: Vec<Vec<T>>,
    len: usize,
}

/// The part that something is in, and its place there.
#[inline]
fn part_of(place: usize) -> (usize, usize) {
    let shifted = place + FIRST;
    let bits = usize::BITS - 1 - shifted.leading_zeros();
    ((bits - FIRST_BITS) as usize, shifted ^ (1 << bits))
}

impl<T> Slab<T> {
    pub fn new() -> Self {
        Self { parts: Vec::new(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn get(&self, place: usize) -> Option<&T> {
        let (part, at) = part_of(place);
        self.parts.get(part)?.get(at)
    }

    #[inline]
    pub fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        let (part, at) = part_of(place);
        self.parts.get_mut(part)?.get_mut(at)
    }

    pub fn push(&mut self, value: T) {
        let (part, _) = part_of(self.len);
        if part == self.parts.len() {
            let mut room = Vec::with_capacity(FIRST << part);
            if (FIRST << part) * size_of::<T>() >= LARGE_BYTES {
                in_large_pages(room.spare_capacity_mut());
            }
            self.parts.push(room);
        }
        self.parts[part].push(value);
        self.len += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_a_vector_holds_and_moves_nothing() {
        let mut slab = Slab::new();
        let mut first = None;
        for n in 0..10_000u64 {
            assert_eq!((slab.len(), slab.get(slab.len())), (n as usize, None));
            slab.push([n; 128]);
            let at = std::ptr::from_ref(slab.get(0).unwrap());
            assert_eq!(*first.get_or_insert(at), at);
        }
        for n in 0..10_000u64 {
            assert_eq!(slab.get(n as usize), Some(&[n; 128]));
            *slab.get_mut(n as usize).unwrap() = [n + 1; 128];
            assert_eq!(slab.get(n as usize).unwrap()[127], n + 1);
        }
        assert_eq!(slab.get(usize::MAX >> 1), None);
    }
}
