//! Weighted choice: buckets of like weight, each with its exact sum. A draw takes a few steps however many entries there are, and
//! an update moves one entry.

use wayfare_types::Random;

/// Weights are below this; larger ones are taken as the largest.
pub const WEIGHT_MAX: u64 = (1 << 44) - 1;
/// Entries at most, so that no sum overflows.
pub const ENTRIES_MAX: usize = 1 << 20;
/// Draws inside a bucket before the one at hand is taken: only a generator that does not vary gets so far.
const DRAWS_MAX: u32 = 1 << 12;

/// How an entry is drawn inside its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Within {
    /// Each alike: its share is the bucket's mean.
    #[default]
    Uniform,
    /// In proportion to its weight.
    Exact,
}

#[derive(Clone, Copy)]
struct Entry {
    weight: u64,
    id: u32,
}

struct Bucket {
    class: u8,
    entries: Vec<Entry>,
}

/// Buckets whose owner keeps each entry's place.
pub struct Buckets {
    octaves: u32,
    /// Where a class is in the two below; 255 for nowhere.
    places: [u8; 44],
    /// Heaviest first, as are the buckets: together they fit a cache line or two.
    sums: Vec<u64>,
    buckets: Vec<Bucket>,
    total: u64,
    len: usize,
}

/// Uniform below `limit`, to within 2^-64 of its share.
#[inline]
pub fn below<R: Random + ?Sized>(limit: u64, random: &mut R) -> u64 {
    ((u128::from(random.next_u64()) * u128::from(limit)) >> 64) as u64
}

impl Buckets {
    /// Weights within a factor of `2^octaves` share a bucket; from 1 to 8.
    pub fn new(octaves: u32) -> Self {
        Self {
            octaves: octaves.clamp(1, 8),
            places: [u8::MAX; 44],
            sums: Vec::new(),
            buckets: Vec::new(),
            total: 0,
            len: 0,
        }
    }

