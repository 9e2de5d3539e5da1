//! The sums that are kept with each step equal the sums over all rows, whatever is corrected or taken back.

use domain::ids::{CommunityId, MemberId};
use sqlx::PgPool;
use sqlx::postgres::PgRow;

use super::of_community;
use crate::views::{community, fixtures, kpis, member, members};

const MEMBERS: [&str; 4] = ["anna", "ben", "cara", "dora"];
/// Statements of the newest revision of each slot.
const NEWEST: &str = "SELECT st.*, a.kind FROM statements st JOIN accounts a USING (community_id, account_id)
    WHERE st.community_id = 'demo' AND revision = (SELECT max(n.revision) FROM statements n
        WHERE n.community_id = 'demo' AND n.slot_start = st.slot_start)";

fn demo() -> CommunityId {
    CommunityId::new("demo").unwrap()
}

/// Small numbers that look like chance and are the same in every run (a linear congruence).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn run(pool: &PgPool, statement: &str) {
    sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(pool).await.unwrap();
}

async fn row(pool: &PgPool, query: String) -> PgRow {
    sqlx::query(sqlx::AssertSqlSafe(query)).fetch_one(pool).await.unwrap()
}

fn numbers<const N: usize>(row: &PgRow) -> [i64; N] {
    std::array::from_fn(|column| sqlx::Row::get(row, column))
}

/// Meters and prices a slot at a revision, with registers and money by chance; the sum over all accounts is
/// zero but for now and then.
async fn price(pool: &PgPool, dice: &mut Dice, slot: &str, revision: u64) {
    let mut statements = Vec::new();
    let mut rest = 0_i64;
    for (site, member) in [("a1", "anna"), ("b1", "ben"), ("c1", "cara")] {
        let [import, export, bought, sold, closing] = std::array::from_fn(|_| dice.roll(500));
        let production =
            if dice.roll(3) == 0 { "NULL".to_owned() } else { (export + dice.roll(300)).to_string() };
        let net = i64::try_from(dice.roll(2_000)).unwrap() - 1_000;
        rest -= net;
        run(
            pool,
            &format!("INSERT INTO metered_sites (community_id, slot_start, revision, site_id, import_wh, export_wh,
                production_wh, substituted) VALUES ('demo', '{slot}', {revision}, '{site}', {import}, {export}, {production}, false)"),
        )
        .await;
        statements.push(format!(
            "('demo', '{slot}', {revision}, '{member}', {import}, {export}, {production}, false, {bought}, 0, {sold}, 0,
              {closing}, 0, {}, 0, {import}, {export}, 0, 0, 0, {net}, {}, '\\x01')",
            dice.roll(90),
            net - 7
        ));
    }
    let off = i64::from(dice.roll(5) == 0);
    statements.push(format!(
        "('demo', '{slot}', {revision}, 'grid', 0, 0, NULL, false, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {}, 0, '\\x02')",
        rest + off
    ));
    run(
        pool,
        &format!(
            "INSERT INTO statements (community_id, slot_start, revision, account_id, import_wh, export_wh, production_wh,
                substituted, traded_bought_wh, traded_bought_nano, traded_sold_wh, traded_sold_nano, closing_bought_wh,
                closing_bought_nano, closing_sold_wh, closing_sold_nano, residual_import_wh, residual_export_wh,
                residual_nano, network_fee_nano, platform_fee_nano, net_nano, base_nano, salt) VALUES {}",
            statements.join(", ")
        ),
    )
    .await;
}

async fn compare(pool: &PgPool) {
    let kept = of_community(pool, &demo()).await.unwrap();
    let plain = row(
        pool,
        format!(
            "WITH newest AS ({NEWEST}), sums AS (SELECT sum(net_nano)::bigint AS nano FROM statements
                 WHERE community_id = 'demo' GROUP BY slot_start, revision)
             SELECT (SELECT count(*) FROM readings WHERE community_id = 'demo'),
                 (SELECT count(*) FROM trades WHERE community_id = 'demo'),
                 (SELECT coalesce(sum(energy_wh), 0)::bigint FROM trades WHERE community_id = 'demo'),
                 (SELECT sum(closing_bought_wh)::bigint FROM newest WHERE kind = 'member'),
                 (SELECT sum(residual_import_wh)::bigint FROM newest WHERE kind = 'member'),
                 (SELECT sum(residual_export_wh)::bigint FROM newest WHERE kind = 'member'),
                 (SELECT sum(nano)::bigint FROM sums), (SELECT count(*) FROM sums WHERE nano <> 0),
                 (SELECT sum(net_nano - base_nano)::bigint FROM newest WHERE kind = 'member')"
        ),
    )
    .await;
    let saved = community::savings_nano(pool, &demo()).await.unwrap();
    assert_eq!(
        [
            kept.readings_stored,
            kept.trades,
            kept.traded_wh,
            kept.closing_auction_wh,
            kept.grid_import_wh,
            kept.grid_export_wh,
            kept.money_sum_nano,
            kept.unbalanced_slots,
            saved
        ],
        numbers::<9>(&plain)
    );
    compare_key_figures(pool).await;
    compare_members(pool).await;
}

