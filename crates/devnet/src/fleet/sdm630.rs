//! The register map of an Eastron SDM630 (Modbus protocol V2): floats of 32 bits, high word first, two registers each.

use super::bank::Registers;
use super::identity::Identity;
use super::modbus::{Block, Function};

/// Input registers 0 to 75 are there; what is not simulated among them reads 0, as on the device.
const INPUT_WORDS: usize = 76;
const VOLTAGE_V: [usize; 3] = [0, 2, 4];
const CURRENT_A: [usize; 3] = [6, 8, 10];
const PHASE_POWER_W: [usize; 3] = [12, 14, 16];
const TOTAL_POWER_W: usize = 52;
const FREQUENCY_HZ: usize = 70;
const IMPORT_KWH: usize = 72;
const EXPORT_KWH: usize = 74;
/// Holding register of the serial number, an unsigned integer of 32 bits.
const SERIAL: u16 = 64_512;

const MAINS_V: f32 = 230.0;
const MAINS_HZ: f32 = 50.0;

/// The device's registers at one instant.
pub(super) fn blocks(identity: &Identity, registers: &Registers) -> Vec<Block> {
    let mut words = vec![0_u16; INPUT_WORDS];
    let mut put = |address: usize, value: f32| {
        let bits = value.to_bits().to_be_bytes();
        words[address] = u16::from_be_bytes([bits[0], bits[1]]);
        words[address + 1] = u16::from_be_bytes([bits[2], bits[3]]);
    };
    let power_w = float(registers.net_w() * 1_000);
    for phase in 0..3 {
        put(VOLTAGE_V[phase], MAINS_V);
        put(CURRENT_A[phase], power_w.abs() / 3.0 / MAINS_V);
        put(PHASE_POWER_W[phase], power_w / 3.0);
    }
    put(TOTAL_POWER_W, power_w);
    put(FREQUENCY_HZ, MAINS_HZ);
    put(IMPORT_KWH, kwh(registers.import_mwh));
    put(EXPORT_KWH, kwh(registers.export_mwh));
    let serial = identity.serial.to_be_bytes();
    let serial = vec![u16::from_be_bytes([serial[0], serial[1]]), u16::from_be_bytes([serial[2], serial[3]])];
    vec![
        Block { function: Function::ReadInput, start: 0, words },
        Block { function: Function::ReadHolding, start: SERIAL, words: serial },
    ]
}

/// A thousandth of `milli` as the device's float: exact to seven digits, like the device's own.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // this loss is the device's
fn float(milli: i64) -> f32 {
    (milli as f64 / 1e3) as f32
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // this loss is the device's
fn kwh(mwh: u64) -> f32 {
    (mwh as f64 / 1e6) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_watt_hours_are_told_apart_below_4_mwh() {
        for wh in [150_000_u64, 849_999, 3_999_998] {
            let mwh = wh * 1_000;
            assert!(kwh(mwh + 1_000) > kwh(mwh), "{wh} Wh");
        }
    }
}
