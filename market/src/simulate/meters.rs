//! Registers of simulated meters: exact, however the slot divides the hour.

use crate::dataset::SitePower;

const SECONDS_PER_HOUR: u64 = 3_600;

/// What a site's meter counted in a slot, in Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SlotEnergy {
    pub(super) import_wh: i64,
    pub(super) export_wh: i64,
    pub(super) production_wh: i64,
    /// What a battery behind the meter gave (positive) or took; no meter of its own counts it.
    pub(super) battery_wh: i64,
}

impl SlotEnergy {
    pub(super) const fn net_export_wh(self) -> i64 {
        self.export_wh - self.import_wh
    }

    /// What the site used: what it took, produced and had from its battery, less what it gave.
    pub(super) const fn consumption_wh(self) -> i64 {
        self.import_wh + self.production_wh + self.battery_wh - self.export_wh
    }
}

/// Cumulative registers in watt-seconds, so that no rounding is lost between slots.
#[derive(Debug, Clone, Copy, Default)]
struct Registers {
    import_ws: u64,
    export_ws: u64,
    production_ws: u64,
}

/// The meters of all sites.
#[derive(Debug)]
pub(super) struct Meters {
    slot_seconds: u64,
    registers: Vec<Registers>,
}

impl Meters {
    pub(super) fn new(sites: usize, slot_seconds: u32) -> Self {
        Self { slot_seconds: slot_seconds.into(), registers: vec![Registers::default(); sites] }
    }

    /// Plays one slot in which batteries gave or took `battery_wh`; what each site's meter counted in whole
    /// watt-hours.
    pub(super) fn advance(&mut self, powers: &[SitePower], battery_wh: &[i64]) -> Vec<SlotEnergy> {
        let seconds = self.slot_seconds;
        self.registers
            .iter_mut()
            .zip(powers)
            .zip(battery_wh)
            .map(|((registers, power), battery_wh)| advance(registers, *power, *battery_wh, seconds))
            .collect()
    }
}

fn advance(registers: &mut Registers, power: SitePower, battery_wh: i64, seconds: u64) -> SlotEnergy {
    let net_ws = power.net_w() * seconds.cast_signed() - battery_wh * SECONDS_PER_HOUR.cast_signed();
    let (import_ws, export_ws) = (net_ws.max(0).unsigned_abs(), net_ws.min(0).unsigned_abs());
    let count = |register: &mut u64, watt_seconds: u64| {
        let before = *register / SECONDS_PER_HOUR;
        *register += watt_seconds;
        // A data set's bounds keep a register far below 63 bits.
        (*register / SECONDS_PER_HOUR - before).cast_signed()
    };
    SlotEnergy {
        import_wh: count(&mut registers.import_ws, import_ws),
        export_wh: count(&mut registers.export_ws, export_ws),
        production_wh: count(&mut registers.production_ws, u64::from(power.pv_w) * seconds),
        battery_wh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_slots() {
        let mut meters = Meters::new(1, 10);
        let power = [SitePower { load_w: 1_000, pv_w: 1_001 }];
        let total: i64 = (0..3_600).map(|_| meters.advance(&power, &[0])[0].production_wh).sum();
        assert_eq!(total, 10_010);
        let export: i64 = (0..360).map(|_| meters.advance(&power, &[0])[0].export_wh).sum();
        assert_eq!(export, 1, "1 W for an hour");
    }

    #[test]
    fn a_quarter_hour_is_a_quarter_of_the_power() {
        let mut meters = Meters::new(1, 900);
        let power = [SitePower { load_w: 4_000, pv_w: 1_000 }];
        let slot = meters.advance(&power, &[0])[0];
        assert_eq!(slot, SlotEnergy { import_wh: 750, export_wh: 0, production_wh: 250, battery_wh: 0 });
        assert_eq!((slot.net_export_wh(), slot.consumption_wh()), (-750, 1_000));
        let helped = meters.advance(&power, &[1_000])[0];
        assert_eq!((helped.net_export_wh(), helped.consumption_wh()), (250, 1_000), "a battery is no use");
    }
}
