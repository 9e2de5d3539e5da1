//! Read models of the API: what one page shows, in a fixed number of statements however long its
//! lists are. Members appear here by id and pseudonym; which of the two is shown is the API's choice.

pub mod commands;
pub mod community;
pub mod devices;
#[cfg(any(test, feature = "testing"))]
pub mod fixtures;
pub mod kpis;
pub mod member;
pub mod members;
pub mod operations;
pub mod slot;
pub mod slots;
pub mod statements;

#[cfg(test)]
mod tests;
