//! One community's matching: commands from the queue to the books, and what follows to the rows.
//!
//! One process leads a community. It takes the submitted commands in the order of their numbers, in
//! bounded batches; checks each against slot, tariff and credits; gives the accepted ones their
//! sequence; and stores commands, orders and trades of a batch in one transaction. Memory is a cache:
//! the books are rebuilt from the accepted commands at the start and after any failed batch.

mod batch;
mod credits;
mod persist;
mod replay;
mod request;
mod slot_book;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::ids::{MemberId, SiteId, ZoneId};
use domain::time::Clock;
use domain::units::Money;
use store::communities::Community;
use store::slots::SlotStatus;
use store::zones::{self, SiteZone};
use store::{PgPool, members, orders, slots, trades};

use crate::book::{Owner, Resting};
use crate::fuse::Fuse;
use crate::rules::SlotRules;

use credits::Credits;
pub use replay::{ReplayError, Replayed, check_slot};
pub use request::Refused;
use slot_book::SlotBook;

/// How many commands are decided in one transaction.
pub const BATCH_COMMANDS: i64 = 500;
/// How many open slots one community may have.
const MAX_OPEN_SLOTS: i64 = 10_000;
const REPLAY_PAGE: i64 = 5_000;

/// What one tick of the runner did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Matched {
    /// Commands that were accepted.
    pub accepted: usize,
    /// Commands that were refused.
    pub refused: usize,
    /// Trades that were made.
    pub trades: usize,
}

/// The books of one community's open slots, and the queue that feeds them.
#[derive(Debug)]
pub struct Runner {
    pool: PgPool,
    clock: Clock,
    community: Community,
    rules: SlotRules,
    books: Option<Books>,
    fuse: Fuse,
}

/// What is rebuilt from the rows.
#[derive(Debug, Default)]
struct Books {
    slots: BTreeMap<DateTime<Utc>, SlotBook>,
    next_seq: i64,
    next_trade_id: i64,
    members: Members,
    credits: Credits,
    /// The newest change of a site's zone that they know.
    zone_change: i64,
}

/// Whose a site is and in which zone, and a number for each member that the books can compare.
#[derive(Debug, Default)]
struct Members {
    sites: HashMap<String, (MemberId, usize)>,
    /// One site of each zone, in the order of the zones' numbers.
    zones: Vec<SiteZone>,
    owners: HashMap<MemberId, Owner>,
}

impl Runner {
    /// A runner that has not looked at the rows yet.
    #[must_use]
    pub fn new(pool: PgPool, clock: Clock, community: Community) -> Self {
        let rules = SlotRules::of(&community);
        Self { pool, clock, community, rules, books: None, fuse: Fuse::default() }
    }

    /// The same, to be stopped after a commit.
    #[must_use]
    pub fn with_fuse(self, fuse: Fuse) -> Self {
        Self { fuse, ..self }
    }

    /// Takes newly opened slots in, lets closed ones go, and decides one batch of commands. A tick
    /// that finds nothing changes nothing.
    ///
    /// # Errors
    /// The database's error. Nothing of the batch is stored then, and the books are rebuilt at the
    /// next tick.
    pub async fn tick(&mut self) -> anyhow::Result<Matched> {
        let id = &self.community.community_id;
        let commands = orders::submitted(&self.pool, id, BATCH_COMMANDS).await?;
        let zone_change = zones::newest_change(&self.pool, id).await?;
        // Taken out, and only put back when all went well: after a failure nobody knows whether the
        // rows or the books are ahead.
        let mut books = match self.books.take().filter(|books| books.zone_change == zone_change) {
            Some(books) => books,
            None => self.rebuild(zone_change).await?,
        };
        self.follow_slots(&mut books).await?;
        let mut matched = Matched::default();
        if !commands.is_empty() {
            matched = self.decide(&mut books, &commands).await?;
        }
        self.books = Some(books);
        Ok(matched)
    }

    /// The resting orders of a slot in the order in which they would trade, if its book is loaded.
    #[must_use]
    pub fn resting(&self, slot_start: DateTime<Utc>) -> Option<Vec<Resting>> {
        Some(self.books.as_ref()?.slots.get(&slot_start)?.resting())
    }

