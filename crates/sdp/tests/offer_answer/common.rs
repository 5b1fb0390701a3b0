//! What the tests of this crate share: golden offers and a local side.

use std::net::SocketAddr;

use mcu_api::SrtpProfile;
use sdp::{LocalKey, LocalMedia, SrtpPolicy};

/// Every golden offer that is one session description.
pub(crate) const OFFERS: [(&str, &str); 11] = [
    ("baresip", include_str!("../../../../tests/golden/sdp/baresip-offer.sdp")),
    ("baresip-srtp", include_str!("../../../../tests/golden/sdp/baresip-srtp-offer.sdp")),
    ("baresip-dtls", include_str!("../../../../tests/golden/sdp/baresip-dtls-offer.sdp")),
    ("linphone", include_str!("../../../../tests/golden/sdp/linphone-offer.sdp")),
    ("linphone-ip6", include_str!("../../../../tests/golden/sdp/linphone-ip6-offer.sdp")),
    ("linphone-srtp", include_str!("../../../../tests/golden/sdp/linphone-srtp-offer.sdp")),
    ("desk-phone", include_str!("../../../../tests/golden/sdp/desk-phone-best-effort-offer.sdp")),
    ("sipp", include_str!("../../../../tests/golden/sdp/sipp-uac-offer.sdp")),
    ("gateway-hold", include_str!("../../../../tests/golden/sdp/gateway-hold-offer.sdp")),
    ("chrome", include_str!("../../../../tests/golden/sdp/chrome-offer.sdp")),
    ("communicator-srtp", include_str!("../../../../tests/golden/sdp/communicator-srtp-offer.sdp")),
];

/// A golden offer by name.
pub(crate) fn golden(name: &str) -> &'static [u8] {
    OFFERS.iter().find(|(key, _)| *key == name).expect("a golden offer of this name").1.as_bytes()
}

/// Our side on an address, with keys for the three profiles made from `seed`.
pub(crate) fn local(address: &str, srtp: SrtpPolicy, seed: u8) -> LocalMedia {
    let rtp: SocketAddr = format!("{address}:20000").parse().expect("an address");
    let rtcp = SocketAddr::new(rtp.ip(), 20001);
    let key = |profile: SrtpProfile| LocalKey { profile, key: vec![seed; profile.key_length()] };
    let keys = vec![
        key(SrtpProfile::AeadAes128Gcm),
        key(SrtpProfile::AesCm128HmacSha1_80),
        key(SrtpProfile::AesCm128HmacSha1_32),
    ];
    LocalMedia { srtp, keys, ..LocalMedia::plain(rtp, rtcp, 4711) }
}
