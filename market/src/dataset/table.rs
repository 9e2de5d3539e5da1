//! One CSV file, line by line, with the place kept for errors.

use std::fs::File;
use std::path::{Path, PathBuf};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::{DataSetError, Problem, Reading, figure};

/// Units that end a column's name, and whether they are units of energy.
const UNITS: [(&str, bool); 9] = [
    ("w", false),
    ("kw", false),
    ("mw", false),
    ("wp", false),
    ("kwp", false),
    ("wh", true),
    ("kwh", true),
    ("mwh", true),
    ("j", true),
];

const BUFFER_BYTES: usize = 64 * 1024;

/// A column that is read, by its name in the header. Others may be there too; they are not read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Whether a file without it is refused.
    pub(super) required: bool,
}

/// An open CSV file whose header has been checked.
pub(super) struct Table {
    file: PathBuf,
    columns: &'static [Column],
    /// Where each column is in the file; `None` if the file has not got it.
    places: Vec<Option<usize>>,
    cells_a_line: usize,
    reader: Reader<File>,
    record: StringRecord,
    lines: usize,
    strict: bool,
}

impl Table {
    /// Opens `file` and checks its size and header.
    pub(super) fn open(
        file: &Path,
        columns: &'static [Column],
        reading: &Reading,
    ) -> Result<Self, DataSetError> {
        let fail = |line, problem| DataSetError { file: file.to_owned(), line, column: None, problem };
        let handle = File::open(file).map_err(|error| fail(None, Problem::Unreadable(error)))?;
        let meta = handle.metadata().map_err(|error| fail(None, Problem::Unreadable(error)))?;
        if !meta.is_file() {
            let error = std::io::Error::other("not a file");
            return Err(fail(None, Problem::Unreadable(error)));
        }
        let (bytes, limit) = (meta.len(), reading.limits.file_bytes);
        if bytes > limit {
            return Err(fail(None, Problem::TooLarge { bytes, limit }));
        }
        // Cells are trimmed as they are read, which copies nothing.
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(handle);
        let mut table = Self {
            file: file.to_owned(),
            columns,
            places: Vec::new(),
            cells_a_line: 0,
            reader,
            record: StringRecord::new(),
            lines: 0,
            strict: reading.strict,
        };
        if !table.advance()? {
            return Err(table.empty());
        }
        table.read_header()?;
        Ok(table)
    }

    /// Finds each column in the header line, whatever the case of its letters.
    fn read_header(&mut self) -> Result<(), DataSetError> {
        // A byte order mark is no part of the first column's name.
        let clean = |name: &str| name.trim_start_matches('\u{feff}').trim().to_ascii_lowercase();
        let names: Vec<String> = self.record.iter().map(clean).collect();
        let mut places = Vec::with_capacity(self.columns.len());
        if let [one] = &names[..]
            && one.contains([';', '\t'])
        {
            return Err(self.fail(None, Problem::Separator { header: header(self.columns) }));
        }
        for column in self.columns {
            let mut found = (0..).zip(&names).filter(|(_, name)| **name == column.name).map(|(at, _)| at);
            let place: Option<usize> = found.next();
            let problem = if found.next().is_some() {
                Problem::DuplicateColumn(column.name)
            } else if place.is_none()
                && let Some(found) = names.iter().find(|name| self.is_other_unit(name, column))
            {
                Problem::OtherUnit { found: shorten(found), column: column.name }
            } else if place.is_none() && column.required {
                let found = shorten(&names.join(","));
                Problem::MissingColumn { column: column.name, header: header(self.columns), found }
            } else {
                places.push(place);
                continue;
            };
            return Err(self.fail(None, problem));
        }
        (self.cells_a_line, self.places) = (names.len(), places);
        Ok(())
    }

