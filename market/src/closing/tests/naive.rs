//! The closing auction against one that tries every price and looks through all sellers for every buyer.

use domain::apportion::pro_rata;
use domain::fees::MAX_ZONES;
use domain::standing::Preference;
use proptest::prelude::*;

use super::*;
use crate::closing::zones::least_fee;

/// The sites, what holds for them, and what the naive auction has found out.
struct Naive<'a> {
    sites: &'a [ClosingSite],
    terms: &'a Terms<'a>,
    price: Price,
    /// What each site trades at most.
    most_wh: Vec<i64>,
    /// The sites in this slot's order.
    turn: Vec<usize>,
    rationed: Vec<usize>,
}

/// What is left of each seller, of a ration and between zones.
struct Left {
    lots_wh: Vec<i64>,
    ration_wh: i64,
    room_wh: Vec<i64>,
}

fn limit(site: &ClosingSite, terms: &Terms<'_>) -> i64 {
    let bound = terms.fees.highest_limit(terms.tariff, site.zone).unwrap();
    let (offer, bid) = site.standing.limits(terms.tariff.lowest_limit(), bound);
    if is_buyer(site) { -bid.micro_per_kwh() } else { offer.micro_per_kwh() }
}

fn is_buyer(site: &ClosingSite) -> bool {
    site.residual.is_negative()
}

/// Of all prices the volume and the midpoint of those of most volume and then of least imbalance.
fn price_and_volume(sites: &[ClosingSite], terms: &Terms<'_>) -> Option<(i64, i64)> {
    let sum = |buyers: bool, limit_up_to: i64| -> i64 {
        let side = sites.iter().filter(|site| is_buyer(site) == buyers && limit(site, terms) <= limit_up_to);
        side.map(|site| site.residual.wh().abs()).sum()
    };
    // Nothing changes but at a limit and next to it.
    let limits = sites.iter().map(|site| limit(site, terms).abs()).flat_map(|at| at - 1..=at + 1);
    let prices: std::collections::BTreeSet<i64> = limits.collect();
    let score = |price: i64| {
        let (demand, supply) = (sum(true, -price), sum(false, price));
        (demand.min(supply), -(demand - supply).abs())
    };
    let scored: Vec<_> = prices.into_iter().map(|price| (score(price), price)).collect();
    let best = scored.iter().map(|(score, _)| *score).max().filter(|(volume, _)| *volume > 0)?;
    let mut prices = scored.iter().filter(|(score, _)| *score == best).map(|(_, price)| *price);
    let first = prices.next()?;
    Some(((first + prices.next_back().unwrap_or(first)).div_euclid(2), best.0))
}

/// Serves both sides by priority and notes the level that is rationed.
fn serve(sites: &[ClosingSite], terms: &Terms<'_>, volume_wh: i64) -> (Vec<i64>, Vec<usize>) {
    let (mut filled_wh, mut rationed) = (vec![0; sites.len()], Vec::new());
    for buyers in [true, false] {
        let mut left_wh = volume_wh;
        let mut side: Vec<usize> =
            (0..sites.len()).filter(|site| is_buyer(&sites[*site]) == buyers).collect();
        side.retain(|site| !sites[*site].residual.is_zero());
        side.sort_by_key(|site| limit(&sites[*site], terms));
        for level in side.chunk_by(|a, b| limit(&sites[*a], terms) == limit(&sites[*b], terms)) {
            let energies: Vec<i64> = level.iter().map(|site| sites[*site].residual.wh().abs()).collect();
            let shares = pro_rata(&energies, left_wh);
            if 0 < left_wh && left_wh < energies.iter().sum() {
                rationed = level.to_vec();
            }
            left_wh -= shares.iter().sum::<i64>();
            for (site, wh) in level.iter().zip(shares) {
                filled_wh[*site] = wh;
            }
        }
    }
    (filled_wh, rationed)
}

