//! Deciding one batch of commands.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::ids::{MemberId, OrderId, ZoneId};
use domain::order::{Order, Refusal, Side};
use domain::units::{Energy, Money, Overflow};
use store::StoreError;
use store::orders::{CommandRow, Decision, OrderRow};
use store::slots::{self, SlotStatus};
use store::trades::TradeRow;

use super::credits::Credits;
use super::request::{self, Refused, Request};
use super::slot_book::{Effects, Sender, SlotBook};
use super::{Books, Matched, Members, Runner, persist};
use crate::validate::{self, SlotState};

/// All that a batch changes, in the form in which it is stored.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) decisions: Vec<Decision>,
    /// Each order once, as the batch leaves it.
    pub(super) orders: BTreeMap<OrderId, OrderRow>,
    pub(super) trades: Vec<TradeRow>,
}

/// What a batch is decided by, besides the books.
struct Context {
    now: DateTime<Utc>,
    /// The state of the slots that have no book.
    others: HashMap<DateTime<Utc>, SlotState>,
}

impl Runner {
    /// Decides `commands` in their order and stores what follows in one transaction.
    pub(super) async fn decide(&self, books: &mut Books, commands: &[CommandRow]) -> anyhow::Result<Matched> {
        let known = |command: &CommandRow| {
            command.site_id.as_ref().is_none_or(|site| books.members.sites.contains_key(site))
        };
        if !commands.iter().all(known) {
            books.members.load(&self.pool, &self.community).await?;
        }
        let now = self.clock.now();
        let id = &self.community.community_id;
        let zones: Vec<ZoneId> = books.members.zones.iter().map(|site| site.zone_id.clone()).collect();
        books.credits.look_up(&self.pool, id, &bidders(commands), &zones, now).await?;
        let context = Context { now, others: self.other_slots(books, commands).await? };
        let mut changes = Changes::default();
        for command in commands {
            let outcome = match decide_one(books, command, &context) {
                Ok((effects, freed)) => {
                    let seq = books.next_seq;
                    books.next_seq += 1;
                    account(books, command, &effects, freed)?;
                    record(books, &mut changes, command.slot_start, effects, seq, context.now);
                    Ok(seq)
                }
                Err(refused) => Err((refused.code, refused.detail)),
            };
            changes.decisions.push(Decision { command_id: command.command_id, outcome });
        }
        let accepted = changes.decisions.iter().filter(|decision| decision.outcome.is_ok()).count();
        let matched =
            Matched { accepted, refused: changes.decisions.len() - accepted, trades: changes.trades.len() };
        persist::store(&self.pool, &self.community.community_id, changes, context.now).await?;
        self.fuse.committed("batch decided")?;
        Ok(matched)
    }

    /// The state of the slots that commands name and that have no book, in one question.
    async fn other_slots(
        &self,
        books: &Books,
        commands: &[CommandRow],
    ) -> Result<HashMap<DateTime<Utc>, SlotState>, StoreError> {
        let without_book = commands.iter().map(|command| command.slot_start);
        let mut starts: Vec<_> = without_book.filter(|start| !books.slots.contains_key(start)).collect();
        starts.sort_unstable();
        starts.dedup();
        if starts.is_empty() {
            return Ok(HashMap::new());
        }
        let known = slots::statuses(&self.pool, &self.community.community_id, &starts).await?;
        let last_closed = self.rules.last_closed_start(self.clock.now());
        let state = |start: DateTime<Utc>| match known.get(&start) {
            None => SlotState::Unknown,
            // Open without a book: its gate has just closed, or it opened a moment ago.
            Some(SlotStatus::Scheduled | SlotStatus::Open) if start > last_closed => SlotState::Scheduled,
            Some(_) => SlotState::Closed,
        };
        Ok(starts.into_iter().map(|start| (start, state(start))).collect())
    }
}

/// Everybody who may bid in this batch.
fn bidders(commands: &[CommandRow]) -> Vec<MemberId> {
    let mut bidders: Vec<MemberId> = commands
        .iter()
        .filter(|command| command.side.as_deref() != Some(Side::Offer.as_str()))
        .filter_map(|command| request::member(command).ok())
        .collect();
    bidders.sort_unstable();
    bidders.dedup();
    bidders
}

