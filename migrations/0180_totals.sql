-- Sums that the API shows, kept by the step that changes what they are sums of, in its own transaction: so that a page
-- costs the same after a year as after a day. Each is exactly the sum over the rows; `crates/store/src/totals/tests.rs` compares.

-- A slot's sums at each revision, written when its statements are. Energy in Wh. The columns from `imported_wh` on are
-- NULL where no site was metered, those from `consumed_wh` on also where the production of a site is not known.
CREATE TABLE slot_totals (
    community_id     text NOT NULL,
    slot_start       timestamptz NOT NULL,
    revision         integer NOT NULL,
    net_sum_nano     bigint NOT NULL,   -- over all accounts: zero, or money was made or lost
    savings_nano     bigint NOT NULL,   -- of members: what they came to, less what the tariffs alone would have
    closing_wh       bigint NOT NULL,   -- bought by members in the closing auction
    grid_import_wh   bigint NOT NULL,
    grid_export_wh   bigint NOT NULL,
    trades           bigint NOT NULL,
    traded_wh        bigint NOT NULL,
    imported_wh      bigint,            -- metered
    local_wh         bigint,            -- the part of it bought from neighbours
    consumed_wh      bigint,
    self_supplied_wh bigint,            -- the part of it met from own or local production
    produced_wh      bigint,
    self_consumed_wh bigint,            -- the part of it used behind its own meter or by a neighbour
    PRIMARY KEY (community_id, slot_start, revision),
    FOREIGN KEY (community_id, slot_start) REFERENCES slots
);

-- Only energy that exists counts: what was sold locally but never delivered to the network cannot have been used there.
CREATE FUNCTION sum_slot(community text, at timestamptz, of_revision integer) RETURNS SETOF slot_totals
LANGUAGE sql STABLE AS $$
    SELECT community, at, of_revision, money.net_sum, money.saved, money.closing, money.grid_in, money.grid_out,
        traded.trades, traded.wh, metered.imported, least(money.bought, metered.imported),
        used.consumed, least(used.consumed, used.wh), metered.produced, least(metered.produced, used.wh)
    FROM (SELECT coalesce(sum(net_nano), 0)::bigint AS net_sum,
              coalesce(sum(net_nano - base_nano) FILTER (WHERE kind = 'member'), 0)::bigint AS saved,
              coalesce(sum(closing_bought_wh) FILTER (WHERE kind = 'member'), 0)::bigint AS closing,
              coalesce(sum(residual_import_wh) FILTER (WHERE kind = 'member'), 0)::bigint AS grid_in,
              coalesce(sum(residual_export_wh) FILTER (WHERE kind = 'member'), 0)::bigint AS grid_out,
              coalesce(sum(traded_bought_wh + closing_bought_wh) FILTER (WHERE kind = 'member'), 0)::bigint AS bought
          FROM statements JOIN accounts USING (community_id, account_id)
          WHERE community_id = community AND slot_start = at AND revision = of_revision) money
    CROSS JOIN (SELECT count(*) AS trades, coalesce(sum(energy_wh), 0)::bigint AS wh FROM trades
          WHERE community_id = community AND slot_start = at) traded
    CROSS JOIN (SELECT sum(import_wh)::bigint AS imported, sum(export_wh)::bigint AS exported,
              CASE WHEN bool_and(production_wh IS NOT NULL) THEN sum(production_wh)::bigint END AS produced,
              sum(greatest(0, production_wh - export_wh))::bigint AS own
          FROM (SELECT import_wh, export_wh,
                    coalesce(production_wh, CASE WHEN pv_peak_w = 0 THEN 0 END) AS production_wh
                FROM metered_sites JOIN sites USING (community_id, site_id)
                WHERE community_id = community AND slot_start = at AND revision = of_revision) site) metered
    CROSS JOIN LATERAL (SELECT greatest(0, metered.produced + metered.imported - metered.exported) AS consumed,
              metered.own + least(money.bought, metered.exported) AS wh
          WHERE metered.produced IS NOT NULL UNION ALL SELECT NULL, NULL WHERE metered.produced IS NULL) used
$$;

-- An account's sums over all slots, each at its newest revision, and what it holds on the ledger.
CREATE TABLE account_totals (
    community_id     text NOT NULL,
    account_id       text NOT NULL,
    slots            bigint NOT NULL DEFAULT 0,
    import_wh        bigint NOT NULL DEFAULT 0,
    export_wh        bigint NOT NULL DEFAULT 0,
    production_wh    bigint NOT NULL DEFAULT 0,
    unknown_slots    bigint NOT NULL DEFAULT 0,   -- in which production is not known
    traded_bought_wh bigint NOT NULL DEFAULT 0,
    traded_sold_wh   bigint NOT NULL DEFAULT 0,
    closing_bought_wh bigint NOT NULL DEFAULT 0,
    closing_sold_wh  bigint NOT NULL DEFAULT 0,
    net_nano         bigint NOT NULL DEFAULT 0,
    base_nano        bigint NOT NULL DEFAULT 0,
    balance_nano     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (community_id, account_id),
    FOREIGN KEY (community_id, account_id) REFERENCES accounts
);

-- Statements are only ever added: a slot's are stored whole, revision after revision, so that the new ones count and
-- those of the revision before no longer do.
CREATE FUNCTION statements_added() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    slot record;
    before integer;
