//! Secrets come from files, are never printed, and are refused while they are placeholders.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The largest secret file that is read, in bytes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;
/// Words that show that nobody has set the secret yet.
const PLACEHOLDERS: [&str; 5] = ["changeme", "change-me", "placeholder", "password", "secret"];

/// A secret that does not show itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text that was made, not read.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself; use it where it is needed and keep no copy.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret file {path}: {source}; create it, readable by this user only")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is empty or far too large.
    #[error("the secret file {path} is empty or larger than 64 KiB")]
    Size {
        /// Which file.
        path: PathBuf,
    },
    /// Others may read or change the file.
    #[error("the secret file {path} is open to other users (mode {mode:o}): run chmod 600 on it")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file still holds an example.
    #[error("the secret file {path} holds a placeholder: generate a real secret first")]
    Placeholder {
        /// Which file.
        path: PathBuf,
    },
}

/// Reads a secret, without the line break at its end.
///
/// # Errors
/// [`SecretError`] if the file is missing, open to others, empty, too large, or holds a placeholder.
pub fn read(path: &Path) -> Result<Secret, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let file = std::fs::metadata(path).map_err(unreadable)?;
    if is_open(file.mode(), file.uid() == rustix::process::geteuid().as_raw()) {
        return Err(SecretError::Open { path: path.to_owned(), mode: file.mode() & 0o777 });
    }
    if file.len() > MAX_SECRET_BYTES {
        return Err(SecretError::Size { path: path.to_owned() });
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(SecretError::Size { path: path.to_owned() });
    }
    if PLACEHOLDERS.contains(&text.to_ascii_lowercase().as_str()) {
        return Err(SecretError::Placeholder { path: path.to_owned() });
    }
    Ok(Secret(text.to_owned()))
}

/// Whether a secret's file is open to others. A container runtime mounts secrets as they are on the host, as files of
/// another user, who keeps them behind a private folder there: those may be read, but never changed, by everybody.
const fn is_open(mode: u32, is_own: bool) -> bool {
    mode & (if is_own { 0o077 } else { 0o022 }) != 0
}

/// Reads a secret, or stores the one that `make` returns if there is none yet, readable by this user
/// only. The file appears whole or not at all, so a crash leaves no half secret.
///
/// # Errors
/// [`SecretError`] if the file can be neither read nor made.
pub fn read_or_create(path: &Path, make: impl FnOnce() -> String) -> Result<Secret, SecretError> {
    if !path.exists() {
        create(path, &make()).map_err(|source| SecretError::Unreadable { path: path.to_owned(), source })?;
    }
    read(path)
}

fn create(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let partial = path.with_extension("partial");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/token");
        let first = read_or_create(&path, || "a1b2".to_owned()).unwrap();
        let second = read_or_create(&path, || "other".to_owned()).unwrap();
        assert_eq!((first.expose(), second.expose()), ("a1b2", "a1b2"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(format!("{first:?}"), "Secret(…)");
    }

    #[test]
    fn placeholders_and_empty_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for bad in ["changeme\n", "", "\n", "PLACEHOLDER"] {
            std::fs::write(&path, bad).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(!matches!(read(&path), Ok(_) | Err(SecretError::Open { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_unless_another_user_mounted_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "0123456789abcdef").unwrap();
        for (mode, opens) in [(0o644, false), (0o640, false), (0o602, false), (0o400, true), (0o600, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).is_ok(), opens, "{mode:o}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("chmod 600"));
        assert!(!is_open(0o100_644, false) && is_open(0o100_666, false) && is_open(0o100_664, false));
    }
}
