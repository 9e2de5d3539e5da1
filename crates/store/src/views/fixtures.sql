-- A community for tests: one settled slot, one that waits for its meters, one open for orders and one
-- scheduled. Anna has a generator, Ben and Cara have none, Dora has just joined. The figures of the
-- settled slot are worked out by hand, and its statements sum to zero.

INSERT INTO communities (community_id, name, currency, slot_length_s, market_opens_at, open_lead_s,
    metering_deadline_s, max_order_wh, chain_id, credit_address)
VALUES ('demo', 'Lindenhof', 'EUR', 900, '2026-03-01T12:00Z', 1800, 86400, 100000, 31337,
        '0x5fbdb2315678afecb367f032d93f642f64180aa3'),
       ('empty', 'Not started', 'EUR', 900, '2026-03-01T12:00Z', 1800, 86400, 100000, NULL, NULL);
INSERT INTO tariffs SELECT community_id, '2026-01-01T00:00Z', 320000, 80000, 30000, 2000 FROM communities;

INSERT INTO members (community_id, member_id, display_name, pseudonym, preset) VALUES
    ('demo', 'anna', 'Anna Ahorn', 'Amber Kite', 'greenest'),
    ('demo', 'ben', 'Ben Birke', 'Blue Heron', 'cheapest'),
    ('demo', 'cara', 'Cara Carus', 'Coral Fox', 'hands-off'),
    ('demo', 'dora', 'Dora Dill', 'Dusky Owl', 'paused');
INSERT INTO accounts (community_id, account_id, kind, chain_address) VALUES
    ('demo', 'anna', 'member', '0x00000000000000000000000000000000000000a1'),
    ('demo', 'ben', 'member', '0x00000000000000000000000000000000000000b1'),
    ('demo', 'cara', 'member', '0x00000000000000000000000000000000000000c1'),
    ('demo', 'dora', 'member', '0x00000000000000000000000000000000000000d1'),
    ('demo', 'grid', 'grid', '0x00000000000000000000000000000000000000e1'),
    ('demo', 'network', 'network', '0x00000000000000000000000000000000000000e2'),
    ('demo', 'platform', 'platform', '0x00000000000000000000000000000000000000e3'),
    ('demo', 'reserve', 'reserve', '0x00000000000000000000000000000000000000e4');
INSERT INTO sites (community_id, site_id, member_id, pv_peak_w, battery_wh, battery_w) VALUES
    ('demo', 'a1', 'anna', 5000, 8000, 3000), ('demo', 'b1', 'ben', 0, 0, 0), ('demo', 'c1', 'cara', 0, 0, 0);
INSERT INTO agents (community_id, agent_id, public_key, fingerprint, status)
VALUES ('demo', 'agent-1', '\x04', 'ab', 'approved');
INSERT INTO meters (community_id, meter_id, site_id, agent_id, template_id) VALUES
    ('demo', 'm-a1', 'a1', 'agent-1', 'sunspec_inverter_meter'),
    ('demo', 'm-b1', 'b1', 'agent-1', 'eastron_sdm630'),
    ('demo', 'm-c1', 'c1', 'agent-1', 'eastron_sdm630');
INSERT INTO readings (community_id, meter_id, epoch, seq, slot_end, read_at, import_mwh, export_mwh,
    production_mwh, power_w, record, record_sha256) VALUES
    ('demo', 'm-a1', 1, 1, '2026-03-01T12:00Z', '2026-03-01T12:00:00Z', 0, 0, 0, NULL, 'OCMF|1', '\x01'),
    ('demo', 'm-a1', 1, 2, '2026-03-01T12:15Z', '2026-03-01T12:15:00Z', 0, 1000900, 1200000, -4000, 'OCMF|2', '\x02'),
    ('demo', 'm-b1', 1, 1, '2026-03-01T12:00Z', '2026-03-01T12:00:00Z', 0, 0, NULL, NULL, 'OCMF|3', '\x03'),
    ('demo', 'm-b1', 1, 2, '2026-03-01T12:15Z', '2026-03-01T12:15:01Z', 800000, 0, NULL, 3200, 'OCMF|4', '\x04');

INSERT INTO slots (community_id, slot_start, status) VALUES
    ('demo', '2026-03-01T12:00Z', 'settled'), ('demo', '2026-03-01T12:15Z', 'closed'),
    ('demo', '2026-03-01T12:30Z', 'open'), ('demo', '2026-03-01T12:45Z', 'scheduled');
