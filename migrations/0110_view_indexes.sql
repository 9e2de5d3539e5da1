-- Indexes for what the API reads: who traded with whom, a batch's transaction, an account's positions.

CREATE INDEX trades_by_buyer ON trades (community_id, buyer_id, seller_id);
CREATE INDEX trades_by_seller ON trades (community_id, seller_id, buyer_id);
CREATE INDEX transactions_by_batch ON transactions (community_id, batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX batch_positions_by_account ON batch_positions (community_id, account_id);
