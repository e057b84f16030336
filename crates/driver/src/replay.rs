//! The file of set-ups seen, so that a restart does not forget what was answered (threats, row 2).
//!
//! Two generations of one format, records of fixed size: `FILE` is appended to; every ten minutes it becomes
//! `FILE.old`, and the one before is forgotten. Set-ups are accepted for a few minutes around their stamp, so a record
//! that has been replaced twice can no longer matter.
//!
//! Invariant: a record is with the kernel before the answer to its set-up is sent; one node at a time has the file, since two
//! would not see each other's records.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use wayfare_quic::Instant;

const RECORD: usize = 20;
/// Comfortably more than the span of minutes in which a set-up is accepted.
const GENERATION: Duration = Duration::from_secs(600);

/// The open file.
pub struct ReplayFile {
    path: PathBuf,
    file: File,
    rotate_at: Instant,
    /// The system lets go of it however the process ends.
    _lock: File,
}

impl ReplayFile {
    /// Opens or creates the file, and reads what the last run left: `None` where there was no file, which means that
    /// what it knew is lost.
    pub fn open(path: &Path, now: Instant) -> io::Result<(Self, Option<Vec<u8>>)> {
        let lock = lock(path)?;
        let old = fs::read(Self::old(path)).or_else(none_if_missing)?;
        let current = fs::read(path).or_else(none_if_missing)?;
        let known = path.exists();
        let mut file = private().create(true).append(true).open(path)?;
        // A record that a crash cut short was never answered. Fill it up, so that those after it stay aligned.
        let torn = current.len() % RECORD;
        if torn > 0 {
            file.write_all(&[0; RECORD][torn..])?;
        }
        let whole = |mut bytes: Vec<u8>| {
            bytes.truncate(bytes.len() / RECORD * RECORD);
            bytes
        };
        let records = [whole(old), whole(current)].concat();
        let opened = Self { path: path.to_owned(), file, rotate_at: now + GENERATION, _lock: lock };
        Ok((opened, known.then_some(records)))
    }

    /// Appends one record.
    pub fn remember(&mut self, now: Instant, record: &[u8; RECORD]) -> io::Result<()> {
        if now >= self.rotate_at {
            fs::rename(&self.path, Self::old(&self.path))?;
            self.file = private().create(true).append(true).open(&self.path)?;
            self.rotate_at = now + GENERATION;
        }
        self.file.write_all(record)
    }

    fn old(path: &Path) -> PathBuf {
        beside(path, ".old")
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A file of its own, since the records' file is replaced while it is held.
fn lock(path: &Path) -> io::Result<File> {
    let file = private().create(true).append(true).open(beside(path, ".lock"))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "another running node has this data directory"))
        }
        // Where a file system has no locks there is nobody to ask.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

fn none_if_missing(error: io::Error) -> io::Result<Vec<u8>> {
    if error.kind() == io::ErrorKind::NotFound { Ok(Vec::new()) } else { Err(error) }
}

/// Readable by its owner only.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("wayfare-replay-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn records_survive_a_restart_a_torn_write_and_one_rotation() {
        let folder = place("restart");
        let path = folder.join("setups");
        let now = Instant::now();
        let (mut file, known) = ReplayFile::open(&path, now).unwrap();
        assert_eq!(known, None);
        file.remember(now, &[1; 20]).unwrap();
        file.file.write_all(&[9; 7]).unwrap();
        drop(file);

        let (mut file, known) = ReplayFile::open(&path, now).unwrap();
        assert_eq!(known, Some(vec![1; 20]));
        file.remember(now, &[2; 20]).unwrap();
        file.remember(now + GENERATION, &[3; 20]).unwrap();
        drop(file);

        let (_, known) = ReplayFile::open(&path, now).unwrap();
        let records = known.unwrap();
        for wanted in [1, 2, 3] {
            assert!(records.chunks(RECORD).any(|r| r == [wanted; 20]), "{wanted}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn one_node_at_a_time_has_it() {
        let folder = place("lock");
        let path = folder.join("setups");
        let now = Instant::now();
        let (first, _) = ReplayFile::open(&path, now).unwrap();
        assert_eq!(ReplayFile::open(&path, now).err().unwrap().kind(), io::ErrorKind::ResourceBusy);
        drop(first);
        assert!(ReplayFile::open(&path, now).is_ok());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_two_rotations_replaced_is_gone() {
        let folder = place("rotation");
        let path = folder.join("setups");
        let now = Instant::now();
        let (mut file, _) = ReplayFile::open(&path, now).unwrap();
        for generation in 0..3u8 {
            file.remember(now + GENERATION * u32::from(generation), &[generation; 20]).unwrap();
        }
        drop(file);
        let (_, known) = ReplayFile::open(&path, now).unwrap();
        assert_eq!(known, Some([[1; 20], [2; 20]].concat()));
        fs::remove_dir_all(folder).unwrap();
    }
}
