//! What settlement's transactions do, and amounts in the token's base unit.

use domain::ids::BatchId;
use domain::units::Money;

use super::Address;

/// Base units of an 18-decimal token in one nano-currency unit.
const BASE_UNITS_PER_NANO: i128 = 1_000_000_000;

/// What the credit contract is made with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CreditSettings {
    /// The currency token it wraps.
    pub currency: Address,
    /// The contract that holds the roles.
    pub authority: Address,
    /// From the request of a withdrawal to its payment, in seconds; longer than the settlement horizon.
    pub withdrawal_delay_s: u64,
    /// The credits' name.
    pub name: String,
    /// The credits' symbol.
    pub symbol: String,
}

/// A net position: what one account gains (positive) or loses in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Whose.
    pub account: Address,
    /// How much.
    pub amount: Money,
}

/// A transaction's effect. Amounts of the currency and of credits are money, exact at 18 decimals.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// Deploys the demonstration currency.
    DeployCurrency {
        /// Who may mint.
        owner: Address,
    },
    /// Deploys the contract that holds the roles.
    DeployAuthority {
        /// Its first administrator.
        administrator: Address,
    },
    /// Deploys the credit contract.
    DeployCredit(CreditSettings),
    /// Names a role.
    LabelRole {
        /// The contract that holds the roles.
        authority: Address,
        /// The role.
        role: u64,
        /// Its name.
        label: &'static str,
    },
    /// Lets a role call one function of the credit contract.
    AllowFunction {
        /// The contract that holds the roles.
        authority: Address,
        /// The credit contract.
        credit: Address,
        /// The function's name: `settle` or `pause`.
        function: &'static str,
        /// The role.
        role: u64,
    },
    /// Grants a role, at once.
    GrantRole {
        /// The contract that holds the roles.
        authority: Address,
        /// The role; 0 is the administrator.
        role: u64,
        /// Who gets it.
        holder: Address,
    },
    /// Gives up a role of the sender.
    RenounceRole {
        /// The contract that holds the roles.
        authority: Address,
        /// The role.
        role: u64,
        /// The sender.
        holder: Address,
    },
    /// Makes demonstration currency.
    Mint {
        /// The currency.
        currency: Address,
        /// Who gets it.
        to: Address,
        /// How much.
        amount: Money,
    },
    /// Lets the credit contract take any amount of the sender's currency.
    ApproveAll {
        /// The currency.
        currency: Address,
        /// The credit contract.
        spender: Address,
    },
    /// Wraps the sender's currency into credits of an account.
    DepositFor {
        /// The credit contract.
        credit: Address,
        /// Who gets the credits.
        account: Address,
        /// How much.
        amount: Money,
    },
    /// Settles a batch.
    Settle {
        /// The credit contract.
        credit: Address,
        /// The batch; the contract takes it once.
        batch_id: BatchId,
        /// Start of the slot, Unix seconds.
        slot_from_s: u64,
        /// End of the slot, Unix seconds.
        slot_to_s: u64,
        /// Merkle root of the statements.
        statement_root: [u8; 32],
        /// Net positions, strictly ascending by account, summing to zero.
        positions: Vec<Position>,
    },
}

/// Money in base units of an 18-decimal token; exact, and within the contract's 96 bits.
#[must_use]
pub fn to_base_units(amount: Money) -> i128 {
    i128::from(amount.nano()) * BASE_UNITS_PER_NANO
}

/// A balance on the chain is larger than any money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a balance of {base_units} base units is out of range: is the address that of the credit contract?")]
pub struct InvalidAmount {
    /// The balance.
    pub base_units: u128,
}

/// Money from base units of an 18-decimal token, without the part below one nano-currency unit.
///
/// # Errors
/// [`InvalidAmount`] if it does not fit.
pub fn whole_nano_from_base_units(base_units: u128) -> Result<Money, InvalidAmount> {
    let whole = base_units / BASE_UNITS_PER_NANO.unsigned_abs();
    i64::try_from(whole).map(Money::from_nano).map_err(|_| InvalidAmount { base_units })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_money_is_exact_on_the_chain() {
        for nano in [0, 1, i64::MAX] {
            let money = Money::from_nano(nano);
            let base = u128::try_from(to_base_units(money)).unwrap();
            assert!(base < 1 << 95);
            assert_eq!(whole_nano_from_base_units(base), Ok(money));
            assert_eq!(whole_nano_from_base_units(base + 999_999_999), Ok(money));
        }
        assert_eq!(to_base_units(Money::from_nano(-2)), -2_000_000_000);
        assert!(whole_nano_from_base_units(u128::MAX).is_err());
    }
}
