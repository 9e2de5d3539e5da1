-- What meters said: cumulative registers at slot boundaries, with the signed bytes kept verbatim.

CREATE TABLE readings (
    community_id   text NOT NULL,
    meter_id       text NOT NULL,
    epoch          integer NOT NULL CHECK (epoch > 0),
    seq            bigint NOT NULL CHECK (seq > 0),
    slot_end       timestamptz NOT NULL,
    read_at        timestamptz NOT NULL,
    import_mwh     bigint NOT NULL CHECK (import_mwh >= 0),
    export_mwh     bigint NOT NULL CHECK (export_mwh >= 0),
    production_mwh bigint CHECK (production_mwh >= 0),   -- NULL: not known, never zero for it
    power_w        bigint,                               -- positive on import; NULL: not known
    record         text NOT NULL,                        -- the OCMF record, byte for byte
    record_sha256  bytea NOT NULL,
    received_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (community_id, meter_id, epoch, seq),
    FOREIGN KEY (community_id, meter_id) REFERENCES meters
);
CREATE INDEX readings_by_slot_end ON readings (community_id, slot_end, meter_id);

-- Records that were refused, with the reason; kept so that nothing is lost silently. No foreign
-- keys: what is quarantined may name communities, agents and meters that do not exist.
CREATE TABLE quarantined_records (
    community_id  text NOT NULL,
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY,
    agent_id      text NOT NULL,
    reason        text NOT NULL,
    record        bytea NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (community_id, quarantine_id)
);
