//! A Modbus meter against devices that answer well, badly, late and not at all. The letter and number
//! of a test name the fault it stands for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::DateTime;
use common::{Answer, Request, device, sdm630};
use domain::time::Clock;
use meter_agent::modbus::{Bus, BusTiming, Endpoint, ModbusMeter};
use meter_agent::source::{MeterSource, Sample, SourceError};
use meter_agent::sunspec::SunSpecMeter;
use meter_agent::template::{Function, Library, Quirks};
use tokio::sync::Mutex;

fn meter(endpoint: Endpoint) -> ModbusMeter {
    let template = Library::embedded().unwrap().get("eastron_sdm630").unwrap();
    let timing = BusTiming::from(&Quirks { request_timeout_ms: 150, ..Quirks::default() });
    let bus = Arc::new(Mutex::new(Bus::new(endpoint, timing)));
    ModbusMeter::new(bus, 1, template, Clock::System).unwrap()
}

async fn read(meter: &mut ModbusMeter) -> Result<Sample, SourceError> {
    meter.read(DateTime::UNIX_EPOCH, Duration::from_secs(5)).await
}

/// Reads once while every answer is `answer`, and again when the device is well: whatever it did must
/// not disturb the second reading. Gives the class of the first one's error.
async fn class_then_recovers(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> &'static str {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = is_well.clone();
    let endpoint =
        device(
            move |request| {
                if well.load(Ordering::SeqCst) { sdm630(&request, 200.0, 10.25) } else { answer(&request) }
            },
        )
        .await;
    let mut meter = meter(endpoint);
    let class = read(&mut meter).await.unwrap_err().class();
    is_well.store(true, Ordering::SeqCst);
    let sample = read(&mut meter).await.unwrap();
    assert_eq!(sample.import.unwrap().mwh(), 200_000_000);
    class
}

#[tokio::test]
async fn a_meter_is_read_whole() {
    let mut meter = meter(device(|request| sdm630(&request, 200.0, 10.25)).await);
    let sample = read(&mut meter).await.unwrap();
    let registers = sample.registers().unwrap();
    assert_eq!((registers.import.mwh(), registers.export.mwh()), (200_000_000, 10_250_000));
    assert_eq!((sample.power_w, sample.voltage_v), (Some(-1_234.5), Some(230.5)));
    assert_eq!(sample.device.serial.as_deref(), Some("1234567"));
}

#[tokio::test]
async fn f01_no_answer_is_a_timeout_and_the_next_reading_is_right() {
    assert_eq!(class_then_recovers(|_| Answer::Silence).await, "timeout");
}

#[tokio::test]
async fn f03_an_answer_to_another_request_is_never_taken() {
    let stale = |request: &Request| Request { transaction: 0x7777, ..*request }.words(&[1, 2]);
    assert_eq!(class_then_recovers(stale).await, "bad_answer");
}

#[tokio::test]
async fn f04_answers_that_do_not_fit_are_errors_in_debug_and_release_builds() {
    let short = class_then_recovers(|request| request.words(&[1])).await;
    let long = class_then_recovers(|request| request.words(&[1, 2, 3])).await;
    let unit = class_then_recovers(|request| Request { unit: 9, ..*request }.words(&[1, 2])).await;
    let function = class_then_recovers(|request| Request { function: 4, ..*request }.words(&[1, 2])).await;
    assert_eq!([short, long, unit, function], ["bad_answer"; 4]);
    let odd = class_then_recovers(|request| Answer::Bytes(request.frame(&[3, 3, 0, 0, 0]))).await;
    let no_length = class_then_recovers(|_| Answer::Bytes(vec![0; 8])).await;
    assert_eq!([odd, no_length], ["bad_answer"; 2]);
    // A length that promises more than ever comes.
    assert_eq!(class_then_recovers(|_| Answer::Bytes(vec![0, 0, 0, 0, 255, 255, 1, 3])).await, "timeout");
}

#[tokio::test]
async fn f05_exceptions_are_classified_and_never_zero() {
    for (code, class) in [
        (1, "exception_not_there"),
        (2, "exception_not_there"),
        (3, "exception_not_there"),
        (4, "exception_failed"),
        (5, "exception_busy"),
        (6, "exception_busy"),
        (0x0a, "exception_failed"),
        (0x0b, "exception_failed"),
    ] {
        assert_eq!(class_then_recovers(move |request| request.exception(code)).await, class, "code {code}");
    }
}

