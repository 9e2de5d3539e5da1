//! Whether a command may go to the book: the slot's state, the tariff's bounds, sites and credits.
//! Pure; each refusal says what bound was broken.

use chrono::{DateTime, Utc};
use domain::order::Refusal;
use domain::tariff::Tariff;
use domain::units::{Energy, Money, Overflow, Price};

/// What the orders of a slot are checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotTerms {
    /// Orders are taken before this instant.
    pub gate_closure: DateTime<Utc>,
    /// The lowest limit: the feed-in tariff.
    pub lowest: Price,
    /// The highest limit: the retail tariff less the fees.
    pub highest: Price,
    /// What a buyer pays on top of the price, to network and platform.
    pub fees: Price,
    /// The largest energy of an order.
    pub max_order: Energy,
}

impl SlotTerms {
    /// The terms of a slot under its tariff.
    ///
    /// # Errors
    /// [`Overflow`] if the prices are absurd.
    pub fn new(gate_closure: DateTime<Utc>, tariff: &Tariff, max_order: Energy) -> Result<Self, Overflow> {
        Ok(Self {
            gate_closure,
            lowest: tariff.lowest_limit(),
            highest: tariff.highest_limit()?,
            fees: tariff.network_fee().checked_add(tariff.platform_fee())?,
            max_order,
        })
    }

    /// What `energy` costs a buyer at `price`, fees included.
    ///
    /// # Errors
    /// [`Overflow`] if the product does not fit.
    pub fn cost(&self, energy: Energy, price: Price) -> Result<Money, Overflow> {
        price.checked_add(self.fees)?.checked_mul(energy)
    }
}

/// A slot as a command finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// The community has no such slot.
    Unknown,
    /// Known, not open yet.
    Scheduled,
    /// Open, with its terms.
    Open(SlotTerms),
    /// Closed, or later.
    Closed,
}

/// The terms of a slot that takes orders at `now`.
///
/// # Errors
/// [`Refusal`] if the slot takes none.
pub fn slot(state: SlotState, now: DateTime<Utc>) -> Result<SlotTerms, Refusal> {
    match state {
        SlotState::Unknown => Err(Refusal::UnknownSlot),
        SlotState::Scheduled => Err(Refusal::SlotNotOpen),
        SlotState::Open(terms) if now < terms.gate_closure => Ok(terms),
        SlotState::Open(_) | SlotState::Closed => Err(Refusal::GateClosed),
    }
}

/// Checks an order's energy.
///
/// # Errors
/// [`Refusal`] with the bound.
pub fn energy(energy: Energy, terms: &SlotTerms) -> Result<(), Refusal> {
    if !energy.is_positive() {
        Err(Refusal::NotPositive)
    } else if energy > terms.max_order {
        Err(Refusal::TooLarge { max_wh: terms.max_order.wh() })
    } else {
        Ok(())
    }
}

/// Checks an order's limit against both tariffs.
///
/// # Errors
/// [`Refusal`] with the bound.
pub fn limit(limit: Price, terms: &SlotTerms) -> Result<(), Refusal> {
    if limit < terms.lowest {
        Err(Refusal::BelowFeedIn { bound_micro_per_kwh: terms.lowest.micro_per_kwh() })
    } else if limit > terms.highest {
        Err(Refusal::AboveRetail { bound_micro_per_kwh: terms.highest.micro_per_kwh() })
    } else {
        Ok(())
    }
}

/// Checks that what a bid may cost at its limit is covered by `free` credits.
///
/// # Errors
/// [`Refusal`] with both amounts.
pub fn cover(needed: Money, free: Money) -> Result<(), Refusal> {
    if needed > free {
        return Err(Refusal::InsufficientCredit { needed_nano: needed.nano(), free_nano: free.nano() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> SlotTerms {
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        SlotTerms::new(DateTime::UNIX_EPOCH, &tariff, Energy::from_wh(1_000)).unwrap()
    }

    #[test]
    fn orders_are_taken_until_gate_closure() {
        let (gate, millisecond) = (DateTime::UNIX_EPOCH, chrono::TimeDelta::milliseconds(1));
        let open = SlotState::Open(terms());
        assert_eq!(slot(open, gate - millisecond), Ok(terms()));
        assert_eq!(slot(open, gate), Err(Refusal::GateClosed));
        assert_eq!(slot(SlotState::Closed, gate - millisecond), Err(Refusal::GateClosed));
        assert_eq!(slot(SlotState::Scheduled, gate), Err(Refusal::SlotNotOpen));
        assert_eq!(slot(SlotState::Unknown, gate), Err(Refusal::UnknownSlot));
    }

    #[test]
    fn limits_lie_between_the_tariffs_both_included() {
        let check = |micro| limit(Price::from_micro_per_kwh(micro), &terms());
        assert_eq!(check(79_999), Err(Refusal::BelowFeedIn { bound_micro_per_kwh: 80_000 }));
        assert_eq!((check(80_000), check(288_000)), (Ok(()), Ok(())));
        assert_eq!(check(288_001), Err(Refusal::AboveRetail { bound_micro_per_kwh: 288_000 }));
    }

    #[test]
    fn energies_are_positive_and_bounded() {
        let check = |wh| energy(Energy::from_wh(wh), &terms());
        assert_eq!((check(0), check(-1)), (Err(Refusal::NotPositive), Err(Refusal::NotPositive)));
        assert_eq!((check(1), check(1_000)), (Ok(()), Ok(())));
        assert_eq!(check(1_001), Err(Refusal::TooLarge { max_wh: 1_000 }));
    }

    #[test]
    fn a_bid_is_covered_to_the_last_nano_with_its_fees() {
        let needed = terms().cost(Energy::from_wh(10), Price::from_micro_per_kwh(100_000)).unwrap();
        assert_eq!(needed.nano(), 1_320_000);
        assert!(cover(needed, Money::from_nano(1_320_000)).is_ok());
        let refusal = cover(needed, Money::from_nano(1_319_999));
        let expected = Refusal::InsufficientCredit { needed_nano: 1_320_000, free_nano: 1_319_999 };
        assert_eq!(refusal, Err(expected));
    }
}
