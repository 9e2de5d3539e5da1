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
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
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
        answers(&mut device, delay).await;
    });
    format!("rtu://{path}?baud=19200").parse().unwrap()
}

async fn answers(device: &mut (impl AsyncRead + AsyncWrite + Unpin), delay: impl Fn(usize) -> u64) {
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

/// Answers that come when the line has long been drained, and all the later ones behind them.
#[tokio::test]
async fn f02_an_answer_that_comes_even_later_is_an_error_until_the_line_is_in_step_again() {
    for late_ms in [320, 400, 650, 900] {
        let (mut device, agent) = SerialStream::pair().unwrap();
        let path = agent.name().unwrap();
        let endpoint: Endpoint = format!("rtu://{path}?baud=19200").parse().unwrap();
        tokio::spawn(async move {
            let _keeps_the_line_open = agent;
            answers(&mut device, |number| if number == 0 { late_ms } else { 0 }).await;
        });
        let timing = BusTiming::from(&Quirks { request_timeout_ms: 150, ..Quirks::default() });
        let mut bus = Bus::new(endpoint, timing);
        assert_eq!(ask(&mut bus, 100).await, Err("timeout"));
        let mut right = 0;
        for address in (200_u16..).step_by(100).take(12) {
            if let Ok(words) = ask(&mut bus, address).await {
                assert_eq!(words, [address, address + 1], "{late_ms} ms");
                right += 1;
            }
        }
        assert!(right >= 6, "{late_ms} ms: in step {right} times");
    }
}

/// Some devices ignore requests that would cut a value in two: they must not be lost for it.
#[tokio::test]
async fn f02_a_device_that_answers_whole_values_only_is_read_again_after_a_silence() {
    let (mut device, agent) = SerialStream::pair().unwrap();
    let endpoint: Endpoint = format!("rtu://{}?baud=19200", agent.name().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let _keeps_the_line_open = agent;
        let mut request = [0; 8];
        let mut is_first = true;
        while device.read_exact(&mut request).await.is_ok() {
            if request[5] == 2 && !is_first {
                device.write_all(&sevens(&request)).await.unwrap();
            }
            is_first = false;
        }
    });
    let timing = BusTiming::from(&Quirks { request_timeout_ms: 150, ..Quirks::default() });
    let mut bus = Bus::new(endpoint, timing);
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(ask(&mut bus, 100).await);
    }
    let right = Ok(vec![7, 7]);
    assert_eq!(seen, [Err("timeout"), Err("timeout"), Err("timeout"), right.clone(), right]);
}

/// The same for a gateway that passes on what it hears to whoever is connected.
#[tokio::test]
async fn f02_a_gateway_that_hands_a_late_answer_to_the_next_connection_fools_nobody() {
    let (near, mut device) = tokio::io::duplex(256);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint = format!("rtu+tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { answers(&mut device, |number| if number == 0 { 400 } else { 0 }).await });
    tokio::spawn(async move {
        let mut near = near;
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = tokio::io::copy_bidirectional(&mut client, &mut near).await;
        }
    });
    let timing = BusTiming::from(&Quirks { request_timeout_ms: 150, ..Quirks::default() });
    let mut bus = Bus::new(endpoint, timing);
    assert_eq!(ask(&mut bus, 100).await, Err("timeout"));
    for address in (200_u16..).step_by(100).take(8) {
        if let Ok(words) = ask(&mut bus, address).await {
            assert_eq!(words, [address, address + 1]);
        }
    }
}

#[tokio::test]
async fn f10_a_line_that_is_not_there_is_said_so() {
    let endpoint: Endpoint = "rtu:///dev/busbar-no-such-line?baud=9600".parse().unwrap();
    let mut bus = Bus::new(endpoint, BusTiming::from(&Quirks::default()));
    assert_eq!(ask(&mut bus, 1).await, Err("connect"));
}

