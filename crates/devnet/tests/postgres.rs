//! The private server, as a real process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use devnet::ports::ReservedPort;
use devnet::postgres::{Postgres, PostgresError, PostgresOptions, package_binaries_dir};
use devnet::process;
use sqlx::{Connection, PgConnection, Row};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

/// A folder that the server's user may enter, and options for a server in it.
fn set_up() -> (TempDir, PostgresOptions) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let options = PostgresOptions {
        fallback_parent_dir: dir.path().to_owned(),
        ..PostgresOptions::new(package_binaries_dir(Path::new("npm")), dir.path().join("run"))
    };
    (dir, options)
}

async fn ask(postgres: &Postgres, query: &'static str) -> String {
    let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
    let row = sqlx::query(query).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    row.get(0)
}

async fn execute(postgres: &Postgres, statement: &'static str) {
    let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn server_pid(postgres: &Postgres) -> u32 {
    let text = std::fs::read_to_string(postgres.data_dir().join("postmaster.pid")).unwrap();
    text.lines().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn data_outlives_a_stop_and_is_gone_after_an_erase() {
    let (_dir, options) = set_up();
    let first = Postgres::start(options.clone()).await.unwrap();
    assert!(ask(&first, "SHOW server_version").await.starts_with("18"));
    assert_eq!(ask(&first, "SELECT current_database()::text").await, "busbar");
    assert_eq!(ask(&first, "SHOW fsync").await, "on");
    assert_eq!(ask(&first, "SHOW listen_addresses").await, "127.0.0.1");
    assert_eq!(ask(&first, "SHOW unix_socket_directories").await, "");
    assert_eq!(ask(&first, "SELECT datlocale FROM pg_database WHERE datname = 'busbar'").await, "C.UTF-8");
    execute(&first, "CREATE TABLE kept AS SELECT 'yes' AS answer").await;
    let pid = server_pid(&first);
    first.stop().await.unwrap();
    assert!(!process::is_running(pid));

    let second = Postgres::start(options.clone()).await.unwrap();
    assert_eq!(ask(&second, "SELECT answer FROM kept").await, "yes");
    let data_dir = second.data_dir();
    assert!(second.notice().contains(&data_dir.display().to_string()), "{}", second.notice());
    let refused = Postgres::start(options.clone()).await.unwrap_err();
    assert!(matches!(refused, PostgresError::Locked(_)), "a second run is refused: {refused}");
    second.stop().await.unwrap();

    Postgres::erase(&options).await.unwrap();
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn a_password_is_generated_and_asked_for() {
    let (_dir, options) = set_up();
    let postgres = Postgres::start(options).await.unwrap();
    let file = postgres.data_dir().join("../password");
    let password = std::fs::read_to_string(&file).unwrap();
    assert_eq!(password.len(), 48);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let wrong = postgres.url().replace(&password, "busbar");
    let error = PgConnection::connect(&wrong).await.unwrap_err().to_string();
    assert!(error.contains("password authentication failed"), "{error}");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_of_a_killed_run_is_stopped_and_its_data_kept() {
    let (_dir, options) = set_up();
    let killed = Postgres::start(options.clone()).await.unwrap();
    execute(&killed, "CREATE TABLE kept AS SELECT 'yes' AS answer").await;
    let pid = server_pid(&killed);
    let data_dir = killed.data_dir();
    // Not that of the package: the server's user may be unable to enter the repository.
    let program = process::command_line(pid).remove(0);
    killed.stop().await.unwrap();
    // Started as a killed run would leave it: nobody holds the lock, nobody will stop it.
    let mut orphan = start_orphan(&program, &data_dir);
    wait_for_pid_file(&data_dir, pid).await;
    let orphan_pid = orphan.id();

    let next = Postgres::start(options).await.unwrap();
    assert!(!process::is_running(orphan_pid));
    assert!(orphan.wait().unwrap().success(), "it was stopped cleanly");
    assert_eq!(ask(&next, "SELECT answer FROM kept").await, "yes");
    next.stop().await.unwrap();
}

#[tokio::test]
async fn the_pid_file_of_a_dead_or_foreign_process_does_not_stop_a_start() {
    let (_dir, options) = set_up();
    let first = Postgres::start(options.clone()).await.unwrap();
    let pid_file = first.data_dir().join("postmaster.pid");
    let content = std::fs::read_to_string(&pid_file).unwrap();
    let dead = content.lines().next().unwrap().to_owned();
    first.stop().await.unwrap();
    for pid in [dead.clone(), std::process::id().to_string()] {
        std::fs::write(&pid_file, content.replacen(&dead, &pid, 1)).unwrap();
        let next = Postgres::start(options.clone()).await.unwrap();
        assert_eq!(ask(&next, "SELECT 'alive'").await, "alive");
        next.stop().await.unwrap();
    }
    assert!(process::is_running(std::process::id()));
}

#[tokio::test]
async fn a_half_made_data_folder_is_made_again() {
    let (_dir, options) = set_up();
    let unfinished = options.data_parent_dir.join("postgres-18.unfinished/data");
    std::fs::create_dir_all(&unfinished).unwrap();
    std::fs::write(unfinished.join("PG_VERSION"), "18").unwrap();
    let postgres = Postgres::start(options).await.unwrap();
    assert_eq!(ask(&postgres, "SELECT 'alive'").await, "alive");
    postgres.stop().await.unwrap();
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn a_taken_port_is_replaced_and_named() {
    let (_dir, options) = set_up();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = listener.local_addr().unwrap().port();
    let postgres = Postgres::start(PostgresOptions { preferred_port: Some(taken), ..options }).await.unwrap();
    assert_ne!(postgres.port(), taken);
    assert_eq!(postgres.taken_port(), Some(taken));
    assert!(postgres.notice().contains(&format!("port {taken} is taken")), "{}", postgres.notice());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn of_two_that_want_a_port_at_once_one_takes_another() {
    let (_first_dir, first) = set_up();
    let (_second_dir, second) = set_up();
    let wanted = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let on = |options| PostgresOptions { preferred_port: Some(wanted), ..options };
    let (first, second) = tokio::join!(Postgres::start(on(first)), Postgres::start(on(second)));
    let (first, second) = (first.unwrap(), second.unwrap());
    let (took, gave_way) = if first.port() == wanted { (&first, &second) } else { (&second, &first) };
    assert_eq!((took.port(), took.taken_port()), (wanted, None));
    assert_eq!(gave_way.taken_port(), Some(wanted));
    for postgres in [first, second] {
        assert_eq!(ask(&postgres, "SELECT 'alive'").await, "alive");
        postgres.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_is_asked_to_stop_even_if_nobody_stops_it() {
    let (_dir, options) = set_up();
    let postgres = Postgres::start(options).await.unwrap();
    let pid = server_pid(&postgres);
    drop(postgres);
    let deadline = Instant::now() + Duration::from_secs(30);
    while process::is_running(pid) {
        assert!(Instant::now() < deadline, "the server is still there");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_cannot_work_is_said_in_one_line_that_names_the_remedy() {
    let (dir, options) = set_up();
    let binaries_dir = dir.path().join("nothing-here");
    let missing = Postgres::start(PostgresOptions { binaries_dir, ..options.clone() }).await.unwrap_err();
    assert!(missing.to_string().contains("run `make setup`"), "{missing}");
    assert!(!options.data_parent_dir.exists(), "nothing half made");

    let full =
        Postgres::start(PostgresOptions { min_free_bytes: u64::MAX, ..options.clone() }).await.unwrap_err();
    assert!(matches!(full, PostgresError::NoSpace { .. }), "{full}");

    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let blocked = PostgresOptions { data_parent_dir: file.join("run"), ..options };
    let blocked = Postgres::start(blocked).await.unwrap_err();
    assert!(blocked.to_string().contains("choose another one"), "{blocked}");
    for error in [missing, full, blocked] {
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn a_closed_folder_above_moves_the_data_when_we_are_root() {
    let (dir, options) = set_up();
    let closed = dir.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
    let options = PostgresOptions { data_parent_dir: closed.join("run"), ..options };
    let postgres = Postgres::start(options).await.unwrap();
    assert_eq!(ask(&postgres, "SELECT 'alive'").await, "alive");
    let root =
        std::fs::metadata("/proc/self").map(|meta| std::os::unix::fs::MetadataExt::uid(&meta)).unwrap() == 0;
    let stays = postgres.data_dir().starts_with(&closed);
    assert_eq!(stays, !root, "{}", postgres.notice());
    postgres.stop().await.unwrap();
}

/// Starts the server's program the way `Postgres` does, but as nobody's business.
fn start_orphan(program: &str, data_dir: &Path) -> std::process::Child {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let owner = std::fs::metadata(data_dir).unwrap();
    let port = ReservedPort::new(None).unwrap();
    std::process::Command::new(program)
        .arg("-D")
        .arg(data_dir)
        .args(["-p", &port.port().to_string()])
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
        .stderr(std::process::Stdio::null())
        .uid(owner.uid())
        .gid(owner.gid())
        .current_dir(data_dir)
        .spawn()
        .unwrap()
}

async fn wait_for_pid_file(data_dir: &Path, old_pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let text = std::fs::read_to_string(data_dir.join("postmaster.pid")).unwrap_or_default();
        let pid = text.lines().next().and_then(|line| line.parse::<u32>().ok());
        if pid.is_some_and(|pid| pid != old_pid) && text.contains("ready") {
            return;
        }
        assert!(Instant::now() < deadline, "the orphan does not start");
        sleep(Duration::from_millis(20)).await;
    }
}