    /// What a member may still spend, as the market reckons it; `None` if the member has not bid lately.
    #[must_use]
    pub fn free_credits(&self, member: &MemberId) -> Option<Money> {
        self.books.as_ref()?.credits.known(member)
    }

    /// Books whose sites stand where they stood after `zone_change` or later: what has changed since is seen as a
    /// change again.
    async fn rebuild(&self, zone_change: i64) -> anyhow::Result<Books> {
        let id = &self.community.community_id;
        let mut books = Books {
            next_seq: orders::last_accepted_seq(&self.pool, id).await? + 1,
            next_trade_id: trades::last_id(&self.pool, id).await? + 1,
            zone_change,
            ..Books::default()
        };
        books.members.load(&self.pool, &self.community).await?;
        Ok(books)
    }

    /// Loads the books of slots that are open and not loaded yet, and drops those of closed slots.
    async fn follow_slots(&self, books: &mut Books) -> anyhow::Result<()> {
        let id = &self.community.community_id;
        let mut open = slots::with_status(&self.pool, id, SlotStatus::Open, MAX_OPEN_SLOTS).await?;
        // Slots that were made up for after a stop close before anybody can trade in them.
        let last_closed = self.rules.last_closed_start(self.clock.now());
        open.retain(|slot| slot.slot_start > last_closed);
        books.slots.retain(|start, _| open.iter().any(|slot| slot.slot_start == *start));
        for slot in open {
            if !books.slots.contains_key(&slot.slot_start) {
                let (community, members) = (&self.community, &mut books.members);
                let book =
                    replay::rebuild(&self.pool, community, members, slot.slot_start, |_, _| {}).await?;
                books.slots.insert(slot.slot_start, book);
            }
        }
        Ok(())
    }
}

impl Members {
    async fn load(&mut self, pool: &PgPool, community: &Community) -> anyhow::Result<()> {
        let of_sites = zones::of_sites(pool, &community.community_id).await?;
        let mut firsts: BTreeMap<ZoneId, SiteZone> = BTreeMap::new();
        for site in &of_sites {
            firsts.entry(site.zone_id.clone()).or_insert_with(|| site.clone());
        }
        let zones: Vec<SiteZone> = firsts.into_values().collect();
        let same = |a: &SiteZone, b: &SiteZone| a.zone_id == b.zone_id;
        let known = self.zones.len() == zones.len() && self.zones.iter().zip(&zones).all(|(a, b)| same(a, b));
        // The terms of the books that are open name zones by these numbers.
        anyhow::ensure!(self.zones.is_empty() || known, "the zones have changed: the books are read again");
        let number =
            |zone: &ZoneId| zones.binary_search_by(|site| site.zone_id.cmp(zone)).unwrap_or(usize::MAX);
        let by_site: HashMap<&SiteId, usize> =
            of_sites.iter().map(|site| (&site.site_id, number(&site.zone_id))).collect();
        for site in members::sites(pool, &community.community_id).await? {
            let zone = by_site.get(&site.site_id).copied().unwrap_or(usize::MAX);
            self.sites.insert(site.site_id.to_string(), (site.member_id, zone));
        }
        self.zones = zones;
        Ok(())
    }

    fn owns(&self, member: &MemberId, site: &SiteId) -> bool {
        self.sites.get(site.as_str()).is_some_and(|(owner, _)| owner == member)
    }

    /// The number of a site's zone; beyond every zone if the site is not known.
    fn zone(&self, site: &SiteId) -> usize {
        self.sites.get(site.as_str()).map_or(usize::MAX, |(_, zone)| *zone)
    }

    /// The number of a member; the same for as long as the books live.
    fn owner(&mut self, member: &MemberId) -> Owner {
        // A community has far fewer members than there are numbers.
        let next = Owner(u32::try_from(self.owners.len()).unwrap_or(u32::MAX));
        *self.owners.entry(member.clone()).or_insert(next)
    }
}
