-- What the chain's events say of deposits and withdrawals, so that the ledger knows those that the
-- settler did not make itself.

-- One row an event that made or destroyed credits, in blocks deep enough to count. Positive makes
-- credits. The settler's own deposits are here too, without a ledger entry of their own: the deposit
-- itself has booked them. An address that is no account's has no account_id and is booked nowhere.
CREATE TABLE chain_movements (
    community_id   text NOT NULL REFERENCES communities,
    block_number   bigint NOT NULL CHECK (block_number >= 0),
    log_index      bigint NOT NULL CHECK (log_index >= 0),
    kind           text NOT NULL CHECK (kind IN ('deposit', 'withdrawal')),
    chain_address  text NOT NULL CHECK (chain_address ~ '^0x[0-9a-f]{40}$'),
    account_id     text,
    base_units     numeric(78, 0) NOT NULL,
    tx_hash        text NOT NULL CHECK (tx_hash ~ '^0x[0-9a-f]{64}$'),
    is_own         boolean NOT NULL,
    PRIMARY KEY (community_id, block_number, log_index),
    FOREIGN KEY (community_id, account_id) REFERENCES accounts
);
CREATE INDEX chain_movements_by_account ON chain_movements (community_id, account_id);

-- How far the events were followed: the end of each stretch with its block's hash. The newest is where
-- to go on; the older ones tell how far back a reorganisation went.
CREATE TABLE followed_blocks (
    community_id text NOT NULL REFERENCES communities,
    block_number bigint NOT NULL CHECK (block_number >= 0),
    block_hash   bytea NOT NULL CHECK (length(block_hash) = 32),
    PRIMARY KEY (community_id, block_number)
);

-- An entry that an event made names it, and is taken back with it.
ALTER TABLE ledger_entries
    ADD COLUMN block_number bigint,
    ADD COLUMN log_index bigint,
    ADD CHECK ((block_number IS NULL) = (log_index IS NULL)),
    ADD FOREIGN KEY (community_id, block_number, log_index) REFERENCES chain_movements ON DELETE CASCADE;
CREATE UNIQUE INDEX ledger_entries_by_movement ON ledger_entries (community_id, block_number, log_index)
    WHERE block_number IS NOT NULL;
