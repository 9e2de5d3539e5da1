-- How each site's autopilot is set, what it forecasts, and what its battery was planned to do.

-- Each change is a new version, so that it is known who changed what. A site without a row trades by its
-- member's preset.
CREATE TABLE autopilot_settings (
    community_id              text NOT NULL,
    site_id                   text NOT NULL,
    version                   integer NOT NULL CHECK (version > 0),
    preset                    text NOT NULL CHECK (preset IN ('greenest', 'cheapest', 'hands-off')),
    paused                    boolean NOT NULL,
    bid_limit_micro_per_kwh   bigint,               -- NULL: the tariff's bound
    offer_limit_micro_per_kwh bigint,
    battery_reserve_percent   smallint NOT NULL CHECK (battery_reserve_percent BETWEEN 0 AND 100),
    follows_battery_plan      boolean NOT NULL,
    changed_by                text NOT NULL,
    changed_at                timestamptz NOT NULL,
    PRIMARY KEY (community_id, site_id, version),
    FOREIGN KEY (community_id, site_id) REFERENCES sites
);
CREATE INDEX autopilot_settings_by_change ON autopilot_settings (community_id, changed_at);

-- The newest run of each site: one element a slot from first_slot_start on. Net export in Wh, and the
-- battery's steps, empty where none is planned.
CREATE TABLE forecasts (
    community_id     text NOT NULL,
    site_id          text NOT NULL,
    made_at          timestamptz NOT NULL,
    first_slot_start timestamptz NOT NULL,
    learned_slots    integer NOT NULL CHECK (learned_slots >= 0),
    share_percent    smallint NOT NULL CHECK (share_percent BETWEEN 0 AND 100), -- what hands-off trades of it
    p10_wh           bigint[] NOT NULL,
    p50_wh           bigint[] NOT NULL CHECK (cardinality(p50_wh) = cardinality(p10_wh)),
    p90_wh           bigint[] NOT NULL CHECK (cardinality(p90_wh) = cardinality(p10_wh)),
    reserve_wh       bigint NOT NULL,
    stored_before_wh bigint NOT NULL,
    charge_wh        bigint[] NOT NULL CHECK (cardinality(charge_wh) IN (0, cardinality(p10_wh))),
    discharge_wh     bigint[] NOT NULL CHECK (cardinality(discharge_wh) = cardinality(charge_wh)),
    stored_wh        bigint[] NOT NULL CHECK (cardinality(stored_wh) = cardinality(charge_wh)),
    PRIMARY KEY (community_id, site_id),
    FOREIGN KEY (community_id, site_id) REFERENCES sites
);

-- What a planned battery was to do in a slot when the slot's orders were made, kept as long as forecasts
-- learn from it: the residual without the battery is what was metered without this.
CREATE TABLE battery_steps (
    community_id text NOT NULL,
    site_id      text NOT NULL,
    slot_start   timestamptz NOT NULL,
    charge_wh    bigint NOT NULL CHECK (charge_wh >= 0),
    discharge_wh bigint NOT NULL CHECK (discharge_wh >= 0),
    stored_wh    bigint NOT NULL CHECK (stored_wh >= 0),
    PRIMARY KEY (community_id, site_id, slot_start),
    FOREIGN KEY (community_id, site_id) REFERENCES sites
);
CREATE INDEX battery_steps_by_slot ON battery_steps (community_id, slot_start);
