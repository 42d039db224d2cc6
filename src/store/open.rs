//! Opening a store: which database it is, how many connections, and what each of
//! them is told.
//!
//! The statements and the migrations are the same for both databases. Whole numbers
//! are BIGINT and 64 bits wide, truth is 0 or 1, documents are text, so that the two
//! decode alike; where they have to be spoken to differently, [`Kind`] is asked.
//!
//! - **SQLite** has one writer: one connection spares every busy retry. `FULL`, so that
//!   an acknowledged hook survives a power cut.
//! - **Postgres** gets a pool, and a small one of its own for the lease, so that a slow
//!   reader can't cost the leader its lease. A transaction that idles is ended by the
//!   server before the lease runs out: a daemon that froze in one would otherwise hold
//!   its locks against whoever takes over.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::{AnyConnection, Connection};

use super::{Store, StoreError};

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/migrations");

/// The database behind a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

/// Connections for the work, and for the lease, of Postgres.
const CONNECTIONS: u32 = 8;
const LEASE_CONNECTIONS: u32 = 2;
/// How long a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tries to migrate: two daemons that start at once may get in each other's way.
const TRIES: u32 = 3;

const SQLITE: &str = "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; \
                      PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON";
/// A server that was set to acknowledge before it has written is overruled; one that
/// waits for its replicas too is left alone.
const POSTGRES: &str = "SET application_name = 'deployguard'; \
                        SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
                        SET idle_in_transaction_session_timeout = '3s'; \
                        SELECT set_config('synchronous_commit', 'on', false) \
                        WHERE current_setting('synchronous_commit') = 'off'";

impl Store {
    /// Opens `sqlite://PATH` or `postgres://HOST/DATABASE`, creates what is missing and
    /// migrates. SQLite's file is made, a Postgres database must be there.
    ///
    /// # Errors
    /// None of them names the URL: a password may be in it.
    pub async fn open(url: &str) -> Result<Store, StoreError> {
        install_default_drivers();
        let scheme = url.split(':').next().unwrap_or(url);
        match scheme {
            "sqlite" => open_sqlite(url).await,
            "postgres" | "postgresql" => open_postgres(url).await,
            other => Err(StoreError::Unsupported(format!(
                "`{other}` is not supported: give sqlite://PATH or postgres://HOST/DATABASE"
            ))),
        }
    }
}

async fn open_sqlite(url: &str) -> Result<Store, StoreError> {
    let file = file_of(url);
    folder_is_there(file)?;
    let separator = if url.contains('?') { '&' } else { '?' };
    let options = AnyConnectOptions::from_str(&format!("{url}{separator}mode=rwc"))?;
    let pool = pool(1, SQLITE).connect_with(options).await?;
    migrate(&mut *pool.acquire().await?).await?;
    let lock = (!file.starts_with(':')).then(|| PathBuf::from(format!("{file}.lock")));
    Ok(Store {
        kind: Kind::Sqlite,
        lease: pool.clone(),
        pool,
        lock: Arc::new(Lock::at(lock)),
        fence: None,
    })
}

async fn open_postgres(url: &str) -> Result<Store, StoreError> {
    let options = AnyConnectOptions::from_str(url)?;
    // By itself, a pool would say only that it timed out. Migrating may take longer than
    // the pool's connections are allowed to.
    let connecting = AnyConnection::connect_with(&options);
    let mut first = tokio::time::timeout(PATIENCE, connecting)
        .await
        .map_err(|_| StoreError::Unsupported("the database does not answer".to_owned()))??;
    migrate(&mut first).await?;
    first.close().await?;
    let work = pool(CONNECTIONS, POSTGRES).connect_with(options.clone()).await?;
    let lease = pool(LEASE_CONNECTIONS, POSTGRES).connect_lazy_with(options);
    Ok(Store { kind: Kind::Postgres, lease, pool: work, lock: Arc::default(), fence: None })
}

fn pool(connections: u32, told: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE).after_connect(
        move |connection, _| {
            Box::pin(async move {
                sqlx::Executor::execute(connection, told).await?;
                Ok(())
            })
        },
    )
}

/// Postgres is locked meanwhile. SQLite is not: who comes second finds the table that
/// the first has just made, and then nothing left to do.
async fn migrate(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let mut tries = 1;
    loop {
        match MIGRATIONS.run(&mut *connection).await {
            Err(
                sqlx::migrate::MigrateError::Execute(_)
                | sqlx::migrate::MigrateError::ExecuteMigration(..),
            ) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            done => return Ok(done?),
        }
    }
}

fn file_of(url: &str) -> &str {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    path.split('?').next().unwrap_or(path)
}

/// SQLite says of a missing folder only that the file can't be opened.
fn folder_is_there(file: &str) -> Result<(), StoreError> {
    match Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if !folder.exists() => Err(StoreError::Unsupported(format!(
            "the folder {} of the store does not exist",
            folder.display()
        ))),
        Some(_) | None => Ok(()),
    }
}

/// The lock of a SQLite file: the kernel gives it back when the process ends, however
/// it ends, and never while it lives.
#[derive(Debug, Default)]
pub(super) struct Lock {
    path: Option<PathBuf>,
    held: Mutex<Option<File>>,
}

impl Lock {
    fn at(path: Option<PathBuf>) -> Self {
        Self { path, held: Mutex::default() }
    }

    /// Whether it is ours now. Without a file there is nobody to share it with.
    pub(super) fn take(&self) -> std::io::Result<bool> {
        let Some(path) = &self.path else { return Ok(true) };
        let mut held = self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if held.is_some() {
            return Ok(true);
        }
        let file = File::options().create(true).append(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                *held = Some(file);
                Ok(true)
            }
            Err(std::fs::TryLockError::WouldBlock) => Ok(false),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn give_back(&self) {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    }
}
