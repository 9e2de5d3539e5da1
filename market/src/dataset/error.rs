//! What can be wrong with a data set, in words that say where and what to do.

use std::fmt;
use std::path::PathBuf;

/// A problem with a data set and the place where it is.
#[derive(Debug)]
pub struct DataSetError {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1 with the header as line 1; none if the whole file is meant.
    pub line: Option<u64>,
    /// The column's name; none if the whole line is meant.
    pub column: Option<&'static str>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for DataSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ", column `{column}`")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for DataSetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}

/// What is wrong with a line or a file, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file is missing or may not be read.
    #[error("cannot be read ({0}); give a folder that holds sites.csv and profiles.csv")]
    Unreadable(std::io::Error),
    /// The file is larger than a data set may be.
    #[error("the file has {bytes} bytes, more than the {limit} allowed; take fewer sites or fewer days")]
    TooLarge {
        /// Size of the file in bytes.
        bytes: u64,
        /// Greatest size in bytes.
        limit: u64,
    },
    /// More sites, slots or lines than a data set may have.
    #[error("more than {limit} {what}; take a smaller part of the data")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The greatest number.
        limit: usize,
    },
    /// There is no line below the header, or not even a header.
    #[error("the file is empty; it needs the header `{header}` and at least one line below it")]
    Empty {
        /// The header it needs.
        header: String,
    },
    /// The header lacks a column that must be there.
    #[error("the header `{found}` has no column `{column}`; columns are `{header}`, in any order")]
    MissingColumn {
        /// The column.
        column: &'static str,
        /// All columns that are read.
        header: String,
        /// The header it has.
        found: String,
    },
    /// The header has a column twice.
    #[error("the header has the column `{0}` twice; keep one of them")]
    DuplicateColumn(&'static str),
    /// The header has a quantity in another unit than the one that is read.
    #[error(
        "the column `{found}` is not in the unit that is read; give `{column}` instead, in whole W (mean power) or Wh"
    )]
    OtherUnit {
        /// The column it has.
        found: String,
        /// The column it needs.
        column: &'static str,
    },
    /// The header is one cell.
    #[error(
        "columns are separated by commas, not by semicolons or tabs; the header is `{header}`, in any order"
    )]
    Separator {
        /// All columns that are read.
        header: String,
    },
    /// A line has too many or too few cells.
    #[error("{found} columns instead of {expected}; give every column of the header exactly once")]
    ColumnCount {
        /// Cells in the line.
        found: usize,
        /// Cells in the header.
        expected: usize,
    },
    /// The bytes are no text.
    #[error("not UTF-8 text; save the file as UTF-8")]
    NotUtf8,
    /// A cell is empty that must not be.
    #[error("the cell is empty; a missing value is not zero: write the figure, or 0 if it is 0")]
    EmptyCell,
    /// A site id that cannot be used in topics and file names.
    #[error("`{0}` is no site id; use 1 to 64 letters, digits, `-` or `_`")]
    SiteId(String),
    /// A site id that cannot be read again from a result.
    #[error("`{0}` is no site id; use 1 to 64 characters, no control characters")]
    SiteName(String),
    /// The same site twice.
    #[error("site `{0}` is listed twice; keep one of the lines")]
    DuplicateSite(String),
    /// A site that `sites.csv` does not have.
    #[error("site `{0}` is not in sites.csv; add it there or remove this line")]
    UnknownSite(String),
    /// A quantity is no whole number.
    #[error("`{0}` is no whole number; write digits only, rounded to a whole unit")]
    NotAnInteger(String),
    /// A quantity is no number.
    #[error("`{0}` is no number; write digits, with a decimal point where one is needed")]
    NotANumber(String),
    /// A quantity is negative.
    #[error("`{0}` is negative; load and generation are two columns, both without a sign")]
    Negative(String),
    /// A quantity is too large to be true.
    #[error("{value} is more than the {limit} allowed; check the unit, it is W or Wh")]
    TooGreat {
        /// The figure in the file.
        value: String,
        /// The greatest figure allowed.
        limit: u32,
    },
    /// A time that cannot be read.
    #[error(
        "`{0}` is no time with its offset; write it as 2016-01-18T00:15:00Z or 2016-01-18T01:15:00+01:00 (a local time \
         alone is two hours when clocks go back)"
    )]
    NotATime(String),
    /// A time that cannot be read, with or without an offset.
    #[error(
        "`{0}` is no time; write it as 2016-01-18T00:15:00Z, 2016-01-18 01:15:00+01:00 or, in UTC, 2016-01-18 00:15:00"
    )]
    NotATimeAtAll(String),
    /// The same site twice in a slot.
    #[error("site `{site}` comes twice in slot {slot}; keep one of the lines")]
    DuplicateCell {
        /// The site.
        site: String,
        /// The slot.
        slot: String,
    },
    /// A site has no line in a slot.
    #[error("slot {slot} has no line for site `{site}`; a missing value is not zero: add the line")]
    MissingCell {
        /// The first site that is missing.
        site: String,
        /// The slot.
        slot: String,
    },
    /// No line of a site gives a quantity that it has.
    #[error(
        "no line of site `{site}` gives it, and sites.csv says {peak} {peak_w}; give the figures, or {peak} 0 if there \
         is none"
    )]
    NotGiven {
        /// The site.
        site: String,
        /// The column of `sites.csv`.
        peak: &'static str,
        /// What it says.
        peak_w: u32,
    },
    /// Only one slot, so that its length is unknown.
    #[error("only one slot; give at least two, so that the slot length is known")]
    OneSlot,
    /// The slots do not form a grid that divides the hour.
    #[error(
        "slot {slot} is not on a grid of {slot_seconds} s that divides the hour; give slots of one length"
    )]
    OffGrid {
        /// The slot of this line.
        slot: String,
        /// Shortest step between two slots in seconds.
        slot_seconds: i64,
    },
    /// The CSV reader's own complaint, for example an unclosed quote.
    #[error("not a CSV line ({0}); check quotes and separators")]
    Csv(String),
}
