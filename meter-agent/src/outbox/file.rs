//! The outbox's file. After a failed write the embedded store answers nothing any more until it is opened
//! again; a disk that was full for an hour must not stop an agent for good, so that is done here.

use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use redb::backends::FileBackend;
use redb::{
    BackendError, Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageBackend,
    WriteTransaction,
};

use super::{OutboxError, is_damage, storage};

/// An agent's outbox is small; the default of the store is a gigabyte.
const CACHE_BYTES: usize = 2 * 1024 * 1024;

/// The store, opened again whenever its file has failed.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    database: RwLock<Option<Database>>,
    failed: Arc<AtomicBool>,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, OutboxError> {
        let failed = Arc::new(AtomicBool::new(false));
        let database = open(path, &failed)?;
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(database)), failed })
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, OutboxError> {
        self.sound()?.as_ref().ok_or_else(closed)?.begin_read().map_err(storage)
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, OutboxError> {
        self.sound()?.as_ref().ok_or_else(closed)?.begin_write().map_err(storage)
    }

    /// The store, which is opened again first if its file has failed since.
    fn sound(&self) -> Result<RwLockReadGuard<'_, Option<Database>>, OutboxError> {
        let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if guard.is_some() && !self.failed.load(Ordering::Acquire) {
            return Ok(guard);
        }
        drop(guard);
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if database.is_none() || self.failed.load(Ordering::Acquire) {
            // Closed first: a file is open once.
            *database = None;
            self.failed.store(false, Ordering::Release);
            *database = Some(open(&self.path, &self.failed)?);
        }
        drop(database);
        Ok(self.database.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn closed() -> OutboxError {
    OutboxError::Storage("its file could not be opened again".to_owned())
}

fn open(path: &Path, failed: &Arc<AtomicBool>) -> Result<Database, OutboxError> {
    let open = || -> Result<Database, DatabaseError> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let file = Watched { file: FileBackend::new(file)?, failed: failed.clone() };
        // Damage is an error then; the store would panic on it.
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        builder.create_with_backend(file)
    };
    open().map_err(|error| match is_damage(&error) {
        true => OutboxError::Corrupt(error.to_string()),
        false => OutboxError::Open { path: path.to_owned(), reason: error.to_string() },
    })
}

/// A file that remembers whether it has failed.
#[derive(Debug)]
struct Watched {
    file: FileBackend,
    failed: Arc<AtomicBool>,
}

impl Watched {
    fn noting<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        result
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.noting(self.file.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.noting(self.file.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.noting(self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.noting(self.file.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.noting(self.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
