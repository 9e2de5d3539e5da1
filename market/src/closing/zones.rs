//! Which zone takes from which: the assignment of least total fee.
//!
//! A transport problem over at most [`domain::fees::MAX_ZONES`] zones, solved exactly in integers by shortest
//! augmenting paths. Of all assignments of least fee it takes one that leaves as much as possible within its zone.

use domain::fees::NetworkFees;

/// What a watt-hour costs on its way: first the fee, then whether it leaves its zone. A path has fewer than
/// [`FEE_STEP`] / 2 arcs, so the second never outweighs the first.
const FEE_STEP: i128 = 256;

/// How much each zone gives each other, in Wh, at `from * zones + to`. What zones have (`supply_wh`) and lack
/// (`demand_wh`) must add up to the same.
pub(super) fn least_fee(supply_wh: &[i64], demand_wh: &[i64], fees: &NetworkFees) -> Vec<i64> {
    let count = fees.count();
    let (mut supply, mut demand) = (supply_wh.to_vec(), demand_wh.to_vec());
    let mut flow = vec![0; count * count];
    // Each path moves at least one watt-hour, so this ends.
    while let Some(path) = cheapest_path(&supply, &demand, &flow, fees) {
        let (Some(first), Some(last)) = (path.first(), path.last()) else { break };
        let mut wh = supply[first.0].min(demand[last.1]);
        for (_, back) in path.iter().zip(path.iter().skip(1)).map(|(a, b)| (a, (b.0, a.1))) {
            wh = wh.min(flow[back.0 * count + back.1]);
        }
        supply[first.0] -= wh;
        demand[last.1] -= wh;
        for (from, to) in &path {
            flow[from * count + to] += wh;
        }
        for (a, b) in path.iter().zip(path.iter().skip(1)) {
            flow[b.0 * count + a.1] -= wh;
        }
    }
    flow
}

/// The cheapest way for another watt-hour from a zone that has some to one that lacks some: the arcs (from, to)
/// that get more. Between two of them, what the second zone gave the first's receiver is taken back.
fn cheapest_path(
    supply: &[i64],
    demand: &[i64],
    flow: &[i64],
    fees: &NetworkFees,
) -> Option<Vec<(usize, usize)>> {
    let count = fees.count();
    let cost = |from: usize, to: usize| {
        i128::from(fees.fee(from, to).micro_per_kwh()) * FEE_STEP + i128::from(from != to)
    };
    // The cost to reach each giving and each taking zone, and whence.
    let mut giving: Vec<Option<(i128, Option<usize>)>> =
        supply.iter().map(|wh| (*wh > 0).then_some((0, None))).collect();
    let mut taking: Vec<Option<(i128, usize)>> = vec![None; count];
    let mut changed = true;
    while changed {
        changed = false;
        for (from, reached) in giving.iter().enumerate() {
            let Some((so_far, _)) = *reached else { continue };
            for (to, best) in taking.iter_mut().enumerate() {
                let through = so_far + cost(from, to);
                if best.is_none_or(|(known, _)| through < known) {
                    *best = Some((through, from));
                    changed = true;
                }
            }
        }
        for to in 0..count {
            let Some((so_far, _)) = taking[to] else { continue };
            for from in (0..count).filter(|from| flow[from * count + to] > 0) {
                let back = so_far - cost(from, to);
                if giving[from].is_none_or(|(known, _)| back < known) {
                    giving[from] = Some((back, Some(to)));
                    changed = true;
                }
            }
        }
    }
    let reached = (0..count).filter(|to| demand[*to] > 0);
    let mut to = reached.filter_map(|to| Some((taking[to]?.0, to))).min()?.1;
    let mut path = Vec::new();
    loop {
        let from = taking[to]?.1;
        path.push((from, to));
        match giving[from]?.1 {
            Some(before) => to = before,
            None => break,
        }
    }
    path.reverse();
    Some(path)
}

#[cfg(test)]
mod tests {
    use domain::ids::ZoneId;
    use domain::tariff::Tariff;
    use domain::units::Price;
    use proptest::prelude::*;

    use super::*;

