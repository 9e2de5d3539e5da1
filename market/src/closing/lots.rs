//! What is there to be taken, by zone and kind, and taking it in the order of the buyers' wishes.

use domain::fees::MAX_ZONES;

use super::market::{Asks, Wisher, zone_of};
use super::names::Names;
use super::sellers::{NOBODY, Seller};

/// Of a pool, lots that no ration bounds are taken first, and of these the ones that nobody names, so that those who
/// name them find them.
const RANKS: usize = 4;
/// Not green, and green.
const KINDS: usize = 2;
/// The ranks of all pools, one after the other.
const SHELVES: usize = RANKS * KINDS * MAX_ZONES;

/// A seller's energy that is not taken yet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lot {
    pub(super) left_wh: i64,
    pub(super) site: u32,
    /// The member's next lot.
    next: u32,
    zone: u32,
    is_rationed: bool,
}

/// All sellers' energy.
pub(super) struct Lots {
    /// By pool and rank, then in this slot's order.
    lots: Vec<Lot>,
    /// Where each rank of each pool ends.
    ends: [usize; SHELVES],
    /// The first lot of each pool that is not used up.
    next: [usize; KINDS * MAX_ZONES],
    /// The first lot of each member that a buyer names.
    first_of: Vec<u32>,
    /// Which zones have something left that is not green, and that is: a bit each.
    full: [u32; KINDS],
    /// From which zones each zone may still take: a bit each.
    open: [u32; MAX_ZONES],
    /// How much each zone may still give each other, at `from * zones + to`.
    room_wh: Vec<i64>,
    zones: usize,
    /// How much may still be taken of lots that are rationed.
    rationed_left_wh: i64,
}

impl Lots {
    /// What `sellers` sell, which is `most_wh` at most; together the rationed ones sell `rationed_wh`, if a level is
    /// rationed still. `room_wh` is how much each zone may give each other, at `from * zones + to`.
    pub(super) fn new(
        sellers: &[Seller],
        names: &Names<'_>,
        most_wh: &[i64],
        room_wh: Vec<i64>,
        rationed_wh: Option<i64>,
    ) -> Self {
        let is_bound = |seller: &Seller| seller.is_rationed && rationed_wh.is_some();
        let shelf = |seller: &Seller| {
            let rank = 2 * usize::from(is_bound(seller)) + usize::from(seller.named != NOBODY);
            RANKS * seller.pool as usize + rank
        };
        let mut ends = [0; SHELVES];
        for seller in sellers {
            ends[shelf(seller)] += 1;
        }
        for shelf in 1..SHELVES {
            ends[shelf] += ends[shelf - 1];
        }
        let mut starts = ends;
        let mut lots = vec![Lot::default(); sellers.len()];
        let mut first_of = vec![NOBODY; names.count()];
        // From the last to the first, so that each comes before those of its shelf and member that are there.
        for seller in sellers.iter().rev() {
            let at = &mut starts[shelf(seller)];
            *at -= 1;
            let Seller { site, pool, named, .. } = *seller;
            // There are no more lots than sites.
            let place = u32::try_from(*at).unwrap_or(NOBODY);
            let next =
                first_of.get_mut(named as usize).map_or(NOBODY, |first| std::mem::replace(first, place));
            let (left_wh, is_rationed) = (most_wh[site as usize], is_bound(seller));
            lots[*at] = Lot { left_wh, site, next, zone: zone_of(pool), is_rationed };
        }
        let next = std::array::from_fn(|pool| starts[RANKS * pool]);
        let mut full = [0; KINDS];
        for pool in 0..KINDS * MAX_ZONES {
            full[pool % KINDS] |= u32::from(next[pool] < ends[RANKS * pool + RANKS - 1]) << (pool / KINDS);
        }
        let zones = room_wh.len().isqrt();
        let mut open = [0; MAX_ZONES];
        for (at, wh) in room_wh.iter().enumerate() {
            open[at % zones] |= u32::from(*wh > 0) << (at / zones);
        }
        let rationed_left_wh = rationed_wh.unwrap_or(0);
        Self { lots, ends, next, first_of, full, open, room_wh, zones, rationed_left_wh }
    }

