//! Harnesses and checkers shared by the tests.

pub(crate) mod checker;
pub(crate) mod edge;
pub(crate) mod solo;

use base::{Duration, LegId, OfferId, Pii};
use call::{Body, Credentials, Dial, RingMode, Target};
use sip_api::{Flow, NameAddr, SipUri, Transport};

/// A small deterministic generator (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn flow() -> Flow {
    let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    Flow { transport: Transport::Udp, local: address(5060), remote: address(5070) }
}

pub(crate) fn uri(text: &str) -> SipUri {
    SipUri::parse(text).expect("a URI of the test")
}

pub(crate) fn name(text: &str) -> NameAddr {
    NameAddr::parse(text).expect("a name-addr of the test")
}

pub(crate) fn sdp(text: &str) -> Body {
    Body::new("application/sdp", text.to_owned())
}

/// A dial of these legs to `sip:t0@x`, `sip:t1@x` ..., ringing for a minute.
pub(crate) fn dial(offer: OfferId, legs: &[LegId], mode: RingMode) -> Dial {
    let target = |index: usize| Target { flow: Some(flow()), ..Target::new(uri(&format!("sip:t{index}@x"))) };
    let legs = legs.iter().enumerate().map(|(index, leg)| (*leg, target(index))).collect();
    Dial {
        mode,
        headers: vec![("P-Asserted-Identity".to_owned(), "<sip:ann@example.com>".to_owned())],
        ring_limit: seconds(60),
        cancel_reason: vec!["SIP;cause=480;text=\"No answer\"".to_owned()],
        ..Dial::new(offer, legs, name("\"Conference\" <sip:conf@example.com>"), name("<sip:t@x>"), sdp("offer"))
    }
}

/// What a trunk of the tests wants to be told.
pub(crate) fn credentials() -> Credentials {
    Credentials { username: "line7".to_owned(), password: Pii::new("sesame open") }
}
