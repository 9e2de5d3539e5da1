//! The continuous double auction, the closing auction, slot life and autopilot.