async fn compare_key_figures(pool: &PgPool) {
    let kept = kpis::sums(pool, &demo()).await.unwrap();
    let plain = row(
        pool,
        "WITH priced AS (SELECT slot_start, max(revision) AS revision FROM statements WHERE community_id = 'demo' GROUP BY 1),
           local AS (SELECT slot_start, sum(traded_bought_wh + closing_bought_wh) AS bought
             FROM priced JOIN statements st USING (slot_start, revision) JOIN accounts a USING (community_id, account_id)
             WHERE st.community_id = 'demo' AND a.kind = 'member' GROUP BY 1),
           site AS (SELECT slot_start, import_wh, export_wh,
               coalesce(production_wh, CASE WHEN pv_peak_w = 0 THEN 0 END) AS production_wh
             FROM priced JOIN metered_sites ms USING (slot_start, revision) JOIN sites USING (community_id, site_id)
             WHERE ms.community_id = 'demo'),
           metered AS (SELECT slot_start, sum(import_wh) AS imported, sum(export_wh) AS exported,
               CASE WHEN bool_and(production_wh IS NOT NULL) THEN sum(production_wh) END AS produced,
               sum(greatest(0, production_wh - export_wh)) AS own FROM site GROUP BY 1),
           slot AS (SELECT imported, least(bought, imported) AS local, produced,
               greatest(0, produced + imported - exported) AS consumed, own + least(bought, exported) AS used
             FROM metered JOIN local USING (slot_start))
         SELECT coalesce(sum(consumed) FILTER (WHERE produced IS NOT NULL), 0)::bigint,
           coalesce(sum(least(consumed, used)) FILTER (WHERE produced IS NOT NULL), 0)::bigint,
           coalesce(sum(produced), 0)::bigint,
           coalesce(sum(least(produced, used)) FILTER (WHERE produced IS NOT NULL), 0)::bigint,
           coalesce(sum(imported), 0)::bigint, coalesce(sum(local), 0)::bigint FROM slot"
            .to_owned(),
    )
    .await;
    assert_eq!(
        [
            kept.consumption_wh,
            kept.self_supplied_wh,
            kept.production_wh,
            kept.self_consumed_wh,
            kept.import_wh,
            kept.local_wh
        ],
        numbers::<6>(&plain)
    );
}