INSERT INTO commands (community_id, command_id, kind, member_id, client_id, slot_start, site_id, side, energy_wh,
    limit_micro_per_kwh, time_in_force, placed_by, reason, status, refusal_code, refusal_detail, accepted_seq)
OVERRIDING SYSTEM VALUE VALUES
    ('demo', 1, 'submit', 'anna', 'k1', '2026-03-01T12:00Z', 'a1', 'offer', 600, 190000, 'good-till-gate',
     'autopilot', 'You had 650 Wh left over in the last quarter-hour.', 'accepted', NULL, NULL, 1),
    ('demo', 2, 'submit', 'ben', 'k1', '2026-03-01T12:00Z', 'b1', 'bid', 600, 200000, 'good-till-gate',
     'member', '', 'accepted', NULL, NULL, 2),
    ('demo', 3, 'submit', 'ben', 'k2', '2026-03-01T12:30Z', 'b1', 'bid', 300, 180000, 'good-till-gate',
     'member', '', 'accepted', NULL, NULL, 3),
    ('demo', 4, 'submit', 'ben', 'k3', '2026-03-01T12:30Z', 'b1', 'bid', 300, 1, 'good-till-gate',
     'member', '', 'refused', 'below_feed_in', 'the limit price is below the feed-in tariff', NULL);
ALTER TABLE commands ALTER COLUMN command_id RESTART WITH 100;
INSERT INTO orders (community_id, order_id, slot_start, member_id, site_id, client_id, side, energy_wh,
    remaining_wh, limit_micro_per_kwh, time_in_force, status, accepted_seq, placed_by, reason) VALUES
    ('demo', 1, '2026-03-01T12:00Z', 'anna', 'a1', 'k1', 'offer', 600, 0, 190000, 'good-till-gate', 'filled', 1,
     'autopilot', 'You had 650 Wh left over in the last quarter-hour.'),
    ('demo', 2, '2026-03-01T12:00Z', 'ben', 'b1', 'k1', 'bid', 600, 0, 200000, 'good-till-gate', 'filled', 2, 'member', ''),
    ('demo', 3, '2026-03-01T12:30Z', 'ben', 'b1', 'k2', 'bid', 300, 300, 180000, 'good-till-gate', 'open', 3, 'member', '');
INSERT INTO trades (community_id, trade_id, slot_start, bid_id, offer_id, buyer_id, buyer_site_id, seller_id,
    seller_site_id, energy_wh, price_micro_per_kwh, accepted_seq, traded_at) VALUES
    ('demo', 1, '2026-03-01T12:00Z', 2, 1, 'ben', 'b1', 'anna', 'a1', 400, 200000, 2, '2026-03-01T11:50Z'),
    ('demo', 2, '2026-03-01T12:00Z', 2, 1, 'ben', 'b1', 'anna', 'a1', 200, 190000, 2, '2026-03-01T11:51Z');
INSERT INTO metered_sites (community_id, slot_start, revision, site_id, import_wh, export_wh, production_wh,
    substituted) VALUES
    ('demo', '2026-03-01T12:00Z', 0, 'a1', 0, 1000, 1200, false),
    ('demo', '2026-03-01T12:00Z', 0, 'b1', 800, 0, NULL, false),
    ('demo', '2026-03-01T12:00Z', 0, 'c1', 500, 0, NULL, true);
INSERT INTO closing_fills (community_id, slot_start, revision, site_id, side, energy_wh, price_micro_per_kwh) VALUES
    ('demo', '2026-03-01T12:00Z', 0, 'a1', 'offer', 400, 184000),
    ('demo', '2026-03-01T12:00Z', 0, 'b1', 'bid', 114, 184000),
    ('demo', '2026-03-01T12:00Z', 0, 'c1', 'bid', 286, 184000);
INSERT INTO closing_pairs (community_id, slot_start, revision, buyer_site_id, seller_site_id, energy_wh,
    network_fee_micro_per_kwh, preferred_wh, premium_micro_per_kwh) VALUES
    ('demo', '2026-03-01T12:00Z', 0, 'b1', 'a1', 114, 30000, 0, 0),
    ('demo', '2026-03-01T12:00Z', 0, 'c1', 'a1', 286, 30000, 0, 0);

