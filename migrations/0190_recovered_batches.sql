-- A transaction may end a batch in chunks that the contract has in progress and the rows do not know: one that was
-- opened after the backup to which the database was set back. It names no row, for there is none.
ALTER TABLE transactions DROP CONSTRAINT transactions_purpose_check;
ALTER TABLE transactions ADD CONSTRAINT transactions_purpose_check
    CHECK (purpose IN ('deploy', 'deposit', 'settle', 'move', 'recover'));
