//! Which circuits run between which neighbours, and which of them the next packet is of.

use wayfare_testkit::Seeded;
use wayfare_types::Random;
use wayfare_wire::SizeClass;
use wayfare_wire::fast::FAST_HEADER;

use crate::Fault;

/// A relay's load.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Circuits through the relay; each packet is of one drawn at random.
    pub circuits: usize,
    /// Two are a pair: all circuits lead from one to the other. Among more, each circuit's two ends are drawn.
    pub neighbours: usize,
    pub class: SizeClass,
    /// Threads of the relay that move packets.
    pub shards: usize,
}

/// The floor names a neighbour in seven bits.
pub const NEIGHBOURS_MAX: usize = 128;
/// As many as a node takes by its default.
pub const CIRCUITS_MAX: usize = 100_000;

/// Which way a packet goes along its circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client's side: the relay opens a layer.
    Forward,
    /// Towards it: the relay adds one.
    Backward,
}

/// What a neighbour's next packet is.
#[derive(Clone, Copy, Debug)]
pub struct Drawn {
    pub circuit: usize,
    pub way: Way,
    /// The neighbour that it goes on to.
    pub to: usize,
}

/// See the module's first paragraph.
pub struct Plan {
    /// Per circuit, the neighbour on the client's side and the one on the exit's.
    ends: Vec<[u16; 2]>,
    /// Per neighbour, the circuits that touch it.
    touching: Vec<Vec<u32>>,
}

impl Case {
    /// Bytes of a packet on a fast link.
    pub fn packet_bytes(&self) -> usize {
        FAST_HEADER + self.class.body_bytes()
    }
}

impl Plan {
    /// The same case gives the same plan.
    ///
    /// # Errors
    /// A case beyond the limits above.
    pub fn new(case: &Case) -> Result<Self, Fault> {
        if !(2..=NEIGHBOURS_MAX).contains(&case.neighbours) {
            return Err(format!("a relay stands between 2 and {NEIGHBOURS_MAX} neighbours, not {}", case.neighbours));
        }
        if !(1..=CIRCUITS_MAX).contains(&case.circuits) {
            return Err(format!("a relay is measured with 1 to {CIRCUITS_MAX} circuits, not {}", case.circuits));
        }
        let mut random = Seeded::new(4);
        let mut below = |limit: usize| (random.next_u64() % limit as u64) as u16;
        let ends: Vec<[u16; 2]> = (0..case.circuits)
            .map(|_| {
                if case.neighbours == 2 {
                    return [0, 1];
                }
                let (client, other) = (below(case.neighbours), below(case.neighbours - 1));
                [client, other + u16::from(other >= client)]
            })
            .collect();
        let mut touching = vec![Vec::new(); case.neighbours];
        for (circuit, ends) in ends.iter().enumerate() {
            ends.iter().for_each(|&end| touching[usize::from(end)].push(circuit as u32));
        }
        Ok(Self { ends, touching })
    }

    pub fn neighbours(&self) -> usize {
        self.touching.len()
    }

    /// Per circuit, the neighbour on the client's side and the one on the exit's.
    pub fn ends(&self, circuit: usize) -> [usize; 2] {
        self.ends[circuit].map(usize::from)
    }

    /// Neighbours that have circuits.
    pub fn busy(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.touching.len()).filter(|&n| !self.touching[n].is_empty())
    }

    /// The next packet of a neighbour that has circuits.
    pub fn draw(&self, from: usize, random: &mut Seeded) -> Drawn {
        let touching = &self.touching[from];
        let circuit = touching[(random.next_u64() % touching.len() as u64) as usize] as usize;
        let [client, exit] = self.ends(circuit);
        if client == from {
            Drawn { circuit, way: Way::Forward, to: exit }
        } else {
            Drawn { circuit, way: Way::Backward, to: client }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_draw_is_of_a_circuit_that_touches_the_sender_and_goes_to_its_other_end() {
        let plan = Plan::new(&Case { circuits: 50, neighbours: 7, class: SizeClass::M, shards: 1 }).unwrap();
        let mut random = Seeded::new(1);
        let mut ways = [0, 0];
        for from in plan.busy() {
            for _ in 0..100 {
                let Drawn { circuit, way, to } = plan.draw(from, &mut random);
                let expected = if way == Way::Forward { [from, to] } else { [to, from] };
                assert_eq!(plan.ends(circuit), expected);
                assert_ne!(from, to);
                ways[usize::from(way == Way::Backward)] += 1;
            }
        }
        assert!(ways.iter().all(|&n| n > 100), "both ways: {ways:?}");
    }

    #[test]
    fn what_cannot_be_measured_is_named() {
        for (circuits, neighbours) in [(0, 2), (1, 1), (1, NEIGHBOURS_MAX + 1), (CIRCUITS_MAX + 1, 2)] {
            assert!(Plan::new(&Case { circuits, neighbours, class: SizeClass::M, shards: 1 }).is_err());
        }
    }
}
