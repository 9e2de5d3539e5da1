//! The whole platform in one process, with simulated devices: the demonstration and the end-to-end tests.
