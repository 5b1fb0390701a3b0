//! From bytes to the few facts of each media line that offer/answer looks at. Bounded and linear (reliability.md A6).

use std::collections::BTreeMap;
use std::net::IpAddr;

use mcu_api::Direction;
use sdp_types::{Attribute, Connection, Media};

use crate::crypto::Crypto;
use crate::refusal::{Refusal, RefusalKind};

/// Bytes of a description.
const BYTES_MAX: usize = 16 * 1024;
/// Media lines of a description.
const LINES_MAX: usize = 8;
/// Formats of a media line.
const FORMATS_MAX: usize = 64;
/// ICE candidates of a description; they are counted and passed over.
const CANDIDATES_MAX: usize = 32;

/// The header extension of RFC 6464.
pub(crate) const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// One media line with the session-level values that apply to it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// `audio`, `video` ...
    pub(crate) media: String,
    /// RTP port; 0 = switched off.
    pub(crate) port: u16,
    /// `RTP/AVP` ...
    pub(crate) proto: String,
    /// The formats as they came.
    pub(crate) fmt: String,
    /// Where media goes.
    pub(crate) address: Address,
    /// What matters of an audio line; empty for others.
    pub(crate) audio: Audio,
}

/// A connection address (RFC 8866 5.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// An address of the internet.
    Ip(IpAddr),
    /// No `c=` line.
    Missing,
    /// A host name, or another kind of network.
    Other,
}

/// The attributes of an audio line.
#[derive(Clone, Debug)]
pub(crate) struct Audio {
    /// Payload types in order.
    pub(crate) formats: Vec<u8>,
    /// Encodings by payload type, lower case: `opus/48000/2`.
    pub(crate) rtpmap: BTreeMap<u8, String>,
    /// Format parameters by payload type.
    pub(crate) fmtp: BTreeMap<u8, String>,
    /// Keys of SDES, those that can be used.
    pub(crate) crypto: Vec<Crypto>,
    /// Which way audio flows, as seen by the writer.
    pub(crate) direction: Direction,
    /// `a=rtcp`: port, and address if it is another one.
    pub(crate) rtcp: Option<(u16, Option<IpAddr>)>,
    /// RTP and RTCP share a port.
    pub(crate) rtcp_mux: bool,
    /// Packet length the writer wants, milliseconds.
    pub(crate) ptime: Option<u16>,
    /// Longest packet the writer takes, milliseconds.
    pub(crate) maxptime: Option<u16>,
    /// Id of the audio level extension, if the writer sends it.
    pub(crate) audio_level: Option<u8>,
    /// A DTLS fingerprint is there.
    pub(crate) dtls: bool,
}

/// Reads a description. Refuses what is not SDP and what breaks a bound.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Line>, Refusal> {
    if bytes.len() > BYTES_MAX {
        return Err(Refusal::new(RefusalKind::TooLarge, "the session description has more than 16384 bytes"));
    }
    // Names in lines nobody looks at come in any encoding; they must not make the call fail.
    let text = String::from_utf8_lossy(bytes);
    let session = sdp_types::Session::parse(text.as_bytes())
        .map_err(|_| Refusal::new(RefusalKind::Unreadable, "the session description cannot be read"))?;
    check_bounds(&session)?;
    Ok(session.medias.iter().map(|media| read_line(&session, media)).collect())
}

fn check_bounds(session: &sdp_types::Session) -> Result<(), Refusal> {
    let too_many = |text| Err(Refusal::new(RefusalKind::TooMany, text));
    if session.medias.len() > LINES_MAX {
        return too_many("the session description has more than 8 media lines");
    }
    if session.medias.iter().any(|media| media.fmt.split_ascii_whitespace().count() > FORMATS_MAX) {
        return too_many("a media line has more than 64 formats");
    }
    let attributes = session.medias.iter().flat_map(|media| &media.attributes);
    if attributes.filter(|attribute| attribute.attribute == "candidate").count() > CANDIDATES_MAX {
        return too_many("the session description has more than 32 candidates");
    }
    Ok(())
}