    /// Takes up to `want_wh` of what a buyer asks for, and tells `taken` of each site and how much. Returns how much
    /// that was.
    pub(super) fn take_wished(
        &mut self,
        buyer: &Wisher,
        names: &Names<'_>,
        want_wh: i64,
        taken: &mut impl FnMut(u32, i64),
    ) -> i64 {
        let zone = buyer.zone;
        let mut left_wh = want_wh;
        match buyer.asks {
            Asks::Local => {
                for green in 0..KINDS {
                    left_wh -= self.take((zone, zone, green), left_wh, taken);
                }
            }
            Asks::Green => {
                // Its own zone last, so that what is local stays for those who ask for that.
                let from = self.open[zone as usize] & self.full[1];
                for other in zones_in(from & !(1 << zone)) {
                    left_wh -= self.take((other, zone, 1), left_wh, taken);
                    if left_wh == 0 {
                        return want_wh;
                    }
                }
                left_wh -= self.take((zone, zone, 1), left_wh, taken);
            }
            Asks::Partners { from, to } => {
                for number in names.partners(from, to) {
                    let mut next = self.first_of[*number as usize];
                    while let Some(lot) = self.lots.get(next as usize) {
                        let (from, at) = (lot.zone, next as usize);
                        next = lot.next;
                        left_wh -= self.take_lot(at, (from, zone), left_wh, taken);
                    }
                }
            }
        }
        want_wh - left_wh
    }

    /// Takes up to `want_wh` of anything that zone `to` may take; its own zone first.
    pub(super) fn take_any(&mut self, to: u32, want_wh: i64, taken: &mut impl FnMut(u32, i64)) {
        let mut left_wh = want_wh;
        let from = self.open[to as usize] & (self.full[0] | self.full[1]);
        for zone in zones_in(from & (1 << to)).chain(zones_in(from & !(1 << to))) {
            for green in 0..KINDS {
                left_wh -= self.take((zone, to, green), left_wh, taken);
            }
            if left_wh == 0 {
                break;
            }
        }
    }

    fn take(
        &mut self,
        (from, to, green): (u32, u32, usize),
        want_wh: i64,
        taken: &mut impl FnMut(u32, i64),
    ) -> i64 {
        let pool = KINDS * from as usize + green;
        let mut left_wh = want_wh;
        while left_wh > 0 && self.full[green] & self.open[to as usize] & (1 << from) != 0 {
            let at = self.next[pool];
            let got_wh = self.take_lot(at, (from, to), left_wh, taken);
            left_wh -= got_wh;
            if self.lots[at].left_wh == 0 {
                self.next[pool] += 1;
                if self.next[pool] == self.ends[RANKS * pool + RANKS - 1] {
                    self.full[green] &= !(1 << from);
                }
            } else if got_wh == 0 {
                // From here on all of the pool are rationed, and the ration is used up.
                self.full[green] &= !(1 << from);
            }
        }
        want_wh - left_wh
    }

    fn take_lot(
        &mut self,
        at: usize,
        (from, to): (u32, u32),
        want_wh: i64,
        taken: &mut impl FnMut(u32, i64),
    ) -> i64 {
        let room_wh = &mut self.room_wh[from as usize * self.zones + to as usize];
        let lot = &mut self.lots[at];
        let bound_wh = if lot.is_rationed { self.rationed_left_wh } else { i64::MAX };
        let wh = want_wh.min(lot.left_wh).min(bound_wh).min(*room_wh);
        if wh > 0 {
            lot.left_wh -= wh;
            *room_wh -= wh;
            if *room_wh == 0 {
                self.open[to as usize] &= !(1 << from);
            }
            if lot.is_rationed {
                self.rationed_left_wh -= wh;
            }
            taken(lot.site, wh);
        }
        wh
    }

    /// The lots that are rationed.
    pub(super) fn rationed(&self) -> impl Iterator<Item = &Lot> {
        self.lots.iter().filter(|lot| lot.is_rationed)
    }

    /// The rationed lots that nobody names, those of one pool together.
    pub(super) fn rationed_unnamed(&self) -> impl Iterator<Item = &[Lot]> {
        const RATIONED_UNNAMED: usize = 2;
        let ends = self.ends.chunks_exact(RANKS);
        ends.map(|ends| &self.lots[ends[RATIONED_UNNAMED - 1]..ends[RATIONED_UNNAMED]])
    }
}

/// The zones of a set, ascending.
fn zones_in(mut set: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let zone = (set != 0).then(|| set.trailing_zeros())?;
        set &= set - 1;
        Some(zone)
    })
}
