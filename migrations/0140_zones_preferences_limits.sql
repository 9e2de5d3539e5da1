-- Zones and the network fee of each pair of them, standing orders with preferences, grid limits, and
-- what they add to a slot's closing auction and statements.

-- The part of the network that a site is connected to; decides the network fee of what it buys.
ALTER TABLE sites ADD COLUMN zone_id text NOT NULL DEFAULT 'main' CHECK (length(zone_id) BETWEEN 1 AND 64);

-- What a kWh that goes from one zone to another pays, from `valid_from` on. The fee of a slot is the one
-- with the latest valid_from at or before its start; a pair without one pays the tariff's network fee.
CREATE TABLE network_fees (
    community_id      text NOT NULL REFERENCES communities,
    from_zone         text NOT NULL CHECK (length(from_zone) BETWEEN 1 AND 64),
    to_zone           text NOT NULL CHECK (length(to_zone) BETWEEN 1 AND 64),
    valid_from        timestamptz NOT NULL,
    fee_micro_per_kwh bigint NOT NULL CHECK (fee_micro_per_kwh >= 0),
    set_at            timestamptz NOT NULL,
    PRIMARY KEY (community_id, from_zone, to_zone, valid_from)
);

-- What a site sends to the closing auction, from `valid_from` on. A version that a slot has begun with stays, so that
-- a slot that is cleared again finds what held when it began. NULL: at the tariff's bound.
CREATE TABLE standing_orders (
    community_id              text NOT NULL,
    site_id                   text NOT NULL,
    valid_from                timestamptz NOT NULL,
    offer_limit_micro_per_kwh bigint,
    bid_limit_micro_per_kwh   bigint,
    prefers                   text NOT NULL DEFAULT 'any' CHECK (prefers IN ('any', 'local', 'green', 'partners')),
    partners                  text[] NOT NULL DEFAULT '{}' CHECK (cardinality(partners) <= 16),
    premium_micro_per_kwh     bigint NOT NULL DEFAULT 0 CHECK (premium_micro_per_kwh >= 0),
    PRIMARY KEY (community_id, site_id, valid_from),
    FOREIGN KEY (community_id, site_id) REFERENCES sites,
    CHECK ((prefers = 'partners') = (cardinality(partners) > 0)),
    CHECK (prefers <> 'any' OR premium_micro_per_kwh = 0)
);

-- How much may flow over the community's connection point in a slot; of its own and the utility's limit the
-- lowest holds. NULL: not limited. Set before the slot begins, so that every revision sees the same.
CREATE TABLE grid_limits (
    community_id    text NOT NULL REFERENCES communities,
    slot_start      timestamptz NOT NULL,
    source          text NOT NULL CHECK (source IN ('connection', 'utility')),
    import_limit_wh bigint CHECK (import_limit_wh >= 0),
    export_limit_wh bigint CHECK (export_limit_wh >= 0),
    set_at          timestamptz NOT NULL,
    PRIMARY KEY (community_id, slot_start, source)
);

-- Who took from whom in the closing auction, at each revision: over a site's pairs the energy adds up to
-- its closing fill. The fee and the premium are those that the buyer pays for this pair.
CREATE TABLE closing_pairs (
    community_id              text NOT NULL,
    slot_start                timestamptz NOT NULL,
    revision                  integer NOT NULL,
    buyer_site_id             text NOT NULL,
    seller_site_id            text NOT NULL,
    energy_wh                 bigint NOT NULL CHECK (energy_wh > 0),
    network_fee_micro_per_kwh bigint NOT NULL CHECK (network_fee_micro_per_kwh >= 0),
    preferred_wh              bigint NOT NULL CHECK (preferred_wh BETWEEN 0 AND energy_wh),
    premium_micro_per_kwh     bigint NOT NULL CHECK (premium_micro_per_kwh >= 0),
    PRIMARY KEY (community_id, slot_start, revision, buyer_site_id, seller_site_id),
    FOREIGN KEY (community_id, slot_start, revision, buyer_site_id) REFERENCES closing_fills,
    FOREIGN KEY (community_id, slot_start, revision, seller_site_id) REFERENCES closing_fills
);

-- preferred_*: the part of the closing auction's energy that met its buyer's preference, and the premium for it.
-- curtailed: exported over the limit, earns nothing. over_limit: the share of import over the limit, which
-- is part of residual_import_wh and paid like it.
ALTER TABLE statements
    ADD COLUMN preferred_bought_wh   bigint NOT NULL DEFAULT 0 CHECK (preferred_bought_wh >= 0),
    ADD COLUMN preferred_bought_nano bigint NOT NULL DEFAULT 0 CHECK (preferred_bought_nano <= 0),
    ADD COLUMN preferred_sold_wh     bigint NOT NULL DEFAULT 0 CHECK (preferred_sold_wh >= 0),
    ADD COLUMN preferred_sold_nano   bigint NOT NULL DEFAULT 0 CHECK (preferred_sold_nano >= 0),
    ADD COLUMN curtailed_wh          bigint NOT NULL DEFAULT 0 CHECK (curtailed_wh >= 0),
    ADD COLUMN over_limit_wh         bigint NOT NULL DEFAULT 0 CHECK (over_limit_wh >= 0);
