//! Credits between neighbours (`wayfare-credit`) as one value with flat calls; its methods are those of `CreditBinding` in
//! ts/core/credit.ts, one for one.

mod options;
pub(crate) use options::config;
mod rows;

use wayfare_credit::{Change, Direction, Ledger, Opening, Refusal, SELF};

use crate::failure::Failure;

/// No amount is larger than 2^53, no time later.
const AMOUNT_MOST: f64 = 9_007_199_254_740_992.0;
/// Numbers per record of `charges`.
const CHARGE: usize = 4;
const REFUSED_RENT: f64 = -1.0;
const REFUSED_FULL: f64 = -2.0;

/// See the module's first paragraph.
pub struct EmbeddedCredit {
    /// Until it is closed.
    state: Option<Box<State>>,
}

struct State {
    ledger: Ledger,
    /// What has not been taken yet, from `taken` on.
    changes: Vec<Change>,
    taken: usize,
    /// Charges that were no amounts.
    malformed: u64,
}

fn refused(refusal: Refusal) -> Failure {
    let code = if refusal == Refusal::Full { "credit_full" } else { Failure::INVALID };
    Failure { code, text: refusal.to_string() }
}

fn invalid(error: impl ToString) -> Failure {
    Failure::invalid(error.to_string())
}

fn time(now_us: f64) -> Result<u64, Failure> {
    crate::options::time(now_us, "now_us")
}

fn neighbour(number: f64) -> Result<u32, Failure> {
    crate::options::id(number, "a neighbour")
}

fn connection(number: f64) -> Result<u32, Failure> {
    crate::options::id(number, "a connection")
}

/// An end of a connection.
fn end(number: f64) -> Result<u32, Failure> {
    if number == -1.0 { Ok(SELF) } else { neighbour(number) }
}

fn direction(number: f64) -> Result<Direction, Failure> {
    match number {
        0.0 => Ok(Direction::Forward),
        1.0 => Ok(Direction::Backward),
        _ => Err(Failure::invalid(format!("a direction is 0 or 1, not {number}"))),
    }
}

/// What another node announced: what is no class becomes one that there is not.
fn announced(number: f64) -> u8 {
    if (0.0..255.0).contains(&number) && number.fract() == 0.0 { number as u8 } else { u8::MAX }
}

fn amount(number: f64, what: &str) -> Result<u64, Failure> {
    count(number).ok_or_else(|| Failure::invalid(format!("{what} is from 0 to 2^53, not {number}")))
}

/// A whole amount; `None` for what is none.
fn count(number: f64) -> Option<u64> {
    ((0.0..=AMOUNT_MOST).contains(&number)).then_some(number as u64)
}

impl State {
    fn charge(&mut self, record: &[f64; CHARGE]) -> bool {
        let [connection, direction, credits, bytes] = *record;
        let (Ok(direction), Some(credits), Some(bytes)) = (self::direction(direction), count(credits), count(bytes))
        else {
            self.malformed += 1;
            return false;
        };
        // What is no id names nothing, and is counted as that.
        let connection = crate::options::id(connection, "").unwrap_or(SELF);
        self.ledger.charge(connection, direction, credits, bytes)
    }
}

impl EmbeddedCredit {
    /// `options_json` is `CreditOptions`.
    pub fn new(options_json: &str, random_seed: &[u8], now_us: f64) -> Result<Self, Failure> {
        let seed = crate::options::seed(random_seed, "a seed of randomness")?;
        let mut word = [0; 8];
        word.copy_from_slice(&seed[..8]);
        let config = options::config(options_json)?;
        let ledger = Ledger::new(config, u64::from_le_bytes(word), time(now_us)?).map_err(invalid)?;
        let state = State { ledger, changes: Vec::new(), taken: 0, malformed: 0 };
        Ok(Self { state: Some(Box::new(state)) })
    }

    fn state(&mut self) -> Result<&mut State, Failure> {
        self.state
            .as_deref_mut()
            .ok_or_else(|| Failure { code: Failure::CLOSED, text: "the credits are closed; make others".into() })
    }

    fn ledger(&mut self) -> Result<&mut Ledger, Failure> {
        Ok(&mut self.state()?.ledger)
    }

    pub fn configure(&mut self, now_us: f64, json: &str) -> Result<(), Failure> {
        let ledger = self.ledger()?;
        let config = options::changed(json, ledger.config())?;
        ledger.configure(time(now_us)?, config).map_err(invalid)
    }