    fn fees(matrix: &[&[i64]]) -> NetworkFees {
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        let zone = |number: usize| ZoneId::new(&format!("z{number:02}")).unwrap();
        let pairs: Vec<_> = matrix
            .iter()
            .enumerate()
            .flat_map(|(from, row)| row.iter().enumerate().map(move |(to, fee)| (from, to, *fee)))
            .map(|(from, to, fee)| (zone(from), zone(to), price(fee)))
            .collect();
        NetworkFees::new((0..matrix.len()).map(zone), &tariff, pairs).unwrap()
    }

    #[test]
    fn energy_stays_in_its_zone_where_all_fees_are_the_same() {
        let fees = fees(&[&[5, 5, 5], &[5, 5, 5], &[5, 5, 5]]);
        assert_eq!(least_fee(&[10, 0, 5], &[4, 8, 3], &fees), [4, 6, 0, 0, 0, 0, 0, 2, 3]);
    }

    #[test]
    fn an_earlier_choice_is_taken_back_where_the_whole_gets_cheaper() {
        // The cheapest pair alone, 0 to 0 at 1, would leave 1 to 1 at 9.
        let fees = fees(&[&[1, 2], &[2, 9]]);
        assert_eq!(least_fee(&[1, 1], &[1, 1], &fees), [0, 1, 1, 0]);
    }

    /// The least cost of any assignment, by trying all of them.
    fn brute_force(supply: &mut [i64], demand: &mut [i64], fees: &NetworkFees) -> i64 {
        let Some(from) = supply.iter().position(|wh| *wh > 0) else { return 0 };
        supply[from] -= 1;
        let mut best = i64::MAX;
        for to in 0..demand.len() {
            if demand[to] > 0 {
                demand[to] -= 1;
                best = best.min(fees.fee(from, to).micro_per_kwh() + brute_force(supply, demand, fees));
                demand[to] += 1;
            }
        }
        supply[from] += 1;
        best
    }

    proptest! {
        #[test]
        fn no_assignment_pays_less(
            matrix in prop::collection::vec(prop::collection::vec(0_i64..20, 3), 3),
            from in prop::collection::vec(0_usize..3, 1..6),
            to in prop::collection::vec(0_usize..3, 6),
        ) {
            let rows: Vec<&[i64]> = matrix.iter().map(Vec::as_slice).collect();
            let fees = fees(&rows);
            let (mut supply, mut demand) = (vec![0; 3], vec![0; 3]);
            for (from, to) in from.iter().zip(&to) {
                supply[*from] += 1;
                demand[*to] += 1;
            }
            let flow = least_fee(&supply, &demand, &fees);
            for zone in 0..3 {
                prop_assert_eq!(flow[zone * 3..][..3].iter().sum::<i64>(), supply[zone]);
                prop_assert_eq!((0..3).map(|from| flow[from * 3 + zone]).sum::<i64>(), demand[zone]);
            }
            let paid: i64 = flow.iter().enumerate().map(|(at, wh)| wh * fees.fee(at / 3, at % 3).micro_per_kwh()).sum();
            prop_assert_eq!(paid, brute_force(&mut supply, &mut demand, &fees));
        }

        #[test]
        fn the_most_zones_there_may_be_are_matched_whole(
            seeds in prop::collection::vec((0_i64..50_000, 0_i64..1_000_000, 0_i64..1_000_000), 256),
        ) {
            let matrix: Vec<Vec<i64>> = seeds.chunks(16).map(|row| row.iter().map(|seed| seed.0).collect()).collect();
            let rows: Vec<&[i64]> = matrix.iter().map(Vec::as_slice).collect();
            let mut supply: Vec<i64> = seeds[..16].iter().map(|seed| seed.1).collect();
            let mut demand: Vec<i64> = seeds[..16].iter().map(|seed| seed.2).collect();
            let (offered, wanted) = (supply.iter().sum::<i64>(), demand.iter().sum::<i64>());
            demand[0] += (offered - wanted).max(0);
            supply[0] += (wanted - offered).max(0);
            let flow = least_fee(&supply, &demand, &fees(&rows));
            prop_assert!(flow.iter().all(|wh| *wh >= 0));
            for zone in 0..16 {
                prop_assert_eq!(flow[zone * 16..][..16].iter().sum::<i64>(), supply[zone]);
            }
        }
    }
}
