//! What the settlement program does besides running: each command in a file.

pub(crate) mod account;
pub(crate) mod deposit;
pub(crate) mod keystore;
pub(crate) mod verify;
