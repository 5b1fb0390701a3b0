//! Rows to store: one of each with every field filled, and small ones.

#![allow(dead_code, reason = "each test program uses a part of them")]

use base::{AccessType, ConferenceId, ConferenceNumber, Pii, Role, Termination, TerminationReason, UserUri};
use store::{Cdr, CdrDirection, ConferenceRecord, EModel, Invited, Quality, Store};

pub(crate) fn id(text: &str) -> ConferenceId {
    ConferenceId::parse(text).expect("a conference id")
}

pub(crate) fn number(text: &str) -> ConferenceNumber {
    ConferenceNumber::parse(text).expect("a conference number")
}

pub(crate) fn user(name: &str) -> UserUri {
    UserUri::parse(&format!("sip:{name}@example.com")).expect("a user")
}

/// A conference with nothing in it that may be left out.
pub(crate) fn small_conference(id_text: &str) -> ConferenceRecord {
    ConferenceRecord {
        id: id(id_text),
        organizer: user("ann"),
        subject: String::new(),
        description: String::new(),
        access: AccessType::Open,
        pin: None,
        number: None,
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
        created: 1_000,
        updated: 1_000,
        used: 1_000,
    }
}

/// A conference with every field filled and no two alike.
pub(crate) fn full_conference() -> ConferenceRecord {
    ConferenceRecord {
        subject: "Zw\u{f6}lf B\u{f6}xk\u{e4}mpfer; DROP TABLE conferences; --'\"".to_owned(),
        description: "line\nline\0line".to_owned(),
        access: AccessType::Closed,
        pin: Some(Pii::new("004711")),
        number: Some(number("0815")),
        expiry: Some(-1),
        version: u64::MAX,
        invited: vec![
            Invited { user: user("bob"), role: Role::Presenter },
            Invited { user: user("ann"), role: Role::Organizer },
            Invited { user: user("eve"), role: Role::Attendee },
        ],
        locked: true,
        personal: true,
        lobby: true,
        phones_pass_lobby: true,
        promote_authenticated: true,
        organizer_data: "<o/>".repeat(16 * 1024),
        notification_data: "<n/>".to_owned(),
        created: i64::MIN,
        updated: i64::MAX,
        used: i64::MAX,
        ..small_conference("CaseMatters1")
    }
}

/// A record with nothing in it that may be left out.
pub(crate) fn small_cdr(segment_id: &str, ended: i64) -> Cdr {
    Cdr {
        segment_id: segment_id.to_owned(),
        conference: None,
        call: 0,
        sip_call_id: String::new(),
        direction: CdrDirection::Inbound,
        user: None,
        claimed: Some(user("caller")),
        requested_by: None,
        dialled: None,
        number: None,
        trunk: None,
        started: 0,
        answered: 0,
        ended,
        duration_ms: 0,
        termination: Termination::completed(TerminationReason::Departed),
        sip_status: None,
        codec: None,
        encrypted: false,
        quality: None,
        segment: None,
        outcome: None,
    }
}

/// A record with every field filled and no two alike.
pub(crate) fn full_cdr() -> Cdr {
    Cdr {
        segment_id: "S".repeat(128),
        conference: Some(id("CONFERENCE1")),
        call: u64::MAX,
        sip_call_id: "abc@127.0.0.1".to_owned(),
        direction: CdrDirection::Outbound,
        user: Some(user("bob")),
        claimed: None,
        requested_by: Some(user("ann")),
        dialled: Some(Pii::new("0800 123")),
        number: Some(Pii::new("+49800123")),
        trunk: Some("provider".to_owned()),
        started: 1,
        answered: 2,
        ended: 3,
        duration_ms: u64::MAX - 1,
        termination: Termination::failed(TerminationReason::MediaTimeout),
        sip_status: Some(503),
        codec: Some("opus".to_owned()),
        encrypted: true,
        quality: Some(Quality {
            received_packets: u64::MAX,
            sent_packets: 2,
            lost_packets: 3,
            late_packets: 4,
            concealed_frames: 5,
            jitter_us: Some(u32::MAX),
            buffer_delay_us: Some(61_000),
            buffer_delay_max_us: Some(120_000),
            round_trip_us: Some(7),
            mos_hundredths: Some(441),
            e_model: Some(EModel {
                r_default_tenths: 932,
                ie_tenths: 1,
                bpl_tenths: 251,
                ppl_hundredths: 300,
                burst_r_hundredths: u16::MAX,
            }),
            remote_loss_fraction: 255,
            one_way: true,
        }),
        segment: Some("talk".to_owned()),
        outcome: Some("answered".to_owned()),
    }
}

/// A store in a directory that lives as long as the guard.
pub(crate) async fn open() -> (Store, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = reopen(&directory).await;
    (store, directory)
}

/// The store of that directory, opened once more.
pub(crate) async fn reopen(directory: &tempfile::TempDir) -> Store {
    let path = directory.path().join("convoke.db");
    Store::open(path.to_str().expect("text")).await.expect("the store opens")
}
