//! The views on a community whose figures are worked out by hand.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{ClientId, CommunityId, MemberId, OrderId, SiteId};
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};
use sqlx::PgPool;

use super::commands::{NewCommand, Request, Sent};
use super::{commands, community, fixtures, kpis, member, members, slot, slots, statements};

fn demo() -> CommunityId {
    CommunityId::new("demo").unwrap()
}

fn member_id(id: &str) -> MemberId {
    MemberId::new(id).unwrap()
}

fn noon() -> DateTime<Utc> {
    fixtures::now() - TimeDelta::minutes(20)
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_settled_slot_shows_its_market_meters_and_batch(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    let starts = slots::page(&pool, &demo(), None, 10).await.unwrap();
    assert_eq!(starts.len(), 4);
    assert_eq!(slots::latest_settled(&pool, &demo()).await.unwrap(), Some(noon()));
    let summaries = slots::summaries(&pool, &demo(), &starts).await.unwrap();
    assert_eq!(summaries.iter().map(|s| s.slot_start).collect::<Vec<_>>(), starts);
    let open = &summaries[1];
    assert_eq!((open.open_bids_wh, open.open_offers_wh, open.production_wh), (300, 0, None));
    let settled = &summaries[3];
    assert_eq!((settled.trades, settled.traded_wh, settled.closing_auction_wh), (2, 600, 400));
    assert_eq!(settled.mean_trade_price_micro_per_kwh, Some(196_666));
    assert_eq!(settled.closing_price_micro_per_kwh, Some(184_000));
    assert_eq!((settled.grid_import_wh, settled.grid_export_wh), (300, 0));
    // Ben and Cara have no generator: their unread production is zero, not unknown.
    assert_eq!((settled.production_wh, settled.consumption_wh), (Some(1_200), Some(1_500)));
    let batch = settled.batch.as_ref().unwrap();
    assert_eq!((batch.status.as_str(), batch.block_number), ("final", Some(42)));
    assert!(batch.tx_hash.as_ref().unwrap().starts_with("0x2222"));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn pages_go_back_in_time(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    let first = slots::page(&pool, &demo(), None, 3).await.unwrap();
    let second = slots::page(&pool, &demo(), first.last().copied(), 3).await.unwrap();
    assert_eq!((first.len(), second), (3, vec![noon()]));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_slot_in_full_sums_to_zero(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    let statements = statements::of_slot(&pool, &demo(), noon()).await.unwrap();
    assert_eq!(statements.iter().map(|s| s.net_nano).sum::<i64>(), 0);
    let names: Vec<_> = statements.iter().map(|s| s.pseudonym.as_deref().unwrap_or(&s.account_id)).collect();
    assert_eq!(names, ["Amber Kite", "Blue Heron", "Coral Fox", "grid", "network", "platform"]);
    assert_eq!(slot::trades(&pool, &demo(), noon()).await.unwrap().len(), 2);
    let fills = slot::closing_fills(&pool, &demo(), noon()).await.unwrap();
    let side = |side: &str| fills.iter().filter(|f| f.side == side).map(|f| f.energy_wh).sum::<i64>();
    assert_eq!((side("bid"), side("offer")), (400, 400));
    let positions = slot::positions(&pool, &demo(), &[0xab; 32]).await.unwrap();
    assert_eq!(positions.iter().filter_map(|p| p.settled_nano).sum::<i64>(), 0);
    let transaction = slot::transaction(&pool, &demo(), &[0xab; 32]).await.unwrap().unwrap();
    assert_eq!((transaction.status.as_str(), transaction.nonce), ("final", 7));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_correction_replaces_the_first_revision(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    fixtures::correct_the_settled_slot(&pool).await.unwrap();
    let summary = slots::summaries(&pool, &demo(), &[noon()]).await.unwrap().remove(0);
    assert_eq!((summary.revision, summary.closing_auction_wh), (1, 0));
    assert_eq!((summary.grid_import_wh, summary.production_wh, summary.consumption_wh), (300, None, None));
    assert_eq!(community::savings_nano(&pool, &demo()).await.unwrap(), 208_000_000);
    let sums = kpis::sums(&pool, &demo()).await.unwrap();
    assert_eq!((sums.self_sufficiency_permille(), sums.self_consumption_permille()), (None, None));
    assert_eq!(sums.local_share_permille(), Some(769));
    let anna = member::totals(&pool, &demo(), &member_id("anna")).await.unwrap();
    assert_eq!((anna.export_wh, anna.production_wh), (1_000, None));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn key_figures_are_those_worked_out_by_hand(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    let sums = kpis::sums(&pool, &demo()).await.unwrap();
    // Consumed 1 500 Wh: 200 of Anna's own, 1 000 from her to the neighbours, 300 from the grid.
    assert_eq!((sums.consumption_wh, sums.self_supplied_wh), (1_500, 1_200));
    assert_eq!(sums.self_sufficiency_permille(), Some(800));
    assert_eq!(sums.self_consumption_permille(), Some(1_000));
    assert_eq!(sums.local_share_permille(), Some(769));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn members_show_balances_savings_and_what_is_open(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    let list = members::list(&pool, &demo()).await.unwrap();
    let savings: Vec<_> =
        list.iter().map(|m| (m.member_id.as_str(), m.savings_nano, m.balance_nano)).collect();
    assert_eq!(
        savings,
        [
            ("anna", 111_600_000, 1_191_600_000),
            ("ben", 66_656_000, 810_656_000),
            ("cara", 29_744_000, 0),
            ("dora", 0, 0)
        ]
    );
    let open = async |id: &str| {
        member::find(&pool, &demo(), &member_id(id)).await.unwrap().unwrap().open_receivable_nano
    };
    assert_eq!((open("anna").await, open("cara").await, open("dora").await), (0, 30_256_000, 0));
    assert!(member::find(&pool, &demo(), &member_id("eve")).await.unwrap().is_none());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_member_in_full(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    let ben = member_id("ben");
    let totals = member::totals(&pool, &demo(), &ben).await.unwrap();
    assert_eq!((totals.import_wh, totals.production_wh), (800, Some(0)));
    assert_eq!((totals.net_nano, totals.base_nano), (-189_344_000, -256_000_000));
    let site = member::sites(&pool, &demo(), &ben).await.unwrap().remove(0);
    assert_eq!((site.import_wh, site.last_power_w), (Some(800), Some(3_200)));
    let orders = member::orders(&pool, &demo(), &ben, 20).await.unwrap();
    assert_eq!(orders.iter().map(|o| o.order_id).collect::<Vec<_>>(), [3, 2]);
    let neighbours = member::neighbours(&pool, &demo(), &ben).await.unwrap();
    assert_eq!((neighbours[0].pseudonym.as_str(), neighbours[0].bought_wh), ("Amber Kite", 714));
    let sold: Vec<_> = member::neighbours(&pool, &demo(), &member_id("anna")).await.unwrap();
    assert_eq!(
        sold.iter().map(|row| row.sold_wh).collect::<Vec<_>>(),
        [714, 286],
        "what was cleared last counts"
    );
    let statements = statements::of_member(&pool, &demo(), &ben, None, 10).await.unwrap();
    assert_eq!(statements.len(), 1);
    assert_eq!(statements[0].production_wh, Some(0));
    let batches = slots::batches(&pool, &demo(), &[noon()]).await.unwrap();
    assert_eq!((batches.len(), batches[0].1, batches[0].2.block_number), (1, 0, Some(42)));
    assert!(statements::of_member(&pool, &demo(), &ben, Some(noon()), 10).await.unwrap().is_empty());
    let counts = community::counts(&pool, &demo()).await.unwrap();
    assert_eq!((counts.members, counts.sites, counts.meters), (4, 3, 3));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_member_without_reading_or_site_has_nothing_to_show(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    let site = member::sites(&pool, &demo(), &member_id("cara")).await.unwrap().remove(0);
    assert_eq!((site.meter_id.as_deref(), site.last_slot_end), (Some("m-c1"), None));
    assert!(member::sites(&pool, &demo(), &member_id("dora")).await.unwrap().is_empty());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_command_is_sent_once_however_often(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    let order = |energy_wh| NewCommand {
        member_id: member_id("ben"),
        client_id: ClientId::new("again").unwrap(),
        slot_start: fixtures::now() + TimeDelta::minutes(10),
        request: Request::Submit {
            site_id: SiteId::new("b1").unwrap(),
            side: Side::Bid,
            energy: Energy::from_wh(energy_wh),
            limit: Price::from_micro_per_kwh(150_000),
            time_in_force: TimeInForce::GoodTillGate,
        },
    };
    let Sent::New(first) = commands::send(&pool, &demo(), &order(100)).await.unwrap() else {
        panic!("it is new")
    };
    assert_eq!(commands::send(&pool, &demo(), &order(100)).await.unwrap(), Sent::Repeated(first.clone()));
    assert_eq!(commands::send(&pool, &demo(), &order(101)).await.unwrap(), Sent::Reused);
    assert_eq!(commands::find(&pool, &demo(), first.command_id).await.unwrap(), Some(first.clone()));
    assert_eq!(fixtures::refuse_waiting_commands(&pool).await.unwrap(), 1);
    let refused = commands::find(&pool, &demo(), first.command_id).await.unwrap().unwrap();
    assert_eq!(refused.refusal_code.as_deref(), Some("gate_closed"));
    let order = OrderId(first.command_id);
    assert!(commands::slot_of_order(&pool, &demo(), &member_id("ben"), order).await.unwrap().is_some());
    assert!(commands::slot_of_order(&pool, &demo(), &member_id("anna"), order).await.unwrap().is_none());
}
