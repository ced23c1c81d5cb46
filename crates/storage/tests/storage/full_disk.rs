//! The disk under Postgres is full, and then has space again.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use parlance_domain::{ConversationId, Message, Owner};
use parlance_storage::{Database, DatabaseUrl, Settings, StorageError, StorageResult};
use parlance_testkit::{Postgres, PostgresConfig};

use crate::support::write::{append_uncommitted, recording_sink};
use crate::support::{Db, at, open, owner, sender};

/// A small disk, which only root can mount. Unmounted with this value.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mount = [
            "-t",
            "tmpfs",
            "-o",
            "size=32m,uid=65534,gid=65534,mode=0700",
            "tmpfs",
        ];
        let mounted = Command::new("mount").args(mount).arg(at).status().unwrap();
        mounted.success().then(|| Self(at.to_owned()))
    }

    /// Uses up all free space.
    fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        for size in [1 << 20, 1 << 12] {
            while filler.write_all(&vec![7; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What makes a server refuse writes: a full disk if the test runs as root, otherwise a setting.
enum Refusing {
    Disk(Disk),
    Setting(Settings),
}

impl Refusing {
    async fn begin(&self) {
        match self {
            Self::Disk(disk) => disk.fill(),
            Self::Setting(server) => set_read_only(server, true).await,
        }
    }

    async fn end(&self) {
        match self {
            Self::Disk(disk) => disk.free(),
            Self::Setting(server) => set_read_only(server, false).await,
        }
    }
}

async fn set_read_only(server: &Settings, on: bool) {
    let set = format!("ALTER SYSTEM SET default_transaction_read_only = {on}");
    for statement in [&set, "SELECT pg_reload_conf()"] {
        Db::try_run(server, statement).await.unwrap();
    }
}

async fn append_large(db: &Database, owner: &Owner, to: ConversationId) -> StorageResult<Message> {
    let mut tx = db.begin(owner, at(1)).await?;
    let message = append_uncommitted(&mut tx, to).await?;
    // Random enough to be incompressible.
    let event = parlance_storage::db::delivery_event::DeliveryEvent {
        time: at(1),
        kind: parlance_storage::db::delivery_event::DeliveryEventKind::Attempt,
        attempt: Some(1),
        provider: None,
        provider_time: None,
        status: None,
        detail: (0..4_000)
            .map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string())
            .collect(),
    };
    tx.append_delivery_event(message.id, &event).await?;
    tx.commit(&recording_sink()).await?;
    Ok(message)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_refused_and_then_accepted_again() {
    let server = Postgres::start(PostgresConfig::default());
    let maintenance = Settings::new(DatabaseUrl::parse(server.url()).unwrap());
    let target = server.dir().join("small");
    let disk = Disk::mount(&target);
    let mut made = "CREATE DATABASE small".to_owned();
    if disk.is_some() {
        let space = format!("CREATE TABLESPACE small LOCATION '{}'", target.display());
        Db::try_run(&maintenance, &space).await.unwrap();
        made += " TEMPLATE template0 TABLESPACE small";
    }
    Db::try_run(&maintenance, &made).await.unwrap();
    let refusing = disk.map_or(Refusing::Setting(maintenance), Refusing::Disk);
    let (base, _) = server.url().rsplit_once('/').unwrap();
    let url = format!("{base}/small");
    let settings = Settings::new(DatabaseUrl::parse(&url).unwrap());
    parlance_storage::migrate(&settings).await.unwrap();
    let db = Database::open(&settings).await.unwrap();
    let owner = owner("acme");
    let to = open(&db, &owner).await.id;

    let mut written = vec![append_large(&db, &owner, to).await.unwrap()];
    refusing.begin().await;
    let refused = loop {
        match append_large(&db, &owner, to).await {
            Ok(message) => written.push(message),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, StorageError::WritesRefused(_)),
        "{refused}"
    );
    assert!(db.check_writes().await.is_err());
    assert!(db.check_writes().await.is_err(), "each time");
    db.ping().await.unwrap();

    refusing.end().await;
    parlance_testkit::eventually(crate::support::SOON, async || db.check_writes().await.ok()).await;
    let probe = async || Db::rows_of(&settings, "SELECT xmin AS v FROM write_probe").await;
    let last = probe().await;
    for _ in 0..2 {
        db.check_writes().await.unwrap();
    }
    assert_eq!(probe().await, last, "probing ends with the first success");
    written.push(append_large(&db, &owner, to).await.unwrap());
    for message in written {
        assert!(db.message(&owner, message.id).await.unwrap().is_some());
    }
}

/// Connections that are opened meanwhile serve reads too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_primary_serves_reads() {
    let server = Postgres::start(PostgresConfig::default());
    let db = Db::within(&server).await;
    let owner = owner("acme");
    let to = open(&db.open, &owner).await.id;
    let maintenance = Settings::new(DatabaseUrl::parse(server.url()).unwrap());
    set_read_only(&maintenance, true).await;
    let opened = parlance_testkit::eventually(crate::support::SOON, async || {
        let opened = Database::open(&db.settings).await.unwrap();
        let refused = append_large(&opened, &owner, to).await;
        matches!(refused, Err(StorageError::WritesRefused(_))).then_some(opened)
    })
    .await;
    assert!(opened.conversation(&owner, to).await.unwrap().is_some());
    assert!(opened.check_writes().await.is_err());
}

on_both! {
    /// A row that existed when it was read has been removed since: the write is started again.
    async fn a_removed_row_is_a_conflict(db: Db) {
        let owner = owner("acme");
        let to = open(&db.open, &owner).await.id;
        let mut tx = db.open.begin(&owner, at(1)).await.unwrap();
        let message = append_uncommitted(&mut tx, to).await.unwrap();
        let error = tx.insert_delivery(&message, &sender(&owner)).await.unwrap_err();
        assert!(matches!(error, StorageError::Conflict(_)), "{error}");
    }
}
