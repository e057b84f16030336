//! Checks a whole file of vectors as the packet model prints it, byte for byte: wrapping, every hop's forward step,
//! every backward step, the client's opening, the fast header both ways.

use std::fmt;

use serde::Deserialize;
use wayfare_types::Random;
use wayfare_wire::{FastHeader, SLOT, SLOTS, TAGS, fast::FAST_HEADER};

use crate::{BackwardHop, ClientPath, DirectionKeys, ForwardHop, HopKeys, Suite};

#[derive(Deserialize)]
struct Vector {
    suite: String,
    hops: Vec<Hop>,
    forward: Forward,
    backward: Backward,
    fast: Fast,
}

#[derive(Deserialize)]
struct Hop {
    fk: String,
    fiv: String,
    fd: String,
    bk: String,
    biv: String,
    bd: String,
}

#[derive(Deserialize)]
struct Forward {
    counter: String,
    payload: String,
    pad: String,
    bodies: Vec<String>,
}

#[derive(Deserialize)]
struct Backward {
    payload: String,
    steps: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Fast {
    key: String,
    cid: u32,
    packet: String,
}

/// What a file contained, all of it reproduced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Paths, each of one suite and length.
    pub paths: usize,
    /// Bodies that were compared, both directions.
    pub bodies: usize,
    /// Fast headers that were compared.
    pub headers: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { paths, bodies, headers } = self;
        write!(f, "{paths} paths, {bodies} bodies and {headers} headers reproduced byte for byte")
    }
}

/// Reproduces every vector in `json`.
///
/// # Errors
/// The first difference, or what is wrong with the file, as a sentence.
pub fn check(json: &str) -> Result<Summary, String> {
    let vectors: Vec<Vector> = serde_json::from_str(json).map_err(|e| format!("not a file of packet vectors: {e}"))?;
    if vectors.is_empty() {
        return Err("the file holds no vectors".into());
    }
    let mut summary = Summary::default();
    for (i, vector) in vectors.iter().enumerate() {
        let name = |what: String| format!("vector {i} ({}, {} hops): {what}", vector.suite, vector.hops.len());
        check_one(vector, &mut summary).map_err(name)?;
    }
    Ok(summary)
}

fn check_one(vector: &Vector, summary: &mut Summary) -> Result<(), String> {
    let suite = Suite::from_name(&vector.suite).ok_or("unknown suite")?;
    let exit_start = number(&vector.backward.steps.first().ok_or("no backward steps")?.0)?;
    let hops = vector.hops.iter().map(|h| h.keys(suite, exit_start)).collect::<Result<Vec<_>, _>>()?;
    let start = number(&vector.forward.counter)?;
    let mut path = ClientPath::new(&hops, start).ok_or(format!("a path has 1 to {SLOTS} hops"))?;

    let payload = hex(&vector.forward.payload)?;
    let mut body = vec![0xee; TAGS];
    body.extend_from_slice(&payload);
    let mut pad = Pad(hex(&vector.forward.pad)?);
    if pad.0.len() != (SLOTS - hops.len()) * SLOT {
        return Err("the pad fills other slots than the free ones".into());
    }
    let mut counter = path.wrap(&mut body, &mut pad).map_err(|r| r.name())?;
    same("counter", &counter, &start)?;
    if vector.forward.bodies.len() != hops.len() + 1 || vector.backward.steps.len() != hops.len() {
        return Err("not as many steps as hops".into());
    }
    same("wrapped body", &body, &hex(&vector.forward.bodies[0])?)?;
    check_fast(&vector.fast, counter, &body)?;
    for (i, keys) in hops.iter().enumerate() {
        let mut hop = ForwardHop::new(suite, &keys.forward);
        let before = (counter, body.clone());
        counter = hop.open(counter, &mut body).map_err(|r| format!("forward hop {i}: {}", r.name()))?;
        same(&format!("forward body after hop {i}"), &body, &hex(&vector.forward.bodies[i + 1])?)?;
        if hop.open(before.0, &mut before.1.clone()).is_ok() {
            return Err(format!("forward hop {i} takes the packet twice"));
        }
    }
    same("payload at the exit", &body[TAGS..], &payload[..])?;

    let payload = hex(&vector.backward.payload)?;
    let mut body = vec![0xee; TAGS];
    body.extend_from_slice(&payload);
    let mut counter = 0;
    for (i, (step, keys)) in vector.backward.steps.iter().zip(hops.iter().rev()).enumerate() {
        let mut hop = BackwardHop::new(suite, &keys.backward, keys.backward_start);
        let sealed = if i == 0 { hop.origin(&mut body) } else { hop.seal(counter, &mut body) };
        counter = sealed.map_err(|r| format!("backward step {i}: {}", r.name()))?;
        same(&format!("counter after backward step {i}"), &counter, &number(&step.0)?)?;
        same(&format!("body after backward step {i}"), &body, &hex(&step.1)?)?;
    }
    path.open(counter, &mut body).map_err(|e| format!("the client refuses layer {:?}", e.layer))?;
    same("payload at the client", &body[TAGS..], &payload[..])?;
    summary.paths += 1;
    summary.headers += 1;
    summary.bodies += 2 * hops.len() + 1;
    Ok(())
}

fn check_fast(fast: &Fast, counter: u64, body: &[u8]) -> Result<(), String> {
    let expected = hex(&fast.packet)?;
    let epoch = expected.first().ok_or("an empty fast packet")? & 3;
    let header = FastHeader::new(&array(&fast.key)?, epoch);
    let mut packet = vec![0; FAST_HEADER];
    packet.extend_from_slice(body);
    header.put(&mut packet, fast.cid, counter).map_err(|r| r.name())?;
    same("fast packet", &packet, &expected)?;
    same("fast header", &header.get(&packet), &Ok((fast.cid, counter)))
}

impl Hop {
    fn keys(&self, suite: Suite, backward_start: u64) -> Result<HopKeys, String> {
        let direction = |key: &str, iv: &str, step: &str| {
            let key = hex(key)?;
            if key.len() != suite.key_bytes() {
                return Err(format!("a key of {} bytes", key.len()));
            }
            let mut keys = DirectionKeys { key: [0; 32], iv: array(iv)?, step: number(step)? };
            keys.key[..key.len()].copy_from_slice(&key);
            Ok(keys)
        };
        Ok(HopKeys {
            suite,
            forward: direction(&self.fk, &self.fiv, &self.fd)?,
            backward: direction(&self.bk, &self.biv, &self.bd)?,
            backward_start,
        })
    }
}

/// Gives the vector's own padding.
struct Pad(Vec<u8>);

impl Random for Pad {
    fn fill(&mut self, out: &mut [u8]) {
        let taken = self.0.drain(..out.len().min(self.0.len()));
        out.iter_mut().zip(taken).for_each(|(o, b)| *o = b);
    }
}

fn same<T: PartialEq + ?Sized>(what: &str, got: &T, expected: &T) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("another {what}")) }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("'{text}' is no 64-bit number"))
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digit = |b: u8| (b as char).to_digit(16).ok_or_else(|| format!("'{}' is no hex digit", b as char));
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|p| Ok((digit(p[0])? << 4 | digit(*p.get(1).ok_or("half a byte of hex")?)?) as u8)).collect()
}

fn array<const N: usize>(text: &str) -> Result<[u8; N], String> {
    hex(text)?.try_into().map_err(|b: Vec<u8>| format!("{} bytes instead of {N}", b.len()))
}
