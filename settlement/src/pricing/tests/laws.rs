//! The laws, on random slots of any zones, fees, wishes and limits: money and energy are neither made nor lost,
//! and who leaves the market to itself never loses by it.

use domain::strategies;
use proptest::prelude::*;

use super::*;
use crate::netting::{self, Positions};

/// Sites of up to eight members and three zones with any energies.
fn sites() -> impl Strategy<Value = Vec<SiteEnergy>> {
    let any_site = (0_usize..8, 0_i64..5_000, 0_i64..5_000, any::<bool>(), 0_usize..3);
    prop::collection::vec(any_site, 2..20).prop_map(|all| {
        let site = |(i, (member, import, export, substituted, zone))| SiteEnergy {
            substituted,
            zone,
            ..site(i, member, import, export)
        };
        all.into_iter().enumerate().map(site).collect()
    })
}

fn limits() -> impl Strategy<Value = GridLimits> {
    let limit = || prop::option::of((0_i64..40_000).prop_map(wh));
    (limit(), limit()).prop_map(|(import, export)| GridLimits { import, export })
}

/// The fees of the zones 0 to 2, by from and to.
fn matrix() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0_i64..60_000, 9)
}

fn fees_of(tariff: &Tariff, matrix: &[i64]) -> NetworkFees {
    fees(tariff, &[&matrix[..3], &matrix[3..6], &matrix[6..]])
}

/// Serves the smaller side of the sites' net energies at one price, and pairs them as they come.
fn close(slot: &mut Slot, price: Price, premium: impl Fn(usize) -> i64) {
    let nets: Vec<i64> = slot.sites.iter().map(|s| s.metered.net_export().unwrap().wh()).collect();
    let (mut buyers, mut sellers) = (nets.iter().map(|n| (-n).max(0)).collect::<Vec<_>>(), nets.clone());
    let (mut bought, mut sold) = (vec![0; nets.len()], vec![0; nets.len()]);
    for (b, s) in (0..nets.len()).flat_map(|b| (0..nets.len()).map(move |s| (b, s))) {
        let energy = buyers[b].min(sellers[s].max(0));
        if energy > 0 {
            buyers[b] -= energy;
            sellers[s] -= energy;
            bought[b] += energy;
            sold[s] += energy;
            let network_fee = slot.fees.fee(slot.sites[s].zone, slot.sites[b].zone);
            let preferred = wh(energy - energy % 3);
            slot.pairs.push(ClosingPair { network_fee, preferred, ..pair(b, s, energy, premium(b)) });
        }
    }
    for i in 0..nets.len() {
        slot.fills.extend((bought[i] > 0).then(|| fill(i, Side::Bid, bought[i], price)));
        slot.fills.extend((sold[i] > 0).then(|| fill(i, Side::Offer, sold[i], price)));
    }
}

fn sum(statements: &[Statement], of: fn(&Statement) -> Money) -> Money {
    Money::checked_sum(statements.iter().map(of)).unwrap()
}

fn energy(statements: &[Statement], of: fn(&Statement) -> Energy) -> i64 {
    statements.iter().map(|s| of(s).wh()).sum()
}

fn nets(statements: &[Statement]) -> Positions {
    statements.iter().map(|s| (s.account_id.clone(), s.net)).collect()
}

type Deal = (usize, usize, Energy, Price);

fn deals() -> impl Strategy<Value = Vec<Deal>> {
    prop::collection::vec((0_usize..20, 0_usize..20, strategies::slot_energy(), strategies::price()), 0..30)
}

/// A slot with trades that follow no rule at all, and a closing auction at any price.
fn any_slot() -> impl Strategy<Value = Slot> {
    let prices = (strategies::tariff(), strategies::price(), prop::collection::vec(0_i64..300_000, 20));
    (prices, matrix(), limits(), sites(), deals()).prop_map(
        |((tariff, closing, premiums), matrix, limits, sites, deals)| {
            let trades = deals
                .into_iter()
                .map(|(s, b, energy, price)| trade(s % sites.len(), b % sites.len(), energy, price))
                .collect();
            let mut slot =
                Slot { fees: fees_of(&tariff, &matrix), tariff, limits, trades, ..Slot::new(sites) };
            close(&mut slot, closing, |buyer| premiums[buyer]);
            slot
        },
    )
}

