//! A CSV file whose columns are found by their names, line by line, with the place kept for errors.

use std::path::{Path, PathBuf};

use super::ClearError;

/// A column that a file may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Whether a file without it is refused.
    pub(super) required: bool,
}

/// An open file whose header has been checked.
pub(super) struct Table {
    path: PathBuf,
    /// Where each column is in the file, if it has it.
    places: Vec<Option<usize>>,
    columns_a_line: usize,
    reader: csv::Reader<std::fs::File>,
    record: csv::StringRecord,
}

impl Table {
    /// Opens a file and finds its columns, which may come in any order.
    ///
    /// # Errors
    /// [`ClearError`] if it cannot be read, or its first line lacks a column, has one twice or has one that is not
    /// known: a column that is silently left out could have been somebody's limit.
    pub(super) fn open(path: &Path, columns: &[Column]) -> Result<Self, ClearError> {
        let reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .has_headers(false)
            .flexible(true)
            .from_path(path)
            .map_err(|source| ClearError::Unreadable { path: path.to_owned(), source })?;
        let mut table = Self {
            path: path.to_owned(),
            places: Vec::new(),
            columns_a_line: 0,
            reader,
            record: csv::StringRecord::new(),
        };
        table.advance()?;
        // A byte order mark is no part of the first column's name.
        let names: Vec<String> = table
            .record
            .iter()
            .map(|name| name.trim_start_matches('\u{feff}').trim().to_lowercase())
            .collect();
        table.places = places(&names, columns)
            .map_err(|message| ClearError::Header { path: table.path.clone(), message })?;
        table.columns_a_line = names.len();
        Ok(table)
    }

    /// Goes to the next line that holds anything; `false` at the end of the file.
    pub(super) fn next_line(&mut self) -> Result<bool, ClearError> {
        loop {
            if !self.advance()? {
                return Ok(false);
            }
            if self.record.iter().all(str::is_empty) {
                continue;
            }
            if self.record.len() == self.columns_a_line {
                return Ok(true);
            }
            let (found, expected) = (self.record.len(), self.columns_a_line);
            let open = self.record.iter().any(|cell| cell.contains('\n'));
            let close = if open { ", and close every quote" } else { "" };
            return Err(
                self.fail(format!("{found} columns instead of {expected}: give one cell a column{close}"))
            );
        }
    }

    /// The cell of a column in this line; empty if the file has not got the column.
    pub(super) fn cell(&self, column: usize) -> &str {
        let place = self.places.get(column).copied().flatten();
        place.and_then(|place| self.record.get(place)).unwrap_or_default()
    }

    /// The number of this line, from 1.
    pub(super) fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    /// An error in this line.
    pub(super) fn fail(&self, message: String) -> ClearError {
        ClearError::Line { path: self.path.clone(), line: self.line(), message }
    }

    fn advance(&mut self) -> Result<bool, ClearError> {
        self.reader.read_record(&mut self.record).map_err(|source| {
            match (source.kind(), source.position().map(csv::Position::line)) {
                (csv::ErrorKind::Utf8 { .. }, Some(line)) => {
                    let message = "not UTF-8 text: save the file as UTF-8".to_owned();
                    ClearError::Line { path: self.path.clone(), line, message }
                }
                _ => ClearError::Unreadable { path: self.path.clone(), source },
            }
        })
    }
}

fn places(names: &[String], columns: &[Column]) -> Result<Vec<Option<usize>>, String> {
    let known = known(columns);
    if let [one] = names
        && one.contains([';', '\t'])
    {
        return Err(format!("columns are separated by commas: {known}"));
    }
    let place = |column: &Column| names.iter().position(|name| name == column.name);
    if let Some(column) = columns.iter().find(|column| column.required && place(column).is_none()) {
        return Err(format!("the first line must name the columns; `{}` is missing: {known}", column.name));
    }
    for (place, name) in names.iter().enumerate() {
        if names.iter().take(place).any(|before| before == name) {
            return Err(format!("the column {name:?} is named twice: keep one of them"));
        }
    }
    if let Some(place) = names.iter().position(String::is_empty) {
        return Err(format!(
            "column {} has no name: leave it out (a row number, or a comma at the end?)",
            place + 1
        ));
    }
    if let Some(name) = names.iter().find(|name| !columns.iter().any(|column| column.name == **name)) {
        let name: String = name.chars().take(64).collect();
        return Err(format!("the column {name:?} is not known: {known}"));
    }
    Ok(columns.iter().map(place).collect())
}

fn known(columns: &[Column]) -> String {
    let of = |required: bool| -> Vec<&str> {
        columns.iter().filter(|column| column.required == required).map(|column| column.name).collect()
    };
    let (needed, optional) = (of(true).join(","), of(false).join(","));
    if optional.is_empty() { format!("use {needed}") } else { format!("use {needed} and any of {optional}") }
}

/// A whole number without exponent, separators or plus sign.
pub(super) fn integer(column: &str, text: &str) -> Result<i64, String> {
    let short: String = text.chars().take(64).collect();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{column} {short:?} is not a whole number: write digits only"));
    }
    text.parse().map_err(|_| format!("{column} {short} is far out of range: check the unit"))
}
