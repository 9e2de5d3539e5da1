//! The money of a simulation, exact in nano-currency; over all accounts it sums to zero.

use domain::apportion::pro_rata;
use domain::grid::GridLimits;
use domain::order::Side;
use domain::tariff::Tariff;
use domain::units::{Energy, Overflow, Price};

use super::kpis::MemberResult;
use super::meters::SlotEnergy;
use super::trading::SiteTrade;
use crate::dataset::DataSet;

/// What a site has gained (positive) or paid, and what the grid alone would have made of it. In 128 bits,
/// so that years of many slots add up.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    net_nano: i128,
    base_nano: i128,
    bought_wh: i64,
    sold_wh: i64,
}

/// What flowed in a slot beyond the grid limits, in Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BeyondLimits {
    pub(super) curtailed_wh: i64,
    pub(super) over_limit_wh: i64,
}

/// All accounts.
#[derive(Debug)]
pub(super) struct Ledger {
    tariff: Tariff,
    sites: Vec<Account>,
    grid_nano: i128,
    fees_nano: i128,
}

impl Ledger {
    pub(super) fn new(sites: usize, tariff: Tariff) -> Self {
        Self { tariff, sites: vec![Account::default(); sites], grid_nano: 0, fees_nano: 0 }
    }

    pub(super) fn trade(&mut self, trade: &SiteTrade) -> Result<(), Overflow> {
        self.fill(trade.seller, Side::Offer, trade.energy, trade.price)?;
        self.fill(trade.buyer, Side::Bid, trade.energy, trade.price)
    }

    /// Books one side of a local trade; the buyer pays the fees on top.
    pub(super) fn fill(
        &mut self,
        site: usize,
        side: Side,
        energy: Energy,
        price: Price,
    ) -> Result<(), Overflow> {
        let fees = self.tariff.network_fee().checked_add(self.tariff.platform_fee())?;
        let account = &mut self.sites[site];
        match side {
            Side::Offer => {
                account.net_nano += nano(price, energy)?;
                account.sold_wh += energy.wh();
            }
            Side::Bid => {
                let fee_nano = nano(fees, energy)?;
                account.net_nano -= nano(price, energy)? + fee_nano;
                account.bought_wh += energy.wh();
                self.fees_nano += fee_nano;
            }
        }
        Ok(())
    }

    /// Books what is left of each site's net export at the tariffs, against the grid. Export beyond the limit
    /// earns nothing, each site's in proportion to what it has left.
    pub(super) fn residuals(
        &mut self,
        net_export: &[Energy],
        limits: GridLimits,
    ) -> Result<BeyondLimits, Overflow> {
        let left: Vec<i64> = net_export.iter().map(|net| net.wh().max(0)).collect();
        let drawn_wh: i64 = net_export.iter().map(|net| net.wh().saturating_neg().max(0)).sum();
        let excess = |wh: i64, limit: Option<Energy>| limit.map_or(0, |limit| (wh - limit.wh()).max(0));
        let curtailed_wh = excess(left.iter().sum(), limits.export);
        let curtailed = pro_rata(&left, curtailed_wh);
        for ((account, net), curtailed) in self.sites.iter_mut().zip(net_export).zip(curtailed) {
            let price = if net.is_negative() { self.tariff.retail() } else { self.tariff.feed_in() };
            let amount = nano(price, net.checked_sub(Energy::from_wh(curtailed))?)?;
            account.net_nano += amount;
            self.grid_nano -= amount;
        }
        Ok(BeyondLimits { curtailed_wh, over_limit_wh: excess(drawn_wh, limits.import) })
    }

    /// Notes what the meters alone would have cost: import at retail, export at feed-in.
    pub(super) fn base(&mut self, metered: &[SlotEnergy]) -> Result<(), Overflow> {
        for (account, site) in self.sites.iter_mut().zip(metered) {
            account.base_nano += nano(self.tariff.feed_in(), Energy::from_wh(site.export_wh))?
                - nano(self.tariff.retail(), Energy::from_wh(site.import_wh))?;
        }
        Ok(())
    }

    /// The sum over all accounts; zero, or the simulation is wrong.
    pub(super) fn sum_nano(&self) -> i128 {
        self.sites.iter().map(|account| account.net_nano).sum::<i128>() + self.grid_nano + self.fees_nano
    }

    pub(super) fn members(&self, data: &DataSet) -> Vec<MemberResult> {
        let member = |(account, site): (&Account, &crate::dataset::Site)| MemberResult {
            site_id: site.id.clone(),
            base_nano: account.base_nano,
            net_nano: account.net_nano,
            bought_wh: account.bought_wh,
            sold_wh: account.sold_wh,
        };
        self.sites.iter().zip(&data.sites).map(member).collect()
    }
}

fn nano(price: Price, energy: Energy) -> Result<i128, Overflow> {
    Ok(price.checked_mul(energy)?.nano().into())
}
