-- Batches too large for one transaction: the contract takes them in chunks, all or nothing.

-- What each chunk holds is fixed when its batch is opened, since the contract is told the hashes: addresses
-- ascend over all chunks, amounts are what each gains or loses. planned -> pushed (its debtors have paid) ->
-- released (its creditors are paid), or returned (the batch was given up, its debtors have it back).
CREATE TABLE batch_chunks (
    community_id    text NOT NULL,
    batch_id        bytea NOT NULL,
    chunk_index     integer NOT NULL CHECK (chunk_index >= 0),
    chain_addresses text[] NOT NULL,
    amounts_nano    bigint[] NOT NULL,
    status          text NOT NULL DEFAULT 'planned' CHECK (status IN ('planned', 'pushed', 'released', 'returned')),
    PRIMARY KEY (community_id, batch_id, chunk_index),
    FOREIGN KEY (community_id, batch_id) REFERENCES batches,
    CHECK (cardinality(chain_addresses) = cardinality(amounts_nano))
);

-- A transaction may be one step of such a batch. The step that settles it, the release of the last chunk,
-- names it in batch_id as any settlement does.
ALTER TABLE transactions
    ADD COLUMN step_batch_id bytea,
    ADD COLUMN step text CHECK (step IN ('open', 'push', 'finalise', 'release', 'abandon', 'return')),
    ADD COLUMN step_chunk integer CHECK (step_chunk >= 0),
    ADD CHECK ((step IS NULL) = (step_batch_id IS NULL)),
    ADD CHECK (step_batch_id IS NULL OR (purpose = 'settle' AND batch_id IS NULL)),
    ADD CHECK ((step_chunk IS NOT NULL) = (step IS NOT NULL AND step IN ('push', 'release', 'return'))),
    ADD FOREIGN KEY (community_id, step_batch_id) REFERENCES batches;
CREATE INDEX transactions_by_step_batch ON transactions (community_id, step_batch_id) WHERE step_batch_id IS NOT NULL;

-- Communities whose settlement waits until the chain is cheap enough: a row as long as it does.
CREATE TABLE settlement_waits (
    community_id text PRIMARY KEY REFERENCES communities,
    since        timestamptz NOT NULL,
    next_try_at  timestamptz NOT NULL,
    reason       text NOT NULL
);
