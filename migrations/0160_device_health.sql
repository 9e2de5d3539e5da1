-- How devices fare: the newest that an agent said of each, and what happened to them.

-- One row a meter: the newest health message of its agent that names it. Values of the agent itself
-- (outbox, certificate, clock) stand in each of its meters' rows. NULL: not known, never zero for it.
CREATE TABLE device_health (
    community_id      text NOT NULL,
    meter_id          text NOT NULL,
    agent_id          text NOT NULL,
    said_at           timestamptz NOT NULL,              -- by the agent's clock; a row is only replaced by a newer one
    state             text NOT NULL CHECK (state IN ('unread', 'ok', 'failing', 'doubted', 'asleep')),
    state_since       timestamptz,
    error_class       text,                              -- while failing or doubted
    last_success_at   timestamptz,
    days              jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(days) = 'array'),   -- boundaries that the agent stored, of those due
    errors            jsonb NOT NULL CHECK (jsonb_typeof(errors) = 'object'),   -- class to count, since the agent's start
    outbox_records    bigint CHECK (outbox_records >= 0),
    outbox_oldest_at  timestamptz,                       -- the boundary of the oldest record that waits
    certificate_days  integer,                           -- negative: expired
    clock             text NOT NULL CHECK (clock IN ('synchronised', 'informative', 'unsynchronised', 'unknown')),
    PRIMARY KEY (community_id, meter_id),
    FOREIGN KEY (community_id, meter_id) REFERENCES meters,
    FOREIGN KEY (community_id, agent_id) REFERENCES agents
);

-- What happened to a device or an agent; rows are added, and removed by age, never changed. once is
-- made of what happened, so that the same event is one row however often it is said.
CREATE TABLE device_events (
    community_id text NOT NULL,
    event_id     bigint GENERATED ALWAYS AS IDENTITY,
    agent_id     text NOT NULL,
    meter_id     text,                                   -- NULL: the agent itself
    kind         text NOT NULL,
    at           timestamptz NOT NULL,
    since        timestamptz,                            -- of an end: when it began
    words        text NOT NULL,
    once         text NOT NULL,
    stored_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (community_id, event_id),
    FOREIGN KEY (community_id, agent_id) REFERENCES agents,
    FOREIGN KEY (community_id, meter_id) REFERENCES meters
);
CREATE UNIQUE INDEX device_events_once ON device_events (community_id, agent_id, once);
CREATE INDEX device_events_newest ON device_events (community_id, at DESC, event_id DESC);
CREATE INDEX device_events_by_age ON device_events (stored_at);
