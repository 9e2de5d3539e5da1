//! Whose process the server is, and what that user may see.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::PostgresError;

/// Users that the server may run as when we are root, best first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// Login name.
    pub(super) name: String,
    /// User id.
    pub(super) uid: u32,
    /// Main group id.
    pub(super) gid: u32,
}

/// The user to drop to: none unless we are root, because nobody else could, or has to.
pub(super) fn server_account() -> Result<Option<Account>, PostgresError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let path = Path::new("/etc/passwd");
    let passwd = fs::read_to_string(path).map_err(PostgresError::io("read", path))?;
    CANDIDATES.iter().find_map(|name| find(&passwd, name)).map(Some).ok_or(PostgresError::NoAccount)
}

/// Looks `name` up in the text of `/etc/passwd`; root under another name does not count.
fn find(passwd: &str, name: &str) -> Option<Account> {
    let mut fields = passwd
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| if fields.next() == Some(name) { Some(fields) } else { None })?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    if uid == 0 { None } else { Some(Account { name: name.to_owned(), uid, gid }) }
}

impl Account {
    /// Whether this user may pass through `path` and every folder above it.
    pub(super) fn may_enter(&self, path: &Path) -> io::Result<bool> {
        for folder in path.ancestors() {
            if !self.has(&fs::metadata(folder)?, 0o1) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether this user may read everything in the folder `tree`.
    pub(super) fn may_read_tree(&self, tree: &Path) -> io::Result<bool> {
        if !self.has(&fs::metadata(tree)?, 0o5) {
            return Ok(false);
        }
        for entry in fs::read_dir(tree)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            // Symbolic links point inside the tree and are met there.
            let readable = match (kind.is_dir(), kind.is_file()) {
                (true, _) => self.may_read_tree(&entry.path())?,
                (_, true) => self.has(&entry.metadata()?, 0o4),
                _ => true,
            };
            if !readable {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has(&self, meta: &Metadata, bits: u32) -> bool {
        let shift = if meta.uid() == self.uid {
            6
        } else if meta.gid() == self.gid {
            3
        } else {
            0
        };
        (meta.mode() >> shift) & bits == bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
                          nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n\
                          toor:x:0:0::/root:/bin/sh\nbroken:x:\n";

    #[test]
    fn users_are_found_by_their_whole_name() {
        let nobody = find(PASSWD, "nobody").unwrap();
        assert_eq!((nobody.uid, nobody.gid), (65_534, 65_533));
        assert_eq!(find(PASSWD, "nobo"), None);
        assert_eq!(find(PASSWD, "toor"), None, "root by another name is no help");
        assert_eq!(find(PASSWD, "broken"), None);
    }

    #[test]
    fn a_closed_folder_above_closes_all_below() {
        let stranger = Account { name: "x".into(), uid: 4_000_000_000, gid: 4_000_000_000 };
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("file"), "x").unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(dir.path(), 0o711);
        mode(&dir.path().join("a"), 0o755);
        mode(&inner, 0o755);
        mode(&inner.join("file"), 0o644);
        let all_above_open = stranger.may_enter(dir.path().parent().unwrap()).unwrap();
        assert_eq!(stranger.may_enter(&inner).unwrap(), all_above_open);
        assert!(stranger.may_read_tree(&inner).unwrap());
        mode(&inner.join("file"), 0o600);
        assert!(!stranger.may_read_tree(&inner).unwrap());
        mode(dir.path(), 0o700);
        assert!(!stranger.may_enter(&inner).unwrap());
    }
}
