//! Registered devices: what comes back, and what goes.

mod samples;

use samples::*;
use store::RegistrationRow;

fn device(contact: &str, expires: i64) -> RegistrationRow {
    RegistrationRow {
        contact: contact.to_owned(),
        path: "<sip:proxy;lr>".to_owned(),
        transport: "udp".to_owned(),
        local: "127.0.0.1:5060".to_owned(),
        remote: "[::1]:5070".to_owned(),
        instance: Some("<urn:uuid:1>".to_owned()),
        preference: 700,
        call_id: "c".to_owned(),
        cseq: u32::MAX,
        expires,
    }
}

#[tokio::test]
async fn a_users_devices_are_replaced_as_a_whole_and_expire() {
    let (store, directory) = open().await;
    let (ann, bob) = (user("ann"), user("bob"));
    let without = RegistrationRow { instance: None, ..device("sip:ann@b", 200) };
    let first =
        [(ann.clone(), vec![device("sip:ann@a", 100), without.clone()]), (bob.clone(), vec![device("sip:bob@a", 300)])];
    store.save_registrations(&first).await.expect("saved");
    store.close().await;
    let store = reopen(&directory).await;
    let rows = store.registrations(99).await.expect("read");
    let expected = [(&ann, &first[0].1[0]), (&ann, &without), (&bob, &first[1].1[0])];
    assert_eq!(rows.iter().map(|(user, row)| (user, row)).collect::<Vec<_>>(), expected);
    assert_eq!(store.registrations(100).await.expect("read").len(), 2, "one has expired");
    assert_eq!(store.registrations(0).await.expect("read").len(), 2, "and is deleted");
    let long = device(&"x".repeat(9_000), 999);
    store.save_registrations(&[(bob.clone(), vec![long]), (ann.clone(), Vec::new())]).await.expect("saved");
    let rows = store.registrations(0).await.expect("read");
    assert_eq!(rows, [(bob, device("sip:bob@a", 300))], "ann is gone, bob has what he had");
}
