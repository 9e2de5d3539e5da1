-- The sums of a member's statements by period; see periods.rs. Which periods there are is read from an index, so
-- that only the rows of this page are summed.
WITH starts AS (
  SELECT DISTINCT date_trunc($3, slot_start, 'UTC') AS start FROM statements
  WHERE community_id = $1 AND account_id = $2
    AND date_trunc($3, slot_start, 'UTC') < coalesce($4, 'infinity'::timestamptz)
  ORDER BY 1 DESC LIMIT $5),
newest AS (
  SELECT DISTINCT ON (slot_start) slot_start, revision FROM slot_totals
  WHERE community_id = $1 AND slot_start >= (SELECT min(start) FROM starts)
  ORDER BY slot_start DESC, revision DESC)
SELECT date_trunc($3, st.slot_start, 'UTC') AS "start!", count(*) AS "slots!", max(st.revision) AS "revision!",
  count(*) FILTER (WHERE b.status IN ('final', 'void')) AS "settled_slots!",
  sum(import_wh)::bigint AS "import_wh!", sum(export_wh)::bigint AS "export_wh!",
  CASE WHEN pv.peak_w = 0 THEN 0 WHEN count(production_wh) = count(*) THEN sum(production_wh)::bigint END
      AS production_wh,
  bool_or(substituted) AS "substituted!",
  sum(traded_bought_wh)::bigint AS "traded_bought_wh!", sum(traded_bought_nano)::bigint AS "traded_bought_nano!",
  sum(traded_sold_wh)::bigint AS "traded_sold_wh!", sum(traded_sold_nano)::bigint AS "traded_sold_nano!",
  sum(closing_bought_wh)::bigint AS "closing_bought_wh!",
  sum(closing_bought_nano)::bigint AS "closing_bought_nano!",
  sum(closing_sold_wh)::bigint AS "closing_sold_wh!", sum(closing_sold_nano)::bigint AS "closing_sold_nano!",
  sum(preferred_bought_wh)::bigint AS "preferred_bought_wh!",
  sum(preferred_bought_nano)::bigint AS "preferred_bought_nano!",
  sum(preferred_sold_wh)::bigint AS "preferred_sold_wh!", sum(preferred_sold_nano)::bigint AS "preferred_sold_nano!",
  sum(residual_import_wh)::bigint AS "residual_import_wh!",
  sum(residual_export_wh)::bigint AS "residual_export_wh!", sum(residual_nano)::bigint AS "residual_nano!",
  sum(curtailed_wh)::bigint AS "curtailed_wh!", sum(over_limit_wh)::bigint AS "over_limit_wh!",
  sum(network_fee_nano)::bigint AS "network_fee_nano!", sum(platform_fee_nano)::bigint AS "platform_fee_nano!",
  sum(net_nano)::bigint AS "net_nano!", sum(base_nano)::bigint AS "base_nano!"
FROM newest JOIN statements st USING (slot_start, revision)
LEFT JOIN batches b USING (community_id, slot_start, revision)
CROSS JOIN (SELECT coalesce(sum(pv_peak_w), 0) AS peak_w FROM sites
            WHERE community_id = $1 AND member_id = $2) pv
WHERE st.community_id = $1 AND st.account_id = $2
  AND date_trunc($3, st.slot_start, 'UTC') < coalesce($4, 'infinity'::timestamptz)
GROUP BY 1, pv.peak_w ORDER BY 1 DESC LIMIT $5
