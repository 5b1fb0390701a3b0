//! Our half as text.

use std::net::{IpAddr, SocketAddr};

use mcu_api::Direction;
use sdp_types::{Attribute, Connection, Media, Origin, Time};

use crate::format::Format;
use crate::read::AUDIO_LEVEL_URI;
use crate::session::{Session, Slot};

/// Everything that goes into a description of ours.
#[derive(Clone, Debug)]
pub(crate) struct Description<'a> {
    pub(crate) session_id: u64,
    pub(crate) rtp: SocketAddr,
    /// Port of `a=rtcp`.
    pub(crate) rtcp_port: Option<u16>,
    /// Every media line, ours and the refused ones.
    pub(crate) lines: &'a [Slot],
    /// Transport of the audio line.
    pub(crate) proto: &'a str,
    pub(crate) formats: &'a [Format],
    /// Values of `a=crypto` lines.
    pub(crate) crypto: &'a [String],
    pub(crate) rtcp_mux: bool,
    /// Milliseconds.
    pub(crate) packet_time: u8,
    pub(crate) audio_level: Option<u8>,
    pub(crate) direction: Direction,
}

impl Description<'_> {
    /// Prints the description. The version stays that of the previous session if nothing else changed, and rises by
    /// one otherwise (RFC 3264 8).
    pub(crate) fn print(&self, previous: Option<&Session>) -> (u64, Vec<u8>) {
        let Some(previous) = previous else { return (1, self.print_version(1)) };
        let unchanged = self.print_version(previous.version);
        if unchanged == previous.local {
            return (previous.version, unchanged);
        }
        let version = previous.version.saturating_add(1);
        (version, self.print_version(version))
    }

    fn print_version(&self, version: u64) -> Vec<u8> {
        let address: IpAddr = self.rtp.ip();
        let mut session = sdp_types::Session::new(Origin::with_ip_addr(self.session_id, version, address), "-");
        session.connection = Some(Connection::from_ip_addr(address));
        session.times.push(Time::new(0, 0));
        session.medias = self.lines.iter().map(|slot| self.line(slot)).collect();
        let mut bytes = Vec::with_capacity(512);
        session.write(&mut bytes).expect("writing into memory cannot fail");
        bytes
    }

    fn line(&self, slot: &Slot) -> Media {
        match slot {
            Slot::Audio => {
                let formats: Vec<String> = self.formats.iter().map(|format| format.payload_type.to_string()).collect();
                Media {
                    attributes: self.attributes(),
                    ..media("audio", self.rtp.port(), self.proto, &formats.join(" "))
                }
            }
            Slot::Refused { media: kind, proto, fmt } => media(kind, 0, proto, fmt),
        }
    }

    fn attributes(&self) -> Vec<Attribute> {
        let mut attributes = Vec::new();
        for Format { payload_type, encoding } in self.formats {
            attributes.push(Attribute::with_value("rtpmap", format!("{payload_type} {}", encoding.name())));
            if let Some(parameters) = encoding.parameters() {
                attributes.push(Attribute::with_value("fmtp", format!("{payload_type} {parameters}")));
            }
        }
        attributes.extend(self.crypto.iter().map(|value| Attribute::with_value("crypto", value)));
        attributes.extend(self.rtcp_port.map(|port| Attribute::with_value("rtcp", port)));
        if self.rtcp_mux {
            attributes.push(Attribute::new("rtcp-mux"));
        }
        attributes.push(Attribute::with_value("ptime", self.packet_time));
        attributes.push(Attribute::with_value("maxptime", 60));
        if let Some(id) = self.audio_level {
            attributes.push(Attribute::with_value("extmap", format!("{id} {AUDIO_LEVEL_URI}")));
        }
        attributes.push(Attribute::new(match self.direction {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }));
        attributes
    }
}

fn media(kind: &str, port: u16, proto: &str, fmt: &str) -> Media {
    Media {
        media: kind.to_owned(),
        port,
        num_ports: None,
        proto: proto.to_owned(),
        fmt: fmt.to_owned(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}
