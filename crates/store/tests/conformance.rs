//! What every store must do, whatever database is below it.

mod samples;

use base::{AccessType, Role, Termination, TerminationReason, TerminationResult};
use samples::*;
use store::{Invited, StoreError};

#[tokio::test]
async fn every_field_of_a_conference_comes_back_after_a_restart() {
    let (store, directory) = open().await;
    let records = [full_conference(), small_conference("SMALL0001")];
    for record in &records {
        store.save_conference(record).await.expect("saved");
    }
    store.close().await;
    let store = reopen(&directory).await;
    assert_eq!(store.load_all().await.expect("read"), records);
    for record in records {
        assert_eq!(store.conference(&record.id).await.expect("read"), Some(record));
    }
}

#[tokio::test]
async fn every_word_of_a_conference_comes_back() {
    let (store, _directory) = open().await;
    for (version, access) in (1..).zip([AccessType::Open, AccessType::Closed, AccessType::Anonymous]) {
        for role in [Role::Attendee, Role::Presenter, Role::Organizer] {
            let mut record = small_conference("CONFERENCE1");
            record.version = version;
            record.access = access;
            record.invited = vec![Invited { user: user("bob"), role }];
            store.save_conference(&record).await.expect("saved");
            assert_eq!(store.conference(&record.id).await.expect("read"), Some(record));
        }
    }
}

#[tokio::test]
async fn a_save_replaces_everything_but_the_day_it_was_made() {
    let (store, _directory) = open().await;
    store.save_conference(&small_conference("CaseMatters1")).await.expect("saved");
    let mut record = full_conference();
    store.save_conference(&record).await.expect("saved");
    record.created = 1_000;
    assert_eq!(store.load_all().await.expect("read"), [record]);
}

#[tokio::test]
async fn the_last_use_of_a_conference_only_moves_forward_and_changes_nothing_else() {
    let (store, directory) = open().await;
    let mut record = small_conference("CONFERENCE1");
    store.save_conference(&record).await.expect("saved");
    for used in [5_000, 4_000] {
        store.note_use(&record.id, used).await.expect("noted");
    }
    store.note_use(&id("CONFERENCE2"), 9_000).await.expect("nothing to note");
    store.save_conference(&record).await.expect("a save by somebody who did not know of the use");
    store.close().await;
    record.used = 5_000;
    assert_eq!(reopen(&directory).await.load_all().await.expect("read"), [record]);
}

#[tokio::test]
async fn a_conference_that_is_not_there_is_none() {
    let (store, _directory) = open().await;
    store.save_conference(&full_conference()).await.expect("saved");
    assert_eq!(store.conference(&id("casematters1")).await.expect("read"), None, "ids are compared with their case");
    assert!(!store.delete_conference(&id("casematters1")).await.expect("deleted"));
}

#[tokio::test]
async fn a_deleted_conference_is_gone_and_its_number_stays_taken() {
    let (store, directory) = open().await;
    let mut record = small_conference("CONFERENCE1");
    record.number = Some(number("4711"));
    store.save_conference(&record).await.expect("saved");
    assert!(store.delete_conference(&record.id).await.expect("deleted"));
    assert!(!store.delete_conference(&record.id).await.expect("deleted again"));
    store.close().await;

    let store = reopen(&directory).await;
    assert_eq!(store.load_all().await.expect("read"), []);
    assert_eq!(store.numbers().await.expect("read"), [number("4711")]);
    let mut other = small_conference("CONFERENCE2");
    other.number = Some(number("4711"));
    let error = store.save_conference(&other).await.expect_err("taken");
    assert!(matches!(&error, StoreError::NumberTaken { number } if number == "4711"), "{error}");
    assert_eq!(store.conference(&other.id).await.expect("read"), None, "half a save was written");
    store.save_conference(&record).await.expect("the first owner may have it again");
}

#[tokio::test]
async fn a_number_given_up_by_a_change_stays_taken() {
    let (store, _directory) = open().await;
    let mut record = small_conference("CONFERENCE1");
    for text in ["10", "9"] {
        record.number = Some(number(text));
        store.save_conference(&record).await.expect("saved");
    }
    assert_eq!(store.numbers().await.expect("read"), [number("10"), number("9")]);
    let mut other = small_conference("CONFERENCE2");
    other.number = Some(number("10"));
    assert!(matches!(store.save_conference(&other).await, Err(StoreError::NumberTaken { .. })));
}

