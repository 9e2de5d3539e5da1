//! What the contracts' errors mean and what to do, beside the names that the contracts give them.

/// The meaning of a custom error, by its name.
pub(super) fn meaning(error: &str) -> Option<&'static str> {
    Some(match error {
        "AccessManagedUnauthorized" => {
            "this account has no role for the function; the administrator grants the settler's role to the settlement \
             account alone"
        }
        "AccessManagerUnauthorizedAccount" => "only an administrator may change roles",
        "BatchAlreadySettled" => "the batch is on the chain already and is not taken twice",
        "BatchInProgress" => "another batch is being settled in chunks and has to end first",
        "BatchIncomplete" => "not every chunk is pushed",
        "BatchNotExpired" => "until then the settler alone may end the batch",
        "ChunkTooLarge" => "a chunk has at most 500 positions",
        "CreditsNotTransferable" => "credits move by settlement alone",
        "CurrencyNotExact" => {
            "the currency token moved another amount than it was told, so it cannot back credits"
        }
        "ERC20InsufficientAllowance" => {
            "the settlement account has not approved so much currency to the contract"
        }
        "ERC20InsufficientBalance" => "the account holds too little",
        "EnforcedPause" => "the contract is paused; its administrator ends that",
        "InsufficientCredit" => "a debtor holds less than it owes",
        "InvalidAccount" => "the contract itself cannot hold credits",
        "InvalidChunkCount" => "a batch has 1 to 256 chunks",
        "InvalidSlotRange" => "a slot ends after it begins",
        "MissingStatementRoot" => "the statements' root is missing",
        "NotTheBatchInProgress" => "the batch in progress is another one, or there is none",
        "PositionsNotAscending" => "positions go by address, each account once",
        "PositionsNotBalanced" => "positions must sum to zero",
        "UnexpectedChunk" => "chunks are taken in order; the one expected says how far the batch is",
        "WrongBatchPhase" => "the batch is not at the point where this may be done",
        "WrongChunk" => "the chunk is not the one the batch was opened with",
        _ => return None,
    })
}
