//! What a caller offers, and what was agreed (RFC 3264, RFC 4568, RFC 8285).

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::media::cipher::SdesKey;
use crate::plan::{Codec, Suite};

/// RFC 6464.
const LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// What a caller can do.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Where he receives.
    pub audio: SocketAddr,
    /// The one codec he speaks.
    pub codec: Codec,
    /// He tells levels by RFC 6464.
    pub audio_level: bool,
    /// His SRTP key; he then refuses to speak in the clear.
    pub key: Option<SdesKey>,
}

/// What both sides agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Where the server receives.
    pub remote: SocketAddr,
    /// The codec's number.
    pub payload_type: u8,
    /// The number of the level extension.
    pub level_id: Option<u8>,
    /// The server's SRTP key and salt in base64.
    pub remote_key: Option<String>,
}

impl Offer {
    /// Our half as SDP.
    pub fn to_sdp(&self) -> String {
        self.print(usual_type(self.codec), self.audio_level.then_some(1), "1")
    }

    /// What the server's answer to [`Offer::to_sdp`] means; `None` when it is of no use.
    pub fn agreement(&self, answer: &str) -> Option<Agreement> {
        let agreement = self.read(answer)?;
        (agreement.remote_key.is_some() == self.key.is_some()).then_some(agreement)
    }

    /// Our answer to the server's offer, and what is agreed thereby.
    pub fn answer(&self, offer: &str) -> Option<(String, Agreement)> {
        let agreement = self.read(offer)?;
        let tag = self.crypto_line(offer).and_then(|value| value.split(' ').next()).unwrap_or("1");
        Some((self.print(agreement.payload_type, agreement.level_id, tag), agreement))
    }

    fn print(&self, payload_type: u8, level_id: Option<u8>, crypto_tag: &str) -> String {
        let (ip, port) = (self.audio.ip(), self.audio.port());
        let family = if self.audio.is_ipv4() { "IP4" } else { "IP6" };
        let profile = if self.key.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
        let mut sdp = format!(
            "v=0\r\no=- {port} 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {port} {profile} {payload_type}\r\na=rtpmap:{payload_type} {}\r\n",
            encoding(self.codec)
        );
        if self.codec == Codec::Opus {
            _ = write!(sdp, "a=fmtp:{payload_type} useinbandfec=1\r\n");
        }
        if let Some(id) = level_id.filter(|_| self.audio_level) {
            _ = write!(sdp, "a=extmap:{id} {LEVEL_URI}\r\n");
        }
        if let Some(key) = &self.key {
            _ = write!(sdp, "a=crypto:{crypto_tag} {} inline:{}\r\n", suite_name(key.suite), key.inline);
        }
        sdp.push_str("a=ptime:20\r\na=rtcp-mux\r\na=sendrecv\r\n");
        sdp
    }

    fn read(&self, sdp: &str) -> Option<Agreement> {
        let line = |prefix: &str| sdp.lines().find_map(|line| line.trim_end().strip_prefix(prefix));
        let ip = line("c=IN IP4 ").or_else(|| line("c=IN IP6 "))?.parse().ok()?;
        let mut media = line("m=audio ")?.split(' ');
        let port: u16 = media.next()?.parse().ok()?;
        let listed: Vec<u8> = media.skip(1).filter_map(|number| number.parse().ok()).collect();
        let payload_type = attribute(sdp, "rtpmap:")
            .find_map(|value| {
                let (number, name) = value.split_once(' ')?;
                name.eq_ignore_ascii_case(encoding(self.codec)).then_some(number.parse().ok()?)
            })
            .or(static_type(self.codec))?;
        let level_id = attribute(sdp, "extmap:").find_map(|value| {
            let (id, uri) = value.split_once(' ')?;
            uri.starts_with(LEVEL_URI).then_some(id.split('/').next()?.parse().ok()?)
        });
        let inline = self.crypto_line(sdp).and_then(|value| value.split_once("inline:"));
        let remote_key = inline.and_then(|(_, key)| Some(key.split(['|', ' ']).next()?.to_owned()));
        (port > 0 && listed.contains(&payload_type)).then(|| Agreement {
            remote: SocketAddr::new(ip, port),
            payload_type,
            level_id: level_id.filter(|_| self.audio_level),
            remote_key,
        })
    }

