-- What each of the members $2 of community $1, whose sites lie in the zones $3, may still spend, in nano-currency.
--
-- Until a slot is priced its trades count, at what they may cost at most; once it is priced its statement does, with what the
-- closing auction and the grid gave. A slot whose first revision is settled no longer counts: it is in the ledger. Of a
-- correction, what it asks for on top counts until that is in the ledger as well.
WITH unsettled AS (
    SELECT s.slot_start, tariff.network_micro, tariff.platform_micro FROM slots s
    CROSS JOIN LATERAL (
        SELECT t.network_fee_micro_per_kwh AS network_micro, t.platform_fee_micro_per_kwh AS platform_micro
        FROM tariffs t WHERE t.community_id = $1 AND t.valid_from <= s.slot_start
        ORDER BY t.valid_from DESC LIMIT 1) tariff
    WHERE s.community_id = $1 AND s.revision = 0
      AND s.status IN ('scheduled', 'open', 'closed', 'metered')
), zones AS (
    -- A site that has just moved to a new zone still counts.
    SELECT zone_id FROM UNNEST($3::text[]) AS z(zone_id)
    UNION SELECT zone_id FROM sites WHERE community_id = $1 AND member_id = ANY($2)
), fees AS (
    -- What a kWh bought in a zone may pay on top of its price at most, wherever it comes from.
    SELECT u.slot_start, buyer.zone_id, u.platform_micro + max(coalesce(pair.micro, u.network_micro)) AS micro
    FROM unsettled u CROSS JOIN zones buyer CROSS JOIN zones seller
    LEFT JOIN LATERAL (
        SELECT f.fee_micro_per_kwh AS micro FROM network_fees f
        WHERE f.community_id = $1 AND f.from_zone = seller.zone_id AND f.to_zone = buyer.zone_id
          AND f.valid_from <= u.slot_start
        ORDER BY f.valid_from DESC LIMIT 1) pair ON true
    GROUP BY u.slot_start, buyer.zone_id, u.platform_micro
), exposure AS (
    SELECT o.member_id, sum(o.remaining_wh * (o.limit_micro_per_kwh + f.micro)) AS nano
    FROM fees f JOIN orders o ON o.community_id = $1 AND o.slot_start = f.slot_start
        AND o.status = 'open' AND o.side = 'bid'
    JOIN sites s ON s.community_id = $1 AND s.site_id = o.site_id AND s.zone_id = f.zone_id
    WHERE o.member_id = ANY($2) GROUP BY o.member_id
), debits AS (
    SELECT t.buyer_id, sum(t.energy_wh * (t.price_micro_per_kwh + f.micro)) AS nano
    FROM fees f JOIN trades t ON t.community_id = $1 AND t.slot_start = f.slot_start
    JOIN sites s ON s.community_id = $1 AND s.site_id = t.buyer_site_id AND s.zone_id = f.zone_id
    WHERE t.buyer_id = ANY($2) GROUP BY t.buyer_id
), owed AS (
    SELECT st.account_id, sum(-st.net_nano) AS nano
    FROM slots s JOIN statements st USING (community_id, slot_start, revision)
    WHERE s.community_id = $1 AND s.revision = 0 AND s.status = 'priced'
      AND st.account_id = ANY($2) AND st.net_nano < 0 GROUP BY st.account_id
), corrected AS (
    SELECT p.account_id, sum(-p.owed_nano) AS nano
    FROM batches b JOIN batch_positions p USING (community_id, batch_id)
    WHERE b.community_id = $1 AND b.revision > 0 AND b.status IN ('prepared', 'signed', 'broadcast')
      AND p.account_id = ANY($2) AND p.owed_nano < 0 GROUP BY p.account_id
), carried AS (
    -- What batches could not take of what the account owed. Of final ones alone: until then the whole debt counts above, and
    -- what a batch on its way takes of an older rest is not in the ledger yet. What is payable to the account is no cover.
    SELECT p.account_id, greatest(sum(p.settled_nano - p.owed_nano), 0) AS nano
    FROM batch_positions p JOIN batches b USING (community_id, batch_id)
    WHERE p.community_id = $1 AND p.account_id = ANY($2) AND p.settled_nano <> p.owed_nano AND b.status = 'final'
    GROUP BY p.account_id
), held AS (
    SELECT account_id, balance_nano AS nano FROM account_totals
    WHERE community_id = $1 AND account_id = ANY($2)
), leaving AS (
    -- The open request of an address is its newest event, if that is a request. Those at addresses that the account has
    -- left stay open, and credits can come there again: they count until they are taken back.
    SELECT a.account_id, sum(e.amount_nano) AS nano
    FROM (SELECT account_id, chain_address FROM accounts WHERE community_id = $1 AND account_id = ANY($2)
          UNION ALL
          SELECT account_id, chain_address FROM former_addresses WHERE community_id = $1 AND account_id = ANY($2)
         ) a CROSS JOIN LATERAL (
        SELECT w.kind, w.amount_nano FROM withdrawal_events w
        WHERE w.community_id = $1 AND w.chain_address = a.chain_address
        ORDER BY w.block_number DESC, w.log_index DESC LIMIT 1) e
    WHERE e.kind = 'requested' GROUP BY a.account_id
)
SELECT m.member_id AS "member_id!",
    (coalesce(held.nano, 0) - coalesce(exposure.nano, 0) - coalesce(debits.nano, 0)
     - coalesce(owed.nano, 0) - coalesce(corrected.nano, 0) - coalesce(carried.nano, 0)
     - coalesce(leaving.nano, 0))::bigint AS "free_nano!"
FROM UNNEST($2::text[]) AS m(member_id)
LEFT JOIN held ON held.account_id = m.member_id
LEFT JOIN exposure ON exposure.member_id = m.member_id
LEFT JOIN debits ON debits.buyer_id = m.member_id
LEFT JOIN owed ON owed.account_id = m.member_id
LEFT JOIN corrected ON corrected.account_id = m.member_id
LEFT JOIN carried ON carried.account_id = m.member_id
LEFT JOIN leaving ON leaving.account_id = m.member_id