/// Decides one command. Returns what it changed and the cover that it set free.
fn decide_one(
    books: &mut Books,
    command: &CommandRow,
    context: &Context,
) -> Result<(Effects, Money), Refused> {
    let slot = books.slots.get_mut(&command.slot_start);
    let state = match &slot {
        Some(book) => SlotState::Open(book.terms),
        None => context.others.get(&command.slot_start).copied().unwrap_or(SlotState::Unknown),
    };
    validate::slot(state, context.now)?;
    let book = slot.ok_or(Refusal::UnknownSlot)?;
    let request = Request::try_from(command)?;
    let member = request::member(command)?;
    if let Request::Submit(order) = &request
        && !books.members.owns(&member, &order.site_id)
    {
        return Err(Refusal::NotYourSite.into());
    }
    let freed = check(book, &request, &member, (&books.members, &books.credits))?;
    let owner = books.members.owner(&member);
    let effects = book.apply(request, Sender { row: command, owner, seq: books.next_seq })?;
    Ok((effects, freed))
}

/// Takes what an accepted command cost its sender from its credits. The checks before have bounded
/// every product, so an overflow is a defect and ends the batch.
fn account(books: &mut Books, command: &CommandRow, effects: &Effects, freed: Money) -> anyhow::Result<()> {
    let (Some(book), Ok(member)) = (books.slots.get(&command.slot_start), request::member(command)) else {
        return Ok(());
    };
    let used = used(book, &books.members, effects, &member)?;
    books.credits.settle(&member, freed, used)?;
    Ok(())
}

/// Checks a request against tariff and credits. Returns the cover that it sets free.
fn check(
    book: &SlotBook,
    request: &Request,
    member: &MemberId,
    (members, credits): (&Members, &Credits),
) -> Result<Money, Refused> {
    match request {
        Request::Submit(order) => {
            let zone = members.zone(&order.site_id);
            check_order(book, zone, order)?;
            cover(book, zone, order, order.energy, credits.free(member))?;
            Ok(Money::ZERO)
        }
        Request::Replace { order_id, energy, limit } => {
            let row = book.open_order(*order_id, member).ok_or(Refusal::UnknownOrder)?;
            let mut order = row.order.clone();
            let zone = members.zone(&order.site_id);
            let traded = order.energy.checked_sub(row.remaining)?;
            order.energy = energy.unwrap_or(order.energy);
            order.limit = limit.unwrap_or(order.limit);
            check_order(book, zone, &order)?;
            let freed = book.exposure(zone, row)?;
            let free = credits.free(member).checked_add(freed)?;
            cover(book, zone, &order, order.energy.checked_sub(traded)?, free)?;
            Ok(freed)
        }
        Request::Cancel { order_id } => {
            let row = book.open_order(*order_id, member).ok_or(Refusal::UnknownOrder)?;
            Ok(book.exposure(members.zone(&row.order.site_id), row)?)
        }
    }
}

fn check_order(book: &SlotBook, zone: usize, order: &Order) -> Result<(), Refusal> {
    validate::energy(order.energy, &book.terms)?;
    validate::limit(order.side, zone, order.limit, &book.terms)
}

fn cover(book: &SlotBook, zone: usize, order: &Order, open: Energy, free: Money) -> Result<(), Refused> {
    if order.side == Side::Offer {
        return Ok(());
    }
    Ok(validate::cover(book.terms.cost(zone, open, order.limit)?, free)?)
}

/// What a command cost its sender: what it bought, and what its order may still buy. A resting bid
/// that trades costs its member what was covered before, so nobody else's credits change.
fn used(book: &SlotBook, members: &Members, effects: &Effects, member: &MemberId) -> Result<Money, Overflow> {
    let mut used = Money::ZERO;
    for trade in effects.trades.iter().filter(|trade| trade.buyer == *member) {
        let zone = members.zone(&trade.buyer_site);
        used = used.checked_add(book.terms.cost(zone, trade.energy, trade.price)?)?;
    }
    for row in effects.orders.iter().filter(|row| row.order.member_id == *member) {
        used = used.checked_add(book.exposure(members.zone(&row.order.site_id), row)?)?;
    }
    Ok(used)
}

fn record(
    books: &mut Books,
    changes: &mut Changes,
    slot_start: DateTime<Utc>,
    effects: Effects,
    seq: i64,
    now: DateTime<Utc>,
) {
    for order in effects.orders {
        changes.orders.insert(order.order.order_id, order);
    }
    for trade in effects.trades {
        let trade_id = books.next_trade_id;
        books.next_trade_id += 1;
        changes.trades.push(TradeRow { trade_id, slot_start, trade, accepted_seq: seq, traded_at: now });
    }
}
