-- What members ask of the contract themselves, and accounts that move to an address of the member's own.

-- Requests of withdrawals and their ends, as the chain's events tell them. The open request of an address is
-- its newest event, if that is a request: nothing is kept besides the events, so that a reorganisation takes
-- back what it took back. Money in nano-currency, rounded up.
CREATE TABLE withdrawal_events (
    community_id  text NOT NULL REFERENCES communities,
    block_number  bigint NOT NULL CHECK (block_number >= 0),
    log_index     bigint NOT NULL CHECK (log_index >= 0),
    kind          text NOT NULL CHECK (kind IN ('requested', 'cancelled', 'paid')),
    chain_address text NOT NULL CHECK (chain_address ~ '^0x[0-9a-f]{40}$'),
    amount_nano   bigint NOT NULL CHECK (amount_nano >= 0),
    claimable_at  timestamptz,                      -- of a request: from then on it can be paid
    tx_hash       text NOT NULL CHECK (tx_hash ~ '^0x[0-9a-f]{64}$'),
    PRIMARY KEY (community_id, block_number, log_index),
    CHECK ((kind = 'requested') = (claimable_at IS NOT NULL))
);
-- What is asked out no longer covers orders.
CREATE TRIGGER withdrawal_events_added AFTER INSERT ON withdrawal_events
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION credits_changed();
CREATE TRIGGER withdrawal_events_removed AFTER DELETE ON withdrawal_events
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION credits_changed();
CREATE INDEX withdrawal_events_by_address
    ON withdrawal_events (community_id, chain_address, block_number DESC, log_index DESC);

-- Credits at addresses that are no account's yet: looked through when an account gets an address.
CREATE INDEX chain_movements_unclaimed ON chain_movements (community_id, chain_address) WHERE account_id IS NULL;

-- When the member linked the address; NULL while the platform holds the account's key.
ALTER TABLE accounts ADD COLUMN linked_at timestamptz;

-- Where accounts lived before. Credits that still come there are the account's and are moved on.
CREATE TABLE former_addresses (
    community_id  text NOT NULL,
    chain_address text NOT NULL CHECK (chain_address ~ '^0x[0-9a-f]{40}$'),
    account_id    text NOT NULL,
    left_at       timestamptz NOT NULL,
    PRIMARY KEY (community_id, chain_address),
    FOREIGN KEY (community_id, account_id) REFERENCES accounts
);
CREATE INDEX former_addresses_by_account ON former_addresses (community_id, account_id);

-- Messages that members were given to sign (EIP-4361). A nonce is used once: its row goes with its use.
CREATE TABLE link_challenges (
    community_id  text NOT NULL,
    nonce         text NOT NULL CHECK (nonce ~ '^[A-Za-z0-9]{8,64}$'),
    member_id     text NOT NULL,
    message       text NOT NULL,
    expires_at    timestamptz NOT NULL,
    PRIMARY KEY (community_id, nonce),
    FOREIGN KEY (community_id, member_id) REFERENCES members
);
CREATE INDEX link_challenges_by_member ON link_challenges (community_id, member_id, expires_at);

-- Addresses that members linked, with what they signed.
CREATE TABLE links (
    community_id  text NOT NULL,
    link_id       bigint GENERATED ALWAYS AS IDENTITY,
    member_id     text NOT NULL,
    client_id     text NOT NULL,                    -- the request's Idempotency-Key
    chain_address text NOT NULL CHECK (chain_address ~ '^0x[0-9a-f]{40}$'),
    message       text NOT NULL,
    signature     text NOT NULL CHECK (signature ~ '^0x[0-9a-f]{130}$'),
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (community_id, link_id),
    UNIQUE (community_id, member_id, client_id),
    FOREIGN KEY (community_id, member_id) REFERENCES members
);

-- Credits that move between two addresses of one account. requested -> signed -> final, or void: there was
-- nothing to move, or refused: the address had become somebody else's. The first move of a link changes the
-- account's address when it is signed; a failed transaction sets it back to requested.
CREATE TABLE account_moves (
    community_id text NOT NULL,
    move_id      bigint GENERATED ALWAYS AS IDENTITY,
    account_id   text NOT NULL,
    link_id      bigint,
    from_address text NOT NULL CHECK (from_address ~ '^0x[0-9a-f]{40}$'),
    to_address   text NOT NULL CHECK (to_address ~ '^0x[0-9a-f]{40}$'),
    status       text NOT NULL DEFAULT 'requested'
                 CHECK (status IN ('requested', 'signed', 'final', 'void', 'refused')),
    amount_nano  bigint CHECK (amount_nano > 0),    -- what the signed transaction moves
    created_at   timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz,
    PRIMARY KEY (community_id, move_id),
    FOREIGN KEY (community_id, account_id) REFERENCES accounts,
    FOREIGN KEY (community_id, link_id) REFERENCES links
);
CREATE UNIQUE INDEX account_moves_open ON account_moves (community_id, from_address)
    WHERE status IN ('requested', 'signed');
CREATE UNIQUE INDEX account_moves_one_link ON account_moves (community_id, account_id)
    WHERE link_id IS NOT NULL AND status IN ('requested', 'signed');
CREATE UNIQUE INDEX account_moves_to ON account_moves (community_id, to_address)
    WHERE link_id IS NOT NULL AND status IN ('requested', 'signed');

-- A transaction may carry such a move.
ALTER TABLE transactions ADD COLUMN move_id bigint;
ALTER TABLE transactions DROP CONSTRAINT transactions_purpose_check;
ALTER TABLE transactions ADD CONSTRAINT transactions_purpose_check
    CHECK (purpose IN ('deploy', 'deposit', 'settle', 'move'));

-- Tokens by which members act for themselves: only their SHA-256 is kept.
CREATE TABLE member_tokens (
    community_id text NOT NULL,
    token_hash   bytea NOT NULL CHECK (length(token_hash) = 32),
    member_id    text NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (community_id, token_hash),
    FOREIGN KEY (community_id, member_id) REFERENCES members
);
