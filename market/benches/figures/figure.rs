//! One line of a benchmark, `{"bench":..,"value":..,"unit":..,"peer":..,"ratio":..}`, in the same words for the
//! benchmarks of every crate.
#![allow(dead_code)] // each of them uses a part

use std::borrow::Cow;

/// A figure, and what it stands beside.
pub(crate) struct Figure {
    bench: String,
    value: f64,
    unit: &'static str,
    /// The name of the peer or of the limit, and how many times better we are.
    peer: Option<(Cow<'static, str>, f64)>,
}

impl Figure {
    /// A figure with nothing beside it.
    pub(crate) fn new(bench: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { bench: bench.into(), value, unit, peer: None }
    }

    /// A figure beside a peer's that was measured in the same run.
    pub(crate) fn beside(mut self, peer: impl Into<Cow<'static, str>>, ratio: f64) -> Self {
        self.peer = Some((peer.into(), ratio));
        self
    }

    /// A figure that should be `limit` at the most: the ratio is the limit over ours, so that one and more is within.
    pub(crate) fn at_most(self, limit: f64) -> Self {
        let (peer, ratio) = (format!("limit of {limit} {}", self.unit), limit / self.value);
        self.beside(peer, ratio)
    }

    /// Prints the line.
    pub(crate) fn print(&self) {
        let (peer, ratio) = match &self.peer {
            Some((peer, ratio)) => (format!("\"{peer}\""), format!("{ratio:.3}")),
            None => ("null".to_owned(), "null".to_owned()),
        };
        let Self { bench, value, unit, .. } = self;
        println!(
            "{{\"bench\":\"{bench}\",\"value\":{value:.3},\"unit\":\"{unit}\",\"peer\":{peer},\"ratio\":{ratio}}}"
        );
    }
}