INSERT INTO statements (community_id, slot_start, revision, account_id, import_wh, export_wh, production_wh,
    substituted, traded_bought_wh, traded_bought_nano, traded_sold_wh, traded_sold_nano, closing_bought_wh,
    closing_bought_nano, closing_sold_wh, closing_sold_nano, residual_import_wh, residual_export_wh,
    residual_nano, network_fee_nano, platform_fee_nano, net_nano, base_nano, salt) VALUES
    ('demo', '2026-03-01T12:00Z', 0, 'anna', 0, 1000, 1200, false, 0, 0, 600, 118000000, 0, 0, 400, 73600000,
     0, 0, 0, 0, 0, 191600000, 80000000, decode(repeat('01', 32), 'hex')),
    ('demo', '2026-03-01T12:00Z', 0, 'ben', 800, 0, NULL, false, 600, -118000000, 0, 0, 114, -20976000, 0, 0,
     86, 0, -27520000, -21420000, -1428000, -189344000, -256000000, decode(repeat('02', 32), 'hex')),
    ('demo', '2026-03-01T12:00Z', 0, 'cara', 500, 0, NULL, true, 0, 0, 0, 0, 286, -52624000, 0, 0,
     214, 0, -68480000, -8580000, -572000, -130256000, -160000000, decode(repeat('03', 32), 'hex')),
    ('demo', '2026-03-01T12:00Z', 0, 'grid', 0, 0, NULL, false, 0, 0, 0, 0, 0, 0, 0, 0,
     0, 0, 96000000, 0, 0, 96000000, 0, decode(repeat('04', 32), 'hex')),
    ('demo', '2026-03-01T12:00Z', 0, 'network', 0, 0, NULL, false, 0, 0, 0, 0, 0, 0, 0, 0,
     0, 0, 0, 30000000, 0, 30000000, 0, decode(repeat('05', 32), 'hex')),
    ('demo', '2026-03-01T12:00Z', 0, 'platform', 0, 0, NULL, false, 0, 0, 0, 0, 0, 0, 0, 0,
     0, 0, 0, 0, 2000000, 2000000, 0, decode(repeat('06', 32), 'hex'));

-- Cara holds 100 000 000 only: her position is capped, and the reserve covers the rest.
INSERT INTO batches (community_id, batch_id, slot_start, revision, statement_root, status, final_at)
VALUES ('demo', decode(repeat('ab', 32), 'hex'), '2026-03-01T12:00Z', 0, decode(repeat('cd', 32), 'hex'), 'final',
        '2026-03-01T12:16:30Z');
INSERT INTO batch_positions (community_id, batch_id, account_id, owed_nano, settled_nano)
SELECT 'demo', decode(repeat('ab', 32), 'hex'), account_id, owed, settled FROM (VALUES
    ('anna', 191600000, 191600000), ('ben', -189344000, -189344000), ('cara', -130256000, -100000000),
    ('grid', 96000000, 96000000), ('network', 30000000, 30000000), ('platform', 2000000, 2000000),
    ('reserve', 0, -30256000)) AS position (account_id, owed, settled);
INSERT INTO transactions (community_id, purpose, batch_id, sender, nonce, attempt, tx_hash, raw,
    max_fee_per_gas_wei, status, block_number, gas_used) VALUES
    ('demo', 'settle', decode(repeat('ab', 32), 'hex'), '0x00', 7, 1, '0x' || repeat('11', 32), '\x01', 1, 'replaced',
     NULL, NULL),
    ('demo', 'settle', decode(repeat('ab', 32), 'hex'), '0x00', 7, 2, '0x' || repeat('22', 32), '\x02', 2, 'final',
     42, 181000);
INSERT INTO ledger_entries (community_id, account_id, kind, amount_nano, tx_hash)
SELECT 'demo', account_id, 'deposit', amount, '0x' || repeat('33', 32) FROM (VALUES
    ('anna', 1000000000), ('ben', 1000000000), ('cara', 100000000), ('reserve', 5000000000))
    AS deposit (account_id, amount);
INSERT INTO ledger_entries (community_id, account_id, kind, amount_nano, tx_hash, batch_id)
SELECT community_id, account_id, 'settlement', settled_nano, '0x' || repeat('22', 32), batch_id FROM batch_positions;
