//! A response group's call as call detail records: one for the whole, and one for each part of it.

use base::{Pii, Termination, Timestamp, UserUri};
use engine::{GroupCallRecord, GroupLegRecord, GroupVisit};
use response_group::{Outcome, SegmentKind};
use store::{Cdr, CdrDirection};

use super::{codec_name, fitting, number, quality, segment_of_nobody};

/// A call, or a part of it.
struct Part {
    kind: &'static str,
    with: Option<UserUri>,
    /// Somebody talked with the caller.
    talked: bool,
    from: Timestamp,
    to: Timestamp,
    outcome: &'static str,
    termination: Termination,
}

/// The records of a call: the whole of it, then its parts in order, which follow one another without gaps. The figures of
/// the caller's leg stand in the first, those of any other leg in that of its first conversation.
pub(super) fn cdrs(call: &GroupCallRecord) -> Vec<Cdr> {
    let mut legs: Vec<&GroupLegRecord> = call.legs.iter().collect();
    let mut records = Vec::new();
    for (place, part) in std::iter::once(whole(call)).chain(parts(call)).enumerate() {
        let party = part.with.as_ref().filter(|_| part.talked);
        let own = |leg: &&GroupLegRecord| party.is_some() && leg.party.as_ref() == party;
        let callers = |leg: &&GroupLegRecord| place == 0 && leg.party.is_none();
        let leg = legs.iter().position(|leg| own(leg) || callers(leg)).map(|found| legs.remove(found));
        records.push(cdr(call, &part, place, leg));
    }
    records
}

fn whole(call: &GroupCallRecord) -> Part {
    let machine = &call.call;
    let to = call.onward.as_ref().map_or(machine.ended, |onward| onward.to);
    let (outcome, termination) = (outcome(&machine.outcome), call.termination);
    Part { kind: "call", with: None, talked: false, from: machine.arrived, to, outcome, termination }
}

fn parts(call: &GroupCallRecord) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for segment in &call.call.segments {
        let (kind, with) = match &segment.kind {
            SegmentKind::Greeting { .. } => ("greeting", None),
            SegmentKind::Queue { .. } => ("queue", None),
            SegmentKind::Talk { agent } => ("talk", Some(agent.clone())),
            SegmentKind::Forward { target } => ("forward", Some(target.clone())),
        };
        let talked = matches!(segment.kind, SegmentKind::Talk { .. });
        // Whoever talked was answered, also where the conversation was cut off.
        let cut_off = talked && matches!(segment.outcome, Outcome::Failed { .. });
        let outcome = if cut_off { "answered" } else { outcome(&segment.outcome) };
        let (from, to) = (segment.from, segment.to);
        parts.push(Part { kind, with, talked, from, to, outcome, termination: call.termination_of(segment) });
    }
    if let Some(onward) = &call.onward {
        let (from, to, termination) = (onward.from, onward.to, onward.termination);
        let with = Some(onward.with.clone());
        parts.push(Part { kind: "onward", with, talked: true, from, to, outcome: "answered", termination });
    }
    parts
}

/// The machine's times are the calendar's; the id is the same however often a journal is replayed, so that it is written
/// once. A part is as long as the caller was in it.
fn cdr(call: &GroupCallRecord, part: &Part, place: usize, leg: Option<&GroupLegRecord>) -> Cdr {
    let machine = &call.call;
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
        answered: millis(part.from),
        ended: millis(part.to),
        duration_ms: u64::try_from(part.to.since(part.from).as_millis()).unwrap_or(u64::MAX),
        codec: leg.map(|leg| codec_name(leg.codec).to_owned()),
        encrypted: leg.is_some_and(|leg| leg.encrypted),
        quality: leg.map(|leg| quality(&leg.statistics)),
        segment: Some(part.kind.to_owned()),
        outcome: Some(part.outcome.to_owned()),
        ..segment_of_nobody(part.termination)
    }
}