    /// The sum of all weights.
    #[inline]
    pub fn total(&self) -> u64 {
        self.total
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn class(&self, weight: u64) -> u8 {
        let log = weight.ilog2();
        (if self.octaves == 1 { log } else { log / self.octaves }) as u8
    }

    fn place(&mut self, class: u8) -> usize {
        let place = self.places[usize::from(class)];
        if place != u8::MAX {
            return usize::from(place);
        }
        let place = self.buckets.partition_point(|b| b.class > class);
        self.buckets.insert(place, Bucket { class, entries: Vec::new() });
        self.sums.insert(place, 0);
        for (place, bucket) in self.buckets.iter().enumerate().skip(place) {
            self.places[usize::from(bucket.class)] = place as u8;
        }
        place
    }

    /// Adds an entry of a weight from 1 to [`WEIGHT_MAX`]; its index, by which it is changed and removed.
    #[inline]
    pub fn insert(&mut self, weight: u64, id: u32) -> u32 {
        debug_assert!((1..=WEIGHT_MAX).contains(&weight) && self.len < ENTRIES_MAX);
        let place = self.place(self.class(weight));
        self.sums[place] += weight;
        self.total += weight;
        self.len += 1;
        let entries = &mut self.buckets[place].entries;
        entries.push(Entry { weight, id });
        entries.len() as u32 - 1
    }

    /// Removes the entry of this weight and index; the id that has the index now, if another one moved there.
    #[inline]
    pub fn remove(&mut self, weight: u64, index: u32) -> Option<u32> {
        let place = usize::from(self.places[usize::from(self.class(weight))]);
        self.sums[place] -= weight;
        self.total -= weight;
        self.len -= 1;
        let entries = &mut self.buckets[place].entries;
        entries.swap_remove(index as usize);
        entries.get(index as usize).map(|moved| moved.id)
    }

    /// Gives an entry another weight without moving it; false where that takes another bucket.
    #[inline]
    pub fn change(&mut self, weight: u64, index: u32, to: u64) -> bool {
        let class = self.class(weight);
        if class != self.class(to) {
            return false;
        }
        let place = usize::from(self.places[usize::from(class)]);
        self.buckets[place].entries[index as usize].weight = to;
        self.sums[place] = self.sums[place] - weight + to;
        self.total = self.total - weight + to;
        true
    }

    /// An id, in proportion to the weights (`Exact`) or to the means of their buckets.
    #[inline]
    pub fn draw<R: Random + ?Sized>(&self, within: Within, random: &mut R) -> Option<u32> {
        if self.total == 0 {
            return None;
        }
        let position = u128::from(random.next_u64()) * u128::from(self.total);
        let mut left = (position >> 64) as u64;
        let mut place = 0;
        while left >= self.sums[place] {
            left -= self.sums[place];
            place += 1;
        }
        let Bucket { class, entries } = &self.buckets[place];
        let bits = (u32::from(*class) + 1) * self.octaves;
        // Where the number fell inside the bucket's sum is uniform, too: which entry, and how far into it.
        let into = left as f64 + position as u64 as f64 * (1.0 / (1u128 << 64) as f64);
        let at = into * (entries.len() as f64 / self.sums[place] as f64);
        let index = (at as usize).min(entries.len() - 1);
        let entry = &entries[index];
        if within == Within::Uniform || (at - index as f64) * ((1u64 << bits) as f64) < entry.weight as f64 {
            return Some(entry.id);
        }
        for _ in 0..DRAWS_MAX {
            // The high half of the product is the index, the low half as good as independent of it.
            let product = u128::from(random.next_u64()) * entries.len() as u128;
            let entry = &entries[(product >> 64) as usize];
            if (product as u64) >> (64 - bits) < entry.weight {
                return Some(entry.id);
            }
        }
        entries.first().map(|entry| entry.id)
    }

    /// What an entry of this weight counts for in a draw.
    pub fn share(&self, weight: u64, within: Within) -> f64 {
        let place = if weight == 0 { u8::MAX } else { self.places[usize::from(self.class(weight))] };
        match (self.buckets.get(usize::from(place)), within) {
            (Some(bucket), Within::Uniform) if !bucket.entries.is_empty() => {
                self.sums[usize::from(place)] as f64 / bucket.entries.len() as f64
            }
            _ => weight as f64,
        }
    }

    /// Every id with its weight.
    pub fn entries(&self) -> impl Iterator<Item = (u32, u64)> {
        self.buckets.iter().flat_map(|b| b.entries.iter().map(|e| (e.id, e.weight)))
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        let entries: usize = self.buckets.iter().map(|b| b.entries.capacity() * size_of::<Entry>()).sum();
        entries + self.buckets.capacity() * size_of::<Bucket>() + self.sums.capacity() * 8
    }
}

#[derive(Clone, Copy, Default)]
struct Place {
    /// 0: not in any bucket.
    weight: u64,
    index: u32,
}

/// Buckets over dense ids, which remember where each id is.
pub struct WeightedIds {
    buckets: Buckets,
    places: Vec<Place>,
}

impl WeightedIds {
    /// See [`Buckets::new`].
    pub fn new(octaves: u32) -> Self {
        Self { buckets: Buckets::new(octaves), places: Vec::new() }
    }

    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// 0 for what has none.
    pub fn weight(&self, id: u32) -> u64 {
        self.places.get(id as usize).map_or(0, |place| place.weight)
    }

    /// Gives an id (below [`ENTRIES_MAX`]) a weight; what is too large counts as [`WEIGHT_MAX`], 0 takes it out.
    #[inline]
    pub fn set(&mut self, id: u32, weight: u64) {
        debug_assert!((id as usize) < ENTRIES_MAX);
        let weight = weight.min(WEIGHT_MAX);
        if self.places.len() <= id as usize {
            self.places.resize(id as usize + 1, Place::default());
        }
        let old = self.places[id as usize];
        if old.weight != 0 {
            if weight != 0 && self.buckets.change(old.weight, old.index, weight) {
                self.places[id as usize].weight = weight;
                return;
            }
            if let Some(moved) = self.buckets.remove(old.weight, old.index) {
                self.places[moved as usize].index = old.index;
            }
        }
        let index = if weight == 0 { 0 } else { self.buckets.insert(weight, id) };
        self.places[id as usize] = Place { weight, index };
    }

    /// See [`Buckets::draw`].
    #[inline]
    pub fn draw<R: Random + ?Sized>(&self, within: Within, random: &mut R) -> Option<u32> {
        self.buckets.draw(within, random)
    }
}