proptest! {
    #[test]
    fn money_sums_to_zero(slot in any_slot()) {
        let statements = slot.price().unwrap();
        let parts: [fn(&Statement) -> Money; 5] =
            [|s| s.net, |s| s.base, |s| s.residual, |s| s.network_fee, |s| s.platform_fee];
        for part in parts {
            prop_assert!(sum(&statements, part).is_zero());
        }
        let bought = sum(&statements, |s| s.preferred_bought.money);
        prop_assert!(bought.checked_add(sum(&statements, |s| s.preferred_sold.money)).unwrap().is_zero());
        for statement in &statements {
            prop_assert_eq!(statement.net, statement.sum().unwrap());
        }
    }

    #[test]
    fn a_correction_moves_money_that_sums_to_zero(before in any_slot(), after in any_slot()) {
        let (before, after) = (before.price().unwrap(), after.price().unwrap());
        let owed = netting::differences(&nets(&after), &nets(&before)).unwrap();
        prop_assert!(Money::checked_sum(owed.into_values()).unwrap().is_zero());
    }

    #[test]
    fn limits_hold_exactly_and_change_nothing_else(slot in any_slot()) {
        let limited = slot.price().unwrap();
        let free = Slot { limits: GridLimits::default(), ..slot }.price().unwrap();
        let (export, import) = (energy(&free, |s| s.residual_export), energy(&free, |s| s.residual_import));
        let beyond = |whole: i64, limit: Option<Energy>| limit.map_or(0, |limit| (whole - limit.wh()).max(0));
        prop_assert_eq!(energy(&limited, |s| s.curtailed), beyond(export, slot.limits.export));
        prop_assert_eq!(energy(&limited, |s| s.over_limit), beyond(import, slot.limits.import));
        for (with, without) in limited.iter().zip(&free) {
            prop_assert_eq!(with.residual_export.checked_add(with.curtailed).unwrap(), without.residual_export);
            prop_assert_eq!(with.residual_import, without.residual_import);
            prop_assert!(with.over_limit <= with.residual_import && !with.curtailed.is_negative());
            let same = |s: &Statement| (s.traded_bought, s.closing_sold, s.preferred_sold, s.network_fee, s.base);
            prop_assert_eq!(same(with), same(without));
        }
    }

    #[test]
    fn passive_members_are_never_worse_off_than_at_the_tariffs(
        tariff in strategies::tariff(),
        matrix in matrix(),
        limits in limits(),
        sites in sites(),
        share in 0_i64..=100,
    ) {
        // Fees and premium take what the uniform price leaves up to the retail tariff, at most.
        let most = tariff.highest_limit().unwrap().checked_sub(tariff.feed_in()).unwrap();
        let most = most.checked_add(tariff.network_fee()).unwrap().micro_per_kwh();
        let matrix: Vec<i64> = matrix.into_iter().map(|fee| fee.min(most)).collect();
        let fees = fees_of(&tariff, &matrix);
        let highest = (0..3).map(|zone| fees.highest_limit(&tariff, zone).unwrap()).min().unwrap();
        let (low, high) = (tariff.lowest_limit().micro_per_kwh(), highest.micro_per_kwh());
        let closing = low + (high - low) * share / 100;
        let mut slot = Slot { fees, tariff, limits, ..Slot::new(sites) };
        close(&mut slot, micro(closing), |_| high - closing);
        for statement in slot.price().unwrap().iter().filter(|s| s.account_id.as_str().starts_with("m-")) {
            // What is curtailed would be without the market too, and more of it.
            let curtailed = tariff.feed_in().checked_mul(statement.curtailed).unwrap();
            prop_assert!(statement.net.checked_add(curtailed).unwrap() >= statement.base, "{statement:?}");
        }
    }
}
