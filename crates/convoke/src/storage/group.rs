//! A response group's call as call detail records: one for each part of it.

use base::{Pii, Termination, TerminationReason, Timestamp, UserUri};
use engine::{GroupCallRecord, GroupLegRecord};
use response_group::{Outcome, SegmentKind};
use store::{Cdr, CdrDirection};

use super::{codec_name, number, quality, segment_of_nobody};

/// A part of a call.
struct Part {
    kind: &'static str,
    with: Option<UserUri>,
    /// Somebody talked with the caller.
    talked: bool,
    from: Timestamp,
    to: Timestamp,
}

/// The records of a call, in order; one that had no parts leaves one all the same. The figures of the caller's leg stand
/// in the first record, those of any other leg in that of its first conversation.
pub(super) fn cdrs(call: &GroupCallRecord) -> Vec<Cdr> {
    let parts = parts(call);
    let mut legs: Vec<&GroupLegRecord> = call.legs.iter().collect();
    let last = parts.len() - 1;
    let mut records = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let party = part.with.as_ref().filter(|_| part.talked);
        let own = |leg: &&GroupLegRecord| party.is_some() && leg.party.as_ref() == party;
        let callers = |leg: &&GroupLegRecord| place == 0 && party.is_none() && leg.party.is_none();
        let leg = legs.iter().position(|leg| own(leg) || callers(leg)).map(|found| legs.remove(found));
        // What another part followed was no end.
        let in_order = part.talked || place < last;
        let termination = if in_order { Termination::completed(TerminationReason::Departed) } else { call.termination };
        records.push(cdr(call, part, place, leg, termination));
    }
    records
}

fn parts(call: &GroupCallRecord) -> Vec<Part> {
    let machine = &call.call;
    let mut parts: Vec<Part> = Vec::new();
    for segment in &machine.segments {
        let (kind, with, talked) = match &segment.kind {
            SegmentKind::Greeting { .. } => ("greeting", None, false),
            SegmentKind::Queue { .. } => ("queue", None, false),
            SegmentKind::Talk { agent } => ("talk", Some(agent.clone()), true),
            SegmentKind::Forward { target } => ("forward", Some(target.clone()), false),
        };
        parts.push(Part { kind, with, talked, from: segment.from, to: segment.to });
    }
    if let Some(onward) = &call.onward {
        parts.push(Part {
            kind: "onward",
            with: Some(onward.with.clone()),
            talked: true,
            from: onward.from,
            to: onward.to,
        });
    }
    if parts.is_empty() {
        parts.push(Part { kind: "none", with: None, talked: false, from: machine.arrived, to: machine.ended });
    }
    parts
}

/// The machine's times are the calendar's; the id is the same however often a journal is replayed, so that it is written
/// once. What nobody answered has no talking time.
fn cdr(
    call: &GroupCallRecord,
    part: &Part,
    place: usize,
    leg: Option<&GroupLegRecord>,
    termination: Termination,
) -> Cdr {
    let machine = &call.call;
    let millis = |at: Timestamp| i64::try_from(at.as_micros() / 1_000).unwrap_or(i64::MAX);
    let talked_ms = if part.talked { part.to.since(part.from).as_millis() } else { 0 };
    Cdr {
        segment_id: format!("group-{}-{}-{place}-{}", machine.arrived.as_micros(), machine.call, part.kind),
        call: machine.call.0,
        sip_call_id: leg.map_or(&machine.reference, |leg| &leg.call_id).clone(),
        direction: if part.talked { CdrDirection::Outbound } else { CdrDirection::Inbound },
        user: part.with.clone(),
        requested_by: UserUri::parse(&machine.caller).ok(),
        trunk: leg.and_then(|leg| leg.trunk.clone()),
        dialled: Some(Pii::new(machine.group.as_str())),
        number: part.with.as_ref().and_then(number),
        started: millis(part.from),
        answered: millis(if part.talked { part.from } else { part.to }),
        ended: millis(part.to),
        duration_ms: u64::try_from(talked_ms).unwrap_or(u64::MAX),
        codec: leg.map(|leg| codec_name(leg.codec).to_owned()),
        encrypted: leg.is_some_and(|leg| leg.encrypted),
        quality: leg.map(|leg| quality(&leg.statistics)).unwrap_or_default(),
        segment: Some(part.kind.to_owned()),
        outcome: Some(outcome(&machine.outcome).to_owned()),
        ..segment_of_nobody(termination)
    }
}

const fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Answered => "answered",
        Outcome::Abandoned => "abandoned",
        Outcome::Overflowed { .. } => "overflowed",
        Outcome::TimedOut { .. } => "timed-out",
        Outcome::NoAgent { .. } => "no-agent",
        Outcome::Closed { .. } => "closed",
        Outcome::ChoseExit { .. } => "chose-exit",
        Outcome::Transferred { .. } => "transferred",
        Outcome::Rejected { .. } => "rejected",
        Outcome::Failed { .. } => "failed",
    }
}

