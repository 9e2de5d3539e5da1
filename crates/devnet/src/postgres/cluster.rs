//! The server's data: made once, whole or not at all.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rand::Rng;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::placement::Placement;
use super::server::{command, reason_in};
use super::{DATABASE, PostgresError, data_dir_of};

/// How long making a cluster may take; some seconds are usual, a slow disk takes longer.
const PATIENCE: Duration = Duration::from_secs(180);

/// Makes the cluster unless it is there. What a failure leaves half made is removed: the disk may be full of it.
pub(super) async fn create_if_missing(placement: &Placement) -> Result<(), PostgresError> {
    if placement.cluster_dir().exists() {
        return Ok(());
    }
    let unfinished = placement.unfinished_dir();
    remove_folder(&unfinished)?;
    let created = create(placement, &unfinished).await;
    if created.is_err()
        && let Err(error) = remove_folder(&unfinished)
    {
        tracing::warn!(%error, "a half-made data folder is left for the next start to remove");
    }
    created
}

async fn create(placement: &Placement, unfinished: &Path) -> Result<(), PostgresError> {
    DirBuilder::new()
        .mode(0o700)
        .create(unfinished)
        .map_err(PostgresError::io("make the folder", unfinished))?;
    let password_file = password_file_of(unfinished);
    write_password(&password_file)?;
    if let Some(account) = &placement.account {
        for path in [password_file.as_path(), unfinished] {
            chown(path, Some(account.uid), Some(account.gid))
                .map_err(PostgresError::io("give away", path))?;
        }
    }
    let data_dir = data_dir_of(unfinished);
    initialise(placement, &data_dir, &password_file).await?;
    create_database(placement, &data_dir).await?;
    fs::rename(unfinished, placement.cluster_dir()).map_err(PostgresError::io("rename", unfinished))
}

/// Reads the role's password.
pub(super) fn password(placement: &Placement) -> Result<String, PostgresError> {
    let path = password_file_of(&placement.cluster_dir());
    let text = fs::read_to_string(&path).map_err(PostgresError::io("read", &path))?;
    Ok(text.trim().to_owned())
}

/// Deletes the cluster, finished or not.
pub(super) fn remove(placement: &Placement) -> Result<(), PostgresError> {
    remove_folder(&placement.cluster_dir())?;
    remove_folder(&placement.unfinished_dir())
}

fn remove_folder(path: &Path) -> Result<(), PostgresError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(PostgresError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn password_file_of(cluster_dir: &Path) -> PathBuf {
    cluster_dir.join("password")
}

fn write_password(path: &Path) -> Result<(), PostgresError> {
    let mut bytes = [0_u8; 24];
    rand::rng().fill_bytes(&mut bytes);
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(hex::encode(bytes).as_bytes())?;
        file.sync_all()
    };
    write().map_err(PostgresError::io("write", path))
}

async fn initialise(
    placement: &Placement,
    data_dir: &Path,
    password_file: &Path,
) -> Result<(), PostgresError> {
    let mut initdb = command(placement, "initdb", &placement.unfinished_dir());
    initdb
        .arg("--pgdata")
        .arg(data_dir)
        .arg("--pwfile")
        .arg(password_file)
        .args(["--username", DATABASE, "--auth", "scram-sha-256", "--encoding", "UTF8"])
        // PostgreSQL's own C.UTF-8 sorts the same on every machine, whatever its C library knows.
        .args(["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"])
        .arg("--no-instructions")
        .stdin(Stdio::null());
    run(initdb, None).await
}

/// Makes the database in single-user mode: no port, no password, no other client.
async fn create_database(placement: &Placement, data_dir: &Path) -> Result<(), PostgresError> {
    let mut postgres = command(placement, "postgres", &placement.unfinished_dir());
    postgres.arg("--single").arg("-D").arg(data_dir).arg("postgres").stdin(Stdio::piped());
    run(postgres, Some(format!("CREATE DATABASE {DATABASE}\n"))).await
}

async fn run(mut command: Command, input: Option<String>) -> Result<(), PostgresError> {
    let program = PathBuf::from(command.as_std().get_program());
    let spawn = |source| PostgresError::Spawn { program: program.clone(), source };
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().map_err(spawn)?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        // A child that ends early says why on its own; the broken pipe adds nothing.
        let _ = stdin.write_all(text.as_bytes()).await;
    }
    let output = match timeout(PATIENCE, child.wait_with_output()).await {
        Ok(output) => output.map_err(spawn)?,
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            return Err(PostgresError::Create(format!("`{}` took over {seconds} s", program.display())));
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    // Single-user mode ends with success after a failed statement.
    if output.status.success() && !errors.contains("ERROR:") {
        return Ok(());
    }
    Err(PostgresError::Create(reason_in(&errors).unwrap_or_else(|| output.status.to_string())))
}
