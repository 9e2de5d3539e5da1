//! What a site's energy in a slot is, from its registers, as a pure function.
//!
//! **The rule.** With a reading at the slot's end and one at an earlier boundary of the same life of
//! the meter, the slot gets the register difference since the last known boundary at or before its
//! start, less what the slots since that boundary were already given. Without a reading at the slot's
//! end, or without any earlier one to subtract, the traded position stands for the energy, and the
//! slot is marked as substituted.
//!
//! **The carry.** What slots were given beyond their register is carried from slot to slot: a
//! substituted slot adds its energy to the carry, a metered one uses its register difference to pay
//! the carry down before the rest becomes its energy. So an energy is never negative, and at each
//! boundary that was read
//!
//! `energy of all slots since the first known boundary = register difference + carry`
//!
//! holds exactly, for import and export separately. Once the carry is used up, slots add up to the
//! register difference to the last watt-hour, whatever boundaries are missing. The carry is dropped
//! where registers cannot be compared: at the first reading of a meter's life.
//!
//! Slots of a community are metered in order, so that what earlier slots were given is known.

use domain::reading::Metered;
use domain::units::{Energy, Overflow};
use store::metering::{Carry, MeteredSite, SiteInputs};

/// Computes what a site's slot was given.
///
/// # Errors
/// [`Overflow`] if the energies are absurd.
pub fn meter(site: &SiteInputs) -> Result<MeteredSite, Overflow> {
    let difference = site.start.zip(site.end).map(|(start, end)| {
        // Ingest keeps registers from falling inside a life. Should one fall all the same, the two
        // readings cannot be compared, as at the start of a new life.
        Metered::between(&start.registers, &end.registers).ok()
    });
    match (difference.flatten(), site.end) {
        (Some(difference), _) => {
            let (import, import_carry) = pay_down(difference.import, site.carried.import)?;
            let (export, export_carry) = pay_down(difference.export, site.carried.export)?;
            Ok(MeteredSite {
                site_id: site.site_id.clone(),
                metered: Metered { import, export, production: difference.production },
                substituted: false,
                carry: Carry { import: import_carry, export: export_carry },
            })
        }
        // A reading that starts a life: from here on registers are compared with it alone.
        (None, Some(_)) => substitute(site, Carry::default()),
        (None, None) => {
            let position = position(site.net_sale)?;
            let carry = Carry {
                import: site.carried.import.checked_add(position.import)?,
                export: site.carried.export.checked_add(position.export)?,
            };
            substitute(site, carry)
        }
    }
}

/// What a site has left to sell (positive) or buy (negative) in the closing auction.
///
/// # Errors
/// [`Overflow`] if the energies are absurd.
pub fn residual(metered: &Metered, net_sale: Energy) -> Result<Energy, Overflow> {
    metered.net_export()?.checked_sub(net_sale)
}

/// The energy that a register difference leaves once the carry is paid, and the carry that is left.
fn pay_down(difference: Energy, carried: Energy) -> Result<(Energy, Energy), Overflow> {
    let paid = difference.min(carried);
    Ok((difference.checked_sub(paid)?, carried.checked_sub(paid)?))
}

fn substitute(site: &SiteInputs, carry: Carry) -> Result<MeteredSite, Overflow> {
    let metered = position(site.net_sale)?;
    Ok(MeteredSite { site_id: site.site_id.clone(), metered, substituted: true, carry })
}

