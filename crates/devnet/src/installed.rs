//! Where `make setup` has put the programs that are not ours.

use std::path::{Path, PathBuf};

/// PostgreSQL's binaries, from the repository's folder.
pub const POSTGRES_NPM: &str = "crates/devnet/npm";
/// The chain's program and the contracts, from the repository's folder.
pub const CONTRACTS: &str = "settlement/contracts";

/// A folder of the repository: from the working directory, or, when the program is run from elsewhere, from where
/// it was built.
#[must_use]
pub fn folder(in_repository: &str) -> PathBuf {
    let here = PathBuf::from(in_repository);
    if here.join("node_modules").is_dir() {
        return here;
    }
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(in_repository);
    if built.join("node_modules").is_dir() { built } else { here }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_nowhere_is_named_as_it_was_asked_for() {
        assert_eq!(folder("no/such/folder"), PathBuf::from("no/such/folder"));
    }
}