    pub fn neighbour_add(&mut self, now_us: f64, opening: &[f64]) -> Result<u32, Failure> {
        let of = |place: usize, what| amount(opening.get(place).copied().unwrap_or(0.0), what);
        let value = rows::of_octaves(opening.get(3).copied().unwrap_or(0.0));
        let opening = Opening {
            account: of(0, "an account")?,
            mirror: of(1, "a mirror")?,
            contributed: of(2, "a contribution")?,
            value: value.ok_or_else(|| Failure::invalid("a value is a number"))?,
            expected: of(4, "an increase")?,
        };
        self.ledger()?.neighbour_add(time(now_us)?, opening).map_err(refused)
    }

    pub fn neighbour_remove(&mut self, now_us: f64, neighbour: f64) -> Result<(), Failure> {
        self.ledger()?.neighbour_remove(time(now_us)?, self::neighbour(neighbour)?).map_err(refused)
    }

    pub fn neighbour_expect(&mut self, now_us: f64, neighbour: f64, per_second: f64) -> Result<(), Failure> {
        let per_second = amount(per_second, "an increase")?;
        self.ledger()?.neighbour_expect(time(now_us)?, self::neighbour(neighbour)?, per_second).map_err(refused)
    }

    pub fn neighbour_report(
        &mut self,
        now_us: f64,
        neighbour: f64,
        balance: f64,
        per_second: f64,
    ) -> Result<bool, Failure> {
        let (balance, per_second) = (count(balance).unwrap_or(u64::MAX), count(per_second).unwrap_or(u64::MAX));
        let (now_us, neighbour) = (time(now_us)?, self::neighbour(neighbour)?);
        self.ledger()?.neighbour_report(now_us, neighbour, balance, per_second).map_err(refused)
    }

    pub fn account(&mut self, now_us: f64, neighbour: f64) -> Result<f64, Failure> {
        let balance = self.ledger()?.account(time(now_us)?, self::neighbour(neighbour)?);
        balance.map(|balance| balance as f64).map_err(refused)
    }

    pub fn mirror(&mut self, now_us: f64, neighbour: f64) -> Result<f64, Failure> {
        let balance = self.ledger()?.mirror(time(now_us)?, self::neighbour(neighbour)?);
        balance.map(|balance| balance as f64).map_err(refused)
    }

    pub fn spend(&mut self, now_us: f64, neighbour: f64, credits: f64) -> Result<f64, Failure> {
        let credits = amount(credits, "an amount")?;
        let paid = self.ledger()?.spend(time(now_us)?, self::neighbour(neighbour)?, credits);
        paid.map(|paid| paid as f64).map_err(refused)
    }

    pub fn earn(&mut self, now_us: f64, neighbour: f64, credits: f64) -> Result<f64, Failure> {
        let credits = amount(credits, "an amount")?;
        let paid = self.ledger()?.earn(time(now_us)?, self::neighbour(neighbour)?, credits);
        paid.map(|paid| paid as f64).map_err(refused)
    }

    pub fn connection_open(&mut self, now_us: f64, previous: f64, next: f64, class: f64) -> Result<f64, Failure> {
        let (now_us, previous, next) = (time(now_us)?, end(previous)?, end(next)?);
        let State { ledger, changes, .. } = self.state()?;
        match ledger.connection_open(now_us, previous, next, announced(class), changes) {
            Ok(id) => Ok(id.into()),
            Err(Refusal::Rent) => Ok(REFUSED_RENT),
            Err(Refusal::TableFull) => Ok(REFUSED_FULL),
            Err(refusal) => Err(refused(refusal)),
        }
    }

    pub fn connection_announced(
        &mut self,
        now_us: f64,
        connection: f64,
        direction: f64,
        class: f64,
    ) -> Result<bool, Failure> {
        let (now_us, direction) = (time(now_us)?, self::direction(direction)?);
        let connection = crate::options::id(connection, "").unwrap_or(SELF);
        let State { ledger, changes, .. } = self.state()?;
        Ok(ledger.connection_announced(now_us, connection, direction, announced(class), changes))
    }

    pub fn connection_own(&mut self, now_us: f64, connection: f64, own: f64) -> Result<(), Failure> {
        let (now_us, connection) = (time(now_us)?, self::connection(connection)?);
        let State { ledger, changes, .. } = self.state()?;
        ledger.connection_own(now_us, connection, announced(own), changes).map_err(refused)
    }

    pub fn connection_keep(&mut self, now_us: f64, connection: f64) -> Result<(), Failure> {
        let (now_us, connection) = (time(now_us)?, self::connection(connection)?);
        let State { ledger, changes, .. } = self.state()?;
        ledger.connection_keep(now_us, connection, changes).map_err(refused)
    }

    pub fn connection_close(&mut self, now_us: f64, connection: f64) -> Result<(), Failure> {
        self.ledger()?.connection_close(time(now_us)?, self::connection(connection)?).map_err(refused)
    }