/// The traded position as energy: what was sold is taken as exported, what was bought as imported.
fn position(net_sale: Energy) -> Result<Metered, Overflow> {
    if net_sale.is_negative() {
        Ok(Metered { import: net_sale.checked_neg()?, export: Energy::ZERO, production: None })
    } else {
        Ok(Metered { import: Energy::ZERO, export: net_sale, production: None })
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use domain::ids::{MemberId, SiteId};
    use domain::reading::{Register, Registers};
    use proptest::prelude::*;
    use store::metering::Boundary;

    use super::*;

    fn at(slot: usize) -> DateTime<Utc> {
        DateTime::from_timestamp(900 * i64::try_from(slot).unwrap(), 0).unwrap()
    }

    fn boundary(slot: usize, epoch: i32, import_mwh: i64, export_mwh: i64) -> Boundary {
        let register = |mwh| Register::from_mwh(mwh).unwrap();
        let (import, export) = (register(import_mwh), register(export_mwh));
        let registers = Registers { import, export, production: None };
        Boundary { at: at(slot), epoch, registers }
    }

    fn inputs(
        start: Option<Boundary>,
        end: Option<Boundary>,
        net_sale_wh: i64,
        carried: Carry,
    ) -> SiteInputs {
        SiteInputs {
            site_id: SiteId::new("s1").unwrap(),
            member_id: MemberId::new("m1").unwrap(),
            end,
            start,
            net_sale: Energy::from_wh(net_sale_wh),
            carried,
        }
    }

    /// Meters slots 1, 2, ... of a meter whose boundary `i` reads `registers[i]`, or is missing.
    fn series(registers: &[Option<(i64, i64)>], net_sales_wh: &[i64]) -> Vec<MeteredSite> {
        let known = |slot: usize| registers[slot].map(|(i, e)| boundary(slot, 1, i, e));
        let mut carried = Carry::default();
        (1..registers.len())
            .map(|slot| {
                let end = known(slot);
                let start = end.and_then(|_| (0..slot).rev().find_map(known));
                let site = meter(&inputs(start, end, net_sales_wh[slot - 1], carried)).unwrap();
                carried = site.carry;
                site
            })
            .collect()
    }

    fn energies(sites: &[MeteredSite]) -> Vec<(i64, i64, bool)> {
        sites.iter().map(|s| (s.metered.import.wh(), s.metered.export.wh(), s.substituted)).collect()
    }

    #[test]
    fn a_gap_is_substituted_by_the_traded_position_and_closed_by_the_next_reading() {
        let registers = [Some((0, 0)), None, Some((900_000, 0))];
        assert_eq!(energies(&series(&registers, &[-300, -5])), [(300, 0, true), (600, 0, false)]);
    }

    #[test]
    fn what_was_substituted_too_high_is_taken_off_later_slots_and_never_negative() {
        let registers = [Some((0, 0)), None, Some((100_000, 0)), Some((250_000, 0)), Some((400_000, 0))];
        let sites = series(&registers, &[-300, 0, 0, 0]);
        assert_eq!(
            energies(&sites),
            [(300, 0, true), (0, 0, false), (0, 0, false), (100, 0, false)],
            "300 + 0 + 0 + 100 Wh are the register's 400 Wh"
        );
        assert_eq!(sites[2].carry.import, Energy::from_wh(50));
    }

    #[test]
    fn the_first_slot_of_a_meter_has_nothing_to_subtract_from() {
        let registers = [None, Some((5_000_000, 0)), Some((5_000_700, 0))];
        assert_eq!(energies(&series(&registers, &[40, 0])), [(0, 40, true), (0, 0, false)]);
        let first = series(&registers, &[40, 0]).remove(0);
        assert_eq!(first.carry, Carry::default());
    }

    #[test]
    fn a_register_that_falls_is_substituted_and_not_a_negative_energy() {
        let site =
            inputs(Some(boundary(0, 1, 10_000, 0)), Some(boundary(1, 1, 9_000, 0)), -7, Carry::default());
        let metered = meter(&site).unwrap();
        assert!(metered.substituted);
        assert_eq!(metered.metered.import, Energy::from_wh(7));
    }

    #[test]
    fn the_residual_is_what_was_not_traded() {
        let metered = Metered { import: Energy::from_wh(20), export: Energy::from_wh(500), production: None };
        assert_eq!(residual(&metered, Energy::from_wh(300)), Ok(Energy::from_wh(180)));
        assert_eq!(residual(&metered, Energy::from_wh(600)), Ok(Energy::from_wh(-120)));
    }

    proptest! {
        #[test]
        fn slots_add_up_to_the_register_over_any_pattern_of_missing_boundaries(
            steps in prop::collection::vec((0..3_000_000_i64, 0..3_000_000_i64, any::<bool>(), -2_000..2_000_i64), 1..60)
        ) {
            let (mut import, mut export) = (7_654_321, 1_234_567);
            let mut registers = vec![Some((import, export))];
            for (di, de, known, _) in &steps {
                import += di;
                export += de;
                registers.push(known.then_some((import, export)));
            }
            let net_sales: Vec<_> = steps.iter().map(|step| step.3).collect();
            let sites = series(&registers, &net_sales);
            let (mut given_import, mut given_export) = (0, 0);
            for (slot, site) in sites.iter().enumerate() {
                let (metered, carry) = (site.metered, site.carry);
                prop_assert!(!metered.import.is_negative() && !metered.export.is_negative());
                prop_assert!(!carry.import.is_negative() && !carry.export.is_negative());
                given_import += metered.import.wh();
                given_export += metered.export.wh();
                let Some((i, e)) = registers[slot + 1] else { continue };
                let whole = |mwh: i64, first: i64| mwh / 1_000 - first / 1_000;
                prop_assert_eq!(given_import, whole(i, 7_654_321) + carry.import.wh());
                prop_assert_eq!(given_export, whole(e, 1_234_567) + carry.export.wh());
            }
        }
    }
}
