//! What the closing auction costs a member, from a hundred members to a hundred thousand.

use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::fees::NetworkFees;
use domain::ids::{MemberId, SiteId, ZoneId};
use domain::standing::StandingOrder;
use domain::tariff::Tariff;
use domain::units::{Energy, Price};
use market::closing::{ClosingSite, Terms, decide};

use crate::Figure;
use crate::random::Random;

const FEW: usize = 100;

pub(crate) fn print() {
    let few = nanos_a_member(FEW);
    for members in [FEW, 1_000, 10_000, 100_000] {
        let value = if members == FEW { few } else { nanos_a_member(members) };
        let bench = format!("closing_auction_cost_a_member_{members}");
        Figure::new(bench, value, "ns").beside("100 members", few / value).print();
    }
}

fn nanos_a_member(members: usize) -> f64 {
    let price = Price::from_micro_per_kwh;
    let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
    let mut random = Random::new(0x1234_5678_9abc_def1);
    let fees = NetworkFees::new([ZoneId::default()], &tariff, []).unwrap();
    let terms = Terms { tariff: &tariff, fees: &fees, turn: 0 };
    let sites: Vec<ClosingSite> = (0..members)
        .map(|site| ClosingSite {
            site_id: SiteId::new(&format!("site-{site:06}")).unwrap(),
            member_id: MemberId::new(&format!("member-{site:06}")).unwrap(),
            zone: 0,
            green: false,
            residual: Energy::from_wh(random.between(-2_000, 2_000)),
            standing: StandingOrder::default(),
        })
        .collect();
    // A market has closed slots before, so the allocator has had such a list back and keeps memory of that size.
    drop(black_box(sites.clone()));
    // The least of many runs, each of about as many members in all.
    let runs = (1_000_000 / members).clamp(15, 2_000);
    let once = || {
        let started = Instant::now();
        black_box(decide(black_box(&sites), &terms).unwrap());
        started.elapsed()
    };
    let least: Duration = (0..runs).map(|_| once()).min().unwrap_or_default();
    least.as_secs_f64() * 1e9 / f64::from(u32::try_from(members).unwrap())
}
