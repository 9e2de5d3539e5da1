//! What a run comes to: the last line for machines, and whether every sum holds.

use serde::Serialize;
use store::totals::Totals;

/// The last line of `busbar demo --json`. Energies in Wh, money in nano-currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Slots whose money has moved.
    pub slots_settled: i64,
    /// Of these, how many in this run.
    pub slots_settled_this_run: i64,
    /// Sites of the community.
    pub sites: i64,
    /// Verified readings.
    pub readings_stored: i64,
    /// Records that were refused, with their reasons, to be looked at.
    pub records_quarantined: i64,
    /// Trades of the continuous auction.
    pub trades: i64,
    /// Their energy.
    pub traded_wh: i64,
    /// What the closing auctions cleared.
    pub closing_auction_wh: i64,
    /// What was bought at the retail tariff.
    pub grid_import_wh: i64,
    /// What was sold at the feed-in tariff.
    pub grid_export_wh: i64,
    /// Batches that are final on the chain, or had nothing to move.
    pub batches_final: i64,
    /// Batches that are not.
    pub batches_open: i64,
    /// The sum over all accounts of every slot and revision; zero, or money was made or lost.
    pub money_sum_nano: i64,
    /// Whether every account's balance on the chain is the ledger's, now and after each batch of this run.
    pub chain_equals_ledger: bool,
    /// After how many batches of this run every account was compared.
    pub batches_reconciled: i64,
    /// How long the run took, in whole seconds.
    pub wall_s: u64,
}

impl Summary {
    /// Puts a summary together.
    #[must_use]
    pub fn new(
        totals: &Totals,
        settled_before: i64,
        (chain_equals_ledger, batches_reconciled): (bool, i64),
        wall_s: u64,
    ) -> Self {
        Self {
            slots_settled: totals.slots_settled,
            slots_settled_this_run: totals.slots_settled - settled_before,
            sites: totals.sites,
            readings_stored: totals.readings_stored,
            records_quarantined: totals.records_quarantined,
            trades: totals.trades,
            traded_wh: totals.traded_wh,
            closing_auction_wh: totals.closing_auction_wh,
            grid_import_wh: totals.grid_import_wh,
            grid_export_wh: totals.grid_export_wh,
            batches_final: totals.batches_final,
            batches_open: totals.batches_open,
            money_sum_nano: totals.money_sum_nano,
            chain_equals_ledger,
            batches_reconciled,
            wall_s,
        }
    }

    /// What does not hold, in words; empty if all does. `unbalanced_slots` are slots that do not sum to zero on
    /// their own, which two errors in opposite directions could hide in the total.
    #[must_use]
    pub fn faults(&self, unbalanced_slots: i64) -> Vec<String> {
        let mut faults = Vec::new();
        if self.money_sum_nano != 0 {
            faults.push(format!("the money of all slots sums to {} nano, not to zero", self.money_sum_nano));
        }
        if unbalanced_slots != 0 {
            faults.push(format!("{unbalanced_slots} slots do not sum to zero"));
        }
        if self.batches_open != 0 {
            faults.push(format!("{} batches are not final", self.batches_open));
        }
        if !self.chain_equals_ledger {
            faults.push("balances on the chain differ from the ledger".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Summary {
        Summary {
            slots_settled: 4,
            slots_settled_this_run: 4,
            sites: 13,
            readings_stored: 65,
            records_quarantined: 0,
            trades: 9,
            traded_wh: 900,
            closing_auction_wh: 90,
            grid_import_wh: 5,
            grid_export_wh: 6,
            batches_final: 4,
            batches_open: 0,
            money_sum_nano: 0,
            chain_equals_ledger: true,
            batches_reconciled: 4,
            wall_s: 60,
        }
    }

    #[test]
    fn each_fault_is_named() {
        assert!(good().faults(0).is_empty());
        assert_eq!(good().faults(1).len(), 1);
        let broken = Summary { money_sum_nano: 1, batches_open: 2, chain_equals_ledger: false, ..good() };
        assert_eq!(broken.faults(0).len(), 3);
    }

    #[test]
    fn the_last_line_has_the_documented_keys() {
        let line = serde_json::to_value(good()).unwrap();
        for key in ["slots_settled", "readings_stored", "closing_auction_wh", "money_sum_nano", "wall_s"] {
            assert!(line.get(key).is_some(), "{key}");
        }
    }
}