    /// The key the other side has for the suite of ours; `None` when we have none.
    fn crypto_line<'a>(&self, sdp: &'a str) -> Option<&'a str> {
        let suite = suite_name(self.key.as_ref()?.suite);
        attribute(sdp, "crypto:").find(|value| value.split(' ').nth(1) == Some(suite))
    }
}

fn attribute<'a>(sdp: &'a str, name: &'static str) -> impl Iterator<Item = &'a str> {
    sdp.lines().filter_map(move |line| line.trim_end().strip_prefix("a=")?.strip_prefix(name))
}

/// RFC 4568 6.2, RFC 7714 14.2.
const fn suite_name(suite: Suite) -> &'static str {
    match suite {
        Suite::AesCm => "AES_CM_128_HMAC_SHA1_80",
        Suite::AesGcm => "AEAD_AES_128_GCM",
    }
}

const fn encoding(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "opus/48000/2",
        Codec::Pcmu => "PCMU/8000",
        Codec::Pcma => "PCMA/8000",
    }
}

const fn usual_type(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => 111,
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
    }
}

/// RFC 3551 6: what needs no `a=rtpmap`.
const fn static_type(codec: Codec) -> Option<u8> {
    match codec {
        Codec::Opus => None,
        Codec::Pcmu => Some(0),
        Codec::Pcma => Some(8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(codec: Codec, key: Option<(Suite, &str)>) -> Offer {
        let audio = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let key = key.map(|(suite, inline)| SdesKey { suite, inline: inline.to_owned() });
        Offer { audio, codec, audio_level: true, key }
    }

    #[test]
    fn two_callers_could_agree_with_each_other() {
        let (counter, galois) = ((Suite::AesCm, "c2VjcmV0"), (Suite::AesGcm, "c2VjcmV0"));
        for (codec, key) in
            [(Codec::Opus, None), (Codec::Pcma, None), (Codec::Opus, Some(counter)), (Codec::Pcmu, Some(galois))]
        {
            let one = offer(codec, key);
            let (answer, there) = one.answer(&one.to_sdp()).expect("agreed");
            let here = one.agreement(&answer).expect("agreed");
            assert_eq!(here, there);
            let inline = key.map(|(_, inline)| inline);
            assert_eq!((here.remote, here.level_id, here.remote_key.as_deref()), (one.audio, Some(1), inline));
        }
    }

    #[test]
    fn the_servers_numbers_are_used() {
        let theirs = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 20004 RTP/AVP 96 0 101\r\na=rtpmap:96 opus/48000/2\r\n\
                      a=rtpmap:101 telephone-event/8000\r\na=extmap:5 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n";
        let (answer, agreement) = offer(Codec::Opus, None).answer(theirs).expect("agreed");
        assert_eq!((agreement.payload_type, agreement.level_id, agreement.remote.port()), (96, Some(5), 20_004));
        assert!(answer.contains("m=audio 40000 RTP/AVP 96\r\n") && answer.contains("a=extmap:5 "));
        assert_eq!(offer(Codec::Pcmu, None).answer(theirs).expect("static").1.payload_type, 0);
        assert!(offer(Codec::Pcma, None).answer(theirs).is_none());
    }

    #[test]
    fn an_answer_in_the_clear_is_no_agreement_for_a_caller_with_a_key() {
        let plain = offer(Codec::Opus, None);
        let protected = offer(Codec::Opus, Some((Suite::AesCm, "a2V5")));
        assert!(protected.agreement(&plain.to_sdp()).is_none());
        let otherwise = offer(Codec::Opus, Some((Suite::AesGcm, "a2V5")));
        assert!(protected.agreement(&otherwise.to_sdp()).is_none(), "another suite");
        assert!(plain.agreement("m=audio 0 RTP/AVP 111\r\nc=IN IP4 127.0.0.1\r\n").is_none());
    }
}