impl Naive<'_> {
    fn is_named(&self, seller: usize) -> bool {
        let asking = self.sites.iter().filter(|site| is_buyer(site));
        let mut named = asking.flat_map(|site| site.standing.wish.preference().partners());
        named.any(|member| *member == self.sites[seller].member_id)
    }

    /// The buyers that ask for something, as they are served, with what they pay for it.
    fn asking(&self) -> Vec<(usize, Price)> {
        let asks = |site: &usize| {
            is_buyer(&self.sites[*site]) && *self.sites[*site].standing.wish.preference() != Preference::Any
        };
        let premium = |site: usize| {
            let bound = self.terms.fees.highest_limit(self.terms.tariff, self.sites[site].zone).unwrap();
            let room = bound.checked_sub(self.price).unwrap();
            (site, self.sites[site].standing.wish.premium().min(room).max(Price::ZERO))
        };
        let mut all: Vec<_> = self.turn.iter().copied().filter(asks).map(premium).collect();
        all.sort_by_key(|(_, premium)| std::cmp::Reverse(*premium));
        all
    }

    /// Takes from the sellers that fit: unbounded ones first, and of these the ones that nobody names.
    fn take(
        &self,
        left: &mut Left,
        buyer: usize,
        want_wh: &mut i64,
        fits: impl Fn(&ClosingSite) -> bool,
    ) -> Vec<(usize, i64)> {
        let rank = |site: &usize| (self.rationed.contains(site), self.is_named(*site));
        let mut sellers: Vec<usize> =
            self.turn.iter().copied().filter(|site| fits(&self.sites[*site])).collect();
        sellers.sort_by_key(rank);
        self.take_each(left, buyer, want_wh, &sellers)
    }

    fn take_each(
        &self,
        left: &mut Left,
        buyer: usize,
        want_wh: &mut i64,
        sellers: &[usize],
    ) -> Vec<(usize, i64)> {
        let mut taken = Vec::new();
        for seller in sellers {
            let room = self.sites[*seller].zone * self.terms.fees.count() + self.sites[buyer].zone;
            let is_rationed = self.rationed.contains(seller);
            let bound_wh = if is_rationed { left.ration_wh } else { i64::MAX };
            let wh = (*want_wh).min(left.lots_wh[*seller]).min(bound_wh).min(left.room_wh[room]);
            *want_wh -= wh;
            left.lots_wh[*seller] -= wh;
            left.room_wh[room] -= wh;
            left.ration_wh -= if is_rationed { wh } else { 0 };
            taken.extend((wh > 0).then_some((*seller, wh)));
        }
        taken
    }

    fn take_wished(&self, left: &mut Left, buyer: usize, mut want_wh: i64) -> Vec<(usize, i64)> {
        let zone = self.sites[buyer].zone;
        let mut taken = Vec::new();
        match self.sites[buyer].standing.wish.preference() {
            Preference::Any => {}
            Preference::Local => {
                for green in [false, true] {
                    let fits = |site: &ClosingSite| site.zone == zone && site.green == green;
                    taken.extend(self.take(left, buyer, &mut want_wh, fits));
                }
            }
            Preference::Green => {
                for from in (0..MAX_ZONES).filter(|from| *from != zone).chain([zone]) {
                    let fits = |site: &ClosingSite| site.zone == from && site.green;
                    taken.extend(self.take(left, buyer, &mut want_wh, fits));
                }
            }
            Preference::Partners(members) => {
                for member in members {
                    let of = |site: &usize| self.sites[*site].member_id == *member;
                    let sellers: Vec<usize> = self.turn.iter().copied().filter(of).collect();
                    taken.extend(self.take_each(left, buyer, &mut want_wh, &sellers));
                }
            }
        }
        taken
    }

    fn take_any(&self, left: &mut Left, buyer: usize, mut want_wh: i64) -> Vec<(usize, i64)> {
        let zone = self.sites[buyer].zone;
        let mut taken = Vec::new();
        for from in [zone].into_iter().chain((0..MAX_ZONES).filter(|from| *from != zone)) {
            for green in [false, true] {
                let fits = |site: &ClosingSite| site.zone == from && site.green == green;
                taken.extend(self.take(left, buyer, &mut want_wh, fits));
            }
        }
        taken
    }

    /// What each site has to sell, if it sells.
    fn lots_wh(&self) -> Vec<i64> {
        let lot = |(site, wh): (&ClosingSite, &i64)| if is_buyer(site) { 0 } else { *wh };
        self.sites.iter().zip(&self.most_wh).map(lot).collect()
    }

    /// What each site of the rationed level gets, which share `level_wh`.
    fn ration(&self, level_wh: i64) -> Vec<i64> {
        let zones = self.terms.fees.count();
        let mut left =
            Left { lots_wh: self.lots_wh(), ration_wh: level_wh, room_wh: vec![i64::MAX; zones * zones] };
        let buys = is_buyer(&self.sites[self.rationed[0]]);
        let (mut first_wh, mut level_left_wh) = (vec![0; self.sites.len()], level_wh);
        for (buyer, premium) in self.asking() {
            let is_rationed = self.rationed.contains(&buyer);
            let want_wh = self.most_wh[buyer].min(if is_rationed { level_left_wh } else { i64::MAX });
            if !buys || premium.is_positive() {
                let got_wh =
                    self.take_wished(&mut left, buyer, want_wh).iter().map(|(_, wh)| wh).sum::<i64>();
                first_wh[buyer] = got_wh;
                level_left_wh -= if is_rationed { got_wh } else { 0 };
            }
        }
        if !buys {
            for site in &self.rationed {
                first_wh[*site] = self.most_wh[*site] - left.lots_wh[*site];
            }
            for (zone, green) in (0..zones).flat_map(|zone| [(zone, false), (zone, true)]) {
                let alike = |site: &usize| (self.sites[*site].zone, self.sites[*site].green) == (zone, green);
                let unnamed =
                    self.rationed.iter().copied().filter(|site| alike(site) && !self.is_named(*site));
                share(&unnamed.collect::<Vec<_>>(), &self.most_wh, &mut first_wh);
            }
        }
        let got = |site: &usize| first_wh[*site];
        let left_wh: Vec<i64> = self.rationed.iter().map(|site| self.most_wh[*site] - got(site)).collect();
        let shares = pro_rata(&left_wh, level_wh - self.rationed.iter().map(got).sum::<i64>());
        self.rationed.iter().zip(shares).map(|(site, share)| got(site) + share).collect()
    }

    fn pairs(&mut self) -> Vec<Pair> {
        self.rationed.clear();
        let zones = self.terms.fees.count();
        let (mut supply_wh, mut demand_wh) = (vec![0; zones], vec![0; zones]);
        for (site, wh) in self.sites.iter().zip(&self.most_wh) {
            let side = if is_buyer(site) { &mut demand_wh } else { &mut supply_wh };
            side[site.zone] += wh;
        }
        let room_wh = least_fee(&supply_wh, &demand_wh, self.terms.fees);
        let mut left = Left { lots_wh: self.lots_wh(), ration_wh: 0, room_wh };
        let (mut pairs, mut needs_wh) = (Vec::new(), self.most_wh.clone());
        for (buyer, premium) in self.asking() {
            for (seller, wh) in self.take_wished(&mut left, buyer, needs_wh[buyer]) {
                needs_wh[buyer] -= wh;
                pairs.push(Pair { buyer, seller, wh, met: Some(premium) });
            }
        }
        for buyer in self.turn.iter().copied().filter(|site| is_buyer(&self.sites[*site])) {
            let taken = self.take_any(&mut left, buyer, needs_wh[buyer]);
            pairs.extend(taken.into_iter().map(|(seller, wh)| Pair { buyer, seller, wh, met: None }));
        }
        pairs
    }
}

