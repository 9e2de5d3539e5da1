//! The register map of a SunSpec device: common model 1, three-phase inverter 103, three-phase meter 203.
//!
//! Models and points are those of the SunSpec Alliance's information models; offsets count from the model's id.

use super::bank::Registers;
use super::identity::Identity;
use super::modbus::{Block, Function};

/// Where the marker `SunS` lies.
pub(super) const BASE: u16 = 40_000;
/// "Not implemented" of signed points and scale factors.
const NO_INT16: u16 = 0x8000;
/// "Not implemented" of unsigned points and enumerations.
const NO_UINT16: u16 = 0xffff;
/// Volts and amperes are given in tenths, hertz in hundredths.
const TENTHS: i16 = -1;
const HUNDREDTHS: i16 = -2;
const MAINS_DECIVOLT: u16 = 2_300;
const MAINS_DECIVOLT_PHASE_TO_PHASE: u16 = 3_984;
const MAINS_CENTIHERTZ: u16 = 5_000;
/// Operating states of model 103.
const STATE_SLEEPING: u16 = 2;
const STATE_MPPT: u16 = 4;

/// The serial number as its text point shows it.
pub(super) fn serial(identity: &Identity) -> String {
    format!("BB{}", identity.serial)
}

/// The device's registers at one instant. `peak_w` is the greatest power it may have to show.
pub(super) fn blocks(identity: &Identity, registers: &Registers, peak_w: u32) -> Vec<Block> {
    let mut words = vec![0x5375, 0x6e53];
    words.extend(common(identity));
    words.extend(inverter(registers, peak_w));
    words.extend(meter(registers, peak_w));
    words.extend([0xffff, 0]);
    vec![Block { function: Function::ReadHolding, start: BASE, words }]
}

/// A model under construction: id and length first, then its points.
struct Model(Vec<u16>);

impl Model {
    fn new(id: u16, length: u16) -> Self {
        let mut words = vec![0; usize::from(length) + 2];
        words[0] = id;
        words[1] = length;
        Self(words)
    }

    fn put(&mut self, offset: usize, value: u16) -> &mut Self {
        self.0[offset] = value;
        self
    }

    fn all(&mut self, offsets: impl IntoIterator<Item = usize>, value: u16) -> &mut Self {
        offsets.into_iter().fold(self, |model, offset| model.put(offset, value))
    }

    fn signed(&mut self, offset: usize, value: i64) -> &mut Self {
        let value = i16::try_from(value).map_or(NO_INT16, |value| u16::from_be_bytes(value.to_be_bytes()));
        self.put(offset, value)
    }

    fn scale(&mut self, offset: usize, factor: i16) -> &mut Self {
        self.signed(offset, i64::from(factor))
    }

    /// An accumulator of 32 bits in whole Wh, which wraps.
    fn energy(&mut self, offset: usize, mwh: u64) -> &mut Self {
        let bytes = (mwh / 1_000).to_be_bytes();
        self.put(offset, u16::from_be_bytes([bytes[4], bytes[5]]))
            .put(offset + 1, u16::from_be_bytes([bytes[6], bytes[7]]))
    }

    fn text(&mut self, offset: usize, words: usize, text: &str) -> &mut Self {
        let mut bytes = text.bytes().chain(std::iter::repeat(0));
        for word in &mut self.0[offset..offset + words] {
            *word = u16::from_be_bytes([bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)]);
        }
        self
    }
}

fn common(identity: &Identity) -> Vec<u16> {
    let mut model = Model::new(1, 66);
    model.text(2, 16, "Busbar").text(18, 16, "Simulated PV 3P").text(42, 8, "1.0").text(
        50,
        16,
        &serial(identity),
    );
    model.put(66, 1).put(67, NO_INT16);
    model.0
}

fn inverter(registers: &Registers, peak_w: u32) -> Vec<u16> {
    let power_w = i64::from(registers.power.pv_w);
    let (scaled, factor) = scaled_power(power_w, peak_w);
    let phase_deciampere = power_w * 100 / 3 / i64::from(MAINS_DECIVOLT);
    let unsigned = |value: i64| u16::try_from(value).unwrap_or(NO_UINT16);
    let mut model = Model::new(103, 50);
    model.put(2, unsigned(phase_deciampere * 3)).all(3..=5, unsigned(phase_deciampere)).scale(6, TENTHS);
    model.all(7..=9, MAINS_DECIVOLT_PHASE_TO_PHASE).all(10..=12, MAINS_DECIVOLT).scale(13, TENTHS);
    model.signed(14, scaled).scale(15, factor);
    model.put(16, MAINS_CENTIHERTZ).scale(17, HUNDREDTHS);
    // Apparent power, reactive power, power factor: not implemented.
    model.all(18..=23, NO_INT16);
    model.energy(24, registers.production_mwh).scale(26, 0);
    model.put(27, NO_UINT16).put(28, NO_INT16).put(29, NO_UINT16).all(30..=32, NO_INT16);
    model.signed(33, 350).all(34..=36, NO_INT16).scale(37, TENTHS);
    model.put(38, if power_w > 0 { STATE_MPPT } else { STATE_SLEEPING }).put(39, NO_UINT16);
    model.0
}

fn meter(registers: &Registers, peak_w: u32) -> Vec<u16> {
    // As the model says: positive is taken from the grid.
    let power_w = registers.net_w();
    let (scaled, factor) = scaled_power(power_w, peak_w);
    let phase_deciampere = power_w * 100 / 3 / i64::from(MAINS_DECIVOLT);
    let mut model = Model::new(203, 105);
    model.signed(2, phase_deciampere * 3);
    for offset in 3..=5 {
        model.signed(offset, phase_deciampere);
    }
    model.scale(6, TENTHS);
    model.all(7..=10, MAINS_DECIVOLT).all(11..=14, MAINS_DECIVOLT_PHASE_TO_PHASE).scale(15, TENTHS);
    model.put(16, MAINS_CENTIHERTZ).scale(17, HUNDREDTHS);
    model.signed(18, scaled).all(19..=21, NO_INT16).scale(22, factor);
    model.all(23..=37, NO_INT16);
    // The accumulators of single phases, apparent and reactive energy stay 0: not accumulated.
    model.energy(38, registers.export_mwh).energy(46, registers.import_mwh).scale(54, 0);
    model.put(71, NO_INT16).put(104, NO_INT16);
    model.0
}

/// The power in units of a power of ten, such that the peak still fits a signed 16-bit number.
fn scaled_power(power_w: i64, peak_w: u32) -> (i64, i16) {
    let (mut unit_w, mut factor) = (1_i64, 0_i16);
    while i64::from(peak_w) / unit_w > 32_000 {
        unit_w *= 10;
        factor += 1;
    }
    let half = if power_w < 0 { -unit_w / 2 } else { unit_w / 2 };
    ((power_w + half) / unit_w, factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn great_powers_are_scaled_and_rounded() {
        assert_eq!(scaled_power(-31_999, 32_000), (-31_999, 0));
        assert_eq!(scaled_power(117_196, 117_200), (11_720, 1));
        assert_eq!(scaled_power(-117_196, 117_200), (-11_720, 1));
        assert_eq!(scaled_power(10_000_000, 10_000_000), (10_000, 3));
    }
}
