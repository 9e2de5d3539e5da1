//! What a member checks a statement with: the commitments that the chain keeps, Merkle proofs, and
//! the receipt's file format. Pure: whoever serves a receipt and whoever checks one share this code,
//! and checking needs nothing of the platform but it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod address;
pub mod commitment;
pub mod document;
pub mod merkle;
pub mod statement;

pub use address::{Address, InvalidHex, TxHash};
pub use commitment::{Domain, SlotRevision};
pub use document::{Checked, InvalidReceipt, Receipt};
pub use statement::{Nano, Statement};