/// Shares what `sites` have got among them, in proportion to what they have at most.
fn share(sites: &[usize], most_wh: &[i64], got_wh: &mut [i64]) {
    let energies: Vec<i64> = sites.iter().map(|site| most_wh[*site]).collect();
    let shares = pro_rata(&energies, sites.iter().map(|site| got_wh[*site]).sum());
    for (site, wh) in sites.iter().zip(shares) {
        got_wh[*site] = wh;
    }
}

fn naive(sites: &[ClosingSite], terms: &Terms<'_>) -> Decided {
    let Some((price, volume_wh)) = price_and_volume(sites, terms) else { return Decided::default() };
    let price = Price::from_micro_per_kwh(price);
    let (most_wh, rationed) = serve(sites, terms, volume_wh);
    let first = terms.turn % sites.len();
    let turn = (first..sites.len()).chain(0..first).collect();
    let mut naive = Naive { sites, terms, price, most_wh, turn, rationed };
    if !naive.rationed.is_empty() && !naive.asking().is_empty() {
        let level_wh = naive.rationed.iter().map(|site| naive.most_wh[*site]).sum();
        for site in &naive.rationed {
            naive.most_wh[*site] = sites[*site].residual.wh().abs();
        }
        for (site, wh) in naive.rationed.iter().zip(naive.ration(level_wh)) {
            naive.most_wh[*site] = wh;
        }
    }
    let pairs = naive.pairs();
    Decided { price: Some(price), filled_wh: naive.most_wh, pairs }
}

