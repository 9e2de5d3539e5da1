-- Who takes part: communities, their tariffs, members, accounts, sites, agents and meters.
-- Every primary key leads with community_id and every foreign key carries it: a community is the
-- unit of sharding, of leadership and of privacy.

CREATE TABLE communities (
    community_id         text PRIMARY KEY,
    name                 text NOT NULL,
    currency             text NOT NULL CHECK (currency ~ '^[A-Z]{3,8}$'),
    slot_length_s        integer NOT NULL CHECK (slot_length_s BETWEEN 10 AND 3600 AND 3600 % slot_length_s = 0),
    market_opens_at      timestamptz NOT NULL,      -- the start of the first slot
    open_lead_s          integer NOT NULL CHECK (open_lead_s > 0),
    gate_closure_lead_s  integer NOT NULL DEFAULT 0 CHECK (gate_closure_lead_s >= 0),
    metering_deadline_s  integer NOT NULL CHECK (metering_deadline_s > 0),
    max_order_wh         bigint NOT NULL CHECK (max_order_wh > 0),
    chain_id             bigint,                    -- set, with the next, when the contract is deployed
    credit_address       text CHECK (credit_address ~ '^0x[0-9a-f]{40}$'),
    created_at           timestamptz NOT NULL DEFAULT now(),
    CHECK (open_lead_s > gate_closure_lead_s),
    CHECK ((chain_id IS NULL) = (credit_address IS NULL))
);

-- The tariff of a slot is the one with the latest valid_from at or before the slot's start.
CREATE TABLE tariffs (
    community_id               text NOT NULL REFERENCES communities,
    valid_from                 timestamptz NOT NULL,
    retail_micro_per_kwh       bigint NOT NULL CHECK (retail_micro_per_kwh >= 0),
    feed_in_micro_per_kwh      bigint NOT NULL CHECK (feed_in_micro_per_kwh >= 0),
    network_fee_micro_per_kwh  bigint NOT NULL CHECK (network_fee_micro_per_kwh >= 0),
    platform_fee_micro_per_kwh bigint NOT NULL CHECK (platform_fee_micro_per_kwh >= 0),
    PRIMARY KEY (community_id, valid_from),
    CHECK (retail_micro_per_kwh - network_fee_micro_per_kwh - platform_fee_micro_per_kwh >= feed_in_micro_per_kwh)
);

CREATE TABLE members (
    community_id text NOT NULL REFERENCES communities,
    member_id    text NOT NULL CHECK (member_id NOT IN ('grid', 'network', 'platform', 'reserve')),
    display_name text NOT NULL,
    pseudonym    text NOT NULL,                     -- what other members see
    preset       text NOT NULL DEFAULT 'hands-off' CHECK (preset IN ('greenest', 'cheapest', 'hands-off', 'paused')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (community_id, member_id),
    UNIQUE (community_id, pseudonym)
);

-- A member's account has the member's id; the four others are the community's own.
CREATE TABLE accounts (
    community_id  text NOT NULL REFERENCES communities,
    account_id    text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('member', 'grid', 'network', 'platform', 'reserve')),
    chain_address text NOT NULL CHECK (chain_address ~ '^0x[0-9a-f]{40}$'),
    PRIMARY KEY (community_id, account_id),
    UNIQUE (community_id, chain_address),
    CHECK (kind = 'member' OR kind = account_id)
);

CREATE TABLE sites (
    community_id text NOT NULL REFERENCES communities,
    site_id      text NOT NULL,
    member_id    text NOT NULL,
    pv_peak_w    bigint NOT NULL DEFAULT 0 CHECK (pv_peak_w >= 0),
    battery_wh   bigint NOT NULL DEFAULT 0 CHECK (battery_wh >= 0),
    battery_w    bigint NOT NULL DEFAULT 0 CHECK (battery_w >= 0),
    PRIMARY KEY (community_id, site_id),
    FOREIGN KEY (community_id, member_id) REFERENCES members
);

-- An agent's key counts only once the operator has approved its fingerprint.
CREATE TABLE agents (
    community_id text NOT NULL REFERENCES communities,
    agent_id     text NOT NULL,
    public_key   bytea NOT NULL,                    -- P-256, SEC1 uncompressed
    fingerprint  text NOT NULL,                     -- SHA-256 of public_key, hex
    status       text NOT NULL CHECK (status IN ('pending', 'approved', 'revoked')),
    last_seen_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (community_id, agent_id)
);

-- The revenue meter of a site; one a site.
CREATE TABLE meters (
    community_id text NOT NULL REFERENCES communities,
    meter_id     text NOT NULL,
    site_id      text NOT NULL,
    agent_id     text NOT NULL,
    template_id  text NOT NULL,
    PRIMARY KEY (community_id, meter_id),
    UNIQUE (community_id, site_id),
    FOREIGN KEY (community_id, site_id) REFERENCES sites,
    FOREIGN KEY (community_id, agent_id) REFERENCES agents
);
