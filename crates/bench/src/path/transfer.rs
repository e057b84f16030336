//! Streams over a path: downloads, uploads, and the time to the first byte.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::{DOWNLOAD, Path, SHORT, UPLOAD, discard, flood, pages, text};
use crate::load::Fault;

/// Slow start and the growth of windows are over by then.
const WARM: Duration = Duration::from_millis(700);

#[derive(Clone, Copy)]
pub struct Run {
    /// What is counted, after [`WARM`].
    pub seconds: f64,
    pub flows: usize,
}

/// Bytes that each flow has moved so far, as far as the receiving end knows.
type Counts = Vec<Arc<AtomicU64>>;

fn read(counts: &Counts) -> Vec<u64> {
    counts.iter().map(|c| c.load(Ordering::Relaxed)).collect()
}

/// Counts over the measured time; what happens meanwhile, happens on other threads.
fn measured(run: Run, counts: &Counts) -> Result<Value, Fault> {
    std::thread::sleep(WARM);
    let (before, start) = (read(counts), Instant::now());
    std::thread::sleep(Duration::try_from_secs_f64(run.seconds).map_err(text)?);
    let (after, took) = (read(counts), start.elapsed());
    let flows: Vec<u64> = after.iter().zip(&before).map(|(a, b)| a - b).collect();
    if flows.iter().sum::<u64>() == 0 {
        return Err("nothing came through".into());
    }
    Ok(json!({
        "gbit_per_s": flows.iter().sum::<u64>() as f64 * 8e-9 / took.as_secs_f64(),
        "flows_bytes": flows,
        // From the first to the last, the time before the measured one included.
        "bytes": after.iter().sum::<u64>(),
        // What this end of the load spent on them.
        "cpu_ns": process_cpu().as_nanos() as u64,
    }))
}

/// All threads of this process, since it began.
fn process_cpu() -> Duration {
    let at = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(at.tv_sec as u64, at.tv_nsec as u32)
}

async fn start(path: Path, run: Run, what: u8) -> Result<Vec<(TcpStream, Arc<AtomicU64>)>, Fault> {
    let mut flows = Vec::new();
    for _ in 0..run.flows {
        flows.push((path.connect_blocking(what).await.map_err(text)?, Arc::default()));
    }
    Ok(flows)
}

fn end(streams: &[TcpStream]) {
    // One that has ended by itself needs no end.
    streams.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
}

pub async fn download(path: Path, run: Run) -> Result<Value, Fault> {
    let flows = start(path, run, DOWNLOAD).await?;
    let (mut streams, mut counts) = (Vec::new(), Counts::new());
    for (stream, count) in flows {
        streams.push(stream.try_clone().map_err(text)?);
        counts.push(count.clone());
        std::thread::spawn(move || {
            let mut room = vec![0; 1 << 20];
            while let Ok(bytes @ 1..) = discard(&stream, &mut room) {
                count.fetch_add(bytes, Ordering::Relaxed);
            }
        });
    }
    let figures = measured(run, &counts);
    end(&streams);
    figures
}

/// What has been sent may be in any buffer on the way: what counts is what the origin says that it has.
pub async fn upload(path: Path, run: Run) -> Result<Value, Fault> {
    let flows = start(path, run, UPLOAD).await?;
    let (mut streams, mut counts) = (Vec::new(), Counts::new());
    for (stream, count) in flows {
        streams.push(stream.try_clone().map_err(text)?);
        counts.push(count.clone());
        let mut told = stream.try_clone().map_err(text)?;
        std::thread::spawn(move || {
            let mut arrived = [0; 8];
            while told.read_exact(&mut arrived).is_ok() {
                count.store(u64::from_be_bytes(arrived), Ordering::Relaxed);
            }
        });
        let zeros = pages().map_err(text)?;
        std::thread::spawn(move || flood(&stream, &zeros));
    }
    let figures = measured(run, &counts);
    end(&streams);
    figures
}

pub async fn first_byte(path: Path, times: usize) -> Result<Value, Fault> {
    let mut took_us = Vec::new();
    for _ in 0..times {
        let start = Instant::now();
        let mut stream = path.connect(SHORT).await.map_err(text)?;
        stream.read_u8().await.map_err(text)?;
        took_us.push(start.elapsed().as_secs_f64() * 1e6);
        // To the end, so that the next one starts on a quiet path.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.map_err(text)?;
    }
    Ok(json!({ "us": took_us }))
}