    /// Whether a name is no column's but would be this one's in another unit: not to read it would take it as 0.
    fn is_other_unit(&self, name: &str, column: &Column) -> bool {
        let known = self.columns.iter().any(|column| column.name == name);
        let quantity = |name: &str| {
            let (quantity, unit) = name.rsplit_once('_')?;
            Some((quantity.to_owned(), *UNITS.iter().find(|(known, _)| *known == unit)?))
        };
        match (quantity(name), quantity(column.name)) {
            (Some((found, (_, energy))), Some((wanted, (_, wanted_energy)))) => {
                // A battery has an energy and a power; nothing else has both.
                let alike = energy == wanted_energy || wanted != "battery";
                !known && found == wanted && alike
            }
            _ => false,
        }
    }

    /// Goes to the next line; `false` at the end of the file.
    pub(super) fn next_line(&mut self) -> Result<bool, DataSetError> {
        if !self.advance()? {
            return Ok(false);
        }
        let (found, expected) = (self.record.len(), self.cells_a_line);
        if found != expected {
            return Err(self.fail(None, Problem::ColumnCount { found, expected }));
        }
        self.lines += 1;
        Ok(true)
    }

    /// Number of lines read below the header.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// Number of the current line in the file, from 1.
    pub(super) fn line(&self) -> Option<u64> {
        self.record.position().map(csv::Position::line)
    }

    /// Whether the file has `column`.
    pub(super) fn has(&self, column: usize) -> bool {
        self.places.get(column).copied().flatten().is_some()
    }

    /// The cell of `column` in the current line, without spaces around; empty if the file has not got the column.
    pub(super) fn cell(&self, column: usize) -> &str {
        let place = self.places.get(column).copied().flatten();
        place.and_then(|place| self.record.get(place)).unwrap_or_default().trim()
    }

    /// The unsigned number in `column`, at most `limit`; `None` if the cell is empty or the file has not got the column.
    pub(super) fn number(&self, column: usize, limit: u32) -> Result<Option<u32>, DataSetError> {
        let read = match self.cell(column) {
            "" => return Ok(None),
            cell if self.strict => figure::whole(cell, limit).map(Some),
            cell => figure::rounded(cell, limit),
        };
        read.map_err(|problem| self.fail(Some(column), problem))
    }

    /// An error at the current line, and at `column` if given.
    pub(super) fn fail(&self, column: Option<usize>, problem: Problem) -> DataSetError {
        let column = column.and_then(|index| self.columns.get(index)).map(|column| column.name);
        DataSetError { file: self.file.clone(), line: self.line(), column, problem }
    }

    /// An error at another line of this file.
    pub(super) fn fail_at(&self, line: Option<u64>, column: usize, problem: Problem) -> DataSetError {
        DataSetError { line, ..self.fail(Some(column), problem) }
    }

    /// The error of a file with nothing in it.
    pub(super) fn empty(&self) -> DataSetError {
        let problem = Problem::Empty { header: header(self.columns) };
        DataSetError { file: self.file.clone(), line: None, column: None, problem }
    }

    /// The error of a file without the column.
    pub(super) fn missing_column(&self, column: &'static str) -> DataSetError {
        let found = shorten(&self.record.iter().map(str::trim).collect::<Vec<_>>().join(","));
        self.fail(None, Problem::MissingColumn { column, header: header(self.columns), found })
    }

    /// Goes to the next line that is more than spaces.
    fn advance(&mut self) -> Result<bool, DataSetError> {
        loop {
            let read = self.reader.read_record(&mut self.record).map_err(|error| {
                let line = error.position().map(csv::Position::line);
                let problem = match error.kind() {
                    ErrorKind::Utf8 { .. } => Problem::NotUtf8,
                    ErrorKind::Io(io) => Problem::Unreadable(std::io::Error::new(io.kind(), io.to_string())),
                    _ => Problem::Csv(error.to_string()),
                };
                DataSetError { file: self.file.clone(), line, column: None, problem }
            })?;
            let blank = self.record.len() == 1 && self.record.iter().all(|cell| cell.trim().is_empty());
            if !read || !blank {
                return Ok(read);
            }
        }
    }
}

/// The header with every column that is read.
fn header(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(",")
}

/// The first characters of what the file holds, on one line: enough to recognise it, never a page of it.
pub(super) fn shorten(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let mut short: String = text.chars().take(120).map(shown).collect();
    if text.chars().nth(120).is_some() {
        short.push('…');
    }
    short
}