fn preference(members: usize) -> impl Strategy<Value = Preference> {
    let member = move |number: usize| MemberId::new(&format!("m-{}", number % members)).unwrap();
    let named = prop::collection::btree_set(0..members, 1..4);
    prop_oneof![
        3 => Just(Preference::Any),
        1 => Just(Preference::Local),
        1 => Just(Preference::Green),
        1 => named.prop_map(move |numbers| Preference::Partners(numbers.into_iter().map(member).collect())),
    ]
}

/// A site of up to `most_wh` whose limits lie on `steps`, of one of so many members.
fn any_site((most_wh, steps, members): (i64, i64, usize)) -> impl Strategy<Value = ClosingSite> {
    let limit = prop::option::weighted(0.7, (0..=steps).prop_map(|step| price(70_000 + 1_100 * step)));
    let premium = prop_oneof![Just(0), 0..3_i64, 0..300_000_i64];
    let place = (0..members, 0..MAX_ZONES, any::<bool>());
    (place, -most_wh..=most_wh, (limit.clone(), limit), preference(members), premium).prop_map(
        |((member, zone, green), wh, (offer_limit, bid_limit), preference, premium)| {
            let premium = if preference == Preference::Any { 0 } else { premium };
            let wish = Wish::new(preference, price(premium)).unwrap();
            ClosingSite {
                site_id: SiteId::new("any").unwrap(),
                member_id: MemberId::new(&format!("m-{member}")).unwrap(),
                zone,
                green,
                residual: Energy::from_wh(wh),
                standing: StandingOrder { offer_limit, bid_limit, wish },
            }
        },
    )
}

fn market() -> impl Strategy<Value = (Vec<ClosingSite>, NetworkFees, usize)> {
    let kind = (prop_oneof![Just(3), Just(40), Just(1_000_000_000_000_i64)], 0_i64..200, 1_usize..40);
    let sites = kind.prop_flat_map(|kind| prop::collection::vec(any_site(kind), 0..90));
    let micro = prop::collection::vec(prop_oneof![Just(30_000), 0..60_000_i64], MAX_ZONES * MAX_ZONES);
    (sites, micro, 1..=MAX_ZONES, 0_usize..200).prop_map(|(mut sites, micro, zones, turn)| {
        let zone = |number: usize| ZoneId::new(&format!("z{number:02}")).unwrap();
        let pairs = micro.into_iter().enumerate();
        let pairs = pairs.map(|(at, fee)| (zone(at / MAX_ZONES), zone(at % MAX_ZONES), price(fee)));
        for site in &mut sites {
            site.zone %= zones;
        }
        (sites, NetworkFees::new((0..zones).map(zone), &tariff(), pairs).unwrap(), turn)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn decides_as_the_naive_auction_does((sites, fees, turn) in market()) {
        let tariff = tariff();
        let terms = Terms { tariff: &tariff, fees: &fees, turn };
        prop_assert_eq!(decide(&sites, &terms).unwrap(), naive(&sites, &terms));
    }
}
