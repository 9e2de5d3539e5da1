-- Revision 1 of the settled slot: the same energy and money, Anna's production unknown, no closing
-- auction and no batch yet.
INSERT INTO metered_sites
SELECT community_id, slot_start, 1, site_id, import_wh, export_wh, NULL, substituted FROM metered_sites;
INSERT INTO statements
SELECT community_id, slot_start, 1, account_id, import_wh, export_wh, NULL, substituted, traded_bought_wh,
       traded_bought_nano, traded_sold_wh, traded_sold_nano, closing_bought_wh, closing_bought_nano,
       closing_sold_wh, closing_sold_nano, residual_import_wh, residual_export_wh, residual_nano,
       network_fee_nano, platform_fee_nano, net_nano, base_nano, salt
FROM statements;
UPDATE slots SET status = 'priced', revision = 1 WHERE slot_start = '2026-03-01T12:00Z';
