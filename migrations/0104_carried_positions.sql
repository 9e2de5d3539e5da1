-- What batches could not settle is looked up before each batch; with this index that reads the few
-- rows that are open and not the whole history.
CREATE INDEX batch_positions_open ON batch_positions (community_id, account_id) WHERE settled_nano <> owed_nano;

-- The next nonce of a sender, and what a chain that forgot must be told again.
CREATE INDEX transactions_by_nonce ON transactions (sender, nonce);