#[tokio::test]
async fn an_older_version_does_not_replace_a_newer_one() {
    let (store, _directory) = open().await;
    let mut record = small_conference("CONFERENCE1");
    record.version = 7;
    store.save_conference(&record).await.expect("saved");
    store.save_conference(&record).await.expect("the same version again is no conflict");
    let older = store::ConferenceRecord { version: 6, number: Some(number("5")), ..record.clone() };
    let error = store.save_conference(&older).await.expect_err("older");
    assert!(matches!(&error, StoreError::Stale { stored: 7, .. }), "{error}");
    assert_eq!(store.load_all().await.expect("read"), [record]);
    assert_eq!(store.numbers().await.expect("read"), [], "a refused save took a number");
}

#[tokio::test]
async fn the_largest_version_is_newer_than_every_other() {
    let (store, _directory) = open().await;
    let mut record = small_conference("CONFERENCE1");
    record.version = u64::MAX;
    store.save_conference(&record).await.expect("saved");
    record.version = 1;
    assert!(matches!(store.save_conference(&record).await, Err(StoreError::Stale { stored: u64::MAX, .. })));
}

#[tokio::test]
async fn conferences_come_oldest_first() {
    let (store, _directory) = open().await;
    for (text, name, created) in
        [("CONFERENCE1", "ann", 30), ("CONFERENCE3", "bob", 10), ("CONFERENCE4", "ann", 20), ("CONFERENCE2", "ann", 20)]
    {
        let mut record = small_conference(text);
        record.organizer = user(name);
        record.created = created;
        store.save_conference(&record).await.expect("saved");
    }
    let ids = |records: Vec<store::ConferenceRecord>| -> Vec<String> {
        records.into_iter().map(|record| record.id.to_string()).collect()
    };
    let all = ids(store.load_all().await.expect("read"));
    assert_eq!(all, ["CONFERENCE3", "CONFERENCE2", "CONFERENCE4", "CONFERENCE1"]);
    let of_ann = ids(store.conferences_of(&user("ann")).await.expect("read"));
    assert_eq!(of_ann, ["CONFERENCE2", "CONFERENCE4", "CONFERENCE1"]);
    assert_eq!(store.conferences_of(&user("eve")).await.expect("read"), []);
}

#[tokio::test]
async fn conferences_beyond_their_bounds_are_refused() {
    let (store, _directory) = open().await;
    let long = |length: usize| "x".repeat(length);
    let (text, data) = (16 * 1024, 64 * 1024);
    type Change = fn(&mut store::ConferenceRecord, String);
    let cases: [(Change, usize); 5] = [
        (|record, text| record.subject = text, text),
        (|record, text| record.description = text, text),
        (|record, text| record.organizer_data = text, data),
        (|record, text| record.notification_data = text, data),
        (|record, text| record.pin = Some(base::Pii::new(text)), 64),
    ];
    for (number, (change, most)) in cases.into_iter().enumerate() {
        let mut record = small_conference("CONFERENCE1");
        change(&mut record, long(most));
        store.save_conference(&record).await.unwrap_or_else(|error| panic!("case {number}: {error}"));
        change(&mut record, long(most + 1));
        let refused = store.save_conference(&record).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "case {number}: {refused:?}");
    }
    let mut record = small_conference("CONFERENCE2");
    record.invited = vec![Invited { user: user("bob"), role: Role::Attendee }; 10_001];
    assert!(matches!(store.save_conference(&record).await, Err(StoreError::Invalid(_))));
}

#[tokio::test]
async fn every_field_of_a_call_detail_record_comes_back_after_a_restart() {
    let (store, directory) = open().await;
    let cdrs = [full_cdr(), small_cdr("small", 2)];
    assert_eq!(store.append_cdrs(&cdrs).await.expect("appended"), 2);
    store.close().await;
    let store = reopen(&directory).await;
    assert_eq!(store.cdrs_before(i64::MAX, 10).await.expect("read"), cdrs);
}

