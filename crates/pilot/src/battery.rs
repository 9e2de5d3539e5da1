//! A battery: what it takes, keeps, loses and gives, exact in whole watt-hours.

use domain::units::{Energy, Power};

const PERMILLE: i64 = 1_000;
const SECONDS_PER_HOUR: i64 = 3_600;
/// What is kept of energy on its way in, and again on its way out, where nothing better is known.
const USUAL_PERMILLE: u16 = 950;
/// The largest battery that is reckoned with, in Wh.
const MOST_WH: i64 = 1_000_000_000;

/// A battery behind a site's meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Battery {
    capacity_wh: i64,
    power_w: i64,
    charge_permille: u16,
    discharge_permille: u16,
}

/// What a battery did, or is to do, in one slot. Energies are at the site's side, in Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    /// Taken from the site.
    pub charge_wh: i64,
    /// Given to the site.
    pub discharge_wh: i64,
    /// Lost on the way in or out.
    pub loss_wh: i64,
    /// What is stored after the slot.
    pub stored_wh: i64,
}

impl Step {
    /// What it adds to the site's net export, in Wh; negative while it charges.
    #[must_use]
    pub const fn net_wh(&self) -> i64 {
        self.discharge_wh - self.charge_wh
    }
}

impl Battery {
    /// A battery of `capacity` and `power` with usual losses: 5 % in, 5 % out. `None` if either is
    /// nothing, or absurd.
    #[must_use]
    pub fn usual(capacity: Energy, power: Power) -> Option<Self> {
        Self::new(capacity, power, USUAL_PERMILLE, USUAL_PERMILLE)
    }

    /// A battery that keeps `charge_permille` of what it takes and gives `discharge_permille` of what it
    /// had stored. `None` unless capacity and power are positive and both shares are 1 to 1,000.
    #[must_use]
    pub fn new(
        capacity: Energy,
        power: Power,
        charge_permille: u16,
        discharge_permille: u16,
    ) -> Option<Self> {
        let share = |permille: u16| (1..=1_000).contains(&permille);
        let sized = |size: i64| (1..=MOST_WH).contains(&size);
        (sized(capacity.wh()) && sized(power.w()) && share(charge_permille) && share(discharge_permille))
            .then_some(Self {
                capacity_wh: capacity.wh(),
                power_w: power.w(),
                charge_permille,
                discharge_permille,
            })
    }

    /// What it holds, in Wh.
    #[must_use]
    pub const fn capacity_wh(&self) -> i64 {
        self.capacity_wh
    }

    /// The most it takes or gives, in W.
    #[must_use]
    pub const fn power_w(&self) -> i64 {
        self.power_w
    }

    /// What it keeps of what it takes, in thousandths.
    #[must_use]
    pub const fn charge_permille(&self) -> u16 {
        self.charge_permille
    }

    /// What it gives of what it had stored, in thousandths.
    #[must_use]
    pub const fn discharge_permille(&self) -> u16 {
        self.discharge_permille
    }

    /// `percent` of its capacity, in Wh, rounded down.
    #[must_use]
    pub fn reserve_wh(&self, percent: u8) -> i64 {
        self.capacity_wh * i64::from(percent.min(100)) / 100
    }

    /// The most it takes or gives in `seconds`, in Wh at the site's side.
    #[must_use]
    pub fn most_wh(&self, seconds: u32) -> i64 {
        self.power_w * i64::from(seconds) / SECONDS_PER_HOUR
    }

    /// What must be taken so that `stored_wh` more are stored, in Wh.
    #[must_use]
    pub fn to_store_wh(&self, stored_wh: i64) -> i64 {
        up(stored_wh * PERMILLE, self.charge_permille)
    }

    /// What must be taken out of store so that `wh` are given, in Wh.
    #[must_use]
    pub fn to_give_wh(&self, wh: i64) -> i64 {
        up(wh * PERMILLE, self.discharge_permille)
    }

    /// What is given when `stored_wh` less are stored, in Wh.
    #[must_use]
    pub fn from_store_wh(&self, stored_wh: i64) -> i64 {
        stored_wh * i64::from(self.discharge_permille) / PERMILLE
    }

