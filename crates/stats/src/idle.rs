//! Which slot has been idle longest: a list through dense ids.

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
}

/// Ids in the order in which they became idle. An id is its own neighbour while it is not in the list.
pub(crate) struct IdleList {
    links: Vec<Link>,
    first: u32,
    last: u32,
    len: usize,
}

impl IdleList {
    pub fn new() -> Self {
        Self { links: Vec::new(), first: NONE, last: NONE, len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The one that has been idle longest.
    pub fn oldest(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    fn holds(&self, id: u32) -> bool {
        self.links.get(id as usize).is_some_and(|link| link.before != id)
    }

    /// At the end, wherever it was.
    pub fn push(&mut self, id: u32) {
        self.remove(id);
        while self.links.len() <= id as usize {
            let own = self.links.len() as u32;
            self.links.push(Link { before: own, after: own });
        }
        self.links[id as usize] = Link { before: self.last, after: NONE };
        match self.last {
            NONE => self.first = id,
            last => self.links[last as usize].after = id,
        }
        self.last = id;
        self.len += 1;
    }

    pub fn remove(&mut self, id: u32) {
        if !self.holds(id) {
            return;
        }
        let Link { before, after } = self.links[id as usize];
        match before {
            NONE => self.first = after,
            before => self.links[before as usize].after = after,
        }
        match after {
            NONE => self.last = before,
            after => self.links[after as usize].before = before,
        }
        self.links[id as usize] = Link { before: id, after: id };
        self.len -= 1;
    }

    pub fn memory_bytes(&self) -> usize {
        self.links.capacity() * size_of::<Link>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_leaves_first_and_a_push_makes_young() {
        let mut list = IdleList::new();
        for id in [3, 0, 2, 3, 1] {
            list.push(id);
        }
        list.remove(2);
        list.remove(2);
        list.remove(9);
        let mut order = Vec::new();
        while let Some(id) = list.oldest() {
            list.remove(id);
            order.push(id);
        }
        assert_eq!((order, list.len()), (vec![0, 3, 1], 0));
    }
}
