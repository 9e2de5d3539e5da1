//! Where the data and the binaries lie, so that the server's user can reach them.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::account::{Account, server_account};
use super::{PostgresError, PostgresOptions, binaries, data_dir_of};
use crate::hash::fnv1a;

/// The folders of a server and the user it runs as.
#[derive(Debug)]
pub(super) struct Placement {
    /// Holds everything of the server; belongs to us.
    pub(super) base_dir: PathBuf,
    /// Holds `bin`, `lib` and `share`.
    pub(super) binaries_dir: PathBuf,
    /// Whom the server runs as, if not as ourselves.
    pub(super) account: Option<Account>,
}

impl Placement {
    /// Chooses the folders, makes what is missing and copies the binaries if they must be copied.
    pub(super) fn choose(options: &PostgresOptions) -> Result<Self, PostgresError> {
        binaries::check(&options.binaries_dir)?;
        let account = server_account()?;
        let parent = make_folder(&options.data_parent_dir)?;
        let binaries_dir = canonical(&options.binaries_dir)?;
        let Some(account) = account else {
            binaries::link_libraries(&binaries_dir)?;
            return Ok(Self { base_dir: parent, binaries_dir, account: None });
        };
        let see = |path: &Path| PostgresError::io("look into", path);
        let base_dir = if account.may_enter(&parent).map_err(see(&parent))? {
            parent
        } else {
            let name = format!("busbar-{:016x}", fnv1a(parent.as_os_str().as_encoded_bytes()));
            own_folder(options.fallback_parent_dir.join(name))?
        };
        let readable = account.may_enter(&binaries_dir).map_err(see(&binaries_dir))?
            && account.may_read_tree(&binaries_dir).map_err(see(&binaries_dir))?;
        let binaries_dir = if readable { binaries_dir } else { binaries::copy(&binaries_dir, &base_dir)? };
        binaries::link_libraries(&binaries_dir)?;
        Ok(Self { base_dir, binaries_dir, account: Some(account) })
    }

    /// The folder that belongs to the server's user: data and password.
    pub(super) fn cluster_dir(&self) -> PathBuf {
        self.base_dir.join("postgres-18")
    }

    /// The same while it is being made; renamed when complete, so that a half-made one is never used.
    pub(super) fn unfinished_dir(&self) -> PathBuf {
        self.base_dir.join("postgres-18.unfinished")
    }

    /// The server's data.
    pub(super) fn data_dir(&self) -> PathBuf {
        data_dir_of(&self.cluster_dir())
    }

    /// The server's log; ours, so that its user cannot make us write elsewhere.
    pub(super) fn log_file(&self) -> PathBuf {
        self.base_dir.join("postgres.log")
    }

    /// A program of the server.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.binaries_dir.join("bin").join(name)
    }
}

/// Refuses a disk with less than `needed_bytes` free for this user.
pub(super) fn check_free_space(folder: &Path, needed_bytes: u64) -> Result<(), PostgresError> {
    let disk = rustix::fs::statvfs(folder)
        .map_err(|error| PostgresError::io("look at the disk of", folder)(error.into()))?;
    let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free_bytes >= needed_bytes {
        return Ok(());
    }
    let mib = |bytes: u64| bytes / (1024 * 1024);
    let path = folder.to_owned();
    Err(PostgresError::NoSpace { path, free_mib: mib(free_bytes), needed_mib: mib(needed_bytes) })
}

fn make_folder(path: &Path) -> Result<PathBuf, PostgresError> {
    fs::create_dir_all(path).map_err(PostgresError::io("make the folder", path))?;
    canonical(path)
}

fn canonical(path: &Path) -> Result<PathBuf, PostgresError> {
    path.canonicalize().map_err(PostgresError::io("find", path))
}

/// Makes a folder in a place where everybody may write, and refuses one that somebody else prepared for us.
fn own_folder(path: PathBuf) -> Result<PathBuf, PostgresError> {
    match DirBuilder::new().mode(0o755).create(&path) {
        // The mask may have taken bits away.
        Ok(()) => fs::set_permissions(&path, Permissions::from_mode(0o755))
            .map_err(PostgresError::io("open", &path))?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(PostgresError::io("make the folder", &path)(error)),
    }
    let meta = fs::symlink_metadata(&path).map_err(PostgresError::io("look at", &path))?;
    let ours = meta.uid() == rustix::process::geteuid().as_raw();
    if !meta.is_dir() || !ours || meta.mode() & 0o022 != 0 {
        return Err(PostgresError::ForeignFolder(path));
    }
    canonical(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_fallback_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let made = own_folder(dir.path().join("fresh")).unwrap();
        assert_eq!(own_folder(made.clone()).unwrap(), made, "our own folder is taken again");
        fs::set_permissions(&made, Permissions::from_mode(0o777)).unwrap();
        assert!(own_folder(made).unwrap_err().to_string().contains("not a folder of this user alone"));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert!(own_folder(link).is_err());
    }

    #[test]
    fn a_full_disk_is_said_in_mebibytes() {
        let dir = tempfile::tempdir().unwrap();
        check_free_space(dir.path(), 1).unwrap();
        let error = check_free_space(dir.path(), u64::MAX).unwrap_err().to_string();
        assert!(error.contains("MiB are free") && error.contains("free some space"), "{error}");
    }
}
