-- The market: slots, the commands that were sent, the orders and trades that followed from them,
-- and what was metered and cleared in closing.

-- scheduled -> open -> closed -> metered -> priced -> settled, and corrected for each later revision
-- (a correction goes through metered and priced again, with revision + 1).
CREATE TABLE slots (
    community_id            text NOT NULL REFERENCES communities,
    slot_start              timestamptz NOT NULL,
    status                  text NOT NULL CHECK (status IN
                                ('scheduled', 'open', 'closed', 'metered', 'priced', 'settled', 'corrected')),
    revision                integer NOT NULL DEFAULT 0 CHECK (revision >= 0),
    needs_remetering        boolean NOT NULL DEFAULT false, -- a reading arrived after the slot was metered
    status_changed_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (community_id, slot_start)
);
CREATE INDEX slots_by_status ON slots (community_id, status, slot_start);

-- What was asked of the market, in the order of asking: the queue (submitted) and the log (accepted,
-- with the sequence the market stamped; refused, with the reason).
CREATE TABLE commands (
    community_id        text NOT NULL REFERENCES communities,
    command_id          bigint GENERATED ALWAYS AS IDENTITY,
    kind                text NOT NULL CHECK (kind IN ('submit', 'replace', 'cancel')),
    member_id           text NOT NULL,
    client_id           text NOT NULL,
    slot_start          timestamptz NOT NULL,
    order_id            bigint,                     -- the order to replace or cancel
    site_id             text,
    side                text CHECK (side IN ('bid', 'offer')),
    energy_wh           bigint,
    limit_micro_per_kwh bigint,
    time_in_force       text CHECK (time_in_force IN ('good-till-gate', 'immediate-or-cancel', 'fill-or-kill')),
    placed_by           text NOT NULL CHECK (placed_by IN ('member', 'autopilot')),
    reason              text NOT NULL DEFAULT '',   -- why the autopilot placed it, in plain words
    status              text NOT NULL DEFAULT 'submitted' CHECK (status IN ('submitted', 'accepted', 'refused')),
    refusal_code        text,
    refusal_detail      text,
    accepted_seq        bigint,
    submitted_at        timestamptz NOT NULL DEFAULT now(),
    decided_at          timestamptz,
    PRIMARY KEY (community_id, command_id),
    FOREIGN KEY (community_id, member_id) REFERENCES members,
    UNIQUE (community_id, member_id, client_id),
    UNIQUE (community_id, accepted_seq),
    CHECK ((status = 'accepted') = (accepted_seq IS NOT NULL)),
    CHECK ((status = 'refused') = (refusal_code IS NOT NULL)),
    CHECK ((kind = 'submit') = (order_id IS NULL)),
    CHECK (kind <> 'submit' OR
           (site_id IS NOT NULL AND side IS NOT NULL AND energy_wh IS NOT NULL
            AND limit_micro_per_kwh IS NOT NULL AND time_in_force IS NOT NULL))
);
CREATE INDEX commands_submitted ON commands (community_id, command_id) WHERE status = 'submitted';
CREATE INDEX commands_by_slot ON commands (community_id, slot_start, accepted_seq) WHERE status = 'accepted';

-- The state of each accepted order. Its id is the id of the command that submitted it.
CREATE TABLE orders (
    community_id        text NOT NULL REFERENCES communities,
    order_id            bigint NOT NULL,
    slot_start          timestamptz NOT NULL,
    member_id           text NOT NULL,
    site_id             text NOT NULL,
    client_id           text NOT NULL,
    side                text NOT NULL CHECK (side IN ('bid', 'offer')),
    energy_wh           bigint NOT NULL CHECK (energy_wh > 0),
    remaining_wh        bigint NOT NULL CHECK (remaining_wh >= 0),
    limit_micro_per_kwh bigint NOT NULL,
    time_in_force       text NOT NULL,
    status              text NOT NULL CHECK (status IN ('open', 'filled', 'cancelled', 'expired')),
    end_reason          text,                       -- why it was cancelled: member, self_trade, ...
    accepted_seq        bigint NOT NULL,
    placed_by           text NOT NULL,
    reason              text NOT NULL DEFAULT '',
    PRIMARY KEY (community_id, order_id),
    FOREIGN KEY (community_id, slot_start) REFERENCES slots,
    FOREIGN KEY (community_id, site_id) REFERENCES sites,
    CHECK ((status = 'filled') = (remaining_wh = 0))
);
CREATE INDEX orders_by_slot ON orders (community_id, slot_start, status);
CREATE INDEX orders_by_member ON orders (community_id, member_id, slot_start DESC);

CREATE TABLE trades (
    community_id   text NOT NULL REFERENCES communities,
    trade_id       bigint NOT NULL,                 -- counts the community's trades from 1
    slot_start     timestamptz NOT NULL,
    bid_id         bigint NOT NULL,
    offer_id       bigint NOT NULL,
    buyer_id       text NOT NULL,
    buyer_site_id  text NOT NULL,
    seller_id      text NOT NULL,
    seller_site_id text NOT NULL,
    energy_wh      bigint NOT NULL CHECK (energy_wh > 0),
    price_micro_per_kwh bigint NOT NULL,
    accepted_seq   bigint NOT NULL,                 -- of the command that caused it
    traded_at      timestamptz NOT NULL,
    PRIMARY KEY (community_id, trade_id),
    FOREIGN KEY (community_id, slot_start) REFERENCES slots,
    FOREIGN KEY (community_id, bid_id) REFERENCES orders (community_id, order_id),
    FOREIGN KEY (community_id, offer_id) REFERENCES orders (community_id, order_id),
    CHECK (buyer_id <> seller_id)
);
CREATE INDEX trades_by_slot ON trades (community_id, slot_start);

-- What each site metered in a slot, at each revision. Substituted: no reading came by the deadline,
-- and the traded position stands for the energy.
CREATE TABLE metered_sites (
    community_id   text NOT NULL,
    slot_start     timestamptz NOT NULL,
    revision       integer NOT NULL,
    site_id        text NOT NULL,
    import_wh      bigint NOT NULL CHECK (import_wh >= 0),
    export_wh      bigint NOT NULL CHECK (export_wh >= 0),
    production_wh  bigint CHECK (production_wh >= 0),
    substituted    boolean NOT NULL,
    PRIMARY KEY (community_id, slot_start, revision, site_id),
    FOREIGN KEY (community_id, slot_start) REFERENCES slots,
    FOREIGN KEY (community_id, site_id) REFERENCES sites
);

-- What the closing auction gave each site, at each revision, all at one price.
CREATE TABLE closing_fills (
    community_id        text NOT NULL,
    slot_start          timestamptz NOT NULL,
    revision            integer NOT NULL,
    site_id             text NOT NULL,
    side                text NOT NULL CHECK (side IN ('bid', 'offer')),
    energy_wh           bigint NOT NULL CHECK (energy_wh > 0),
    price_micro_per_kwh bigint NOT NULL,
    PRIMARY KEY (community_id, slot_start, revision, site_id),
    FOREIGN KEY (community_id, slot_start, revision, site_id) REFERENCES metered_sites
);