#[tokio::test]
async fn every_way_to_end_comes_back() {
    let (store, _directory) = open().await;
    let results = [TerminationResult::Completed, TerminationResult::Cancelled, TerminationResult::Failed];
    let mut cdrs = Vec::new();
    for result in results {
        for &reason in TerminationReason::ALL {
            let mut cdr = small_cdr(&format!("{result:?} {reason:?}"), 1_000 - i64::try_from(cdrs.len()).expect("few"));
            cdr.termination = Termination { result, reason };
            cdrs.push(cdr);
        }
    }
    assert_eq!(store.append_cdrs(&cdrs).await.expect("appended"), cdrs.len());
    assert_eq!(store.cdrs_before(i64::MAX, 1_000).await.expect("read"), cdrs);
}

#[tokio::test]
async fn a_segment_is_written_exactly_once() {
    let (store, _directory) = open().await;
    let first = small_cdr("one", 5);
    let second = store::Cdr { encrypted: true, ..first.clone() };
    assert_eq!(store.append_cdrs(&[first.clone(), second.clone()]).await.expect("appended"), 1);
    assert_eq!(store.append_cdrs(&[second, small_cdr("two", 6)]).await.expect("appended"), 1);
    assert_eq!(store.append_cdrs(&[]).await.expect("appended"), 0);
    assert_eq!(store.cdrs_before(i64::MAX, 10).await.expect("read"), [small_cdr("two", 6), first]);
}

#[tokio::test]
async fn call_detail_records_come_latest_first_before_a_time() {
    let (store, _directory) = open().await;
    let cdrs = [small_cdr("b", 20), small_cdr("a", 10), small_cdr("d", 20), small_cdr("c", 30)];
    store.append_cdrs(&cdrs).await.expect("appended");
    let mut seen = Vec::new();
    for (before, limit) in [(31, 10), (30, 10), (20, 10), (31, 2), (10, 10)] {
        let found = store.cdrs_before(before, limit).await.expect("read");
        seen.push(found.into_iter().map(|cdr| cdr.segment_id).collect::<String>());
    }
    assert_eq!(seen, ["cdba", "dba", "a", "cd", ""]);
}

#[tokio::test]
async fn an_answer_holds_1_to_1000_records() {
    let (store, _directory) = open().await;
    let cdrs: Vec<_> = (0..1_001).map(|number| small_cdr(&number.to_string(), number)).collect();
    assert_eq!(store.append_cdrs(&cdrs).await.expect("appended"), 1_001);
    for (limit, expected) in [(0, 1), (1, 1), (1_000, 1_000), (u32::MAX, 1_000)] {
        assert_eq!(store.cdrs_before(i64::MAX, limit).await.expect("read").len(), expected, "limit {limit}");
    }
}

#[tokio::test]
async fn invalid_call_detail_records_are_refused_with_their_company() {
    let (store, _directory) = open().await;
    let good = small_cdr("good", 5);
    for bad in [
        small_cdr("", 5),
        small_cdr(&"x".repeat(129), 5),
        small_cdr("ends before its answer", -1),
        store::Cdr { started: 1, ..small_cdr("is answered before its start", 5) },
        store::Cdr { sip_call_id: "x".repeat(1_025), ..small_cdr("long", 5) },
        store::Cdr { dialled: Some(base::Pii::new("1".repeat(1_025))), ..small_cdr("long", 5) },
    ] {
        let refused = store.append_cdrs(&[good.clone(), bad]).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
    assert_eq!(store.cdrs_before(i64::MAX, 10).await.expect("read"), []);
}

#[tokio::test]
async fn saves_from_many_sides_all_arrive() {
    let (store, _directory) = open().await;
    let writers: Vec<_> = (0..20)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let record = small_conference(&format!("CONFERENCE{writer}"));
                store.save_conference(&record).await.expect("saved");
                store.append_cdrs(&[small_cdr(&writer.to_string(), 1)]).await.expect("appended")
            })
        })
        .collect();
    for writer in writers {
        assert_eq!(writer.await.expect("no panic"), 1);
    }
    assert_eq!(store.load_all().await.expect("read").len(), 20);
    assert_eq!(store.cdrs_before(i64::MAX, 100).await.expect("read").len(), 20);
}