#[tokio::test]
async fn f06_a_closed_connection_is_opened_again_within_the_reading() {
    let endpoint =
        device(|request| if request.number == 4 { Answer::Close } else { sdm630(&request, 200.0, 10.25) })
            .await;
    let mut meter = meter(endpoint);
    read(&mut meter).await.unwrap();
    assert!(read(&mut meter).await.is_ok());
}

#[tokio::test]
async fn f06_a_port_where_nobody_listens_is_said_so() {
    let endpoint = Endpoint::Tcp { host: "127.0.0.1".to_owned(), port: 1 };
    assert_eq!(read(&mut meter(endpoint)).await.unwrap_err().class(), "connect");
}

/// A port that counts who comes and does to it what it is told.
async fn counted(
    treat: fn(tokio::net::TcpStream, Arc<Mutex<Vec<tokio::net::TcpStream>>>),
) -> (Endpoint, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (count, kept) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            treat(stream, kept.clone());
        }
    });
    (Endpoint::Tcp { host: "127.0.0.1".to_owned(), port }, count)
}

#[tokio::test]
async fn f06_connects_after_a_reset_are_bounded_however_many_units_ask() {
    let (endpoint, connects) = counted(|stream, _| drop(stream)).await;
    let mut bus = Bus::new(endpoint, BusTiming::from(&Quirks::default())).with_jitter(7);
    let mut classes = Vec::new();
    for unit in 1..=100 {
        classes.push(bus.read(unit, Function::Holding, 0, 1).await.unwrap_err().class());
    }
    assert!(connects.load(Ordering::SeqCst) <= 6, "{connects:?}");
    assert_eq!((classes[0], classes[99]), ("broken", "connect"));
}

#[tokio::test]
async fn f06_a_half_open_endpoint_is_left_alone_after_a_few_connects() {
    // It takes every connection and never says anything.
    let (endpoint, connects) = counted(|stream, kept| {
        if let Ok(mut kept) = kept.try_lock() {
            kept.push(stream);
        }
    })
    .await;
    let quirks = Quirks { request_timeout_ms: 20, ..Quirks::default() };
    let mut bus = Bus::new(endpoint, BusTiming::from(&quirks)).with_jitter(7);
    for unit in 1..=100 {
        assert!(bus.read(unit, Function::Holding, 0, 1).await.is_err());
    }
    assert!(connects.load(Ordering::SeqCst) <= 10, "{connects:?}");
}

#[tokio::test]
async fn f06_what_is_back_is_read_again_when_the_wait_is_over() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = is_well.clone();
    let endpoint =
        device(
            move |request| {
                if well.load(Ordering::SeqCst) { sdm630(&request, 200.0, 10.25) } else { Answer::Close }
            },
        )
        .await;
    let mut meter = meter(endpoint);
    for _ in 0..4 {
        assert!(read(&mut meter).await.is_err());
    }
    is_well.store(true, Ordering::SeqCst);
    let back = async {
        while read(&mut meter).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("it is read again");
}

#[tokio::test]
async fn f11_a_block_with_a_hole_is_split_once_for_all() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = asked.clone();
    let endpoint = device(move |request| {
        log.lock().unwrap().push((request.address, request.count));
        let over_the_hole = request.address < 60 && request.address + request.count > 60;
        if over_the_hole { request.exception(2) } else { sdm630(&request, 200.0, 10.25) }
    })
    .await;
    let mut meter = meter(endpoint);
    assert!(read(&mut meter).await.is_ok());
    asked.lock().unwrap().clear();
    assert!(read(&mut meter).await.is_ok());
    assert!(!asked.lock().unwrap().contains(&(52, 24)), "{asked:?}");
}

#[tokio::test]
async fn a_reading_dropped_half_way_does_not_disturb_the_next() {
    let asked = Arc::new(tokio::sync::Notify::new());
    let tells = asked.clone();
    let endpoint = device(move |request| {
        tells.notify_one();
        if request.number == 0 { Answer::Silence } else { sdm630(&request, 200.0, 10.25) }
    })
    .await;
    let mut meter = meter(endpoint);
    tokio::select! {
        result = read(&mut meter) => panic!("{result:?}"),
        () = asked.notified() => {}
    }
    assert!(read(&mut meter).await.is_ok());
}

