//! Which core does what: the middle has the last one, so that the generator disturbs it only through the shared cache.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Runs `start`, whose threads inherit it, on the cores of the middle; the calling thread comes back to where it was.
pub fn on_middle<T>(start: impl FnOnce() -> T) -> T {
    let before = sched_getaffinity(None).ok();
    let cores: Vec<usize> = before.iter().flat_map(|set| (0..CpuSet::MAX_CPU).filter(|&n| set.is_set(n))).collect();
    let moved = cores.len() > 1 && cores.last().is_some_and(|&last| keep_to(&[last]));
    let started = start();
    if moved && let Some(before) = before {
        let _ = sched_setaffinity(None, &before);
    }
    started
}

/// Keeps the calling thread off the middle's core for as long as `work` runs.
pub fn off_middle<T>(work: impl FnOnce() -> T) -> T {
    let before = sched_getaffinity(None).ok();
    let cores: Vec<usize> = before.iter().flat_map(|set| (0..CpuSet::MAX_CPU).filter(|&n| set.is_set(n))).collect();
    let moved = cores.len() > 1 && keep_to(&cores[..cores.len() - 1]);
    let done = work();
    if moved && let Some(before) = before {
        let _ = sched_setaffinity(None, &before);
    }
    done
}

fn keep_to(cores: &[usize]) -> bool {
    let mut set = CpuSet::new();
    cores.iter().for_each(|&core| set.set(core));
    sched_setaffinity(None, &set).is_ok()
}
