//! Subscriptions and transfer, as the notifier.

use base::SubscriptionId;
use call::{Body, CallConfig, Input, NotifyState, Output};
use sip_api::{ClientFailure, Flow, Method, Request, Response, SipCommand, SipEvent, Transport};

use crate::support::solo::{Peer, Solo, completed, responses, sent, statuses};
use crate::support::{flow, seconds};

fn subscribe(peer: &mut Peer, expires: &str) -> Request {
    let mut request = peer.request(Method::Subscribe);
    request.headers.push("Event", "conference");
    request.headers.push("Expires", expires);
    request
}

fn notification(subscription: SubscriptionId, text: &str) -> Input {
    let body = Some(Body::new("application/conference-info+xml", text.to_owned()));
    Input::Notify { subscription, body, state: NotifyState::Active }
}

/// An accepted subscription.
fn subscribed(solo: &mut Solo, expires: &str) -> (SubscriptionId, Peer) {
    let mut peer = Peer::caller("watcher");
    let (_, outputs) = solo.request(subscribe(&mut peer, expires));
    let [Output::Subscribed { subscription, expires, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    let accept = Input::AcceptSubscription { subscription: *subscription, expires: *expires };
    let outputs = solo.input(accept);
    peer.our_tag = responses(&outputs)[0].1.to_tag();
    (*subscription, peer)
}

#[test]
fn a_subscription_is_granted_notified_refreshed_and_ended() {
    let mut solo = Solo::new();
    let (subscription, mut peer) = subscribed(&mut solo, "3600");
    let (transaction, notify) = sent(&solo.input(notification(subscription, "full")), &Method::Notify).remove(0);
    assert_eq!(notify.headers.get("Event"), Some("conference"));
    assert_eq!(notify.headers.get("Subscription-State"), Some("active;expires=3600"));
    assert_eq!(notify.uri.to_string(), "sip:peer@127.0.0.1:5070");
    solo.respond(transaction, Response::new(200));

    let (_, outputs) = solo.request(subscribe(&mut peer, "7200"));
    assert_eq!(responses(&outputs)[0].1.headers.get("Expires"), Some("3600"), "the longest granted");
    assert!(outputs.contains(&Output::SubscriptionRefreshed { subscription }));

    let (_, outputs) = solo.request(subscribe(&mut peer, "0"));
    assert_eq!(statuses(&outputs), [200]);
    let (_, last) = &sent(&outputs, &Method::Notify)[0];
    assert_eq!(last.headers.get("Subscription-State"), Some("terminated;reason=timeout"));
    assert!(outputs.contains(&Output::SubscriptionEnded { subscription }));
    assert_eq!(statuses(&solo.request(subscribe(&mut peer, "600")).1), [481]);
    solo.check_drained();
    assert_eq!(solo.calls.load().dialogs, 0);
}

#[test]
fn a_subscription_runs_out() {
    let mut solo = Solo::new();
    let (subscription, _) = subscribed(&mut solo, "600");
    assert!(solo.elapse(seconds(599)).is_empty());
    let outputs = solo.elapse(seconds(1));
    assert_eq!(sent(&outputs, &Method::Notify).len(), 1);
    assert!(outputs.contains(&Output::SubscriptionEnded { subscription }));
    solo.check_drained();
}

#[test]
fn a_fetch_gets_one_notification() {
    let mut solo = Solo::new();
    let (subscription, _) = subscribed(&mut solo, "0");
    let outputs = solo.input(notification(subscription, "full"));
    let (_, notify) = &sent(&outputs, &Method::Notify)[0];
    assert_eq!(notify.headers.get("Subscription-State"), Some("terminated;reason=timeout"));
    assert_eq!(&notify.body[..], b"full");
    assert!(outputs.contains(&Output::SubscriptionEnded { subscription }));
    solo.check_drained();
}

#[test]
fn bad_subscriptions_are_refused() {
    for (name, value, status) in
        [("Event", None, 489), ("Expires", Some("30"), 423), ("Expires", Some("soon"), 400), ("Contact", None, 400)]
    {
        let mut request = subscribe(&mut Peer::caller("w"), "3600");
        request.headers.remove(name);
        if let Some(value) = value {
            request.headers.push(name, value);
        }
        let mut solo = Solo::new();
        assert_eq!(statuses(&solo.request(request).1), [status], "{name} {value:?}");
        assert_eq!(solo.calls.load(), call::Load::default());
    }
}

#[test]
fn whoever_finds_the_table_of_subscriptions_full_is_told_when_to_come_again() {
    let mut solo = Solo::with(CallConfig { subscriptions: 0, ..CallConfig::default() });
    let (_, mut peer) = solo.joined("a");
    let refer = |peer: &mut Peer| {
        let mut request = peer.request(Method::Refer);
        request.headers.push("Refer-To", "<sip:cleo@example.com>");
        request
    };
    let mut inside = peer.request(Method::Subscribe);
    inside.headers.push("Event", "conference");
    for request in [subscribe(&mut Peer::caller("w"), "3600"), inside, refer(&mut peer), refer(&mut Peer::caller("r"))]
    {
        let method = request.method.clone();
        let (_, outputs) = solo.request(request);
        let (_, refused) = &responses(&outputs)[0];
        assert_eq!((refused.status, refused.headers.get("Retry-After")), (503, Some("10")), "{method}");
    }
}

#[test]
fn above_may_refuse_a_subscription_or_forget_it() {
    let mut solo = Solo::new();
    let (_, outputs) = solo.request(subscribe(&mut Peer::caller("v"), "3600"));
    let [Output::Subscribed { subscription, .. }] = outputs[..] else { panic!("{outputs:?}") };
    let reject = Input::RejectSubscription { subscription, status: 403, headers: Vec::new() };
    let outputs = solo.input(reject);
    assert_eq!((statuses(&outputs), outputs.len()), (vec![403], 1));

    solo.request(subscribe(&mut Peer::caller("w"), "3600"));
    assert_eq!(statuses(&solo.elapse(seconds(20))), [500]);
    assert_eq!(solo.calls.load(), call::Load::default());
}

#[test]
fn notifications_go_out_one_after_another() {
    let mut solo = Solo::new();
    let (subscription, _) = subscribed(&mut solo, "3600");
    let (first, _) = sent(&solo.input(notification(subscription, "1")), &Method::Notify).remove(0);
    assert!(solo.input(notification(subscription, "2")).is_empty());
    let outputs = solo.respond(first, Response::new(200));
    assert_eq!(&sent(&outputs, &Method::Notify)[0].1.body[..], b"2");
}

#[test]
fn a_subscriber_who_is_too_slow_is_given_the_full_state() {
    let mut solo = Solo::with(CallConfig { notifications_waiting: 2, ..CallConfig::default() });
    let (subscription, _) = subscribed(&mut solo, "3600");
    for text in ["under way", "2", "3"] {
        solo.input(notification(subscription, text));
    }
    let outputs = solo.input(notification(subscription, "too many"));
    assert_eq!(outputs, [Output::SubscriptionRefreshed { subscription }]);
}

#[test]
fn a_refused_notify_ends_the_subscription_if_the_subscriber_is_gone() {
    for (status, ends) in [(481, true), (489, true), (404, true), (408, true), (500, false), (503, false), (603, false)]
    {
        let mut solo = Solo::new();
        let (subscription, _) = subscribed(&mut solo, "3600");
        let (transaction, _) = sent(&solo.input(notification(subscription, "1")), &Method::Notify).remove(0);
        let outputs = solo.respond(transaction, Response::new(status));
        assert_eq!(outputs.contains(&Output::SubscriptionEnded { subscription }), ends, "{status}");
    }
}

#[test]
fn a_document_too_long_for_the_subscriber_ends_the_subscription_with_a_reason() {
    for (expires, refused) in [("3600", false), ("3600", true), ("0", false)] {
        let mut solo = Solo::new();
        let (subscription, _) = subscribed(&mut solo, expires);
        let (transaction, first) = sent(&solo.input(notification(subscription, "long")), &Method::Notify).remove(0);
        solo.input(notification(subscription, "waits"));
        let outputs = match refused {
            true => solo.respond(transaction, Response::new(513)),
            false => solo.sip(SipEvent::Failed { transaction, failure: ClientFailure::TooLong }),
        };
        let (transaction, last) = sent(&outputs, &Method::Notify).remove(0);
        let header = |name| last.headers.get(name).unwrap_or_default();
        assert_eq!(header("Subscription-State"), "terminated;reason=probation;retry-after=600");
        assert!(header("Reason").starts_with("SIP;cause=513;text="), "{}", header("Reason"));
        assert_eq!((last.body.len(), header("Content-Type"), header("Event")), (0, "", "conference"));
        assert!(last.cseq() > first.cseq());
        assert_eq!(outputs.contains(&Output::SubscriptionEnded { subscription }), expires != "0", "once only");
        let outputs = solo.sip(SipEvent::Failed { transaction, failure: ClientFailure::TooLong });
        assert!(sent(&outputs, &Method::Notify).is_empty(), "not for ever");
        solo.check_drained();
    }
}

#[test]
fn an_unknown_subscriber_is_challenged() {
    let mut solo = Solo::new();
    let (transaction, outputs) = solo.request(subscribe(&mut Peer::caller("v"), "3600"));
    let [Output::Subscribed { subscription, .. }] = outputs[..] else { panic!("{outputs:?}") };
    let outputs = solo.input(Input::RejectSubscription { subscription, status: 401, headers: Vec::new() });
    assert_eq!(outputs, [Output::Sip(SipCommand::Challenge { transaction })]);
    assert_eq!(solo.calls.load(), call::Load::default());
}

#[test]
fn a_transfer_is_reported_to_the_referrer() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    let mut request = peer.request(Method::Refer);
    request.headers.push("Refer-To", "<sip:carol@x?Replaces=1%3Bto-tag%3D2>");
    request.headers.push("Referred-By", "<sip:ann@example.com>");
    let (_, outputs) = solo.request(request);
    let [Output::Referred { leg: by, refer, refer_to, referred_by }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((*by, refer_to.uri.headers.as_deref()), (leg, Some("Replaces=1%3Bto-tag%3D2")));
    assert!(referred_by.is_some());
    let refer = *refer;

    let outputs = solo.input(Input::RespondRefer { refer, status: 202, headers: Vec::new() });
    assert_eq!(statuses(&outputs), [202]);
    let (transaction, notify) = sent(&outputs, &Method::Notify).remove(0);
    assert_eq!(&notify.body[..], b"SIP/2.0 100 Trying\r\n");
    assert_eq!(notify.headers.get("Content-Type"), Some("message/sipfrag;version=2.0"));
    assert_eq!(notify.headers.get("Event"), Some("refer"));
    assert!(solo.input(Input::ReferProgress { refer, status: 180 }).is_empty(), "one at a time");
    let outputs = solo.respond(transaction, Response::new(200));
    let (transaction, notify) = sent(&outputs, &Method::Notify).remove(0);
    assert_eq!(&notify.body[..], b"SIP/2.0 180 Ringing\r\n");
    solo.respond(transaction, Response::new(200));
    let outputs = solo.input(Input::ReferProgress { refer, status: 486 });
    let (_, notify) = &sent(&outputs, &Method::Notify)[0];
    assert_eq!(notify.headers.get("Subscription-State"), Some("terminated;reason=noresource"));
    assert_eq!(outputs.len(), 1);
    assert!(solo.input(Input::ReferProgress { refer, status: 200 }).is_empty(), "the last word was said");
    assert_eq!(solo.calls.leg_state(leg), Some("connected"));
}

#[test]
fn transfers_may_be_refused_unwatched_and_repeated() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    let mut refer = |solo: &mut Solo, extra: Option<(&str, &str)>| {
        let mut request = peer.request(Method::Refer);
        request.headers.push("Refer-To", "<sip:carol@x>");
        extra.into_iter().for_each(|(name, value)| request.headers.push(name, value));
        let (_, outputs) = solo.request(request);
        match outputs[..] {
            [Output::Referred { refer, .. }] => Ok(refer),
            _ => Err(statuses(&outputs)),
        }
    };
    let first = refer(&mut solo, None).expect("a transfer");
    assert_eq!(statuses(&solo.input(Input::RespondRefer { refer: first, status: 603, headers: Vec::new() })), [603]);

    let second = refer(&mut solo, Some(("Refer-Sub", "false"))).expect("a transfer");
    let outputs = solo.input(Input::RespondRefer { refer: second, status: 202, headers: Vec::new() });
    assert_eq!(responses(&outputs)[0].1.headers.get("Refer-Sub"), Some("false"));
    assert!(sent(&outputs, &Method::Notify).is_empty());
    assert!(solo.input(Input::ReferProgress { refer: second, status: 200 }).is_empty());

    let third = refer(&mut solo, None).expect("a transfer");
    let outputs = solo.input(Input::RespondRefer { refer: third, status: 202, headers: Vec::new() });
    assert_eq!(sent(&outputs, &Method::Notify)[0].1.headers.get("Event"), Some("refer;id=4"));

    assert_eq!(refer(&mut solo, Some(("Refer-To", "<sip:dave@x>"))), Err(vec![400]), "two targets");
    let termination = completed(base::TerminationReason::ConferenceEnded);
    solo.input(Input::HangUp { leg, reason: Vec::new(), termination });
    solo.check_drained();
}

#[test]
fn a_transfer_outside_any_dialog_has_a_dialog_of_its_own() {
    let mut solo = Solo::new();
    let mut peer = Peer::caller("a");
    let (_, outputs) = solo.request(peer.request(Method::Refer));
    assert_eq!(statuses(&outputs), [400], "without a target");
    let mut request = peer.request(Method::Refer);
    request.headers.push("Refer-To", "<sip:carol@x>");
    let (transaction, outputs) = solo.request(request.clone());
    let [Output::ReferredFromOutside { refer, request: sent_by, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(**sent_by, request);
    let outputs = solo.input(Input::ChallengeSubscription { subscription: *refer });
    assert_eq!(outputs, [Output::Sip(SipCommand::Challenge { transaction })]);

    let (_, outputs) = solo.request(request);
    let [Output::ReferredFromOutside { refer, .. }] = outputs[..] else { panic!("{outputs:?}") };
    let outputs = solo.input(Input::RespondRefer { refer, status: 202, headers: Vec::new() });
    let tag = responses(&outputs)[0].1.to_tag();
    let (transaction, notify) = sent(&outputs, &Method::Notify).remove(0);
    assert_eq!((notify.from_tag(), notify.headers.get("Event")), (tag, Some("refer")));
    solo.respond(transaction, Response::new(200));
    let outputs = solo.input(Input::ReferProgress { refer, status: 200 });
    let (transaction, _) = sent(&outputs, &Method::Notify).remove(0);
    solo.respond(transaction, Response::new(200));
    assert_eq!(solo.calls.load(), call::Load::default());
}

/// Documents of a subscriber who can do without answering, over this transport: the methods they came by.
fn told_over(transport: Transport) -> Vec<Request> {
    let mut solo = Solo::new();
    let mut peer = Peer::caller("watcher");
    let mut request = subscribe(&mut peer, "3600");
    request.headers.push("Supported", "ms-benotify, ms-piggyback-first-notify");
    let (_, outputs) = solo.request_over(request, Flow { transport, ..flow() }, None);
    let [Output::Subscribed { subscription, expires, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    let accepted = solo.input(Input::AcceptSubscription { subscription: *subscription, expires: *expires });
    let agreed = responses(&accepted)[0].1.headers.has_token("Supported", "ms-benotify");
    assert_eq!(agreed, transport != Transport::Udp);
    let mut outputs = Vec::new();
    for text in ["one", "two"] {
        outputs.extend(solo.input(notification(*subscription, text)));
    }
    let state = NotifyState::Terminated("noresource".to_owned());
    outputs.extend(solo.input(Input::Notify { subscription: *subscription, body: None, state }));
    let sent = outputs.into_iter().filter_map(|output| match output {
        Output::Sip(SipCommand::SendUnanswered { request, .. } | SipCommand::Send { request, .. }) => Some(request),
        _ => None,
    });
    let sent: Vec<Request> = sent.collect();
    if transport != Transport::Udp {
        assert_eq!((solo.calls.load().subscriptions, solo.calls.load().dialogs), (0, 0));
    }
    sent
}

#[test]
fn who_need_not_answer_is_told_everything_at_once_over_a_connection() {
    let told = told_over(Transport::Tcp);
    let lines: Vec<_> = told.iter().map(|request| request.headers.get("CSeq").unwrap_or_default()).collect();
    assert_eq!(lines, ["1 BENOTIFY", "2 BENOTIFY", "3 BENOTIFY"]);
    for request in &told {
        assert_eq!(request.method.as_str(), "BENOTIFY");
        assert!(request.headers.has_token("Proxy-Require", "ms-benotify"));
        assert!(request.headers.get("Contact").is_some() && request.headers.get("Event") == Some("conference"));
    }
    let last = told.last().and_then(|request| request.headers.get("Subscription-State"));
    assert_eq!(last, Some("terminated;reason=noresource"));
    let told: Vec<_> = told_over(Transport::Udp).iter().map(|request| request.method.clone()).collect();
    assert_eq!(told, [Method::Notify], "a lost datagram must be noticed, so each waits for the answer to the last");
}