#[tokio::test]
async fn units_of_one_endpoint_share_its_connection_in_turn() {
    let endpoint = device(|request| sdm630(&request, f32::from(request.unit), 1.0)).await;
    let template = Library::embedded().unwrap().get("eastron_sdm630").unwrap();
    let bus = Arc::new(Mutex::new(Bus::new(endpoint, BusTiming::from(&Quirks::default()))));
    let reads = (1..=5).map(|unit| {
        let mut meter = ModbusMeter::new(bus.clone(), unit, template.clone(), Clock::System).unwrap();
        async move { read(&mut meter).await.unwrap().import.unwrap().mwh() }
    });
    let kwh: Vec<i64> =
        futures_util::future::join_all(reads).await.iter().map(|mwh| mwh / 1_000_000).collect();
    assert_eq!(kwh, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_device_without_serial_number_is_read_and_one_without_export_register_is_not() {
    let refuse = |refused: u16| {
        device(move |request| {
            let asked = request.address..request.address + request.count;
            if asked.contains(&refused) { request.exception(2) } else { sdm630(&request, 200.0, 10.25) }
        })
    };
    let sample = read(&mut meter(refuse(64_512).await)).await.unwrap();
    assert_eq!((sample.device.serial.as_deref(), sample.power_w), (None, Some(-1_234.5)));
    assert!(sample.quality.contains(&"serial_not_available".to_owned()));
    let error = read(&mut meter(refuse(74).await)).await.unwrap_err();
    assert_eq!(error.class(), "exception_not_there");
}

/// Some hybrid inverters' gateways are silent about registers that a model lacks, instead of refusing them.
#[tokio::test]
async fn what_no_money_rests_on_may_be_silent_and_is_soon_not_asked_for_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let endpoint = device(move |request| {
        if request.address == 64_512 {
            counter.fetch_add(1, Ordering::Relaxed);
            return Answer::Silence;
        }
        sdm630(&request, 200.0, 10.25)
    })
    .await;
    let mut meter = meter(endpoint);
    for _ in 0..4 {
        let sample = read(&mut meter).await.unwrap();
        assert_eq!((sample.import.unwrap().mwh(), sample.power_w), (200_000_000, Some(-1_234.5)));
        assert_eq!(sample.device.serial, None);
        assert!(sample.quality.contains(&"serial_not_available".to_owned()), "{:?}", sample.quality);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_failure_for_a_moment_costs_only_the_value_that_was_asked_for() {
    for code in [4, 6, 0x0b] {
        let asked = Arc::new(AtomicUsize::new(0));
        let endpoint = device(move |request| {
            let first = request.address == 0 && asked.fetch_add(1, Ordering::Relaxed) == 0;
            if first { request.exception(code) } else { sdm630(&request, 200.0, 10.25) }
        })
        .await;
        let mut meter = meter(endpoint);
        let sample = read(&mut meter).await.unwrap();
        assert_eq!((sample.import.unwrap().mwh(), sample.voltage_v), (200_000_000, None), "{code}");
        assert!(sample.quality.contains(&"voltage_not_available".to_owned()), "{:?}", sample.quality);
        assert!(read(&mut meter).await.unwrap().voltage_v.is_some(), "{code}");
    }
}

/// The registers are told for the boundary; what else is asked for must not make them late.
#[tokio::test]
async fn silence_about_other_values_does_not_use_up_the_time_for_the_registers() {
    let endpoint =
        device(
            |request| {
                if request.address == 52 { sdm630(&request, 200.0, 10.25) } else { Answer::Silence }
            },
        )
        .await;
    let mut meter = meter(endpoint);
    let patience = Duration::from_millis(200);
    let reading = tokio::time::timeout(patience, meter.read(chrono::DateTime::UNIX_EPOCH, patience));
    assert_eq!(reading.await.expect("in time").unwrap().import.unwrap().mwh(), 200_000_000);
}

#[tokio::test]
async fn a_register_that_is_silent_is_an_error() {
    let endpoint =
        device(
            |request| {
                if request.address == 52 { Answer::Silence } else { sdm630(&request, 200.0, 10.25) }
            },
        )
        .await;
    assert_eq!(read(&mut meter(endpoint)).await.unwrap_err().class(), "timeout");
}

#[tokio::test]
async fn f07_a_device_whose_only_place_is_taken_is_left_alone_until_the_next_reading() {
    // It closes the connection of a second client at its first request.
    let endpoint =
        device(|request| if request.number == 0 { Answer::Close } else { sdm630(&request, 200.0, 10.25) })
            .await;
    let mut meter = meter(endpoint);
    assert_eq!(read(&mut meter).await.unwrap_err().class(), "broken");
    assert!(read(&mut meter).await.is_ok());
}

/// A device with one place: it closes every connection that comes while another client has it.
async fn one_place(taken: Arc<AtomicBool>) -> (Endpoint, Arc<AtomicUsize>) {
    let inner = device(|request| sdm630(&request, 200.0, 10.25)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connects = Arc::new(AtomicUsize::new(0));
    let counter = connects.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            if taken.swap(true, Ordering::SeqCst) {
                continue;
            }
            let (target, taken) = (inner.clone(), taken.clone());
            tokio::spawn(async move {
                let mut meter = tokio::net::TcpStream::connect(target.address()).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut meter).await;
                taken.store(false, Ordering::SeqCst);
            });
        }
    });
    (Endpoint::Tcp { host: "127.0.0.1".to_owned(), port }, connects)
}

