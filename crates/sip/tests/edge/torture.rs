//! The 61 messages of RFC 4475 and RFC 5118 over UDP and TCP, as a user agent server must answer them.
//!
//! Misses: none. Where an RFC leaves the choice, the strict answer was taken, except for `baddate` (a Date nobody uses is
//! no reason to lose a call) and the three colons of RFC 5118 4.10 (both forms are to be accepted).

use std::path::PathBuf;

use sip::DropReason;
use sip_api::{Response, SipCommand, SipEvent};

use crate::support::{World, request};
use Expected::{Drop, Event, Status};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// The control side is told, and its 200 comes back.
    Event,
    /// The edge answers by itself.
    Status(u16),
    /// There is no answer, and it is counted.
    Drop(DropReason),
}

/// What comes of each message over UDP.
const TABLE: &[(&str, Expected)] = &[
    ("rfc4475/badaspec", Status(400)),
    ("rfc4475/badbranch", Status(400)),
    ("rfc4475/baddate", Event),
    ("rfc4475/baddn", Status(400)),
    ("rfc4475/badinv01", Status(400)),
    ("rfc4475/badvers", Status(505)),
    ("rfc4475/bcast", Drop(DropReason::UnmatchedResponse)),
    ("rfc4475/bext01", Status(420)),
    ("rfc4475/bigcode", Drop(DropReason::MalformedResponse)),
    ("rfc4475/clerr", Status(400)),
    ("rfc4475/cparam01", Status(401)),
    ("rfc4475/cparam02", Status(401)),
    ("rfc4475/dblreq", Status(401)),
    ("rfc4475/esc01", Event),
    ("rfc4475/esc02", Status(501)),
    ("rfc4475/escnull", Status(401)),
    ("rfc4475/escruri", Status(400)),
    ("rfc4475/insuf", Status(400)),
    ("rfc4475/intmeth", Status(501)),
    ("rfc4475/inv2543", Event),
    ("rfc4475/invut", Status(415)),
    ("rfc4475/longreq", Event),
    ("rfc4475/ltgtruri", Status(400)),
    ("rfc4475/lwsdisp", Event),
    ("rfc4475/lwsruri", Status(400)),
    ("rfc4475/lwsstart", Status(400)),
    ("rfc4475/mcl01", Status(400)),
    ("rfc4475/mismatch01", Status(400)),
    ("rfc4475/mismatch02", Status(400)),
    ("rfc4475/mpart01", Event),
    ("rfc4475/multi01", Status(400)),
    ("rfc4475/ncl", Status(400)),
    ("rfc4475/noreason", Drop(DropReason::UnmatchedResponse)),
    ("rfc4475/novelsc", Status(416)),
    ("rfc4475/quotbal", Status(400)),
    ("rfc4475/regaut01", Status(401)),
    ("rfc4475/regbadct", Status(400)),
    ("rfc4475/regescrt", Status(401)),
    ("rfc4475/scalar02", Status(400)),
    ("rfc4475/scalarlg", Drop(DropReason::MalformedResponse)),
    ("rfc4475/sdp01", Status(406)),
    ("rfc4475/semiuri", Event),
    ("rfc4475/transports", Event),
    ("rfc4475/trws", Status(400)),
    ("rfc4475/unkscm", Status(416)),
    ("rfc4475/unksm2", Status(404)),
    ("rfc4475/unreason", Drop(DropReason::UnmatchedResponse)),
    ("rfc4475/wsinv", Event),
    ("rfc4475/zeromf", Status(200)),
    ("rfc5118/ipv4-mapped-ipv6", Event),
    ("rfc5118/ipv6-bad", Status(400)),
    ("rfc5118/ipv6-bug-abnf-3-colons", Event),
    ("rfc5118/ipv6-correct-abnf-2-colons", Event),
    ("rfc5118/ipv6-good", Status(401)),
    ("rfc5118/ipv6-in-sdp", Event),
    ("rfc5118/mult-ip-in-header", Event),
    ("rfc5118/mult-ip-in-sdp", Event),
    ("rfc5118/port-ambiguous", Status(401)),
    ("rfc5118/port-unambiguous", Status(401)),
    ("rfc5118/via-received-param-no-delim", Status(200)),
    ("rfc5118/via-received-param-with-delim", Event),
];

/// Where TCP differs: the length of a message is not that of a datagram.
const OVER_TCP: &[(&str, Expected)] = &[
    // The connection ends before the 9999 bytes have come.
    ("rfc4475/clerr", Drop(DropReason::Truncated)),
    // Without Content-Length there is no end on a stream (RFC 3261 20.14).
    ("rfc4475/inv2543", Status(400)),
];

fn message(name: &str) -> Option<Vec<u8>> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "tests", "golden", "sip"].iter().collect();
    // The table also stands where the data is left out of a source package.
    std::fs::read(folder.join(format!("{name}.dat"))).ok()
}

async fn accept(world: &mut World, name: &str) {
    match world.event().await {
        SipEvent::Request { transaction, .. } => {
            world.handle(SipCommand::Respond { transaction, response: Response::new(200) });
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_udp() {
    for (name, expected) in TABLE {
        let Some(bytes) = message(name) else { continue };
        let mut world = World::new().await;
        let mut phone = world.udp().await;
        phone.wire.send(&bytes).await.expect("sent");
        match expected {
            Event => {
                accept(&mut world, name).await;
                phone.expect(200).await;
            }
            Status(status) => assert_eq!(phone.receive().await.status(), *status, "{name}"),
            Drop(reason) => {
                // The answer to the next request shows that this one has been dealt with.
                let via = "UDP 127.0.0.1:9;rport;branch=z9hG4bKnext";
                phone.send(&request("OPTIONS sip:example.com", via, 1, "To: <sip:example.com>\r\n", "")).await;
                assert_eq!(phone.receive().await.get("CSeq"), "1 OPTIONS", "{name} was answered");
                assert_eq!(world.edge.counters().dropped(*reason), 1, "{name}");
            }
        }
        assert!(world.pending().is_empty(), "{name} gave an event too many");
        assert_eq!(world.edge.counters().dropped(DropReason::Panic), 0, "{name}");
    }
    assert_eq!(TABLE.len(), 61);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tcp() {
    for (name, expected) in TABLE {
        let Some(bytes) = message(name) else { continue };
        let differs = OVER_TCP.iter().find(|(other, _)| other == name);
        let expected = differs.map_or(*expected, |(_, expected)| *expected);
        let mut world = World::new().await;
        let mut phone = world.tcp().await;
        tokio::io::AsyncWriteExt::write_all(&mut phone.wire, &bytes).await.expect("sent");
        match expected {
            Event => {
                accept(&mut world, name).await;
                phone.expect_next(200).await;
            }
            Status(status) => assert_eq!(phone.next().await.map(|seen| seen.status()), Some(status), "{name}"),
            Drop(reason) => {
                tokio::io::AsyncWriteExt::shutdown(&mut phone.wire).await.expect("shut down");
                assert!(phone.next().await.is_none(), "{name} was answered");
                assert_eq!(world.edge.counters().dropped(reason), 1, "{name}: {:?}", world.edge.counters());
            }
        }
        if *name == "rfc4475/dblreq" {
            // On a stream the second message is one, too.
            accept(&mut world, name).await;
        }
    }
}
