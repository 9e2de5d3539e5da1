//! How long the whole closing auction takes with every rule at work: sixteen zones with a fee for each pair,
//! standing limits, a rationed level, and wishes of every kind with premiums; who took from whom included.

use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::fees::{MAX_ZONES, NetworkFees};
use domain::ids::{MemberId, SiteId, ZoneId};
use domain::standing::{Preference, StandingOrder, Wish};
use domain::tariff::Tariff;
use domain::units::{Energy, Price};
use market::auction::clear;
use market::closing::{ClosingSite, Terms, decide, orders};

use crate::Figure;
use crate::random::Random;

const SITES: usize = 200_000;
const RUNS: usize = 9;

pub(crate) fn print() {
    let price = Price::from_micro_per_kwh;
    let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
    let mut random = Random::new(0x0dd0_5eed_0dd0_5eed);
    let zones: Vec<ZoneId> =
        (0..MAX_ZONES).map(|zone| ZoneId::new(&format!("zone-{zone:02}")).unwrap()).collect();
    let pairs: Vec<_> = zones
        .iter()
        .flat_map(|from| zones.iter().map(move |to| (from.clone(), to.clone())))
        .map(|(from, to)| (from, to, price(random.between(5_000, 60_000))))
        .collect();
    let fees = NetworkFees::new(zones, &tariff, pairs).unwrap();
    let sites: Vec<ClosingSite> = (0..SITES).map(|number| site(number, &mut random)).collect();
    // A market has closed slots before, so the allocator has had such a list back and keeps memory of that size.
    drop(black_box(sites.clone()));
    let terms = Terms { tariff: &tariff, fees: &fees, turn: 77 };
    let ours = least(|| {
        black_box(decide(black_box(&sites), &terms).unwrap());
    });
    let plain = orders(sites.iter().map(|site| site.residual), &tariff).unwrap();
    let bare = least(|| {
        black_box(clear(black_box(&plain)).unwrap());
    });
    let value = ours.as_secs_f64() * 1e3;
    Figure::new("closing_auction_100k_100k_zones_and_wishes", value, "ms")
        .beside("the call auction alone", bare.as_secs_f64() / ours.as_secs_f64())
        .print();
}

/// Half of the buyers ask for something; limits lie on 200 steps, so that the last level is shared by many.
fn site(number: usize, random: &mut Random) -> ClosingSite {
    let price = Price::from_micro_per_kwh;
    let member = |number: i64| MemberId::new(&format!("member-{number:06}")).unwrap();
    let limit = price(80_000 + 1_000 * random.between(0, 150));
    let preference = match random.between(0, 9) {
        0 | 1 => Preference::Local,
        2 | 3 => Preference::Green,
        4 => Preference::Partners(vec![member(random.between(0, 199_999))]),
        _ => Preference::Any,
    };
    let premium = if preference == Preference::Any { 0 } else { random.between(0, 40_000) };
    ClosingSite {
        site_id: SiteId::new(&format!("site-{number:06}")).unwrap(),
        member_id: member(i64::try_from(number).unwrap()),
        zone: usize::try_from(random.between(0, 15)).unwrap(),
        green: random.between(0, 1) == 1,
        residual: Energy::from_wh(random.between(-2_000, 2_000)),
        standing: StandingOrder {
            offer_limit: Some(limit),
            bid_limit: Some(limit),
            wish: Wish::new(preference, price(premium)).unwrap(),
        },
    }
}

fn least(run: impl Fn()) -> Duration {
    let once = || {
        let started = Instant::now();
        run();
        started.elapsed()
    };
    (0..RUNS).map(|_| once()).min().unwrap_or_default()
}
