//! Who takes from whom, once everybody's energy is known.

use domain::order::Side;

use super::lots::Lots;
use super::market::{Market, Wisher, zone_of};
use super::sellers::Seller;
use super::{Pair, zones};

/// Pairs the buyers and `sellers` of `filled_wh`. First zones are matched at the least total fee. Within that, buyers
/// with a wish take what they ask for, the highest premium first; then all take what is left, in this slot's
/// order.
///
/// Two sites make one pair at most: a wish leaves something of a seller only where the buyer needs no more, or
/// where its zone may take no more from that zone.
pub(super) fn pairs(
    market: &Market<'_>,
    asking: &[Wisher],
    sellers: &[Seller],
    filled_wh: &mut [i64],
) -> Vec<Pair> {
    let zones = market.fees.count();
    let traded_wh = |side| {
        let (mut by_zone_wh, mut count) = (vec![0; zones], 0);
        for order in market.sides.of(side) {
            let wh = filled_wh[order.index()];
            by_zone_wh[zone_of(order.tag) as usize] += wh;
            count += usize::from(wh > 0);
        }
        (by_zone_wh, count)
    };
    let ((supply_wh, selling), (demand_wh, buying)) = (traded_wh(Side::Offer), traded_wh(Side::Bid));
    let flow_wh = zones::least_fee(&supply_wh, &demand_wh, market.fees);
    let mut lots = Lots::new(sellers, &market.names, filled_wh, flow_wh, None);
    let mut pairs = Vec::with_capacity(buying + selling);
    // What is met is not sought any more, until all have been served.
    for wisher in asking {
        let buyer = wisher.site as usize;
        let met = Some(wisher.premium);
        let mut taken = |seller: u32, wh| pairs.push(Pair { buyer, seller: seller as usize, wh, met });
        filled_wh[buyer] -= lots.take_wished(wisher, &market.names, filled_wh[buyer], &mut taken);
    }
    let met = pairs.len();
    for (_, order) in market.in_turn(Side::Bid) {
        let buyer = order.index();
        let mut taken = |seller: u32, wh| pairs.push(Pair { buyer, seller: seller as usize, wh, met: None });
        lots.take_any(zone_of(order.tag), filled_wh[buyer], &mut taken);
    }
    for pair in &pairs[..met] {
        filled_wh[pair.buyer] += pair.wh;
    }
    pairs
}