BEGIN
    FOR slot IN SELECT community_id AS community, slot_start AS starts, revision AS number, count(*) AS rows FROM added
                GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LOOP
        IF slot.rows <> (SELECT count(*) FROM statements
                         WHERE community_id = slot.community AND slot_start = slot.starts AND revision >= slot.number) THEN
            RAISE EXCEPTION 'the statements of a slot are stored all at once, one revision after the other';
        END IF;
        INSERT INTO slot_totals SELECT * FROM sum_slot(slot.community, slot.starts, slot.number);
        before := (SELECT max(revision) FROM statements
                   WHERE community_id = slot.community AND slot_start = slot.starts AND revision < slot.number);
        INSERT INTO account_totals AS t (community_id, account_id, slots, import_wh, export_wh, production_wh,
            unknown_slots, traded_bought_wh, traded_sold_wh, closing_bought_wh, closing_sold_wh, net_nano, base_nano)
            SELECT community_id, account_id, sum(sign), sum(sign * import_wh), sum(sign * export_wh),
                sum(sign * coalesce(production_wh, 0)), sum(CASE WHEN production_wh IS NULL THEN sign ELSE 0 END),
                sum(sign * traded_bought_wh), sum(sign * traded_sold_wh), sum(sign * closing_bought_wh),
                sum(sign * closing_sold_wh), sum(sign * net_nano), sum(sign * base_nano)
            FROM (SELECT 1 AS sign, newest.* FROM statements newest
                  WHERE community_id = slot.community AND slot_start = slot.starts AND revision = slot.number
                  UNION ALL
                  SELECT -1, replaced.* FROM statements replaced
                  WHERE community_id = slot.community AND slot_start = slot.starts AND revision = before) change
            GROUP BY community_id, account_id ORDER BY community_id, account_id
        ON CONFLICT (community_id, account_id) DO UPDATE SET
            slots = t.slots + EXCLUDED.slots,
            import_wh = t.import_wh + EXCLUDED.import_wh, export_wh = t.export_wh + EXCLUDED.export_wh,
            production_wh = t.production_wh + EXCLUDED.production_wh,
            unknown_slots = t.unknown_slots + EXCLUDED.unknown_slots,
            traded_bought_wh = t.traded_bought_wh + EXCLUDED.traded_bought_wh,
            traded_sold_wh = t.traded_sold_wh + EXCLUDED.traded_sold_wh,
            closing_bought_wh = t.closing_bought_wh + EXCLUDED.closing_bought_wh,
            closing_sold_wh = t.closing_sold_wh + EXCLUDED.closing_sold_wh,
            net_nano = t.net_nano + EXCLUDED.net_nano, base_nano = t.base_nano + EXCLUDED.base_nano;
    END LOOP;
    RETURN NULL;
END $$;

CREATE TRIGGER statements_added AFTER INSERT ON statements
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION statements_added();

-- Entries of the ledger come, and go with blocks that the chain took back.
CREATE FUNCTION ledger_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE account_totals t SET balance_nano = t.balance_nano - gone.nano
        FROM (SELECT community_id, account_id, sum(amount_nano)::bigint AS nano FROM gone GROUP BY 1, 2) gone
        WHERE t.community_id = gone.community_id AND t.account_id = gone.account_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO account_totals AS t (community_id, account_id, balance_nano)
            SELECT community_id, account_id, sum(amount_nano) FROM added GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (community_id, account_id) DO UPDATE SET balance_nano = t.balance_nano + EXCLUDED.balance_nano;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_entries_counted AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_changed();
CREATE TRIGGER ledger_entries_discounted AFTER DELETE ON ledger_entries
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION ledger_changed();
CREATE TRIGGER ledger_entries_recounted AFTER UPDATE ON ledger_entries
    REFERENCING OLD TABLE AS gone NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_changed();

-- How many readings a community has: the sum of its parts. Each connection counts into a part of its own, so that
-- those that store readings at the same time seldom wait for each other. Readings are only ever added.
CREATE TABLE reading_counts (
    community_id text NOT NULL REFERENCES communities,
    part         integer NOT NULL,
    readings     bigint NOT NULL,
    PRIMARY KEY (community_id, part)
);

CREATE FUNCTION readings_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO reading_counts AS t (community_id, part, readings)
        SELECT community_id, pg_backend_pid() % 64, count(*) FROM added GROUP BY 1 ORDER BY 1
    ON CONFLICT (community_id, part) DO UPDATE SET readings = t.readings + EXCLUDED.readings;
    RETURN NULL;
END $$;

CREATE TRIGGER readings_added AFTER INSERT ON readings
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION readings_added();

-- What is stored already.
INSERT INTO slot_totals
    SELECT sums.* FROM (SELECT DISTINCT community_id, slot_start, revision FROM statements) slot
    CROSS JOIN LATERAL sum_slot(slot.community_id, slot.slot_start, slot.revision) sums;
INSERT INTO account_totals (community_id, account_id, slots, import_wh, export_wh, production_wh, unknown_slots,
    traded_bought_wh, traded_sold_wh, closing_bought_wh, closing_sold_wh, net_nano, base_nano)
    SELECT community_id, account_id, count(*), sum(import_wh), sum(export_wh), coalesce(sum(production_wh), 0),
        count(*) FILTER (WHERE production_wh IS NULL), sum(traded_bought_wh), sum(traded_sold_wh),
        sum(closing_bought_wh), sum(closing_sold_wh), sum(net_nano), sum(base_nano)
    FROM statements JOIN (SELECT community_id, slot_start, max(revision) AS revision FROM statements GROUP BY 1, 2) newest
        USING (community_id, slot_start, revision)
    GROUP BY community_id, account_id;
INSERT INTO account_totals AS t (community_id, account_id, balance_nano)
    SELECT community_id, account_id, sum(amount_nano) FROM ledger_entries GROUP BY 1, 2
ON CONFLICT (community_id, account_id) DO UPDATE SET balance_nano = EXCLUDED.balance_nano;
INSERT INTO reading_counts SELECT community_id, 0, count(*) FROM readings GROUP BY 1;
