//! The draw: which hop, by the two weights, without what is excluded.

use wayfare_types::Random;

use crate::egress::{Egress, Refusal};
use crate::ids::DestinationId;
use crate::state::NONE;
use crate::weighting::Combine;

/// How a hop was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The tuple had it.
    Sticky,
    /// By what it moved for all destinations.
    ByAll,
    /// By what it moved for this one, or by both.
    ByDestination,
    Uniform,
    /// Everything was excluded.
    Forced,
    /// The caller named it.
    Given,
}

/// Draws that are rejected before what is left is looked through.
const REJECTED_MAX: u32 = 16;

/// What a draw leaves out. At each level something more is let in again.
#[derive(Clone, Copy)]
struct Left<'a> {
    level: u8,
    destination: u32,
    avoid: &'a [u32],
    /// By a retry's chain.
    tried: &'a [(u32, u32)],
}

const WITHOUT_PAIRS: u8 = 1;
const WITHOUT_LISTS: u8 = 2;
const WITHOUT_VERDICTS: u8 = 3;

/// In `0..1`.
#[inline]
fn unit<R: Random + ?Sized>(random: &mut R) -> f64 {
    (random.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Whether something of this probability happens; asks for no randomness where it is sure.
#[inline]
fn happens<R: Random + ?Sized>(probability: f64, random: &mut R) -> bool {
    probability >= 1.0 || (probability > 0.0 && unit(random) < probability)
}

impl Egress {
    /// Draws as many distinct hops as there is room for, or as the window has; how many, and how the first was come by.
    pub fn draw<R: Random + ?Sized>(
        &mut self,
        now_us: u64,
        destination: DestinationId,
        avoid: &[u32],
        out: &mut [u32],
        random: &mut R,
    ) -> Result<(usize, How), Refusal> {
        self.at(now_us);
        let destination = self.known(destination)?;
        if self.window.is_empty() {
            return Err(Refusal::WindowEmpty);
        }
        let most = out.len().min(self.window.len());
        if let [only] = &mut out[..most] {
            let (hop, how) = self.choose(destination, avoid, &[], random).ok_or(Refusal::WindowEmpty)?;
            *only = hop;
            return Ok((1, how));
        }
        let mut avoid = avoid.to_vec();
        let (mut drawn, mut first) = (0, How::Uniform);
        for place in &mut out[..most] {
            let (hop, how) = self.choose(destination, &avoid, &[], random).ok_or(Refusal::WindowEmpty)?;
            if drawn == 0 {
                first = how;
            } else if how == How::Forced {
                // Only the first may be one that is to be avoided.
                break;
            }
            *place = hop;
            drawn += 1;
            avoid.push(hop);
        }
        Ok((drawn, first))
    }

    /// One hop of the window; `None` where it is empty.
    #[inline]
    pub(crate) fn choose<R: Random + ?Sized>(
        &mut self,
        destination: u32,
        avoid: &[u32],
        tried: &[(u32, u32)],
        random: &mut R,
    ) -> Option<(u32, How)> {
        self.settle();
        self.refresh_hops();
        self.refresh_destination(destination);
        let mut left = Left { level: 0, destination, avoid, tried };
        if let Some(found) = self.choose_among(&left, random) {
            return Some(found);
        }
        if self.window.is_empty() {
            return None;
        }
        self.counters.forced += 1;
        while left.level < WITHOUT_VERDICTS {
            left.level += 1;
            if let Some((hop, _)) = self.choose_among(&left, random) {
                return Some((hop, How::Forced));
            }
        }
        None
    }

    fn choose_among<R: Random + ?Sized>(&mut self, left: &Left<'_>, random: &mut R) -> Option<(u32, How)> {
        if happens(self.weighting.uniform_share, random)
            && let Some(hop) = self.uniform(left, random)
        {
            return Some((hop, How::Uniform));
        }
        let share = self.weighting.destination_share;
        let seen = !self.destinations[left.destination as usize].buckets.is_empty();
        let by_destination = match self.weighting.combine {
            Combine::Mixture if seen && happens(share, random) => self.by_destination(left, random),
            Combine::Product if seen && happens(share, random) => self.by_product(left, random),
            Combine::Destination => self.by_destination_alone(left, random),
            _ => None,
        };
        if let Some(hop) = by_destination {
            return Some((hop, How::ByDestination));
        }
        if let Some(hop) = self.by_all(left, random) {
            return Some((hop, How::ByAll));
        }
        self.uniform(left, random).map(|hop| (hop, How::Uniform))
    }

    #[inline]
    fn allowed(&self, left: &Left<'_>, hop: u32) -> bool {
        if left.level < WITHOUT_VERDICTS && self.hops[hop as usize].excluded_until_us > self.now_us {
            return false;
        }
        if left.level < WITHOUT_LISTS
            && (left.avoid.contains(&hop)
                || left.tried.iter().any(|&(tried, used)| tried == hop && self.hops[hop as usize].used == used))
        {
            return false;
        }
        if left.level < WITHOUT_PAIRS
            && !self.destinations[left.destination as usize].pairs.is_empty()
            && let Some(pair) = self.find_pair(hop, left.destination)
        {
            let state = &self.pairs[pair as usize];
            return state.excluded_until_us <= self.now_us && !(state.failing && self.weighting.avoid_failed);
        }
        true
    }

    fn by_destination<R: Random + ?Sized>(&mut self, left: &Left<'_>, random: &mut R) -> Option<u32> {
        for _ in 0..REJECTED_MAX {
            let pair = self.destinations[left.destination as usize].buckets.draw(self.weighting.within, random)?;
            let state = &self.pairs[pair as usize];
            let hop = &self.hops[state.hop as usize];
            if !hop.in_window() || hop.used != state.hop_used {
                self.weigh_pair(pair, 0);
            } else if self.allowed(left, state.hop) {
                return Some(state.hop);
            }
        }
        self.pick_pair(left, random, |egress, pair| {
            let state = &egress.pairs[pair as usize];
            egress.destinations[state.destination as usize].buckets.share(state.weight, egress.weighting.within)
        })
    }

    /// By (a) × (b), among the hops with data to the destination.
    fn by_product<R: Random + ?Sized>(&mut self, left: &Left<'_>, random: &mut R) -> Option<u32> {
        self.pick_pair(left, random, |egress, pair| {
            let state = &egress.pairs[pair as usize];
            let within = egress.weighting.within;
            let buckets = &egress.destinations[state.destination as usize].buckets;
            buckets.share(state.weight, within) * egress.tried.buckets().share(egress.tried.weight(state.hop), within)
        })
    }

    /// In proportion to what a destination's pairs weigh, looked through one by one.
    fn pick_pair<R: Random + ?Sized>(
        &mut self,
        left: &Left<'_>,
        random: &mut R,
        weight: impl Fn(&Self, u32) -> f64,
    ) -> Option<u32> {
        let mut found = std::mem::take(&mut self.scratch);
        found.clear();
        for &pair in &self.destinations[left.destination as usize].pairs {
            let state = &self.pairs[pair as usize];
            let hop = &self.hops[state.hop as usize];
            if state.weight > 0 && hop.in_window() && hop.used == state.hop_used && self.allowed(left, state.hop) {
                found.push((state.hop, weight(self, pair)));
            }
        }
        self.pick(found, random)
    }

    /// By (b) as if there were no (a): who is untried at the destination weighs its estimate.
    fn by_destination_alone<R: Random + ?Sized>(&mut self, left: &Left<'_>, random: &mut R) -> Option<u32> {
        let mut found = std::mem::take(&mut self.scratch);
        found.clear();
        for &hop in &self.window {
            let pair = self.find_pair(hop, left.destination).map(|pair| &self.pairs[pair as usize]);
            let weight = match pair {
                Some(pair) if pair.weight > 0 => {
                    self.destinations[left.destination as usize].buckets.share(pair.weight, self.weighting.within)
                }
                Some(pair) if pair.failing => 0.0,
                _ => self.weighting.destination.of_estimate(self.hops[hop as usize].estimate) as f64,
            };
            if weight > 0.0 && self.allowed(left, hop) {
                found.push((hop, weight));
            }
        }
        self.pick(found, random)
    }

    /// What the untried hops weigh together.
    #[inline]
    fn untried_total(&self) -> u64 {
        let (tried, untried) = (self.tried.buckets(), self.untried.buckets());
        if tried.is_empty() {
            return untried.total();
        }
        let mean = tried.total() as f64 / tried.len() as f64;
        let most = self.weighting.untried_most * mean * untried.len() as f64;
        // No number, as with an infinite factor: no limit.
        if most < untried.total() as f64 { most as u64 } else { untried.total() }
    }

    fn by_all<R: Random + ?Sized>(&mut self, left: &Left<'_>, random: &mut R) -> Option<u32> {
        let tried = self.tried.buckets().total();
        let untried = self.untried_total();
        let total = tried.saturating_add(untried);
        if total == 0 {
            return None;
        }
        for _ in 0..REJECTED_MAX {
            let of = if untried == 0 {
                &self.tried
            } else if tried == 0 || crate::buckets::below(total, random) >= tried {
                &self.untried
            } else {
                &self.tried
            };
            let hop = of.draw(self.weighting.within, random)?;
            if self.allowed(left, hop) {
                return Some(hop);
            }
        }
        let part = untried as f64 / self.untried.buckets().total().max(1) as f64;
        let mut found = std::mem::take(&mut self.scratch);
        found.clear();
        for &hop in &self.window {
            let (tried, untried) = (self.tried.weight(hop), self.untried.weight(hop));
            let within = self.weighting.within;
            let weight = if tried > 0 {
                self.tried.buckets().share(tried, within)
            } else if untried > 0 {
                self.untried.buckets().share(untried, within) * part
            } else {
                0.0
            };
            if weight > 0.0 && self.allowed(left, hop) {
                found.push((hop, weight));
            }
        }
        self.pick(found, random)
    }

    fn uniform<R: Random + ?Sized>(&mut self, left: &Left<'_>, random: &mut R) -> Option<u32> {
        let count = self.window.len() as u64;
        for _ in 0..REJECTED_MAX {
            let hop = *self.window.get(crate::buckets::below(count, random) as usize)?;
            if self.allowed(left, hop) {
                return Some(hop);
            }
        }
        let mut found = std::mem::take(&mut self.scratch);
        found.clear();
        found.extend(self.window.iter().filter(|&&hop| self.allowed(left, hop)).map(|&hop| (hop, 1.0)));
        self.pick(found, random)
    }

    /// One of these, in proportion; the list is kept for the next time.
    fn pick<R: Random + ?Sized>(&mut self, found: Vec<(u32, f64)>, random: &mut R) -> Option<u32> {
        let total: f64 = found.iter().map(|(_, weight)| weight).sum();
        let mut picked = NONE;
        if !found.is_empty() {
            let mut at = unit(random) * total;
            for &(hop, weight) in &found {
                picked = hop;
                if at < weight {
                    break;
                }
                at -= weight;
            }
        }
        self.scratch = found;
        (picked != NONE).then_some(picked)
    }
}
