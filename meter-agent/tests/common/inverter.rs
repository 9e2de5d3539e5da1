//! A SunSpec inverter that can be limited, and ends a limit by itself when its time is over.
#![allow(dead_code)] // each test uses its part

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use domain::time::ManualClock;
use meter_agent::modbus::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Where the control model begins; before it lie the common model and an inverter.
const CONTROL: u16 = 122;

/// Offsets in the control model: revert timer, limit, enable, and the limit's scale.
struct Layout {
    revert: u16,
    is_wide: bool,
    limit: u16,
    enable: u16,
}

fn layout(model: u16) -> Option<Layout> {
    match model {
        123 => Some(Layout { revert: 7, is_wide: false, limit: 5, enable: 9 }),
        704 => Some(Layout { revert: 18, is_wide: true, limit: 15, enable: 14 }),
        _ => None,
    }
}

struct State {
    registers: BTreeMap<u16, u16>,
    model: u16,
    enabled_at: Option<DateTime<Utc>>,
    ignores_limit: bool,
    writes: usize,
}

/// The running device.
pub(crate) struct Inverter {
    pub(crate) endpoint: Endpoint,
    state: Arc<Mutex<State>>,
    clock: ManualClock,
}

impl Inverter {
    /// The register of the revert timer of model 123.
    pub(crate) const REVERT_123: u16 = CONTROL + 7;
    /// The register of the control model's id.
    pub(crate) const MODEL: u16 = CONTROL;

    /// Starts an inverter with control model 123 or 704; with another number it has none.
    pub(crate) async fn start(model: u16, clock: ManualClock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = Endpoint::Tcp { host: "127.0.0.1".to_owned(), port };
        let state =
            State { registers: registers(model), model, enabled_at: None, ignores_limit: false, writes: 0 };
        let state = Arc::new(Mutex::new(state));
        let (shared, time) = (state.clone(), clock.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone(), time.clone()));
            }
        });
        Self { endpoint, state, clock }
    }

    /// The limit that counts now, in per cent.
    pub(crate) fn limit_percent(&self) -> Option<u16> {
        let mut state = self.state.lock().unwrap();
        state.revert(self.clock.now());
        let layout = layout(state.model)?;
        let is_on = state.registers[&(CONTROL + layout.enable)] == 1;
        is_on.then(|| state.registers[&(CONTROL + layout.limit)] / 100)
    }

    pub(crate) fn writes(&self) -> usize {
        self.state.lock().unwrap().writes
    }

    pub(crate) fn set(&self, register: u16, word: u16) {
        self.state.lock().unwrap().registers.insert(register, word);
    }

    /// From now on it confirms a limit and does not take it.
    pub(crate) fn ignore_limit(&self) {
        self.state.lock().unwrap().ignores_limit = true;
    }
}

fn registers(model: u16) -> BTreeMap<u16, u16> {
    let mut registers = BTreeMap::new();
    let mut put = |address: u16, words: &[u16]| {
        for (offset, word) in (0..).zip(words) {
            registers.insert(address + offset, *word);
        }
    };
    let mut common = vec![0; 68];
    common[..2].copy_from_slice(&[1, 66]);
    let mut inverter = vec![0x8000; 52];
    inverter[..2].copy_from_slice(&[103, 50]);
    put(0, &[0x5375, 0x6e53]);
    put(2, &common);
    put(70, &inverter);
    let (length, scale) = match model {
        123 => (24, 23),
        704 => (65, 54),
        _ => (0, 0),
    };
    if length > 0 {
        let mut control = vec![0; usize::from(length) + 2];
        (control[0], control[1], control[scale]) = (model, length, 0xfffe); // hundredths of a per cent
        put(CONTROL, &control);
        put(CONTROL + length + 2, &[0xffff, 0]);
    } else {
        put(CONTROL, &[0xffff, 0]);
    }
    registers
}

impl State {
    /// Ends a limit whose time is over.
    fn revert(&mut self, now: DateTime<Utc>) {
        let (Some(layout), Some(since)) = (layout(self.model), self.enabled_at) else { return };
        let word = |offset: u16| u32::from(self.registers[&(CONTROL + offset)]);
        let seconds = if layout.is_wide {
            word(layout.revert) << 16 | word(layout.revert + 1)
        } else {
            word(layout.revert)
        };
        // As the model says, zero is for ever.
        if seconds > 0 && now - since >= TimeDelta::seconds(seconds.into()) {
            self.registers.insert(CONTROL + layout.enable, 0);
            self.enabled_at = None;
        }
    }

    fn write(&mut self, address: u16, words: &[u16], now: DateTime<Utc>) {
        self.writes += 1;
        let Some(layout) = layout(self.model) else { return };
        if self.ignores_limit && address == CONTROL + layout.limit {
            return;
        }
        for (offset, word) in (0..).zip(words) {
            self.registers.insert(address + offset, *word);
        }
        if address == CONTROL + layout.enable {
            self.enabled_at = (words == [1]).then_some(now);
        }
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>, clock: ManualClock) {
    loop {
        let mut head = [0; 7];
        if stream.read_exact(&mut head).await.is_err() {
            return;
        }
        let mut pdu = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]])) - 1];
        if stream.read_exact(&mut pdu).await.is_err() {
            return;
        }
        let answer = answer(&pdu, &mut state.lock().unwrap(), clock.now());
        let mut frame = head[..4].to_vec();
        frame.extend(u16::try_from(answer.len() + 1).unwrap().to_be_bytes());
        frame.push(head[6]);
        frame.extend(answer);
        if stream.write_all(&frame).await.is_err() {
            return;
        }
    }
}

fn answer(pdu: &[u8], state: &mut State, now: DateTime<Utc>) -> Vec<u8> {
    state.revert(now);
    let word = |at: usize| u16::from_be_bytes([pdu[at], pdu[at + 1]]);
    let (function, address, count) = (pdu[0], word(1), word(3));
    let all = (address..address + count).map(|register| state.registers.get(&register).copied());
    match (function, all.collect::<Option<Vec<u16>>>()) {
        (3, Some(words)) => {
            let mut answer = vec![3, u8::try_from(words.len() * 2).unwrap()];
            answer.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            answer
        }
        (16, Some(_)) => {
            let words: Vec<u16> = (0..usize::from(count)).map(|index| word(6 + index * 2)).collect();
            state.write(address, &words, now);
            pdu[..5].to_vec()
        }
        (3 | 16, None) => vec![function | 0x80, 2],
        _ => vec![function | 0x80, 1],
    }
}
