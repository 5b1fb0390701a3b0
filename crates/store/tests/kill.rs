//! What was acknowledged is there after `kill -9` (ARCHITECTURE.md, invariant 10).
//!
//! The test runs itself a second time as a writer that prints each id once the store has acknowledged it, kills the
//! writer in the middle of its work, and compares.

mod samples;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use samples::*;
use store::Store;

/// Tells the writer which database to fill.
const PATH_VARIABLE: &str = "STORE_KILL_TEST_PATH";

/// Stands before each acknowledged id, so that the test runner's own words are told apart.
const MARK: &str = "acknowledged ";

#[tokio::test]
#[ignore = "the other test runs it as a process of its own"]
async fn writes_until_it_is_killed() {
    let Ok(path) = std::env::var(PATH_VARIABLE) else { return };
    let store = Store::open(&path).await.expect("opened");
    let first = store.load_all().await.expect("read").len();
    let mut out = std::io::stdout();
    for step in first.. {
        let mut record = small_conference(&format!("CONFERENCE{step}"));
        record.number = Some(number(&step.to_string()));
        record.subject = "x".repeat(step % 7 * 2_000);
        store.save_conference(&record).await.expect("saved");
        writeln!(out, "\n{MARK}{}", record.id).expect("the reader lives");
        let segment = format!("segment-{step}");
        store.append_cdrs(&[small_cdr(&segment, 1)]).await.expect("appended");
        writeln!(out, "{MARK}{segment}").expect("the reader lives");
    }
}

/// Kills a writer after it has acknowledged so many rows; every row it acknowledged up to its death.
fn acknowledged_before_the_kill(path: &Path, rows: usize) -> Vec<String> {
    let mut writer = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(PATH_VARIABLE, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the writer starts");
    let mut output = BufReader::new(writer.stdout.take().expect("piped"));
    let mut acknowledged = Vec::new();
    let mut line = String::new();
    while output.read_line(&mut line).expect("text") > 0 {
        // A line that the kill cut off acknowledges nothing.
        if let Some(id) = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix('\n')) {
            acknowledged.push(id.to_owned());
            if acknowledged.len() == rows {
                writer.kill().expect("killed");
            }
        }
        line.clear();
    }
    let status = writer.wait().expect("it ended");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "the writer ended by itself: {status}");
    acknowledged
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("convoke.db");
    let mut acknowledged = Vec::new();
    for rows in [1, 2, 17, 60] {
        acknowledged.extend(acknowledged_before_the_kill(&path, rows));
        let store = reopen(&directory).await;
        let conferences = store.load_all().await.expect("read").into_iter().map(|record| record.id.to_string());
        let segments = store.cdrs_before(i64::MAX, 1_000).await.expect("read").into_iter().map(|cdr| cdr.segment_id);
        let found: HashSet<String> = conferences.chain(segments).collect();
        let lost: Vec<_> = acknowledged.iter().filter(|id| !found.contains(*id)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        assert!(found.len() <= acknowledged.len() + 8, "more rows than were written: {}", found.len());
        store.close().await;
        assert_eq!(integrity(&path).await, "ok");
    }
    assert!(acknowledged.len() >= 80);
}

async fn integrity(path: &Path) -> String {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("opened");
    let verdict = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&pool).await.expect("checked");
    pool.close().await;
    verdict
}
