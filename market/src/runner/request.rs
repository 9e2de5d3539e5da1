//! A command's row as a request that can be decided, or the reason why it cannot.

use domain::ids::{ClientId, MemberId, OrderId, SiteId};
use domain::order::{Order, Refusal, Side, TimeInForce};
use domain::units::{Energy, Price};
use store::orders::CommandRow;

use crate::book::BookError;

/// Why a command was refused: a stable code, and words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The code, as the database and the API use it.
    pub code: &'static str,
    /// The words.
    pub detail: String,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code(), detail: refusal.to_string() }
    }
}

impl From<BookError> for Refused {
    fn from(error: BookError) -> Self {
        match error {
            BookError::NotPositive => Refusal::NotPositive.into(),
            BookError::UnknownOrder => Refusal::UnknownOrder.into(),
            BookError::CannotFill => Refusal::CannotFill.into(),
            BookError::TooLarge => Refusal::TooLarge { max_wh: crate::book::MAX_ORDER_ENERGY.wh() }.into(),
            BookError::Full => Self { code: "book_full", detail: error.to_string() },
            BookError::Duplicate => Self { code: "duplicate_order", detail: error.to_string() },
        }
    }
}

impl From<domain::units::Overflow> for Refused {
    fn from(overflow: domain::units::Overflow) -> Self {
        Self { code: "out_of_range", detail: overflow.to_string() }
    }
}

/// What a command asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Submit(Order),
    Replace { order_id: OrderId, energy: Option<Energy>, limit: Option<Price> },
    Cancel { order_id: OrderId },
}

impl TryFrom<&CommandRow> for Request {
    type Error = Refused;

    /// Reads a row. The number of the order that it submits is the command's own.
    fn try_from(row: &CommandRow) -> Result<Self, Refused> {
        let order_id = || row.order_id.map(OrderId).ok_or(Refusal::UnknownOrder);
        match row.kind.as_str() {
            "submit" => submit(row).map(Self::Submit),
            "replace" => Ok(Self::Replace {
                order_id: order_id()?,
                energy: row.energy_wh.map(Energy::from_wh),
                limit: row.limit_micro_per_kwh.map(Price::from_micro_per_kwh),
            }),
            "cancel" => Ok(Self::Cancel { order_id: order_id()? }),
            other => Err(malformed(&format!("kind {other:?}"))),
        }
    }
}

fn submit(row: &CommandRow) -> Result<Order, Refused> {
    let missing = |what: &'static str| move || malformed(what);
    let site = row.site_id.as_deref().and_then(|site| SiteId::new(site).ok());
    let side = row.side.as_deref().and_then(Side::parse).ok_or_else(missing("side"))?;
    let tif = row.time_in_force.as_deref().and_then(TimeInForce::parse);
    Ok(Order {
        order_id: OrderId(row.command_id),
        member_id: member(row)?,
        site_id: site.ok_or(Refusal::NotYourSite)?,
        client_id: ClientId::new(&row.client_id).map_err(|_| malformed("client id"))?,
        side,
        energy: Energy::from_wh(row.energy_wh.ok_or_else(missing("energy"))?),
        limit: Price::from_micro_per_kwh(row.limit_micro_per_kwh.ok_or_else(missing("limit"))?),
        time_in_force: tif.ok_or_else(missing("time in force"))?,
    })
}

/// The member of a command, whose row is kept by a foreign key.
pub(super) fn member(row: &CommandRow) -> Result<MemberId, Refused> {
    MemberId::new(&row.member_id).map_err(|_| malformed("member id"))
}

fn malformed(what: &str) -> Refused {
    Refused { code: "malformed", detail: format!("the command's {what} is missing or not valid") }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn row() -> CommandRow {
        CommandRow {
            command_id: 7,
            kind: "submit".to_owned(),
            member_id: "m1".to_owned(),
            client_id: "c1".to_owned(),
            slot_start: DateTime::UNIX_EPOCH,
            order_id: None,
            site_id: Some("s1".to_owned()),
            side: Some("bid".to_owned()),
            energy_wh: Some(5),
            limit_micro_per_kwh: Some(100_000),
            time_in_force: Some("good-till-gate".to_owned()),
            placed_by: "member".to_owned(),
            reason: String::new(),
            accepted_seq: None,
        }
    }

    #[test]
    fn whatever_a_row_holds_is_read_or_refused_with_a_reason() {
        assert!(
            matches!(Request::try_from(&row()), Ok(Request::Submit(order)) if order.order_id == OrderId(7))
        );
        let code = |row: &CommandRow| Request::try_from(row).unwrap_err().code;
        assert_eq!(code(&CommandRow { site_id: Some("not a site".to_owned()), ..row() }), "not_your_site");
        assert_eq!(code(&CommandRow { client_id: "a b".to_owned(), ..row() }), "malformed");
        assert_eq!(code(&CommandRow { energy_wh: None, ..row() }), "malformed");
        assert_eq!(code(&CommandRow { kind: "cancel".to_owned(), ..row() }), "unknown_order");
        assert_eq!(code(&CommandRow { kind: "halt".to_owned(), ..row() }), "malformed");
    }
}
