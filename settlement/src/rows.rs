//! Statements as rows of the database.

use receipt::Address;
use store::statements::{SALT_BYTES, StatementRow};

use crate::pricing::Statement;

/// A statement as it is stored, with its account's address and the salt of its leaf.
#[must_use]
pub fn statement_row(statement: Statement, chain_address: Address, salt: [u8; SALT_BYTES]) -> StatementRow {
    StatementRow {
        account_id: statement.account_id,
        chain_address,
        metered: statement.metered,
        substituted: statement.substituted,
        traded_bought: statement.traded_bought.energy,
        traded_bought_money: statement.traded_bought.money,
        traded_sold: statement.traded_sold.energy,
        traded_sold_money: statement.traded_sold.money,
        closing_bought: statement.closing_bought.energy,
        closing_bought_money: statement.closing_bought.money,
        closing_sold: statement.closing_sold.energy,
        closing_sold_money: statement.closing_sold.money,
        preferred_bought: statement.preferred_bought.energy,
        preferred_bought_money: statement.preferred_bought.money,
        preferred_sold: statement.preferred_sold.energy,
        preferred_sold_money: statement.preferred_sold.money,
        residual_import: statement.residual_import,
        residual_export: statement.residual_export,
        residual_money: statement.residual,
        curtailed: statement.curtailed,
        over_limit: statement.over_limit,
        network_fee: statement.network_fee,
        platform_fee: statement.platform_fee,
        net: statement.net,
        base: statement.base,
        salt,
    }
}
