-- One row for each of the slots that start at $2, newest first. Meters, closing auction and grid belong to
-- the latest revision that has them.
SELECT s.slot_start, s.status, s.revision,
  t.trades AS "trades!", t.traded_wh AS "traded_wh!", t.mean_price AS "mean_price?",
  c.energy_wh AS "closing_wh!", c.price AS "closing_price?",
  g.import_wh AS "grid_import_wh!", g.export_wh AS "grid_export_wh!",
  m.production_wh AS "production_wh?", m.consumption_wh AS "consumption_wh?",
  o.bids_wh AS "bids_wh!", o.offers_wh AS "offers_wh!",
  b.batch_id AS "batch_id?", b.status AS "batch_status?",
  x.tx_hash AS "tx_hash?", x.block_number AS "block_number?"
FROM slots s
CROSS JOIN LATERAL (
  SELECT count(*) AS trades, coalesce(sum(energy_wh), 0)::bigint AS traded_wh,
         div(sum(price_micro_per_kwh * energy_wh), sum(energy_wh))::bigint AS mean_price
  FROM trades WHERE community_id = s.community_id AND slot_start = s.slot_start) t
CROSS JOIN LATERAL (
  SELECT max(revision) AS revision FROM metered_sites
  WHERE community_id = s.community_id AND slot_start = s.slot_start) mr
CROSS JOIN LATERAL (
  SELECT CASE WHEN bool_and(known) THEN sum(wh)::bigint END AS production_wh,
         CASE WHEN bool_and(known) THEN sum(wh + import_wh - export_wh)::bigint END AS consumption_wh
  FROM (SELECT coalesce(ms.production_wh, CASE WHEN si.pv_peak_w = 0 THEN 0 END) AS wh,
               ms.production_wh IS NOT NULL OR si.pv_peak_w = 0 AS known,
               ms.import_wh, ms.export_wh
        FROM metered_sites ms JOIN sites si USING (community_id, site_id)
        WHERE ms.community_id = s.community_id AND ms.slot_start = s.slot_start
          AND ms.revision = mr.revision) site) m
CROSS JOIN LATERAL (
  SELECT coalesce(sum(energy_wh) FILTER (WHERE side = 'bid'), 0)::bigint AS energy_wh,
         max(price_micro_per_kwh) AS price
  FROM closing_fills
  WHERE community_id = s.community_id AND slot_start = s.slot_start AND revision = mr.revision) c
CROSS JOIN LATERAL (
  SELECT coalesce(sum(st.residual_import_wh), 0)::bigint AS import_wh,
         coalesce(sum(st.residual_export_wh), 0)::bigint AS export_wh
  FROM statements st JOIN accounts a USING (community_id, account_id)
  WHERE st.community_id = s.community_id AND st.slot_start = s.slot_start AND a.kind = 'member'
    AND st.revision = (SELECT max(revision) FROM statements
                       WHERE community_id = s.community_id AND slot_start = s.slot_start)) g
CROSS JOIN LATERAL (
  SELECT coalesce(sum(remaining_wh) FILTER (WHERE side = 'bid'), 0)::bigint AS bids_wh,
         coalesce(sum(remaining_wh) FILTER (WHERE side = 'offer'), 0)::bigint AS offers_wh
  FROM orders
  WHERE community_id = s.community_id AND slot_start = s.slot_start AND status = 'open') o
LEFT JOIN LATERAL (
  SELECT batch_id, status FROM batches
  WHERE community_id = s.community_id AND slot_start = s.slot_start
  ORDER BY revision DESC LIMIT 1) b ON true
LEFT JOIN LATERAL (
  SELECT tx_hash, block_number FROM transactions
  WHERE community_id = s.community_id AND batch_id = b.batch_id
  ORDER BY (status = 'final') DESC, attempt DESC LIMIT 1) x ON true
WHERE s.community_id = $1 AND s.slot_start = ANY($2)
ORDER BY s.slot_start DESC
