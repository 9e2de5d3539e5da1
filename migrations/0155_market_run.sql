-- What the market and the API need to be quick and safe to repeat: a stamp of what changes members' credits from
-- outside, the keys of requests that carry many commands, and indexes for a member's own
-- trades.

-- Counts what changes a member's free credits and is not the market's own decision: entries of the ledger, slots that
-- close or settle, tariffs. The market keeps free credits in memory and reads them again when this has moved. A
-- change and its count commit together, so that whoever sees the count sees the change.
CREATE TABLE credit_stamps (
    community_id text PRIMARY KEY REFERENCES communities,
    stamp        bigint NOT NULL
);

CREATE FUNCTION stamp_credits(community text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO credit_stamps (community_id, stamp) VALUES (community, 1)
    ON CONFLICT (community_id) DO UPDATE SET stamp = credit_stamps.stamp + 1
$$;

CREATE FUNCTION credits_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM stamp_credits(community_id) FROM (SELECT DISTINCT community_id FROM changed) AS communities;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_entries_added AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION credits_changed();
CREATE TRIGGER ledger_entries_removed AFTER DELETE ON ledger_entries
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION credits_changed();
CREATE TRIGGER tariffs_added AFTER INSERT ON tariffs
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION credits_changed();
CREATE TRIGGER slots_turned AFTER UPDATE ON slots
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION credits_changed();

-- One row a request that carried many commands, stored in the transaction that stored them: the same key with the same
-- content is the same request, with other content a mistake.
CREATE TABLE request_keys (
    community_id   text NOT NULL REFERENCES communities,
    request_key    text NOT NULL,
    request_sha256 bytea NOT NULL CHECK (length(request_sha256) = 32),
    stored_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (community_id, request_key)
);
CREATE INDEX request_keys_by_age ON request_keys (community_id, stored_at);

-- A member's own trades, newest first. These serve whoever trades with whom as well as those they replace.
CREATE INDEX trades_of_buyer ON trades (community_id, buyer_id, trade_id DESC);
CREATE INDEX trades_of_seller ON trades (community_id, seller_id, trade_id DESC);
DROP INDEX trades_by_buyer;
DROP INDEX trades_by_seller;

-- Each of these rows refers to its community through its member or its slot as well: the second check of the same thing
-- is a good part of what storing an order costs.
ALTER TABLE commands DROP CONSTRAINT commands_community_id_fkey;
ALTER TABLE orders DROP CONSTRAINT orders_community_id_fkey;
ALTER TABLE trades DROP CONSTRAINT trades_community_id_fkey;
