//! Who may speak inside a dialog: its peer, and nobody who only knows Call-ID and tags (reliability.md A3).

use std::net::SocketAddr;

use base::UserUri;
use call::{CallConfig, Input, Output, RingMode};
use sip_api::{Binding, Flow, Method, Request, SipCommand, SipEvent, Transport};

use crate::support::solo::{Peer, Solo, ends, response, responses, statuses};
use crate::support::{flow, sdp, uri};

const ANN: &str = "sip:ann@example.com";
const EVE: &str = "sip:eve@example.com";

/// The flow of the tests' peer from another place.
fn from(remote: &str) -> Flow {
    Flow { remote: remote.parse().expect("an address"), ..flow() }
}

fn elsewhere() -> [Flow; 3] {
    let here: SocketAddr = flow().remote;
    [from("127.0.0.1:5071"), from("127.0.0.2:5070"), Flow { transport: Transport::Tcp, remote: here, ..flow() }]
}

fn joined_by(solo: &mut Solo, user: Option<&str>) -> (base::LegId, Peer) {
    let mut peer = Peer::caller("a");
    let invite = peer.request(Method::Invite).with_body("application/sdp", "offer");
    let (_, outputs) = solo.request_by(invite, user);
    let [Output::Incoming { leg, .. }] = outputs[..] else { panic!("{outputs:?}") };
    let outputs = solo.input(Input::Accept { leg, body: Some(sdp("answer")), headers: Vec::new() });
    peer.our_tag = responses(&outputs)[0].1.to_tag();
    solo.ack(&peer);
    (leg, peer)
}

/// What becomes of a request: `None` when it is challenged, else the status of its answer.
fn verdict(outputs: &[Output]) -> Option<u16> {
    let challenged = outputs.iter().any(|output| matches!(output, Output::Sip(SipCommand::Challenge { .. })));
    match statuses(outputs)[..] {
        [] if challenged => None,
        [status] if !challenged => Some(status),
        _ => panic!("one answer, not {outputs:?}"),
    }
}

fn ask(solo: &mut Solo, request: Request, flow: Flow, user: Option<&str>) -> Option<u16> {
    verdict(&solo.request_over(request, flow, user).1)
}

#[test]
fn a_user_who_speaks_from_another_place_is_challenged_and_nothing_of_it_counts() {
    let mut solo = Solo::new();
    let (leg, mut peer) = joined_by(&mut solo, Some(ANN));
    for flow in elsewhere() {
        for method in [Method::Bye, Method::Invite, Method::Update, Method::Info, Method::Refer, Method::Options] {
            let forged = peer.numbered(method, 4_000).with_body("application/sdp", "v=0 my media");
            assert_eq!(ask(&mut solo, forged, flow, None), None, "{flow:?}");
        }
        let reinvite = peer.numbered(Method::Invite, 4_000).with_body("application/sdp", "v=0 my media");
        assert_eq!(ask(&mut solo, reinvite, flow, Some(EVE)), Some(403));
    }
    assert_eq!(solo.calls.leg_state(leg), Some("connected"));
    // A number of a stranger's request does not make the peer's own an old one.
    assert_eq!(ask(&mut solo, peer.request(Method::Options), flow(), None), Some(200));
}

#[test]
fn a_user_who_proves_himself_goes_on_from_his_new_place() {
    let mut solo = Solo::new();
    let (leg, mut peer) = joined_by(&mut solo, Some(ANN));
    let new = from("192.0.2.77:40000");
    assert_eq!(ask(&mut solo, peer.request(Method::Options), new, None), None);
    assert_eq!(ask(&mut solo, peer.request(Method::Options), new, Some(ANN)), Some(200));
    assert_eq!(ask(&mut solo, peer.request(Method::Options), new, None), Some(200), "he is known there now");
    let outputs = solo.input(Input::Reoffer { leg, body: sdp("new") });
    let to_new = |output: &Output| matches!(output, Output::Sip(SipCommand::Send { flow: Some(to), .. }) if *to == new);
    assert!(outputs.iter().any(to_new), "{outputs:?}");
    assert_eq!(ask(&mut solo, peer.request(Method::Bye), flow(), None), None, "and no more at the old one");
    assert_eq!(ask(&mut solo, peer.request(Method::Bye), new, None), Some(200));
}

#[test]
fn a_user_may_speak_by_the_way_his_device_is_registered() {
    let mut solo = Solo::new();
    let (_, mut peer) = joined_by(&mut solo, Some(ANN));
    let device = from("192.0.2.77:40000");
    let user = UserUri::parse(ANN).expect("valid");
    let binding =
        Binding { contact: uri("sip:ann@10.0.0.1"), path: Vec::new(), flow: device, instance: None, preference: 1_000 };
    solo.sip(SipEvent::BindingsChanged { user: user.clone(), bindings: vec![binding] });
    assert_eq!(ask(&mut solo, peer.request(Method::Options), device, None), Some(200));
    solo.sip(SipEvent::BindingsChanged { user, bindings: Vec::new() });
    let (_, mut other) = solo.joined("b");
    assert_eq!(ask(&mut solo, other.request(Method::Options), device, None), Some(403), "it is ann's, not a guest's");
}