#[cfg(test)]
mod tests {
    use base::{CallId, TerminationResult};
    use engine::Onward;
    use mcu_api::{Codec, LegStatistics};
    use response_group::{CallRecord, Segment};

    use super::*;

    fn user(name: &str) -> UserUri {
        UserUri::parse(&format!("sip:{name}@example.com")).expect("valid")
    }

    fn leg(party: Option<UserUri>, received_packets: u64) -> GroupLegRecord {
        let statistics = LegStatistics { received_packets, ..LegStatistics::default() };
        let call_id = format!("id-{received_packets}");
        let trunk = party.is_none().then(|| "carrier".to_owned());
        GroupLegRecord { party, call_id, trunk, codec: Codec::Opus, encrypted: true, statistics }
    }

    /// A call whose parts follow one another, each of one second.
    fn call(outcome: Outcome, kinds: &[SegmentKind]) -> GroupCallRecord {
        let at = |second: usize| Timestamp::from_millis(1_000_000 + 1_000 * second as u64);
        let segment =
            |(place, kind): (usize, &SegmentKind)| Segment { kind: kind.clone(), from: at(place), to: at(place + 1) };
        GroupCallRecord {
            call: CallRecord {
                call: CallId(7),
                reference: "callers".to_owned(),
                group: user("sales"),
                caller: "sip:ann@example.com".to_owned(),
                arrived: at(0),
                ended: at(kinds.len()),
                outcome,
                segments: kinds.iter().enumerate().map(segment).collect(),
            },
            onward: None,
            legs: Vec::new(),
            termination: Termination::failed(TerminationReason::Busy),
        }
    }

    #[test]
    fn a_call_is_told_part_by_part_and_only_talking_counts_as_answered() {
        let queue = SegmentKind::Queue { group: user("sales") };
        let bob = SegmentKind::Talk { agent: user("bob") };
        let legs = vec![leg(None, 10), leg(Some(user("bob")), 20)];
        let call = GroupCallRecord {
            legs,
            termination: Termination::completed(TerminationReason::Departed),
            ..call(Outcome::Answered, &[queue, bob])
        };
        let rows = cdrs(&call);
        let of = |row: &Cdr| (row.segment.clone().unwrap_or_default(), row.duration_ms, row.answered == row.ended);
        assert_eq!(
            rows.iter().map(of).collect::<Vec<_>>(),
            [("queue".to_owned(), 0, true), ("talk".to_owned(), 1_000, false)]
        );
        assert_eq!((rows[0].sip_call_id.as_str(), rows[0].trunk.as_deref()), ("id-10", Some("carrier")));
        assert_eq!((rows[1].sip_call_id.as_str(), rows[1].quality.received_packets), ("id-20", 20));
        assert_eq!((rows[1].codec.as_deref(), rows[1].encrypted), (Some("opus"), true));
        assert!(rows.iter().all(|row| row.outcome.as_deref() == Some("answered")));
    }

    #[test]
    fn the_talk_after_a_forward_to_the_telephone_network_has_its_record() {
        let forward = SegmentKind::Forward { target: user("frank") };
        let number = UserUri::parse("tel:+4930123456").expect("valid");
        let onward = Onward {
            with: number.clone(),
            from: Timestamp::from_millis(1_001_000),
            to: Timestamp::from_millis(1_004_000),
        };
        let call = GroupCallRecord {
            onward: Some(onward),
            legs: vec![leg(Some(number.clone()), 30)],
            ..call(Outcome::TimedOut { target: Some(user("frank")) }, &[forward])
        };
        let rows = cdrs(&call);
        let onward = &rows[1];
        assert_eq!((onward.segment.as_deref(), onward.duration_ms), (Some("onward"), 3_000));
        assert_eq!((onward.user.as_ref(), onward.quality.received_packets), (Some(&number), 30));
        assert_eq!(onward.number.as_ref().map(Pii::expose), Some("+4930123456"));
        assert_eq!(onward.termination.result, TerminationResult::Completed);
        assert_eq!(rows[0].duration_ms, 0, "ringing is not talking");
    }

    #[test]
    fn a_call_without_any_part_leaves_a_record_with_its_outcome() {
        let rows = cdrs(&call(Outcome::Overflowed { target: None }, &[]));
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].segment.as_deref(), rows[0].outcome.as_deref()), (Some("none"), Some("overflowed")));
        assert_eq!(rows[0].termination, Termination::failed(TerminationReason::Busy));
        assert_eq!((rows[0].duration_ms, rows[0].sip_call_id.as_str()), (0, "callers"));
    }
}
