-- Where a quarantined record stood in its meter's sequence. Set only when the record was signed with
-- the agent's approved key and read a meter of that agent: such a record is kept aside for good, so
-- that it counts as received and never blocks the records behind it. A record whose origin is not
-- proven has no position and covers nothing.
ALTER TABLE quarantined_records
    ADD COLUMN meter_id text,
    ADD COLUMN epoch    integer,
    ADD COLUMN seq      bigint,
    ADD COLUMN record_sha256 bytea CHECK (length(record_sha256) = 32),
    ADD CHECK ((meter_id IS NULL) = (epoch IS NULL) AND (meter_id IS NULL) = (seq IS NULL));
UPDATE quarantined_records SET record_sha256 = sha256(record);
ALTER TABLE quarantined_records ALTER COLUMN record_sha256 SET NOT NULL;

-- The same bytes are kept once, however often they are sent.
CREATE UNIQUE INDEX quarantined_records_once ON quarantined_records (community_id, agent_id, record_sha256);
CREATE INDEX quarantined_records_by_position ON quarantined_records (community_id, meter_id, epoch, seq)
    WHERE meter_id IS NOT NULL;
