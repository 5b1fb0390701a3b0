//! What both an offer and an answer say about the peer, judged against what we are.

use std::net::{IpAddr, SocketAddr};

use mcu_api::{Direction, LegMedia};

use crate::local::{LocalMedia, SrtpPolicy};
use crate::read::{Address, Line};
use crate::refusal::{Refusal, RefusalKind};
use crate::target::is_forbidden_target;

/// How a line travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// RTP, which may carry keys as a best-effort offer.
    Plain,
    /// SRTP.
    Secure,
}

/// The transport of a line; an error for those we do not speak.
pub(crate) fn transport_of(line: &Line) -> Result<Transport, Refusal> {
    match line.proto.to_ascii_uppercase().as_str() {
        "RTP/AVP" | "RTP/AVPF" => Ok(Transport::Plain),
        "RTP/SAVP" | "RTP/SAVPF" => Ok(Transport::Secure),
        // DTLS profiles are taken only when SDES keys stand beside the fingerprint.
        "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF" if !line.audio.crypto.is_empty() => Ok(Transport::Secure),
        _ => Err(Refusal::new(RefusalKind::Transport, "the media transport is not one of RTP/AVP and RTP/SAVP")),
    }
}

/// Why an encrypted line without usable keys is refused.
pub(crate) fn no_usable_keys(line: &Line) -> Refusal {
    if line.audio.dtls && line.audio.crypto.is_empty() {
        return Refusal::new(RefusalKind::Transport, "DTLS-SRTP is not spoken here: offer SRTP with SDES keys");
    }
    Refusal::new(RefusalKind::Encryption, "there is no SRTP key that can be used")
}

/// Whether a plain line may be taken.
pub(crate) fn allow_plain(policy: SrtpPolicy, previous: Option<&LegMedia>) -> Result<(), Refusal> {
    if policy == SrtpPolicy::Require {
        return Err(Refusal::new(RefusalKind::Encryption, "encryption is required: offer SRTP with SDES keys"));
    }
    if previous.is_some_and(|media| media.srtp.is_some()) {
        return Err(Refusal::new(RefusalKind::Encryption, "the session is encrypted and stays so"));
    }
    Ok(())
}

/// Where the peer receives, and whether it wants to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// Where RTP goes.
    pub(crate) rtp: SocketAddr,
    /// Where RTCP goes.
    pub(crate) rtcp: SocketAddr,
    /// RTP and RTCP share a port.
    pub(crate) rtcp_mux: bool,
    /// The address is unspecified: hold in the manner of RFC 2543, nothing may be sent.
    pub(crate) held: bool,
}

/// Reads and checks where a line wants its media.
pub(crate) fn remote_of(line: &Line, local: &LocalMedia, previous: Option<&LegMedia>) -> Result<Remote, Refusal> {
    let family = |text| Refusal::new(RefusalKind::AddressFamily, text);
    let address = match line.address {
        Address::Ip(address) => address,
        Address::Missing => return Err(family("the media line has no connection address")),
        Address::Other => return Err(family("the connection address is not an IP address")),
    };
    if address.is_ipv4() != local.rtp.is_ipv4() {
        return Err(match local.rtp {
            SocketAddr::V4(_) => family("only media over IPv4 is possible"),
            SocketAddr::V6(_) => family("only media over IPv6 is possible"),
        });
    }
    let rtcp_mux = line.audio.rtcp_mux;
    if address.is_unspecified() {
        let unspecified = SocketAddr::new(address, line.port);
        let (rtp, rtcp) = previous.map_or((unspecified, unspecified), |media| (media.remote_rtp, media.remote_rtcp));
        return Ok(Remote { rtp, rtcp, rtcp_mux, held: true });
    }
    let rtp = SocketAddr::new(address, line.port);
    if is_forbidden_target(address, local.rtp.ip()) || local.is_own(rtp) {
        return Err(Refusal::new(RefusalKind::ForbiddenAddress, "media is not sent to this address"));
    }
    let rtcp = if rtcp_mux { rtp } else { rtcp_of(line, rtp, local) };
    Ok(Remote { rtp, rtcp, rtcp_mux, held: false })
}

/// `a=rtcp`, else the next port (RFC 3550 11). An address of its own that is not allowed is passed over: RTCP is advice.
fn rtcp_of(line: &Line, rtp: SocketAddr, local: &LocalMedia) -> SocketAddr {
    let (port, address) = line.audio.rtcp.unwrap_or((rtp.port().saturating_add(1), None));
    let allowed =
        |address: &IpAddr| address.is_ipv4() == local.rtp.is_ipv4() && !is_forbidden_target(*address, local.rtp.ip());
    let named = SocketAddr::new(address.filter(allowed).unwrap_or(rtp.ip()), port);
    if local.is_own(named) { SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1)) } else { named }
}

/// What a direction means on the other side.
pub(crate) const fn mirror(direction: Direction) -> Direction {
    match direction {
        Direction::SendOnly => Direction::RecvOnly,
        Direction::RecvOnly => Direction::SendOnly,
        both => both,
    }
}

/// A direction out of its two halves.
pub(crate) const fn direction(sends: bool, receives: bool) -> Direction {
    match (sends, receives) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}

/// The packet length towards a peer: what it wants, in the lengths we make, never longer than it takes.
pub(crate) fn packet_time(line: &Line) -> u8 {
    let wanted = line.audio.ptime.unwrap_or(20).min(line.audio.maxptime.unwrap_or(u16::MAX));
    match wanted {
        60.. => 60,
        40.. => 40,
        _ => 20,
    }
}
