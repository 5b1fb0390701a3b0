//! A database that cannot be opened says where it is and what to do.

mod samples;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use samples::*;
use store::{Store, StoreError};

async fn refused(path: &Path) -> StoreError {
    let error = Store::open(path.to_str().expect("text")).await.expect_err("it opened");
    assert!(error.to_string().contains(path.to_str().expect("text")), "{error} does not name the path");
    error
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("absent/convoke.db");
    let error = refused(&path).await;
    assert!(matches!(error, StoreError::CannotOpen { .. }), "{error:?}");
    assert!(error.to_string().contains("its directory does not exist: create its directory"), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_in_place_of_the_directory_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("file"), "x").expect("written");
    let error = refused(&directory.path().join("file/convoke.db")).await;
    assert!(error.to_string().contains("is not a directory"), "{error}");
}

#[tokio::test]
async fn a_directory_in_place_of_the_file_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = refused(directory.path()).await;
    assert!(error.to_string().contains("it is a directory"), "{error}");
}

#[tokio::test]
async fn a_directory_that_may_not_be_written_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o500)).expect("mode set");
    if fs::write(directory.path().join("probe"), "").is_ok() {
        println!("not tested: this user may write everywhere");
        return;
    }
    let error = refused(&directory.path().join("convoke.db")).await;
    assert!(matches!(error, StoreError::NoPermission { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("convoke.db");
    let text = "this is a letter, not a database. ".repeat(100);
    fs::write(&path, &text).expect("written");
    let error = refused(&path).await;
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&path).expect("read"), text);
}

#[tokio::test]
async fn a_damaged_database_is_named() {
    let (store, directory) = open().await;
    store.save_conference(&full_conference()).await.expect("saved");
    store.close().await;
    let path = directory.path().join("convoke.db");
    let mut bytes = fs::read(&path).expect("read");
    bytes[4096..].fill(0xA5);
    fs::write(&path, bytes).expect("written");
    let error = match Store::open(path.to_str().expect("text")).await {
        Ok(store) => store.load_all().await.expect_err("it was read"),
        Err(error) => error,
    };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn postgresql_is_refused_in_words() {
    let error = Store::open("postgres://convoke:secret@db/convoke").await.expect_err("it opened");
    let text = error.to_string();
    assert!(matches!(error, StoreError::Unsupported(_)), "{error:?}");
    assert!(text.contains("postgres") && text.contains("not supported yet") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_closed_store_refuses() {
    let (store, _directory) = open().await;
    store.close().await;
    assert!(store.save_conference(&full_conference()).await.is_err());
    assert!(store.load_all().await.is_err());
}