/// A device at the end of a pseudo-terminal that a link of the file system leads to, as `/dev/serial/by-id`
/// leads to an adapter; it is gone when the task ends.
fn plug(link: &std::path::Path) -> tokio::task::JoinHandle<()> {
    let (mut device, agent) = SerialStream::pair().unwrap();
    std::os::unix::fs::symlink(agent.name().unwrap(), link).unwrap();
    tokio::spawn(async move {
        let _keeps_the_line_open = agent;
        let mut request = [0; 8];
        while device.read_exact(&mut request).await.is_ok() {
            device.write_all(&sevens(&request)).await.unwrap();
        }
    })
}

/// The answer of a device whose every register holds a 7.
fn sevens(request: &[u8; 8]) -> Vec<u8> {
    let count = usize::from(u16::from_be_bytes([request[4], request[5]]));
    let mut answer = vec![request[0], request[1], u8::try_from(count * 2).unwrap()];
    answer.extend([0, 7].repeat(count));
    answer.extend(crc(&answer));
    answer
}

#[tokio::test]
async fn f10_an_adapter_that_is_unplugged_and_plugged_in_again_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("adapter");
    let endpoint: Endpoint = format!("rtu://{}?baud=19200", link.display()).parse().unwrap();
    let timing = BusTiming::from(&Quirks { request_timeout_ms: 150, ..Quirks::default() });
    let mut bus = Bus::new(endpoint, timing);
    let adapter = plug(&link);
    assert_eq!(ask(&mut bus, 100).await, Ok(vec![7, 7]));
    // Unplugged: the terminal hangs up and its name is gone.
    adapter.abort();
    let _ = adapter.await;
    std::fs::remove_file(&link).unwrap();
    for _ in 0..3 {
        assert!(ask(&mut bus, 100).await.is_err());
    }
    // Plugged in again, as another terminal.
    let _adapter = plug(&link);
    let back = async {
        while ask(&mut bus, 100).await != Ok(vec![7, 7]) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("it is read again");
}

/// A line with a unit 1 that answers and a unit 9 that is dead; counts what each was asked.
async fn line_with_a_dead_unit() -> (Endpoint, Arc<std::sync::Mutex<Vec<u8>>>) {
    let (mut device, agent) = SerialStream::pair().unwrap();
    let endpoint = format!("rtu://{}?baud=19200", agent.name().unwrap()).parse().unwrap();
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = asked.clone();
    tokio::spawn(async move {
        let _keeps_the_line_open = agent;
        let mut request = [0; 8];
        while device.read_exact(&mut request).await.is_ok() {
            log.lock().unwrap().push(request[0]);
            if request[0] == 1 {
                device.write_all(&sevens(&request)).await.unwrap();
            }
        }
    });
    (endpoint, asked)
}

#[tokio::test]
async fn f09_a_dead_unit_is_asked_once_a_round_and_its_neighbour_is_read_every_time() {
    let (endpoint, asked) = line_with_a_dead_unit().await;
    let timing = BusTiming::from(&Quirks { request_timeout_ms: 150, ..Quirks::default() });
    let bus = Arc::new(Mutex::new(Bus::new(endpoint, timing)));
    let template = Library::embedded().unwrap().get("eastron_sdm630").unwrap();
    let mut dead = ModbusMeter::new(bus.clone(), 9, template, Clock::System).unwrap();
    for _ in 0..5 {
        let error = dead.read(DateTime::UNIX_EPOCH, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(error.class(), "timeout");
        assert_eq!(ask(&mut *bus.lock().await, 100).await, Ok(vec![7, 7]));
    }
    let asked = asked.lock().unwrap();
    // What a dead unit owes makes no other unit answer twice.
    assert_eq!(*asked, [9, 1].repeat(5));
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
            let mut answer = sevens(&request);
            match number {
                0 => *answer.last_mut().unwrap() ^= 0xff,
                1 => answer = vec![1, 3, 0xfe, 0, 7],
                _ => {}
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
    assert_eq!(ask(&mut bus, 100).await, Ok(vec![7, 7]));
}