#[test]
fn a_called_device_that_moves_is_challenged_in_the_name_of_its_owner() {
    let mut solo = Solo::new();
    let owner = UserUri::parse(ANN).expect("valid");
    let (_, legs, invites) = solo.dialled(1, RingMode::Parallel, |dial| dial.legs[0].1.owner = Some(owner));
    let (transaction, invite) = &invites[0];
    let mut peer = Peer::callee(invite, "b");
    solo.respond(*transaction, response(invite, 180, "b"));
    assert_eq!(ask(&mut solo, peer.request(Method::Bye), from("127.0.0.9:5070"), None), None, "while it rings");
    solo.respond(*transaction, response(invite, 200, "b").with_body("application/sdp", "answer"));
    let new = from("127.0.0.9:5070");
    assert_eq!(ask(&mut solo, peer.request(Method::Bye), new, None), None);
    assert_eq!(ask(&mut solo, peer.request(Method::Bye), new, Some(EVE)), Some(403));
    let (_, outputs) = solo.request_over(peer.request(Method::Bye), new, Some(ANN));
    assert_eq!((statuses(&outputs), ends(&outputs)[0].0), (vec![200], legs[0]));
}

#[test]
fn a_guest_is_known_by_his_address_whatever_the_port() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    assert_eq!(ask(&mut solo, peer.request(Method::Bye), from("127.0.0.2:5070"), None), Some(403));
    assert_eq!(ask(&mut solo, peer.request(Method::Invite), from("127.0.0.2:5070"), Some(ANN)), Some(403));
    assert_eq!(solo.calls.leg_state(leg), Some("connected"));
    assert_eq!(
        ask(&mut solo, peer.request(Method::Options), from("127.0.0.1:9999"), None),
        Some(200),
        "a rebinding NAT"
    );
    assert_eq!(ask(&mut solo, peer.request(Method::Bye), flow(), None), Some(200));
}

#[test]
fn a_trusted_trunk_may_speak_from_each_of_its_addresses() {
    let trusted_peers = vec!["192.0.2.1".parse().expect("an address")];
    let mut solo = Solo::with(CallConfig { trusted_peers, ..CallConfig::default() });
    let (_, mut peer, _) = solo.answered(|response| response);
    assert_eq!(ask(&mut solo, peer.request(Method::Options), from("192.0.2.2:5060"), None), Some(403));
    assert_eq!(ask(&mut solo, peer.request(Method::Bye), from("192.0.2.1:5060"), None), Some(200));
}

#[test]
fn a_callee_found_by_name_may_speak_from_the_address_of_his_contact() {
    let mut solo = Solo::new();
    let (_, _, invites) = solo.dialled(1, RingMode::Parallel, |dial| dial.legs[0].1.flow = None);
    let (transaction, invite) = &invites[0];
    let mut answer = response(invite, 200, "b").with_body("application/sdp", "answer");
    answer.headers.set("Contact", "<sip:b@192.0.2.8>");
    solo.respond(*transaction, answer);
    let mut peer = Peer::callee(invite, "b");
    assert_eq!(ask(&mut solo, peer.request(Method::Options), from("192.0.2.9:5060"), None), Some(403));
    assert_eq!(ask(&mut solo, peer.request(Method::Options), from("192.0.2.8:5060"), None), Some(200));
}

#[test]
fn a_dialog_of_an_earlier_process_is_still_its_peers() {
    let mut solo = Solo::new();
    let (leg, _) = joined_by(&mut solo, Some(ANN));
    let record = Box::new(solo.calls.dialog_record(leg).expect("connected"));
    for (user, stranger) in [(Some(ANN), None), (None, Some(403))] {
        let mut next = Solo::new();
        let leg = next.calls.allocate_leg();
        let mut record = record.clone();
        record.user = user.map(|user| UserUri::parse(user).expect("valid"));
        next.input(Input::Restore { leg, record: record.clone() });
        let mut peer = Peer::caller("a");
        peer.our_tag = Some(record.names.local_tag.clone());
        peer.cseq = 10;
        assert_eq!(ask(&mut next, peer.request(Method::Options), from("127.0.0.2:5070"), None), stranger);
        assert_eq!(ask(&mut next, peer.request(Method::Options), flow(), None), Some(200));
    }
    // What an earlier version wrote down lacks where he spoke from; the way to him is as good.
    let mut old = serde_json::to_value(&record).expect("written");
    old.as_object_mut().expect("an object").retain(|key, _| key != "source" && key != "user");
    let record = serde_json::from_value(old).expect("read");
    let mut next = Solo::new();
    let leg = next.calls.allocate_leg();
    next.input(Input::Restore { leg, record: Box::new(record) });
    let our_tag = next.calls.dialog_names(leg).map(|names| names.local_tag);
    let mut peer = Peer { our_tag, ..Peer::caller("a") };
    assert_eq!(ask(&mut next, peer.request(Method::Options), from("127.0.0.2:5070"), None), Some(403));
    assert_eq!(ask(&mut next, peer.request(Method::Options), flow(), None), Some(200));
}

#[test]
fn a_subscriber_who_moved_is_challenged_too() {
    let mut solo = Solo::new();
    let mut peer = Peer::caller("s");
    let subscribe = |peer: &mut Peer| {
        let mut request = peer.request(Method::Subscribe);
        request.headers.push("Event", "conference");
        request.headers.push("Expires", "600");
        request
    };
    let (_, outputs) = solo.request_by(subscribe(&mut peer), Some(ANN));
    let [Output::Subscribed { subscription, .. }] = outputs[..] else { panic!("{outputs:?}") };
    let outputs = solo.input(Input::AcceptSubscription { subscription, expires: crate::support::seconds(600) });
    peer.our_tag = responses(&outputs)[0].1.to_tag();
    assert_eq!(ask(&mut solo, subscribe(&mut peer), from("127.0.0.2:5070"), None), None);
    assert_eq!(ask(&mut solo, subscribe(&mut peer), from("127.0.0.2:5070"), Some(ANN)), Some(200));
}
