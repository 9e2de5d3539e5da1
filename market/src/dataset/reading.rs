//! How a data set is read: what is taken, what is left out, and how much at most.

/// What is read at most, so that a wrong file fails early and not by eating the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Greatest size of a file in bytes.
    pub file_bytes: u64,
    /// Greatest number of sites.
    pub sites: usize,
    /// Greatest number of slots.
    pub slots: usize,
    /// Greatest number of lines in `profiles.csv`.
    pub cells: usize,
    /// Greatest power in W.
    pub power_w: u32,
    /// Greatest energy in Wh.
    pub energy_wh: u32,
}

/// How a data set is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What is read at most.
    pub limits: Limits,
    /// Whether everything must be there, in whole figures, with times and ids that only one thing can be meant by.
    /// Otherwise what is incomplete is left out, and figures are rounded.
    pub strict: bool,
}

impl Reading {
    /// For a demonstration, whose sites are devices and whose figures are billed.
    #[must_use]
    pub const fn demonstration() -> Self {
        let limits = Limits {
            file_bytes: 256 * 1024 * 1024,
            sites: 2_000,
            slots: 40_000,
            cells: 5_000_000,
            power_w: 10_000_000,
            energy_wh: 100_000_000,
        };
        Self { limits, strict: true }
    }

    /// For a simulation, which plays what the owners of other networks have.
    #[must_use]
    pub const fn simulation() -> Self {
        let limits = Limits {
            file_bytes: 4 * 1024 * 1024 * 1024,
            sites: 100_000,
            slots: 600_000,
            cells: 50_000_000,
            ..Self::demonstration().limits
        };
        Self { limits, strict: false }
    }
}

/// What was left out of a data set because values are missing. Nothing missing is read as zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// How many slots lack a value of a site.
    pub slots: usize,
    /// The sites of `sites.csv` without a line in `profiles.csv`, in the order of the file.
    pub sites: Vec<String>,
}
