//! One CSV file, line by line, with the place kept for errors.

use std::fs::File;
use std::path::{Path, PathBuf};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord, Trim};

use super::{DataSetError, Limits, Problem};

/// An open CSV file whose header has been checked.
pub(super) struct Table {
    file: PathBuf,
    header: &'static [&'static str],
    reader: Reader<File>,
    record: StringRecord,
    lines: usize,
}

impl Table {
    /// Opens `file` and checks its size and header.
    pub(super) fn open(
        file: &Path,
        header: &'static [&'static str],
        limits: &Limits,
    ) -> Result<Self, DataSetError> {
        let fail = |line, problem| DataSetError { file: file.to_owned(), line, column: None, problem };
        let handle = File::open(file).map_err(|error| fail(None, Problem::Unreadable(error)))?;
        let meta = handle.metadata().map_err(|error| fail(None, Problem::Unreadable(error)))?;
        if !meta.is_file() {
            let error = std::io::Error::other("not a file");
            return Err(fail(None, Problem::Unreadable(error)));
        }
        let (bytes, limit) = (meta.len(), limits.file_bytes);
        if bytes > limit {
            return Err(fail(None, Problem::TooLarge { bytes, limit }));
        }
        let reader =
            ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::None).from_reader(handle);
        let mut table = Self { file: file.to_owned(), header, reader, record: StringRecord::new(), lines: 0 };
        if !table.advance()? {
            return Err(table.empty());
        }
        // A byte order mark is no part of the first column's name.
        let found = table.record.iter().collect::<Vec<_>>().join(",");
        let found = found.trim_start_matches('\u{feff}');
        if found != header.join(",") {
            let problem = Problem::Header { header: header.join(","), found: shorten(found) };
            return Err(fail(Some(1), problem));
        }
        Ok(table)
    }

    /// Goes to the next line; `false` at the end of the file.
    pub(super) fn next_line(&mut self) -> Result<bool, DataSetError> {
        if !self.advance()? {
            return Ok(false);
        }
        let (found, expected) = (self.record.len(), self.header.len());
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

    /// The cell of `column` in the current line.
    pub(super) fn cell(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or_default()
    }

    /// The whole, unsigned number in `column`, at most `limit`.
    pub(super) fn number(&self, column: usize, limit: u32) -> Result<u32, DataSetError> {
        parse_number(self.cell(column), limit).map_err(|problem| self.fail(Some(column), problem))
    }

    /// An error at the current line, and at `column` if given.
    pub(super) fn fail(&self, column: Option<usize>, problem: Problem) -> DataSetError {
        let column = column.and_then(|index| self.header.get(index).copied());
        DataSetError { file: self.file.clone(), line: self.line(), column, problem }
    }

    /// An error at another line of this file.
    pub(super) fn fail_at(&self, line: Option<u64>, column: usize, problem: Problem) -> DataSetError {
        DataSetError { line, ..self.fail(Some(column), problem) }
    }

    /// The error of a file with nothing in it.
    pub(super) fn empty(&self) -> DataSetError {
        let problem = Problem::Empty { header: self.header.join(",") };
        DataSetError { file: self.file.clone(), line: None, column: None, problem }
    }

    fn advance(&mut self) -> Result<bool, DataSetError> {
        self.reader.read_record(&mut self.record).map_err(|error| {
            let line = error.position().map(csv::Position::line);
            let problem = match error.kind() {
                ErrorKind::Utf8 { .. } => Problem::NotUtf8,
                ErrorKind::Io(io) => Problem::Unreadable(std::io::Error::new(io.kind(), io.to_string())),
                _ => Problem::Csv(error.to_string()),
            };
            DataSetError { file: self.file.clone(), line, column: None, problem }
        })
    }
}

fn parse_number(cell: &str, limit: u32) -> Result<u32, Problem> {
    if cell.is_empty() {
        return Err(Problem::EmptyCell);
    }
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::NotAnInteger(shorten(cell)));
    }
    if digits.len() < cell.len() {
        return Err(Problem::Negative(shorten(cell)));
    }
    let too_great = || Problem::TooGreat { value: shorten(cell), limit };
    let value: u32 = cell.parse().map_err(|_| too_great())?;
    if value > limit { Err(too_great()) } else { Ok(value) }
}

/// The first characters of what the file holds: enough to recognise it, never a page of it.
pub(super) fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(120).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
