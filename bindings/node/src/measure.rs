//! What `wayfare bench` measures, on threads of its own: a relay beside its floor, and the packet kernels beside theirs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use serde::Serialize;
use wayfare_driver::{Answer, Failure};
use wayfare_measure::kernels::Kernels;
#[cfg(target_os = "linux")]
use wayfare_measure::relay::{Case, Contest};
use wayfare_onion::Suite;

use crate::settle::{Parsed, promise};

fn failed(text: impl Into<String>) -> Failure {
    Failure::new(Failure::SYSTEM, text)
}

/// What a relay is measured under.
#[napi(object)]
pub struct RelayCase {
    pub circuits: u32,
    pub neighbours: u32,
    /// One of the size classes'.
    pub payload_bytes: u32,
}

#[cfg(not(target_os = "linux"))]
struct Contest;

/// A relay of this build and its floor, in this process.
#[napi]
pub struct RelayBench {
    case: RelayCase,
    contest: Arc<Mutex<Option<Contest>>>,
    standing: Arc<AtomicU32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Round {
    floor_ns: f64,
    ours_ns: f64,
    packets: u64,
    lost: u64,
    packet_bytes: u32,
}

#[napi]
impl RelayBench {
    #[napi(constructor)]
    pub fn new(load: RelayCase) -> Self {
        Self { case: load, contest: Arc::default(), standing: Arc::default() }
    }

    /// Circuits that stand so far.
    #[napi(getter)]
    pub fn standing(&self) -> u32 {
        self.standing.load(Ordering::Relaxed)
    }

    /// Starts both sides and sets all circuits up.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn start<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (answer, promise) = promise(env, |()| ())?;
        self.begin(answer);
        Ok(promise)
    }

    /// One round of about so many milliseconds for each side: CPU nanoseconds per packet.
    #[napi(
        ts_return_type = "Promise<{ floorNs: number, oursNs: number, packets: number, lost: number, packetBytes: number }>"
    )]
    pub fn round<'env>(&self, env: &'env Env, ms: u32) -> Result<Object<'env>> {
        let (answer, promise) = promise(env, |round: Round| Parsed::of(&round))?;
        self.measure(answer, Duration::from_millis(ms.into()));
        Ok(promise)
    }

    /// Ends both.
    #[napi]
    pub fn close(&self) {
        let contest = self.contest.clone();
        std::thread::spawn(move || drop(contest.lock().unwrap_or_else(PoisonError::into_inner).take()));
    }
}

#[cfg(target_os = "linux")]
impl RelayBench {
    fn begin(&self, answer: Answer<()>) {
        let (contest, standing) = (self.contest.clone(), self.standing.clone());
        let RelayCase { circuits, neighbours, payload_bytes } = self.case;
        std::thread::spawn(move || {
            let class = wayfare_wire::SizeClass::ALL
                .into_iter()
                .find(|class| class.payload_bytes() == payload_bytes as usize)
                .ok_or_else(|| Failure::new(Failure::INVALID, "no size class has such a payload"));
            let started = class.and_then(|class| {
                let case = Case { circuits: circuits as usize, neighbours: neighbours as usize, class, shards: 1 };
                let mut progress = |count| standing.store(count as u32, Ordering::Relaxed);
                Contest::start(case, Suite::Aes128Gcm, &mut progress).map_err(failed)
            });
            answer.give(started.map(|made| {
                *contest.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
            }));
        });
    }

    fn measure(&self, answer: Answer<Round>, time: Duration) {
        let contest = self.contest.clone();
        std::thread::spawn(move || {
            let mut contest = contest.lock().unwrap_or_else(PoisonError::into_inner);
            let round = contest.as_mut().ok_or_else(|| failed("the measurement has not begun, or has ended")).and_then(
                |contest| {
                    let round = contest.round(time).map_err(failed)?;
                    Ok(Round {
                        floor_ns: round.floor_ns,
                        ours_ns: round.ours_ns,
                        packets: round.packets,
                        lost: contest.lost().1,
                        packet_bytes: contest.packet_bytes() as u32,
                    })
                },
            );
            answer.give(round);
        });
    }
}

#[cfg(not(target_os = "linux"))]
impl RelayBench {
    fn begin(&self, answer: Answer<()>) {
        answer.give(Err(failed("a relay's floor is measured on Linux only: it stands on its segmentation offload")));
    }

    fn measure(&self, answer: Answer<Round>, _: Duration) {
        answer.give(Err(failed("a relay's floor is measured on Linux only")));
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    name: String,
    ours_ns: f64,
    floor_ns: Option<f64>,
}

/// One round of the packet kernels, so many milliseconds for each of them and each floor: CPU nanoseconds per packet.
#[napi(ts_return_type = "Promise<{ name: string, oursNs: number, floorNs: number | null }[]>")]
pub fn bench_kernels<'env>(env: &'env Env, payload_bytes: u32, circuits: u32, ms: u32) -> Result<Object<'env>> {
    let (answer, promise) = promise(env, |figures: Vec<Figures>| Parsed::of(&figures))?;
    std::thread::spawn(move || {
        let kernels = Kernels {
            payload_bytes: vec![payload_bytes as usize],
            client_payload_bytes: vec![payload_bytes as usize],
            circuits: circuits.max(1) as usize,
            rounds: 1,
            time: Duration::from_millis(ms.into()),
            ..Kernels::all()
        };
        let figures = kernels.run(|_, _| {}).map_err(failed).map(|kernels| {
            let one = |k: wayfare_measure::kernels::Kernel| Figures {
                ours_ns: k.ours_ns.first().copied().unwrap_or(f64::NAN),
                floor_ns: k.floor_ns.first().copied(),
                name: k.name,
            };
            kernels.into_iter().map(one).collect()
        });
        answer.give(figures);
    });
    Ok(promise)
}
