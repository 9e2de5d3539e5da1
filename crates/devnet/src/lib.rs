//! The whole platform in one process, with simulated devices: the demonstration and the end-to-end tests.
//!
//! | module | question it answers |
//! |---|---|
//! | [`cli`] | what was asked for? |
//! | [`demo`] | how does a run go, and did everything add up? |
//! | [`stack`] | what runs in this process, and in which order does it start? |
//! | [`parts`] | which servers are ours, and which were given? |
//! | [`given`] | do the given ones answer? |
//! | [`community`], [`enrol`], [`agents`], [`money`] | who takes part, with which devices, keys and credits? |
//! | [`real_meter`] | which site is read from a real device? |
//! | [`reconciling`] | does the chain equal the ledger after every batch? |
//! | [`opening`] | where in its profile does it begin? |
//! | [`report`], [`lines`], [`summary`] | what is a stranger told? |
//! | [`installed`] | where are the programs that are not ours? |
//! | [`state`] | where is everything stored? |
//! | [`website`] | where is the dashboard? |
//! | [`with_postgres`] | how do tests get a database? |
//! | [`dataset`] | who is connected, and what flows in each slot? |
//! | [`fleet`] | what do the simulated meters show at this instant? |
//! | [`energy_manager`] | what should a household's battery do? |
//! | [`broker`] | where is an MQTT broker, if nobody brings one? |
//! | [`postgres`] | where is a PostgreSQL, if nobody brings one? |
//! | [`anvil`] | where is an EVM chain, if nobody brings one? |
//! | [`ports`] | which port may a child listen on? |
//! | [`process`] | is a child of a killed run still there, and how is it ended? |
//! | [`run_lock`] | does another run use the same folder? |
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod agents;
pub mod anvil;
pub mod broker;
pub mod cli;
pub mod community;
pub use market::dataset;
pub mod demo;
pub mod energy_manager;
pub mod enrol;
pub mod fleet;
pub mod given;
mod hash;
pub mod installed;
pub mod lines;
pub mod money;
pub mod opening;
pub mod parts;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod real_meter;
pub mod reconciling;
pub mod report;
pub mod run_lock;
pub mod stack;
pub mod state;
pub mod summary;
pub mod website;
pub mod with_postgres;
