-- Where an account lived on the chain when its slot was priced. It is part of the leaf that the
-- receipt proves, so it stays as it was when the account later moves to another address.
ALTER TABLE statements ADD COLUMN chain_address text CHECK (chain_address ~ '^0x[0-9a-f]{40}$');
UPDATE statements s SET chain_address = a.chain_address
FROM accounts a WHERE a.community_id = s.community_id AND a.account_id = s.account_id;