async fn compare_members(pool: &PgPool) {
    let list = members::list(pool, &demo()).await.unwrap();
    for (id, listed) in MEMBERS.into_iter().zip(list) {
        let member_id = MemberId::new(id).unwrap();
        let kept = member::totals(pool, &demo(), &member_id).await.unwrap();
        let plain = row(
            pool,
            format!(
                "WITH newest AS (SELECT n.*, coalesce(production_wh, CASE WHEN (SELECT coalesce(sum(pv_peak_w), 0) FROM sites
                     WHERE community_id = 'demo' AND member_id = '{id}') = 0 THEN 0 END) AS produced
                   FROM ({NEWEST}) n WHERE account_id = '{id}'), own AS (SELECT
                   coalesce(sum(import_wh), 0)::bigint, coalesce(sum(export_wh), 0)::bigint,
                   coalesce(CASE WHEN bool_and(produced IS NOT NULL) THEN sum(produced) END, -1)::bigint,
                   coalesce(sum(traded_bought_wh), 0)::bigint, coalesce(sum(traded_sold_wh), 0)::bigint,
                   coalesce(sum(closing_bought_wh), 0)::bigint, coalesce(sum(closing_sold_wh), 0)::bigint,
                   coalesce(sum(net_nano), 0)::bigint, coalesce(sum(base_nano), 0)::bigint FROM newest)
                 SELECT own.*, (SELECT coalesce(sum(amount_nano), 0)::bigint FROM ledger_entries
                   WHERE community_id = 'demo' AND account_id = '{id}') FROM own"
            ),
        )
        .await;
        let found = member::find(pool, &demo(), &member_id).await.unwrap().unwrap();
        assert_eq!(
            [
                kept.import_wh,
                kept.export_wh,
                kept.production_wh.unwrap_or(-1),
                kept.traded_bought_wh,
                kept.traded_sold_wh,
                kept.closing_bought_wh,
                kept.closing_sold_wh,
                kept.net_nano,
                kept.base_nano,
                found.balance_nano
            ],
            numbers::<10>(&plain),
            "{id}"
        );
        assert_eq!(
            (listed.balance_nano, listed.savings_nano),
            (found.balance_nano, kept.net_nano - kept.base_nano)
        );
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn what_is_kept_equals_the_sums_over_all_rows_with_corrections_and_blocks_taken_back(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    compare(&pool).await;
    let mut dice = Dice(7);
    let slots: Vec<String> = (0..12).map(|hour| format!("2026-03-02T{hour:02}:00Z")).collect();
    let mut revisions = vec![0; slots.len()];
    for (number, slot) in slots.iter().enumerate() {
        run(
            &pool,
            &format!(
                "INSERT INTO slots (community_id, slot_start, status) VALUES ('demo', '{slot}', 'open')"
            ),
        )
        .await;
        run(&pool, &format!("INSERT INTO trades (community_id, trade_id, slot_start, bid_id, offer_id, buyer_id, buyer_site_id,
            seller_id, seller_site_id, energy_wh, price_micro_per_kwh, accepted_seq, traded_at)
            SELECT 'demo', {number} * 10 + n + 100, '{slot}', 2, 1, 'ben', 'b1', 'anna', 'a1', n, 200000, 2, '{slot}'
            FROM generate_series(1, {}) n", 1 + dice.roll(4))).await;
    }
    compare(&pool).await;
    for round in 0..40_u32 {
        let at = usize::try_from(dice.roll(12)).unwrap();
        price(&pool, &mut dice, &slots[at], revisions[at]).await;
        revisions[at] += 1;
        run(
            &pool,
            &format!(
                "UPDATE slots SET status = 'priced', revision = {} WHERE slot_start = '{}'",
                revisions[at] - 1,
                slots[at]
            ),
        )
        .await;
        if round % 7 == 3 {
            // The slot is metered again, and not priced yet.
            run(&pool, &format!("UPDATE slots SET status = 'metered' WHERE slot_start = '{}'", slots[at]))
                .await;
        }
        run(&pool, &format!("INSERT INTO readings (community_id, meter_id, epoch, seq, slot_end, read_at, import_mwh, export_mwh,
            record, record_sha256) SELECT 'demo', 'm-a1', 2, n, '2026-03-03Z', '2026-03-03Z', n, 0, 'OCMF', '\\x01'
            FROM generate_series(1, {}) n ON CONFLICT DO NOTHING", 1 + dice.roll(50))).await;
        let member = MEMBERS[usize::try_from(dice.roll(4)).unwrap()];
        run(
            &pool,
            &format!(
                "INSERT INTO ledger_entries (community_id, account_id, kind, amount_nano, tx_hash)
            VALUES ('demo', '{member}', 'deposit', {}, '0x{}')",
                dice.roll(1_000),
                "4".repeat(64)
            ),
        )
        .await;
        if round % 5 == 4 {
            run(
                &pool,
                &format!("DELETE FROM ledger_entries WHERE account_id = '{member}' AND kind = 'deposit'"),
            )
            .await;
            run(&pool, "UPDATE ledger_entries SET amount_nano = amount_nano + 3, account_id = 'ben' WHERE account_id = 'anna' AND kind = 'deposit'").await;
        }
        compare(&pool).await;
    }
    assert!(revisions.iter().any(|revision| *revision > 2), "slots were corrected");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn statements_that_come_late_or_by_halves_are_refused(pool: PgPool) {
    fixtures::insert(&pool).await.unwrap();
    fixtures::correct_the_settled_slot(&pool).await.unwrap();
    for revision in [0, 1] {
        let half = format!(
            "INSERT INTO statements SELECT community_id, slot_start, {revision}, 'reserve', import_wh, export_wh, NULL,
                substituted, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, salt FROM statements WHERE account_id = 'grid' AND revision = 0"
        );
        let error = sqlx::query(sqlx::AssertSqlSafe(half)).execute(&pool).await.unwrap_err().to_string();
        assert!(error.contains("all at once, one revision after the other"), "{error}");
    }
    compare(&pool).await;
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_empty_community_has_zero_of_everything(pool: PgPool) {
    let totals = of_community(&pool, &CommunityId::new("nobody").unwrap()).await.unwrap();
    assert_eq!((totals.slots_settled, totals.money_sum_nano, totals.sites), (0, 0, 0));
}