    pub fn charge(&mut self, connection: f64, direction: f64, credits: f64, bytes: f64) -> Result<(), Failure> {
        self.state()?.charge(&[connection, direction, credits, bytes]);
        Ok(())
    }

    pub fn charges(&mut self, records: &[f64], count: f64) -> Result<u32, Failure> {
        let count = crate::options::id(count, "a count of records")? as usize;
        let state = self.state()?;
        let records = records.as_chunks::<CHARGE>().0.iter().take(count);
        Ok(records.map(|record| u32::from(state.charge(record))).sum())
    }

    pub fn weight(&mut self, connection: f64, direction: f64) -> Result<u32, Failure> {
        let (connection, direction) = (self::connection(connection)?, self::direction(direction)?);
        Ok(self.ledger()?.weight(connection, direction))
    }

    pub fn weights(&mut self, out: &mut [u32]) -> Result<u32, Failure> {
        let weights = self.ledger()?.weights();
        let ids = weights.len() as u32;
        for (place, weight) in out.as_chunks_mut::<2>().0.iter_mut().zip(weights) {
            *place = weight;
        }
        Ok(ids)
    }

    pub fn settle(&mut self, now_us: f64) -> Result<u32, Failure> {
        let now_us = time(now_us)?;
        let State { ledger, changes, taken, .. } = self.state()?;
        ledger.settle(now_us, changes);
        Ok((changes.len() - *taken) as u32)
    }

    pub fn changes(&mut self, out: &mut [f64]) -> Result<u32, Failure> {
        let State { changes, taken, .. } = self.state()?;
        let mut count = 0;
        for (place, &change) in out.as_chunks_mut().0.iter_mut().zip(&changes[*taken..]) {
            *place = rows::change(change);
            count += 1;
        }
        *taken += count;
        if *taken == changes.len() {
            changes.clear();
            *taken = 0;
        }
        Ok(count as u32)
    }

    pub fn neighbour(&mut self, now_us: f64, neighbour: f64, out: &mut [f64]) -> Result<(), Failure> {
        let row = self.ledger()?.neighbour(time(now_us)?, self::neighbour(neighbour)?).map_err(refused)?;
        put(out, rows::neighbour(&row))
    }

    pub fn neighbours(&mut self, now_us: f64, from: f64, out: &mut [f64]) -> Result<u32, Failure> {
        let (now_us, from) = (time(now_us)?, neighbour(from)?);
        let ledger = self.ledger()?;
        Ok(page::<{ rows::NEIGHBOUR }>(out, from, |from| {
            ledger.neighbour_from(now_us, from).map(|row| (row.neighbour, rows::neighbour(&row)))
        }))
    }

    pub fn connection(&mut self, connection: f64, out: &mut [f64]) -> Result<(), Failure> {
        let row = self.ledger()?.connection_row(self::connection(connection)?).map_err(refused)?;
        put(out, rows::connection(&row))
    }

    pub fn connections(&mut self, from: f64, out: &mut [f64]) -> Result<u32, Failure> {
        let from = connection(from)?;
        let ledger = self.ledger()?;
        Ok(page::<{ rows::CONNECTION }>(out, from, |from| {
            ledger.connection_from(from).map(|row| (row.connection, rows::connection(&row)))
        }))
    }

    pub fn books(&mut self, now_us: f64, out: &mut [f64]) -> Result<(), Failure> {
        let books = self.ledger()?.books(time(now_us)?);
        put(out, rows::books(&books))
    }

    pub fn digest(&mut self) -> Result<String, Failure> {
        Ok(format!("{:016x}", self.ledger()?.digest()))
    }

    pub fn stats(&mut self) -> Result<String, Failure> {
        let State { ledger, malformed, .. } = self.state()?;
        Ok(rows::stats(ledger, *malformed))
    }

    pub fn close(&mut self) {
        self.state = None;
    }
}

/// One row, which must fit.
fn put<const N: usize>(out: &mut [f64], row: [f64; N]) -> Result<(), Failure> {
    let place = out.first_chunk_mut().ok_or_else(|| Failure::invalid(format!("a row takes {N} numbers")))?;
    *place = row;
    Ok(())
}

/// Fills a page of rows from an id on; where to go on, 0 at the end. Rows that are left begin with -1.
fn page<const N: usize>(out: &mut [f64], mut from: u32, mut next: impl FnMut(u32) -> Option<(u32, [f64; N])>) -> u32 {
    let mut more = true;
    for place in out.as_chunks_mut::<N>().0 {
        place[0] = -1.0;
        match next(from).filter(|_| more) {
            Some((id, row)) => (*place, from) = (row, id + 1),
            None => more = false,
        }
    }
    if more { next(from).map_or(0, |(id, _)| id) } else { 0 }
}
