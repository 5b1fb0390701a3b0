//! What only the inside shows: how the connections are set up, and errors that SQLite itself is made to report.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn record(number: &str) -> ConferenceRecord {
    ConferenceRecord {
        id: ConferenceId::parse("CONFERENCE1").expect("valid"),
        organizer: UserUri::parse("sip:ann@example.com").expect("valid"),
        subject: "S".repeat(10_000),
        description: String::new(),
        access: base::AccessType::Open,
        pin: None,
        number: Some(ConferenceNumber::parse(number).expect("valid")),
        expiry: None,
        version: 1,
        invited: Vec::new(),
        locked: false,
        personal: false,
        lobby: false,
        phones_pass_lobby: false,
        promote_authenticated: false,
        organizer_data: String::new(),
        notification_data: String::new(),
        created: 1,
        updated: 1,
        used: 1,
    }
}

async fn store_in(directory: &tempfile::TempDir) -> Store {
    let path = directory.path().join("convoke.db");
    Store::open_within(path.to_str().expect("text"), Duration::from_millis(20)).await.expect("opened")
}

async fn execute(store: &Store, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&store.writer).await.expect("executed");
}

#[tokio::test]
async fn the_writer_waits_for_the_disk_and_the_readers_cannot_write() {
    let directory = tempfile::tempdir().expect("directory");
    let store = store_in(&directory).await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.writer).await.expect("mode");
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&store.writer).await.expect("level");
    assert_eq!((mode.as_str(), synchronous), ("wal", 2));
    assert!(sqlx::query("DELETE FROM conferences").execute(&store.readers).await.is_err());
}

#[tokio::test]
async fn every_file_is_private() {
    let directory = tempfile::tempdir().expect("directory");
    let store = store_in(&directory).await;
    store.save_conference(&record("1")).await.expect("saved");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory.path()).expect("listing") {
        let entry = entry.expect("entry");
        assert_eq!(entry.metadata().expect("metadata").permissions().mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().expect("text"));
    }
    names.sort();
    assert_eq!(names, ["convoke.db", "convoke.db-shm", "convoke.db-wal"]);
}

#[tokio::test]
async fn a_full_disk_is_named_and_nothing_is_written() {
    let directory = tempfile::tempdir().expect("directory");
    let store = store_in(&directory).await;
    execute(&store, "PRAGMA max_page_count = 1").await;
    let error = store.save_conference(&record("1")).await.expect_err("full");
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains("convoke.db"), "{error}");
    assert_eq!(store.numbers().await.expect("read"), [], "half a save was written");
    execute(&store, "PRAGMA max_page_count = 10000").await;
    store.save_conference(&record("1")).await.expect("there is room again");
}

#[tokio::test]
async fn a_database_that_may_only_be_read_is_named() {
    let directory = tempfile::tempdir().expect("directory");
    let store = store_in(&directory).await;
    execute(&store, "PRAGMA query_only = 1").await;
    let error = store.save_conference(&record("1")).await.expect_err("read-only");
    assert!(matches!(error, StoreError::NoPermission { .. }), "{error}");
    execute(&store, "PRAGMA query_only = 0").await;
    store.save_conference(&record("1")).await.expect("it may be written again");
}

#[tokio::test]
async fn a_database_held_by_another_process_is_named() {
    let directory = tempfile::tempdir().expect("directory");
    let (store, other) = (store_in(&directory).await, store_in(&directory).await);
    let held = other.begin().await.expect("held");
    let error = store.save_conference(&record("1")).await.expect_err("locked");
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert_eq!(store.load_all().await.expect("readers do not wait"), []);
    drop(held);
    other.close().await;
    store.save_conference(&record("1")).await.expect("free again");
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let directory = tempfile::tempdir().expect("directory");
    let store = store_in(&directory).await;
    execute(&store, "PRAGMA user_version = 99").await;
    store.close().await;
    let path = directory.path().join("convoke.db");
    let error = Store::open(path.to_str().expect("text")).await.expect_err("newer");
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn an_older_database_is_not_read_as_if_it_were_of_today() {
    let directory = tempfile::tempdir().expect("directory");
    let store = store_in(&directory).await;
    execute(&store, "PRAGMA user_version = 8").await;
    let path = directory.path().join("convoke.db");
    let error = Store::open_read_only(path.to_str().expect("text")).await.expect_err("older");
    assert!(matches!(error, StoreError::Older { found: 8, .. }), "{error}");
    execute(&store, "PRAGMA user_version = 99").await;
    let error = Store::open_read_only(path.to_str().expect("text")).await.expect_err("newer");
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn who_opens_it_to_read_cannot_write_and_sees_what_the_server_writes() {
    let directory = tempfile::tempdir().expect("directory");
    let store = store_in(&directory).await;
    let path = directory.path().join("convoke.db");
    let reader = Store::open_read_only(path.to_str().expect("text")).await.expect("opened");
    store.save_conference(&record("1")).await.expect("saved");
    assert_eq!(reader.load_all().await.expect("read").len(), 1);
    reader.save_conference(&record("2")).await.expect_err("it reads alone");
}

#[tokio::test]
async fn a_column_that_is_not_what_was_written_is_corruption() {
    let directory = tempfile::tempdir().expect("directory");
    let store = store_in(&directory).await;
    store.save_conference(&record("1")).await.expect("saved");
    execute(&store, "UPDATE conferences SET access = 'everybody'").await;
    let error = store.load_all().await.expect_err("corrupt");
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}
