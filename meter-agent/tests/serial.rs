//! Modbus over a serial line, which here is a pseudo-terminal with a device at its other end that answers
//! well, late or not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use domain::time::Clock;
use meter_agent::modbus::{Bus, BusTiming, Endpoint, ModbusMeter};
use meter_agent::source::MeterSource;
use meter_agent::template::{Function, Library, Quirks};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio_serial::{SerialPort, SerialStream};

/// What the device does with its n-th request: how long it waits, in milliseconds.
type Delay = fn(usize) -> u64;

fn crc(bytes: &[u8]) -> [u8; 2] {
    let crc = bytes.iter().fold(0xffff_u16, |crc, byte| {
        (0..8)
            .fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 })
    });
    crc.to_le_bytes()
}

/// A device that answers each register with its own address, so that no answer can be mistaken. Lives as
/// long as the test.
fn line(delay: Delay) -> Endpoint {
    let (mut device, agent) = SerialStream::pair().unwrap();
    let path = agent.name().unwrap();
    tokio::spawn(async move {
        let _keeps_the_line_open = agent;
        let mut request = [0; 8];
        let mut number = 0;
        while device.read_exact(&mut request).await.is_ok() {
            assert_eq!(crc(&request[..6]), request[6..8]);
            tokio::time::sleep(Duration::from_millis(delay(number))).await;
            number += 1;
            let from = u16::from_be_bytes([request[2], request[3]]);
            let count = u16::from_be_bytes([request[4], request[5]]);
            let mut answer = vec![request[0], request[1], u8::try_from(count * 2).unwrap()];
            answer.extend((from..from + count).flat_map(u16::to_be_bytes));
            answer.extend(crc(&answer));
            device.write_all(&answer).await.unwrap();
        }
    });
    format!("rtu://{path}?baud=19200").parse().unwrap()
}

fn bus(delay: Delay) -> Bus {
    Bus::new(line(delay), BusTiming::from(&Quirks { request_timeout_ms: 150, ..Quirks::default() }))
}

async fn ask(bus: &mut Bus, address: u16) -> Result<Vec<u16>, &'static str> {
    bus.read(1, Function::Holding, address, 2).await.map_err(|error| error.class())
}

#[tokio::test]
async fn registers_are_read_over_a_serial_line() {
    let mut bus = bus(|_| 0);
    assert_eq!(ask(&mut bus, 100).await, Ok(vec![100, 101]));
    assert_eq!(ask(&mut bus, 200).await, Ok(vec![200, 201]));
}

#[tokio::test]
async fn f02_a_late_answer_is_never_taken_for_that_of_the_next_request() {
    // The first answer comes when nobody waits for it any more.
    let mut bus = bus(|number| if number == 0 { 200 } else { 0 });
    assert_eq!(ask(&mut bus, 100).await, Err("timeout"));
    assert_eq!(ask(&mut bus, 200).await, Ok(vec![200, 201]));
    assert_eq!(ask(&mut bus, 300).await, Ok(vec![300, 301]));
}

#[tokio::test]
async fn f10_a_line_that_is_not_there_is_said_so() {
    let endpoint: Endpoint = "rtu:///dev/busbar-no-such-line?baud=9600".parse().unwrap();
    let mut bus = Bus::new(endpoint, BusTiming::from(&Quirks::default()));
    assert_eq!(ask(&mut bus, 1).await, Err("connect"));
}

#[tokio::test]
async fn f09_a_dead_unit_costs_its_timeout_and_no_more() {
    let bus = Arc::new(Mutex::new(bus(|number| if number == 0 { 10_000 } else { 0 })));
    let template = Library::embedded().unwrap().get("eastron_sdm630").unwrap();
    let mut meter = ModbusMeter::new(bus, 9, template, Clock::System).unwrap();
    let started = tokio::time::Instant::now();
    let error = meter.read(DateTime::UNIX_EPOCH, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.class(), "timeout");
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// A device on a line whose check sums are wrong at first, and whose length once is absurd.
#[tokio::test]
async fn f04_a_frame_that_is_damaged_on_the_line_is_an_error_and_the_next_answer_is_right() {
    let (mut device, agent) = SerialStream::pair().unwrap();
    let endpoint: Endpoint = format!("rtu://{}?baud=19200", agent.name().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let _keeps_the_line_open = agent;
        let mut request = [0; 8];
        let mut number = 0;
        while device.read_exact(&mut request).await.is_ok() {
            let mut answer = vec![1, 3, 4, 0, 7, 0, 8];
            let sum = crc(&answer);
            match number {
                0 => answer.extend([sum[0] ^ 0xff, sum[1]]),
                1 => answer = vec![1, 3, 0xfe, 0, 7],
                _ => answer.extend(sum),
            }
            number += 1;
            device.write_all(&answer).await.unwrap();
        }
    });
    let timing = BusTiming::from(&Quirks { request_timeout_ms: 150, ..Quirks::default() });
    let mut bus = Bus::new(endpoint, timing);
    for _ in 0..2 {
        assert!(ask(&mut bus, 100).await.is_err());
    }
    assert_eq!(ask(&mut bus, 100).await, Ok(vec![7, 8]));
}