fn read_line(session: &sdp_types::Session, media: &Media) -> Line {
    let connection = media.connections.first().or(session.connection.as_ref());
    let mut audio = Audio {
        formats: Vec::new(),
        rtpmap: BTreeMap::new(),
        fmtp: BTreeMap::new(),
        crypto: Vec::new(),
        direction: Direction::SendRecv,
        rtcp: None,
        rtcp_mux: false,
        ptime: None,
        maxptime: None,
        audio_level: None,
        dtls: false,
    };
    if media.media == "audio" {
        audio.formats = media.fmt.split_ascii_whitespace().filter_map(payload_type).collect();
        for attribute in session.attributes.iter().filter(|attribute| holds_for_every_line(attribute)) {
            audio.read_attribute(attribute);
        }
        for attribute in &media.attributes {
            audio.read_attribute(attribute);
        }
    }
    Line {
        media: media.media.clone(),
        port: media.port,
        proto: media.proto.clone(),
        fmt: media.fmt.clone(),
        address: connection.map_or(Address::Missing, read_address),
        audio,
    }
}

/// The attributes that may stand at session level and then hold for every line (RFC 8866 6.7, RFC 8285 5, RFC 8122 5).
fn holds_for_every_line(attribute: &Attribute) -> bool {
    matches!(attribute.attribute.as_str(), "sendrecv" | "sendonly" | "recvonly" | "inactive" | "extmap" | "fingerprint")
}

fn read_address(connection: &Connection) -> Address {
    if connection.nettype != sdp_types::NetType::In {
        return Address::Other;
    }
    // A multicast address has `/ttl` after it; it is refused as a target later.
    let text = connection.connection_address.split('/').next().unwrap_or("");
    text.parse().map_or(Address::Other, Address::Ip)
}

impl Audio {
    fn read_attribute(&mut self, attribute: &Attribute) {
        let value = attribute.value.as_deref().unwrap_or("").trim();
        match attribute.attribute.as_str() {
            "rtpmap" => {
                if let Some((format, encoding)) = numbered(value) {
                    self.rtpmap.entry(format).or_insert_with(|| encoding.to_ascii_lowercase());
                }
            }
            "fmtp" => {
                if let Some((format, parameters)) = numbered(value) {
                    self.fmtp.entry(format).or_insert_with(|| parameters.to_ascii_lowercase());
                }
            }
            "crypto" => self.crypto.extend(Crypto::parse(value)),
            "sendrecv" => self.direction = Direction::SendRecv,
            "sendonly" => self.direction = Direction::SendOnly,
            "recvonly" => self.direction = Direction::RecvOnly,
            "inactive" => self.direction = Direction::Inactive,
            "rtcp" => self.rtcp = read_rtcp(value),
            "rtcp-mux" => self.rtcp_mux = true,
            "ptime" => self.ptime = milliseconds(value),
            "maxptime" => self.maxptime = milliseconds(value),
            "extmap" => self.audio_level = self.audio_level.or(read_audio_level(value)),
            "fingerprint" => self.dtls = true,
            _ => {}
        }
    }
}

/// A payload type that RTP can carry: 7 bits, and not those that look like RTCP on a shared port (RFC 5761 4).
fn payload_type(text: &str) -> Option<u8> {
    text.parse().ok().filter(|number| (0..=127).contains(number) && !(64..=95).contains(number))
}

fn numbered(value: &str) -> Option<(u8, &str)> {
    let (format, rest) = value.split_once(' ')?;
    Some((payload_type(format)?, rest.trim()))
}

/// `20`, and `20.0` of phones that write fractions.
fn milliseconds(value: &str) -> Option<u16> {
    value.split('.').next()?.parse().ok().filter(|number| *number > 0)
}

/// `PORT` or `PORT IN IP4 ADDRESS` (RFC 3605).
fn read_rtcp(value: &str) -> Option<(u16, Option<IpAddr>)> {
    let mut parts = value.split_ascii_whitespace();
    let port = parts.next()?.parse().ok().filter(|port| *port > 0)?;
    Some((port, parts.nth(2).and_then(|address| address.parse().ok())))
}

/// `ID[/direction] URI [attributes]` (RFC 8285 8); only ids of the one-byte form, and only if the writer sends.
fn read_audio_level(value: &str) -> Option<u8> {
    let mut parts = value.split_ascii_whitespace();
    let (id, direction) = match parts.next()?.split_once('/') {
        Some((id, direction)) => (id, direction),
        None => (value.split_ascii_whitespace().next()?, "sendrecv"),
    };
    let sends = matches!(direction, "sendrecv" | "sendonly");
    let id = id.parse().ok().filter(|id| (1..=14).contains(id))?;
    (sends && parts.next()? == AUDIO_LEVEL_URI).then_some(id)
}
