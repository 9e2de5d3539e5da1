//! What goes into a book and what comes out of it: small values that are copied.

use domain::ids::OrderId;
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};

/// The member that an order belongs to, as a number that the caller gives out; the book only asks
/// whether two are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub u32);

/// An order as the book needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookOrder {
    /// Its number, unique in the book.
    pub order_id: OrderId,
    /// Whose it is.
    pub owner: Owner,
    /// Buys or sells.
    pub side: Side,
    /// How much; above zero.
    pub energy: Energy,
    /// The worst price it accepts.
    pub limit: Price,
    /// How long it may wait.
    pub time_in_force: TimeInForce,
}

/// An order that rests in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resting {
    /// Its number.
    pub order_id: OrderId,
    /// Whose it is.
    pub owner: Owner,
    /// Buys or sells.
    pub side: Side,
    /// Its limit price.
    pub limit: Price,
    /// What has not traded yet; above zero.
    pub open: Energy,
    /// What has traded.
    pub traded: Energy,
}

/// Why an order is no longer open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// All of it traded.
    Filled,
    /// Its member cancelled it.
    Member,
    /// It met an order of its own member.
    SelfTrade,
    /// It was not to wait.
    ImmediateOrCancel,
}

impl EndReason {
    /// A stable name, as the database and the API use it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::Member => "member",
            Self::SelfTrade => "self_trade",
            Self::ImmediateOrCancel => "immediate_or_cancel",
        }
    }
}

/// What happened in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Two orders traded, at the resting order's limit.
    Traded {
        /// The order that arrived.
        incoming: OrderId,
        /// The order that was there.
        resting: OrderId,
        /// The side of the order that arrived.
        incoming_side: Side,
        /// How much; above zero.
        energy: Energy,
        /// The price.
        price: Price,
    },
    /// The rest of an order waits in the book.
    Rested {
        /// Which order.
        order_id: OrderId,
        /// What has not traded.
        open: Energy,
    },
    /// An order was made smaller and kept its place.
    Reduced {
        /// Which order.
        order_id: OrderId,
        /// What has not traded.
        open: Energy,
    },
    /// An order is no longer open.
    Ended {
        /// Which order.
        order_id: OrderId,
        /// Why.
        reason: EndReason,
        /// What did not trade; zero only if it was filled.
        untraded: Energy,
    },
}

/// Why the book did not take a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The energy is zero or negative.
    #[error("the energy must be at least 1 Wh")]
    NotPositive,
    /// The energy is above [`MAX_ORDER_ENERGY`](super::MAX_ORDER_ENERGY).
    #[error("the energy is above what one order may have")]
    TooLarge,
    /// An order with this number rests already.
    #[error("an order with this number is in the book already")]
    Duplicate,
    /// No such order rests here, or it is another member's.
    #[error("no open order of this member has this number")]
    UnknownOrder,
    /// A fill-or-kill order cannot be filled whole.
    #[error("the book cannot fill the whole order now")]
    CannotFill,
    /// [`MAX_RESTING_ORDERS`](super::MAX_RESTING_ORDERS) rest already.
    #[error("the book of this slot is full: try again when orders have left it")]
    Full,
}
