-- Settlement: statements, batches of net positions, the transactions that carry them, the ledger.

-- One row an account, slot and revision. Money is signed: positive is a credit to the account. Over
-- all accounts of a slot and revision, net_nano sums to zero exactly.
CREATE TABLE statements (
    community_id       text NOT NULL,
    slot_start         timestamptz NOT NULL,
    revision           integer NOT NULL,
    account_id         text NOT NULL,
    import_wh          bigint NOT NULL,
    export_wh          bigint NOT NULL,
    production_wh      bigint,                      -- NULL: not known
    substituted        boolean NOT NULL,
    traded_bought_wh   bigint NOT NULL,
    traded_bought_nano bigint NOT NULL CHECK (traded_bought_nano <= 0),
    traded_sold_wh     bigint NOT NULL,
    traded_sold_nano   bigint NOT NULL CHECK (traded_sold_nano >= 0),
    closing_bought_wh  bigint NOT NULL,
    closing_bought_nano bigint NOT NULL CHECK (closing_bought_nano <= 0),
    closing_sold_wh    bigint NOT NULL,
    closing_sold_nano  bigint NOT NULL CHECK (closing_sold_nano >= 0),
    residual_import_wh bigint NOT NULL,
    residual_export_wh bigint NOT NULL,
    residual_nano      bigint NOT NULL,
    network_fee_nano   bigint NOT NULL,
    platform_fee_nano  bigint NOT NULL,
    net_nano           bigint NOT NULL,
    base_nano          bigint NOT NULL,             -- what the same registers cost without the market
    salt               bytea NOT NULL,              -- of the leaf in the batch's Merkle tree
    PRIMARY KEY (community_id, slot_start, revision, account_id),
    FOREIGN KEY (community_id, slot_start) REFERENCES slots,
    FOREIGN KEY (community_id, account_id) REFERENCES accounts
);
CREATE INDEX statements_by_account ON statements (community_id, account_id, slot_start DESC);

-- prepared -> signed -> broadcast -> final. A batch without any position to move is void: the slot
-- counts as settled and nothing is sent. One batch at most is signed or broadcast a community.
CREATE TABLE batches (
    community_id   text NOT NULL,
    batch_id       bytea NOT NULL CHECK (length(batch_id) = 32),
    slot_start     timestamptz NOT NULL,
    revision       integer NOT NULL,
    statement_root bytea NOT NULL CHECK (length(statement_root) = 32),
    status         text NOT NULL CHECK (status IN ('prepared', 'signed', 'broadcast', 'final', 'void')),
    created_at     timestamptz NOT NULL DEFAULT now(),
    final_at       timestamptz,
    PRIMARY KEY (community_id, batch_id),
    UNIQUE (community_id, slot_start, revision),
    FOREIGN KEY (community_id, slot_start) REFERENCES slots
);
CREATE UNIQUE INDEX batches_in_flight ON batches (community_id) WHERE status IN ('signed', 'broadcast');
CREATE INDEX batches_by_status ON batches (community_id, status, slot_start);

-- owed: what the statements (less earlier revisions) say. settled: what the chain moves, after
-- shortfalls; NULL until the batch is signed. The difference is carried as a receivable or payable.
CREATE TABLE batch_positions (
    community_id text NOT NULL,
    batch_id     bytea NOT NULL,
    account_id   text NOT NULL,
    owed_nano    bigint NOT NULL,
    settled_nano bigint,
    PRIMARY KEY (community_id, batch_id, account_id),
    FOREIGN KEY (community_id, batch_id) REFERENCES batches,
    FOREIGN KEY (community_id, account_id) REFERENCES accounts
);

-- Signed transactions, stored before they are broadcast, so that a retry sends the same bytes.
-- signed -> broadcast -> final | reverted; replaced when a later attempt took the same nonce.
CREATE TABLE transactions (
    community_id  text NOT NULL REFERENCES communities,
    tx_id         bigint GENERATED ALWAYS AS IDENTITY,
    purpose       text NOT NULL CHECK (purpose IN ('deploy', 'deposit', 'settle')),
    batch_id      bytea,
    deposit_id    bigint,
    sender        text NOT NULL,
    nonce         bigint NOT NULL CHECK (nonce >= 0),
    attempt       integer NOT NULL DEFAULT 1 CHECK (attempt > 0),
    tx_hash       text NOT NULL CHECK (tx_hash ~ '^0x[0-9a-f]{64}$'),
    raw           bytea NOT NULL,
    max_fee_per_gas_wei numeric(78, 0) NOT NULL,
    status        text NOT NULL CHECK (status IN ('signed', 'broadcast', 'final', 'reverted', 'replaced')),
    block_number  bigint,
    gas_used      bigint,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (community_id, tx_id),
    UNIQUE (community_id, sender, nonce, attempt),
    UNIQUE (community_id, tx_hash),
    FOREIGN KEY (community_id, batch_id) REFERENCES batches
);

-- Currency that is to be wrapped for an account. requested -> signed -> final.
CREATE TABLE deposits (
    community_id text NOT NULL,
    deposit_id   bigint GENERATED ALWAYS AS IDENTITY,
    account_id   text NOT NULL,
    client_id    text NOT NULL,                     -- made by the caller before the first try
    amount_nano  bigint NOT NULL CHECK (amount_nano > 0),
    status       text NOT NULL DEFAULT 'requested' CHECK (status IN ('requested', 'signed', 'final')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (community_id, deposit_id),
    UNIQUE (community_id, client_id),
    FOREIGN KEY (community_id, account_id) REFERENCES accounts
);

-- What every account holds, as a sum of entries; compared with the chain account by account.
CREATE TABLE ledger_entries (
    community_id text NOT NULL,
    entry_id     bigint GENERATED ALWAYS AS IDENTITY,
    account_id   text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('deposit', 'settlement', 'withdrawal')),
    amount_nano  bigint NOT NULL,
    tx_hash      text NOT NULL,
    batch_id     bytea,
    deposit_id   bigint,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (community_id, entry_id),
    FOREIGN KEY (community_id, account_id) REFERENCES accounts,
    UNIQUE (community_id, account_id, batch_id),
    UNIQUE (community_id, deposit_id)
);
