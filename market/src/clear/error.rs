//! What can be wrong with a file of orders, in words that say where and what to do.

use std::path::PathBuf;

use domain::fees::TooManyZones;
use domain::ids::InvalidId;
use domain::tariff::InvalidTariff;
use domain::units::{Overflow, Price};

use crate::book::BookError;

/// A file of orders cannot be cleared.
#[derive(Debug, thiserror::Error)]
pub enum ClearError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// The first line does not name the columns.
    #[error("{path}:1: {message}")]
    Header {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and which columns there are.
        message: String,
    },
    /// A line cannot be used.
    #[error("{path}:{line}: {message}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong, with the column, and what is expected.
        message: String,
    },
    /// The energies or prices do not add up.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The book refused an order.
    #[error("order {name}: {source}")]
    Book {
        /// Its id in the file.
        name: String,
        /// Why.
        source: BookError,
    },
    /// An order asks for what the continuous auction does not trade.
    #[error(
        "order {name}: the continuous auction trades no attributes: use `--mechanism call`, or leave `prefer` empty"
    )]
    NotTraded {
        /// Its id in the file.
        name: String,
    },
    /// A bid could come to cost more than the grid.
    #[error(
        "order {name}: the limit is above the bound of its zone, {} micro-currency per kWh: retail less the highest \
         network fee",
        bound.micro_per_kwh()
    )]
    AboveRetail {
        /// Its id in the file.
        name: String,
        /// The bound.
        bound: Price,
    },
    /// More zones than there may be.
    #[error(transparent)]
    Zones(#[from] TooManyZones),
    /// A number cannot be an id: a defect.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// Retail tariff and network fee do not fit together.
    #[error(transparent)]
    Tariff(#[from] InvalidTariff),
}