/// The record of a supervisor's call, or of one to a feature code.
pub(super) fn visit_cdr(visit: &GroupVisit, answered: Timestamp, leg: Option<&GroupLegRecord>) -> Cdr {
    let supervises = visit.errand.is_supervision();
    let termination = visit.termination.unwrap_or(Termination::failed(base::TerminationReason::McuLost));
    Cdr {
        segment_id: visit.id.clone(),
        call: visit.call.0,
        sip_call_id: fitting(Some(&visit.call_id)).unwrap_or_default().to_owned(),
        direction: if supervises { CdrDirection::Outbound } else { CdrDirection::Inbound },
        user: Some(visit.user.clone()),
        requested_by: Some(visit.user.clone()),
        dialled: Some(Pii::new(visit.with.as_str())),
        started: millis(visit.since),
        answered: millis(answered),
        ended: millis(visit.ended),
        duration_ms: u64::try_from(visit.ended.since(answered).as_millis()).unwrap_or(u64::MAX),
        codec: leg.map(|leg| codec_name(leg.codec).to_owned()),
        encrypted: leg.is_some_and(|leg| leg.encrypted),
        quality: leg.map(|leg| quality(&leg.statistics)),
        segment: Some(if supervises { "supervisor" } else { "feature-code" }.to_owned()),
        outcome: Some(visit.errand.as_str().to_owned()),
        ..segment_of_nobody(termination)
    }
}

fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_micros() / 1_000).unwrap_or(i64::MAX)
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
    use base::{CallId, TerminationReason, TerminationResult};
    use engine::Onward;
    use mcu_api::{Codec, LegStatistics};
    use response_group::{CallRecord, Failure, Segment};

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
    fn call(outcome: Outcome, parts: &[(SegmentKind, Outcome)]) -> GroupCallRecord {
        let at = |second: usize| Timestamp::from_millis(1_000_000 + 1_000 * second as u64);
        let segment = |(place, (kind, outcome)): (usize, &(SegmentKind, Outcome))| Segment {
            kind: kind.clone(),
            from: at(place),
            to: at(place + 1),
            outcome: outcome.clone(),
        };
        GroupCallRecord {
            call: CallRecord {
                call: CallId(7),
                reference: "callers".to_owned(),
                group: user("sales"),
                caller: "sip:ann@example.com".to_owned(),
                arrived: at(0),
                ended: at(parts.len()),
                outcome,
                segments: parts.iter().enumerate().map(segment).collect(),
            },
            onward: None,
            legs: Vec::new(),
            refusals: Vec::new(),
            left: None,
            termination: Termination::failed(TerminationReason::Busy),
        }
    }

    /// Part, length, outcome, result and reason of each record.
    fn table(call: &GroupCallRecord) -> Vec<String> {
        let line = |row: Cdr| {
            let Termination { result, reason } = row.termination;
            let (segment, outcome) = (row.segment.unwrap_or_default(), row.outcome.unwrap_or_default());
            format!("{segment} {} {outcome} {result:?} {}", row.duration_ms, reason.as_str())
        };
        cdrs(call).into_iter().map(line).collect()
    }

    fn queue() -> SegmentKind {
        SegmentKind::Queue { group: user("sales") }
    }

    fn talk() -> SegmentKind {
        SegmentKind::Talk { agent: user("bob") }
    }

    #[test]
    fn the_first_record_is_the_whole_and_each_leg_has_its_own() {
        let legs = vec![leg(None, 10), leg(Some(user("bob")), 20)];
        let parts = [(queue(), Outcome::Answered), (talk(), Outcome::Answered)];
        let rows = cdrs(&GroupCallRecord { legs, ..call(Outcome::Answered, &parts) });
        let kinds: Vec<_> = rows.iter().filter_map(|row| row.segment.as_deref()).collect();
        assert_eq!(kinds, ["call", "queue", "talk"]);
        let figures: Vec<_> = rows.iter().map(|row| Some(row.quality?.received_packets)).collect();
        assert_eq!(figures, [Some(10), None, Some(20)], "the caller's figures are those of the whole call");
        assert_eq!((rows[0].sip_call_id.as_str(), rows[2].sip_call_id.as_str()), ("id-10", "id-20"));
        assert_eq!(rows[0].trunk.as_deref(), Some("carrier"));
        assert_eq!((rows[2].codec.as_deref(), rows[2].encrypted), (Some("opus"), true));
        assert_eq!(rows[1..].iter().map(|row| row.duration_ms).sum::<u64>(), rows[0].duration_ms);
        assert!(rows.iter().all(|row| row.answered < row.ended));
    }

    #[test]
    fn each_part_says_how_it_ended() {
        let (timed_out, forward) = (Outcome::TimedOut { target: None }, SegmentKind::Forward { target: user("frank") });
        let refused = Outcome::Failed { why: Failure::ForwardFailed };
        let parts = [(queue(), timed_out), (forward, refused.clone())];
        let refusals = vec![(Timestamp::from_millis(1_002_000), TerminationReason::Busy)];
        let sent_on_in_vain = GroupCallRecord { refusals, ..call(refused, &parts) };
        assert_eq!(
            table(&sent_on_in_vain),
            [
                "call 2000 failed Failed busy",
                "queue 1000 timed-out Failed no-answer",
                "forward 1000 failed Failed busy"
            ]
        );
        let stopping = Outcome::Failed { why: Failure::Stopping };
        let cut_off = call(Outcome::Answered, &[(talk(), Outcome::Transferred { target: None }), (talk(), stopping)]);
        assert_eq!(
            table(&cut_off)[1..],
            ["talk 1000 transferred Completed departed", "talk 1000 answered Completed server-stopping"]
        );
        let exit = Outcome::ChoseExit { target: None };
        assert_eq!(table(&call(exit.clone(), &[(queue(), exit)]))[1..], ["queue 1000 chose-exit Cancelled departed"]);
        // Who gives up waiting does so with BYE, with CANCEL, or is cut off.
        let gives_up = call(Outcome::Abandoned, &[(queue(), Outcome::Abandoned)]);
        for (left, reason) in [
            (Some(TerminationReason::Departed), "departed"),
            (Some(TerminationReason::MediaTimeout), "media-timeout"),
            (None, "request-cancelled"),
        ] {
            let rows = table(&GroupCallRecord { left, ..gives_up.clone() });
            assert_eq!(rows[1..], [format!("queue 1000 abandoned Cancelled {reason}")]);
        }
    }

    #[test]
    fn the_talk_after_a_forward_to_the_telephone_network_has_its_record() {
        let forward = SegmentKind::Forward { target: user("frank") };
        let number = UserUri::parse("tel:+4930123456").expect("valid");
        let onward = Onward {
            with: number.clone(),
            from: Timestamp::from_millis(1_001_000),
            to: Timestamp::from_millis(1_004_000),
            termination: Termination::completed(TerminationReason::Departed),
        };
        let call = GroupCallRecord {
            onward: Some(onward),
            legs: vec![leg(Some(number.clone()), 30)],
            ..call(Outcome::TimedOut { target: Some(user("frank")) }, &[(forward, Outcome::Answered)])
        };
        let rows = cdrs(&call);
        let onward = &rows[2];
        assert_eq!((onward.segment.as_deref(), onward.duration_ms), (Some("onward"), 3_000));
        assert_eq!(
            (onward.user.as_ref(), onward.quality.map(|quality| quality.received_packets)),
            (Some(&number), Some(30))
        );
        assert_eq!(onward.number.as_ref().map(Pii::expose), Some("+4930123456"));
        assert_eq!(onward.termination.result, TerminationResult::Completed);
        assert_eq!((rows[0].duration_ms, rows[1].duration_ms), (4_000, 1_000));
    }

    #[test]
    fn a_call_without_any_part_leaves_a_record_with_its_outcome() {
        assert_eq!(table(&call(Outcome::Overflowed { target: None }, &[])), ["call 0 overflowed Failed busy"]);
    }
}