    /// Plays `seconds` of a wish: positive Wh to take from the site, negative to give. It takes no more
    /// than its power and room allow, and gives no more than its power and what is above `reserve_wh`.
    ///
    /// What was stored and what was taken is exactly what is stored then, was given and was lost.
    #[must_use]
    pub fn play(&self, stored_wh: i64, wish_wh: i64, reserve_wh: i64, seconds: u32) -> Step {
        let wish = wish_wh.clamp(-self.most_wh(seconds), self.most_wh(seconds));
        if wish >= 0 {
            let room = (self.capacity_wh - stored_wh).max(0);
            let charge_wh = wish.min(self.to_store_wh(room));
            let gain = charge_wh * i64::from(self.charge_permille) / PERMILLE;
            return Step {
                charge_wh,
                discharge_wh: 0,
                loss_wh: charge_wh - gain,
                stored_wh: stored_wh + gain,
            };
        }
        let above = (stored_wh - reserve_wh.max(0)).max(0);
        let discharge_wh = self.from_store_wh(above.min(self.to_give_wh(-wish)));
        // No more than it takes: a last Wh that gives nothing stays where it is.
        let taken = self.to_give_wh(discharge_wh);
        Step { charge_wh: 0, discharge_wh, loss_wh: taken - discharge_wh, stored_wh: stored_wh - taken }
    }
}

/// A quotient rounded up.
fn up(dividend: i64, divisor: u16) -> i64 {
    let divisor = i64::from(divisor);
    dividend.div_euclid(divisor) + i64::from(dividend.rem_euclid(divisor) > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn battery(capacity_wh: i64, power_w: i64, permille: u16) -> Battery {
        Battery::new(Energy::from_wh(capacity_wh), Power::from_w(power_w), permille, permille).unwrap()
    }

    #[test]
    fn it_keeps_to_power_room_and_reserve() {
        let battery = battery(10_000, 4_000, 950);
        let hour = |stored, wish, reserve| battery.play(stored, wish, reserve, 3_600);
        let step = |charge_wh, discharge_wh, loss_wh, stored_wh| Step {
            charge_wh,
            discharge_wh,
            loss_wh,
            stored_wh,
        };
        assert_eq!(hour(0, 9_000, 0), step(4_000, 0, 200, 3_800), "its power");
        assert_eq!(hour(9_905, 4_000, 0), step(100, 0, 5, 10_000), "its room");
        assert_eq!(hour(2_950, -4_000, 2_000), step(0, 902, 48, 2_000), "its reserve");
        assert_eq!(hour(1_000, -4_000, 2_000), step(0, 0, 0, 1_000), "below the reserve it gives nothing");
        assert_eq!(hour(2_001, -4_000, 2_000), step(0, 0, 0, 2_001), "what would give nothing is kept");
        assert_eq!(battery.play(9_000, -4_000, 0, 900).discharge_wh, 1_000);
    }

    #[test]
    fn absurd_batteries_are_none() {
        let of = |wh, w, permille| Battery::new(Energy::from_wh(wh), Power::from_w(w), permille, 950);
        assert!(
            [of(0, 1, 950), of(1, 0, 950), of(i64::MAX, 1, 950), of(1, 1, 0), of(1, 1, 1_001)]
                .iter()
                .all(Option::is_none)
        );
    }

    proptest! {
        #[test]
        fn energy_is_conserved_and_bounds_hold_whatever_is_wished(
            capacity in 1..200_000_i64, power in 1..100_000_i64, charge in 1..=1_000_u16, discharge in 1..=1_000_u16,
            start in 0..200_000_i64, reserve in 0..200_000_i64,
            wishes in prop::collection::vec(-300_000..300_000_i64, 1..50), seconds in 10..=3_600_u32
        ) {
            let battery =
                Battery::new(Energy::from_wh(capacity), Power::from_w(power), charge, discharge).unwrap();
            let (mut stored, reserve) = (start.min(capacity), reserve.min(capacity));
            let (mut taken, mut given, mut lost) = (0, 0, 0);
            for wish in wishes {
                let before = stored;
                let step = battery.play(stored, wish, reserve, seconds);
                prop_assert!(step.charge_wh >= 0 && step.discharge_wh >= 0 && step.loss_wh >= 0);
                prop_assert!(step.charge_wh.max(step.discharge_wh) <= battery.most_wh(seconds));
                prop_assert!(step.charge_wh == 0 || step.discharge_wh == 0);
                prop_assert!(step.stored_wh <= capacity && step.stored_wh >= before.min(reserve));
                taken += step.charge_wh;
                given += step.discharge_wh;
                lost += step.loss_wh;
                stored = step.stored_wh;
            }
            prop_assert_eq!(start.min(capacity) + taken, stored + given + lost);
        }
    }
}
