//! Prices slots, nets them into batches and settles these on an EVM chain.