#[tokio::test]
async fn f07_the_only_place_is_waited_for_politely_and_left_to_others_between_two_readings() {
    let taken = Arc::new(AtomicBool::new(true)); // by another client
    let (endpoint, connects) = one_place(taken.clone()).await;
    let mut template = (*Library::embedded().unwrap().get("eastron_sdm630").unwrap()).clone();
    template.quirks.single_client = true;
    let bus = Arc::new(Mutex::new(Bus::new(endpoint, BusTiming::from(&Quirks::default())).with_jitter(7)));
    let mut meter = ModbusMeter::new(bus, 1, Arc::new(template), Clock::System).unwrap();
    for _ in 0..50 {
        assert!(read(&mut meter).await.is_err());
    }
    assert!(connects.load(Ordering::SeqCst) <= 6, "{connects:?} connections to a device that is taken");
    taken.store(false, Ordering::SeqCst);
    let resumes = async {
        while read(&mut meter).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The place is free again as soon as the reading is done.
        while taken.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), resumes).await.expect("it resumes, and leaves");
}

/// A map of a common model and an inverter of `yield_wh`, behind `gap` words that firmware put in between.
fn sunspec_map(gap: u16, yield_wh: u16) -> Vec<u16> {
    let mut words = vec![0x5375, 0x6e53, 1, 66];
    words.resize(2 + 68, 0);
    if gap > 0 {
        words.extend([64_000, gap]);
        words.resize(words.len() + usize::from(gap), 0);
    }
    let mut inverter = [0x8000; 52];
    (inverter[0], inverter[1], inverter[24], inverter[25], inverter[26]) = (103, 50, 0, yield_wh, 0);
    words.extend(inverter);
    words.extend([0xffff, 0]);
    words
}

#[tokio::test]
async fn f15_a_map_that_shifts_between_two_readings_is_found_again_and_read_right() {
    let shifted = Arc::new(AtomicBool::new(false));
    let is_shifted = shifted.clone();
    let endpoint = device(move |request| {
        let map = if is_shifted.load(Ordering::SeqCst) { sunspec_map(1, 901) } else { sunspec_map(0, 900) };
        let from = usize::from(request.address).checked_sub(40_000);
        let words = from.and_then(|from| map.get(from..from + usize::from(request.count)));
        words.map_or_else(|| request.exception(2), |words| request.words(words))
    })
    .await;
    let template = Library::embedded().unwrap().get("sunspec_inverter").unwrap();
    let bus = Arc::new(Mutex::new(Bus::new(endpoint, BusTiming::from(&Quirks::default()))));
    let mut meter = SunSpecMeter::new(bus, 1, template, Clock::System).unwrap();
    let mut yields = Vec::new();
    for is_now_shifted in [false, false, true, true, false] {
        shifted.store(is_now_shifted, Ordering::SeqCst);
        let sample = meter.read(DateTime::UNIX_EPOCH, Duration::from_secs(5)).await.unwrap();
        yields.push(sample.export.unwrap().mwh() / 1_000);
    }
    assert_eq!(yields, [900, 900, 901, 901, 900]);
}

#[tokio::test]
async fn f08_nothing_is_asked_before_the_device_is_ready_for_it() {
    let started = std::time::Instant::now();
    let first = Arc::new(std::sync::Mutex::new(None));
    let asked = first.clone();
    let endpoint = device(move |request| {
        asked.lock().unwrap().get_or_insert(started.elapsed());
        sdm630(&request, 200.0, 10.25)
    })
    .await;
    let quirks = Quirks { connect_delay_ms: 200, ..Quirks::default() };
    let bus = Arc::new(Mutex::new(Bus::new(endpoint, BusTiming::from(&quirks))));
    let template = Library::embedded().unwrap().get("eastron_sdm630").unwrap();
    let mut meter = ModbusMeter::new(bus, 1, template, Clock::System).unwrap();
    read(&mut meter).await.unwrap();
    let first = first.lock().unwrap().unwrap();
    assert!(first >= Duration::from_millis(200), "{first:?}");
}
